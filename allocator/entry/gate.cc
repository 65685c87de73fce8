// Start-up of the preloaded library, the life of its process, and the choice of a placement.
//
// The first malloc of a process comes from the dynamic linker, before libc has an environment; the
// next ones come from constructors of other libraries. So start-up happens at the first request
// that can bear it, at the latest in our own constructor, and everything before is served from the
// default placement, which needs no start-up.
#include "allocator/entry/gate.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "allocator/entry/next.h"
#include "allocator/entry/online.h"
#include "allocator/entry/request.h"
#include "allocator/fill.h"
#include "allocator/keeper.h"
#include "allocator/routing/finish.h"
#include "allocator/routing/router.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/sites.h"
#include "runtime/support/control.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/support/os_process.h"

namespace hms::entry {

std::atomic<bool> gate_closed{true};

namespace {

enum class Phase { kFresh, kStarting, kReady };
std::atomic<Phase> phase{Phase::kFresh};
std::atomic<bool> forward{false};

thread_local int inner_depth = 0;

// finish_process() acts once, and only in the process that owns the counters: a vfork child shares
// our memory, and its _exit must not end the counters of its parent.
void finish() {
  if (phase.load(std::memory_order_acquire) != Phase::kReady || forward.load()) return;
  InnerScope inner;
  finish_online();
  routing::finish_process();
}

// HMS_FILL: see fill.h.
void read_fill() {
  const char* text = secure_getenv("HMS_FILL");
  if (text == nullptr || *text == '\0') return;
  char* end = nullptr;
  const unsigned long value = strtoul(text, &end, 0);
  if (*end == '\0' && value >= 1 && value <= 255) {
    alloc::start_filling(static_cast<uint8_t>(value));
  } else {
    log_once(LogLevel::kWarning, "fill",
             "HMS_FILL=%.40s: a number from 1 to 255 was expected; nothing is filled", text);
  }
}

bool takes_rules = false;  // set once, before others can see that start-up is over

bool new_rules_wait() { return takes_rules && control_rung(); }

bool must_close() {
  return routing::active.load(std::memory_order_relaxed) || alloc::classes_started();
}

// This thread's memory of rules that are no longer in force.
void forget_routes() {
  for (alloc::Bin*& bin : alloc::thread_state.routed) bin = nullptr;
  routing::thread_view.left = 0;
  alloc::thread_sites.first = nullptr;
  routing::thread_view.epoch = routing::epoch.load(std::memory_order_acquire);
}

// Now and then on a thread that only hits: its next request is made to miss, and finds out.
void look_for_rules() {
  const bool wait = new_rules_wait();
  if (!wait && routing::thread_view.epoch == routing::epoch.load(std::memory_order_acquire)) return;
  forget_routes();
  if (wait) gate_closed.store(true);
}

bool classes_due(size_t size, alloc::Hint hint) {
  return alloc::classes_due(size) || (hint != alloc::kNoHint && alloc::classes_wait());
}

// On a miss. The rules may have changed, and may just be changing; or this request makes the
// program large enough to be tiered.
void follow_rules(size_t size, alloc::Hint hint) {
  if (__builtin_expect(new_rules_wait(), 0)) {
    InnerScope inner;
    ErrnoKeeper keeper;
    routing::reload();
  }
  if (__builtin_expect(classes_due(size, hint), 0)) {
    InnerScope inner;
    ErrnoKeeper keeper;
    alloc::open_classes();
  }
  if (routing::thread_view.epoch != routing::epoch.load(std::memory_order_acquire)) forget_routes();
  const bool closed = must_close();
  if (gate_closed.load(std::memory_order_relaxed) != closed) gate_closed.store(closed);
}

void start() {
  Phase expected = Phase::kFresh;
  if (!phase.compare_exchange_strong(expected, Phase::kStarting)) return;
  InnerScope inner;
  ErrnoKeeper keeper;
  forward.store(find_next_allocator());
  if (!forward.load()) {
    // The allocator and jemalloc register their fork handlers now, before the program can register
    // its own, which may allocate.
    release_slow(alloc::allocate(1, alloc::kDefaultPlacement));
    read_fill();
    at_quick_exit(finish);
    routing::init();
    start_online();
    takes_rules = getauxval(AT_SECURE) == 0;
    if (takes_rules) {
      stats_take_rules();
      alloc::at_tick.store(look_for_rules);
    }
  }
  gate_closed.store(forward.load() || must_close());
  phase.store(Phase::kReady, std::memory_order_release);
}

// The dynamic linker must not be re-entered: reading rules may load a library. Its own requests are
// told by their return address; nothing else lies within 1 MiB above its base.
bool called_by_dynamic_linker(const void* caller) {
  constexpr uintptr_t kLinkerSpan = uintptr_t{1} << 20;
  return reinterpret_cast<uintptr_t>(caller) - _r_debug.r_ldbase < kLinkerSpan;
}

bool may_start(const void* caller) {
  return environ != nullptr && _r_debug.r_state == r_debug::RT_CONSISTENT &&
         !called_by_dynamic_linker(caller);
}

__attribute__((constructor)) void on_load() {
  start();
  if (forwarding()) return;
  alloc::start_keeper();
  start_online_thread();
}

__attribute__((destructor)) void on_unload() { finish(); }

// From now on allocate() answers for this size class.
void remember_route(size_t size, alloc::PlacementId placement) {
  const unsigned size_class = alloc::cached_class(size);
  alloc::Cache* cache = alloc::cache_for(placement);
  if (cache != nullptr) alloc::thread_state.routed[size_class] = &cache->bin(size_class);
}

// The hit path asks the table of sites at once where there are no rules.
Choice choose_by_site(size_t size, const void* caller) {
  const alloc::PlacementId id = alloc::place_by_site(size, caller);
  const bool rules = routing::active.load(std::memory_order_relaxed);
  alloc::thread_sites.first = rules ? nullptr : alloc::thread_sites.table;
  return {Door::kPlace, id, true};
}

}  // namespace

InnerScope::InnerScope() { ++inner_depth; }
InnerScope::~InnerScope() { --inner_depth; }

ErrnoKeeper::ErrnoKeeper() : saved_(errno) {}
ErrnoKeeper::~ErrnoKeeper() { errno = saved_; }

// The epoch makes each thread look again at its next miss.
void follow_classes() {
  routing::epoch.fetch_add(1, std::memory_order_release);
  if (!forwarding()) gate_closed.store(true);
}

bool forwarding() { return forward.load(std::memory_order_relaxed); }

Choice choose(size_t size, const void* caller, alloc::Hint hint) {
  const bool ready = phase.load(std::memory_order_acquire) == Phase::kReady;
  if (inner_depth > 0 || (!ready && !may_start(caller))) {
    return {!ready && sanitizer_name() != nullptr ? Door::kEarly : Door::kPlace,
            alloc::kDefaultPlacement};
  }
  if (!ready) start();
  if (forwarding()) return {Door::kForward, alloc::kDefaultPlacement};
  if (may_start(caller)) follow_rules(size, hint);
  if (!must_close()) {
    if (size <= alloc::kMaxCachedSize) remember_route(size, alloc::kDefaultPlacement);
    return {};
  }
  InnerScope inner;
  ErrnoKeeper keeper;
  const alloc::PlacementId id = routing::route(size, caller);
  if (id == alloc::kDefaultPlacement && alloc::classes_started()) {
    if (hint != alloc::kNoHint) return {Door::kPlace, alloc::hinted_placement(hint)};
    return choose_by_site(size, caller);
  }
  if (routing::route_lasts(size)) remember_route(size, id);
  return {Door::kPlace, id};
}

}  // namespace hms::entry

// _exit runs no destructors, and a shell or a forking server ends most of its children with it: the
// counters are finished here, in the process that owns them only. Same for its C name.
extern "C" {

__attribute__((visibility("default"), noreturn)) void _exit(int status) {
  hms::entry::finish();
  hms::os::exit_process(status);
}

__attribute__((visibility("default"), noreturn)) void _Exit(int status) { _exit(status); }
}
