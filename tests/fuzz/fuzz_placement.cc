// Placements: parsed without a topology, or refused with a message.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/placement/placement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string spec(reinterpret_cast<const char*>(data), size);
  (void)hms::placement_needs_topology(spec);
  auto placement = hms::parse_placement(spec, nullptr);
  if (!placement.ok() && placement.status().message().empty()) __builtin_trap();
  if (placement.ok() && placement.value().legs.empty()) __builtin_trap();
  return 0;
}
