// See hint_faults.h.
#include "runtime/tiering/samplers/hint_faults.h"

#include <errno.h>
#include <string.h>

#include "runtime/support/os.h"

namespace hms::tiering {

Status HintFaults::start() {
  char text[16];
  const int n = os::read_file("/proc/sys/kernel/numa_balancing", text, sizeof text);
  if (n <= 0) return {HMS_ENOSYS, "this kernel has no NUMA balancing"};
  if (text[0] == '0') {
    return {HMS_ENODEV,
            "NUMA balancing is off, so there are no hint faults; it is the "
            "administrator's to switch on (kernel.numa_balancing)"};
  }
  const int r = open_faults();
  if (r == 0) return {};
  return {r == -EPERM || r == -EACCES ? HMS_EPERM : HMS_ENOSYS,
          std::string("page faults cannot be sampled (") + strerrordesc_np(-r) +
              "); ask the administrator for perf_event_paranoid 2 or less"};
}

bool HintFaults::counts(const std::vector<UnitView>& units, size_t unit, uintptr_t address) {
  const uintptr_t begin = units[unit].address & ~uintptr_t{kUnitBytes - 1};
  auto page = faulted_[begin][(address - begin) / kPartBytesMin];
  const bool again = page;
  page = true;
  return again;
}

}  // namespace hms::tiering
