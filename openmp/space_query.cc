// Choosing the targets of the predefined spaces: see spaces.h for the rules.
#include "openmp/space_query.h"

#include <algorithm>
#include <functional>

namespace hms::omp {
namespace {

using topology::Initiator;
using topology::InitiatorKind;
using topology::Order;
using topology::Target;
using topology::Topology;

// Firmware tables round, and two DIMMs of a kind need not be equally large.
constexpr double kPeer = 0.9;

struct Candidate {
  const Target* target = nullptr;
  double bandwidth = 0;  // from the CPUs that see it best; 0: not known
  double latency = 0;
  double distance = 0;
  bool beside_cpus = false;
};

void note_path(const Topology& machine, const Initiator& cpu, Candidate* c) {
  auto better = [](double known, double said, bool more) {
    return known == 0 || (more ? said > known : said < known) ? said : known;
  };
  const auto by_bandwidth = machine.path(cpu.id, c->target->id, Order::kBandwidth);
  if (by_bandwidth.reachable && by_bandwidth.properties.bandwidth) {
    c->bandwidth = better(c->bandwidth, by_bandwidth.properties.bandwidth->value, true);
  }
  const auto by_latency = machine.path(cpu.id, c->target->id, Order::kLatency);
  if (!by_latency.reachable) return;
  if (by_latency.properties.latency) {
    c->latency = better(c->latency, by_latency.properties.latency->value, false);
  }
  if (by_latency.properties.distance) {
    c->distance = better(c->distance, by_latency.properties.distance->value, false);
  }
}

// What a program may get memory of without asking by name. Where tiers are emulated, they are the
// machine, and the nodes under them are not counted a second time.
std::vector<Candidate> candidates(const Topology& machine) {
  std::vector<Candidate> all;
  for (const Target& t : machine.targets()) {
    if (t.node < 0 || t.must_understand != 0) continue;
    if ((t.capabilities & HMS_CAP_CPU_ACCESSIBLE) == 0) continue;
    if (machine.emulated() && !t.emulated && (t.label.empty() || t.label == t.key)) continue;
    Candidate c;
    c.target = &t;
    for (const Initiator& i : machine.initiators()) {
      if (i.kind != InitiatorKind::kCpu) continue;
      note_path(machine, i, &c);
      c.beside_cpus = c.beside_cpus || (!i.cpus.empty() && i.node == t.node && !t.emulated);
    }
    all.push_back(c);
  }
  return all;
}

// Keeps those whose number is within kPeer of the best, best first; all when no number is known.
void keep_best(std::vector<Candidate>* all, double Candidate::*number, bool more) {
  auto value = [&](const Candidate& c) {
    double v = c.*number;
    return more ? v : v > 0 ? 1 / v : 0;
  };
  double best = 0;
  for (const Candidate& c : *all) best = std::max(best, value(c));
  if (best == 0) return;
  all->erase(std::remove_if(all->begin(), all->end(),
                            [&](const Candidate& c) { return value(c) < best * kPeer; }),
             all->end());
  std::stable_sort(all->begin(), all->end(),
                   [&](const Candidate& a, const Candidate& b) { return value(a) > value(b); });
}

void keep_low_latency(std::vector<Candidate>* all) {
  bool known = std::any_of(all->begin(), all->end(), [](auto& c) { return c.latency > 0; });
  keep_best(all, known ? &Candidate::latency : &Candidate::distance, false);
}

void keep_large(std::vector<Candidate>* all) {
  std::vector<Candidate> quick = *all;
  keep_low_latency(&quick);
  uint64_t largest = 0;
  for (const Candidate& c : *all) largest = std::max(largest, c.target->bytes);
  auto small = [&](const Candidate& c) {
    return static_cast<double>(c.target->bytes) < static_cast<double>(largest) * kPeer;
  };
  all->erase(std::remove_if(all->begin(), all->end(), small), all->end());
  std::stable_sort(all->begin(), all->end(), [](const Candidate& a, const Candidate& b) {
    return a.target->bytes > b.target->bytes;
  });
  // Equally large: the quick ones have a space of their own, capacity is what the others are for.
  auto is_quick = [&](const Candidate& c) {
    return std::any_of(quick.begin(), quick.end(),
                       [&](const Candidate& q) { return q.target == c.target; });
  };
  if (std::all_of(all->begin(), all->end(), is_quick)) return;
  all->erase(std::remove_if(all->begin(), all->end(), is_quick), all->end());
}

void keep_beside_cpus(std::vector<Candidate>* all) {
  auto away = [](const Candidate& c) { return !c.beside_cpus; };
  if (std::all_of(all->begin(), all->end(), away)) return;
  all->erase(std::remove_if(all->begin(), all->end(), away), all->end());
}

}  // namespace

TargetRef reference_to(const Target& target) {
  TargetRef ref;
  ref.key = target.key;
  ref.node = target.node;
  ref.emulated = target.emulated;
  if (target.emulated) ref.capacity = target.bytes;
  return ref;
}

SpaceTargets query_space(Handle space, const Topology& machine) {
  std::vector<Candidate> chosen = candidates(machine);
  const size_t all = chosen.size();
  bool kernel_chosen = false;
  switch (space) {
    case kHighBwSpace:
      keep_best(&chosen, &Candidate::bandwidth, true);
      break;
    case kLowLatSpace:
      keep_low_latency(&chosen);
      break;
    case kLargeCapSpace:
      keep_large(&chosen);
      break;
    default:
      keep_beside_cpus(&chosen);
      kernel_chosen = true;
  }
  SpaceTargets result;
  for (const Candidate& c : chosen) result.resources.push_back(reference_to(*c.target));
  // Nothing to tell apart: leave it to the kernel, which puts a page where it is touched first.
  result.kernel_chosen = kernel_chosen || (chosen.size() == all && !machine.emulated());
  return result;
}

}  // namespace hms::omp
