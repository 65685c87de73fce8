// Statements about pairs, each distinct one stored once.
#include "runtime/topology/cost_table.h"

#include <algorithm>

namespace hms::topology {

uint32_t CostTable::class_at(size_t row, size_t column) const {
  if (row >= cells_.size() || column >= cells_[row].size()) return kNone;
  return cells_[row][column];
}

const Properties* CostTable::at(size_t row, size_t column) const {
  uint32_t c = class_at(row, column);
  return c == kNone ? nullptr : &classes_[c];
}

void CostTable::set(size_t row, size_t column, const Properties& said) {
  auto [it, fresh] = known_.try_emplace(said, static_cast<uint32_t>(classes_.size()));
  if (fresh) classes_.push_back(said);
  if (row >= cells_.size()) cells_.resize(row + 1);
  auto& cells = cells_[row];
  if (column >= cells.size()) cells.resize(column + 1, kNone);
  cells[column] = it->second;
}

void CostTable::state(size_t row, size_t column, const Properties& said) {
  Properties sum;
  if (const Properties* before = at(row, column)) sum = *before;
  merge(&sum, said);
  set(row, column, sum);
}

bool operator==(const CostTable& a, const CostTable& b) {
  if (a.rows() != b.rows()) return false;
  for (size_t r = 0; r < a.rows(); ++r) {
    size_t columns = std::max(a.cells_[r].size(), b.cells_[r].size());
    for (size_t c = 0; c < columns; ++c) {
      const Properties* x = a.at(r, c);
      const Properties* y = b.at(r, c);
      if ((x == nullptr) != (y == nullptr) || (x && !(*x == *y))) return false;
    }
  }
  return true;
}

}  // namespace hms::topology
