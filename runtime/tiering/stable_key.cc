// Walking the stack and naming code: see stable_key.h.
#include "runtime/tiering/stable_key.h"

#include <limits.h>
#include <string.h>
#include <unwind.h>

#include "runtime/support/loaded_object.h"
#include "runtime/support/os_files.h"
#include "runtime/support/os_tree.h"

namespace hms::tiering {
namespace {

// Frames of our own that may stand between the walk and the return address.
constexpr size_t kOwnFrames = 24;

// libgcc's unwinder finds its tables by _dl_find_object(), too, since 12; before by a call that
// takes the dynamic linker's lock.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
constexpr bool kUnwindsUnlocked = kFindsObjectsUnlocked;
#else
constexpr bool kUnwindsUnlocked = false;
#endif

struct Walk {
  const void* site;
  const void** out;
  size_t capacity;
  size_t skipped;
  size_t count;  // 0 until the site is met
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* argument) {
  auto* walk = static_cast<Walk*>(argument);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the unwinder tells addresses as numbers
  const auto* at = reinterpret_cast<const void*>(_Unwind_GetIP(context));
  if (walk->count == 0 && at != walk->site) {
    return ++walk->skipped < kOwnFrames ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
  walk->out[walk->count++] = at;
  return walk->count < walk->capacity ? _URC_NO_REASON : _URC_END_OF_STACK;
}

const char* file_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

// The program itself has an empty name in the list of objects.
void path_of(const LoadedObject& object, char* out, size_t capacity) {
  const char* name = object.map->l_name;
  out[0] = '\0';
  if (name == nullptr || name[0] == '\0') {
    os::executable_path(out, capacity);
  } else {
    const size_t bytes = strnlen(name, capacity - 1);
    memcpy(out, name, bytes);
    out[bytes] = '\0';
  }
}

}  // namespace

size_t walk_from(const void* site, const void** out, size_t capacity) {
  Walk walk = {site, out, capacity, 0, 0};
  if (kUnwindsUnlocked && capacity > 1) _Unwind_Backtrace(on_frame, &walk);
  if (walk.count == 0) {
    out[0] = site;
    walk.count = 1;
  }
  return walk.count;
}

KeyFrame CodeObjects::frame_of(const void* return_address) {
  if (return_address == nullptr) return {};
  // A return address may be the first byte after the function that called.
  const void* code = static_cast<const char*>(return_address) - 1;
  LoadedObject object;
  if (!find_loaded_object(code, &object)) return {};
  const BuildId build = build_id_of(object);
  char path[sizeof(Entry::path)];
  if (build.count == 0) path_of(object, path, sizeof path);
  for (uint32_t i = 0; i < kMaxCodeObjects; ++i) {
    Entry& entry = entries_[i];
    uint32_t state = entry.state.load(std::memory_order_acquire);
    if (state == 0 && entry.state.compare_exchange_strong(state, 1)) {
      entry.id_bytes = static_cast<uint32_t>(build.count);
      if (build.count > 0) memcpy(entry.id, build.bytes, build.count);
      path_of(object, entry.path, sizeof entry.path);
      const int64_t bytes = build.count == 0 ? os::file_size(entry.path) : 0;
      entry.file_bytes = bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
      entry.state.store(2, std::memory_order_release);
      state = 2;
    }
    const bool same = state == 2 && entry.id_bytes == build.count &&
                      (build.count > 0 ? memcmp(entry.id, build.bytes, build.count) == 0
                                       : strcmp(entry.path, path) == 0);
    if (same) return {i, object.offset_of(return_address)};
  }
  return {};
}

size_t CodeObjects::size() const {
  size_t count = kMaxCodeObjects;
  while (count > 0 && entries_[count - 1].state.load(std::memory_order_acquire) != 2) --count;
  return count;
}

CodeObject CodeObjects::at(size_t index) const {
  const Entry& entry = entries_[index];
  CodeObject out;
  if (entry.state.load(std::memory_order_acquire) != 2) return out;
  out.path = entry.path;
  if (entry.id_bytes == 0) {
    out.id = "file:" + std::string(file_name(entry.path)) + ":" + std::to_string(entry.file_bytes);
    return out;
  }
  static const char kHex[] = "0123456789abcdef";
  out.id = "build:";
  for (uint32_t i = 0; i < entry.id_bytes; ++i) {
    out.id += kHex[entry.id[i] >> 4];
    out.id += kHex[entry.id[i] & 15];
  }
  return out;
}

StableKey capture_key(const void* site, CodeObjects* objects) {
  const void* addresses[kKeyFrames];
  StableKey key;
  key.count = walk_from(site, addresses, kKeyFrames);
  for (size_t i = 0; i < key.count; ++i) key.frames[i] = objects->frame_of(addresses[i]);
  return key;
}

}  // namespace hms::tiering
