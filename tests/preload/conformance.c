/* conformance.c - what C17 7.22.3, POSIX.1 and glibc's malloc(3) promise of each function, as far
 * as a program can see it. */
#include <malloc.h>

#include "check.h"

#define TOO_LARGE ((size_t)PTRDIFF_MAX + 1)

static int is_aligned(const void* p, size_t alignment) { return (uintptr_t)p % alignment == 0; }

static int is_zero(const unsigned char* p, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != 0) return 0;
  }
  return 1;
}

/* C17 7.22.3 p1: a zero-sized request may give a unique pointer; glibc does, programs rely on it.
 */
static void malloc_zero(void) {
  void* a = opaque(malloc(0));
  void* b = opaque(malloc(0));
  CHECK(a != NULL && b != NULL && a != b);
  free(a);
  free(b);
  a = opaque(calloc(0, 8));
  b = opaque(calloc(8, 0));
  CHECK(a != NULL && b != NULL && a != b);
  free(a);
  free(b);
}

/* C17 7.22.3 p1: suitably aligned for any object with a fundamental alignment. */
static void malloc_alignment(void) {
  for (size_t size = 0; size < 70000; size = size < 200 ? size + 1 : size * 5 / 4) {
    void* p = opaque(malloc(size));
    CHECK(p != NULL && is_aligned(p, _Alignof(max_align_t)));
    CHECK(malloc_usable_size(p) >= size);
    memset(p, 0x5a, size);
    free(p);
  }
}

/* malloc(3): larger than PTRDIFF_MAX is ENOMEM; so is what the address space cannot hold. */
static void too_large(void) {
  errno = 0;
  CHECK(opaque(malloc(TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(malloc(SIZE_MAX)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(calloc(1, TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(aligned_alloc(64, TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(memalign(64, SIZE_MAX)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(valloc(SIZE_MAX)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(pvalloc(SIZE_MAX)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(malloc((size_t)1 << 62)) == NULL && errno == ENOMEM);
  void* p = opaque(malloc(100));
  CHECK(p != NULL);
  free(p);
}

/* C17 7.22.3.2: the product must not wrap (A4). */
static void calloc_overflow(void) {
  errno = 0;
  CHECK(opaque(calloc(SIZE_MAX / 16 + 2, 16)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(calloc(16, SIZE_MAX / 16 + 2)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(reallocarray(NULL, SIZE_MAX / 16 + 2, 16)) == NULL && errno == ENOMEM);
}

/* C17 7.22.3.2: all bits zero, also in memory that was used before (A6). */
static void calloc_zero(void) {
  static const size_t sizes[] = {1, 16, 100, 4096, 16384, 100000, 1 << 20, 9 << 20};
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
      enum { kBlocks = 20 };
      unsigned char* blocks[kBlocks];
      for (int b = 0; b < kBlocks; b++) {
        blocks[b] = opaque(malloc(sizes[i]));
        CHECK(blocks[b] != NULL);
        memset(blocks[b], 0xab, sizes[i]);
      }
      for (int b = 0; b < kBlocks; b++) free(blocks[b]);
      for (int b = 0; b < kBlocks; b++) {
        blocks[b] = opaque(calloc(1, sizes[i]));
        CHECK(blocks[b] != NULL && is_zero(blocks[b], sizes[i]));
      }
      for (int b = 0; b < kBlocks; b++) free(blocks[b]);
    }
  }
}

/* C17 7.22.3.5: the contents up to the lesser size stay, over class, page and mapping borders. */
static void realloc_contents(void) {
  size_t old_size = 1;
  unsigned char* p = opaque(realloc(NULL, old_size));
  CHECK(p != NULL);
  p[0] = 1;
  for (unsigned step = 0; step < 400; step++) {
    size_t size = (step * 2654435761u) % (step % 10 == 0 ? 3000000 : 20000) + 1;
    p = opaque(realloc(p, size));
    CHECK(p != NULL && is_aligned(p, _Alignof(max_align_t)));
    const size_t kept = size < old_size ? size : old_size;
    for (size_t i = 0; i < kept; i++) CHECK(p[i] == (unsigned char)(i * 7 + 1));
    for (size_t i = 0; i < size; i++) p[i] = (unsigned char)(i * 7 + 1);
    old_size = size;
  }
  free(p);
}

/* C17 7.22.3.5 p3, p4: on failure the old object is unchanged. */
static void realloc_failure(void) {
  char* p = opaque(malloc(100));
  memset(p, 'x', 100);
  errno = 0;
  CHECK(opaque(realloc(p, TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(opaque(reallocarray(p, SIZE_MAX / 2, 4)) == NULL && errno == ENOMEM);
  for (int i = 0; i < 100; i++) CHECK(p[i] == 'x');
  free(p);
}

/* malloc(3): realloc(p, 0) frees and gives NULL, which is no error; realloc(NULL, 0) is malloc(0).
 */
static void realloc_zero(void) {
  void* p = opaque(malloc(100));
  errno = 7;
  CHECK(opaque(realloc(p, 0)) == NULL && errno == 7);
  p = opaque(realloc(NULL, 0));
  CHECK(p != NULL);
  free(p);
  p = opaque(malloc(100));
  CHECK(opaque(reallocarray(p, 0, 8)) == NULL);
}

/* A1: free(NULL) does nothing, 200 million times: no growth of the address space or of memory. */
static void free_null(void) {
  pages_now(); /* its own first use of memory is not what is measured */
  struct pages before = pages_now();
  for (long i = 0; i < 200000000; i++) free(opaque(NULL));
  struct pages after = pages_now();
  CHECK(after.virtual_size <= before.virtual_size + 16);
  CHECK(after.resident <= before.resident + 16);
}

/* POSIX.1-2024, free: errno is preserved (Austin Group 385), whatever freeing costs. */
static void free_errno(void) {
  for (size_t size = 1; size < (8u << 20); size *= 3) {
    void* p = opaque(malloc(size));
    CHECK(p != NULL);
    errno = 4711;
    free(p);
    CHECK(errno == 4711);
  }
}

/* A8: an old errno is no failure. */
static void stale_errno(void) {
  for (size_t size = 1; size < (8u << 20); size *= 3) {
    errno = ENOMEM;
    void* p = opaque(malloc(size));
    CHECK(p != NULL);
    free(p);
  }
}

/* A2: each aligned form gives memory that free takes. */
static void aligned_family(void) {
  for (int round = 0; round < 1000; round++) {
    void* p = opaque(aligned_alloc(64, 4096));
    CHECK(p != NULL && is_aligned(p, 64));
    memset(p, 1, 4096);
    free(p);
    p = opaque(memalign(64, 4096));
    CHECK(p != NULL && is_aligned(p, 64));
    memset(p, 1, 4096);
    free(p);
    p = opaque(valloc(4096));
    CHECK(p != NULL && is_aligned(p, 4096));
    free(p);
    p = opaque(pvalloc(4097));
    CHECK(p != NULL && is_aligned(p, 4096) && malloc_usable_size(p) >= 8192);
    free(p);
  }
}

/* A9 and up: each power of two, up to 64 MiB here, 1 GiB once; sizes below, at and above it. */
static void alignments(void) {
  for (size_t alignment = sizeof(void*); alignment <= (64u << 20); alignment *= 2) {
    const size_t sizes[] = {1, alignment, alignment + 1};
    for (size_t i = 0; i < 3; i++) {
      char* p = opaque(aligned_alloc(alignment, sizes[i]));
      CHECK(p != NULL && is_aligned(p, alignment));
      p[0] = 1;
      p[sizes[i] - 1] = 1;
      free(p);
    }
  }
  char* p = opaque(aligned_alloc((size_t)1 << 30, 4096));
  CHECK(p != NULL && is_aligned(p, (size_t)1 << 30));
  p[0] = 1;
  free(p);
}

/* POSIX, posix_memalign: EINVAL for what is no power of two multiple of sizeof(void*); the error is
 * the result; errno and *out stay. */
static void posix_memalign_rules(void) {
  void* const untouched = &free_null;
  const size_t bad[] = {0, 1, 4, 3, 12, 24, 100};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    void* p = untouched;
    errno = 4711;
    CHECK(posix_memalign(&p, bad[i], 64) == EINVAL && p == untouched && errno == 4711);
  }
  void* p = untouched;
  errno = 4711;
  CHECK(posix_memalign(&p, 64, TOO_LARGE) == ENOMEM && p == untouched && errno == 4711);
  CHECK(posix_memalign(&p, sizeof(void*), 0) == 0);
  free(p);
  CHECK(posix_memalign(&p, 4096, 100) == 0 && is_aligned(p, 4096) && errno == 4711);
  free(p);
}

/* C17 7.22.3.1: an alignment that is not supported is a failure, not a rounding. glibc before 2.38
 * rounds up instead; there this case does not hold. */
static void aligned_alloc_rules(void) {
  errno = 0;
  CHECK(opaque(aligned_alloc(0, 64)) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(opaque(aligned_alloc(24, 64)) == NULL && errno == EINVAL);
  void* p = opaque(aligned_alloc(64, 100)); /* DR 460: any size */
  CHECK(p != NULL && is_aligned(p, 64));
  free(p);
}

/* malloc(3), memalign: glibc rounds a wrong alignment up. */
static void memalign_rounds(void) {
  void* p = opaque(memalign(48, 100));
  CHECK(p != NULL && is_aligned(p, 64));
  free(p);
  p = opaque(memalign(0, 100));
  CHECK(p != NULL);
  free(p);
  errno = 0;
  CHECK(opaque(memalign(SIZE_MAX, 100)) == NULL && errno == EINVAL);
}

/* A5: posix_memalign and free, 100,000 times: the resident set stays flat. */
static void posix_memalign_leak(void) {
  struct pages before = {0, 0};
  for (int i = 0; i < 100000; i++) {
    if (i == 1000) before = pages_now();
    void* p;
    CHECK(posix_memalign(&p, 64, 4096) == 0);
    memset(p, 1, 4096);
    free(p);
  }
  CHECK(pages_now().resident <= before.resident + 1024); /* 4 MiB */
}

/* malloc_usable_size(3): every byte that it names may be used. */
static void usable_size(void) {
  CHECK(malloc_usable_size(NULL) == 0);
  enum { kBlocks = 300 };
  unsigned char* blocks[kBlocks];
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = opaque(malloc((size_t)i * i + 1));
    memset(blocks[i], i, malloc_usable_size(blocks[i]));
  }
  for (int i = 0; i < kBlocks; i++) {
    const size_t usable = malloc_usable_size(blocks[i]);
    for (size_t j = 0; j < usable; j++) CHECK(blocks[i][j] == (unsigned char)i);
    free(blocks[i]);
  }
}

/* Functions of libc that give memory to be freed. */
static void libc_callers(void) {
  char* text = NULL;
  CHECK(asprintf(&text, "%01000d", 5) == 1000);
  char* copy = strdup(text);
  CHECK(copy != NULL && strcmp(copy, text) == 0);
  free(copy);
  free(text);
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  CHECK(stream != NULL);
  for (int i = 0; i < 10000; i++) fputs("line of text\n", stream);
  fclose(stream);
  stream = fmemopen(text, size, "r");
  char* line = NULL;
  size_t room = 0;
  int lines = 0;
  while (getline(&line, &room, stream) > 0) lines++;
  CHECK(lines == 10000);
  fclose(stream);
  free(line);
  free(text);
  char* directory = getcwd(NULL, 0);
  CHECK(directory != NULL);
  free(directory);
  char* path = realpath("/usr/..", NULL);
  CHECK(path != NULL && strcmp(path, "/") == 0);
  free(path);
}

/* The GNU reports: they answer, plausibly. */
static void reports(void) {
  enum { kBlocks = 64, kBytes = 1 << 20 };
  void* blocks[kBlocks];
  for (int i = 0; i < kBlocks; i++) blocks[i] = memset(malloc(kBytes), 1, kBytes);
  struct mallinfo2 info = mallinfo2();
  CHECK(info.uordblks + info.hblkhd >= (size_t)kBlocks * kBytes);
  CHECK(info.arena + info.hblkhd >= info.uordblks);
  for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  struct mallinfo2 later = mallinfo2();
  CHECK(later.uordblks + later.hblkhd + (size_t)kBlocks * kBytes / 2 < info.uordblks + info.hblkhd);
  char* xml = NULL;
  size_t size = 0;
  FILE* stream = open_memstream(&xml, &size);
  CHECK(malloc_info(0, stream) == 0);
  errno = 0;
  CHECK(malloc_info(1, stream) != 0);
  fclose(stream);
  CHECK(strstr(xml, "<malloc version=\"1\">") != NULL && strstr(xml, "</malloc>") != NULL);
  free(xml);
  CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1 && mallopt(M_ARENA_MAX, 2) == 1);
  malloc_stats();
}

/* malloc_trim(3) gives memory back. */
static void trim(void) {
  enum { kBlocks = 2000, kBytes = 60000 };
  static void* blocks[kBlocks];
  for (int i = 0; i < kBlocks; i++) blocks[i] = memset(malloc(kBytes), 1, kBytes);
  const long full = pages_now().resident;
  for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  malloc_trim(0);
  CHECK(pages_now().resident < full - (long)kBlocks * kBytes / 4096 * 3 / 4);
}

/* C23 7.24.3.4, 7.24.3.5; looked up by name, as glibc 2.36 has neither. */
static void sized_free(void) {
  void (*free_sized_function)(void*, size_t) = NULL;
  void (*free_aligned_function)(void*, size_t, size_t) = NULL;
  extern void free_sized(void*, size_t) __attribute__((weak));
  extern void free_aligned_sized(void*, size_t, size_t) __attribute__((weak));
  free_sized_function = free_sized;
  free_aligned_function = free_aligned_sized;
  if (free_sized_function == NULL) SKIP("the C library has no free_sized");
  struct pages before = {0, 0};
  for (int i = 0; i < 20000; i++) {
    if (i == 1000) before = pages_now();
    free_sized_function(memset(malloc(5000), 1, 5000), 5000);
    free_aligned_function(memset(aligned_alloc(256, 512), 1, 512), 256, 512);
  }
  free_sized_function(NULL, 10);
  free_aligned_function(NULL, 64, 10);
  CHECK(pages_now().resident <= before.resident + 1024);
}

int main(int argc, char** argv) {
  static const struct test_case cases[] = {
      {"malloc_zero", malloc_zero},
      {"malloc_alignment", malloc_alignment},
      {"too_large", too_large},
      {"calloc_overflow", calloc_overflow},
      {"calloc_zero", calloc_zero},
      {"realloc_contents", realloc_contents},
      {"realloc_failure", realloc_failure},
      {"realloc_zero", realloc_zero},
      {"free_null", free_null},
      {"free_errno", free_errno},
      {"stale_errno", stale_errno},
      {"aligned_family", aligned_family},
      {"alignments", alignments},
      {"posix_memalign_rules", posix_memalign_rules},
      {"aligned_alloc_rules", aligned_alloc_rules},
      {"memalign_rounds", memalign_rounds},
      {"posix_memalign_leak", posix_memalign_leak},
      {"usable_size", usable_size},
      {"libc_callers", libc_callers},
      {"reports", reports},
      {"trim", trim},
      {"sized_free", sized_free},
  };
  return RUN_CASES(cases, argc, argv);
}
