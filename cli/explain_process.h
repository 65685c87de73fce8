// What is known of an address in a running process: the target whose window has it, what the kernel
// says, and the rules that the process was started with.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/launch.h"
#include "runtime/support/result.h"
#include "runtime/support/stats_reader.h"

namespace hms::cli {

struct AddressExplanation {
  uint64_t address = 0;
  bool in_window = false;
  WindowStats window;
  std::vector<TargetStats> targets;  // of the window; more than one where pages alternate
  bool mapped = false, anonymous = false, told = false;  // `told`: the kernel told the next two
  int node = -1;                                         // of the page; -1: there is none yet
  std::string policy;
  enum class Verdict {
    kUnknown,
    kNoPage,
    kPlaced,
    kMisplaced,
    kAnyNode
  } verdict = Verdict::kUnknown;
};

// HMS_EPERM without the right to read the memory of the process.
Result<AddressExplanation> explain_address(const ProcessStats& stats, uint64_t address);
std::string to_text(const AddressExplanation& explanation);
nlohmann::ordered_json to_json(const AddressExplanation& explanation);

// The configuration that a process was started with, from its environment; `text` says where it
// comes from. HMS_ENODEV: its environment names none. HMS_EPERM.
Result<Effective> started_with(int pid, std::string* origin);

// What addresses there are to ask for.
std::string windows_text(const ProcessStats& stats);
nlohmann::ordered_json windows_json(const ProcessStats& stats);

}  // namespace hms::cli
