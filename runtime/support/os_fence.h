// Kernel contact for fences on behalf of other threads, membarrier(2). The rules of os.h hold.
#pragma once

namespace hms::os {

// Once, before fence_threads(). -ENOSYS, -EINVAL before Linux 4.14; -EPERM under some filters. In a
// process with several threads this can take some milliseconds.
int register_fences();
// Every running thread of the process has executed a full memory barrier when this returns. Sleeps
// two milliseconds where a filter that came after registration refuses the call: a store leaves its
// processor within microseconds.
void fence_threads();

}  // namespace hms::os
