// Profiles: the text, merging, and what is concluded from them.
#include "runtime/tiering/profile.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "runtime/tiering/profile_plan.h"

namespace hms::tiering {
namespace {

ContextProfile context(std::vector<KeyFrame> key, uint64_t peak, uint64_t samples,
                       uint64_t watched) {
  ContextProfile c;
  c.key = std::move(key);
  c.allocations = peak / 64;
  c.bytes = 3 * peak;
  c.peak = peak;
  c.byte_seconds = 10 * peak;
  c.samples = samples;
  c.watched = watched;
  return c;
}

Profile sample() {
  Profile p;
  p.program = "a program, with \"words\"\n";
  p.program_id = "build:00ff";
  p.sampler = "perf-pebs";
  p.sees_reads = p.sees_writes = true;
  p.milliseconds = 12'345;
  p.machine_bytes = uint64_t{24} << 30;
  p.objects = {{"build:00ff", "/usr/bin/a b"}, {"file:lib.so:4096", "-"}};
  p.contexts = {context({{0, 0x1234}}, 1 << 20, 1000, 1 << 20),
                context({{0, 0x1234}, {1, 0xabcdef}}, 4 << 20, 10, 4 << 20),
                context({{}, {0, 0x99}}, 64, 0, 0)};
  return p;
}

void expect_equal(const Profile& a, const Profile& b) {
  EXPECT_EQ(format_profile(a), format_profile(b));
}

TEST(ProfileTest, TextRoundTrip) {
  const Profile p = sample();
  Result<Profile> read = parse_profile(format_profile(p), "test");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read.value().program, p.program);
  EXPECT_EQ(read.value().program_id, p.program_id);
  EXPECT_EQ(read.value().objects[1].path, "-");
  EXPECT_EQ(read.value().contexts[2].key[0].object, kGeneratedCode);
  EXPECT_EQ(read.value().contexts[1].key[1].offset, 0xabcdefu);
  expect_equal(read.value(), p);
}

TEST(ProfileTest, EmptyOneIsValid) {
  Result<Profile> read = parse_profile(format_profile(Profile()), "test");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_TRUE(read.value().contexts.empty());
}

// No change of a byte, whatever it becomes, leaves a valid profile.
TEST(ProfileTest, EveryChangedByteIsFound) {
  const std::string text = format_profile(sample());
  for (size_t i = 0; i < text.size(); ++i) {
    for (int change = 1; change < 256; ++change) {
      std::string broken = text;
      broken[i] = static_cast<char>(broken[i] ^ change);
      Result<Profile> read = parse_profile(broken, "test");
      ASSERT_FALSE(read.ok()) << "byte " << i << " became " << int{broken[i]};
      ASSERT_NE(read.status().message().find("'test'"), std::string::npos);
    }
  }
}

TEST(ProfileTest, EveryTruncationIsFound) {
  const std::string text = format_profile(sample());
  for (size_t length = 0; length < text.size(); ++length) {
    Result<Profile> read = parse_profile(text.substr(0, length), "test");
    ASSERT_FALSE(read.ok()) << length;
    ASSERT_NE(read.status().message().find("hms record"), std::string::npos);
  }
  EXPECT_FALSE(parse_profile(text + "\n", "test").ok());
  EXPECT_FALSE(parse_profile(text + text, "test").ok());
}

// Texts with a right check sum whose content makes no sense.
TEST(ProfileTest, SenselessContentIsRefused) {
  const struct {
    const char* what;
    void (*spoil)(Profile*);
  } kCases[] = {
      {"no object", [](Profile* p) { p->contexts[0].key[0].object = 7; }},
      {"a context twice", [](Profile* p) { p->contexts.push_back(p->contexts[0]); }},
      {"an object", [](Profile* p) { p->objects[1].id = p->objects[0].id; }},
      {"no name", [](Profile* p) { p->objects[1].id = ""; }},
      {"no key", [](Profile* p) { p->contexts[0].key.clear(); }},
      {"too many frames", [](Profile* p) { p->contexts[0].key.resize(kKeyFrames + 1); }},
      {"nobody watched", [](Profile* p) { p->contexts[0].watched = 0; }},
      {"at least one run", [](Profile* p) { p->runs = 0; }},
  };
  for (const auto& c : kCases) {
    Profile p = sample();
    c.spoil(&p);
    Result<Profile> read = parse_profile(format_profile(p), "test");
    ASSERT_FALSE(read.ok()) << c.what;
    EXPECT_NE(read.status().message().find(c.what), std::string::npos) << read.status().message();
  }
}

TEST(ProfileTest, OtherVersionsAndOtherFilesAreTold) {
  std::string text = format_profile(sample());
  text.replace(text.find(" 1\n"), 3, " 2\n");
  EXPECT_NE(parse_profile(text, "f").status().message().find("version 2"), std::string::npos);
  EXPECT_NE(parse_profile("ELF", "f").status().message().find("no profile"), std::string::npos);
  EXPECT_NE(read_profile("/nonexistent").status().message().find("/nonexistent"),
            std::string::npos);
  EXPECT_FALSE(read_profile("/dev/zero").ok());
  EXPECT_FALSE(read_profile("/").ok());
}

TEST(ProfileTest, FilesOfAnyLengthAreRead) {
  char path[] = "/tmp/hms-profile-XXXXXX";
  ASSERT_GE(mkstemp(path), 0);
  Profile p = sample();
  p.contexts.clear();
  for (uint64_t i = 0; i < 20'000; ++i) p.contexts.push_back(context({{0, i}}, 64, 1, 1));
  std::ofstream(path) << format_profile(p);
  Result<Profile> read = read_profile(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read.value().contexts.size(), 20'000u);
}

TEST(ProfileTest, MergingAddsUp) {
  Profile a = sample(), b = sample();
  // The same objects in another order, and one more context.
  std::swap(b.objects[0], b.objects[1]);
  for (ContextProfile& c : b.contexts) {
    for (KeyFrame& f : c.key) {
      if (f.object != kGeneratedCode) f.object = 1 - f.object;
    }
  }
  b.contexts[0].peak = 5 << 20;
  b.contexts.push_back(context({{1, 0x77}}, 128, 3, 128));
  merge_profile(b, &a);
  EXPECT_EQ(a.runs, 2u);
  EXPECT_EQ(a.milliseconds, 24'690u);
  ASSERT_EQ(a.contexts.size(), 4u);
  EXPECT_EQ(a.contexts[0].samples, 2000u);
  EXPECT_EQ(a.contexts[0].watched, 2u << 20);
  EXPECT_EQ(a.contexts[0].peak, 5u << 20);
  EXPECT_EQ(a.contexts[1].peak, 4u << 20);
  EXPECT_EQ(a.contexts[3].key[0].object, 0u);
  EXPECT_EQ(a.objects.size(), 2u);
  EXPECT_TRUE(parse_profile(format_profile(a), "merged").ok());
}

// The same program seen by a sampler that sees ten times as much: heat relative to the mean stays.
TEST(ProfileTest, MergingSamplersOfDifferentScale) {
  Profile a = sample(), b = sample();
  b.sampler = "other";
  for (ContextProfile& c : b.contexts) c.samples *= 10;
  const double before = a.contexts[0].heat() / a.contexts[1].heat();
  merge_profile(b, &a);
  EXPECT_NEAR(a.contexts[0].heat() / a.contexts[1].heat(), before, before * 0.01);
  EXPECT_EQ(a.contexts[0].samples, 11'000u);
  EXPECT_EQ(a.sampler, "perf-pebs");
}

TEST(ProfileTest, MergingIntoSizesOnlyTakesTheSampler) {
  Profile a = sample(), b = sample();
  a.sampler = "none";
  for (ContextProfile& c : a.contexts) c.samples = c.watched = 0;
  merge_profile(b, &a);
  EXPECT_EQ(a.sampler, "perf-pebs");
  EXPECT_EQ(a.contexts[0].heat(), b.contexts[0].heat());
}

TEST(ProfileTest, SumsDoNotWrap) {
  Profile a = sample(), b = sample();
  a.contexts[0].bytes = UINT64_MAX - 5;
  merge_profile(b, &a);
  EXPECT_EQ(a.contexts[0].bytes, UINT64_MAX);
}

TEST(ProfileTest, SameKeysOfOneRunAreJoined) {
  Profile p = sample();
  p.contexts.push_back(p.contexts[1]);
  join_same_keys(&p);
  ASSERT_EQ(p.contexts.size(), 3u);
  uint64_t peaks = 0;
  for (const ContextProfile& c : p.contexts) peaks += c.peak;
  EXPECT_EQ(peaks, (1u << 20) + 2 * (4u << 20) + 64);
}

StableKey key_of(std::vector<KeyFrame> frames) {
  StableKey key;
  key.count = frames.size();
  std::copy(frames.begin(), frames.end(), key.frames);
  return key;
}

Profile ranked() {
  Profile p;
  p.sampler = "test";
  p.objects = {{"build:aa", "/a"}, {"build:bb", "/b"}};
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  p.contexts = {context({{0, 1}, {0, 100}}, 8 * kMiB, 80'000, 8 * kMiB),      // hot
                context({{0, 1}, {0, 200}}, 64 * kMiB, 640, 64 * kMiB),       // cold
                context({{0, 2}, {0, 100}}, 4 * kMiB, 20'000, 4 * kMiB),      // warm
                context({{0, 3}, {1, 5}}, 512 * kMiB, 512'000, 512 * kMiB)};  // cool and large
  return p;
}

TEST(ProfilePlanTest, HottestFirstUntilNearIsFull) {
  const ProfilePlan plan(ranked(), uint64_t{12} << 20);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 100}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 2}, {0, 100}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 200}})), Lean::kFar);
  EXPECT_EQ(plan.lean_of(key_of({{0, 3}, {1, 5}})), Lean::kFar);
  EXPECT_EQ(plan.near_peak(), uint64_t{12} << 20);
  EXPECT_EQ(plan.rest_bytes(), 0U);
}

TEST(ProfilePlanTest, NoNearMemoryMeansFar) {
  const ProfilePlan plan(ranked(), 0);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 100}})), Lean::kFar);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(plan.near_share(i), 0);
}

// A place that is too large gets what is left, which is what it cannot keep others out of.
TEST(ProfilePlanTest, ALargePlaceGetsWhatIsLeft) {
  const ProfilePlan plan(ranked(), uint64_t{24} << 20);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 100}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 3}, {1, 5}})), Lean::kPart);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 200}})), Lean::kFar);
  // A sixteenth of the others' 12 MiB is kept free.
  EXPECT_EQ(plan.rest_bytes(), uint64_t{45} << 18);
  EXPECT_EQ(plan.near_peak(), (uint64_t{12} << 20) + plan.rest_bytes());
  EXPECT_DOUBLE_EQ(plan.near_share(3), 11.25 / 512);
}

TEST(ProfilePlanTest, FewSamplesAreNotBelieved) {
  Profile p = ranked();
  // Hotter than all by its samples, but there is just one.
  p.contexts.push_back(context({{1, 9}}, 8 << 20, 1, 1));
  const std::vector<double> heat = believed_heat(p);
  EXPECT_LT(heat[4], heat[0]);
  EXPECT_GT(heat[4], heat[1]);
}

TEST(ProfilePlanTest, WithoutSamplesRenewalRanks) {
  Profile p = ranked();
  for (ContextProfile& c : p.contexts) c.samples = c.watched = 0;
  p.contexts[1].bytes *= 1000;
  const ProfilePlan plan(p, uint64_t{64} << 20);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 200}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 3}, {1, 5}})), Lean::kFar);
}

// A caller was built anew, or is another one: the frames that are left decide if they agree.
TEST(ProfilePlanTest, PartialKeys) {
  const ProfilePlan plan(ranked(), uint64_t{12} << 20);
  EXPECT_EQ(plan.lean_of(key_of({{0, 2}, {0, 999}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 2}, {}})), Lean::kNear);
  EXPECT_EQ(plan.lean_of(key_of({{0, 3}})), Lean::kFar);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 999}})), Lean::kMixed);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}})), Lean::kMixed);
  EXPECT_EQ(plan.lean_of(key_of({{0, 4}, {0, 100}})), Lean::kUnknown);
  EXPECT_EQ(plan.lean_of(key_of({{}})), Lean::kUnknown);
  EXPECT_EQ(plan.lean_of(StableKey()), Lean::kUnknown);
}

// A stack that ends early is a place of its own; an address whose callers are known is not.
TEST(ProfilePlanTest, ShorterKeys) {
  Profile p = ranked();
  p.contexts.push_back(context({{0, 1}}, 1 << 20, 50'000, 1 << 20));
  p.contexts.push_back(context({{0, 3}}, 1 << 20, 50'000, 1 << 20));
  p.contexts.push_back(context({{0, 1}, {0, 200}, {1, 7}}, 1 << 20, 50'000, 1 << 20));
  const ProfilePlan plan(p, uint64_t{15} << 20);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}})), Lean::kMixed);
  EXPECT_EQ(plan.lean_of(key_of({{0, 3}})), Lean::kFar);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 200}})), Lean::kFar);
  EXPECT_EQ(plan.lean_of(key_of({{0, 1}, {0, 200}, {1, 7}})), Lean::kNear);
}

TEST(ProfilePlanTest, ObjectsAreFoundById) {
  const ProfilePlan plan(ranked(), 1 << 20);
  EXPECT_EQ(plan.object_index("build:bb"), 1u);
  EXPECT_EQ(plan.object_index("build:cc"), kGeneratedCode);
  EXPECT_EQ(plan.object_index(""), kGeneratedCode);
}

}  // namespace
}  // namespace hms::tiering
