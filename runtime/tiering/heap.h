// What tiering steers, seen from above: a heap in classes and units on two memories.
//
// Words:
//   near, far  the two targets that memory is divided between; near is the fast, small one
//   context    where allocations come from: a return address, told apart by depth of stack where a
//              wrapper hides the place
//   class      allocations that are kept together because they are expected to behave alike; has a
//              window of its own. Contexts that have allocated little share class 0, on probation
//   unit       kUnitBytes of a class's window: what has heat, and what moves as one
//   part       of a unit that was split: the engine looks closer there, and each part has heat and
//              moves by itself. Parts are listed as units of fewer bytes
//
// Why parts: where keys and not places decide what is hot, one page of a unit is hot and the next
// is not. Of a gather of embedding rows the best 4 KiB pages in an eighth of the bytes meet 0.32 of
// the accesses, the best pieces of 64 KiB 0.17, of 2 MiB 0.10 (bench/tiering).
//
// The interface stands between the engine (decides), the samplers (observe) and whoever owns the
// memory: the allocator in a program, a trace in the replayer of bench/tiering, fakes in the tests.
// So decisions are tested and judged without a kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hms::tiering {

enum class Side : uint8_t { kNear, kFar };

using ContextId = uint32_t;
using ClassId = uint8_t;
using UnitId = uint32_t;

inline constexpr size_t kUnitBytes = size_t{2} << 20;
inline constexpr size_t kPartBytesMin = 4096;
inline constexpr ClassId kProbation = 0;
// A context leaves probation when it has allocated that much.
inline constexpr uint64_t kProbationBytes = uint64_t{256} << 10;
// A woven class (weave.h) has so many of kWeaveCycle neighbouring runs near; others have kNotWoven.
inline constexpr unsigned kWeaveCycle = 64;
inline constexpr uint8_t kNotWoven = 255;

// Bytes. `allocated` is cumulative; bytes per second divided by live bytes is the rate of renewal.
struct ContextView {
  ContextId id;
  ClassId class_id;
  uint64_t allocations;
  uint64_t allocated;
};

struct ClassView {
  ClassId id;
  Side lean;           // where its next units are born
  uint64_t live;       // handed out and not yet freed; thread caches count as handed out
  uint64_t allocated;  // cumulative
};

// A unit, or a part of one that was split.
struct UnitView {
  // Stays with the address range as long as the process lives. Counts in steps of kPartBytesMin: a
  // unit's number is that of its first page, and so is a part's, so the first part of a unit has
  // the unit's own number and those of two units differ by at least kUnitBytes / kPartBytesMin.
  UnitId id;
  uintptr_t address;
  uint32_t bytes;      // kUnitBytes, or what the unit was split into
  uint32_t committed;  // that may hold pages, at most `bytes`; units with none are left out
  ClassId class_id;
  Side side;
  bool stuck;  // the kernel would not move it lately, or the user pinned it
  // Units of the same run lie on the same side where their class is woven; the next run of the
  // class has the next number. A part has the run of its unit.
  uint32_t run = 0;
};

// Bytes of near memory that tiering may use, and that its units hold now.
struct Room {
  uint64_t near_capacity;
  uint64_t near_used;
};

struct Moved {
  uint64_t pages = 0;  // now on the side asked for, and were not before
  uint64_t stuck = 0;  // pages that the kernel would not move
};

// Called by one thread, the engine's. None of the calls throws or ends the process.
class Heap {
 public:
  virtual ~Heap() = default;

  virtual Room room() = 0;
  // Replace the contents of the vector. Order of units: ascending address.
  virtual void contexts(std::vector<ContextView>* out) = 0;
  virtual void classes(std::vector<ClassView>* out) = 0;
  virtual void units(std::vector<UnitView>* out) = 0;

  // Future units of the class are born there, as long as there is room.
  virtual void set_lean(ClassId id, Side side) = 0;
  // The class is woven from now on, with that share of kWeaveCycle runs near: where a unit is born
  // is a matter of its run, and not of the lean. kNotWoven: no longer.
  virtual void set_weave(ClassId id, uint8_t share) = 0;
  // Future allocations of the context go to the class; blocks that exist stay.
  virtual void assign(ContextId context, ClassId id) = 0;
  // Moves the pages of units and parts, and what they are charged to; one that has no room there
  // stays. Together, because what the kernel does for each call costs more than many pages.
  // `moved` has an answer for each, in the same order.
  virtual void move(const std::vector<UnitId>& units, Side side, std::vector<Moved>* moved) = 0;
  // The unit is listed in parts of so many bytes from now on: a power of two from kPartBytesMin to
  // kUnitBytes, which makes it whole again. Only a way of looking: no page moves, and a huge page
  // is broken up when a part of it first moves alone. A unit made whole whose pages lie on both
  // sides is listed on the side of most of them.
  virtual void split(UnitId unit, uint32_t bytes) = 0;
  // The kernel shall use huge pages for what the class has and will have, as far as they hold
  // nothing else. Said again as the class grows.
  virtual void ask_huge(ClassId id) = 0;
};

}  // namespace hms::tiering
