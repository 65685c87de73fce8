/* STREAM's four kernels (McCalpin, https://www.cs.virginia.edu/stream/) with their arrays in
 * high-bandwidth memory: nothing but standard OpenMP. Run it under `hms run --omp`; on a machine
 * without such memory, or without libhms, it uses what there is.
 *
 *   stream [ELEMENTS [ROUNDS]] */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static double seconds[4];

static void kernels(double* a, double* b, double* c, long n, double scalar) {
  double t[5];
  t[0] = omp_get_wtime();
#pragma omp parallel for
  for (long i = 0; i < n; i++) c[i] = a[i];
  t[1] = omp_get_wtime();
#pragma omp parallel for
  for (long i = 0; i < n; i++) b[i] = scalar * c[i];
  t[2] = omp_get_wtime();
#pragma omp parallel for
  for (long i = 0; i < n; i++) c[i] = a[i] + b[i];
  t[3] = omp_get_wtime();
#pragma omp parallel for
  for (long i = 0; i < n; i++) a[i] = b[i] + scalar * c[i];
  t[4] = omp_get_wtime();
  for (int k = 0; k < 4; k++) {
    double took = t[k + 1] - t[k];
    if (seconds[k] == 0 || took < seconds[k]) seconds[k] = took;
  }
}

int main(int argc, char** argv) {
  const long n = argc > 1 ? atol(argv[1]) : 2000000;
  const int rounds = argc > 2 ? atoi(argv[2]) : 5;
  if (n <= 0 || rounds <= 0) {
    fprintf(stderr, "usage: stream [ELEMENTS [ROUNDS]], both above 0\n");
    return 2;
  }
  /* Pages of the three arrays side by side over the memories of the space, and no memory at all
   * rather than a slower one: the program says so instead of measuring something else. */
  omp_alloctrait_t traits[] = {{omp_atk_alignment, 64}, {omp_atk_fallback, omp_atv_null_fb}};
  omp_allocator_handle_t fast = omp_init_allocator(omp_high_bw_mem_space, 2, traits);
  if (fast == omp_null_allocator) { /* libgomp 12 by itself, or libomp without memkind */
    puts("this runtime knows no high-bandwidth memory: default memory is measured");
    fast = omp_init_allocator(omp_default_mem_space, 2, traits);
  }
  size_t bytes = (size_t)n * sizeof(double);
  double* a = omp_alloc(bytes, fast);
  double* b = omp_alloc(bytes, fast);
  double* c = omp_alloc(bytes, fast);
  if (fast == omp_null_allocator || a == NULL || b == NULL || c == NULL) {
    fprintf(stderr, "stream: the high-bandwidth space has no room for 3 x %zu bytes\n", bytes);
    return 1;
  }
#pragma omp parallel for
  for (long i = 0; i < n; i++) {
    a[i] = 1;
    b[i] = 2;
    c[i] = 0;
  }
  double expect_a = 1, expect_b = 2, expect_c = 0;
  for (int r = 0; r < rounds; r++) {
    kernels(a, b, c, n, 3);
    expect_c = expect_a;
    expect_b = 3 * expect_c;
    expect_c = expect_a + expect_b;
    expect_a = expect_b + 3 * expect_c;
  }
  static const char* const names[] = {"copy", "scale", "add", "triad"};
  static const int words[] = {2, 2, 3, 3};
  for (int k = 0; k < 4; k++) {
    printf("%-6s %8.0f MB/s\n", names[k], words[k] * (double)bytes / seconds[k] / 1e6);
  }
  int right = a[n / 2] == expect_a && b[0] == expect_b && c[n - 1] == expect_c;
  omp_free(a, fast);
  omp_free(b, fast);
  omp_free(c, fast);
  omp_destroy_allocator(fast);
  puts(right ? "validated" : "WRONG result");
  return right ? 0 : 1;
}
