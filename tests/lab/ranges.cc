// A program whose range map is looked at from outside: binds memory to two nodes, and on request
// goes behind the library's back. Linked with libhms.so, so the preloaded library answers the
// calls.
//
//   ranges FIRST NEXT    node numbers; reads words from standard input, answers each with a line:
//     bind       two ranges, one for each node, touched
//     betray     mbind() of the first range to the second node, past the library
//     check      hms_check(0): "CONTRADICTIONS RANGES"
//     unmap      munmap() of the first range, past the library, and other memory in its place
//     address    "RANGE-0-BEGIN END" as `auditor` wants it, in RANGES format
#include <hms/hms.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr size_t kBytes = size_t{4} << 20;
constexpr int kPreferred = 1;  // MPOL_PREFERRED, <linux/mempolicy.h>

struct State {
  hms_topology* topology = nullptr;
  hms_id nodes[2] = {};
  int numbers[2] = {};
  char* memory[2] = {};
};

char* map_at(void* hint, int flags) {
  void* p = mmap(hint, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return static_cast<char*>(p);
}

int bind(State* s) {
  for (int i = 0; i < 2; ++i) {
    s->memory[i] = map_at(nullptr, 0);
    hms_status status = hms_bind(s->topology, s->memory[i], kBytes, &s->nodes[i], 1, 0);
    if (status != HMS_OK) {
      fprintf(stderr, "ranges: %s: %s\n", hms_strerror(status), hms_last_error());
      return 1;
    }
    memset(s->memory[i], 1, kBytes);
  }
  // Enough from malloc for the counters to be published.
  for (int i = 0; i < 4000; ++i) *static_cast<char*>(malloc(4096)) = 1;
  printf("bound\n");
  return 0;
}

int answer(State* s, const char* word) {
  if (strcmp(word, "bind") == 0) return bind(s);
  if (strcmp(word, "betray") == 0) {
    unsigned long mask[16] = {1UL << s->numbers[1]};
    printf("%ld\n", syscall(SYS_mbind, s->memory[0], kBytes, kPreferred, mask, 1024UL, 0));
  } else if (strcmp(word, "unmap") == 0) {
    printf("%d\n", munmap(s->memory[0], kBytes));
    map_at(s->memory[0], MAP_FIXED);
  } else if (strcmp(word, "check") == 0) {
    hms_check_result result = {};
    result.size = sizeof result;
    char text[1000];
    if (hms_check(0, &result, text, sizeof text) != HMS_OK) return 1;
    printf("%d %d\n", static_cast<int>(result.contradictions), static_cast<int>(result.ranges));
    fprintf(stderr, "%s", text);
  } else if (strcmp(word, "address") == 0) {
    for (int i = 0; i < 2; ++i)
      printf("range %d %lx %lx ", i, reinterpret_cast<unsigned long>(s->memory[i]),
             reinterpret_cast<unsigned long>(s->memory[i] + kBytes));
    printf("\n");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  State state;
  if (argc != 3 || hms_topology_load("sysfs", &state.topology) != HMS_OK) {
    fprintf(stderr, "usage: ranges FIRST NEXT\n");
    return 2;
  }
  for (int i = 0; i < 2; ++i) {
    char key[32];
    snprintf(key, sizeof key, "node:%s", argv[i + 1]);
    state.numbers[i] = atoi(argv[i + 1]);
    state.nodes[i] = hms_topology_find_key(state.topology, key);
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  char word[32];
  while (scanf("%31s", word) == 1) {
    if (answer(&state, word) != 0) return 1;
  }
  return 0;
}
