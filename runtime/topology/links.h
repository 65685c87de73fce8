// How equal costs become links: only where they fill a complete rectangle of initiators x targets.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "runtime/topology/cost_table.h"

namespace hms::topology {

struct Rectangle {
  std::vector<size_t> rows;
  std::vector<size_t> columns;
  Properties properties;
};

// Covers every stated pair exactly once with rectangles whose cells are all equal: same numbers,
// same provenance. Cells that are equal but leave holes stay apart: no rectangle ever claims a pair
// that has not that cost. In order of the first row, then the first column.
std::vector<Rectangle> merge_rectangles(const CostTable& said, size_t columns);

// Covers every edge of an undirected graph with complete subgraphs, each as large as it can be
// grown greedily from its first edge: a mesh is one, a ring of four is four.
std::vector<std::vector<size_t>> clique_cover(size_t vertices,
                                              const std::vector<std::pair<size_t, size_t>>& edges);

}  // namespace hms::topology
