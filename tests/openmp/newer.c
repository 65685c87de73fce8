/* OpenMP 6.0's routines and our own, through hms_omp.h; linked with libhms_omp. */
#include <hms/hms_omp.h>

#include "harness.h"

#include <malloc.h>

int main(int argc, char** argv);

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

/* The object itself says its handle, too: Fortran programs pass the value of a variable. */
static void partitioner_by_value(void) {
  static omp_mempartitioner_t object;
  computed = 0;
  omp_init_mempartitioner(&object, omp_static_mempartition, first_page_apart, note_release);
  uintptr_t value;
  memcpy(&value, &object, sizeof value);
  allocator h =
      MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
           trait(HMS_OMP_ATK_PARTITIONER, value), trait(HMS_OMP_ATK_PARTITIONER_ARG, 42), NULL_FB);
  CHECK(h != omp_null_allocator);
  void* p = omp_alloc(50000, h);
  CHECK(p != NULL && computed == 1);
  omp_free(p, h);
  omp_destroy_allocator(h);
  omp_destroy_mempartitioner(&object);
}

/* Two allocators: a static answer serves both, one of an allocator does not. */
static void partitioners_and_several_allocators(void) {
  static omp_mempartitioner_t object;
  for (int lifetime = omp_static_mempartition; lifetime <= omp_dynamic_mempartition; lifetime++) {
    computed = released = 0;
    omp_init_mempartitioner(&object, (omp_mempartitioner_lifetime_t)lifetime, first_page_apart,
                            note_release);
    for (int i = 0; i < 2; i++) {
      allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
                         trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object),
                         trait(HMS_OMP_ATK_PARTITIONER_ARG, 42), NULL_FB);
      for (int k = 0; k < 2; k++) {
        void* p = omp_alloc(50000, h);
        CHECK(p != NULL);
        omp_free(p, h);
      }
      omp_destroy_allocator(h);
      if (lifetime == omp_allocator_mempartition) CHECK(released == i + 1);
    }
    CHECK(computed == (lifetime == omp_static_mempartition      ? 1
                       : lifetime == omp_allocator_mempartition ? 2
                                                                : 4));
    omp_destroy_mempartitioner(&object);
    CHECK(released == computed);
  }
}

/* Blocks in parts are mappings of their own: free() and realloc() find them all the same. */
static void free_and_realloc_of_blocks_in_parts(void) {
  if (kUnderAsan) SKIP("free() is AddressSanitizer's");
  static omp_mempartitioner_t object;
  omp_init_mempartitioner(&object, omp_dynamic_mempartition, first_page_apart, NULL);
  allocator h =
      MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
           trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object),
           trait(HMS_OMP_ATK_PARTITIONER_ARG, 42), trait(omp_atk_pool_size, 400000), NULL_FB);
  for (int i = 0; i < 100; i++) {
    char* p = omp_alloc(50000, h);
    CHECK(p != NULL && malloc_usable_size(p) >= 50000);
    memset(p, 4, malloc_usable_size(p));
    p = realloc(opaque(p), 200000);
    CHECK(p != NULL && p[49999] == 4);
    memset(p, 5, 200000);
    CHECK(hms_usable_size(p) >= 200000);
    if (i % 2) {
      free(opaque(p));
    } else {
      hms_free(p);
    }
  }
  void* most = omp_alloc(390000, h); /* nothing is left charged */
  CHECK(most != NULL);
  omp_destroy_allocator(h);
  omp_destroy_mempartitioner(&object);
}

/* The short ways of realloc(), also those of tiering, leave blocks with records alone. */
static void realloc_of_small_blocks_of_a_pool(void) {
  if (kUnderAsan) SKIP("realloc() is AddressSanitizer's");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 100000), NULL_FB);
  for (size_t size = 16; size < 1000; size += 16) omp_free(omp_alloc(size, h), h); /* in caches */
  for (int i = 0; i < 5000; i++) {
    const size_t size = 100 + (size_t)i * 7 % 900;
    char* p = omp_alloc(100, h);
    CHECK(p != NULL);
    memset(p, i, 100);
    p = realloc(opaque(p), size);
    CHECK(p != NULL && p[0] == (char)i && p[99] == (char)i);
    memset(p, 1, size);
    omp_free(p, h);
  }
  void* most = omp_alloc(90000, h); /* nothing is left charged */
  CHECK(most != NULL);
  omp_destroy_allocator(h);
}

static void outside_of_procedures(omp_mempartition_t* p) {
  omp_init_mempartition(p, 1, NULL);
  CHECK(omp_mempartition_set_part(p, 0, 0, 4096) == -1);
  CHECK(omp_mempartition_get_user_data(p) == NULL);
  omp_destroy_mempartition(p);
}
static omp_mempartition_t* kept;
static void keeps_it(space ms, size_t size, uintptr_t argument, omp_mempartition_t* p) {
  (void)ms, (void)size, (void)argument;
  kept = p; /* and sets no part */
}
static void no_parts(space ms, size_t size, uintptr_t argument, omp_mempartition_t* p) {
  (void)ms, (void)size, (void)argument;
  omp_init_mempartition(p, 0, NULL);
  CHECK(omp_mempartition_set_part(p, 0, 0, 4096) == -1);
}

static void wrong_arguments_of_partitioners(void) {
  static omp_mempartitioner_t object, never;
  omp_init_mempartitioner(NULL, omp_static_mempartition, first_page_apart, NULL);
  omp_init_mempartitioner(&object, (omp_mempartitioner_lifetime_t)0, first_page_apart, NULL);
  omp_init_mempartitioner(&object, (omp_mempartitioner_lifetime_t)4, first_page_apart, NULL);
  omp_init_mempartitioner(&object, omp_static_mempartition, NULL, NULL);
  omp_destroy_mempartitioner(&never);
  omp_destroy_mempartitioner(NULL);
  CHECK(MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
             trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object)) == omp_null_allocator);
  outside_of_procedures(NULL);
  outside_of_procedures((omp_mempartition_t*)&object);
  void (*const wrong[])(space, size_t, uintptr_t, omp_mempartition_t*) = {keeps_it, no_parts};
  for (int i = 0; i < 2; i++) {
    omp_init_mempartitioner(&object, omp_dynamic_mempartition, wrong[i], NULL);
    allocator h = MAKE(omp_default_mem_space, trait(omp_atk_partition, HMS_OMP_ATV_PARTITIONER),
                       trait(HMS_OMP_ATK_PARTITIONER, (uintptr_t)&object), NULL_FB);
    CHECK(h != omp_null_allocator && omp_alloc(50000, h) == NULL);
    omp_destroy_allocator(h);
    omp_destroy_mempartitioner(&object);
  }
  outside_of_procedures(kept);
}

/* Handles that are none, lists that are not there, numbers below zero: no space, and no crash. */
static void wrong_arguments_of_spaces(void) {
  const uintptr_t garbage[] = {5,           9,         77,        200,
                               1023,        1025,      4096,      0xdeadbeef,
                               UINTPTR_MAX, 1u << 29u, 1u << 30u, (uintptr_t)main};
  int host = omp_get_initial_device(), zero[] = {0, -1, 0}, many[] = {host, -1, host, -1};
  for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
    space ms = (space)garbage[i];
    CHECK(omp_get_memspace_num_resources(ms) == 0 && omp_get_memspace_pagesize(ms) == 0);
    CHECK(omp_get_submemspace(ms, 1, zero) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_device_memspace(host, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_memspace(1, &host, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_device_and_host_memspace(host, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_and_host_memspace(1, &host, ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_all_memspace(ms) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_device_allocator(host, ms) == omp_null_allocator);
    CHECK(omp_get_devices_allocator(1, &host, ms) == omp_null_allocator);
    CHECK(omp_get_device_and_host_allocator(host, ms) == omp_null_allocator);
    CHECK(omp_get_devices_and_host_allocator(1, &host, ms) == omp_null_allocator);
    CHECK(omp_get_devices_all_allocator(ms) == omp_null_allocator);
    CHECK(omp_init_allocator(ms, 0, NULL) == omp_null_allocator);
  }
  for (int n = -1; n <= 0; n++) {
    CHECK(omp_get_devices_memspace(n, &host, omp_const_mem_space) == HMS_OMP_NULL_MEM_SPACE);
    CHECK(omp_get_devices_allocator(n, &host, omp_const_mem_space) == omp_null_allocator);
    CHECK(omp_get_submemspace(omp_const_mem_space, n, zero) == HMS_OMP_NULL_MEM_SPACE);
  }
  CHECK(omp_get_devices_and_host_memspace(-1, &host, omp_const_mem_space) ==
        HMS_OMP_NULL_MEM_SPACE);
  CHECK(omp_get_devices_and_host_memspace(0, NULL, omp_const_mem_space) == omp_const_mem_space);
  CHECK(omp_get_devices_and_host_memspace(2, NULL, omp_const_mem_space) == HMS_OMP_NULL_MEM_SPACE);
  CHECK(omp_get_devices_allocator(2, NULL, omp_const_mem_space) == omp_null_allocator);
  CHECK(omp_get_devices_memspace(4, many, omp_const_mem_space) == omp_const_mem_space);
  CHECK(omp_get_submemspace(omp_const_mem_space, 1, NULL) == HMS_OMP_NULL_MEM_SPACE);
  CHECK(omp_get_submemspace(omp_const_mem_space, 1, zero + 1) == HMS_OMP_NULL_MEM_SPACE);
  CHECK(omp_get_submemspace(omp_const_mem_space, 3, zero) == HMS_OMP_NULL_MEM_SPACE);
  CHECK(omp_get_submemspace(omp_const_mem_space, 1 << 30, zero) == HMS_OMP_NULL_MEM_SPACE);
}

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
      {"partitioner_by_value", partitioner_by_value, 0, NULL},
      {"partitioners_and_several_allocators", partitioners_and_several_allocators, 0, NULL},
      {"free_and_realloc_of_blocks_in_parts", free_and_realloc_of_blocks_in_parts, 0, NULL},
      {"realloc_of_small_blocks_of_a_pool", realloc_of_small_blocks_of_a_pool, 0, NULL},
      {"wrong_arguments_of_partitioners", wrong_arguments_of_partitioners, 0, NULL},
      {"wrong_arguments_of_spaces", wrong_arguments_of_spaces, 0, NULL},
      {"wrong_partition_is_refused", wrong_partition_is_refused, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
