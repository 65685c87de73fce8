/* Allocators in target regions, which run on the host here: the routines, the clauses, the default
 * allocator. OpenMP 5.2 sections 6.8 and 8.2 (dynamic_allocators). */
#include "harness.h"

#pragma omp requires dynamic_allocators

static void routines_in_a_target_region(void) {
  int good = 0;
#pragma omp target map(tofrom : good)
  {
    omp_alloctrait_t traits[] = {{omp_atk_alignment, 1024}, {omp_atk_fallback, omp_atv_null_fb}};
    allocator h = omp_init_allocator(omp_large_cap_mem_space, 2, traits);
    char* p = omp_alloc(5000, h);
    char* q = omp_calloc(100, 50, omp_default_mem_alloc);
    good = h != omp_null_allocator && p != NULL && (uintptr_t)p % 1024 == 0 && q != NULL &&
           q[4999] == 0;
    if (good) memset(p, 1, 5000);
    p = omp_realloc(p, 50000, h, h);
    good = good && p != NULL && (uintptr_t)p % 1024 == 0 && p[4999] == 1;
    omp_free(p, h);
    omp_free(q, omp_null_allocator);
    omp_destroy_allocator(h);
  }
  CHECK(good == 1);
}

static void teams_in_a_target_region(void) {
  enum { kCount = 1000 };
  int in[kCount], out[kCount] = {0}, wrong = 0;
  for (int i = 0; i < kCount; i++) in[i] = i;
#pragma omp target teams distribute parallel for num_teams(2) map(to : in) map(from : out) \
    map(tofrom : wrong) reduction(+ : wrong)
  for (int i = 0; i < kCount; i++) {
    int* p = omp_aligned_alloc(128, sizeof *p * 4, omp_default_mem_alloc);
    wrong += p == NULL || (uintptr_t)p % 128 != 0;
    if (p != NULL) {
      p[3] = in[i];
      out[i] = p[3] * 2;
    }
    omp_free(p, omp_default_mem_alloc);
  }
  for (int i = 0; i < kCount; i++) CHECK(out[i] == 2 * i);
  CHECK(wrong == 0);
}

static void clauses_in_a_target_region(void) {
  int scalar = 5, good = 0;
  double array[64];
  for (int i = 0; i < 64; i++) array[i] = i;
#pragma omp target map(tofrom : good) map(to : array)
  {
#pragma omp parallel num_threads(2) firstprivate(scalar) allocate(omp_large_cap_mem_alloc : scalar) \
    reduction(+ : good) allocate(omp_default_mem_alloc : good)
    good += scalar == 5 && array[63] == 63;
  }
  CHECK(good == 2);
}

/* Shared between the regions of one device: made in one, used and freed in others. */
static void blocks_across_target_regions(void) {
  int* data = omp_alloc(1000 * sizeof *data, omp_high_bw_mem_alloc);
  if (data == NULL) SKIP("libomp 14 has no memory in high_bw");
  int sum = 0;
#pragma omp target is_device_ptr(data)
  for (int i = 0; i < 1000; i++) data[i] = i;
#pragma omp target is_device_ptr(data) map(tofrom : sum)
  for (int i = 0; i < 1000; i++) sum += data[i];
  CHECK(sum == 499500);
  omp_free(data, omp_high_bw_mem_alloc);
}

static void default_allocator_in_a_target_region(void) {
  allocator before = omp_get_default_allocator();
  int good = 0;
#pragma omp target map(tofrom : good)
  {
    allocator first = omp_get_default_allocator();
    omp_set_default_allocator(omp_large_cap_mem_alloc);
    char* p = omp_alloc(100, omp_null_allocator);
    good = first != omp_null_allocator && p != NULL &&
           omp_get_default_allocator() == omp_large_cap_mem_alloc;
    omp_free(p, omp_null_allocator);
    omp_set_default_allocator(first);
  }
  CHECK(good == 1 && omp_get_default_allocator() == before);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"routines_in_a_target_region", routines_in_a_target_region, 0, NULL},
      {"teams_in_a_target_region", teams_in_a_target_region, 0, NULL},
      {"clauses_in_a_target_region", clauses_in_a_target_region, 0, NULL},
      {"blocks_across_target_regions", blocks_across_target_regions, 0, NULL},
      {"default_allocator_in_a_target_region", default_allocator_in_a_target_region, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
