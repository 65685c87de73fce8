// Sampling by the processor: Intel's memory load and store events with precise addresses (PEBS), or
// AMD's instruction based sampling. Which there are and how they are programmed stands in
// /sys/bus/event_source/devices.
#pragma once

#include <string>
#include <vector>

#include "runtime/tiering/samplers/address_sampler.h"

namespace hms::tiering {

class HardwareSampler : public AddressSampler {
 public:
  const char* name() const override { return "hardware"; }
  Sight sight() const override;
  Status start() override;
};

// How an event that a PMU names is programmed, from its sysfs files below `root`
// ("/sys/bus/event_source/devices"). Terms that are given replace those of the event.
struct EventTerm {
  std::string name;
  uint64_t value;
};
Result<os::SampleSource> describe_event(const std::string& root, const std::string& pmu,
                                        const std::string& event,
                                        const std::vector<EventTerm>& replace = {});
// What this machine offers, loads first; a Status that says why nothing.
Result<std::vector<os::SampleSource>> memory_sources(const std::string& root);

}  // namespace hms::tiering
