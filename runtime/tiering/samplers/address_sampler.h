// Sampling by records that hold the address of an access: from the processor (hardware.h) or from
// page faults that the kernel provokes (hint_faults.h). Each thread of the process has a ring of
// its own per source; threads that are new are found at every look.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/os_perf.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

class AddressSampler : public Sampler {
 public:
  ~AddressSampler() override { close(); }
  void stop() override { close(); }
  void collect(const std::vector<UnitView>& units, std::vector<Reading>* out) override;
  void set_effort(double share) override;
  double cost_s() const override;

 protected:
  // Rings for the calling thread, as a trial, and for the others at the next look. 0 or -errno.
  int open(const std::vector<os::SampleSource>& sources);
  // Whether a sample is an access. By position in the list.
  virtual bool counts(const std::vector<UnitView>& /*units*/, size_t /*unit*/,
                      uintptr_t /*address*/) {
    return true;
  }

 private:
  struct Watched {
    int thread;
    bool alive;
    std::vector<os::SampleRing> rings;  // by source
  };
  struct Drain;

  void close();
  int watch(int thread);
  void follow_threads();
  uint64_t period_of(const os::SampleSource& source) const;

  std::vector<os::SampleSource> sources_;
  std::vector<Watched> threads_;
  std::vector<double> events_;
  double effort_ = 1;
  int64_t last_ns_ = 0;
  uint64_t taken_ = 0;  // samples, cumulative
};

}  // namespace hms::tiering
