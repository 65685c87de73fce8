// Looks at a process until what it says about its memory is known to agree, or not: the whole of
// `hms check` and of hms_check(). See consistency.h for what is compared.
#pragma once

#include "runtime/support/consistency.h"

namespace hms {

struct Inspection {
  Contradictions found;  // in every look
  KernelCheck kernel;    // of the last look
};

// Pid 0: this process, published or not. Takes two tenths of a second if the first look finds
// anything. HMS_ENODEV: it is gone, or has no counters; HMS_EPERM; HMS_EIO.
Result<Inspection> inspect(int pid);

}  // namespace hms
