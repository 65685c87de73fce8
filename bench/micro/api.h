// The allocation interfaces that the micro-benchmarks drive, as types: every case is a template
// over one of them, so the call under test is the only indirect call in the loop, as it is in a
// program.
//
// Plain is the C library's interface, whatever library LD_PRELOAD put behind it. The others
// allocate on a memory that the caller names; their libraries are preloaded too and are looked up
// by name, so that this program builds where they are not installed.
#pragma once

#include <cstddef>
#include <cstdlib>

#include "hms/hms.h"

namespace hms::bench {

struct Plain {
  static bool load() { return true; }
  static void* allocate(size_t size) { return std::malloc(size); }
  static void* zeroed(size_t count, size_t size) { return std::calloc(count, size); }
  static void* resize(void* block, size_t size) { return std::realloc(block, size); }
  static void* aligned(size_t alignment, size_t size) {
    return std::aligned_alloc(alignment, size);
  }
  static void release(void* block) { std::free(block); }
};

// hms.h on one placement; $HMS_BENCH_PLACEMENT, by default "node:0".
struct Tier {
  static bool load();
  static void* allocate(size_t size) { return malloc_(size, placement_); }
  static void* zeroed(size_t count, size_t size) { return calloc_(count, size, placement_); }
  static void* resize(void* block, size_t size) { return realloc_(block, size, placement_); }
  static void* aligned(size_t alignment, size_t size) {
    return aligned_(alignment, size, placement_);
  }
  static void release(void* block) { free_(block); }

 private:
  static const hms_placement* placement_;
  static decltype(&hms_malloc) malloc_;
  static decltype(&hms_calloc) calloc_;
  static decltype(&hms_realloc) realloc_;
  static decltype(&hms_aligned_alloc) aligned_;
  static decltype(&hms_free) free_;
};

// memkind(3), with the kind passed to free too: its fast way. $HMS_BENCH_KIND names the kind, by
// default MEMKIND_REGULAR.
struct Memkind {
  static bool load();
  static void* allocate(size_t size) { return malloc_(kind_, size); }
  static void* zeroed(size_t count, size_t size) { return calloc_(kind_, count, size); }
  static void* resize(void* block, size_t size) { return realloc_(kind_, block, size); }
  static void* aligned(size_t alignment, size_t size) {
    void* block = nullptr;
    return memalign_(kind_, &block, alignment, size) == 0 ? block : nullptr;
  }
  static void release(void* block) { free_(kind_, block); }

 private:
  static void* kind_;
  static void* (*malloc_)(void*, size_t);
  static void* (*calloc_)(void*, size_t, size_t);
  static void* (*realloc_)(void*, void*, size_t);
  static int (*memalign_)(void*, void**, size_t, size_t);
  static void (*free_)(void*, void*);
};

// libmemtier(3): one tier of MEMKIND_REGULAR with a static ratio.
struct Memtier {
  static bool load();
  static void* allocate(size_t size) { return malloc_(memory_, size); }
  static void* zeroed(size_t count, size_t size) { return calloc_(memory_, count, size); }
  static void* resize(void* block, size_t size) { return realloc_(memory_, block, size); }
  static void* aligned(size_t alignment, size_t size) {
    void* block = nullptr;
    return memalign_(memory_, &block, alignment, size) == 0 ? block : nullptr;
  }
  static void release(void* block) { free_(nullptr, block); }

 private:
  static void* memory_;
  static void* (*malloc_)(void*, size_t);
  static void* (*calloc_)(void*, size_t, size_t);
  static void* (*realloc_)(void*, void*, size_t);
  static int (*memalign_)(void*, void**, size_t, size_t);
  static void (*free_)(void*, void*);
};

}  // namespace hms::bench
