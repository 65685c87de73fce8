// Charging targets: see account.h.
#include "allocator/account.h"

#include <new>

#include "allocator/mutex.h"
#include "allocator/node_room.h"

namespace hms::alloc {
namespace {

// Slots are filled in order and never freed; `used` is published last, so readers need no lock.
Account accounts[kMaxAccounts];
std::atomic<size_t> used{0};
Mutex accounts_lock;

Account* find(const char* key) {
  size_t count = used.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    if (accounts[i].target().key == key) return &accounts[i];
  }
  return nullptr;
}

// "default" is made without a lock and without memory: the first malloc of the process needs it.
// (Eight characters fit into std::string itself.)
Account* make_default() {
  alignas(TargetRef) static char memory[sizeof(TargetRef)];
  auto* target = new (memory) TargetRef;
  target->key = "default";
  Account* account = &accounts[0];
  account->known.store(target, std::memory_order_release);
  account->counters = stats_target("default", -1, false);
  used.store(1, std::memory_order_release);
  return account;
}

void set_capacity(Account* account, uint64_t bytes) {
  account->capacity.store(bytes, std::memory_order_relaxed);
  account->counters->capacity.store(bytes, std::memory_order_relaxed);
}

// Under the lock.
Account* make(const TargetRef& target) {
  size_t index = used.load(std::memory_order_relaxed);
  if (index == kMaxAccounts) return nullptr;
  Account* account = &accounts[index];
  account->known.store(new TargetRef(target), std::memory_order_release);
  account->counters = stats_target(target.key.c_str(), target.node, target.emulated);
  set_capacity(account, target.capacity);
  used.store(index + 1, std::memory_order_release);
  return account;
}

void note_peak(Account* account, uint64_t now) {
  Counter& peak = account->counters->charged_peak;
  uint64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

uint64_t limit_of(const Account& account) {
  uint64_t quota = account.quota.load(std::memory_order_relaxed);
  uint64_t capacity = account.capacity.load(std::memory_order_relaxed);
  return quota < capacity ? quota : capacity;
}

Charge refuse(Account* account, uint64_t wanted) {
  bool quota = wanted > account->quota.load(std::memory_order_relaxed);
  Counter& counter = quota ? account->counters->refused_quota : account->counters->refused_full;
  counter.fetch_add(1, std::memory_order_relaxed);
  return quota ? Charge::kOverQuota : Charge::kNoRoom;
}

}  // namespace

Account* default_account() {
  return used.load(std::memory_order_acquire) == 0 ? make_default() : &accounts[0];
}

Account* account_at(size_t index) {
  return index < used.load(std::memory_order_acquire) ? &accounts[index] : nullptr;
}

Account* account_for(const TargetRef& target) {
  default_account();
  LockGuard guard(accounts_lock);
  Account* account = find(target.key.c_str());
  if (account == nullptr) return make(target);
  // A quota may have come before the target was known; a rescan may tell a new capacity.
  if (account->target().node < 0 && target.node >= 0) {
    account->superseded = &account->target();
    account->known.store(new TargetRef(target), std::memory_order_release);
    account->counters->node = target.node;
    account->counters->emulated = target.emulated ? 1 : 0;
  }
  set_capacity(account, target.capacity);
  return account;
}

Charge charge(Account* account, uint64_t bytes, bool guard_node) {
  uint64_t now = account->charged.load(std::memory_order_relaxed);
  do {
    uint64_t limit = limit_of(*account);
    if (now > limit || bytes > limit - now) return refuse(account, now + bytes);
  } while (!account->charged.compare_exchange_weak(now, now + bytes, std::memory_order_acq_rel));
  if (guard_node && !take_node_room(account->target().node, bytes)) {
    account->charged.fetch_sub(bytes, std::memory_order_relaxed);
    account->counters->refused_full.fetch_add(1, std::memory_order_relaxed);
    return Charge::kNoRoom;
  }
  account->counters->charged.fetch_add(bytes, std::memory_order_relaxed);
  note_peak(account, now + bytes);
  return Charge::kDone;
}

// What others see goes down before the room is free for the taking, so it never shows more than the
// limit.
void uncharge(Account* account, uint64_t bytes, bool guard_node) {
  account->counters->charged.fetch_sub(bytes, std::memory_order_relaxed);
  account->charged.fetch_sub(bytes, std::memory_order_release);
  if (guard_node) give_node_room(account->target().node, bytes);
  account->relief.fetch_add(1, std::memory_order_relaxed);
}

void set_account_quota(const char* key, uint64_t bytes) {
  default_account();
  LockGuard guard(accounts_lock);
  Account* account = find(key);
  if (account == nullptr) {
    TargetRef unknown;
    unknown.key = key;
    account = make(unknown);
  }
  if (account == nullptr) return;
  account->quota.store(bytes, std::memory_order_relaxed);
  account->relief.fetch_add(1, std::memory_order_relaxed);
  account->counters->quota.store(bytes, std::memory_order_relaxed);
}

void lock_accounts() { accounts_lock.lock(); }
void unlock_accounts() { accounts_lock.unlock(); }

void tell_charges_in_child() {
  for (size_t i = 0; Account* account = account_at(i); ++i) {
    const uint64_t charged = account->charged.load(std::memory_order_relaxed);
    account->counters->charged.store(charged, std::memory_order_relaxed);
    account->counters->charged_peak.store(charged, std::memory_order_relaxed);
  }
}

}  // namespace hms::alloc
