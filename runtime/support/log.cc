// Messages from inside a host program: see log.h.
#include "runtime/support/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

#include "runtime/support/os.h"

namespace hms {
namespace {

constexpr size_t kMaxMessage = 500;
constexpr int kMaxOnceKeys = 64;

LogLevel level_from_environment() {
  const char* text = secure_getenv("HMS_LOG_LEVEL");
  if (!text) return LogLevel::kWarning;
  if (strcmp(text, "error") == 0) return LogLevel::kError;
  if (strcmp(text, "info") == 0) return LogLevel::kInfo;
  if (strcmp(text, "debug") == 0) return LogLevel::kDebug;
  return LogLevel::kWarning;
}

void write_message(const char* text, size_t bytes) {
  // Opened for each of these rare messages: a descriptor kept open would be one that the host did
  // not open.
  const char* path = secure_getenv("HMS_LOG");
  int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
  os::write_all(fd >= 0 ? fd : STDERR_FILENO, text, bytes);
  if (fd >= 0) close(fd);
}

void vlog(LogLevel level, const char* format, va_list arguments) {
  if (level > level_from_environment()) return;
  int saved_errno = errno;
  char text[kMaxMessage + 2];
  int n = snprintf(text, sizeof text, "libhms[%d]: ", static_cast<int>(getpid()));
  n += vsnprintf(text + n, kMaxMessage - static_cast<size_t>(n), format, arguments);
  size_t bytes = n < static_cast<int>(kMaxMessage) ? static_cast<size_t>(n) : kMaxMessage - 1;
  text[bytes++] = '\n';
  write_message(text, bytes);
  errno = saved_errno;
}

// True the first time a key is seen. When the table is full every key counts as seen: silence over
// noise.
bool first_time(const char* key) {
  static std::atomic<const char*> seen[kMaxOnceKeys];
  for (auto& slot : seen) {
    const char* expected = nullptr;
    if (slot.compare_exchange_strong(expected, key)) return true;
    if (strcmp(expected, key) == 0) return false;
  }
  return false;
}

}  // namespace

void log(LogLevel level, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vlog(level, format, arguments);
  va_end(arguments);
}

void log_once(LogLevel level, const char* key, const char* format, ...) {
  if (!first_time(key)) return;
  va_list arguments;
  va_start(arguments, format);
  vlog(level, format, arguments);
  va_end(arguments);
}

}  // namespace hms
