// hbind on nodes filled to the brim. For a machine, real or virtual, with at least two nodes that
// may be filled up; hbind_brim.sh says where. Each page is checked with move_pages by this program
// itself, not by what the library reports.
//
//   hbind_brim FIRST NEXT SCENARIO     FIRST and NEXT are node numbers
//
// Exits 0 if all expectations hold; an OOM kill shows as a signal.
#include <errno.h>
#include <hms/hms.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

constexpr size_t kPage = 4096;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr int kAbsent = -1;
constexpr int kPreferred = 1;  // MPOL_PREFERRED, <linux/mempolicy.h>

int failures = 0;

void expect(bool ok, const std::string& what) {
  printf("%s: %s\n", ok ? "ok" : "FAILED", what.c_str());
  fflush(stdout);
  if (!ok) ++failures;
}

std::string mib(uint64_t bytes) { return std::to_string(bytes / kMiB) + " MiB"; }

uint64_t free_bytes(int node) {
  char path[80], line[160];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
  FILE* file = fopen(path, "r");
  uint64_t kb = 0;
  while (file && fgets(line, sizeof line, file)) {
    if (const char* at = strstr(line, "MemFree:")) kb = strtoull(at + 8, nullptr, 10);
  }
  if (file) fclose(file);
  return kb * 1024;
}

struct Area {
  char* base;
  uint64_t bytes;
};

Area map_area(uint64_t bytes) {
  bytes = bytes / (2 * kMiB) * (2 * kMiB);
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
  return {static_cast<char*>(p), bytes};
}

void touch(const Area& area) {
  for (uint64_t at = 0; at < area.bytes; at += kPage)
    area.base[at] = static_cast<char>(at >> 12 | 1);
}

bool intact(const Area& area) {
  for (uint64_t at = 0; at < area.bytes; at += kPage) {
    if (area.base[at] != static_cast<char>(at >> 12 | 1)) return false;
  }
  return true;
}

// The node of each page, kAbsent for none: the kernel's answer.
std::vector<int> nodes_of(const Area& area) {
  std::vector<int> out;
  std::vector<void*> pages;
  std::vector<int> status;
  for (uint64_t at = 0; at < area.bytes;) {
    pages.clear();
    for (; at < area.bytes && pages.size() < 4096; at += kPage) pages.push_back(area.base + at);
    status.assign(pages.size(), -ENOENT);
    if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0) < 0) {
      perror("move_pages");
      exit(2);
    }
    for (int s : status) out.push_back(s >= 0 ? s : kAbsent);
  }
  return out;
}

uint64_t count(const std::vector<int>& nodes, int node) {
  return static_cast<uint64_t>(std::count(nodes.begin(), nodes.end(), node));
}

struct Bench {
  hms_topology* topology = nullptr;
  int first, next;
  hms_id list[2];
};

hms_status bind(const Bench& b, const Area& area, size_t targets, unsigned flags) {
  return hms_bind(b.topology, area.base, area.bytes, b.list, targets, flags);
}

// FIRST > NEXT over more than FIRST has: what fits goes there, the rest to NEXT, nothing elsewhere.
void ordered(const Bench& b, uint64_t bytes) {
  uint64_t free_before = free_bytes(b.first);
  Area area = map_area(bytes);
  hms_status status = bind(b, area, 2, 0);
  expect(status == HMS_OK, std::string("ordered bind: ") + hms_strerror(status));
  touch(area);
  std::vector<int> nodes = nodes_of(area);
  uint64_t on_first = count(nodes, b.first), on_next = count(nodes, b.next);
  printf("   %s wanted, %s free on node %d: %s there, %s on node %d\n", mib(area.bytes).c_str(),
         mib(free_before).c_str(), b.first, mib(on_first * kPage).c_str(),
         mib(on_next * kPage).c_str(), b.next);
  expect(on_first + on_next == nodes.size(), "no page outside the list");
  auto end_of_first = std::find(nodes.begin(), nodes.end(), b.next);
  expect(std::find(end_of_first, nodes.end(), b.first) == nodes.end(),
         "first the first, then the next");
  // A node is used up to the kernel's own reserve.
  constexpr uint64_t kReserve = 64 * kMiB;
  expect(on_first * kPage + kReserve >= std::min(free_before, area.bytes), "the first is used up");
  munmap(area.base, area.bytes);
}

void strict_refused(const Bench& b, uint64_t bytes) {
  Area area = map_area(bytes);
  hms_status status = bind(b, area, 1, HMS_STRICT);
  expect(status == HMS_ENOMEM,
         "strict bind of " + mib(bytes) + " without room: " + hms_last_error());
  std::vector<int> nodes = nodes_of(area);
  expect(count(nodes, kAbsent) == nodes.size(), "and nothing was done");
  munmap(area.base, area.bytes);
}

void strict_fits(const Bench& b, uint64_t bytes) {
  Area area = map_area(bytes);
  hms_status status = bind(b, area, 1, HMS_STRICT);
  expect(status == HMS_OK, "strict bind of " + mib(area.bytes) + ": " + hms_strerror(status));
  std::vector<int> nodes = nodes_of(area);
  expect(count(nodes, b.first) == nodes.size(), "every page is on the node before it is touched");
  munmap(area.base, area.bytes);
}

// Pages of NEXT to FIRST > NEXT: what fits moves, the remainder stays with NEXT. `outside`: pages
// come from a node that is in no list, so that the remainder has to move, too.
void migrate(const Bench& b, uint64_t bytes) {
  Area area = map_area(bytes);
  hms_status status = hms_bind(b.topology, area.base, area.bytes, &b.list[1], 1, HMS_STRICT);
  expect(status == HMS_OK, std::string("to begin with, on the next node: ") + hms_strerror(status));
  touch(area);
  hms_moved moved[2] = {};
  status = hms_migrate(b.topology, area.base, area.bytes, b.list, 2, 0, moved);
  expect(status == HMS_OK, std::string("migrate: ") + hms_strerror(status));
  std::vector<int> nodes = nodes_of(area);
  uint64_t on_first = count(nodes, b.first), on_next = count(nodes, b.next);
  printf("   %s moved, %s stayed\n", mib(on_first * kPage).c_str(), mib(on_next * kPage).c_str());
  expect(moved[0].pages == on_first && moved[1].pages == 0, "the report is what the kernel says");
  expect(on_first + on_next == nodes.size(), "no page outside the list");
  expect(intact(area), "the contents are what they were");
  moved[0] = moved[1] = hms_moved{};
  status = hms_migrate(b.topology, area.base, area.bytes, b.list, 1, HMS_STRICT, moved);
  if (on_next * kPage > 64 * kMiB) {
    expect(status == HMS_ENOMEM && moved[0].pages == 0, "strict migrate of the rest is refused");
    status = hms_migrate(b.topology, area.base, area.bytes, b.list, 1, 0, moved);
    nodes = nodes_of(area);
    expect(status == HMS_EPARTIAL && count(nodes, b.first) == on_first + moved[0].pages,
           "without the next node the remainder stays, and is told");
  }
  munmap(area.base, area.bytes);
}

// A process that prefers the node and touches memory until stopped or done.
pid_t start_eater(int node, uint64_t bytes, int* ready) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) exit(2);
  pid_t pid = fork();
  if (pid != 0) {
    close(pipe_fds[1]);
    *ready = pipe_fds[0];
    return pid;
  }
  close(pipe_fds[0]);
  Area area = map_area(bytes);
  unsigned long mask[16] = {1UL << node};
  syscall(SYS_mbind, area.base, area.bytes, kPreferred, mask, 1024UL, 0);
  touch(area);
  if (write(pipe_fds[1], "x", 1) != 1) _exit(2);
  for (;;) pause();
}

void wait_for(int ready) {
  char c;
  if (read(ready, &c, 1) != 1) exit(2);
  close(ready);
}

void stop_eater(pid_t pid) {
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
}

int run(const Bench& b, const std::string& scenario) {
  uint64_t free_now = free_bytes(b.first);
  if (scenario == "alone") {
    // Filled by ourselves: more than the node has, at once and in two halves.
    ordered(b, free_now + 128 * kMiB);
    strict_refused(b, free_now + 128 * kMiB);
    strict_fits(b, free_now / 2);
    Area promised = map_area(free_now * 3 / 4);
    hms_status status = bind(b, promised, 1, 0);
    expect(status == HMS_OK, "a bind of three quarters, not touched yet");
    strict_refused(b, free_now / 2);
    munmap(promised.base, promised.bytes);
    strict_fits(b, free_now / 2);
    migrate(b, free_now + 96 * kMiB);
  } else if (scenario == "other") {
    int ready = -1;
    uint64_t eaten = free_now > 96 * kMiB ? free_now - 96 * kMiB : 0;
    pid_t eater = start_eater(b.first, eaten, &ready);
    wait_for(ready);
    printf("   another process holds %s, %s are free\n", mib(eaten).c_str(),
           mib(free_bytes(b.first)).c_str());
    ordered(b, 256 * kMiB);
    strict_refused(b, 256 * kMiB);
    migrate(b, 256 * kMiB);
    stop_eater(eater);
  } else if (scenario == "race") {
    // Another process takes the same memory while a strict bind populates: either answer is right,
    // as long as it is true and nobody is killed.
    int ready = -1;
    Area area = map_area(free_now / 2);
    pid_t eater = start_eater(b.first, free_now * 3 / 4, &ready);
    hms_status status = bind(b, area, 1, HMS_STRICT);
    wait_for(ready);
    std::vector<int> nodes = nodes_of(area);
    printf("   %s; %s of %s on the node\n", hms_strerror(status),
           mib(count(nodes, b.first) * kPage).c_str(), mib(area.bytes).c_str());
    expect(status == HMS_OK ? count(nodes, b.first) == nodes.size() : status == HMS_ENOMEM,
           "strict under contention is true or refused");
    stop_eater(eater);
  } else if (scenario == "full") {
    // The node was filled from outside (reserved huge pages).
    printf("   %s are free on node %d\n", mib(free_now).c_str(), b.first);
    ordered(b, 192 * kMiB);
    strict_refused(b, 192 * kMiB);
    migrate(b, 192 * kMiB);
  } else {
    fprintf(stderr, "hbind_brim: no scenario is named '%s'\n", scenario.c_str());
    return 2;
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: hbind_brim FIRST NEXT alone|other|race|full\n");
    return 2;
  }
  Bench b;
  b.first = atoi(argv[1]);
  b.next = atoi(argv[2]);
  hms_status status = hms_topology_load("sysfs", &b.topology);
  if (status != HMS_OK) {
    fprintf(stderr, "hbind_brim: %s: %s\n", hms_strerror(status), hms_last_error());
    return 2;
  }
  for (int i = 0; i < 2; ++i) {
    b.list[i] = hms_topology_find_key(b.topology, (std::string("node:") + argv[1 + i]).c_str());
    if (b.list[i] == 0) {
      fprintf(stderr, "hbind_brim: there is no node %s\n", argv[1 + i]);
      return 2;
    }
  }
  int result = run(b, argv[3]);
  hms_topology_free(b.topology);
  return result;
}
