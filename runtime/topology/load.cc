// Sources by name: from the text a user gives to a Topology.
#include <stdlib.h>

#include "runtime/support/os.h"
#include "runtime/topology/builder.h"
#include "runtime/topology/hwloc_source.h"
#include "runtime/topology/measured.h"
#include "runtime/topology/sysfs.h"
#include "runtime/topology/tiers.h"

namespace hms::topology {
namespace {

using Loaded = Result<std::shared_ptr<const Topology>>;

// Keys of the running machine are one name space, whichever way it was read.
const char kMachine[] = "machine";

Status add_sysfs(const std::string& root, bool devices, Builder* builder) {
  Tree tree(root);
  auto nodes = read_nodes(tree);
  if (!nodes.ok()) return nodes.status();
  add_nodes(nodes.value(), Provenance::kHmat, Provenance::kDriver, builder);
  if (devices) {
    add_devices(tree, nodes.value(), builder);
    add_kfd(tree, builder);
  }
  if (tree.live()) add_measured(builder);
  return {};
}

// What a description of another machine says is laid over the lowest node that this process may
// use, so that placements on it work here.
void lay_over_here(Builder* builder) {
  os::NodeMask allowed;
  int node = 0;
  if (os::allowed_nodes(&allowed) == 0) {
    while (node + 1 < os::kMaxNodes && !allowed.test(node)) ++node;
    if (!allowed.test(node)) node = 0;
  }
  for (Target& t : builder->targets()) {
    t.emulated = true;
    if (t.node >= 0) t.node = node;
  }
}

Loaded load_sysfs(const std::string& source, const std::string& root, bool devices) {
  Builder builder(source, root == "/sys" ? kMachine : source);
  if (Status s = add_sysfs(root, devices, &builder); !s.ok()) return s;
  if (root != "/sys") lay_over_here(&builder);
  return builder.build();
}

Loaded load_live() {
  Builder builder("live", kMachine);
  if (Status s = add_sysfs("/sys", true, &builder); !s.ok()) return s;
  add_hwloc_details(&builder);
  return builder.build();
}

Loaded load_tiers(const std::string& source, const std::string& spec) {
  auto tiers = parse_tiers(spec);
  if (!tiers.ok()) return tiers.status();
  Builder builder(source, kMachine);
  if (Status s = add_sysfs("/sys", false, &builder); !s.ok()) return s;
  if (Status s = add_tiers(tiers.value(), &builder); !s.ok()) return s;
  return builder.build();
}

Loaded load_hwloc(const std::string& source, Status (*add)(const std::string&, Builder*),
                  const std::string& rest) {
  Builder builder(source, source);
  if (Status s = add(rest, &builder); !s.ok()) return s;
  lay_over_here(&builder);
  return builder.build();
}

Loaded load_named(const std::string& source) {
  auto rest = [&source](const char* prefix) -> std::optional<std::string> {
    std::string p = prefix;
    if (source.compare(0, p.size(), p) != 0) return std::nullopt;
    return source.substr(p.size());
  };
  if (source == "live") return load_live();
  if (source == "sysfs") return load_sysfs(source, "/sys", false);
  if (auto root = rest("sysfs:")) return load_sysfs(source, *root, true);
  if (auto spec = rest("tiers:")) return load_tiers(source, *spec);
  if (auto file = rest("xml:")) return load_hwloc(source, add_hwloc_xml, *file);
  if (auto spec = rest("synthetic:")) return load_hwloc(source, add_hwloc_synthetic, *spec);
  return Status(HMS_EINVAL, "topology source '" + source +
                                "' is not known; expected live, sysfs, sysfs:ROOT, xml:FILE, "
                                "synthetic:SPEC or tiers:SPEC");
}

}  // namespace

Loaded Topology::load(const std::string& source) {
  if (!source.empty()) return load_named(source);
  // A set-user-ID program does not let its caller describe its memory.
  const char* from_environment = secure_getenv("HMS_TOPOLOGY");
  if (!from_environment || !*from_environment) return load_named("live");
  Loaded loaded = load_named(from_environment);
  if (loaded.ok()) return loaded;
  return Status(loaded.status().code(), "HMS_TOPOLOGY: " + loaded.status().message());
}

Loaded Topology::rescan(const Topology& previous) {
  Loaded loaded = load_named(previous.source());
  if (!loaded.ok()) return loaded;
  auto next = std::make_shared<Topology>(*loaded.value());
  Builder::succeed(previous, next.get());
  return std::shared_ptr<const Topology>(std::move(next));
}

}  // namespace hms::topology
