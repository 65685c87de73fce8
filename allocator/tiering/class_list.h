// The classes as such: which there are, which are taken, and which windows they have.
#pragma once

#include <atomic>

#include "allocator/placements.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/hints.h"

namespace hms::alloc {

// Classes that hold what is advised to be near, far, or near in part, until the context has one of
// its own; and how many they are, with probation.
inline constexpr tiering::ClassId kAdvisedNear = 1;
inline constexpr tiering::ClassId kAdvisedFar = 2;
inline constexpr tiering::ClassId kAdvisedPart = 3;
inline constexpr unsigned kSharedClasses = 4;

tiering::ContextTable& contexts();

unsigned class_count();  // ids below are registered
PlacementId class_placement(tiering::ClassId id);
// kNoClass for placements that are no classes.
tiering::ClassId class_of_placement(PlacementId id);
Leg* class_leg(tiering::ClassId id);  // the one in units

// The class of a context that has not earned one of its own: asks for advice about a fresh one.
tiering::ClassId first_class(tiering::ContextId id, bool fresh);
// A class that nobody has, now taken; kNoClass if none is prepared.
tiering::ClassId take_class();
void mark_taken(tiering::ClassId id);
// The class of a hint, made if there is none; one that several share where there is no room for
// another. Allocates; not under any lock of the allocator.
PlacementId make_class_of_hint(Hint hint);
// Registers some more, if few are left. Allocates; not under any lock of the allocator.
void prepare_classes();

// Grows whenever a context has changed its class, or was split: what threads remember is then old.
extern std::atomic<uint32_t> class_epoch;

// For fork: the lock of prepare_classes(), taken above that of the placements.
void lock_preparing();
void unlock_preparing();
// After a fork, in the child: a move that was going on is settled.
void settle_move_in_child();

}  // namespace hms::alloc
