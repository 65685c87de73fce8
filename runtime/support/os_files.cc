// Kernel contact for the counter pages: see os_files.h.
#include "runtime/support/os_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/support/os.h"

namespace hms::os {

int open_private_dir(const char* path, unsigned owner, bool create) {
  if (create && mkdir(path, 0700) != 0 && errno != EEXIST) return -errno;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
  struct stat st;
  if (fstat(fd, &st) != 0 || st.st_uid != owner || (st.st_mode & 077) != 0) {
    close(fd);
    return -EPERM;
  }
  return fd;
}

int create_full_file(int dir, const char* name, size_t bytes) {
  int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int refused = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (refused == 0) return fd;
  close(fd);
  unlinkat(dir, name, 0);
  return -refused;
}

int read_owned_file(int dir, const char* name, unsigned owner, void* out, size_t bytes) {
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat st;
  bool fine = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == owner;
  ssize_t got = fine ? pread(fd, out, bytes, 0) : -1;
  int r = got >= 0 ? static_cast<int>(got) : fine ? -errno : -EPERM;
  close(fd);
  return r;
}

int open_owned_file(int dir, const char* name, unsigned owner) {
  int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat st;
  int error = 0;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != owner) {
    error = -EPERM;
  } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    error = -errno;
  }
  if (error == 0) return fd;
  close(fd);
  return error;
}

int write_new_file(int dir, const char* name, unsigned owner, const char* text, size_t bytes) {
  unlinkat(dir, name, 0);
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int r = write_all(fd, text, bytes);
  if (r >= 0 && owner != geteuid() && fchown(fd, owner, static_cast<gid_t>(-1)) != 0) r = -errno;
  close(fd);
  if (r < 0) unlinkat(dir, name, 0);
  return r < 0 ? r : 0;
}

int read_word(int fd, size_t at, uint64_t* out) {
  ssize_t n = pread(fd, out, sizeof *out, static_cast<off_t>(at));
  return n == sizeof *out ? 0 : n < 0 ? -errno : -EIO;
}

int write_word(int fd, size_t at, uint64_t value) {
  ssize_t n = pwrite(fd, &value, sizeof value, static_cast<off_t>(at));
  return n == sizeof value ? 0 : n < 0 ? -errno : -EIO;
}

int remove_file(int dir, const char* name) { return unlinkat(dir, name, 0) == 0 ? 0 : -errno; }

int rename_file(int dir, const char* from, const char* to) {
  return renameat(dir, from, dir, to) == 0 ? 0 : -errno;
}

void close_file(int fd) { close(fd); }

int map_shared(int fd, size_t bytes, void** out) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) return -errno;
  *out = p;
  return 0;
}

int move_mapping(void* from, size_t bytes, void* to) {
  void* p = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  return p == MAP_FAILED ? -errno : 0;
}

int map_shared_at(void* at, size_t bytes) {
  void* p = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return p == MAP_FAILED ? -errno : 0;
}

int map_again(void* shared, size_t bytes, void** out) {
  // An old size of 0 copies the mapping instead of moving it: mremap(2).
  void* p = mremap(shared, 0, bytes, MREMAP_MAYMOVE);
  if (p == MAP_FAILED) return -errno;
  *out = p;
  return 0;
}

int process_id() { return static_cast<int>(getpid()); }

unsigned effective_user() { return geteuid(); }

namespace {

// Reads /proc/PID/stat, fields counted from 1 as in proc(5), pid 0 = self; `out` points at the
// blank before field `wanted`.
int stat_from(int pid, int wanted, char* text, size_t capacity, const char** out) {
  char path[32];
  if (pid == 0) {
    snprintf(path, sizeof path, "/proc/self/stat");
  } else {
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
  }
  int bytes = read_file(path, text, capacity);
  if (bytes < 0) return bytes;
  // The name (field 2) is in parentheses and may hold spaces and parentheses: count from the last.
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < wanted; ++field) at = strchr(at + 1, ' ');
  *out = at;
  return at != nullptr ? 0 : -EIO;
}

int stat_field(int pid, int wanted, uint64_t* out) {
  char text[1024];
  const char* at = nullptr;
  int r = stat_from(pid, wanted, text, sizeof text, &at);
  if (r < 0) return r;
  *out = strtoull(at, nullptr, 10);
  return *out == 0 ? -EIO : 0;
}

}  // namespace

int process_start_time(int pid, uint64_t* out) { return stat_field(pid, 22, out); }

int process_stack_start(int pid, uint64_t* out) { return stat_field(pid, 28, out); }

bool only_this_thread_left() {
  char text[1024];
  const char* state = nullptr;
  uint64_t threads = 0;
  return stat_from(0, 3, text, sizeof text, &state) == 0 && state[1] == 'Z' &&
         stat_field(0, 20, &threads) == 0 && threads == 2;
}

bool huge_pages_allowed() {
  char text[64];  // "always [madvise] never"
  return read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) > 0 &&
         strstr(text, "[never]") == nullptr;
}

uint64_t process_huge_bytes(int pid) {
  char path[40];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  char text[2048];
  if (read_file(path, text, sizeof text) < 0) return 0;
  const char* at = strstr(text, "AnonHugePages:");
  return at != nullptr ? strtoull(at + sizeof "AnonHugePages:" - 1, nullptr, 10) * 1024 : 0;
}

bool process_exists(int pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

int process_owner(int pid, unsigned* out) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d", pid);
  struct stat st;
  if (stat(path, &st) != 0) return -errno;
  *out = st.st_uid;
  return 0;
}

int executable_path(char* out, size_t capacity) {
  ssize_t bytes = readlink("/proc/self/exe", out, capacity - 1);
  out[bytes < 0 ? 0 : bytes] = 0;
  return bytes < 0 ? -errno : static_cast<int>(bytes);
}

int thread_name(char out[16]) {
  out[0] = 0;
  return prctl(PR_GET_NAME, out, 0, 0, 0) == 0 ? 0 : -errno;
}

}  // namespace hms::os
