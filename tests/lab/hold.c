/*
 * hold.c - takes memory from plain malloc, fills it, says where it is, and waits.
 *
 * usage: hold RANGES TOTAL:BLOCK...
 *
 * For each group, allocates blocks of BLOCK bytes until TOTAL bytes are held or malloc returns
 * NULL, and writes every byte. Then RANGES holds "pid PID", a line "range GROUP START END" for each
 * block (hexadecimal), "group GROUP BYTES null|full" for each group and, last, "ready". Waits for
 * the end of its standard input, checks that every block still holds what was written, and ends
 * with status 0, the memory still in use. Sizes take K, M and G.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct block {
  unsigned char* address;
  size_t size;
  int group;
  unsigned char fill;
};

enum { kMaxBlocks = 1 << 20 };
static struct block blocks[kMaxBlocks]; /* not from malloc, which is what is tested */
static size_t block_count;

static size_t parse_size(const char* text, char** end) {
  size_t value = strtoull(text, end, 10);
  switch (**end) {
    case 'G':
      value <<= 10; /* fall through */
    case 'M':
      value <<= 10; /* fall through */
    case 'K':
      value <<= 10;
      ++*end;
  }
  return value;
}

/* Returns the bytes held; less than `total` if malloc gave up. */
static size_t take(int group, size_t total, size_t size) {
  size_t held = 0;
  while (held < total && block_count < kMaxBlocks) {
    unsigned char* p = malloc(size);
    if (!p) break;
    struct block b = {p, size, group, (unsigned char)(block_count * 37 + 1)};
    memset(p, b.fill, size);
    blocks[block_count++] = b;
    held += size;
  }
  return held;
}

static int intact(const struct block* b) {
  for (size_t i = 0; i < b->size; ++i) {
    if (b->address[i] != b->fill) return 0;
  }
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: hold RANGES TOTAL:BLOCK...\n");
    return 2;
  }
  int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out < 0) {
    perror(argv[1]);
    return 2;
  }
  dprintf(out, "pid %d\n", (int)getpid());
  for (int group = 0; group + 2 < argc; ++group) {
    char* end;
    size_t total = parse_size(argv[group + 2], &end);
    size_t size = *end == ':' ? parse_size(end + 1, &end) : 0;
    if (size == 0 || *end != '\0') {
      fprintf(stderr, "hold: '%s' is no TOTAL:BLOCK\n", argv[group + 2]);
      return 2;
    }
    size_t held = take(group, total, size);
    dprintf(out, "group %d %zu %s\n", group, held, held < total ? "null" : "full");
  }
  for (size_t i = 0; i < block_count; ++i) {
    uintptr_t at = (uintptr_t)blocks[i].address;
    dprintf(out, "range %d %lx %lx\n", blocks[i].group, (unsigned long)at,
            (unsigned long)(at + blocks[i].size));
  }
  dprintf(out, "ready\n");
  close(out);

  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  for (size_t i = 0; i < block_count; ++i) {
    if (!intact(&blocks[i])) {
      fprintf(stderr, "hold: block %zu at %p was overwritten\n", i, (void*)blocks[i].address);
      return 1;
    }
  }
  return 0;
}
