// Where the pages really are, by the kernel's answer.
#include "allocator/account.h"
#include "allocator/allocator.h"
#include "allocator/leg.h"
#include "allocator/mutex.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/strict_pages.h"
#include "runtime/support/counters.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr size_t kBatch = 512;

// Static: the audit may run in an exit handler on a small stack, and must not allocate.
Mutex audit_lock;
void* pages[kBatch];
int status[kBatch];

void clear_counters() {
  for (size_t i = 0; Account* account = account_at(i); ++i) {
    account->counters->audit_resident.store(0, std::memory_order_relaxed);
    account->counters->audit_verified.store(0, std::memory_order_relaxed);
    account->counters->audit_misplaced.store(0, std::memory_order_relaxed);
  }
}

// Striped pages may be served by any node of the set when the kernel interleaves: with transparent
// huge pages its unit is 2 MiB, not a page.
bool well_placed(const Leg& leg, uintptr_t address, int node) {
  const Stripes* stripes = leg.plan.stripes;
  if (stripes != nullptr && stripes->pages) return leg.plan.nodes.test(node);
  int wanted = wanted_node(leg, address);
  return wanted < 0 || wanted == node;
}

void count_page(const Leg& leg, uintptr_t address, int node) {
  TargetCounters* counters = account_of(leg, address)->counters;
  counters->audit_resident.fetch_add(os::kPageSize, std::memory_order_relaxed);
  Counter& verdict =
      well_placed(leg, address, node) ? counters->audit_verified : counters->audit_misplaced;
  verdict.fetch_add(1, std::memory_order_relaxed);
}

bool audit_range(const Leg& leg, uintptr_t from, uintptr_t to) {
  while (from < to) {
    size_t count = 0;
    for (; count < kBatch && from < to; from += os::kPageSize) {
      pages[count++] = to_pointer(from);
    }
    if (os::query_pages(0, count, pages, status) < 0) return false;
    for (size_t i = 0; i < count; ++i) {
      if (status[i] >= 0) count_page(leg, reinterpret_cast<uintptr_t>(pages[i]), status[i]);
    }
  }
  return true;
}

}  // namespace

void audit_residency() {
  if (ensure_started() != Entry::kReady) return;
  LockGuard guard(audit_lock);
  clear_counters();
  bool complete = true;
  for (unsigned i = 0; i < region.windows; ++i) {
    const WindowRecord& record = stats()->windows[i];
    uintptr_t base = record.base.load(std::memory_order_acquire);
    if (base == 0 || region.leg[i] == nullptr) continue;
    complete &= audit_range(*region.leg[i], base, base + record.frontier.load());
  }
  if (complete) stats()->audited.store(1, std::memory_order_release);
}

}  // namespace hms::alloc
