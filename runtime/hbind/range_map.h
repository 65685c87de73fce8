// The range map: which value belongs to which pages. Newest wins, overlaps are trimmed or split,
// equal neighbours merge. A pure data structure: no lock, no kernel.
//
// Keys are page numbers, not addresses, so that a range that ends with the address space has an end
// that can be represented.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/support/os.h"

namespace hms::hbind {

using Page = uint64_t;
inline constexpr Page kEndOfPages = (UINT64_MAX / os::kPageSize) + 1;

// Pages [begin, end).
struct PageSpan {
  Page begin = 0;
  Page end = 0;

  bool empty() const { return begin >= end; }
  uint64_t pages() const { return empty() ? 0 : end - begin; }
  uint64_t bytes() const { return pages() * os::kPageSize; }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): page numbers are what the map is made of
  void* address() const { return reinterpret_cast<void*>(begin * os::kPageSize); }
  bool operator==(const PageSpan& o) const { return begin == o.begin && end == o.end; }
};

PageSpan intersect(const PageSpan& a, const PageSpan& b);
// The pages of [address, address + length), length rounded up. Nothing if the address is not page
// aligned or the range wraps around the end of the address space.
std::optional<PageSpan> make_span(const void* address, size_t length);
// The same, but an unaligned address counts from the page it lies in.
std::optional<PageSpan> covering_span(const void* address, size_t length);

// Value is copyable and has ==. Should memory run out (std::bad_alloc), the values of all pages are
// as before the call.
template <typename Value>
class RangeMap {
 public:
  struct Piece {
    PageSpan span;
    Value value;
  };

  void assign(PageSpan span, const Value& value) {
    if (span.empty()) return;
    split(span.begin);
    split(span.end);
    // Insert first: from here on nothing can fail.
    auto [at, fresh] = pieces_.try_emplace(span.begin, Tail{span.end, value});
    if (!fresh) at->second = Tail{span.end, value};
    pieces_.erase(std::next(at), pieces_.lower_bound(span.end));
    merge_with_next(at);
    if (at != pieces_.begin()) merge_with_next(std::prev(at));
  }

  void erase(PageSpan span) {
    if (span.empty()) return;
    split(span.begin);
    split(span.end);
    pieces_.erase(pieces_.lower_bound(span.begin), pieces_.lower_bound(span.end));
  }

  // Calls visit(PageSpan, const Value&) for the pieces within `span`, clipped, in address order.
  template <typename Visitor>
  void for_each(PageSpan span, Visitor visit) const {
    if (span.empty()) return;
    auto it = pieces_.upper_bound(span.begin);
    if (it != pieces_.begin() && std::prev(it)->second.end > span.begin) --it;
    for (; it != pieces_.end() && it->first < span.end; ++it) {
      visit(intersect(PageSpan{it->first, it->second.end}, span), it->second.value);
    }
  }

  // The first pieces of all, at most `limit`.
  template <typename Visitor>
  void for_first(size_t limit, Visitor visit) const {
    for (auto it = pieces_.begin(); it != pieces_.end() && limit > 0; ++it, --limit) {
      visit(PageSpan{it->first, it->second.end}, it->second.value);
    }
  }

  std::vector<Piece> pieces(PageSpan span) const {
    std::vector<Piece> out;
    for_each(span, [&](PageSpan s, const Value& v) { out.push_back(Piece{s, v}); });
    return out;
  }

  // Null if the page has no value; valid until the next change.
  const Value* find(Page page) const {
    auto it = pieces_.upper_bound(page);
    if (it == pieces_.begin() || std::prev(it)->second.end <= page) return nullptr;
    return &std::prev(it)->second.value;
  }

  size_t size() const { return pieces_.size(); }

 private:
  struct Tail {
    Page end;
    Value value;
  };
  using Map = std::map<Page, Tail>;

  // Makes `page` the start of a piece if it lies inside one.
  void split(Page page) {
    auto it = pieces_.upper_bound(page);
    if (it == pieces_.begin()) return;
    --it;
    if (it->first == page || it->second.end <= page) return;
    pieces_.emplace_hint(std::next(it), page, it->second);
    it->second.end = page;
  }

  void merge_with_next(typename Map::iterator it) {
    auto next = std::next(it);
    if (next == pieces_.end() || next->first != it->second.end) return;
    if (!(next->second.value == it->second.value)) return;
    it->second.end = next->second.end;
    pieces_.erase(next);
  }

  Map pieces_;  // by first page; disjoint; touching pieces differ in value
};

}  // namespace hms::hbind
