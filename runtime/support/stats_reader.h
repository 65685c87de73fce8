// Reading the counter page of another process. Nothing in a page is trusted: it is a file that its
// process, or anybody with its user's rights, can fill with anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/result.h"

namespace hms {

// One target of one process; bytes unless said otherwise.
struct TargetStats {
  std::string key;
  int node = -1;  // -1: whatever the kernel chooses
  bool emulated = false;
  uint64_t quota = UINT64_MAX;     // UINT64_MAX: none
  uint64_t capacity = UINT64_MAX;  // UINT64_MAX: not told
  uint64_t allocated = 0, freed = 0, live = 0;
  uint64_t charged = 0, charged_peak = 0;
  uint64_t refused_quota = 0, refused_full = 0, refused_system = 0;  // extent requests
  uint64_t spilled = 0;
  uint64_t migrated_pages = 0;
  uint64_t resident = 0, verified_pages = 0, misplaced_pages = 0;
};

struct WindowStats {
  uint64_t base = 0;
  uint64_t bytes = 0;    // that may hold pages
  uint64_t target = 0;   // index into ProcessStats::targets
  uint64_t stripes = 0;  // 0, or a bit for each target that the window alternates between
};

struct ContextStats {
  std::string object;
  uint64_t offset = 0, depth = 0;
  double share = 0;  // of the observed accesses
  uint64_t allocated = 0;
  unsigned class_id = 0;
  double near_share = -1;  // of what is woven over both memories, that is to be near; else -1
};

// What tiering did and knows; docs/stats.md explains each.
struct TieringStats {
  bool on = false;     // it was started
  bool ended = false;  // and has ended before the process
  std::string sampler, near, far, why;
  uint64_t steps = 0;
  double hit_ratio = 0, events_per_s = 0, price = 0, cost = 0, effort = 0;
  uint64_t near_bytes = 0, near_used = 0, promoted = 0, demoted = 0, stuck_pages = 0, units = 0;
  std::vector<ContextStats> contexts;

  bool runs() const { return on && !sampler.empty(); }  // else it waits: `why`
};

struct ProcessStats {
  int pid = 0;
  uint64_t start_time = 0;
  uint64_t stack_start = 0;  // of the program that counted; 0: unknown
  std::string program;
  bool exited = false;
  bool audited = false;  // resident, verified, misplaced hold the state at the end
  uint64_t threads = 0, policy_calls = 0, slow_events = 0;
  std::vector<TargetStats> targets;
  std::vector<WindowStats> windows;
  TieringStats tiering;
};

// Decodes a page: counts that cannot be are 0, strings are cut and cleaned, windows that make no
// sense are left out. Fails only when it is no page of this version.
Result<ProcessStats> parse_stats(const void* page, size_t bytes);

// Asks the kernel where the pages of the process's windows are (move_pages without a destination)
// and replaces resident, verified and misplaced in `stats`. HMS_EPERM without the right to ask,
// HMS_ENODEV when the process is gone, HMS_EPARTIAL when `seconds` were over before the end.
Status verify_pages(ProcessStats* stats, double seconds);

}  // namespace hms
