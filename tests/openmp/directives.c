/* Clauses and directives: what compilers make of them reaches the library. OpenMP 5.2 section 6. */
#include "harness.h"

typedef struct {
  double x[40];
} big;

/* libgomp's GCC 12 and every Clang tried call the allocator for these (docs/openmp.md). */
static void private_and_firstprivate(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 1024));
  int scalar = 7, good = 0;
  double array[50];
  big structure;
  for (int i = 0; i < 50; i++) array[i] = i;
  structure.x[39] = 5;
#pragma omp parallel num_threads(3) firstprivate(scalar, array, structure) \
    allocate(h : scalar, array, structure) reduction(+ : good)
  {
    good += scalar == 7 && array[49] == 49 && structure.x[39] == 5;
    good += (uintptr_t)&array % 1024 == 0 && (uintptr_t)&structure % 1024 == 0;
    array[0] = omp_get_thread_num();
    scalar++;
  }
  CHECK(good == 6 && scalar == 7);
  omp_destroy_allocator(h);
}

static void variable_length_array(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 4096));
  volatile int n = 300;
  int length = n, good = 0;
  double vla[length];
  for (int i = 0; i < length; i++) vla[i] = i;
#pragma omp parallel num_threads(2) firstprivate(vla) allocate(h : vla) reduction(+ : good)
  good += vla[length - 1] == length - 1 && (uintptr_t)vla % 4096 == 0;
  CHECK(good == 2);
  omp_destroy_allocator(h);
}

static void worksharing(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 512));
  int last = 0, sum = 0, one = 3, good = 0;
#pragma omp parallel num_threads(2) reduction(+ : good)
  {
#pragma omp for lastprivate(last) allocate(h : last)
    for (int i = 0; i < 100; i++) {
      last = i;
      good += (uintptr_t)&last % 512 == 0;
    }
#pragma omp for reduction(+ : sum) allocate(h : sum)
    for (int i = 0; i < 100; i++) sum += i;
#pragma omp single firstprivate(one) allocate(h : one)
    good += one == 3;
#pragma omp sections firstprivate(one) allocate(h : one)
    {
#pragma omp section
      good += one == 3;
    }
  }
  CHECK(last == 99 && sum == 4950 && good == 102);
  omp_destroy_allocator(h);
}

/* Clang ignores the clause on task and taskloop; the values are right either way. */
static void tasks(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 256));
  int value = 11, good = 0;
#pragma omp parallel num_threads(2)
#pragma omp single
  for (int i = 0; i < 50; i++) {
#pragma omp task firstprivate(value) allocate(h : value) shared(good)
    {
#pragma omp atomic
      good += value == 11;
    }
  }
  CHECK(good == 50);
  omp_destroy_allocator(h);
}

static void teams(void) {
  int value = 4, good = 0;
#pragma omp teams num_teams(2) thread_limit(2) firstprivate(value) \
    allocate(omp_large_cap_mem_alloc : value) reduction(+ : good)
  good += value == 4;
  CHECK(good >= 1);
}

static void reductions_of_arrays(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  double sums[16] = {0};
#pragma omp parallel for num_threads(3) reduction(+ : sums) allocate(h : sums)
  for (int i = 0; i < 1600; i++) sums[i % 16] += 1;
  for (int i = 0; i < 16; i++) CHECK(sums[i] == 100);
  omp_destroy_allocator(h);
}

/* Without an allocator the default one counts, whose traits the address shows. */
static void clause_without_allocator(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 8192));
  omp_set_default_allocator(h);
  int value = 1, good = 0;
#pragma omp parallel num_threads(2) firstprivate(value) allocate(value) reduction(+ : good)
  good += value == 1 && (uintptr_t)&value % 8192 == 0;
  CHECK(good == 2);
  omp_set_default_allocator(omp_default_mem_alloc);
  omp_destroy_allocator(h);
}

/* A clause cannot take a null pointer: null_fb acts as abort_fb (5.2 section 6.2). */
static void clause_without_memory_ends_the_program(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1), NULL_FB);
  int value = 1, good = 0;
#pragma omp parallel num_threads(2) firstprivate(value) allocate(h : value) reduction(+ : good)
  good += value;
}

static void allocate_directive(void) {
#if defined(__clang__)
  double array[100];
#pragma omp allocate(array) allocator(omp_high_bw_mem_alloc)
  for (int i = 0; i < 100; i++) array[i] = i;
  CHECK(array[99] == 99);
  if (target_of(array)[0] == 0 && dlsym(RTLD_DEFAULT, "hms_target_of") != NULL) {
    CHECK(!"the block is not from the library");
  }
#else
  SKIP("GCC 12 does not implement the directive");
#endif
}

/* The align clause (5.1) of the directive, and a directive whose allocator has no memory. */
static void allocate_directive_with_align(void) {
#if defined(__clang__)
  int array[10], scalar;
#pragma omp allocate(array) allocator(omp_large_cap_mem_alloc) align(1024)
#pragma omp allocate(scalar) align(256)
  array[9] = scalar = 4;
  CHECK(array[9] == scalar);
  CHECK((uintptr_t)opaque(array) % 1024 == 0 && (uintptr_t)opaque(&scalar) % 256 == 0);
#else
  SKIP("GCC 12 does not implement the directive");
#endif
}

static void allocate_directive_without_memory_ends_the_program(void) {
#if defined(__clang__)
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 1), NULL_FB);
  int array[10];
#pragma omp allocate(array) allocator(h)
  array[9] = 4;
  opaque(array);
#else
  SKIP("GCC 12 does not implement the directive");
#endif
}

/* The align modifier of the clause (5.1). */
static void clause_with_align(void) {
#if defined(__clang__)
  SKIP("Clang to 19 does not know the modifier");
#else
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 512));
  int value = 6, good = 0;
#pragma omp parallel num_threads(2) firstprivate(value) \
    allocate(allocator(h), align(2048) : value) reduction(+ : good)
  good += value == 6 && (uintptr_t)&value % 2048 == 0;
  CHECK(good == 2);
  omp_destroy_allocator(h);
#endif
}

static void uses_predefined_allocators(void) {
#if defined(__clang__)
  int value = 3, good = 0;
#pragma omp target uses_allocators(omp_large_cap_mem_alloc) firstprivate(value) \
    allocate(omp_large_cap_mem_alloc                                            \
             : value) map(tofrom                                                \
                          : good)
  good = value == 3 ? 1 : 2;
  CHECK(good == 1);
#else
  SKIP("GCC 12 does not implement uses_allocators");
#endif
}

/* Makes the allocator on entry, and destroys it at the end. */
static void uses_allocators_with_traits(void) {
#if defined(__clang__) && __clang_major__ >= 19
  int good = 0;
  for (int i = 0; i < 100; i++) {
    int value = i;
    allocator h = omp_null_allocator;
    const omp_alloctrait_t traits[] = {{omp_atk_alignment, 512}};
#pragma omp target uses_allocators(h(traits)) firstprivate(value) allocate(h                   \
                                                                           : value) map(tofrom \
                                                                                        : good)
    good += value == i && (uintptr_t)&value % 512 == 0;
  }
  CHECK(good == 100);
#else
  SKIP("this compiler knows no traits in uses_allocators");
#endif
}

static void distribute_and_linear(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 128));
  int value = 2, good = 0, at = 0;
#pragma omp teams distribute num_teams(2) firstprivate(value) allocate(h : value)
  for (int i = 0; i < 10; i++) {
#pragma omp atomic
    good += value == 2;
  }
#pragma omp parallel for num_threads(2) linear(at : 1) allocate(h : at)
  for (int i = 0; i < 10; i++) at = at + 1;
  CHECK(good == 10 && at == 10);
  omp_destroy_allocator(h);
}

/* Compilers leave the clause of task reductions to the runtime's own memory; results are right. */
static void reductions_of_tasks(void) {
  int grouped = 0, looped = 0;
#pragma omp parallel num_threads(2)
#pragma omp single
  {
#pragma omp taskgroup task_reduction(+ : grouped) allocate(omp_default_mem_alloc : grouped)
    for (int i = 0; i < 10; i++) {
#pragma omp task in_reduction(+ : grouped)
      grouped += i;
    }
#pragma omp taskloop reduction(+ : looped) allocate(omp_default_mem_alloc : looped)
    for (int i = 0; i < 10; i++) looped += i;
  }
  CHECK(grouped == 45 && looped == 45);
}

static void nested_regions(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 64));
  int good = 0;
  omp_set_max_active_levels(3);
#pragma omp parallel num_threads(2) reduction(+ : good)
#pragma omp parallel num_threads(2) reduction(+ : good)
#pragma omp parallel num_threads(2) reduction(+ : good)
  for (int i = 0; i < 500; i++) {
    int value = i;
    char* p = omp_alloc(64, h);
    memset(p, i, 64);
#pragma omp parallel if (0) firstprivate(value) allocate(h : value)
    value++;
    good += p[63] == (char)i;
    omp_free(p, h);
  }
  CHECK(good == 8 * 500);
  omp_destroy_allocator(h);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"private_and_firstprivate", private_and_firstprivate, 0, NULL},
      {"variable_length_array", variable_length_array, 0, NULL},
      {"worksharing", worksharing, 0, NULL},
      {"tasks", tasks, 0, NULL},
      {"teams", teams, 0, NULL},
      {"reductions_of_arrays", reductions_of_arrays, 0, NULL},
      {"clause_without_allocator", clause_without_allocator, 0, NULL},
      {"clause_without_memory_ends_the_program", clause_without_memory_ends_the_program, 1,
       "Out of memory allocating"},
      {"clause_with_align", clause_with_align, 0, NULL},
      {"allocate_directive", allocate_directive, 0, NULL},
      {"allocate_directive_with_align", allocate_directive_with_align, 0, NULL},
      {"allocate_directive_without_memory_ends_the_program",
       allocate_directive_without_memory_ends_the_program, 1, "Out of memory allocating"},
      {"uses_predefined_allocators", uses_predefined_allocators, 0, NULL},
      {"uses_allocators_with_traits", uses_allocators_with_traits, 0, NULL},
      {"distribute_and_linear", distribute_and_linear, 0, NULL},
      {"reductions_of_tasks", reductions_of_tasks, 0, NULL},
      {"nested_regions", nested_regions, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
