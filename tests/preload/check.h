/* check.h - the frame of the preload tests: a program holds named cases, ctest runs one per process
 * under LD_PRELOAD. The programs know nothing of libhms unless a case says so, so that each also
 * runs under plain glibc (peers.sh), which tells whether the case itself is right. */
#ifndef HMS_TESTS_PRELOAD_CHECK_H
#define HMS_TESTS_PRELOAD_CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kSkipped = 77 }; /* SKIP_RETURN_CODE of the ctest entries */

/* No allocation, so that it works when the allocator does not. */
#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      dprintf(2, "%s:%d: failed: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
      _exit(1);                                                                            \
    }                                                                                      \
  } while (0)

#define SKIP(reason)                     \
  do {                                   \
    dprintf(2, "skipped: %s\n", reason); \
    _exit(kSkipped);                     \
  } while (0)

struct test_case {
  const char* name;
  void (*run)(void);
};

/* Keeps the compiler from reasoning about a pointer: it may drop malloc/free pairs otherwise. */
static inline void* opaque(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

static inline int run_case(const struct test_case* cases, size_t count, int argc, char** argv) {
  for (size_t i = 0; i < count; i++) {
    if (argc < 2) {
      printf("%s\n", cases[i].name);
    } else if (strcmp(argv[1], cases[i].name) == 0) {
      cases[i].run();
      return 0;
    }
  }
  if (argc < 2) return 0;
  dprintf(2, "no case named %s\n", argv[1]);
  return 2;
}

#define RUN_CASES(cases, argc, argv) run_case(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv)

/* Pages of this process: virtual size and resident set, from /proc/self/statm (proc(5)). */
struct pages {
  long virtual_size, resident;
};

static inline struct pages pages_now(void) {
  struct pages now = {0, 0};
  FILE* f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    if (fscanf(f, "%ld %ld", &now.virtual_size, &now.resident) != 2) now.resident = 0;
    fclose(f);
  }
  return now;
}

/* True if libhms serves this process. */
static inline int under_hms(void) {
  const char* preload = getenv("LD_PRELOAD");
  return preload != NULL && strstr(preload, "libhms_malloc") != NULL;
}

#endif
