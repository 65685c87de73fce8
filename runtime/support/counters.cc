// The counter page of this process: memory of its own until stats_publish() lays a file over it.
// Nothing here allocates: the callers are inside malloc.
#include "runtime/support/counters.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <new>

#include "runtime/support/control.h"
#include "runtime/support/os.h"
#include "runtime/support/os_files.h"

namespace hms {
namespace {

constexpr size_t kPageBytes = (sizeof(StatsPage) + os::kPageSize - 1) & ~(os::kPageSize - 1);
constexpr size_t kMaxPath = 256;

// Whole pages of their own, so that a mapping can replace them.
alignas(os::kPageSize) char page_memory[kPageBytes];

enum class Publication { kNotYet, kBusy, kDone, kRefused };
std::atomic<Publication> publication{Publication::kNotYet};
std::atomic_flag targets_busy = ATOMIC_FLAG_INIT;

// What stats_init() learned.
struct Identity {
  std::atomic<bool> known{false};
  int pid = 0;
  uint64_t start_time = 0;
  unsigned image = 0;            // kept pages of this process's earlier images (exec)
  bool keep = false;             // a launcher wants the file after the end
  bool in_launcher_dir = false;  // the file is in the launcher's directory
  bool takes_rules = false;
  unsigned user = 0;                 // whose directory the file is in
  char launcher_dir[kMaxPath] = {};  // "" if there is none
};
Identity self;

// A lock that a crash of its holder cannot outlive: a forked child clears it.
class TargetsLock {
 public:
  TargetsLock() {
    while (targets_busy.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  ~TargetsLock() { targets_busy.clear(std::memory_order_release); }
  TargetsLock(const TargetsLock&) = delete;
  TargetsLock& operator=(const TargetsLock&) = delete;
};

void set_text(char* out, size_t capacity, const char* text) {
  size_t bytes = strnlen(text, capacity - 1);
  memcpy(out, text, bytes);
  memset(out + bytes, 0, capacity - bytes);
}

void learn_process() {
  self.pid = os::process_id();
  self.start_time = 0;  // stays 0 without /proc; readers then cannot tell a reused pid
  os::process_start_time(0, &self.start_time);
}

void fill_header(StatsPage* page) {
  page->magic = kStatsMagic;
  page->version = kStatsVersion;
  page->bytes = sizeof(StatsPage);
  page->pid = self.pid;
  page->start_time = self.start_time;
  page->state.store(static_cast<uint32_t>(StatsState::kRunning), std::memory_order_relaxed);
  page->takes_rules.store(self.takes_rules ? 1 : 0, std::memory_order_relaxed);
  const char* name = program_invocation_short_name;
  set_text(page->program, sizeof page->program, name != nullptr ? name : "?");
}

void file_name(char* out, size_t capacity) {
  int n = snprintf(out, capacity, "%d-%llu", self.pid,
                   static_cast<unsigned long long>(self.start_time));
  if (self.image > 0) snprintf(out + n, capacity - static_cast<size_t>(n), ".%u", self.image);
}

int open_stats_dir(bool launcher) {
  unsigned user = os::effective_user();
  if (launcher) return os::open_private_dir(self.launcher_dir, user, false);
  char path[kMaxPath];
  snprintf(path, sizeof path, "/dev/shm/hms-%u", user);
  return os::open_private_dir(path, user, true);
}

// A file of our name is of this process before an exec (or, without /proc, where both start times
// are 0, of one that had its number). A launcher that keeps pages wants that one, too.
int make_file(int dir, bool launcher) {
  const unsigned last = launcher && self.keep ? kStatsImages - 1 : 0;
  char name[64];
  for (self.image = 0;; ++self.image) {
    file_name(name, sizeof name);
    int fd = os::create_full_file(dir, name, kPageBytes);
    if (fd != -EEXIST) return fd;
    if (self.image == last) break;
  }
  os::remove_file(dir, name);
  return os::create_full_file(dir, name, kPageBytes);
}

constexpr size_t kWords = sizeof(StatsPage) / sizeof(uint64_t);
static_assert(sizeof(StatsPage) % sizeof(uint64_t) == 0);

// Word by word, because other threads go on counting.
void copy_words(const uint64_t* from, uint64_t* to) {
  for (size_t i = 0; i < kWords; ++i) {
    __atomic_store_n(&to[i], __atomic_load_n(&from[i], __ATOMIC_RELAXED), __ATOMIC_RELAXED);
  }
}

// What threads counted on the old page after it had been copied. A word that is as it was copied
// takes the old page's; one that has moved on by itself is a count, and both parts belong to it.
void add_late(const uint64_t* copied, const uint64_t* old_page, uint64_t* page) {
  for (size_t i = 0; i < kWords; ++i) {
    uint64_t expected = copied[i];
    const uint64_t late = old_page[i];
    if (late == expected) continue;
    if (!__atomic_compare_exchange_n(&page[i], &expected, late, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED)) {
      __atomic_fetch_add(&page[i], late - copied[i], __ATOMIC_RELAXED);
    }
  }
}

// Maps the file elsewhere, copies what was counted so far, and moves the mapping over the page: the
// address of every counter stays what it was. The old page is seen through a second mapping, so
// that nothing is lost. (A page that stats_start() could not share loses what others count between
// the copy and the move.)
bool lay_over(int fd) {
  TargetsLock lock;
  void *mapping = nullptr, *copied = nullptr, *old_page = nullptr;
  if (os::map_shared(fd, kPageBytes, &mapping) != 0) return false;
  auto* const page = reinterpret_cast<uint64_t*>(page_memory);
  auto* const file = static_cast<uint64_t*>(mapping);
  const bool again = os::reserve(nullptr, kPageBytes, &copied) == 0 &&
                     os::commit(copied, kPageBytes) == 0 &&
                     os::map_again(page_memory, kPageBytes, &old_page) == 0;
  copy_words(page, again ? static_cast<uint64_t*>(copied) : file);
  if (again) copy_words(static_cast<uint64_t*>(copied), file);
  const bool moved = os::move_mapping(mapping, kPageBytes, page_memory) == 0;
  if (moved && again) {
    add_late(static_cast<uint64_t*>(copied), static_cast<uint64_t*>(old_page), page);
  }
  if (!moved) os::unmap(mapping, kPageBytes);
  if (copied != nullptr) os::unmap(copied, kPageBytes);
  if (old_page != nullptr) os::unmap(old_page, kPageBytes);
  return moved;
}

bool publish_in(bool launcher) {
  int dir = open_stats_dir(launcher);
  if (dir < 0) return false;
  int fd = make_file(dir, launcher);
  bool done = fd >= 0 && lay_over(fd);
  if (fd >= 0) {
    os::close_file(fd);
    char name[64];
    file_name(name, sizeof name);
    if (!done) os::remove_file(dir, name);
  }
  os::close_file(dir);
  if (done) {
    self.in_launcher_dir = launcher;
    self.user = os::effective_user();
  }
  return done;
}

// What a forked child keeps of a target: who it is and the memory that the child has too.
struct KeptTarget {
  char key[sizeof(TargetCounters::key)];
  int32_t node;
  uint32_t emulated;
  uint64_t quota, capacity, charged, live;
};

KeptTarget kept(const TargetCounters& t) {
  KeptTarget k;
  memcpy(k.key, t.key, sizeof k.key);
  k.node = t.node;
  k.emulated = t.emulated;
  k.quota = t.quota.load(std::memory_order_relaxed);
  k.capacity = t.capacity.load(std::memory_order_relaxed);
  k.charged = t.charged.load(std::memory_order_relaxed);
  k.live = t.inherited.load(std::memory_order_relaxed) +
           t.allocated.load(std::memory_order_relaxed) - t.freed.load(std::memory_order_relaxed);
  return k;
}

void restore(TargetCounters* t, const KeptTarget& k) {
  new (t) TargetCounters();
  memcpy(t->key, k.key, sizeof t->key);
  t->node = k.node;
  t->emulated = k.emulated;
  t->quota.store(k.quota, std::memory_order_relaxed);
  t->capacity.store(k.capacity, std::memory_order_relaxed);
  t->charged.store(k.charged, std::memory_order_relaxed);
  t->charged_peak.store(k.charged, std::memory_order_relaxed);
  t->inherited.store(k.live, std::memory_order_relaxed);
  t->used.store(1, std::memory_order_release);
}

// Scratch of stats_after_fork, which may run on a small stack.
struct Kept {
  KeptTarget targets[kStatsTargets];
  uint64_t windows[kStatsWindows][sizeof(WindowRecord) / sizeof(uint64_t)];
  uint64_t ranges[kStatsRanges][sizeof(RangeRecord) / sizeof(uint64_t)];
  uint64_t range_count, ranges_untold;
  uint32_t target_count, window_count;
};
Kept kept_page;

void keep_page(const StatsPage& page) {
  kept_page.target_count = kept_page.window_count = 0;
  for (uint32_t i = 0; i < kStatsTargets; ++i) {
    if (page.targets[i].used.load(std::memory_order_relaxed) == 0) continue;
    kept_page.targets[i] = kept(page.targets[i]);
    kept_page.target_count = i + 1;
  }
  for (uint32_t i = 0; i < kStatsWindows; ++i) {
    if (page.windows[i].base.load(std::memory_order_relaxed) == 0) continue;
    kept_page.window_count = i + 1;
  }
  memcpy(static_cast<void*>(kept_page.windows), page.windows,
         kept_page.window_count * sizeof(WindowRecord));
  kept_page.range_count =
      std::min<uint64_t>(page.ranges_told.load(std::memory_order_relaxed), kStatsRanges);
  kept_page.ranges_untold = page.ranges_untold.load(std::memory_order_relaxed);
  memcpy(static_cast<void*>(kept_page.ranges), page.ranges,
         kept_page.range_count * sizeof(RangeRecord));
}

void restore_page(StatsPage* page) {
  for (uint32_t i = 0; i < kept_page.target_count; ++i) {
    if (kept_page.targets[i].key[0] != 0) restore(&page->targets[i], kept_page.targets[i]);
  }
  memcpy(static_cast<void*>(page->windows), kept_page.windows,
         kept_page.window_count * sizeof(WindowRecord));
  memcpy(static_cast<void*>(page->ranges), kept_page.ranges,
         kept_page.range_count * sizeof(RangeRecord));
  page->ranges_told.store(kept_page.range_count, std::memory_order_relaxed);
  page->ranges_untold.store(kept_page.ranges_untold, std::memory_order_relaxed);
}

void learn_identity() {
  if (self.known.load(std::memory_order_acquire)) return;
  learn_process();
  const char* dir = secure_getenv("HMS_STATS_DIR");
  if (dir != nullptr && dir[0] == '/' && strnlen(dir, kMaxPath) < kMaxPath) {
    set_text(self.launcher_dir, sizeof self.launcher_dir, dir);
    const char* keep = secure_getenv("HMS_STATS_KEEP");
    self.keep = keep != nullptr && strcmp(keep, "1") == 0;
  }
  fill_header(stats());
  self.known.store(true, std::memory_order_release);
}

// Asked for when others can see the page: most processes are too short for that.
void learn_stack() {
  uint64_t start = 0;
  os::process_stack_start(0, &start);
  stats()->stack_start.store(start, std::memory_order_relaxed);
}

}  // namespace

StatsPage* stats() { return reinterpret_cast<StatsPage*>(page_memory); }

void stats_start() {
  if (stats()->targets[0].used.load(std::memory_order_relaxed) != 0 || stats()->magic != 0) return;
  os::map_shared_at(page_memory, kPageBytes);
}

void stats_init() {
  learn_identity();
  if (self.keep) stats_publish();
}

void stats_take_rules() {
  self.takes_rules = true;
  stats()->takes_rules.store(1, std::memory_order_relaxed);
}

int stats_open_published(char* name, size_t capacity) {
  if (publication.load(std::memory_order_acquire) != Publication::kDone) return -ENOENT;
  if (!stats_is_owner() || os::effective_user() != self.user) return -EPERM;
  int dir = open_stats_dir(self.in_launcher_dir);
  if (dir >= 0) file_name(name, capacity);
  return dir;
}

bool stats_is_owner() {
  return !self.known.load(std::memory_order_acquire) || self.pid == os::process_id();
}

TargetCounters* stats_target(const char* key, int node, bool emulated) {
  StatsPage* page = stats();
  TargetsLock lock;
  for (uint32_t i = 0; i < kStatsTargets; ++i) {
    TargetCounters* t = &page->targets[i];
    if (t->used.load(std::memory_order_acquire) != 0) {
      if (strncmp(t->key, key, sizeof t->key - 1) == 0) return t;
      continue;
    }
    bool last = i + 1 == kStatsTargets;
    set_text(t->key, sizeof t->key, last ? "other" : key);
    t->node = last ? -1 : node;
    t->emulated = !last && emulated ? 1 : 0;
    t->quota.store(UINT64_MAX, std::memory_order_relaxed);
    t->capacity.store(UINT64_MAX, std::memory_order_relaxed);
    t->used.store(1, std::memory_order_release);
    return t;
  }
  return &page->targets[kStatsTargets - 1];
}

void stats_publish() {
  Publication expected = Publication::kNotYet;
  if (publication.load(std::memory_order_relaxed) != expected) return;
  if (!publication.compare_exchange_strong(expected, Publication::kBusy)) return;
  int saved_errno = errno;
  learn_identity();
  learn_stack();
  bool done = (self.launcher_dir[0] != 0 && publish_in(true)) || publish_in(false);
  publication.store(done ? Publication::kDone : Publication::kRefused, std::memory_order_release);
  errno = saved_errno;
}

void stats_after_fork() {
  StatsPage* page = stats();
  keep_page(*page);
  // A failure leaves the page shared with the parent: its numbers are then those of both.
  if (os::map_shared_at(page_memory, kPageBytes) != 0) return;
  targets_busy.clear(std::memory_order_release);
  if (self.known.load(std::memory_order_relaxed)) {
    learn_process();
    fill_header(page);
    page->threads.store(1, std::memory_order_relaxed);
  }
  restore_page(page);
  self.in_launcher_dir = false;
  publication.store(Publication::kNotYet, std::memory_order_release);
}

void stats_finish() {
  if (!stats_is_owner()) return;
  if (self.known.load(std::memory_order_acquire) && self.keep) stats_publish();
  if (publication.load(std::memory_order_acquire) != Publication::kDone) return;
  stats()->state.store(static_cast<uint32_t>(StatsState::kExited), std::memory_order_release);
  if (self.keep && self.in_launcher_dir) return;
  int dir = open_stats_dir(self.in_launcher_dir);
  if (dir < 0) return;
  char name[64];
  file_name(name, sizeof name);
  os::remove_file(dir, name);
  remove_control(dir, name);
  os::close_file(dir);
}

}  // namespace hms
