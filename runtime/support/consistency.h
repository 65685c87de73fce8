// Does what a process says about its memory agree with itself, and with the kernel? Of `hms check`.
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
  size_t windows = 0;
  uint64_t resident_pages = 0, misplaced_pages = 0;
  ProcessStats seen;               // with the pages that exist
  std::vector<uint64_t> mappings;  // by target
  uint64_t huge = 0;               // bytes in huge pages, which reach over what is committed
};

// The windows of a page that check_page() found in order against the mappings of the process, and
// the pages that exist. HMS_EPERM without the right to ask, HMS_ENODEV when the process is gone.
Result<KernelCheck> check_kernel(int pid, const StatsPage& page, double seconds);

// The pages that exist against what is committed by a page from before check_kernel() or one from
// after it: the process went on meanwhile.
void check_charges(const StatsPage& before, const StatsPage& after, KernelCheck* check);

// What both have: counters move while they are read, so only what is seen twice is meant.
Contradictions lasting(const Contradictions& a, const Contradictions& b);

}  // namespace hms
