// hwloc XML from anywhere: our reader, then the model.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/topology/hwloc_source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hms::topology;
  Builder builder("fuzz", "fuzz");
  hms::Status s =
      add_hwloc_xml_text(std::string(reinterpret_cast<const char*>(data), size), "fuzz", &builder);
  if (!s.ok()) {
    if (s.message().empty()) __builtin_trap();
    return 0;
  }
  auto topology = builder.build();
  if (!topology->find({}).ok()) __builtin_trap();
  return 0;
}
