// The listed units by the 2 MiB that they lie in: what the kernel can be asked about is whole
// units, whether the engine looks at them in parts or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/tiering/heap.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

struct Span {
  uintptr_t begin = 0, end = 0;
  size_t first = 0, last = 0;  // positions in the list
  uint64_t committed = 0;
};

// The span that begins with units[at].
inline Span span_from(const std::vector<UnitView>& units, size_t at) {
  Span span;
  span.begin = units[at].address & ~uintptr_t{kUnitBytes - 1};
  span.end = span.begin + kUnitBytes;
  span.first = span.last = at;
  while (span.last < units.size() && units[span.last].address < span.end) {
    span.committed += units[span.last++].committed;
  }
  return span;
}

// What a span had, divided among its units by size.
inline void report_span(const Span& span, const std::vector<UnitView>& units, double events,
                        double exposure, std::vector<Reading>* out) {
  if (span.committed == 0) return;
  for (size_t u = span.first; u < span.last; ++u) {
    const double part =
        static_cast<double>(units[u].committed) / static_cast<double>(span.committed);
    out->push_back({units[u].id, events * part, exposure});
  }
}

}  // namespace hms::tiering
