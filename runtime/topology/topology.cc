// Look-ups in a snapshot.
#include "runtime/topology/topology.h"

#include <algorithm>

namespace hms::topology {
namespace {

template <typename T>
const T* by_id(const std::vector<T>& objects, const std::unordered_map<Id, uint32_t>& index,
               Id id) {
  auto at = index.find(id);
  // One index serves all types, so the place may be another type's: the id decides.
  if (at == index.end() || at->second >= objects.size()) return nullptr;
  const T& object = objects[at->second];
  return object.id == id ? &object : nullptr;
}

template <typename T>
const T* by_name(const std::vector<T>& objects, const std::string& name) {
  for (const T& o : objects) {
    if (o.key == name) return &o;
  }
  for (const T& o : objects) {
    if (!o.label.empty() && o.label == name) return &o;
  }
  return nullptr;
}

}  // namespace

bool Topology::emulated() const {
  return std::any_of(targets_.begin(), targets_.end(), [](const Target& t) { return t.emulated; });
}

const Target* Topology::target(Id id) const { return by_id(targets_, index_, id); }
const Initiator* Topology::initiator(Id id) const { return by_id(initiators_, index_, id); }
const Link* Topology::link(Id id) const { return by_id(links_, index_, id); }
const Bridge* Topology::bridge(Id id) const { return by_id(bridges_, index_, id); }

const Target* Topology::find_target(const std::string& key) const { return by_name(targets_, key); }
const Initiator* Topology::find_initiator(const std::string& key) const {
  return by_name(initiators_, key);
}

}  // namespace hms::topology
