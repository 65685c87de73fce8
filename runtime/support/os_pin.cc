// See os_pin.h.
#include "runtime/support/os_pin.h"

#include <errno.h>
#include <sys/mman.h>

namespace hms::os {

int lock_pages(void* addr, size_t bytes) { return mlock(addr, bytes) == 0 ? 0 : -errno; }

int unlock_pages(void* addr, size_t bytes) { return munlock(addr, bytes) == 0 ? 0 : -errno; }

}  // namespace hms::os
