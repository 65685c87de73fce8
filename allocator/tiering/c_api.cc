// What hms.h says about tiering: hints.
#include <new>
#include <string>

#include "allocator/tiering/hints.h"
#include "hms/hms.h"
#include "runtime/support/last_error.h"

namespace hms::alloc {
namespace {

static_assert(static_cast<int>(Heat::kCold) == HMS_HEAT_COLD &&
              static_cast<int>(Heat::kHot) == HMS_HEAT_HOT);
static_assert(static_cast<int>(Life::kShort) == HMS_LIFE_SHORT &&
              static_cast<int>(Life::kLong) == HMS_LIFE_LONG);

hms_status hand_out(int heat, int life, const hms_placement** out) {
  if (out == nullptr) return fail(HMS_EINVAL, "hms_placement_hinted: out must not be NULL");
  if (heat < HMS_HEAT_UNKNOWN || heat > HMS_HEAT_HOT) {
    return fail({HMS_EINVAL, "hms_placement_hinted: " + std::to_string(heat) +
                                 " is no hms_heat; HMS_HEAT_UNKNOWN, _COLD or _HOT is needed"});
  }
  if (life < HMS_LIFE_UNKNOWN || life > HMS_LIFE_LONG) {
    return fail({HMS_EINVAL, "hms_placement_hinted: " + std::to_string(life) +
                                 " is no hms_life; HMS_LIFE_UNKNOWN, _SHORT or _LONG is needed"});
  }
  const Hint hint = hint_of(static_cast<Heat>(heat), static_cast<Life>(life));
  hinted_placement(hint);
  *out = &hint_handles[hint];
  return HMS_OK;
}

}  // namespace
}  // namespace hms::alloc

extern "C" {

hms_status hms_placement_hinted(hms_heat heat, hms_life life, const hms_placement** out) {
  try {
    return hms::alloc::hand_out(heat, life, out);
  } catch (const std::bad_alloc&) {
    return hms::fail(HMS_ENOMEM, "out of memory while telling of a hint that is none");
  }
}
}
