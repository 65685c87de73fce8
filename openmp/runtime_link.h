// The OpenMP runtimes of this process: what only they know, asked by way of their own functions.
//
// libgomp keeps the default allocator in its task data, libomp in its thread data; both just store
// the word, and give it to new teams. So that word stays there. Both runtimes may be loaded at
// once; the symbol version through which a program called us says which one is its own.
#pragma once

#include "openmp/standard.h"

namespace hms::omp {

enum class Flavour { kGcc, kLlvm, kAny };

struct Runtime {
  void (*set_default)(Handle) = nullptr;
  Handle (*get_default)() = nullptr;
  // libomp calls its __kmpc_ functions through its PLT, where we sit: ask those directly.
  int (*thread_id)(void*) = nullptr;
  void (*kmpc_set_default)(int, Handle) = nullptr;
  Handle (*kmpc_get_default)(int) = nullptr;
  int (*level)() = nullptr;
  int (*ancestor)(int) = nullptr;
  int (*team)() = nullptr;
  int (*device_count)() = nullptr;
};

// The runtime of a flavour, else the other one; null if no runtime is loaded (yet). Must not be
// called from a runtime's own start or end, because the dynamic linker's lock may be held there.
const Runtime* runtime(Flavour flavour);

void store_default(Flavour flavour, Handle handle);
// What store_default() put there, or what the runtime started with.
Handle load_default(Flavour flavour);

// Tells the access groups of a thread apart. Outside of parallel regions a thread is a team by
// itself (5.2, glossary: implicit parallel region). Any other team is named by the way to it: the
// number of its initial team in the league, and the thread numbers of its ancestors. Teams that
// exist at the same time differ in one of them, unless threads that the program made itself both
// have one; runtimes tell nothing that would. Likewise contention groups: one for each initial
// team.
uint64_t team_of_thread(Flavour flavour);
uint64_t contention_group_of_thread(Flavour flavour);

// A number of the calling thread, from 1; never given again.
extern __thread uint64_t known_thread_number;
uint64_t number_this_thread();
inline uint64_t this_thread() {
  const uint64_t number = known_thread_number;
  return __builtin_expect(number != 0, 1) ? number : number_this_thread();
}

// The number of the host device (0 without others). Never asked while a runtime starts.
int host_device();

// True if the code at `address` belongs to an OpenMP runtime.
bool inside_runtime(const void* address);

}  // namespace hms::omp
