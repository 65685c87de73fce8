/* A program that has nothing to do with libhms but uses its OpenMP door: a space by name, an
 * allocator in it, and a routine of OpenMP 6.0 that the compiler's header need not know. */
#include <hms/hms_omp.h>
#include <stdio.h>
#include <string.h>

static int own_space(void) {
  uintptr_t space = 0;
  if (hms_omp_space("node:0", &space) != HMS_OK) {
    fprintf(stderr, "hms_omp_space: %s\n", hms_last_error());
    return 1;
  }
  if (omp_get_memspace_num_resources((omp_memspace_handle_t)space) != 1) return 1;
  const omp_alloctrait_t traits[] = {{omp_atk_alignment, 4096},
                                     {omp_atk_fallback, omp_atv_null_fb}};
  omp_allocator_handle_t h = omp_init_allocator((omp_memspace_handle_t)space, 2, traits);
  if (h == omp_null_allocator) return 1;
  char* block = omp_alloc(100000, h);
  const char* target = hms_target_of(block);
  int good = block != NULL && (uintptr_t)block % 4096 == 0 && target != NULL &&
             strcmp(target, "node:0") == 0;
  omp_free(block, h);
  omp_destroy_allocator(h);
  return good ? 0 : 1;
}

int main(void) {
  int good = 0;
#pragma omp parallel num_threads(2) reduction(+ : good)
  {
    char* block = omp_alloc(100, omp_high_bw_mem_alloc);
    if (block != NULL) memset(block, 1, 100);
    good += block != NULL && hms_target_of(block) != NULL;
    omp_free(block, omp_high_bw_mem_alloc);
  }
  return good == 2 ? own_space() : 1;
}
