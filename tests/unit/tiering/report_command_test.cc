// `hms report` as a command: what it shows of a profile, and what it refuses.
#include <nlohmann/json.hpp>

#include "runtime/tiering/profile.h"
#include "tests/unit/tiering/command_fixture.h"

namespace hms::tiering {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = uint64_t{1} << 20;

__attribute__((noinline)) const void* return_address() { return __builtin_return_address(0); }

// A place in this program, with a line of its own.
__attribute__((noinline)) StableKey some_allocating_function(CodeObjects* objects, int* line) {
  *line = __LINE__ + 1;
  const void* here = return_address();
  StableKey key;
  key.count = 1;
  key.frames[0] = objects->frame_of(here);
  return key;
}

class ReportCommandTest : public HmsCommandTest {
 protected:
  std::string write(const std::string& name, const Profile& profile) const {
    std::ofstream(dir_ + "/" + name) << format_profile(profile);
    return dir_ + "/" + name;
  }

  // A hot place in this program, a cold one in a file that is gone, and one that nobody watched.
  Profile sample() {
    static CodeObjects objects;
    const StableKey key = some_allocating_function(&objects, &line_);
    Profile p;
    p.program = "<script>alert(1)</script>&";
    p.sampler = "test";
    p.sees_reads = true;
    p.milliseconds = 1500;
    p.objects = {objects.at(key.frames[0].object), {"build:beef", "/nowhere/lib.so"}};
    add(&p, {0, key.frames[0].offset}, 8 * kMiB, 900, 8 * kMiB);
    add(&p, {1, 0x1234}, 56 * kMiB, 700, 56 * kMiB);
    add(&p, KeyFrame(), kMiB, 0, 0);
    return p;
  }
  static void add(Profile* p, KeyFrame at, uint64_t peak, uint64_t samples, uint64_t watched) {
    ContextProfile c;
    c.key = {at};
    c.allocations = 1000;
    c.bytes = 2 * peak;
    c.peak = peak;
    c.byte_seconds = peak;
    c.samples = samples;
    c.watched = watched;
    p->contexts.push_back(c);
  }

  int line_ = 0;
};

TEST_F(ReportCommandTest, TheTableNamesFunctionsAndLines) {
  const Profile p = sample();
  const Outcome outcome = hms("report --near 8M " + write("p", p));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string place =
      "hms::tiering::some_allocating_function report_command_test.cc:" + std::to_string(line_);
  EXPECT_NE(outcome.out.find("lib.so+0x1233"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("generated code"), std::string::npos);
  EXPECT_NE(outcome.out.find("1 place near, 12.3% of the bytes and 56.2% of the accesses"),
            std::string::npos)
      << outcome.out;
  if (outcome.out.find("need libdw") != std::string::npos) {
    GTEST_SKIP() << "libdw is not installed: no functions and lines";
  }
  EXPECT_NE(outcome.out.find(place), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("'/nowhere/lib.so' is gone"), std::string::npos) << outcome.out;
}

TEST_F(ReportCommandTest, JsonHasEveryNumber) {
  const Profile p = sample();
  const Outcome outcome = hms("report --json --sort bytes " + write("p", p));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["schema"], 1);
  EXPECT_EQ(report["program"], p.program);
  EXPECT_EQ(report["samples"], 1600);
  ASSERT_EQ(report["places"].size(), 3u);
  const auto& large = report["places"][0];
  EXPECT_EQ(large["peak_bytes"], 56 * kMiB);
  EXPECT_EQ(large["allocated_bytes"], 112 * kMiB);
  EXPECT_EQ(large["lifetime_seconds"], 0.5);
  const auto& hot = report["places"][1];
  EXPECT_NEAR(hot["heat"].get<double>() / large["heat"].get<double>(), 9, 1e-6);
  EXPECT_NEAR(hot["access_share"].get<double>(), 900.0 / 1600, 1e-6);
  EXPECT_NEAR(hot["heat_error"].get<double>(), 1.0 / 30, 1e-6);
  EXPECT_TRUE(report["places"][2]["heat"].is_null());
}

TEST_F(ReportCommandTest, ThePageIsSelfContainedAndEscaped) {
  const Outcome outcome = hms("report --html - --near 8M " + write("p", sample()));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.compare(0, 15, "<!doctype html>"), 0);
  EXPECT_EQ(outcome.out.find("<script"), std::string::npos);
  EXPECT_NE(outcome.out.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "@import", "url("}) {
    EXPECT_EQ(outcome.out.find(outside), std::string::npos) << outside;
  }
  // Both plots, a dot for each place that was accessed.
  size_t plots = 0, dots = 0;
  for (size_t at = 0; (at = outcome.out.find("<svg ", at)) != std::string::npos; ++at) ++plots;
  for (size_t at = 0; (at = outcome.out.find("<circle ", at)) != std::string::npos; ++at) ++dots;
  EXPECT_EQ(plots, 2u);
  EXPECT_EQ(dots, 2u);
  EXPECT_NE(outcome.out.find("class=\"curve\""), std::string::npos);
}

TEST_F(ReportCommandTest, SizesOnlyHaveNoPlots) {
  Profile p = sample();
  for (ContextProfile& c : p.contexts) c.samples = c.watched = 0;
  const std::string file = write("p", p);
  EXPECT_NE(hms("report " + file).out.find("sizes and lifetimes only"), std::string::npos);
  const Outcome page = hms("report --html - " + file);
  EXPECT_EQ(page.out.find("<svg"), std::string::npos);
  EXPECT_NE(page.out.find("No accesses were sampled"), std::string::npos);
}

TEST_F(ReportCommandTest, SeveralProfilesAreAddedUp) {
  const std::string one = write("one", sample()), two = write("two", sample());
  const auto report = nlohmann::json::parse(hms("report --json " + one + " " + two).out);
  EXPECT_EQ(report["runs"], 2);
  EXPECT_EQ(report["samples"], 3200);
  EXPECT_EQ(report["seconds"], 3.0);
  const Outcome merged = hms("report --merge " + dir_ + "/sum " + one + " " + two);
  ASSERT_EQ(merged.code, 0) << merged.err;
  const Result<Profile> sum = read_profile(dir_ + "/sum");
  ASSERT_TRUE(sum.ok()) << sum.status().message();
  EXPECT_EQ(sum.value().runs, 2u);
}

TEST_F(ReportCommandTest, WhatCannotBeRead) {
  const std::string whole = write("p", sample());
  fs::resize_file(whole, fs::file_size(whole) - 10);
  const struct {
    std::string arguments;
    int code;
    const char* message;
  } kCases[] = {
      {"", 2, "FILE is required"},
      {"/nonexistent", 1, "cannot read the profile '/nonexistent'"},
      {"/etc/passwd", 1, "no profile of libhms"},
      {whole, 1, "damaged or was cut short"},
      {"--near lots " + whole, 2, "--near"},
      {"--sort colour " + whole, 2, "colour not in"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = hms("report " + c.arguments);
    EXPECT_EQ(outcome.code, c.code) << c.arguments;
    EXPECT_NE(outcome.err.find(c.message), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  const std::string fine = write("fine", sample());
  EXPECT_EQ(hms("report --html /nonexistent/page " + fine).code, 1);
  EXPECT_EQ(hms("report --merge /nonexistent/sum " + fine).code, 1);
}

}  // namespace
}  // namespace hms::tiering
