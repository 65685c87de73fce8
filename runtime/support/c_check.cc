// hms_check() of the C interface.
#include <string.h>

#include <algorithm>
#include <new>

#include "runtime/support/inspect.h"
#include "runtime/support/last_error.h"

namespace {

void put_text(const hms::Contradictions& found, char* text, size_t room) {
  if (!text || room == 0) return;
  size_t used = 0;
  for (const std::string& what : found) {
    for (const char* part : {what.c_str(), "\n"}) {
      const size_t bytes = std::min(strlen(part), room - 1 - used);
      memcpy(text + used, part, bytes);
      used += bytes;
    }
  }
  text[used] = '\0';
}

hms_status check(int pid, hms_check_result* out, char* text, size_t room) {
  if (pid < 0 || !out || out->size < sizeof *out) {
    return hms::fail(HMS_EINVAL,
                     "pid must not be negative, and out->size be sizeof(hms_check_result)");
  }
  hms::Result<hms::Inspection> seen = hms::inspect(pid);
  if (!seen.ok()) return hms::fail(seen.status());
  const hms::Inspection& result = seen.value();
  out->contradictions = result.found.size();
  out->windows = result.kernel.windows;
  out->resident_pages = result.kernel.resident_pages;
  out->misplaced_pages = result.kernel.misplaced_pages;
  out->ranges = result.kernel.ranges;
  put_text(result.found, text, room);
  return HMS_OK;
}

}  // namespace

extern "C" HMS_API hms_status hms_check(int pid, hms_check_result* out, char* text, size_t room) {
  // Nothing may be thrown across the C boundary; what can be thrown here is bad_alloc.
  try {
    return check(pid, out, text, room);
  } catch (const std::bad_alloc&) {
    return hms::fail(HMS_ENOMEM, "no memory to look at the process");
  }
}
