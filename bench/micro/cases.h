// What the case files share: registration, random numbers, and the touch that makes memory real.
//
// An item of every case is one block that was allocated and freed (realloc cases: one realloc), so
// nanoseconds per item compare across peers; across cases they do not.
#pragma once

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstddef>
#include <cstdint>

namespace hms::bench {

inline constexpr size_t kPage = 4096;

// xorshift64*: a few cycles per number, the same sequence in every run and for every peer.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545f4914f6cdd1dU) >> 16;
  }
  size_t below(size_t limit) { return next() % limit; }
  size_t between(size_t low, size_t high) { return low + below(high - low + 1); }

 private:
  uint64_t state_;
};

// Writes one byte in each page, as a program that uses the block would at least do.
inline void touch(void* block, size_t size) {
  auto* bytes = static_cast<volatile char*>(block);
  for (size_t at = 0; at < size; at += kPage) bytes[at] = 1;
  if (size > 0) bytes[size - 1] = 1;
}

// Page faults of the process over the timed part of a case, told per item.
class Faults {
 public:
  Faults() : before_(count()) {}
  void tell(benchmark::State& state, double items_of_process) const {
    if (state.thread_index() != 0 || items_of_process <= 0) return;
    state.counters["faults_per_item"] = static_cast<double>(count() - before_) / items_of_process;
  }

 private:
  static int64_t count() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
  }
  int64_t before_;
};

// Ends a case: tells items (per iteration of one thread) and faults.
inline void finish(benchmark::State& state, const Faults& faults, int64_t items_per_iteration) {
  int64_t items = static_cast<int64_t>(state.iterations()) * items_per_iteration;
  state.SetItemsProcessed(items);
  faults.tell(state, static_cast<double>(items) * state.threads());
}

// Each registers its cases for one interface.
template <class Api>
void register_small_cases();
template <class Api>
void register_large_cases();
template <class Api>
void register_thread_cases();

#define HMS_BENCH_FOR_EACH_API(function)           \
  template void function<::hms::bench::Plain>();   \
  template void function<::hms::bench::Tier>();    \
  template void function<::hms::bench::Memkind>(); \
  template void function<::hms::bench::Memtier>()

}  // namespace hms::bench
