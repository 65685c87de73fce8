// The keys of this process's contexts, taken when each is met for the first time, and what a
// profile says about them. Any thread may meet a context; nothing here takes a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/tiering/context_table.h"
#include "runtime/tiering/profile_plan.h"
#include "runtime/tiering/stable_key.h"

namespace hms::tiering {

class ContextKeys {
 public:
  // Before the first context is met; the plan stays. Without one every context is kUnknown.
  void follow(const ProfilePlan* plan) { plan_ = plan; }

  // A context that stands for a return address at any depth of stack is that address alone; one
  // that was told apart by its depth has its callers in the key as well: they are on the stack of
  // the calling thread.
  Lean meet(ContextId id, const void* site, bool deep);

  // False: the context was not met, or is just being met.
  bool key_of(ContextId id, StableKey* out) const;
  const CodeObjects& objects() const { return objects_; }
  CodeObjects& objects() { return objects_; }

  // Contexts that a plan was asked about, and those that it knew.
  uint32_t asked() const { return asked_.load(std::memory_order_relaxed); }
  uint32_t known() const { return known_.load(std::memory_order_relaxed); }

 private:
  Lean ask_plan(const StableKey& key);
  uint32_t object_in_plan(uint32_t object);

  const ProfilePlan* plan_ = nullptr;
  std::atomic<uint32_t> asked_{0}, known_{0};
  std::atomic<uint32_t> in_plan_[kMaxCodeObjects] = {};  // index in the plan + 1; 0: not looked up
  CodeObjects objects_;
  std::atomic<const StableKey*> keys_[ContextTable::kCapacity] = {};  // for ever
};

}  // namespace hms::tiering
