// A service for the soak test: threads keep a table of values that know their own checksum, and a
// migrator moves a range from one memory to the other, back and forth, every second. Runs until
// SIGTERM, then looks at every value once more, and says on standard output what it did.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "hms/hms.h"

namespace {

constexpr size_t kShards = 16;
constexpr size_t kValues = 1500;  // per shard
constexpr size_t kRange = size_t{16} << 20;
constexpr unsigned kWorkers = 4;

std::atomic<bool> stop{false};
std::atomic<uint64_t> operations{0}, checked{0}, lost{0}, migrations{0}, moved_pages{0};

uint64_t checksum(const unsigned char* at, size_t bytes) {
  uint64_t sum = 1469598103934665603ULL;
  for (size_t i = 0; i < bytes; ++i) sum = (sum ^ at[i]) * 1099511628211ULL;
  return sum;
}

struct Value {
  std::vector<unsigned char> bytes;
  uint64_t sum = 0;
};

struct Shard {
  std::mutex mutex;
  std::unordered_map<std::string, Value> values;
};
Shard shards[kShards];

void check(const Value& value) {
  ++checked;
  if (checksum(value.bytes.data(), value.bytes.size()) != value.sum) ++lost;
}

Value make_value(uint64_t seed) {
  const size_t size = seed % 16 == 0 ? 5000 + seed % 100000 : 16 + seed % 3000;
  Value value;
  value.bytes.resize(size);
  for (unsigned char& byte : value.bytes) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<unsigned char>(seed >> 56);
  }
  value.sum = checksum(value.bytes.data(), size);
  return value;
}

void work(unsigned seed) {
  pthread_setname_np(pthread_self(), ("worker" + std::to_string(seed)).c_str());
  uint64_t state = seed + 1;
  while (!stop) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    Shard& shard = shards[(state >> 60) % kShards];
    const std::string key = "key-of-a-value-" + std::to_string((state >> 33) % kValues);
    Value fresh = make_value(state >> 20);
    std::lock_guard<std::mutex> hold(shard.mutex);
    auto at = shard.values.find(key);
    if (at != shard.values.end()) check(at->second);
    if (state % 5 == 0) {
      shard.values.erase(key);
    } else {
      shard.values[key] = std::move(fresh);
    }
    ++operations;
    if (operations % 64 == 0) usleep(200);
  }
}

// One range, whose contents must survive each move.
int migrate_every_second() {
  hms_topology* topology = nullptr;
  const char* tiers = getenv("SOAK_TIERS");
  if (tiers == nullptr || hms_topology_load(("tiers:" + std::string(tiers)).c_str(), &topology)) {
    fprintf(stderr, "SOAK_TIERS: %s\n", hms_last_error());
    return 1;
  }
  const hms_id tier[2] = {hms_topology_find_key(topology, "fast"),
                          hms_topology_find_key(topology, "slow")};
  auto* range = static_cast<unsigned char*>(
      mmap(nullptr, kRange, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (range == MAP_FAILED || hms_bind(topology, range, kRange, tier, 2, 0) != HMS_OK) {
    fprintf(stderr, "the range: %s\n", hms_last_error());
    return 1;
  }
  for (size_t i = 0; i < kRange; ++i) range[i] = static_cast<unsigned char>(i * 31 + i / 4096);
  const uint64_t sum = checksum(range, kRange);
  for (size_t turn = 0; !stop; ++turn) {
    hms_moved moved[1];
    const hms_status status = hms_migrate(topology, range, kRange, &tier[turn % 2], 1, 0, moved);
    if (status != HMS_OK && status != HMS_EPARTIAL) {
      fprintf(stderr, "hms_migrate: %s\n", hms_last_error());
      ++lost;
    }
    ++migrations;
    moved_pages += moved[0].pages;
    ++checked;
    if (checksum(range, kRange) != sum) ++lost;
    for (int i = 0; i < 10 && !stop; ++i) usleep(100000);
  }
  hms_munmap(range, kRange);
  hms_topology_free(topology);
  return 0;
}

void end(int) { stop = true; }

}  // namespace

int main() {
  signal(SIGTERM, end);
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < kWorkers; ++i) workers.emplace_back(work, i);
  const int status = migrate_every_second();
  stop = true;
  for (std::thread& worker : workers) worker.join();
  for (Shard& shard : shards) {
    for (const auto& entry : shard.values) check(entry.second);
  }
  printf(
      "service: %llu operations, %llu values checked, %llu lost or changed, %llu migrations of "
      "%llu pages\n",
      static_cast<unsigned long long>(operations), static_cast<unsigned long long>(checked),
      static_cast<unsigned long long>(lost), static_cast<unsigned long long>(migrations),
      static_cast<unsigned long long>(moved_pages));
  return status != 0 || lost != 0 || migrations == 0 ? 1 : 0;
}
