// How hot units are, estimated from what a sampler saw of them.
//
// Words: the density of a unit is its events per second and byte. Each unit keeps two decayed
// averages: the long one is exact and late, the short one early and noisy. The long one counts
// until the short one contradicts it for long enough to be no burst; then the unit starts anew from
// there.
//
// Few events say little of one unit but much of its class, so what a unit showed itself is weighed
// against what its neighbours showed: a part leans on its unit, a unit on its class, the less the
// more events it had and the more its neighbours differ (Gamma-Poisson shrinkage; both spreads are
// estimated by the method of moments from the same counts).
//
// No clock in here: time comes in. Equal input gives equal output.
#pragma once

#include <array>
#include <vector>

#include "runtime/tiering/heap.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

struct UnitHeat {
  double density = 0;     // events per second and committed byte
  double confidence = 0;  // 0 to 1: the share of `density` that is the unit's own evidence
  double since = 0;       // time from which on it behaves like this
  double quick = 0;       // events per second and byte in the short average, as observed
  bool seen = false;      // had an event, ever
};

struct ClassHeat {
  double rate = 0;           // events per second
  double density = 0;        // per byte, of all its units
  double events = 0;         // that the estimate rests on
  double bytes = 0;          // committed
  double unit_spread = 1;    // variance of density among units over its mean squared
  double part_spread = 1;    // the same among the parts within a unit, where some were split
  bool parts_known = false;  // part_spread is measured
};

struct EstimatorOptions {
  double short_s = 0.5, long_s = 20;
  double contradiction = 4;    // standard deviations between short and long average
  unsigned contradicting = 3;  // steps in a row
};

class Estimator {
 public:
  explicit Estimator(const EstimatorOptions& options = {}) : options_(options) {}

  // units: ascending by id, as the heap lists them. readings: at most one a unit, of what happened
  // since the last step; a unit without one was not watched.
  void step(double now, const std::vector<UnitView>& units, const std::vector<Reading>& readings);

  // By position in the `units` of the last step.
  const std::vector<UnitHeat>& units() const { return heats_; }
  const ClassHeat& of_class(ClassId id) const { return classes_[id]; }
  // Of everything, events per second.
  double rate() const { return rate_; }
  double quick_rate() const { return quick_rate_; }

 private:
  // Decayed sums.
  struct Average {
    double events = 0;
    double watched = 0;          // byte-seconds, each weighing w
    double watched_squared = 0;  // the same, each weighing w squared: the variance of `events` is
                                 // that times the density
    void add(double count, double byte_seconds) {
      events += count;
      watched += byte_seconds;
      watched_squared += byte_seconds;
    }
    void add_all(const Average& other, double share = 1) {
      events += other.events * share;
      watched += other.watched * share;
      watched_squared += other.watched_squared * share;
    }
    void keep(double share) {
      events *= share;
      watched *= share;
      watched_squared *= share * share;
    }
    double density() const { return watched > 0 ? events / watched : 0; }
    // So many times as good as a plain count of as many events.
    double worth() const { return watched_squared > 0 ? watched / watched_squared : 1; }
    // Of `density`. Half an event is added, or nothing seen would be certain.
    double variance() const {
      return watched > 0 ? (events + 0.5) / worth() / (watched * watched) : 0;
    }
  };
  struct State {
    UnitId id;
    uint32_t bytes;
    ClassId class_id;
    bool seen;
    int8_t run;  // steps for which the short average has been above (or, negative, below) the long
    double since;
    double latest;  // density in the last step
    Average quick, slow;
  };
  // The mean density of units or parts, by bytes, and what it is worth.
  struct Mean {
    double rate = 0, variance = 0, bytes = 0;  // of the rate
    void add(const Average& average, double of_bytes) {
      if (average.watched <= 0) return;
      rate += average.density() * of_bytes;
      variance += average.variance() * of_bytes * of_bytes;
      bytes += of_bytes;
    }
    double density() const { return bytes > 0 ? rate / bytes : 0; }
  };
  // A unit: itself, or its parts.
  struct Group {
    size_t begin, end;  // positions
    ClassId class_id;
    Mean quick, slow;
    double latest = 0;  // rate in the last step
  };
  struct Spread;

  void align(double now, const std::vector<UnitView>& units);
  void add(const std::vector<UnitView>& units, const std::vector<Reading>& readings);
  void group(const std::vector<UnitView>& units);
  void follow_classes();
  void follow_units();
  bool follow_whole_unit(const Group& in);
  void start_anew(State* state) const;
  bool contradicts(const Average& quick, const Average& slow) const;
  bool contradicts(const Mean& quick, const Mean& slow) const;
  void measure_spreads();
  void shrink();

  EstimatorOptions options_;
  double last_ = -1, changed_ = 0, quick_keep_ = 0, slow_keep_ = 0;
  double rate_ = 0, quick_rate_ = 0;
  std::vector<State> states_, next_;
  std::vector<Group> groups_;
  std::vector<UnitHeat> heats_;
  std::array<Mean, 256> class_quick_{}, class_slow_{};
  std::array<double, 256> class_latest_{}, class_events_{};
  std::array<int8_t, 256> class_run_{};
  std::array<ClassHeat, 256> classes_{};
};

}  // namespace hms::tiering
