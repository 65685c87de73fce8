// The C interface of the topology: hms_topology_*, hms_*_get, hms_path_cost, hms_find.
#include <string.h>

#include <algorithm>
#include <new>

#include "runtime/support/last_error.h"
#include "runtime/topology/c_handle.h"

namespace {

using hms::fail;
using hms::Status;
namespace topo = hms::topology;

static_assert(static_cast<int>(topo::Provenance::kAssumed) + 1 == HMS_FROM_ASSUMED);
static_assert(static_cast<int>(topo::Provenance::kMeasured) + 1 == HMS_FROM_MEASURED);

hms_kind kind_of(topo::TargetKind kind) {
  switch (kind) {
    case topo::TargetKind::kDram:
      return HMS_KIND_DRAM;
    case topo::TargetKind::kHbm:
      return HMS_KIND_HBM;
    case topo::TargetKind::kCxl:
      return HMS_KIND_CXL;
    case topo::TargetKind::kPmem:
      return HMS_KIND_PMEM;
    case topo::TargetKind::kDevice:
      return HMS_KIND_DEVICE;
    case topo::TargetKind::kUnknown:
      break;
  }
  return HMS_KIND_UNKNOWN;
}

double value_of(const std::optional<topo::Sourced>& s) { return s ? s->value : 0; }

hms_provenance from_of(const std::optional<topo::Sourced>& s) {
  return s ? static_cast<hms_provenance>(static_cast<int>(s->from) + 1) : HMS_FROM_NOWHERE;
}

// Copies as much as the caller's version of the structure holds and keeps its size.
template <typename T>
hms_status give(T value, T* out) {
  size_t room = std::min(out->size, sizeof(T));
  value.size = out->size;
  memcpy(static_cast<void*>(out), &value, room);
  return HMS_OK;
}

template <typename T>
bool usable(const hms_topology* topology, const T* out) {
  return topology && topology->snapshot && out && out->size >= 2 * sizeof(size_t);
}

hms_status bad_arguments() {
  return fail(HMS_EINVAL,
              "topology and the structure must not be NULL, and its member size must be set to "
              "sizeof(the structure)");
}

hms_status no_object(const char* type, hms_id id) {
  return fail(Status(HMS_ENODEV, std::string("no ") + type + " has the id " + std::to_string(id) +
                                     " in this topology (any more)"));
}

// Nothing may be thrown across the C boundary; what can be thrown here is bad_alloc.
template <typename F>
hms_status guarded(F body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(HMS_ENOMEM, "out of memory");
  }
}

}  // namespace

extern "C" {

HMS_API hms_status hms_topology_load(const char* source, hms_topology** out) {
  if (!out) return fail(HMS_EINVAL, "hms_topology_load: out is NULL");
  return guarded([&] {
    auto loaded = topo::Topology::load(source ? source : "");
    if (!loaded.ok()) return fail(loaded.status());
    *out = new hms_topology{std::move(loaded.value())};
    return HMS_OK;
  });
}

HMS_API void hms_topology_free(hms_topology* topology) { delete topology; }

HMS_API hms_status hms_topology_rescan(hms_topology* topology) {
  if (!topology) return fail(HMS_EINVAL, "hms_topology_rescan: topology is NULL");
  return guarded([&] {
    auto next = topo::Topology::rescan(*topology->snapshot);
    if (!next.ok()) return fail(next.status());
    topology->snapshot = std::move(next.value());
    return HMS_OK;
  });
}

HMS_API uint64_t hms_topology_generation(const hms_topology* topology) {
  return topology ? topology->snapshot->generation() : 0;
}

HMS_API size_t hms_topology_count(const hms_topology* topology, hms_object type) {
  if (!topology) return 0;
  const topo::Topology& t = *topology->snapshot;
  switch (type) {
    case HMS_TARGET:
      return t.targets().size();
    case HMS_INITIATOR:
      return t.initiators().size();
    case HMS_LINK:
      return t.links().size();
    case HMS_BRIDGE:
      return t.bridges().size();
  }
  return 0;
}

HMS_API hms_id hms_topology_at(const hms_topology* topology, hms_object type, size_t index) {
  if (index >= hms_topology_count(topology, type)) return 0;
  const topo::Topology& t = *topology->snapshot;
  switch (type) {
    case HMS_TARGET:
      return t.targets()[index].id;
    case HMS_INITIATOR:
      return t.initiators()[index].id;
    case HMS_LINK:
      return t.links()[index].id;
    case HMS_BRIDGE:
      return t.bridges()[index].id;
  }
  return 0;
}

HMS_API hms_id hms_topology_find_key(const hms_topology* topology, const char* key) {
  if (!topology || !key) return 0;
  const topo::Topology& t = *topology->snapshot;
  if (const topo::Target* found = t.find_target(key)) return found->id;
  if (const topo::Initiator* found = t.find_initiator(key)) return found->id;
  return 0;
}

HMS_API hms_status hms_target_get(const hms_topology* topology, hms_id id, hms_target_info* out) {
  if (!usable(topology, out)) return bad_arguments();
  const topo::Target* t = topology->snapshot->target(id);
  if (!t) return no_object("target", id);
  return give<hms_target_info>(
      {0, t->id, kind_of(t->kind), t->key.c_str(), t->label.c_str(), t->bytes, t->free_bytes,
       t->capabilities, t->must_understand, t->node, t->emulated ? 1 : 0},
      out);
}

HMS_API hms_status hms_initiator_get(const hms_topology* topology, hms_id id,
                                     hms_initiator_info* out) {
  if (!usable(topology, out)) return bad_arguments();
  const topo::Initiator* i = topology->snapshot->initiator(id);
  if (!i) return no_object("initiator", id);
  return give<hms_initiator_info>(
      {0, i->id, static_cast<int>(i->kind), i->key.c_str(), i->label.c_str(), i->node}, out);
}

HMS_API hms_status hms_link_get(const hms_topology* topology, hms_id id, hms_link_info* out) {
  if (!usable(topology, out)) return bad_arguments();
  const topo::Link* l = topology->snapshot->link(id);
  if (!l) return no_object("link", id);
  return give<hms_link_info>(
      {0, l->id, l->key.c_str(), l->initiators.data(), l->initiators.size(), l->targets.data(),
       l->targets.size(), value_of(l->properties.bandwidth), value_of(l->properties.latency)},
      out);
}

HMS_API hms_status hms_bridge_get(const hms_topology* topology, hms_id id, hms_bridge_info* out) {
  if (!usable(topology, out)) return bad_arguments();
  const topo::Bridge* b = topology->snapshot->bridge(id);
  if (!b) return no_object("bridge", id);
  return give<hms_bridge_info>(
      {0, b->id, b->key.c_str(), b->from_link, b->to_link, b->initiators.data(),
       b->initiators.size(), value_of(b->properties.bandwidth), value_of(b->properties.latency)},
      out);
}

HMS_API hms_status hms_path_cost(const hms_topology* topology, hms_id initiator, hms_id target,
                                 hms_cost* out) {
  if (!usable(topology, out)) return bad_arguments();
  if (!topology->snapshot->initiator(initiator)) return no_object("initiator", initiator);
  if (!topology->snapshot->target(target)) return no_object("target", target);
  return guarded([&] {
    topo::Path path = topology->snapshot->path(initiator, target);
    const topo::Properties& p = path.properties;
    return give<hms_cost>(
        {0, value_of(p.bandwidth), value_of(p.latency), from_of(p.bandwidth), from_of(p.latency),
         path.reachable ? p.capabilities : 0, path.reachable ? 1 : 0},
        out);
  });
}

HMS_API hms_status hms_find(const hms_topology* topology, const hms_query_spec* query, hms_id* out,
                            size_t* count) {
  if (!topology || !query || !count || (*count > 0 && !out)) {
    return fail(HMS_EINVAL,
                "hms_find: topology, query and count must not be NULL, nor out if "
                "*count is not 0");
  }
  // Fields beyond the caller's version of the structure keep their defaults.
  hms_query_spec spec = {};
  memcpy(static_cast<void*>(&spec), query, std::min(query->size, sizeof spec));
  if (spec.order < HMS_BY_BANDWIDTH || spec.order > HMS_BY_LOCALITY) {
    return fail(HMS_EINVAL, "hms_find: order must be one of HMS_BY_*");
  }
  return guarded([&] {
    topo::Query q;
    if (spec.initiators)
      q.initiators.assign(spec.initiators, spec.initiators + spec.initiator_count);
    q.order = static_cast<topo::Order>(spec.order);
    q.min_bytes = spec.min_bytes;
    q.need = spec.need;
    q.understand = spec.understand;
    auto found = topology->snapshot->find(q);
    if (!found.ok()) return fail(found.status());
    size_t room = *count;
    *count = found.value().size();
    for (size_t i = 0; i < std::min(room, *count); ++i) out[i] = found.value()[i].target;
    return HMS_OK;
  });
}

}  // extern "C"
