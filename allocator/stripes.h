// How an interleaved leg spreads over several targets by address.
//
// Two layouts. *Pages*: neighbouring pages alternate, as MPOL_INTERLEAVE does it (equal weights,
// distinct nodes: the kernel does the work, one policy per window). *Runs*: runs of 2 MiB and more
// take turns in proportion to the weights, each with a policy of its own; the runs double with each
// doubling of the window from 1 GiB on, so that a full 64 GiB window has under 4,000 mappings (the
// limit is 65,530 per process).
#pragma once

#include <cstddef>
#include <cstdint>

#include "allocator/account.h"

namespace hms::alloc {

inline constexpr unsigned kMaxStripeTargets = 16;
inline constexpr unsigned kMaxCycle = 256;
inline constexpr size_t kRunBytes = size_t{2} << 20;

struct Stripes {
  bool pages = false;
  unsigned targets = 0;
  unsigned cycle = 0;  // length of `turn`
  Account* account[kMaxStripeTargets] = {};
  uint8_t turn[kMaxCycle] = {};  // target of each turn
};

// A maximal piece of one target.
struct Stripe {
  size_t start;  // offset from the start of the window
  size_t end;
  unsigned target;
};

// The piece that holds `offset`. `first_page`: page number of the window's start (page layout: the
// kernel counts from address 0).
Stripe stripe_at(const Stripes& stripes, size_t offset, uint64_t first_page);

// Counts the runs of a window; `offset` from its start. Neighbours have neighbouring numbers.
size_t run_number(size_t offset);

// Bytes of [from, to) that lie on each target, added to out[].
void count_stripes(const Stripes& stripes, size_t from, size_t to, uint64_t first_page,
                   uint64_t out[kMaxStripeTargets]);

}  // namespace hms::alloc
