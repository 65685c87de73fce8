// The one request for memory whose refusal jemalloc 5.3.0 does not bear: at its start it maps a
// page to see how the kernel discards pages, and writes to it whatever mmap() said. Its mmap() and
// munmap() are these (cmake/embed_jemalloc.sh), which have a page in reserve for that; a start that
// fails later on is tried again, and comes for the page again.
#include <sys/mman.h>

#include <atomic>

#include "runtime/support/os.h"

namespace {

// A page of its own: jemalloc lets the kernel discard it.
alignas(hms::os::kPageSize) char reserve[hms::os::kPageSize];
std::atomic<bool> reserve_given{false};

}  // namespace

extern "C" void* hmsje_mmap(void* at, size_t bytes, int protection, int flags, int fd,
                            off_t offset) {
  void* p = mmap(at, bytes, protection, flags, fd, offset);
  if (p != MAP_FAILED || at != nullptr || bytes != sizeof reserve) return p;
  return reserve_given.exchange(true) ? p : reserve;
}

extern "C" int hmsje_munmap(void* at, size_t bytes) {
  if (at != reserve) return munmap(at, bytes);
  reserve_given.store(false);
  return 0;
}
