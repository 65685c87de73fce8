// Arenas that the program itself makes through jemalloc's mallctl("arenas.create").
//
// They live in the embedded jemalloc, outside our region, with the meaning that jemalloc gives them
// (own extent hooks, reset, destroy). jemalloc cannot be asked about an address that it has never
// seen, so their extents are noted by hooks put around the program's.
#pragma once

#include <cstddef>

namespace hms::entry {

// The arguments of mallctlbymib.
struct ArenaCall {
  const size_t* mib;
  size_t depth;
  void* oldp;
  size_t* oldlenp;
  void* newp;
  size_t newlen;
};

// mallctlbymib, which notes the arenas that the program makes, re-hooks and destroys.
int arena_control(const ArenaCall& call);

// True if the program made the arena that these MALLOCX_* flags name.
bool names_program_arena(int flags);
// The flags to pass to jemalloc for such a request: without a cache named by the program there is
// none, because the automatic one mixes the blocks of all arenas.
int program_arena_flags(int flags);

bool in_program_arena(const void* block);
void release_to_program_arena(void* block);
size_t program_arena_usable_size(const void* block);

}  // namespace hms::entry
