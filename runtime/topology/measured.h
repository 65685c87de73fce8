// Measurements of this machine by `hms topology --measure`, kept in a file that later loads read.
//
// The file is JSON of a fixed shape, read here with a small scanner: the runtime needs no library.
// {"schema":1,"machine":"...","pairs":[{"initiator":"cpu:0","target":"node:0","latency_ns":95.1,
//  "bandwidth_bytes_s":12345678},..]}
#pragma once

#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/topology/builder.h"

namespace hms::topology {

struct Measurement {
  std::string initiator;
  std::string target;
  double latency = 0;    // ns, 0: not measured
  double bandwidth = 0;  // bytes/s, 0: not measured
};

struct Measurements {
  std::string machine;  // machine_signature() of where they were taken
  std::vector<Measurement> pairs;
};

// Where the measurements of this machine are: $HMS_MEASURED, else
// $XDG_CACHE_HOME/hms/measured-ID.json (~/.cache), ID from /etc/machine-id or the host name. Empty
// for programs whose environment is not trusted, and where no home is known.
std::string measured_path();
// Tells machines apart that share a home or an image: nodes with CPUs, and how many.
std::string machine_signature(const Builder& builder);
std::string machine_signature(const Topology& topology);
// Parses the file's text; errors say what is wrong with it.
Result<Measurements> parse_measurements(const std::string& text);
// Adds what the file says, if it is there and of this machine.
void add_measured(Builder* builder);

}  // namespace hms::topology
