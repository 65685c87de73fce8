// jemalloc's side of a leg: its configuration, and arenas made on demand.
#include <stddef.h>

#include <atomic>

#include "allocator/extent_hooks.h"
#include "allocator/jemalloc.h"
#include "allocator/leg.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

// Read by jemalloc after its own environment variable, so that a MALLOC_CONF meant for the
// program's jemalloc cannot undo what correctness here depends on:
//   tcache:false           its thread caches mix the blocks of all arenas
//   retain:true            address space is never given up: see the hooks
//   narenas:1              automatic arenas serve only our own few structures
//   oversize_threshold:0   no arena of its own for huge blocks
//   lg_extent_max_active_fit:64
//                          reuse freed (dirty, still charged) extents however large, before new
//                          memory is committed. With the default, 100 x 16 KiB freed and asked for
//                          again coalesce to an extent that is "too large" for them: memory grows
//                          until decay, every block faults anew (measured: 2,300 ns against 300)
//   muzzy_decay_ms:0       dirty -> decommitted, with no lazily purged state between
//   dirty_decay_ms         idle memory is back with the system within 10 s: decay, and a second
//   until it is seen background_thread      no thread in a host program that did not ask for one
//   abort                  never ends the host
const char* hmsje_malloc_conf_2_conf_harder =
    "tcache:false,retain:true,narenas:1,oversize_threshold:0,lg_extent_max_active_fit:64,"
    "dirty_decay_ms:8000,muzzy_decay_ms:0,background_thread:false,percpu_arena:disabled,"
    "abort:false,abort_conf:false,metadata_thp:disabled,thp:default";

// With jemalloc's default, a 16 KiB block takes 20 KiB and starts anywhere in its first page:
// quotas would charge what nobody asked for, and page-aligned requests would need classes of their
// own. This definition takes the place of jemalloc's (cmake/embed_jemalloc.sh).
bool hmsje_opt_cache_oblivious = false;

// arena_config_t of jemalloc 5.3.0 (arena_types.h). With metadata_use_hooks false, jemalloc's own
// records stay in ordinary memory: not on a small fast tier, not in our quotas.
struct HmsjeArenaConfig {
  extent_hooks_t* hooks;
  bool metadata_use_hooks;
};

namespace hms::alloc {
namespace {

// Of an arena_t, rounded down: 87 KiB in jemalloc 5.3.
constexpr size_t kArenaBytes = size_t{80} << 10;

std::atomic<bool> controls_shared{false};

// jemalloc grows retained space by a factor each time; in a small region one leg must not take it
// all.
void limit_growth(HmsjeArena* arena) {
  constexpr size_t kMaxGrowth = size_t{256} << 20;
  size_t limit = window_bytes() / 8;
  if (limit > kMaxGrowth) limit = kMaxGrowth;
  hmsje_arena_retain_grow_limit_get_set(hmsje_tsd_tls, arena, nullptr, &limit);
}

bool is_zero(const uint64_t* page) {
  uint64_t any = 0;
  for (size_t i = 0; i < os::kPageSize / sizeof *page; ++i) any |= page[i];
  return any == 0;
}

// Under the setup lock, and after a call of mallocx: this thread's data of jemalloc stand.
bool make_in_jemalloc(const HmsjeArenaConfig& config, unsigned* index) {
  if (controls_shared.load(std::memory_order_relaxed)) {
    size_t length = sizeof *index;
    auto copy = config;
    return hmsje_mallctl("experimental.arenas_create_ext", index, &length, &copy, sizeof copy) == 0;
  }
  *index = hmsje_narenas_total_get();
  return hmsje_arena_init(hmsje_tsd_tls, *index, &config) != nullptr;
}

Arena* make_arena(Leg* leg) {
  auto* arena = static_cast<Arena*>(internal_allocate(sizeof(Arena)));
  if (arena == nullptr) return nullptr;
  arena->hooks = kExtentHooks;
  arena->leg = leg;
  if (!make_in_jemalloc({&arena->hooks, false}, &arena->index)) {
    log_once(LogLevel::kError, "arena", "no memory for another arena of jemalloc");
    hmsje_dallocx(arena, MALLOCX_TCACHE_NONE);
    return nullptr;
  }
  arena->made = __atomic_load_n(&hmsje_arenas[arena->index], __ATOMIC_ACQUIRE);
  limit_growth(arena->made);
  shed_zero_pages(arena->made);
  return arena;
}

}  // namespace

// Without this thread's data of jemalloc: many threads never need them.
void decay_arenas(Leg* leg, bool all) {
  for (std::atomic<Arena*>& cell : leg->arenas) {
    Arena* arena = cell.load(std::memory_order_acquire);
    if (arena != nullptr) hmsje_arena_decay(nullptr, arena->made, false, all);
  }
}

// jemalloc makes the lists of an arena by writing zeros, for extents of every size there can be;
// most are never used. Pages of nothing but zeros are the same without memory behind them.
void shed_zero_pages(HmsjeArena* arena) {
  const uintptr_t first =
      (reinterpret_cast<uintptr_t>(arena) + os::kPageSize - 1) & ~(os::kPageSize - 1);
  const uintptr_t end = first + kArenaBytes;
  for (uintptr_t at = first, run = 0; at <= end; at += os::kPageSize) {
    const bool zero = at < end && is_zero(static_cast<const uint64_t*>(to_pointer(at)));
    if (zero && run == 0) run = at;
    if (!zero && run != 0) {
      os::discard(to_pointer(run), at - run);
      run = 0;
    }
  }
}

void* internal_allocate(size_t bytes) {
  return hmsje_mallocx(bytes, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE | MALLOCX_ZERO);
}

void share_controls() {
  if (controls_shared.load(std::memory_order_acquire)) return;
  LockGuard guard(setup_lock());
  controls_shared.store(true, std::memory_order_release);
}

Arena* arena_of(Leg* leg, unsigned slot) {
  std::atomic<Arena*>& cell = leg->arenas[slot % kMaxArenas];
  Arena* arena = cell.load(std::memory_order_acquire);
  if (arena != nullptr) return arena;
  LockGuard guard(setup_lock());
  arena = cell.load(std::memory_order_acquire);
  if (arena == nullptr) {
    arena = make_arena(leg);
    cell.store(arena, std::memory_order_release);
  }
  return arena;
}

}  // namespace hms::alloc
