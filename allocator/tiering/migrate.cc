// See migrate.h.
#include "allocator/tiering/migrate.h"

#include <time.h>

#include <atomic>

#include "allocator/leg.h"
#include "allocator/setup.h"
#include "allocator/tiering/class_list.h"
#include "runtime/hbind/node_pages.h"
#include "runtime/support/counters.h"

namespace hms::alloc {
namespace {

static_assert(kUnitPages <= hbind::kBatchPages);

// The moves that are going on. A forked child finds them here, and has nobody who would end them.
struct Going {
  std::atomic<UnitMove*> first{nullptr};
  std::atomic<size_t> count{0};
};
Going going;
Mutex one_at_a_time;

int64_t now_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

const TargetRef& target_of_move(const UnitMove& move) {
  return move.leg->plan.units->places[static_cast<size_t>(move.side)].account->target();
}

// True if only the accounts know the difference.
bool same_memory(const UnitPlan& plan) {
  return plan.places[0].account->target().node == plan.places[1].account->target().node ||
         !several_nodes();
}

// Pages of several moves, for one call of the kernel.
class PageList {
 public:
  PageList(UnitMove* moves, tiering::Moved** results) : moves_(moves), results_(results) {}

  void add(size_t index) {
    const UnitMove& move = moves_[index];
    const hbind::Page first = unit_start(move.unit) / os::kPageSize;
    for (size_t page = move.first_page; page < move.first_page + move.part; ++page) {
      if (!move.pages.test(page)) continue;
      owner_[all_.count] = index;
      all_.pages[all_.count++] = first + page;
    }
  }

  // Pages that are not there yet will be born where their unit is by then. A huge page moves as
  // one, whichever of its pages is named first.
  void move_to(int node) {
    if (all_.count == 0 || hbind::locate(&all_) < 0) return;
    hbind::Batch elsewhere;
    size_t owner[hbind::kBatchPages];
    for (size_t i = 0; i < all_.count; ++i) {
      if (all_.node[i] < 0 || all_.node[i] == node) continue;
      owner[elsewhere.count] = owner_[i];
      elsewhere.pages[elsewhere.count++] = all_.pages[i];
    }
    if (elsewhere.count == 0) return;
    bool done[hbind::kBatchPages] = {};
    hbind::move_to_node(elsewhere, node, done);
    for (size_t i = 0; i < elsewhere.count; ++i) {
      UnitMove& move = moves_[owner[i]];
      if (done[i]) {
        ++results_[owner[i]]->pages;
      } else {
        ++results_[owner[i]]->stuck;
        move.stuck.set(elsewhere.pages[i] - unit_start(move.unit) / os::kPageSize);
      }
    }
  }

 private:
  UnitMove* moves_;
  tiering::Moved** results_;
  hbind::Batch all_;
  size_t owner_[hbind::kBatchPages] = {};
};

// Of moves that have begun.
void move_pages_of(UnitMove* moves, size_t count, tiering::Moved** results) {
  if (same_memory(*moves[0].leg->plan.units)) {
    for (size_t i = 0; i < count; ++i) results[i]->pages = moves[i].pages.count();
    return;
  }
  PageList list(moves, results);
  for (size_t i = 0; i < count; ++i) list.add(i);
  list.move_to(target_of_move(moves[0]).node);
}

void carry_out(UnitMove* moves, size_t count, tiering::Moved** results) {
  going.count.store(count, std::memory_order_relaxed);
  going.first.store(moves, std::memory_order_release);
  for (size_t i = 0; i < count; ++i) prepare_pages(moves[i]);
  move_pages_of(moves, count, results);
  const int64_t now = now_nanoseconds();
  uint64_t pages = 0;
  for (size_t i = 0; i < count; ++i) {
    // One after the other, so that a child forked here ends the rest.
    going.first.store(moves + i + 1, std::memory_order_release);
    going.count.store(count - i - 1, std::memory_order_release);
    end_move(moves[i], now);
    pages += results[i]->pages;
  }
  going.first.store(nullptr, std::memory_order_release);
  moves[0]
      .leg->plan.units->places[static_cast<size_t>(moves[0].side)]
      .account->counters->migrated_pages.fetch_add(pages, std::memory_order_relaxed);
}

}  // namespace

void migrate(std::vector<UnitMove>* moves, const std::vector<size_t>& answer,
             std::vector<tiering::Moved>* moved) {
  LockGuard guard(one_at_a_time);
  std::vector<tiering::Moved*> results(hbind::kBatchPages);
  for (size_t next = 0; next < moves->size();) {
    // Those that have begun lie side by side at the front of what is left.
    size_t begun = 0;
    size_t pages = 0;
    const size_t first = next;
    for (; next < moves->size() && begun < results.size(); ++next) {
      if (pages + (*moves)[next].part > hbind::kBatchPages) break;
      if (!begin_move(&(*moves)[next])) continue;
      pages += (*moves)[next].part;
      results[begun] = &(*moved)[answer[next]];
      std::swap((*moves)[first + begun++], (*moves)[next]);
    }
    if (begun > 0) carry_out(&(*moves)[first], begun, results.data());
  }
}

Mutex& move_lock() { return one_at_a_time; }

// What the kernel had not moved yet is misplaced in the child, and charged where it should be.
void settle_move_in_child() {
  one_at_a_time.reset();
  UnitMove* first = going.first.exchange(nullptr);
  for (size_t i = 0; first != nullptr && i < going.count.load(); ++i) end_move(first[i], 0);
}

}  // namespace hms::alloc
