// The table of memory spaces: see spaces.h.
#include "openmp/spaces.h"

#include <stdlib.h>
#include <strings.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "allocator/routing/sources.h"
#include "openmp/fork.h"
#include "openmp/space_query.h"
#include "runtime/support/log.h"

namespace hms::omp {
namespace {

// Handles of spaces that are not predefined: far above both runtimes' own, never an address, and no
// wider than an int.
constexpr Handle kSpaceBase = Handle{1} << 29;
constexpr size_t kMaxSpaces = 4096;
constexpr const char* kPredefinedNames[kPredefinedSpaces] = {"default", "large_cap", "const",
                                                             "high_bw", "low_lat"};

// Leaked on purpose: runtimes call us after the destructors of the process ran.
struct Table {
  bool started = false;
  bool looked = false;  // for the machine
  std::shared_ptr<const topology::Topology> machine;
  std::map<std::string, std::string> definitions;  // name, specification
  std::map<std::string, const Space*> by_name;
  const Space* predefined[kPredefinedSpaces] = {};
  std::vector<const Space*> custom;  // by handle
};

Table& table() {
  static Table* const the_table = new Table;
  return *the_table;
}

std::recursive_mutex& lock() { return table_lock(); }

std::string trim(const std::string& text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool valid_name(const std::string& name) {
  auto letter = [](char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; };
  return !name.empty() && name.size() <= 64 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
         });
}

std::string normalized(const std::string& name) {
  Handle handle;
  return predefined_space(name, &handle) ? kPredefinedNames[handle] : name;
}

void read_definitions() {
  Table& t = table();
  if (t.started) return;
  t.started = true;
  const char* text = secure_getenv("HMS_OMP_SPACES");
  if (text == nullptr) return;
  std::string rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string part = trim(rest.substr(0, comma));
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    if (part.empty()) continue;
    size_t equals = part.find('=');
    Status s = equals == std::string::npos
                   ? Status(HMS_EINVAL, "'" + part + "' has no '='")
                   : define_space(trim(part.substr(0, equals)), trim(part.substr(equals + 1)));
    if (s.ok()) continue;
    log(LogLevel::kWarning,
        "HMS_OMP_SPACES: %s; left out. Expected NAME=PLACEMENT,.. such as scratch=node:3>node:0",
        s.message().c_str());
  }
}

const topology::Topology* look_at_machine() {
  Table& t = table();
  if (!t.looked) {
    t.looked = true;
    const std::string source = routing::topology_source(routing::read_configuration().tiers);
    auto loaded = topology::Topology::load(source);
    if (loaded.ok()) {
      t.machine = loaded.value();
    } else {
      log(LogLevel::kWarning, "OpenMP memory spaces are all the default one: no topology: %s",
          loaded.status().message().c_str());
    }
  }
  return t.machine.get();
}

void note(const Space* space) {
  Table& t = table();
  if (space->handle >= kSpaceBase) t.custom.push_back(space);
  t.by_name.emplace(space->name, space);
}

Handle next_handle() { return kSpaceBase + table().custom.size(); }

// A space is what its specification lists, always exactly that: when it is full, the fallback trait
// of the allocator decides, so a final '!' changes nothing.
Result<const Space*> make(const std::string& name, const std::string& spec, Handle handle) {
  std::string text = spec;
  if (!text.empty() && text.back() == '!') text.pop_back();
  auto placement = parse_placement(
      text, placement_needs_topology(text) || table().looked ? look_at_machine() : nullptr);
  if (!placement.ok()) return placement.status();
  const Placement& p = placement.value();
  if (p.spread == Spread::kRatio) {
    return Status(HMS_EINVAL, "memory space '" + name +
                                  "': a ratio of bytes is a matter of malloc; use A>B or A*3+B*1");
  }
  auto space = std::make_unique<Space>();
  space->handle = handle;
  space->name = name;
  space->kernel_chosen = false;
  space->interleaved = p.spread == Spread::kInterleave;
  for (const Leg& leg : p.legs) {
    if (leg.target.node < 0) {
      // "node:2>default": the kernel's choice is what the fallback trait is for.
      if (p.legs.size() == 1) space->kernel_chosen = true;
      continue;
    }
    space->resources.push_back(leg.target);
    space->weights.push_back(leg.weight);
  }
  if (space->kernel_chosen) space->resources = default_space().resources;
  return space.release();
}

std::string defined_names() {
  std::string names;
  for (const auto& [name, spec] : table().definitions) names += (names.empty() ? "" : ", ") + name;
  return names;
}

const Space* make_predefined(Handle handle) {
  Table& t = table();
  const char* name = kPredefinedNames[handle];
  auto defined = t.definitions.find(name);
  if (defined != t.definitions.end()) {
    auto made = make(name, defined->second, handle);
    if (made.ok()) return made.value();
    log(LogLevel::kWarning, "memory space %s: %s; its built-in definition is used", name,
        made.status().message().c_str());
  }
  auto space = std::make_unique<Space>();
  space->handle = handle;
  space->name = name;
  if (const topology::Topology* machine = look_at_machine()) {
    SpaceTargets targets = query_space(handle, *machine);
    space->resources = std::move(targets.resources);
    space->kernel_chosen = targets.kernel_chosen;
  }
  return space.release();
}

const Space* predefined(Handle handle) {
  Table& t = table();
  read_definitions();
  if (t.predefined[handle] == nullptr) {
    t.predefined[handle] = make_predefined(handle);
    note(t.predefined[handle]);
  }
  return t.predefined[handle];
}

double cost_from(const topology::Topology& machine, int node, const TargetRef& target) {
  const topology::Target* t = machine.find_target(target.key);
  if (t == nullptr) return 1e18;
  for (const topology::Initiator& i : machine.initiators()) {
    if (i.kind != topology::InitiatorKind::kCpu || i.node != node) continue;
    const auto path = machine.path(i.id, t->id, topology::Order::kLatency);
    if (path.properties.distance) return path.properties.distance->value;
    if (path.properties.latency) return path.properties.latency->value;
  }
  return t->node == node ? 10 : 1e9;
}

}  // namespace

const Space* find_space(Handle handle) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  if (handle < kPredefinedSpaces) return predefined(handle);
  if (handle == kDefaultSpaceOfLlvm21) return predefined(kDefaultSpace);
  if (handle < kSpaceBase || handle - kSpaceBase >= table().custom.size()) return nullptr;
  return table().custom[handle - kSpaceBase];
}

const Space& default_space() { return *find_space(kDefaultSpace); }

bool predefined_space(const std::string& name, Handle* out) {
  for (unsigned i = 0; i < kPredefinedSpaces; ++i) {
    const std::string full = "omp_" + std::string(kPredefinedNames[i]) + "_mem_space";
    if (strcasecmp(name.c_str(), full.c_str()) != 0 &&
        strcasecmp(name.c_str(), kPredefinedNames[i]) != 0) {
      continue;
    }
    *out = i;
    return true;
  }
  return false;
}

Result<const Space*> space_named(const std::string& name) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  read_definitions();
  Handle handle;
  if (predefined_space(name, &handle)) return predefined(handle);
  Table& t = table();
  auto known = t.by_name.find(name);
  if (known != t.by_name.end()) return known->second;
  if (t.custom.size() >= kMaxSpaces) {
    return Status(HMS_ENOMEM, "more than " + std::to_string(kMaxSpaces) + " memory spaces");
  }
  auto defined = t.definitions.find(name);
  auto made = make(name, defined == t.definitions.end() ? name : defined->second, next_handle());
  if (made.ok()) {
    note(made.value());
  } else if (defined == t.definitions.end() && !t.definitions.empty()) {
    return Status(made.status().code(),
                  made.status().message() + "; defined memory spaces: " + defined_names());
  }
  return made;
}

const Space* subspace(const Space& space, const int* indices, int count) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  if (count <= 0 || indices == nullptr) return nullptr;
  const size_t wanted = static_cast<size_t>(count);
  if (wanted > space.resources.size()) return nullptr;
  auto part = std::make_unique<Space>();
  part->kernel_chosen = false;
  part->interleaved = space.interleaved;
  bool whole = wanted == space.resources.size();
  std::vector<bool> taken(space.resources.size());
  for (size_t i = 0; i < wanted; ++i) {
    const int at = indices[i];
    if (at < 0 || static_cast<size_t>(at) >= space.resources.size()) return nullptr;
    if (taken[static_cast<size_t>(at)]) return nullptr;
    taken[static_cast<size_t>(at)] = true;
    whole = whole && at == static_cast<int>(i);
    const TargetRef& target = space.resources[static_cast<size_t>(at)];
    part->resources.push_back(target);
    if (space.interleaved) part->weights.push_back(space.weights[static_cast<size_t>(at)]);
    part->name += (i == 0 ? "" : ">") + target.key;
  }
  if (whole) return &space;
  // Names with a dot cannot be written by a program: no clash with a space of that specification.
  part->name = space.name + "." + part->name;
  Table& t = table();
  auto known = t.by_name.find(part->name);
  if (known != t.by_name.end()) return known->second;
  if (t.custom.size() >= kMaxSpaces) return nullptr;
  part->handle = next_handle();
  note(part.get());
  return part.release();
}

Status define_space(const std::string& name, const std::string& spec) {
  std::lock_guard<std::recursive_mutex> guard(lock());
  read_definitions();
  if (!valid_name(name)) {
    return {HMS_EINVAL,
            "memory space '" + name + "': a name is letters, digits, '_', '-' and '.', at most 64"};
  }
  if (spec.empty()) return {HMS_EINVAL, "memory space '" + name + "' has no specification"};
  Table& t = table();
  const std::string key = normalized(name);
  Handle handle;
  const bool in_use =
      predefined_space(name, &handle) ? t.predefined[handle] != nullptr : t.by_name.count(key) != 0;
  if (in_use) return {HMS_EINVAL, "memory space '" + name + "' is in use already"};
  t.definitions[key] = spec;
  return {};
}

std::vector<std::string> describe_spaces() {
  std::lock_guard<std::recursive_mutex> guard(lock());
  std::vector<std::string> lines;
  auto describe = [&](const Space& space) {
    std::string text;
    for (const TargetRef& target : space.resources) {
      text += (text.empty() ? "" : space.interleaved ? "+" : ">") + target.key;
    }
    if (space.kernel_chosen) text = "default";
    lines.push_back(space.name + " = " + text);
  };
  for (Handle h = 0; h < kPredefinedSpaces; ++h) describe(*predefined(h));
  for (const auto& [name, spec] : table().definitions) {
    Handle handle;
    if (predefined_space(name, &handle)) continue;
    auto space = space_named(name);
    if (space.ok()) {
      describe(*space.value());
    } else {
      lines.push_back(name + ": " + space.status().message());
    }
  }
  return lines;
}

std::shared_ptr<const topology::Topology> machine() {
  std::lock_guard<std::recursive_mutex> guard(lock());
  look_at_machine();
  return table().machine;
}

std::vector<size_t> nearest_order(const Space& space, int node) {
  std::shared_ptr<const topology::Topology> seen = machine();
  std::vector<size_t> order(space.resources.size());
  std::vector<double> cost(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    const TargetRef& target = space.resources[i];
    cost[i] = seen ? cost_from(*seen, node, target) : target.node == node ? 10 : 20;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return cost[a] < cost[b]; });
  return order;
}

void forget_spaces() {
  std::lock_guard<std::recursive_mutex> guard(lock());
  // Allocators may still refer to their spaces.
  static auto* const forgotten = new std::vector<Table>;
  forgotten->push_back(std::move(table()));
  table() = Table();
}

}  // namespace hms::omp
