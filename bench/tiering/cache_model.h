// A last-level cache, modelled: which lines it would still hold, so that what accesses them does
// not reach memory. Least recently used of 16 ways. In C, because the emulator's plugin has it too.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CACHE_WAYS = 16, CACHE_LINE_SHIFT = 6 };

struct cache_model {
  uint64_t sets;   // a power of two, or 0 for no cache
  uint64_t* tags;  // CACHE_WAYS a set, newest first, zero at the start
};

static inline uint64_t cache_sets(uint64_t bytes) {
  return (bytes >> CACHE_LINE_SHIFT) / CACHE_WAYS;
}

// True if the line was there; it is, afterwards.
static inline bool cache_hit(const struct cache_model* cache, uint64_t line) {
  if (cache->sets == 0) return false;
  uint64_t* set = cache->tags + (line & (cache->sets - 1)) * CACHE_WAYS;
  unsigned way = 0;
  while (way + 1 < CACHE_WAYS && set[way] != line) ++way;
  bool found = set[way] == line;
  memmove(set + 1, set, way * sizeof *set);
  set[0] = line;
  return found;
}
