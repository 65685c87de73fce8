// Does what a process says about its memory agree with itself, and with the kernel? Of `hms check`
// and hms_check().
// A page is looked at as it is, nothing is clamped first: what a reader must not believe is what
// this tells.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/support/counters.h"
#include "runtime/support/result.h"
#include "runtime/support/stats_reader.h"

namespace hms {

// One sentence for each contradiction, with the numbers; the same words for the same contradiction.
using Contradictions = std::vector<std::string>;

// Targets, counters and windows of a page against each other. `page` is a copy that nobody changes.
// Too short, or of another version: that alone.
Contradictions check_page(const void* page, size_t bytes);

// What was compared with the kernel.
struct KernelCheck {
  Contradictions contradictions;
  Contradictions unsettled;  // of the range map: they hold only if it did not change meanwhile
  size_t windows = 0;
  uint64_t resident_pages = 0, misplaced_pages = 0;
  size_t ranges = 0;               // of the range map, whose policy the kernel told
  ProcessStats seen;               // with the pages that exist
  std::vector<uint64_t> mappings;  // by target
  uint64_t huge = 0;               // bytes in huge pages, which reach over what is committed
};

// A page that check_page() found in order: its windows against the mappings of the process, and the
// pages that exist; its range map against the policies that the kernel has. HMS_EPERM without the
// right to ask, HMS_ENODEV when the process is gone.
Result<KernelCheck> check_kernel(int pid, const StatsPage& page, double seconds);

// The part of check_kernel() about the range map. Nothing is said of addresses that have no policy
// any more, as memory that was mapped anew has none.
void check_ranges(int pid, const StatsPage& page, KernelCheck* check);

// With the page from before check_kernel() and one from after it, as the process went on meanwhile:
// no more resident than committed, nothing above its quota that grows, and the range map if it
// stayed the same.
void settle(const StatsPage& before, const StatsPage& after, KernelCheck* check);

// What both have: counters move while they are read, so only what is seen twice is meant.
Contradictions lasting(const Contradictions& a, const Contradictions& b);

}  // namespace hms
