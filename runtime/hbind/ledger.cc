// See ledger.h.
#include "runtime/hbind/ledger.h"

#include <algorithm>

#include "runtime/support/mappings.h"

namespace hms::hbind {

void Ledger::charge(PageSpan span, Slot slot) {
  if (span.empty()) return;
  if (totals_.size() <= slot) totals_.resize(slot + 1u);
  // The map first: it is what can fail. What it replaces must be known before.
  std::vector<RangeMap<Slot>::Piece> before = map_.pieces(span);
  map_.assign(span, slot);
  for (const auto& piece : before) totals_[piece.value] -= piece.span.pages();
  totals_[slot] += span.pages();
}

void Ledger::release(PageSpan span) {
  std::vector<RangeMap<Slot>::Piece> before = map_.pieces(span);
  if (before.empty()) return;
  map_.erase(span);
  for (const auto& piece : before) totals_[piece.value] -= piece.span.pages();
}

uint64_t Ledger::pages_within(PageSpan span, Slot slot) const {
  uint64_t sum = 0;
  map_.for_each(span, [&](PageSpan piece, Slot s) {
    if (s == slot) sum += piece.pages();
  });
  return sum;
}

Slot Ledger::at(Page page) const {
  const Slot* slot = map_.find(page);
  return slot ? *slot : kNoSlot;
}

namespace {

void add(PageSpan span, bool exists, std::vector<Run>* runs) {
  if (!runs->empty() && runs->back().exists == exists && runs->back().span.end == span.begin) {
    runs->back().span.end = span.end;
  } else {
    runs->push_back(Run{span, exists});
  }
}

// One page at a time, for a stretch with a hole in it: mincore refuses the whole of it.
void add_with_holes(PageSpan span, std::vector<Run>* runs) {
  for (Page page = span.begin; page < span.end; ++page) {
    PageSpan one{page, page + 1};
    unsigned char byte = 0;
    int r = os::resident(one.address(), one.bytes(), &byte);
    add(one, r < 0 || (byte & 1) != 0, runs);
  }
}

}  // namespace

std::vector<Run> presence(PageSpan span) {
  constexpr Page kStep = 4096;
  unsigned char exists[kStep];
  std::vector<Run> runs;
  for (Page at = span.begin; at < span.end;) {
    PageSpan part{at, std::min(span.end, at + kStep)};
    at = part.end;
    if (os::resident(part.address(), part.bytes(), exists) < 0) {
      add_with_holes(part, &runs);
      continue;
    }
    for (Page page = part.begin; page < part.end; ++page) {
      add(PageSpan{page, page + 1}, (exists[page - part.begin] & 1) != 0, &runs);
    }
  }
  return runs;
}

uint64_t absent_pages(PageSpan span) {
  uint64_t sum = 0;
  for (const Run& run : presence(span)) sum += run.exists ? 0 : run.span.pages();
  return sum;
}

}  // namespace hms::hbind
