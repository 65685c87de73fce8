// Adding runs and contexts up: see profile.h.
#include <algorithm>
#include <cmath>
#include <map>

#include "runtime/tiering/profile.h"

namespace hms::tiering {
namespace {

// Sums stay at the largest number rather than begin anew.
void add(uint64_t* sum, uint64_t value) {
  if (__builtin_add_overflow(*sum, value, sum)) *sum = UINT64_MAX;
}

void add_counts(const ContextProfile& from, ContextProfile* into) {
  add(&into->allocations, from.allocations);
  add(&into->bytes, from.bytes);
  add(&into->byte_seconds, from.byte_seconds);
  add(&into->samples, from.samples);
  add(&into->watched, from.watched);
}

// Samples over what was watched, of all contexts.
double mean_heat(const Profile& profile) {
  double samples = 0, watched = 0;
  for (const ContextProfile& c : profile.contexts) {
    samples += static_cast<double>(c.samples);
    watched += static_cast<double>(c.watched);
  }
  return watched > 0 ? samples / watched : 0;
}

// What one unit of `from` watches in units of `into`: with another sampler the same memory gives
// another number of samples. The number of samples stays, as it says how sure we are.
double watch_scale(const Profile& from, const Profile& into) {
  if (from.sampler == into.sampler) return 1;
  const double theirs = mean_heat(from), ours = mean_heat(into);
  return theirs > 0 && ours > 0 ? theirs / ours : 1;
}

uint64_t scaled(uint64_t value, double scale) {
  const double product = static_cast<double>(value) * scale;
  if (product >= static_cast<double>(UINT64_MAX)) return UINT64_MAX;
  const auto rounded = static_cast<uint64_t>(std::round(product));
  return value > 0 && rounded == 0 ? 1 : rounded;
}

// Index in `into` of each object of `from`; new ones are added while there is room.
std::vector<uint32_t> match_objects(const Profile& from, Profile* into) {
  std::map<std::string, uint32_t> known;
  for (uint32_t i = 0; i < into->objects.size(); ++i) known[into->objects[i].id] = i;
  std::vector<uint32_t> out;
  out.reserve(from.objects.size());
  for (const CodeObject& object : from.objects) {
    auto found = known.find(object.id);
    if (found == known.end() && into->objects.size() < kMaxProfileObjects) {
      found = known.emplace(object.id, static_cast<uint32_t>(into->objects.size())).first;
      into->objects.push_back(object);
    }
    out.push_back(found == known.end() ? kGeneratedCode : found->second);
  }
  return out;
}

}  // namespace

void merge_profile(const Profile& from, Profile* into) {
  const std::vector<uint32_t> objects = match_objects(from, into);
  const double scale = watch_scale(from, *into);
  if (into->total_samples() == 0 && from.total_samples() > 0) into->sampler = from.sampler;
  std::map<std::vector<KeyFrame>, size_t> known;
  for (size_t i = 0; i < into->contexts.size(); ++i) known[into->contexts[i].key] = i;
  for (ContextProfile c : from.contexts) {
    for (KeyFrame& frame : c.key) {
      if (frame.object != kGeneratedCode) frame.object = objects[frame.object];
      if (frame.object == kGeneratedCode) frame.offset = 0;
    }
    c.watched = scaled(c.watched, scale);
    auto found = known.find(c.key);
    if (found == known.end()) {
      if (into->contexts.size() == kMaxProfileContexts) continue;
      known[c.key] = into->contexts.size();
      into->contexts.push_back(std::move(c));
      continue;
    }
    ContextProfile& sum = into->contexts[found->second];
    add_counts(c, &sum);
    sum.peak = std::max(sum.peak, c.peak);
  }
  into->sees_reads = into->sees_reads || from.sees_reads;
  into->sees_writes = into->sees_writes || from.sees_writes;
  add(&into->runs, from.runs);
  add(&into->milliseconds, from.milliseconds);
}

void join_same_keys(Profile* profile) {
  std::vector<ContextProfile>& contexts = profile->contexts;
  std::sort(contexts.begin(), contexts.end(),
            [](const ContextProfile& a, const ContextProfile& b) { return a.key < b.key; });
  size_t kept = 0;
  for (size_t i = 0; i < contexts.size(); ++i) {
    if (kept > 0 && contexts[kept - 1].key == contexts[i].key) {
      add_counts(contexts[i], &contexts[kept - 1]);
      add(&contexts[kept - 1].peak, contexts[i].peak);
    } else {
      if (kept != i) contexts[kept] = std::move(contexts[i]);
      ++kept;
    }
  }
  contexts.resize(kept);
}

}  // namespace hms::tiering
