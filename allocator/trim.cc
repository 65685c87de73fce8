// Giving memory back to the system: on request, and when a target is full of memory that nobody
// uses.
#include "allocator/account.h"
#include "allocator/allocator.h"
#include "allocator/blocks.h"
#include "allocator/central.h"
#include "allocator/jemalloc.h"
#include "allocator/placements.h"
#include "allocator/setup.h"
#include "allocator/thread_cache.h"

namespace hms::alloc {
namespace {

uint64_t charged_in_all() {
  uint64_t sum = 0;
  for (size_t i = 0; Account* account = account_at(i); ++i) {
    sum += account->charged.load(std::memory_order_relaxed);
  }
  return sum;
}

// Free memory of a leg back to the system: from the centrals to jemalloc, and on.
void purge_leg(Leg* leg) {
  drain_leg(leg);
  decay_arenas(leg, true);
}

bool charges(const Leg& leg, const Account* account) {
  bool found = false;
  for_each_account(leg, [&found, account](const Account* each) { found |= each == account; });
  return found;
}

bool purge_account(const Account* account) {
  uint64_t before = account->charged.load(std::memory_order_relaxed);
  for_each_leg([account](Leg* leg) {
    if (charges(*leg, account)) purge_leg(leg);
  });
  return account->charged.load(std::memory_order_relaxed) < before;
}

}  // namespace

bool reclaim(const Leg& leg) {
  flush_thread();
  bool any = false;
  for_each_account(leg, [&any](const Account* account) { any |= purge_account(account); });
  return any;
}

void tidy() {
  for_each_leg([](Leg* leg) {
    settle_leg(leg);
    // Arenas give back what has decayed when they are used; the slab layer may leave them alone for
    // long.
    decay_arenas(leg, false);
  });
}

bool trim() {
  if (ensure_started() != Entry::kReady) return false;
  uint64_t before = charged_in_all();
  flush_thread();
  for_each_leg(purge_leg);
  return charged_in_all() < before;
}

}  // namespace hms::alloc
