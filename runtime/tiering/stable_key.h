// What names an allocating place in every run: not an address, which the kernel shuffles, but the
// object that the code is in, by its build id, and the offset there; and so for some of its
// callers. Such a key survives another layout of the address space, and a new build of any object
// but those whose code is in the key.
//
// Capturing walks the stack with a real unwinder (libgcc's, over the tables for exceptions): some
// hundred nanoseconds, so once for each new context and never on the hot path. No lock, no
// allocation, no system call but one for objects without a build id.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace hms::tiering {

inline constexpr size_t kKeyFrames = 4;         // the return address and its callers
inline constexpr size_t kMaxCodeObjects = 512;  // further ones count as generated code

// Generated code (a just-in-time compiler's) has no name that lasts.
inline constexpr uint32_t kGeneratedCode = UINT32_MAX;

struct KeyFrame {
  uint32_t object = kGeneratedCode;  // index into the objects of whoever made the key
  uint64_t offset = 0;               // 0 for generated code

  bool operator==(const KeyFrame& o) const { return object == o.object && offset == o.offset; }
  bool operator<(const KeyFrame& o) const {
    return object != o.object ? object < o.object : offset < o.offset;
  }
};

// The innermost frame first.
struct StableKey {
  size_t count = 0;
  KeyFrame frames[kKeyFrames];
};

// Return addresses from `site` outwards, `site` first, by the stack of the calling thread. At least
// `site` itself: alone where the stack cannot be walked, or not without a lock.
size_t walk_from(const void* site, const void** out, size_t capacity);

// An object as a profile names it.
struct CodeObject {
  std::string id;    // "build:HEX", or "file:NAME:SIZE" where there is no build id
  std::string path;  // where it was loaded from
};

// The objects that this process has met, in order. Entries stay for ever, and are added without a
// lock: several threads may, and a child of fork goes on with those that are complete.
class CodeObjects {
 public:
  // The object and offset of a return address.
  KeyFrame frame_of(const void* return_address);
  // 0 .. size() - 1. An object met by two threads at once may be there twice.
  size_t size() const;
  CodeObject at(size_t index) const;

 private:
  struct Entry {
    std::atomic<uint32_t> state;  // 0 free, 1 being written, 2 complete
    uint32_t id_bytes;            // 0: named by file
    uint8_t id[64];
    uint64_t file_bytes;
    char path[512];
  };
  // Constant-initialised: met before constructors run.
  Entry entries_[kMaxCodeObjects] = {};
};

// Key of an allocation whose entry point returns to `site`, by the stack of the calling thread.
StableKey capture_key(const void* site, CodeObjects* objects);

}  // namespace hms::tiering
