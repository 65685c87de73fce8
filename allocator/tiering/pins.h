// Ranges of addresses that tiering leaves where they are, because the program said so.
//
// They belong to addresses, not to units: there may be no unit yet, and a unit ends its life and
// begins another while the range stays. Kept to the byte, so that neighbours who share a page are
// independent of each other; a page is pinned while one byte of it is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "allocator/tiering/units.h"

namespace hms::alloc {

// Ranges that touch are one.
inline constexpr size_t kMaxPins = 16384;

// Of what lies in the region; the rest is never moved. False, and nothing done: there would be more
// than kMaxPins. When it returns, no move of the range goes on.
bool pin(uintptr_t from, uintptr_t to);
bool unpin(uintptr_t from, uintptr_t to);

// One lock and one search for each call; neither while nothing is pinned.
bool any_pinned(uintptr_t from, uintptr_t to);
UnitPages pinned_pages(UnitNumber unit);

// For fork.
void lock_pins();
void unlock_pins();

}  // namespace hms::alloc
