// omp_init_allocator and omp_destroy_allocator for all entry points.
#pragma once

#include "openmp/standard.h"

namespace hms::omp {

// The null allocator if the combination cannot be served; the reason goes to the log (level info).
// `from_environment`: a runtime makes the allocator of OMP_ALLOCATOR while it starts, and gets
// ours.
Handle init_allocator(Handle space, int count, const Trait* traits, bool from_environment);
// Unknown handles are reported. The runtimes' own destructors come here, too.
void destroy(Handle h);

}  // namespace hms::omp
