// See profiling.h.
#include "allocator/entry/profiling.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>

#include "allocator/entry/gate.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/targets.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/tiering/context_keys.h"
#include "runtime/tiering/profile_store.h"
#include "runtime/tiering/recorder.h"
#include "runtime/tiering/samplers/ladder.h"

namespace hms::entry {
namespace {

using alloc::Advice;
using tiering::Lean;
using tiering::Profile;

constexpr double kFirstLook = 0.01, kLook = 0.25;     // seconds between two looks
constexpr double kFirstStore = 1, kStoreAtMost = 30;  // and between two that are stored
constexpr double kStoreShare = 0.125;                 // of the time that has passed
constexpr double kFarewell = 2;                       // for the last look
constexpr uint32_t kEnough = 64;                      // contexts, to judge a profile by

tiering::ContextKeys keys;
const tiering::ProfilePlan* plan = nullptr;
std::string* recorded_program = nullptr;  // of the profile

// The recorder's thread; a child of fork begins anew.
struct Thread {
  sem_t reminder;
  std::atomic<bool> last{false};  // this look is to be the last
  std::atomic<bool> done{false};
  bool child = false;
};
std::atomic<bool> recording{false};
std::atomic<Thread*> thread{nullptr};

double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void sleep_until_reminded(Thread* self, double seconds) {
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  const auto ns = static_cast<long>(seconds * 1e9) + until.tv_nsec;
  until.tv_sec += ns / 1'000'000'000;
  until.tv_nsec = ns % 1'000'000'000;
  while (sem_timedwait(&self->reminder, &until) != 0 && errno == EINTR) {
  }
}

void store(const tiering::Recorder& recorder) {
  Profile profile = recorder.profile();
  tiering::describe_process(&keys.objects(), &profile);
  const Status stored = tiering::store_profile(profile);
  if (!stored.ok()) log_once(LogLevel::kWarning, "record", "%s", stored.message().c_str());
}

void watch(Thread* self) {
  const std::unique_ptr<tiering::Sampler> sampler = tiering::open_best_sampler().sampler;
  const auto* here = reinterpret_cast<const void*>(&start_profiling);
  const uint32_t own = keys.objects().frame_of(static_cast<const char*>(here) + 1).object;
  tiering::Recorder recorder(*alloc::class_heap(), *sampler, keys, own);
  if (self->child) recorder.disown();
  const double start = seconds_now();
  double pause = kFirstLook, stored = start;
  bool last = false;
  while (!last) {
    last = self->last.load(std::memory_order_acquire);
    const double now = seconds_now();
    recorder.step(now);
    const double interval = std::clamp((now - start) * kStoreShare, kFirstStore, kStoreAtMost);
    if (last || now - stored >= interval) {
      store(recorder);
      stored = now;
    }
    if (!last) sleep_until_reminded(self, pause);
    pause = std::min(2 * pause, kLook);
  }
  sampler->stop();
}

void* run_recorder(void* argument) {
  auto* self = static_cast<Thread*>(argument);
  // What this thread allocates is not the program's: it stays out of the classes.
  InnerScope inner;
  try {
    watch(self);
  } catch (const std::exception& failure) {
    log(LogLevel::kWarning, "recording ended early: %s", failure.what());
  }
  self->done.store(true, std::memory_order_release);
  return nullptr;
}

void start_thread(bool child) {
  InnerScope inner;
  auto* fresh = new (std::nothrow) Thread;
  if (fresh == nullptr) return;
  fresh->child = child;
  sem_init(&fresh->reminder, 0, 0);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t id{};
  const int error = pthread_create(&id, nullptr, run_recorder, fresh);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    log_once(LogLevel::kWarning, "recorder thread",
             "HMS_RECORD: no thread can be started (%s); nothing is recorded",
             strerrordesc_np(error));
    return;
  }
  pthread_setname_np(id, "hms-record");
  pthread_detach(id);
  thread.store(fresh, std::memory_order_release);
}

// A child of fork has only the thread that called it.
void restart_in_child() {
  if (thread.exchange(nullptr) != nullptr) start_thread(true);
}

// Once there is enough to judge by: a profile of another build, or of another program.
void judge_profile() {
  static std::atomic<bool> judged{false};
  const uint32_t asked = keys.asked(), known = keys.known();
  if (asked < kEnough || judged.exchange(true) || known * 2 >= asked) return;
  const char* name = program_invocation_short_name;
  if (name == nullptr || *recorded_program != name) return;
  log_once(LogLevel::kWarning, "profile fits badly",
           "HMS_PROFILE knows %u of the first %u places that allocate: it is of another build of "
           "%.100s; record it again",
           known, asked, name);
}

Advice advise(const alloc::NewContext& context) {
  const Lean lean = keys.meet(context.id, context.site, context.depth != 0);
  if (plan == nullptr) return Advice::kNone;
  judge_profile();
  switch (lean) {
    case Lean::kNear:
      return Advice::kNear;
    case Lean::kFar:
      return Advice::kFar;
    case Lean::kMixed:
      return context.depth == 0 ? Advice::kSplit : Advice::kNone;
    case Lean::kUnknown:
      break;
  }
  return Advice::kNone;
}

bool recording_wanted() {
  const char* wanted = secure_getenv("HMS_RECORD");
  return wanted != nullptr && strcmp(wanted, "1") == 0;
}

// "" if there is none.
std::string profile_path() {
  const char* path = secure_getenv("HMS_PROFILE");
  return path != nullptr ? path : "";
}

Result<alloc::TieringTargets> targets() {
  const char* spec = secure_getenv("HMS_NEAR_FAR");
  return alloc::tiering_targets(spec != nullptr ? spec : "");
}

Result<tiering::Heap*> divide_heap(const alloc::TieringTargets& between) {
  alloc::set_class_advice(advise);
  return alloc::start_classes(between.near, between.far);
}

// What stands in the way, if anything. No request comes to the classes before the gate is closed.
Status place_by(const std::string& path) {
  Result<Profile> profile = tiering::read_profile(path);
  if (!profile.ok()) return profile.status();
  const Result<alloc::TieringTargets> two = targets();
  if (!two.ok()) return two.status();
  if (two.value().near.key == two.value().far.key) {
    return {HMS_ENODEV, "there is one memory only, '" + two.value().near.key + "'"};
  }
  Result<tiering::Heap*> heap = divide_heap(two.value());
  if (!heap.ok()) return heap.status();
  recorded_program = new std::string(profile.value().program);
  plan = new tiering::ProfilePlan(profile.value(), heap.value()->room().near_capacity);
  keys.follow(plan);
  close_gate_for_classes();
  return {};
}

Status record() {
  const Result<alloc::TieringTargets> two = targets();
  if (!two.ok()) return two.status();
  Result<tiering::Heap*> heap = divide_heap(two.value());
  if (!heap.ok()) return heap.status();
  pthread_atfork(nullptr, nullptr, restart_in_child);
  recording.store(true);
  close_gate_for_classes();
  return {};
}

}  // namespace

void start_profiling() {
  const std::string path = profile_path();
  const bool recorded = recording_wanted();
  if (path.empty() && !recorded) return;
  Status started;
  try {
    started = recorded ? record() : place_by(path);
  } catch (const std::exception& failure) {
    started = Status(HMS_ENOMEM, failure.what());
  }
  if (started.ok()) return;
  log(LogLevel::kWarning, "%s: %s; going on without", recorded ? "HMS_RECORD" : "HMS_PROFILE",
      started.message().c_str());
}

void start_recorder() {
  if (recording.load()) start_thread(false);
}

void finish_recording() {
  Thread* recorder = thread.load(std::memory_order_acquire);
  if (recorder == nullptr || !stats_is_owner()) return;
  recorder->last.store(true, std::memory_order_release);
  sem_post(&recorder->reminder);
  const double end = seconds_now() + kFarewell;
  while (!recorder->done.load(std::memory_order_acquire) && seconds_now() < end) {
    timespec moment{0, 500'000};
    nanosleep(&moment, nullptr);
  }
}

}  // namespace hms::entry
