// The back end of NUMA nodes: memory policy for pages to come, move_pages for pages that exist.
#include <algorithm>

#include "runtime/hbind/backend.h"
#include "runtime/hbind/node_pages.h"

namespace hms::hbind {
namespace {

class NodeBackend final : public Backend {
 public:
  explicit NodeBackend(const Ledger* ledger) : ledger_(ledger) {}

  uint32_t version() const override { return kBackendVersion; }
  const char* name() const override { return "node"; }
  bool charges() const override { return false; }

  bool serves(const topology::Target& target) const override {
    return target.node >= 0 && target.node < os::kMaxNodes && !target.emulated;
  }

  hms_status supports(Operation, const BoundTarget& target) const override {
    if (target.capabilities & HMS_CAP_NOT_CPU_ACCESSIBLE) return HMS_ENOSYS;
    os::NodeMask allowed;
    // Where even the question is forbidden, the operation itself will tell.
    if (os::allowed_nodes(&allowed) < 0) return HMS_OK;
    return allowed.test(target.node) ? HMS_OK : HMS_ENODEV;
  }

  uint64_t room(const BoundTarget& target, const RoomRequest& request) override {
    uint64_t free = node_room(target.node, request.strict);
    // Every page promised to the node needs room there, unless it exists already. Looking at each
    // costs time, so first see whether there is room even if none exists.
    uint64_t promised =
        ledger_->pages(target.slot) - ledger_->pages_within(request.range, target.slot);
    promised *= os::kPageSize;
    if (free < promised + request.wanted) promised = absent_promises(target.slot, request.range);
    return free > promised ? free - promised : 0;
  }

  hms_status bind(PageSpan span, const BoundTarget& target) override {
    os::NodeMask nodes;
    nodes.set(target.node);
    return status_of(prefer(span, nodes, false));
  }

  hms_status unbind(PageSpan span, const BoundTarget&) override {
    return status_of(clear_policy(span));
  }

  void held(const Batch& batch, const BoundTarget& target, bool* held) override {
    for (size_t i = 0; i < batch.count; ++i) held[i] = held[i] || batch.node[i] == target.node;
  }

  hms_status move(const Batch& batch, const BoundTarget& target, bool* done) override {
    return move_to_node(batch, target.node, done);
  }

 private:
  uint64_t absent_promises(Slot slot, PageSpan excluded) const {
    uint64_t pages = 0;
    auto count = [&](PageSpan piece, Slot s) {
      if (s == slot) pages += absent_pages(piece);
    };
    ledger_->map().for_each(PageSpan{0, excluded.begin}, count);
    ledger_->map().for_each(PageSpan{excluded.end, kEndOfPages}, count);
    return pages * os::kPageSize;
  }

  const Ledger* ledger_;
};

}  // namespace

std::unique_ptr<Backend> make_node_backend(const Ledger* ledger) {
  return std::make_unique<NodeBackend>(ledger);
}

}  // namespace hms::hbind
