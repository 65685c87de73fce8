// Classes of the heap: what tiering steers in a program (runtime/tiering/heap.h), and how plain
// requests get to them.
//
// A class is a placement with windows of its own, divided into units (units.h). Contexts begin in
// class 0, on probation; one that has allocated enough gets a class of its own, as long as there
// are some. Before start_classes() nothing of this exists: no thread, no memory, no cost.
#pragma once

#include "allocator/allocator.h"
#include "runtime/placement/placement.h"
#include "runtime/support/result.h"
#include "runtime/tiering/context_table.h"
#include "runtime/tiering/heap.h"

namespace hms::alloc {

// Room for them in windows and placements is shared with the program's own.
inline constexpr unsigned kContextClasses = 48;
inline constexpr unsigned kHintClasses = 8;
inline constexpr unsigned kMaxClasses = kContextClasses + kHintClasses;

// Divides the heap between two targets from now on. Once per process; its threads may run already.
// The heap lives until the process ends. Both may be the same target: contexts and classes are then
// kept apart all the same. If not, on a machine with several nodes, both must name theirs
// (HMS_EINVAL); HMS_ENOMEM without address space or placements. Requests
// come to them once they are open: opening.h.
Result<tiering::Heap*> start_classes(const TargetRef& near, const TargetRef& far);
// Null before start_classes().
tiering::Heap* class_heap();
const tiering::ContextTable* context_table();

// What is known of a context when it is met for the first time.
enum class Advice : uint8_t {
  kNone,
  kNear,
  kFar,
  kPart,   // near, up to limit_advised_part()
  kSplit,  // where it is called from decides: to be told apart by depth of stack at once
};
struct NewContext {
  tiering::ContextId id;
  const void* site;  // the return address of the entry point
  uint16_t depth;    // as in tiering::ContextKey; 0: not told apart by depth
};
// Asked once for each context, by the thread that allocates, with no lock held; what it allocates
// itself takes the default placement. To be set before start_classes().
using AskAdvice = Advice (*)(const NewContext&);
void set_class_advice(AskAdvice ask);
// How many bytes a context that is advised to be near in part has there at most. After
// start_classes(), before a request comes to it.
void limit_advised_part(uint64_t near_bytes);

// For the entry points, and the tests: the placement of a request of this many bytes, counted for
// its context, that came from `site` (a return address).
PlacementId place_by_site(size_t bytes, const void* site);
// Where a block goes that grows or moves: contexts decide only about blocks that no context or rule
// has placed yet.
PlacementId place_again(const void* block, PlacementId by_site);

}  // namespace hms::alloc
