// Cases over sizes: the sweep from 8 B to 64 MiB, realloc growth, and churn of large blocks.
#include <string>
#include <vector>

#include "bench/micro/api.h"
#include "bench/micro/cases.h"

namespace hms::bench {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// One size, eight blocks alive, oldest replaced first; each page is touched.
template <class Api>
void sweep(benchmark::State& state, size_t size) {
  constexpr size_t kLive = 8;
  void* live[kLive] = {};
  size_t next = 0;
  Faults faults;
  for (auto _ : state) {
    Api::release(live[next]);
    live[next] = Api::allocate(size);
    touch(live[next], size);
    next = (next + 1) % kLive;
  }
  finish(state, faults, 1);
  for (void* block : live) Api::release(block);
}

// Two buffers grow in turn by a quarter, as vectors and strings do, so neither has free room behind
// it for long.
template <class Api>
void grow(benchmark::State& state, size_t limit) {
  int64_t steps = 0;
  Faults faults;
  for (auto _ : state) {
    char* buffers[2] = {};
    for (size_t size = 16; size <= limit; size += size / 4) {
      for (char*& buffer : buffers) {
        buffer = static_cast<char*>(Api::resize(buffer, size));
        buffer[size - 1] = 1;
        ++steps;
      }
    }
    for (char* buffer : buffers) Api::release(buffer);
  }
  int64_t rounds = static_cast<int64_t>(state.iterations());
  finish(state, faults, rounds > 0 ? steps / rounds : 0);
}

// A hundred live blocks of 5 to 25 MiB, a random one replaced by another size; measured after so
// many replacements. At first heaps grow, by what does not fit where something was freed.
template <class Api>
void large_churn(benchmark::State& state, int before) {
  constexpr size_t kLive = 100;
  Random random(static_cast<uint64_t>(state.thread_index()) + 3);
  std::vector<void*> live(kLive / static_cast<size_t>(state.threads()));
  auto fill = [&](void*& slot) {
    size_t size = random.between(5 * kMiB, 25 * kMiB);
    slot = Api::allocate(size);
    touch(slot, size);
  };
  auto replace = [&] {
    void*& slot = live[random.below(live.size())];
    Api::release(slot);
    fill(slot);
  };
  for (void*& slot : live) fill(slot);
  for (int i = 0; i < before; ++i) replace();
  Faults faults;
  for (auto _ : state) replace();
  finish(state, faults, 1);
  for (void* slot : live) Api::release(slot);
}

}  // namespace

template <class Api>
void register_large_cases() {
  constexpr size_t kSizes[] = {8, 64, 512, 4096, 32768, 262144, 2 * kMiB, 16 * kMiB, 64 * kMiB};
  for (size_t size : kSizes) {
    benchmark::RegisterBenchmark(("sweep/" + std::to_string(size)).c_str(),
                                 [size](benchmark::State& s) { sweep<Api>(s, size); })
        ->UseRealTime()
        ->MeasureProcessCPUTime();
  }
  for (size_t limit : {size_t{4096}, 4 * kMiB}) {
    benchmark::RegisterBenchmark(("realloc_growth/" + std::to_string(limit)).c_str(),
                                 [limit](benchmark::State& s) { grow<Api>(s, limit); })
        ->UseRealTime()
        ->MeasureProcessCPUTime();
  }
  for (int threads : {1, 2}) {
    // A fixed number of rounds: filling the live set takes longer than calibration is worth.
    for (int before : {0, 400}) {
      const char* name = before == 0 ? "large_churn/5-25MiB" : "large_churn_later/5-25MiB";
      benchmark::RegisterBenchmark(
          name, [=](benchmark::State& s) { large_churn<Api>(s, before / threads); })
          ->Threads(threads)
          ->UseRealTime()
          ->MeasureProcessCPUTime()
          ->Iterations(400 / threads);
    }
  }
}
HMS_BENCH_FOR_EACH_API(register_large_cases);

}  // namespace hms::bench
