/* tiering.c - programs under HMS_TIERING=auto with two emulated tiers, and without: the thread, its
 * signals, forks, and the ways in which a process ends. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

enum { kForks = 50, kPatience = 60000 /* milliseconds */ };

static void pause_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t) != 0) {
  }
}

/* Threads of this process, and how many of them tier. */
struct threads {
  int all, tiering;
  char one[300]; /* the folder of one that tiers */
};

static struct threads threads_now(void) {
  struct threads now = {0, 0, ""};
  DIR* tasks = opendir("/proc/self/task");
  CHECK(tasks != NULL);
  for (struct dirent* e; (e = readdir(tasks)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    char path[320], name[32] = "";
    ++now.all;
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
    FILE* f = fopen(path, "r");
    if (f == NULL) continue;
    if (fgets(name, sizeof name, f) != NULL && strcmp(name, "hms-tiering\n") == 0) {
      ++now.tiering;
      snprintf(now.one, sizeof now.one, "/proc/self/task/%s", e->d_name);
    }
    fclose(f);
  }
  closedir(tasks);
  return now;
}

/* Until so many threads tier: a name is set only after the thread has been started. */
static struct threads wait_for_tiering(int wanted) {
  struct threads now = threads_now();
  for (int waited = 0; now.tiering != wanted && waited < kPatience; waited += 10) {
    pause_ms(10);
    now = threads_now();
  }
  CHECK(now.tiering == wanted);
  return now;
}

static void allocate(unsigned seed) {
  enum { kBlocks = 2000 };
  static __thread void* blocks[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const size_t size = 16 + (seed >> 8) % 4000;
    blocks[i] = opaque(malloc(size));
    CHECK(blocks[i] != NULL);
    memset(blocks[i], i, size);
  }
  for (int i = 0; i < kBlocks; ++i) {
    CHECK(*(unsigned char*)blocks[i] == (i & 255));
    free(blocks[i]);
  }
}

static void no_thread(void) {
  allocate(1);
  pause_ms(600); /* longer than until the first step */
  const struct threads now = threads_now();
  CHECK(now.all == 1 && now.tiering == 0);
}

static void one_thread(void) {
  allocate(1);
  const struct threads now = wait_for_tiering(1);
  CHECK(now.all == 2);
  /* All signals that can be blocked are: they stay with the program's threads. */
  char path[320], line[128];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "%s/status", now.one);
  FILE* f = fopen(path, "r");
  CHECK(f != NULL);
  while (fgets(line, sizeof line, f) != NULL) sscanf(line, "SigBlk: %llx", &blocked);
  fclose(f);
  for (int number = 1; number <= 31; ++number) {
    if (number != SIGKILL && number != SIGSTOP) CHECK((blocked >> (number - 1) & 1) == 1);
  }
}

static int forked;

static void* allocate_while_forks_go_on(void* seed) {
  while (!__atomic_load_n(&forked, __ATOMIC_ACQUIRE)) allocate((unsigned)(uintptr_t)seed);
  return NULL;
}

static int status_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

/* In the child the engine starts again, and does not keep it from ending however it likes. */
static void forks(void) {
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; ++i) {
    CHECK(pthread_create(&threads[i], NULL, allocate_while_forks_go_on, (void*)(i + 1)) == 0);
  }
  for (int i = 0; i < kForks; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      wait_for_tiering(1);
      allocate(100u + (unsigned)i);
      if (i % 10 == 0) pause_ms(400); /* a step */
      if (i % 2 == 0) exit(i + 1);
      _exit(i + 1);
    }
    const int status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i + 1);
  }
  __atomic_store_n(&forked, 1, __ATOMIC_RELEASE);
  for (int i = 0; i < 2; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* After a step, so that there is something to end. */
static pid_t steered_child(void (*end)(void)) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child != 0) return child;
  allocate(7);
  wait_for_tiering(1);
  pause_ms(400);
  end();
  return 0;
}

static void end_by_exit(void) { exit(3); }
static void end_by_underscore(void) { _exit(4); }
static void end_by_signal(void) { kill(getpid(), SIGTERM); }
static void exit_in_handler(int number) { exit(number + 1); }
static void end_in_handler(void) {
  signal(SIGTERM, exit_in_handler);
  kill(getpid(), SIGTERM);
}
static void* nothing(void* unused) { return unused; }
/* The process ends with its last thread, and the engine's is none of the program's. */
static void end_by_last_thread(void) {
  pthread_t other;
  CHECK(pthread_create(&other, NULL, nothing, NULL) == 0);
  pthread_exit(NULL);
}

static void ends(void) {
  int status = status_of(steered_child(end_by_exit));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  status = status_of(steered_child(end_by_underscore));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
  status = status_of(steered_child(end_by_signal));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  status = status_of(steered_child(end_in_handler));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM + 1);
  status = status_of(steered_child(end_by_last_thread));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static const struct test_case cases[] = {
    {"no_thread", no_thread}, {"one_thread", one_thread}, {"forks", forks}, {"ends", ends}};

int main(int argc, char** argv) { return RUN_CASES(cases, argc, argv); }
