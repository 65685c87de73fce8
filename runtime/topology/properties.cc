// Names of the model's words, and arithmetic over properties.
#include "runtime/topology/properties.h"

#include <algorithm>
#include <tuple>

#include "runtime/topology/topology.h"

namespace hms::topology {
namespace {

std::tuple<int, double> order_of(const std::optional<Sourced>& s) {
  return s ? std::make_tuple(1 + static_cast<int>(s->from), s->value) : std::make_tuple(0, 0.0);
}

auto order_of(const Properties& p) {
  return std::make_tuple(order_of(p.bandwidth), order_of(p.latency), order_of(p.distance),
                         p.granularity, p.capabilities);
}

void take(std::optional<Sourced>* base, const std::optional<Sourced>& said) {
  if (said && (!*base || (*base)->from <= said->from)) *base = said;
}

}  // namespace

const char* to_string(Provenance p) {
  static const char* const kNames[] = {"assumed", "slit", "pci-link", "driver",
                                       "hwloc",   "hmat", "declared", "measured"};
  return kNames[static_cast<int>(p)];
}

const char* to_string(TargetKind k) {
  static const char* const kNames[] = {"dram", "hbm", "cxl", "pmem", "device", "unknown"};
  return kNames[static_cast<int>(k)];
}

const char* to_string(InitiatorKind k) {
  static const char* const kNames[] = {"cpu", "gpu", "nic", "generic"};
  return kNames[static_cast<int>(k)];
}

bool operator<(const Properties& a, const Properties& b) { return order_of(a) < order_of(b); }

void merge(Properties* base, const Properties& said) {
  take(&base->bandwidth, said.bandwidth);
  take(&base->latency, said.latency);
  take(&base->distance, said.distance);
  base->granularity = std::max(base->granularity, said.granularity);
  base->capabilities &= said.capabilities;
}

void chain(Properties* base, const Properties& next) {
  if (next.bandwidth) {
    auto& b = base->bandwidth;
    Provenance least = b ? std::min(b->from, next.bandwidth->from) : next.bandwidth->from;
    double value = b ? std::min(b->value, next.bandwidth->value) : next.bandwidth->value;
    b = Sourced{value, least};
  }
  if (base->latency && next.latency) {
    base->latency->value += next.latency->value;
    base->latency->from = std::min(base->latency->from, next.latency->from);
  } else {
    base->latency.reset();
  }
  // Distances are statements about two ends; they do not add up along a path.
  base->distance.reset();
  base->granularity = std::max(base->granularity, next.granularity);
  base->capabilities &= next.capabilities;
}

}  // namespace hms::topology
