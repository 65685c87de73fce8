// Numbers for people: binary multiples throughout, at most one digit after the point.
#include "runtime/topology/units.h"

#include <stdio.h>

namespace hms::topology {
namespace {

std::string scaled(double value, const char* suffix) {
  static const char* const kUnits[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < sizeof kUnits / sizeof kUnits[0]) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  snprintf(text, sizeof text, "%.1f", value);
  std::string number = text;
  if (number.size() > 2 && number.compare(number.size() - 2, 2, ".0") == 0) {
    number.resize(number.size() - 2);
  }
  return number + ' ' + kUnits[unit] + suffix;
}

}  // namespace

std::string format_bytes(uint64_t bytes) { return scaled(static_cast<double>(bytes), "B"); }
std::string format_bandwidth(double bytes_s) { return scaled(bytes_s, "B/s"); }

std::string format_latency(double ns) {
  char text[48];
  snprintf(text, sizeof text, ns < 10 ? "%.1f ns" : "%.0f ns", ns);
  return text;
}

}  // namespace hms::topology
