// Which sampler this machine offers: all are tried, the best first. Why each did or did not open is
// kept, for `hms doctor` and `hms stat`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/tiering/sampler.h"

namespace hms::tiering {

struct Rung {
  std::string name;
  std::string sees;  // "reads and writes"
  Status status;     // ok: it opened
};

struct Choice {
  std::unique_ptr<Sampler> sampler;  // started; never null: the last rung is one that sees nothing
  std::vector<Rung> rungs;           // up to the one that opened
};

// Of one CPU, that looking may cost at full effort; samplers that the processor drives go by their
// periods instead.
inline constexpr double kSamplerShare = 0.01;

// The best one; or, if `only` names one, that one or none.
Choice open_best_sampler(const std::string& only = "", double cpu_share = kSamplerShare);
// Tries each and closes it again.
std::vector<Rung> try_samplers();
// "hardware, accessed-bits, ..."
std::string sampler_names();

}  // namespace hms::tiering
