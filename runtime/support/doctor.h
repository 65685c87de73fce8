// What this machine and this user can do, and what follows from it: the findings of `hms doctor`.
//
// The findings are a function of a Machine, which tests fill in as they like; this_machine() takes
// the real one. Nothing is ever written: kernel controls belong to the administrator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/os_probe.h"

namespace hms::doctor {

// ok: works as libhms wants it. warn: works, with a consequence to know. off: not available.
enum class Verdict { kOk, kWarn, kOff };
const char* to_string(Verdict verdict);

struct Finding {
  std::string name;         // stable: scripts may look for it
  Verdict verdict;          //
  std::string found;        // the fact
  std::string consequence;  // what it means for a program under libhms
  std::string way_out;      // what to do about it; empty when there is nothing to do
};

struct Machine {
  std::string root;  // prefix of /sys, /proc, /etc and /dev; "" for the real ones
  os::Trials trials;
  std::string preload;  // LD_PRELOAD
  // UINT64_MAX: no limit.
  uint64_t limit_address_space = UINT64_MAX;
  uint64_t limit_locked = UINT64_MAX;
  std::string hwloc;  // version of the library that loads, "" when none does
};

Machine this_machine();

// Every finding, in the order in which they are shown. Missing files become findings, not errors.
std::vector<Finding> examine(const Machine& machine);

// The parts of examine().
void examine_nodes(const Machine& machine, std::vector<Finding>* out);
void examine_calls(const Machine& machine, std::vector<Finding>* out);
void examine_sampling(const Machine& machine, std::vector<Finding>* out);
void examine_kernel_tiering(const Machine& machine, std::vector<Finding>* out);
void examine_limits(const Machine& machine, std::vector<Finding>* out);
void examine_surroundings(const Machine& machine, std::vector<Finding>* out);

// Helpers of the parts. The text of a small file without its last newline; "" when it is not there.
std::string read_text(const Machine& machine, const std::string& path);
// The value behind "KEY:" in a file like /proc/self/status; "" when it is not there.
std::string field_of(const std::string& text, const std::string& key);
// The choice in brackets of "always [madvise] never".
std::string chosen_of(const std::string& text);
// How many numbers a list like "0-3,8" holds; 0 when it is malformed.
int count_of(const std::string& list);
// "12.5 GiB".
std::string size_text(uint64_t bytes);

}  // namespace hms::doctor
