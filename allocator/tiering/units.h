// How a leg whose memory moves spreads over two targets: by units of 2 MiB, each with a side.
//
// A unit gets its side when its first bytes are committed: where the class leans, or, of a woven
// class, where the pattern has it (runtime/tiering/weave.h), if there is room, else the other; it
// loses it when the last are given back. Bytes that a unit takes later go to its side as well, or,
// when that is full, to the other one. Moving changes sides and charges page by page, of all of a
// unit or of a part. So a unit may be mixed: its record knows of every page which account it is
// charged to.
//
// Records lie in one table over the region, an entry per 2 MiB of address space, of which only
// those of such legs are ever touched: the number of a unit is address arithmetic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/account.h"
#include "allocator/mutex.h"
#include "allocator/short_lock.h"
#include "runtime/support/os.h"
#include "runtime/tiering/heap.h"

namespace hms::alloc {

struct Leg;

using tiering::kUnitBytes;
using tiering::Side;
using UnitNumber = uint32_t;  // in steps of kUnitBytes; tiering::UnitId counts in pages

inline constexpr size_t kUnitPages = kUnitBytes / os::kPageSize;

// One bit per page of a unit.
struct UnitPages {
  static constexpr unsigned kWords = kUnitPages / 64;
  uint64_t words[kWords] = {};

  bool any() const {
    for (uint64_t word : words) {
      if (word != 0) return true;
    }
    return false;
  }
  // Only pages [first, end) of the unit.
  UnitPages within(size_t first, size_t end) const;
  size_t count() const {
    size_t bits = 0;
    for (uint64_t word : words) bits += static_cast<size_t>(__builtin_popcountl(word));
    return bits;
  }
  bool test(size_t page) const { return (words[page / 64] >> (page % 64) & 1) != 0; }
  void set(size_t page) { words[page / 64] |= uint64_t{1} << (page % 64); }
};

// All zero: nothing committed.
struct alignas(64) Unit {
  ShortLock lock;                // of what follows; a leaf but for the lock of the leg
  std::atomic<uint8_t> policy;   // the side that the kernel is told, + 1; kUnknownPolicy: any
  uint16_t moving;               // moves of its pages that are going on: it keeps its side
  uint8_t part_shift;            // it is looked at in parts of kUnitBytes >> part_shift
  std::atomic<bool> broken_up;   // no huge page is left of it
  std::atomic<bool> asked_huge;  // the kernel was asked for a huge page
  int64_t stuck_at;              // when the kernel last refused pages (monotonic ns), 0: never
  std::atomic<uint64_t> state;   // bytes handed out << kLiveShift | side + 1, 0 there: unborn
  UnitPages committed;
  UnitPages far;        // of these, charged to the far account
  UnitPages stuck;      // that the kernel refused to move
  UnitPages under_way;  // charged to both sides by a move; not those given back since
};

// The two sides of such a leg, and what it knows of its own units.
struct UnitPlan {
  struct Place {
    Account* account = nullptr;
    os::Policy policy = os::Policy::kDefault;
    os::NodeMask nodes;
    bool guard_node = false;
  };
  Place places[2];  // by Side
  std::atomic<Side> lean{Side::kNear};
  std::atomic<uint8_t> weave{tiering::kNotWoven};  // else what of the runs is born near
  std::atomic<int64_t> near_limit{INT64_MAX};      // bytes; what comes beyond is far
  std::atomic<uint64_t> allocated{0};              // bytes handed out, cumulative
  std::atomic<int64_t> near_bytes{0};              // charged to the near account
  std::atomic<bool> huge{false};                   // huge pages for what comes
  // The policy that the rest of a window has, from the highest unit on that was ever born there.
  // Under the lock of the leg.
  uintptr_t tail = 0;
  uint8_t tail_policy = 0;
};

inline Side other_side(Side side) { return side == Side::kNear ? Side::kFar : Side::kNear; }

// Once, before the first leg in units. False: no address space.
bool reserve_units();
// Makes the records of [from, to) writable. Nothing for ranges outside of legs in units.
bool commit_units(const Leg& leg, uintptr_t from, uintptr_t to);

UnitNumber unit_number(uintptr_t address);
uintptr_t unit_start(UnitNumber number);
Unit& unit_at(UnitNumber number);
// Numbers from here on were never used, in the window of the region with this index.
UnitNumber used_units_end(unsigned window);

// Which run of its class the unit is in: those of stripes, so that woven classes have no more
// mappings than interleaved placements.
uint32_t run_of_unit(UnitNumber number);
// Nothing if it is not born.
bool side_of_unit(const Unit& unit, Side* side);

// Charges [start, start + bytes), all or nothing, and tells the kernel where its pages belong.
bool commit_in_units(Leg* leg, uintptr_t start, size_t bytes);
// After the pages were given back.
void decommit_in_units(Leg* leg, uintptr_t start, size_t bytes);
// What an address is charged to; of what is not committed, the account of its unit's side.
Account* account_in_units(const Leg& leg, uintptr_t address);
// Blocks that were handed out, or (less than zero) given back; counted where the unit is now.
void count_in_units(Leg* leg, uintptr_t block, int64_t bytes);
// The same, all of it in the unit of this address.
void count_in_unit(Leg* leg, uintptr_t address, int64_t bytes);

// Moving what is charged elsewhere, in a unit or a part of one, to a side. The memory may be used
// all the time, and the parts of a unit may be moved side by side.
struct UnitMove {
  Leg* leg = nullptr;
  UnitNumber unit = 0;
  size_t first_page = 0;  // of the part
  size_t part = kUnitPages;
  bool whole = true;  // all of the unit moves, if not with this then with its neighbours
  Side side = Side::kNear;
  UnitPages pages;  // committed, and charged to the other side before
  UnitPages stuck;  // of these: the kernel would not move them
};
// Charges the pages to the side as well; fills `pages`. False: no room there, or the part is pinned
// (pins.h). The first step of three.
bool begin_move(UnitMove* move);
// The unit, if the move is of a whole one: tells the kernel where its future pages belong. A part:
// breaks up the huge page.
void prepare_pages(const UnitMove& move);
// Ends what the pages were charged to before; those that are stuck go back to it.
void end_move(const UnitMove& move, int64_t now);

// Pages of a part of a unit that was split; kUnitPages of one that is not.
inline size_t part_pages(const Unit& unit) { return kUnitPages >> unit.part_shift; }
// The unit is looked at in parts of so many pages, a power of two. Whole again, it is on the side
// of most of its pages.
void split_unit(Leg* leg, UnitNumber number, size_t pages);
// Asks for a huge page, once, if the unit is full, in one piece and wholly near, nothing of it is
// pinned, and no quota counts its pages. Under move_lock(). False: nothing was to be asked for.
bool make_huge(const Leg& leg, UnitNumber number);

// In a forked child, whose only thread holds no unit.
void reset_unit_locks();

}  // namespace hms::alloc
