// How the heat of units is observed. One interface for all sources, so that the estimator needs
// not know which of them a machine offers.
#pragma once

#include <string>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/tiering/heap.h"

namespace hms::tiering {

// What a sampler saw of one unit since it last looked.
struct Reading {
  UnitId unit;
  double events;  // observed: a plain count, not extrapolated
  double
      exposure;  // seconds for which the unit was watched, times the share of it that was watched
};

struct Sight {
  bool reads = false;
  bool writes = false;
  double accesses_per_event = 1;  // as far as it is known; else 1, which is the least
  double bytes_per_event = 0;     // that were fetched from memory, at least; 0: it does not tell
};

// Called by one thread. Nothing throws; a sampler that breaks later reports nothing more and says
// so once.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual const char* name() const = 0;
  virtual Sight sight() const = 0;
  // Opens what it needs. The Status tells in words why not: `hms doctor` shows it.
  virtual Status start() = 0;
  virtual void stop() = 0;
  // Readings since the last call, at most one per unit; watches `units` from now on. A unit that
  // was watched and had no event has a reading of 0 events; one without a reading was not watched.
  virtual void collect(const std::vector<UnitView>& units, std::vector<Reading>* out) = 0;
  // Scales how much is observed, 0 to 1: the governor's handle on what sampling costs.
  virtual void set_effort(double share) = 0;
  // Seconds of CPU time that being observed has cost the program's own threads so far, as far as it
  // can be estimated.
  virtual double cost_s() const { return 0; }
};

}  // namespace hms::tiering
