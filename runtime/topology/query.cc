// Queries: which targets are best for a set of initiators, and why.
#include <stdio.h>

#include <algorithm>
#include <cmath>

#include "runtime/topology/topology.h"
#include "runtime/topology/units.h"

namespace hms::topology {
namespace {

// One number over the whole set: worst for the order, mean to break ties of the worst.
struct Summary {
  std::optional<Sourced> worst;
  double mean = 0;
  size_t known = 0;
};

Summary summarise(const std::vector<Properties>& costs, std::optional<Sourced> Properties::*number,
                  bool more_is_better) {
  Summary s;
  for (const Properties& p : costs) {
    const auto& n = p.*number;
    if (!n) continue;
    ++s.known;
    s.mean += n->value;
    bool worse =
        s.worst && (more_is_better ? n->value < s.worst->value : n->value > s.worst->value);
    if (!s.worst || worse) s.worst = n;
  }
  if (s.known) s.mean /= static_cast<double>(s.known);
  return s;
}

struct Candidate {
  const Target* target;
  Summary bandwidth, latency, distance;
  Properties properties;
};

// Estimates are computed along different ways; the last bits are no difference. Rounding, not a
// tolerance, keeps the order transitive.
double canonical(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::round(std::ldexp(mantissa, 30)), exponent - 30);
}

// -1, 0, 1 as a is before, level with, or after b. Known before unknown.
int compare(const Summary& a, const Summary& b, bool more_is_better) {
  if (a.worst.has_value() != b.worst.has_value()) return a.worst ? -1 : 1;
  if (!a.worst) return 0;
  auto order = [more_is_better](double x, double y) {
    x = canonical(x);
    y = canonical(y);
    if (x == y) return 0;
    return (x > y) == more_is_better ? -1 : 1;
  };
  int by_worst = order(a.worst->value, b.worst->value);
  return by_worst != 0 ? by_worst : order(a.mean, b.mean);
}

bool before(const Candidate& a, const Candidate& b, Order order) {
  int bandwidth = compare(a.bandwidth, b.bandwidth, true);
  int latency = compare(a.latency, b.latency, false);
  int distance = compare(a.distance, b.distance, false);
  int capacity = a.target->bytes == b.target->bytes  ? 0
                 : a.target->bytes > b.target->bytes ? -1
                                                     : 1;
  int chain[4] = {bandwidth, latency, distance, 0};
  if (order == Order::kLatency) std::swap(chain[0], chain[1]);
  if (order == Order::kCapacity) {
    int by_capacity[4] = {capacity, bandwidth, latency, distance};
    std::copy(by_capacity, by_capacity + 4, chain);
  }
  if (order == Order::kLocality) {
    int by_locality[4] = {distance, latency, bandwidth, 0};
    std::copy(by_locality, by_locality + 4, chain);
  }
  for (int c : chain) {
    if (c != 0) return c < 0;
  }
  return false;  // the caller sorts stably over targets in key order
}

std::string describe(const char* name, const Summary& s, std::string (*format)(double)) {
  if (!s.worst) return std::string(name) + " unknown";
  return std::string(name) + ' ' + format(s.worst->value) + " (" + to_string(s.worst->from) + ')';
}

std::string plain(double value) {
  char text[32];
  snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string reason_of(const Candidate& c, Order order, size_t place, size_t initiators) {
  std::string bandwidth = describe("bandwidth", c.bandwidth, format_bandwidth);
  std::string latency = describe("latency", c.latency, format_latency);
  std::string distance = describe("distance", c.distance, plain);
  std::string capacity = "capacity " + format_bytes(c.target->bytes);
  std::string text = "#" + std::to_string(place) + " by ";
  switch (order) {
    case Order::kBandwidth:
      text += bandwidth + ", " + latency;
      if (!c.bandwidth.worst) text += ", " + distance;
      break;
    case Order::kLatency:
      text += latency + ", " + bandwidth;
      if (!c.latency.worst) text += ", " + distance;
      break;
    case Order::kCapacity:
      text += capacity + ", " + bandwidth;
      break;
    case Order::kLocality:
      text += distance + ", " + latency;
      break;
  }
  if (initiators > 1) text += "; worst of " + std::to_string(initiators) + " initiators";
  if (c.target->emulated) text += "; emulated on node " + std::to_string(c.target->node);
  return text;
}

bool passes(const Target& t, const Query& q) {
  // Who asks for a capability by name has understood it.
  uint32_t understood = q.understand | q.need;
  return t.bytes >= q.min_bytes && (t.capabilities & q.need) == q.need &&
         (t.must_understand & ~understood) == 0;
}

}  // namespace

// "node:2" before "node:10".
bool key_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      size_t x = i, y = j;
      while (x < a.size() && digit(a[x])) ++x;
      while (y < b.size() && digit(b[y])) ++y;
      if (x - i != y - j) return x - i < y - j;
      int order = a.compare(i, x - i, b, j, y - j);
      if (order != 0) return order < 0;
      i = x;
      j = y;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

Result<std::vector<Match>> Topology::find(const Query& query) const {
  std::vector<Id> from = query.initiators;
  for (Id id : from) {
    if (!initiator(id)) {
      return Status(HMS_ENODEV, "no initiator has the id " + std::to_string(id) +
                                    "; hms_topology_at lists those that exist");
    }
  }
  if (from.empty()) {
    for (const Initiator& i : initiators_) {
      if (i.kind == InitiatorKind::kCpu) from.push_back(i.id);
    }
  }
  std::vector<Candidate> found;
  for (const Target& t : targets_) {
    if (!passes(t, query)) continue;
    Candidate c{&t, {}, {}, {}, {}};
    std::vector<Properties> costs;
    for (Id i : from) {
      auto p = cost(i, t.id, query.order);
      if (!p || (p->capabilities & query.need) != query.need) break;
      costs.push_back(*p);
    }
    if (costs.size() < from.size()) continue;  // not reachable by all
    c.bandwidth = summarise(costs, &Properties::bandwidth, true);
    c.latency = summarise(costs, &Properties::latency, false);
    c.distance = summarise(costs, &Properties::distance, false);
    c.properties = {c.bandwidth.worst, c.latency.worst, c.distance.worst, 0, t.capabilities};
    for (const Properties& p : costs) {
      c.properties.granularity = std::max(c.properties.granularity, p.granularity);
      c.properties.capabilities &= p.capabilities;
    }
    found.push_back(c);
  }
  std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return key_less(a.target->key, b.target->key);
  });
  std::stable_sort(found.begin(), found.end(), [&](const Candidate& a, const Candidate& b) {
    return before(a, b, query.order);
  });
  std::vector<Match> out;
  out.reserve(found.size());
  for (const Candidate& c : found) {
    out.push_back(
        {c.target->id, c.properties, reason_of(c, query.order, out.size() + 1, from.size())});
  }
  return out;
}

}  // namespace hms::topology
