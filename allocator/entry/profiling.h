// Profiles in a program: placing by one, and recording one. docs/profiles.md
//
// Recording only looks. It stores what it has learnt so far now and then, as a process that is
// killed has no last word.
#pragma once

#include "allocator/service.h"
#include "allocator/tiering/classes.h"
#include "runtime/tiering/context_keys.h"
#include "runtime/tiering/profile.h"

namespace hms::entry {

// Of all contexts that were met, by advise().
const tiering::ContextKeys& context_keys();
// For alloc::set_class_advice(): remembers where a context is, and says what the profile says of
// it.
alloc::Advice advise(const alloc::NewContext& context);
// Before the first context is met.
void place_by(const tiering::Profile& profile, uint64_t near_bytes);
// In a forked child, before it goes on: what its parent allocated is not its own.
void note_inherited();
// What the thread of a recorded process does.
void record(alloc::Service& thread);

}  // namespace hms::entry
