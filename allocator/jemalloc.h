// The embedded jemalloc 5.3.0 under its private names (cmake/jemalloc.cmake). Types and MALLOCX_*
// flags come from its public header; nothing here may be called by its public name, which belongs
// to whoever serves malloc in the process.
//
// Five names are private to jemalloc 5.3 and stand behind mallctl. The controls cost every process
// 250 KiB of code and data that a cold start would fault in, for making one arena and asking it to
// decay now and then; they are left to programs that ask for them (see share_controls).
#pragma once

#include <jemalloc/jemalloc.h>

#include <cstddef>

extern "C" {
void* hmsje_mallocx(size_t size, int flags);
void* hmsje_rallocx(void* block, size_t size, int flags);
size_t hmsje_xallocx(void* block, size_t size, size_t extra, int flags);
size_t hmsje_sallocx(const void* block, int flags);
void hmsje_dallocx(void* block, int flags);
void hmsje_sdallocx(void* block, size_t size, int flags);
size_t hmsje_nallocx(size_t size, int flags);
int hmsje_mallctl(const char* name, void* oldp, size_t* oldlenp, void* newp, size_t newlen);
int hmsje_mallctlnametomib(const char* name, size_t* mibp, size_t* miblenp);
int hmsje_mallctlbymib(const size_t* mib, size_t miblen, void* oldp, size_t* oldlenp, void* newp,
                       size_t newlen);
void hmsje_malloc_stats_print(void (*write)(void*, const char*), void* context, const char* opts);
extern const char* hmsje_malloc_conf_2_conf_harder;
extern bool hmsje_opt_cache_oblivious;

struct HmsjeArena;        // arena_t
struct HmsjeArenaConfig;  // arena_config_t
HmsjeArena* hmsje_arena_init(void* thread, unsigned index, const HmsjeArenaConfig* config);
void hmsje_arena_decay(void* thread, HmsjeArena* arena, bool is_background_thread, bool all);
bool hmsje_arena_retain_grow_limit_get_set(void* thread, HmsjeArena* arena, size_t* old_limit,
                                           size_t* new_limit);
unsigned hmsje_narenas_total_get();
extern HmsjeArena* hmsje_arenas[];
extern __thread char hmsje_tsd_tls[];
}
static_assert(JEMALLOC_VERSION_MAJOR == 5 && JEMALLOC_VERSION_MINOR == 3,
              "the private names above are those of jemalloc 5.3");

namespace hms::alloc {

// Memory for the allocator's own structures: plain jemalloc memory of arena 0, outside the region,
// never seen by a program. Zeroed; null when the system has none.
void* internal_allocate(size_t bytes);

// Before the first call of mallctl and its kin: they number arenas on their own, so from then on
// ours are made through them too.
void share_controls();

}  // namespace hms::alloc
