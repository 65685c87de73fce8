// How the library's symbols get their names and versions.
//
// GCC's programs ask for omp_alloc@OMP_5.0.1 (or OMP_5.0.2), Clang's for omp_alloc@VERSION; a
// definition in each node catches both and says who asks. Programs linked with this library itself,
// and dlsym(), get the third one, the default. Everything else (GOMP_*, __kmpc_*, Fortran's names)
// belongs to one runtime and is defined in the base version, which serves any node.
#pragma once

#include "openmp/memory.h"

#define HMS_OMP_ENTRY extern "C" __attribute__((visibility("default")))

// Defines the routine omp_NAME three times; `call` sees `caller`.
#define HMS_OMP_ROUTINE(node, result, name, parameters, call)                     \
  HMS_OMP_ENTRY result hmsomp_gcc_##name parameters {                             \
    [[maybe_unused]] constexpr hms::omp::Caller caller = hms::omp::Caller::kGcc;  \
    return call;                                                                  \
  }                                                                               \
  HMS_OMP_ENTRY result hmsomp_llvm_##name parameters {                            \
    [[maybe_unused]] constexpr hms::omp::Caller caller = hms::omp::Caller::kLlvm; \
    return call;                                                                  \
  }                                                                               \
  HMS_OMP_ENTRY result hmsomp_any_##name parameters {                             \
    [[maybe_unused]] constexpr hms::omp::Caller caller = hms::omp::Caller::kAny;  \
    return call;                                                                  \
  }                                                                               \
  __asm__(".symver hmsomp_gcc_" #name ",omp_" #name "@" node);                    \
  __asm__(".symver hmsomp_llvm_" #name ",omp_" #name "@VERSION");                 \
  __asm__(".symver hmsomp_any_" #name ",omp_" #name "@@HMS_1.0")
