// The default allocator (def-allocator-var) and OMP_ALLOCATOR.
//
// The runtimes keep the variable: one copy for each implicit task, inherited by new teams. We store
// our handles in it. What a runtime made of OMP_ALLOCATOR at its start is replaced by what we make
// of it: the same on every runtime, old ones included. To tell "never set" from "set back to
// omp_default_mem_alloc", the latter is stored as a handle of its own.
#pragma once

#include <string>

#include "openmp/runtime_link.h"
#include "openmp/standard.h"
#include "runtime/support/result.h"

namespace hms::omp {

Handle get_default(Flavour flavour);
// True as long as no task has set a default allocator: all have that of the environment.
bool default_is_standing();
// The null allocator stands for omp_default_mem_alloc. An unknown handle is reported and ignored.
void set_default(Flavour flavour, Handle h);

// What OMP_ALLOCATOR says, made at first use; omp_default_mem_alloc if it is unset or wrong (said
// once). Calls no runtime.
Handle environment_allocator();
bool environment_names_allocator();

// ALLOCATOR | SPACE | SPACE:TRAIT=VALUE[,TRAIT=VALUE..], upper or lower case, blanks around words.
// A space alone is its predefined allocator, as in libgomp. Spaces of HMS_OMP_SPACES are known,
// too.
Result<Handle> allocator_from_words(const std::string& text);

}  // namespace hms::omp
