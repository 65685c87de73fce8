// Collects what sources say and turns it into a Topology: interns ids, keeps the most trusted
// number of each pair, merges pairs into links. Sources and tests use nothing else.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/topology/topology.h"

namespace hms::topology {

// What sits at one end of an interconnect: a socket with its memory, a GPU with its own ...
struct Place {
  std::vector<Id> initiators;
  std::vector<Id> targets;
};

class Builder {
 public:
  // `scope` separates the keys of different machines: "node:0" of an XML file is not ours.
  Builder(std::string source, std::string scope);

  // Adds an object, fills in its id and returns it. A key that exists already is left as it is.
  Id add_target(Target target);
  Id add_initiator(Initiator initiator);
  Target* target(Id id);
  Initiator* initiator(Id id);
  Target* find_target(const std::string& key);
  Initiator* find_initiator(const std::string& key);
  std::vector<Target>& targets() { return t_->targets_; }
  const std::vector<Target>& targets() const { return t_->targets_; }
  std::vector<Initiator>& initiators() { return t_->initiators_; }
  const std::vector<Initiator>& initiators() const { return t_->initiators_; }

  // A direct statement about one pair. Numbers merge by provenance.
  void state(Id initiator, Id target, const Properties& said);
  // What has been stated so far; null: nothing.
  const Properties* stated(Id initiator, Id target) const;

  // A link as the source describes it, where graphs are described and not measured by pairs.
  Id connect(std::vector<Id> initiators, std::vector<Id> targets, const Properties& properties);
  Id add_bridge(Id from_link, Id to_link, std::vector<Id> initiators, const Properties& properties);
  // Two places joined both ways. At the end, places that are all joined pairwise at the same cost
  // become one link; a ring stays a chain of links of two.
  size_t add_place(Place place);
  void join(size_t place_a, size_t place_b, const Properties& properties);

  // Ends the collection; the builder is empty afterwards.
  std::shared_ptr<const Topology> build();

  // Gives `next` the identity of a later scan of the same source.
  static void succeed(const Topology& previous, Topology* next);

 private:
  struct Join {
    size_t a, b;
    Properties properties;
  };
  void merge_joins();
  void merge_statements();
  std::string link_key(const Link& link) const;
  void index_links();

  std::shared_ptr<Topology> t_;
  std::vector<Place> places_;
  std::vector<Join> joins_;
  std::unordered_map<std::string, int> key_uses_;
};

}  // namespace hms::topology
