// What the two sides of the instruction guard agree on.
#pragma once

#include <cstddef>

namespace hms::perf {

inline constexpr int kNotHere = 3;  // exit status: this allocator has no such interface

struct Scenario {
  const char* name;
  void (*run)(size_t times);  // times <= 20000
  const char* conf;           // HMS_CONF; null: none
};
extern const Scenario kScenarios[];
extern const size_t kScenarioCount;

// In the counted process: prints the number of instructions. The exit status.
int run_scenario(const char* name, size_t times);

}  // namespace hms::perf
