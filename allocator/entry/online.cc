// See online.h.
#include "allocator/entry/online.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>

#include "allocator/entry/gate.h"
#include "allocator/entry/memories.h"
#include "allocator/entry/profiling.h"
#include "allocator/service.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/opening.h"
#include "allocator/tiering/sites.h"
#include "allocator/tiering/steering.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"
#include "runtime/support/size.h"

namespace hms::entry {
namespace {

using tiering::Profile;
using tiering::Sides;

// Most processes are too short to be steered.
constexpr double kFirstStep = 0.25;
// Of near memory: a program that has less is not divided.
constexpr uint64_t kSmallShare = 16;
constexpr double kLongestWait = 1;  // between two looks at whether it is
// For the last look of the recorder, and for a step of the engine that is going on.
constexpr double kRecorderFarewell = 2, kEngineFarewell = 0.5;

enum class Work { kNone, kRecord, kSteer };
Work work = Work::kNone;
const Sides* sides = nullptr;
alloc::SteeringOptions options;
std::optional<uint64_t> after;  // bytes that the program has before its heap is divided
alloc::Service service;

void refuse(const char* what, const Status& why, LogLevel level = LogLevel::kWarning) {
  log(level, "%s: %s; going on without", what, why.message().c_str());
}

// A number within limits; what is wrong is named, and does nothing.
void read_number(const char* name, const char* of_what, double least, double most, double* number) {
  const std::string text = environment(name);
  if (text.empty()) return;
  char* end = nullptr;
  const double read = strtod(text.c_str(), &end);
  if (*end == '\0' && read >= least && read <= most) {
    *number = read;
    return;
  }
  log(LogLevel::kWarning, "%s=%.40s: a number of %s from %g to %g was expected; going on with %g",
      name, text.c_str(), of_what, least, most, *number);
}

void read_weave() {
  const Result<tiering::WeaveWords> words = tiering::parse_weave(environment("HMS_TIERING_WEAVE"));
  if (words.ok()) {
    options.weave = words.value();
    return;
  }
  log(LogLevel::kWarning, "HMS_TIERING_WEAVE: %s; going on with auto",
      words.status().message().c_str());
}

void read_after() {
  const std::string text = environment("HMS_TIERING_AFTER");
  if (text.empty()) return;
  const Result<uint64_t> bytes = parse_size(text);
  if (bytes.ok()) {
    after = bytes.value();
    return;
  }
  log(LogLevel::kWarning, "HMS_TIERING_AFTER: %s; going on with a sixteenth of near memory",
      bytes.status().message().c_str());
}

void read_options() {
  double percent = options.budget * 100;
  read_number("HMS_TIERING_CPU", "percent", 0.01, 100, &percent);
  options.budget = percent / 100;
  read_number("HMS_TIERING_GAP", "nanoseconds", 1, 1e6, &options.gap_ns);
  read_weave();
  read_after();
}

// What the program may have before its places are told apart.
uint64_t small_program() {
  return after ? *after : alloc::class_heap()->room().near_capacity / kSmallShare;
}

// The program's memory is near by itself while nothing is divided: the kernel puts it where it
// runs.
bool default_is_near(const Sides& two) {
  return two.near.node == two.far.node || two.near.node == os::current_node();
}

bool wait_until_large(alloc::Service& thread) {
  double pause = kFirstStep;
  while (!alloc::classes_started()) {
    alloc::postpone_classes(small_program());
    alloc::show_waiting(*sides, alloc::classes_open_at.load());
    thread.sleep(pause);
    if (thread.ending()) return false;
    pause = std::min(2 * pause, kLongestWait);
  }
  return true;
}

void steer(alloc::Service& thread) {
  thread.sleep(kFirstStep);
  if (thread.ending() || !wait_until_large(thread)) return;
  alloc::Steering steering(*alloc::class_heap(), *alloc::context_table(), context_keys(), *sides,
                           options);
  while (!thread.ending()) {
    const double pause = steering.step(alloc::seconds_now());
    if (pause <= 0) return;
    thread.sleep(pause);
  }
}

// What this thread allocates is not the program's: it stays out of the classes.
void run(alloc::Service& thread) {
  InnerScope inner;
  if (work == Work::kRecord) {
    record(thread);
  } else {
    steer(thread);
  }
}

void tell_of_thread(int error) {
  if (error == 0) return;
  log_once(LogLevel::kWarning, "thread", "%s: no thread can be started (%s); going on without",
           work == Work::kRecord ? "HMS_RECORD" : "HMS_TIERING", strerrordesc_np(error));
}

void restart_in_child() {
  InnerScope inner;
  if (alloc::classes_started()) follow_classes();  // which a thread of the parent had begun
  if (work == Work::kRecord) note_inherited();
  tell_of_thread(service.restart_in_child());
}

// No request comes to the classes before they are open.
Result<tiering::Heap*> divide_heap(const Sides& two) {
  alloc::set_class_advice(advise);
  return alloc::start_classes(two.near, two.far);
}

void start_work(Work wanted) {
  work = wanted;
  pthread_atfork(nullptr, nullptr, restart_in_child);
}

Status start_recording() {
  const Result<Sides> two = near_and_far_or_one();
  if (!two.ok()) return two.status();
  Result<tiering::Heap*> heap = divide_heap(two.value());
  if (!heap.ok()) return heap.status();
  start_work(Work::kRecord);
  alloc::open_classes();
  follow_classes();
  return {};
}

// A profile places at birth; what it is wrong about the engine then finds out, if that is asked
// for.
Status start_placing(const Profile* profile, bool tiering, const std::string& words) {
  const Result<Sides> two = near_and_far(words);
  if (!two.ok()) return two.status();
  Result<tiering::Heap*> heap = divide_heap(two.value());
  if (!heap.ok()) return heap.status();
  if (profile != nullptr) place_by(*profile, heap.value()->room().near_capacity);
  if (tiering) {
    sides = new Sides(two.value());
    read_options();
    options.profiled = profile != nullptr;
    start_work(Work::kSteer);
    if (profile == nullptr && default_is_near(two.value())) {
      alloc::open_classes_at(small_program(), follow_classes);
      return {};
    }
  }
  alloc::open_classes();
  follow_classes();
  return {};
}

void place_and_steer(const std::string& path, const std::string& words) {
  bool tiering = !tiering::words_say_off(words);
  const Status meant = tiering::check_words(words);
  if (!meant.ok()) {
    refuse("HMS_TIERING", meant);
    tiering = false;
  }
  Result<Profile> profile = Status(HMS_EINVAL, "none");
  if (!path.empty()) {
    profile = tiering::read_profile(path);
    if (!profile.ok()) refuse("HMS_PROFILE", profile.status());
  }
  if (!profile.ok() && !tiering) return;
  const Status started =
      start_placing(profile.ok() ? &profile.value() : nullptr, tiering, tiering ? words : "");
  if (started.ok()) return;
  if (profile.ok()) refuse("HMS_PROFILE", started);
  // One memory is no mistake: the same configuration serves on other machines.
  const bool alone = started.code() == HMS_ENODEV;
  if (tiering) refuse("HMS_TIERING", started, alone ? LogLevel::kInfo : LogLevel::kWarning);
}

void record_only(const std::string& words) {
  if (!tiering::words_say_off(words)) {
    log(LogLevel::kWarning,
        "HMS_RECORD=1: while a profile is recorded nothing is moved; HMS_TIERING has no effect");
  }
  const Status started = start_recording();
  if (!started.ok()) refuse("HMS_RECORD", started);
}

}  // namespace

void start_online() {
  const std::string path = environment("HMS_PROFILE");
  const std::string words = environment("HMS_TIERING");
  const bool recorded = environment("HMS_RECORD") == "1";
  if (!recorded && path.empty() && tiering::words_say_off(words)) return;
  try {
    recorded ? record_only(words) : place_and_steer(path, words);
  } catch (const std::exception& failure) {
    log(LogLevel::kWarning, "profiles and tiering: %s; going on without", failure.what());
  }
}

void start_online_thread() {
  if (work == Work::kNone) return;
  InnerScope inner;
  tell_of_thread(service.start(work == Work::kRecord ? "hms-record" : "hms-tiering", run));
}

void finish_online() {
  if (work == Work::kNone || !stats_is_owner()) return;
  service.finish(work == Work::kRecord ? kRecorderFarewell : kEngineFarewell);
}

}  // namespace hms::entry
