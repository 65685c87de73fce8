/*
 * auditor.c - asks the kernel, and nobody else, where the pages of a process are.
 *
 * usage: auditor PID          pages per node of each mapping that has any, from /proc/PID/numa_maps
 *        auditor PID RANGES   pages per node of each group of ranges, from move_pages(2); pages
 *                             that it does not show are looked up in /proc/PID/pagemap
 *
 * RANGES is a file with lines "range GROUP START END" (hexadecimal); other lines are ignored.
 * Prints "group GROUP nodeN PAGES ... absent PAGES hidden PAGES": absent pages are not in memory at
 * all, hidden ones are there but move_pages does not say where. On kernels that have it (6.7),
 * PAGEMAP_SCAN is a second witness of how many pages there are: " scan PAGES". Shares no code with
 * libhms, on purpose: the tests believe this program, not the library's own report. Status 0; 1
 * when the process cannot be examined, or the witnesses differ; 2 for a wrong command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kPage = 4096, kBatch = 512, kMaxNodes = 1024, kMaxGroups = 64 };

struct pages {
  uintptr_t* at;
  size_t count, room;
};
static struct pages groups[kMaxGroups];

static int fail(const char* what) {
  fprintf(stderr, "auditor: %s: %s\n", what, strerror(errno));
  return 1;
}

static void add_page(struct pages* p, uintptr_t at) {
  if (p->count == p->room) {
    p->room = p->room ? p->room * 2 : 1024;
    p->at = realloc(p->at, p->room * sizeof *p->at);
    if (!p->at) exit(fail("memory"));
  }
  p->at[p->count++] = at;
}

static int by_address(const void* a, const void* b) {
  uintptr_t x = *(const uintptr_t*)a, y = *(const uintptr_t*)b;
  return x < y ? -1 : x > y;
}

/* Sorts, and drops pages that several blocks share. */
static void make_unique(struct pages* p) {
  size_t kept = 0;
  if (p->count) qsort(p->at, p->count, sizeof *p->at, by_address);
  for (size_t i = 0; i < p->count; ++i) {
    if (kept == 0 || p->at[kept - 1] != p->at[i]) p->at[kept++] = p->at[i];
  }
  p->count = kept;
}

static int read_ranges(const char* file) {
  FILE* in = fopen(file, "r");
  if (!in) return fail(file);
  char line[256];
  while (fgets(line, sizeof line, in)) {
    unsigned group;
    unsigned long start, end;
    if (sscanf(line, "range %u %lx %lx", &group, &start, &end) != 3 || group >= kMaxGroups)
      continue;
    for (uintptr_t at = start & ~(uintptr_t)(kPage - 1); at < end; at += kPage) {
      add_page(&groups[group], at);
    }
  }
  fclose(in);
  return 0;
}

/* 1 if the page is in memory, by bit 63 of its pagemap entry. */
static int is_present(int pagemap, uintptr_t at) {
  uint64_t entry = 0;
  if (pread(pagemap, &entry, sizeof entry, (off_t)(at / kPage * sizeof entry)) != sizeof entry)
    return 0;
  return (int)(entry >> 63);
}

/* PAGEMAP_SCAN of Linux 6.7, <linux/fs.h>, which Debian 12's headers do not have. */
struct scan_region {
  uint64_t start, end, categories;
};
struct scan_arguments {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_PAGEMAP _IOWR('f', 16, struct scan_arguments)
enum { kIsPresent = 1 << 3 };

/* Pages of [start, end) that are in memory; -1 if this kernel has no PAGEMAP_SCAN. */
static long scan_present(int pagemap, uintptr_t start, uintptr_t end) {
  struct scan_region found[64];
  struct scan_arguments scan;
  long pages = 0;
  while (start < end) {
    memset(&scan, 0, sizeof scan);
    scan.size = sizeof scan;
    scan.start = start;
    scan.end = end;
    scan.vec = (uintptr_t)found;
    scan.vec_len = sizeof found / sizeof found[0];
    scan.category_mask = scan.return_mask = kIsPresent;
    int count = ioctl(pagemap, SCAN_PAGEMAP, &scan);
    if (count < 0) return -1;
    for (int i = 0; i < count; ++i) pages += (long)((found[i].end - found[i].start) / kPage);
    if (scan.walk_end <= start) return -1;
    start = scan.walk_end;
  }
  return pages;
}

/* The same for a group, by runs of its pages. */
static long scan_group(int pagemap, const struct pages* p) {
  long pages = 0;
  for (size_t i = 0; i < p->count;) {
    size_t run = i + 1;
    while (run < p->count && p->at[run] == p->at[run - 1] + kPage) ++run;
    long some = scan_present(pagemap, p->at[i], p->at[run - 1] + kPage);
    if (some < 0) return -1;
    pages += some;
    i = run;
  }
  return pages;
}

static int audit_group(int pid, int pagemap, unsigned group) {
  static size_t on_node[kMaxNodes];
  size_t absent = 0, hidden = 0;
  struct pages* p = &groups[group];
  memset(on_node, 0, sizeof on_node);
  for (size_t i = 0; i < p->count; i += kBatch) {
    size_t n = p->count - i < kBatch ? p->count - i : kBatch;
    void* addresses[kBatch];
    int status[kBatch];
    for (size_t k = 0; k < n; ++k) {
      addresses[k] = (void*)p->at[i + k];
      status[k] = -ENOENT; /* the kernel may leave entries unwritten */
    }
    if (syscall(SYS_move_pages, pid, n, addresses, NULL, status, 0) < 0) return fail("move_pages");
    for (size_t k = 0; k < n; ++k) {
      if (status[k] >= 0 && status[k] < kMaxNodes) {
        ++on_node[status[k]];
      } else if (is_present(pagemap, p->at[i + k])) {
        ++hidden;
      } else {
        ++absent;
      }
    }
  }
  printf("group %u", group);
  for (int node = 0; node < kMaxNodes; ++node) {
    if (on_node[node]) printf(" node%d %zu", node, on_node[node]);
  }
  printf(" absent %zu hidden %zu", absent, hidden);
  const long scanned = scan_group(pagemap, p);
  if (scanned >= 0) printf(" scan %ld", scanned);
  printf("\n");
  if (scanned < 0 || (size_t)scanned + absent == p->count) return 0;
  fprintf(stderr, "auditor: group %u: the kernel's answers differ\n", group);
  return 1;
}

static int audit_ranges(int pid, const char* file) {
  if (read_ranges(file)) return 1;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  int pagemap = open(path, O_RDONLY);
  if (pagemap < 0) return fail(path);
  int status = 0;
  for (unsigned group = 0; group < kMaxGroups && status == 0; ++group) {
    if (groups[group].count == 0) continue;
    make_unique(&groups[group]);
    status = audit_group(pid, pagemap, group);
  }
  close(pagemap);
  return status;
}

/* Prints "START POLICY nodeN PAGES ..." of each mapping with pages. */
static int audit_mappings(int pid) {
  char path[64], line[4096];
  snprintf(path, sizeof path, "/proc/%d/numa_maps", pid);
  FILE* in = fopen(path, "r");
  if (!in) return fail(path);
  while (fgets(line, sizeof line, in)) {
    if (!strstr(line, " N")) continue;
    char *state, *word = strtok_r(line, " \n", &state);
    printf("%s", word);
    if ((word = strtok_r(NULL, " \n", &state)) != NULL) printf(" %s", word);
    while ((word = strtok_r(NULL, " \n", &state)) != NULL) {
      unsigned node;
      unsigned long pages;
      if (sscanf(word, "N%u=%lu", &node, &pages) == 2) printf(" node%u %lu", node, pages);
    }
    printf("\n");
  }
  fclose(in);
  return 0;
}

int main(int argc, char** argv) {
  int pid = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
  if (pid <= 0 || argc > 3) {
    fprintf(stderr, "usage: auditor PID [RANGES]\n");
    return 2;
  }
  return argc == 3 ? audit_ranges(pid, argv[2]) : audit_mappings(pid);
}
