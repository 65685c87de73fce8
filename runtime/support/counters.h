// The counter page: what a process under libhms tells the outside, live and after its end.
//
// One file per process, in a directory that only its user can enter; the process maps it shared and
// writes plain numbers into it, `hms stat` and `hms run` map it read-only. A reader trusts nothing
// in it: counts are clamped, strings are cut. The layout is fixed for one kStatsVersion.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hms {

inline constexpr uint64_t kStatsMagic = 0x3154535f534d48ULL;  // "HMS_ST1"
inline constexpr uint32_t kStatsVersion = 2;
inline constexpr uint32_t kStatsTargets = 64;
inline constexpr uint32_t kStatsWindows = 256;
inline constexpr uint32_t kStatsRanges = 128;
inline constexpr uint32_t kStatsContexts = 16;  // a byte each in TieringCounters::woven
inline constexpr uint32_t kStatsImages = 1000;  // kept of one process that replaces itself (exec)

using Counter = std::atomic<uint64_t>;

// Bytes unless said otherwise. "charged" is what extents have committed against the target.
struct TargetCounters {
  char key[48];       // stable key, e.g. "node:2" or "tier:fast"; written before `used`
  int32_t node;       // node that backs it, -1: whatever the kernel chooses
  uint32_t emulated;  // 1: a logical target laid over `node`
  Counter used;       // 1 once the slot is valid
  Counter quota;      // limit in force, UINT64_MAX: none
  Counter allocated;  // handed out, cumulative (slow path: includes what thread caches hold). What
                      // tiering moves is freed on the one target and allocated on the other
  Counter freed;      // taken back, cumulative
  Counter charged;    // committed now
  Counter charged_peak;
  Counter refused_quota;   // extent requests refused because the quota was reached
  Counter refused_full;    // ... because the target had no room
  Counter refused_system;  // ... because the kernel refused (policy, address space)
  Counter spilled;         // bytes that went to a later target of their list instead
  Counter migrated_pages;  // pages moved onto this target
  // Result of the last audit by the kernel (move_pages query); pages of 4096 bytes.
  Counter audit_resident;   // bytes
  Counter audit_verified;   // pages found on the node that the placement asks for
  Counter audit_misplaced;  // pages found elsewhere
  Counter inherited;  // bytes live when this process was forked; live = this + allocated - freed
  Counter capacity;  // that the process may use of it; UINT64_MAX, and 0 of older writers: not told
  Counter reserved[6];
};

struct WindowRecord {
  Counter base;            // 0: unused
  Counter bytes;           // reserved
  Counter frontier;        // bytes from base that may hold pages
  Counter target;          // index into targets
  Counter stripe;          // 0, or bytes per stripe where neighbours alternate between nodes
  Counter stripe_targets;  // the targets that a striped window alternates between, one bit each; 0:
                           // any
  Counter moves;           // 1: what the stripes hold may move from target to target
  Counter reserved[1];
};

// A piece of the range map (hms_bind) that some node was asked for.
struct RangeRecord {
  Counter base;
  Counter bytes;
  Counter nodes;  // that the kernel was told to prefer, one bit each
  Counter reserved;
};

// Where allocations come from, as tiering tells places apart.
struct ContextCounters {
  char object[40];    // file name of the code's object; or a hint; "" for an unused record
  Counter offset;     // of the return address, as the object's file counts it; 0 for a hint
  Counter depth;      // of the stack, in 16 bytes, where places are told apart by it; else 0
  Counter share;      // of the observed accesses, in millionths
  Counter allocated;  // bytes, cumulative
  Counter class_id;
};

// Written by the thread of tiering after each step, texts too. All zero: tiering is off.
struct TieringCounters {
  Counter on;  // 1: it runs; 2: it has ended before the process, `why` says it
  char sampler[24];
  char near_key[48];
  char far_key[48];
  char why[104];  // nothing moves, or it has ended; "" otherwise
  Counter steps;
  Counter hit_ratio;   // estimate: share of observed accesses that met near memory, in millionths
  Counter events;      // observed per second, in thousandths
  Counter price;       // of near memory: events per second and MiB, in thousandths
  Counter near_bytes;  // that tiering may use
  Counter near_used;
  Counter promoted;  // bytes, cumulative
  Counter demoted;
  Counter stuck;   // pages that the kernel would not move
  Counter cost;    // of one CPU, in millionths
  Counter effort;  // of the sampler, in millionths of the most
  Counter units;   // and parts of units, that are looked at
  // Of each context a byte, the first in the lowest: 0, or, if its class is woven over both
  // memories, 1 + how many of 64 parts are near.
  Counter woven[2];
  Counter reserved[6];
  ContextCounters contexts[kStatsContexts];  // the hottest first
};

enum class StatsState : uint32_t { kRunning = 1, kExited = 2 };

struct StatsPage {
  uint64_t magic;
  uint32_t version;
  uint32_t bytes;  // sizeof(StatsPage)
  int32_t pid;
  std::atomic<uint32_t> state;
  uint64_t start_time;  // field 22 of /proc/PID/stat: tells a reused pid apart
  char program[64];
  Counter heartbeat;     // slow-path events so far
  Counter threads;       // threads with a cache now
  Counter audited;       // 1 once the audit_* counters hold the state at exit
  Counter policy_calls;  // mempolicy system calls made
  Counter stack_start;   // field 28 of /proc/PID/stat: changes when the program replaces itself
  Counter takes_rules;  // 1: what is left for this process beside its page is looked at (control.h)
  Counter
      rules_wanted;    // grows when new rules are left: a doorbell, the only word that others write
  Counter rules_done;  // the last `rules_wanted` that was answered
  Counter range_changes;  // grows by one before and after each change of `ranges`: odd within one
  Counter ranges_told;    // how many of `ranges` are valid, the first by address
  Counter ranges_untold;  // further ones, for which there is no room
  Counter reserved[5];
  TargetCounters targets[kStatsTargets];
  WindowRecord windows[kStatsWindows];
  RangeRecord ranges[kStatsRanges];
  TieringCounters tiering;
};

// The page of this process. Before the file is mapped, and when it cannot be made, memory that
// nobody else sees: writers never check. Never null, and pointers into it stay valid for ever. It
// informs: other processes of the user can write the file, so decide nothing from what is in it.
StatsPage* stats();
// By the only thread: makes the page one that stats_publish() can replace without losing what other
// threads count meanwhile. Does nothing if something was counted already.
void stats_start();
// Slot of a target, made at first use; the last slot ("other") when the table is full.
TargetCounters* stats_target(const char* key, int node, bool emulated);
// Moves the page into a file that others can read, once; cheap when done. Called from slow
// paths after the process has shown that it allocates (a short-lived process leaves no file).
void stats_publish();
// Remembers who this process is and what a launcher asked for (HMS_STATS_DIR, HMS_STATS_KEEP),
// which the program may overwrite later. Called once at start; stats_publish() does it otherwise. A
// launcher that keeps pages gets one of every process, and of every program that replaced another
// in one (exec), so it is published here.
void stats_init();
// Says on the page, from now on, that this process takes rules from `hms ctl`.
void stats_take_rules();
// The folder and the name of this process's published page. Descriptor, or -errno: none is
// published, or the process has become another user's since.
int stats_open_published(char* name, size_t capacity);
// False in a child of vfork or clone, which runs in the memory of the process that owns the page.
bool stats_is_owner();
// In a forked child: a page of its own again, the parent's file stays the parent's. What describes
// memory is kept (the child has it too), what counts events starts at zero.
void stats_after_fork();
// Marks the end; removes the file unless a launcher asked to keep it (HMS_STATS_KEEP), in which
// case even a process that never published leaves one.
void stats_finish();

}  // namespace hms
