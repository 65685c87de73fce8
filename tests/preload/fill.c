/* fill.c - HMS_FILL: fresh blocks and freed ones are filled, and a second free is told at once.
 * Started with HMS_FILL=165, and HMS_LOG naming a file. */
#include <malloc.h>
#include <unistd.h>

#include "check.h"

#define FRESH 0x5a /* ~165 */
#define FREED 165

static int all(const volatile unsigned char* p, size_t size, unsigned char byte) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != byte) return 0;
  }
  return 1;
}

static void fresh_and_freed(void) {
  for (size_t size = 1; size < 200000; size = size * 3 + 1) {
    unsigned char* p = opaque(malloc(size));
    CHECK(all(p, malloc_usable_size(p), FRESH));
    free(p);
    /* Larger blocks may be with the kernel already. */
    if (size <= 32768) CHECK(all(p, size, FREED));
    p = opaque(aligned_alloc(256, size));
    CHECK((uintptr_t)p % 256 == 0 && all(p, size, FRESH));
    free(p);
    p = opaque(calloc(1, size));
    CHECK(all(p, size, 0));
    memset(p, 7, size);
    p = opaque(realloc(p, 2 * size));
    CHECK(all(p, size, 7));
    free(p);
  }
}

static size_t log_size(void) {
  FILE* f = fopen(getenv("HMS_LOG"), "r");
  if (f == NULL) return 0;
  fseek(f, 0, SEEK_END);
  size_t size = (size_t)ftell(f);
  fclose(f);
  return size;
}

static void freed_twice(void) {
  void* p = opaque(malloc(100));
  void* neighbour = opaque(malloc(100));
  free(p);
  CHECK(log_size() == 0);
  free(p);
  CHECK(log_size() > 0);
  void* a = opaque(malloc(100));
  void* b = opaque(malloc(100));
  CHECK(a != b && a != neighbour && b != neighbour);
  free(a);
  free(b);
  free(neighbour);
}

int main(void) {
  CHECK(getenv("HMS_LOG") != NULL);
  unlink(getenv("HMS_LOG"));
  fresh_and_freed();
  freed_twice();
  return 0;
}
