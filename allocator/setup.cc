// See setup.h.
#include "allocator/setup.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "allocator/allocator.h"
#include "allocator/jemalloc.h"
#include "allocator/keeper.h"
#include "allocator/leg.h"
#include "allocator/placements.h"
#include "allocator/region.h"
#include "allocator/thread_cache.h"
#include "runtime/support/counters.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

enum class Phase { kFresh, kStarting, kReady };
std::atomic<Phase> phase{Phase::kFresh};
Mutex the_setup_lock;

struct Machine {
  unsigned arenas = 1;                // that threads spread over, per CPU node
  unsigned cpu_nodes = 1;             // nodes with CPUs
  unsigned nodes = 1;                 // nodes with memory that we may use
  uint8_t group[os::kMaxNodes] = {};  // node -> its group of arenas
};
Machine machine;
std::atomic<unsigned> next_slot{0};

// "0-1,4": calls visit(n) for each number.
template <typename Visit>
void for_each_in_list(const char* text, Visit visit) {
  while (*text >= '0' && *text <= '9') {
    char* rest = nullptr;
    unsigned long first = strtoul(text, &rest, 10);
    unsigned long last = first;
    if (*rest == '-') last = strtoul(rest + 1, &rest, 10);
    for (unsigned long n = first; n <= last && n < os::kMaxNodes; ++n) visit(n);
    text = *rest == ',' ? rest + 1 : rest;
  }
}

void count_nodes() {
  os::NodeMask mask;
  if (os::allowed_nodes(&mask) == 0) {
    unsigned count = 0;
    for (unsigned long word : mask.words) {
      for (; word != 0; word &= word - 1) ++count;
    }
    if (count > 0) machine.nodes = count;
  }
  char text[512];
  if (machine.nodes < 2 ||
      os::read_file("/sys/devices/system/node/has_cpu", text, sizeof text) <= 0) {
    return;
  }
  unsigned groups = 0;
  for_each_in_list(text, [&](unsigned long node) {
    machine.group[node] = static_cast<uint8_t>(groups < kMaxArenas ? groups : kMaxArenas - 1);
    ++groups;
  });
  if (groups > 0) machine.cpu_nodes = groups < kMaxArenas ? groups : kMaxArenas;
}

void look_at_machine() {
  cpu_set_t cpus;
  int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  count_nodes();
  unsigned arenas = static_cast<unsigned>(count < 1 ? 1 : count);
  unsigned most = kMaxArenas / machine.cpu_nodes;
  machine.arenas = arenas < most ? arenas : most;
}

// The page comes first: until the child has its own, what it counts would change its parent's.
void child_of_fork() {
  stats_after_fork();
  after_fork_child();
  restart_keeper_in_child();
}

void start() {
  stats_start();
  if (reserve_region()) make_default_placement();
  // The first call makes jemalloc register its fork handlers. Handlers that prepare run in reverse
  // order of registration, so ours, registered after it, take our locks before jemalloc's.
  void* first = internal_allocate(16);
  if (first != nullptr) {
    hmsje_dallocx(first, MALLOCX_TCACHE_NONE);
    shed_zero_pages(hmsje_arenas[0]);
  }
  pthread_atfork(before_fork, after_fork_parent, child_of_fork);
  look_at_machine();
  start_thread_caches();
}

}  // namespace

Entry ensure_started() {
  if (phase.load(std::memory_order_acquire) == Phase::kReady) return Entry::kReady;
  if (thread_state.starting) return Entry::kBootstrap;
  Phase expected = Phase::kFresh;
  if (phase.compare_exchange_strong(expected, Phase::kStarting)) {
    thread_state.starting = true;
    start();
    thread_state.starting = false;
    phase.store(Phase::kReady, std::memory_order_release);
  }
  // Starting takes well under a millisecond and happens once.
  while (phase.load(std::memory_order_acquire) != Phase::kReady) sched_yield();
  return Entry::kReady;
}

Mutex& setup_lock() { return the_setup_lock; }

unsigned choose_arena_slot() {
  unsigned turn = next_slot.fetch_add(1, std::memory_order_relaxed) % machine.arenas;
  if (machine.cpu_nodes < 2) return turn;
  int node = os::current_node();
  return machine.group[node < os::kMaxNodes ? node : 0] * machine.arenas + turn;
}

unsigned group_of_slot(unsigned slot) { return slot / machine.arenas; }
unsigned first_slot_of(unsigned group) { return group * machine.arenas; }

bool several_cpu_nodes() { return machine.cpu_nodes > 1; }
bool several_nodes() { return machine.nodes > 1; }

}  // namespace hms::alloc
