// What is said about single (initiator, target) pairs. Machines repeat the same few numbers over
// many pairs, so each distinct statement is stored once: 1024 x 1024 nodes cost 4 MB, not 100.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "runtime/topology/properties.h"

namespace hms::topology {

// Rows are places of initiators, columns places of targets. Grows on demand.
class CostTable {
 public:
  // What is said about the pair; null: nothing.
  const Properties* at(size_t row, size_t column) const;
  void set(size_t row, size_t column, const Properties& said);
  // Merges with what was said before, number by number, most trusted source first.
  void state(size_t row, size_t column, const Properties& said);

  size_t rows() const { return cells_.size(); }
  // Index of the statement in classes(), or kNone.
  uint32_t class_at(size_t row, size_t column) const;
  const std::vector<Properties>& classes() const { return classes_; }
  static constexpr uint32_t kNone = UINT32_MAX;

  friend bool operator==(const CostTable& a, const CostTable& b);

 private:
  std::vector<std::vector<uint32_t>> cells_;
  std::vector<Properties> classes_;
  std::map<Properties, uint32_t> known_;
};

}  // namespace hms::topology
