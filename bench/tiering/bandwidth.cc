// See bandwidth.h.
#include "bench/tiering/bandwidth.h"

#include <algorithm>
#include <cstring>

#include "bench/tiering/layout.h"
#include "bench/tiering/policies.h"

namespace hms::bench::tiering {
namespace {

// hits: by judged epoch.
double time_of(const Trace& trace, const std::vector<double>& hits,
               const engine::WeaveWords& weights) {
  const size_t last = hits.size() / 2;
  double time = 0, best = 0;
  for (size_t i = last; i < hits.size(); ++i) {
    const size_t epoch = trace.warm_epochs + i;
    double accesses = 0;
    for (uint64_t at = epoch ? trace.epochs[epoch - 1].heat_end : 0;
         at < trace.epochs[epoch].heat_end; ++at)
      accesses += double(trace.heat[at].reads) + trace.heat[at].writes;
    time += accesses * std::max(hits[i] / weights.near, (1 - hits[i]) / weights.far);
    best += accesses / (weights.near + weights.far);
  }
  return best > 0 ? time / best : 0;
}

std::vector<double> first_touch(const Trace& trace, const SteerOptions& options) {
  const Layout layout = recorded_layout(trace, kPage);
  for (auto& policy : baselines(trace, layout, options.heap.near_bytes)) {
    if (strcmp(policy->name(), "first-touch") == 0)
      return replay(trace, layout, options.heap.near_bytes, options.rate, policy.get()).by_epoch;
  }
  return {};
}

}  // namespace

BoundTimes bound_times(const Trace& trace, const SteerOptions& options,
                       const engine::WeaveWords& weights) {
  BoundTimes out;
  out.first_touch = time_of(trace, first_touch(trace, options), weights);
  const Steered plain = steer(trace, options);
  out.engine = time_of(trace, plain.by_epoch, weights);
  out.engine_hits = plain.hits;
  out.engine_moved = plain.promoted + plain.demoted;
  SteerOptions weaving = options;
  weaving.engine.weave = engine::weave_options(weights, {});
  const Steered woven = steer(trace, weaving);
  out.woven = time_of(trace, woven.by_epoch, weights);
  out.woven_hits = woven.hits;
  out.woven_moved = woven.promoted + woven.demoted;
  return out;
}

}  // namespace hms::bench::tiering
