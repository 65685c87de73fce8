// The kernels: small programs whose every access can be noted. Each is written once, over a heap
// (heap.h), so that the one that is measured and the one that is traced are the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hms::bench::tiering {

struct Load {
  uint64_t bytes;     // live data, about
  uint64_t accesses;  // operations on it are derived from this
};

enum class Kind { kObjects, kArrays, kAdversary };

template <typename Heap>
struct Kernel {
  const char* name;
  const char* what;
  Kind kind;
  void (*run)(Heap& heap, const Load& load);
};

// One list each for heaps of type NativeHeap and Recorder.
template <typename Heap>
std::vector<Kernel<Heap>> object_kernels();
template <typename Heap>
std::vector<Kernel<Heap>> array_kernels();
template <typename Heap>
std::vector<Kernel<Heap>> adversary_kernels();

template <typename Heap>
std::vector<Kernel<Heap>> kernels() {
  std::vector<Kernel<Heap>> all = object_kernels<Heap>();
  for (const Kernel<Heap>& kernel : array_kernels<Heap>()) all.push_back(kernel);
  for (const Kernel<Heap>& kernel : adversary_kernels<Heap>()) all.push_back(kernel);
  return all;
}

}  // namespace hms::bench::tiering
