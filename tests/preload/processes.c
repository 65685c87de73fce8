/* processes.c - fork, vfork, exec, and the ways in which a process ends. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

extern char** environ;

static atomic_bool stop;

static void* churn(void* seed) {
  unsigned state = (unsigned)(uintptr_t)seed;
  void* blocks[64] = {NULL};
  while (!atomic_load(&stop)) {
    state = state * 1664525u + 1013904223u;
    const unsigned i = state >> 26;
    free(blocks[i]);
    blocks[i] = malloc(state % 40000 + 1);
  }
  for (int i = 0; i < 64; i++) free(blocks[i]);
  return NULL;
}

static void allocate_some(int rounds) {
  for (int i = 0; i < rounds; i++) {
    char* p = opaque(malloc((size_t)(i * 37 % 30000 + 1)));
    CHECK(p != NULL);
    p[0] = 1;
    free(p);
  }
}

static int status_of(pid_t child) {
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return status;
}

static int ended_well(pid_t child) {
  const int status = status_of(child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A child of a multi-threaded parent may call malloc: glibc promises it, programs rely on it. The
 * child also starts threads and forks again. */
static void fork_threads(void) {
  enum { kThreads = 3, kForks = 100 };
  pthread_t threads[kThreads];
  alarm(60);
  for (long t = 0; t < kThreads; t++)
    CHECK(pthread_create(&threads[t], NULL, churn, (void*)(t + 1)) == 0);
  char* inherited = opaque(malloc(100000));
  memset(inherited, 'i', 100000);
  for (int f = 0; f < kForks; f++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(30);
      allocate_some(500);
      CHECK(inherited[99999] == 'i');
      free(inherited);
      if (f % 10 == 0) {
        pthread_t thread;
        atomic_store(&stop, 1);
        CHECK(pthread_create(&thread, NULL, churn, (void*)9) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        pid_t grandchild = fork();
        if (grandchild == 0) {
          allocate_some(100);
          _exit(0);
        }
        CHECK(ended_well(grandchild));
      }
      if (f % 2 == 0) exit(0);
      _exit(0);
    }
    CHECK(ended_well(child));
    allocate_some(100);
  }
  atomic_store(&stop, 1);
  for (int t = 0; t < kThreads; t++) CHECK(pthread_join(threads[t], NULL) == 0);
  free(inherited);
}

/* Handlers of pthread_atfork that allocate, registered by the program. */
static void allocate_at_fork(void) { allocate_some(50); }

static void fork_handlers(void) {
  alarm(30);
  pthread_atfork(allocate_at_fork, allocate_at_fork, allocate_at_fork);
  for (int i = 0; i < 20; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    CHECK(ended_well(child));
  }
}

/* A vfork child shares the memory and must leave it as it was, also by _exit. */
static void vfork_exec(void) {
  alarm(60);
  for (volatile int i = 0; i < 200; i++) {
    allocate_some(20);
    pid_t child = vfork();
    if (child == 0) {
      if (i % 2 == 0) execl("/bin/true", "true", (char*)NULL);
      _exit(i % 2 == 0 ? 1 : 0);
    }
    CHECK(ended_well(child));
  }
}

static void spawn(void) {
  alarm(60);
  for (int i = 0; i < 50; i++) {
    char* const argv[] = {"sh", "-c", "x=$(echo hello); test \"$x\" = hello", NULL};
    pid_t child;
    CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0);
    CHECK(ended_well(child));
    CHECK(system("true") == 0);
    FILE* pipe = popen("echo piped", "r");
    char text[16] = "";
    CHECK(pipe != NULL && fgets(text, sizeof(text), pipe) != NULL && pclose(pipe) == 0);
    CHECK(strcmp(text, "piped\n") == 0);
  }
}

/* exec of itself, from a thread as well, as long as HMS_TEST_EXECS says. */
static void* exec_self(void* unused) {
  (void)unused;
  execl("/proc/self/exe", "processes", "exec_chain", (char*)NULL);
  CHECK(!"exec failed");
  return NULL;
}

static void exec_chain(void) {
  const char* left = getenv("HMS_TEST_EXECS");
  const int n = left == NULL ? 20 : atoi(left);
  allocate_some(200);
  if (n == 0) return;
  char text[16];
  snprintf(text, sizeof(text), "%d", n - 1);
  setenv("HMS_TEST_EXECS", text, 1);
  pthread_t thread;
  if (n % 2 == 0) exec_self(NULL);
  CHECK(pthread_create(&thread, NULL, exec_self, NULL) == 0);
  pthread_join(thread, NULL);
}

static void* allocate_for_ever(void* unused) {
  (void)unused;
  for (;;) allocate_some(1000);
  return NULL;
}

/* Each way to end, while another thread allocates: the status arrives, and nothing hangs. */
static void endings(void) {
  for (int way = 0; way < 60; way++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t thread;
      alarm(20);
      CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
      allocate_some(2000);
      if (way % 6 == 0) exit(40 + way);
      if (way % 6 == 1) _exit(40 + way);
      if (way % 6 == 2) _Exit(40 + way);
      if (way % 6 == 3) quick_exit(40 + way);
      if (way % 6 == 4) syscall(SYS_exit_group, 40 + way);
      raise(SIGKILL);
    }
    const int status = status_of(child);
    if (way % 6 == 5) {
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    } else {
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 40 + way);
    }
  }
}

static void leave(int signal) {
  (void)signal;
  _exit(3);
}

/* _exit is async-signal-safe (POSIX 2.4.3): a handler may call it in the middle of an allocation.
 */
static void exit_in_handler(void) {
  for (int i = 0; i < 100; i++) {
    pid_t child = fork();
    if (child == 0) {
      signal(SIGUSR1, leave);
      alarm(20);
      for (;;) {
        void* blocks[40];
        for (int b = 0; b < 40; b++) blocks[b] = malloc((size_t)b * 1500 + 1);
        for (int b = 0; b < 40; b++) free(blocks[b]);
      }
    }
    usleep(1000 + (unsigned)i * 50);
    kill(child, SIGUSR1);
    const int status = status_of(child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 3) ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1));
  }
}

/* A fork that no handler hears of. */
static void raw_fork(void) {
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    alarm(20);
    allocate_some(1000);
    _exit(0);
  }
  CHECK(ended_well(child));
  allocate_some(1000);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"fork_threads", fork_threads},       {"fork_handlers", fork_handlers},
      {"vfork_exec", vfork_exec},           {"spawn", spawn},
      {"exec_chain", exec_chain},           {"endings", endings},
      {"exit_in_handler", exit_in_handler}, {"raw_fork", raw_fork},
  };
  return RUN_CASES(cases, argc, argv);
}
