// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/support/result.h"

namespace hms {

// "512M", "1.5GiB", "4096": bytes, binary multiples.
Result<uint64_t> parse_size(const std::string& text);

}  // namespace hms
