// The heap as tiering sees it: runtime/tiering/heap.h over the classes of this process.
#include <time.h>

#include <algorithm>
#include <new>

#include "allocator/node_room.h"
#include "allocator/region.h"
#include "allocator/tiering/class_list.h"
#include "allocator/tiering/migrate.h"
#include "allocator/tiering/opening.h"
#include "allocator/tiering/pins.h"
#include "runtime/support/os_files.h"

namespace hms::alloc {
namespace {

using tiering::ClassId;
using tiering::ClassView;
using tiering::Context;
using tiering::ContextId;
using tiering::ContextView;
using tiering::Moved;
using tiering::Room;
using tiering::UnitId;
using tiering::UnitView;

constexpr int64_t kStuckNanoseconds = 10'000'000'000;
// Each is copied, which takes some tenths of a millisecond.
constexpr unsigned kHugeAtOnce = 4;

int64_t now_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

uint64_t positive(int64_t value) { return value > 0 ? static_cast<uint64_t>(value) : 0; }

// The leg in units that owns a unit; null if none does.
Leg* leg_of_unit(UnitNumber number) {
  const uintptr_t start = unit_start(number);
  if (!in_region(start)) return nullptr;
  Leg* leg = leg_of(start);
  const bool ours = leg != nullptr && leg->plan.units != nullptr;
  return ours && number < used_units_end(window_of(start)) ? leg : nullptr;
}

template <typename Visit>
void for_each_used_unit(Visit visit) {
  for (unsigned window = 0; window < region.windows; ++window) {
    const UnitNumber end = used_units_end(window);
    if (end == 0) continue;
    Leg* leg = region.leg[window];
    const UnitNumber first = unit_number(region.base + (uintptr_t{window} << region.window_shift));
    for (UnitNumber number = first; number < end; ++number) visit(leg, number);
  }
}

// Under the lock of the unit: as one, or in parts.
void list_parts(UnitNumber number, ClassId id, const UnitPages& pinned, int64_t now,
                std::vector<UnitView>* out) {
  const Unit& unit = unit_at(number);
  Side side = Side::kNear;
  if (!side_of_unit(unit, &side)) return;
  const bool lately = unit.stuck_at != 0 && now - unit.stuck_at < kStuckNanoseconds;
  const size_t part = part_pages(unit);
  const uint32_t run = run_of_unit(number);
  for (size_t first = 0; first < kUnitPages; first += part) {
    const size_t committed = unit.committed.within(first, first + part).count();
    if (committed == 0) continue;
    const size_t far = unit.far.within(first, first + part).count();
    // Whole units are where they were sent, also if some pages stayed.
    if (part < kUnitPages) side = 2 * far > committed ? Side::kFar : Side::kNear;
    const bool stuck = pinned.within(first, first + part).any() ||
                       (lately && unit.stuck.within(first, first + part).any());
    out->push_back({static_cast<UnitId>(number * kUnitPages + first),
                    unit_start(number) + first * os::kPageSize,
                    static_cast<uint32_t>(part * os::kPageSize),
                    static_cast<uint32_t>(committed * os::kPageSize), id, side, stuck, run});
  }
}

// The place that an id names; false if it names none.
bool find_part(UnitId id, UnitMove* move) {
  move->unit = id / kUnitPages;
  move->leg = leg_of_unit(move->unit);
  if (move->leg == nullptr) return false;
  move->part = part_pages(unit_at(move->unit));
  move->first_page = id % kUnitPages;
  return move->first_page % move->part == 0;
}

class ClassHeap final : public tiering::Heap {
 public:
  // What a quota, the capacity, or the free memory of the node leaves to tiering.
  Room room() override {
    int64_t ours = 0;
    for (unsigned id = 0; id < class_count(); ++id) {
      ours += class_leg(static_cast<ClassId>(id))->plan.units->near_bytes.load();
    }
    const UnitPlan::Place& near = class_leg(tiering::kProbation)->plan.units->places[0];
    const uint64_t used = positive(ours);
    const uint64_t all = near.account->charged.load();
    const uint64_t others = (all > used ? all - used : 0) + bytes_before_opening();
    const uint64_t limit = std::min(near.account->quota.load(), near.account->capacity.load());
    uint64_t capacity = limit > others ? limit - others : 0;
    if (near.guard_node) {
      capacity = std::min(capacity, used + node_room_left(near.account->target().node));
    }
    return {capacity, used};
  }

  void contexts(std::vector<ContextView>* out) override {
    out->clear();
    const tiering::ContextTable& table = alloc::contexts();
    for (size_t i = 0; i < table.size(); ++i) {
      const Context& c = table.at(static_cast<ContextId>(i));
      const ClassId id = c.class_id.load(std::memory_order_relaxed);
      const uint64_t allocations = c.allocations.load(std::memory_order_relaxed);
      if (c.spare.load(std::memory_order_relaxed) || allocations == 0) continue;
      out->push_back({static_cast<ContextId>(i), id == tiering::kNoClass ? tiering::kProbation : id,
                      allocations, c.allocated.load(std::memory_order_relaxed)});
    }
  }

  void classes(std::vector<ClassView>* out) override {
    prepare_classes();
    out->clear();
    for (unsigned i = 0; i < class_count(); ++i) {
      const auto id = static_cast<ClassId>(i);
      const UnitPlan& plan = *class_leg(id)->plan.units;
      const PlacementState& placement = *placement_state(class_placement(id));
      int64_t live = 0;
      for (unsigned k = 0; k < placement.leg_count; ++k) {
        live += placement.legs[k]->live.load(std::memory_order_relaxed);
      }
      out->push_back({id, plan.lean.load(std::memory_order_relaxed), positive(live),
                      plan.allocated.load(std::memory_order_relaxed)});
    }
  }

  void units(std::vector<UnitView>* out) override {
    out->clear();
    const int64_t now = now_nanoseconds();
    for_each_used_unit([out, now](Leg* leg, UnitNumber number) {
      const ClassId id = class_of_placement(leg->plan.placement);
      const UnitPages pinned = pinned_pages(number);
      ShortGuard guard(unit_at(number).lock);
      list_parts(number, id, pinned, now, out);
    });
  }

  void set_lean(ClassId id, Side side) override {
    if (id >= class_count()) return;
    UnitPlan& plan = *class_leg(id)->plan.units;
    plan.lean.store(side);
    plan.near_limit.store(INT64_MAX);  // which a profile has set: what is seen counts more
  }

  void set_weave(ClassId id, uint8_t share) override {
    if (id >= class_count()) return;
    UnitPlan& plan = *class_leg(id)->plan.units;
    plan.weave.store(share);
    plan.near_limit.store(INT64_MAX);  // as above
  }

  void assign(ContextId context, ClassId id) override {
    tiering::ContextTable& table = alloc::contexts();
    if (context >= table.size() || id >= class_count()) return;
    mark_taken(id);
    table.at(context).settled.store(true, std::memory_order_relaxed);
    if (table.at(context).class_id.exchange(id) == id) return;
    class_epoch.fetch_add(1, std::memory_order_release);
  }

  void move(const std::vector<UnitId>& units, Side side, std::vector<Moved>* moved) override {
    moved->assign(units.size(), Moved{});
    std::vector<UnitMove> moves;
    std::vector<size_t> answer;
    for (size_t i = 0; i < units.size();) {
      UnitMove move;
      move.side = side;
      if (!find_part(units[i], &move)) {
        ++i;
        continue;
      }
      if (side == Side::kNear) move.leg->plan.units->near_limit.store(INT64_MAX);
      // All parts of a unit, if that is how the list goes on.
      size_t run = 1;
      const size_t parts = kUnitPages / move.part;
      while (run < parts && move.first_page == 0 && i + run < units.size() &&
             units[i + run] == units[i] + run * move.part) {
        ++run;
      }
      move.whole = run == parts;
      for (size_t k = 0; k < run; ++k, move.first_page += move.part) {
        moves.push_back(move);
        answer.push_back(i++);
      }
    }
    migrate(&moves, answer, moved);
  }

  void split(UnitId unit, uint32_t bytes) override {
    const UnitNumber number = unit / kUnitPages;
    Leg* leg = leg_of_unit(number);
    if (leg != nullptr) split_unit(leg, number, bytes / os::kPageSize);
  }

  void ask_huge(ClassId id) override {
    if (id >= class_count() || !os::huge_pages_allowed()) return;
    Leg* leg = class_leg(id);
    leg->plan.units->huge.store(true, std::memory_order_relaxed);
    unsigned left = kHugeAtOnce;
    LockGuard guard(move_lock());
    for_each_used_unit([leg, &left](Leg* of, UnitNumber number) {
      if (of == leg && left > 0 && make_huge(*leg, number)) --left;
    });
  }
};

}  // namespace

tiering::Heap* class_heap() {
  // Never destroyed: the program may allocate until its very end.
  alignas(ClassHeap) static char memory[sizeof(ClassHeap)];
  static ClassHeap* const heap = new (memory) ClassHeap;
  return class_count() > 0 ? heap : nullptr;
}

}  // namespace hms::alloc
