// See fork.h.
#include "openmp/fork.h"

#include <pthread.h>

#include <new>

#include "openmp/allocators.h"
#include "openmp/blocks.h"

namespace hms::omp {
namespace {

// In static storage and never destroyed: runtimes call us after the destructors of the process.
alignas(std::recursive_mutex) char storage[sizeof(std::recursive_mutex)];

std::recursive_mutex* the_lock() { return reinterpret_cast<std::recursive_mutex*>(storage); }

// Handlers run in the reverse order of registration, and the allocator's were registered when the
// library was loaded: our locks, which are taken above its own, are also taken first here.
void before_fork() {
  the_lock()->lock();
  lock_blocks();
  lock_all_records();
}

void after_fork() {
  unlock_all_records();
  unlock_blocks();
  the_lock()->unlock();
}

// The owner recorded in the mutex is a thread of the parent.
void in_child() {
  unlock_all_records();
  unlock_blocks();
  new (storage) std::recursive_mutex;
}

}  // namespace

std::recursive_mutex& table_lock() {
  static const bool ready = [] {
    new (storage) std::recursive_mutex;
    pthread_atfork(before_fork, after_fork, in_child);
    return true;
  }();
  static_cast<void>(ready);
  return *the_lock();
}

}  // namespace hms::omp
