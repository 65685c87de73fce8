// Cases over small blocks, on one thread and on two that share nothing: pair, batch, random working
// set, calloc, aligned, mixed lifetimes.
#include <string>
#include <vector>

#include "bench/micro/api.h"
#include "bench/micro/cases.h"

namespace hms::bench {
namespace {

// One block at a time: the shortest way through an allocator.
template <class Api>
void pair(benchmark::State& state, size_t size) {
  Faults faults;
  for (auto _ : state) {
    void* block = Api::allocate(size);
    benchmark::DoNotOptimize(block);
    *static_cast<volatile char*>(block) = 1;
    Api::release(block);
  }
  finish(state, faults, 1);
}

// A thousand blocks, then free them in the same order: more than a small cache holds.
template <class Api>
void batch(benchmark::State& state, size_t size) {
  constexpr size_t kBlocks = 1000;
  std::vector<void*> blocks(kBlocks);
  Faults faults;
  for (auto _ : state) {
    for (void*& block : blocks) {
      block = Api::allocate(size);
      *static_cast<volatile char*>(block) = 1;
    }
    for (void* block : blocks) Api::release(block);
  }
  finish(state, faults, kBlocks);
}

// Replaces random blocks of random size in a working set: the caches of the processor miss too.
template <class Api>
void random_set(benchmark::State& state) {
  constexpr size_t kSlots = 100000, kReplaced = 1000;
  Random random(static_cast<uint64_t>(state.thread_index()) + 1);
  std::vector<void*> slots(kSlots);
  for (void*& slot : slots) slot = Api::allocate(random.between(16, 1024));
  auto replace = [&](size_t times) {
    for (size_t i = 0; i < times; ++i) {
      void*& slot = slots[random.below(kSlots)];
      Api::release(slot);
      slot = Api::allocate(random.between(16, 1024));
      *static_cast<volatile char*>(slot) = 1;
    }
  };
  // The steady state, in which no page is new, takes a while to come.
  replace(4 * kSlots);
  Faults faults;
  for (auto _ : state) replace(kReplaced);
  finish(state, faults, kReplaced);
  for (void* slot : slots) Api::release(slot);
}

template <class Api>
void zeroed(benchmark::State& state, size_t size) {
  constexpr size_t kLive = 8;
  void* live[kLive] = {};
  size_t next = 0;
  Faults faults;
  for (auto _ : state) {
    Api::release(live[next]);
    live[next] = Api::zeroed(1, size);
    touch(live[next], size);
    next = (next + 1) % kLive;
  }
  finish(state, faults, 1);
  for (void* block : live) Api::release(block);
}

// Alignments 32 to 4096 in turn, sizes of one to four times the alignment.
template <class Api>
void aligned(benchmark::State& state) {
  constexpr size_t kLive = 64, kPerIteration = 8;
  void* live[kLive] = {};
  size_t next = 0;
  Faults faults;
  for (auto _ : state) {
    for (size_t i = 0; i < kPerIteration; ++i) {
      size_t alignment = size_t{32} << i;
      Api::release(live[next]);
      live[next] = Api::aligned(alignment, alignment * (1 + next % 4));
      *static_cast<volatile char*>(live[next]) = 1;
      next = (next + 1) % kLive;
    }
  }
  finish(state, faults, kPerIteration);
  for (void* block : live) Api::release(block);
}

// Sizes as programs ask for them: mostly small, some up to 32 KiB.
size_t program_size(Random& random) {
  size_t shape = random.below(100);
  if (shape < 60) return random.between(8, 64);
  if (shape < 90) return random.between(65, 512);
  if (shape < 99) return random.between(513, 4096);
  return random.between(4097, 32768);
}

// Nine of ten blocks die within 16 allocations, most others within a thousand, one in a hundred
// within 50,000: long-lived blocks end up scattered among the short-lived.
template <class Api>
void mixed_lifetimes(benchmark::State& state) {
  constexpr size_t kPerIteration = 1000;
  std::vector<void*> brief(16), medium(1000), lasting(50000);
  size_t brief_next = 0, medium_next = 0, lasting_next = 0;
  Random random(static_cast<uint64_t>(state.thread_index()) + 7);
  auto replace = [](std::vector<void*>& ring, size_t& next, size_t size) {
    Api::release(ring[next]);
    ring[next] = Api::allocate(size);
    *static_cast<volatile char*>(ring[next]) = 1;
    next = next + 1 == ring.size() ? 0 : next + 1;
  };
  for (size_t i = 0; i < lasting.size(); ++i) replace(lasting, lasting_next, program_size(random));
  Faults faults;
  for (auto _ : state) {
    for (size_t i = 0; i < kPerIteration; ++i) {
      size_t fate = random.below(100), size = program_size(random);
      if (fate < 90) {
        replace(brief, brief_next, size);
      } else if (fate < 99) {
        replace(medium, medium_next, size);
      } else {
        replace(lasting, lasting_next, size);
      }
    }
  }
  finish(state, faults, kPerIteration);
  for (auto* ring : {&brief, &medium, &lasting}) {
    for (void* block : *ring) Api::release(block);
  }
}

template <class Function>
void add(const std::string& name, int threads, Function function) {
  benchmark::RegisterBenchmark(name.c_str(), function)
      ->Threads(threads)
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

}  // namespace

template <class Api>
void register_small_cases() {
  for (int threads : {1, 2}) {
    add("pair/64", threads, [](benchmark::State& s) { pair<Api>(s, 64); });
    add("batch/64x1000", threads, [](benchmark::State& s) { batch<Api>(s, 64); });
    add("random/16-1024", threads, [](benchmark::State& s) { random_set<Api>(s); });
    add("mixed_lifetimes", threads, [](benchmark::State& s) { mixed_lifetimes<Api>(s); });
  }
  for (size_t size : {size_t{64}, size_t{4096}, size_t{65536}, size_t{1} << 20}) {
    add("calloc/" + std::to_string(size), 1, [size](benchmark::State& s) { zeroed<Api>(s, size); });
  }
  add("aligned/32-4096", 1, [](benchmark::State& s) { aligned<Api>(s); });
}
HMS_BENCH_FOR_EACH_API(register_small_cases);

}  // namespace hms::bench
