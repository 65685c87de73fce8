/* foreign.c - blocks that the serving allocator did not make: each goes to its owner (A16). */
#include <dlfcn.h>
#include <malloc.h>

#include "check.h"

/* glibc's allocator by the names that no interposition reaches. */
extern void* __libc_malloc(size_t);
extern void* __libc_memalign(size_t, size_t);

static const size_t sizes[] = {1, 24, 100, 1000, 5000, 100000, 500000, 5000000};
enum { kSizes = sizeof(sizes) / sizeof(sizes[0]) };

static void libc_free(void) {
  struct pages before = {0, 0};
  for (int round = 0; round < 2000; round++) {
    if (round == 100) before = pages_now();
    for (int i = 0; i < kSizes; i++) {
      char* p = opaque(__libc_malloc(sizes[i]));
      CHECK(p != NULL);
      p[0] = 1;
      errno = 4711;
      free(p);
      CHECK(errno == 4711);
    }
    void* aligned = opaque(__libc_memalign(4096, 100));
    free(aligned);
  }
  CHECK(pages_now().resident <= before.resident + 1024);
}

static void libc_usable_size(void) {
  for (int i = 0; i < kSizes; i++) {
    char* p = opaque(__libc_malloc(sizes[i]));
    const size_t usable = malloc_usable_size(p);
    CHECK(usable >= sizes[i] && usable < sizes[i] + 8192);
    memset(p, 1, usable);
    free(p);
  }
}

static void libc_realloc(void) {
  for (int i = 0; i < kSizes; i++) {
    for (int j = 0; j < kSizes; j++) {
      char* p = opaque(__libc_malloc(sizes[i]));
      memset(p, i + 1, sizes[i]);
      p = opaque(realloc(p, sizes[j]));
      CHECK(p != NULL);
      const size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
      for (size_t k = 0; k < kept; k++) CHECK(p[k] == i + 1);
      memset(p, 1, sizes[j]);
      free(p);
    }
  }
  CHECK(opaque(realloc(opaque(__libc_malloc(10)), 0)) == NULL);
}

/* A second C library has a heap of its own, which nobody here can free into: such a block may be
 * kept, the process must go on. */
static void second_libc(void) {
  void* library = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
  if (library == NULL) SKIP("dlmopen of libc.so.6 is not possible here");
  void* (*other_malloc)(size_t) = (void* (*)(size_t))dlsym(library, "malloc");
  CHECK(other_malloc != NULL);
  for (int i = 0; i < kSizes; i++) {
    char* p = opaque(other_malloc(sizes[i]));
    CHECK(p != NULL && malloc_usable_size(p) >= sizes[i]);
    memset(p, 'o', sizes[i]);
    char* moved = opaque(realloc(p, sizes[i] + 100));
    CHECK(moved != NULL && moved[sizes[i] - 1] == 'o');
    free(moved);
    free(opaque(other_malloc(sizes[i])));
  }
  free(malloc(100));
}

/* Another allocator that the program loads for itself, with its private names. */
static void private_allocator(const char* library, const char* make, const char* give) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (handle == NULL) SKIP("the library is not installed");
  void* (*make_block)(size_t) = (void* (*)(size_t))dlsym(handle, make);
  void (*give_block)(void*) = (void (*)(void*))dlsym(handle, give);
  CHECK(make_block != NULL && give_block != NULL);
  for (int i = 0; i < kSizes; i++) {
    give_block(opaque(make_block(sizes[i])));
    free(opaque(malloc(sizes[i])));
  }
}

static void tcmalloc(void) {
  private_allocator("libtcmalloc_minimal.so.4", "tc_malloc", "tc_free");
}
static void mimalloc(void) { private_allocator("libmimalloc.so.2", "mi_malloc", "mi_free"); }

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"libc_free", libc_free},       {"libc_usable_size", libc_usable_size},
      {"libc_realloc", libc_realloc}, {"second_libc", second_libc},
      {"tcmalloc", tcmalloc},         {"mimalloc", mimalloc},
  };
  return RUN_CASES(cases, argc, argv);
}
