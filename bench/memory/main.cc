// bench_memory: what an allocator keeps. Each mode prints one JSON object.
//
//   footprint SIZE BYTES   resident bytes per byte of live blocks of one size (all alive, all
//   touched) decay MIB SECONDS      a burst of MIB of mixed blocks, freed; then resident bytes over
//   SECONDS of
//                          light work
//   steady MILLIONS        small blocks on and on, for counting system calls from outside
//
// --api=tier, --api=memkind, --api=memtier: as in bench_micro.
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/micro/api.h"

namespace hms::bench {
namespace {

// The second number of /proc/self/statm, read without the allocator.
size_t resident_bytes() {
  FILE* file = std::fopen("/proc/self/statm", "r");
  char line[128] = "";
  if (file != nullptr) {
    if (std::fgets(line, sizeof line, file) == nullptr) line[0] = '\0';
    std::fclose(file);
  }
  char* rest = line;
  std::strtoul(line, &rest, 10);
  return std::strtoul(rest, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

double now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

template <class Api>
int footprint(size_t size, size_t bytes) {
  size_t before = resident_bytes();
  // The blocks are a list through their own first words, so nothing else is alive.
  void* list = nullptr;
  size_t count = bytes / size;
  for (size_t i = 0; i < count; ++i) {
    void* block = Api::allocate(size);
    if (block == nullptr) return 1;
    std::memset(block, 1, size);
    std::memcpy(block, &list, sizeof list);
    list = block;
  }
  size_t grown = resident_bytes() - before;
  double per_byte = static_cast<double>(grown) / static_cast<double>(count * size);
  std::printf("{\"blocks\":%zu,\"live_bytes\":%zu,\"resident_bytes\":%zu,\"per_byte\":%.5f}\n",
              count, count * size, grown, per_byte);
  while (list != nullptr) {
    void* next = nullptr;
    std::memcpy(&next, list, sizeof next);
    Api::release(list);
    list = next;
  }
  return 0;
}

template <class Api>
int decay(size_t mib, double seconds) {
  // One long-lived block in two thousand pins what it can, as in a program that goes on.
  constexpr size_t kSlots = 2000;
  size_t floor = resident_bytes(), target = mib << 20, total = 0, kept = 0;
  struct Link {
    Link* next;
  };
  Link *burst = nullptr, *survivors = nullptr;
  uint64_t noise = 5;
  for (size_t i = 0; total < target; ++i) {
    noise = noise * 6364136223846793005U + 1442695040888963407U;
    size_t size = 16 + (noise >> 33) % (i % 64 == 0 ? 262144 : 2048);
    auto* block = static_cast<Link*>(Api::allocate(size));
    if (block == nullptr) return 1;
    std::memset(static_cast<void*>(block), 1, size);
    bool survives = i % kSlots == 0;
    block->next = survives ? survivors : burst;
    (survives ? survivors : burst) = block;
    total += size;
    if (survives) kept += size;
  }
  size_t peak = resident_bytes();
  while (burst != nullptr) {
    Link* next = burst->next;
    Api::release(burst);
    burst = next;
  }
  std::printf("{\"floor_bytes\":%zu,\"peak_bytes\":%zu,\"kept_bytes\":%zu,\"samples\":[", floor,
              peak, kept);
  double start = now(), elapsed = 0;
  for (const char* comma = "";; comma = ",") {
    elapsed = now() - start;
    std::printf("%s[%.2f,%zu]", comma, elapsed, resident_bytes());
    if (elapsed >= seconds) break;
    for (int i = 0; i < 1000; ++i) Api::release(Api::allocate(64 + static_cast<size_t>(i)));
    timespec pause{0, 250000000};
    nanosleep(&pause, nullptr);
  }
  std::printf("]}\n");
  while (survivors != nullptr) {
    Link* next = survivors->next;
    Api::release(survivors);
    survivors = next;
  }
  return 0;
}

template <class Api>
int steady(size_t millions) {
  constexpr size_t kSlots = 20000;
  static void* slots[kSlots];
  uint64_t noise = 3;
  for (size_t i = 0; i < millions * 1000000; ++i) {
    noise = noise * 6364136223846793005U + 1442695040888963407U;
    void*& slot = slots[(noise >> 33) % kSlots];
    Api::release(slot);
    slot = Api::allocate(16 + (noise >> 45) % 1009);
    *static_cast<volatile char*>(slot) = 1;
    // Marks the middle for an observer of system calls: what follows is steady state.
    if (i == millions * 500000 && write(2, "steady\n", 7) != 7) return 1;
  }
  std::printf("{\"blocks\":%zu}\n", millions * 1000000);
  return 0;
}

template <class Api>
int run(int argc, char** argv) {
  if (!Api::load()) return 2;
  const char* mode = argc > 1 ? argv[1] : "";
  auto number = [&](int at) { return std::strtoul(argv[at], nullptr, 10); };
  if (std::strcmp(mode, "footprint") == 0 && argc == 4 && number(2) >= sizeof(void*)) {
    return footprint<Api>(number(2), number(3));
  }
  if (std::strcmp(mode, "decay") == 0 && argc == 4) {
    return decay<Api>(number(2), static_cast<double>(number(3)));
  }
  if (std::strcmp(mode, "steady") == 0 && argc == 3) return steady<Api>(number(2));
  std::fprintf(stderr,
               "usage: bench_memory [--api=NAME] footprint SIZE BYTES | decay MIB SECONDS | "
               "steady MILLIONS\n");
  return 2;
}

}  // namespace
}  // namespace hms::bench

int main(int argc, char** argv) {
  const char* api = "plain";
  if (argc > 1 && std::strncmp(argv[1], "--api=", 6) == 0) {
    api = argv[1] + 6;
    --argc;
    ++argv;
  }
  if (std::strcmp(api, "plain") == 0) return hms::bench::run<hms::bench::Plain>(argc, argv);
  if (std::strcmp(api, "tier") == 0) return hms::bench::run<hms::bench::Tier>(argc, argv);
  if (std::strcmp(api, "memkind") == 0) return hms::bench::run<hms::bench::Memkind>(argc, argv);
  if (std::strcmp(api, "memtier") == 0) return hms::bench::run<hms::bench::Memtier>(argc, argv);
  std::fprintf(stderr, "bench_memory: --api=%s: not plain, tier, memkind or memtier\n", api);
  return 2;
}
