// The end of a process under libhms: see finish.h.
#include "allocator/routing/finish.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "allocator/allocator.h"
#include "runtime/support/counters.h"
#include "runtime/support/os_files.h"

namespace hms::routing {
namespace {
bool audit_wanted = false;
// The process that was finished: a forked child of it still has its own end to come.
std::atomic<int> finished{0};
}  // namespace

void prepare_finish() {
  const char* audit = secure_getenv("HMS_AUDIT");
  audit_wanted = audit != nullptr && strcmp(audit, "1") == 0;
}

void finish_process() {
  if (!stats_is_owner()) return;
  int pid = os::process_id();
  if (finished.exchange(pid) == pid) return;
  if (audit_wanted) alloc::audit_residency();
  stats_finish();
}

}  // namespace hms::routing
