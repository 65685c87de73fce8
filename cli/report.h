// What `hms run --report` and `hms stat` say: per target, per process and in all; a table for
// people, JSON for programs. docs/stats.md explains every column and field.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/support/stats_reader.h"

namespace hms::cli {

// When the kernel was asked where the pages are.
enum class Verified { kNever, kAtExit, kSnapshot, kNow };

// What happened between two looks, per second; bytes.
struct Rates {
  double allocated = 0, freed = 0, promoted = 0, demoted = 0;
};
Rates rates_between(const ProcessStats& before, const ProcessStats& after, double seconds);

struct ProcessReport {
  ProcessStats stats;
  std::optional<Rates> rates;
  bool running = false;
  bool replaced = false;  // the process went on as another program (exec)
  Verified verified = Verified::kNever;
  std::string note;  // why there is no verification, or only a part
};

struct Report {
  std::vector<ProcessReport> processes;
  std::string command;  // what `hms run` ran; "" for `hms stat`
  int exit_code = 0;    // of the command, 128 + signal if one ended it
  int signal = 0;

  bool emulated() const;
  // Sums over processes, by key, in order of appearance.
  std::vector<TargetStats> totals() const;
};

nlohmann::ordered_json to_json(const Report& report);
std::string to_table(const Report& report);
// "1.50 GiB"
std::string human_bytes(uint64_t bytes);

}  // namespace hms::cli
