// The back end of emulated targets: several logical memories with capacities of their own, laid
// over real nodes. The ledger says which page is charged to which; the kernel only sees the node
// underneath, so the pages of two logical targets over one node differ in nothing but accounting.
#include <algorithm>

#include "runtime/hbind/backend.h"
#include "runtime/hbind/node_pages.h"

namespace hms::hbind {
namespace {

class EmulatedBackend final : public Backend {
 public:
  explicit EmulatedBackend(const Ledger* ledger) : ledger_(ledger) {}

  uint32_t version() const override { return kBackendVersion; }
  const char* name() const override { return "emulated"; }
  bool charges() const override { return true; }

  bool serves(const topology::Target& target) const override { return target.emulated; }

  hms_status supports(Operation, const BoundTarget& target) const override {
    // An emulated device memory shall show what a real one would: CPU ranges do not go there.
    if (target.capabilities & HMS_CAP_NOT_CPU_ACCESSIBLE) return HMS_ENOSYS;
    os::NodeMask allowed;
    if (target.node < 0 || os::allowed_nodes(&allowed) < 0) return HMS_OK;
    return target.node < os::kMaxNodes && allowed.test(target.node) ? HMS_OK : HMS_ENODEV;
  }

  uint64_t room(const BoundTarget& target, const RoomRequest& request) override {
    uint64_t capacity = target.bytes / os::kPageSize;
    uint64_t charged = ledger_->pages(target.slot) - request.released;
    return capacity > charged ? (capacity - charged) * os::kPageSize : 0;
  }

  hms_status bind(PageSpan span, const BoundTarget& target) override {
    if (target.node < 0) return status_of(clear_policy(span));
    os::NodeMask nodes;
    nodes.set(target.node);
    return status_of(prefer(span, nodes, false));
  }

  hms_status unbind(PageSpan span, const BoundTarget&) override {
    return status_of(clear_policy(span));
  }

  void held(const Batch& batch, const BoundTarget& target, bool* held) override {
    for (size_t i = 0; i < batch.count; ++i) {
      if (batch.node[i] >= 0 && ledger_->at(batch.pages[i]) == target.slot) held[i] = true;
    }
  }

  hms_status move(const Batch& batch, const BoundTarget& target, bool* done) override {
    size_t fits = std::min<uint64_t>(batch.count, room(target, RoomRequest{}) / os::kPageSize);
    // Only pages on another node have to move; for the others the charge is all there is.
    Batch part;
    size_t index[kBatchPages];
    for (size_t i = 0; i < fits; ++i) {
      if (target.node < 0 || batch.node[i] == target.node) {
        done[i] = true;
        continue;
      }
      index[part.count] = i;
      part.pages[part.count++] = batch.pages[i];
    }
    hms_status status = HMS_OK;
    if (part.count > 0) {
      bool moved[kBatchPages] = {};
      status = move_to_node(part, target.node, moved);
      for (size_t i = 0; i < part.count; ++i) done[index[i]] = done[index[i]] || moved[i];
    }
    return status == HMS_OK && fits < batch.count ? HMS_ENOMEM : status;
  }

 private:
  const Ledger* ledger_;
};

}  // namespace

std::unique_ptr<Backend> make_emulated_backend(const Ledger* ledger) {
  return std::make_unique<EmulatedBackend>(ledger);
}

}  // namespace hms::hbind
