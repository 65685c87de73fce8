// See plan.h.
#include "runtime/hbind/plan.h"

#include <algorithm>

namespace hms::hbind {
namespace {

constexpr Page kHugePage = os::kHugePageSize / os::kPageSize;

void add(PageSpan span, const BoundTarget* target, Plan* plan) {
  if (!plan->parts.empty()) {
    PlanPart& last = plan->parts.back();
    if (last.target == target && last.span.end == span.begin) {
      last.span.end = span.end;
      return;
    }
  }
  plan->parts.push_back(PlanPart{span, target});
}

// Where a part that begins at `begin` and has room for `pages` ends.
Page cut(Page begin, uint64_t pages) {
  Page exact = begin + pages;
  Page aligned = exact / kHugePage * kHugePage;
  return aligned > begin ? aligned : exact;
}

}  // namespace

Plan make_plan(const std::vector<Run>& runs, std::vector<Offer> offers) {
  Plan plan;
  size_t turn = 0;
  for (const Run& run : runs) {
    PageSpan rest = run.span;
    while (!run.exists && !rest.empty() && turn < offers.size()) {
      Offer& offer = offers[turn];
      if (offer.pages >= rest.pages()) {
        offer.pages -= rest.pages();
        break;
      }
      if (offer.pages > 0) {
        Page end = cut(rest.begin, offer.pages);
        add(PageSpan{rest.begin, end}, offer.target, &plan);
        rest.begin = end;
      }
      ++turn;
    }
    bool placed = turn < offers.size();
    if (!placed && !run.exists) plan.pages_without_room += rest.pages();
    add(rest, placed ? offers[turn].target : nullptr, &plan);
  }
  return plan;
}

}  // namespace hms::hbind
