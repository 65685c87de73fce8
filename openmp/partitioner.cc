// See partitioner.h.
#include "openmp/partitioner.h"

#include <string.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <tuple>

#include "openmp/fork.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::omp {

struct Mempartition {
  bool initialized = false;
  size_t resources = 0;  // of the space that it is for
  const void* user_data = nullptr;
  std::vector<Part> parts;
  std::vector<bool> given;
};

namespace {

// Which answers may be used again: same space and size, and with kAllocator same allocator.
using AnswerKey =
    std::tuple<Handle, Handle, size_t, uintptr_t>;  // allocator, space, size, argument

struct Partitioner {
  Lifetime lifetime;
  ComputeParts compute;
  ReleaseParts release;
  std::map<AnswerKey, Mempartition*> answers;
};

struct Tables {
  std::map<uintptr_t, std::shared_ptr<Partitioner>> partitioners;
  std::set<const Mempartition*> partitions;
};
Tables& tables() {
  static auto* const all = new Tables;
  return *all;
}

std::shared_ptr<Partitioner> find(uintptr_t object) {
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  auto at = tables().partitioners.find(object);
  return at == tables().partitioners.end() ? nullptr : at->second;
}

bool live(const Mempartition* p) {
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  return tables().partitions.count(p) != 0;
}

// The release procedure sees each partition once. Called without a lock: it is the program's.
void release(const Partitioner& by, Mempartition* p) {
  if (by.release != nullptr) by.release(p);
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  tables().partitions.erase(p);
  delete p;
}

// Sizes must add up to the request; all parts but the last are whole pages.
bool fits(const Mempartition& p, size_t size) {
  size_t sum = 0;
  for (size_t i = 0; i < p.parts.size(); ++i) {
    if (!p.given[i] || p.parts[i].bytes > size - sum) return false;
    if (i + 1 < p.parts.size() && p.parts[i].bytes % os::kPageSize != 0) return false;
    sum += p.parts[i].bytes;
  }
  return p.initialized && sum == size;
}

std::vector<Part> nonempty(const std::vector<Part>& parts) {
  std::vector<Part> some;
  for (const Part& part : parts) {
    if (part.bytes > 0) some.push_back(part);
  }
  return some;
}

Mempartition* compute(const Partitioner& by, const Space& space, size_t size, uintptr_t argument) {
  auto* p = new Mempartition;
  p->resources = space.resources.size();
  {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    tables().partitions.insert(p);
  }
  by.compute(space.handle, size, argument, p);
  return p;
}

}  // namespace

bool init_partitioner(void* object, int lifetime, ComputeParts compute, ReleaseParts release) {
  if (object == nullptr || compute == nullptr || lifetime < 1 || lifetime > 3) return false;
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  auto made = std::make_shared<Partitioner>();
  made->lifetime = static_cast<Lifetime>(lifetime);
  made->compute = compute;
  made->release = release;
  const auto handle = reinterpret_cast<uintptr_t>(object);
  tables().partitioners[handle] = std::move(made);
  memcpy(object, &handle, sizeof handle);
  return true;
}

bool destroy_partitioner(const void* object) {
  std::shared_ptr<Partitioner> gone = find(reinterpret_cast<uintptr_t>(object));
  if (gone == nullptr) return false;
  {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    tables().partitioners.erase(reinterpret_cast<uintptr_t>(object));
  }
  for (auto& [key, answer] : gone->answers) release(*gone, answer);
  return true;
}

bool is_partitioner(uintptr_t object) { return find(object) != nullptr; }

bool init_partition(Mempartition* p, size_t parts, const void* user_data) {
  if (!live(p) || parts == 0) return false;
  p->initialized = true;
  p->user_data = user_data;
  p->parts.assign(parts, Part());
  p->given.assign(parts, false);
  return true;
}

bool destroy_partition(const Mempartition* p) {
  if (!live(p)) return false;
  auto* own = const_cast<Mempartition*>(p);
  own->initialized = false;
  own->parts.clear();
  own->given.clear();
  return true;
}

bool set_part(Mempartition* p, size_t part, int resource, size_t size) {
  if (!live(p) || !p->initialized || part >= p->parts.size()) return false;
  if (resource < 0 || static_cast<size_t>(resource) >= p->resources) return false;
  if (part + 1 < p->parts.size() && size % os::kPageSize != 0) return false;
  p->parts[part] = {static_cast<size_t>(resource), size};
  p->given[part] = true;
  return true;
}

const void* partition_user_data(const Mempartition* p) { return live(p) ? p->user_data : nullptr; }

std::vector<Part> ask_partitioner(uintptr_t object, Handle allocator, const Space& space,
                                  size_t size, uintptr_t argument) {
  std::shared_ptr<Partitioner> by = find(object);
  if (by == nullptr) return {};
  const bool one_allocator = by->lifetime == Lifetime::kAllocator;
  const AnswerKey key = {one_allocator ? allocator : 0, space.handle, size, argument};
  if (by->lifetime != Lifetime::kDynamic) {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    auto known = by->answers.find(key);
    if (known != by->answers.end()) return nonempty(known->second->parts);
  }
  Mempartition* p = compute(*by, space, size, argument);
  if (!fits(*p, size)) {
    log_once(
        LogLevel::kWarning, "omp partitioner",
        "a memory partitioner's answer for %zu bytes does not fit: every part must be set, all "
        "but the last in whole pages of %zu, and the sizes must add up",
        size, os::kPageSize);
    release(*by, p);
    return {};
  }
  std::vector<Part> parts = nonempty(p->parts);
  if (by->lifetime != Lifetime::kDynamic) {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    if (by->answers.emplace(key, p).second) return parts;
  }
  release(*by, p);
  return parts;
}

void forget_allocator_parts(uintptr_t object, Handle allocator) {
  std::shared_ptr<Partitioner> by = find(object);
  if (by == nullptr || by->lifetime != Lifetime::kAllocator) return;
  std::vector<Mempartition*> gone;
  {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    for (auto at = by->answers.begin(); at != by->answers.end();) {
      if (std::get<0>(at->first) != allocator) {
        ++at;
        continue;
      }
      gone.push_back(at->second);
      at = by->answers.erase(at);
    }
  }
  for (Mempartition* p : gone) release(*by, p);
}

}  // namespace hms::omp
