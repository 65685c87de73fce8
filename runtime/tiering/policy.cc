// See policy.h.
#include "runtime/tiering/policy.h"

#include <algorithm>
#include <cmath>

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
constexpr double kRenewalSmoothing = 0.2;

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
  last_ = view.now;
  for (const ClassView& of : view.classes) {
    if (passed > 0 && of.allocated >= allocated_[of.id] && allocated_[of.id] > 0) {
      double made = static_cast<double>(of.allocated - allocated_[of.id]) / passed;
      double grown =
          std::max(0.0, static_cast<double>(of.live) - static_cast<double>(live_[of.id])) / passed;
      renewal_[of.id] += kRenewalSmoothing *
                         (made / std::max(static_cast<double>(of.live), 1.0) - renewal_[of.id]);
      births_[of.id] += kRenewalSmoothing * (grown - births_[of.id]);
    }
    allocated_[of.id] = of.allocated;
    live_[of.id] = of.live;
  }
  forget(view.now);
  Plan plan;
  plan.price = price_of(view);
  lean(view, &plan);
  if (leave.moves) exchange(view, leave, &plan);
  return plan;
}

double Policy::price_of(const View& view) const {
  static_assert(kBins * sizeof(double) <= 8192, "lives on the stack");
  double bytes[kBins] = {};
  for (size_t i = 0; i < view.units.size(); ++i)
    bytes[bin_of(view.heat.units()[i].density)] += view.units[i].committed;
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
    if (heat.events < kLeanEvents) continue;
    Side side = of.lean;
    if (heat.density > plan->price * kLeanBand) side = Side::kNear;
    if (heat.density < plan->price / kLeanBand) side = Side::kFar;
    if (side != of.lean) plan->leans.push_back({of.id, side});
  }
}

// For how long the unit's heat is worth counting on: as long again as it has lasted, and no longer
// than its blocks live.
double Policy::horizon(const View& view, size_t unit) const {
  double seconds = std::min(view.now - view.heat.units()[unit].since, options_.horizon_s);
  double renewal = renewal_[view.units[unit].class_id];
  return renewal > 0 ? std::min(seconds, 1 / renewal) : seconds;
}

bool Policy::may_rise(const View& view, size_t unit, double price) const {
  const UnitView& of = view.units[unit];
  const UnitHeat& heat = view.heat.units()[unit];
  return of.side == Side::kFar && !of.stuck && heat.density > price / options_.hysteresis &&
         view.now - heat.since >= options_.settle_s && !resident(of.id, view.now);
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

void Policy::exchange(const View& view, const Leave& leave, Plan* plan) {
  const std::vector<UnitHeat>& heats = view.heat.units();
  std::vector<uint32_t> rising, falling;
  for (size_t i = 0; i < view.units.size(); ++i) {
    if (may_rise(view, i, plan->price)) rising.push_back(static_cast<uint32_t>(i));
    if (may_demote(view, leave, i)) falling.push_back(static_cast<uint32_t>(i));
  }
  // Equals by address, so that neighbours move together.
  std::sort(rising.begin(), rising.end(), [&](uint32_t a, uint32_t b) {
    return heats[a].density != heats[b].density ? heats[a].density > heats[b].density : a < b;
  });
  std::sort(falling.begin(), falling.end(), [&](uint32_t a, uint32_t b) {
    return heats[a].density != heats[b].density ? heats[a].density < heats[b].density : a < b;
  });
  double hysteresis = options_.hysteresis * leave.hysteresis;
  double worth = options_.accesses_per_event * options_.gap_ns;
  uint64_t allowed = std::min(leave.tokens, options_.step_bytes);
  uint64_t keep = headroom(view);
  auto free =
      static_cast<int64_t>(view.room.near_capacity) - static_cast<int64_t>(view.room.near_used);
  size_t victim = 0;
  auto cost = [&](uint64_t bytes) {
    return options_.move_ns * static_cast<double>(bytes) / kPartBytesMin;
  };
  auto demote = [&](uint32_t at, double gain) {
    plan->moves.push_back({at, Side::kFar, gain});
    allowed -= view.units[at].committed;
    free += view.units[at].committed;
  };
  for (uint32_t at : rising) {
    uint64_t bytes = view.units[at].committed;
    size_t victims = victim;
    uint64_t freed = 0;
    double lost = 0;
    bool worse = true;
    while (free + static_cast<int64_t>(freed) < static_cast<int64_t>(bytes + keep) &&
           victims < falling.size() && worse) {
      uint32_t out = falling[victims];
      worse = heats[at].density > hysteresis * heats[out].density;
      if (!worse) break;
      freed += view.units[out].committed;
      lost += heats[out].density * view.units[out].committed * worth;
      ++victims;
    }
    if (free + static_cast<int64_t>(freed) < static_cast<int64_t>(bytes + keep)) break;
    double gain = heats[at].density * static_cast<double>(bytes) * worth - lost;
    if (gain * horizon(view, at) < options_.patience * cost(bytes + freed)) {
      if (!worse) break;
      continue;
    }
    if (bytes + freed > allowed) break;
    for (; victim < victims; ++victim) demote(falling[victim], 0);
    plan->moves.push_back({at, Side::kNear, gain});
    allowed -= bytes;
    free -= static_cast<int64_t>(bytes);
  }
  // Room for what is about to be born near.
  while (free < static_cast<int64_t>(keep) && victim < falling.size() &&
         view.units[falling[victim]].committed <= allowed) {
    if (heats[falling[victim]].density * hysteresis > plan->price) break;
    demote(falling[victim++], 0);
  }
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
