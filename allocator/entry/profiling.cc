// See profiling.h.
#include "allocator/entry/profiling.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <vector>

#include "runtime/support/log.h"
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
constexpr uint32_t kEnough = 64;                      // contexts, to judge a profile by

tiering::ContextKeys keys;
const tiering::ProfilePlan* plan = nullptr;
std::string* recorded_program = nullptr;                       // of the profile
const std::vector<tiering::ContextView>* inherited = nullptr;  // from the parent, in its child

void store(const tiering::Recorder& recorder) {
  Profile profile = recorder.profile();
  tiering::describe_process(&keys.objects(), &profile);
  const Status stored = tiering::store_profile(profile);
  if (!stored.ok()) log_once(LogLevel::kWarning, "record", "%s", stored.message().c_str());
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

}  // namespace

const tiering::ContextKeys& context_keys() { return keys; }

Advice advise(const alloc::NewContext& context) {
  const Lean lean = keys.meet(context.id, context.site, context.depth != 0);
  if (plan == nullptr) return Advice::kNone;
  judge_profile();
  switch (lean) {
    case Lean::kNear:
      return Advice::kNear;
    case Lean::kFar:
      return Advice::kFar;
    case Lean::kPart:
      return Advice::kPart;
    case Lean::kMixed:
      return context.depth == 0 ? Advice::kSplit : Advice::kNone;
    case Lean::kUnknown:
      break;
  }
  return Advice::kNone;
}

void place_by(const Profile& profile, uint64_t near_bytes) {
  recorded_program = new std::string(profile.program);
  plan = new tiering::ProfilePlan(profile, near_bytes);
  alloc::limit_advised_part(plan->rest_bytes());
  keys.follow(plan);
}

void note_inherited() {
  try {
    auto contexts = std::make_unique<std::vector<tiering::ContextView>>();
    alloc::class_heap()->contexts(contexts.get());
    delete inherited;
    inherited = contexts.release();
  } catch (const std::bad_alloc&) {
    log_once(LogLevel::kWarning, "record child",
             "HMS_RECORD: no memory to tell a forked child's allocations from its parent's");
  }
}

void record(alloc::Service& thread) {
  const std::unique_ptr<tiering::Sampler> sampler = tiering::open_best_sampler().sampler;
  const auto* here = reinterpret_cast<const void*>(&record);
  const uint32_t own = keys.objects().frame_of(static_cast<const char*>(here) + 1).object;
  tiering::Recorder recorder(*alloc::class_heap(), *sampler, keys, own);
  if (inherited != nullptr) recorder.disown(*inherited);
  const double start = alloc::seconds_now();
  double pause = kFirstLook, stored = start;
  bool last = false;
  while (!last) {
    last = thread.ending();
    const double now = alloc::seconds_now();
    recorder.step(now);
    const double interval = std::clamp((now - start) * kStoreShare, kFirstStore, kStoreAtMost);
    if (last || now - stored >= interval) {
      store(recorder);
      stored = now;
    }
    if (!last) thread.sleep(pause);
    pause = std::min(2 * pause, kLook);
  }
  sampler->stop();
}

}  // namespace hms::entry
