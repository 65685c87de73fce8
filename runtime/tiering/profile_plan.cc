// Ranking by believed heat, and finding places by key: see profile_plan.h.
#include "runtime/tiering/profile_plan.h"

#include <algorithm>
#include <numeric>

namespace hms::tiering {
namespace {

constexpr uint64_t kSlackShare = 16;

// Events and exposure: samples over what was watched, or bytes allocated over live bytes and time.
struct Evidence {
  double events;
  double exposure;
};

std::vector<Evidence> evidence_of(const Profile& profile) {
  const bool sampled = profile.total_samples() > 0;
  std::vector<Evidence> out;
  out.reserve(profile.contexts.size());
  for (const ContextProfile& c : profile.contexts) {
    if (sampled) {
      out.push_back({static_cast<double>(c.samples), static_cast<double>(c.watched)});
    } else {
      out.push_back({static_cast<double>(c.bytes), static_cast<double>(c.byte_seconds)});
    }
  }
  return out;
}

// Shares the first `depth` frames.
struct Prefix {
  const StableKey& key;
  size_t depth;

  // <0, 0, >0 as the first frames of a place sort before, with or after this.
  int against(const std::vector<KeyFrame>& place) const {
    for (size_t i = 0; i < depth; ++i) {
      if (i == place.size() || place[i] < key.frames[i]) return -1;
      if (key.frames[i] < place[i]) return 1;
    }
    return 0;
  }
};

}  // namespace

std::vector<double> believed_heat(const Profile& profile) {
  const std::vector<Evidence> evidence = evidence_of(profile);
  Evidence all = {0, 0};
  for (const Evidence& e : evidence) {
    all.events += e.events;
    all.exposure += e.exposure;
  }
  const double mean = all.exposure > 0 ? all.events / all.exposure : 0;
  const double prior = mean > 0 ? kPriorSamples / mean : 1;
  std::vector<double> out;
  out.reserve(evidence.size());
  for (const Evidence& e : evidence) {
    out.push_back((e.events + kPriorSamples) / (e.exposure + prior));
  }
  return out;
}

ProfilePlan::ProfilePlan(const Profile& profile, uint64_t near_bytes) {
  for (uint32_t i = 0; i < profile.objects.size(); ++i) {
    objects_.emplace_back(profile.objects[i].id, i);
  }
  std::sort(objects_.begin(), objects_.end());
  const std::vector<double> heat = believed_heat(profile);
  std::vector<size_t> order(heat.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&heat](size_t a, size_t b) { return heat[a] > heat[b]; });
  shares_.assign(heat.size(), 0);
  std::vector<Lean> leans(heat.size(), Lean::kFar);
  for (size_t i : order) {
    const ContextProfile& c = profile.contexts[i];
    const uint64_t room = near_bytes - near_peak_;
    if (room == 0) break;
    if (c.peak <= room) {
      leans[i] = Lean::kNear;
      shares_[i] = 1;
      near_peak_ += c.peak;
      continue;
    }
    // Those before it take a little more than their bytes.
    rest_bytes_ = room - std::min(room, near_peak_ / kSlackShare);
    if (rest_bytes_ > 0) leans[i] = Lean::kPart;
    shares_[i] = static_cast<double>(rest_bytes_) / static_cast<double>(c.peak);
    near_peak_ += rest_bytes_;
    break;
  }
  places_.reserve(heat.size());
  for (size_t i = 0; i < heat.size(); ++i) {
    places_.push_back({profile.contexts[i].key, leans[i]});
  }
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.key < b.key; });
}

uint32_t ProfilePlan::object_index(const std::string& id) const {
  auto at = std::lower_bound(objects_.begin(), objects_.end(), std::make_pair(id, uint32_t{0}));
  return at != objects_.end() && at->first == id ? at->second : kGeneratedCode;
}

Lean ProfilePlan::lean_of(const StableKey& key) const {
  for (size_t depth = key.count; depth > 0; --depth) {
    // Generated code is anybody's: a key that ends in it says no more than without.
    if (key.frames[depth - 1].object == kGeneratedCode) continue;
    const Prefix prefix = {key, depth};
    auto first = std::lower_bound(
        places_.begin(), places_.end(), prefix,
        [](const Place& place, const Prefix& p) { return p.against(place.key) < 0; });
    if (first == places_.end() || prefix.against(first->key) != 0) continue;
    const bool exact = depth == key.count && first->key.size() == depth;
    if (exact && depth > 1) return first->lean;
    // A return address by itself is what was seen of it before its callers were told apart: they
    // know better.
    const auto next = first + 1;
    if (exact && next != places_.end() && prefix.against(next->key) == 0) first = next;
    for (auto at = first; at != places_.end() && prefix.against(at->key) == 0; ++at) {
      if (at->lean != first->lean) return Lean::kMixed;
    }
    return first->lean;
  }
  return Lean::kUnknown;
}

}  // namespace hms::tiering
