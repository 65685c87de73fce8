// A heap that notes every allocation, release and access. Its own memory comes from mmap, so the
// addresses that it notes are those that the program would get without it.
#pragma once

#include <cstdint>
#include <string>

#include "bench/tiering/cache_model.h"
#include "bench/tiering/heap.h"
#include "bench/tiering/trace.h"

namespace hms::bench::tiering {

class Cache {
 public:
  // bytes: a power of two from 16 KiB on, or 0 for none.
  explicit Cache(uint64_t bytes);
  bool hit(uint64_t line) { return cache_hit(&model_, line); }

 private:
  cache_model model_;
};

class Recorder {
 public:
  struct Options {
    uint64_t epoch = 1'000'000;  // accesses that reach memory
    uint64_t cache_bytes = 2 << 20;
  };
  explicit Recorder(const Options& options);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  [[gnu::noinline]] void* allocate(size_t bytes);
  void release(void* block);
  void load(const void* address, size_t bytes) {
    sum += read_lines(address, bytes);
    note(address, bytes, false);
  }
  void store(void* address, size_t bytes) {
    write_lines(address, bytes);
    note(address, bytes, true);
  }
  void phase(uint32_t number) {
    end_epoch();
    phase_ = number;
  }
  void warm() {
    end_epoch();
    warm_epochs_ = epochs_;
  }

  Trace finish(const std::string& workload);

  uint64_t sum = 0;

 private:
  void note(const void* address, size_t bytes, bool write);
  uint32_t* shadow_of(uint64_t address);
  void cover(const Object& object, uint32_t owner);
  void end_epoch();

  Options options_;
  Cache cache_;
  uint64_t tick_ = 0, epoch_begin_ = 0;
  uint32_t phase_ = 0;
  uint64_t warm_epochs_ = 0;
  uint64_t base_;  // of the program's code
  uint64_t stack_base_;
  // Reserved once and filled from the front.
  Object* objects_;
  uint64_t object_count_ = 0;
  Heat* counters_;  // of the running epoch, one a piece
  uint64_t piece_count_ = 0;
  uint32_t* touched_;  // pieces with a count in this epoch
  uint64_t touched_count_ = 0;
  Heat* heat_;
  uint64_t heat_count_ = 0;
  Epoch* epoch_list_;
  uint64_t epochs_ = 0;
  uint32_t** shadow_;  // per MiB of address space: the object of every 16 bytes, plus one
};

}  // namespace hms::bench::tiering
