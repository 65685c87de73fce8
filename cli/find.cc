// `hms find`: the best targets for a set of initiators, in order, with reasons.
#include <stdio.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/topology_view.h"
#include "runtime/support/size.h"
#include "runtime/topology/units.h"

namespace hms::cli {
namespace {

using topology::Topology;

struct Options {
  std::vector<std::string> from;
  std::string by;
  std::string size;
  std::vector<std::string> need;
  std::vector<std::string> understand;
  std::string input;
  bool json = false;
};

constexpr const char* kOrders[] = {"bandwidth", "latency", "capacity", "locality"};

int complain(const std::string& message, int code) {
  fprintf(stderr, "hms find: %s\n", message.c_str());
  return code;
}

Result<std::vector<topology::Id>> resolve(const Topology& t,
                                          const std::vector<std::string>& names) {
  std::vector<topology::Id> out;
  for (const std::string& name : names) {
    if (const auto* found = t.find_initiator(name)) {
      out.push_back(found->id);
      continue;
    }
    std::string known;
    for (const auto& i : t.initiators()) known += (known.empty() ? "" : ", ") + i.key;
    return Status(HMS_ENODEV, "no initiator is called '" + name +
                                  "'; there are: " + (known.empty() ? "none" : known));
  }
  return out;
}

nlohmann::ordered_json to_json(const Topology& t, const Options& options,
                               const std::vector<topology::Match>& matches) {
  nlohmann::ordered_json out = {
      {"schema", 1},      {"source", t.source()},     {"from", options.from},
      {"by", options.by}, {"emulated", t.emulated()}, {"targets", nlohmann::ordered_json::array()}};
  for (const auto& m : matches) {
    const auto* x = t.target(m.target);
    nlohmann::ordered_json one = {{"key", x->key},          {"id", x->id},
                                  {"label", x->label},      {"kind", to_string(x->kind)},
                                  {"bytes", x->bytes},      {"free_bytes", x->free_bytes},
                                  {"emulated", x->emulated}};
    put_properties(m.properties, &one);
    one["capabilities"] = capability_names(m.properties.capabilities);
    one["reason"] = m.reason;
    out["targets"].push_back(std::move(one));
  }
  return out;
}

std::string to_table(const Topology& t, const std::vector<topology::Match>& matches) {
  std::vector<std::vector<std::string>> rows{{"target", "name", "kind", "capacity", "reason"}};
  for (const auto& m : matches) {
    const auto* x = t.target(m.target);
    rows.push_back({x->key, x->label.empty() ? "-" : x->label, to_string(x->kind),
                    topology::format_bytes(x->bytes), m.reason});
  }
  return columns(rows);
}

// Why nothing matched: the most helpful filter to loosen.
std::string why_none(const Topology& t, const topology::Query& q) {
  topology::Query open = q;
  open.understand = UINT32_MAX;
  if (auto r = t.find(open); r.ok() && !r.value().empty()) {
    return "the only matches are memories that must be asked for by name (--understand)";
  }
  open = q;
  open.min_bytes = 0;
  if (auto r = t.find(open); r.ok() && !r.value().empty()) {
    return "no match is that large (--size)";
  }
  open = q;
  open.need = 0;
  if (auto r = t.find(open); r.ok() && !r.value().empty()) {
    return "no match has these capabilities (--need)";
  }
  return "no target is reachable by all of these initiators";
}

int run(const Options& options) {
  topology::Query query;
  auto order = std::find(std::begin(kOrders), std::end(kOrders), options.by) - std::begin(kOrders);
  query.order = static_cast<topology::Order>(order);
  if (!options.size.empty()) {
    auto size = parse_size(options.size);
    if (!size.ok()) return complain("--size: " + size.status().message(), kUsage);
    query.min_bytes = size.value();
  }
  auto need = parse_capabilities(options.need);
  if (!need.ok()) return complain("--need: " + need.status().message(), kUsage);
  auto understand = parse_capabilities(options.understand);
  if (!understand.ok()) return complain("--understand: " + understand.status().message(), kUsage);
  query.need = need.value();
  query.understand = understand.value();

  auto loaded = Topology::load(options.input);
  if (!loaded.ok()) return complain(loaded.status().message(), kFailed);
  const Topology& t = *loaded.value();
  auto from = resolve(t, options.from);
  if (!from.ok()) return complain(from.status().message(), kFailed);
  query.initiators = from.value();
  auto matches = t.find(query);
  if (!matches.ok()) return complain(matches.status().message(), kFailed);
  std::string text =
      options.json ? json_text(to_json(t, options, matches.value())) : to_table(t, matches.value());
  if (options.json || !matches.value().empty()) fputs(text.c_str(), stdout);
  if (matches.value().empty()) return complain("nothing found: " + why_none(t, query), kFailed);
  return 0;
}

void setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* find = app.add_subcommand("find", "The best memories for some initiators, in order");
  find->add_option(
          "--from", options->from,
          "Initiators, such as cpu:0 or pci:0000:41:00.0; the answer holds for all of them")
      ->required()
      ->delimiter(',');
  find->add_option("--by", options->by, "bandwidth, latency, capacity or locality")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kOrders), std::end(kOrders))));
  find->add_option("--size", options->size, "Leave out memories smaller than this, such as 8G");
  find->add_option("--need", options->need, "Capabilities that the memory must have")
      ->delimiter(',');
  find->add_option("--understand", options->understand,
                   "Opt in to memories with these must-understand capabilities")
      ->delimiter(',');
  find->add_option("--input", options->input,
                   "live, sysfs, sysfs:ROOT, xml:FILE, synthetic:SPEC or tiers:SPEC; default "
                   "$HMS_TOPOLOGY, else live");
  find->add_flag("--json", options->json, "JSON instead of a table");
  find->callback([options] { finish(run(*options)); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
