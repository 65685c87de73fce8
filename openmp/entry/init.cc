// See init.h.
#include "openmp/entry/init.h"

#include <exception>

#include "openmp/allocators.h"
#include "openmp/defaults.h"
#include "openmp/memory.h"
#include "runtime/support/log.h"

namespace hms::omp {
namespace {

// The runtime knows the number of the host device, but must not be asked while it starts; and it
// matters to two traits only.
int host_device_for(int count, const Trait* traits) {
  for (int i = 0; traits != nullptr && i < count; ++i) {
    if (traits[i].key == kPinDevice || traits[i].key == kPreferredDevice) return host_device();
  }
  return 0;
}

Result<Handle> make(Handle space, int count, const Trait* traits) {
  const Space* found = find_space(space);
  if (found == nullptr) {
    return Status(HMS_EINVAL,
                  "memory space " + std::to_string(space) + " does not exist on this machine");
  }
  auto checked = parse_traits(traits, count, host_device_for(count, traits));
  if (!checked.ok()) return checked.status();
  auto made = make_allocator(*found, checked.value(), false);
  if (!made.ok()) return made.status();
  return made.value()->handle;
}

}  // namespace

Handle init_allocator(Handle space, int count, const Trait* traits, bool from_environment) {
  try {
    if (from_environment) return environment_allocator();
    auto made = make(space, count, traits);
    if (made.ok()) return made.value();
    log(LogLevel::kInfo, "omp_init_allocator gives the null allocator: %s",
        made.status().message().c_str());
  } catch (const std::exception& failure) {
    log(LogLevel::kInfo, "omp_init_allocator gives the null allocator: %s", failure.what());
  }
  return kNullAllocator;
}

void destroy(Handle h) {
  // Runtimes destroy their default allocator at their end, whatever it is; the null handle is 0.
  if (h < kPredefinedAllocators) return;
  try {
    Status s = destroy_allocator(h);
    if (!s.ok()) complain("destroy", s.message());
  } catch (const std::exception& failure) {
    complain("destroy", failure.what());
  }
}

}  // namespace hms::omp
