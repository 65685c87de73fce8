/* A library that is loaded with RTLD_DEEPBIND calls its OpenMP runtime itself, whoever is
 * preloaded: its own blocks go there and back, beside those of the program. (Blocks must not pass
 * between the two: docs/openmp.md.) Built twice: with -DLIBRARY as that library, and as the program
 * that loads it: deepbind LIBRARY. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The number of blocks that were wrong. */
int use_allocators(int rounds);
int use_allocators(int rounds) {
  omp_alloctrait_t traits[] = {{omp_atk_alignment, 256}, {omp_atk_pool_size, 1 << 20}};
  omp_allocator_handle_t h = omp_init_allocator(omp_default_mem_space, 2, traits);
  int wrong = h == omp_null_allocator;
#pragma omp parallel num_threads(2) reduction(+ : wrong)
  for (int i = 0; i < rounds; i++) {
    unsigned char* p = omp_alloc((size_t)(i % 500) + 1, h);
    unsigned char* q = omp_alloc((size_t)(i % 700) + 1, omp_default_mem_alloc);
    if (p == NULL || q == NULL || (uintptr_t)p % 256 != 0) {
      wrong++;
      continue;
    }
    memset(p, i, (size_t)(i % 500) + 1);
    memset(q, i + 1, (size_t)(i % 700) + 1);
    wrong += p[i % 500] != (i & 255);
    omp_free(p, h);
    omp_free(q, omp_default_mem_alloc);
  }
  omp_destroy_allocator(h);
  return wrong;
}

#ifndef LIBRARY
int main(int argc, char** argv) {
  void* library = argc < 2 ? NULL : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  int (*theirs)(int) = library == NULL ? NULL : (int (*)(int))dlsym(library, "use_allocators");
  if (theirs == NULL || theirs == use_allocators) {
    printf("FAIL no library: %s\n", dlerror());
    return 1;
  }
  int wrong = 0;
  for (int i = 0; i < 20; i++) wrong += use_allocators(500) + theirs(500);
  printf("%s %d blocks were wrong\n", wrong == 0 ? "ok" : "FAIL", wrong);
  return wrong == 0 ? 0 : 1;
}
#endif
