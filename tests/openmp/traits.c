/* One case for each trait, each value, and each way to get a trait wrong. OpenMP 5.2 section 6.2,
 * 6.0 section 8.2. */
#include "harness.h"

static const size_t kMany = 200;

static void alignment_is_kept(void) {
  for (size_t a = 1; a <= (size_t)1 << 21; a *= 2) {
    allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, a));
    CHECK(h != omp_null_allocator);
    for (size_t size = 1; size < 3000; size += 977) {
      char* p = omp_alloc(size, h);
      CHECK(p != NULL && (uintptr_t)p % a == 0 && (uintptr_t)p % 16 == 0);
      memset(p, 1, size);
      omp_free(p, h);
    }
    omp_destroy_allocator(h);
  }
}

static void alignment_of_trait_and_call(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 512));
  void* p = omp_aligned_alloc(64, 128, h);
  void* q = omp_aligned_alloc(4096, 8192, h);
  CHECK(p != NULL && (uintptr_t)p % 512 == 0);
  CHECK(q != NULL && (uintptr_t)q % 4096 == 0);
  void* r = omp_realloc(p, 70000, h, h);
  CHECK(r != NULL && (uintptr_t)r % 512 == 0);
  omp_free(r, h);
  omp_free(q, h);
  omp_destroy_allocator(h);
}

static void pool_size_is_a_limit(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 4096), NULL_FB);
  char* p = omp_alloc(3000, h);
  CHECK(p != NULL);
  CHECK(omp_alloc(3000, h) == NULL);
  CHECK(omp_alloc(4097, h) == NULL);
  omp_free(p, h);
  p = omp_alloc(4000, h);
  CHECK(p != NULL);
  omp_free(p, h);
  for (int i = 0; i < 10000; i++) {
    p = omp_alloc(2048, h);
    CHECK(p != NULL);
    omp_free(p, omp_null_allocator);
  }
  omp_destroy_allocator(h);
}

/* Growing charges the difference only; failing leaves the block and the pool as they were. */
static void pool_size_and_realloc(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 100000), NULL_FB);
  char* p = omp_alloc(60000, h);
  CHECK(p != NULL);
  memset(p, 7, 60000);
  char* q = omp_realloc(p, 99000, h, h);
  CHECK(q != NULL && q[59999] == 7);
  CHECK(omp_realloc(q, 200000, h, h) == NULL);
  CHECK(q[0] == 7 && omp_alloc(2000, h) == NULL);
  q = omp_realloc(q, 1000, h, h);
  CHECK(q != NULL && q[999] == 7);
  p = omp_alloc(97000, h);
  CHECK(p != NULL);
  omp_free(p, h);
  omp_free(q, h);
  p = omp_alloc(99000, h);
  CHECK(p != NULL);
  omp_free(p, h);
  omp_destroy_allocator(h);
}

/* 1000 blocks of 1000 bytes, wanted by four threads that never give one back: never more than the
 * pool, and no lost update afterwards. */
static void pool_size_is_exact_with_threads(void) {
  enum { kPool = 100 * 1100 };
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, kPool), NULL_FB);
  void* got[1000];
  size_t count = 0;
#pragma omp parallel for num_threads(4) schedule(static, 1)
  for (int i = 0; i < 1000; i++) {
    void* p = omp_alloc(1000, h);
#pragma omp critical
    if (p != NULL) got[count++] = p;
  }
  CHECK(count * 1000 <= kPool && count >= kPool / 1064);
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < (int)count; i++) omp_free(got[i], h);
  void* all = omp_alloc(kPool - 64, h);
  CHECK(all != NULL);
  CHECK(omp_alloc(1000, h) == NULL);
  omp_free(all, h);
  omp_destroy_allocator(h);
}

static void fallback_default_mem(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1000),
                     trait(omp_atk_fallback, omp_atv_default_mem_fb));
  char* p = omp_alloc(5000, h);
  CHECK(p != NULL);
  memset(p, 1, 5000);
  omp_free(p, h);
  omp_destroy_allocator(h);
}

static void fallback_default_is_default_mem(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1000),
                     trait(omp_atk_fallback, omp_atv_default));
  void* p = omp_alloc(5000, h);
  CHECK(p != NULL);
  omp_free(p, h);
}

static void fallback_allocator(void) {
  allocator last = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 10000),
                        trait(omp_atk_alignment, 1024), NULL_FB);
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1000),
                     trait(omp_atk_fallback, omp_atv_allocator_fb), trait(omp_atk_fb_data, last));
  CHECK(last != omp_null_allocator && h != omp_null_allocator);
  void* p = omp_alloc(900, h);
  void* q = omp_alloc(5000, h);
  CHECK(p != NULL && q != NULL && (uintptr_t)q % 1024 == 0);
  CHECK(omp_alloc(5000, h) == NULL); /* the second one's null_fb applies */
  omp_free(q, h);
  q = omp_alloc(5000, h);
  CHECK(q != NULL);
  omp_free(p, h);
  omp_free(q, omp_null_allocator);
  omp_destroy_allocator(h);
  omp_destroy_allocator(last);
}

/* Three allocators in line; the last one's fallback is default memory. */
static void fallback_chain(void) {
  allocator third = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 4096));
  allocator second =
      MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 4096), trait(omp_atk_alignment, 512),
           trait(omp_atk_fallback, omp_atv_allocator_fb), trait(omp_atk_fb_data, third));
  allocator first =
      MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 4096), trait(omp_atk_alignment, 1024),
           trait(omp_atk_fallback, omp_atv_allocator_fb), trait(omp_atk_fb_data, second));
  char* p[5];
  for (int i = 0; i < 5; i++) {
    p[i] = omp_alloc(3000, first);
    CHECK(p[i] != NULL);
    memset(p[i], i, 3000);
  }
  CHECK((uintptr_t)p[0] % 1024 == 0 && (uintptr_t)p[1] % 512 == 0);
  for (int i = 0; i < 5; i++) CHECK(p[i][2999] == i);
  for (int i = 4; i >= 0; i--) omp_free(p[i], i % 2 ? first : omp_null_allocator);
  omp_destroy_allocator(first);
  omp_destroy_allocator(second);
  omp_destroy_allocator(third);
}

static void fallback_to_a_predefined_allocator(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 100),
                     trait(omp_atk_fallback, omp_atv_allocator_fb),
                     trait(omp_atk_fb_data, omp_large_cap_mem_alloc));
  CHECK(h != omp_null_allocator);
  char* p = omp_alloc(100000, h);
  CHECK(p != NULL);
  memset(p, 1, 100000);
  p = omp_realloc(p, 300000, h, h);
  CHECK(p != NULL && p[99999] == 1);
  omp_free(p, h);
  omp_destroy_allocator(h);
}

/* The fallback's allocator is gone: no memory, and no crash. */
static void fallback_to_a_destroyed_allocator(void) {
  if (dlsym(RTLD_DEFAULT, "hms_target_of") == NULL) SKIP("unspecified behaviour");
  allocator last = MAKE(omp_default_mem_space, NULL_FB);
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1000),
                     trait(omp_atk_fallback, omp_atv_allocator_fb), trait(omp_atk_fb_data, last));
  omp_destroy_allocator(last);
  CHECK(omp_alloc(5000, h) == NULL);
  void* p = omp_alloc(500, h);
  CHECK(p != NULL);
  omp_free(p, h);
}

/* 5.2 section 6.2: an allocation of more than pool_size is not fulfilled; 0 leaves room for
 * nothing. */
static void pool_size_zero(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 0), NULL_FB);
  if (h == omp_null_allocator)
    return; /* a positive number, says the standard: refused is fine, too */
  CHECK(omp_alloc(1, h) == NULL && omp_calloc(1, 100000, h) == NULL);
  omp_destroy_allocator(h);
}

static void fallback_abort(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 100),
                     trait(omp_atk_fallback, omp_atv_abort_fb));
  opaque(omp_alloc(5000, h));
}

static void fallback_abort_of_calloc_overflow(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_fallback, omp_atv_abort_fb));
  opaque(omp_calloc(SIZE_MAX / 2, 3, h));
}

static void size_zero_never_falls_back(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 100),
                     trait(omp_atk_fallback, omp_atv_abort_fb));
  CHECK(omp_alloc(0, h) == NULL);
  CHECK(omp_calloc(0, 8, h) == NULL && omp_calloc(8, 0, h) == NULL);
  CHECK(omp_aligned_alloc(64, 0, h) == NULL);
}

/* VmLck of /proc/self/status (proc(5)), in kB. */
static long locked_kilobytes(void) {
  char line[256];
  long kb = -1;
  FILE* f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "VmLck: %ld", &kb) == 1) break;
  }
  if (f != NULL) fclose(f);
  return kb;
}

static void pinned_is_locked(void) {
  if (kUnderAsan) SKIP("AddressSanitizer's mlock() locks nothing");
  long before = locked_kilobytes();
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pinned, omp_atv_true), NULL_FB);
  CHECK(h != omp_null_allocator);
  char* p = omp_alloc(100000, h);
  if (p == NULL) SKIP("RLIMIT_MEMLOCK allows no 100 kB here");
  memset(p, 1, 100000);
  CHECK(locked_kilobytes() - before >= 97);
  char* q = omp_alloc(10, h);
  CHECK(q != NULL);
  omp_free(p, h);
  CHECK(locked_kilobytes() - before <= 8);
  q = omp_realloc(q, 9000, h, h);
  CHECK(q != NULL && locked_kilobytes() - before >= 8);
  omp_free(q, h);
  CHECK(locked_kilobytes() == before);
  omp_destroy_allocator(h);
}

#include <sys/resource.h>
static void pinned_falls_back_at_the_limit(void) {
  if (kUnderAsan) SKIP("AddressSanitizer's mlock() locks nothing");
  struct rlimit limit = {65536, 65536};
  CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
  /* CAP_IPC_LOCK ignores the limit (mlock(2)): become nobody. */
  if (geteuid() == 0 && setuid(65534) != 0) SKIP("cannot give up CAP_IPC_LOCK");
  allocator strict = MAKE(omp_default_mem_space, trait(omp_atk_pinned, omp_atv_true), NULL_FB);
  CHECK(omp_alloc(1 << 20, strict) == NULL);
  void* small = omp_alloc(1000, strict);
  CHECK(small != NULL);
  omp_free(small, strict);
  allocator soft = MAKE(omp_default_mem_space, trait(omp_atk_pinned, omp_atv_true));
  char* p = omp_alloc(1 << 20, soft);
  CHECK(p != NULL);
  memset(p, 1, 1 << 20);
  omp_free(p, soft);
}

static void sync_hints(void) {
  const uintptr_t values[] = {omp_atv_contended, omp_atv_uncontended, omp_atv_serialized,
                              omp_atv_private, omp_atv_default};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    allocator h = MAKE(omp_default_mem_space, trait(omp_atk_sync_hint, values[i]));
    CHECK(h != omp_null_allocator);
#pragma omp parallel num_threads(i == 3 ? 1 : 4)
    for (int k = 0; k < 300; k++) {
#pragma omp critical
      {
        char* p = omp_alloc(100, h);
        p[99] = 1;
        omp_free(p, h);
      }
    }
    omp_destroy_allocator(h);
  }
}

static void partitions(void) {
  const uintptr_t values[] = {omp_atv_environment, omp_atv_nearest, omp_atv_blocked,
                              omp_atv_interleaved, omp_atv_default};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    for (size_t part = 0; part <= 65536; part += 65536) {
      allocator h = part == 0 ? MAKE(omp_default_mem_space, trait(omp_atk_partition, values[i]))
                              : MAKE(omp_default_mem_space, trait(omp_atk_partition, values[i]),
                                     trait(14, part));
      CHECK(h != omp_null_allocator);
      for (size_t size = 1; size < 5000000; size = size * 3 + 1) {
        char* p = omp_calloc(size, 1, h);
        CHECK(p != NULL && p[0] == 0 && p[size - 1] == 0);
        memset(p, 5, size);
        char* q = omp_realloc(p, size + 100000, h, h);
        CHECK(q != NULL && q[0] == 5 && q[size - 1] == 5);
        omp_free(q, h);
      }
      omp_destroy_allocator(h);
    }
  }
}

/* Traits of 6.0 that a host satisfies, and devices that do not exist. */
static void traits_of_6_0(void) {
  allocator h = MAKE(omp_default_mem_space, trait(9, (uintptr_t)omp_get_initial_device()),
                     trait(10, (uintptr_t)omp_get_initial_device()), trait(12, 20), trait(13, 19),
                     trait(14, 65536), trait(11, 0));
  CHECK(h != omp_null_allocator);
  omp_destroy_allocator(h);
  CHECK(MAKE(omp_default_mem_space, trait(9, 77)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(10, 77)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(12, 7)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(13, 3)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(14, 0)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(15, 4096), trait(omp_atk_partition, 23)) ==
        omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(omp_atk_partition, 23)) == omp_null_allocator);
}

static void every_default_value(void) {
  for (int key = 1; key <= 16; key++) {
    allocator h = MAKE(omp_default_mem_space, trait(key, omp_atv_default));
    CHECK(h != omp_null_allocator);
    void* p = omp_alloc(100, h);
    CHECK(p != NULL);
    omp_free(p, h);
    omp_destroy_allocator(h);
  }
}

static void wrong_traits_give_the_null_allocator(void) {
  const omp_alloctrait_t wrong[] = {
      trait(0, 1),  trait(17, 1), trait(-1, 1), trait(999, 1), trait(1, 2),
      trait(1, 99), trait(2, 3),  trait(2, 0),  trait(2, 24),  trait(2, (uintptr_t)1 << 40),
      trait(3, 2),  trait(3, 11), trait(5, 10), trait(5, 15),  trait(7, 2),
      trait(8, 14), trait(8, 24),
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(omp_init_allocator(omp_default_mem_space, 1, (omp_alloctrait_t*)&wrong[i]) ==
          omp_null_allocator);
  }
  /* Together: given twice, allocator_fb without its allocator, or with one that does not exist. */
  CHECK(MAKE(omp_default_mem_space, trait(2, 64), trait(2, 64)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(5, omp_atv_allocator_fb)) == omp_null_allocator);
  CHECK(MAKE(omp_default_mem_space, trait(5, omp_atv_allocator_fb), trait(6, 123456789)) ==
        omp_null_allocator);
  CHECK(omp_init_allocator(omp_default_mem_space, -1, NULL) == omp_null_allocator);
  CHECK(omp_init_allocator(omp_default_mem_space, 3, NULL) == omp_null_allocator);
  CHECK(omp_init_allocator((space)77, 0, NULL) == omp_null_allocator);
  CHECK(omp_init_allocator((space)0xdeadbeefdeadbeef, 0, NULL) == omp_null_allocator);
}

static void many_blocks_of_one_allocator(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  char* blocks[200];
  for (size_t i = 0; i < kMany; i++) {
    blocks[i] = omp_alloc(i * 100 + 1, h);
    CHECK(blocks[i] != NULL);
    memset(blocks[i], (int)i, i * 100 + 1);
  }
  for (size_t i = 0; i < kMany; i++) CHECK(blocks[i][i * 100] == (char)i);
  for (size_t i = 0; i < kMany; i += 2) omp_free(blocks[i], h);
  omp_destroy_allocator(h); /* the other half goes with it */
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"alignment_is_kept", alignment_is_kept, 0, NULL},
      {"alignment_of_trait_and_call", alignment_of_trait_and_call, 0, NULL},
      {"pool_size_is_a_limit", pool_size_is_a_limit, 0, NULL},
      {"pool_size_and_realloc", pool_size_and_realloc, 0, NULL},
      {"pool_size_is_exact_with_threads", pool_size_is_exact_with_threads, 0, NULL},
      {"fallback_default_mem", fallback_default_mem, 0, NULL},
      {"fallback_default_is_default_mem", fallback_default_is_default_mem, 0, NULL},
      {"fallback_allocator", fallback_allocator, 0, NULL},
      {"fallback_chain", fallback_chain, 0, NULL},
      {"fallback_to_a_predefined_allocator", fallback_to_a_predefined_allocator, 0, NULL},
      {"fallback_to_a_destroyed_allocator", fallback_to_a_destroyed_allocator, 0, NULL},
      {"pool_size_zero", pool_size_zero, 0, NULL},
      {"fallback_abort", fallback_abort, 1, "Out of memory allocating 5000 bytes"},
      {"fallback_abort_of_calloc_overflow", fallback_abort_of_calloc_overflow, 1, "Out of memory"},
      {"size_zero_never_falls_back", size_zero_never_falls_back, 0, NULL},
      {"pinned_is_locked", pinned_is_locked, 0, NULL},
      {"pinned_falls_back_at_the_limit", pinned_falls_back_at_the_limit, 0, NULL},
      {"sync_hints", sync_hints, 0, NULL},
      {"partitions", partitions, 0, NULL},
      {"traits_of_6_0", traits_of_6_0, 0, NULL},
      {"every_default_value", every_default_value, 0, NULL},
      {"wrong_traits_give_the_null_allocator", wrong_traits_give_the_null_allocator, 0, NULL},
      {"many_blocks_of_one_allocator", many_blocks_of_one_allocator, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
