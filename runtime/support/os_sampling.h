// Kernel contact for watching which memory of this process is used: accessed bits of its page
// tables, and the clocks that watching goes by. Sampling by perf events is in os_perf.h, write
// tracking in os_tracking.h. The rules of os.h hold.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/support/os.h"

namespace hms::os {

// One mapping of this process, as /proc/self/smaps has it. Bytes.
struct MappingPages {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  uint64_t resident = 0;
  uint64_t huge = 0;        // of them, in transparent huge pages
  uint64_t referenced = 0;  // of them, accessed since the accessed bits were last cleared
  uint64_t shared = 0;      // of the resident ones, mapped by other processes too
  // CPU time of the longest read that told of it: so long was the lock held, for it and perhaps a
  // neighbour.
  int64_t took_ns = 0;
};

// Reads /proc/self/smaps, mapping by mapping. The kernel walks the page tables of a mapping in the
// read that tells of it, with the process's map of mappings locked against changes; so little is
// asked for at a time that a read seldom walks more than one.
class MappingReader {
 public:
  MappingReader() = default;
  MappingReader(const MappingReader&) = delete;
  MappingReader& operator=(const MappingReader&) = delete;
  ~MappingReader() { close(); }

  int open();
  // 1 and the next mapping in ascending order, 0 at the end, -errno.
  int next(MappingPages* out);
  void close();

 private:
  static constexpr size_t kBuffer = 4096;
  static constexpr size_t kRequest = 512;  // below the length of one record

  int fill();
  bool take_line(char* line, MappingPages* out);

  int fd_ = -1;
  size_t begin_ = 0, end_ = 0;
  bool started_ = false;   // inside a record
  bool skipping_ = false;  // the rest of a line too long for the buffer: a name
  int64_t took_ns_ = 0;
  MappingPages now_;
  char text_[kBuffer + 1];
};

// Clears the accessed bits of a range and flushes them from the processors' translation caches, so
// that the next access is seen (madvise MADV_COLD, Linux 5.4). The kernel's reclaim takes the pages
// for old until they are used. Pages that are locked, or shared with a forked child, stay as they
// are: -EINVAL for locked ones.
int clear_accessed(void* addr, size_t bytes);

// The policy of the mapping at an address.
int range_policy(const void* addr, Policy* policy, NodeMask* nodes);

int64_t monotonic_ns();
// CPU time of the calling thread.
int64_t thread_cpu_ns();
void sleep_ns(int64_t ns);

}  // namespace hms::os
