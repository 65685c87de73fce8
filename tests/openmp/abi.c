/* The functions that compilers call for directives and clauses, and Fortran's names of the
 * routines, called directly: arguments that compilers pass rarely, and what no compiler here emits
 * yet. Names that a runtime does not have are left out there. */
#include "harness.h"

static void* need(const char* name) {
  void* function = dlsym(RTLD_DEFAULT, name);
  if (function == NULL) {
    snprintf(harness_why, sizeof harness_why, "%s is not there", name);
    SKIP(harness_why);
  }
  return function;
}
/* The function of this name, as `type`. */
#define NEED(type, name) ((type)need(name))

typedef void* (*gomp_alloc)(size_t, size_t, uintptr_t);
typedef void (*gomp_free)(void*, uintptr_t);

static void gomp_alloc_and_free(void) {
  gomp_alloc get = NEED(gomp_alloc, "GOMP_alloc");
  gomp_free give = NEED(gomp_free, "GOMP_free");
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_alignment, 512));
  for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
    char* p = get(alignment, 100, omp_default_mem_alloc);
    char* q = get(alignment, 100, (uintptr_t)h);
    CHECK(p != NULL && (uintptr_t)p % alignment == 0);
    CHECK(q != NULL && (uintptr_t)q % alignment == 0 && (uintptr_t)q % 512 == 0);
    memset(p, 1, 100);
    memset(q, 1, 100);
    give(p, omp_default_mem_alloc);
    give(q, 0);
  }
  give(NULL, 0);
  void* p = get(64, 100, 0); /* the default allocator */
  CHECK(p != NULL);
  give(p, 0);
  omp_destroy_allocator(h);
}

/* A clause cannot take a null pointer. */
static void gomp_alloc_without_memory(void) {
  allocator h = MAKE(omp_default_mem_space, trait(omp_atk_pool_size, 10), NULL_FB);
  opaque(NEED(gomp_alloc, "GOMP_alloc")(8, 100, (uintptr_t)h));
}

/* GCC 14 to 16 free a variable-length array on the stack, if its allocator is the constant default.
 */
static void gomp_free_of_the_stack(void) {
  if (dlsym(RTLD_DEFAULT, "hms_target_of") == NULL) SKIP("glibc ends the program");
  char on_the_stack[100];
  NEED(gomp_free, "GOMP_free")(opaque(on_the_stack), omp_default_mem_alloc);
}

typedef void* (*kmpc_alloc)(int, size_t, uintptr_t);
typedef void* (*kmpc_two)(int, size_t, size_t, uintptr_t);
typedef void* (*kmpc_realloc)(int, void*, size_t, uintptr_t, uintptr_t);
typedef void (*kmpc_free)(int, void*, uintptr_t);
typedef uintptr_t (*kmpc_init)(int, uintptr_t, int, void*);
typedef void (*kmpc_one)(int, uintptr_t);
typedef uintptr_t (*kmpc_get)(int);
typedef int (*kmpc_thread)(void*);

static void kmpc_blocks(void) {
  int id = NEED(kmpc_thread, "__kmpc_global_thread_num")(NULL);
  kmpc_alloc get = NEED(kmpc_alloc, "__kmpc_alloc");
  kmpc_two get_aligned = NEED(kmpc_two, "__kmpc_aligned_alloc");
  kmpc_two get_zeroed = NEED(kmpc_two, "__kmpc_calloc");
  kmpc_realloc resize = NEED(kmpc_realloc, "__kmpc_realloc");
  kmpc_free give = NEED(kmpc_free, "__kmpc_free");
  char* p = get(id, 1000, omp_default_mem_alloc);
  CHECK(p != NULL);
  memset(p, 3, 1000);
  p = resize(id, p, 100000, omp_default_mem_alloc, omp_default_mem_alloc);
  CHECK(p != NULL && p[999] == 3);
  give(id, p, omp_default_mem_alloc);
  p = get_aligned(id, 4096, 100, omp_large_cap_mem_alloc);
  CHECK(p != NULL && (uintptr_t)p % 4096 == 0);
  give(id, p, omp_large_cap_mem_alloc);
  p = get_zeroed(id, 100, 30, omp_default_mem_alloc);
  CHECK(p != NULL && p[0] == 0 && p[2999] == 0);
  give(id, p, 0);
  CHECK(get_zeroed(id, SIZE_MAX / 2, 3, omp_default_mem_alloc) == NULL);
  CHECK(get(id, 0, omp_default_mem_alloc) == NULL);
  give(id, NULL, 0);
}

static void kmpc_allocators(void) {
  int id = NEED(kmpc_thread, "__kmpc_global_thread_num")(NULL);
  omp_alloctrait_t traits[] = {trait(omp_atk_alignment, 2048)};
  kmpc_one end = NEED(kmpc_one, "__kmpc_destroy_allocator");
  kmpc_one set = NEED(kmpc_one, "__kmpc_set_default_allocator");
  kmpc_get get = NEED(kmpc_get, "__kmpc_get_default_allocator");
  kmpc_free give = NEED(kmpc_free, "__kmpc_free");
  uintptr_t h = NEED(kmpc_init, "__kmpc_init_allocator")(id, omp_default_mem_space, 1, traits);
  CHECK(h > 1024);
  CHECK(get(id) == (uintptr_t)omp_default_mem_alloc);
  set(id, h);
  CHECK(get(id) == h && omp_get_default_allocator() == (allocator)h);
  void* p = NEED(kmpc_alloc, "__kmpc_alloc")(id, 100, 0);
  CHECK(p != NULL && (uintptr_t)p % 2048 == 0);
  give(id, p, 0);
  set(id, omp_default_mem_alloc);
  end(id, h);
  CHECK(omp_get_default_allocator() == omp_default_mem_alloc);
}

/* gfortran's names: everything by reference. libomp's own functions of these names take handles by
 * value, and no module calls them. */
static void fortran_names(void) {
  if (dlsym(RTLD_DEFAULT, "hms_target_of") == NULL &&
      dlsym(RTLD_DEFAULT, "__kmpc_global_thread_num") != NULL) {
    SKIP("libomp takes handles by value");
  }
  typedef uintptr_t (*init)(const uintptr_t*, const int*, const void*);
  typedef uintptr_t (*init8)(const uintptr_t*, const int64_t*, const void*);
  typedef void (*one)(const uintptr_t*);
  typedef uintptr_t (*get)(void);
  omp_alloctrait_t traits[] = {trait(omp_atk_alignment, 2048)};
  uintptr_t space = omp_default_mem_space, none = omp_default_mem_alloc;
  int count = 1;
  int64_t long_count = 1, wrong = -((int64_t)1 << 40), many = (int64_t)1 << 32;
  uintptr_t h = NEED(init, "omp_init_allocator_")(&space, &count, traits);
  init8 init_8 = NEED(init8, "omp_init_allocator_8_");
  uintptr_t h8 = init_8(&space, &long_count, traits);
  CHECK(h > 1024 && h8 > 1024 && h != h8);
  NEED(one, "omp_set_default_allocator_")(&h8);
  CHECK(NEED(get, "omp_get_default_allocator_")() == h8);
  void* p = omp_alloc(10, omp_null_allocator);
  CHECK(p != NULL && (uintptr_t)p % 2048 == 0);
  omp_free(p, omp_null_allocator);
  NEED(one, "omp_set_default_allocator_")(&none);
  NEED(one, "omp_destroy_allocator_")(&h);
  NEED(one, "omp_destroy_allocator_")(&h8);
  if (dlsym(RTLD_DEFAULT, "hms_target_of") == NULL) return;
  CHECK(init_8(&space, &wrong, traits) == 0 && init_8(&space, &many, NULL) == 0);
  CHECK(omp_alloc(10, (allocator)h) == NULL && omp_alloc(10, (allocator)h8) == NULL);
}

/* The routines of 6.0 under the names that Fortran modules have: by reference. */
static void newer_fortran_names(void) {
  typedef uintptr_t (*one)(const int*, const uintptr_t*);
  typedef uintptr_t (*several)(const int*, const int*, const uintptr_t*);
  typedef uintptr_t (*all)(const uintptr_t*);
  if (dlsym(RTLD_DEFAULT, "hms_target_of") == NULL) SKIP("not in these runtimes");
  const int host = omp_get_initial_device(), wrong = 77, single = 1, first[] = {0};
  const uintptr_t ms = omp_large_cap_mem_space, garbage = 12345;
  CHECK(NEED(one, "omp_get_device_memspace_")(&host, &ms) == ms);
  CHECK(NEED(one, "omp_get_device_memspace_")(&wrong, &ms) == 0);
  CHECK(NEED(one, "omp_get_device_and_host_memspace_")(&host, &ms) == ms);
  CHECK(NEED(several, "omp_get_devices_memspace_")(&single, &host, &ms) == ms);
  CHECK(NEED(several, "omp_get_devices_memspace_")(&single, &wrong, &ms) == 0);
  CHECK(NEED(several, "omp_get_devices_and_host_memspace_")(&single, &host, &ms) == ms);
  CHECK(NEED(all, "omp_get_devices_all_memspace_")(&ms) == ms);
  CHECK(NEED(all, "omp_get_devices_all_memspace_")(&garbage) == 0);
  CHECK(NEED(one, "omp_get_device_allocator_")(&host, &ms) == ms + 1);
  CHECK(NEED(one, "omp_get_device_allocator_")(&wrong, &ms) == 0);
  CHECK(NEED(one, "omp_get_device_and_host_allocator_")(&host, &ms) == ms + 1);
  CHECK(NEED(several, "omp_get_devices_allocator_")(&single, &host, &ms) == ms + 1);
  CHECK(NEED(several, "omp_get_devices_and_host_allocator_")(&single, &host, &ms) == ms + 1);
  CHECK(NEED(all, "omp_get_devices_all_allocator_")(&ms) == ms + 1);
  typedef int (*number)(const uintptr_t*);
  typedef size_t (*size)(const uintptr_t*);
  typedef uintptr_t (*part)(const uintptr_t*, const int*, const int*);
  CHECK(NEED(number, "omp_get_memspace_num_resources_")(&ms) >= 1);
  CHECK(NEED(number, "omp_get_memspace_num_resources_")(&garbage) == 0);
  CHECK(NEED(size, "omp_get_memspace_pagesize_")(&ms) == (size_t)sysconf(_SC_PAGESIZE));
  CHECK(NEED(size, "omp_get_memspace_pagesize_")(&garbage) == 0);
  CHECK(NEED(part, "omp_get_submemspace_")(&ms, &single, first) != 0);
  CHECK(NEED(part, "omp_get_submemspace_")(&garbage, &single, first) == 0);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"gomp_alloc_and_free", gomp_alloc_and_free, 0, NULL},
      {"gomp_alloc_without_memory", gomp_alloc_without_memory, 1, "Out of memory allocating 100"},
      {"gomp_free_of_the_stack", gomp_free_of_the_stack, 0, NULL},
      {"kmpc_blocks", kmpc_blocks, 0, NULL},
      {"kmpc_allocators", kmpc_allocators, 0, NULL},
      {"fortran_names", fortran_names, 0, NULL},
      {"newer_fortran_names", newer_fortran_names, 0, NULL},
  };
  return RUN_CASES(cases, argc, argv);
}
