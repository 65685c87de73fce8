// See central.h.
#include "allocator/central.h"

#include <string.h>

#include <algorithm>
#include <new>

#include "allocator/fill.h"
#include "allocator/jemalloc.h"
#include "allocator/meta.h"
#include "allocator/residence.h"
#include "allocator/setup.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"

namespace hms::alloc {
namespace {

constexpr size_t kTransferBytes = size_t{128} << 10;
constexpr unsigned kMostTransfer = 2048;  // blocks
constexpr unsigned kLeastTransfer = 16;
constexpr size_t kMostKeptEmpty = size_t{1} << 20;  // in spans
constexpr unsigned kDrainBatch = 64;
constexpr unsigned kPatience = 16;  // overflows without a take until a transfer cache shrinks

constexpr unsigned transfer_capacity(unsigned size_class) {
  size_t blocks = kTransferBytes / class_size(size_class);
  return static_cast<unsigned>(blocks > kMostTransfer    ? kMostTransfer
                               : blocks < kLeastTransfer ? kLeastTransfer
                                                         : blocks);
}

// What leaves a central: given back outside the lock.
struct Leaving {
  uint32_t spans = 0;       // linked by `next`
  unsigned strays = 0;      // blocks that jemalloc made one by one, at the start of the array
  unsigned rejected = 0;    // that were no blocks, or free already
  void* example = nullptr;  // one of those
};

unsigned list_for(const Span& span) {
  const unsigned blocks = kShapes[span.mark - 1U].blocks;
  if (span.free == 0) return kNoList;
  if (span.free == blocks) return kEmptyList;
  const unsigned quarter = blocks / 4;
  return (span.free > quarter ? 1U : 0U) + (span.free > 2 * quarter ? 1U : 0U) +
         (span.free > 3 * quarter ? 1U : 0U);
}

void link(Central* central, Span* span, unsigned list) {
  span->list = static_cast<uint8_t>(list);
  if (list == kNoList) return;
  uint32_t& head = central->lists[list];
  span->prev = 0;
  span->next = head;
  if (head != 0) span_at(head)->prev = span_index(span);
  head = span_index(span);
  if (list == kEmptyList) ++central->empties;
}

void unlink(Central* central, Span* span) {
  if (span->list == kNoList) return;
  if (span->list == kEmptyList) --central->empties;
  if (span->next != 0) span_at(span->next)->prev = span->prev;
  if (span->prev != 0) {
    span_at(span->prev)->next = span->next;
  } else {
    central->lists[span->list] = span->next;
  }
}

void relist(Central* central, Span* span) {
  unsigned list = list_for(*span);
  if (list == span->list) return;
  unlink(central, span);
  link(central, span, list);
}

// Some empty spans stay, so that a program that swings by a span does not ask jemalloc each time.
bool keeps_empty(const Central& central) {
  const size_t most = kMostKeptEmpty / span_bytes(central.size_class);
  const size_t keep = 1 + central.spans / 8;
  return central.empties <= (keep < most ? keep : most);
}

void let_go(Central* central, Span* span, Leaving* leaving) {
  unlink(central, span);
  --central->spans;
  span->next = leaving->spans;
  leaving->spans = span_index(span);
}

void reject(void* block, Leaving* leaving) {
  ++leaving->rejected;
  leaving->example = block;
}

// A block that jemalloc made by itself. False if it lies in a span: one of another class, then it
// was freed twice and its own span is gone; or one that another central has.
bool is_single(uintptr_t address, unsigned size_class) {
  return !in_span(address, size_class) && page_mark(address) == size_class + 1;
}

// A span after some of its blocks came back.
void settle_span(Central* central, Span* span, Leaving* leaving) {
  relist(central, span);
  if (span->list == kEmptyList && !keeps_empty(*central)) let_go(central, span, leaving);
}

// Neighbours in the array often lie in one span: it is looked at once.
void put_back(Central* central, void** blocks, unsigned count, Leaving* leaving) {
  const SpanShape shape = kShapes[central->size_class];
  const uintptr_t within = ~static_cast<uintptr_t>(shape.bytes - 1);
  Span* span = nullptr;
  uintptr_t start = 0;
  for (unsigned i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<uintptr_t>(blocks[i]);
    if ((address & within) != start) {
      if (span != nullptr) settle_span(central, span, leaving);
      start = address & within;
      span = span_of(address, central->size_class);
      if (!in_span(address, central->size_class) || span->home != central) span = nullptr;
    }
    if (span != nullptr) {
      if (!put_into_span(span, shape, address)) reject(blocks[i], leaving);
    } else if (is_single(address, central->size_class)) {
      blocks[leaving->strays++] = blocks[i];
    } else {
      reject(blocks[i], leaving);
    }
  }
  if (span != nullptr) settle_span(central, span, leaving);
}

// They were counted as given back.
void tell_rejected(Central* central, const Leaving& leaving) {
  const size_t bytes = leaving.rejected * class_size(central->size_class);
  Leg* leg = central->leg;
  leg->live.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  account_of(*leg, reinterpret_cast<uintptr_t>(leaving.example))
      ->counters->freed.fetch_sub(bytes, std::memory_order_relaxed);
  log_once(LogLevel::kError, "bad free",
           "free(%p): freed twice, or not the start of a block; it is left alone. "
           "AddressSanitizer or valgrind tells where",
           leaving.example);
}

// Not under the lock.
void send_off(Central* central, const Leaving& leaving, void** strays) {
  for (uint32_t index = leaving.spans; index != 0;) {
    Span* span = span_at(index);
    index = span->next;
    void* memory = to_pointer(span_start(span));
    unmake_span(span);
    hmsje_dallocx(memory, MALLOCX_TCACHE_NONE);
    note_held(central->leg, -static_cast<int64_t>(span_bytes(central->size_class)));
  }
  for (unsigned i = 0; i < leaving.strays; ++i) hmsje_dallocx(strays[i], MALLOCX_TCACHE_NONE);
  if (leaving.strays > 0) {
    note_held(central->leg,
              -static_cast<int64_t>(leaving.strays * class_size(central->size_class)));
  }
  if (leaving.rejected > 0) tell_rejected(central, leaving);
  bool room = leaving.spans != 0 || leaving.strays > 0;
  if (room && central->leg->refused_at.load(std::memory_order_relaxed) != 0) {
    central->leg->refused_at.store(0, std::memory_order_relaxed);
  }
}

// Shrinks the transfer cache to `rest` blocks.
void drain_transfer(Central* central, unsigned rest) {
  void* batch[kDrainBatch];
  for (unsigned count = kDrainBatch; count == kDrainBatch;) {
    Leaving leaving;
    {
      ShortGuard guard(central->lock);
      count = central->held > rest ? central->held - rest : 0;
      if (count > kDrainBatch) count = kDrainBatch;
      central->held -= count;
      if (count > 0) memcpy(batch, central->transfer + central->held, count * sizeof(void*));
      put_back(central, batch, count, &leaving);
    }
    send_off(central, leaving, batch);
  }
}

void drain_empties(Central* central) {
  Leaving leaving;
  {
    ShortGuard guard(central->lock);
    while (central->lists[kEmptyList] != 0) {
      let_go(central, span_at(central->lists[kEmptyList]), &leaving);
    }
  }
  send_off(central, leaving, nullptr);
}

// The transfer cache was short of blocks that others had given back meanwhile.
void grow_transfer(Central* central) {
  if (filling()) return;
  unsigned capacity = transfer_capacity(central->size_class);
  if (central->transfer == nullptr) {
    central->transfer = static_cast<void**>(meta_allocate(capacity * sizeof(void*)));
    if (central->transfer == nullptr) return;
  }
  unsigned limit = central->limit * 2;
  if (limit < kLeastTransfer) limit = kLeastTransfer;
  central->limit = limit < capacity ? limit : capacity;
}

// Spans start on pages, so the first blocks of all classes have the same place in their pages, and
// a processor takes a load from one for that of what was just stored to another (it compares the
// lowest 12 bits): a few blocks, not the same number for each class, are left for later.
void stagger(void** blocks, unsigned count, unsigned size_class) {
  const unsigned most = 4 + size_class % 8;
  const unsigned later = count / 2 < most ? count / 2 : most;
  std::rotate(blocks, blocks + count - later, blocks + count);
}

Depot* make_depot(Leg* leg) {
  void* memory = meta_allocate(sizeof(Depot));
  if (memory == nullptr) return nullptr;
  auto* depot = new (memory) Depot;
  for (unsigned i = 0; i < kCachedClasses; ++i) {
    depot->centrals[i].size_class = static_cast<uint8_t>(i);
    depot->centrals[i].leg = leg;
  }
  return depot;
}

template <typename Visit>
void for_each_central(Leg* leg, Visit visit) {
  for (std::atomic<Depot*>& cell : leg->depots) {
    Depot* depot = cell.load(std::memory_order_acquire);
    if (depot == nullptr) continue;
    for (Central& central : depot->centrals) visit(&central);
  }
}

}  // namespace

Central* central_of(Leg* leg, unsigned group, unsigned size_class) {
  std::atomic<Depot*>& cell = leg->depots[group];
  Depot* depot = cell.load(std::memory_order_acquire);
  if (__builtin_expect(depot == nullptr, 0)) {
    LockGuard guard(setup_lock());
    depot = cell.load(std::memory_order_acquire);
    if (depot == nullptr) depot = make_depot(leg);
    if (depot == nullptr) return nullptr;
    cell.store(depot, std::memory_order_release);
  }
  return &depot->centrals[size_class];
}

unsigned take_from_central(Central* central, unsigned count, void** out) {
  ShortGuard guard(central->lock);
  unsigned done = central->held < count ? central->held : count;
  central->held -= done;
  if (done > 0) memcpy(out, central->transfer + central->held, done * sizeof(void*));
  if (done < count && central->given) grow_transfer(central);
  central->overflows = 0;
  central->given = false;
  central->asked = true;
  for (unsigned list = 0; list < kSpanLists && done < count;) {
    if (central->lists[list] == 0) {
      ++list;
      continue;
    }
    Span* span = span_at(central->lists[list]);
    done += take_from_span(span, count - done, out + done);
    relist(central, span);
  }
  return done;
}

void give_to_central(Central* central, void** blocks, unsigned count) {
  Leaving leaving;
  unsigned kept = 0;
  unsigned limit = 0;
  bool excess = false;
  {
    ShortGuard guard(central->lock);
    if (central->held + count > central->limit && ++central->overflows == kPatience) {
      central->overflows = 0;
      central->limit /= 2;
    }
    limit = central->limit;
    excess = central->held > limit;
    unsigned room = excess ? 0 : limit - central->held;
    kept = room < count ? room : count;
    if (kept > 0) memcpy(central->transfer + central->held, blocks, kept * sizeof(void*));
    central->held += kept;
    central->given = true;
    put_back(central, blocks + kept, count - kept, &leaving);
  }
  send_off(central, leaving, blocks + kept);
  if (excess) drain_transfer(central, limit);
}

unsigned add_span(Central* central, Span* span, unsigned count, void** out) {
  unsigned taken = take_from_span(span, count, out);
  stagger(out, taken, central->size_class);
  ShortGuard guard(central->lock);
  ++central->spans;
  link(central, span, list_for(*span));
  return taken;
}

bool is_out(const void* block, unsigned size_class) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (!in_span(address, size_class)) return true;
  const uint32_t number = block_number(kShapes[size_class], address);
  if (number >= kShapes[size_class].blocks) return false;
  const Span* span = span_of(address, size_class);
  ShortGuard guard(span->home->lock);
  return (span->bits[number / 64] >> (number % 64) & 1) == 0;
}

void drain_leg(Leg* leg) {
  for_each_central(leg, [](Central* central) {
    drain_transfer(central, 0);
    drain_empties(central);
  });
}

void settle_leg(Leg* leg) {
  for_each_central(leg, [](Central* central) {
    bool idle = false;
    {
      ShortGuard guard(central->lock);
      idle = !central->asked && (central->held > 0 || central->empties > 0);
      central->asked = false;
    }
    if (!idle) return;
    drain_transfer(central, 0);
    drain_empties(central);
  });
}

void lock_centrals(Leg* leg) {
  for_each_central(leg, [](Central* central) { central->lock.lock(); });
}

void unlock_centrals(Leg* leg) {
  for_each_central(leg, [](Central* central) { central->lock.unlock(); });
}

}  // namespace hms::alloc
