// The back-end interface: how pages get onto one kind of memory.
//
// The engine (hbind.h) knows ranges, lists and policies; a back end knows one mechanism: mempolicy
// calls for nodes, accounting for emulated targets, a driver (CUDA managed memory, amdkfd SVM
// attributes, nouveau SVM_BIND, xe madvise) for devices, whose library it loads at run time. The
// engine asks a back end only about targets that it said it serves, and always holds its lock, so a
// back end needs none of its own; it must not call back into the engine.
//
// Memory that a CPU cannot touch is an ordinary case: such a target may refuse CPU ranges
// (supports() says HMS_ENOSYS), or accept to hold their pages (a driver with shared virtual memory,
// which faults them back when a CPU touches them). Pages on a device are absent to the kernel's
// move_pages; held() is how they are found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hms/hms.h"
#include "runtime/hbind/ledger.h"
#include "runtime/hbind/range_map.h"
#include "runtime/topology/topology.h"

namespace hms::hbind {

// Grows with every incompatible change of this file; the registry refuses other versions.
inline constexpr uint32_t kBackendVersion = 1;
// move_pages in the kernel works in chunks; 512 pages are one huge page and one page of pointers.
inline constexpr size_t kBatchPages = 512;

enum class Operation { kBind, kMigrate };

class Backend;

// What the engine remembers of a target, so that policies outlive the topology that named them.
struct BoundTarget {
  Slot slot = kNoSlot;
  std::string key;
  int node = -1;
  bool emulated = false;
  uint64_t bytes = 0;
  uint32_t capabilities = 0;
  Backend* backend = nullptr;  // null: nothing serves it
};

// A few pages and what the kernel says of each: parallel arrays.
struct Batch {
  size_t count = 0;
  Page pages[kBatchPages];
  int node[kBatchPages];  // node number, or -errno: absent, as far as the kernel knows
};

// A question for room.
struct RoomRequest {
  PageSpan range;         // the operation's own range: its old promises do not count
  uint64_t released = 0;  // pages charged to the target that the operation is about to give up
  uint64_t wanted = 0;    // bytes; an answer above that need not be exact
  bool strict = false;    // count what the kernel would free by reclaim, too
};

class Backend {
 public:
  virtual ~Backend() = default;

  // kBackendVersion of the header that the back end was compiled with.
  virtual uint32_t version() const = 0;
  virtual const char* name() const = 0;
  // Whether this back end is the one for `target`. The last registered is asked first.
  virtual bool serves(const topology::Target& target) const = 0;
  // Whether CPU ranges can be bound to, or migrated to, the target: HMS_OK; HMS_ENOSYS: it has no
  // way to; HMS_ENODEV: the target is closed to this process (cpuset) or gone.
  virtual hms_status supports(Operation operation, const BoundTarget& target) const = 0;
  // Bytes that the target can take on now.
  virtual uint64_t room(const BoundTarget& target, const RoomRequest& request) = 0;
  // Lets future pages of `span`, all mapped, come from the target. What another back end did to the
  // span has been undone before. On failure the span is as before.
  virtual hms_status bind(PageSpan span, const BoundTarget& target) = 0;
  // Undoes bind() on a span that is bound to the target; pages stay.
  virtual hms_status unbind(PageSpan span, const BoundTarget& target) = 0;
  // The span was unmapped, or mapped anew: what bind() and move() did there is gone. For back ends
  // that keep records of their own.
  virtual void forgotten(PageSpan, const BoundTarget&) {}
  // Sets held[i] where page i of the batch is on the target now; leaves the others alone.
  virtual void held(const Batch& batch, const BoundTarget& target, bool* held) = 0;
  // Moves existing pages to the target and sets done[i] for those that are there afterwards,
  // whatever is returned. HMS_ENOMEM: it is full, do not offer it more.
  virtual hms_status move(const Batch& batch, const BoundTarget& target, bool* done) = 0;
  // Pages that move() put on `target` are recorded in the ledger (true: emulated targets), or known
  // to the kernel or driver (false).
  virtual bool charges() const = 0;
};

// The back ends of an engine and the targets that they serve.
class Registry {
 public:
  // False if the back end was made for another version of the interface.
  bool add(std::unique_ptr<Backend> backend);
  // The remembered target for `target`, by key and node (other machines' descriptions use the same
  // keys); refreshed by each call. Null when the table is full.
  const BoundTarget* intern(const topology::Target& target);
  const BoundTarget& at(Slot slot) const { return *targets_[slot]; }
  size_t size() const { return targets_.size(); }

 private:
  Backend* pick(const topology::Target& target) const;

  std::vector<std::unique_ptr<Backend>> backends_;
  std::vector<std::unique_ptr<BoundTarget>> targets_;
};

std::unique_ptr<Backend> make_node_backend(const Ledger* ledger);
std::unique_ptr<Backend> make_emulated_backend(const Ledger* ledger);

}  // namespace hms::hbind
