// The model: targets, initiators, links, bridges, and the questions one can ask of them.
//
// A Topology is an immutable snapshot computed from sources (sysfs, hwloc, a description); rescan
// makes a new one. Nothing here touches placement. See docs/topology.md for the rules.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/support/result.h"
#include "runtime/topology/cost_table.h"
#include "runtime/topology/properties.h"

namespace hms::topology {

enum class TargetKind { kDram, kHbm, kCxl, kPmem, kDevice, kUnknown };
enum class InitiatorKind { kCpu, kGpu, kNic, kGeneric };
const char* to_string(TargetKind k);
const char* to_string(InitiatorKind k);

struct Target {
  Id id = 0;
  std::string key;    // stable: "node:2", "pci:0000:41:00.0/vram", "tier:fast"
  std::string label;  // for people: name given by the user, hwloc subtype ...
  TargetKind kind = TargetKind::kUnknown;
  uint64_t bytes = 0;
  uint64_t free_bytes = 0;
  uint32_t capabilities = 0;      // HMS_CAP_*
  uint32_t must_understand = 0;   // subset that hides the target from queries that do not opt in
  int node = -1;                  // OS node that holds its pages, -1: not a node
  bool emulated = false;          // laid over `node`; capacity is ours, not the machine's
  int kernel_tier = -1;           // memory_tiering tier, -1: unknown
  int interleave_weight = -1;     // kernel's weighted-interleave weight, -1: unknown
  uint64_t side_cache_bytes = 0;  // memory-side cache in front of it, 0: none known
  Provenance from = Provenance::kAssumed;  // of `kind`; the capacity is always what the source says
};

struct Initiator {
  Id id = 0;
  std::string key;  // "cpu:0" (CPUs of node 0), "pci:0000:41:00.0"
  std::string label;
  InitiatorKind kind = InitiatorKind::kCpu;
  int node = -1;
  std::vector<int> cpus;  // OS numbers
};

// Every initiator in it reaches every target in it at the same cost: a full rectangle.
struct Link {
  Id id = 0;
  std::string key;
  std::vector<Id> initiators;
  std::vector<Id> targets;
  Properties properties;
};

// One-way join of two links for the initiators that it lists.
struct Bridge {
  Id id = 0;
  std::string key;
  Id from_link = 0;
  Id to_link = 0;
  std::vector<Id> initiators;
  Properties properties;
};

// End-to-end cost of one pair, over links and bridges or from a direct statement.
struct Path {
  bool reachable = false;
  Properties properties;               // what queries use: direct statement first, else computed
  std::optional<Properties> computed;  // from links and bridges, kept even if overridden
  std::vector<Id> hops;                // link, bridge, link ... as travelled
};

enum class Order { kBandwidth, kLatency, kCapacity, kLocality };

struct Query {
  std::vector<Id> initiators;  // empty: every CPU initiator
  Order order = Order::kBandwidth;
  uint64_t min_bytes = 0;   // targets smaller than this are left out
  uint32_t need = 0;        // capabilities that the target must have
  uint32_t understand = 0;  // must-understand bits that the caller opts into
};

struct Match {
  Id target = 0;
  Properties properties;  // worst over the set of initiators
  std::string reason;     // for people: why it is here, in which place, from which source
};

class Builder;

class Topology {
 public:
  // `source`: "live" (sysfs and hwloc), "sysfs" (no hwloc: cheap, what preloaded processes use),
  // "xml:FILE", "synthetic:SPEC", "tiers:SPEC", "sysfs:ROOT" (a recorded /sys tree). Empty:
  // $HMS_TOPOLOGY, else live.
  static Result<std::shared_ptr<const Topology>> load(const std::string& source);
  // Reads the source of `previous` again. What is still there keeps its id; the ids of what went
  // stay dead, even if it comes back. The generation grows by one if anything but free bytes
  // changed.
  static Result<std::shared_ptr<const Topology>> rescan(const Topology& previous);

  const std::vector<Target>& targets() const { return targets_; }
  const std::vector<Initiator>& initiators() const { return initiators_; }
  const std::vector<Link>& links() const { return links_; }
  const std::vector<Bridge>& bridges() const { return bridges_; }
  const std::string& source() const { return source_; }
  uint64_t generation() const { return generation_; }
  bool emulated() const;  // any target is

  const Target* target(Id id) const;
  const Initiator* initiator(Id id) const;
  const Link* link(Id id) const;
  const Bridge* bridge(Id id) const;
  const Target* find_target(const std::string& key) const;  // by key, then by label
  const Initiator* find_initiator(const std::string& key) const;

  // The best path by bandwidth or latency (other orders: bandwidth).
  Path path(Id initiator, Id target, Order by = Order::kBandwidth) const;
  // Targets in the order asked for, reachable by *every* initiator of the query. A total
  // order: worst over the set, then its mean, then the other number, then distance, then key order;
  // targets without the number come last.
  Result<std::vector<Match>> find(const Query& query) const;

 private:
  friend class Builder;
  friend class PathSearch;
  // What queries use: the direct statement first, else the best path over links and bridges.
  std::optional<Properties> cost(Id initiator, Id target, Order by) const;
  const Properties* direct(Id initiator, Id target) const;
  // A CPU cannot use memory that says it is not CPU-accessible, whatever links exist.
  static bool usable(const Initiator& initiator, const Target& target);

  std::string source_;
  std::string scope_;
  uint64_t generation_ = 0;
  std::vector<Target> targets_;
  std::vector<Initiator> initiators_;
  std::vector<Link> links_;
  std::vector<Bridge> bridges_;
  std::unordered_map<Id, uint32_t> index_;         // object id -> place in its vector
  std::vector<std::vector<uint32_t>> links_from_;  // by initiator: places in links_
  CostTable direct_;  // statements about pairs (HMAT, SLIT, measured ...); override computed paths
};

}  // namespace hms::topology
