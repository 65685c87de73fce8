// Placement: an ordered list of targets plus how to spread over them. What rules, traits and
// queries resolve to, and what the allocator and hbind act on. Parsing is pure; resolving needs a
// topology.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/topology/topology.h"

namespace hms {

// What the allocator must know of a target; a copy, so that it outlives any topology snapshot.
struct TargetRef {
  std::string key;  // stable key; "default" / "local" for kernel-chosen memory
  int node = -1;    // -1: kernel-chosen
  bool emulated = false;
  uint64_t capacity = UINT64_MAX;  // emulated targets: bytes it may hold; else no limit of ours
};

struct Leg {
  TargetRef target;
  uint32_t weight = 1;  // pages (interleave) or bytes (ratio) relative to the other legs
};

enum class Spread {
  kOrdered,     // first leg with room
  kInterleave,  // page stripes in proportion to the weights
  kRatio,       // bytes allocated in proportion to the weights
  kUnits,       // two legs, near and far: each unit of 2 MiB on one of them, as tiering decides
};

struct Placement {
  std::vector<Leg> legs;  // never empty
  Spread spread = Spread::kOrdered;
  bool strict = false;  // NULL/ENOMEM rather than memory outside the list
  bool huge = false;    // the kernel is asked for huge pages
  std::string spec;     // as written, for reports
  // Placements that differ in this alone share no memory: whose blocks carry a record of their own
  // (OpenMP allocators) can tell them from plain ones by the address.
  unsigned family = 0;
  bool is_default() const {
    return family == 0 && !huge && legs.size() == 1 && legs[0].target.key == "default";
  }
};

// The grammar (docs/rules.md): `default`, `local`, `bandwidth`, `latency`, `capacity`, `locality`,
// a tier name, `node:2`, `A>B`, `A*3+B*1`, `A:4,B:1`, each followed by `!` (strict), `@huge`
// (transparent huge pages) or both, if at all.
// `topology` may be null when only `default`, `local` and `node:N` occur. Errors name the offending
// word, say what was expected and list the names that exist.
Result<Placement> parse_placement(const std::string& spec, const topology::Topology* topology);

// True if the spec can only be resolved with a topology (names, attributes).
bool placement_needs_topology(const std::string& spec);

}  // namespace hms
