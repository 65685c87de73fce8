// Kernels over a few large arrays: the pages of one object differ, and no layout of objects helps.
#include <algorithm>
#include <deque>
#include <vector>

#include "bench/tiering/kernels.h"
#include "bench/tiering/recorder.h"
#include "bench/tiering/zipf.h"

namespace hms::bench::tiering {
namespace {

// Memory that the kernel also uses by itself: T by index, each access noted.
template <typename T, typename Heap>
class Array {
 public:
  Array(Heap& heap, void* memory, uint64_t count)
      : heap_(heap), data_(static_cast<T*>(memory)), count_(count) {
    std::fill(data_, data_ + count, T{});
    heap.store(data_, count * sizeof(T));
  }
  ~Array() { heap_.release(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T get(uint64_t i) {
    heap_.load(data_ + i, sizeof(T));
    return data_[i];
  }
  void put(uint64_t i, T value) {
    heap_.store(data_ + i, sizeof(T));
    data_[i] = value;
  }
  T* data() { return data_; }
  uint64_t count() const { return count_; }

 private:
  Heap& heap_;
  T* data_;
  uint64_t count_;
};

// Random updates, nine in ten within a sixteenth of the table that moves three times.
template <typename Heap>
void gups_shift(Heap& heap, const Load& load) {
  uint64_t count = load.bytes / 8, hot = count / 16;
  Array<uint64_t, Heap> table(heap, heap.allocate(count * 8), count);
  Random random(11);
  heap.warm();
  for (uint32_t phase = 0; phase < 4; ++phase) {
    heap.phase(phase);
    uint64_t base = scramble(phase + 1) % (count - hot);
    for (uint64_t i = 0; i < load.accesses / 8; ++i) {
      uint64_t at = random.below(10) > 0 ? base + random.below(hot) : random.below(count);
      table.put(at, table.get(at) ^ at);
    }
  }
}

// A Kronecker graph with the parameters of Graph500 (0.57, 0.19, 0.19, 0.05) and 16 edges a vertex,
// in compressed rows.
struct Graph {
  std::vector<uint32_t> begin, to;
};
Graph kronecker(uint64_t bytes) {
  unsigned scale = 10;
  while ((uint64_t{16 * 4 + 3 * 4} << (scale + 1)) <= bytes) ++scale;
  uint64_t vertices = uint64_t{1} << scale, edges = vertices * 16;
  Random random(12);
  std::vector<uint32_t> from(edges), to(edges);
  for (uint64_t i = 0; i < edges; ++i) {
    for (unsigned bit = 0; bit < scale; ++bit) {
      uint64_t dice = random.below(100);
      from[i] = from[i] * 2 + (dice >= 76);
      to[i] = to[i] * 2 + ((dice >= 57 && dice < 76) || dice >= 95);
    }
  }
  // Vertices are renumbered, or the busy ones would all be neighbours.
  std::vector<uint32_t> name(vertices);
  for (uint32_t i = 0; i < vertices; ++i) name[i] = i;
  for (uint64_t i = vertices - 1; i > 0; --i) std::swap(name[i], name[random.below(i + 1)]);
  Graph graph{std::vector<uint32_t>(vertices + 1), std::vector<uint32_t>(edges)};
  for (uint64_t i = 0; i < edges; ++i) ++graph.begin[name[from[i]] + 1];
  for (uint64_t v = 0; v < vertices; ++v) graph.begin[v + 1] += graph.begin[v];
  std::vector<uint32_t> next(graph.begin.begin(), graph.begin.end() - 1);
  for (uint64_t i = 0; i < edges; ++i) graph.to[next[name[from[i]]]++] = name[to[i]];
  return graph;
}

template <typename Heap>
struct Rows {
  Rows(Heap& heap, const Graph& graph)
      : begin(heap, heap.allocate(graph.begin.size() * 4), graph.begin.size()),
        to(heap, heap.allocate(graph.to.size() * 4), graph.to.size()) {
    std::copy(graph.begin.begin(), graph.begin.end(), begin.data());
    std::copy(graph.to.begin(), graph.to.end(), to.data());
  }
  Array<uint32_t, Heap> begin, to;
};

template <typename Heap>
void bfs(Heap& heap, const Load& load) {
  Graph graph = kronecker(load.bytes);
  uint64_t vertices = graph.begin.size() - 1, left = load.accesses;
  Rows<Heap> rows(heap, graph);
  Array<uint32_t, Heap> parent(heap, heap.allocate(vertices * 4), vertices);
  Array<uint32_t, Heap> queue(heap, heap.allocate(vertices * 4), vertices);
  Random random(13);
  heap.warm();
  while (left > 0) {
    std::fill(parent.data(), parent.data() + vertices, 0);
    heap.store(parent.data(), vertices * 4);
    uint64_t head = 0, tail = 0, start = random.below(vertices), used = vertices / 16;
    parent.put(start, 1);
    queue.put(tail++, static_cast<uint32_t>(start));
    while (head < tail) {
      uint64_t vertex = queue.get(head++);
      uint32_t end = rows.begin.get(vertex + 1);
      for (uint32_t e = rows.begin.get(vertex); e < end; ++e, used += 2) {
        uint32_t next = rows.to.get(e);
        if (parent.get(next) != 0) continue;
        parent.put(next, static_cast<uint32_t>(vertex) + 1);
        queue.put(tail++, next);
      }
    }
    left -= std::min(left, used);
  }
}

template <typename Heap>
void pagerank(Heap& heap, const Load& load) {
  Graph graph = kronecker(load.bytes);
  uint64_t vertices = graph.begin.size() - 1, left = load.accesses;
  Rows<Heap> rows(heap, graph);
  Array<float, Heap> rank(heap, heap.allocate(vertices * 4), vertices);
  Array<float, Heap> share(heap, heap.allocate(vertices * 4), vertices);
  std::fill(rank.data(), rank.data() + vertices, 1.0f);
  heap.warm();
  while (left > 0) {
    for (uint64_t v = 0; v < vertices; ++v) {
      auto degree = static_cast<float>(rows.begin.data()[v + 1] - rows.begin.data()[v]);
      share.put(v, degree > 0 ? rank.get(v) / degree : 0);
    }
    for (uint64_t v = 0; v < vertices; ++v) {
      float sum = 0;
      uint32_t end = rows.begin.get(v + 1);
      for (uint32_t e = rows.begin.get(v); e < end; ++e) sum += share.get(rows.to.get(e));
      rank.put(v, 0.15f + 0.85f * sum);
    }
    uint64_t used = rows.to.count() * 2 + vertices * 4;
    left -= std::min(left, used);
  }
}

// Cross-section lookups: a sorted energy grid that is searched, and rows of a large table behind
// it; between them three arrays are streamed through.
template <typename Heap>
void lookup_stream(Heap& heap, const Load& load) {
  uint64_t rows = load.bytes / 2 / 256, stream = load.bytes / 2 / 3 / 8;
  Array<double, Heap> grid(heap, heap.allocate(rows * 8), rows);
  Array<double, Heap> table(heap, heap.allocate(rows * 240), rows * 30);
  Array<double, Heap> a(heap, heap.allocate(stream * 8), stream);
  Array<double, Heap> b(heap, heap.allocate(stream * 8), stream);
  Array<double, Heap> c(heap, heap.allocate(stream * 8), stream);
  for (uint64_t i = 0; i < rows; ++i) grid.data()[i] = static_cast<double>(i);
  Random random(14);
  heap.warm();
  uint64_t at = 0;
  for (uint64_t i = 0; i < load.accesses / 28; ++i) {
    uint64_t low = 0, high = rows, want = random.below(rows);
    while (high - low > 1) {
      uint64_t middle = (low + high) / 2;
      (grid.get(middle) <= static_cast<double>(want) ? low : high) = middle;
    }
    heap.load(table.data() + low * 30, 240);
    for (unsigned k = 0; k < 8; ++k, at = (at + 1) % stream) a.put(at, b.get(at) + c.get(at));
  }
}

// A matrix in blocks of rows, each a block of memory.
template <typename Heap>
class Matrix {
 public:
  Matrix(Heap& heap, uint64_t count) {
    for (uint64_t i = 0; i < count; i += kBlock)
      blocks_.emplace_back(heap, heap.allocate(kBlock * sizeof(double)), kBlock);
  }
  double get(uint64_t i) { return blocks_[i / kBlock].get(i % kBlock); }
  void put(uint64_t i, double value) { blocks_[i / kBlock].put(i % kBlock, value); }
  uint64_t count() const { return blocks_.size() * kBlock; }

 private:
  static constexpr uint64_t kBlock = 16384;
  std::deque<Array<double, Heap>> blocks_;
};

// A sum of three matrices over and over, and a look into a small table at every fourth element.
template <typename Heap>
void triad(Heap& heap, const Load& load) {
  uint64_t count = load.bytes * 5 / 16 / 8, rows = load.bytes / 16 / 8;
  Array<double, Heap> table(heap, heap.allocate(rows * 8), rows);
  Matrix<Heap> a(heap, count), b(heap, count), c(heap, count);
  Random random(16);
  heap.warm();
  for (uint64_t i = 0, at = 0; i < load.accesses / 13; ++i) {
    const double factor = table.get(random.below(rows));
    for (unsigned k = 0; k < 4; ++k, at = (at + 1) % a.count())
      a.put(at, b.get(at) + factor * c.get(at));
  }
}

// Gathers of embedding rows: many tables, a tenth of all rows wanted.
template <typename Heap>
void embedding(Heap& heap, const Load& load) {
  constexpr unsigned kTables = 26;
  constexpr uint64_t kRow = 256;
  uint64_t rows = load.bytes / kTables / kRow;
  std::vector<char*> tables;
  for (unsigned i = 0; i < kTables; ++i) {
    tables.push_back(static_cast<char*>(heap.allocate(rows * kRow)));
    heap.store(tables.back(), rows * kRow);
  }
  Random random(15);
  Zipf zipf(rows / 10, 0.8);
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / (kRow / kLine); ++i) {
    uint64_t table = i % kTables, row = scramble(zipf.draw(random) * kTables + table) % rows;
    heap.load(tables[table] + row * kRow, kRow);
  }
  for (char* table : tables) heap.release(table);
}

}  // namespace

template <typename Heap>
std::vector<Kernel<Heap>> array_kernels() {
  return {
      {"gups-shift", "random updates of a hot sixteenth that moves three times", Kind::kArrays,
       gups_shift<Heap>},
      {"bfs", "breadth-first searches of a Kronecker graph", Kind::kArrays, bfs<Heap>},
      {"pagerank", "page rank of the same graph", Kind::kArrays, pagerank<Heap>},
      {"triad", "sums of matrices beside a small table", Kind::kArrays, triad<Heap>},
      {"lookup-stream", "searches and rows of a table beside three streams", Kind::kArrays,
       lookup_stream<Heap>},
      {"embedding", "gathers of rows, nine in ten never wanted", Kind::kArrays, embedding<Heap>},
  };
}
template std::vector<Kernel<NativeHeap>> array_kernels();
template std::vector<Kernel<Recorder>> array_kernels();

}  // namespace hms::bench::tiering
