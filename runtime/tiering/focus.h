// Which units are looked at in parts.
//
// Looking at parts pays where the parts of a unit differ, and costs entries in the list. Whether
// they differ is a property of a class: a few of its units are split for a try, and when their
// parts turn out to differ more than chance has it, the others follow, the busiest first.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/tiering/policy.h"

namespace hms::tiering {

class Focus {
 public:
  explicit Focus(size_t listed_max) : listed_max_(listed_max) {}
  // What to change about the list.
  std::vector<Split> plan(const View& view);
  uint32_t part_bytes() const { return part_bytes_; }
  // The parts of the class do not differ, as far as is known.
  bool whole(ClassId id) const { return stage_[id] == Stage::kWhole; }
  // They do differ.
  bool in_parts(ClassId id) const { return stage_[id] == Stage::kParts; }

 private:
  enum class Stage : uint8_t { kUnknown, kTrying, kParts, kWhole };
  struct Whole {  // a unit, as one
    UnitId id;
    ClassId class_id;
    double rate;
    size_t parts;    // entries now
    uint32_t bytes;  // of an entry
    uint32_t committed;
    bool both_sides;
  };
  void gather(const View& view);
  void judge(const View& view, ClassId id, double events, size_t parts);
  void choose_part_bytes(size_t whole_entries);

  size_t listed_max_;
  uint32_t part_bytes_ = kPartBytesMin;
  std::array<Stage, 256> stage_{};
  std::array<double, 256> until_{};
  std::vector<Whole> units_;
};

}  // namespace hms::tiering
