// Sizes: a number, or a refusal with a message.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/support/size.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto bytes = hms::parse_size(std::string(reinterpret_cast<const char*>(data), size));
  if (!bytes.ok() && bytes.status().message().empty()) __builtin_trap();
  // A parsed number reads back as itself.
  if (bytes.ok() && hms::parse_size(std::to_string(bytes.value())).value() != bytes.value()) {
    __builtin_trap();
  }
  return 0;
}
