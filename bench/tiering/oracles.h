// What could be reached: the best sets of pages and objects, known afterwards from the whole trace.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/tiering/layout.h"
#include "bench/tiering/trace.h"

namespace hms::bench::tiering {

// Accesses of the judged epochs, by page of a layout.
std::vector<uint64_t> page_heat(const Trace& trace, const Layout& layout);
uint64_t judged_accesses(const Trace& trace);
// The most bytes that live objects had at once.
uint64_t peak_live_bytes(const Trace& trace);

// Hit ratio of the best set of pages that stays the same.
double best_static_pages(const Trace& trace, const Layout& layout, uint64_t fast_bytes);
// Hit ratio of the best set of objects that stays the same; objects above a page count by their
// pieces. An object takes room for the share of the judged time that it lives (so for objects that
// come and go it is a bound from above).
double best_static_objects(const Trace& trace, uint64_t fast_bytes);

struct Dynamic {
  double hits;     // hit ratio
  double bound;    // no choice of pages epoch by epoch, moves paid, has a greater value
  double value;    // hit ratio less what the moves cost, in the same unit
  uint64_t moved;  // pages promoted
};
// Pages chosen anew for every epoch with knowledge of all of them; promoting one costs as much as
// `move_cost` misses, placing it at its birth nothing. By Lagrangian relaxation of the room, so
// that `value` is reached and `bound` is not passed.
Dynamic best_dynamic_pages(const Trace& trace, const Layout& layout, uint64_t fast_bytes,
                           double move_cost);

// Share of the variance of heat (accesses per byte and lifetime) among objects that their contexts
// explain; objects weigh by bytes and lifetime. logarithmic: of the logarithm of one plus accesses
// per page and epoch instead.
double explained_variance(const Trace& trace, const std::vector<uint32_t>& contexts,
                          bool logarithmic);

}  // namespace hms::bench::tiering
