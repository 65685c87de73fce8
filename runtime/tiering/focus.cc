// See focus.h.
#include "runtime/tiering/focus.h"

#include <algorithm>

namespace hms::tiering {
namespace {

constexpr size_t kTries = 8;
// Variance over mean squared from which on parts are worth telling apart. Four fifths of it in one
// direction: a class does not swing.
constexpr double kDiffers = 0.25;
// Events per part that the verdict needs: with a few thousand parts, chance then stays well below
// what is asked for.
constexpr double kEventsPerPart = 0.25;
constexpr double kRetry = 60;  // seconds after which a class found uniform is tried again
constexpr double kTryMax = 30;
constexpr uint32_t kIdsPerUnit = kUnitBytes / kPartBytesMin;

}  // namespace

void Focus::gather(const View& view) {
  units_.clear();
  for (size_t i = 0; i < view.units.size(); ++i) {
    const UnitView& unit = view.units[i];
    double rate = view.heat.units()[i].density * unit.committed;
    if (!units_.empty() && units_.back().id / kIdsPerUnit == unit.id / kIdsPerUnit &&
        units_.back().class_id == unit.class_id) {
      Whole& whole = units_.back();
      whole.rate += rate;
      ++whole.parts;
      whole.committed += unit.committed;
      whole.both_sides |= view.units[i - 1].side != unit.side;
    } else {
      UnitId first = unit.id / kIdsPerUnit * kIdsPerUnit;
      units_.push_back({first, unit.class_id, rate, 1, unit.bytes, unit.committed, false});
    }
  }
  std::stable_sort(units_.begin(), units_.end(),
                   [](const Whole& a, const Whole& b) { return a.rate > b.rate; });
}

void Focus::judge(const View& view, ClassId id, double events, size_t parts) {
  Stage& stage = stage_[id];
  const ClassHeat& heat = view.heat.of_class(id);
  bool told = parts > 0 && events > kEventsPerPart * static_cast<double>(parts);
  switch (stage) {
    case Stage::kUnknown:
      break;
    case Stage::kTrying:
      if (told && heat.parts_known)
        stage = heat.part_spread > kDiffers ? Stage::kParts : Stage::kWhole;
      else if (view.now > until_[id])
        stage = Stage::kWhole;
      until_[id] = stage == Stage::kWhole ? view.now + kRetry : until_[id];
      break;
    case Stage::kParts:
      if (!told || heat.part_spread > kDiffers * 0.8) break;
      stage = Stage::kWhole;
      until_[id] = view.now + kRetry;
      break;
    case Stage::kWhole:
      if (view.now > until_[id]) stage = Stage::kUnknown;
      break;
  }
}

// The finest parts for which the list holds the units that are wanted in parts.
void Focus::choose_part_bytes(size_t whole_entries) {
  size_t bytes = 0;
  for (const Whole& unit : units_)
    if (stage_[unit.class_id] == Stage::kParts) bytes += unit.committed;
  size_t left = listed_max_ - std::min(listed_max_, whole_entries);
  while (part_bytes_ < kUnitBytes / 4 && bytes / part_bytes_ > left) part_bytes_ *= 4;
  while (part_bytes_ > kPartBytesMin && bytes / (part_bytes_ / 4) < left / 2) part_bytes_ /= 4;
}

std::vector<Split> Focus::plan(const View& view) {
  gather(view);
  std::array<double, 256> events{};
  std::array<size_t, 256> parts{}, tries{};
  std::array<bool, 256> present{};
  size_t entries = 0;
  for (const Whole& unit : units_) {
    present[unit.class_id] = true;
    entries += unit.parts;
    if (unit.bytes == kUnitBytes) continue;
    ++tries[unit.class_id];
    parts[unit.class_id] += unit.parts;
    // Of the class's events, those that its split units had.
    const ClassHeat& heat = view.heat.of_class(unit.class_id);
    events[unit.class_id] += heat.rate > 0 ? heat.events * unit.rate / heat.rate : 0;
  }
  for (size_t c = 0; c < stage_.size(); ++c) {
    if (present[c])
      judge(view, static_cast<ClassId>(c), events[c], parts[c]);
    else
      stage_[c] = Stage::kUnknown;
  }
  choose_part_bytes(units_.size());
  std::vector<Split> out;
  for (const Whole& unit : units_) {
    Stage& stage = stage_[unit.class_id];
    bool is_split = unit.bytes != kUnitBytes;
    bool wanted = stage == Stage::kParts;
    if (stage == Stage::kUnknown && view.heat.of_class(unit.class_id).events > 0) {
      stage = Stage::kTrying;
      until_[unit.class_id] = view.now + kTryMax;
    }
    if (stage == Stage::kTrying) wanted = is_split || tries[unit.class_id]++ < kTries;
    uint32_t bytes = stage == Stage::kTrying ? kPartBytesMin : part_bytes_;
    if (wanted && unit.bytes != bytes) {
      size_t more = unit.committed / bytes + 1;
      if (entries + more > listed_max_ + unit.parts) continue;
      entries += more - unit.parts;
      out.push_back({unit.id, bytes});
    } else if (!wanted && is_split && !unit.both_sides) {
      entries -= unit.parts - 1;
      out.push_back({unit.id, kUnitBytes});
    }
  }
  return out;
}

}  // namespace hms::tiering
