// `hms record`, and `hms run --profile`: a whole program, from what is learnt to where it then
// lies.
#include <nlohmann/json.hpp>

#include <sstream>

#include "runtime/tiering/profile.h"
#include "runtime/tiering/profile_plan.h"
#include "tests/unit/tiering/command_fixture.h"

namespace hms::tiering {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = uint64_t{1} << 20;
// Of programs/hot_and_cold.c; the profile counts what was allocated to the byte.
constexpr uint64_t kHotBytes = 8 * kMiB, kColdBytes = 64 * kMiB;

class RecordCommandTest : public HmsCommandTest {
 protected:
  void SetUp() override {
    const fs::path build = fs::path(HMS_COMMAND).parent_path().parent_path();
    if (!fs::exists(build / "libhms_malloc.so")) {
      GTEST_SKIP() << "libhms_malloc.so is not part of this build";
    }
    HmsCommandTest::SetUp();
    for (const char* name : {"HMS_CONF", "HMS_CONF_FILE", "HMS_TOPOLOGY"}) unsetenv(name);
    setenv("HOME", dir_.c_str(), 1);
    file_ = dir_ + "/p";
  }

  Outcome record(const std::string& program, const std::string& options = "") {
    return hms("record " + options + " -o " + file_ + " -- " + program);
  }

  // The context that allocated about so many bytes; a thread that is killed may not have told all.
  static const ContextProfile* find(const Profile& profile, uint64_t bytes) {
    for (const ContextProfile& c : profile.contexts) {
      if (c.bytes > bytes / 2 && c.bytes <= bytes) return &c;
    }
    return nullptr;
  }

  static uint64_t resident(const nlohmann::json& report, const std::string& key) {
    for (const auto& target : report["targets"]) {
      if (target["key"] == key) return target["resident_bytes"];
    }
    return 0;
  }

  nlohmann::json run(const std::string& options, const std::string& how = "exit") {
    const Outcome outcome = hms("run --tiers near=12M,far=1G --report=" + dir_ + "/report " +
                                options + " -- " HMS_TEST_HOT_AND_COLD " 1 " + how);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(text("report"));
  }

  // A profile of the program in which the one place is hot, or the other.
  void make_profile(bool hot_is_hot, const std::string& how = "exit") {
    ASSERT_EQ(record(HMS_TEST_HOT_AND_COLD " 1 " + how).code, 0) << text("err");
    Result<Profile> profile = read_profile(file_);
    ASSERT_TRUE(profile.ok()) << profile.status().message();
    for (ContextProfile& c : profile.value().contexts) {
      c.watched = std::max<uint64_t>(c.byte_seconds, kMiB);
      const bool is_hot = find(profile.value(), kHotBytes) == &c;
      c.samples = is_hot == hot_is_hot ? 100'000 : 10;
    }
    std::ofstream(file_) << format_profile(profile.value());
  }

  std::string file_;
};

TEST_F(RecordCommandTest, WhatAProgramDid) {
  const Outcome outcome = record(HMS_TEST_HOT_AND_COLD " 300");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("wrote '" + file_ + "'"), std::string::npos) << outcome.err;
  const Result<Profile> read = read_profile(file_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  const Profile& p = read.value();
  EXPECT_EQ(p.program, "hot_and_cold");
  EXPECT_EQ(p.program_id.compare(0, 6, "build:"), 0);
  EXPECT_GT(p.machine_bytes, 0u);
  const ContextProfile *hot = find(p, kHotBytes), *cold = find(p, kColdBytes);
  ASSERT_TRUE(hot != nullptr && cold != nullptr) << text("p");
  EXPECT_GT(hot->bytes, kHotBytes * 9 / 10);
  EXPECT_GT(cold->bytes, kColdBytes * 9 / 10);
  EXPECT_GT(cold->peak, kColdBytes / 2);
  EXPECT_EQ(p.objects[hot->key[0].object].id, p.program_id);
  EXPECT_NE(hms("report --top 0 " + file_).out.find("make_cold"), std::string::npos);
}

TEST_F(RecordCommandTest, HoweverAProgramEnds) {
  const struct {
    const char* how;
    int code;
    unsigned times;  // that the work was done
  } kCases[] = {{"_exit", 7, 1}, {"kill", 137, 1}, {"fork", 0, 1}, {"exec", 7, 2}};
  for (const auto& c : kCases) {
    const Outcome outcome = record(std::string(HMS_TEST_HOT_AND_COLD " 100 ") + c.how);
    EXPECT_EQ(outcome.code, c.code) << c.how << outcome.err;
    const Result<Profile> p = read_profile(file_);
    ASSERT_TRUE(p.ok()) << c.how << p.status().message();
    EXPECT_EQ(p.value().runs, 1u);
    const ContextProfile* cold = find(p.value(), c.times * kColdBytes);
    ASSERT_NE(cold, nullptr) << c.how << text("p");
    EXPECT_GT(cold->bytes, c.times * kColdBytes * 9 / 10) << c.how;
    fs::remove(file_);
  }
}

TEST_F(RecordCommandTest, AppendAddsRuns) {
  ASSERT_EQ(record(HMS_TEST_HOT_AND_COLD " 50").code, 0);
  ASSERT_EQ(record(HMS_TEST_HOT_AND_COLD " 50", "--append").code, 0) << text("err");
  const Result<Profile> p = read_profile(file_);
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p.value().runs, 2u);
  EXPECT_NE(find(p.value(), 2 * kColdBytes), nullptr) << text("p");
}

TEST_F(RecordCommandTest, WrongOptionsNeverStartTheCommand) {
  std::ofstream(dir_ + "/damaged") << "hms-profile 1\n";
  const std::string mark = dir_ + "/started";
  const std::string kCases[][2] = {
      {"record -o /nonexistent/p", "cannot write to the folder"},
      {"record --append -o " + dir_ + "/damaged", "damaged or was cut short"},
      {"run --profile /nonexistent", "cannot read the profile"},
      {"run --profile " + dir_ + "/damaged", "damaged or was cut short"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = hms(c[0] + " -- touch " + mark);
    EXPECT_EQ(outcome.code, 2) << c[0];
    EXPECT_NE(outcome.err.find(c[1]), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(mark)) << c[0];
  }
  EXPECT_EQ(hms("record").code, 2);
  EXPECT_EQ(hms("record -o " + file_ + " -- no-such-command-anywhere").code, 127);
}

// From the first unit on: what the profile calls hot is near, and all else has what that leaves,
// although it comes first.
TEST_F(RecordCommandTest, PlacesAtBirth) {
  make_profile(true);
  const auto placed = run("--profile " + file_, "tell");
  EXPECT_EQ(placed["targets"][0]["misplaced_pages"], 0);
  uint64_t hot = 0, cold = 0;
  std::istringstream(text("out")) >> hot >> cold;
  EXPECT_EQ(hot, kHotBytes / 1024);
  // By units of 2 MiB.
  EXPECT_GE(cold, 2 * kMiB / 1024);
  EXPECT_LT(cold, 4 * kMiB / 1024);
}

// The same program with the heat the other way round: the large place fills what near memory there
// is, by units of 2 MiB, the small one stays out.
TEST_F(RecordCommandTest, TheProfileDecidesAndNotTheProgram) {
  make_profile(false);
  const auto placed = run("--profile " + file_);
  EXPECT_GT(resident(placed, "tier:near"), 10 * kMiB);
  EXPECT_GE(resident(placed, "tier:far"), kColdBytes + kHotBytes - 12 * kMiB);
}

// malloc is called at one place only: its callers differ, and so does what becomes of them.
TEST_F(RecordCommandTest, AWrapperIsToldApartByItsCallers) {
  make_profile(true, "wrapped");
  const Result<Profile> p = read_profile(file_);
  ASSERT_TRUE(p.ok());
  const ContextProfile *hot = find(p.value(), kHotBytes), *cold = find(p.value(), kColdBytes);
  ASSERT_TRUE(hot != nullptr && cold != nullptr) << text("p");
  ASSERT_GT(hot->key.size(), 1u);
  EXPECT_TRUE(hot->key[0] == cold->key[0]);
  EXPECT_FALSE(hot->key[1] == cold->key[1]);
  const auto placed = run("--profile " + file_, "wrapped");
  EXPECT_GE(resident(placed, "tier:near"), kHotBytes * 9 / 10);
  EXPECT_LT(resident(placed, "tier:near"), kHotBytes * 3 / 2);
  EXPECT_GE(resident(placed, "tier:far"), kColdBytes * 9 / 10);
}

// Real heat, by the sampler that this machine offers: recorded runs are added up until the two
// places are told apart.
TEST_F(RecordCommandTest, WhatIsUsedIsPlacedNear) {
  bool told_apart = false;
  for (int runs = 0; runs < 6 && !told_apart; ++runs) {
    ASSERT_EQ(record(HMS_TEST_HOT_AND_COLD " 3000", "--append").code, 0) << text("err");
    const Result<Profile> p = read_profile(file_);
    ASSERT_TRUE(p.ok()) << p.status().message();
    if (p.value().sampler == "none") GTEST_SKIP() << "no sampler opens here: " << text("err");
    const ContextProfile* hot = find(p.value(), (runs + 1) * kHotBytes);
    const ContextProfile* cold = find(p.value(), (runs + 1) * kColdBytes);
    ASSERT_TRUE(hot != nullptr && cold != nullptr) << text("p");
    told_apart = hot->samples >= 100 && hot->heat() > 1.5 * cold->heat();
  }
  ASSERT_TRUE(told_apart) << text("p");
  const auto placed = run("--profile " + file_);
  EXPECT_GE(resident(placed, "tier:near"), kHotBytes);
  EXPECT_LT(resident(placed, "tier:near"), kHotBytes * 3 / 2);
}

// What a profile is wrong about the engine finds out: the hot place comes near all the same.
TEST_F(RecordCommandTest, AWrongProfileIsRecoveredFrom) {
  make_profile(false);
  nlohmann::json tiering;
  for (int milliseconds : {2000, 4000, 8000, 16000, 32000}) {
    const Outcome outcome =
        hms("run --tiers near=12M,far=1G --tiering auto --profile " + file_ + " --report=" + dir_ +
            "/report -- " HMS_TEST_HOT_AND_COLD " " + std::to_string(milliseconds));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    tiering = nlohmann::json::parse(text("report"))["processes"][0]["tiering"];
    if (tiering["state"] == "ended") {
      // It ends by itself where looking costs too much, on a busy machine, or where nothing can
      // look.
      const std::string why = tiering["why"];
      ASSERT_EQ(why.find("an error"), std::string::npos) << why;
      GTEST_SKIP() << why;
    }
    if (tiering["promoted_bytes"] >= kHotBytes * 7 / 10) return;
  }
  FAIL() << tiering;
}

// A profile of something else: nothing is known, nothing is refused, the program runs.
TEST_F(RecordCommandTest, AProfileOfAnotherProgramDoesNoHarm) {
  ASSERT_EQ(hms("record -o " + file_ + " -- perl -e '@a = map { \"x\" x 1000 } 1..20000'").code, 0)
      << text("err");
  const auto placed = run("--profile " + file_);
  EXPECT_EQ(placed["exit"], 0);
  EXPECT_GE(resident(placed, "tier:near") + resident(placed, "tier:far"), kHotBytes + kColdBytes);
}

// The program was built anew: said once, in that program only.
TEST_F(RecordCommandTest, AProfileOfAnotherBuildIsTold) {
  ASSERT_EQ(record(HMS_TEST_HOT_AND_COLD " 1 places").code, 0) << text("err");
  const std::string run = "run --profile " + file_ + " --tiers near=12M,far=1G -- ";
  Outcome outcome = hms(run + HMS_TEST_HOT_AND_COLD " 1 places");
  EXPECT_EQ(outcome.err, "");
  Result<Profile> profile = read_profile(file_);
  ASSERT_TRUE(profile.ok()) << profile.status().message();
  for (CodeObject& object : profile.value().objects) {
    if (object.id == profile.value().program_id) object.id = "build:00";
  }
  std::ofstream(file_) << format_profile(profile.value());
  outcome = hms(run + HMS_TEST_HOT_AND_COLD " 1 places");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("of another build of hot_and_cold"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("another build"), outcome.err.rfind("another build"));
}

TEST_F(RecordCommandTest, AProcessGoesOnWithoutAProfileThatItCannotRead) {
  std::ofstream(dir_ + "/damaged") << "hms-profile 1\n";
  const std::string library =
      (fs::path(HMS_COMMAND).parent_path().parent_path() / "libhms_malloc.so").string();
  const Outcome outcome = shell("HMS_PROFILE=" + dir_ + "/damaged LD_PRELOAD=" + library +
                                " " HMS_TEST_HOT_AND_COLD " 1");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("HMS_PROFILE"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("going on without"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace hms::tiering
