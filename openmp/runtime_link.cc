// Finding the runtimes: see runtime_link.h.
#include "openmp/runtime_link.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include <atomic>
#include <new>

namespace hms::omp {
namespace {

// Made once, then read without a lock; never destroyed.
struct Link {
  std::atomic<bool> ready{false};
  std::atomic<bool> busy{false};
  Runtime functions;
};
Link gcc_link;
Link llvm_link;

// Where the default allocator is when no runtime is loaded: one word for the process.
std::atomic<Handle> own_default{kDefaultAlloc};

bool names_runtime(const char* path, Flavour flavour) {
  const char* slash = strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  if (flavour != Flavour::kLlvm && strncmp(name, "libgomp", 7) == 0) return true;
  if (flavour == Flavour::kGcc) return false;
  // Not libomptarget, libompd ...
  return strncmp(name, "libomp.", 7) == 0 || strncmp(name, "libomp-", 7) == 0 ||
         strncmp(name, "libomp5", 7) == 0 || strncmp(name, "libiomp5", 8) == 0;
}

struct Search {
  Flavour flavour;
  char path[512];
};

int look_at_object(dl_phdr_info* object, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  if (object->dlpi_name == nullptr || !names_runtime(object->dlpi_name, search->flavour)) return 0;
  const size_t bytes = strlen(object->dlpi_name) + 1;
  if (bytes > sizeof search->path) return 0;
  memcpy(search->path, object->dlpi_name, bytes);
  return 1;
}

// By its common names, else by what is loaded: Python wheels bring copies with names of their own.
void* open_runtime(Flavour flavour) {
  static const char* const kGccNames[] = {"libgomp.so.1", nullptr};
  static const char* const kLlvmNames[] = {"libomp.so.5", "libomp.so", "libiomp5.so", nullptr};
  for (const char* const* name = flavour == Flavour::kGcc ? kGccNames : kLlvmNames;
       *name != nullptr; ++name) {
    void* object = dlopen(*name, RTLD_LAZY | RTLD_NOLOAD);
    if (object != nullptr) return object;
  }
  Search search = {flavour, ""};
  if (dl_iterate_phdr(look_at_object, &search) == 0) return nullptr;
  return dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD);
}

template <typename Function>
void look_up(void* object, const char* name, Function** out) {
  *out = reinterpret_cast<Function*>(dlsym(object, name));
}

bool fill(void* object, Flavour flavour, Runtime* r) {
  look_up(object, "omp_set_default_allocator", &r->set_default);
  look_up(object, "omp_get_default_allocator", &r->get_default);
  if (flavour == Flavour::kLlvm) {
    look_up(object, "__kmpc_global_thread_num", &r->thread_id);
    look_up(object, "__kmpc_set_default_allocator", &r->kmpc_set_default);
    look_up(object, "__kmpc_get_default_allocator", &r->kmpc_get_default);
  }
  look_up(object, "omp_get_level", &r->level);
  look_up(object, "omp_get_ancestor_thread_num", &r->ancestor);
  look_up(object, "omp_get_team_num", &r->team);
  look_up(object, "omp_get_num_devices", &r->device_count);
  return r->set_default != nullptr && r->get_default != nullptr && r->level != nullptr &&
         r->ancestor != nullptr && r->team != nullptr;
}

const Runtime* find(Flavour flavour) {
  Link& link = flavour == Flavour::kGcc ? gcc_link : llvm_link;
  if (link.ready.load(std::memory_order_acquire)) return &link.functions;
  // The handle stays open: a runtime whose functions we hold cannot go away.
  void* object = open_runtime(flavour);
  if (object == nullptr) return nullptr;
  Runtime found;
  if (!fill(object, flavour, &found)) {
    dlclose(object);
    return nullptr;
  }
  if (!link.busy.exchange(true)) {
    link.functions = found;
    link.ready.store(true, std::memory_order_release);
  }
  // Another thread is about to write the same words.
  while (!link.ready.load(std::memory_order_acquire)) {
  }
  return &link.functions;
}

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29);
}

}  // namespace

const Runtime* runtime(Flavour flavour) {
  const Flavour first = flavour == Flavour::kLlvm ? Flavour::kLlvm : Flavour::kGcc;
  const Runtime* r = find(first);
  if (r != nullptr) return r;
  // GCC's code can run on libomp, which has its entry points.
  return find(first == Flavour::kGcc ? Flavour::kLlvm : Flavour::kGcc);
}

void store_default(Flavour flavour, Handle handle) {
  const Runtime* r = runtime(flavour);
  if (r == nullptr) {
    own_default.store(handle, std::memory_order_relaxed);
  } else if (r->kmpc_set_default != nullptr && r->thread_id != nullptr) {
    r->kmpc_set_default(r->thread_id(nullptr), handle);
  } else {
    r->set_default(handle);
  }
}

Handle load_default(Flavour flavour) {
  const Runtime* r = runtime(flavour);
  if (r == nullptr) return own_default.load(std::memory_order_relaxed);
  if (r->kmpc_get_default != nullptr && r->thread_id != nullptr) {
    return r->kmpc_get_default(r->thread_id(nullptr));
  }
  return r->get_default();
}

uint64_t team_of_thread(Flavour flavour) {
  const Runtime* r = runtime(flavour);
  if (r == nullptr) return this_thread();
  const int level = r->level();
  uint64_t name = mix(0x7465616d, static_cast<uint64_t>(r->team()));
  if (level == 0) name = mix(name, this_thread());
  for (int l = 1; l < level; ++l) name = mix(name, static_cast<uint64_t>(r->ancestor(l)));
  return mix(name, static_cast<uint64_t>(level));
}

uint64_t contention_group_of_thread(Flavour flavour) {
  const Runtime* r = runtime(flavour);
  return r == nullptr ? 0 : static_cast<uint64_t>(r->team());
}

__thread uint64_t known_thread_number = 0;

uint64_t number_this_thread() {
  static std::atomic<uint64_t> count{0};
  return known_thread_number = count.fetch_add(1, std::memory_order_relaxed) + 1;
}

int host_device() {
  const Runtime* r = runtime(Flavour::kAny);
  return r == nullptr || r->device_count == nullptr ? 0 : r->device_count();
}

bool inside_runtime(const void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 && info.dli_fname != nullptr &&
         names_runtime(info.dli_fname, Flavour::kAny);
}

}  // namespace hms::omp
