// The untrusting reader: see stats_reader.h.
#include "runtime/support/stats_reader.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <chrono>

#include "runtime/support/counters.h"
#include "runtime/support/os.h"

namespace hms {
namespace {

constexpr uint64_t kImpossible = uint64_t{1} << 60;    // no count of ours gets there
constexpr uint64_t kAddressLimit = uint64_t{1} << 57;  // user space with five-level page tables
constexpr size_t kBatch = 8192;                        // pages a system call

// Counters wrap below 0 when an event was lost; a number that large is one of those, or a lie.
uint64_t count(const Counter& counter) {
  uint64_t value = counter.load(std::memory_order_relaxed);
  return value < kImpossible ? value : 0;
}

std::string clean(const char* text, size_t capacity) {
  std::string out(text, strnlen(text, capacity));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out.empty() ? "?" : out;
}

TargetStats read_target(const TargetCounters& t) {
  TargetStats out;
  out.key = clean(t.key, sizeof t.key);
  out.node = t.node >= 0 && t.node < os::kMaxNodes ? t.node : -1;
  out.emulated = t.emulated != 0;
  out.quota = t.quota.load(std::memory_order_relaxed);
  const uint64_t capacity = t.capacity.load(std::memory_order_relaxed);
  out.capacity = capacity != 0 ? capacity : UINT64_MAX;
  out.allocated = count(t.allocated);
  out.freed = count(t.freed);
  uint64_t ever = count(t.inherited) + out.allocated;
  out.live = ever > out.freed ? ever - out.freed : 0;
  out.charged = count(t.charged);
  out.charged_peak = std::max(count(t.charged_peak), out.charged);
  out.refused_quota = count(t.refused_quota);
  out.refused_full = count(t.refused_full);
  out.refused_system = count(t.refused_system);
  out.spilled = count(t.spilled);
  out.migrated_pages = count(t.migrated_pages);
  out.resident = count(t.audit_resident);
  out.verified_pages = count(t.audit_verified);
  out.misplaced_pages = count(t.audit_misplaced);
  return out;
}

// Of a number kept in parts of one; at most `limit`.
double fraction(const Counter& counter, double parts, double limit) {
  return std::min(static_cast<double>(count(counter)) / parts, limit);
}

constexpr double kMillion = 1e6, kThousand = 1e3;

// Like clean(), but nothing stays nothing.
std::string clean_or_empty(const char* text, size_t capacity) {
  return *text == '\0' ? "" : clean(text, capacity);
}

TieringStats read_tiering(const TieringCounters& t) {
  TieringStats out;
  const uint64_t on = t.on.load();
  if (on != 1 && on != 2) return out;
  out.on = true;
  out.ended = on == 2;
  out.sampler = clean_or_empty(t.sampler, sizeof t.sampler);
  out.near = clean_or_empty(t.near_key, sizeof t.near_key);
  out.far = clean_or_empty(t.far_key, sizeof t.far_key);
  out.why = clean_or_empty(t.why, sizeof t.why);
  out.steps = count(t.steps);
  out.hit_ratio = fraction(t.hit_ratio, kMillion, 1);
  out.events_per_s = fraction(t.events, kThousand, 1e15);
  out.price = fraction(t.price, kThousand, 1e15);
  out.cost = fraction(t.cost, kMillion, 1e6);
  out.effort = fraction(t.effort, kMillion, 1);
  out.near_bytes = count(t.near_bytes);
  out.near_used = count(t.near_used);
  out.promoted = count(t.promoted);
  out.demoted = count(t.demoted);
  out.stuck_pages = count(t.stuck);
  out.units = count(t.units);
  for (size_t i = 0; i < kStatsContexts; ++i) {
    const ContextCounters& c = t.contexts[i];
    if (c.object[0] == '\0') break;
    ContextStats context;
    context.object = clean(c.object, sizeof c.object);
    context.offset = count(c.offset);
    context.depth = count(c.depth);
    context.share = fraction(c.share, kMillion, 1);
    context.allocated = count(c.allocated);
    context.class_id = static_cast<unsigned>(std::min<uint64_t>(count(c.class_id), 255));
    const uint64_t woven = t.woven[i / 8].load() >> (i % 8 * 8) & 255;
    if (woven > 0) context.near_share = std::min(static_cast<double>(woven - 1) / 64, 1.0);
    out.contexts.push_back(context);
  }
  return out;
}

// Maps indexes of the page to indexes of the decoded vector; -1 for unused slots.
using SlotMap = std::vector<int>;

uint64_t known_stripes(uint64_t mask, const SlotMap& slots) {
  uint64_t out = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] >= 0 && ((mask == 0) || ((mask >> i) & 1) != 0)) out |= uint64_t{1} << slots[i];
  }
  return out;
}

bool read_window(const WindowRecord& record, const SlotMap& slots, WindowStats* out) {
  uint64_t base = record.base.load(std::memory_order_relaxed);
  uint64_t bytes = record.bytes.load(std::memory_order_relaxed);
  uint64_t target = record.target.load(std::memory_order_relaxed);
  if (base == 0 || base % os::kPageSize != 0 || base >= kAddressLimit) return false;
  if (target >= kStatsTargets || slots[target] < 0) return false;
  out->base = base;
  out->bytes = std::min(record.frontier.load(std::memory_order_relaxed), bytes);
  out->bytes = std::min(out->bytes, kAddressLimit - base) / os::kPageSize * os::kPageSize;
  out->target = static_cast<uint64_t>(slots[target]);
  out->stripes = 0;
  if (record.stripe.load(std::memory_order_relaxed) != 0) {
    out->stripes = known_stripes(record.stripe_targets.load(std::memory_order_relaxed), slots);
  }
  return out->bytes > 0;
}

// Where the pages of one window were found.
struct Found {
  uint64_t on_node[os::kMaxNodes] = {};
  uint64_t unknown = 0;  // on a node beyond our table
};

// The targets of a window that `node` backs; kernel-chosen ones accept every node.
std::vector<TargetStats*> backed_by(int node, const WindowStats& window, ProcessStats* stats) {
  std::vector<TargetStats*> out;
  for (size_t i = 0; i < stats->targets.size(); ++i) {
    bool member = window.stripes != 0 ? ((window.stripes >> i) & 1) != 0 : i == window.target;
    TargetStats* target = &stats->targets[i];
    if (member && (target->node == node || target->node < 0)) out.push_back(target);
  }
  return out;
}

// Emulated targets over one node cannot be told apart by node: such stripes are divided in
// proportion to what is charged to each.
void divide(uint64_t pages, const std::vector<TargetStats*>& among) {
  long double charged = 0;
  for (const TargetStats* t : among) charged += static_cast<long double>(t->charged);
  uint64_t left = pages;
  for (size_t i = 0; i < among.size(); ++i) {
    long double part =
        charged > 0 ? static_cast<long double>(among[i]->charged) / charged : 1.0L / among.size();
    auto share = static_cast<uint64_t>(static_cast<long double>(pages) * part);
    if (i + 1 == among.size() || share > left) share = left;
    among[i]->verified_pages += share;
    among[i]->resident += share * os::kPageSize;
    left -= share;
  }
}

void account(const Found& found, const WindowStats& window, ProcessStats* stats) {
  TargetStats* owner = &stats->targets[window.target];
  uint64_t misplaced = found.unknown;
  for (int node = 0; node < os::kMaxNodes; ++node) {
    if (found.on_node[node] == 0) continue;
    std::vector<TargetStats*> targets = backed_by(node, window, stats);
    if (targets.empty()) {
      misplaced += found.on_node[node];
    } else {
      divide(found.on_node[node], targets);
    }
  }
  owner->misplaced_pages += misplaced;
  owner->resident += misplaced * os::kPageSize;
}

// Runs through windows in batches until the time is over.
class Verifier {
 public:
  Verifier(int pid, double seconds)
      : pid_(pid),
        end_(std::chrono::steady_clock::now() +
             std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6))),
        pages_(kBatch),
        status_(kBatch) {}

  Status scan(const WindowStats& window, Found* found) {
    for (uint64_t done = 0; done < window.bytes;) {
      size_t n = std::min<uint64_t>(kBatch, (window.bytes - done) / os::kPageSize);
      for (size_t i = 0; i < n; ++i, done += os::kPageSize) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses of another process
        pages_[i] = reinterpret_cast<void*>(window.base + done);
      }
      int r = os::query_pages(pid_, n, pages_.data(), status_.data());
      if (r < 0) return refused(r);
      for (size_t i = 0; i < n; ++i) {
        if (status_[i] >= os::kMaxNodes) ++found->unknown;
        if (status_[i] >= 0 && status_[i] < os::kMaxNodes) ++found->on_node[status_[i]];
      }
      if (std::chrono::steady_clock::now() > end_) {
        return {HMS_EPARTIAL, "the process has more pages than could be checked in the time given"};
      }
    }
    return {};
  }

 private:
  Status refused(int error) const {
    std::string who = "process " + std::to_string(pid_);
    if (error == -ESRCH) return {HMS_ENODEV, who + " has ended"};
    if (error == -EPERM || error == -EACCES) {
      return {HMS_EPERM, "not allowed to ask where the pages of " + who +
                             " are; run as its user or with CAP_SYS_PTRACE"};
    }
    if (error == -ENOSYS) return {HMS_ENOSYS, "this kernel has no move_pages"};
    return {HMS_EIO, std::string("move_pages on ") + who + ": " + strerrordesc_np(-error)};
  }

  int pid_;
  std::chrono::steady_clock::time_point end_;
  std::vector<void*> pages_;
  std::vector<int> status_;
};

}  // namespace

Result<ProcessStats> parse_stats(const void* page, size_t bytes) {
  if (bytes < sizeof(StatsPage)) return Status(HMS_EIO, "too short for a counter page");
  // A copy with the right alignment, which the process cannot change under us.
  std::vector<uint64_t> copy(sizeof(StatsPage) / sizeof(uint64_t));
  static_assert(sizeof(StatsPage) % sizeof(uint64_t) == 0);
  memcpy(copy.data(), page, sizeof(StatsPage));
  const auto* in = reinterpret_cast<const StatsPage*>(copy.data());
  if (in->magic != kStatsMagic) return Status(HMS_EIO, "not a counter page");
  if (in->version != kStatsVersion || in->bytes != sizeof(StatsPage)) {
    return Status(HMS_EIO, "a counter page of another version (" + std::to_string(in->version) +
                               "; this is version " + std::to_string(kStatsVersion) + ")");
  }
  ProcessStats out;
  out.pid = in->pid > 0 ? in->pid : 0;
  out.start_time = in->start_time;
  out.stack_start = in->stack_start.load();
  out.program = clean(in->program, sizeof in->program);
  out.exited = in->state.load() == static_cast<uint32_t>(StatsState::kExited);
  out.audited = in->audited.load() == 1;
  out.threads = count(in->threads);
  out.policy_calls = count(in->policy_calls);
  out.slow_events = count(in->heartbeat);
  SlotMap slots(kStatsTargets, -1);
  for (uint32_t i = 0; i < kStatsTargets; ++i) {
    if (in->targets[i].used.load() != 1) continue;
    slots[i] = static_cast<int>(out.targets.size());
    out.targets.push_back(read_target(in->targets[i]));
  }
  out.tiering = read_tiering(in->tiering);
  for (const WindowRecord& record : in->windows) {
    WindowStats window;
    if (read_window(record, slots, &window)) out.windows.push_back(window);
  }
  return out;
}

Status verify_pages(ProcessStats* stats, double seconds) {
  ProcessStats fresh = *stats;
  for (TargetStats& target : fresh.targets) {
    target.resident = target.verified_pages = target.misplaced_pages = 0;
  }
  Verifier verifier(stats->pid, seconds);
  Status status;
  for (const WindowStats& window : fresh.windows) {
    Found found;
    status = verifier.scan(window, &found);
    if (!status.ok() && status.code() != HMS_EPARTIAL) return status;
    account(found, window, &fresh);
    if (!status.ok()) break;
  }
  *stats = std::move(fresh);
  return status;
}

}  // namespace hms
