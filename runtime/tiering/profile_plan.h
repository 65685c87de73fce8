// What a profile says about where the allocations of a place should be born.
//
// The hottest bytes first, until near memory is full by what each place held at most. The place
// that does not fit any more has the rest, and no more than that, or it would keep out hotter ones
// that come later. Heat is believed as far as it was sampled: a place with few samples counts as
// nearly average. What the profile does not know, or no longer agrees about, is left to whoever
// decides without it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/tiering/profile.h"
#include "runtime/tiering/stable_key.h"

namespace hms::tiering {

enum class Lean : uint8_t {
  kUnknown,
  kNear,
  kFar,
  kPart,   // near, but no more than rest_bytes() of it
  kMixed,  // some of the places that share these frames are near, some far: more frames would tell
};

class ProfilePlan {
 public:
  // `near_bytes`: near memory that may be filled.
  ProfilePlan(const Profile& profile, uint64_t near_bytes);

  // Index in the profile of an object by its id; kGeneratedCode if the profile has none such.
  uint32_t object_index(const std::string& id) const;

  // `key` has objects as the profile counts them. The places that agree in most frames, from the
  // innermost out, decide.
  Lean lean_of(const StableKey& key) const;

  // Near memory that is left for the one place that does not fit. 0: there is none.
  uint64_t rest_bytes() const { return rest_bytes_; }

  // Were everything as the profile saw it: what near memory holds at most, and which share of a
  // context is there, by its place in the profile. Less than 1 where it does not fit.
  uint64_t near_peak() const { return near_peak_; }
  double near_share(size_t context) const { return shares_[context]; }

 private:
  struct Place {
    std::vector<KeyFrame> key;
    Lean lean;
  };
  std::vector<Place> places_;  // sorted by key
  std::vector<std::pair<std::string, uint32_t>> objects_;
  uint64_t near_peak_ = 0, rest_bytes_ = 0;
  std::vector<double> shares_;
};

// Heat of each context of a profile, drawn to the mean as if that had been sampled kPriorSamples
// times. Without a sampler: how often its bytes are renewed, as each allocation writes its bytes.
std::vector<double> believed_heat(const Profile& profile);
inline constexpr double kPriorSamples = 4;

}  // namespace hms::tiering
