/* harness.h - the frame of the OpenMP conformance tests: named cases, each in a process of its own,
 * so that a runtime that crashes or aborts loses one case only and the rest can be compared.
 *
 * The programs use the standard API alone; what they ask of libhms goes through dlsym() and is left
 * out where there is none. So the same binaries run on the stock runtimes (docs/openmp.md has the
 * table), and show there what is not honoured.
 *
 * Output: a line "ok NAME", "FAIL NAME: WHY" or "skip NAME: WHY" for each case. */
#ifndef HMS_TESTS_OPENMP_HARNESS_H
#define HMS_TESTS_OPENMP_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <omp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kFailed = 1, kSkipped = 77 };

static char harness_why[512];
static int harness_pipe = -1;

static inline void leave_case(int status, const char* why) {
  ssize_t ignored = write(harness_pipe, why, strlen(why));
  (void)ignored;
  _exit(status);
}

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      snprintf(harness_why, sizeof harness_why, "%s:%d: %s", __FILE__, __LINE__, #condition); \
      leave_case(kFailed, harness_why);                                                       \
    }                                                                                         \
  } while (0)
#define SKIP(reason) leave_case(kSkipped, reason)

/* Built with AddressSanitizer, a case must also leave no memory behind that nothing points to. */
#if defined(__SANITIZE_ADDRESS__)
enum { kUnderAsan = 1 };
int __lsan_do_recoverable_leak_check(void);
static inline int leaks(void) { return __lsan_do_recoverable_leak_check(); }
#else
enum { kUnderAsan = 0 };
static inline int leaks(void) { return 0; }
#endif

struct test_case {
  const char* name;
  void (*run)(void);
  /* 0: ends normally. Else the case must end with this exit status, as abort_fb does. */
  int exit_status;
  const char* says; /* what it must print on stderr then; NULL: anything */
};

/* Keeps the compiler from reasoning about a pointer: it may drop allocation pairs otherwise. */
static inline void* opaque(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

static inline size_t drain(int fd, char* out, size_t room) {
  size_t have = 0;
  char rest[256];
  for (;;) {
    ssize_t n =
        have + 1 < room ? read(fd, out + have, room - 1 - have) : read(fd, rest, sizeof rest);
    if (n <= 0) break;
    if (have + 1 < room) have += (size_t)n;
  }
  out[have] = 0;
  close(fd);
  return have;
}

static inline int run_one(const struct test_case* c) {
  int why[2], said[2];
  char why_text[512], said_text[4096];
  int status = 0;
  if (pipe(why) != 0 || pipe(said) != 0) return 2;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    harness_pipe = why[1];
    if (c->exit_status != 0) dup2(said[1], 2);
    close(said[1]);
    alarm(300);
    c->run();
    if (leaks()) leave_case(kFailed, "memory was leaked, see above");
    _exit(0);
  }
  close(why[1]);
  close(said[1]);
  drain(said[0], said_text, sizeof said_text);
  drain(why[0], why_text, sizeof why_text);
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) {
    printf("skip %s: %s\n", c->name, why_text);
    return 0;
  }
  if (!WIFEXITED(status)) {
    printf("FAIL %s: ended by signal %d\n", c->name, WTERMSIG(status));
    return 1;
  }
  if (WEXITSTATUS(status) != c->exit_status || why_text[0] != 0) {
    printf("FAIL %s: %s (exit status %d, expected %d)\n", c->name, why_text, WEXITSTATUS(status),
           c->exit_status);
    return 1;
  }
  if (c->exit_status != 0 && c->says != NULL && strstr(said_text, c->says) == NULL) {
    printf("FAIL %s: said '%s', not '%s'\n", c->name, said_text, c->says);
    return 1;
  }
  printf("ok %s\n", c->name);
  return 0;
}

static inline int run_cases(const struct test_case* cases, size_t count, int argc, char** argv) {
  int failed = 0;
  for (size_t i = 0; i < count; i++) {
    if (argc > 1 && strcmp(argv[1], cases[i].name) != 0) continue;
    failed += run_one(&cases[i]);
  }
  return failed == 0 ? 0 : 1;
}
#define RUN_CASES(cases, argc, argv) \
  run_cases(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv)

/* ---- Independent checks
 * --------------------------------------------------------------------------- The node of a page by
 * the kernel's own answer: move_pages(2) without target nodes. */
static inline int node_of_page(const void* address) {
  void* page = (void*)((uintptr_t)address & ~(uintptr_t)4095);
  int status = -1;
  if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0) != 0) return -1;
  return status;
}
/* Pages of a block that are on `node`; the block's own pages only (those that start in it, and the
 * one it starts in). Pages that were never written count as elsewhere. */
static inline size_t pages_on(const void* block, size_t bytes, int node) {
  size_t count = 0;
  uintptr_t first = (uintptr_t)block & ~(uintptr_t)4095;
  for (uintptr_t at = first; at < (uintptr_t)block + bytes; at += 4096) {
    count += node_of_page((const void*)at) == node;
  }
  return count;
}
static inline size_t pages_of(const void* block, size_t bytes) {
  uintptr_t first = (uintptr_t)block & ~(uintptr_t)4095;
  return ((uintptr_t)block + bytes - first + 4095) / 4096;
}

/* The target a block is charged to, by libhms; "" without libhms. */
static inline const char* target_of(const void* block) {
  const char* (*ask)(const void*) =
      (const char* (*)(const void*))dlsym(RTLD_DEFAULT, "hms_target_of");
  const char* key = ask == NULL ? NULL : ask(block);
  return key == NULL ? "" : key;
}

/* What the runner says of the machine: one, emulated (fast 64M, slow 256M), or a lab's topology. */
static inline int machine_is(const char* name) {
  const char* said = getenv("HMS_TEST_MACHINE");
  return strcmp(said == NULL ? "one" : said, name) == 0;
}

/* ---- Words for traits
 * -----------------------------------------------------------------------------*/
typedef omp_allocator_handle_t allocator;
typedef omp_memspace_handle_t space;

static inline omp_alloctrait_t trait(int key, uintptr_t value) {
  omp_alloctrait_t t;
  memset(&t, 0, sizeof t);
  t.key = (omp_alloctrait_key_t)key;
  t.value = value;
  return t;
}
#define TRAITS(...) \
  (omp_alloctrait_t[]) { __VA_ARGS__ }
#define MAKE(space, ...)                                                                   \
  omp_init_allocator(space, (int)(sizeof(TRAITS(__VA_ARGS__)) / sizeof(omp_alloctrait_t)), \
                     TRAITS(__VA_ARGS__))
#define NULL_FB trait(omp_atk_fallback, omp_atv_null_fb)

#endif
