// The counted side of the instruction guard: runs one scenario N times and tells how many
// instructions its thread executed. See guard.cc.
//
// With the processor's trap flag set, every instruction ends in a SIGTRAP (Intel SDM vol. 3,
// section 18.3.1.4; the kernel clears the flag for the handler and sets it again on return). The
// handler counts. Exact, in need of neither performance counters, which virtual machines often
// lack, nor of a tracer; some 10 us an instruction in a virtual machine.
//
// What is not to be counted (the other thread's part, warming up) happens before the flag is set.
// The counted loops do nothing but call the allocator and walk an array.
#include "tests/perf/scenarios.h"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <dlfcn.h>

#include "hms/hms.h"

namespace hms::perf {
namespace {

constexpr size_t kMost = 20000;
void* blocks[kMost];

volatile uint64_t instructions;

void on_trap(int) { instructions = instructions + 1; }

void begin() {
  struct sigaction action {};
  action.sa_handler = on_trap;
  sigaction(SIGTRAP, &action, nullptr);
  instructions = 0;
  // Below the red zone, which a leaf function's locals may use.
  asm volatile(
      "lea -128(%%rsp), %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp"
      :
      :
      : "memory", "cc");
}
void end() {
  asm volatile(
      "lea -128(%%rsp), %%rsp\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp"
      :
      :
      : "memory", "cc");
}

// Keeps the compiler from seeing through a pair.
void use(void* block) { asm volatile("" : : "r"(block) : "memory"); }

void pair(size_t times) {
  for (int warm = 0; warm < 2000; ++warm) std::free(std::malloc(64));
  begin();
  for (size_t i = 0; i < times; ++i) {
    void* block = std::malloc(64);
    use(block);
    std::free(block);
  }
  end();
}

void allocate_all(size_t times, size_t size) {
  for (size_t i = 0; i < times; ++i) blocks[i] = std::malloc(size);
}
void free_all(size_t times) {
  for (size_t i = 0; i < times; ++i) std::free(blocks[i]);
}

// Batches of 1000: `times` is a multiple of that.
void batch(size_t times) {
  auto run = [](size_t count) {
    for (size_t done = 0; done < count; done += 1000) {
      allocate_all(1000, 64);
      free_all(1000);
    }
  };
  run(20000);
  begin();
  run(times);
  end();
}

// Replaces blocks of 16 B to 1 KiB in a set of 5000, in an order that jumps.
void random_set(size_t times) {
  constexpr size_t kSlots = 5000;
  auto size_of = [](size_t i) { return 16 + i * 7919 % 1009; };
  for (size_t i = 0; i < kSlots; ++i) blocks[i] = std::malloc(size_of(i));
  auto replace = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      void*& slot = blocks[i * 2741 % kSlots];
      std::free(slot);
      slot = std::malloc(size_of(i));
    }
  };
  replace(0, 20000);
  begin();
  replace(20000, 20000 + times);
  end();
}

// Another thread allocated; this one frees.
void foreign_free(size_t times) {
  for (int warm = 0; warm < 4; ++warm) {
    std::thread([] { allocate_all(kMost, 64); }).join();
    free_all(kMost);
  }
  std::thread([times] { allocate_all(times, 64); }).join();
  begin();
  free_all(times);
  end();
}

// This thread allocated, another freed; this one allocates again: the way home.
void foreign_return(size_t times) {
  allocate_all(kMost, 64);
  std::thread([] { free_all(kMost); }).join();
  allocate_all(kMost, 64);
  std::thread([] { free_all(kMost); }).join();
  begin();
  allocate_all(times, 64);
  end();
}

void tier_pair(size_t times) {
  auto* get =
      reinterpret_cast<decltype(&hms_placement_get)>(dlsym(RTLD_DEFAULT, "hms_placement_get"));
  auto* allocate = reinterpret_cast<decltype(&hms_malloc)>(dlsym(RTLD_DEFAULT, "hms_malloc"));
  auto* release = reinterpret_cast<decltype(&hms_free)>(dlsym(RTLD_DEFAULT, "hms_free"));
  const hms_placement* placement = nullptr;
  if (get == nullptr || allocate == nullptr || release == nullptr ||
      get(nullptr, "node:0", &placement) != HMS_OK) {
    std::exit(kNotHere);
  }
  for (int warm = 0; warm < 2000; ++warm) release(allocate(64, placement));
  begin();
  for (size_t i = 0; i < times; ++i) {
    void* block = allocate(64, placement);
    use(block);
    release(block);
  }
  end();
}

void aligned_pair(size_t times) {
  auto get = [] {
    void* block = nullptr;
    if (posix_memalign(&block, 64, 64) != 0) std::exit(1);
    use(block);
    return block;
  };
  for (int warm = 0; warm < 2000; ++warm) std::free(get());
  begin();
  for (size_t i = 0; i < times; ++i) std::free(get());
  end();
}

void realloc_same(size_t times) {
  void* block = std::malloc(60);
  begin();
  for (size_t i = 0; i < times; ++i) {
    block = std::realloc(block, 50 + i % 8);
    use(block);
  }
  end();
}

constexpr char kTwoTiers[] = "tiers fast=64M,slow=1G; size>=4096:slow; fast>slow";

}  // namespace

const Scenario kScenarios[] = {
    {"pair_64", pair, nullptr},
    {"batch_64x1000", batch, nullptr},
    {"random_16_1024", random_set, nullptr},
    {"foreign_free_64", foreign_free, nullptr},
    {"foreign_return_64", foreign_return, nullptr},
    {"tier_pair_64", tier_pair, nullptr},
    {"aligned_pair_64", aligned_pair, nullptr},
    {"realloc_same_60", realloc_same, nullptr},
    {"rules_pair_64", pair, kTwoTiers},
    {"rules_random", random_set, kTwoTiers},
    {"rules_realloc_60", realloc_same, kTwoTiers},
    {"cut_pair_64", pair, "tiers fast=64M,slow=1G; size>=60:slow; fast>slow"},
    {"thread_pair_64", pair, "tiers fast=64M,slow=1G; thread=io*:slow; fast>slow"},
};
const size_t kScenarioCount = sizeof(kScenarios) / sizeof(kScenarios[0]);

int run_scenario(const char* name, size_t times) {
  for (const Scenario& scenario : kScenarios) {
    if (std::strcmp(scenario.name, name) == 0 && times <= kMost) {
      scenario.run(times);
      std::printf("%llu\n", static_cast<unsigned long long>(instructions));
      return 0;
    }
  }
  return kNotHere;
}

}  // namespace hms::perf
