// Merging pairs into rectangles and joined places into cliques.
#include "runtime/topology/links.h"

#include <algorithm>
#include <map>
#include <set>

namespace hms::topology {
namespace {

using Cells = std::map<size_t, std::vector<size_t>>;  // row -> columns of one class

// Distances only matter for the merge where the cost itself is not fully known.
Properties link_properties(Properties p) {
  if (p.bandwidth && p.latency) p.distance.reset();
  return p;
}

// Rows with identical column sets form one rectangle. Complete and exact, not always the fewest.
std::vector<Rectangle> group(const Cells& cells, bool transposed) {
  std::map<std::vector<size_t>, std::vector<size_t>> by_columns;
  for (const auto& [row, columns] : cells) by_columns[columns].push_back(row);
  std::vector<Rectangle> out;
  for (const auto& [columns, rows] : by_columns) {
    if (transposed) {
      out.push_back({columns, rows, {}});
    } else {
      out.push_back({rows, columns, {}});
    }
  }
  return out;
}

// The distance that all pairs of a rectangle share, if they do.
std::optional<Sourced> common_distance(const Rectangle& r, const CostTable& said) {
  const std::optional<Sourced>& first = said.at(r.rows[0], r.columns[0])->distance;
  for (size_t row : r.rows) {
    for (size_t column : r.columns) {
      if (!(said.at(row, column)->distance == first)) return std::nullopt;
    }
  }
  return first;
}

Cells transpose(const Cells& cells) {
  Cells out;
  for (const auto& [row, columns] : cells) {
    for (size_t c : columns) out[c].push_back(row);
  }
  return out;
}

}  // namespace

std::vector<Rectangle> merge_rectangles(const CostTable& said, size_t columns) {
  std::vector<size_t> merged(said.classes().size());
  std::map<Properties, size_t> places;
  std::vector<Properties> costs;
  for (size_t c = 0; c < merged.size(); ++c) {
    Properties p = link_properties(said.classes()[c]);
    auto [it, fresh] = places.try_emplace(p, costs.size());
    if (fresh) costs.push_back(p);
    merged[c] = it->second;
  }
  std::vector<Cells> by_cost(costs.size());
  for (size_t row = 0; row < said.rows(); ++row) {
    for (size_t column = 0; column < columns; ++column) {
      uint32_t c = said.class_at(row, column);
      if (c != CostTable::kNone) by_cost[merged[c]][row].push_back(column);
    }
  }
  std::vector<Rectangle> out;
  for (size_t c = 0; c < by_cost.size(); ++c) {
    std::vector<Rectangle> by_row = group(by_cost[c], false);
    std::vector<Rectangle> by_column = group(transpose(by_cost[c]), true);
    for (Rectangle& r : by_column.size() < by_row.size() ? by_column : by_row) {
      r.properties = costs[c];
      r.properties.distance = common_distance(r, said);
      out.push_back(std::move(r));
    }
  }
  std::sort(out.begin(), out.end(), [](const Rectangle& a, const Rectangle& b) {
    return std::make_pair(a.rows[0], a.columns[0]) < std::make_pair(b.rows[0], b.columns[0]);
  });
  return out;
}

std::vector<std::vector<size_t>> clique_cover(size_t vertices,
                                              const std::vector<std::pair<size_t, size_t>>& edges) {
  std::vector<std::set<size_t>> near(vertices);
  for (auto [a, b] : edges) {
    if (a >= vertices || b >= vertices || a == b) continue;
    near[a].insert(b);
    near[b].insert(a);
  }
  std::set<std::pair<size_t, size_t>> covered;
  std::vector<std::vector<size_t>> out;
  for (auto [a, b] : edges) {
    if (a >= vertices || b >= vertices || a == b) continue;
    if (covered.count({std::min(a, b), std::max(a, b)}) != 0) continue;
    std::vector<size_t> clique{std::min(a, b), std::max(a, b)};
    for (size_t v : near[a]) {
      bool joined = v != b && std::all_of(clique.begin(), clique.end(),
                                          [&](size_t m) { return near[v].count(m) != 0; });
      if (joined) clique.push_back(v);
    }
    std::sort(clique.begin(), clique.end());
    for (size_t i = 0; i < clique.size(); ++i) {
      for (size_t j = i + 1; j < clique.size(); ++j) covered.insert({clique[i], clique[j]});
    }
    out.push_back(std::move(clique));
  }
  return out;
}

}  // namespace hms::topology
