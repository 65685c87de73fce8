// Resolving spaces and partitions to placements: see layout.h.
#include "openmp/layout.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "openmp/blocks.h"
#include "openmp/fork.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::omp {

namespace {

constexpr unsigned kRequestsPerLook = 256;  // that use one answer to "on which node am I?"
constexpr size_t kMaxLegs = 16;             // of a placement

std::vector<const Layout*>& layouts() {
  static auto* const all = new std::vector<const Layout*>;
  return *all;
}

unsigned node_of_thread(bool exact) {
  static thread_local unsigned left = 0;
  static thread_local unsigned node = 0;
  if (exact || left == 0) {
    const int now = os::current_node();
    node = now < 0 ? 0 : std::min(static_cast<unsigned>(now), kMaxCpuNodes - 1);
    left = kRequestsPerLook;
  }
  --left;
  return node;
}

Placement placement_of(const Space& space, const std::vector<size_t>& order, unsigned family) {
  Placement p;
  p.strict = true;
  p.family = family;
  for (size_t i : order) {
    if (p.legs.size() == kMaxLegs) break;
    p.legs.push_back({space.resources[i], 1});
  }
  p.spec = "memory space " + space.name;
  return p;
}

Placement in_order(const Space& space, unsigned family) {
  std::vector<size_t> order(space.resources.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  return placement_of(space, order, family);
}

Placement interleaved(const Space& space, unsigned family, bool weighted) {
  Placement p = in_order(space, family);
  if (p.legs.size() > 1) p.spread = Spread::kInterleave;
  for (size_t i = 0; weighted && i < p.legs.size(); ++i) p.legs[i].weight = space.weights[i];
  p.spec += ", interleaved";
  return p;
}

Placement kernel_chosen(unsigned family) {
  Placement p;
  p.family = family;
  p.legs.push_back({{"default", -1, false, UINT64_MAX}, 1});
  p.spec = "default";
  return p;
}

// A machine whose one real node is all there is has nothing to choose from.
bool no_choice(const Space& space) {
  return space.resources.empty() ||
         (space.resources.size() == 1 && space.kernel_chosen && !space.resources[0].emulated);
}

Status resolve(Layout* layout) {
  const Space& space = *layout->space;
  Placement p;
  switch (layout->partition) {
    case Partition::kInterleaved:
      p = interleaved(space, layout->family, false);
      break;
    case Partition::kEnvironment:
      if (space.kernel_chosen) {
        p = kernel_chosen(layout->family);
      } else if (space.interleaved) {
        p = interleaved(space, layout->family, true);
      } else {
        layout->by_node = space.resources.size() > 1;
        p = in_order(space, layout->family);
      }
      break;
    default:
      layout->by_node = space.resources.size() > 1;
      p = in_order(space, layout->family);
  }
  if (layout->by_node) return {};
  auto id = alloc::register_placement(p);
  if (!id.ok()) return id.status();
  layout->placement = id.value();
  return {};
}

}  // namespace

bool Layout::maps(size_t size) const {
  if (partition == Partition::kPartitioner) return true;
  if (partition == Partition::kBlocked) return size > os::kPageSize;
  return partition == Partition::kInterleaved && part_size > 0 && size > part_size;
}

bool Layout::placement_now(alloc::PlacementId* out) const {
  if (!by_node) {
    *out = placement;
    return true;
  }
  const unsigned node = node_of_thread(partition != Partition::kEnvironment);
  uint32_t known = of_node[node].load(std::memory_order_acquire);
  if (known == 0) {
    auto id = alloc::register_placement(
        placement_of(*space, nearest_order(*space, static_cast<int>(node)), family));
    if (!id.ok()) {
      log_once(LogLevel::kWarning, "omp placement", "%s", id.status().message().c_str());
      return false;
    }
    known = id.value() + 1U;
    of_node[node].store(known, std::memory_order_release);
  }
  *out = static_cast<alloc::PlacementId>(known - 1);
  return true;
}

Result<const Layout*> layout_for(const Space& space, const Traits& traits, unsigned family) {
  auto layout = std::make_unique<Layout>();
  layout->space = &space;
  layout->family = family;
  layout->partition = traits.partition;
  const bool one = space.resources.size() <= 1;
  if (one && traits.partition == Partition::kPartitioner && space.resources.empty()) {
    return Status(HMS_ENODEV, "partition: memory space '" + space.name + "' has no resources");
  }
  // One resource: nothing to divide. A partitioner may still want to be asked.
  if ((one && traits.partition != Partition::kPartitioner) || no_choice(space)) {
    if (traits.partition != Partition::kPartitioner) layout->partition = Partition::kEnvironment;
  }
  if (layout->partition == Partition::kInterleaved && traits.part_size > os::kPageSize) {
    layout->part_size = (traits.part_size + os::kPageSize - 1) & ~(os::kPageSize - 1);
  }
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  for (const Layout* known : layouts()) {
    if (known->space == &space && known->partition == layout->partition &&
        known->part_size == layout->part_size && known->family == family) {
      return known;
    }
  }
  if (Status s = resolve(layout.get()); !s.ok()) return s;
  layouts().push_back(layout.get());
  return const_cast<const Layout*>(layout.release());
}

}  // namespace hms::omp
