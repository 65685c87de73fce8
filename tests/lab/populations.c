/*
 * populations.c - objects that are used all the time among more that are not.
 *
 * usage: populations RANGES HOT COLD, in MiB
 *
 * Allocates COLD bytes at one place, then HOT bytes at another, in objects of 2000 bytes. RANGES
 * then holds "pid PID", a line "range GROUP START END" for each object (hexadecimal; group 0 is
 * hot, 1 cold) and, last, "ready". Until the end of its standard input it reads and counts up
 * objects of the hot population, in random order. Then it checks every byte of all objects and the
 * sum of what was counted, prints "N accesses", and ends with status 0, the memory still in use.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kObject = 2000, kBatch = 20000, kMiB = 1 << 20 };

struct object {
  uint64_t count;
  unsigned char rest[kObject - sizeof(uint64_t)];
};

struct population {
  struct object** objects;
  size_t size;
};

static unsigned char pattern(size_t number, int group) {
  return (unsigned char)(number * 37 + (group ? 1 : 101));
}

static struct object* fill(struct object* p, size_t number, int group) {
  if (!p) {
    fprintf(stderr, "populations: malloc returned NULL\n");
    exit(2);
  }
  p->count = 0;
  memset(p->rest, pattern(number, group), sizeof p->rest);
  return p;
}

/* Two places: they are told apart by the return address of malloc. */
__attribute__((noinline)) static struct object* make_hot(size_t number) {
  return fill(malloc(sizeof(struct object)), number, 0);
}
__attribute__((noinline)) static struct object* make_cold(size_t number) {
  return fill(malloc(sizeof(struct object)), number, 1);
}

static struct population make(size_t bytes, struct object* (*one)(size_t)) {
  struct population made = {NULL, bytes / kObject};
  made.objects = calloc(made.size, sizeof *made.objects);
  for (size_t i = 0; made.objects && i < made.size; ++i) made.objects[i] = one(i);
  return made;
}

static void tell(int out, struct population of, int group) {
  for (size_t i = 0; i < of.size; ++i) {
    const uintptr_t at = (uintptr_t)of.objects[i];
    dprintf(out, "range %d %lx %lx\n", group, (unsigned long)at, (unsigned long)(at + kObject));
  }
}

/* 1 at the end of the standard input. */
static int told_to_end(void) {
  struct pollfd in = {0, POLLIN, 0};
  char byte;
  return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

static uint64_t use(struct population of) {
  uint64_t accesses = 0;
  for (uint32_t at = 1; !told_to_end(); accesses += kBatch) {
    for (int i = 0; i < kBatch; ++i) {
      at = at * 1664525u + 1013904223u;
      ++*(volatile uint64_t*)&of.objects[(uint64_t)at * of.size >> 32]->count;
    }
  }
  return accesses;
}

/* Of what was counted in the objects; ends the program if one is not what it was. */
static uint64_t check(struct population of, int group) {
  uint64_t sum = 0;
  for (size_t i = 0; i < of.size; ++i) {
    for (size_t k = 0; k < sizeof of.objects[i]->rest; ++k) {
      if (of.objects[i]->rest[k] == pattern(i, group)) continue;
      fprintf(stderr, "populations: object %zu of group %d was overwritten\n", i, group);
      exit(1);
    }
    sum += of.objects[i]->count;
  }
  return sum;
}

int main(int argc, char** argv) {
  const int out = argc == 4 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
  if (out < 0) {
    fprintf(stderr, "usage: populations RANGES HOT COLD, in MiB\n");
    return 2;
  }
  const struct population cold = make(strtoull(argv[3], NULL, 10) * kMiB, make_cold);
  const struct population hot = make(strtoull(argv[2], NULL, 10) * kMiB, make_hot);
  dprintf(out, "pid %d\n", (int)getpid());
  tell(out, hot, 0);
  tell(out, cold, 1);
  dprintf(out, "ready\n");
  close(out);
  const uint64_t accesses = use(hot);
  if (check(cold, 1) != 0 || check(hot, 0) != accesses) {
    fprintf(stderr, "populations: accesses were lost\n");
    return 1;
  }
  printf("%llu accesses\n", (unsigned long long)accesses);
  return 0;
}
