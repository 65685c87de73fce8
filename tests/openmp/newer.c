/* OpenMP 6.0's routines and our own, through hms_omp.h; linked with libhms_omp. */
#include <hms/hms_omp.h>

#include "harness.h"

static void device_spaces(void) {
  int host = omp_get_initial_device(), other[] = {host, 77};
  for (int s = 0; s < 5; s++) {
    space ms = (space)s;
    space got = omp_get_device_memspace(host, ms);
    CHECK(got != HMS_OMP_NULL_MEM_SPACE && (s == 0 || got == ms));
    CHECK(omp_get_devices_memspace(1, &host, ms) == got);
    CHECK(omp_get_device_and_host_memspace(host, ms) == got);
    CHECK(omp_get_devices_and_host_memspace(1, &host, ms) == got);
    CHECK(omp_get_devices_all_memspace(ms) == got);
    CHECK(omp_get_device_memspace(77, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_memspace(2, other, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_memspace(0, other, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_memspace(1, NULL, ms) == HMS_OMP_NULL_MEM_SPACE);
    allocator a = omp_get_device_allocator(host, ms);
    CHECK(a == (allocator)(s + 1) && omp_get_devices_all_allocator(ms) == a);
    CHECK(omp_get_devices_allocator(1, &host, ms) == a);
    CHECK(omp_get_device_and_host_allocator(host, ms) == a);
    CHECK(omp_get_devices_and_host_allocator(1, &host, ms) == a);
    CHECK(omp_get_device_allocator(77, ms) == omp_null_allocator);
    allocator h = omp_init_allocator(got, 0, NULL);
    CHECK(h != omp_null_allocator);
    omp_destroy_allocator(h);
  }
  CHECK(omp_get_device_memspace(host, (space)12345) == HMS_OMP_NULL_MEM_SPACE);
}

static void resources_and_subspaces(void) {
  int n = omp_get_memspace_num_resources(omp_default_mem_space);
  CHECK(n >= 1);
  CHECK(omp_get_memspace_pagesize(omp_default_mem_space) == (size_t)sysconf(_SC_PAGESIZE));
  CHECK(omp_get_memspace_num_resources((space)12345) == 0);
  int index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  CHECK(omp_get_submemspace(omp_high_bw_mem_space, 0, index) == HMS_OMP_NULL_MEM_SPACE);
  int wrong[] = {0, 99};
  CHECK(omp_get_submemspace(omp_high_bw_mem_space, 2, wrong) == HMS_OMP_NULL_MEM_SPACE);
  int all = omp_get_memspace_num_resources(omp_high_bw_mem_space);
  CHECK(omp_get_submemspace(omp_high_bw_mem_space, all, index) == omp_high_bw_mem_space);
  if (n < 2) return;
  int second[] = {1};
  space part = omp_get_submemspace(omp_default_mem_space, 1, second);
  CHECK(part != HMS_OMP_NULL_MEM_SPACE && omp_get_memspace_num_resources(part) == 1);
  CHECK(omp_get_submemspace(omp_default_mem_space, 1, second) == part);
  allocator h = MAKE(part, NULL_FB);
  char* p = omp_alloc(100000, h);
  CHECK(p != NULL);
  memset(p, 1, 100000);
  if (machine_is("hbm-ddr-cxl")) CHECK(pages_on(p, 100000, 1) == pages_of(p, 100000));
  omp_free(p, h);
}

static void spaces_by_name(void) {
  uintptr_t named = 0, again = 0;
  CHECK(hms_omp_space("omp_high_bw_mem_space", &named) == HMS_OK && named == 3);
  CHECK(hms_omp_space("large_cap", &named) == HMS_OK && named == 1);
  CHECK(hms_omp_space("node:0", &named) == HMS_OK && named > 1024);
  CHECK(hms_omp_space("node:0", &again) == HMS_OK && again == named);
  CHECK(hms_omp_space("nowhere", &again) != HMS_OK && strstr(hms_last_error(), "nowhere") != NULL);
  CHECK(hms_omp_space(NULL, &again) == HMS_EINVAL);
  allocator h = MAKE((space)named, NULL_FB);
  char* p = omp_alloc(50000, h);
  CHECK(p != NULL);
  memset(p, 1, 50000);
  CHECK(pages_on(p, 50000, 0) == pages_of(p, 50000));
  omp_free(p, h);
  CHECK(hms_omp_define_space("mine", "node:0") == HMS_OK);
  CHECK(hms_omp_space("mine", &named) == HMS_OK);
  CHECK(hms_omp_define_space("mine", "node:0") == HMS_EINVAL); /* in use */
  CHECK(hms_omp_define_space("9wrong", "node:0") == HMS_EINVAL);
}

static void spaces_of_the_environment(void) {
  setenv("HMS_OMP_SPACES", "scratch=node:0, bad, =, high_bw=node:0", 1);
  uintptr_t named = 0;
  CHECK(hms_omp_space("scratch", &named) == HMS_OK && named > 1024);
  CHECK(omp_get_memspace_num_resources((space)named) == 1);
  void* p = omp_alloc(100, omp_high_bw_mem_alloc);
  CHECK(p != NULL);
  if (target_of(p)[0] != 0) CHECK(strcmp(target_of(p), "node:0") == 0);
  omp_free(p, omp_null_allocator);
}

static void allocators_by_words(void) {
  uintptr_t h = 0;
  CHECK(hms_omp_allocator("omp_low_lat_mem_alloc", &h) == HMS_OK && h == 5);
  CHECK(hms_omp_allocator("omp_const_mem_space", &h) == HMS_OK && h == 3);
  CHECK(hms_omp_allocator(" HIGH_BW : alignment = 4096 , fallback=null_fb ", &h) == HMS_OK);
  char* p = omp_alloc(10, (allocator)h);
  CHECK(p != NULL && (uintptr_t)p % 4096 == 0);
  omp_free(p, (allocator)h);
  const char* wrong[] = {"",
                         "no_such_space",
                         "omp_high_bw_mem_space:alignment=3",
                         "omp_high_bw_mem_space:colour=red",
                         "omp_high_bw_mem_space:pinned=perhaps",
                         "omp_high_bw_mem_space:alignment=64,alignment=64",
                         "omp_high_bw_mem_space:pool_size=-1",
                         "alignment=64"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(hms_omp_allocator(wrong[i], &h) != HMS_OK);
  }
}

/* ---- Partitioners
 * --------------------------------------------------------------------------------*/
static int computed, released;
static size_t wrong_by;

static void first_page_apart(space ms, size_t size, uintptr_t argument, omp_mempartition_t* p) {
  int n = omp_get_memspace_num_resources(ms);
  computed++;
  CHECK(argument == 42);
  size_t page = omp_get_memspace_pagesize(ms);
  omp_init_mempartition(p, 2, &computed);
  CHECK(omp_mempartition_get_user_data(p) == &computed);
  CHECK(omp_mempartition_set_part(p, 0, 99, page) == -1);
  CHECK(omp_mempartition_set_part(p, 0, 0, page + 1) == -1);
  CHECK(omp_mempartition_set_part(p, 0, n - 1, page) == 0);
  CHECK(omp_mempartition_set_part(p, 1, 0, size - page - wrong_by) == 0);
}
static void note_release(omp_mempartition_t* p) {
  omp_destroy_mempartition(p);
  released++;
}

static void partitioner_with(omp_mempartitioner_lifetime_t lifetime, int computes, int releases) {
  static omp_mempartitioner_t object;
  computed = released = 0;
  omp_init_mempartitioner(&object, lifetime, first_page_apart, note_release);
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
                     trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object),
                     trait(HMS_OMP_ATK_PARTITIONER_ARG, 42), NULL_FB);
  CHECK(h != omp_null_allocator);
  for (int i = 0; i < 3; i++) {
    char* p = omp_alloc(50000, h);
    CHECK(p != NULL);
    memset(p, 1, 50000);
    if (machine_is("hbm-ddr-cxl")) {
      CHECK(node_of_page(p) == 1 && node_of_page(p + 4096) == 0 && node_of_page(p + 49999) == 0);
    }
    omp_free(p, h);
  }
  CHECK(computed == computes);
  omp_destroy_allocator(h);
  omp_destroy_mempartitioner(&object);
  CHECK(released == releases);
}
static void static_partitioner(void) { partitioner_with(omp_static_mempartition, 1, 1); }
static void allocator_partitioner(void) { partitioner_with(omp_allocator_mempartition, 1, 1); }
static void dynamic_partitioner(void) { partitioner_with(omp_dynamic_mempartition, 3, 3); }

static void wrong_partition_is_refused(void) {
  static omp_mempartitioner_t object;
  wrong_by = 4096;
  omp_init_mempartitioner(&object, omp_dynamic_mempartition, first_page_apart, NULL);
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
                     trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object),
                     trait(HMS_OMP_ATK_PARTITIONER_ARG, 42), NULL_FB);
  CHECK(omp_alloc(50000, h) == NULL);
  CHECK(omp_mempartition_set_part(NULL, 0, 0, 4096) == -1);
  omp_destroy_mempartitioner(&object);
  omp_destroy_mempartitioner(&object); /* reported */
  CHECK(omp_alloc(50000, h) == NULL);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"device_spaces", device_spaces, 0, NULL},
      {"resources_and_subspaces", resources_and_subspaces, 0, NULL},
      {"spaces_by_name", spaces_by_name, 0, NULL},
      {"spaces_of_the_environment", spaces_of_the_environment, 0, NULL},
      {"allocators_by_words", allocators_by_words, 0, NULL},
      {"static_partitioner", static_partitioner, 0, NULL},
      {"allocator_partitioner", allocator_partitioner, 0, NULL},
      {"dynamic_partitioner", dynamic_partitioner, 0, NULL},
      {"wrong_partition_is_refused", wrong_partition_is_refused, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
