// See foreseen.h.
#include "bench/tiering/foreseen.h"

#include <algorithm>
#include <vector>

#include "bench/tiering/layout.h"
#include "bench/tiering/lives.h"
#include "bench/tiering/policies.h"

namespace hms::bench::tiering {
namespace {

using hms::tiering::ContextProfile;
using hms::tiering::KeyFrame;
using hms::tiering::StableKey;

StableKey key_of(const Object& object) {
  StableKey key;
  key.count = 2;
  key.frames[0] = {0, object.site};
  key.frames[1] = {0, object.depth};
  return key;
}

// Counts what `hms record` would.
class Recorded {
 public:
  Recorded(const Trace& trace, const Recording& how)
      : trace_(trace), how_(how), context_of_(contexts_of(trace, true)), thin_(how.rate) {
    for (size_t i = 0; i < trace.objects.size(); ++i) {
      if (context_of_[i] >= contexts_.size()) contexts_.resize(context_of_[i] + 1);
      const StableKey key = key_of(trace.objects[i]);
      contexts_[context_of_[i]].key.assign(key.frames, key.frames + key.count);
      owners_.insert(owners_.end(), pieces_of(trace.objects[i]), context_of_[i]);
    }
    live_.resize(contexts_.size());
  }
  void allocate(size_t object) {
    const uint64_t bytes = size_class(trace_.objects[object].bytes);
    const uint32_t at = context_of_[object];
    ++contexts_[at].allocations;
    contexts_[at].bytes += bytes;
    live_[at] += bytes;
    contexts_[at].peak = std::max(contexts_[at].peak, live_[at]);
  }
  void release(size_t object) {
    live_[context_of_[object]] -= size_class(trace_.objects[object].bytes);
  }
  void access(const Heat& heat) {
    contexts_[owners_[heat.piece]].samples += thin_(heat.reads) + thin_(heat.writes);
  }
  void end_epoch() {
    for (size_t i = 0; i < contexts_.size(); ++i) {
      const auto passed = static_cast<uint64_t>(static_cast<double>(live_[i]) * how_.epoch_s);
      contexts_[i].byte_seconds += passed;
      contexts_[i].watched += passed;
    }
  }
  hms::tiering::Profile profile() && {
    hms::tiering::Profile out;
    out.sampler = "trace";
    out.sees_reads = out.sees_writes = true;
    out.objects.push_back({trace_.workload, trace_.workload});
    out.contexts = std::move(contexts_);
    return out;
  }

 private:
  const Trace& trace_;
  const Recording& how_;
  std::vector<uint32_t> context_of_;  // by object
  std::vector<uint32_t> owners_;      // by piece
  std::vector<ContextProfile> contexts_;
  std::vector<uint64_t> live_;  // bytes
  Thinner thin_;
};

}  // namespace

Foreseen foresee(const Trace& trace, const Recording& recording) {
  Recorded recorded(trace, recording);
  Lives lives(trace, recorded);
  uint64_t entry = 0;
  for (const Epoch& epoch : trace.epochs) {
    lives.until(epoch.end);
    for (; entry < epoch.heat_end; ++entry) recorded.access(trace.heat[entry]);
    recorded.end_epoch();
  }
  const hms::tiering::ProfilePlan plan(std::move(recorded).profile(), recording.near_bytes);
  Foreseen out;
  out.rest_bytes = plan.rest_bytes();
  for (const Object& object : trace.objects)
    out.leans[{object.site, object.depth}] = plan.lean_of(key_of(object));
  return out;
}

}  // namespace hms::bench::tiering
