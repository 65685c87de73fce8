// The routines of OpenMP 6.0 (20.8) about spaces, resources and partitioners, for programs built
// with any header; Fortran's names behind them.
//
// A host is the only device here. A selection of devices that holds another one has no space in
// common with it: omp_null_mem_space, which is 0 in every header. The default space, which is 0 in
// headers before 6.0, is therefore given out under its newer number; both are understood.
#include "openmp/allocators.h"
#include "openmp/entry/export.h"
#include "openmp/partitioner.h"
#include "runtime/support/os.h"

namespace hms::omp {
namespace {

constexpr int kInitialDevice = -1;  // omp_initial_device

bool only_host(int count, const int* devices) {
  if (count <= 0 || devices == nullptr) return false;
  const int host = host_device();
  for (int i = 0; i < count; ++i) {
    if (devices[i] != host && devices[i] != kInitialDevice) return false;
  }
  return true;
}

Handle give_out(const Space* space) {
  if (space == nullptr) return kNullSpace;
  return space->handle == kDefaultSpace ? kDefaultSpaceOfLlvm21 : space->handle;
}

Handle space_for(bool selected, Handle space) {
  return selected ? give_out(find_space(space)) : kNullSpace;
}

Handle allocator_for(bool selected, Handle space) {
  const Space* found = selected ? find_space(space) : nullptr;
  if (found == nullptr || found->handle >= kPredefinedSpaces) return kNullAllocator;
  return found->handle + kDefaultAlloc;
}

int resource_count(Handle space) {
  const Space* found = find_space(space);
  return found == nullptr ? 0 : static_cast<int>(found->resources.size());
}

Handle submemspace(Handle space, int count, const int* resources) {
  const Space* found = find_space(space);
  return found == nullptr ? kNullSpace : give_out(subspace(*found, resources, count));
}

}  // namespace
}  // namespace hms::omp

using hms::omp::Handle;
using hms::omp::Mempartition;
using hms::omp::only_host;

HMS_OMP_ENTRY Handle omp_get_devices_memspace(int n, const int* devices, Handle space) {
  return hms::omp::space_for(only_host(n, devices), space);
}
HMS_OMP_ENTRY Handle omp_get_device_memspace(int device, Handle space) {
  return hms::omp::space_for(only_host(1, &device), space);
}
HMS_OMP_ENTRY Handle omp_get_devices_and_host_memspace(int n, const int* devices, Handle space) {
  return hms::omp::space_for(n == 0 || only_host(n, devices), space);
}
HMS_OMP_ENTRY Handle omp_get_device_and_host_memspace(int device, Handle space) {
  return hms::omp::space_for(only_host(1, &device), space);
}
HMS_OMP_ENTRY Handle omp_get_devices_all_memspace(Handle space) {
  return hms::omp::space_for(hms::omp::host_device() == 0, space);
}

HMS_OMP_ENTRY Handle omp_get_devices_allocator(int n, const int* devices, Handle space) {
  return hms::omp::allocator_for(only_host(n, devices), space);
}
HMS_OMP_ENTRY Handle omp_get_device_allocator(int device, Handle space) {
  return hms::omp::allocator_for(only_host(1, &device), space);
}
HMS_OMP_ENTRY Handle omp_get_devices_and_host_allocator(int n, const int* devices, Handle space) {
  return hms::omp::allocator_for(n == 0 || only_host(n, devices), space);
}
HMS_OMP_ENTRY Handle omp_get_device_and_host_allocator(int device, Handle space) {
  return hms::omp::allocator_for(only_host(1, &device), space);
}
HMS_OMP_ENTRY Handle omp_get_devices_all_allocator(Handle space) {
  return hms::omp::allocator_for(hms::omp::host_device() == 0, space);
}

HMS_OMP_ENTRY int omp_get_memspace_num_resources(Handle space) {
  return hms::omp::resource_count(space);
}
HMS_OMP_ENTRY size_t omp_get_memspace_pagesize(Handle space) {
  return hms::omp::find_space(space) == nullptr ? 0 : hms::os::kPageSize;
}
HMS_OMP_ENTRY Handle omp_get_submemspace(Handle space, int n, const int* resources) {
  return hms::omp::submemspace(space, n, resources);
}

HMS_OMP_ENTRY void omp_init_mempartitioner(void* object, int lifetime,
                                           hms::omp::ComputeParts compute,
                                           hms::omp::ReleaseParts release) {
  if (!hms::omp::init_partitioner(object, lifetime, compute, release)) {
    hms::omp::complain(
        "partitioner",
        "omp_init_mempartitioner: needs an object, a lifetime of 1 to 3 and a compute "
        "procedure");
  }
}
HMS_OMP_ENTRY void omp_destroy_mempartitioner(const void* object) {
  if (!hms::omp::destroy_partitioner(object)) {
    hms::omp::complain("partitioner", "omp_destroy_mempartitioner: not initialized");
  }
}
HMS_OMP_ENTRY void omp_init_mempartition(Mempartition* p, size_t parts, const void* user_data) {
  if (!hms::omp::init_partition(p, parts, user_data)) {
    hms::omp::complain("partition", "omp_init_mempartition: outside the compute procedure");
  }
}
HMS_OMP_ENTRY void omp_destroy_mempartition(const Mempartition* p) {
  if (!hms::omp::destroy_partition(p)) {
    hms::omp::complain("partition", "omp_destroy_mempartition: outside a partitioner's procedures");
  }
}
HMS_OMP_ENTRY int omp_mempartition_set_part(Mempartition* p, size_t part, int resource,
                                            size_t size) {
  return hms::omp::set_part(p, part, resource, size) ? 0 : -1;
}
HMS_OMP_ENTRY void* omp_mempartition_get_user_data(const Mempartition* p) {
  return const_cast<void*>(hms::omp::partition_user_data(p));
}

// Fortran: not bind(c), so with an underscore and by reference.
HMS_OMP_ENTRY Handle omp_get_devices_memspace_(const int* n, const int* devices,
                                               const Handle* space) {
  return omp_get_devices_memspace(*n, devices, *space);
}
HMS_OMP_ENTRY Handle omp_get_device_memspace_(const int* device, const Handle* space) {
  return omp_get_device_memspace(*device, *space);
}
HMS_OMP_ENTRY Handle omp_get_devices_and_host_memspace_(const int* n, const int* devices,
                                                        const Handle* space) {
  return omp_get_devices_and_host_memspace(*n, devices, *space);
}
HMS_OMP_ENTRY Handle omp_get_device_and_host_memspace_(const int* device, const Handle* space) {
  return omp_get_device_and_host_memspace(*device, *space);
}
HMS_OMP_ENTRY Handle omp_get_devices_all_memspace_(const Handle* space) {
  return omp_get_devices_all_memspace(*space);
}
HMS_OMP_ENTRY Handle omp_get_devices_allocator_(const int* n, const int* devices,
                                                const Handle* space) {
  return omp_get_devices_allocator(*n, devices, *space);
}
HMS_OMP_ENTRY Handle omp_get_device_allocator_(const int* device, const Handle* space) {
  return omp_get_device_allocator(*device, *space);
}
HMS_OMP_ENTRY Handle omp_get_devices_and_host_allocator_(const int* n, const int* devices,
                                                         const Handle* space) {
  return omp_get_devices_and_host_allocator(*n, devices, *space);
}
HMS_OMP_ENTRY Handle omp_get_device_and_host_allocator_(const int* device, const Handle* space) {
  return omp_get_device_and_host_allocator(*device, *space);
}
HMS_OMP_ENTRY Handle omp_get_devices_all_allocator_(const Handle* space) {
  return omp_get_devices_all_allocator(*space);
}
HMS_OMP_ENTRY int omp_get_memspace_num_resources_(const Handle* space) {
  return omp_get_memspace_num_resources(*space);
}
HMS_OMP_ENTRY size_t omp_get_memspace_pagesize_(const Handle* space) {
  return omp_get_memspace_pagesize(*space);
}
HMS_OMP_ENTRY Handle omp_get_submemspace_(const Handle* space, const int* n, const int* resources) {
  return omp_get_submemspace(*space, *n, resources);
}
HMS_OMP_ENTRY void omp_init_mempartitioner_(void* object, const int* lifetime,
                                            hms::omp::ComputeParts compute,
                                            hms::omp::ReleaseParts release) {
  omp_init_mempartitioner(object, *lifetime, compute, release);
}
HMS_OMP_ENTRY void omp_destroy_mempartitioner_(const void* object) {
  omp_destroy_mempartitioner(object);
}
HMS_OMP_ENTRY void omp_destroy_mempartition_(const Mempartition* p) { omp_destroy_mempartition(p); }
