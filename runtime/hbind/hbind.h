// The engine of range placement: validated operations over address ranges, and the truth about
// them. The narrow header of this folder; docs/api.md shows its use through hms.h.
//
// Words: a *policy* is the ordered list that a range was bound to; the *ledger* says which target
// each page of it was promised or charged to. Both are checked against the mappings of the process
// before anything is done, since programs unmap memory without telling.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "hms/hms.h"
#include "runtime/hbind/backend.h"
#include "runtime/hbind/plan.h"
#include "runtime/support/result.h"

namespace hms::hbind {

// The targets that an op may really use, in order, and what was left out of its list.
struct TargetList {
  std::vector<topology::Id> ids;
  std::vector<const BoundTarget*> targets;
  std::vector<size_t> position;  // in the caller's list
  uint64_t skipped = 0;
};

struct Policy {
  std::vector<topology::Id> ids;
  std::vector<Slot> slots;
  unsigned flags = 0;

  bool operator==(const Policy& o) const {
    return ids == o.ids && slots == o.slots && flags == o.flags;
  }
};

// A shared policy that compares by content.
struct PolicyRef {
  std::shared_ptr<const Policy> policy;
  bool operator==(const PolicyRef& o) const { return policy == o.policy || *policy == *o.policy; }
};

// A mapped stretch of a range.
struct Segment {
  PageSpan span;
  bool anonymous = false;
  bool fillable = false;  // private, anonymous and writable: populating it changes nothing else
};

struct Residency {
  std::vector<hms_moved> on;  // in the order of the topology, only targets with pages
  uint64_t absent = 0;
  uint64_t elsewhere = 0;
};

// Thread-safe: one mutex over everything, dropped between the batches of long calls. std::bad_alloc
// may come out of any function; state is then as after some prefix of the effects.
class Engine {
 public:
  using PolicyPiece = RangeMap<PolicyRef>::Piece;

  Engine();

  // False if the back end does not fit this version.
  bool add_backend(std::unique_ptr<Backend> backend);

  // Validates all, then runs all; results go into the ops. The Status is that of the first op that
  // failed. `topology` may be null if no op has targets.
  Status submit(const topology::Topology* topology, const std::vector<hms_op*>& ops);
  std::vector<PolicyPiece> query(PageSpan span);
  Result<Residency> residency(const topology::Topology& topology, PageSpan span);

  // The system calls of the same names, and the maps with them. 0 or -errno.
  int unmap(void* address, size_t length);
  int remap(void* address, size_t old_length, size_t new_length, int flags, void* new_address,
            void** out);

  // Around fork: the child gets consistent maps and a free mutex.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  friend class MigrateRun;

  // engine.cc
  Status validate(const topology::Topology* topology, const hms_op& op, TargetList* list);
  Status usable(const topology::Topology& topology, topology::Id id, Operation operation,
                const BoundTarget** out);
  Status run(hms_op* op, const TargetList& list);

  // bind.cc; the mutex is held
  Status bind(hms_op* op, const TargetList& list);
  Status unbind(hms_op* op);
  Plan plan(PageSpan span, const std::vector<Run>& runs, const TargetList& list, bool strict);
  hms_status apply(const PlanPart& part, const TargetList& list);
  Status fill(const std::vector<Segment>& segments, const Plan& plan, const TargetList& list);
  void record(const Plan& plan, const std::vector<Run>& runs, const PolicyRef& policy);
  void charge(const PlanPart& part, const Run& run);
  void restore(PageSpan span);
  template <typename Visitor>
  void for_each_part(PageSpan span, Visitor visit) const;

  // migrate.cc
  Status migrate(hms_op* op, const TargetList& list);
  void moved(PageSpan run, const BoundTarget& target);
  void held_by_devices(const Batch& batch, bool* held) const;

  // mapped.cc; the mutex is held
  std::vector<Segment> survey(PageSpan span);
  bool vanished(PageSpan piece, const PolicyRef& policy) const;
  void forget(PageSpan span);
  void follow(PageSpan from, PageSpan to, bool keep_old);

  // told.cc; the mutex is held
  void tell();

  std::mutex mutex_;
  Ledger ledger_;
  Registry registry_;
  RangeMap<PolicyRef> policies_;
};

// The engine of this process; made at first use, never destroyed, survives fork.
Engine& process_engine();

}  // namespace hms::hbind
