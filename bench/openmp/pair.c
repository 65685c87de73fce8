/* omp_alloc/omp_free of 64 bytes in a parallel region, beside malloc/free of the same process: ns
 * for a pair, the slower of the threads, best round. Unmodified standard OpenMP, so that the same
 * binary measures the stock runtime (as it is) and libhms_omp (under `hms run --omp`).
 *
 *   pair [THREADS [ROUNDS]] */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { kPairs = 50000, kBytes = 64 };

static double round_of(int plain, omp_allocator_handle_t h, int threads) {
  double slowest = 0;
#pragma omp parallel num_threads(threads) reduction(max : slowest)
  {
    double start = omp_get_wtime();
    for (int i = 0; i < kPairs; i++) {
      void* p = plain ? malloc(kBytes) : omp_alloc(kBytes, h);
      __asm__ volatile("" : "+r"(p) : : "memory"); /* or compilers drop the pair */
      if (plain) {
        free(p);
      } else {
        omp_free(p, h);
      }
    }
    slowest = omp_get_wtime() - start;
  }
  return slowest / kPairs * 1e9;
}

static double best_of(int plain, omp_allocator_handle_t h, int threads, int rounds) {
  double best = round_of(plain, h, threads);
  for (int r = 1; r < rounds; r++) {
    double took = round_of(plain, h, threads);
    if (took < best) best = took;
  }
  return best;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 2;
  const int rounds = argc > 2 ? atoi(argv[2]) : 60;
  if (threads < 1 || rounds < 1) {
    fprintf(stderr, "usage: pair [THREADS [ROUNDS]], both above 0\n");
    return 2;
  }
  omp_alloctrait_t pool[] = {{omp_atk_pool_size, 1 << 20}};
  const struct {
    const char* name;
    int plain;
    omp_allocator_handle_t h;
  } kinds[] = {
      {"malloc", 1, omp_null_allocator},
      {"omp_default_mem_alloc", 0, omp_default_mem_alloc},
      {"the null allocator", 0, omp_null_allocator},
      {"own allocator", 0, omp_init_allocator(omp_default_mem_space, 0, NULL)},
      {"own, with pool_size", 0, omp_init_allocator(omp_default_mem_space, 1, pool)},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    printf("%-24s %8.1f ns\n", kinds[i].name, best_of(kinds[i].plain, kinds[i].h, threads, rounds));
  }
  return 0;
}
