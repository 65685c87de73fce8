/* plugin.c - a library that allocates in its constructor, in a function and in its destructor. */
#include <stdlib.h>
#include <string.h>

static char* kept;

__attribute__((constructor)) static void load(void) {
  kept = malloc(3000);
  if (kept != NULL) memset(kept, 'k', 3000);
}

__attribute__((destructor)) static void unload(void) {
  free(kept);
  free(malloc(64));
}

__attribute__((visibility("default"))) char* plugin_make(size_t size) {
  char* block = malloc(size);
  if (block != NULL) memset(block, 'p', size);
  return block;
}
