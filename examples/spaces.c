/* Memory spaces of one's own: by name from the environment, by specification, and as a part of
 * another space. Needs libhms: hms_omp.h and -lhms_omp.
 *
 *   HMS_OMP_SPACES="scratch=node:0" spaces */
#include <hms/hms_omp.h>
#include <stdio.h>
#include <string.h>

static int show(const char* what, omp_memspace_handle_t space) {
  omp_alloctrait_t traits[] = {{omp_atk_fallback, omp_atv_null_fb}, {omp_atk_alignment, 4096}};
  omp_allocator_handle_t h = omp_init_allocator(space, 2, traits);
  char* block = omp_alloc(1 << 20, h);
  if (block == NULL) {
    printf("%-34s no room for 1 MiB\n", what);
    omp_destroy_allocator(h);
    return 1;
  }
  memset(block, 1, 1 << 20);
  printf("%-34s %d memories of %zu-byte pages; this block: %s\n", what,
         omp_get_memspace_num_resources(space), omp_get_memspace_pagesize(space),
         hms_target_of(block));
  omp_free(block, h);
  omp_destroy_allocator(h);
  return 0;
}

int main(void) {
  int failed = 0;
  uintptr_t space = 0;
  /* A name of HMS_OMP_SPACES; without that variable it is defined here. */
  if (hms_omp_define_space("scratch", "node:0") != HMS_OK) {
    fprintf(stderr, "scratch: %s\n", hms_last_error());
  }
  if (hms_omp_space("scratch", &space) != HMS_OK) {
    fprintf(stderr, "%s\n", hms_last_error());
    return 1;
  }
  failed += show("scratch", (omp_memspace_handle_t)space);
  if (hms_omp_space("node:0", &space) != HMS_OK) return 1;
  failed += show("node:0", (omp_memspace_handle_t)space);
  const char* names[] = {"default", "large_cap", "const", "high_bw", "low_lat"};
  for (int i = 0; i < 5; i++) {
    if (hms_omp_space(names[i], &space) != HMS_OK) return 1;
    failed += show(names[i], (omp_memspace_handle_t)space);
  }
  /* The best memory of the large-capacity space, alone. */
  int best[] = {0};
  omp_memspace_handle_t part = omp_get_submemspace(omp_large_cap_mem_space, 1, best);
  if (part == HMS_OMP_NULL_MEM_SPACE) return 1;
  failed += show("the first of large_cap", part);
  return failed == 0 ? 0 : 1;
}
