/*
 * calls.c - what this kernel can do, found out by doing it; shares no code with libhms, whose
 * doctor is checked against it.
 *
 * usage: calls weighted                 says "yes" if set_mempolicy takes MPOL_WEIGHTED_INTERLEAVE
 *        calls scan                     says "yes" if PAGEMAP_SCAN finds the one page that was
 * touched calls weighted-run CMD..       runs a command under weighted interleave over all nodes
 *
 * Status 0 if the answer is known; 2 for a wrong command line; that of the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kWeightedInterleave = 6, kMemsAllowed = 4 }; /* <linux/mempolicy.h> of Linux 6.9 */

static long set_weighted(void) {
  unsigned long nodes[16] = {0};
  if (syscall(SYS_get_mempolicy, NULL, nodes, 1024UL, NULL, (unsigned long)kMemsAllowed) != 0)
    return -1;
  return syscall(SYS_set_mempolicy, kWeightedInterleave, nodes, 1024UL);
}

/* <linux/fs.h> of Linux 6.7 */
struct region {
  uint64_t start, end, categories;
};
struct arguments {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

static int scan_finds_a_page(void) {
  enum { kPages = 16, kTouched = 5, kPage = 4096, kPresent = 8 };
  char* at = mmap(NULL, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int pagemap = open("/proc/self/pagemap", O_RDONLY);
  if (at == MAP_FAILED || pagemap < 0) return 0;
  madvise(at, kPages * kPage, MADV_NOHUGEPAGE);
  at[kTouched * kPage] = 1;
  struct region found[kPages];
  struct arguments scan;
  memset(&scan, 0, sizeof scan);
  scan.size = sizeof scan;
  scan.start = (uintptr_t)at;
  scan.end = scan.start + kPages * kPage;
  scan.vec = (uintptr_t)found;
  scan.vec_len = kPages;
  scan.category_mask = scan.return_mask = kPresent;
  int count = ioctl(pagemap, _IOWR('f', 16, struct arguments), &scan);
  return count == 1 && found[0].start == scan.start + kTouched * kPage &&
         found[0].end == found[0].start + kPage;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "weighted") == 0) {
    puts(set_weighted() == 0 ? "yes" : "no");
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "scan") == 0) {
    puts(scan_finds_a_page() ? "yes" : "no");
    return 0;
  }
  if (argc < 3 || strcmp(argv[1], "weighted-run") != 0) {
    fprintf(stderr, "usage: calls weighted|scan|weighted-run COMMAND..\n");
    return 2;
  }
  if (set_weighted() != 0) {
    perror("calls: weighted interleave");
    return 1;
  }
  execvp(argv[2], argv + 2);
  perror(argv[2]);
  return 127;
}
