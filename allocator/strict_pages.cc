// See strict_pages.h.
#include "allocator/strict_pages.h"

#include <errno.h>

#include "allocator/region.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr size_t kBatch = 128;  // stack: 1.5 KiB; callers may run on small stacks

// MADV_POPULATE_WRITE came with Linux 5.14; before that, write to each page. The pages are fresh or
// were discarded, so writing zero changes nothing.
bool fault_in(uintptr_t start, size_t bytes) {
  int r = os::populate(to_pointer(start), bytes);
  if (r == 0) return true;
  if (r != -EINVAL && r != -ENOSYS) return false;
  for (uintptr_t at = start; at < start + bytes; at += os::kPageSize) {
    *static_cast<volatile char*>(to_pointer(at)) = 0;
  }
  return true;
}

bool all_placed(const Leg& leg, void* const* pages, const int* status, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    int wanted = wanted_node(leg, reinterpret_cast<uintptr_t>(pages[i]));
    if (wanted >= 0 && status[i] != wanted) return false;
  }
  return true;
}

}  // namespace

int wanted_node(const Leg& leg, uintptr_t address) {
  return account_of(leg, address)->target().node;
}

bool place_strictly(const Leg& leg, uintptr_t start, size_t bytes) {
  if (!fault_in(start, bytes)) return false;
  void* pages[kBatch];
  int status[kBatch];
  for (size_t done = 0; done < bytes;) {
    size_t count = 0;
    for (; count < kBatch && done < bytes; done += os::kPageSize) {
      pages[count++] = to_pointer(start + done);
    }
    int r = os::query_pages(0, count, pages, status);
    if (r < 0) {
      log_once(LogLevel::kWarning, "strict query",
               "the kernel does not tell where pages are (move_pages: errno %d); strict placements "
               "rely on free memory counts alone",
               -r);
      return true;
    }
    if (!all_placed(leg, pages, status, count)) return false;
  }
  return true;
}

}  // namespace hms::alloc
