// a[i] = b[i] + s * c[i], the loop that is limited by memory bandwidth; plain malloc, as most
// programs.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
  double *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b), *c = malloc(n * sizeof *c);
  if (n == 0 || a == NULL || b == NULL || c == NULL) return 1;
  for (size_t i = 0; i < n; i++) a[i] = 0, b[i] = 1, c[i] = (double)i;
  for (int round = 0; round < 10; round++) {
    for (size_t i = 0; i < n; i++) a[i] = b[i] + 3 * c[i];
  }
  printf("a[n - 1] = %.1f\n", a[n - 1]);
  free(a), free(b), free(c);
  return 0;
}
