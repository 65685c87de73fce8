// See keeper.h.
#include "allocator/keeper.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "allocator/blocks.h"
#include "allocator/placements.h"
#include "allocator/residence.h"
#include "allocator/service.h"
#include "runtime/support/log.h"

namespace hms::alloc {

std::atomic<bool> keeper_asleep{false};

namespace {

// Decay takes eight seconds.
constexpr int kRounds = 10;
// What is not worth waking up for.
constexpr int64_t kFewBytes = int64_t{1} << 20;

sem_t reminder;
bool wanted = false;

void sleep_a_second() {
  timespec left{1, 0};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

// Freed while the last rounds were on.
bool much_is_idle() {
  int64_t idle = 0;
  for_each_leg([&idle](Leg* leg) { idle += idle_bytes(*leg); });
  return idle > kFewBytes;
}

void* keep(void* /*unused*/) {
  for (;;) {
    keeper_asleep.store(true);
    if (!much_is_idle()) {
      while (sem_wait(&reminder) != 0) {
      }
    }
    keeper_asleep.store(false);
    for (int round = 0; round < kRounds; ++round) {
      sleep_a_second();
      tidy();
    }
  }
  return nullptr;
}

bool start_thread() {
  sem_init(&reminder, 0, 0);
  keeper_asleep.store(false);
  const int error = start_detached("hms-decay", keep, nullptr);
  if (error == 0) return true;
  log_once(LogLevel::kWarning, "decay thread",
           "HMS_DECAY_THREAD: no thread can be started (errno %d); idle memory goes back only "
           "while the program allocates",
           error);
  return false;
}

bool asked_for() {
  const char* value = secure_getenv("HMS_DECAY_THREAD");
  if (value == nullptr || strcmp(value, "0") == 0 || value[0] == '\0') return false;
  if (strcmp(value, "1") == 0) return true;
  log_once(LogLevel::kWarning, "decay thread option",
           "HMS_DECAY_THREAD=%s: not 0 or 1; no decay thread is started", value);
  return false;
}

}  // namespace

void start_keeper() { wanted = asked_for() && start_thread(); }

void restart_keeper_in_child() {
  if (wanted) wanted = start_thread();
}

void wake_keeper() {
  if (keeper_asleep.exchange(false)) sem_post(&reminder);
}

}  // namespace hms::alloc
