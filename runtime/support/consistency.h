// Does what a process says about its memory agree with itself, and with the kernel? Of `hms check`
// and hms_check(). A page is looked at as it is, nothing is clamped first: what a reader must not
// believe is what this tells.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/support/counters.h"
#include "runtime/support/result.h"

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
};

// The windows of a page that check_page() found in order against the mappings of the process and
// the pages that exist. Two copies of the page, taken before and now, tell how much may have been
// committed meanwhile. HMS_EPERM without the right to ask, HMS_ENODEV when the process is gone.
Result<KernelCheck> check_kernel(int pid, const StatsPage& before, const StatsPage& now,
                                 double seconds);

// What both have: counters move while they are read, so only what is seen twice is meant.
Contradictions lasting(const Contradictions& a, const Contradictions& b);

}  // namespace hms
