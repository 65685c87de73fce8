// Which classes stream, and how much of each shall be near: what bandwidth limits, not latency.
//
// A class streams when it is large, of large objects, makes much of the traffic, and all of it is
// used alike: its units, and the parts of those that were looked into. That must last before it
// counts, and must be missing for longer before it no longer does. A class that is then woven
// (weave.h) has near what near memory's share of both bandwidths is, and less where more valuable
// data leaves less room: a byte that is prefetched is worth less there than one that is waited for.
//
// What cannot be told apart from a stream: random use of all of a class, none of it hotter. It
// loses nothing where there is less room than its share; where there is more, it is only woven if
// the traffic is such that near memory's bandwidth may be what limits it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/tiering/focus.h"
#include "runtime/tiering/policy.h"
#include "runtime/tiering/weave.h"

namespace hms::tiering {

struct WeaveChange {
  ClassId id;
  uint8_t share;  // of kWeaveCycle, or kNotWoven
};

class Streams {
 public:
  // Bytes that a class must have, and a mean object of it.
  static constexpr uint64_t kLeastBytes = 8 * kUnitBytes;
  static constexpr uint64_t kLeastObject = kPartBytesMin;
  // Seconds for which a class must have looked like one, and must have ceased to. Each time that it
  // turned out not to last, the next takes twice as long.
  static constexpr double kSettled = 5, kGone = 10;

  Streams() { shares_.fill(kNotWoven); }
  // bytes_per_event: Sight::bytes_per_event.
  Streams(const WeaveOptions& options, double bytes_per_event);

  // About once a second: which classes are woven otherwise from now on.
  std::vector<WeaveChange> judge(const View& view, const Focus& focus,
                                 const std::vector<ContextView>& contexts);

  // How many processors the program keeps busy. As long as nobody says it, none.
  void busy(double cpus) { busy_cpus_ = cpus; }

  // Of kWeaveCycle runs those that shall be near, or kNotWoven.
  uint8_t share(ClassId id) const { return shares_[id]; }
  bool woven(ClassId id) const { return shares_[id] != kNotWoven; }
  // Since when the unit behaves like this: of a woven class since that streams, as each of its
  // units is hot only while readers pass by.
  double since(const View& view, size_t unit) const {
    const ClassId id = view.units[unit].class_id;
    return woven(id) ? states_[id].like_since : view.heat.units()[unit].since;
  }
  // What a unit is worth in near memory, by which room is rationed: events per second and byte.
  // Below 0: it shall not be there.
  double value(const View& view, size_t unit) const;

 private:
  struct State {
    double like_since = -1;    // it has looked like a stream since, -1: it does not
    double unlike_since = -1;  // it is woven, and has not looked like one since
    double settle_s = kSettled;
    uint64_t allocated = 0;  // at like_since
  };
  bool looks_like(const View& view, const Focus& focus, ClassId id, bool already) const;
  bool enough_traffic(const View& view) const;
  bool streams(const View& view, const Focus& focus, const ClassView& of);
  void forget_classes(const std::vector<ClassView>& classes);
  void divide(const View& view, const std::vector<ClassId>& found,
              std::vector<WeaveChange>* changes);
  double class_value(const View& view, ClassId id) const;

  WeaveOptions options_;
  double bytes_per_event_ = 0, busy_cpus_ = 0;
  bool traffic_ = false;  // near memory's bandwidth is used as much as is asked for
  std::array<State, 256> states_{};
  std::array<uint8_t, 256> shares_{};
  std::array<double, 256> object_bytes_{};  // mean; 0: not known
};

}  // namespace hms::tiering
