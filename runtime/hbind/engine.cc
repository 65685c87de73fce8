// Validation of batches, their order of work, and the process's engine.
#include <pthread.h>
#include <string.h>

#include <new>
#include <string>

#include "runtime/hbind/hbind.h"
#include "runtime/support/log.h"

namespace hms::hbind {
namespace {

// The caller may have put any number there, which an enumeration must not be read as.
int code_of(const hms_op& op) {
  int code = 0;
  static_assert(sizeof code == sizeof op.code);
  memcpy(&code, &op.code, sizeof code);
  return code;
}

std::string describe(const hms_op& op, size_t index) {
  static const char* const kVerbs[] = {"", "bind ", "migrate ", "unbind "};
  int code = code_of(op);
  const char* verb = code >= HMS_OP_BIND && code <= HMS_OP_UNBIND ? kVerbs[code] : "";
  return std::string(verb) + "(operation " + std::to_string(index) + "): ";
}

void clear_results(hms_op* op) {
  op->status = HMS_OK;
  op->pages_present = op->pages_failed = 0;
  op->bytes_unmapped = op->bytes_no_room = op->targets_skipped = 0;
}

void clear_moved(hms_op* op, const topology::Id* ids) {
  if (!op->moved || op->code != HMS_OP_MIGRATE) return;
  for (size_t i = 0; i < op->target_count; ++i) op->moved[i] = hms_moved{ids[i], 0};
}

// What can be said about an op without asking anybody else.
Status check_shape(const hms_op& op) {
  int code = code_of(op);
  if (code < HMS_OP_BIND || code > HMS_OP_UNBIND) {
    return {HMS_EINVAL, "operation code " + std::to_string(code) +
                            " is none of HMS_OP_BIND, HMS_OP_MIGRATE, HMS_OP_UNBIND"};
  }
  if ((op.flags & ~HMS_STRICT) != 0 || (op.code == HMS_OP_UNBIND && op.flags != 0)) {
    return {HMS_EINVAL, "flags " + std::to_string(op.flags) +
                            ": only HMS_STRICT is known, and only "
                            "for bind and migrate"};
  }
  if (!make_span(op.address, op.length)) {
    return {HMS_EINVAL, "the range must begin at a multiple of " + std::to_string(os::kPageSize) +
                            " and end within the address space"};
  }
  if (op.code == HMS_OP_UNBIND) return {};
  constexpr size_t kLongestList = 4096;
  if (!op.targets || op.target_count == 0 || op.target_count > kLongestList) {
    return {HMS_EINVAL, "the list of targets has " + std::to_string(op.target_count) +
                            " entries; 1 to " + std::to_string(kLongestList) + " are possible"};
  }
  return {};
}

}  // namespace

Engine::Engine() {
  registry_.add(make_node_backend(&ledger_));
  registry_.add(make_emulated_backend(&ledger_));
}

bool Engine::add_backend(std::unique_ptr<Backend> backend) {
  std::lock_guard<std::mutex> hold(mutex_);
  return registry_.add(std::move(backend));
}

Status Engine::usable(const topology::Topology& topology, topology::Id id, Operation operation,
                      const BoundTarget** out) {
  const topology::Target* target = topology.target(id);
  if (!target) {
    return {HMS_ENODEV, "no target has the id " + std::to_string(id) + " in this topology"};
  }
  const BoundTarget* bound = registry_.intern(*target);
  if (!bound) return {HMS_ENOMEM, "too many different targets in one process"};
  if (!bound->backend) {
    return {HMS_ENOSYS, "target " + target->key +
                            " is not memory of the operating system, and no back end for such a "
                            "device is loaded"};
  }
  hms_status can = bound->backend->supports(operation, *bound);
  if (can == HMS_ENODEV) {
    return {can, "target " + target->key +
                     " is closed to this process: see Mems_allowed in /proc/self/status"};
  }
  if (can != HMS_OK) {
    return {can, "target " + target->key + " cannot hold pages of a CPU's address range"};
  }
  *out = bound;
  return {};
}

Status Engine::validate(const topology::Topology* topology, const hms_op& op, TargetList* list) {
  Status shape = check_shape(op);
  if (!shape.ok() || op.code == HMS_OP_UNBIND) return shape;
  if (!topology) return {HMS_EINVAL, "a list of targets needs a topology"};
  Operation operation = op.code == HMS_OP_BIND ? Operation::kBind : Operation::kMigrate;
  Status reason;
  for (size_t i = 0; i < op.target_count; ++i) {
    const BoundTarget* target = nullptr;
    Status status = usable(*topology, op.targets[i], operation, &target);
    if (status.ok()) {
      list->ids.push_back(op.targets[i]);
      list->targets.push_back(target);
      list->position.push_back(i);
      continue;
    }
    if (op.flags & HMS_STRICT) return status;
    log(LogLevel::kInfo, "left out of a list: %s", status.message().c_str());
    ++list->skipped;
    if (reason.ok()) reason = status;
  }
  // Leaving out is for lists of which something is left.
  return list->targets.empty() ? reason : Status();
}

Status Engine::run(hms_op* op, const TargetList& list) {
  if (op->length == 0) return {};
  if (op->code == HMS_OP_MIGRATE) return migrate(op, list);
  std::lock_guard<std::mutex> hold(mutex_);
  Status status = op->code == HMS_OP_BIND ? bind(op, list) : unbind(op);
  tell();
  return status;
}

Status Engine::submit(const topology::Topology* topology, const std::vector<hms_op*>& ops) {
  std::vector<TargetList> lists(ops.size());
  Status first;
  {
    std::lock_guard<std::mutex> hold(mutex_);
    for (size_t i = 0; i < ops.size(); ++i) {
      clear_results(ops[i]);
      Status status = validate(topology, *ops[i], &lists[i]);
      ops[i]->status = status.code();
      if (first.ok() && !status.ok()) {
        first = Status(status.code(), describe(*ops[i], i) + status.message());
      }
    }
  }
  if (!first.ok()) {
    for (hms_op* op : ops) {
      if (op->status == HMS_OK) op->status = HMS_ECANCELED;
    }
    return first;
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    ops[i]->targets_skipped = lists[i].skipped;
    clear_moved(ops[i], ops[i]->targets);
    Status status;
    try {
      status = run(ops[i], lists[i]);
    } catch (const std::bad_alloc&) {
      status = Status(HMS_ENOMEM, "no memory for the range map");
    }
    ops[i]->status = status.code();
    if (first.ok() && !status.ok()) {
      first = Status(status.code(), describe(*ops[i], i) + status.message());
    }
  }
  return first;
}

std::vector<Engine::PolicyPiece> Engine::query(PageSpan span) {
  std::lock_guard<std::mutex> hold(mutex_);
  survey(span);
  return policies_.pieces(span);
}

Engine& process_engine() {
  static Engine* engine = [] {
    auto* made = new Engine;
    // The child of a fork inherits the kernel's policies, so it needs the maps; taking the mutex
    // around fork makes its copy whole. Libraries registered later prepare earlier, so the mutex is
    // taken before an allocator's locks, as in every other call here.
    pthread_atfork([] { process_engine().lock(); }, [] { process_engine().unlock(); },
                   [] { process_engine().unlock(); });
    return made;
  }();
  return *engine;
}

}  // namespace hms::hbind
