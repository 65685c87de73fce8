// Which classes are worth huge pages: those that are used more than most memory and stay.
//
// A huge page saves translations where much of it is used, and costs memory where it is not, and
// whoever looks through accessed bits sees it as one. So only classes get them whose parts were
// looked at and do not differ (focus.h), and which hold what they have for long enough that the
// kernel's copying pays.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/tiering/focus.h"

namespace hms::tiering {

class HugePages {
 public:
  // Bytes that a class must hold: what a last unit that is not full costs is then an eighth.
  static constexpr uint64_t kLeastBytes = 8 * kUnitBytes;
  // Seconds for which a class must have been like that, without being renewed meanwhile.
  static constexpr double kSettled = 10;

  // Classes that shall have huge pages, ascending; to be asked again each time, as they grow.
  std::vector<ClassId> plan(const View& view, const Focus& focus);

 private:
  bool worth(const View& view, const Focus& focus, const ClassView& of) const;

  struct Since {
    double time = 0;  // 0: it is not like that
    uint64_t allocated = 0;
  };
  std::array<Since, 256> since_{};
};

}  // namespace hms::tiering
