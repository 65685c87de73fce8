// See recorder.h.
#include "runtime/tiering/recorder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace hms::tiering {
namespace {

constexpr size_t kClasses = 256;

uint64_t rounded(double value) {
  if (!(value > 0)) return 0;
  return value >= 1.8e19 ? UINT64_MAX : static_cast<uint64_t>(std::round(value));
}

// What a few samples were watched for rounds to nothing only if nothing was watched.
uint64_t rounded_up(double value) { return value > 0 ? std::max<uint64_t>(rounded(value), 1) : 0; }

// The objects of this process that a profile needs, each once.
class ObjectNames {
 public:
  ObjectNames(const CodeObjects& objects, Profile* out)
      : objects_(objects), out_(out), known_(objects.size(), kUnknown) {}

  KeyFrame named(const KeyFrame& frame) {
    if (frame.object >= known_.size()) return {};
    uint32_t& index = known_[frame.object];
    if (index == kUnknown) index = add(objects_.at(frame.object));
    return index == kGeneratedCode ? KeyFrame() : KeyFrame{index, frame.offset};
  }

 private:
  static constexpr uint32_t kUnknown = kGeneratedCode - 1;

  uint32_t add(CodeObject object) {
    if (object.id.empty()) return kGeneratedCode;
    const auto added = ids_.emplace(object.id, static_cast<uint32_t>(out_->objects.size()));
    if (added.second) out_->objects.push_back(std::move(object));
    return added.first->second;
  }

  const CodeObjects& objects_;
  Profile* out_;
  std::vector<uint32_t> known_;  // by index in the process
  std::map<std::string, uint32_t> ids_;
};

}  // namespace

void Recorder::look_at_classes(std::vector<ClassStep>* steps) {
  heap_.units(&units_);
  heap_.classes(&classes_);
  readings_.clear();
  sampler_.collect(units_, &readings_);
  for (const ClassView& c : classes_) (*steps)[c.id].live = static_cast<double>(c.live);
  auto before = [](const UnitView& unit, UnitId id) { return unit.id < id; };
  for (const Reading& reading : readings_) {
    auto unit = std::lower_bound(units_.begin(), units_.end(), reading.unit, before);
    if (unit == units_.end() || unit->id != reading.unit) continue;
    ClassStep& step = (*steps)[unit->class_id];
    step.samples += reading.events;
    step.watched += reading.exposure * unit->committed;
  }
}

Recorder::Sum& Recorder::sum_of(ContextId id) {
  if (id >= sums_.size()) sums_.resize(id + size_t{1});
  return sums_[id];
}

void Recorder::disown(const std::vector<ContextView>& others) {
  for (const ContextView& c : others) {
    sum_of(c.id).other_allocations = c.allocations;
    sum_of(c.id).other_bytes = c.allocated;
  }
}

void Recorder::step(double now) {
  std::vector<ClassStep> steps(kClasses);
  look_at_classes(&steps);
  heap_.contexts(&contexts_);
  for (const ContextView& c : contexts_) {
    steps[c.class_id].allocated += static_cast<double>(c.allocated);
  }
  const double seconds = last_ < 0 ? 0 : now - last_;
  for (const ContextView& c : contexts_) {
    Sum& sum = sum_of(c.id);
    sum.allocations = c.allocations - sum.other_allocations;
    sum.bytes = c.allocated - sum.other_bytes;
    const ClassStep& step = steps[c.class_id];
    if (step.allocated <= 0) continue;
    const double share = static_cast<double>(c.allocated) / step.allocated;
    sum.peak = std::max(sum.peak, share * step.live);
    sum.byte_seconds += share * step.live * seconds;
    sum.samples += share * step.samples;
    sum.watched += share * step.watched;
  }
  if (first_ < 0) first_ = now;
  last_ = now;
}

// An allocation by libhms itself, such as what its copy of libstdc++ takes at the start.
bool Recorder::is_own(ContextId id) const {
  StableKey key;
  if (!keys_.key_of(id, &key) || key.count == 0) return false;
  const uint32_t object = key.frames[0].object;
  return object != kGeneratedCode && object == own_object_;
}

ContextProfile Recorder::counts_of(ContextId id) const {
  const Sum& sum = sums_[id];
  ContextProfile out;
  out.allocations = sum.allocations;
  out.bytes = sum.bytes;
  out.peak = rounded(sum.peak);
  out.byte_seconds = rounded_up(sum.byte_seconds);
  out.watched = rounded_up(sum.watched);
  if (sum.samples <= 0 || sum.watched <= 0) return out;
  // Less than one sample is still heat, of which little is known: the ratio stays.
  out.samples = std::max<uint64_t>(rounded(sum.samples), 1);
  out.watched = rounded_up(sum.watched * static_cast<double>(out.samples) / sum.samples);
  return out;
}

Profile Recorder::profile() const {
  Profile out;
  out.sampler = sampler_.name();
  out.sees_reads = sampler_.sight().reads;
  out.sees_writes = sampler_.sight().writes;
  out.milliseconds = rounded((last_ - first_) * 1000);
  ObjectNames names(keys_.objects(), &out);
  for (ContextId id = 0; id < sums_.size(); ++id) {
    if (is_own(id)) continue;
    // What a child of fork only inherited counts as soon as it is used.
    if (sums_[id].allocations == 0 && sums_[id].samples < 0.5) continue;
    ContextProfile context = counts_of(id);
    StableKey key;
    if (!keys_.key_of(id, &key) || key.count == 0) key.count = 1;  // nowhere: as generated code
    for (size_t i = 0; i < key.count; ++i) context.key.push_back(names.named(key.frames[i]));
    out.contexts.push_back(std::move(context));
  }
  join_same_keys(&out);
  return out;
}

}  // namespace hms::tiering
