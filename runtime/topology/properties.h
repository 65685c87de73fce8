// Numbers of the model and where they come from: what links, bridges and direct statements say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hms/hms.h"

namespace hms::topology {

using Id = uint32_t;  // session id: one counter over all object types, never reused; 0 is no object

// Where a number comes from, least trusted first.
enum class Provenance { kAssumed, kSlit, kPciLink, kDriver, kHwloc, kHmat, kDeclared, kMeasured };
const char* to_string(Provenance p);

// A number that knows where it comes from.
struct Sourced {
  double value = 0;
  Provenance from = Provenance::kAssumed;
};
inline bool operator==(const Sourced& a, const Sourced& b) {
  return a.value == b.value && a.from == b.from;
}

// Best case, one initiator alone. Bandwidth in bytes/s, latency in ns, granularity in bytes,
// distance in the unit of the ACPI SLIT (10: local). An absent number is not known.
struct Properties {
  std::optional<Sourced> bandwidth;
  std::optional<Sourced> latency;
  std::optional<Sourced> distance;
  uint64_t granularity = 64;
  // HMS_CAP_* that survive the way; all bits: the way restricts nothing beyond its target.
  uint32_t capabilities = UINT32_MAX;
};
inline bool operator==(const Properties& a, const Properties& b) {
  return a.bandwidth == b.bandwidth && a.latency == b.latency && a.distance == b.distance &&
         a.granularity == b.granularity && a.capabilities == b.capabilities;
}
inline bool operator!=(const Properties& a, const Properties& b) { return !(a == b); }
// Any total order, for sets and maps.
bool operator<(const Properties& a, const Properties& b);

// Takes each number of `said` that `base` lacks or has from a less trusted source.
void merge(Properties* base, const Properties& said);
// The cost of travelling `base`, then `next`: bandwidth min, latency sum, capabilities AND,
// granularity max. A sum with an unknown part is unknown; a minimum ignores it.
void chain(Properties* base, const Properties& next);

}  // namespace hms::topology
