// The numbers of the OpenMP memory management ABI, as the headers of both runtimes have them.
//
// Sources: OpenMP 5.2 section 6 and 6.0 chapter 8 (names, defaults), the omp.h of libgomp 12 and of
// libomp 14 to 21 (values). Where headers differ, every value that occurs is understood: the same
// number never means two things that matter on a host.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::omp {

using Handle = uintptr_t;  // omp_allocator_handle_t and omp_memspace_handle_t are this wide

// omp_alloctrait_t: the same layout in C, C++ and both Fortran modules.
struct Trait {
  int key;
  uintptr_t value;
};
static_assert(sizeof(Trait) == 16 && offsetof(Trait, value) == 8);

// Blocks have at least this alignment: alignof(max_align_t). 6.0 asks for it, libgomp has it.
inline constexpr size_t kMallocAlignment = 16;

// Memory spaces. libomp 21 gave 0 to omp_null_mem_space, which stands for the default space, too.
inline constexpr Handle kDefaultSpace = 0;
inline constexpr Handle kLargeCapSpace = 1;
inline constexpr Handle kConstSpace = 2;
inline constexpr Handle kHighBwSpace = 3;
inline constexpr Handle kLowLatSpace = 4;
inline constexpr unsigned kPredefinedSpaces = 5;
inline constexpr Handle kDefaultSpaceOfLlvm21 = 99;
inline constexpr Handle kNullSpace = 0;  // result of the 6.0 routines that find no space

// Allocators.
inline constexpr Handle kNullAllocator = 0;
inline constexpr Handle kDefaultAlloc = 1;
inline constexpr Handle kLargeCapAlloc = 2;
inline constexpr Handle kConstAlloc = 3;
inline constexpr Handle kHighBwAlloc = 4;
inline constexpr Handle kLowLatAlloc = 5;
inline constexpr Handle kCgroupAlloc = 6;
inline constexpr Handle kPteamAlloc = 7;
inline constexpr Handle kThreadAlloc = 8;
inline constexpr unsigned kPredefinedAllocators = 9;  // with the null allocator
// GCC 15: ompx_gnu_pinned_mem_alloc. Default space, pinned, null_fb.
inline constexpr Handle kGnuPinnedAlloc = 200;
// Both runtimes take larger handles for their own objects; below are names they predefine.
inline constexpr Handle kMaxPredefinedHandle = 1024;

enum Key : int {
  kSyncHint = 1,
  kAlignment = 2,
  kAccess = 3,
  kPoolSize = 4,
  kFallback = 5,
  kFbData = 6,
  kPinned = 7,
  kPartition = 8,
  kPinDevice = 9,
  kPreferredDevice = 10,
  kDeviceAccess = 11,  // reserved: a number without a meaning in 6.0
  kTargetAccess = 12,
  kAtomicScope = 13,
  kPartSize = 14,
  kPartitioner = 15,
  kPartitionerArg = 16,
  kLastKey = kPartitionerArg
};

enum Value : uintptr_t {
  kFalse = 0,
  kTrue = 1,
  kContended = 3,
  kUncontended = 4,
  kSerialized = 5,
  kPrivate = 6,
  kAllOrDevice = 7,  // `all` up to 5.2, `device` since 6.0: the same set of threads on a host
  kThread = 8,
  kPteam = 9,
  kCgroup = 10,
  kDefaultMemFb = 11,
  kNullFb = 12,
  kAbortFb = 13,
  kAllocatorFb = 14,
  kEnvironment = 15,
  kNearest = 16,
  kBlocked = 17,
  kInterleaved = 18,
  kAll = 19,
  kSingle = 20,
  kMultiple = 21,
  kMemspace = 22,
  kByPartitioner = 23,
  kDefaultValue = UINTPTR_MAX  // omp_atv_default: the default of that trait
};

}  // namespace hms::omp
