// See table.h.
#include "cli/table.h"

#include <algorithm>

namespace hms::cli {

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      // A column that nobody fills is not there.
      if (widths[i] == 0) continue;
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (i > 0) out += "  ";
      if (left_.count(i) == 0) out += padding;
      out += row[i];
      if (left_.count(i) != 0 && i + 1 < row.size()) out += padding;
    }
    out += '\n';
  }
  return out;
}

}  // namespace hms::cli
