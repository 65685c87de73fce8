// Fuzzes placements and sizes: with the names of a topology, and without.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/placement/placement.h"

namespace {

void check(const std::string& spec, const hms::topology::Topology* topology) {
  hms::Result<hms::Placement> placement = hms::parse_placement(spec, topology);
  if (!placement.ok()) {
    if (placement.status().message().empty()) abort();
    return;
  }
  if (placement.value().legs.empty()) abort();
  for (const hms::Leg& leg : placement.value().legs) {
    if (leg.weight == 0 || leg.target.key.empty()) abort();
  }
  // What can be read without a topology must be announced as such.
  if (topology == nullptr && hms::placement_needs_topology(spec)) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tiers = hms::topology::Topology::load("tiers:fast=64M,slow=1G");
  std::string text(reinterpret_cast<const char*>(data), size);
  check(text, nullptr);
  if (tiers.ok()) check(text, tiers.value().get());
  hms::Result<uint64_t> bytes = hms::parse_size(text);
  if (!bytes.ok() && bytes.status().message().empty()) abort();
  return 0;
}
