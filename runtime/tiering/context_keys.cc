// See context_keys.h.
#include "runtime/tiering/context_keys.h"

#include <new>

namespace hms::tiering {

uint32_t ContextKeys::object_in_plan(uint32_t object) {
  if (object == kGeneratedCode) return kGeneratedCode;
  // kGeneratedCode + 1 is 0: objects that the plan has not are looked up each time, and are few.
  const uint32_t known = in_plan_[object].load(std::memory_order_relaxed);
  if (known != 0) return known - 1;
  const uint32_t found = plan_->object_index(objects_.at(object).id);
  in_plan_[object].store(found + 1, std::memory_order_relaxed);
  return found;
}

Lean ContextKeys::ask_plan(const StableKey& key) {
  StableKey wanted = key;
  for (size_t i = 0; i < wanted.count; ++i) {
    wanted.frames[i].object = object_in_plan(wanted.frames[i].object);
    if (wanted.frames[i].object == kGeneratedCode) wanted.frames[i].offset = 0;
  }
  const Lean lean = plan_->lean_of(wanted);
  asked_.fetch_add(1, std::memory_order_relaxed);
  if (lean != Lean::kUnknown) known_.fetch_add(1, std::memory_order_relaxed);
  return lean;
}

Lean ContextKeys::meet(ContextId id, const void* site, bool deep) {
  if (id >= ContextTable::kCapacity) return Lean::kUnknown;
  StableKey key;
  if (deep) {
    key = capture_key(site, &objects_);
  } else {
    key.count = 1;
    key.frames[0] = objects_.frame_of(site);
  }
  auto* kept = new (std::nothrow) StableKey(key);
  const StableKey* before = nullptr;
  if (!keys_[id].compare_exchange_strong(before, kept)) delete kept;
  return plan_ == nullptr ? Lean::kUnknown : ask_plan(key);
}

bool ContextKeys::key_of(ContextId id, StableKey* out) const {
  if (id >= ContextTable::kCapacity) return false;
  const StableKey* key = keys_[id].load(std::memory_order_acquire);
  if (key != nullptr) *out = *key;
  return key != nullptr;
}

}  // namespace hms::tiering
