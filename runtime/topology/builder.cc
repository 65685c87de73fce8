// Building a Topology: objects, statements, keys and ids. The merging into links is in links.cc.
#include "runtime/topology/builder.h"

#include <stdio.h>

#include <algorithm>
#include <unordered_set>

#include "runtime/topology/ids.h"
#include "runtime/topology/links.h"

namespace hms::topology {
namespace {

// FNV-1a: link keys name their members, and a thousand members still need a short key.
uint32_t hash_of(const std::string& text) {
  uint32_t h = 2166136261U;
  for (unsigned char c : text) h = (h ^ c) * 16777619U;
  return h;
}

template <typename T>
T* find_by_key(std::vector<T>& objects, const std::string& key) {
  for (T& o : objects) {
    if (o.key == key) return &o;
  }
  return nullptr;
}

}  // namespace

Builder::Builder(std::string source, std::string scope) : t_(std::make_shared<Topology>()) {
  t_->source_ = std::move(source);
  t_->scope_ = std::move(scope);
}

Id Builder::add_target(Target target) {
  target.id = id_of(t_->scope_, "target " + target.key);
  auto [it, fresh] = t_->index_.try_emplace(target.id, t_->targets_.size());
  if (fresh) t_->targets_.push_back(std::move(target));
  return it->first;
}

Id Builder::add_initiator(Initiator initiator) {
  initiator.id = id_of(t_->scope_, "initiator " + initiator.key);
  auto [it, fresh] = t_->index_.try_emplace(initiator.id, t_->initiators_.size());
  if (fresh) t_->initiators_.push_back(std::move(initiator));
  return it->first;
}

Target* Builder::target(Id id) { return const_cast<Target*>(t_->target(id)); }
Initiator* Builder::initiator(Id id) { return const_cast<Initiator*>(t_->initiator(id)); }
Target* Builder::find_target(const std::string& key) { return find_by_key(t_->targets_, key); }
Initiator* Builder::find_initiator(const std::string& key) {
  return find_by_key(t_->initiators_, key);
}

void Builder::state(Id initiator, Id target, const Properties& said) {
  if (!t_->initiator(initiator) || !t_->target(target)) return;
  t_->direct_.state(t_->index_[initiator], t_->index_[target], said);
}

const Properties* Builder::stated(Id initiator, Id target) const {
  return t_->direct(initiator, target);
}

Id Builder::connect(std::vector<Id> initiators, std::vector<Id> targets,
                    const Properties& properties) {
  Link link{0, "", std::move(initiators), std::move(targets), properties};
  link.key = link_key(link);
  // The same members at another cost are another link: nested interconnects have them.
  int use = ++key_uses_[link.key];
  if (use > 1) link.key += '#' + std::to_string(use);
  link.id = id_of(t_->scope_, link.key);
  t_->index_[link.id] = static_cast<uint32_t>(t_->links_.size());
  t_->links_.push_back(std::move(link));
  return t_->links_.back().id;
}

Id Builder::add_bridge(Id from_link, Id to_link, std::vector<Id> initiators,
                       const Properties& properties) {
  Bridge bridge{0, "", from_link, to_link, std::move(initiators), properties};
  auto name = [this](Id id) {
    auto at = t_->index_.find(id);
    return at == t_->index_.end() ? std::string("none") : t_->links_[at->second].key;
  };
  bridge.key = "bridge:" + name(from_link) + "=>" + name(to_link);
  int use = ++key_uses_[bridge.key];
  if (use > 1) bridge.key += '#' + std::to_string(use);
  bridge.id = id_of(t_->scope_, bridge.key);
  t_->index_[bridge.id] = static_cast<uint32_t>(t_->bridges_.size());
  t_->bridges_.push_back(std::move(bridge));
  return t_->bridges_.back().id;
}

size_t Builder::add_place(Place place) {
  places_.push_back(std::move(place));
  return places_.size() - 1;
}

void Builder::join(size_t place_a, size_t place_b, const Properties& properties) {
  joins_.push_back({place_a, place_b, properties});
}

// "link:cpu:0>node:0" for the common case; larger ones name the first members and a hash of all.
std::string Builder::link_key(const Link& link) const {
  std::string all;
  auto name = [&all](const auto& ids, const auto& lookup) {
    std::string first;
    for (Id id : ids) {
      const auto* object = lookup(id);
      if (!object) continue;
      all += object->key + ' ';
      if (first.empty()) first = object->key;
    }
    if (ids.size() > 1) first += '+' + std::to_string(ids.size() - 1);
    return first;
  };
  std::string from = name(link.initiators, [this](Id id) { return t_->initiator(id); });
  all += "> ";
  std::string to = name(link.targets, [this](Id id) { return t_->target(id); });
  std::string key = "link:" + from + '>' + to;
  if (link.initiators.size() > 1 || link.targets.size() > 1) {
    char hash[16];
    snprintf(hash, sizeof hash, "@%08x", hash_of(all));
    key += hash;
  }
  return key;
}

void Builder::merge_joins() {
  // One graph of places per distinct cost.
  std::map<Properties, std::vector<std::pair<size_t, size_t>>> graphs;
  for (const Join& j : joins_) graphs[j.properties].emplace_back(j.a, j.b);
  for (const auto& [properties, edges] : graphs) {
    for (const auto& clique : clique_cover(places_.size(), edges)) {
      std::vector<Id> initiators, targets;
      for (size_t p : clique) {
        const Place& place = places_[p];
        initiators.insert(initiators.end(), place.initiators.begin(), place.initiators.end());
        targets.insert(targets.end(), place.targets.begin(), place.targets.end());
      }
      connect(std::move(initiators), std::move(targets), properties);
    }
  }
}

void Builder::merge_statements() {
  const CostTable& said = t_->direct_;
  for (const Rectangle& r : merge_rectangles(said, t_->targets_.size())) {
    std::vector<Id> initiators, targets;
    for (size_t row : r.rows) initiators.push_back(t_->initiators_[row].id);
    for (size_t column : r.columns) targets.push_back(t_->targets_[column].id);
    connect(std::move(initiators), std::move(targets), r.properties);
  }
}

void Builder::index_links() {
  t_->links_from_.assign(t_->initiators_.size(), {});
  for (size_t l = 0; l < t_->links_.size(); ++l) {
    for (Id id : t_->links_[l].initiators) {
      auto at = t_->index_.find(id);
      if (at != t_->index_.end()) t_->links_from_[at->second].push_back(static_cast<uint32_t>(l));
    }
  }
}

std::shared_ptr<const Topology> Builder::build() {
  merge_joins();
  merge_statements();
  index_links();
  std::shared_ptr<const Topology> done = std::move(t_);
  *this = Builder(done->source_, done->scope_);
  return done;
}

namespace {

bool same(const Target& a, const Target& b) {
  return a.id == b.id && a.label == b.label && a.kind == b.kind && a.bytes == b.bytes &&
         a.capabilities == b.capabilities && a.must_understand == b.must_understand &&
         a.node == b.node && a.kernel_tier == b.kernel_tier &&
         a.interleave_weight == b.interleave_weight && a.side_cache_bytes == b.side_cache_bytes;
}
bool same(const Initiator& a, const Initiator& b) {
  return a.id == b.id && a.label == b.label && a.node == b.node && a.cpus == b.cpus;
}
bool same(const Link& a, const Link& b) { return a.id == b.id && a.properties == b.properties; }
bool same(const Bridge& a, const Bridge& b) {
  return a.id == b.id && a.initiators == b.initiators && a.properties == b.properties;
}

template <typename T>
bool all_same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const T& x, const T& y) { return same(x, y); });
}

// Retires the keys of `before` that `now` no longer has.
template <typename T>
void retire(const std::vector<T>& before, const std::vector<T>& now, const std::string& scope,
            const char* prefix) {
  std::unordered_set<Id> alive;
  for (const T& o : now) alive.insert(o.id);
  for (const T& o : before) {
    if (alive.count(o.id) == 0) retire_id(scope, prefix + o.key, o.id);
  }
}

}  // namespace

void Builder::succeed(const Topology& previous, Topology* next) {
  retire(previous.targets_, next->targets_, next->scope_, "target ");
  retire(previous.initiators_, next->initiators_, next->scope_, "initiator ");
  retire(previous.links_, next->links_, next->scope_, "");
  retire(previous.bridges_, next->bridges_, next->scope_, "");
  bool unchanged = all_same(previous.targets_, next->targets_) &&
                   all_same(previous.initiators_, next->initiators_) &&
                   all_same(previous.links_, next->links_) &&
                   all_same(previous.bridges_, next->bridges_) && previous.direct_ == next->direct_;
  next->generation_ = previous.generation_ + (unchanged ? 0 : 1);
}

}  // namespace hms::topology
