// See recorder.h.
#include "bench/tiering/recorder.h"

#include <sys/mman.h>

#include <cstdio>

extern "C" const char __executable_start;  // the linker's: where the program begins

namespace hms::bench::tiering {
namespace {

constexpr uint64_t kMaxObjects = uint64_t{1} << 25;
constexpr uint64_t kMaxPieces = uint64_t{1} << 27;
constexpr uint64_t kMaxHeat = uint64_t{1} << 31;
constexpr uint64_t kMaxEpochs = uint64_t{1} << 16;
constexpr unsigned kRegionShift = 20, kGranuleShift = 4, kAddressBits = 47;

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "bench_tiering_record: %s\n", what);
  exit(1);
}

template <typename T>
T* reserve(uint64_t count) {
  void* at = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) die("cannot reserve address space for the trace");
  return static_cast<T*>(at);
}

}  // namespace

Cache::Cache(uint64_t bytes)
    : model_{cache_sets(bytes), reserve<uint64_t>(cache_sets(bytes) * CACHE_WAYS + 1)} {
  if (model_.sets & (model_.sets - 1)) die("the cache's size must be a power of two");
}

Recorder::Recorder(const Options& options)
    : options_(options),
      cache_(options.cache_bytes),
      base_(reinterpret_cast<uint64_t>(&__executable_start)),
      stack_base_(reinterpret_cast<uint64_t>(__builtin_frame_address(0))),
      objects_(reserve<Object>(kMaxObjects)),
      counters_(reserve<Heat>(kMaxPieces)),
      touched_(reserve<uint32_t>(kMaxPieces)),
      heat_(reserve<Heat>(kMaxHeat)),
      epoch_list_(reserve<Epoch>(kMaxEpochs)),
      shadow_(reserve<uint32_t*>(uint64_t{1} << (kAddressBits - kRegionShift))) {}

uint32_t* Recorder::shadow_of(uint64_t address) {
  uint32_t*& region = shadow_[address >> kRegionShift];
  if (!region) region = reserve<uint32_t>(uint64_t{1} << (kRegionShift - kGranuleShift));
  return region + ((address & ((uint64_t{1} << kRegionShift) - 1)) >> kGranuleShift);
}

void Recorder::cover(const Object& object, uint32_t owner) {
  for (uint64_t at = object.address; at < object.address + object.bytes;
       at += 1u << kGranuleShift) {
    *shadow_of(at) = owner;
  }
}

void* Recorder::allocate(size_t bytes) {
  void* block = malloc(bytes);
  if (!block || bytes == 0) die("a kernel's allocation failed");
  if (object_count_ == kMaxObjects) die("too many objects for a trace");
  Object& object = objects_[object_count_++];
  object.address = reinterpret_cast<uint64_t>(block);
  object.bytes = bytes;
  object.site = reinterpret_cast<uint64_t>(__builtin_return_address(0)) - base_;
  object.depth = stack_base_ - reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  object.birth = tick_;
  object.death = kNever;
  object.first_piece = piece_count_;
  piece_count_ += pieces_of(object);
  if (piece_count_ > kMaxPieces) die("too many pieces for a trace");
  cover(object, static_cast<uint32_t>(object_count_));
  return block;
}

void Recorder::release(void* block) {
  uint32_t owner = *shadow_of(reinterpret_cast<uint64_t>(block));
  if (owner == 0) die("a kernel released what it did not allocate");
  Object& object = objects_[owner - 1];
  object.death = tick_;
  cover(object, 0);
  free(block);
}

void Recorder::note(const void* address, size_t bytes, bool write) {
  auto begin = reinterpret_cast<uint64_t>(address);
  // As read_lines and write_lines go: one access every 64 bytes from the first.
  for (uint64_t at = begin; at < begin + bytes; at += kLine) {
    uint32_t owner = *shadow_of(at);
    if (owner == 0) die("a kernel accessed what it did not allocate");
    if (cache_.hit(at / kLine)) continue;
    ++tick_;
    const Object& object = objects_[owner - 1];
    uint64_t piece = object.first_piece + at / kPage - object.address / kPage;
    Heat& counter = counters_[piece];
    if (counter.reads + counter.writes == 0)
      touched_[touched_count_++] = static_cast<uint32_t>(piece);
    ++(write ? counter.writes : counter.reads);
    if (tick_ - epoch_begin_ >= options_.epoch) end_epoch();
  }
}

void Recorder::end_epoch() {
  if (tick_ == epoch_begin_) return;
  if (heat_count_ + touched_count_ > kMaxHeat || epochs_ == kMaxEpochs)
    die("too long a run for a trace");
  for (uint64_t i = 0; i < touched_count_; ++i) {
    Heat& counter = counters_[touched_[i]];
    heat_[heat_count_++] = Heat{touched_[i], counter.reads, counter.writes};
    counter = Heat{};
  }
  touched_count_ = 0;
  epoch_begin_ = tick_;
  epoch_list_[epochs_++] = Epoch{tick_, phase_, 0, heat_count_};
}

Trace Recorder::finish(const std::string& workload) {
  end_epoch();
  Trace trace;
  trace.workload = workload;
  trace.warm_epochs = warm_epochs_;
  trace.objects.assign(objects_, objects_ + object_count_);
  trace.epochs.assign(epoch_list_, epoch_list_ + epochs_);
  trace.heat.assign(heat_, heat_ + heat_count_);
  return trace;
}

}  // namespace hms::bench::tiering
