// Every contact with the kernel, one function per call: the only place that tests and fault
// injection have to hook. All functions are async-signal-safe, never allocate, and return 0 (or a
// count) on success and -errno on failure. Addresses are page aligned unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

inline constexpr size_t kPageSize = 4096;  // x86-64 and the arm64 default; checked at start
inline constexpr size_t kHugePageSize = size_t{2} << 20;
inline constexpr int kMaxNodes = 1024;  // MAX_NUMNODES of the largest stock kernel configuration

// A set of NUMA nodes in the layout that the mempolicy system calls take.
struct NodeMask {
  unsigned long words[kMaxNodes / 64] = {};
  void set(int node) { words[node / 64] |= 1UL << (node % 64); }
  bool test(int node) const { return (words[node / 64] >> (node % 64)) & 1; }
};

enum class Policy {
  kDefault,
  kLocal,
  kPreferred,
  kPreferredMany,
  kBind,
  kInterleave,
  kWeightedInterleave
};

// Reserves address space that cannot be touched and costs no memory. `hint` may be null.
// On failure *out is untouched.
int reserve(void* hint, size_t bytes, void** out);
// Makes a part of a reservation readable and writable. -ENOMEM under overcommit_memory=2.
int commit(void* addr, size_t bytes);
// Returns the pages to the kernel; the range stays readable (zeros) and writable.
int discard(void* addr, size_t bytes);
// Gives the range back to the kernel entirely.
int unmap(void* addr, size_t bytes);
// Faults every page in, for writing. -ENOSYS/-EINVAL before Linux 5.14.
int populate(void* addr, size_t bytes);
int advise_huge_pages(void* addr, size_t bytes, bool on);
// Makes small pages of the huge page that holds the range, a part of it: what the kernel does when
// a part is said to be cold (mm/madvise.c). The content stays, and so do the pages.
int break_huge_page(void* addr, size_t bytes);
// Makes huge pages of small ones at once, in the caller's time: madvise(2), since Linux 6.1; before
// that -EINVAL. It does so even where the administrator wants none: ask huge_pages_allowed().
int make_huge_pages(void* addr, size_t bytes);

// Sets the memory policy of a range; existing pages stay where they are.
int set_range_policy(void* addr, size_t bytes, Policy policy, const NodeMask& nodes);
// Where each page is: node number >= 0, or -errno (-ENOENT/-EFAULT: not there yet). pid 0: self.
// `status` is pre-filled with -ENOENT, because the kernel may leave entries unwritten.
int query_pages(int pid, size_t count, void* const* pages, int* status);
// Moves pages, pages[i] to nodes[i]; per-page result in `status` as above.
int move_pages(size_t count, void* const* pages, const int* nodes, int* status);
// The nodes that this process may allocate from (cpuset), MPOL_F_MEMS_ALLOWED.
int allowed_nodes(NodeMask* out);
// The node of the CPU that runs this thread now; 0 if the kernel does not tell.
int current_node();

// Free bytes of a node, from its sysfs meminfo; -errno when it cannot be read.
int64_t node_free_bytes(int node);
// Reads a whole small file into `buffer` (always terminated); bytes read or -errno.
int read_file(const char* path, char* buffer, size_t capacity);
// Writes all bytes to a descriptor, restarting on EINTR and short writes.
int write_all(int fd, const char* text, size_t bytes);

}  // namespace hms::os
