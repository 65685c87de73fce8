/* Where blocks are: the target that libhms says, and the node that the kernel says (move_pages),
 * page by page. HMS_TEST_MACHINE tells which machine this is:
 *   one          one node, nothing to tell apart
 *   emulated     tiers fast=64M (quick, low latency), slow=256M over one node
 *   hbm-ddr-cxl  nodes 0, 1: DRAM with CPUs; 2: HBM by 0; 3: large and far, by 1
 */
#include "harness.h"

enum { kNodes = 8 };
#define HBM_MACHINE() machine_is("hbm-ddr-cxl")

static void touch(char* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 512) p[i] = 1;
  if (bytes > 0) p[bytes - 1] = 1;
}

/* The whole block on one node, or charged to one tier. */
static int is_on(char* p, size_t bytes, int node, const char* tier) {
  touch(p, bytes);
  if (HBM_MACHINE()) return pages_on(p, bytes, node) == pages_of(p, bytes);
  if (machine_is("emulated")) return strcmp(target_of(p), tier) == 0;
  return 1;
}

static const size_t kSizes[] = {16, 64, 1000, 4096, 40000, 200000, 3000000};
enum { kSizeCount = sizeof kSizes / sizeof kSizes[0] };

static void space_is_on(space s, allocator predefined, int node, const char* tier) {
  allocator h = MAKE(s, NULL_FB);
  CHECK(h != omp_null_allocator);
  for (int i = 0; i < kSizeCount; i++) {
    size_t size = kSizes[i];
    char* p = omp_alloc(size, h);
    char* q = omp_alloc(size, predefined);
    CHECK(p != NULL && q != NULL);
    CHECK(is_on(p, size, node, tier));
    CHECK(is_on(q, size, node, tier));
    p = omp_realloc(p, size * 3, h, h);
    CHECK(p != NULL && is_on(p, size * 3, node, tier));
    omp_free(p, h);
    omp_free(q, predefined);
    p = omp_calloc(1, size, h);
    CHECK(p != NULL && p[size - 1] == 0 && is_on(p, size, node, tier));
    omp_free(p, h);
    p = omp_aligned_alloc(4096, size, h);
    CHECK(p != NULL && (uintptr_t)p % 4096 == 0 && is_on(p, size, node, tier));
    omp_free(p, h);
  }
  omp_destroy_allocator(h);
}

static void high_bandwidth_space(void) {
  space_is_on(omp_high_bw_mem_space, omp_high_bw_mem_alloc, 2, "tier:fast");
}
static void large_capacity_space(void) {
  space_is_on(omp_large_cap_mem_space, omp_large_cap_mem_alloc, 3, "tier:slow");
}

static void low_latency_space(void) {
  allocator h = MAKE(omp_low_lat_mem_space, NULL_FB);
  for (int i = 0; i < kSizeCount; i++) {
    char* p = omp_alloc(kSizes[i], h);
    CHECK(p != NULL);
    touch(p, kSizes[i]);
    if (HBM_MACHINE()) {
      CHECK(pages_on(p, kSizes[i], 0) + pages_on(p, kSizes[i], 1) == pages_of(p, kSizes[i]));
    } else if (machine_is("emulated")) {
      CHECK(strcmp(target_of(p), "tier:fast") == 0);
    }
    omp_free(p, h);
  }
}

/* Parallel threads: each block of the clause, too, is where its allocator says. */
static void clauses_are_placed(void) {
  static double big[20000];
  int good = 0;
#pragma omp parallel num_threads(2) firstprivate(big) allocate(omp_high_bw_mem_alloc : big) \
    reduction(+ : good)
  good += is_on((char*)big, sizeof big, 2, "tier:fast");
  CHECK(good == 2);
}

/* The room of high_bw: 64 MiB (emulated), 512 MiB (HBM; a part is the kernel's). */
static size_t fill(allocator h, size_t step, char** last, size_t limit) {
  size_t got = 0;
  *last = NULL;
  while (got < limit) {
    char* p = omp_alloc(step, h);
    if (p == NULL) break;
    touch(p, step);
    *last = p;
    got += step;
    if (!is_on(p, step, 2, "tier:fast")) break;
  }
  return got;
}

static void full_space_and_null_fb(void) {
  if (machine_is("one")) SKIP("one node: spaces have no limits of their own");
  allocator h = MAKE(omp_high_bw_mem_space, NULL_FB);
  char* last;
  size_t got = fill(h, 1 << 20, &last, (size_t)1 << 30);
  CHECK(last != NULL && is_on(last, 1 << 20, 2, "tier:fast"));
  CHECK(machine_is("emulated") ? got <= (64 << 20) && got >= (48 << 20)
                               : got <= (512 << 20) && got >= (200 << 20));
  omp_destroy_allocator(h); /* gives everything back */
  h = MAKE(omp_high_bw_mem_space, NULL_FB);
  char* again = omp_alloc(16 << 20, h);
  CHECK(again != NULL && is_on(again, 16 << 20, 2, "tier:fast"));
  omp_destroy_allocator(h);
}

static void full_space_and_default_mem_fb(void) {
  if (machine_is("one")) SKIP("one node: spaces have no limits of their own");
  allocator h = MAKE(omp_high_bw_mem_space, trait(omp_atk_fallback, omp_atv_default_mem_fb));
  size_t size = (size_t)600 << 20;
  if (HBM_MACHINE()) {
    char* p = omp_alloc(size, h);
    CHECK(p != NULL);
    touch(p, 4096);
    CHECK(pages_on(p, 4096, 2) == 0);
    omp_free(p, h);
  } else {
    char* p = omp_alloc(size, h);
    CHECK(p != NULL && strcmp(target_of(p), "tier:fast") != 0);
    omp_free(p, h);
  }
  char* p = omp_alloc(100 << 20, omp_high_bw_mem_alloc); /* its fallback is the same */
  CHECK(p != NULL);
  omp_free(p, omp_high_bw_mem_alloc);
}

static void full_space_and_allocator_fb(void) {
  if (machine_is("one")) SKIP("one node: spaces have no limits of their own");
  allocator far = MAKE(omp_large_cap_mem_space, NULL_FB);
  allocator h = MAKE(omp_high_bw_mem_space, trait(omp_atk_fallback, omp_atv_allocator_fb),
                     trait(omp_atk_fb_data, far));
  size_t size = machine_is("emulated") ? 100 << 20 : 600 << 20;
  char* p = omp_alloc(size, h);
  CHECK(p != NULL);
  touch(p, 1 << 20);
  if (HBM_MACHINE()) {
    CHECK(pages_on(p, 1 << 20, 3) == pages_of(p, 1 << 20));
  } else {
    CHECK(strcmp(target_of(p), "tier:slow") == 0);
  }
  omp_free(p, h);
}

/* Pages in turn: of any 2 n neighbours n are on each node, and neighbours differ. */
static void interleaved_by_pages(void) {
  if (!HBM_MACHINE()) SKIP("needs several nodes");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, omp_atv_interleaved), NULL_FB);
  size_t bytes = 256 * 4096;
  char* p = omp_aligned_alloc(4096, bytes, h);
  CHECK(p != NULL);
  touch(p, bytes);
  CHECK(pages_on(p, bytes, 0) == 128 && pages_on(p, bytes, 1) == 128);
  for (size_t i = 0; i + 1 < 256; i++) {
    CHECK(node_of_page(p + i * 4096) != node_of_page(p + (i + 1) * 4096));
  }
  omp_free(p, h);
  omp_destroy_allocator(h);
}

static void interleaved_by_parts(void) {
  if (!HBM_MACHINE()) SKIP("needs several nodes");
  enum { kPart = 65536, kParts = 10 };
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, omp_atv_interleaved),
                     trait(14, kPart), NULL_FB);
  size_t bytes = kPart * kParts - 5000;
  char* p = omp_alloc(bytes, h);
  CHECK(p != NULL);
  touch(p, bytes);
  for (size_t at = 0; at < bytes; at += 4096) CHECK(node_of_page(p + at) == (int)(at / kPart % 2));
  omp_free(p, h);
}

static void blocked(void) {
  if (!HBM_MACHINE()) SKIP("needs several nodes");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, omp_atv_blocked), NULL_FB);
  size_t pages = 101;
  char* p = omp_alloc(pages * 4096, h);
  CHECK(p != NULL);
  touch(p, pages * 4096);
  for (size_t i = 0; i < pages; i++) CHECK(node_of_page(p + i * 4096) == (i < 51 ? 0 : 1));
  omp_free(p, h);
}

static void nearest(void) {
  if (!HBM_MACHINE()) SKIP("needs several nodes");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, omp_atv_nearest), NULL_FB);
  cpu_set_t all;
  sched_getaffinity(0, sizeof all, &all);
  for (int cpu = 0; cpu < 4; cpu++) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) continue;
    unsigned node = 99;
    CHECK(syscall(SYS_getcpu, NULL, &node, NULL) == 0);
    for (int i = 0; i < kSizeCount; i++) {
      char* p = omp_alloc(kSizes[i], h);
      CHECK(p != NULL);
      touch(p, kSizes[i]);
      CHECK(pages_on(p, kSizes[i], (int)node) == pages_of(p, kSizes[i]));
      omp_free(p, h);
    }
  }
  sched_setaffinity(0, sizeof all, &all);
}

/* A space of one's own, by a placement specification; 0 where the library does not serve it. */
static uintptr_t space_by_name(const char* name) {
  int (*ask)(const char*, uintptr_t*) =
      (int (*)(const char*, uintptr_t*))dlsym(RTLD_DEFAULT, "hms_omp_space");
  uintptr_t handle = 0;
  if (ask == NULL) SKIP("spaces by name are the library's own");
  CHECK(ask(name, &handle) == 0);
  return handle;
}

/* First the one target, and what it has no room for on the next. */
static void ordered_space(void) {
  if (machine_is("one")) SKIP("one node: nothing to order");
  const char* spec = HBM_MACHINE() ? "node:2>node:3" : "tier:fast>tier:slow";
  allocator h = MAKE((space)space_by_name(spec), NULL_FB);
  CHECK(h != omp_null_allocator);
  size_t first = 0, second = 0;
  for (int i = 0; i < 40; i++) {
    size_t bytes = HBM_MACHINE() ? 16 << 20 : 4 << 20;
    char* p = omp_alloc(bytes, h);
    CHECK(p != NULL);
    if (HBM_MACHINE()) {
      touch(p, bytes);
      first += pages_on(p, bytes, 2);
      second += pages_on(p, bytes, 3);
      CHECK(first + second == pages_of(p, bytes) * (size_t)(i + 1));
    } else {
      first += strcmp(target_of(p), "tier:fast") == 0;
      second += strcmp(target_of(p), "tier:slow") == 0;
    }
    if (i == 0) CHECK(first > 0 && second == 0);
  }
  CHECK(second > 0);
  omp_destroy_allocator(h);
}

/* Runs of 2 MiB and more in turn, three on the first target for one on the second: of a large block
 * three quarters are there, give or take a run at each end. */
static void weighted_space(void) {
  if (!HBM_MACHINE()) SKIP("needs several nodes");
  allocator h = MAKE((space)space_by_name("node:2*3+node:3"), NULL_FB);
  CHECK(h != omp_null_allocator);
  enum { kPages = 64 * 256, kRun = 512 };
  size_t bytes = (size_t)kPages * 4096;
  char* p = omp_aligned_alloc(4096, bytes, h);
  CHECK(p != NULL);
  touch(p, bytes);
  size_t first = pages_on(p, bytes, 2), second = pages_on(p, bytes, 3);
  CHECK(first + second == kPages);
  CHECK(first >= kPages / 4 * 3 - 2 * kRun && first <= kPages / 4 * 3 + 2 * kRun);
  omp_free(p, h);
}

/* The default allocator of a task, and of clauses that name none. */
static void default_allocator_is_placed(void) {
  omp_set_default_allocator(omp_high_bw_mem_alloc);
  static double big[20000];
  int good = 0;
#pragma omp parallel num_threads(2) firstprivate(big) allocate(big) reduction(+ : good)
  {
    char* p = omp_alloc(100000, omp_null_allocator);
    good += is_on((char*)big, sizeof big, 2, "tier:fast");
    good += p != NULL && is_on(p, 100000, 2, "tier:fast");
    omp_free(p, omp_null_allocator);
  }
  CHECK(good == 4);
}

/* All spaces and traits at once, from all threads. */
static void threads_and_spaces(void) {
  allocator fast = MAKE(omp_high_bw_mem_space, trait(omp_atk_pool_size, 20 << 20), NULL_FB);
  allocator large = MAKE(omp_large_cap_mem_space, trait(omp_atk_alignment, 256), NULL_FB);
  int wrong = 0;
#pragma omp parallel num_threads(4) reduction(+ : wrong)
  for (int i = 0; i < 60; i++) {
    size_t bytes = (size_t)(i + 1) * 1000;
    char* p = omp_alloc(bytes, fast);
    char* q = omp_calloc(1, bytes, large);
    wrong += p == NULL || !is_on(p, bytes, 2, "tier:fast");
    wrong += q == NULL || !is_on(q, bytes, 3, "tier:slow");
    p = omp_realloc(p, bytes, large, fast); /* from one space to the other */
    wrong += p == NULL || !is_on(p, bytes, 3, "tier:slow");
    omp_free(p, large);
    omp_free(q, large);
  }
  CHECK(wrong == 0);
  omp_destroy_allocator(fast);
  omp_destroy_allocator(large);
}

static void pinned_and_placed(void) {
  allocator h = MAKE(omp_high_bw_mem_space, trait(omp_atk_pinned, omp_atv_true), NULL_FB);
  char* p = omp_alloc(100000, h);
  if (p == NULL) SKIP("RLIMIT_MEMLOCK allows no 100 kB here");
  CHECK(is_on(p, 100000, 2, "tier:fast"));
  omp_free(p, h);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"high_bandwidth_space", high_bandwidth_space, 0, NULL},
      {"large_capacity_space", large_capacity_space, 0, NULL},
      {"low_latency_space", low_latency_space, 0, NULL},
      {"clauses_are_placed", clauses_are_placed, 0, NULL},
      {"full_space_and_null_fb", full_space_and_null_fb, 0, NULL},
      {"full_space_and_default_mem_fb", full_space_and_default_mem_fb, 0, NULL},
      {"full_space_and_allocator_fb", full_space_and_allocator_fb, 0, NULL},
      {"interleaved_by_pages", interleaved_by_pages, 0, NULL},
      {"interleaved_by_parts", interleaved_by_parts, 0, NULL},
      {"blocked", blocked, 0, NULL},
      {"nearest", nearest, 0, NULL},
      {"ordered_space", ordered_space, 0, NULL},
      {"weighted_space", weighted_space, 0, NULL},
      {"default_allocator_is_placed", default_allocator_is_placed, 0, NULL},
      {"threads_and_spaces", threads_and_spaces, 0, NULL},
      {"pinned_and_placed", pinned_and_placed, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
