/* faults.c - faults that reach a process by itself: system calls that fail with each error that
 * their manual pages name, limits, storms of forks, signals and threads. docs/reliability.md says
 * what is promised for each. The faults never touch a control of the machine. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../preload/check.h"

/* Blocks of all kinds with a pattern in each; NULL is an answer if `frugal`. Whatever is handed out
 * must be usable, zeroed where that is promised, and keep its contents. */
struct batch {
  unsigned char* block[200];
  size_t size[200];
  unsigned char mark[200];
};

static int filled_with(const unsigned char* p, size_t bytes, unsigned char mark) {
  for (size_t i = 0; i<bytes; i += bytes> 4096 ? 1021 : 1) {
    if (p[i] != mark) return 0;
  }
  return bytes == 0 || p[bytes - 1] == mark;
}

static void* one_block(unsigned kind, size_t size) {
  switch (kind % 4) {
    case 0:
      return malloc(size);
    case 1: {
      unsigned char* p = calloc(1, size);
      CHECK(p == NULL || filled_with(p, size, 0));
      return p;
    }
    case 2: {
      void* p = NULL;
      const int r = posix_memalign(&p, 4096, size);
      CHECK(r == 0 ? p != NULL && (uintptr_t)p % 4096 == 0 : r == ENOMEM);
      if (r != 0) errno = r;
      return r == 0 ? p : NULL;
    }
    default:
      return realloc(malloc(size / 2 + 1), size);
  }
}

static void take(struct batch* b, unsigned seed, int frugal) {
  for (unsigned i = 0; i < 200; i++) {
    seed = seed * 1664525u + 1013904223u;
    size_t size = (seed >> 8) % 3000 + 1;
    if (i % 10 == 0) size *= 40;
    if (i % 50 == 0) size = (size_t)2 << 20;
    errno = 0;
    b->block[i] = opaque(one_block(i, size));
    b->size[i] = size;
    b->mark[i] = (unsigned char)(seed >> 24 | 1);
    CHECK(b->block[i] != NULL || (frugal && errno == ENOMEM));
    if (b->block[i] != NULL) memset(b->block[i], b->mark[i], size);
  }
}

static void give(struct batch* b) {
  for (unsigned i = 0; i < 200; i++) {
    if (b->block[i] != NULL) CHECK(filled_with(b->block[i], b->size[i], b->mark[i]));
    free(b->block[i]);
  }
}

static void take_and_give(unsigned seed, int rounds, int frugal) {
  static __thread struct batch b;
  for (int r = 0; r < rounds; r++) {
    take(&b, seed + (unsigned)r * 7919u, frugal);
    give(&b);
    if (r % 2 == 1) malloc_trim(0);
  }
}

static void* strict_thread(void* seed) {
  take_and_give((unsigned)(uintptr_t)seed, 2, 0);
  return NULL;
}
static void* frugal_thread(void* seed) {
  take_and_give((unsigned)(uintptr_t)seed, 2, 1);
  return NULL;
}

static int ended_well(pid_t child) {
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Memory in this thread, in another, and in a child. */
static void work(int frugal) {
  pthread_t thread;
  alarm(60);
  take_and_give(1, 3, frugal);
  const int r = pthread_create(&thread, NULL, frugal ? frugal_thread : strict_thread, (void*)7);
  CHECK(r == 0 || frugal);
  if (r == 0) CHECK(pthread_join(thread, NULL) == 0);
  const pid_t child = fork();
  if (child == 0) {
    take_and_give(3, 1, frugal);
    _exit(0);
  }
  CHECK(child > 0 ? ended_well(child) : frugal);
  take_and_give(5, 1, frugal);
}

/* What enomem.sh runs. */
static void frugal(void) { work(1); }

/* ------------------------------------------------------------------ each documented error */

static void deny(int call, int error) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) SKIP("no seccomp filters here");
}

struct fault {
  int call, error;
};

/* The worker from its start under the fault, by exec; and with the fault only after it has memory.
 */
static void run_from_start(struct fault f, const char* name) {
  const pid_t child = fork();
  if (child == 0) {
    deny(f.call, f.error);
    execl("/proc/self/exe", "faults", name, (char*)NULL);
    _exit(1);
  }
  if (!ended_well(child)) {
    dprintf(2, "system call %d failing with errno %d from the start\n", f.call, f.error);
    _exit(1);
  }
}

static void run_from_now(struct fault f, int may_fail) {
  const pid_t child = fork();
  if (child == 0) {
    static struct batch old;
    take(&old, 99, 0);
    deny(f.call, f.error);
    work(may_fail);
    give(&old);
    _exit(0);
  }
  if (!ended_well(child)) {
    dprintf(2, "system call %d failing with errno %d from the middle on\n", f.call, f.error);
    _exit(1);
  }
}

static void plain_work(void) { work(0); }

static void each_error(const struct fault* faults, size_t count, int from_start, int may_fail) {
  for (size_t i = 0; i < count; i++) {
    if (from_start) run_from_start(faults[i], "plain_work");
    run_from_now(faults[i], may_fail);
  }
}
#define EACH_ERROR(faults, from_start, may_fail) \
  each_error(faults, sizeof(faults) / sizeof((faults)[0]), from_start, may_fail)

/* mbind(2), move_pages(2): placements are not what the rules say, but programs go on. */
static void policy_errors(void) {
  static const struct fault faults[] = {
      {SYS_mbind, EFAULT},      {SYS_mbind, EINVAL},      {SYS_mbind, EIO},
      {SYS_mbind, ENOMEM},      {SYS_mbind, EPERM},       {SYS_mbind, ENOSYS},
      {SYS_move_pages, E2BIG},  {SYS_move_pages, EACCES}, {SYS_move_pages, EFAULT},
      {SYS_move_pages, EINVAL}, {SYS_move_pages, ENODEV}, {SYS_move_pages, ENOENT},
      {SYS_move_pages, EPERM},  {SYS_move_pages, ESRCH},  {SYS_move_pages, ENOSYS},
  };
  EACH_ERROR(faults, 1, 0);
}

/* userfaultfd(2), perf_event_open(2): sampling is optional, allocation is not. */
static void sampler_errors(void) {
  static const struct fault faults[] = {
      {SYS_userfaultfd, EINVAL},         {SYS_userfaultfd, EMFILE},
      {SYS_userfaultfd, ENFILE},         {SYS_userfaultfd, ENOMEM},
      {SYS_userfaultfd, EPERM},          {SYS_perf_event_open, E2BIG},
      {SYS_perf_event_open, EACCES},     {SYS_perf_event_open, EBUSY},
      {SYS_perf_event_open, EFAULT},     {SYS_perf_event_open, EINTR},
      {SYS_perf_event_open, EINVAL},     {SYS_perf_event_open, EMFILE},
      {SYS_perf_event_open, ENODEV},     {SYS_perf_event_open, ENOENT},
      {SYS_perf_event_open, ENOSPC},     {SYS_perf_event_open, ENOSYS},
      {SYS_perf_event_open, EOPNOTSUPP}, {SYS_perf_event_open, EOVERFLOW},
      {SYS_perf_event_open, EPERM},      {SYS_perf_event_open, ESRCH},
  };
  EACH_ERROR(faults, 1, 0);
}

/* madvise(2): memory may not go back, but what calloc() gives is zero all the same. */
static void advice_errors(void) {
  static const struct fault faults[] = {
      {SYS_madvise, EACCES}, {SYS_madvise, EAGAIN}, {SYS_madvise, EBADF}, {SYS_madvise, EINVAL},
      {SYS_madvise, EIO},    {SYS_madvise, ENOMEM}, {SYS_madvise, EPERM},
  };
  EACH_ERROR(faults, 1, 0);
}

/* mmap(2), mprotect(2), mremap(2), munmap(2): NULL with ENOMEM, and what is there stays. */
static void mapping_errors(void) {
  static const struct fault faults[] = {
      {SYS_mmap, EACCES},     {SYS_mmap, EAGAIN},   {SYS_mmap, EBADF},      {SYS_mmap, EINVAL},
      {SYS_mmap, ENFILE},     {SYS_mmap, ENODEV},   {SYS_mmap, ENOMEM},     {SYS_mmap, EOVERFLOW},
      {SYS_mmap, EPERM},      {SYS_mmap, ETXTBSY},  {SYS_mprotect, EACCES}, {SYS_mprotect, EINVAL},
      {SYS_mprotect, ENOMEM}, {SYS_mremap, EAGAIN}, {SYS_mremap, EFAULT},   {SYS_mremap, EINVAL},
      {SYS_mremap, ENOMEM},   {SYS_munmap, EINVAL}, {SYS_munmap, ENOMEM},
  };
  EACH_ERROR(faults, 0, 1);
}

/* ------------------------------------------------------------------ limits */

static void drop_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  CHECK(syscall(SYS_capset, &header, none) == 0);
}

/* A limit on locked memory is no limit on memory that is not locked. */
static void locked_memory(void) {
  const struct rlimit nothing = {0, 0};
  drop_capabilities();
  CHECK(setrlimit(RLIMIT_MEMLOCK, &nothing) == 0);
  work(0);
  char* p = opaque(malloc(1 << 20));
  CHECK(p != NULL && mlock(p, 1 << 20) != 0 && (errno == EPERM || errno == ENOMEM));
  free(p);
}

/* mlockall(MCL_FUTURE): what comes later is locked, up to the limit; then NULL, and the rest lives.
 */
static void locked_future(void) {
  struct rlimit some;
  CHECK(getrlimit(RLIMIT_MEMLOCK, &some) == 0);
  if (some.rlim_max > (rlim_t)16 << 20) some.rlim_max = (rlim_t)16 << 20;
  some.rlim_cur = some.rlim_max;
  CHECK(setrlimit(RLIMIT_MEMLOCK, &some) == 0);
  drop_capabilities();
  if (mlockall(MCL_FUTURE) != 0) SKIP("mlockall(MCL_FUTURE) is refused here");
  work(1);
}

/* ------------------------------------------------------------------ storms */

static atomic_bool stop;

static void* churn(void* seed) {
  while (!atomic_load(&stop)) take_and_give((unsigned)(uintptr_t)seed, 1, 0);
  return NULL;
}

static void* fork_again_and_again(void* seed) {
  for (int i = 0; i < 15; i++) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);
      take_and_give((unsigned)(uintptr_t)seed + (unsigned)i, 1, 0);
      if (i % 2 == 0) _exit(0);
      exit(0);
    }
    CHECK(child > 0 && ended_well(child));
    take_and_give((unsigned)(uintptr_t)seed, 1, 0);
  }
  return NULL;
}

/* Eight threads allocate, while four others fork, and allocate as well. */
static void fork_storm(void) {
  enum { kChurning = 8, kForking = 4 };
  pthread_t threads[kChurning + kForking];
  alarm(100);
  for (long t = 0; t < kChurning + kForking; t++) {
    CHECK(pthread_create(&threads[t], NULL, t < kChurning ? churn : fork_again_and_again,
                         (void*)(t + 1)) == 0);
  }
  for (int t = kChurning; t < kChurning + kForking; t++) CHECK(pthread_join(threads[t], NULL) == 0);
  atomic_store(&stop, 1);
  for (int t = 0; t < kChurning; t++) CHECK(pthread_join(threads[t], NULL) == 0);
}

static atomic_int signals_seen;

static void count_signal(int number) {
  (void)number;
  atomic_fetch_add(&signals_seen, 1);
}

/* A thousand signals a second, without SA_RESTART: every system call of ours may be interrupted. */
static void signal_storm(void) {
  enum { kSignals = 3000, kThreads = 2 };
  struct sigaction action;
  pthread_t threads[kThreads];
  const struct itimerval each_millisecond = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
  memset(&action, 0, sizeof action);
  action.sa_handler = count_signal;
  CHECK(sigaction(SIGVTALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
  for (long t = 0; t < kThreads; t++)
    CHECK(pthread_create(&threads[t], NULL, churn, (void*)(t + 1)) == 0);
  CHECK(setitimer(ITIMER_VIRTUAL, &each_millisecond, NULL) == 0);
  while (atomic_load(&signals_seen) < kSignals) {
    for (int t = 0; t < kThreads; t++) pthread_kill(threads[t], SIGUSR1);
    take_and_give(17, 1, 0);
  }
  CHECK(setitimer(ITIMER_VIRTUAL, &never, NULL) == 0);
  atomic_store(&stop, 1);
  for (int t = 0; t < kThreads; t++) CHECK(pthread_join(threads[t], NULL) == 0);
}

static void* leave_a_block(void* seed) {
  take_and_give((unsigned)(uintptr_t)seed, 1, 0);
  return opaque(malloc((size_t)((uintptr_t)seed % 5000 + 1)));
}

/* Short threads whose last block is freed by another: what is resident does not grow. */
static void thread_churn(void) {
  enum { kAtATime = 8, kRounds = 100 };
  long settled = 0;
  alarm(100);
  for (int round = 0; round < 2 * kRounds; round++) {
    pthread_t threads[kAtATime];
    for (long t = 0; t < kAtATime; t++)
      CHECK(pthread_create(&threads[t], NULL, leave_a_block, (void*)(t + round)) == 0);
    for (int t = 0; t < kAtATime; t++) {
      void* block = NULL;
      CHECK(pthread_join(threads[t], &block) == 0);
      free(block);
    }
    if (round == kRounds) settled = pages_now().resident;
  }
  const long grown = pages_now().resident - settled;
  if (grown > 8192) dprintf(2, "%ld pages more after the second half\n", grown);
  CHECK(grown <= 8192); /* 32 MiB: four of these threads' working sets */
}

/* Until it is killed; killed.sh does that. */
static void until_killed(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, churn, (void*)5) == 0);
  churn((void*)6);
}

/* ------------------------------------------------------------------ without a preload */

static int mappings_now(void) {
  FILE* f = fopen("/proc/self/maps", "r");
  int lines = 0;
  for (int c; f != NULL && (c = getc(f)) != EOF;) lines += c == '\n';
  if (f != NULL) fclose(f);
  return lines;
}

/* libhms.so itself, loaded and let go by a program on another allocator. Its thread-local data
 * needs GLIBC_TUNABLES=glibc.rtld.optional_static_tls=8192 then, which CMakeLists.txt sets. */
static void load_loop(void) {
  int settled = 0;
  for (int i = 0; i < 200; i++) {
    void* library = dlopen(HMS_SHARED, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) dprintf(2, "%s\n", dlerror());
    CHECK(library != NULL);
    int (*version)(void);
    *(void**)&version = dlsym(library, "hms_version");
    CHECK(version != NULL);
    CHECK(version() > 0);
    CHECK(dlclose(library) == 0);
    free(opaque(malloc(1000)));
    if (i == 20) settled = mappings_now();
  }
  CHECK(mappings_now() <= settled + 2);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"frugal", frugal},
      {"plain_work", plain_work},
      {"policy_errors", policy_errors},
      {"sampler_errors", sampler_errors},
      {"advice_errors", advice_errors},
      {"mapping_errors", mapping_errors},
      {"locked_memory", locked_memory},
      {"locked_future", locked_future},
      {"fork_storm", fork_storm},
      {"signal_storm", signal_storm},
      {"thread_churn", thread_churn},
      {"until_killed", until_killed},
      {"load_loop", load_loop},
  };
  return RUN_CASES(cases, argc, argv);
}
