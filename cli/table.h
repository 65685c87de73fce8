// Lines of cells, padded to columns.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace hms::cli {

class Table {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // A column whose cells begin at its left, as those of the first do; others end at their right.
  void left(size_t column) { left_.insert(column); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::set<size_t> left_ = {0};
};

}  // namespace hms::cli
