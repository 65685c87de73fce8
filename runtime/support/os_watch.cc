// See os_watch.h.
#include "runtime/support/os_watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

namespace hms::os {
namespace {

constexpr unsigned kSlots = 160;  // more than all samplers hold at once

// What /proc says that a descriptor is: a path, or "anon_inode:[userfaultfd]". The numbers of such
// inodes do not tell one kind from another.
struct Kind {
  char text[48] = {};  // cut where it is longer; "": not known
};

struct Slot {
  std::atomic<int> held{0};  // descriptor + 1; 0: free
  Kind kind;                 // written by who took the slot, before it is used
};
Slot slots[kSlots];

Kind kind_of(int fd) {
  Kind kind;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const ssize_t bytes = readlink(path, kind.text, sizeof kind.text - 1);
  kind.text[bytes > 0 ? bytes : 0] = '\0';
  return kind;
}

bool is_still(int fd, const Kind& kind) {
  if (kind.text[0] == '\0') return true;
  const Kind now = kind_of(fd);
  return strcmp(now.text, kind.text) == 0 || (now.text[0] == '\0' && errno != ENOENT);
}

}  // namespace

int watched(int fd) {
  if (fd < 0) return fd;
  for (Slot& slot : slots) {
    int free = 0;
    if (!slot.held.compare_exchange_strong(free, fd + 1)) continue;
    slot.kind = kind_of(fd);
    return fd;
  }
  close(fd);
  errno = EMFILE;
  return -1;
}

bool still_watched(int fd) {
  for (const Slot& slot : slots) {
    if (slot.held.load() == fd + 1) return is_still(fd, slot.kind);
  }
  return false;
}

void close_watched(int fd) {
  for (Slot& slot : slots) {
    if (slot.held.load() != fd + 1) continue;
    const bool ours = is_still(fd, slot.kind);
    int held = fd + 1;
    if (slot.held.compare_exchange_strong(held, 0) && ours) close(fd);
    return;
  }
}

void close_all_watched() {
  for (Slot& slot : slots) {
    const int held = slot.held.load();
    if (held > 0) close_watched(held - 1);
  }
}

}  // namespace hms::os
