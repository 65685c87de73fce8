/*
 * auditor.c - asks the kernel, and nobody else, where the pages of a process are.
 *
 * usage: auditor PID          pages per node of each mapping that has any, from /proc/PID/numa_maps
 *        auditor PID RANGES   pages per node of each group of ranges, from move_pages(2); pages
 *                             that it does not show are looked up in /proc/PID/pagemap
 *
 * RANGES is a file with lines "range GROUP START END" (hexadecimal); other lines are ignored.
 * Prints "group GROUP nodeN PAGES ... absent PAGES hidden PAGES": absent pages are not in memory at
 * all, hidden ones are there but move_pages does not say where. Shares no code with libhms, on
 * purpose: the tests believe this program, not the library's own report. Status 0; 1 when the
 * process cannot be examined; 2 for a wrong command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
  printf(" absent %zu hidden %zu\n", absent, hidden);
  return 0;
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
