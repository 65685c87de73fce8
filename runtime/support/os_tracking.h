// Kernel contact for write tracking: userfaultfd write protection that the kernel resolves itself,
// and the scan that tells which pages were written (both Linux 6.7). The rules of os.h hold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

// Descriptors: of the userfaultfd, and of /proc/self/pagemap.
struct WriteTracker {
  int faults = -1;
  int pages = -1;
};
// -EINVAL or -EOPNOTSUPP where the kernel cannot resolve write faults itself.
int open_write_tracker(WriteTracker* tracker);
void close_write_tracker(WriteTracker* tracker);
// From now on, until stop_tracking(), first writes to pages of the range are remembered. Each costs
// the writer a fault, and the first one to a huge page breaks that up.
int track_writes(const WriteTracker& tracker, void* addr, size_t bytes);
int stop_tracking(const WriteTracker& tracker, void* addr, size_t bytes);
// How many bytes were written since they were last protected, and protects them again.
int take_written(const WriteTracker& tracker, void* addr, size_t bytes, uint64_t* written);

}  // namespace hms::os
