// See os_sampling.h.
#include "runtime/support/os_sampling.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/support/os_files.h"
#include "runtime/support/os_watch.h"

// Newer than some headers; values from include/uapi of Linux.
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif

namespace hms::os {
namespace {

constexpr int64_t kNsPerSecond = 1000000000;

int64_t clock_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * kNsPerSecond + t.tv_nsec;
}

// "Rss:       16384 kB": bytes; false for another key.
bool number_of(const char* line, const char* key, uint64_t* bytes) {
  const size_t length = strlen(key);
  if (strncmp(line, key, length) != 0) return false;
  *bytes = strtoull(line + length, nullptr, 10) * 1024;
  return true;
}

Policy policy_of(int mode) {
  switch (mode & ~MPOL_MODE_FLAGS) {
    case MPOL_LOCAL:
      return Policy::kLocal;
    case MPOL_PREFERRED:
      return Policy::kPreferred;
    case MPOL_PREFERRED_MANY:
      return Policy::kPreferredMany;
    case MPOL_BIND:
      return Policy::kBind;
    case MPOL_INTERLEAVE:
      return Policy::kInterleave;
    case MPOL_WEIGHTED_INTERLEAVE:
      return Policy::kWeightedInterleave;
    default:
      return Policy::kDefault;
  }
}

}  // namespace

int MappingReader::open() {
  close();
  fd_ = watched(::open("/proc/self/smaps", O_RDONLY | O_CLOEXEC));
  return fd_ < 0 ? -errno : 0;
}

void MappingReader::close() {
  if (fd_ >= 0) close_watched(fd_);
  fd_ = -1;
  begin_ = end_ = 0;
  started_ = false;
  skipping_ = false;
  took_ns_ = 0;
}

// Bytes read; 0 at the end.
int MappingReader::fill() {
  memmove(text_, text_ + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (!still_watched(fd_)) return -EBADF;
  const int64_t start = thread_cpu_ns();
  ssize_t n;
  do {
    n = read(fd_, text_ + end_, kRequest);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  const int64_t took = thread_cpu_ns() - start;
  if (took > took_ns_) took_ns_ = took;
  end_ += static_cast<size_t>(n);
  return static_cast<int>(n);
}

// True when the line ends a record.
bool MappingReader::take_line(char* line, MappingPages* out) {
  char* rest = nullptr;
  if (strncmp(line, "VmFlags:", 8) == 0) {
    if (!started_) return false;
    started_ = false;
    *out = now_;
    out->took_ns = took_ns_;
    took_ns_ = 0;
    return true;
  }
  // A key begins with a capital, an address never does.
  if (*line < 'A' || *line > 'Z') {
    now_ = MappingPages();
    now_.begin = strtoull(line, &rest, 16);
    if (*rest == '-') now_.end = strtoull(rest + 1, nullptr, 16);
    started_ = now_.end > now_.begin;
    return false;
  }
  uint64_t bytes = 0;
  if (number_of(line, "Rss:", &bytes)) now_.resident = bytes;
  if (number_of(line, "AnonHugePages:", &bytes)) now_.huge = bytes;
  if (number_of(line, "Referenced:", &bytes)) now_.referenced = bytes;
  if (number_of(line, "Shared_Clean:", &bytes) || number_of(line, "Shared_Dirty:", &bytes)) {
    now_.shared += bytes;
  }
  return false;
}

int MappingReader::next(MappingPages* out) {
  if (fd_ < 0) return -EBADF;
  for (;;) {
    char* const from = text_ + begin_;
    auto* end = static_cast<char*>(memchr(from, '\n', end_ - begin_));
    if (end == nullptr && end_ - begin_ + kRequest <= kBuffer) {
      const int n = fill();
      if (n <= 0) return n;
      continue;
    }
    const bool rest = skipping_;
    skipping_ = end == nullptr;
    if (skipping_) end = text_ + end_;
    *end = '\0';
    begin_ = skipping_ ? end_ : static_cast<size_t>(end + 1 - text_);
    if (!rest && take_line(from, out)) return 1;
  }
}

int clear_accessed(void* addr, size_t bytes) {
  return madvise(addr, bytes, MADV_COLD) < 0 ? -errno : 0;
}

int range_policy(const void* addr, Policy* policy, NodeMask* nodes) {
  int mode = 0;
  NodeMask mask;
  if (syscall(SYS_get_mempolicy, &mode, mask.words, static_cast<unsigned long>(kMaxNodes), addr,
              MPOL_F_ADDR) < 0) {
    return -errno;
  }
  *policy = policy_of(mode);
  *nodes = mask;
  return 0;
}

int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
int64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

void sleep_ns(int64_t ns) {
  timespec left{};
  left.tv_sec = ns / kNsPerSecond;
  left.tv_nsec = ns % kNsPerSecond;
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

}  // namespace hms::os
