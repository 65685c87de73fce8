// The C interface of range placement: hms_bind, hms_migrate, hms_unbind, hms_submit, hms_query,
// hms_residency, hms_munmap, hms_mremap. Arguments in, the engine, results out.
#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <vector>

#include "runtime/hbind/hbind.h"
#include "runtime/support/last_error.h"
#include "runtime/topology/c_handle.h"

namespace {

using hms::fail;
namespace hbind = hms::hbind;

// Nothing may be thrown across the C boundary; what can be thrown here is bad_alloc.
template <typename F>
hms_status guarded(F body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(HMS_ENOMEM, "no memory for the range map");
  }
}

hms_status submit(const hms_topology* topology, const std::vector<hms_op*>& ops) {
  // The snapshot is held: a rescan of the handle cannot take it away.
  std::shared_ptr<const hms::topology::Topology> snapshot;
  if (topology) snapshot = topology->snapshot;
  return fail(hbind::process_engine().submit(snapshot.get(), ops));
}

hms_op make_op(hms_op_code code, void* address, size_t length) {
  hms_op op = {};
  op.size = sizeof op;
  op.code = code;
  op.address = address;
  op.length = length;
  return op;
}

hms_status submit_list(const hms_topology* topology, hms_op op, const hms_id* targets,
                       size_t target_count, unsigned flags, hms_moved* moved) {
  op.targets = targets;
  op.target_count = target_count;
  op.flags = flags;
  op.moved = moved;
  return guarded([&] { return submit(topology, {&op}); });
}

hms_piece piece_of(const hbind::Engine::PolicyPiece& from) {
  hms_piece piece = {};
  const hbind::Policy& policy = *from.value.policy;
  piece.address = from.span.address();
  piece.length = from.span.bytes();
  piece.flags = policy.flags;
  piece.target_count = policy.ids.size();
  size_t shown = std::min(policy.ids.size(), sizeof piece.targets / sizeof piece.targets[0]);
  std::copy_n(policy.ids.begin(), shown, piece.targets);
  return piece;
}

hms_status bad_range() {
  return fail(HMS_EINVAL, "the range wraps around the end of the address space");
}

}  // namespace

extern "C" {

HMS_API hms_status hms_bind(const hms_topology* topology, void* address, size_t length,
                            const hms_id* targets, size_t target_count, unsigned flags) {
  return submit_list(topology, make_op(HMS_OP_BIND, address, length), targets, target_count, flags,
                     nullptr);
}

HMS_API hms_status hms_migrate(const hms_topology* topology, void* address, size_t length,
                               const hms_id* targets, size_t target_count, unsigned flags,
                               hms_moved* moved) {
  return submit_list(topology, make_op(HMS_OP_MIGRATE, address, length), targets, target_count,
                     flags, moved);
}

HMS_API hms_status hms_unbind(void* address, size_t length) {
  hms_op op = make_op(HMS_OP_UNBIND, address, length);
  return guarded([&] { return submit(nullptr, {&op}); });
}

HMS_API hms_status hms_submit(const hms_topology* topology, hms_op* ops, size_t count) {
  if (count == 0) return HMS_OK;
  if (!ops) return fail(HMS_EINVAL, "ops is NULL, but count is not 0");
  // A program made for a later version has longer operations, all of the same length.
  size_t stride = ops[0].size;
  if (stride < sizeof(hms_op) || stride % alignof(hms_op) != 0) {
    return fail(HMS_EINVAL, "the member size of an operation must be set to sizeof(hms_op)");
  }
  return guarded([&] {
    std::vector<hms_op*> list;
    for (size_t i = 0; i < count; ++i) {
      auto* op = reinterpret_cast<hms_op*>(reinterpret_cast<char*>(ops) + i * stride);
      if (op->size != stride) {
        return fail(HMS_EINVAL, "the member size differs between operations of one batch");
      }
      list.push_back(op);
    }
    return submit(topology, list);
  });
}

HMS_API hms_status hms_query(const void* address, size_t length, hms_piece* out, size_t* count) {
  if (!count || (!out && *count > 0)) {
    return fail(HMS_EINVAL, "count must not be NULL, nor out while *count is not 0");
  }
  std::optional<hbind::PageSpan> span = hbind::covering_span(address, length);
  if (!span) return bad_range();
  return guarded([&] {
    auto pieces = hbind::process_engine().query(*span);
    for (size_t i = 0; i < std::min(*count, pieces.size()); ++i) out[i] = piece_of(pieces[i]);
    *count = pieces.size();
    return HMS_OK;
  });
}

HMS_API hms_status hms_residency(const hms_topology* topology, const void* address, size_t length,
                                 hms_moved* out, size_t* count, uint64_t* absent,
                                 uint64_t* elsewhere) {
  if (!topology || !topology->snapshot || !count || (!out && *count > 0)) {
    return fail(HMS_EINVAL, "topology and count must not be NULL, nor out while *count is not 0");
  }
  std::optional<hbind::PageSpan> span = hbind::covering_span(address, length);
  if (!span) return bad_range();
  return guarded([&] {
    std::shared_ptr<const hms::topology::Topology> snapshot = topology->snapshot;
    auto found = hbind::process_engine().residency(*snapshot, *span);
    if (!found.ok()) return fail(found.status());
    const std::vector<hms_moved>& on = found.value().on;
    std::copy_n(on.begin(), std::min(*count, on.size()), out);
    *count = on.size();
    if (absent) *absent = found.value().absent;
    if (elsewhere) *elsewhere = found.value().elsewhere;
    return HMS_OK;
  });
}

HMS_API int hms_munmap(void* address, size_t length) {
  int r = 0;
  try {
    r = hbind::process_engine().unmap(address, length);
  } catch (const std::bad_alloc&) {
    // The range is gone; its records will be found stale when they are next looked at.
  }
  if (r == 0) return 0;
  errno = -r;
  return -1;
}

HMS_API void* hms_mremap(void* address, size_t old_length, size_t new_length, int flags,
                         void* new_address) {
  void* out = MAP_FAILED;
  int r = 0;
  try {
    r = hbind::process_engine().remap(address, old_length, new_length, flags, new_address, &out);
  } catch (const std::bad_alloc&) {
    // Before the call, `out` is unset and nothing happened; after it, the records are stale.
    if (out == MAP_FAILED) r = -ENOMEM;
  }
  if (r == 0) return out;
  errno = -r;
  return MAP_FAILED;
}

}  // extern "C"
