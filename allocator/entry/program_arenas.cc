// The program's own jemalloc arenas: see program_arenas.h.
//
// Two questions must be answered about any address without asking jemalloc about memory it never
// had (its radix tree is walked unchecked): "may jemalloc know it?" by one bit per GiB, set before
// an extent there is handed over; then "whose is it?" by jemalloc's own `arenas.lookup`.
#include "allocator/entry/program_arenas.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <string.h>

#include <atomic>
#include <cstdint>

#include "allocator/allocator.h"
#include "allocator/jemalloc.h"

namespace hms::entry {
namespace {

// jemalloc's radix tree has one leaf per GiB with 48-bit addresses (rtree.h: two levels of 18 bits
// over 4 KiB pages), so a leaf exists wherever one extent does.
constexpr unsigned kLgLeaf = 30;
constexpr unsigned kLgAddress = 47;
constexpr size_t kLeaves = size_t{1} << (kLgAddress - kLgLeaf);
constexpr size_t kMaxArenas = 4096;  // MALLOCX_ARENA_LIMIT, 12 bits in the flags
constexpr size_t kMibDepth = 8;
constexpr size_t kHooksBytes = sizeof(void*);  // what mallctl passes for hooks: their address

using Word = std::atomic<uint64_t>;

void set_bit(Word* words, size_t i, bool on) {
  const uint64_t bit = uint64_t{1} << (i % 64);
  if (on) {
    words[i / 64].fetch_or(bit, std::memory_order_release);
  } else {
    words[i / 64].fetch_and(~bit, std::memory_order_release);
  }
}

bool test_bit(const Word* words, size_t i) {
  return ((words[i / 64].load(std::memory_order_acquire) >> (i % 64)) & 1) != 0;
}

std::atomic<bool> any_arena{false};
Word leaves[kLeaves / 64];
Word arenas[kMaxArenas / 64];

// The program's hooks with ours around them. jemalloc passes the table back to each hook, so the
// program's follows directly behind. Lives as long as the process: an arena has no end that tells.
struct WrappedHooks {
  extent_hooks_t ours;
  extent_hooks_t* theirs;
};

extent_hooks_t* inner(extent_hooks_t* hooks) {
  return reinterpret_cast<WrappedHooks*>(hooks)->theirs;
}

void note_extent(void* address, size_t size) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(address) >> kLgLeaf;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(address) + size - 1) >> kLgLeaf;
  for (uintptr_t leaf = first; leaf <= last && leaf < kLeaves; leaf++) set_bit(leaves, leaf, true);
}

void* hook_alloc(extent_hooks_t* hooks, void* new_addr, size_t size, size_t alignment, bool* zero,
                 bool* commit, unsigned arena) {
  extent_hooks_t* h = inner(hooks);
  void* address = h->alloc(h, new_addr, size, alignment, zero, commit, arena);
  if (address != nullptr) note_extent(address, size);
  return address;
}

bool hook_dalloc(extent_hooks_t* hooks, void* addr, size_t size, bool committed, unsigned arena) {
  return inner(hooks)->dalloc(inner(hooks), addr, size, committed, arena);
}

void hook_destroy(extent_hooks_t* hooks, void* addr, size_t size, bool committed, unsigned arena) {
  inner(hooks)->destroy(inner(hooks), addr, size, committed, arena);
}

bool hook_commit(extent_hooks_t* hooks, void* addr, size_t size, size_t offset, size_t length,
                 unsigned arena) {
  return inner(hooks)->commit(inner(hooks), addr, size, offset, length, arena);
}

bool hook_decommit(extent_hooks_t* hooks, void* addr, size_t size, size_t offset, size_t length,
                   unsigned arena) {
  return inner(hooks)->decommit(inner(hooks), addr, size, offset, length, arena);
}

bool hook_purge_lazy(extent_hooks_t* hooks, void* addr, size_t size, size_t offset, size_t length,
                     unsigned arena) {
  return inner(hooks)->purge_lazy(inner(hooks), addr, size, offset, length, arena);
}

bool hook_purge_forced(extent_hooks_t* hooks, void* addr, size_t size, size_t offset, size_t length,
                       unsigned arena) {
  return inner(hooks)->purge_forced(inner(hooks), addr, size, offset, length, arena);
}

bool hook_split(extent_hooks_t* hooks, void* addr, size_t size, size_t size_a, size_t size_b,
                bool committed, unsigned arena) {
  return inner(hooks)->split(inner(hooks), addr, size, size_a, size_b, committed, arena);
}

bool hook_merge(extent_hooks_t* hooks, void* addr_a, size_t size_a, void* addr_b, size_t size_b,
                bool committed, unsigned arena) {
  return inner(hooks)->merge(inner(hooks), addr_a, size_a, addr_b, size_b, committed, arena);
}

// A hook that the program leaves out must stay left out: jemalloc takes its absence as an answer.
extent_hooks_t* wrap(extent_hooks_t* theirs) {
  void* memory = alloc::allocate(sizeof(WrappedHooks), alloc::kDefaultPlacement);
  if (memory == nullptr) return nullptr;
  auto* w = static_cast<WrappedHooks*>(memory);
  w->theirs = theirs;
  w->ours.alloc = hook_alloc;
  w->ours.dalloc = theirs->dalloc != nullptr ? hook_dalloc : nullptr;
  w->ours.destroy = theirs->destroy != nullptr ? hook_destroy : nullptr;
  w->ours.commit = theirs->commit != nullptr ? hook_commit : nullptr;
  w->ours.decommit = theirs->decommit != nullptr ? hook_decommit : nullptr;
  w->ours.purge_lazy = theirs->purge_lazy != nullptr ? hook_purge_lazy : nullptr;
  w->ours.purge_forced = theirs->purge_forced != nullptr ? hook_purge_forced : nullptr;
  w->ours.split = theirs->split != nullptr ? hook_split : nullptr;
  w->ours.merge = theirs->merge != nullptr ? hook_merge : nullptr;
  return &w->ours;
}

extent_hooks_t* unwrap(extent_hooks_t* hooks) {
  return hooks != nullptr && hooks->alloc == hook_alloc ? inner(hooks) : hooks;
}

// jemalloc's default hooks; arena 0 exists from the start and keeps them.
extent_hooks_t* default_hooks() {
  extent_hooks_t* hooks = nullptr;
  size_t length = kHooksBytes;
  hmsje_mallctl("arena.0.extent_hooks", &hooks, &length, nullptr, 0);
  return unwrap(hooks);
}

// True if `mib` is the mib of `name`, whatever stands in the arena's place (mib[1] of "arena.<i>").
bool is_name(const char* name, const size_t* mib, size_t depth, bool indexed) {
  size_t reference[kMibDepth];
  size_t reference_depth = kMibDepth;
  if (hmsje_mallctlnametomib(name, reference, &reference_depth) != 0) return false;
  if (depth != reference_depth) return false;
  if (indexed) reference[1] = mib[1];
  return memcmp(mib, reference, depth * sizeof(size_t)) == 0;
}

int call(const ArenaCall& c) {
  return hmsje_mallctlbymib(c.mib, c.depth, c.oldp, c.oldlenp, c.newp, c.newlen);
}

// The configuration of experimental.arenas_create_ext (jemalloc 5.3.0, arena_types.h).
struct ArenaConfig {
  extent_hooks_t* extent_hooks;
  bool metadata_use_hooks;
};

int create(ArenaCall c, bool extended) {
  if (c.oldp == nullptr || c.oldlenp == nullptr || *c.oldlenp != sizeof(unsigned)) return EINVAL;
  ArenaConfig config = {nullptr, true};
  const size_t expected = extended ? sizeof(config) : kHooksBytes;
  if (c.newp != nullptr) {
    if (c.newlen != expected) return EINVAL;
    memcpy(&config, c.newp, expected);
  }
  extent_hooks_t* theirs = config.extent_hooks != nullptr ? config.extent_hooks : default_hooks();
  config.extent_hooks = wrap(theirs);
  if (config.extent_hooks == nullptr) return ENOMEM;
  any_arena.store(true);
  c.newp = &config;
  c.newlen = expected;
  const int error = call(c);
  unsigned arena;
  memcpy(&arena, c.oldp, sizeof(arena));
  if (error == 0 && arena < kMaxArenas) set_bit(arenas, arena, true);
  return error;
}

int exchange_hooks(ArenaCall c) {
  extent_hooks_t* wrapped = nullptr;
  if (c.newp != nullptr) {
    if (c.newlen != kHooksBytes) return EINVAL;
    memcpy(&wrapped, c.newp, kHooksBytes);
    wrapped = wrap(wrapped);
    if (wrapped == nullptr) return ENOMEM;
    c.newp = &wrapped;
  }
  const int error = call(c);
  if (error == 0 && c.oldp != nullptr && c.oldlenp != nullptr && *c.oldlenp == kHooksBytes) {
    extent_hooks_t* old;
    memcpy(&old, c.oldp, kHooksBytes);
    old = unwrap(old);
    memcpy(c.oldp, &old, kHooksBytes);
  }
  return error;
}

}  // namespace

int arena_control(const ArenaCall& c) {
  if (c.depth > kMibDepth) return call(c);
  if (is_name("arenas.create", c.mib, c.depth, false)) return create(c, false);
  if (is_name("experimental.arenas_create_ext", c.mib, c.depth, false)) return create(c, true);
  if (c.depth != 3 || c.mib[1] >= kMaxArenas || !test_bit(arenas, c.mib[1])) return call(c);
  if (is_name("arena.0.extent_hooks", c.mib, c.depth, true)) return exchange_hooks(c);
  const int error = call(c);
  // The index may come back as an arena of ours.
  if (error == 0 && is_name("arena.0.destroy", c.mib, c.depth, true))
    set_bit(arenas, c.mib[1], false);
  return error;
}

bool names_program_arena(int flags) {
  const unsigned encoded = static_cast<unsigned>(flags) >> 20;
  return encoded != 0 && test_bit(arenas, encoded - 1);
}

int program_arena_flags(int flags) {
  constexpr int kTcacheBits = 0xfff << 8;
  return (flags & kTcacheBits) == 0 ? flags | MALLOCX_TCACHE_NONE : flags;
}

bool in_program_arena(const void* block) {
  if (!any_arena.load(std::memory_order_acquire)) return false;
  const uintptr_t leaf = reinterpret_cast<uintptr_t>(block) >> kLgLeaf;
  if (leaf >= kLeaves || !test_bit(leaves, leaf)) return false;
  unsigned arena;
  size_t length = sizeof(arena);
  return hmsje_mallctl("arenas.lookup", &arena, &length, &block, sizeof(block)) == 0;
}

void release_to_program_arena(void* block) { hmsje_dallocx(block, MALLOCX_TCACHE_NONE); }

size_t program_arena_usable_size(const void* block) { return hmsje_sallocx(block, 0); }

}  // namespace hms::entry
