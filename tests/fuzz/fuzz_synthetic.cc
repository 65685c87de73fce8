// Synthetic descriptions: our gate, then hwloc's parser, then the model.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/topology/hwloc_source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hms::topology;
  Builder builder("fuzz", "fuzz");
  hms::Status s =
      add_hwloc_synthetic(std::string(reinterpret_cast<const char*>(data), size), &builder);
  if (!s.ok()) {
    if (s.message().empty()) __builtin_trap();
    return 0;
  }
  if (!builder.build()->find({}).ok()) __builtin_trap();
  return 0;
}
