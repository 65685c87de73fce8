// parse_placement: from the words that people write to an ordered, weighted list of targets.
//
//   placement := spread [ "!" ]
//   spread    := attribute | target | target ">" target ... | target "*" weight "+" ...
//                | target ":" weight "," ...
//   attribute := bandwidth | latency | capacity | locality
//   target    := default | local | node:N | a key or label of the topology
//
// Keys contain ':' and '/', so a ratio is recognised by its ',' and its weight is what follows the
// last ':' of each part.
#include "runtime/placement/placement.h"

#include <algorithm>
#include <optional>

#include "runtime/support/os.h"

namespace hms {
namespace {

using topology::Order;
using topology::Target;
using topology::Topology;

constexpr uint32_t kMaxWeight = 65535;
constexpr size_t kMaxLegs = 64;  // as many as the counter page has targets
constexpr size_t kMaxSpec = 4096;

std::string trim(const std::string& text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(trim(text.substr(begin, end - begin)));
  }
  parts.push_back(trim(text.substr(begin)));
  return parts;
}

std::optional<uint32_t> small_number(const std::string& text, uint32_t limit) {
  if (text.empty() || text.size() > 9) return std::nullopt;
  uint32_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value > limit) return std::nullopt;
  return value;
}

std::optional<Order> attribute(const std::string& word) {
  if (word == "bandwidth") return Order::kBandwidth;
  if (word == "latency") return Order::kLatency;
  if (word == "capacity") return Order::kCapacity;
  if (word == "locality") return Order::kLocality;
  return std::nullopt;
}

bool kernel_chosen(const std::string& word) { return word == "default" || word == "local"; }

bool node_syntax(const std::string& word) {
  return word.size() > 5 && word.compare(0, 5, "node:") == 0 &&
         word.find_first_not_of("0123456789", 5) == std::string::npos;
}

// "0-3,8": the set as Linux lists write it.
std::string node_list(const os::NodeMask& mask) {
  std::string list;
  for (int node = 0; node < os::kMaxNodes; ++node) {
    if (!mask.test(node)) continue;
    int last = node;
    while (last + 1 < os::kMaxNodes && mask.test(last + 1)) ++last;
    if (!list.empty()) list += ',';
    list += std::to_string(node);
    if (last > node) list += '-' + std::to_string(last);
    node = last;
  }
  return list;
}

// The words that could have been meant, for the end of a message.
std::string names_that_exist(const Topology* topology) {
  std::string names = "default, local, bandwidth, latency, capacity, locality";
  if (topology == nullptr) return names + ", node:N";
  size_t shown = 0;
  for (const Target& target : topology->targets()) {
    if (++shown > 16) return names + ", ...";
    names += ", ";
    names += target.label.empty() || target.label == target.key ? target.key : target.label;
  }
  return names;
}

// What may stand behind the list, in any order.
struct Wishes {
  std::string list;
  bool strict = false;
  bool huge = false;
};

Wishes split_wishes(const std::string& spec) {
  const std::string huge = "@huge";
  Wishes wishes{spec};
  std::string& text = wishes.list;
  for (;;) {
    if (!wishes.strict && !text.empty() && text.back() == '!') {
      wishes.strict = true;
      text.pop_back();
    } else if (!wishes.huge && text.size() >= huge.size() &&
               text.compare(text.size() - huge.size(), huge.size(), huge) == 0) {
      wishes.huge = true;
      text.resize(text.size() - huge.size());
    } else {
      return wishes;
    }
    text = trim(text);
  }
}

// Turns one spec into a Placement; keeps the spec for the messages.
class Parser {
 public:
  Parser(const std::string& spec, const Topology* topology) : spec_(spec), topology_(topology) {}

  Result<Placement> parse();

 private:
  Status error(hms_status code, const std::string& why) const {
    return {code, "placement '" + spec_ + "': " + why};
  }
  Status error(const std::string& why) const { return error(HMS_EINVAL, why); }

  Result<TargetRef> resolve(const std::string& word) const;
  Result<TargetRef> resolve_node(const std::string& word) const;
  Result<TargetRef> from_topology(const Target& target) const;
  Status fill_attribute(Order order);
  Status fill_ordered(const std::vector<std::string>& words);
  Status fill_weighted(const std::vector<std::string>& parts, char mark);
  Status add_leg(const std::string& word, uint32_t weight);

  std::string spec_;
  const Topology* topology_;
  Placement placement_;
};

Result<TargetRef> Parser::from_topology(const Target& target) const {
  if (target.node < 0) {
    return error(HMS_ENODEV, "'" + target.key +
                                 "' is device memory that CPUs cannot use for allocations; name a "
                                 "target with a node");
  }
  TargetRef ref;
  ref.key = target.key;
  ref.node = target.node;
  ref.emulated = target.emulated;
  if (target.emulated) ref.capacity = target.bytes;
  return ref;
}

// node:N of the machine. An emulated topology may have a target of that key, which then counts.
Result<TargetRef> Parser::resolve_node(const std::string& word) const {
  std::optional<uint32_t> node = small_number(word.substr(5), os::kMaxNodes - 1);
  os::NodeMask allowed;
  bool known = os::allowed_nodes(&allowed) == 0;
  // Without the system call (a filter forbids it) nothing contradicts the number.
  if (!node || (known && !allowed.test(static_cast<int>(*node)))) {
    std::string nodes = known ? node_list(allowed) : "0-" + std::to_string(os::kMaxNodes - 1);
    return error(HMS_ENODEV, "'" + word +
                                 "' does not exist or is not allowed for this process; memory "
                                 "nodes: " +
                                 nodes);
  }
  TargetRef ref;
  ref.key = "node:" + std::to_string(*node);
  ref.node = static_cast<int>(*node);
  return ref;
}

Result<TargetRef> Parser::resolve(const std::string& word) const {
  if (word.empty())
    return error("a target is missing; known names: " + names_that_exist(topology_));
  if (kernel_chosen(word)) {
    TargetRef ref;
    ref.key = word;
    return ref;
  }
  if (attribute(word)) {
    return error("'" + word + "' stands alone: it already is an ordered list of every target");
  }
  const Target* target = topology_ != nullptr ? topology_->find_target(word) : nullptr;
  if (target != nullptr) return from_topology(*target);
  if (node_syntax(word)) return resolve_node(word);
  return error(HMS_ENODEV,
               "'" + word + "' is no target; known names: " + names_that_exist(topology_));
}

Status Parser::add_leg(const std::string& word, uint32_t weight) {
  Result<TargetRef> ref = resolve(word);
  if (!ref.ok()) return ref.status();
  for (const Leg& leg : placement_.legs) {
    if (leg.target.key == ref.value().key) return error("'" + word + "' is named twice");
  }
  if (placement_.legs.size() == kMaxLegs) {
    return error("more than " + std::to_string(kMaxLegs) + " targets");
  }
  placement_.legs.push_back({ref.value(), weight});
  return {};
}

// An attribute is the ordered list of every target that CPUs can use, best first. Emulated targets
// stand in for the nodes below them, which would otherwise appear twice.
Status Parser::fill_attribute(Order order) {
  if (topology_ == nullptr) return error("needs a topology, and none could be loaded");
  topology::Query query;
  query.order = order;
  query.need = HMS_CAP_CPU_ACCESSIBLE;
  Result<std::vector<topology::Match>> matches = topology_->find(query);
  if (!matches.ok()) return error(matches.status().code(), matches.status().message());
  for (const topology::Match& match : matches.value()) {
    const Target* target = topology_->target(match.target);
    if (target == nullptr || target->node < 0 || placement_.legs.size() == kMaxLegs) continue;
    if (topology_->emulated() && !target->emulated) continue;
    Result<TargetRef> ref = from_topology(*target);
    if (ref.ok()) placement_.legs.push_back({ref.value(), 1});
  }
  if (placement_.legs.empty()) return error(HMS_ENODEV, "no target that every CPU can use");
  return {};
}

Status Parser::fill_ordered(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (kernel_chosen(words[i]) && i + 1 < words.size()) {
      return error("'" + words[i] +
                   "' never fills up, so nothing after it would be used; put it last");
    }
    Status added = add_leg(words[i], 1);
    if (!added.ok()) return added;
  }
  return {};
}

// Parts of an interleave ("A*3") or a ratio ("A:4"); in an interleave the weight may be left out.
Status Parser::fill_weighted(const std::vector<std::string>& parts, char mark) {
  for (const std::string& part : parts) {
    size_t at = part.rfind(mark);
    bool has_weight = at != std::string::npos && !(mark == ':' && node_syntax(part));
    if (!has_weight && mark == ':') {
      return error("'" + part + "' has no share; write TARGET:SHARE, such as " +
                   (part.empty() ? "node:0" : part) + ":1");
    }
    uint32_t weight = 1;
    std::string word = part;
    if (has_weight) {
      std::string number = trim(part.substr(at + 1));
      std::optional<uint32_t> value = small_number(number, kMaxWeight);
      if (!value || *value == 0) {
        return error("'" + number + "' is no weight; expected a whole number from 1 to " +
                     std::to_string(kMaxWeight));
      }
      weight = *value;
      word = trim(part.substr(0, at));
    }
    if (mark == '*' && kernel_chosen(word)) {
      return error("'" + word +
                   "' has no node of its own and cannot be interleaved; a ratio can "
                   "hold it");
    }
    Status added = add_leg(word, weight);
    if (!added.ok()) return added;
  }
  return {};
}

Result<Placement> Parser::parse() {
  if (spec_.size() > kMaxSpec) {
    spec_ = spec_.substr(0, 32) + "...";
    return error("longer than " + std::to_string(kMaxSpec) + " characters");
  }
  placement_.spec = spec_;
  const Wishes wishes = split_wishes(spec_);
  const std::string& text = wishes.list;
  placement_.strict = wishes.strict;
  placement_.huge = wishes.huge;
  if (text.empty()) return error("is empty; known names: " + names_that_exist(topology_));
  bool ordered = text.find('>') != std::string::npos;
  bool interleave = text.find('+') != std::string::npos || text.find('*') != std::string::npos;
  bool ratio = text.find(',') != std::string::npos;
  if (ordered + interleave + ratio > 1) {
    return error("mixes '>' (ordered), '+' (interleave) and ',' (ratio); use one of them");
  }
  Status filled;
  if (std::optional<Order> order = attribute(text)) {
    filled = fill_attribute(*order);
  } else if (interleave) {
    placement_.spread = Spread::kInterleave;
    filled = fill_weighted(split(text, '+'), '*');
  } else if (ratio) {
    placement_.spread = Spread::kRatio;
    filled = fill_weighted(split(text, ','), ':');
  } else {
    filled = fill_ordered(split(text, '>'));
  }
  if (!filled.ok()) return filled;
  // One leg is one target, however it was written: one id for all spellings.
  if (placement_.legs.size() == 1) {
    placement_.spread = Spread::kOrdered;
    placement_.legs[0].weight = 1;
  }
  for (const Leg& leg : placement_.legs) {
    if (!placement_.strict || !kernel_chosen(leg.target.key)) continue;
    return error("'!' asks for named targets only, but '" + leg.target.key +
                 "' is wherever the kernel likes; leave one of them out");
  }
  return placement_;
}

}  // namespace

Result<Placement> parse_placement(const std::string& spec, const Topology* topology) {
  return Parser(trim(spec), topology).parse();
}

bool placement_needs_topology(const std::string& spec) {
  size_t begin = 0;
  const std::string text = split_wishes(trim(spec)).list;
  while (begin <= text.size()) {
    size_t end = text.find_first_of(">+,", begin);
    if (end == std::string::npos) end = text.size();
    std::string word = trim(text.substr(begin, end - begin));
    begin = end + 1;
    size_t weight = word.find('*');
    if (weight != std::string::npos) word = trim(word.substr(0, weight));
    // A share ("node:0:4") is the third part of a node, or follows a kernel-chosen word.
    size_t colon = word.rfind(':');
    bool bare = kernel_chosen(word) || node_syntax(word);
    if (!bare && colon != std::string::npos) {
      std::string head = trim(word.substr(0, colon));
      bare = kernel_chosen(head) || node_syntax(head);
    }
    if (!bare) return true;
  }
  return false;
}

}  // namespace hms
