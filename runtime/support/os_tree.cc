// Directories, links and whole-machine numbers: see os_tree.h.
#include "runtime/support/os_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace hms::os {
namespace {

// What getdents64 writes; the kernel's struct linux_dirent64, getdents(2).
struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[1];
};

}  // namespace

int list_directory(const char* path, bool (*visit)(void*, const char*), void* context) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  alignas(8) char buffer[4096];
  int r = 0;
  for (;;) {
    long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (n < 0) r = -errno;
    if (n <= 0) break;
    for (long at = 0; at < n;) {
      Entry* entry = reinterpret_cast<Entry*>(buffer + at);
      const char* name = buffer + at + offsetof(Entry, name);
      at += entry->length;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      if (!visit(context, name)) {
        close(fd);
        return 0;
      }
    }
  }
  close(fd);
  return r;
}

int read_link(const char* path, char* buffer, size_t capacity) {
  ssize_t n = readlink(path, buffer, capacity - 1);
  if (n < 0) return -errno;
  buffer[n] = '\0';
  return static_cast<int>(n);
}

int64_t file_size(const char* path) {
  struct stat s;
  if (stat(path, &s) != 0) return -errno;
  return S_ISREG(s.st_mode) ? static_cast<int64_t>(s.st_size) : -EINVAL;
}

int machine_memory(uint64_t* total, uint64_t* free_now) {
  struct sysinfo s;
  if (sysinfo(&s) != 0) return -errno;
  *total = uint64_t{s.totalram} * s.mem_unit;
  *free_now = uint64_t{s.freeram} * s.mem_unit;
  return 0;
}

int online_cpus() {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? static_cast<int>(n) : 1;
}

}  // namespace hms::os
