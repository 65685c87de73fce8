// See stripes.h.
#include "allocator/stripes.h"

namespace hms::alloc {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kLevel = size_t{1} << 30;  // the first GiB has the smallest runs
constexpr size_t kRunsPerLevel = kLevel / kRunBytes;

struct Run {
  size_t number, start, bytes;
};

Run run_at(size_t offset) {
  if (offset < kLevel) return {offset / kRunBytes, offset / kRunBytes * kRunBytes, kRunBytes};
  unsigned doubling = 63 - static_cast<unsigned>(__builtin_clzl(offset / kLevel));
  size_t level_start = kLevel << doubling;
  size_t bytes = kRunBytes << doubling;
  size_t within = (offset - level_start) / bytes;
  return {kRunsPerLevel * (doubling + 1) + within, level_start + within * bytes, bytes};
}

}  // namespace

Stripe stripe_at(const Stripes& stripes, size_t offset, uint64_t first_page) {
  if (stripes.pages) {
    size_t start = offset / kPage * kPage;
    return {start, start + kPage,
            static_cast<unsigned>((first_page + offset / kPage) % stripes.targets)};
  }
  Run run = run_at(offset);
  return {run.start, run.start + run.bytes, stripes.turn[run.number % stripes.cycle]};
}

size_t run_number(size_t offset) { return run_at(offset).number; }

void count_stripes(const Stripes& stripes, size_t from, size_t to, uint64_t first_page,
                   uint64_t out[kMaxStripeTargets]) {
  if (stripes.targets == 0) return;
  if (stripes.pages) {
    uint64_t pages = (to - from) / kPage;
    uint64_t first = first_page + from / kPage;
    for (unsigned t = 0; t < stripes.targets; ++t) out[t] += pages / stripes.targets * kPage;
    for (uint64_t i = 0; i < pages % stripes.targets; ++i) {
      out[(first + i) % stripes.targets] += kPage;
    }
    return;
  }
  while (from < to) {
    Stripe stripe = stripe_at(stripes, from, first_page);
    size_t end = stripe.end < to ? stripe.end : to;
    out[stripe.target] += end - from;
    from = end;
  }
}

}  // namespace hms::alloc
