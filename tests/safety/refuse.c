/* refuse.c - an interposer that lets one memory call of the libraries fail. To be preloaded in
 * front of libhms_malloc.so: counts its calls of mmap, mprotect, mremap and madvise (those of libc
 * and of the dynamic linker do not come through the names), and refuses number HMS_TEST_REFUSE, or
 * all from that one on with HMS_TEST_REFUSE_REST=1. HMS_TEST_REFUSE_COUNT=FD: writes how many there
 * were.
 *
 * The first calls come before libc has an environment, so /proc/self/environ is asked; nothing here
 * allocates. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int known; /* 0 not yet, 1 being read, 2 read */
static long refused_call;
static int refuse_rest, count_fd = -1;

static long number_of(const char* text, size_t bytes, const char* name) {
  const size_t length = strlen(name);
  for (size_t at = 0; at < bytes; at += strlen(text + at) + 1) {
    if (strncmp(text + at, name, length) == 0 && text[at + length] == '=')
      return strtol(text + at + length + 1, NULL, 10);
  }
  return -1;
}

static void read_wishes(void) {
  static char text[1 << 16];
  int expected = 0;
  if (!atomic_compare_exchange_strong(&known, &expected, 1)) return;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY);
  const long bytes = fd >= 0 ? syscall(SYS_read, fd, text, sizeof text - 1) : 0;
  if (fd >= 0) syscall(SYS_close, fd);
  if (bytes > 0) {
    refused_call = number_of(text, (size_t)bytes, "HMS_TEST_REFUSE");
    refuse_rest = number_of(text, (size_t)bytes, "HMS_TEST_REFUSE_REST") == 1;
    count_fd = (int)number_of(text, (size_t)bytes, "HMS_TEST_REFUSE_COUNT");
  }
  atomic_store(&known, 2);
}

static int refused(void) {
  const int saved = errno;
  read_wishes();
  errno = saved;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  if (refused_call <= 0 || number < refused_call) return 0;
  if (number > refused_call && !refuse_rest) return 0;
  errno = ENOMEM;
  return 1;
}

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (refused()) return MAP_FAILED;
  return (void*)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

int mprotect(void* at, size_t bytes, int protection) {
  return refused() ? -1 : (int)syscall(SYS_mprotect, at, bytes, protection);
}

void* mremap(void* from, size_t old_bytes, size_t bytes, int flags, ...) {
  void* to;
  __builtin_va_list list;
  __builtin_va_start(list, flags);
  to = (flags & MREMAP_FIXED) ? __builtin_va_arg(list, void*) : NULL;
  __builtin_va_end(list);
  if (refused()) return MAP_FAILED;
  return (void*)syscall(SYS_mremap, from, old_bytes, bytes, flags, to);
}

int madvise(void* at, size_t bytes, int advice) {
  return refused() ? -1 : (int)syscall(SYS_madvise, at, bytes, advice);
}

__attribute__((destructor)) static void tell(void) {
  if (count_fd < 0) return;
  char text[32];
  const int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
  if (write(count_fd, text, (size_t)n) != n) abort();
}
