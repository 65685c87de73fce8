// Checking trait arrays and reading traits in words: see traits.h.
#include "openmp/traits.h"

#include <strings.h>

#include <cerrno>
#include <cstdlib>
#include <iterator>

#include "allocator/allocator.h"

namespace hms::omp {
namespace {

struct Word {
  const char* word;
  uintptr_t number;
};

constexpr Word kKeys[] = {
    {"sync_hint", kSyncHint},
    {"alignment", kAlignment},
    {"access", kAccess},
    {"pool_size", kPoolSize},
    {"fallback", kFallback},
    {"fb_data", kFbData},
    {"pinned", kPinned},
    {"partition", kPartition},
    {"pin_device", kPinDevice},
    {"preferred_device", kPreferredDevice},
    {"device_access", kDeviceAccess},
    {"target_access", kTargetAccess},
    {"atomic_scope", kAtomicScope},
    {"part_size", kPartSize},
    {"partitioner", kPartitioner},
    {"partitioner_arg", kPartitionerArg},
};

constexpr Word kSyncHints[] = {{"contended", kContended},
                               {"uncontended", kUncontended},
                               {"serialized", kSerialized},
                               {"sequential", kSerialized},
                               {"private", kPrivate}};
constexpr Word kAccesses[] = {
    {"all", kAll},       {"all", kAllOrDevice}, {"device", kAllOrDevice}, {"memspace", kMemspace},
    {"cgroup", kCgroup}, {"pteam", kPteam},     {"thread", kThread}};
constexpr Word kFallbacks[] = {{"default_mem_fb", kDefaultMemFb},
                               {"null_fb", kNullFb},
                               {"abort_fb", kAbortFb},
                               {"allocator_fb", kAllocatorFb}};
constexpr Word kBooleans[] = {{"true", kTrue}, {"false", kFalse}, {"1", kTrue}, {"0", kFalse}};
constexpr Word kPartitions[] = {{"environment", kEnvironment},
                                {"nearest", kNearest},
                                {"blocked", kBlocked},
                                {"interleaved", kInterleaved},
                                {"partitioner", kByPartitioner}};
constexpr Word kTargetAccesses[] = {{"single", kSingle}, {"multiple", kMultiple}};
constexpr Word kAtomicScopes[] = {{"all", kAll}, {"device", kAllOrDevice}, {"all", kAllOrDevice}};
constexpr Word kAllocatorNames[] = {
    {"omp_default_mem_alloc", kDefaultAlloc}, {"omp_large_cap_mem_alloc", kLargeCapAlloc},
    {"omp_const_mem_alloc", kConstAlloc},     {"omp_high_bw_mem_alloc", kHighBwAlloc},
    {"omp_low_lat_mem_alloc", kLowLatAlloc},  {"omp_cgroup_mem_alloc", kCgroupAlloc},
    {"omp_pteam_mem_alloc", kPteamAlloc},     {"omp_thread_mem_alloc", kThreadAlloc},
};

// The words that a trait takes, or none if its values are numbers.
struct Words {
  const Word* begin = nullptr;
  const Word* end = nullptr;
};

template <size_t n>
Words words(const Word (&table)[n]) {
  return {table, table + n};
}

Words words_of(int key) {
  switch (key) {
    case kSyncHint:
      return words(kSyncHints);
    case kAccess:
      return words(kAccesses);
    case kFallback:
      return words(kFallbacks);
    case kFbData:
      return words(kAllocatorNames);
    case kPinned:
      return words(kBooleans);
    case kPartition:
      return words(kPartitions);
    case kTargetAccess:
      return words(kTargetAccesses);
    case kAtomicScope:
      return words(kAtomicScopes);
    default:
      return {};
  }
}

std::string name_of(int key) {
  for (const Word& k : kKeys) {
    if (k.number == static_cast<uintptr_t>(key)) return k.word;
  }
  return "number " + std::to_string(key);
}

// "a, b or c", each word once.
std::string list_words(const Words& words) {
  std::string list;
  std::string last;
  for (const Word* w = words.begin; w != words.end; ++w) {
    if (last == w->word) continue;
    list += (list.empty() ? "" : ", ") + std::string(w->word);
    last = w->word;
  }
  return list;
}

Status bad(int key, const std::string& why) {
  return {HMS_EINVAL, "allocator trait " + name_of(key) + ": " + why};
}

Status bad_value(const Trait& t, const std::string& expected) {
  return bad(t.key, "value " + std::to_string(t.value) + " is not " + expected);
}

bool power_of_two(uintptr_t v) { return v != 0 && (v & (v - 1)) == 0; }

// One trait at a time goes into the set; values of word traits were checked against their table.
class Checker {
 public:
  explicit Checker(int host_device) : host_device_(host_device) {}

  Status take(const Trait& t) {
    if (t.key < kSyncHint || t.key > kLastKey) {
      return bad(t.key, "no such trait; OpenMP 6.0 has the numbers 1 to 16");
    }
    if ((seen_ >> t.key & 1) != 0) return bad(t.key, "given twice");
    seen_ |= 1U << t.key;
    if (t.value == kDefaultValue && t.key != kPartitionerArg) return {};
    Words allowed = words_of(t.key);
    // Handles of the program's own are no words; they are looked up when the allocator is made.
    if (allowed.begin != nullptr && t.key != kFbData && !known(allowed, t.value)) {
      return bad_value(t, "one of " + list_words(allowed));
    }
    return set(t);
  }

  Result<Traits> finish() {
    if (set_.fallback == Fallback::kAllocator && set_.fb_data == kNullAllocator) {
      return bad(kFallback, "allocator_fb needs the trait fb_data, the allocator to turn to");
    }
    if (set_.partition == Partition::kPartitioner && set_.partitioner == 0) {
      return bad(kPartition, "the value partitioner needs the trait partitioner");
    }
    return set_;
  }

 private:
  static bool known(const Words& words, uintptr_t value) {
    for (const Word* w = words.begin; w != words.end; ++w) {
      if (w->number == value) return true;
    }
    return false;
  }

  Status set(const Trait& t) {
    switch (t.key) {
      case kSyncHint:
        set_.contended = t.value == kContended;
        return {};
      case kAlignment:
        if (!power_of_two(t.value)) return bad_value(t, "a power of two");
        if (t.value > alloc::kMaxAlignment) return bad_value(t, "at most 1 GiB");
        set_.alignment = t.value;
        return {};
      case kAccess:
        set_.access = t.value == kThread   ? Access::kThread
                      : t.value == kPteam  ? Access::kPteam
                      : t.value == kCgroup ? Access::kCgroup
                                           : Access::kAll;
        return {};
      case kPoolSize:
        set_.pool_size = t.value;
        return {};
      case kFallback:
        set_.fallback = static_cast<Fallback>(t.value - kDefaultMemFb);
        return {};
      case kFbData:
        set_.fb_data = t.value;
        return {};
      case kPinned:
        set_.pinned = t.value == kTrue;
        return {};
      case kPartition:
        set_.partition = static_cast<Partition>(
            t.value == kByPartitioner ? static_cast<uintptr_t>(Partition::kPartitioner)
                                      : t.value - kEnvironment);
        return {};
      default:
        return set_new(t);
    }
  }

  // The traits of OpenMP 6.0. Those about several devices hold on a host by themselves: one device
  // uses the memory (target_access), and its atomics span all devices there are (atomic_scope).
  Status set_new(const Trait& t) {
    switch (t.key) {
      case kPinDevice:
      case kPreferredDevice: {
        auto device = static_cast<intptr_t>(t.value);
        if (device == host_device_ || device == -1) return {};
        return bad_value(t, "the number of the host device, " + std::to_string(host_device_) +
                                ": there is no other device with memory here");
      }
      case kPartSize:
        if (t.value == 0 || t.value > PTRDIFF_MAX) return bad_value(t, "a positive size");
        set_.part_size = t.value;
        return {};
      case kPartitioner:
        set_.partitioner = t.value;
        return {};
      case kPartitionerArg:
        set_.partitioner_arg = t.value;
        return {};
      default:
        return {};
    }
  }

  int host_device_;
  unsigned seen_ = 0;
  Traits set_;
};

static_assert(static_cast<int>(Fallback::kAllocator) == kAllocatorFb - kDefaultMemFb);
static_assert(static_cast<int>(Partition::kInterleaved) == kInterleaved - kEnvironment);

}  // namespace

Result<Traits> parse_traits(const Trait* traits, int count, int host_device) {
  if (count < 0) {
    return Status(HMS_EINVAL, "the number of traits is " + std::to_string(count));
  }
  if (count > 0 && traits == nullptr) {
    return Status(HMS_EINVAL, std::to_string(count) + " traits announced, but no array given");
  }
  Checker checker(host_device);
  for (int i = 0; i < count; ++i) {
    if (Status s = checker.take(traits[i]); !s.ok()) return s;
  }
  return checker.finish();
}

Result<Trait> trait_from_words(const std::string& key, const std::string& value) {
  Trait trait = {0, 0};
  for (const Word& k : kKeys) {
    if (strcasecmp(k.word, key.c_str()) == 0) trait.key = static_cast<int>(k.number);
  }
  if (trait.key == 0) {
    return Status(HMS_EINVAL, "'" + key + "' is no allocator trait; expected one of " +
                                  list_words(words(kKeys)));
  }
  if (strcasecmp(value.c_str(), "default") == 0) {
    trait.value = kDefaultValue;
    return trait;
  }
  Words allowed = words_of(trait.key);
  for (const Word* w = allowed.begin; w != allowed.end; ++w) {
    if (strcasecmp(w->word, value.c_str()) != 0) continue;
    trait.value = w->number;
    return trait;
  }
  if (allowed.begin != nullptr) {
    return bad(trait.key, "'" + value + "' is not one of " + list_words(allowed));
  }
  char* end = nullptr;
  errno = 0;
  trait.value = strtoull(value.c_str(), &end, 10);
  bool digits = !value.empty() && value[0] >= '0' && value[0] <= '9' && *end == 0;
  if (!digits || errno == ERANGE) return bad(trait.key, "'" + value + "' is not a whole number");
  return trait;
}

}  // namespace hms::omp
