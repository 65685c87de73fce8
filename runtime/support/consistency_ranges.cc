// The range map of a process against the kernel's policies: see consistency.h.
#include <algorithm>

#include "runtime/support/consistency.h"
#include "runtime/support/mappings.h"

namespace hms {
namespace {

uint64_t value(const Counter& counter) { return counter.load(std::memory_order_relaxed); }

std::string nodes_text(uint64_t nodes) {
  std::string out;
  for (int node = 0; node < 64; ++node) {
    if (((nodes >> node) & 1) != 0) out += (out.empty() ? "" : ",") + std::to_string(node);
  }
  return out.empty() ? "none" : out;
}

// By address, as the kernel tells them.
using Policies = std::vector<os::MappingPolicy>;

bool collect(void* context, const os::MappingPolicy& policy) {
  static_cast<Policies*>(context)->push_back(policy);
  return true;
}

struct Comparison {
  const Policies* kernel;
  uint64_t nodes;
  bool compared = false;
  std::string differs;  // the nodes of the kernel's policy
};

// The kernel lists the same mappings in maps, which tells their ends, and in numa_maps.
bool compare(void* context, const os::Mapping& mapping) {
  auto* c = static_cast<Comparison*>(context);
  auto at =
      std::lower_bound(c->kernel->begin(), c->kernel->end(), mapping.begin,
                       [](const os::MappingPolicy& p, uintptr_t begin) { return p.begin < begin; });
  if (at == c->kernel->end() || at->begin != mapping.begin || at->is_default) return true;
  c->compared = true;
  if (at->far_node || at->nodes == 0 || (at->nodes & ~c->nodes) != 0)
    c->differs = nodes_text(at->nodes);
  return c->differs.empty();
}

}  // namespace

void check_ranges(int pid, const StatsPage& page, KernelCheck* check) {
  const uint64_t told = std::min<uint64_t>(value(page.ranges_told), kStatsRanges);
  Policies kernel;
  if (told == 0 || os::visit_policies_of(pid, collect, &kernel) < 0) return;
  for (uint64_t i = 0; i < told; ++i) {
    const RangeRecord& range = page.ranges[i];
    Comparison c{&kernel, value(range.nodes), false, {}};
    const uint64_t base = value(range.base);
    if (os::visit_mappings_of(pid, base, base + value(range.bytes), compare, &c) < 0) return;
    if (c.compared) ++check->ranges;
    if (c.differs.empty()) continue;
    check->unsettled.push_back("range " + std::to_string(i) + " asks for node " +
                               nodes_text(c.nodes) + ", the kernel's policy there is for node " +
                               c.differs);
  }
}

}  // namespace hms
