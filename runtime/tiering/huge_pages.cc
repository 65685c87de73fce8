// See huge_pages.h.
#include "runtime/tiering/huge_pages.h"

namespace hms::tiering {

// Far memory is rarely used, and what moves between the sides should not be copied twice.
bool HugePages::worth(const View& view, const Focus& focus, const ClassView& of) const {
  if (of.lean != Side::kNear || of.live < kLeastBytes || !focus.whole(of.id)) return false;
  double bytes = 0;
  for (const ClassView& each : view.classes) bytes += view.heat.of_class(each.id).bytes;
  const ClassHeat& heat = view.heat.of_class(of.id);
  return heat.rate > 0 && heat.density * bytes >= view.heat.rate();
}

std::vector<ClassId> HugePages::plan(const View& view, const Focus& focus) {
  std::vector<ClassId> out;
  for (const ClassView& of : view.classes) {
    Since& since = since_[of.id];
    if (!worth(view, focus, of)) {
      since.time = 0;
    } else if (since.time == 0 || of.allocated - since.allocated > of.live) {
      since = {view.now, of.allocated};  // from here on, or renewed as a whole since
    } else if (view.now - since.time >= kSettled) {
      out.push_back(of.id);
    }
  }
  return out;
}

}  // namespace hms::tiering
