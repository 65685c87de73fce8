// Memory spaces: which targets each name stands for on this machine.
//
//   default    kernel-chosen memory (first touch); its resources are the memories next to CPUs
//   const      the same: a host has no memory that is only good for constants
//   high_bw    the targets whose bandwidth from their nearest CPUs is within 10 % of the best
//   low_lat    likewise by latency
//   large_cap  the largest targets (within 10 %); of several, those that low_lat does not have
//
// On a machine whose targets do not differ, every space is the default one. HMS_OMP_SPACES and the
// API replace these definitions and add spaces. Spaces live until the process ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "openmp/standard.h"
#include "runtime/placement/placement.h"
#include "runtime/support/result.h"

namespace hms::omp {

struct Space {
  Handle handle = kDefaultSpace;
  std::string name;                  // "high_bw", "scratch", or the specification
  std::vector<TargetRef> resources;  // best first; empty only when no topology could be had
  bool kernel_chosen = true;         // requests without a partition go where the kernel likes
  bool interleaved = false;          // the definition itself is an interleave with these weights
  std::vector<uint32_t> weights;
};

// The space of a handle, in any header's numbering; null if there is none. Discovers the machine
// when a space other than the default one is asked for first.
const Space* find_space(Handle handle);
const Space& default_space();
// A space by name ("large_cap", "omp_large_cap_mem_space", a name of HMS_OMP_SPACES) or by a
// placement specification ("node:3>node:0"). Equal specifications give one space.
Result<const Space*> space_named(const std::string& name);
// True for the predefined names, in every spelling.
bool predefined_space(const std::string& name, Handle* out);
// The space of some resources of another one, in the order given; null if an index is out of range
// or the space has no resources. All of them in order are the space itself.
const Space* subspace(const Space& space, const int* indices, int count);
// Defines NAME=SPEC; replaces a predefined space before its first use. Errors name what is wrong.
Status define_space(const std::string& name, const std::string& spec);
// The names and what they resolved to, one line each, for OMP_DISPLAY_ENV.
std::vector<std::string> describe_spaces();

// The description of the machine that spaces refer to; null if none could be had (said once).
std::shared_ptr<const topology::Topology> machine();

// The resources as seen from the CPUs of a node: nearest first.
std::vector<size_t> nearest_order(const Space& space, int node);

// For tests: forgets everything, so that a new HMS_TOPOLOGY or HMS_OMP_SPACES counts.
void forget_spaces();

}  // namespace hms::omp
