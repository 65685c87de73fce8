/* hostile.c - surroundings that refuse: system call filters, address space limits, no /proc and
 * /sys, rights of another user. Each case sets its scene, then runs itself again in it, so that
 * the library starts there. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

static void* allocate_some(void* unused) {
  (void)unused;
  for (int round = 0; round < 20; round++) {
    void* blocks[100];
    for (int i = 0; i < 100; i++) {
      const size_t size = (size_t)(i * 977 % (i % 10 == 0 ? 400000 : 20000)) + 1;
      blocks[i] = malloc(size);
      CHECK(blocks[i] != NULL);
      memset(blocks[i], i, size);
    }
    for (int i = 0; i < 100; i++) free(blocks[i]);
  }
  return NULL;
}

static void use_malloc(void) {
  alarm(60);
  allocate_some(NULL);
  pthread_t thread;
  if (pthread_create(&thread, NULL, allocate_some, NULL) == 0) pthread_join(thread, NULL);
  pid_t child = fork();
  if (child == 0) {
    allocate_some(NULL);
    exit(0);
  }
  int status = 1;
  CHECK(child < 0 || (waitpid(child, &status, 0) == child && status == 0));
}

static void again(const char* scene) {
  if (getenv("HMS_TEST_SCENE") != NULL) {
    use_malloc();
    exit(0);
  }
  setenv("HMS_TEST_SCENE", scene, 1);
}

static void run_again(const char* name) {
  const char* self = getenv("HMS_TEST_SELF"); /* where there is no /proc */
  execl(self != NULL ? self : "/proc/self/exe", "hostile", name, (char*)NULL);
  CHECK(!"exec failed");
}

/* Denies some system calls with an error, as containers do. */
static void deny(const int* calls, size_t count, int error) {
  struct sock_filter filter[64];
  size_t n = 0;
  filter[n++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < count; i++) {
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
    filter[n++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
  }
  filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {(unsigned short)n, filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) SKIP("no seccomp filters here");
}

static void seccomp_mempolicy(void) {
  again("seccomp");
  static const int calls[] = {SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy, SYS_move_pages,
                              SYS_migrate_pages};
  deny(calls, sizeof(calls) / sizeof(calls[0]), EPERM);
  run_again("seccomp_mempolicy");
}

static void seccomp_files(void) {
  again("seccomp");
  static const int calls[] = {SYS_memfd_create, SYS_mkdir,  SYS_mkdirat,          SYS_fallocate,
                              SYS_ftruncate,    SYS_getcpu, SYS_sched_getaffinity};
  deny(calls, sizeof(calls) / sizeof(calls[0]), ENOSYS);
  run_again("seccomp_files");
}

static void seccomp_advice(void) {
  again("seccomp");
  static const int calls[] = {SYS_madvise, SYS_mremap, SYS_userfaultfd, SYS_perf_event_open};
  deny(calls, sizeof(calls) / sizeof(calls[0]), EPERM);
  run_again("seccomp_advice");
}

static void limit_address_space(rlim_t bytes, const char* name) {
  const struct rlimit limit = {bytes, bytes};
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
  run_again(name);
}

static void rlimit_as(void) {
  if (getenv("HMS_TEST_SCENE") != NULL) {
    /* What does not fit is an error, and leaves room for what does. */
    errno = 0;
    CHECK(opaque(malloc((size_t)4 << 30)) == NULL && errno == ENOMEM);
  }
  again("rlimit");
  limit_address_space((rlim_t)1 << 30, "rlimit_as");
}

static void rlimit_as_small(void) {
  again("rlimit");
  limit_address_space((rlim_t)160 << 20, "rlimit_as_small");
}

static void exhaustion(void) {
  if (getenv("HMS_TEST_SCENE") == NULL) {
    setenv("HMS_TEST_SCENE", "1", 1);
    limit_address_space((rlim_t)512 << 20, "exhaustion");
  }
  void** chain = NULL; /* to the last block, twice, then everything works again */
  for (int round = 0; round < 2; round++) {
    long blocks = 0;
    for (void** p; (p = malloc(50000)) != NULL; blocks++) {
      *p = chain;
      chain = p;
    }
    CHECK(errno == ENOMEM && blocks > 1000);
    while (chain != NULL) {
      void** next = *chain;
      free(chain);
      chain = next;
    }
  }
  use_malloc();
}

/* Own mount namespace, empty file systems over /proc, /sys and /dev/shm. */
static void no_proc_no_sys(void) {
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  again("bare");
  CHECK(length > 0);
  self[length] = 0;
  setenv("HMS_TEST_SELF", self, 1);
  if (unshare(CLONE_NEWNS) != 0) SKIP("no right to make a mount namespace");
  CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
  CHECK(mount("none", "/sys", "tmpfs", MS_RDONLY, NULL) == 0);
  CHECK(mount("none", "/dev/shm", "tmpfs", MS_RDONLY, NULL) == 0);
  CHECK(mount("none", "/proc", "tmpfs", MS_RDONLY, NULL) == 0);
  run_again("no_proc_no_sys");
}

/* No descriptor left. */
static void no_descriptors(void) {
  again("descriptors");
  const struct rlimit limit = {64, 64};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  while (dup(2) >= 0) {
  }
  use_malloc();
}

/* stderr closed or broken: nothing that the library may say can matter. */
static void no_stderr(void) {
  again("stderr");
  setenv("HMS_CONF", "this is no rule at all", 1);
  setenv("HMS_LOG_LEVEL", "debug", 1);
  close(2);
  close(1);
  run_again("no_stderr");
}

static void tiny_stack(void) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstacksize(&attributes, 32768) == 0);
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, allocate_some, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"seccomp_mempolicy", seccomp_mempolicy},
      {"seccomp_files", seccomp_files},
      {"seccomp_advice", seccomp_advice},
      {"rlimit_as", rlimit_as},
      {"rlimit_as_small", rlimit_as_small},
      {"exhaustion", exhaustion},
      {"no_proc_no_sys", no_proc_no_sys},
      {"no_descriptors", no_descriptors},
      {"no_stderr", no_stderr},
      {"tiny_stack", tiny_stack},
  };
  return RUN_CASES(cases, argc, argv);
}
