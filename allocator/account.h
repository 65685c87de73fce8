// Accounts: what the process has committed on each target, and what it may.
//
// One account per target key, shared by every leg of every placement on that target. Charged when
// an extent is committed, before the memory can be touched; the sum never exceeds the limit, not by
// a page.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/placement/placement.h"
#include "runtime/support/counters.h"

namespace hms::alloc {

inline constexpr size_t kMaxAccounts = 128;

// Zero-initialized and never destroyed: malloc works before the first constructor and after the
// last destructor.
struct Account {
  // Replaced once if a quota came before the target; the old record stays for who still reads it.
  std::atomic<const TargetRef*> known{nullptr};
  const TargetRef* superseded = nullptr;
  std::atomic<uint64_t> quota{UINT64_MAX};
  std::atomic<uint64_t> capacity{UINT64_MAX};
  std::atomic<uint64_t> charged{0};
  std::atomic<uint32_t> relief{0};  // grows whenever there may be room again
  TargetCounters* counters = nullptr;

  const TargetRef& target() const { return *known.load(std::memory_order_acquire); }
};

enum class Charge { kDone, kOverQuota, kNoRoom };

// The account of a target, made at first use; null when the table is full. Setup only: takes a lock
// and may allocate from the process's own malloc.
Account* account_for(const TargetRef& target);
// Account 0, "default": kernel-chosen memory. Usable before anything else is.
Account* default_account();
Account* account_at(size_t index);  // null past the end

// `guard_node`: also refuse when the node that backs the target is about to run out of free memory.
Charge charge(Account* account, uint64_t bytes, bool guard_node);
void uncharge(Account* account, uint64_t bytes, bool guard_node);

void set_account_quota(const char* key, uint64_t bytes);

void lock_accounts();
void unlock_accounts();
// In a forked child, whose counter page was copied from the parent's after the fork: it tells what
// is charged here.
void tell_charges_in_child();

}  // namespace hms::alloc
