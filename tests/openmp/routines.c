/* The routines of OpenMP 5.2 section 18.13, predefined handles, bad input, and many of everything.
 */
#include "harness.h"

#include <malloc.h>
#include <pthread.h>

static const allocator kPredefined[] = {(allocator)1, (allocator)2, (allocator)3, (allocator)4,
                                        (allocator)5, (allocator)6, (allocator)7, (allocator)8};
enum { kPredefinedCount = 8 };

static void every_predefined_allocator(void) {
  for (int i = 0; i < kPredefinedCount; i++) {
    for (size_t size = 1; size < 3000000; size = size * 5 + 3) {
      unsigned char* p = omp_alloc(size, kPredefined[i]);
      CHECK(p != NULL && (uintptr_t)p % 16 == 0);
      memset(p, 0xa5, size);
      p = omp_realloc(p, size * 2, kPredefined[i], kPredefined[i]);
      CHECK(p != NULL && p[0] == 0xa5 && p[size - 1] == 0xa5);
      omp_free(p, i % 2 ? kPredefined[i] : omp_null_allocator);
      p = omp_calloc(size, 3, kPredefined[i]);
      CHECK(p != NULL);
      for (size_t k = 0; k < 3 * size; k += 61) CHECK(p[k] == 0);
      omp_free(p, kPredefined[i]);
    }
  }
}

static void every_predefined_space(void) {
  for (int s = 0; s < 5; s++) {
    allocator h = omp_init_allocator((space)s, 0, NULL);
    CHECK(h != omp_null_allocator && (uintptr_t)h > 1024);
    char* p = omp_alloc(70000, h);
    CHECK(p != NULL);
    memset(p, 1, 70000);
    omp_free(p, h);
    omp_destroy_allocator(h);
  }
  CHECK(omp_init_allocator((space)99, 0, NULL) != omp_null_allocator); /* LLVM 21's default */
}

static void aligned_calls(void) {
  for (size_t a = 1; a <= (size_t)1 << 22; a *= 4) {
    unsigned char* p = omp_aligned_alloc(a, 3 * a, omp_default_mem_alloc);
    unsigned char* q = omp_aligned_calloc(a, 3, a + 1, omp_default_mem_alloc);
    CHECK(p != NULL && (uintptr_t)p % a == 0);
    CHECK(q != NULL && (uintptr_t)q % a == 0 && q[0] == 0 && q[3 * a + 2] == 0);
    memset(q, 1, 3 * a + 3);
    omp_free(p, omp_default_mem_alloc);
    omp_free(q, omp_default_mem_alloc);
  }
}

static void wrong_alignments(void) {
  volatile size_t wrong[] = {3, 24, ((size_t)1 << 40), 1000};
  for (int i = 0; i < 4; i++) {
    CHECK(omp_aligned_alloc(wrong[i], 64, omp_default_mem_alloc) == NULL);
    CHECK(omp_aligned_calloc(wrong[i], 2, 64, omp_default_mem_alloc) == NULL);
  }
}

static void sizes_that_cannot_be(void) {
  volatile size_t huge[] = {SIZE_MAX, SIZE_MAX - 16, SIZE_MAX / 2, (size_t)1 << 60};
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64), NULL_FB);
  for (int i = 0; i < 4; i++) {
    CHECK(omp_alloc(huge[i], omp_default_mem_alloc) == NULL);
    CHECK(omp_alloc(huge[i], omp_high_bw_mem_alloc) == NULL);
    CHECK(omp_alloc(huge[i], h) == NULL);
    CHECK(omp_aligned_alloc(4096, huge[i], h) == NULL);
    CHECK(omp_calloc(huge[i], 2, omp_default_mem_alloc) == NULL);
    CHECK(omp_calloc(huge[i], huge[i], h) == NULL);
    void* p = omp_alloc(100, h);
    CHECK(omp_realloc(p, huge[i], h, h) == NULL);
    omp_free(p, h);
  }
}

static void zero_and_null(void) {
  CHECK(omp_alloc(0, omp_default_mem_alloc) == NULL);
  CHECK(omp_alloc(0, omp_null_allocator) == NULL);
  omp_free(NULL, omp_default_mem_alloc);
  omp_free(NULL, omp_null_allocator);
  omp_destroy_allocator(omp_null_allocator);
  void* p = omp_realloc(NULL, 100, omp_default_mem_alloc, omp_null_allocator);
  CHECK(p != NULL);
  CHECK(omp_realloc(p, 0, omp_default_mem_alloc, omp_default_mem_alloc) == NULL);
  CHECK(omp_realloc(NULL, 0, omp_default_mem_alloc, omp_null_allocator) == NULL);
}

/* Null handles: the owner's allocator for the new block (5.2 18.13.9), whoever it is. */
static void realloc_keeps_the_owner(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 2048),
                     trait(omp_atk_pool_size, 50000), NULL_FB);
  char* p = omp_alloc(1000, h);
  memset(p, 3, 1000);
  p = omp_realloc(p, 20000, omp_null_allocator, omp_null_allocator);
  CHECK(p != NULL && (uintptr_t)p % 2048 == 0 && p[999] == 3);
  CHECK(omp_alloc(45000, h) == NULL);
  omp_free(p, omp_null_allocator);
  p = omp_alloc(45000, h);
  CHECK(p != NULL);
  omp_free(p, h);
}

static void realloc_across_allocators(void) {
  allocator a = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 1024),
                     trait(omp_atk_pool_size, 10000), NULL_FB);
  allocator b = MAKE(omp_large_cap_mem_space, trait(omp_atk_alignment, 4096), NULL_FB);
  const allocator kinds[] = {omp_default_mem_alloc,  a, omp_high_bw_mem_alloc, b, a,
                             omp_large_cap_mem_alloc};
  char* p = omp_alloc(1, kinds[0]);
  *p = 9;
  for (size_t i = 0; i < 60; i++) {
    allocator from = kinds[i % 6], to = kinds[(i + 1) % 6];
    p = omp_realloc(p, 1 + i * 100, to, from);
    CHECK(p != NULL && *p == 9);
    if (to == a) CHECK((uintptr_t)p % 1024 == 0);
    if (to == b) CHECK((uintptr_t)p % 4096 == 0);
  }
  omp_free(p, omp_null_allocator);
  p = omp_alloc(9000, a); /* nothing is left charged */
  CHECK(p != NULL);
  char* q = omp_realloc(p, 20000, a, a);
  CHECK(q == NULL);
  q = omp_realloc(p, 20000, b, a);
  CHECK(q != NULL);
  p = omp_alloc(9000, a);
  CHECK(p != NULL);
}

static void default_allocator(void) {
  CHECK(omp_get_default_allocator() == omp_default_mem_alloc);
  void* first = omp_alloc(10, omp_null_allocator); /* the default is known by now */
  CHECK(first != NULL);
  omp_free(first, omp_null_allocator);
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 4096));
  omp_set_default_allocator(h);
  CHECK(omp_get_default_allocator() == h);
  void* p = omp_alloc(10, omp_null_allocator);
  CHECK(p != NULL && (uintptr_t)p % 4096 == 0);
  omp_free(p, omp_null_allocator);
  int good = 0;
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(2) reduction(+ : good)
  {
    good += omp_get_default_allocator() == h; /* inherited by implicit tasks */
    if (omp_get_thread_num() == 1) omp_set_default_allocator(omp_const_mem_alloc);
#pragma omp parallel num_threads(2) reduction(+ : good)
    good += omp_get_default_allocator() ==
            (omp_get_ancestor_thread_num(1) == 1 ? omp_const_mem_alloc : h);
  }
  CHECK(good == 6);
  CHECK(omp_get_default_allocator() == h);
  omp_set_default_allocator(omp_null_allocator);
  CHECK(omp_get_default_allocator() == omp_default_mem_alloc);
  omp_set_default_allocator((allocator)0xbadbadbad); /* reported, and ignored */
  CHECK(omp_get_default_allocator() == omp_default_mem_alloc);
}

static void destroyed_and_garbage_handles(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  char* p = omp_alloc(100, h);
  omp_destroy_allocator(h);
  omp_free(p, h); /* went with its allocator: reported */
  omp_destroy_allocator(h);
  CHECK(omp_alloc(100, h) == NULL);
  allocator next = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  CHECK(next != h && omp_alloc(100, h) == NULL);
  volatile uintptr_t garbage[] = {9,
                                  1023,
                                  1025,
                                  0xdeadbeef,
                                  (uintptr_t)&h,
                                  UINTPTR_MAX,
                                  (uintptr_t)next + 1,
                                  (uintptr_t)next ^ ((uintptr_t)1 << 25)};
  for (int i = 0; i < 8; i++) {
    CHECK(omp_alloc(100, (allocator)garbage[i]) == NULL);
    omp_destroy_allocator((allocator)garbage[i]);
  }
  p = omp_alloc(100, next);
  CHECK(p != NULL);
  omp_free(p, (allocator)garbage[3]); /* reported, freed by its owner */
  omp_free(p, next);                  /* twice: reported, and nothing happens */
  int local = 0;
  omp_free(&local, omp_default_mem_alloc);
  omp_free((void*)&omp_alloc, omp_null_allocator);
  CHECK(omp_realloc(&local, 100, next, next) == NULL);
  char* q = omp_alloc(200, next);
  omp_free(q + 64, next); /* inside a block */
  memset(q, 1, 200);
  omp_free(q, next);
}

static void hundred_thousand_allocators(void) {
  enum { kCount = 100000 };
  allocator* all = malloc(kCount * sizeof *all);
  for (int i = 0; i < kCount; i++) {
    all[i] = MAKE(omp_default_mem_space, trait(omp_atk_alignment, (uintptr_t)16 << (i % 5)),
                  trait(omp_atk_pool_size, 1000), NULL_FB);
    CHECK(all[i] != omp_null_allocator);
  }
  for (int i = 0; i < kCount; i++) {
    char* p = omp_alloc(100, all[i]);
    CHECK(p != NULL);
    if (i % 3 != 0) omp_free(p, all[i]);
  }
  for (int i = 0; i < kCount; i++) omp_destroy_allocator(all[i]);
  for (int i = 0; i < kCount; i += 1000) CHECK(omp_alloc(8, all[i]) == NULL);
  free(all);
}

/* What is left in an allocator goes with it: 2000 times 1 MiB fit in a small memory. */
static void destroy_frees_what_is_left(void) {
  for (int i = 0; i < 2000; i++) {
    allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 128));
    char* p = omp_alloc(1 << 20, h);
    CHECK(p != NULL);
    for (int k = 0; k < 1 << 20; k += 4096) p[k] = 1;
    for (int k = 0; k < 20; k++) opaque(omp_alloc(100, h));
    omp_destroy_allocator(h);
  }
  long pages = 0, resident = 0;
  FILE* f = fopen("/proc/self/statm", "r");
  CHECK(f != NULL && fscanf(f, "%ld %ld", &pages, &resident) == 2);
  CHECK(resident < 100 * 256);
}

/* Small blocks of allocators without demanding traits: they outlive the handle, and find home by
 * their address, whatever handle comes with them. */
static void small_blocks_outlive_their_allocator(void) {
  for (int s = 0; s < 5; s++) {
    allocator h = MAKE((space)s, NULL_FB);
    allocator other = omp_init_allocator((space)s, 0, NULL);
    char* p = omp_alloc(100, h);
    char* q = omp_aligned_calloc(256, 3, 50, other);
    CHECK(p != NULL && q != NULL && (uintptr_t)q % 256 == 0 && q[0] == 0 && q[149] == 0);
    memset(p, 7, 100);
    omp_destroy_allocator(h);
    CHECK(omp_alloc(100, h) == NULL);
    CHECK(omp_aligned_alloc(64, 100, h) == NULL && omp_calloc(1, 100, h) == NULL);
    p = omp_realloc(p, 90000, omp_null_allocator, omp_null_allocator);
    CHECK(p != NULL && p[0] == 7 && p[99] == 7);
    p = omp_realloc(p, 200000, other, omp_null_allocator); /* now with a record */
    CHECK(p != NULL && p[99] == 7);
    p = omp_realloc(p, 50, other, other);
    CHECK(p != NULL && p[49] == 7);
    omp_free(p, other);
    omp_free(q, omp_null_allocator);
    omp_destroy_allocator(other);
  }
}

/* Blocks given to free() and realloc(): a mistake, which must not damage the heap. */
static void free_and_realloc_of_blocks(void) {
  if (kUnderAsan) SKIP("free() is AddressSanitizer's");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1 << 20),
                     trait(omp_atk_alignment, 64), NULL_FB);
  for (int round = 0; round < 50; round++) {
    char* p = omp_alloc(100, h);
    char* q = omp_alloc(50000, h);
    char* r = omp_alloc(100, omp_default_mem_alloc);
    CHECK(p != NULL && q != NULL && r != NULL);
    memset(p, 1, 100);
    free(opaque(r));
    p = realloc(opaque(p), 90);
    CHECK(p != NULL && p[89] == 1);
    p = realloc(opaque(p), 5000);
    CHECK(p != NULL && p[89] == 1 && malloc_usable_size(p) >= 5000);
    memset(p, 2, malloc_usable_size(p));
    free(opaque(p));
    free(opaque(q));
  }
  void* all = omp_alloc((1 << 20) - 4096, h);
  CHECK(all != NULL); /* nothing is left charged */
  omp_destroy_allocator(h);
}

static allocator shared;
static void* worker(void* unused) {
  void* blocks[50];
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 50; i++) {
      blocks[i] = omp_alloc((size_t)(i * 37 + 1), i % 2 ? shared : omp_high_bw_mem_alloc);
      CHECK(blocks[i] != NULL);
      memset(blocks[i], 1, (size_t)(i * 37 + 1));
    }
    for (int i = 0; i < 50; i++) omp_free(blocks[i], omp_null_allocator);
  }
  return unused;
}

static void threads_come_and_go(void) {
  shared = MAKE(omp_default_mem_space, trait(omp_atk_access, omp_atv_all),
                trait(omp_atk_pool_size, 10 << 20), NULL_FB);
  for (int i = 0; i < 100; i++) {
    pthread_t threads[4];
    for (int k = 0; k < 4; k++) CHECK(pthread_create(&threads[k], NULL, worker, NULL) == 0);
    for (int k = 0; k < 4; k++) pthread_join(threads[k], NULL);
  }
  void* all = omp_alloc((10 << 20) - 64, shared);
  CHECK(all != NULL); /* all was given back */
  omp_free(all, shared);
  omp_destroy_allocator(shared);
}

/* Allocated by one thread, freed by another, in both directions, under nested teams. */
static void blocks_change_hands(void) {
  enum { kSlots = 256 };
  static void* volatile slots[kSlots];
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1 << 20), NULL_FB);
#pragma omp parallel num_threads(4)
  {
    unsigned seed = (unsigned)omp_get_thread_num() * 7919 + 1;
    for (int i = 0; i < 20000; i++) {
      seed = seed * 1664525 + 1013904223;
      size_t size = seed >> 8 & 511;
      void* p = omp_alloc(size + 1, h);
      if (p != NULL) memset(p, 1, size + 1);
      void* old = __atomic_exchange_n(&slots[seed >> 24], p, __ATOMIC_ACQ_REL);
      omp_free(old, h);
    }
  }
  for (int i = 0; i < kSlots; i++) omp_free(slots[i], h);
  void* all = omp_alloc((1 << 20) - 64, h);
  CHECK(all != NULL);
  omp_free(all, h);
}

static void fork_in_a_busy_program(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  volatile int stop = 0;
  int good = 0;
#pragma omp parallel num_threads(2)
  {
    if (omp_get_thread_num() == 0) {
      for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
          void* p = omp_alloc(1000, h);
          allocator own = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 4096));
          void* q = omp_alloc(1000, own);
          omp_free(p, h);
          omp_destroy_allocator(own);
          _exit(p != NULL && q != NULL ? 0 : 1);
        }
        int status = 1;
        waitpid(child, &status, 0);
        good += status == 0;
      }
      stop = 1;
    } else {
      while (!stop) {
        allocator own = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 256));
        opaque(omp_alloc(500, own));
        omp_destroy_allocator(own);
        for (int i = 0; i < 1000; i++) omp_free(omp_alloc(100, h), h); /* its records are in use */
      }
    }
  }
  CHECK(good == 20);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"every_predefined_allocator", every_predefined_allocator, 0, NULL},
      {"every_predefined_space", every_predefined_space, 0, NULL},
      {"aligned_calls", aligned_calls, 0, NULL},
      {"wrong_alignments", wrong_alignments, 0, NULL},
      {"sizes_that_cannot_be", sizes_that_cannot_be, 0, NULL},
      {"zero_and_null", zero_and_null, 0, NULL},
      {"realloc_keeps_the_owner", realloc_keeps_the_owner, 0, NULL},
      {"realloc_across_allocators", realloc_across_allocators, 0, NULL},
      {"default_allocator", default_allocator, 0, NULL},
      {"destroyed_and_garbage_handles", destroyed_and_garbage_handles, 0, NULL},
      {"hundred_thousand_allocators", hundred_thousand_allocators, 0, NULL},
      {"destroy_frees_what_is_left", destroy_frees_what_is_left, 0, NULL},
      {"small_blocks_outlive_their_allocator", small_blocks_outlive_their_allocator, 0, NULL},
      {"free_and_realloc_of_blocks", free_and_realloc_of_blocks, 0, NULL},
      {"threads_come_and_go", threads_come_and_go, 0, NULL},
      {"blocks_change_hands", blocks_change_hands, 0, NULL},
      {"fork_in_a_busy_program", fork_in_a_busy_program, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
