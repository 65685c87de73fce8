// What kernels allocate from and access memory through. NativeHeap compiles to the bare operations;
// Recorder (recorder.h) does the same and notes every one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "bench/tiering/marker.h"

namespace hms::bench::tiering {

inline constexpr size_t kLine = 64;

// One access per cache line, as a program that uses the bytes would make.
inline uint64_t read_lines(const void* address, size_t bytes) {
  uint64_t sum = 0;
  const auto* at = static_cast<const volatile char*>(address);
  for (size_t i = 0; i < bytes; i += kLine) sum += static_cast<uint64_t>(at[i]);
  return sum;
}

// Writes what is there already: kernels keep their own data in what they store to.
inline void write_lines(void* address, size_t bytes) {
  auto* at = static_cast<volatile char*>(address);
  for (size_t i = 0; i < bytes; i += kLine) at[i] = at[i];
}

struct NativeHeap {
  void* allocate(size_t bytes) {
    void* block = malloc(bytes);
    if (!block) abort();
    return block;
  }
  void release(void* block) { free(block); }
  void load(const void* address, size_t bytes) { sum += read_lines(address, bytes); }
  void store(void* address, size_t bytes) { write_lines(address, bytes); }
  // The kernel behaves otherwise from here on.
  void phase(uint32_t number) {
    if (marks) marker_set(number + 1);
  }
  // What follows is judged; what was before built the data.
  void warm() { phase(0); }

  uint64_t sum = 0;    // keeps the loads alive
  bool marks = false;  // tell a counting emulator; marker_map() came before
};

// A generator that is the same everywhere: xorshift64*, Vigna, "An experimental exploration of
// Marsaglia's xorshift generators, scrambled", ACM TOMS 42(4), 2016.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717u;
  }
  uint64_t below(uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace hms::bench::tiering
