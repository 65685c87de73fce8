// A thread that gives idle memory back while the program does nothing, for those who ask for it
// (HMS_DECAY_THREAD=1). Else decay rides on the program's own calls, and a process that makes none
// keeps what it freed last.
//
// Nobody gets it unasked: a process with a second thread can no longer enter namespaces, ends only
// when that thread has ended too, and pays for atomic operations that libc and libstdc++ leave out
// for one thread. And it cannot be started when there is something to do, only at the start: a free
// may come from within pthread_create or the dynamic linker, whose locks starting a thread needs.
#pragma once

#include <atomic>
#include <cstdint>

namespace hms::alloc {

// In the constructor of the library.
void start_keeper();
// A child of fork has only the thread that called it.
void restart_keeper_in_child();

extern std::atomic<bool> keeper_asleep;
void wake_keeper();

// Memory has become idle.
inline void remind_keeper() {
  if (__builtin_expect(keeper_asleep.load(std::memory_order_relaxed), 0)) wake_keeper();
}

}  // namespace hms::alloc
