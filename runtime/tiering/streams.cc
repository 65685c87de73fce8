// See streams.h.
#include "runtime/tiering/streams.h"

#include <algorithm>
#include <cmath>

namespace hms::tiering {
namespace {

// Where two numbers stand, the first is asked for at first, and the second afterwards.
struct Bound {
  double first, later;
  double of(bool already) const { return already ? later : first; }
};
constexpr Bound kTraffic{0.05, 0.025};  // share of all events, at least
constexpr Bound kSpread{0.15, 0.3};     // variance of units over their mean squared, at most
constexpr Bound kSpreadError{0.05, 1};  // what chance makes of that number
// Of near memory's bandwidth, what must be seen in use where a sampler tells the least that it is;
// and what the program's threads could use where none does.
constexpr Bound kDemand{0.1, 0.05}, kCapable{0.5, 0.25};
// What a processor gets out of memory by itself, in bytes per second: servers have 10 to 20 GB.
constexpr double kCpuBandwidth = 16e9;
// What a streamed byte is worth near, against one that is waited for.
constexpr double kWorth = 0.5;
// The last of the pattern is the first to make room.
constexpr double kRankStep = 0.01 / kWeaveCycle;
// Of what is near and for which there is no room: next to nothing, so that it goes first, but stays
// until somebody needs the room. What shall not be near has it with a minus.
constexpr double kLeastValue = 1e-30;
// Beyond these around the value of a class, others come before it, or after.
constexpr double kRival = 1.5;
// Of near memory, that is left to births.
constexpr double kHeadroom = 0.02;
constexpr double kSettledMax = 8 * Streams::kSettled;

// Standard deviation of a spread that is measured on units with so many events each.
double spread_error(double units, double events) {
  return events > 0 ? std::sqrt(2 * units) / events : 1e9;
}

}  // namespace

Streams::Streams(const WeaveOptions& options, double bytes_per_event)
    : options_(options), bytes_per_event_(bytes_per_event) {
  shares_.fill(kNotWoven);
}

double Streams::class_value(const View& view, ClassId id) const {
  return kWorth * view.heat.of_class(id).density;
}

double Streams::value(const View& view, size_t unit) const {
  const UnitView& of = view.units[unit];
  if (!woven(of.class_id)) return view.heat.units()[unit].density;
  const unsigned rank = weave_rank(of.run);
  if (rank >= options_.near_share) return -kLeastValue;
  if (rank >= shares_[of.class_id]) return kLeastValue;
  return class_value(view, of.class_id) * (1 - kRankStep * rank);
}

bool Streams::enough_traffic(const View& view) const {
  const bool told = bytes_per_event_ > 0;
  const double traffic = told ? view.heat.rate() * bytes_per_event_ : busy_cpus_ * kCpuBandwidth;
  return traffic >= (told ? kDemand : kCapable).of(traffic_) * options_.near_bandwidth;
}

bool Streams::looks_like(const View& view, const Focus& focus, ClassId id, bool already) const {
  const ClassHeat& heat = view.heat.of_class(id);
  if (id == kProbation || heat.bytes < kLeastBytes || object_bytes_[id] < kLeastObject)
    return false;
  if (already ? focus.in_parts(id) : !focus.whole(id)) return false;
  return heat.rate >= kTraffic.of(already) * view.heat.rate() &&
         heat.unit_spread <= kSpread.of(already) &&
         spread_error(heat.bytes / kUnitBytes, heat.events) <= kSpreadError.of(already);
}

bool Streams::streams(const View& view, const Focus& focus, const ClassView& of) {
  State& state = states_[of.id];
  const bool already = woven(of.id);
  const bool like = traffic_ && looks_like(view, focus, of.id, already);
  if (already) {
    if (like) state.unlike_since = -1;
    if (!like && state.unlike_since < 0) state.unlike_since = view.now;
    if (like || view.now - state.unlike_since < kGone) return true;
    state = {-1, -1, std::min(2 * state.settle_s, kSettledMax), 0};
    return false;
  }
  if (!like) {
    state.like_since = -1;
  } else if (state.like_since < 0 || of.allocated - state.allocated > of.live) {
    state.like_since = view.now;  // from here on, or renewed as a whole since
    state.allocated = of.allocated;
  }
  return like && view.now - state.like_since >= state.settle_s;
}

std::vector<WeaveChange> Streams::judge(const View& view, const Focus& focus,
                                        const std::vector<ContextView>& contexts) {
  std::vector<WeaveChange> changes;
  if (options_.near_share == 0) return changes;
  std::array<uint64_t, 256> allocated{}, allocations{};
  for (const ContextView& of : contexts) {
    allocated[of.class_id] += of.allocated;
    allocations[of.class_id] += of.allocations;
  }
  for (size_t c = 0; c < object_bytes_.size(); ++c) {
    object_bytes_[c] = allocations[c] > 0
                           ? static_cast<double>(allocated[c]) / static_cast<double>(allocations[c])
                           : 0;
  }
  traffic_ = enough_traffic(view);
  std::vector<ClassId> found;
  for (const ClassView& of : view.classes) {
    if (streams(view, focus, of)) {
      found.push_back(of.id);
    } else if (woven(of.id)) {
      shares_[of.id] = kNotWoven;
      changes.push_back({of.id, kNotWoven});
    }
  }
  divide(view, found, &changes);
  return changes;
}

// Near memory, to the classes that were found: the most valuable first, each what others that come
// before it leave, and never more than its share. A share grows by two steps at least, or to what
// is best, so that it does not swing.
void Streams::divide(const View& view, const std::vector<ClassId>& found,
                     std::vector<WeaveChange>* changes) {
  std::vector<ClassId> order = found;
  std::stable_sort(order.begin(), order.end(), [&](ClassId a, ClassId b) {
    return class_value(view, a) > class_value(view, b);
  });
  double room = (1 - kHeadroom) * static_cast<double>(view.room.near_capacity);
  for (ClassId id : order) {
    const double worth = class_value(view, id), bytes = view.heat.of_class(id).bytes;
    double left = room;
    for (size_t i = 0; i < view.units.size(); ++i) {
      const UnitView& unit = view.units[i];
      if (std::count(found.begin(), found.end(), unit.class_id) > 0) continue;
      const double least = unit.side == Side::kNear ? worth / kRival : worth * kRival;
      if (view.heat.units()[i].density > least) left -= unit.committed;
    }
    const double most = std::clamp(kWeaveCycle * left / bytes, 0.0, double(options_.near_share));
    uint8_t& share = shares_[id];
    const double now = share == kNotWoven ? -2 : share;
    if (most >= now && most < now + 2 && most < options_.near_share) {
      room -= now / kWeaveCycle * bytes;
      continue;
    }
    const auto next = static_cast<uint8_t>(most);
    if (next != share) changes->push_back({id, next});
    share = next;
    room -= double(share) / kWeaveCycle * bytes;
  }
}

}  // namespace hms::tiering
