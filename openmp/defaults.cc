// See defaults.h.
#include "openmp/defaults.h"

#include <stdlib.h>
#include <strings.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "openmp/allocators.h"
#include "openmp/fork.h"
#include "openmp/memory.h"
#include "runtime/support/log.h"

namespace hms::omp {
namespace {

// Stored for omp_default_mem_alloc where OMP_ALLOCATOR says something else. No object has it.
constexpr Handle kSetToDefault = (Handle{1} << 31) - 1;

constexpr const char* kNames[kPredefinedAllocators] = {
    "omp_null_allocator",   "omp_default_mem_alloc", "omp_large_cap_mem_alloc",
    "omp_const_mem_alloc",  "omp_high_bw_mem_alloc", "omp_low_lat_mem_alloc",
    "omp_cgroup_mem_alloc", "omp_pteam_mem_alloc",   "omp_thread_mem_alloc"};

std::string trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Result<std::vector<Trait>> read_traits(const std::string& text) {
  std::vector<Trait> traits;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string part = trim(text.substr(begin, comma - begin));
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      return Status(HMS_EINVAL, "'" + part + "' is not TRAIT=VALUE");
    }
    auto trait = trait_from_words(trim(part.substr(0, equals)), trim(part.substr(equals + 1)));
    if (!trait.ok()) return trait.status();
    traits.push_back(trait.value());
    begin = comma + 1;
  }
  return traits;
}

Result<Handle> make_from(const Space& space, const std::string& text) {
  auto list = read_traits(text);
  if (!list.ok()) return list.status();
  auto traits = parse_traits(list.value().data(), static_cast<int>(list.value().size()), 0);
  if (!traits.ok()) return traits.status();
  auto made = make_allocator(space, traits.value(), true);
  if (!made.ok()) return made.status();
  return made.value()->handle;
}

struct Environment {
  bool named = false;
  Handle handle = kDefaultAlloc;
};

Environment read_environment() {
  Environment e;
  const char* text = secure_getenv("OMP_ALLOCATOR");
  if (text == nullptr) return e;
  auto made = allocator_from_words(text);
  if (made.ok()) {
    e.named = true;
    e.handle = made.value();
  } else {
    log(LogLevel::kWarning, "OMP_ALLOCATOR='%s': %s; omp_default_mem_alloc is used", text,
        made.status().message().c_str());
  }
  return e;
}

const Environment& environment() {
  static std::atomic<const Environment*> known{nullptr};
  const Environment* e = known.load(std::memory_order_acquire);
  if (e != nullptr) return *e;
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  e = known.load(std::memory_order_acquire);
  if (e == nullptr) {
    e = new Environment(read_environment());
    known.store(e, std::memory_order_release);
  }
  return *e;
}

}  // namespace

Result<Handle> allocator_from_words(const std::string& text) {
  const std::string whole = trim(text);
  for (unsigned h = kDefaultAlloc; h < kPredefinedAllocators; ++h) {
    if (strcasecmp(whole.c_str(), kNames[h]) == 0) return Handle{h};
  }
  // Targets have colons in their names, so a space given by its specification ends where a trait
  // begins: at the last colon before the first '='.
  const size_t equals = whole.find('=');
  const size_t colon = equals == std::string::npos ? std::string::npos : whole.rfind(':', equals);
  if (equals != std::string::npos && colon == std::string::npos) {
    return Status(HMS_EINVAL,
                  "expected SPACE:TRAIT=VALUE,.. such as omp_high_bw_mem_space:pinned=true");
  }
  auto space = space_named(trim(whole.substr(0, colon)));
  if (!space.ok()) {
    return Status(HMS_EINVAL, "no allocator and no memory space of that name (" +
                                  space.status().message() + ")");
  }
  if (colon != std::string::npos) return make_from(*space.value(), whole.substr(colon + 1));
  if (space.value()->handle < kPredefinedSpaces) return space.value()->handle + kDefaultAlloc;
  auto made = make_allocator(*space.value(), Traits(), true);
  if (!made.ok()) return made.status();
  return made.value()->handle;
}

Handle environment_allocator() { return environment().handle; }
bool environment_names_allocator() { return environment().named; }

namespace {
std::atomic<bool> was_set{false};
}  // namespace

bool default_is_standing() { return !was_set.load(); }

Handle get_default(Flavour flavour) {
  const Handle stored = load_default(flavour);
  if (stored == kSetToDefault) return kDefaultAlloc;
  if (stored == kNullAllocator || stored == kDefaultAlloc) return environment_allocator();
  return stored;
}

void set_default(Flavour flavour, Handle h) {
  if (h != kNullAllocator && find_allocator(h) == nullptr) {
    complain("set default", "omp_set_default_allocator: " + std::to_string(h) +
                                " is no allocator; the default stays as it is");
    return;
  }
  if (h == kNullAllocator) h = kDefaultAlloc;
  const bool mark = h == kDefaultAlloc && environment_allocator() != kDefaultAlloc;
  // Set in one task is set in that task only: from now on the runtimes must be asked.
  if (!was_set.exchange(true)) forget_handle(kNullAllocator);
  store_default(flavour, mark ? kSetToDefault : h);
}

}  // namespace hms::omp
