// What hms.h says about tiering: hints and pinned ranges.
#include <new>
#include <string>

#include "allocator/tiering/hints.h"
#include "allocator/tiering/pins.h"
#include "hms/hms.h"
#include "runtime/support/last_error.h"

namespace hms::alloc {
namespace {

static_assert(static_cast<int>(Heat::kCold) == HMS_HEAT_COLD &&
              static_cast<int>(Heat::kHot) == HMS_HEAT_HOT);
static_assert(static_cast<int>(Life::kShort) == HMS_LIFE_SHORT &&
              static_cast<int>(Life::kLong) == HMS_LIFE_LONG);

Status bad_range(const char* function, const char* what) {
  return {HMS_EINVAL, std::string(function) + ": " + what};
}

// User space is the lower half of the address space, on every machine that we run on.
Status check_range(const char* function, const void* address, size_t length) {
  const auto from = reinterpret_cast<uintptr_t>(address);
  if (length == 0) return {};
  if (address == nullptr) return bad_range(function, "the address must not be NULL");
  if (from > static_cast<uintptr_t>(INTPTR_MAX) ||
      length > static_cast<uintptr_t>(INTPTR_MAX) - from) {
    return bad_range(function,
                     "the range goes beyond the end of the address space; give its "
                     "address and its length in bytes");
  }
  return {};
}

using Change = bool (*)(uintptr_t from, uintptr_t to);

hms_status change_pins(const char* function, const void* address, size_t length, Change change) {
  try {
    const Status good = check_range(function, address, length);
    if (!good.ok()) return fail(good);
    const auto from = reinterpret_cast<uintptr_t>(address);
    if (length == 0 || change(from, from + length)) return HMS_OK;
    return fail({HMS_ENOMEM, std::string(function) + ": at most " + std::to_string(kMaxPins) +
                                 " ranges can be pinned; pin larger ones, or unpin some"});
  } catch (const std::bad_alloc&) {
    return fail(HMS_ENOMEM, "out of memory while telling of a range that cannot be pinned");
  }
}

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

hms_status hms_tiering_pin(const void* address, size_t length) {
  return hms::alloc::change_pins("hms_tiering_pin", address, length, hms::alloc::pin);
}

hms_status hms_tiering_unpin(const void* address, size_t length) {
  return hms::alloc::change_pins("hms_tiering_unpin", address, length, hms::alloc::unpin);
}
}
