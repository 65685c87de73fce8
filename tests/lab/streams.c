/*
 * streams.c - memory that is read in turn, beside objects that are used in random order.
 *
 * usage: streams RANGES STREAM HOT, in MiB
 *
 * Allocates STREAM bytes in blocks of 1 MiB at one place, then HOT bytes in objects of 2000 bytes
 * at another. RANGES then holds "pid PID", a line "range GROUP START END" for each block
 * (hexadecimal; group 0 is hot, groups 1 to 6 are the sixths of the stream by address) and, last,
 * "ready". Until the end of its standard input it reads a word of every line of the stream, block
 * by block, and compares the sum; between blocks it counts up objects. Then it checks every byte
 * and the sum of what was counted, prints "N passes, M accesses", and ends with status 0, the
 * memory still in use.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kMiB = 1 << 20, kWords = kMiB / sizeof(uint64_t), kObject = 2000 };
enum { kSlices = 6, kObjectsPerBlock = 4000 };

struct object {
  uint64_t count;
  unsigned char rest[kObject - sizeof(uint64_t)];
};

static uint64_t** blocks;
static size_t block_count;
static struct object** objects;
static size_t object_count;

static void fail(const char* what) {
  fprintf(stderr, "streams: %s\n", what);
  exit(1);
}

static void* must(void* memory) {
  if (!memory) fail("malloc returned NULL");
  return memory;
}

static uint64_t word_at(size_t block, size_t word) { return block * 1000003u + word * 37u + 1; }
static unsigned char byte_of(size_t object) { return (unsigned char)(object * 37 + 101); }

/* Two places: they are told apart by the return address of malloc. */
__attribute__((noinline)) static uint64_t* make_block(void) { return must(malloc(kMiB)); }
__attribute__((noinline)) static struct object* make_object(void) {
  return must(malloc(sizeof(struct object)));
}

static int by_address(const void* a, const void* b) {
  const uintptr_t x = (uintptr_t) * (uint64_t*const*)a, y = (uintptr_t) * (uint64_t*const*)b;
  return x < y ? -1 : x > y;
}

static void make_all(size_t stream_mib, size_t hot_mib) {
  block_count = stream_mib;
  blocks = must(calloc(block_count, sizeof *blocks));
  for (size_t i = 0; i < block_count; ++i) blocks[i] = make_block();
  qsort(blocks, block_count, sizeof *blocks, by_address);
  for (size_t i = 0; i < block_count; ++i) {
    for (size_t word = 0; word < kWords; ++word) blocks[i][word] = word_at(i, word);
  }
  object_count = hot_mib * kMiB / kObject;
  objects = must(calloc(object_count, sizeof *objects));
  for (size_t i = 0; i < object_count; ++i) {
    objects[i] = make_object();
    objects[i]->count = 0;
    memset(objects[i]->rest, byte_of(i), sizeof objects[i]->rest);
  }
}

static void tell(int out) {
  dprintf(out, "pid %d\n", (int)getpid());
  for (size_t i = 0; i < object_count; ++i) {
    const unsigned long at = (unsigned long)objects[i];
    dprintf(out, "range 0 %lx %lx\n", at, at + kObject);
  }
  for (size_t i = 0; i < block_count; ++i) {
    const unsigned long at = (unsigned long)blocks[i];
    dprintf(out, "range %d %lx %lx\n", 1 + (int)(i * kSlices / block_count), at, at + kMiB);
  }
  dprintf(out, "ready\n");
}

/* 1 at the end of the standard input. */
static int told_to_end(void) {
  struct pollfd in = {0, POLLIN, 0};
  char byte;
  return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

static uint64_t sum_of(size_t block, int expected) {
  uint64_t sum = 0;
  const volatile uint64_t* words = blocks[block];
  for (size_t word = 0; word < kWords; ++word) sum += expected ? word_at(block, word) : words[word];
  return sum;
}

static void use(uint64_t* passes, uint64_t* accesses) {
  uint64_t* sums = must(calloc(block_count, sizeof *sums));
  for (size_t i = 0; i < block_count; ++i) sums[i] = sum_of(i, 1);
  for (uint32_t at = 1; !told_to_end(); ++*passes) {
    for (size_t i = 0; i < block_count; ++i) {
      if (sum_of(i, 0) != sums[i]) fail("a block of the stream reads as it should not");
      for (int k = 0; k < kObjectsPerBlock; ++k, ++*accesses) {
        at = at * 1664525u + 1013904223u;
        ++*(volatile uint64_t*)&objects[(uint64_t)at * object_count >> 32]->count;
      }
    }
  }
}

static void check_all(uint64_t accesses) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block_count; ++i) {
    for (size_t word = 0; word < kWords; ++word) {
      if (blocks[i][word] != word_at(i, word)) fail("a block of the stream was overwritten");
    }
  }
  for (size_t i = 0; i < object_count; ++i) {
    for (size_t k = 0; k < sizeof objects[i]->rest; ++k) {
      if (objects[i]->rest[k] != byte_of(i)) fail("an object was overwritten");
    }
    sum += objects[i]->count;
  }
  if (sum != accesses) fail("accesses were lost");
}

int main(int argc, char** argv) {
  const int out = argc == 4 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
  if (out < 0) {
    fprintf(stderr, "usage: streams RANGES STREAM HOT, in MiB\n");
    return 2;
  }
  make_all(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
  tell(out);
  close(out);
  uint64_t passes = 0, accesses = 0;
  use(&passes, &accesses);
  check_all(accesses);
  printf("%llu passes, %llu accesses\n", (unsigned long long)passes, (unsigned long long)accesses);
  return 0;
}
