// What to do about heat: where classes are born, what moves, which units to look at closely.
//
// The value of a unit is what accesses would save per second if it were near; the room there is
// rationed by a price: the density at which everything hotter just fits. In this order:
//   1. lean: classes hotter than the price are born near, the others far. Costs nothing.
//      Classes that stream are woven over both instead (streams.h)
//   2. moves: the hottest far unit against the coldest near one, as long as the exchange pays for
//      both moves and the far one is hotter by the hysteresis. What moved stays for a while
//   3. looking: where parts of a unit differ, units are split, as far as the list stays bounded
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/tiering/estimator.h"
#include "runtime/tiering/heap.h"

namespace hms::tiering {

// Seconds that a profile is believed against what is seen: as long as what has moved stays.
inline constexpr double kBelieveProfile = 10;

struct PolicyOptions {
  double hysteresis = 1.5;  // a far unit must be so many times as hot as the near one it replaces
  double residency_s = 10;  // what moved does not move again for so long
  // So long after its start the policy only watches: a profile has decided where classes are born,
  // and what a program does while it builds its data says little about what it does with them.
  double believe_s = 0;
  double settle_s = 1;    // what behaves like this for less does not rise: a burst, a first touch
  double patience = 2;    // an exchange must be expected to gain so many times what it costs
  double horizon_s = 30;  // heat is never expected to last longer than that
  double gap_ns = 100;    // what an access to far memory costs more
  double move_ns = 2000;  // what moving 4 KiB costs
  double accesses_per_event = 1;
  uint64_t step_bytes = uint64_t{64} << 20;  // at most that moves in one step: bounds its duration
  size_t listed_max = 65536;                 // units and parts
};

// What the governors allow at the moment.
struct Leave {
  uint64_t tokens = 0;     // bytes that may move
  double hysteresis = 1;   // factor on the option
  bool moves = true;       // false: only lean
  bool reads_seen = true;  // false: the sampler sees writes only, so no event does not mean cold
};

class Streams;

struct View {
  const std::vector<UnitView>& units;
  const std::vector<ClassView>& classes;
  const Estimator& heat;
  Room room;
  double now;
  const Streams& streams;
};

struct Move {
  size_t unit;  // position in the list
  Side side;
};
struct LeanChange {
  ClassId id;
  Side side;
};
struct Split {
  UnitId unit;
  uint32_t bytes;
};
struct Plan {
  double price = 0;  // events per second and byte
  std::vector<LeanChange> leans;
  std::vector<Move> moves;    // in this order
  std::vector<Split> splits;  // of units that do not fit whole
};

// What has moved lately.
struct Residence {
  double since;
  Side side;
};

class Policy {
 public:
  explicit Policy(const PolicyOptions& options) : options_(options) {}

  Plan plan(const View& view, const Leave& leave);
  // The unit was moved at that time.
  void moved(UnitId unit, Side side, double now);
  // That move has paid: the unit is free to move again.
  void settled(UnitId unit) { residents_.erase(unit); }
  // True if the unit came to its side within the minimum residency, from the other.
  bool resident(UnitId unit, double now) const;
  const PolicyOptions& options() const { return options_; }
  PolicyOptions& options() { return options_; }

 private:
  double price_of(const View& view) const;
  void lean(const View& view, Plan* plan);
  struct Exchange {
    double hysteresis;
    uint64_t allowed;    // bytes that may still move
    int64_t free, keep;  // near bytes, and how many of them are for births
    size_t victim;       // the next that falls
  };
  void exchange(const View& view, const Leave& leave, Plan* plan);
  void rank(const View& view, const Leave& leave, double price);
  bool promote(const View& view, uint32_t at, Exchange* state, Plan* plan) const;
  void demote(const View& view, Exchange* state, Plan* plan) const;
  void spread(const View& view, Exchange* state, Plan* plan) const;
  double horizon(const View& view, size_t unit) const;
  bool may_rise(const View& view, size_t unit, double price) const;
  bool may_demote(const View& view, const Leave& leave, size_t unit) const;
  uint64_t headroom(const View& view);
  void forget(double now);

  PolicyOptions options_;
  std::vector<double> values_;              // of units in near memory, by position
  std::vector<uint32_t> rising_, falling_;  // positions
  std::unordered_map<UnitId, Residence> residents_;
  std::array<double, 256> births_{};  // bytes per second that classes grow by
  std::array<uint64_t, 256> live_{};
  double last_ = -1, first_ = -1;
};

}  // namespace hms::tiering
