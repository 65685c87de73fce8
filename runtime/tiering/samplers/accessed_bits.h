// Sampling by the accessed bits of the page tables: unprivileged, on any kernel that has
// /proc/self/smaps with the numbers of CONFIG_PROC_PAGE_MONITOR, and blind to nothing but how often
// a page was used.
//
// The bits of a unit are cleared, and some time later the kernel is asked how many of its pages
// have been touched since. It answers per mapping, so neighbouring units are kept in mappings of
// their own by policies that mean the same and do not compare equal: MPOL_PREFERRED with one node,
// and MPOL_PREFERRED_MANY with that node alone (Linux 5.15). Without those, units of one mapping
// share its number.
//
// One round walks the mappings twice. The first walk ends the long interval, from one round to the
// next. The second clears units a little ahead of the place that it reads, which gives each a short
// interval: the distance adapts until most units have pages that were not touched meanwhile. A unit
// is judged by the long interval, or by the short one where all of its pages were touched.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/support/os_sampling.h"
#include "runtime/tiering/sampler.h"
#include "runtime/tiering/samplers/spans.h"

namespace hms::tiering {

class AccessedBits : public Sampler {
 public:
  // cpu_share: of one CPU, that looking may cost at full effort.
  explicit AccessedBits(double cpu_share = 0.01) : cpu_share_(cpu_share) {}
  const char* name() const override { return "accessed-bits"; }
  Sight sight() const override { return {true, true, 1}; }
  Status start() override;
  void stop() override { watches_.clear(); }
  void collect(const std::vector<UnitView>& units, std::vector<Reading>* out) override;
  void set_effort(double share) override { effort_ = share; }

 private:
  // A unit, whole or in parts, and what was seen of it since its bits were cleared.
  struct Watch : Span {
    size_t mates = 0;        // watches from it on that share its mapping, itself included
    int64_t cleared_at = 0;  // 0: not watched
    double short_share = 0;  // of its pages, touched in the short interval
    double short_s = 0;
  };
  enum class Walk { kLong, kShort };

  void list_watches(const std::vector<UnitView>& units);
  bool walk(Walk kind, const std::vector<UnitView>& units, std::vector<Reading>* out);
  void clear(size_t to);
  void see(const os::MappingPages& mapping, size_t from, size_t to);
  void report(const os::MappingPages& mapping, size_t from, size_t to,
              const std::vector<UnitView>& units, std::vector<Reading>* out);
  void keep_apart(const os::MappingPages& mapping, size_t from, size_t to);
  void adapt();
  bool too_slow(const os::MappingPages& mapping);
  void give_up(const char* why);

  double cpu_share_;
  std::vector<Watch> watches_, old_;
  size_t cleared_ = 0;   // watches before that are cleared in this walk
  unsigned reach_ = 0;   // the short interval, as a power of two: see lead() and rest_ns()
  size_t mappings_ = 0;  // of the process, in the last walk
  size_t mappings_max_ = 0;
  bool separable_ = true;  // the kernel can keep neighbours apart
  int64_t credit_ns_ = 0;  // CPU time that may be spent
  int64_t last_ns_ = 0;
  double effort_ = 1;
  unsigned slow_walks_ = 0;
  bool broken_ = false;
};

}  // namespace hms::tiering
