/* idle.c - what a process keeps of a burst while it does nothing at all. With HMS_DECAY_THREAD=1.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

enum { kMiB = 1 << 20, kLimitSeconds = 30, kResidue = 12 * kMiB / 4096 };

/* Blocks of 16 B to 256 KiB and of 5 MiB, `mib` MiB of each kind, all written to and freed. */
static void burst(size_t mib) {
  void** list = NULL;
  unsigned noise = 5;
  for (size_t total = 0, i = 0; total < mib * kMiB; i++) {
    noise = noise * 1664525u + 1013904223u;
    const size_t size = 16 + (noise >> 8) % (i % 64 == 0 ? 262144 : 2048);
    void** block = opaque(malloc(size));
    CHECK(block != NULL);
    memset(block, 1, size);
    *block = list;
    list = block;
    total += size;
  }
  for (size_t total = 0; total < mib * kMiB; total += 5 * kMiB) {
    void** block = opaque(malloc(5 * kMiB));
    CHECK(block != NULL);
    memset(block, 1, 5 * kMiB);
    *block = list;
    list = block;
  }
  while (list != NULL) {
    void** next = *list;
    free(list);
    list = next;
  }
}

static int threads_of_process(void) {
  int threads = 0;
  char line[256];
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file) != NULL) sscanf(line, "Threads: %d", &threads);
  fclose(file);
  return threads;
}

/* Sleeps until the burst of 128 MiB is gone but for a tenth; that takes ten seconds, and the rest
 * of the limit is for a busy machine. */
static void burst_and_wait(void) {
  const long floor = pages_now().resident;
  burst(64);
  for (int second = 0; pages_now().resident > floor + kResidue; second++) {
    CHECK(second < kLimitSeconds);
    nanosleep(&(struct timespec){1, 0}, NULL);
  }
}

static void* wait_in_thread(void* unused) {
  burst_and_wait();
  return unused;
}

/* The parent's burst is that of a second thread, the child's that of its only one. */
static void decay_thread(void) {
  CHECK(threads_of_process() == 2);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(threads_of_process() == 2);
    burst_and_wait();
    _exit(0);
  }
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, wait_in_thread, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void no_thread(void) { CHECK(threads_of_process() == 1); }

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"decay_thread", decay_thread},
      {"no_thread", no_thread},
  };
  return RUN_CASES(cases, argc, argv);
}
