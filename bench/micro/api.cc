// Finds the interfaces of the preloaded libraries; see api.h.
#include "bench/micro/api.h"

#include <dlfcn.h>

#include <cstdio>

namespace hms::bench {

const hms_placement* Tier::placement_;
decltype(Tier::malloc_) Tier::malloc_;
decltype(Tier::calloc_) Tier::calloc_;
decltype(Tier::realloc_) Tier::realloc_;
decltype(Tier::aligned_) Tier::aligned_;
decltype(Tier::free_) Tier::free_;
void* Memkind::kind_;
decltype(Memkind::malloc_) Memkind::malloc_;
decltype(Memkind::calloc_) Memkind::calloc_;
decltype(Memkind::realloc_) Memkind::realloc_;
decltype(Memkind::memalign_) Memkind::memalign_;
decltype(Memkind::free_) Memkind::free_;
void* Memtier::memory_;
decltype(Memtier::malloc_) Memtier::malloc_;
decltype(Memtier::calloc_) Memtier::calloc_;
decltype(Memtier::realloc_) Memtier::realloc_;
decltype(Memtier::memalign_) Memtier::memalign_;
decltype(Memtier::free_) Memtier::free_;

namespace {

const char* setting(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

template <class Function>
bool find(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  if (*function == nullptr) {
    std::fprintf(stderr, "bench_micro: no %s in this process: preload its library\n", name);
  }
  return *function != nullptr;
}

// A kind is a variable of the library that points to an opaque structure.
void* find_kind(const char* name) {
  void** kind = nullptr;
  return find(name, &kind) ? *kind : nullptr;
}

}  // namespace

bool Tier::load() {
  decltype(&hms_placement_get) get = nullptr;
  decltype(&hms_last_error) last_error = nullptr;
  if (!find("hms_malloc", &malloc_) || !find("hms_calloc", &calloc_) ||
      !find("hms_realloc", &realloc_) || !find("hms_aligned_alloc", &aligned_) ||
      !find("hms_free", &free_) || !find("hms_placement_get", &get) ||
      !find("hms_last_error", &last_error)) {
    return false;
  }
  const char* spec = setting("HMS_BENCH_PLACEMENT", "node:0");
  if (get(nullptr, spec, &placement_) == HMS_OK) return true;
  std::fprintf(stderr, "bench_micro: HMS_BENCH_PLACEMENT '%s': %s\n", spec, last_error());
  return false;
}

bool Memkind::load() {
  kind_ = find_kind(setting("HMS_BENCH_KIND", "MEMKIND_REGULAR"));
  return kind_ != nullptr && find("memkind_malloc", &malloc_) && find("memkind_calloc", &calloc_) &&
         find("memkind_realloc", &realloc_) && find("memkind_posix_memalign", &memalign_) &&
         find("memkind_free", &free_);
}

bool Memtier::load() {
  void* (*builder_new)(int) = nullptr;
  int (*add_tier)(void*, void*, unsigned) = nullptr;
  void* (*construct)(void*) = nullptr;
  if (!find("memtier_malloc", &malloc_) || !find("memtier_calloc", &calloc_) ||
      !find("memtier_realloc", &realloc_) || !find("memtier_posix_memalign", &memalign_) ||
      !find("memtier_kind_free", &free_) || !find("memtier_builder_new", &builder_new) ||
      !find("memtier_builder_add_tier", &add_tier) ||
      !find("memtier_builder_construct_memtier_memory", &construct)) {
    return false;
  }
  constexpr int kStaticRatio = 0;  // MEMTIER_POLICY_STATIC_RATIO of memkind_memtier.h
  void* kind = find_kind("MEMKIND_REGULAR");
  void* builder = kind != nullptr ? builder_new(kStaticRatio) : nullptr;
  if (builder != nullptr && add_tier(builder, kind, 1) == 0) memory_ = construct(builder);
  if (memory_ == nullptr) std::fprintf(stderr, "bench_micro: libmemtier makes no memory\n");
  return memory_ != nullptr;
}

}  // namespace hms::bench
