// Threads of libhms in somebody's process: started when the library has been loaded, detached, and
// with all signals blocked, so that those stay with the program's threads. A child of fork has only
// the thread that called it, and starts them anew.
#pragma once

#include <semaphore.h>

#include <atomic>

namespace hms::alloc {

// 0, or an error number. Takes the dynamic linker's lock, so: in a constructor, or in the child of
// a fork.
int start_detached(const char* name, void* (*body)(void*), void* argument);

// A thread that does something now and then, until the process ends. It is no reason for the
// process to go on: when all other threads have ended, it ends too.
class Service {
 public:
  // Returns when ending() says so, or when there is nothing left to do. What it throws ends the
  // thread, with one message.
  using Body = void (*)(Service&);

  // name: of the thread, at most 15 characters; stays.
  int start(const char* name, Body body);
  // In a child of fork: again, if it ran in the parent. 0 or an error number.
  int restart_in_child();
  // The process ends: the body returns, after what it does just now. Waits for it, but no longer
  // than that: a thread that was interrupted by the signal in whose handler the process ends may
  // hold what the body needs.
  void finish(double seconds);

  // For the body.
  bool in_child() const { return child_; }
  bool ending() const { return ending_.load(std::memory_order_acquire); }
  // Less, if the process ends meanwhile.
  void sleep(double seconds);

 private:
  static void* run(void* self);
  int launch();
  void look_for_others();

  const char* name_ = nullptr;
  Body body_ = nullptr;
  sem_t reminder_{};
  std::atomic<bool> started_{false};
  std::atomic<bool> ending_{false};
  std::atomic<bool> done_{false};
  bool child_ = false;
  double looked_at_ = 0;  // for other threads
};

// On a clock that never goes back.
double seconds_now();

}  // namespace hms::alloc
