// The embedded jemalloc 5.3.0 under its private names (cmake/jemalloc.cmake). Types and MALLOCX_*
// flags come from its public header; nothing here may be called by its public name, which belongs
// to whoever serves malloc in the process.
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
}

namespace hms::alloc {

// Memory for the allocator's own structures: plain jemalloc memory of arena 0, outside the region,
// never seen by a program. Zeroed; null when the system has none.
void* internal_allocate(size_t bytes);

}  // namespace hms::alloc
