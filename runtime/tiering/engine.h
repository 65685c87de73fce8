// The engine: step by step, looks at the heap through the sampler and decides what changes.
//
// One thread calls it, a few times a second. It keeps no clock, starts no thread and contacts no
// kernel; what it does it does through Heap and Sampler. Memory and time of a step are bounded by
// PolicyOptions::listed_max and ::step_bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tiering/estimator.h"
#include "runtime/tiering/focus.h"
#include "runtime/tiering/governor.h"
#include "runtime/tiering/heap.h"
#include "runtime/tiering/huge_pages.h"
#include "runtime/tiering/policy.h"
#include "runtime/tiering/sampler.h"
#include "runtime/tiering/streams.h"

namespace hms::tiering {

struct EngineOptions {
  EstimatorOptions estimator;
  PolicyOptions policy;
  MoverOptions mover;
  CpuGovernor::Options cpu;
  WeaveOptions weave;
};

struct ClassLine {
  ClassId id;
  Side lean;
  double share;    // of the observed accesses
  uint64_t bytes;  // committed
  uint64_t near_bytes;
  uint8_t near_share;  // of kWeaveCycle runs, if the class is woven; else kNotWoven
};
struct ContextLine {
  ContextId id;
  ClassId class_id;
  double share;  // of the observed accesses; a class that several contexts share is divided by
                 // what they allocated
  uint64_t allocated;
  uint8_t near_share;  // as of the class
};

// What the engine knows and did. Totals are since the start.
struct Report {
  double now = 0;
  double hit_ratio = 0;     // estimate: share of observed accesses that met near memory, lately
  double events_per_s = 0;  // observed
  double price = 0;         // of near memory: events per second and MiB; 0: everything used fits
  Room room{};
  uint64_t far = 0;                    // bytes committed in far memory
  uint64_t promoted = 0, demoted = 0;  // bytes
  uint64_t stuck_pages = 0;            // the kernel would not move
  uint64_t leans = 0;                  // classes that were sent elsewhere
  uint64_t steps = 0;
  size_t listed = 0;    // units and parts
  size_t parts = 0;     // of them, parts
  uint64_t tokens = 0;  // bytes that may move now
  double cost = 0;      // share of one CPU, lately
  double effort = 1;    // of the sampler
  bool moving = true;   // false: frozen, or left to somebody else; then `why` says it
  std::string why;
  std::vector<ClassLine> classes;  // the hottest first, at most kLines
  std::vector<ContextLine> contexts;
};
inline constexpr size_t kLines = 16;

class Engine {
 public:
  // Both must outlive the engine; the sampler has been started.
  Engine(Heap& heap, Sampler& sampler, const EngineOptions& options = {});

  // now: seconds on a clock that never goes back.
  const Report& step(double now);

  // CPU time that sampling and deciding have used so far, in seconds; to be told before a step.
  // Moves are left out, which another governor limits.
  void spent(double cpu_seconds) { cpu_s_ = cpu_seconds; }
  // How many processors the program keeps busy, lately.
  void busy(double cpus) { streams_.busy(cpus); }
  // While somebody else moves the process's pages (automatic balancing, DAMON, reclaim to a lower
  // tier), the engine only chooses where data is born. Empty: nobody does.
  void foreign_mover(std::string who) { foreign_ = std::move(who); }

  const Report& report() const { return report_; }

 private:
  void observe(double now);
  void judge(double now);
  Leave leave(double now);
  void carry_out(const Plan& plan, double now);
  void move(const Plan& plan, double now);
  void look(const View& view);
  void describe(const Plan& plan, double now);
  void describe_classes();
  void describe_contexts();
  double share_of(size_t unit) const;
  bool quick_events(UnitId first, uint32_t bytes, double* events) const;

  Heap& heap_;
  Sampler& sampler_;
  EngineOptions options_;
  Estimator estimator_;
  Policy policy_;
  Focus focus_;
  HugePages huge_pages_;
  Streams streams_;
  MoveGovernor mover_;
  CpuGovernor cpu_;
  double cpu_s_ = 0, look_at_ = 0;
  std::string foreign_;
  std::vector<UnitView> units_;
  std::vector<ClassView> classes_;
  std::vector<ContextView> contexts_;
  std::vector<Reading> readings_;
  Report report_;
};

}  // namespace hms::tiering
