// Kernels that tiering cannot win, and must not lose much on.
#include <array>
#include <utility>
#include <vector>

#include "bench/tiering/kernels.h"
#include "bench/tiering/recorder.h"
#include "bench/tiering/zipf.h"

namespace hms::bench::tiering {
namespace {

// Blocks of one size, written once: the data of most adversaries.
template <typename Heap>
class Blocks {
 public:
  Blocks(Heap& heap, uint64_t bytes, uint64_t each) : heap_(heap), each_(each) {
    for (uint64_t i = 0; i < bytes / each; ++i) {
      blocks_.push_back(static_cast<char*>(heap.allocate(each)));
      heap.store(blocks_.back(), each);
    }
    heap.warm();
  }
  ~Blocks() {
    for (char* block : blocks_) heap_.release(block);
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  void load(uint64_t i) { heap_.load(blocks_[i % blocks_.size()], each_); }
  uint64_t count() const { return blocks_.size(); }
  uint64_t lines() const { return each_ / kLine; }

 private:
  Heap& heap_;
  uint64_t each_;
  std::vector<char*> blocks_;
};

template <typename Heap>
void uniform(Heap& heap, const Load& load) {
  Blocks<Heap> blocks(heap, load.bytes, 256);
  Random random(21);
  for (uint64_t i = 0; i < load.accesses / blocks.lines(); ++i)
    blocks.load(random.below(blocks.count()));
}

template <typename Heap>
void scan(Heap& heap, const Load& load) {
  Blocks<Heap> blocks(heap, load.bytes, 4096);
  for (uint64_t i = 0; i < load.accesses / blocks.lines(); ++i) blocks.load(i);
}

// A loop over so many tenths of an eighth of the data: whoever promotes the last touched always has
// the wrong ones.
template <typename Heap>
void loop(Heap& heap, const Load& load, uint64_t tenths_of_an_eighth) {
  Blocks<Heap> blocks(heap, load.bytes, 4096);
  uint64_t part = blocks.count() * tenths_of_an_eighth / 80;
  for (uint64_t i = 0; i < load.accesses / blocks.lines(); ++i) blocks.load(i % part);
}
template <typename Heap>
void loop_11(Heap& heap, const Load& load) {
  loop(heap, load, 11);
}
template <typename Heap>
void loop_20(Heap& heap, const Load& load) {
  loop(heap, load, 20);
}

// The hot eighth changes sixteen times, back and forth.
template <typename Heap>
void flip(Heap& heap, const Load& load) {
  Blocks<Heap> blocks(heap, load.bytes, 256);
  Random random(22);
  uint64_t hot = blocks.count() / 8;
  for (uint32_t phase = 0; phase < 16; ++phase) {
    heap.phase(phase);
    uint64_t base = phase % 2 ? blocks.count() / 2 : 0;
    for (uint64_t i = 0; i < load.accesses / 16 / blocks.lines(); ++i)
      blocks.load(base + random.below(hot));
  }
}

// In every page one line is hot: pages do not differ.
template <typename Heap>
void hot_line(Heap& heap, const Load& load) {
  Blocks<Heap> blocks(heap, load.bytes, 64);
  Random random(23);
  uint64_t pages = blocks.count() / 64;
  for (uint64_t i = 0; i < load.accesses; ++i) {
    uint64_t page = random.below(pages);
    blocks.load(page * 64 + (random.below(10) > 0 ? scramble(page) % 64 : random.below(64)));
  }
}

// Blocks that live for a thousand allocations.
template <typename Heap>
void storm(Heap& heap, const Load& load) {
  Blocks<Heap> blocks(heap, load.bytes, 1024);
  std::array<void*, 1024> young{};
  Random random(24);
  for (uint64_t i = 0; i < load.accesses / 12; ++i) {
    void*& slot = young[random.below(young.size())];
    if (slot) heap.release(slot);
    size_t bytes = 16 + random.below(496);
    slot = heap.allocate(bytes);
    heap.store(slot, bytes);
    if (i % 4 == 0) blocks.load(random.below(blocks.count()));
  }
  for (void* block : young) {
    if (block) heap.release(block);
  }
}

// Ten thousand places that allocate: a hundred functions, each from a hundred depths of stack.
template <typename Heap, size_t kSite>
[[gnu::noinline]] void* from_site(Heap& heap, size_t bytes, unsigned depth) {
  // The buffer, used after the call, keeps every level on the stack.
  volatile char frame[32 + kSite % 2];
  frame[0] = static_cast<char>(depth);
  void* block = depth == 0 ? heap.allocate(bytes) : from_site<Heap, kSite>(heap, bytes, depth - 1);
  frame[0] = frame[0] + 1;
  return block;
}
template <typename Heap, size_t... kSites>
constexpr auto all_sites(std::index_sequence<kSites...>) {
  return std::array{&from_site<Heap, kSites>...};
}
template <typename Heap>
void contexts(Heap& heap, const Load& load) {
  constexpr auto kSites = all_sites<Heap>(std::make_index_sequence<100>());
  constexpr uint64_t kBytes = 256;
  Random random(25);
  std::vector<void*> hot, cold;
  for (uint64_t i = 0; i < load.bytes / kBytes; ++i) {
    uint64_t context = random.below(10'000);
    void* block = kSites[context / 100](heap, kBytes, static_cast<unsigned>(context % 100));
    heap.store(block, kBytes);
    (scramble(context) % 10 == 0 ? hot : cold).push_back(block);
  }
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / (kBytes / kLine); ++i) {
    std::vector<void*>& from = random.below(10) > 0 ? hot : cold;
    heap.load(from[random.below(from.size())], kBytes);
  }
  for (void* block : hot) heap.release(block);
  for (void* block : cold) heap.release(block);
}

// Eight allocating places whose blocks lie mixed; which of them is hot changes three times. What
// moves from page to page is a matter of the place here, unlike in flip.
template <typename Heap>
void rotate(Heap& heap, const Load& load) {
  constexpr size_t kPlaces = 8;
  constexpr uint64_t kBytes = 256;
  constexpr auto kAllocate = all_sites<Heap>(std::make_index_sequence<kPlaces>());
  std::array<std::vector<void*>, kPlaces> blocks;
  Random random(27);
  for (uint64_t i = 0; i < load.bytes / kBytes; ++i) {
    size_t place = random.below(kPlaces);
    blocks[place].push_back(kAllocate[place](heap, kBytes, 0));
    heap.store(blocks[place].back(), kBytes);
  }
  heap.warm();
  for (uint32_t phase = 0; phase < 4; ++phase) {
    heap.phase(phase);
    for (uint64_t i = 0; i < load.accesses / 4 / (kBytes / kLine); ++i) {
      size_t place = random.below(10) > 0 ? phase * 2 : random.below(kPlaces);
      heap.load(blocks[place][random.below(blocks[place].size())], kBytes);
    }
  }
  for (std::vector<void*>& of : blocks)
    for (void* block : of) heap.release(block);
}

// All data in one block, a part of it hot: the allocator sees one object.
template <typename Heap>
void one_block(Heap& heap, const Load& load) {
  auto* block = static_cast<char*>(heap.allocate(load.bytes));
  heap.store(block, load.bytes);
  Random random(26);
  uint64_t lines = load.bytes / kLine, hot = lines / 10;
  heap.warm();
  for (uint64_t i = 0; i < load.accesses; ++i) {
    uint64_t line = random.below(10) > 0 ? lines / 2 + random.below(hot) : random.below(lines);
    heap.load(block + line * kLine, kLine);
  }
  heap.release(block);
}

}  // namespace

template <typename Heap>
std::vector<Kernel<Heap>> adversary_kernels() {
  return {
      {"uniform", "random reads, none hotter than another", Kind::kAdversary, uniform<Heap>},
      {"scan", "everything in turn", Kind::kAdversary, scan<Heap>},
      {"loop-1.1", "a loop over 1.1 times the fast memory", Kind::kAdversary, loop_11<Heap>},
      {"loop-2", "a loop over twice the fast memory", Kind::kAdversary, loop_20<Heap>},
      {"flip", "two hot sets that take turns", Kind::kAdversary, flip<Heap>},
      {"rotate", "eight allocating places, hot by turns", Kind::kAdversary, rotate<Heap>},
      {"hot-line", "one hot line in each page", Kind::kAdversary, hot_line<Heap>},
      {"storm", "short-lived blocks beside data at rest", Kind::kAdversary, storm<Heap>},
      {"contexts", "ten thousand allocating places, one in ten hot", Kind::kAdversary,
       contexts<Heap>},
      {"one-block", "a hot tenth in one huge block", Kind::kAdversary, one_block<Heap>},
  };
}
template std::vector<Kernel<NativeHeap>> adversary_kernels();
template std::vector<Kernel<Recorder>> adversary_kernels();

}  // namespace hms::bench::tiering
