// Measuring latency and bandwidth of each initiator/target pair that this process can reach.
#pragma once

#include <functional>
#include <string>

#include "runtime/support/result.h"
#include "runtime/topology/measured.h"
#include "runtime/topology/topology.h"

namespace hms::cli {

struct MeasureResult {
  topology::Measurements measurements;
  std::string report;        // one line per pair, for people
  bool interrupted = false;  // Ctrl-C: the pairs so far are whole, the rest is missing
};

// Latency by dependent loads over a random cycle in a buffer larger than the caches, bandwidth by
// reading it with all CPUs of the initiator. Memory is bound to the node only after its free memory
// was checked: a bound allocation on a full node would be killed. `progress` is told each pair.
MeasureResult measure(const topology::Topology& t,
                      const std::function<void(const std::string&)>& progress);

// Writes the file whole or not at all. Opened before measuring, so that a place that cannot be
// written is found out at once. `make_folders`: of the default place, which nobody made before.
class MeasureFile {
 public:
  static Result<MeasureFile> open(const std::string& path, bool make_folders);
  MeasureFile() = default;
  MeasureFile(MeasureFile&& other) noexcept { *this = std::move(other); }
  MeasureFile& operator=(MeasureFile&& other) noexcept;
  ~MeasureFile();
  Status write(const topology::Measurements& measurements);

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

}  // namespace hms::cli
