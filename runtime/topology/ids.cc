// The registry of session ids.
#include "runtime/topology/ids.h"

#include <mutex>
#include <unordered_map>

namespace hms::topology {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<std::string, Id> ids;
  Id next = 1;
};

// Never destroyed: a topology may be loaded from another static destructor.
Registry& registry() {
  static Registry* const kRegistry = new Registry;
  return *kRegistry;
}

std::string full_key(const std::string& scope, const std::string& key) {
  return scope + '\n' + key;
}

}  // namespace

Id id_of(const std::string& scope, const std::string& key) {
  Registry& r = registry();
  std::lock_guard<std::mutex> lock(r.mutex);
  auto [it, fresh] = r.ids.try_emplace(full_key(scope, key), r.next);
  if (fresh) ++r.next;
  return it->second;
}

void retire_id(const std::string& scope, const std::string& key, Id id) {
  Registry& r = registry();
  std::lock_guard<std::mutex> lock(r.mutex);
  auto at = r.ids.find(full_key(scope, key));
  if (at != r.ids.end() && at->second == id) r.ids.erase(at);
}

}  // namespace hms::topology
