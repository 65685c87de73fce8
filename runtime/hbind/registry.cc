// Which back end serves which target.
#include <utility>

#include "runtime/hbind/backend.h"

namespace hms::hbind {

bool Registry::add(std::unique_ptr<Backend> backend) {
  if (backend->version() != kBackendVersion) return false;
  backends_.push_back(std::move(backend));
  return true;
}

Backend* Registry::pick(const topology::Target& target) const {
  for (auto it = backends_.rbegin(); it != backends_.rend(); ++it) {
    if ((*it)->serves(target)) return it->get();
  }
  return nullptr;
}

const BoundTarget* Registry::intern(const topology::Target& target) {
  BoundTarget* found = nullptr;
  for (auto& known : targets_) {
    if (known->key == target.key && known->node == target.node &&
        known->emulated == target.emulated) {
      found = known.get();
    }
  }
  if (!found) {
    if (targets_.size() >= kNoSlot) return nullptr;
    targets_.push_back(std::make_unique<BoundTarget>());
    found = targets_.back().get();
    found->slot = static_cast<Slot>(targets_.size() - 1);
    found->key = target.key;
    found->node = target.node;
    found->emulated = target.emulated;
  }
  found->bytes = target.bytes;
  found->capabilities = target.capabilities;
  found->backend = pick(target);
  return found;
}

}  // namespace hms::hbind
