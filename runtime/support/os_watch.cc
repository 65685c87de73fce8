// See os_watch.h.
#include "runtime/support/os_watch.h"

#include <errno.h>
#include <unistd.h>

#include <atomic>

namespace hms::os {
namespace {

constexpr unsigned kSlots = 160;  // more than all samplers hold at once
std::atomic<int> slots[kSlots];   // descriptor + 1; 0: free

}  // namespace

int watched(int fd) {
  if (fd < 0) return fd;
  for (std::atomic<int>& slot : slots) {
    int free = 0;
    if (slot.compare_exchange_strong(free, fd + 1)) return fd;
  }
  close(fd);
  errno = EMFILE;
  return -1;
}

void close_watched(int fd) {
  for (std::atomic<int>& slot : slots) {
    int held = fd + 1;
    if (slot.compare_exchange_strong(held, 0)) {
      close(fd);
      return;
    }
  }
}

void close_all_watched() {
  for (std::atomic<int>& slot : slots) {
    const int held = slot.exchange(0);
    if (held > 0) close(held - 1);
  }
}

}  // namespace hms::os
