// See mappings.h.
#include "runtime/support/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than some headers; value from include/uapi/asm-generic/mman-common.h.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace hms::os {
namespace {

int result(long r) { return r < 0 ? -errno : static_cast<int>(r); }

const char* parse_hex(const char* at, uint64_t* out) {
  uint64_t value = 0;
  for (;; ++at) {
    char c = *at;
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<uint64_t>(c - 'a' + 10);
    } else {
      *out = value;
      return at;
    }
  }
}

// One line of maps, as proc(5) has it: begin-end perms offset dev inode [path]. False: malformed.
bool parse_line(const char* line, Mapping* out) {
  uint64_t begin = 0, end = 0;
  const char* at = parse_hex(line, &begin);
  if (*at != '-') return false;
  at = parse_hex(at + 1, &end);
  if (at[0] != ' ' || strnlen(at, 6) < 6) return false;
  out->begin = begin;
  out->end = end;
  out->writable = at[2] == 'w';
  out->executable = at[3] == 'x';
  out->shared = at[4] == 's';
  at += 5;
  for (int field = 0; field < 2; ++field) {  // offset and device
    at = strchr(at + 1, ' ');
    if (!at) return false;
  }
  // Inode 0 is anonymous memory, but also the vdso and its data, which nobody may fault in.
  bool kernel_page = strstr(at, "[v") != nullptr;
  out->anonymous = at[1] == '0' && (at[2] == ' ' || at[2] == '\0') && !kernel_page;
  return true;
}

struct Scan {
  uintptr_t begin, end;
  MappingVisitor visit;
  void* context;

  // False: stop reading.
  bool line(const char* text) const {
    Mapping mapping;
    if (!parse_line(text, &mapping) || mapping.end <= begin) return true;
    if (mapping.begin >= end || strstr(text, "[vsyscall]")) return false;
    return visit(context, mapping);
  }
};

const char* parse_number(const char* at, unsigned* out) {
  unsigned value = 0;
  for (; *at >= '0' && *at <= '9' && value < 1u << 20; ++at)
    value = value * 10 + static_cast<unsigned>(*at - '0');
  *out = value;
  return at;
}

// A list of nodes as the kernel prints it: 0-1,3.
void parse_nodes(const char* at, MappingPolicy* out) {
  while (*at >= '0' && *at <= '9') {
    unsigned first = 0;
    at = parse_number(at, &first);
    unsigned last = first;
    if (*at == '-') at = parse_number(at + 1, &last);
    for (unsigned node = first; node <= last && node < 64; ++node)
      out->nodes |= uint64_t{1} << node;
    out->far_node = out->far_node || last >= 64;
    if (*at == ',') ++at;
  }
}

// One line of numa_maps, as numa(7) has it: begin policy[=flags][:nodes] counts. The name of a
// policy may hold a space ("prefer (many)"), those of counts hold '='.
struct PolicyScan {
  PolicyVisitor visit;
  void* context;

  bool line(const char* text) const {
    MappingPolicy policy;
    uint64_t begin = 0;
    const char* at = parse_hex(text, &begin);
    if (*at != ' ') return true;
    policy.begin = begin;
    ++at;
    policy.is_default = strncmp(at, "default", 7) == 0;
    const char* end = strchr(at, ' ');
    if (end && end[1] == '(') end = strchr(end + 1, ' ');
    const char* colon = strchr(at, ':');
    if (colon && (!end || colon < end)) parse_nodes(colon + 1, &policy);
    return visit(context, policy);
  }
};

template <typename Lines>
int scan_file(int fd, const Lines& scan) {
  // Room for the longest path that the kernel prints, and the fields before it. A buffer on the
  // stack: the callers hold a lock under which they should not allocate.
  char buffer[8192];
  size_t have = 0;
  for (;;) {
    ssize_t n = read(fd, buffer + have, sizeof buffer - 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    have += static_cast<size_t>(n);
    buffer[have] = '\0';
    char* line = buffer;
    while (char* end = static_cast<char*>(memchr(line, '\n', have))) {
      *end = '\0';
      if (!scan.line(line)) return 0;
      have -= static_cast<size_t>(end + 1 - line);
      line = end + 1;
    }
    if (n == 0) return 0;
    memmove(buffer, line, have);
    if (have == sizeof buffer - 1) return -EIO;
  }
}

}  // namespace

int visit_mappings(uintptr_t begin, uintptr_t end, MappingVisitor visit, void* context) {
  // /proc/self is the first thread, whose maps are empty once it has ended before the others.
  int fd = open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = scan_file(fd, Scan{begin, end, visit, context});
  close(fd);
  return r;
}

int visit_mappings_of(int pid, uintptr_t begin, uintptr_t end, MappingVisitor visit,
                      void* context) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = scan_file(fd, Scan{begin, end, visit, context});
  close(fd);
  return r;
}

int visit_policies_of(int pid, PolicyVisitor visit, void* context) {
  char path[32] = "/proc/thread-self/numa_maps";
  if (pid != 0) snprintf(path, sizeof path, "/proc/%d/numa_maps", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = scan_file(fd, PolicyScan{visit, context});
  close(fd);
  return r;
}

int resident(void* addr, size_t bytes, unsigned char* out) {
  return result(mincore(addr, bytes, out));
}

int range_policy_is_default(void* addr, bool* is_default) {
  int mode = MPOL_DEFAULT;
  int r = result(syscall(SYS_get_mempolicy, &mode, nullptr, 0UL, addr, MPOL_F_ADDR));
  if (r < 0) return r;
  *is_default = mode == MPOL_DEFAULT;
  return 0;
}

int populate_read(void* addr, size_t bytes) {
  return result(madvise(addr, bytes, MADV_POPULATE_READ));
}

int remap(void* addr, size_t old_bytes, size_t new_bytes, int flags, void* new_addr, void** out) {
  void* p = mremap(addr, old_bytes, new_bytes, flags, new_addr);
  if (p == MAP_FAILED) return -errno;
  *out = p;
  return 0;
}

}  // namespace hms::os
