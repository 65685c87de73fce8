// What the address space of this process holds: mappings, existing pages, the policy in force.
// The second half of the kernel port (os.h); the same conventions: 0 or -errno, nothing allocated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

// One mapping (or a run of equal ones) of /proc/PID/maps.
struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  bool anonymous = false;  // no file behind it
};

// Calls `visit` for each mapping that overlaps [begin, end), in address order, until it returns
// false. -errno if /proc does not tell.
using MappingVisitor = bool (*)(void* context, const Mapping& mapping);
int visit_mappings(uintptr_t begin, uintptr_t end, MappingVisitor visit, void* context);
// The same of another process, with the right to read its memory.
int visit_mappings_of(int pid, uintptr_t begin, uintptr_t end, MappingVisitor visit, void* context);

// The policy of a mapping, which holds up to the next one's begin.
struct MappingPolicy {
  uintptr_t begin = 0;
  bool is_default = false;
  uint64_t nodes = 0;     // of the policy, one bit each
  bool far_node = false;  // and some beyond these
};
// Calls `visit` for each mapping of a process (0: this one), in address order, until it returns
// false; with the right to read its memory. -ENOENT: the kernel does not tell (no NUMA).
using PolicyVisitor = bool (*)(void* context, const MappingPolicy& policy);
int visit_policies_of(int pid, PolicyVisitor visit, void* context);

// out[i] & 1: page i exists (for files: is cached). -ENOMEM if the range has a hole.
int resident(void* addr, size_t bytes, unsigned char* out);
// Whether the mapping at `addr` has the default memory policy, that is: none of its own.
int range_policy_is_default(void* addr, bool* is_default);
// Faults a range in for reading: nothing new comes into existence where pages exist already, but
// the marks of NUMA balancing, which hide pages from move_pages, go away. -EINVAL before
// Linux 5.14.
int populate_read(void* addr, size_t bytes);
// mremap(2); *out is its result.
int remap(void* addr, size_t old_bytes, size_t new_bytes, int flags, void* new_addr, void** out);

}  // namespace hms::os
