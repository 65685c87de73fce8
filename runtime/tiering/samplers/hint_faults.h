// Sampling by the hint faults of the kernel's own NUMA balancing, where somebody has switched that
// on: it takes pages away for a moment to see who asks for them, and the faults can be read as
// events with addresses. Nothing is ever switched on from here.
#pragma once

#include <bitset>
#include <unordered_map>

#include "runtime/tiering/samplers/address_sampler.h"

namespace hms::tiering {

class HintFaults : public AddressSampler {
 public:
  const char* name() const override { return "hint-faults"; }
  Sight sight() const override { return {true, true, 1}; }
  Status start() override;

 protected:
  // Every page's first fault brings the page in: no sign of heat.
  bool counts(const std::vector<UnitView>& units, size_t unit, uintptr_t address) override;
  int open_faults() { return open({os::page_fault_source()}); }

 private:
  std::unordered_map<uintptr_t, std::bitset<kUnitBytes / kPartBytesMin>> faulted_;
};

}  // namespace hms::tiering
