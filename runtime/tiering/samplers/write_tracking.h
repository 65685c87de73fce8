// Sampling by write tracking: userfaultfd write protection that the kernel resolves itself, and
// PAGEMAP_SCAN (Linux 6.7, unprivileged). Sees writes only, each page's first; a fault is what that
// costs the program, and a huge page is broken up by it. So few units are watched, and always the
// same: one in 32 of each class, at least one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/support/os_tracking.h"
#include "runtime/tiering/sampler.h"
#include "runtime/tiering/samplers/spans.h"

namespace hms::tiering {

class WriteTracking : public Sampler {
 public:
  ~WriteTracking() override { stop(); }
  const char* name() const override { return "write-tracking"; }
  Sight sight() const override { return {false, true, 1}; }
  Status start() override;
  void stop() override;
  void collect(const std::vector<UnitView>& units, std::vector<Reading>* out) override;
  void set_effort(double share) override { effort_ = share; }
  double cost_s() const override;

 private:
  struct Probe {
    uintptr_t begin;
    int64_t since;  // 0: cannot be tracked
  };

  bool wanted(const Span& span, ClassId id);
  void look(const Span& span, const std::vector<UnitView>& units, Probe* probe,
            std::vector<Reading>* out);

  os::WriteTracker tracker_;
  double effort_ = 1;
  std::vector<Probe> probes_, next_;  // ascending
  std::array<bool, 256> class_probed_{};
  uint64_t written_ = 0;  // bytes that faults told of, cumulative
};

}  // namespace hms::tiering
