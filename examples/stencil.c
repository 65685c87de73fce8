/* A heat equation whose two hot grids are in high-bandwidth memory while its history, written once
 * and read rarely, is in large-capacity memory.
 *
 *   stencil [SIDE [STEPS]] */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void step(const double* from, double* to, int n) {
#pragma omp parallel for
  for (int y = 1; y < n - 1; y++) {
    for (int x = 1; x < n - 1; x++) {
      const double* p = from + (size_t)y * n + x;
      to[(size_t)y * n + x] = 0.25 * (p[-1] + p[1] + p[-n] + p[n]);
    }
  }
}

int main(int argc, char** argv) {
  const int n = argc > 1 ? atoi(argv[1]) : 400;
  const int steps = argc > 2 ? atoi(argv[2]) : 60;
  if (n < 3 || n > 30000 || steps < 1) {
    fprintf(stderr, "usage: stencil [SIDE [STEPS]], SIDE from 3 to 30000, STEPS above 0\n");
    return 2;
  }
  const size_t cells = (size_t)n * n;
  const int every = 10;
  const size_t snapshots = (size_t)(steps / every);
  /* The predefined allocators fall back to default memory when their space is full. */
  double* now = omp_calloc(cells, sizeof(double), omp_high_bw_mem_alloc);
  double* next = omp_calloc(cells, sizeof(double), omp_high_bw_mem_alloc);
  float* history = omp_alloc((snapshots + 1) * cells * sizeof(float), omp_large_cap_mem_alloc);
  if (now == NULL || next == NULL || history == NULL) {
    fprintf(stderr, "stencil: not enough memory for %zu cells\n", cells);
    return 1;
  }
  for (int x = 0; x < n; x++) now[x] = next[x] = 100; /* the hot edge */
  for (int s = 1; s <= steps; s++) {
    step(now, next, n);
    double* swap = now;
    now = next;
    next = swap;
    if (s % every != 0) continue;
    float* shot = history + (size_t)(s / every - 1) * cells;
#pragma omp parallel for
    for (size_t i = 0; i < cells; i++) shot[i] = (float)now[i];
  }
  /* Heat only spreads: each snapshot is at least as warm as the one before. */
  int right = 1;
  double before = 0;
  for (size_t k = 0; k < snapshots; k++) {
    double sum = 0;
    for (size_t i = 0; i < cells; i++) sum += history[k * cells + i];
    printf("after %4zu steps: mean %.6f\n", (k + 1) * every, sum / (double)cells);
    right = right && sum >= before;
    before = sum;
  }
  omp_free(now, omp_null_allocator);
  omp_free(next, omp_null_allocator);
  omp_free(history, omp_large_cap_mem_alloc);
  puts(right ? "validated" : "WRONG result");
  return right ? 0 : 1;
}
