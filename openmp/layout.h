// Layouts: where the blocks of an allocator go. Space and partition trait are resolved to
// placements once; allocators that ask for the same share a layout.
//
//   environment   the space in its order, as seen from the node of the thread (looked up now and
//                 then); the default space: the kernel's choice
//   nearest       the same, looked up at every request
//   interleaved   pages take turns: the windows of an interleaved placement. Larger parts: a
//   mapping
//                 of its own for each block
//   blocked       a mapping of its own, cut into one part for each resource
//   partitioner   a mapping of its own, cut as the program's partitioner says
//
// All but the default space are strict: pages are where the layout says, or there is no block and
// the fallback trait decides.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

#include "allocator/allocator.h"
#include "openmp/spaces.h"
#include "openmp/traits.h"
#include "runtime/support/result.h"

namespace hms::omp {

inline constexpr unsigned kMaxCpuNodes = 64;  // nodes above share the order of node 63

struct Layout {
  const Space* space = nullptr;
  Partition partition = Partition::kEnvironment;
  size_t part_size = 0;  // of interleaved parts, if larger than a page
  unsigned family = 0;
  bool by_node = false;  // the order depends on where the thread runs
  alloc::PlacementId placement = alloc::kDefaultPlacement;  // if it does not
  // Placement + 1 by node, 0: not made yet.
  mutable std::atomic<uint32_t> of_node[kMaxCpuNodes] = {};

  // True if a block of this size is a mapping of its own.
  bool maps(size_t size) const;
  // For all other blocks. False: the placement cannot be made (said once).
  bool placement_now(alloc::PlacementId* out) const;
};

Result<const Layout*> layout_for(const Space& space, const Traits& traits, unsigned family);

}  // namespace hms::omp
