/* libhms_memkind.so under the name that runtimes look up, with their calls: kinds are variables,
 * found by dlsym(). The environment describes tiers fast and slow. Exit status 0 if all is right.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;
static void check(int condition, const char* what) {
  printf("%s %s\n", condition ? "ok" : "FAIL", what);
  failures += !condition;
}

static const struct {
  const char* kind;
  const char* target; /* NULL: not available here */
} kKinds[] = {
    {"MEMKIND_DEFAULT", "default"},         {"MEMKIND_HBW_INTERLEAVE", "tier:fast"},
    {"MEMKIND_HBW_PREFERRED", "tier:fast"}, {"MEMKIND_DAX_KMEM", "tier:slow"},
    {"MEMKIND_DAX_KMEM_ALL", "tier:slow"},
};

int main(void) {
  const char* const names[] = {"libmemkind.so", "libmemkind.so.0"};
  void* library = NULL;
  for (int i = 0; i < 2; i++) {
    library = dlopen(names[i], RTLD_LAZY);
    if (library == NULL) fprintf(stderr, "%s\n", dlerror());
    check(library != NULL, names[i]);
  }
  if (library == NULL) return 1;
  int (*available)(void*) = (int (*)(void*))dlsym(library, "memkind_check_available");
  void* (*allocate)(void*, size_t) = (void* (*)(void*, size_t))dlsym(library, "memkind_malloc");
  void* (*callocate)(void*, size_t, size_t) =
      (void* (*)(void*, size_t, size_t))dlsym(library, "memkind_calloc");
  void* (*reallocate)(void*, void*, size_t) =
      (void* (*)(void*, void*, size_t))dlsym(library, "memkind_realloc");
  void (*release)(void*, void*) = (void (*)(void*, void*))dlsym(library, "memkind_free");
  const char* (*target_of)(const void*) =
      (const char* (*)(const void*))dlsym(library, "hms_target_of");
  for (size_t i = 0; i < sizeof kKinds / sizeof kKinds[0]; i++) {
    void** kind = dlsym(library, kKinds[i].kind);
    if (kind == NULL) {
      check(0, kKinds[i].kind);
      continue;
    }
    char* p = available(*kind) == 0 ? allocate(*kind, 100000) : NULL;
    int right = p != NULL && strcmp(target_of(p), kKinds[i].target) == 0;
    if (p != NULL) memset(p, 1, 100000);
    p = reallocate(*kind, p, 300000);
    right = right && p != NULL && p[99999] == 1 && strcmp(target_of(p), kKinds[i].target) == 0;
    release(NULL, p);
    char* q = callocate(*kind, 100, 100);
    right = right && q != NULL && q[9999] == 0 && callocate(*kind, (size_t)-1, 2) == NULL;
    release(*kind, q);
    check(right && allocate(*kind, 0) == NULL, kKinds[i].kind);
  }
  return failures == 0 ? 0 : 1;
}
