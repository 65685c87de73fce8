// See format.h.
#include "cli/format.h"

#include <stdio.h>

namespace hms::cli {

std::string printed(const char* format, double value) {
  char text[400];  // room for the largest double in full
  snprintf(text, sizeof text, format, value);
  return text;
}

std::string hex(uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace hms::cli
