// The gate of the malloc door: what a request comes to for which its thread remembers nothing.
//
//   closed, at first    the library has not looked at the process yet
//   closed, for ever    rules route requests, tiering keeps them apart by where they come from, or
//                       another allocator serves this process
//   open                plain malloc: thread cache, then the default placement
//
// Each thread remembers the bin for a size class, open or closed, as long as nothing but the class
// decides (ThreadState::routed), and the class of each place (ThreadSites): hits do not come here.
#pragma once

#include <atomic>
#include <cstddef>

#include "allocator/allocator.h"
#include "allocator/tiering/hints.h"

namespace hms::entry {

extern std::atomic<bool> gate_closed;

// Where a request that found the gate closed goes.
enum class Door {
  kPlace,    // our allocator, on the placement found
  kEarly,    // a sanitizer is not set up yet: see early.h
  kForward,  // another allocator serves this process: ask `next`
};

struct Choice {
  Door door = Door::kPlace;
  alloc::PlacementId placement = alloc::kDefaultPlacement;
  bool by_site = false;  // found by where the request comes from: no rule claims it
};

// Starts the library if this is the moment, then routes. Inner requests (made by start-up or by
// routing itself) that come here get the default placement. `caller` is the return address of the
// entry point; a hint decides instead of it where tiering does.
Choice choose(size_t size, const void* caller, alloc::Hint hint = alloc::kNoHint);

// Once the classes are open: plain requests that no rule claims go to them from now on.
void follow_classes();

// True if another allocator serves this process.
bool forwarding();

// Marks this thread as being inside the library: its requests are inner ones until the end of the
// scope. Initial-exec TLS: usable before any constructor ran, and from a signal handler.
class InnerScope {
 public:
  InnerScope();
  ~InnerScope();
  InnerScope(const InnerScope&) = delete;
  InnerScope& operator=(const InnerScope&) = delete;
};

// Keeps errno as it was at the start of the scope: free and posix_memalign must not touch it.
class ErrnoKeeper {
 public:
  ErrnoKeeper();
  ~ErrnoKeeper();
  ErrnoKeeper(const ErrnoKeeper&) = delete;
  ErrnoKeeper& operator=(const ErrnoKeeper&) = delete;

 private:
  int saved_;
};

}  // namespace hms::entry
