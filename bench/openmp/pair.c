/* omp_alloc/omp_free of 64 bytes in a parallel region, beside malloc/free of the same process: ns
 * for a pair, the slower of the threads. Unmodified standard OpenMP, so that the same binary
 * measures the stock runtime (as it is) and libhms_omp (under `hms run --omp`). The kinds take
 * turns, round by round, because machines change their pace. `calls` is what remains when the two
 * functions, of a shared library as omp_alloc's is, do nothing: no allocator can be faster.
 *
 *   pair [KIND|all [THREADS [ROUNDS]]]   KIND: the median as a number; all: a table */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kPairs = 50000, kBytes = 64, kMaxRounds = 1000, kKinds = 6 };

static const char* const kNames[kKinds] = {"malloc", "default", "null", "own", "pool", "calls"};
static omp_allocator_handle_t handles[kKinds];
static double took[kKinds][kMaxRounds];

/* nothing.c */
void* bench_get_nothing(size_t bytes, uintptr_t allocator);
void bench_give_nothing(void* block, uintptr_t allocator);

/* Without the barrier compilers drop the pair. */
#define PAIRS(get_one, give_back)                \
  for (int i = 0; i < kPairs; i++) {             \
    void* p = get_one;                           \
    __asm__ volatile("" : "+r"(p) : : "memory"); \
    give_back;                                   \
  }

static double round_of(int kind, omp_allocator_handle_t h, int threads) {
  double slowest = 0;
#pragma omp parallel num_threads(threads) reduction(max : slowest)
  {
    double start = omp_get_wtime();
    switch (kind) {
      case 0:
        PAIRS(malloc(kBytes), free(p))
        break;
      case kKinds - 1:
        PAIRS(bench_get_nothing(kBytes, (uintptr_t)h), bench_give_nothing(p, (uintptr_t)h))
        break;
      default:
        PAIRS(omp_alloc(kBytes, h), omp_free(p, h))
    }
    slowest = omp_get_wtime() - start;
  }
  return slowest / kPairs * 1e9;
}

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static int usage(void) {
  fprintf(
      stderr,
      "usage: pair [KIND|all [THREADS [ROUNDS]]]; KIND: malloc, default, null, own, pool, calls; "
      "THREADS above 0, ROUNDS 1 to %d\n",
      kMaxRounds);
  return 2;
}

int main(int argc, char** argv) {
  const char* const wanted = argc > 1 ? argv[1] : "all";
  const int threads = argc > 2 ? atoi(argv[2]) : 2;
  const int rounds = argc > 3 ? atoi(argv[3]) : 60;
  const int all = strcmp(wanted, "all") == 0;
  int known = all;
  for (int k = 0; k < kKinds; k++) known |= strcmp(wanted, kNames[k]) == 0;
  if (!known || threads < 1 || rounds < 1 || rounds > kMaxRounds) return usage();

  omp_alloctrait_t pool[] = {{omp_atk_pool_size, 1 << 20}};
  handles[1] = omp_default_mem_alloc;
  handles[2] = omp_null_allocator;
  handles[3] = omp_init_allocator(omp_default_mem_space, 0, NULL);
  handles[4] = omp_init_allocator(omp_default_mem_space, 1, pool);
  for (int r = -1; r < rounds; r++) { /* the first one warms up */
    for (int k = 0; k < kKinds; k++) {
      if (!all && strcmp(wanted, kNames[k]) != 0) continue;
      const double ns = round_of(k, handles[k], threads);
      if (r >= 0) took[k][r] = ns;
    }
  }
  if (all) printf("%-10s %10s %10s\n", "ns", "median", "least");
  for (int k = 0; k < kKinds; k++) {
    if (!all && strcmp(wanted, kNames[k]) != 0) continue;
    qsort(took[k], (size_t)rounds, sizeof took[k][0], ascending);
    const double median = took[k][rounds / 2];
    if (all) {
      printf("%-10s %10.2f %10.2f\n", kNames[k], median, took[k][0]);
    } else {
      printf("%.4f\n", median);
    }
  }
  return 0;
}
