// Blocks that are mappings of their own, cut into parts that each lie on one resource.
#pragma once

#include <cstddef>
#include <vector>

#include "openmp/spaces.h"

namespace hms::omp {

struct Part {
  size_t resource = 0;  // of the space
  size_t bytes = 0;     // a multiple of the page size, but for the last part
};

// One part for each resource, about equal; at least a page each.
std::vector<Part> blocked_parts(size_t size, size_t resources);
// Parts of `part_size` (a multiple of the page size) in turn. Doubled until there are at most a few
// thousand: each part is a mapping to the kernel, and a process may have 65,530.
std::vector<Part> interleaved_parts(size_t size, size_t part_size, size_t resources);

// Zeroed memory whose pages are where the parts say, checked page by page; null, and nothing is
// left, when a resource has no room for its part. *length: what release_parts() must be given.
void* map_parts(const Space& space, const std::vector<Part>& parts, size_t alignment,
                size_t* length);
void release_parts(void* block, size_t length);

}  // namespace hms::omp
