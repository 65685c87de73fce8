// See memories.h.
#include "allocator/entry/memories.h"

#include <stdlib.h>

#include "allocator/routing/sources.h"
#include "runtime/topology/topology.h"

namespace hms::entry {
namespace {

using tiering::Sides;

Result<Sides> sides(const std::string& first, bool one_is_enough) {
  const std::string named = environment("HMS_NEAR_FAR");
  Status meant = tiering::check_words(named);
  if (!meant.ok()) return Status(meant.code(), "HMS_NEAR_FAR: " + meant.message());
  const std::string source = routing::topology_source(routing::read_configuration().tiers);
  auto topology = topology::Topology::load(source);
  if (!topology.ok()) return topology.status();
  const std::string words = tiering::words_that_choose(first, named);
  Result<Sides> two = tiering::choose_sides(words, *topology.value(), source);
  if (two.ok() || !one_is_enough || two.status().code() != HMS_ENODEV) return two;
  Result<Placement> one = parse_placement("bandwidth", topology.value().get());
  if (!one.ok()) return one.status();
  const TargetRef& only = one.value().legs.front().target;
  return Sides{only, only};
}

}  // namespace

std::string environment(const char* name) {
  const char* text = secure_getenv(name);
  return text != nullptr ? text : "";
}

Result<Sides> near_and_far(const std::string& words) { return sides(words, false); }
Result<Sides> near_and_far_or_one() { return sides("", true); }

}  // namespace hms::entry
