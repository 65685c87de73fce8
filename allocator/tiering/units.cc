// See units.h.
#include "allocator/tiering/units.h"

#include <algorithm>
#include <new>

#include "allocator/leg.h"
#include "allocator/region.h"
#include "allocator/stripes.h"
#include "allocator/tiering/pins.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/tiering/weave.h"

namespace hms::alloc {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr unsigned kUnitShift = 21;
static_assert(kUnitBytes == size_t{1} << kUnitShift);
constexpr unsigned kLiveShift = 8;
constexpr uint64_t kSideMask = (uint64_t{1} << kLiveShift) - 1;
constexpr uint8_t kUnknownPolicy = 255;

Unit* units = nullptr;  // by number
std::atomic<UnitNumber> used_end[kMaxWindows] = {};

uint8_t code(Side side) { return static_cast<uint8_t>(static_cast<uint8_t>(side) + 1); }
Side side_with(uint64_t code) { return static_cast<Side>(code - 1); }

// The part of [start, end) that lies in one unit.
struct Piece {
  UnitNumber unit;
  size_t first_page;
  size_t pages;
};

template <typename Visit>
void for_each_piece(uintptr_t start, uintptr_t end, Visit visit) {
  while (start < end) {
    const UnitNumber unit = unit_number(start);
    const uintptr_t next = unit_start(unit + 1);
    const uintptr_t stop = next < end ? next : end;
    const size_t first = (start - unit_start(unit)) / os::kPageSize;
    if (!visit(Piece{unit, first, (stop - start) / os::kPageSize})) return;
    start = stop;
  }
}

UnitPages mask_of(const Piece& piece) {
  UnitPages all;
  for (uint64_t& word : all.words) word = ~uint64_t{0};
  return all.within(piece.first_page, piece.first_page + piece.pages);
}

// Calls that fail are counted and told once by whoever placed the class; here pages are then placed
// by first touch, as anywhere else.
void tell_kernel(const UnitPlan& plan, Side side, uintptr_t from, uintptr_t to) {
  const UnitPlan::Place& place = plan.places[static_cast<size_t>(side)];
  stats()->policy_calls.fetch_add(1, kRelaxed);
  const int r = os::set_range_policy(to_pointer(from), to - from, place.policy, place.nodes);
  if (r == 0) return;
  place.account->counters->refused_system.fetch_add(1, kRelaxed);
  log_once(LogLevel::kWarning, "unit policy",
           "the kernel refuses memory policies (mbind: errno %d); tiering cannot place memory", -r);
}

bool has_policies(const UnitPlan& plan) {
  return plan.places[0].policy != os::Policy::kDefault ||
         plan.places[1].policy != os::Policy::kDefault;
}

uintptr_t window_end(uintptr_t address) {
  return region.base + ((uintptr_t{window_of(address)} + 1) << region.window_shift);
}

// A unit above all others of its window takes the rest of the window along: units are born mostly
// upwards, and mostly on one side, so that few births need a call. Those that it leaps over are
// told that they have the policy of the rest so far.
void place_unit(Leg* leg, UnitNumber number, Side side) {
  UnitPlan& plan = *leg->plan.units;
  if (!has_policies(plan)) return;
  LockGuard guard(leg->lock);
  const uintptr_t start = unit_start(number);
  Unit& unit = unit_at(number);
  const bool fresh_window = plan.tail == 0 || window_of(plan.tail - 1) < window_of(start);
  if (fresh_window || start >= plan.tail) {
    uint8_t rest = fresh_window ? uint8_t{0} : plan.tail_policy;
    for (uintptr_t at = fresh_window ? start : plan.tail; at < start; at += kUnitBytes) {
      unit_at(unit_number(at)).policy.store(rest, kRelaxed);
    }
    if (rest != code(side)) tell_kernel(plan, side, start, window_end(start));
    plan.tail = start + kUnitBytes;
    plan.tail_policy = code(side);
    unit.policy.store(code(side), kRelaxed);
  } else if (unit.policy.load(kRelaxed) != code(side)) {
    tell_kernel(plan, side, start, start + kUnitBytes);
    unit.policy.store(code(side), kRelaxed);
  }
}

// A unit that was born already.
void point_unit(Leg* leg, UnitNumber number, Side side) {
  const UnitPlan& plan = *leg->plan.units;
  if (!has_policies(plan)) return;
  Unit& unit = unit_at(number);
  LockGuard guard(leg->lock);
  if (unit.policy.load(kRelaxed) == code(side)) return;
  tell_kernel(plan, side, unit_start(number), unit_start(number + 1));
  unit.policy.store(code(side), kRelaxed);
}

bool charge_side(UnitPlan* plan, Side side, size_t pages) {
  const UnitPlan::Place& place = plan->places[static_cast<size_t>(side)];
  const uint64_t bytes = pages * os::kPageSize;
  if (charge(place.account, bytes, place.guard_node) != Charge::kDone) return false;
  if (side == Side::kNear) plan->near_bytes.fetch_add(static_cast<int64_t>(bytes), kRelaxed);
  return true;
}

void uncharge_side(UnitPlan* plan, Side side, size_t pages) {
  if (pages == 0) return;
  const UnitPlan::Place& place = plan->places[static_cast<size_t>(side)];
  const uint64_t bytes = pages * os::kPageSize;
  if (side == Side::kNear) plan->near_bytes.fetch_sub(static_cast<int64_t>(bytes), kRelaxed);
  uncharge(place.account, bytes, place.guard_node);
}

// What was there before.
uint64_t set_side(Unit* unit, uint8_t side_code) {
  uint64_t state = unit->state.load(kRelaxed);
  while (!unit->state.compare_exchange_weak(state, (state & ~kSideMask) | side_code, kRelaxed)) {
  }
  return state;
}

// The unit is on another side from now on, and what was handed out of it counts there.
void change_side(const UnitPlan& plan, Unit* unit, Side side) {
  const uint64_t before = set_side(unit, code(side));
  const uint64_t was = before & kSideMask;
  if (was == 0 || was == code(side)) return;
  const uint64_t live = before >> kLiveShift;
  plan.places[static_cast<size_t>(side)].account->counters->allocated.fetch_add(live, kRelaxed);
  plan.places[was - 1].account->counters->freed.fetch_add(live, kRelaxed);
}

// Nobody has anything of it: the next birth starts afresh.
void end_life(Unit* unit) {
  set_side(unit, 0);
  unit->stuck_at = 0;
  unit->stuck = {};
  unit->broken_up.store(false, kRelaxed);
}

// A unit is born near only if all of it would fit: one of which the first pages are near and the
// rest is not would pass for near.
bool within_limit(const UnitPlan& plan, size_t pages) {
  return plan.near_bytes.load(kRelaxed) + static_cast<int64_t>(pages * os::kPageSize) <=
         plan.near_limit.load(kRelaxed);
}

Side side_of_birth(const UnitPlan& plan, UnitNumber number) {
  const uint8_t share = plan.weave.load(kRelaxed);
  if (share == tiering::kNotWoven) return plan.lean.load(kRelaxed);
  return tiering::weave_side(run_of_unit(number), share);
}

// Under the lock of the unit. An unborn unit gets the side that has room.
bool commit_piece(Leg* leg, const Piece& piece) {
  UnitPlan& plan = *leg->plan.units;
  Unit& unit = unit_at(piece.unit);
  Side own = side_of_birth(plan, piece.unit);
  const bool born = side_of_unit(unit, &own);
  const Side first = within_limit(plan, born ? piece.pages : kUnitPages) ? own : Side::kFar;
  Side side = first;
  if (!charge_side(&plan, side, piece.pages)) {
    side = other_side(first);
    if (!charge_side(&plan, side, piece.pages)) return false;
    if (side == Side::kFar) {
      plan.places[0].account->counters->spilled.fetch_add(piece.pages * os::kPageSize, kRelaxed);
    }
  }
  if (!born) {
    place_unit(leg, piece.unit, side);
    set_side(&unit, code(side));
  } else if (side != own && has_policies(plan)) {
    const uintptr_t start = unit_start(piece.unit) + piece.first_page * os::kPageSize;
    tell_kernel(plan, side, start, start + piece.pages * os::kPageSize);
    unit.policy.store(kUnknownPolicy, kRelaxed);
  }
  const UnitPages mask = mask_of(piece);
  for (unsigned i = 0; i < UnitPages::kWords; ++i) {
    unit.committed.words[i] |= mask.words[i];
    if (side == Side::kFar) unit.far.words[i] |= mask.words[i];
  }
  return true;
}

// Under the lock of the unit.
void decommit_piece(Leg* leg, const Piece& piece) {
  UnitPlan& plan = *leg->plan.units;
  Unit& unit = unit_at(piece.unit);
  const UnitPages mask = mask_of(piece);
  size_t pages[2] = {};
  for (unsigned i = 0; i < UnitPages::kWords; ++i) {
    const uint64_t gone = unit.committed.words[i] & mask.words[i];
    const auto far = static_cast<size_t>(__builtin_popcountl(gone & unit.far.words[i]));
    pages[1] += far;
    pages[0] += static_cast<size_t>(__builtin_popcountl(gone)) - far;
    unit.committed.words[i] &= ~gone;
    unit.far.words[i] &= ~gone;
    unit.under_way.words[i] &= ~gone;
  }
  uncharge_side(&plan, Side::kNear, pages[0]);
  uncharge_side(&plan, Side::kFar, pages[1]);
  if (unit.moving == 0 && !unit.committed.any()) end_life(&unit);
}

void note_used(UnitNumber last) {
  std::atomic<UnitNumber>& end = used_end[window_of(unit_start(last))];
  UnitNumber seen = end.load(kRelaxed);
  while (last >= seen && !end.compare_exchange_weak(seen, last + 1, kRelaxed)) {
  }
}

}  // namespace

UnitPages UnitPages::within(size_t first, size_t end) const {
  UnitPages out;
  for (size_t i = 0; i < kWords; ++i) {
    const size_t base = 64 * i;
    if (base >= end || base + 64 <= first) continue;
    uint64_t mask = ~uint64_t{0};
    if (first > base) mask &= ~uint64_t{0} << (first - base);
    if (end < base + 64) mask &= ~uint64_t{0} >> (base + 64 - end);
    out.words[i] = words[i] & mask;
  }
  return out;
}

bool reserve_units() {
  if (units != nullptr) return true;
  void* table = nullptr;
  const size_t bytes = (region.bytes >> kUnitShift) * sizeof(Unit);
  if (bytes == 0 || os::reserve(nullptr, bytes + os::kPageSize, &table) != 0) return false;
  os::advise_huge_pages(table, bytes, false);
  units = static_cast<Unit*>(table);
  return true;
}

bool commit_units(const Leg& leg, uintptr_t from, uintptr_t to) {
  if (leg.plan.units == nullptr) return true;
  const auto first = reinterpret_cast<uintptr_t>(&unit_at(unit_number(from)));
  const auto end = reinterpret_cast<uintptr_t>(&unit_at(unit_number(to + kUnitBytes - 1)));
  const uintptr_t start = first & ~(os::kPageSize - 1);
  const uintptr_t stop = (end + os::kPageSize - 1) & ~(os::kPageSize - 1);
  return os::commit(to_pointer(start), stop - start) == 0;
}

UnitNumber unit_number(uintptr_t address) {
  return static_cast<UnitNumber>((address - region.base) >> kUnitShift);
}
uintptr_t unit_start(UnitNumber number) { return region.base + (uintptr_t{number} << kUnitShift); }
Unit& unit_at(UnitNumber number) { return units[number]; }
UnitNumber used_units_end(unsigned window) { return used_end[window].load(kRelaxed); }

uint32_t run_of_unit(UnitNumber number) {
  return static_cast<uint32_t>(
      run_number((unit_start(number) - region.base) & (window_bytes() - 1)));
}

bool side_of_unit(const Unit& unit, Side* side) {
  const uint64_t which = unit.state.load(kRelaxed) & kSideMask;
  if (which == 0) return false;
  *side = side_with(which);
  return true;
}

bool commit_in_units(Leg* leg, uintptr_t start, size_t bytes) {
  uintptr_t done = start;
  for_each_piece(start, start + bytes, [leg, &done](const Piece& piece) {
    ShortGuard guard(unit_at(piece.unit).lock);
    if (!commit_piece(leg, piece)) return false;
    note_used(piece.unit);
    done += piece.pages * os::kPageSize;
    return true;
  });
  if (done == start + bytes) return true;
  if (done != start) decommit_in_units(leg, start, done - start);
  return false;
}

void decommit_in_units(Leg* leg, uintptr_t start, size_t bytes) {
  for_each_piece(start, start + bytes, [leg](const Piece& piece) {
    ShortGuard guard(unit_at(piece.unit).lock);
    decommit_piece(leg, piece);
    return true;
  });
}

Account* account_in_units(const Leg& leg, uintptr_t address) {
  Unit& unit = unit_at(unit_number(address));
  ShortGuard guard(unit.lock);
  const size_t page = (address & (kUnitBytes - 1)) / os::kPageSize;
  // A huge page may reach beyond what is committed; it is where its unit is.
  Side side = Side::kNear;
  if (unit.committed.test(page)) {
    side = unit.far.test(page) ? Side::kFar : Side::kNear;
  } else {
    side_of_unit(unit, &side);
  }
  return leg.plan.units->places[static_cast<size_t>(side)].account;
}

// Side and bytes are one word, so a move takes along exactly what was counted where it came from.
void count_in_unit(Leg* leg, uintptr_t address, int64_t bytes) {
  UnitPlan& plan = *leg->plan.units;
  const bool given = bytes > 0;
  const auto amount = static_cast<uint64_t>(given ? bytes : -bytes);
  if (given) plan.allocated.fetch_add(amount, kRelaxed);
  std::atomic<uint64_t>& state = unit_at(unit_number(address)).state;
  const uint64_t change = amount << kLiveShift;
  const uint64_t old =
      given ? state.fetch_add(change, kRelaxed) : state.fetch_sub(change, kRelaxed);
  TargetCounters* counters = plan.places[(old & kSideMask) == 2 ? 1 : 0].account->counters;
  (given ? counters->allocated : counters->freed).fetch_add(amount, kRelaxed);
}

void count_in_units(Leg* leg, uintptr_t block, int64_t bytes) {
  const int64_t sign = bytes > 0 ? 1 : -1;
  for (int64_t left = bytes * sign; left > 0;) {
    const auto here = static_cast<int64_t>(kUnitBytes - (block & (kUnitBytes - 1)));
    const int64_t part = std::min(left, here);
    count_in_unit(leg, block, sign * part);
    block += static_cast<uintptr_t>(part);
    left -= part;
  }
}

bool begin_move(UnitMove* move) {
  UnitPlan& plan = *move->leg->plan.units;
  Unit& unit = unit_at(move->unit);
  const uintptr_t start = unit_start(move->unit) + move->first_page * os::kPageSize;
  if (any_pinned(start, start + move->part * os::kPageSize)) return false;
  ShortGuard guard(unit.lock);
  Side now = move->side;
  if (!side_of_unit(unit, &now)) return false;
  UnitPages elsewhere;
  for (unsigned i = 0; i < UnitPages::kWords; ++i) {
    const uint64_t there = move->side == Side::kFar ? unit.far.words[i] : ~unit.far.words[i];
    elsewhere.words[i] = unit.committed.words[i] & ~there;
  }
  move->pages = elsewhere.within(move->first_page, move->first_page + move->part);
  if (!charge_side(&plan, move->side, move->pages.count())) return false;
  for (unsigned i = 0; i < UnitPages::kWords; ++i) {
    if (move->side == Side::kFar) {
      unit.far.words[i] |= move->pages.words[i];
    } else {
      unit.far.words[i] &= ~move->pages.words[i];
    }
    unit.under_way.words[i] |= move->pages.words[i];
  }
  ++unit.moving;
  if (move->whole) change_side(plan, &unit, move->side);
  return true;
}

void prepare_pages(const UnitMove& move) {
  Unit& unit = unit_at(move.unit);
  if (move.whole) return point_unit(move.leg, move.unit, move.side);
  if (unit.broken_up.exchange(true, kRelaxed)) return;
  // Nor shall the kernel make one again, of pages of both sides.
  unit.asked_huge.store(false, kRelaxed);
  os::advise_huge_pages(to_pointer(unit_start(move.unit)), kUnitBytes, false);
  const uintptr_t start = unit_start(move.unit) + move.first_page * os::kPageSize;
  os::break_huge_page(to_pointer(start), move.part * os::kPageSize);
}

void end_move(const UnitMove& move, int64_t now) {
  UnitPlan& plan = *move.leg->plan.units;
  Unit& unit = unit_at(move.unit);
  ShortGuard guard(unit.lock);
  size_t back = 0;
  for (unsigned i = 0; i < UnitPages::kWords; ++i) {
    // What was given back and taken again meanwhile is charged where it was born.
    const uint64_t left = move.stuck.words[i] & move.pages.words[i] & unit.under_way.words[i];
    unit.under_way.words[i] &= ~move.pages.words[i];
    back += static_cast<size_t>(__builtin_popcountl(left));
    unit.stuck.words[i] = (unit.stuck.words[i] & ~move.pages.words[i]) | left;
    if (move.side == Side::kFar) {
      unit.far.words[i] &= ~left;
    } else {
      unit.far.words[i] |= left;
    }
  }
  if (back > 0) unit.stuck_at = now;
  uncharge_side(&plan, move.side, back);
  uncharge_side(&plan, other_side(move.side), move.pages.count() - back);
  --unit.moving;
  if (unit.moving == 0 && !unit.committed.any()) end_life(&unit);
}

void split_unit(Leg* leg, UnitNumber number, size_t pages) {
  if (pages == 0 || pages > kUnitPages || (pages & (pages - 1)) != 0) return;
  Unit& unit = unit_at(number);
  ShortGuard guard(unit.lock);
  unit.part_shift = static_cast<uint8_t>(__builtin_ctzl(kUnitPages / pages));
  Side now = Side::kNear;
  if (pages < kUnitPages || !side_of_unit(unit, &now)) return;
  const size_t far = unit.far.count();
  const Side most = 2 * far > unit.committed.count() ? Side::kFar : Side::kNear;
  change_side(*leg->plan.units, &unit, most);
  point_unit(leg, number, most);
}

bool make_huge(const Leg& leg, UnitNumber number) {
  // A huge page is made by copying, which is a move to who pinned the pages.
  if (is_limited(leg) || any_pinned(unit_start(number), unit_start(number + 1))) return false;
  Unit& unit = unit_at(number);
  {
    ShortGuard guard(unit.lock);
    const bool in_one_piece = unit.part_shift == 0 && unit.moving == 0 && !unit.far.any();
    if (!in_one_piece || unit.committed.count() < kUnitPages) return false;
    if (unit.asked_huge.exchange(true, kRelaxed)) return false;
  }
  unit.broken_up.store(false, kRelaxed);
  void* start = to_pointer(unit_start(number));
  os::advise_huge_pages(start, kUnitBytes, true);
  // Where this fails, the kernel's own thread comes by in time.
  os::make_huge_pages(start, kUnitBytes);
  return true;
}

void reset_unit_locks() {
  if (units == nullptr) return;
  for (unsigned window = 0; window < region.windows; ++window) {
    const UnitNumber end = used_units_end(window);
    if (end == 0) continue;
    const UnitNumber first = unit_number(region.base + (uintptr_t{window} << region.window_shift));
    for (UnitNumber number = first; number < end; ++number) {
      ShortLock* lock = &units[number].lock;
      new (lock) ShortLock;
    }
  }
}

}  // namespace hms::alloc
