// Windows and extents of a leg: see leg.h.
#include "allocator/leg.h"

#include <errno.h>

#include "allocator/extent_hooks.h"
#include "allocator/node_room.h"
#include "allocator/region.h"
#include "allocator/strict_pages.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"

namespace hms::alloc {
namespace {

constexpr size_t kGrowStep = os::kHugePageSize;
constexpr size_t kMaxGrowStep = size_t{64} << 20;
constexpr uintptr_t kMapStep = os::kPageSize << kPageShift;  // what one page of the page map covers

uintptr_t round_up(uintptr_t value, uintptr_t unit) { return (value + unit - 1) & ~(unit - 1); }

// Offsets and pages for the stripe functions are relative to the windows' common start.
uintptr_t window_base(uintptr_t address) {
  return region.base + (uintptr_t{window_of(address)} << region.window_shift);
}

uint64_t first_page(uintptr_t address) { return window_base(address) >> kPageShift; }

uint64_t slot_of(const Account* account) {
  return static_cast<uint64_t>(account->counters - stats()->targets);
}

// Bytes that neighbours share, where an address decides between several targets; else 0.
uint64_t stripe_of(const Leg& leg) {
  if (leg.plan.units != nullptr) return kUnitBytes;
  if (leg.plan.stripes == nullptr) return 0;
  return leg.plan.stripes->pages ? os::kPageSize : kRunBytes;
}

void record_windows(const Leg& leg, uintptr_t start, size_t bytes) {
  uint64_t target = slot_of(leg.plan.account);
  uint64_t stripe_targets = 0;
  uint64_t stripe = stripe_of(leg);
  if (stripe != 0) {
    for_each_account(leg, [&stripe_targets](const Account* account) {
      stripe_targets |= uint64_t{1} << slot_of(account);
    });
  }
  for (size_t done = 0; done < bytes; done += window_bytes()) {
    WindowRecord& record = stats()->windows[window_of(start + done)];
    record.bytes.store(window_bytes(), std::memory_order_relaxed);
    record.target.store(target, std::memory_order_relaxed);
    record.stripe.store(stripe, std::memory_order_relaxed);
    record.stripe_targets.store(stripe_targets, std::memory_order_relaxed);
    record.moves.store(leg.plan.units != nullptr ? 1 : 0, std::memory_order_relaxed);
    record.base.store(start + done, std::memory_order_release);
  }
}

// An extent may cross into the next window of the same leg.
void record_frontier(uintptr_t from, uintptr_t to) {
  for (uintptr_t at = from; at < to; at = window_base(at) + window_bytes()) {
    uintptr_t base = window_base(at);
    uintptr_t end = to - base < window_bytes() ? to - base : window_bytes();
    stats()->windows[window_of(at)].frontier.store(end, std::memory_order_relaxed);
  }
}

int apply_policy(const Leg& leg, uintptr_t start, size_t bytes, os::Policy policy,
                 const os::NodeMask& nodes) {
  if (policy == os::Policy::kDefault) return 0;
  stats()->policy_calls.fetch_add(1, std::memory_order_relaxed);
  int r = os::set_range_policy(to_pointer(start), bytes, policy, nodes);
  if (r == 0) return 0;
  leg.plan.account->counters->refused_system.fetch_add(1, std::memory_order_relaxed);
  log_once(LogLevel::kWarning, "mbind",
           "the kernel refuses memory policies (mbind: errno %d); memory is placed by first touch, "
           "and strict placements fail. A container's seccomp profile or cpuset may be the reason",
           -r);
  return r;
}

// The runs of one target each get its node. Runs that lie side by side on one target become one
// mapping again: the kernel merges equal policies.
int apply_stripes(const Leg& leg, uintptr_t from, uintptr_t to) {
  while (from < to) {
    uintptr_t base = window_base(from);
    Stripe stripe = stripe_at(*leg.plan.stripes, from - base, first_page(from));
    uintptr_t end = base + (stripe.end < window_bytes() ? stripe.end : window_bytes());
    if (end > to) end = to;
    int node = leg.plan.stripes->account[stripe.target]->target().node;
    if (node >= 0) {
      os::NodeMask nodes;
      nodes.set(node);
      int r = apply_policy(leg, from, end - from, os::Policy::kPreferred, nodes);
      if (r != 0 && leg.plan.verify) return r;
    }
    from = end;
  }
  return 0;
}

bool needs_run_policies(const Leg& leg) {
  return leg.plan.stripes != nullptr && !leg.plan.stripes->pages &&
         leg.plan.policy != os::Policy::kDefault;
}

// A huge page also holds neighbours that were not charged, so a quota would be exceeded by up to
// one; a node that is nearly full may have no huge page left where small ones would fit; and pages
// in turn, each verified, cannot be had from a kernel that takes huge pages in turn.
bool wants_small_pages(const Leg& leg) {
  const Account& account = *leg.plan.account;
  const Stripes* stripes = leg.plan.stripes;
  return is_limited(leg) || (leg.plan.verify && stripes != nullptr && stripes->pages) ||
         (leg.plan.guard_node && node_is_tight(account.target().node));
}

bool wants_huge_pages(const Leg& leg) {
  return leg.plan.huge ||
         (leg.plan.units != nullptr && leg.plan.units->huge.load(std::memory_order_relaxed));
}

// Steps grow with the leg, so a large heap is a few hundred system calls and a small one commits
// little (mlockall(MCL_FUTURE) faults in what is mapped writable).
bool grow_writable(Leg* leg, uintptr_t needed) {
  size_t step = kGrowStep;
  while (step < kMaxGrowStep && step < (leg->writable - leg->window_start) / 8) step *= 2;
  uintptr_t end = round_up(needed, step);
  if (end < needed || end > leg->limit) end = leg->limit;
  if (end > leg->mapped) {
    uintptr_t mapped = round_up(end - region.base, kMapStep) + region.base;
    if (mapped > leg->limit) mapped = leg->limit;
    if (!commit_tables(leg->mapped, mapped)) return false;
    if (!commit_units(*leg, leg->mapped, mapped)) return false;
    leg->mapped = mapped;
  }
  if (os::commit(to_pointer(leg->writable), end - leg->writable) != 0) {
    leg->plan.account->counters->refused_system.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (needs_run_policies(*leg) && apply_stripes(*leg, leg->writable, end) != 0) return false;
  if (wants_small_pages(*leg)) {
    os::advise_huge_pages(to_pointer(leg->writable), end - leg->writable, false);
  } else if (wants_huge_pages(*leg)) {
    os::advise_huge_pages(to_pointer(leg->writable), end - leg->writable, true);
  }
  leg->writable = end;
  return true;
}

// Bytes of an extent per target of a striped leg. Every window starts its stripes anew.
struct Parts {
  uint64_t bytes[kMaxStripeTargets] = {};
};

Parts parts_of(const Stripes& stripes, uintptr_t start, size_t bytes) {
  Parts parts;
  uintptr_t end = start + bytes;
  while (start < end) {
    uintptr_t base = window_base(start);
    uintptr_t stop = base + window_bytes() < end ? base + window_bytes() : end;
    count_stripes(stripes, start - base, stop - base, first_page(start), parts.bytes);
    start = stop;
  }
  return parts;
}

void uncharge_stripes(Leg* leg, const Parts& parts, unsigned targets) {
  for (unsigned t = 0; t < targets; ++t) {
    if (parts.bytes[t] == 0) continue;
    uncharge(leg->plan.stripes->account[t], parts.bytes[t], leg->plan.guard_node);
  }
}

bool charge_stripes(Leg* leg, uintptr_t start, size_t bytes) {
  const Stripes& stripes = *leg->plan.stripes;
  Parts parts = parts_of(stripes, start, bytes);
  for (unsigned t = 0; t < stripes.targets; ++t) {
    if (parts.bytes[t] == 0) continue;
    if (charge(stripes.account[t], parts.bytes[t], leg->plan.guard_node) != Charge::kDone) {
      uncharge_stripes(leg, parts, t);
      return false;
    }
  }
  return true;
}

bool charge_extent(Leg* leg, uintptr_t start, size_t bytes) {
  if (leg->plan.units != nullptr) return commit_in_units(leg, start, bytes);
  if (leg->plan.stripes != nullptr) return charge_stripes(leg, start, bytes);
  return charge(leg->plan.account, bytes, leg->plan.guard_node) == Charge::kDone;
}

void uncharge_extent(Leg* leg, uintptr_t start, size_t bytes) {
  if (leg->plan.units != nullptr) return decommit_in_units(leg, start, bytes);
  const Stripes* stripes = leg->plan.stripes;
  if (stripes == nullptr) return uncharge(leg->plan.account, bytes, leg->plan.guard_node);
  uncharge_stripes(leg, parts_of(*stripes, start, bytes), stripes->targets);
}

}  // namespace

namespace {

// Gives claimed windows their policy and a record on the counter page. 0 or -errno; on an error of
// a strict leg the windows are given back.
int set_up_windows(Leg* leg, uintptr_t start, size_t count) {
  size_t length = count << region.window_shift;
  int r = 0;
  if (!needs_run_policies(*leg)) {
    r = apply_policy(*leg, start, length, leg->plan.policy, leg->plan.nodes);
    if (r != 0 && leg->plan.verify) {
      unclaim_windows(start, count);
      return r;
    }
  }
  record_windows(*leg, start, length);
  return r;
}

// Room for `bytes` at `start`, which lies in or at the end of the windows in use.
bool extend_windows(Leg* leg, uintptr_t start, size_t bytes) {
  if (leg->limit == 0 || start > leg->limit) return false;
  size_t missing = start + bytes - leg->limit;
  size_t count = (missing + window_bytes() - 1) >> region.window_shift;
  if (!claim_windows_at(leg->limit, leg, leg->plan.placement, count)) return false;
  int r = set_up_windows(leg, leg->limit, count);
  if (r != 0 && leg->plan.verify) return false;
  leg->limit += count << region.window_shift;
  return true;
}

}  // namespace

int open_window(Leg* leg, size_t bytes) {
  size_t count = (bytes + window_bytes() - 1) >> region.window_shift;
  uintptr_t start = claim_windows(leg, leg->plan.placement, count);
  if (start == 0) return -ENOMEM;
  int r = set_up_windows(leg, start, count);
  if (r != 0 && leg->plan.verify) return r;
  leg->window_start = leg->frontier = leg->writable = leg->mapped = start;
  leg->limit = start + (count << region.window_shift);
  return r;
}

// When the windows are used up, the next ones are taken if they are free; else new windows replace
// the old, and the rest of the old is given up. That wastes address space only.
uintptr_t carve(Leg* leg, size_t bytes, size_t alignment) {
  if (bytes > region.bytes || alignment > region.bytes) return 0;
  LockGuard guard(leg->lock);
  uintptr_t start = round_up(leg->frontier, alignment);
  bool fits = leg->limit != 0 && start <= leg->limit && bytes <= leg->limit - start;
  if (!fits && !extend_windows(leg, start, bytes)) {
    size_t slack = alignment > os::kPageSize ? alignment : 0;
    int r = open_window(leg, bytes + slack);
    if (r == -ENOMEM || (r != 0 && leg->plan.verify)) return 0;
    start = round_up(leg->frontier, alignment);
  }
  if (start + bytes > leg->writable && !grow_writable(leg, start + bytes)) return 0;
  record_frontier(leg->frontier, start + bytes);
  // Last: a child forked while another thread is here finds the state before or after.
  leg->frontier = start + bytes;
  return start;
}

void uncarve(Leg* leg, uintptr_t start, size_t bytes) {
  LockGuard guard(leg->lock);
  if (leg->frontier == start + bytes) leg->frontier = start;
}

bool commit_extent(Leg* leg, uintptr_t start, size_t bytes) {
  if (!charge_extent(leg, start, bytes)) return false;
  if (!leg->plan.verify || place_strictly(*leg, start, bytes)) {
    leg->committed.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    return true;
  }
  os::discard(to_pointer(start), bytes);
  uncharge_extent(leg, start, bytes);
  leg->plan.account->counters->refused_full.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool decommit_extent(Leg* leg, uintptr_t start, size_t bytes) {
  if (os::discard(to_pointer(start), bytes) != 0) return false;
  leg->committed.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  uncharge_extent(leg, start, bytes);
  return true;
}

bool is_limited(const Leg& leg) {
  bool limited = false;
  for_each_account(leg, [&limited](const Account* each) {
    limited = limited || each->quota.load(std::memory_order_relaxed) != UINT64_MAX;
  });
  return limited;
}

Account* account_of(const Leg& leg, uintptr_t address) {
  if (leg.plan.units != nullptr) return account_in_units(leg, address);
  if (leg.plan.stripes == nullptr) return leg.plan.account;
  uintptr_t base = window_base(address);
  Stripe stripe = stripe_at(*leg.plan.stripes, address - base, first_page(address));
  return leg.plan.stripes->account[stripe.target];
}

}  // namespace hms::alloc
