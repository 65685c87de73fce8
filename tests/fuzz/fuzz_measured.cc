// Measurement files: parsed with every number in bounds, or refused with a message.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/topology/measured.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto parsed =
      hms::topology::parse_measurements(std::string(reinterpret_cast<const char*>(data), size));
  if (!parsed.ok()) {
    if (parsed.status().message().empty()) __builtin_trap();
    return 0;
  }
  for (const auto& m : parsed.value().pairs) {
    if (!(m.latency >= 0) || !(m.bandwidth >= 0)) __builtin_trap();
  }
  return 0;
}
