// See os_process.h.
#include "runtime/support/os_process.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace hms::os {

void exit_process(int status) {
  for (;;) syscall(SYS_exit_group, status);
}

const void* program_break() {
  // The system call, not sbrk(3): the wrapper's cached value belongs to one C library.
  return reinterpret_cast<const void*>(syscall(SYS_brk, nullptr));
}

}  // namespace hms::os
