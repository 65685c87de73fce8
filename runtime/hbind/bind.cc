// bind and unbind: policy for pages to come. Order of work: look, plan, refuse or act, record. What
// fails half-way is taken back from the records, which change last.
#include <errno.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "runtime/hbind/hbind.h"
#include "runtime/hbind/node_pages.h"

namespace hms::hbind {
namespace {

os::NodeMask nodes_of(const TargetList& list) {
  os::NodeMask mask;
  for (const BoundTarget* target : list.targets) {
    if (target->node >= 0) mask.set(target->node);
  }
  return mask;
}

bool any(const os::NodeMask& mask) {
  for (unsigned long word : mask.words) {
    if (word != 0) return true;
  }
  return false;
}

// Parts without room prefer every node of the list: the first one that frees memory gets the page.
hms_status prefer_all(PageSpan span, const os::NodeMask& nodes) {
  return status_of(any(nodes) ? prefer(span, nodes, true) : clear_policy(span));
}

uint64_t released_pages(const Ledger& ledger, const std::vector<Run>& runs, Slot slot) {
  uint64_t pages = 0;
  for (const Run& run : runs) {
    if (!run.exists) pages += ledger.pages_within(run.span, slot);
  }
  return pages;
}

Status refused(hms_status code, const char* what) {
  switch (code) {
    case HMS_EPERM:
      return {code, std::string("the kernel, or a system call filter, forbids ") + what};
    case HMS_ENODEV:
      return {code, std::string(what) +
                        ": the kernel rejects the node for this range (off line, "
                        "closed to this process, or huge pages of a fixed size)"};
    case HMS_ENOMEM:
      return {code, std::string(what) + ": the kernel has no memory, or vm.max_map_count mappings"};
    default:
      return {code, std::string(what) + " failed"};
  }
}

uint64_t holes(PageSpan span, const std::vector<Segment>& segments) {
  uint64_t mapped = 0;
  for (const Segment& segment : segments) mapped += segment.span.bytes();
  return span.bytes() - mapped;
}

// Moves those pages of the batch that are on none of `nodes` to the listed targets.
Status bring_home(Batch* batch, const os::NodeMask& nodes, const TargetList& list) {
  int r = locate(batch);
  if (r < 0) return refused(status_of(r), "move_pages, which a strict bind is verified with");
  Batch astray;
  for (size_t i = 0; i < batch->count; ++i) {
    if (batch->node[i] < 0 || nodes.test(batch->node[i])) continue;
    astray.pages[astray.count++] = batch->pages[i];
  }
  for (const BoundTarget* target : list.targets) {
    if (astray.count == 0) return {};
    if (target->node < 0) continue;
    bool done[kBatchPages] = {};
    move_to_node(astray, target->node, done);
    size_t left = 0;
    for (size_t i = 0; i < astray.count; ++i) {
      if (!done[i]) astray.pages[left++] = astray.pages[i];
    }
    astray.count = left;
  }
  if (astray.count == 0) return {};
  return {HMS_ENOMEM, "the targets filled up while the range was populated"};
}

// Brings a run of absent pages into existence, a piece at a time, so that a machine that fills up
// meanwhile is noticed before it is full.
Status fill_run(PageSpan run, const os::NodeMask& nodes, const TargetList& list) {
  for (Page at = run.begin; at < run.end;) {
    PageSpan piece{at, std::min<Page>(run.end, at + kBatchPages)};
    at = piece.end;
    int r = os::populate(piece.address(), piece.bytes());
    if (r == -EINVAL || r == -ENOSYS) {
      return {HMS_ENOSYS, "HMS_STRICT needs MADV_POPULATE_WRITE: Linux 5.14 or later"};
    }
    if (r < 0) {
      return {r == -EPERM ? HMS_EPERM : HMS_ENOMEM, "the kernel cannot populate the range"};
    }
    Batch batch;
    for (Page page = piece.begin; page < piece.end; ++page) batch.pages[batch.count++] = page;
    Status home = bring_home(&batch, nodes, list);
    if (!home.ok()) return home;
  }
  return {};
}

}  // namespace

// Calls visit(PageSpan, const BoundTarget* or null) for the parts of `span` as the ledger has them.
template <typename Visitor>
void Engine::for_each_part(PageSpan span, Visitor visit) const {
  Page at = span.begin;
  ledger_.map().for_each(span, [&](PageSpan piece, Slot slot) {
    if (at < piece.begin) visit(PageSpan{at, piece.begin}, nullptr);
    visit(piece, &registry_.at(slot));
    at = piece.end;
  });
  if (at < span.end) visit(PageSpan{at, span.end}, nullptr);
}

Plan Engine::plan(PageSpan span, const std::vector<Run>& runs, const TargetList& list,
                  bool strict) {
  uint64_t absent = 0;
  for (const Run& run : runs) absent += run.exists ? 0 : run.span.pages();
  std::vector<Offer> offers;
  for (const BoundTarget* target : list.targets) {
    RoomRequest request;
    request.range = span;
    request.released = released_pages(ledger_, runs, target->slot);
    request.wanted = absent * os::kPageSize;
    request.strict = strict;
    offers.push_back(Offer{target, target->backend->room(*target, request) / os::kPageSize});
  }
  return make_plan(runs, std::move(offers));
}

hms_status Engine::apply(const PlanPart& part, const TargetList& list) {
  // A new mbind replaces an old one; what a device holds, or held before, must be let go of.
  hms_status status = HMS_OK;
  for_each_part(part.span, [&](PageSpan piece, const BoundTarget* old) {
    bool other = old && old->node < 0 && old->backend && old != part.target;
    if (other && status == HMS_OK) status = old->backend->unbind(piece, *old);
  });
  if (status != HMS_OK) return status;
  if (!part.target) return prefer_all(part.span, nodes_of(list));
  if (part.target->node < 0) status = status_of(clear_policy(part.span));
  return status == HMS_OK ? part.target->backend->bind(part.span, *part.target) : status;
}

// Puts the recorded policies of a span back in force, as well as the kernel lets us.
void Engine::restore(PageSpan span) {
  Page at = span.begin;
  policies_.for_each(span, [&](PageSpan piece, const PolicyRef& ref) {
    if (at < piece.begin) clear_policy(PageSpan{at, piece.begin});
    at = piece.end;
    os::NodeMask nodes;
    for (Slot slot : ref.policy->slots) {
      if (registry_.at(slot).node >= 0) nodes.set(registry_.at(slot).node);
    }
    for_each_part(piece, [&](PageSpan part, const BoundTarget* target) {
      if (target && target->backend) {
        target->backend->bind(part, *target);
      } else {
        prefer_all(part, nodes);
      }
    });
  });
  if (at < span.end) clear_policy(PageSpan{at, span.end});
}

Status Engine::fill(const std::vector<Segment>& segments, const Plan& plan,
                    const TargetList& list) {
  os::NodeMask nodes = nodes_of(list);
  for (const PlanPart& part : plan.parts) {
    if (!part.target || part.target->node < 0) continue;
    for (const Segment& segment : segments) {
      PageSpan both = intersect(part.span, segment.span);
      if (!segment.fillable || both.empty()) continue;
      for (const Run& run : presence(both)) {
        if (run.exists) continue;
        Status status = fill_run(run.span, nodes, list);
        if (!status.ok()) return status;
      }
    }
  }
  return {};
}

void Engine::charge(const PlanPart& part, const Run& run) {
  PageSpan span = intersect(part.span, run.span);
  if (span.empty()) return;
  bool charges = part.target && part.target->backend->charges();
  if (!run.exists) {
    if (part.target) {
      ledger_.charge(span, part.target->slot);
    } else {
      ledger_.release(span);
    }
    return;
  }
  // Existing pages stay where they are: on their emulated target, if they are charged to one.
  struct Part {
    PageSpan span;
    bool stays;
  };
  std::vector<Part> parts;
  for_each_part(span, [&](PageSpan piece, const BoundTarget* old) {
    parts.push_back(Part{piece, old && old->emulated});
  });
  for (const Part& piece : parts) {
    if (piece.stays) continue;
    if (part.target && !charges) {
      ledger_.charge(piece.span, part.target->slot);
    } else {
      ledger_.release(piece.span);
    }
  }
}

void Engine::record(const Plan& plan, const std::vector<Run>& runs, const PolicyRef& policy) {
  // Both lists are in address order and cover the same pages.
  size_t next = 0;
  for (const PlanPart& part : plan.parts) {
    policies_.assign(part.span, policy);
    while (next > 0 && runs[next - 1].span.end > part.span.begin) --next;
    for (; next < runs.size() && runs[next].span.begin < part.span.end; ++next) {
      charge(part, runs[next]);
    }
  }
}

Status Engine::bind(hms_op* op, const TargetList& list) {
  PageSpan span = *make_span(op->address, op->length);
  std::vector<Segment> segments = survey(span);
  std::vector<Run> runs;
  for (const Segment& segment : segments) {
    std::vector<Run> more = presence(segment.span);
    runs.insert(runs.end(), more.begin(), more.end());
  }
  for (const Run& run : runs) op->pages_present += run.exists ? run.span.pages() : 0;
  op->bytes_unmapped = holes(span, segments);
  bool strict = (op->flags & HMS_STRICT) != 0;
  Plan plan = this->plan(span, runs, list, strict);
  op->bytes_no_room = plan.pages_without_room * os::kPageSize;
  if (strict && plan.pages_without_room > 0) {
    return {HMS_ENOMEM,
            "the targets lack room for " + std::to_string(op->bytes_no_room) +
                " bytes of the range; add a target to the list, or leave out HMS_STRICT"};
  }
  auto policy = std::make_shared<Policy>();
  policy->ids = list.ids;
  for (const BoundTarget* target : list.targets) policy->slots.push_back(target->slot);
  policy->flags = op->flags;
  for (size_t i = 0; i < plan.parts.size(); ++i) {
    hms_status status = apply(plan.parts[i], list);
    if (status == HMS_OK) continue;
    // The part that failed is as before; those ahead of it are not.
    for (size_t done = 0; done < i; ++done) restore(plan.parts[done].span);
    return refused(status, "mbind");
  }
  Status filled = strict ? fill(segments, plan, list) : Status();
  if (!filled.ok()) {
    for (const PlanPart& part : plan.parts) restore(part.span);
    return filled;
  }
  try {
    record(plan, runs, PolicyRef{policy});
  } catch (const std::bad_alloc&) {
    for (const PlanPart& part : plan.parts) restore(part.span);
    throw;
  }
  return {};
}

Status Engine::unbind(hms_op* op) {
  PageSpan span = *make_span(op->address, op->length);
  std::vector<Segment> segments = survey(span);
  op->bytes_unmapped = holes(span, segments);
  for (const PolicyPiece& piece : policies_.pieces(span)) {
    hms_status status = HMS_OK;
    for_each_part(piece.span, [&](PageSpan part, const BoundTarget* target) {
      if (status != HMS_OK) return;
      status = target && target->backend ? target->backend->unbind(part, *target)
                                         : status_of(clear_policy(part));
    });
    if (status != HMS_OK) {
      restore(PageSpan{span.begin, piece.span.end});
      return refused(status, "mbind");
    }
  }
  // Charges of pages that exist on emulated targets stay, as the pages do.
  std::vector<PageSpan> promises;
  for (const Segment& segment : segments) {
    for (const Run& run : presence(segment.span)) {
      op->pages_present += run.exists ? run.span.pages() : 0;
      for_each_part(run.span, [&](PageSpan part, const BoundTarget* target) {
        if (target && !(run.exists && target->emulated)) promises.push_back(part);
      });
    }
  }
  for (PageSpan promise : promises) ledger_.release(promise);
  policies_.erase(span);
  return {};
}

}  // namespace hms::hbind
