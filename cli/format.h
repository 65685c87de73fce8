// Numbers as text.
#pragma once

#include <cstdint>
#include <string>

namespace hms::cli {

// One number by a format of printf that is for a double.
std::string printed(const char* format, double value);
std::string hex(uint64_t value);  // "0x7f00"

}  // namespace hms::cli
