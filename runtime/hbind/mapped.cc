// The maps against reality: what of a range is mapped, which records are stale, and the calls that
// change mappings and records together.
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "runtime/hbind/hbind.h"
#include "runtime/support/mappings.h"

namespace hms::hbind {
namespace {

struct Collector {
  PageSpan span;
  std::vector<Segment> segments;
};

bool collect(void* context, const os::Mapping& mapping) {
  auto* collector = static_cast<Collector*>(context);
  PageSpan all{mapping.begin / os::kPageSize, mapping.end / os::kPageSize};
  Segment segment;
  segment.span = intersect(all, collector->span);
  segment.anonymous = mapping.anonymous;
  segment.fillable = mapping.anonymous && mapping.writable && !mapping.shared;
  collector->segments.push_back(segment);
  return true;
}

}  // namespace

// True if the mapping under a recorded piece has lost the policy that we gave it: it is a new one.
bool Engine::vanished(PageSpan piece, const PolicyRef& policy) const {
  bool on_nodes = false;
  Slot slot = ledger_.at(piece.begin);
  if (slot != kNoSlot) {
    on_nodes = registry_.at(slot).node >= 0;
  } else {
    for (Slot s : policy.policy->slots) on_nodes = on_nodes || registry_.at(s).node >= 0;
  }
  bool is_default = false;
  return on_nodes && os::range_policy_is_default(piece.address(), &is_default) == 0 && is_default;
}

void Engine::forget(PageSpan span) {
  ledger_.map().for_each(span, [&](PageSpan part, Slot slot) {
    const BoundTarget& target = registry_.at(slot);
    if (target.backend) target.backend->forgotten(part, target);
  });
  policies_.erase(span);
  ledger_.release(span);
}

std::vector<Segment> Engine::survey(PageSpan span) {
  Collector collector{span, {}};
  uintptr_t begin = span.begin * os::kPageSize;
  uintptr_t end = span.end >= kEndOfPages ? UINTPTR_MAX : span.end * os::kPageSize;
  if (os::visit_mappings(begin, end, collect, &collector) < 0) {
    // No /proc: believe that all of it is mapped; the system calls will say if not.
    return {Segment{span, false, false}};
  }
  std::vector<PageSpan> stale;
  Page at = span.begin;
  for (const Segment& segment : collector.segments) {
    if (at < segment.span.begin) stale.push_back(PageSpan{at, segment.span.begin});
    at = segment.span.end;
    policies_.for_each(segment.span, [&](PageSpan piece, const PolicyRef& policy) {
      if (vanished(piece, policy)) stale.push_back(piece);
    });
  }
  if (at < span.end) stale.push_back(PageSpan{at, span.end});
  for (PageSpan gone : stale) forget(gone);
  if (!stale.empty()) tell();
  return std::move(collector.segments);
}

int Engine::unmap(void* address, size_t length) {
  // The mutex is held across the call: another thread may map the same addresses at once, and bind
  // them.
  std::lock_guard<std::mutex> hold(mutex_);
  int r = os::unmap(address, length);
  std::optional<PageSpan> span = make_span(address, length);
  if (r == 0 && span) {
    forget(*span);
    tell();
  }
  return r;
}

int Engine::remap(void* address, size_t old_length, size_t new_length, int flags, void* new_address,
                  void** out) {
  std::lock_guard<std::mutex> hold(mutex_);
  std::optional<PageSpan> from = make_span(address, old_length);
  if (from) survey(*from);
  int r = os::remap(address, old_length, new_length, flags, new_address, out);
  std::optional<PageSpan> to = r == 0 ? make_span(*out, new_length) : std::nullopt;
  if (!from || !to) return r;
  // A length of 0 makes a second mapping of shared pages; the first one stays. See mremap(2).
  bool keep_old = old_length == 0 || (flags & MREMAP_DONTUNMAP) != 0;
  if (old_length == 0) from->end = from->begin + 1;
  follow(*from, *to, keep_old);
  tell();
  return r;
}

// Records move with their pages; what the range has grown by is under the policy of its end.
void Engine::follow(PageSpan from, PageSpan to, bool keep_old) {
  std::vector<PolicyPiece> policies = policies_.pieces(from);
  std::vector<RangeMap<Slot>::Piece> charges = ledger_.map().pieces(from);
  if (!keep_old) forget(from);
  forget(to);
  auto moved = [&](PageSpan old) {
    PageSpan now{old.begin - from.begin + to.begin, old.end - from.begin + to.begin};
    if (old.end == from.end) now.end = std::max(now.end, to.end);
    return intersect(now, to);
  };
  for (const PolicyPiece& piece : policies) policies_.assign(moved(piece.span), piece.value);
  for (const auto& piece : charges) {
    const BoundTarget& target = registry_.at(piece.value);
    PageSpan now = moved(piece.span);
    // Nodes' policies moved with the mapping; what a driver knows is about addresses.
    if (target.node < 0 && target.backend && !target.emulated &&
        target.backend->bind(now, target) != HMS_OK) {
      continue;
    }
    PageSpan grown{std::max(now.begin, now.begin + piece.span.pages()), now.end};
    if (!grown.empty() && target.backend && target.backend->charges()) {
      // A range that grows beyond the capacity of its target is not charged for what is too much.
      ledger_.charge(PageSpan{now.begin, grown.begin}, piece.value);
      uint64_t fits = target.backend->room(target, RoomRequest{}) / os::kPageSize;
      now = PageSpan{grown.begin, std::min(grown.end, grown.begin + fits)};
    }
    ledger_.charge(now, piece.value);
  }
}

}  // namespace hms::hbind
