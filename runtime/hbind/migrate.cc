// migrate and residency: pages that exist, a batch at a time. The mutex is dropped between batches,
// so that others are not held up for long; pages that come or go meanwhile are counted as found.
#include <algorithm>
#include <string>

#include "runtime/hbind/hbind.h"
#include "runtime/hbind/node_pages.h"
#include "runtime/support/mappings.h"

namespace hms::hbind {
namespace {

// NUMA balancing takes away the access rights of pages that it watches, and move_pages takes those
// for absent (Linux 6.1). Faulting such pages in for reading brings them back. The pages of the
// batch are neighbours.
int locate_hidden(Batch* batch) {
  int r = locate(batch);
  if (r < 0) return r;
  unsigned char exists[kBatchPages];
  PageSpan span{batch->pages[0], batch->pages[0] + batch->count};
  if (os::resident(span.address(), span.bytes(), exists) < 0) return 0;
  bool found = false;
  for (size_t i = 0; i < batch->count; ++i) {
    if (batch->node[i] >= 0 || !(exists[i] & 1)) continue;
    PageSpan one{batch->pages[i], batch->pages[i] + 1};
    found = os::populate_read(one.address(), one.bytes()) == 0 || found;
  }
  return found ? locate(batch) : 0;
}

// Calls visit(Batch*) -> Status under the mutex for all pages of the segments. Batches end where
// huge pages do: one that is moved takes all of its pages along, and they shall be counted.
template <typename Visitor>
Status for_each_batch(const std::vector<Segment>& segments, std::mutex* mutex, Visitor visit) {
  for (const Segment& segment : segments) {
    for (Page at = segment.span.begin; at < segment.span.end;) {
      Batch batch;
      Page end = std::min<Page>(segment.span.end, (at / kBatchPages + 1) * kBatchPages);
      for (; at < end; ++at) batch.pages[batch.count++] = at;
      std::lock_guard<std::mutex> hold(*mutex);
      int r = segment.anonymous ? locate_hidden(&batch) : locate(&batch);
      if (r < 0) return {status_of(r), "the kernel, or a system call filter, refuses move_pages"};
      Status status = visit(&batch);
      if (!status.ok()) return status;
    }
  }
  return {};
}

// Pages as runs of neighbours, so that the ledger is not called for each.
template <typename Visitor>
void for_each_run(const Batch& batch, const bool* chosen, Visitor visit) {
  for (size_t i = 0; i < batch.count;) {
    if (!chosen[i]) {
      ++i;
      continue;
    }
    PageSpan run{batch.pages[i], batch.pages[i] + 1};
    for (++i; i < batch.count && chosen[i] && batch.pages[i] == run.end; ++i) ++run.end;
    visit(run);
  }
}

}  // namespace

// One migrate operation.
class MigrateRun {
 public:
  MigrateRun(Engine* engine, hms_op* op, const TargetList& list)
      : engine_(engine), op_(op), list_(list), full_(list.targets.size(), false) {}

  Status run(const std::vector<Segment>& segments) {
    if (op_->flags & HMS_STRICT) {
      Status room = check_room(segments);
      if (!room.ok()) return room;
    }
    op_->pages_present = 0;
    Status status = for_each_batch(segments, &engine_->mutex_, [&](Batch* b) { return place(*b); });
    if (!status.ok() && !acted_) return status;
    if (!status.ok()) {
      return {HMS_EPARTIAL, "stopped on the way: " + status.message()};
    }
    if (op_->pages_failed == 0) return {};
    return {HMS_EPARTIAL, std::to_string(op_->pages_failed) + " of " +
                              std::to_string(op_->pages_present) +
                              " pages stayed on none of the targets: those are full, or the pages "
                              "are pinned or shared with other processes"};
  }

 private:
  // Strict: is there room for all that is on none of the targets?
  Status check_room(const std::vector<Segment>& segments) {
    uint64_t homeless = 0;
    Status status = for_each_batch(segments, &engine_->mutex_, [&](Batch* batch) {
      Batch rest = *batch;
      keep_existing(&rest);
      bool held[kBatchPages] = {};
      for (const BoundTarget* target : list_.targets) target->backend->held(rest, *target, held);
      homeless += rest.count - static_cast<uint64_t>(std::count(held, held + rest.count, true));
      return Status();
    });
    if (!status.ok()) return status;
    std::lock_guard<std::mutex> hold(engine_->mutex_);
    uint64_t room = 0;
    for (const BoundTarget* target : list_.targets) {
      RoomRequest request;
      request.wanted = homeless * os::kPageSize;
      request.strict = true;
      room += target->backend->room(*target, request) / os::kPageSize;
      if (room >= homeless) return {};
    }
    if (room >= homeless) return {};
    return {HMS_ENOMEM, "the targets lack room for " +
                            std::to_string((homeless - room) * os::kPageSize) +
                            " bytes; add a target to the list, or leave out HMS_STRICT"};
  }

  // Each target in turn is offered what those before it did not take.
  Status place(const Batch& all) {
    Batch rest = all;
    keep_existing(&rest);
    op_->pages_present += rest.count;
    for (size_t k = 0; k < list_.targets.size() && rest.count > 0; ++k) {
      const BoundTarget& target = *list_.targets[k];
      bool there[kBatchPages] = {};
      target.backend->held(rest, target, there);
      drop(there, &rest);
      if (full_[k] || rest.count == 0) continue;
      bool done[kBatchPages] = {};
      hms_status status = target.backend->move(rest, target, done);
      account(rest, done, k);
      drop(done, &rest);
      if (status == HMS_ENOMEM) full_[k] = true;
      if (status != HMS_OK && status != HMS_ENOMEM) {
        op_->pages_failed += rest.count;
        return {status,
                "the kernel, or a system call filter, refuses to move pages to " + target.key};
      }
    }
    op_->pages_failed += rest.count;
    return {};
  }

  // Drops absent pages. Those on devices are absent to the kernel, not to their back end.
  void keep_existing(Batch* batch) const {
    bool absent[kBatchPages];
    bool on_device[kBatchPages] = {};
    engine_->held_by_devices(*batch, on_device);
    for (size_t i = 0; i < batch->count; ++i) absent[i] = batch->node[i] < 0 && !on_device[i];
    drop(absent, batch);
  }

  static void drop(const bool* gone, Batch* batch) {
    size_t left = 0;
    for (size_t i = 0; i < batch->count; ++i) {
      if (gone[i]) continue;
      batch->pages[left] = batch->pages[i];
      batch->node[left++] = batch->node[i];
    }
    batch->count = left;
  }

  void account(const Batch& batch, const bool* done, size_t k) {
    const BoundTarget& target = *list_.targets[k];
    uint64_t pages = 0;
    for_each_run(batch, done, [&](PageSpan run) {
      pages += run.pages();
      engine_->moved(run, target);
    });
    acted_ = acted_ || pages > 0;
    if (op_->moved) op_->moved[list_.position[k]].pages += pages;
  }

  Engine* engine_;
  hms_op* op_;
  const TargetList& list_;
  std::vector<bool> full_;
  bool acted_ = false;
};

// The ledger after pages went to a target. Promises to nodes follow policy, not pages: they stay.
void Engine::moved(PageSpan run, const BoundTarget& target) {
  if (target.backend->charges()) {
    ledger_.charge(run, target.slot);
    return;
  }
  std::vector<PageSpan> left;
  ledger_.map().for_each(run, [&](PageSpan piece, Slot slot) {
    if (registry_.at(slot).emulated) left.push_back(piece);
  });
  for (PageSpan piece : left) ledger_.release(piece);
}

void Engine::held_by_devices(const Batch& batch, bool* held) const {
  for (size_t i = 0; i < registry_.size(); ++i) {
    const BoundTarget& target = registry_.at(static_cast<Slot>(i));
    if (target.node < 0 && target.backend && !target.emulated) {
      target.backend->held(batch, target, held);
    }
  }
}

Status Engine::migrate(hms_op* op, const TargetList& list) {
  PageSpan span = *make_span(op->address, op->length);
  std::vector<Segment> segments;
  {
    std::lock_guard<std::mutex> hold(mutex_);
    segments = survey(span);
  }
  uint64_t mapped = 0;
  for (const Segment& segment : segments) mapped += segment.span.bytes();
  op->bytes_unmapped = span.bytes() - mapped;
  return MigrateRun(this, op, list).run(segments);
}

Result<Residency> Engine::residency(const topology::Topology& topology, PageSpan span) {
  // Devices and emulated targets first: what they hold may lie on, or hide from, a node.
  std::vector<const BoundTarget*> targets;
  std::vector<size_t> place;
  std::vector<uint64_t> pages(topology.targets().size(), 0);
  std::vector<Segment> segments;
  {
    std::lock_guard<std::mutex> hold(mutex_);
    for (int round = 0; round < 2; ++round) {
      for (size_t i = 0; i < topology.targets().size(); ++i) {
        const topology::Target& target = topology.targets()[i];
        bool is_node = target.node >= 0 && !target.emulated;
        if (is_node != (round == 1)) continue;
        const BoundTarget* bound = registry_.intern(target);
        if (!bound || !bound->backend) continue;
        targets.push_back(bound);
        place.push_back(i);
      }
    }
    segments = survey(span);
  }
  Residency out;
  uint64_t seen = 0;
  Status status = for_each_batch(segments, &mutex_, [&](Batch* batch) {
    bool held[kBatchPages] = {};
    bool before[kBatchPages] = {};
    for (size_t t = 0; t < targets.size(); ++t) {
      targets[t]->backend->held(*batch, *targets[t], held);
      for (size_t i = 0; i < batch->count; ++i) {
        if (held[i] && !before[i]) ++pages[place[t]];
        before[i] = held[i];
      }
    }
    for (size_t i = 0; i < batch->count; ++i) {
      if (held[i]) continue;
      ++(batch->node[i] >= 0 ? out.elsewhere : out.absent);
    }
    seen += batch->count;
    return Status();
  });
  if (!status.ok()) return status;
  out.absent += span.pages() - seen;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (pages[i] > 0) out.on.push_back(hms_moved{topology.targets()[i].id, pages[i]});
  }
  return out;
}

}  // namespace hms::hbind
