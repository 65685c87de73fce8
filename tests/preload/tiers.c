/* tiers.c - what only a tiering malloc can do wrong. Runs under libhms_malloc.so with rules; the
 * ctest entries give each case its HMS_CONF. */
#include <dlfcn.h>
#include <pthread.h>

#include "check.h"

static const char* target_of(const void* block) {
  static const char* (*ask)(const void*);
  if (ask == NULL) ask = (const char* (*)(const void*))dlsym(RTLD_DEFAULT, "hms_target_of");
  CHECK(ask != NULL);
  const char* target = ask(block);
  return target != NULL ? target : "none";
}

static int is_on(const void* block, const char* tier) {
  return strstr(target_of(block), tier) != NULL;
}

/* HMS_CONF="tiers fast=64M,slow=1G; size>=4096:slow; fast>slow" */
static void sizes(void) {
  for (size_t size = 1; size < 200000; size += size / 3 + 1) {
    const char* tier = size >= 4096 ? "slow" : "fast";
    void* blocks[] = {malloc(size), calloc(1, size), aligned_alloc(256, size), realloc(NULL, size)};
    for (int i = 0; i < 4; i++) {
      CHECK(blocks[i] != NULL && is_on(blocks[i], tier));
      free(blocks[i]);
    }
  }
}

/* A block that grows or shrinks over the limit changes its tier and keeps its contents. */
static void realloc_moves(void) {
  for (int i = 0; i < 1000; i++) {
    char* p = malloc(3000);
    memset(p, i, 3000);
    CHECK(is_on(p, "fast"));
    p = realloc(p, 5000);
    CHECK(p != NULL && is_on(p, "slow") && p[0] == (char)i && p[2999] == (char)i);
    p = realloc(p, 100);
    CHECK(p != NULL && is_on(p, "fast") && p[99] == (char)i);
    free(p);
  }
}

/* A7, HMS_CONF="tiers fast=64M,slow=1G; thread=cold*:slow; fast": the same size in two tiers, freed
 * by whoever; no address of one tier comes back in the other. */
enum { kBlocks = 64 };

static void take(void** blocks, const char* tier) {
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(1000);
    CHECK(blocks[i] != NULL && is_on(blocks[i], tier));
  }
}

static void* cold_thread(void* blocks) {
  CHECK(pthread_setname_np(pthread_self(), "cold1") == 0);
  take(blocks, "slow");
  return NULL;
}

static void wrong_tier_reuse(void) {
  for (int round = 0; round < 20; round++) {
    void* fast[kBlocks];
    void* slow[kBlocks];
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cold_thread, slow) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < kBlocks; i++) free(slow[i]);
    take(fast, "fast");
    for (int i = 0; i < kBlocks; i++) {
      for (int j = 0; j < kBlocks; j++) CHECK(fast[i] != slow[j]);
      free(fast[i]);
    }
  }
}

/* A10, HMS_CONF="tiers fast=8M,slow=1G; size>=1M:fast!": beyond the capacity NULL, never a hang. */
static void quota_strict(void) {
  alarm(20);
  errno = 0;
  CHECK(opaque(malloc(64u << 20)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(malloc(64u << 20)) == NULL && errno == ENOMEM);
  void* fits = malloc(2u << 20);
  CHECK(fits != NULL && is_on(fits, "fast"));
  /* A15: the old block of a realloc that fails is intact and still owned. */
  memset(fits, 'k', 2u << 20);
  errno = 0;
  CHECK(opaque(realloc(fits, 64u << 20)) == NULL && errno == ENOMEM);
  for (size_t i = 0; i < (2u << 20); i++) CHECK(((char*)fits)[i] == 'k');
  free(opaque(fits));
  CHECK(opaque(aligned_alloc(4096, 64u << 20)) == NULL && opaque(calloc(64, 1u << 20)) == NULL);
}

/* A10, HMS_CONF="tiers fast=8M,slow=1G; fast>slow": the next of the list takes over. */
static void quota_fallback(void) {
  alarm(20);
  for (int i = 0; i < 2; i++) {
    char* p = malloc(64u << 20);
    CHECK(p != NULL && is_on(p, "slow"));
    p[0] = p[(64u << 20) - 1] = 1;
  }
}

/* A6 in each tier: memory that was used and purged comes back zero from calloc. */
static void calloc_zero(void) {
  for (int round = 0; round < 10; round++) {
    unsigned char* p = malloc(1 << 20);
    CHECK(p != NULL);
    memset(p, 0xab, 1 << 20);
    free(p);
    p = calloc(1, 1 << 20);
    CHECK(p != NULL);
    for (int i = 0; i < 1 << 20; i++) CHECK(p[i] == 0);
    free(p);
  }
}

/* HMS_CONF="no rule at all": said once on stderr, and the program runs. */
static void bad_rules(void) {
  for (int i = 0; i < 1000; i++) free(malloc((size_t)i * 100 + 1));
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"sizes", sizes},
      {"realloc_moves", realloc_moves},
      {"wrong_tier_reuse", wrong_tier_reuse},
      {"quota_strict", quota_strict},
      {"quota_fallback", quota_fallback},
      {"calloc_zero", calloc_zero},
      {"bad_rules", bad_rules},
  };
  return RUN_CASES(cases, argc, argv);
}
