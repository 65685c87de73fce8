// Spans from what callers pass.
#include "runtime/hbind/range_map.h"

#include <algorithm>

namespace hms::hbind {

PageSpan intersect(const PageSpan& a, const PageSpan& b) {
  PageSpan both{std::max(a.begin, b.begin), std::min(a.end, b.end)};
  return both.empty() ? PageSpan{} : both;
}

namespace {

// `begin` is page aligned.
std::optional<PageSpan> span_from(uintptr_t begin, size_t length) {
  Page first = begin / os::kPageSize;
  Page count = length / os::kPageSize + (length % os::kPageSize != 0 ? 1 : 0);
  if (count > kEndOfPages - first) return std::nullopt;
  return PageSpan{first, first + count};
}

}  // namespace

std::optional<PageSpan> make_span(const void* address, size_t length) {
  auto begin = reinterpret_cast<uintptr_t>(address);
  if (begin % os::kPageSize != 0) return std::nullopt;
  return span_from(begin, length);
}

std::optional<PageSpan> covering_span(const void* address, size_t length) {
  auto begin = reinterpret_cast<uintptr_t>(address);
  size_t lead = begin % os::kPageSize;
  if (length == 0) return span_from(begin - lead, 0);
  if (length > SIZE_MAX - lead) return std::nullopt;
  return span_from(begin - lead, length + lead);
}

}  // namespace hms::hbind
