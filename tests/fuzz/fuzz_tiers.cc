// Tier descriptions: any text is parsed or refused with a message, and what parses can be laid over
// a machine.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/topology/tiers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hms::topology;
  auto tiers = parse_tiers(std::string(reinterpret_cast<const char*>(data), size));
  if (!tiers.ok()) {
    if (tiers.status().message().empty()) __builtin_trap();
    return 0;
  }
  Builder builder("fuzz", "fuzz");
  Target node;
  node.key = "node:0";
  node.node = 0;
  node.bytes = 1 << 30;
  Id target = builder.add_target(node);
  Initiator cpu;
  cpu.key = "cpu:0";
  cpu.node = 0;
  builder.state(builder.add_initiator(cpu), target, {});
  if (!add_tiers(tiers.value(), &builder).ok()) return 0;
  auto topology = builder.build();
  auto found = topology->find({});
  if (!found.ok() || found.value().size() != topology->targets().size()) __builtin_trap();
  return 0;
}
