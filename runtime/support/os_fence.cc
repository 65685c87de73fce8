// See os_fence.h.
#include "runtime/support/os_fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace hms::os {
namespace {

int membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0 ? 0 : -errno; }

}  // namespace

int register_fences() { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

void fence_threads() {
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return;
  constexpr timespec kDrained = {0, 2'000'000};
  nanosleep(&kDrained, nullptr);
}

}  // namespace hms::os
