// See hints.h.
#include "allocator/tiering/hints.h"

#include <atomic>

#include "allocator/tiering/class_list.h"
#include "allocator/tiering/opening.h"
#include "allocator/tiering/sites.h"

namespace hms::alloc {

hms_placement hint_handles[kHints] = {};

namespace {

std::atomic<unsigned> met{0};  // bits, by hint

}  // namespace

// A hint that is met while the classes start is seen here or by make_early_hints(), or by both.
PlacementId hinted_placement(Hint hint) {
  const PlacementId known = known_placement(hint);
  if (known != kDefaultPlacement || hint == kNoHint) return known;
  met.fetch_or(1U << hint);
  if (classes_wait()) open_classes();
  return classes_on.load() ? make_class_of_hint(hint) : kDefaultPlacement;
}

Hint hint_of_class(tiering::ClassId id) {
  if (id < kSharedClasses) return kNoHint;
  for (unsigned hint = kNoHint + 1; hint < kHints; ++hint) {
    if (class_of_placement(known_placement(static_cast<Hint>(hint))) == id) {
      return static_cast<Hint>(hint);
    }
  }
  return kNoHint;
}

std::string hint_text(Hint hint) {
  static constexpr const char* kHeats[] = {"", " cold", " hot"};
  static constexpr const char* kSpans[] = {"", " short-lived", " long-lived"};
  return std::string("hint") + kHeats[hint / kLives] + kSpans[hint % kLives];
}

void make_early_hints() {
  const unsigned hints = met.load();
  for (unsigned hint = 0; hint < kHints; ++hint) {
    if ((hints >> hint & 1) != 0) make_class_of_hint(static_cast<Hint>(hint));
  }
}

}  // namespace hms::alloc
