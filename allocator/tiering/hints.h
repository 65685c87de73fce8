// Hints: what a program expects of blocks, and the class that each hint stands for.
//
// A hint has a class of its own, made when the hint is first met, whoever gives it: born near if
// hot, far if cold, and never mixed with blocks of another hint or of none. From there on it is a
// class as any other: the engine finds out what the hint is wrong about. Without classes a hint is
// the default placement.
#pragma once

#include <cstdint>
#include <string>

#include "allocator/handles.h"
#include "runtime/tiering/heap.h"

namespace hms::alloc {

enum class Heat : uint8_t { kUnknown, kCold, kHot };
enum class Life : uint8_t { kUnknown, kShort, kLong };

using Hint = uint8_t;
inline constexpr unsigned kLives = 3;
inline constexpr Hint kNoHint = 0;
inline constexpr unsigned kHints = 9;  // kNoHint among them

constexpr Hint hint_of(Heat heat, Life life) {
  return static_cast<Hint>(static_cast<unsigned>(heat) * kLives + static_cast<unsigned>(life));
}
constexpr Heat heat_of(Hint hint) { return static_cast<Heat>(hint / kLives); }

// By hint. A handle that was given away before there were classes is of the class afterwards.
extern hms_placement hint_handles[kHints];

// The default placement: the hint has no class (yet).
inline PlacementId known_placement(Hint hint) { return id_of(&hint_handles[hint]); }
// The same, but makes the class if it can be. May allocate.
PlacementId hinted_placement(Hint hint);

// kNoHint for classes that are none of a hint alone.
Hint hint_of_class(tiering::ClassId id);
// For people: "hint hot long-lived".
std::string hint_text(Hint hint);

// When the classes open: makes those of the hints that were met before.
void make_early_hints();

}  // namespace hms::alloc
