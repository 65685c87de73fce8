// fork: the child must find no lock held by a thread that it does not have.
//
// Locks above jemalloc's (placements, accounts, setup, centrals, the memory about blocks, pins) are
// taken before the fork, in that order, before jemalloc takes its own. The carving locks, and those
// of units, lie below jemalloc's and cannot be taken here without a deadlock; they are reset in the
// child instead. That is sound because carving publishes its result with its last store (leg.cc),
// and a unit charges before it writes down what for: at worst the child has an extent charged that
// it does not have.
#include <sched.h>

#include <atomic>

#include "allocator/account.h"
#include "allocator/allocator.h"
#include "allocator/central.h"
#include "allocator/meta.h"
#include "allocator/placements.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/tiering/class_list.h"
#include "allocator/tiering/pins.h"
#include "allocator/tiering/units.h"

namespace hms::alloc {
namespace {

// The allocator and the entry points may both have registered these handlers: only the outermost
// pair acts.
__thread unsigned depth = 0;

void release() {
  unlock_pins();
  unlock_meta();
  for_each_leg(unlock_centrals);
  setup_lock().unlock();
  unlock_accounts();
  unlock_placements();
  unlock_preparing();
}

}  // namespace

void before_fork() {
  if (depth++ > 0) return;
  lock_preparing();
  lock_placements();
  lock_accounts();
  setup_lock().lock();
  for_each_leg(lock_centrals);
  lock_meta();
  lock_pins();
}

void after_fork_parent() {
  if (depth == 0 || --depth > 0) return;
  release();
}

void after_fork_child() {
  if (depth == 0 || --depth > 0) return;
  Leg* last = nullptr;
  for (unsigned i = 0; i < region.windows; ++i) {
    Leg* leg = region.leg[i];
    if (leg != nullptr && leg != last) leg->lock.reset();
    last = leg;
  }
  reset_unit_locks();
  release();
  tell_charges_in_child();
  settle_move_in_child();
}

}  // namespace hms::alloc
