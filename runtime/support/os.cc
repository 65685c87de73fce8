// The kernel port: see os.h. Raw system calls where glibc has no wrapper, so that no library but
// libc is needed.
#include "runtime/support/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than Debian 12's headers; values from include/uapi/linux/mempolicy.h and
// asm-generic/mman-common.h.
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace hms::os {
namespace {

// The kernel wants one bit more than the highest node, and rejects masks beyond its own
// MAX_NUMNODES only if bits there are set.
constexpr unsigned long kMaskBits = kMaxNodes + 1;

int result(long r) { return r < 0 ? -errno : static_cast<int>(r); }

int mode_of(Policy policy) {
  switch (policy) {
    case Policy::kDefault:
      return MPOL_DEFAULT;
    case Policy::kLocal:
      return MPOL_LOCAL;
    case Policy::kPreferred:
      return MPOL_PREFERRED;
    case Policy::kPreferredMany:
      return MPOL_PREFERRED_MANY;
    case Policy::kBind:
      return MPOL_BIND;
    case Policy::kInterleave:
      return MPOL_INTERLEAVE;
    case Policy::kWeightedInterleave:
      return MPOL_WEIGHTED_INTERLEAVE;
  }
  return MPOL_DEFAULT;
}

}  // namespace

int reserve(void* hint, size_t bytes, void** out) {
  void* p = mmap(hint, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return -errno;
  *out = p;
  return 0;
}

int commit(void* addr, size_t bytes) {
  return result(mprotect(addr, bytes, PROT_READ | PROT_WRITE));
}

int discard(void* addr, size_t bytes) { return result(madvise(addr, bytes, MADV_DONTNEED)); }

int unmap(void* addr, size_t bytes) { return result(munmap(addr, bytes)); }

int populate(void* addr, size_t bytes) {
  int r;
  do {
    r = result(madvise(addr, bytes, MADV_POPULATE_WRITE));
  } while (r == -EINTR || r == -EAGAIN);
  return r;
}

int advise_huge_pages(void* addr, size_t bytes, bool on) {
  return result(madvise(addr, bytes, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
}

int break_huge_page(void* addr, size_t bytes) { return result(madvise(addr, bytes, MADV_COLD)); }

int make_huge_pages(void* addr, size_t bytes) {
  return result(madvise(addr, bytes, MADV_COLLAPSE));
}

int set_range_policy(void* addr, size_t bytes, Policy policy, const NodeMask& nodes) {
  // MPOL_DEFAULT and MPOL_LOCAL take no nodes: mbind(2).
  bool bare = policy == Policy::kDefault || policy == Policy::kLocal;
  return result(syscall(SYS_mbind, addr, bytes, mode_of(policy), bare ? nullptr : nodes.words,
                        bare ? 0UL : kMaskBits, 0));
}

int query_pages(int pid, size_t count, void* const* pages, int* status) {
  for (size_t i = 0; i < count; ++i) status[i] = -ENOENT;
  return result(syscall(SYS_move_pages, pid, count, pages, nullptr, status, 0));
}

int move_pages(size_t count, void* const* pages, const int* nodes, int* status) {
  for (size_t i = 0; i < count; ++i) status[i] = -ENOENT;
  return result(syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE));
}

int allowed_nodes(NodeMask* out) {
  NodeMask mask;
  int r = result(syscall(SYS_get_mempolicy, nullptr, mask.words,
                         static_cast<unsigned long>(kMaxNodes), nullptr, MPOL_F_MEMS_ALLOWED));
  if (r < 0) return r;
  *out = mask;
  return 0;
}

int current_node() {
  unsigned cpu = 0, node = 0;
  return getcpu(&cpu, &node) == 0 ? static_cast<int>(node) : 0;
}

int read_file(const char* path, char* buffer, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  size_t have = 0;
  int r = 0;
  while (have + 1 < capacity) {
    ssize_t n = read(fd, buffer + have, capacity - 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) r = -errno;
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  close(fd);
  buffer[have] = '\0';
  return r < 0 ? r : static_cast<int>(have);
}

int64_t node_free_bytes(int node) {
  char path[64];
  char text[4096];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
  int n = read_file(path, text, sizeof text);
  if (n < 0) return n;
  // "Node 0 MemFree:        12345 kB"
  const char* at = strstr(text, "MemFree:");
  if (!at) return -EIO;
  return strtoll(at + strlen("MemFree:"), nullptr, 10) * 1024;
}

int write_all(int fd, const char* text, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(fd, text, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    text += n;
    bytes -= static_cast<size_t>(n);
  }
  return 0;
}

}  // namespace hms::os
