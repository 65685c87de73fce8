// How long a thread stands still while memory that it uses is made huge or moves: the longest time
// between two of its stores, with and without, by turns. See usage().
#include <getopt.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "runtime/support/os.h"
#include "runtime/support/os_sampling.h"

namespace {

namespace os = hms::os;

constexpr size_t kUnit = size_t{2} << 20, kPages = kUnit / os::kPageSize;
constexpr int64_t kQuietNs = 1'000'000;

int usage(int status) {
  fprintf(
      status == 0 ? stdout : stderr,
      "usage: bench_tiering_pause [--rounds N] [--nodes NEAR,FAR]\n\n"
      "A thread stores to random pages of 2 MiB. Meanwhile the 2 MiB are made one huge page\n"
      "(MADV_COLLAPSE), or, with --nodes, moved to the one node and the other in turn. Prints\n"
      "JSON: longest stops of the thread in microseconds, of N (200) operations and of as many\n"
      "intervals of 1 ms without one.\n");
  return status;
}

// Stores all the time, and keeps the longest time between two stores.
class Victim {
 public:
  explicit Victim(char* unit) : unit_(unit), thread_([this] { run(); }) {}
  ~Victim() {
    ending_ = true;
    thread_.join();
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // In nanoseconds, since it was last asked.
  int64_t longest() { return longest_.exchange(0); }

 private:
  void run() {
    uint64_t random = 1;
    int64_t last = os::monotonic_ns();
    while (!ending_) {
      random = random * 6364136223846793005U + 1442695040888963407U;
      volatile char& at = unit_[(random >> 33) % kUnit];
      at = at + 1;
      const int64_t now = os::monotonic_ns();
      if (now - last > longest_) longest_ = now - last;
      last = now;
    }
  }
  char* unit_;
  std::atomic<bool> ending_{false};
  std::atomic<int64_t> longest_{0};
  std::thread thread_;
};

// 2 MiB of small pages.
void make_small(char* unit) {
  madvise(unit, kUnit, MADV_DONTNEED);
  for (size_t i = 0; i < kPages; ++i) unit[i * os::kPageSize] = 1;
}

int move_to(char* unit, int node) {
  std::vector<void*> pages(kPages);
  std::vector<int> nodes(kPages, node), status(kPages);
  for (size_t i = 0; i < kPages; ++i) pages[i] = unit + i * os::kPageSize;
  const int r = os::move_pages(kPages, pages.data(), nodes.data(), status.data());
  return r < 0 ? r
               : static_cast<int>(std::count(status.begin(), status.end(), node)) -
                     static_cast<int>(kPages);
}

void print(const char* name, std::vector<int64_t> stops, const char* end) {
  std::sort(stops.begin(), stops.end());
  const auto at = [&stops](size_t percent) {
    return static_cast<double>(stops[(stops.size() - 1) * percent / 100]) / 1000;
  };
  printf("\"%s\": {\"median\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"most\": %.1f}%s", name, at(50),
         at(90), at(99), at(100), end);
}

int measure(int rounds, int near, int far) {
  void* memory = mmap(nullptr, 2 * kUnit, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    perror("bench_tiering_pause: mmap");
    return 1;
  }
  const uintptr_t aligned = (reinterpret_cast<uintptr_t>(memory) + kUnit - 1) / kUnit * kUnit;
  auto* unit = static_cast<char*>(memory) + (aligned - reinterpret_cast<uintptr_t>(memory));
  const bool moves = near >= 0;
  std::vector<int64_t> with, without, took;
  int failed = 0;
  Victim victim(unit);
  for (int i = 0; i < rounds; ++i) {
    if (i == 0 || !moves) make_small(unit);
    victim.longest();
    os::sleep_ns(kQuietNs);
    without.push_back(victim.longest());
    const int64_t start = os::monotonic_ns();
    const int r = moves ? move_to(unit, i % 2 == 0 ? far : near) : os::make_huge_pages(unit, kUnit);
    took.push_back(os::monotonic_ns() - start);
    with.push_back(victim.longest());
    failed += r != 0;
  }
  printf("{\"operation\": \"%s\", \"rounds\": %d, \"failed\": %d, ", moves ? "move" : "collapse",
         rounds, failed);
  print("stop_us", with, ", ");
  print("stop_without_us", without, ", ");
  print("operation_us", took, "}\n");
  return failed == rounds ? 1 : 0;
}

}  // namespace

int main(int count, char** words) {
  const option known[] = {{"rounds", required_argument, nullptr, 'r'},
                          {"nodes", required_argument, nullptr, 'n'},
                          {"help", no_argument, nullptr, 'h'},
                          {}};
  int rounds = 200, near = -1, far = -1, at;
  while ((at = getopt_long(count, words, "", known, nullptr)) != -1) {
    if (at == 'h') return usage(0);
    if (at == 'r' && (rounds = atoi(optarg)) > 0) continue;
    if (at == 'n' && sscanf(optarg, "%d,%d", &near, &far) == 2 && near >= 0 && far >= 0) continue;
    return usage(2);
  }
  if (optind != count) return usage(2);
  return measure(rounds, near, far);
}
