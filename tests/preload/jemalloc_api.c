/* jemalloc_api.c - jemalloc(3) of 5.3.0, as programs linked with libjemalloc use it. The program
 * is linked with libjemalloc.so.2, so without preload this tests jemalloc itself. */
#include <jemalloc/jemalloc.h>

#include "check.h"

static int is_filled(const unsigned char* p, size_t size, int value) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != value) return 0;
  }
  return 1;
}

static void flags(void) {
  for (int lg = 4; lg <= 21; lg++) {
    for (size_t size = 1; size <= 2000000; size = size * 7 + 3) {
      unsigned char* p = mallocx(size, MALLOCX_LG_ALIGN(lg) | MALLOCX_ZERO);
      CHECK(p != NULL && (uintptr_t)p % ((size_t)1 << lg) == 0);
      CHECK(is_filled(p, size, 0));
      CHECK(sallocx(p, 0) >= size && sallocx(p, 0) == malloc_usable_size(p));
      CHECK(nallocx(size, MALLOCX_LG_ALIGN(lg)) == sallocx(p, 0));
      memset(p, 0xa5, sallocx(p, 0));
      sdallocx(p, size, MALLOCX_LG_ALIGN(lg));
    }
  }
  CHECK(nallocx(SIZE_MAX, 0) == 0);
  CHECK(mallocx((size_t)PTRDIFF_MAX + 1, 0) == NULL);
}

/* The two interfaces mix freely. */
static void mixing(void) {
  for (size_t size = 1; size <= 3000000; size = size * 5 + 1) {
    free(mallocx(size, 0));
    dallocx(malloc(size), 0);
    sdallocx(calloc(1, size), size, 0);
    dallocx(mallocx(size, MALLOCX_TCACHE_NONE), MALLOCX_TCACHE_NONE);
    free(rallocx(malloc(size), size * 2, 0));
    dallocx(realloc(mallocx(size, 0), size * 2), 0);
  }
}

static void rallocx_contents(void) {
  for (size_t size = 1; size <= 1000000; size = size * 5 + 1) {
    unsigned char* p = mallocx(size, MALLOCX_ZERO);
    memset(p, 7, size);
    p = rallocx(p, size * 3, MALLOCX_ZERO);
    CHECK(p != NULL && is_filled(p, size, 7) && is_filled(p + size, size * 2, 0));
    p = rallocx(p, size * 2, MALLOCX_ALIGN(4096));
    CHECK(p != NULL && (uintptr_t)p % 4096 == 0 && is_filled(p, size, 7));
    p = rallocx(p, size, MALLOCX_TCACHE_NONE);
    CHECK(p != NULL && is_filled(p, size, 7));
    dallocx(p, 0);
  }
}

/* xallocx never moves, and tells the size that there is. */
static void xallocx_in_place(void) {
  for (size_t size = 16; size <= (4u << 20); size *= 2) {
    char* p = mallocx(size, 0);
    memset(p, 3, size);
    const size_t grown = xallocx(p, size + 1, size, 0);
    CHECK(grown >= size && grown == malloc_usable_size(p));
    memset(p, 3, grown);
    const size_t shrunk = xallocx(p, size / 2, 0, 0);
    CHECK(shrunk >= size / 2 && shrunk == malloc_usable_size(p));
    dallocx(p, 0);
  }
}

static unsigned make_arena(void* hooks) {
  unsigned arena = 0;
  size_t length = sizeof(arena);
  CHECK(mallctl("arenas.create", &arena, &length, hooks == NULL ? NULL : &hooks,
                hooks == NULL ? 0 : sizeof(hooks)) == 0);
  return arena;
}

/* An arena of the program's own: its blocks are its own, whoever frees them. */
static void own_arena(void) {
  const unsigned arena = make_arena(NULL);
  const int in_arena = (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
  for (size_t size = 1; size <= 3000000; size = size * 5 + 1) {
    unsigned char* p = mallocx(size, in_arena | MALLOCX_ZERO);
    CHECK(p != NULL && is_filled(p, size, 0) && malloc_usable_size(p) >= size);
    unsigned found = 0;
    size_t length = sizeof(found);
    CHECK(mallctl("arenas.lookup", &found, &length, &p, sizeof(p)) == 0 && found == arena);
    memset(p, 9, size);
    if (size % 2 == 0) {
      free(p);
      continue;
    }
    p = realloc(p, size * 2);
    CHECK(p != NULL && is_filled(p, size, 9));
    free(p);
    p = mallocx(size, in_arena);
    memset(p, 9, size);
    p = rallocx(p, size + 5000, in_arena);
    CHECK(p != NULL && is_filled(p, size, 9));
    dallocx(p, in_arena);
  }
  char name[64];
  CHECK(mallocx(100000, in_arena) != NULL); /* goes with the arena */
  snprintf(name, sizeof(name), "arena.%u.reset", arena);
  CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0);
  snprintf(name, sizeof(name), "arena.%u.destroy", arena);
  CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0);
  free(malloc(100));
}

/* Hooks of the program: they are called, and read back as they were given. */
static unsigned hook_calls;
static extent_hooks_t* default_hooks;

static void* counting_alloc(extent_hooks_t* hooks, void* address, size_t size, size_t alignment,
                            bool* zero, bool* commit, unsigned arena) {
  CHECK(hooks->alloc == counting_alloc);
  hook_calls++;
  return default_hooks->alloc(default_hooks, address, size, alignment, zero, commit, arena);
}

static void own_hooks(void) {
  size_t length = sizeof(default_hooks);
  CHECK(mallctl("arena.0.extent_hooks", &default_hooks, &length, NULL, 0) == 0);
  static extent_hooks_t hooks;
  hooks = *default_hooks;
  hooks.alloc = counting_alloc;
  const unsigned arena = make_arena(&hooks);
  void* p = mallocx(1 << 20, (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE));
  CHECK(p != NULL && hook_calls > 0);
  char name[64];
  snprintf(name, sizeof(name), "arena.%u.extent_hooks", arena);
  extent_hooks_t* read_back = NULL;
  length = sizeof(read_back);
  CHECK(mallctl(name, &read_back, &length, NULL, 0) == 0 && read_back == &hooks);
  free(p);
}

/* Explicit caches, and requests for arenas that jemalloc made by itself (Redis' defragmentation).
 */
static void explicit_cache(void) {
  unsigned cache = 0;
  size_t length = sizeof(cache);
  CHECK(mallctl("tcache.create", &cache, &length, NULL, 0) == 0);
  for (int i = 0; i < 1000; i++) {
    void* p = mallocx(1000, (int)MALLOCX_TCACHE(cache));
    CHECK(p != NULL);
    dallocx(p, (int)MALLOCX_TCACHE(cache));
    p = mallocx(1000, (int)(MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE));
    CHECK(p != NULL);
    memset(p, 1, 1000);
    dallocx(p, MALLOCX_TCACHE_NONE);
  }
  CHECK(mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache)) == 0);
}

/* What Redis asks: statistics, by name and by MIB, purge, and the report. */
static unsigned report_length;

static void count_text(void* opaque_value, const char* text) {
  (void)opaque_value;
  report_length += (unsigned)strlen(text);
}

static void control(void) {
  void* held[100];
  for (int i = 0; i < 100; i++) held[i] = memset(malloc(1 << 20), 1, 1 << 20);
  uint64_t epoch = 1;
  size_t length = sizeof(epoch);
  CHECK(mallctl("epoch", &epoch, &length, &epoch, sizeof(epoch)) == 0);
  size_t allocated = 0;
  length = sizeof(allocated);
  CHECK(mallctl("stats.allocated", &allocated, &length, NULL, 0) == 0);
  CHECK(allocated >= (100u << 20));
  size_t mib[8];
  size_t depth = 8;
  CHECK(mallctlnametomib("stats.resident", mib, &depth) == 0 && depth == 2);
  size_t resident = 0;
  CHECK(mallctlbymib(mib, depth, &resident, &length, NULL, 0) == 0 && resident >= (100u << 20));
  CHECK(mallctl("no.such.name", NULL, NULL, NULL, 0) == ENOENT);
  for (int i = 0; i < 100; i++) free(held[i]);
  CHECK(mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0);
  malloc_stats_print(count_text, NULL, "J");
  CHECK(report_length > 1000);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"flags", flags},
      {"mixing", mixing},
      {"rallocx_contents", rallocx_contents},
      {"xallocx_in_place", xallocx_in_place},
      {"own_arena", own_arena},
      {"own_hooks", own_hooks},
      {"explicit_cache", explicit_cache},
      {"control", control},
  };
  return RUN_CASES(cases, argc, argv);
}
