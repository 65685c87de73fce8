// Watches a heap without steering it, and makes a profile of what it saw.
//
// The heap counts what contexts allocate, but lives and is accessed by classes and their units. A
// context with a class of its own has exact numbers; those that share one share its live bytes and
// its heat in proportion to the bytes that they allocated.
#pragma once

#include <vector>

#include "runtime/tiering/context_keys.h"
#include "runtime/tiering/heap.h"
#include "runtime/tiering/profile.h"
#include "runtime/tiering/sampler.h"

namespace hms::tiering {

class Recorder {
 public:
  // The sampler has been started. All must outlive the recorder.
  // `own_object`: index in the keys' objects of the one whose allocations are left out.
  Recorder(Heap& heap, Sampler& sampler, const ContextKeys& keys, uint32_t own_object)
      : heap_(heap), sampler_(sampler), keys_(keys), own_object_(own_object) {}

  // What others allocated is not ours to tell: in a child of fork, what its parent did.
  void disown(const std::vector<ContextView>& others);
  // A few times a second. now: seconds on a clock that never goes back.
  void step(double now);

  // What was seen so far; the caller adds what a heap does not know: program and machine.
  Profile profile() const;

 private:
  struct Sum {
    uint64_t allocations = 0, bytes = 0;
    uint64_t other_allocations = 0, other_bytes = 0;  // disowned
    double peak = 0, byte_seconds = 0, samples = 0, watched = 0;
  };
  // Of a class, in one step.
  struct ClassStep {
    double allocated = 0, live = 0, samples = 0, watched = 0;
  };
  void look_at_classes(std::vector<ClassStep>* steps);
  Sum& sum_of(ContextId id);
  bool is_own(ContextId id) const;
  ContextProfile counts_of(ContextId id) const;

  Heap& heap_;
  Sampler& sampler_;
  const ContextKeys& keys_;
  uint32_t own_object_;
  double first_ = -1, last_ = -1;
  std::vector<UnitView> units_;
  std::vector<ClassView> classes_;
  std::vector<ContextView> contexts_;
  std::vector<Reading> readings_;
  std::vector<Sum> sums_;  // by context
};

}  // namespace hms::tiering
