// perf_guard: counts the instructions that an allocator executes per operation, and compares them
// with a budget. Instructions, because they are the same on a busy machine and on an idle one.
//
// usage: perf_guard [--budget FILE] LIBRARY        ("" counts the C library's own malloc)
//
// Each count is a process of its own under LD_PRELOAD (scenarios.cc says how it counts). The lowest
// of two counts is taken: what depends on time, such as decay, may fall into one of them.
//
// The budget file has a line "NAME INSTRUCTIONS" per scenario and a line "margin PERCENT".
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "tests/perf/scenarios.h"

namespace hms::perf {
namespace {

constexpr size_t kTimes = 2000;
constexpr int kRuns = 2;

enum class Outcome { kCounted, kNotThere, kFailed };

[[noreturn]] void become(const char* library, const Scenario& scenario, size_t times, int output) {
  // The environment must not steer the allocators: ours are the only settings.
  clearenv();
  if (scenario.conf != nullptr) setenv("HMS_CONF", scenario.conf, 1);
  if (*library != '\0') setenv("LD_PRELOAD", library, 1);
  dup2(output, STDOUT_FILENO);
  std::string count = std::to_string(times);
  execl("/proc/self/exe", "perf_guard", "--scenario", scenario.name, count.c_str(), nullptr);
  _exit(1);
}

// Instructions of `times` operations, and what surrounds them.
Outcome count(const char* library, const Scenario& scenario, size_t times, uint64_t* result) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Outcome::kFailed;
  pid_t child = fork();
  if (child == 0) become(library, scenario, times, ends[1]);
  close(ends[1]);
  char text[32] = "";
  ssize_t length = read(ends[0], text, sizeof text - 1);
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    return Outcome::kFailed;
  }
  if (WEXITSTATUS(status) == kNotHere) return Outcome::kNotThere;
  *result = std::strtoull(text, nullptr, 10);
  return WEXITSTATUS(status) == 0 && length > 0 && *result > 0 ? Outcome::kCounted
                                                               : Outcome::kFailed;
}

// Instructions per operation.
Outcome per_operation(const char* library, const Scenario& scenario, double* result) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < kRuns; ++i) {
    uint64_t counted = 0;
    Outcome outcome = count(library, scenario, kTimes, &counted);
    if (outcome != Outcome::kCounted) return outcome;
    if (counted < least) least = counted;
  }
  *result = static_cast<double>(least) / kTimes;
  return Outcome::kCounted;
}

std::map<std::string, double> read_budget(const char* path) {
  std::map<std::string, double> budget;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name;
    double value = 0;
    if (words >> name >> value) budget[name] = value;
  }
  return budget;
}

int usage() {
  std::fputs("usage: perf_guard [--budget FILE] LIBRARY\n", stderr);
  return 2;
}

// Compares one result with the budget; false if it is over.
bool within(const std::map<std::string, double>& budget, const char* name, double result) {
  auto allowed = budget.find(name);
  if (allowed == budget.end()) {
    std::printf("  NO BUDGET: add a line for it\n");
    return false;
  }
  double limit = allowed->second * (1 + budget.at("margin") / 100);
  std::printf("  budget %.1f, limit %.1f%s\n", allowed->second, limit,
              result > limit ? "  OVER" : "");
  return result <= limit;
}

int guard(const char* library, const char* budget_path) {
  std::map<std::string, double> budget;
  if (budget_path != nullptr) {
    budget = read_budget(budget_path);
    if (budget.count("margin") == 0) {
      std::fprintf(stderr, "perf_guard: %s: cannot be read, or has no margin\n", budget_path);
      return 2;
    }
  }
  int result = 0;
  for (size_t i = 0; i < kScenarioCount; ++i) {
    const char* name = kScenarios[i].name;
    double instructions = 0;
    Outcome outcome = per_operation(library, kScenarios[i], &instructions);
    if (outcome == Outcome::kCounted) {
      std::printf("%-20s %8.1f instructions", name, instructions);
      if (budget_path == nullptr) {
        std::printf("\n");
      } else if (!within(budget, name, instructions)) {
        result = 1;
      }
    } else if (outcome == Outcome::kNotThere && budget_path == nullptr) {
      std::printf("%-20s        -\n", name);
    } else {
      std::printf("%-20s FAILED under '%s'\n", name, library);
      result = 1;
    }
    std::fflush(stdout);
  }
  return result;
}

}  // namespace
}  // namespace hms::perf

int main(int argc, char** argv) {
  using namespace hms::perf;
  if (argc == 4 && std::strcmp(argv[1], "--scenario") == 0) {
    return run_scenario(argv[2], std::strtoul(argv[3], nullptr, 10));
  }
  if (argc == 4 && std::strcmp(argv[1], "--budget") == 0) return guard(argv[3], argv[2]);
  if (argc == 2 && argv[1][0] != '-') return guard(argv[1], nullptr);
  return usage();
}
