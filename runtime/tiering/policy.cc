// See policy.h.
#include "runtime/tiering/policy.h"

#include <algorithm>
#include <cmath>

#include "runtime/tiering/streams.h"

namespace hms::tiering {
namespace {

// The histogram of densities: eight bins to a doubling, around one event per second and byte.
constexpr int kBinsPerDoubling = 8, kBins = 1024, kMiddle = 768;
// A class must have shown that many events before its lean changes.
constexpr double kLeanEvents = 20;
// Around the price, a class keeps its lean.
constexpr double kLeanBand = 1.25;
// Room kept for the births of classes that lean near: what they grow by in this time, within
// limits.
constexpr double kHeadroomSeconds = 0.5, kHeadroomShare = 0.02;
// What a whole unit is cut into where it does not fit whole.
constexpr uint32_t kFitBytes = uint32_t{64} << 10;
constexpr double kGrowthSmoothing = 0.2;

int bin_of(double density) {
  if (!(density > 0)) return 0;
  return std::clamp(kMiddle + static_cast<int>(std::floor(std::log2(density) * kBinsPerDoubling)),
                    1, kBins - 1);
}
double floor_of(int bin) {
  return bin <= 0 ? 0 : std::exp2(double(bin - kMiddle) / kBinsPerDoubling);
}

}  // namespace

Plan Policy::plan(const View& view, const Leave& leave) {
  double passed = last_ < 0 ? 0 : view.now - last_;
  if (last_ < 0) first_ = view.now;
  last_ = view.now;
  for (const ClassView& of : view.classes) {
    if (passed > 0) {
      double grown =
          std::max(0.0, static_cast<double>(of.live) - static_cast<double>(live_[of.id])) / passed;
      births_[of.id] += kGrowthSmoothing * (grown - births_[of.id]);
    }
    live_[of.id] = of.live;
  }
  forget(view.now);
  values_.clear();
  for (size_t i = 0; i < view.units.size(); ++i) values_.push_back(view.streams.value(view, i));
  Plan plan;
  plan.price = price_of(view);
  if (view.now < first_ + options_.believe_s) return plan;
  lean(view, &plan);
  if (leave.moves) exchange(view, leave, &plan);
  return plan;
}

double Policy::price_of(const View& view) const {
  static_assert(kBins * sizeof(double) <= 8192, "lives on the stack");
  double bytes[kBins] = {};
  for (size_t i = 0; i < view.units.size(); ++i)
    bytes[bin_of(values_[i])] += view.units[i].committed;
  auto room = static_cast<double>(view.room.near_capacity);
  for (int bin = kBins - 1; bin > 0; --bin) {
    room -= bytes[bin];
    if (room < 0) return floor_of(bin);
  }
  return 0;  // everything that is used fits
}

void Policy::lean(const View& view, Plan* plan) {
  for (const ClassView& of : view.classes) {
    const ClassHeat& heat = view.heat.of_class(of.id);
    if (heat.events < kLeanEvents || view.streams.woven(of.id)) continue;
    Side side = of.lean;
    if (heat.density > plan->price * kLeanBand) side = Side::kNear;
    if (heat.density < plan->price / kLeanBand) side = Side::kFar;
    if (side != of.lean) plan->leans.push_back({of.id, side});
  }
}

// For how long the unit's heat is worth counting on: as long again as it has lasted. How fast its
// blocks are renewed does not matter: freed slots are used again, and the heat is that of the
// place.
double Policy::horizon(const View& view, size_t unit) const {
  return std::min(view.now - view.streams.since(view, unit), options_.horizon_s);
}

bool Policy::may_rise(const View& view, size_t unit, double price) const {
  const UnitView& of = view.units[unit];
  return of.side == Side::kFar && !of.stuck && values_[unit] > price / options_.hysteresis &&
         view.now - view.streams.since(view, unit) >= options_.settle_s &&
         !resident(of.id, view.now);
}

bool Policy::may_demote(const View& view, const Leave& leave, size_t unit) const {
  const UnitView& of = view.units[unit];
  if (of.side != Side::kNear || of.stuck || resident(of.id, view.now)) return false;
  return leave.reads_seen || view.heat.units()[unit].seen;
}

uint64_t Policy::headroom(const View& view) {
  double growth = 0;
  for (const ClassView& of : view.classes) growth += of.lean == Side::kNear ? births_[of.id] : 0;
  double limit = kHeadroomShare * static_cast<double>(view.room.near_capacity);
  return static_cast<uint64_t>(std::min(growth * kHeadroomSeconds, limit));
}

// The far units that may rise, hottest first, and the near ones that may fall, coldest first;
// equals by address, so that neighbours move together.
void Policy::rank(const View& view, const Leave& leave, double price) {
  rising_.clear();
  falling_.clear();
  for (uint32_t i = 0; i < view.units.size(); ++i) {
    if (may_rise(view, i, price)) rising_.push_back(i);
    if (may_demote(view, leave, i)) falling_.push_back(i);
  }
  std::sort(rising_.begin(), rising_.end(), [&](uint32_t a, uint32_t b) {
    return values_[a] != values_[b] ? values_[a] > values_[b] : a < b;
  });
  std::sort(falling_.begin(), falling_.end(), [&](uint32_t a, uint32_t b) {
    return values_[a] != values_[b] ? values_[a] < values_[b] : a < b;
  });
}

void Policy::exchange(const View& view, const Leave& leave, Plan* plan) {
  rank(view, leave, plan->price);
  Exchange state{};
  state.hysteresis = options_.hysteresis * leave.hysteresis;
  state.allowed = std::min(leave.tokens, options_.step_bytes);
  state.keep = static_cast<int64_t>(headroom(view));
  state.free =
      static_cast<int64_t>(view.room.near_capacity) - static_cast<int64_t>(view.room.near_used);
  for (uint32_t at : rising_) {
    if (!promote(view, at, &state, plan)) break;
  }
  spread(view, &state, plan);
  // Room for what is about to be born near.
  while (state.free < state.keep && state.victim < falling_.size()) {
    uint32_t at = falling_[state.victim];
    if (view.units[at].committed > state.allowed || values_[at] * state.hysteresis > plan->price)
      break;
    demote(view, &state, plan);
  }
}

// What is near of a woven class beyond its share goes, also if nobody needs the room: far memory
// serves it beside near memory.
void Policy::spread(const View& view, Exchange* state, Plan* plan) const {
  for (; state->victim < falling_.size(); demote(view, state, plan)) {
    const uint32_t at = falling_[state->victim];
    if (values_[at] >= 0 || view.units[at].committed > state->allowed) break;
  }
}

void Policy::demote(const View& view, Exchange* state, Plan* plan) const {
  uint32_t at = falling_[state->victim++];
  plan->moves.push_back({at, Side::kFar});
  state->allowed -= view.units[at].committed;
  state->free += view.units[at].committed;
}

// False when nothing that is colder can rise either.
bool Policy::promote(const View& view, uint32_t at, Exchange* state, Plan* plan) const {
  auto bytes = static_cast<int64_t>(view.units[at].committed);
  size_t victims = state->victim;
  int64_t freed = 0;
  double lost = 0;
  for (; state->free + freed < bytes + state->keep && victims < falling_.size(); ++victims) {
    uint32_t out = falling_[victims];
    if (values_[at] <= state->hysteresis * values_[out]) break;
    freed += view.units[out].committed;
    lost += values_[out] * view.units[out].committed;
  }
  if (state->free + freed < bytes + state->keep) {
    // A smaller one may still fit; and a whole unit may fit in parts.
    if (view.units[at].bytes == kUnitBytes && !view.streams.woven(view.units[at].class_id) &&
        plan->splits.empty() && state->free + freed >= state->keep + kFitBytes)
      plan->splits.push_back({view.units[at].id, kFitBytes});
    return true;
  }
  double worth = options_.accesses_per_event * options_.gap_ns;
  double gain = (values_[at] * static_cast<double>(bytes) - lost) * worth;
  double cost = options_.move_ns * static_cast<double>(bytes + freed) / kPartBytesMin;
  if (gain * horizon(view, at) < options_.patience * cost) return true;
  if (static_cast<uint64_t>(bytes + freed) > state->allowed) return false;
  while (state->victim < victims) demote(view, state, plan);
  plan->moves.push_back({at, Side::kNear});
  state->allowed -= static_cast<uint64_t>(bytes);
  state->free -= bytes;
  return true;
}

void Policy::moved(UnitId unit, Side side, double now) { residents_[unit] = {now, side}; }

bool Policy::resident(UnitId unit, double now) const {
  auto found = residents_.find(unit);
  return found != residents_.end() && now < found->second.since + options_.residency_s;
}

void Policy::forget(double now) {
  for (auto it = residents_.begin(); it != residents_.end();)
    it = now >= it->second.since + options_.residency_s ? residents_.erase(it) : std::next(it);
}

}  // namespace hms::tiering
