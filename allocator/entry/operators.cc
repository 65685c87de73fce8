// Every replaceable C++17 allocation and deallocation function, [new.delete], and those that take
// a hint of heat.
//
// [new.delete.single]: a throwing form calls the new-handler until it succeeds or throws; a nothrow
// form returns null where the throwing one would throw.
//
// The forms with a hint are an extension of tcmalloc (new_extension.h), which takes a value from 0,
// coldest, to 255, hottest, 128 in want of a hint. Clang calls them instead of the plain ones where
// a heap profile (-fmemory-profile-use) says so and -mllvm -optimize-hot-cold-new allows it. By
// default it passes 1 for cold, 254 for hot, 128 for neither and 222 for what is both (LLVM,
// SimplifyLibCalls.cpp; the names of the symbols: TargetLibraryInfo.def). What they return is
// released by the plain operator delete.
#include <new>

#include "allocator/entry/host_cxx.h"
#include "allocator/entry/request.h"

// NOLINTNEXTLINE(bugprone-reserved-identifier): its name is part of the symbols
enum class __hot_cold_t : uint8_t {};

namespace {

namespace alloc = hms::alloc;
using hms::entry::allocate;
using hms::entry::release;

// An alignment of 0 stands for a form without one.
void* request(size_t size, size_t alignment, const void* caller) {
  return alignment == 0 ? allocate(size, caller)
                        : hms::entry::allocate_aligned(alignment, size, caller);
}

// Bounds of this library, from the linker.
extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" const char _end[] __attribute__((visibility("hidden")));

bool is_our_code(const void* caller) {
  const auto* at = static_cast<const char*>(caller);
  return at >= __ehdr_start && at < _end;
}

// The new-handler loop, after the first failure. Our own code catches what our own runtime throws;
// the host's would be a stranger to it, if there is one at all. Not to be called under anything
// that needs unwinding: exceptions of the host's runtime pass through.
__attribute__((noinline, cold)) void* retry_or_throw(size_t size, size_t alignment,
                                                     const void* caller) {
  if (is_our_code(caller)) throw std::bad_alloc();
  for (;;) {
    std::new_handler handler = hms::entry::host_new_handler();
    if (handler == nullptr) {
      hms::entry::throw_host_bad_alloc();
      return nullptr;
    }
    handler();
    void* block = request(size, alignment, caller);
    if (block != nullptr) return block;
  }
}

// As above for the nothrow forms: only a new-handler can make a second attempt succeed, and only
// the host's runtime can catch what it throws.
__attribute__((noinline, cold)) void* retry_or_null(size_t size, size_t alignment) {
  if (hms::entry::host_new_handler() == nullptr) return nullptr;
  if (alignment == 0) {
    hms::entry::NothrowNew retry = hms::entry::host_nothrow_new();
    return retry != nullptr ? retry(size, std::nothrow) : nullptr;
  }
  hms::entry::AlignedNothrowNew retry = hms::entry::host_aligned_nothrow_new();
  return retry != nullptr ? retry(size, std::align_val_t{alignment}, std::nothrow) : nullptr;
}

__attribute__((noinline)) void* new_missed(size_t size, size_t alignment, const void* caller) {
  void* block = alignment == 0 ? hms::entry::allocate_slow(size, caller)
                               : hms::entry::allocate_aligned_slow(alignment, size, caller);
  return __builtin_expect(block != nullptr, 1) ? block : retry_or_throw(size, alignment, caller);
}

__attribute__((noinline)) void* new_routed(size_t size, const void* caller, unsigned size_class) {
  return hms::entry::allocate_routed_or(size, size_class, caller,
                                        [=] { return new_missed(size, 0, caller); });
}

// What can fail is called last, so that a hit needs no stack frame.
inline void* new_or_throw(size_t size, const void* caller) {
  return hms::entry::allocate_or(
      size, [=](unsigned size_class) { return new_routed(size, caller, size_class); },
      [=] { return new_missed(size, 0, caller); });
}

inline void* new_or_throw(size_t size, std::align_val_t alignment, const void* caller) {
  const auto value = static_cast<size_t>(alignment);
  return hms::entry::allocate_aligned_or(value, size,
                                         [=] { return new_missed(size, value, caller); });
}

inline void* new_or_null(size_t size, size_t alignment, const void* caller) {
  void* block = request(size, alignment, caller);
  return __builtin_expect(block != nullptr, 1) ? block : retry_or_null(size, alignment);
}

// The outer eighths of the scale are hints: what compilers pass for "both" must not be one.
constexpr unsigned kCold = 32, kHot = 224;

inline alloc::Hint hint_of(__hot_cold_t heat) {
  const auto value = static_cast<unsigned>(heat);
  if (value >= kCold && value < kHot) return alloc::kNoHint;
  return alloc::hint_of(value < kCold ? alloc::Heat::kCold : alloc::Heat::kHot,
                        alloc::Life::kUnknown);
}

inline void* hinted_or_null(size_t size, size_t alignment, __hot_cold_t heat, const void* caller) {
  void* block = hms::entry::allocate_hinted(alignment, size, hint_of(heat), caller);
  return __builtin_expect(block != nullptr, 1) ? block : new_or_null(size, alignment, caller);
}

inline void* hinted_or_throw(size_t size, __hot_cold_t heat, const void* caller) {
  void* block = hms::entry::allocate_hinted(0, size, hint_of(heat), caller);
  return __builtin_expect(block != nullptr, 1) ? block : new_or_throw(size, caller);
}

inline void* hinted_or_throw(size_t size, std::align_val_t alignment, __hot_cold_t heat,
                             const void* caller) {
  const auto value = static_cast<size_t>(alignment);
  void* block = hms::entry::allocate_hinted(value, size, hint_of(heat), caller);
  return __builtin_expect(block != nullptr, 1) ? block : new_or_throw(size, alignment, caller);
}

inline size_t number(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

}  // namespace

#define HMS_CALLER __builtin_return_address(0)

void* operator new(size_t size) { return new_or_throw(size, HMS_CALLER); }
void* operator new[](size_t size) { return new_or_throw(size, HMS_CALLER); }
void* operator new(size_t size, std::align_val_t alignment) {
  return new_or_throw(size, alignment, HMS_CALLER);
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return new_or_throw(size, alignment, HMS_CALLER);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return new_or_null(size, 0, HMS_CALLER);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return new_or_null(size, 0, HMS_CALLER);
}
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return new_or_null(size, number(alignment), HMS_CALLER);
}
void* operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return new_or_null(size, number(alignment), HMS_CALLER);
}

// No header declares these, so nothing else makes them visible.
#define HMS_HINTED_NEW __attribute__((visibility("default"))) void*

HMS_HINTED_NEW operator new(size_t size, __hot_cold_t heat) {
  return hinted_or_throw(size, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new[](size_t size, __hot_cold_t heat) {
  return hinted_or_throw(size, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new(size_t size, std::align_val_t alignment, __hot_cold_t heat) {
  return hinted_or_throw(size, alignment, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new[](size_t size, std::align_val_t alignment, __hot_cold_t heat) {
  return hinted_or_throw(size, alignment, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new(size_t size, const std::nothrow_t&, __hot_cold_t heat) noexcept {
  return hinted_or_null(size, 0, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new[](size_t size, const std::nothrow_t&, __hot_cold_t heat) noexcept {
  return hinted_or_null(size, 0, heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&,
                            __hot_cold_t heat) noexcept {
  return hinted_or_null(size, number(alignment), heat, HMS_CALLER);
}
HMS_HINTED_NEW operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&,
                              __hot_cold_t heat) noexcept {
  return hinted_or_null(size, number(alignment), heat, HMS_CALLER);
}

void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, size_t) noexcept { release(block); }
void operator delete[](void* block, size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}
