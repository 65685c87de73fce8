// Random work of several threads against a shadow: no two blocks overlap, contents stay, addresses
// are aligned, every block is where its placement says; and the process forks in the middle of it.
// HMS_STRESS_SECONDS makes it longer.
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

struct Block {
  void* address = nullptr;
  size_t size = 0;
  PlacementId placement = 0;
  uint64_t seed = 0;
};

// Bytes marked at each end.
size_t marked(const Block& b) { return std::min<size_t>(b.size / 2, 8); }

// Fills or checks both ends: enough to catch an overlap.
void mark(const Block& b) {
  auto* p = static_cast<unsigned char*>(b.address);
  size_t n = marked(b);
  memcpy(p, &b.seed, n);
  memcpy(p + b.size - n, &b.seed, n);
}

bool intact(const Block& b, size_t size) {
  size_t n = marked(b);
  const auto* p = static_cast<const unsigned char*>(b.address);
  if (memcmp(p, &b.seed, std::min(n, size)) != 0) return false;
  return size < b.size || memcmp(p + b.size - n, &b.seed, n) == 0;
}

// All live blocks of all threads, by address.
class Shadow {
 public:
  // False if the block overlaps another.
  bool insert(const Block& b) {
    auto start = reinterpret_cast<uintptr_t>(b.address);
    std::lock_guard<std::mutex> guard(lock_);
    auto next = live_.lower_bound(start);
    if (next != live_.end() && next->first < start + usable_size(b.address)) return false;
    if (next != live_.begin() && std::prev(next)->second > start) return false;
    live_[start] = start + usable_size(b.address);
    return true;
  }
  void erase(const Block& b) {
    std::lock_guard<std::mutex> guard(lock_);
    live_.erase(reinterpret_cast<uintptr_t>(b.address));
  }

 private:
  std::mutex lock_;
  std::map<uintptr_t, uintptr_t> live_;
};

// Blocks that one thread hands to another.
class Exchange {
 public:
  Block swap(const Block& mine, size_t where) {
    std::lock_guard<std::mutex> guard(lock_);
    Block theirs = slots_[where % kSlots];
    slots_[where % kSlots] = mine;
    return theirs;
  }
  static constexpr size_t kSlots = 64;

 private:
  std::mutex lock_;
  Block slots_[kSlots];
};

class Worker {
 public:
  Worker(std::vector<PlacementId> placements, Shadow* shadow, Exchange* exchange, unsigned seed)
      : placements_(std::move(placements)), shadow_(shadow), exchange_(exchange), random_(seed) {}

  void run(std::chrono::steady_clock::time_point end) {
    while (std::chrono::steady_clock::now() < end && !failed_) {
      for (int i = 0; i < 200 && !failed_; ++i) step();
      if (pick(500) == 0) trim();
    }
    for (Block& b : held_) drop(&b);
  }
  bool failed() const { return failed_; }

 private:
  size_t pick(size_t bound) { return random_() % bound; }

  // Mostly small, some up to 1 MiB.
  size_t size() {
    size_t bits = 4 + pick(pick(8) == 0 ? 17 : 9);
    return 1 + pick(size_t{1} << bits);
  }

  void check(bool good, const char* what, const Block& b) {
    if (good) return;
    failed_ = true;
    ADD_FAILURE() << what << ": " << b.address << ", " << b.size << " bytes, placement "
                  << b.placement;
  }

  void take(Block b, size_t alignment, bool zeroed) {
    if (b.address == nullptr) return;
    check(reinterpret_cast<uintptr_t>(b.address) % alignment == 0, "misaligned", b);
    check(owns(b.address) && placement_of(b.address) == b.placement, "wrong placement", b);
    check(usable_size(b.address) >= b.size, "too small", b);
    check(shadow_->insert(b), "overlaps a live block", b);
    if (zeroed) {
      const auto* p = static_cast<const unsigned char*>(b.address);
      check(p[0] == 0 && p[b.size / 2] == 0 && p[b.size - 1] == 0, "not zero", b);
    }
    mark(b);
    held_.push_back(b);
  }

  void drop(Block* b) {
    if (b->address == nullptr) return;
    check(intact(*b, b->size), "content changed", *b);
    shadow_->erase(*b);
    deallocate(b->address);
    b->address = nullptr;
  }

  void make_block() {
    Block b{nullptr, size(), placements_[pick(placements_.size())], random_()};
    switch (pick(6)) {
      case 0: {
        size_t alignment = size_t{1} << pick(17);
        b.address = allocate_aligned(alignment, b.size, b.placement);
        return take(b, alignment, false);
      }
      case 1:
        b.address = allocate_zeroed(b.size, b.placement);
        return take(b, 16, true);
      default:
        b.address = allocate(b.size, b.placement);
        return take(b, 16, false);
    }
  }

  void resize_block() {
    size_t at = pick(held_.size());
    Block b = held_[at];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
    Block fresh{nullptr, size(), placements_[pick(placements_.size())], b.seed};
    shadow_->erase(b);
    fresh.address = reallocate(b.address, fresh.size, fresh.placement);
    if (fresh.address == nullptr) {
      check(shadow_->insert(b), "old block lost", b);
      held_.push_back(b);
      return;
    }
    Block seen = b;
    seen.address = fresh.address;
    check(intact(seen, std::min(b.size, fresh.size)), "content lost in reallocate", seen);
    take(fresh, 16, false);
  }

  void step() {
    if (held_.empty() || (held_.size() < 300 && pick(2) == 0)) return make_block();
    if (pick(8) == 0) return resize_block();
    size_t at = pick(held_.size());
    Block b = held_[at];
    held_[at] = held_.back();
    held_.pop_back();
    if (pick(4) == 0) b = exchange_->swap(b, random_());
    drop(&b);
  }

  std::vector<PlacementId> placements_;
  Shadow* shadow_;
  Exchange* exchange_;
  std::mt19937_64 random_;
  std::vector<Block> held_;
  bool failed_ = false;
};

// What a forked child does: no other allocator, which a fork might find locked. 0 if all went well.
[[maybe_unused]] int work_in_child(const std::vector<PlacementId>& placements) {
  constexpr int kBlocks = 400;
  void* blocks[kBlocks];
  for (int round = 0; round < 5; ++round) {
    const auto size = [round](int i) {
      return 16 + static_cast<size_t>(i) * (131 << round) % 50000;
    };
    for (int i = 0; i < kBlocks; ++i) {
      blocks[i] = allocate(size(i), placements[static_cast<size_t>(i) % placements.size()]);
      if (blocks[i] != nullptr) memset(blocks[i], i, size(i));
    }
    for (int i = 0; i < kBlocks; ++i) {
      if (blocks[i] == nullptr) continue;  // one of the placements is tight
      const auto* p = static_cast<const unsigned char*>(blocks[i]);
      if (p[0] != (i & 0xff) || p[size(i) - 1] != (i & 0xff)) return 1;
      deallocate(blocks[i]);
    }
    trim();
  }
  return 0;
}

// Until then, a fork after every pause.
void fork_until(std::chrono::steady_clock::time_point end, const std::vector<PlacementId>& all) {
#if defined(__SANITIZE_THREAD__)
  (void)all;
  std::cout << "no forks: ThreadSanitizer does not support new memory after a threaded fork\n";
  std::this_thread::sleep_until(end);
#else
  while (std::chrono::steady_clock::now() < end) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(60);  // a deadlock ends as a signal
      _exit(work_in_child(all));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
#endif
}

int seconds() {
  const char* text = getenv("HMS_STRESS_SECONDS");
  int value = text == nullptr ? 0 : static_cast<int>(strtol(text, nullptr, 10));
  return value > 0 ? value : 5;
}

TEST(Stress, ThreadsAgainstAShadow) {
  std::vector<PlacementId> placements = {
      kDefaultPlacement,
      registered(make({emulated("x:fast", 3 * kMiB), emulated("x:slow", 512 * kMiB)})),
      registered(make({emulated("x:tight", 2 * kMiB)}, Spread::kOrdered, true)),
      registered(
          make({emulated("x:a", 512 * kMiB, 2), emulated("x:b", 512 * kMiB)}, Spread::kInterleave)),
      registered(
          make({emulated("x:a", 512 * kMiB, 2), emulated("x:b", 512 * kMiB)}, Spread::kRatio)),
  };
  Shadow shadow;
  Exchange exchange;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds());
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::vector<Worker> workers;
  for (unsigned t = 0; t < 4; ++t) workers.emplace_back(placements, &shadow, &exchange, seed + t);
  std::vector<std::thread> threads;
  threads.reserve(workers.size());
  for (Worker& worker : workers) threads.emplace_back([&worker, end] { worker.run(end); });
  fork_until(end, placements);
  for (std::thread& t : threads) t.join();
  for (size_t i = 0; i < Exchange::kSlots; ++i) {
    Block b = exchange.swap({}, i);
    if (b.address != nullptr) {
      EXPECT_TRUE(intact(b, b.size));
      deallocate(b.address);
    }
  }
  trim();
  for (const char* key : {"x:fast", "x:slow", "x:tight", "x:a", "x:b"}) {
    EXPECT_EQ(counters(key)->charged.load(), 0U) << key;
    EXPECT_EQ(counters(key)->allocated.load(), counters(key)->freed.load()) << key;
  }
  EXPECT_LE(counters("x:fast")->charged_peak.load(), 3 * kMiB);
  EXPECT_LE(counters("x:tight")->charged_peak.load(), 2 * kMiB);
}

}  // namespace
}  // namespace hms::alloc::test
