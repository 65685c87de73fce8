// The thread's last message. A fixed buffer: static TLS is scarce in libraries that may be loaded
// late, and an error path must not depend on the allocator.
#include "runtime/support/last_error.h"

#include <string.h>

#include <algorithm>

namespace hms {
namespace {

constexpr size_t kMessageBytes = 384;
thread_local char last_message[kMessageBytes];

hms_status keep(hms_status code, const char* text, size_t length) {
  if (code == HMS_OK) return code;
  size_t n = std::min(length, kMessageBytes - 1);
  memcpy(last_message, text, n);
  last_message[n] = '\0';
  if (length > n) memcpy(last_message + n - 3, "...", 3);
  return code;
}

}  // namespace

hms_status fail(const Status& status) {
  return keep(status.code(), status.message().data(), status.message().size());
}

hms_status fail(hms_status code, const char* message) {
  return keep(code, message, strlen(message));
}

}  // namespace hms

extern "C" HMS_API const char* hms_last_error(void) { return hms::last_message; }

extern "C" HMS_API const char* hms_strerror(hms_status status) {
  switch (status) {
    case HMS_OK:
      return "done";
    case HMS_EINVAL:
      return "an argument is wrong";
    case HMS_ENOMEM:
      return "no room on the targets asked for";
    case HMS_ENODEV:
      return "no such target or initiator";
    case HMS_EPERM:
      return "not permitted";
    case HMS_ENOSYS:
      return "not supported by the kernel or the target";
    case HMS_EIO:
      return "a source cannot be read or is malformed";
    case HMS_EPARTIAL:
      return "done in part";
    case HMS_ECANCELED:
      return "not tried, because another operation of the batch was refused";
  }
  return "unknown status";
}
