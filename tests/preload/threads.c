/* threads.c - threads that end with full caches, keys whose destructors free, signals in the middle
 * of everything, and libraries that come and go. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "check.h"

static void warm_cache(void) {
  void* blocks[200];
  for (int i = 0; i < 200; i++)
    blocks[i] = memset(malloc((size_t)i * 50 + 1), 1, (size_t)i * 50 + 1);
  for (int i = 0; i < 200; i++) free(blocks[i]);
}

static void* short_life(void* unused) {
  (void)unused;
  warm_cache();
  return malloc(300); /* freed by who joins */
}

/* Threads that end with live caches give them back: the resident set stays flat. */
static void thread_exit(void) {
  struct pages before = {0, 0};
  for (int i = 0; i < 3000; i++) {
    if (i == 500) before = pages_now();
    pthread_t thread;
    void* result = NULL;
    CHECK(pthread_create(&thread, NULL, short_life, NULL) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result != NULL);
    free(result);
  }
  malloc_trim(0);                                        /* what waits for its purge is no leak */
  CHECK(pages_now().resident <= before.resident + 2048); /* 8 MiB */
}

enum { kKeys = 64 };
static pthread_key_t keys[kKeys];
static atomic_int destroyed;

/* POSIX pthread_key_create: destructors may run in several rounds, and in any order relative to the
 * allocator's own. Each frees, allocates, and in early rounds sets the key again. */
static void destroy_value(void* value) {
  free(value);
  free(malloc(777));
  const int nth = atomic_fetch_add(&destroyed, 1);
  if (nth % 3 == 0 && pthread_getspecific(keys[0]) == NULL)
    pthread_setspecific(keys[0], malloc(50));
}

static void* with_keys(void* unused) {
  (void)unused;
  for (int k = 0; k < kKeys; k++)
    CHECK(pthread_setspecific(keys[k], malloc((size_t)k * 100 + 1)) == 0);
  warm_cache();
  return NULL;
}

static void key_destructors(void) {
  for (int k = 0; k < kKeys; k++) CHECK(pthread_key_create(&keys[k], destroy_value) == 0);
  struct pages before = {0, 0};
  for (int i = 0; i < 600; i++) {
    if (i == 100) before = pages_now();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, with_keys, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  CHECK(atomic_load(&destroyed) >= 600 * kKeys);
  malloc_trim(0);
  CHECK(pages_now().resident <= before.resident + 2048);
}

static atomic_int ticks;

static void on_tick(int signal) {
  (void)signal;
  atomic_fetch_add(&ticks, 1);
  errno = EINTR; /* a careless handler */
}

static void* work_through_signals(void* seed) {
  unsigned state = (unsigned)(uintptr_t)seed;
  unsigned char* blocks[256] = {NULL};
  size_t sizes[256] = {0};
  for (int i = 0; i < 400000; i++) {
    state = state * 1664525u + 1013904223u;
    const unsigned b = state >> 24;
    for (size_t j = 0; j < sizes[b]; j += 4096) CHECK(blocks[b][j] == (unsigned char)b);
    free(blocks[b]);
    sizes[b] = state % (i % 100 == 0 ? 300000 : 3000) + 1;
    blocks[b] = malloc(sizes[b]);
    CHECK(blocks[b] != NULL);
    for (size_t j = 0; j < sizes[b]; j += 4096) blocks[b][j] = (unsigned char)b;
  }
  for (int b = 0; b < 256; b++) free(blocks[b]);
  return NULL;
}

/* Signals every 200 microseconds of CPU time, in whatever thread, interrupting whatever call. */
static void signals(void) {
  struct sigaction action = {.sa_handler = on_tick};
  CHECK(sigaction(SIGPROF, &action, NULL) == 0);
  struct itimerval interval = {{0, 200}, {0, 200}};
  CHECK(setitimer(ITIMER_PROF, &interval, NULL) == 0);
  pthread_t threads[2];
  for (long t = 0; t < 2; t++) {
    CHECK(pthread_create(&threads[t], NULL, work_through_signals, (void*)(t + 1)) == 0);
  }
  for (int t = 0; t < 2; t++) CHECK(pthread_join(threads[t], NULL) == 0);
  struct itimerval none = {{0, 0}, {0, 0}};
  setitimer(ITIMER_PROF, &none, NULL);
  CHECK(atomic_load(&ticks) > 0);
}

/* Blocks made by one thread, freed by another, in both directions. */
enum { kMailboxes = 1024 };
static _Atomic(void*) mailboxes[kMailboxes];

static void* exchange(void* seed) {
  unsigned state = (unsigned)(uintptr_t)seed;
  for (int i = 0; i < 500000; i++) {
    state = state * 1664525u + 1013904223u;
    const size_t size = state % 2000 + 8;
    size_t* block = malloc(size);
    CHECK(block != NULL);
    *block = size;
    size_t* other = atomic_exchange(&mailboxes[state >> 22], block);
    if (other != NULL) CHECK(*other >= 8 && *other < 2008);
    free(other);
  }
  return NULL;
}

static void remote_free(void) {
  pthread_t threads[4];
  for (long t = 0; t < 4; t++)
    CHECK(pthread_create(&threads[t], NULL, exchange, (void*)(t + 7)) == 0);
  for (int t = 0; t < 4; t++) CHECK(pthread_join(threads[t], NULL) == 0);
  for (int i = 0; i < kMailboxes; i++) free(atomic_load(&mailboxes[i]));
}

/* A11: extents coalesce in one thread, then in two; jemalloc 5.3.0 crashed under some hooks. */
static void* coalesce_rounds(void* unused) {
  (void)unused;
  for (int round = 0; round < 4000; round++) {
    void* blocks[100];
    for (int i = 0; i < 100; i++) {
      blocks[i] = malloc(16384);
      CHECK(blocks[i] != NULL);
      *(char*)blocks[i] = 1;
    }
    for (int i = 0; i < 100; i++) free(blocks[i]);
  }
  return NULL;
}

static void coalescing(void) {
  coalesce_rounds(NULL);
  for (int i = 0; i < 5; i++) {
    pthread_t threads[2];
    for (int t = 0; t < 2; t++)
      CHECK(pthread_create(&threads[t], NULL, coalesce_rounds, NULL) == 0);
    for (int t = 0; t < 2; t++) CHECK(pthread_join(threads[t], NULL) == 0);
  }
}

/* dlopen and dlclose of a library whose constructor, functions and destructor allocate; its blocks
 * outlive it. PLUGIN is the path of plugin.c's library. */
static void plugins(void) {
  struct pages before = {0, 0};
  for (int i = 0; i < 2000; i++) {
    if (i == 200) before = pages_now();
    void* library = dlopen(PLUGIN, i % 2 == 0 ? RTLD_NOW : RTLD_LAZY | RTLD_GLOBAL);
    CHECK(library != NULL);
    char* (*make)(size_t) = (char* (*)(size_t))dlsym(library, "plugin_make");
    CHECK(make != NULL);
    char* block = make(1000);
    CHECK(dlsym(library, "no_such_name") == NULL && dlerror() != NULL);
    CHECK(dlclose(library) == 0);
    CHECK(block[999] == 'p');
    free(block);
    CHECK(dlopen("/no/such/library.so", RTLD_NOW) == NULL && dlerror() != NULL);
  }
  CHECK(pages_now().resident <= before.resident + 1024);
}

static void* plugin_thread(void* unused) {
  (void)unused;
  for (int i = 0; i < 200; i++) {
    void* library = dlopen(PLUGIN, RTLD_NOW);
    CHECK(library != NULL);
    warm_cache();
    CHECK(dlclose(library) == 0);
  }
  return NULL;
}

static void plugins_in_threads(void) {
  pthread_t threads[3];
  for (int t = 0; t < 3; t++) CHECK(pthread_create(&threads[t], NULL, plugin_thread, NULL) == 0);
  for (int t = 0; t < 3; t++) CHECK(pthread_join(threads[t], NULL) == 0);
}

/* A12: destructors of low priority run after most others; the library's own has run by then. */
static void* kept_for_exit;

__attribute__((destructor(101))) static void late_destructor(void) {
  free(kept_for_exit);
  for (int i = 0; i < 1000; i++) free(opaque(malloc((size_t)i * 100 + 1)));
}

static void at_exit(void) { free(opaque(calloc(10, 1000))); }

static void destructors(void) {
  kept_for_exit = malloc(5000);
  CHECK(atexit(at_exit) == 0);
  CHECK(dlopen(PLUGIN, RTLD_NOW) != NULL); /* its destructor allocates and frees, too */
  exit(0);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"thread_exit", thread_exit},
      {"key_destructors", key_destructors},
      {"signals", signals},
      {"remote_free", remote_free},
      {"coalescing", coalescing},
      {"plugins", plugins},
      {"plugins_in_threads", plugins_in_threads},
      {"destructors", destructors},
  };
  return RUN_CASES(cases, argc, argv);
}
