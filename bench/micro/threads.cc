// Cases in which blocks or threads cross: producer and consumer, frees by a foreign thread both
// ways, short threads, and a server in the manner of Larson and Krishnan (ISMM 1998), whose threads
// hand their live blocks to their successors.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "bench/micro/api.h"
#include "bench/micro/cases.h"

namespace hms::bench {
namespace {

constexpr size_t kBatch = 256;

struct Batch {
  void* blocks[kBatch];
};

// A lock-free ring from one thread to one other; it allocates nothing while it is used.
class Ring {
 public:
  void push(const Batch& batch) {
    uint64_t at = tail_.load(std::memory_order_relaxed);
    wait([&] { return at - head_.load(std::memory_order_acquire) < kSlots; });
    slots_[at % kSlots] = batch;
    tail_.store(at + 1, std::memory_order_release);
  }
  void pop(Batch* batch) {
    uint64_t at = head_.load(std::memory_order_relaxed);
    wait([&] { return tail_.load(std::memory_order_acquire) != at; });
    *batch = slots_[at % kSlots];
    head_.store(at + 1, std::memory_order_release);
  }

 private:
  static constexpr uint64_t kSlots = 16;

  // Spins first, then lets others run: processors may be fewer than threads.
  template <class Ready>
  static void wait(Ready ready) {
    for (unsigned spins = 0; !ready(); ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  }

  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
  alignas(64) Batch slots_[kSlots];
};

template <class Api>
void fill(Batch* batch, Random& random) {
  for (void*& block : batch->blocks) {
    block = Api::allocate(random.between(16, 512));
    *static_cast<volatile char*>(block) = 1;
  }
}

template <class Api>
void empty(const Batch& batch) {
  for (void* block : batch.blocks) Api::release(block);
}

// Thread 0 allocates, thread 1 frees; memory must find its way back without growing.
template <class Api>
void producer_consumer(benchmark::State& state) {
  static Ring ring;
  Random random(11);
  Batch batch;
  Faults faults;
  for (auto _ : state) {
    if (state.thread_index() == 0) {
      fill<Api>(&batch, random);
      ring.push(batch);
    } else {
      ring.pop(&batch);
      empty<Api>(batch);
    }
  }
  // A block takes part in two threads' iterations.
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch) / 2);
  faults.tell(state, static_cast<double>(state.iterations()) * kBatch);
}

// Both threads allocate for each other and free what the other sent.
template <class Api>
void cross_free(benchmark::State& state) {
  static Ring rings[2];
  auto self = static_cast<unsigned>(state.thread_index());
  Random random(self + 13);
  Batch batch;
  Faults faults;
  for (auto _ : state) {
    fill<Api>(&batch, random);
    rings[self].push(batch);
    rings[1 - self].pop(&batch);
    empty<Api>(batch);
  }
  finish(state, faults, kBatch);
}

// Threads that live for a thousand blocks; the cost of birth and death is in it.
template <class Api>
void thread_churn(benchmark::State& state) {
  constexpr size_t kBlocks = 1000;
  Faults faults;
  for (auto _ : state) {
    std::thread([] {
      void* blocks[kBlocks];
      for (size_t i = 0; i < kBlocks; ++i) {
        blocks[i] = Api::allocate(16 + (i % 32) * 16);
        *static_cast<volatile char*>(blocks[i]) = 1;
      }
      for (void* block : blocks) Api::release(block);
    }).join();
  }
  finish(state, faults, kBlocks);
}

// A thread replaces random blocks of its set, then a new thread goes on with the same set.
template <class Api>
void larson(benchmark::State& state) {
  constexpr size_t kSlots = 5000, kReplaced = 20000;
  std::vector<void*> slots(kSlots);
  Random random(static_cast<uint64_t>(state.thread_index()) + 17);
  for (void*& slot : slots) slot = Api::allocate(random.between(8, 1000));
  Faults faults;
  for (auto _ : state) {
    std::thread([&] {
      for (size_t i = 0; i < kReplaced; ++i) {
        void*& slot = slots[random.below(kSlots)];
        Api::release(slot);
        slot = Api::allocate(random.between(8, 1000));
        *static_cast<volatile char*>(slot) = 1;
      }
    }).join();
  }
  finish(state, faults, kReplaced);
  for (void* slot : slots) Api::release(slot);
}

}  // namespace

template <class Api>
void register_thread_cases() {
  auto add = [](const char* name, int threads, void (*function)(benchmark::State&)) {
    benchmark::RegisterBenchmark(name, function)
        ->Threads(threads)
        ->UseRealTime()
        ->MeasureProcessCPUTime();
  };
  add("producer_consumer", 2, producer_consumer<Api>);
  add("cross_free", 2, cross_free<Api>);
  for (int threads : {1, 2}) {
    add("thread_churn", threads, thread_churn<Api>);
    add("larson", threads, larson<Api>);
  }
}
HMS_BENCH_FOR_EACH_API(register_thread_cases);

}  // namespace hms::bench
