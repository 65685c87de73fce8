// The engine at work in a process: a sampler of this machine, the heap's classes, and what is shown
// of it on the counter page. One thread owns it and calls step().
#pragma once

#include <memory>
#include <string>

#include "runtime/support/counters.h"
#include "runtime/tiering/context_keys.h"
#include "runtime/tiering/context_table.h"
#include "runtime/tiering/engine.h"
#include "runtime/tiering/sides.h"

namespace hms::alloc {

class MeteredHeap;
class MeteredSampler;

// On the counter page, while nothing is divided yet: that it will be once the program has so many
// bytes.
void show_waiting(const tiering::Sides& sides, uint64_t until_bytes);

// What sampling and deciding may cost, and what is to be gained.
struct SteeringOptions {
  double budget = tiering::CpuGovernor::Options().budget;  // of one CPU
  double gap_ns = tiering::PolicyOptions().gap_ns;  // what an access to far memory costs more
  bool profiled = false;                            // a profile says where data is born
  tiering::WeaveWords weave;
};

class Steering {
 public:
  // Opens the best sampler. All must outlive it.
  Steering(tiering::Heap& heap, const tiering::ContextTable& contexts,
           const tiering::ContextKeys& keys, const tiering::Sides& sides,
           const SteeringOptions& options = {});
  // After an exception the page tells that tiering has ended.
  ~Steering();
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // now: seconds on a clock that never goes back. Returns after how many seconds to call it again:
  // later while the program does nothing, while all it has is near, and where a step is dear. 0:
  // there is nothing to be done any more; the page says why.
  double step(double now);

 private:
  void meter(double now);
  double deciding_cpu() const;
  double pause(double now, const tiering::Report& report);
  void show(const tiering::Report& report);
  void show_contexts(const tiering::Report& report);
  bool show_place(const tiering::ContextLine& line, ContextCounters* out) const;
  static bool show_hint(const tiering::ClassLine& line, ContextCounters* out);
  double end(const char* why);

  const tiering::ContextTable& contexts_;
  const tiering::ContextKeys& keys_;
  std::unique_ptr<MeteredHeap> heap_;
  std::unique_ptr<MeteredSampler> sampler_;
  std::unique_ptr<tiering::Engine> engine_;
  TieringCounters& page_;
  double budget_;
  bool emulated_;  // both sides are the same memory: nobody else can move between them
  int exceptions_;
  bool ended_ = false;
  double pause_ = 0, step_cost_ = 0;
  double looked_ = -1;             // for who else moves pages
  double last_ = -1, busy_ = 0;    // the last step, and the program's CPU time then
  double cpus_ = 0;                // that the program keeps busy
  double window_ = -1, used_ = 0;  // since when, and from which CPU time on, cost is measured
  double cost_ = 0;                // of one CPU
  std::string why_;
};

}  // namespace hms::alloc
