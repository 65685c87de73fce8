// Which two memories tiering divides the heap between, and the words that ask for it: `off`,
// `auto`, or `NEAR>FAR` with names of targets.
#pragma once

#include <string>

#include "runtime/placement/placement.h"
#include "runtime/support/result.h"
#include "runtime/tiering/weave.h"

namespace hms::tiering {

struct Sides {
  TargetRef near, far;
  Bandwidths bandwidths = {};  // measured, declared or told by the machine; not what is assumed
};

// Whether the words can be meant; names are not looked up.
Status check_words(const std::string& words);
// True for words that ask for nothing: none at all, and "off".
bool words_say_off(const std::string& words);
// Of two such words those that name memories, `first` before `second`; else "auto".
std::string words_that_choose(const std::string& first, const std::string& second);

// `words` must pass check_words() and not say off. `source`: what the topology was loaded from.
// With auto, of tiers ("tiers:SPEC") the first is near, else the target that the CPUs reach best;
// far is the largest of the others, of machines the largest of another kind: that of another socket
// is as good, for somebody. HMS_ENODEV: there is nothing to tier.
Result<Sides> choose_sides(const std::string& words, const topology::Topology& topology,
                           const std::string& source);

}  // namespace hms::tiering
