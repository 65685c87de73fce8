// See estimator.h.
#include "runtime/tiering/estimator.h"

#include <algorithm>
#include <cmath>

namespace hms::tiering {
namespace {

constexpr uint32_t kIdsPerUnit = kUnitBytes / kPartBytesMin;
// Of what a part knows when its unit is split: a guess from its unit, soon outweighed.
constexpr double kInherited = 0.1;
// A change below a factor of two is left to the averages.
constexpr double kChange = 2;
// Spreads beyond are taken for these: 1e-4 is "all alike".
constexpr double kSpreadMin = 1e-4, kSpreadMax = 1e3;
constexpr double kEnoughEvents = 30;

uint32_t end_of(UnitId id, uint32_t bytes) {
  return id + std::max<uint32_t>(bytes / kPartBytesMin, 1);
}

// False while the short average is only the echo of a burst that is over.
bool goes_on(double latest, double quick, double slow) {
  return quick < slow || latest > quick / kChange;
}

}  // namespace

// How much the densities of members differ around their groups' means, beyond what chance makes.
struct Estimator::Spread {
  double squares = 0, noise = 0, scale = 0;
  // Of the group that is being added.
  double n = 0, n_squared = 0, members = 0, chance = 0, off_squares = 0;

  void add(const Average& member, double mean) {
    double off = member.density() - mean;
    n += member.watched;
    n_squared += member.watched * member.watched;
    off_squares += member.watched * off * off;
    chance += 1 / member.worth();
    ++members;
  }
  void close(double mean) {
    if (members > 1 && n > 0) {
      squares += off_squares;
      noise += mean * chance * (members - 1) / members;
      scale += mean * mean * (n - n_squared / n);
    }
    n = n_squared = members = chance = off_squares = 0;
  }
  double value() const { return std::clamp((squares - noise) / scale, kSpreadMin, kSpreadMax); }
};

void Estimator::step(double now, const std::vector<UnitView>& units,
                     const std::vector<Reading>& readings) {
  double passed = last_ < 0 ? 0 : std::max(now - last_, 0.0);
  last_ = now;
  // What is believed now began when it was first seen.
  changed_ = now - passed * options_.contradicting;
  quick_keep_ = std::exp(-passed / options_.short_s);
  slow_keep_ = std::exp(-passed / options_.long_s);
  align(now, units);
  add(units, readings);
  group(units);
  follow_classes();
  follow_units();
  measure_spreads();
  shrink();
}

// Carries what is known to the units as they are listed now. A part takes its share of what its
// unit had, a unit made whole the sum of its parts.
void Estimator::align(double now, const std::vector<UnitView>& units) {
  next_.clear();
  next_.reserve(units.size());
  size_t old = 0;
  for (const UnitView& unit : units) {
    State state{unit.id, unit.bytes, unit.class_id, false, 0, now, 0, {}, {}};
    uint32_t end = end_of(unit.id, unit.bytes);
    while (old < states_.size() && end_of(states_[old].id, states_[old].bytes) <= unit.id) ++old;
    for (size_t i = old; i < states_.size() && states_[i].id < end; ++i) {
      const State& was = states_[i];
      if (was.class_id != unit.class_id) continue;
      uint32_t was_end = end_of(was.id, was.bytes);
      bool smaller = unit.bytes < was.bytes;
      double overlap = std::min(end, was_end) - std::max(unit.id, was.id);
      double share = smaller ? overlap / (was_end - was.id) * kInherited : 1;
      state.seen |= was.seen;
      state.since = std::min(state.since, was.since);
      state.run = unit.bytes == was.bytes ? was.run : int8_t{0};
      state.quick.add_all(was.quick, share);
      state.slow.add_all(was.slow, share);
    }
    state.latest = state.quick.density();  // unless it is looked at
    state.quick.keep(quick_keep_);
    state.slow.keep(slow_keep_);
    next_.push_back(state);
  }
  states_.swap(next_);
}

void Estimator::add(const std::vector<UnitView>& units, const std::vector<Reading>& readings) {
  auto add_one = [&](size_t at, const Reading& reading) {
    State& state = states_[at];
    double watched = reading.exposure * units[at].committed;
    state.seen |= reading.events > 0;
    if (watched > 0) state.latest = reading.events / watched;
    state.quick.add(reading.events, watched);
    state.slow.add(reading.events, watched);
  };
  size_t hint = 0;  // samplers that go through the list answer in its order
  for (const Reading& reading : readings) {
    if (!(reading.exposure > 0) || !(reading.events >= 0)) continue;
    if (hint >= states_.size() || states_[hint].id != reading.unit) {
      auto found = std::lower_bound(states_.begin(), states_.end(), reading.unit,
                                    [](const State& state, UnitId id) { return state.id < id; });
      if (found == states_.end() || found->id != reading.unit) continue;
      hint = static_cast<size_t>(found - states_.begin());
    }
    add_one(hint++, reading);
  }
}

void Estimator::group(const std::vector<UnitView>& units) {
  groups_.clear();
  class_quick_.fill({});
  class_slow_.fill({});
  class_events_.fill(0);
  class_latest_.fill(0);
  for (ClassHeat& heat : classes_) heat.bytes = 0;
  for (size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    ClassId of = state.class_id;
    bool same = !groups_.empty() && groups_.back().class_id == of &&
                states_[groups_.back().begin].id / kIdsPerUnit == state.id / kIdsPerUnit;
    if (!same) groups_.push_back(Group{i, i, of, {}, {}, 0});
    Group& in = groups_.back();
    in.end = i + 1;
    double bytes = units[i].committed;
    in.latest += state.latest * bytes;
    class_latest_[of] += state.latest * bytes;
    in.quick.add(state.quick, bytes);
    in.slow.add(state.slow, bytes);
    class_quick_[of].add(state.quick, bytes);
    class_slow_[of].add(state.slow, bytes);
    classes_[of].bytes += bytes;
    class_events_[of] += state.slow.events * state.slow.worth();
  }
}

// The likelihood ratio of two Poisson rates against one: of what the short average holds, and of
// what the long one holds beyond that. It is right for few events, too, where a test by standard
// deviations is not.
bool Estimator::contradicts(const Average& quick, const Average& slow) const {
  double before = std::max(slow.watched - quick.watched, 0.0);
  if (quick.watched <= 0 || before <= 0) return false;
  double events = std::max(slow.events - quick.events, 0.0);
  double rate = quick.events / quick.watched, rate_before = events / before;
  if (rate < kChange * rate_before && rate_before < kChange * rate) return false;
  double common = (quick.events + events) / (quick.watched + before);
  auto term = [&](double count, double watched) {
    return count > 0 ? count * std::log(count / (watched * common)) : 0;
  };
  double ratio = 2 * quick.worth() * (term(quick.events, quick.watched) + term(events, before));
  return ratio > options_.contradiction * options_.contradiction;
}

// Of sums of many, the normal law is good enough.
bool Estimator::contradicts(const Mean& quick, const Mean& slow) const {
  if (quick.rate < kChange * slow.rate && slow.rate < kChange * quick.rate) return false;
  double off = quick.rate - slow.rate;
  return off * off >
         options_.contradiction * options_.contradiction * (quick.variance + slow.variance);
}

// What a class does, its units do: when its rate changes, theirs are taken to change alike until
// they show otherwise.
void Estimator::follow_classes() {
  std::array<double, 256> factor;
  factor.fill(1);
  bool any = false;
  for (size_t c = 0; c < factor.size(); ++c) {
    int8_t& run = class_run_[c];
    if (!contradicts(class_quick_[c], class_slow_[c])) {
      run = 0;
      continue;
    }
    run = static_cast<int8_t>(run +
                              goes_on(class_latest_[c], class_quick_[c].rate, class_slow_[c].rate));
    if (run < static_cast<int>(options_.contradicting)) continue;
    run = 0;
    factor[c] = std::clamp((class_quick_[c].rate + 1e-300) / (class_slow_[c].rate + 1e-300),
                           1.0 / 64, 64.0);
    any = true;
  }
  if (!any) return;
  for (State& state : states_) {
    if (factor[state.class_id] == 1) continue;
    state.slow.events *= factor[state.class_id];
    state.since = changed_;
  }
  auto scale = [](Mean* mean, double by) {
    mean->rate *= by;
    mean->variance *= by;
  };
  for (Group& in : groups_) scale(&in.slow, factor[in.class_id]);
  for (size_t c = 0; c < factor.size(); ++c) scale(&class_slow_[c], factor[c]);
}

void Estimator::start_anew(State* state) const {
  state->slow = state->quick;
  state->run = 0;
  state->since = changed_;
}

// A change of a whole unit is seen before that of each part. True if it was one.
bool Estimator::follow_whole_unit(const Group& in) {
  if (in.end - in.begin == 1 || !contradicts(in.quick, in.slow)) return false;
  // The first part keeps the count.
  int8_t& run = states_[in.begin].run;
  run = static_cast<int8_t>(run + goes_on(in.latest, in.quick.rate, in.slow.rate));
  if (run < static_cast<int>(options_.contradicting)) return true;
  for (size_t i = in.begin; i < in.end; ++i) start_anew(&states_[i]);
  return true;
}

void Estimator::follow_units() {
  for (const Group& in : groups_) {
    bool whole = follow_whole_unit(in);
    for (size_t i = in.begin + (whole ? 1 : 0); i < in.end; ++i) {
      State& state = states_[i];
      if (!contradicts(state.quick, state.slow))
        state.run = 0;
      else
        state.run = static_cast<int8_t>(
            state.run + goes_on(state.latest, state.quick.density(), state.slow.density()));
      if (state.run >= static_cast<int>(options_.contradicting)) start_anew(&state);
    }
  }
}

void Estimator::measure_spreads() {
  std::array<Spread, 256> units{}, parts{};
  for (const Group& in : groups_) {
    Average whole;
    for (size_t i = in.begin; i < in.end; ++i) {
      const Average& slow = states_[i].slow;
      whole.add_all(slow);
      if (in.end - in.begin > 1) parts[in.class_id].add(slow, in.slow.density());
    }
    parts[in.class_id].close(in.slow.density());
    units[in.class_id].add(whole, class_slow_[in.class_id].density());
  }
  rate_ = quick_rate_ = 0;
  for (size_t c = 0; c < classes_.size(); ++c) {
    ClassHeat& heat = classes_[c];
    heat.density = class_slow_[c].density();
    heat.rate = heat.density * heat.bytes;  // units that nobody watched are taken for average
    heat.events = class_events_[c];
    rate_ += heat.rate;
    quick_rate_ += class_quick_[c].density() * heat.bytes;
    units[c].close(heat.density);
    heat.parts_known = parts[c].scale > 0;
    if (heat.events < kEnoughEvents) continue;
    if (units[c].scale > 0) heat.unit_spread = units[c].value();
    if (heat.parts_known) heat.part_spread = parts[c].value();
  }
}

void Estimator::shrink() {
  // A gamma distribution with this mean and spread, and what was counted.
  auto weigh = [](double density, const Average& own, double mean, double spread, UnitHeat* out) {
    double count = own.watched * own.worth();
    double prior = mean > 0 ? 1 / (spread * mean) : 0;
    out->confidence = prior + count > 0 ? count / (prior + count) : 0;
    out->density = out->confidence * density + (1 - out->confidence) * mean;
  };
  heats_.resize(states_.size());
  for (const Group& in : groups_) {
    const ClassHeat& heat = classes_[in.class_id];
    Average whole;
    for (size_t i = in.begin; i < in.end; ++i) whole.add_all(states_[i].slow);
    UnitHeat unit;
    weigh(in.slow.density(), whole, heat.density, heat.unit_spread, &unit);
    for (size_t i = in.begin; i < in.end; ++i) {
      const State& state = states_[i];
      UnitHeat& out = heats_[i] = unit;
      if (in.end - in.begin > 1)
        weigh(state.slow.density(), state.slow, unit.density, heat.part_spread, &out);
      out.quick = state.quick.density();
      out.since = state.since;
      out.seen = state.seen;
    }
  }
}

}  // namespace hms::tiering
