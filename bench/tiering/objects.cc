// Kernels over many small objects, where layout decides: what is hot lies among what is not.
#include <algorithm>
#include <numeric>
#include <vector>

#include "bench/tiering/kernels.h"
#include "bench/tiering/recorder.h"
#include "bench/tiering/zipf.h"

namespace hms::bench::tiering {
namespace {

constexpr double kSkew = 0.99;  // of YCSB, Cooper et al., SoCC 2010

// Updates of random objects of 128 bytes. One in ten is made by the code that makes those which
// will be used, and that code is right four times in five; the other code is wrong once in fifty.
template <typename Heap>
void scattered(Heap& heap, const Load& load) {
  constexpr size_t kBytes = 128;
  Random random(1);
  std::vector<void*> hot, cold;
  for (uint64_t i = 0; i < load.bytes / kBytes; ++i) {
    if (random.below(10) == 0) {
      void* session = heap.allocate(kBytes);
      heap.store(session, kBytes);
      (random.below(5) > 0 ? hot : cold).push_back(session);
    } else {
      void* archived = heap.allocate(kBytes);
      heap.store(archived, kBytes);
      (random.below(50) == 0 ? hot : cold).push_back(archived);
    }
  }
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / 2; ++i) {
    std::vector<void*>& from = random.below(10) > 0 ? hot : cold;
    void* object = from[random.below(from.size())];
    heap.load(object, kLine);
    heap.store(object, kLine);
  }
}

// A hash table with chains, as key-value stores have it: buckets, entries, values of 64 to 512
// bytes.
template <typename Heap>
class Store {
 public:
  Store(Heap& heap, uint64_t keys) : heap_(heap), keys_(keys) {
    size_t buckets = 1;
    while (buckets < keys) buckets *= 2;
    mask_ = buckets - 1;
    buckets_ = static_cast<Entry**>(heap.allocate(buckets * sizeof(Entry*)));
    for (size_t i = 0; i < buckets; ++i) buckets_[i] = nullptr;
    heap.store(buckets_, buckets * sizeof(Entry*));
    for (uint64_t key = 0; key < keys; ++key) insert(key);
  }
  ~Store() {
    for (uint64_t key = 0; key < keys_; ++key) remove(key);
    heap_.release(buckets_);
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void get(uint64_t key) {
    if (Entry* entry = find(key)) heap_.load(entry->value, entry->bytes);
  }
  void set(uint64_t key) {
    if (Entry* entry = find(key)) heap_.store(entry->value, entry->bytes);
  }
  void renew(uint64_t key) {
    remove(key);
    insert(key);
  }

 private:
  struct Entry {
    Entry* next;
    uint64_t key;
    void* value;
    uint64_t bytes;
  };
  Entry** bucket(uint64_t key) { return buckets_ + (scramble(key + 1) & mask_); }
  Entry* find(uint64_t key) {
    Entry** at = bucket(key);
    heap_.load(at, sizeof *at);
    for (Entry* entry = *at; entry; entry = entry->next) {
      heap_.load(entry, sizeof *entry);
      if (entry->key == key) return entry;
    }
    return nullptr;
  }
  void insert(uint64_t key) {
    auto* entry = static_cast<Entry*>(heap_.allocate(sizeof(Entry)));
    heap_.store(entry, sizeof *entry);
    Entry** at = bucket(key);
    entry->next = *at;
    entry->key = key;
    entry->bytes = 64 + scramble(key) % 449;
    entry->value = heap_.allocate(entry->bytes);
    heap_.store(entry->value, entry->bytes);
    *at = entry;
  }
  void remove(uint64_t key) {
    for (Entry** at = bucket(key); *at; at = &(*at)->next) {
      if ((*at)->key != key) continue;
      Entry* entry = *at;
      *at = entry->next;
      heap_.release(entry->value);
      heap_.release(entry);
      return;
    }
  }

  Heap& heap_;
  uint64_t keys_;
  uint64_t mask_;
  Entry** buckets_;
};

// reads, writes, renewals: of a hundred operations.
template <typename Heap>
void serve(Heap& heap, const Load& load, unsigned reads, unsigned writes) {
  uint64_t keys = load.bytes / 352;  // a value and its entry, on average
  Store<Heap> store(heap, keys);
  Random random(2);
  Zipf zipf(keys, kSkew);
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / 7; ++i) {
    uint64_t key = scramble(zipf.draw(random)) % keys, what = random.below(100);
    if (what < reads) {
      store.get(key);
    } else if (what < reads + writes) {
      store.set(key);
    } else {
      store.renew(random.below(keys));
    }
  }
}
template <typename Heap>
void kv_b(Heap& heap, const Load& load) {
  serve(heap, load, 90, 5);
}
template <typename Heap>
void kv_a(Heap& heap, const Load& load) {
  serve(heap, load, 48, 47);
}

// An item cache: index, items of 48 to 1024 bytes in a list by use, the last one evicted for a new
// one.
template <typename Heap>
void lru(Heap& heap, const Load& load) {
  struct Item {
    Item *newer, *older;
    uint64_t key, bytes;
  };
  constexpr uint64_t kMean = 536;
  uint64_t capacity = load.bytes / kMean, keys = capacity * 3;
  auto** index = static_cast<Item**>(heap.allocate(keys * sizeof(Item*)));
  std::fill(index, index + keys, nullptr);
  Item ends{&ends, &ends, 0, 0};
  auto unlink = [](Item* item) {
    item->newer->older = item->older;
    item->older->newer = item->newer;
  };
  auto push = [&](Item* item) {
    item->older = ends.older;
    item->newer = &ends;
    item->older->newer = item;
    ends.older = item;
  };
  Random random(3);
  Zipf zipf(keys, kSkew);
  uint64_t count = 0;
  for (uint64_t i = 0; i < load.accesses / 6; ++i) {
    if (i == capacity * 4) heap.warm();
    uint64_t key = scramble(zipf.draw(random)) % keys;
    heap.load(index + key, sizeof *index);
    Item* item = index[key];
    if (item) {
      heap.load(item, item->bytes);
      unlink(item);
    } else {
      if (count == capacity) {
        Item* last = ends.newer;
        unlink(last);
        heap.store(index + last->key, sizeof *index);
        index[last->key] = nullptr;
        heap.release(last);
        --count;
      }
      size_t bytes = 48 + scramble(key) % 977;
      item = static_cast<Item*>(heap.allocate(bytes));
      heap.store(item, bytes);
      item->key = key;
      item->bytes = bytes;
      index[key] = item;
      ++count;
    }
    push(item);
    heap.store(item, kLine);
  }
  while (ends.newer != &ends) {
    Item* item = ends.newer;
    unlink(item);
    heap.release(item);
  }
  heap.release(index);
}

// Lookups in a B+ tree of random keys, built by insertion in a random order.
template <typename Heap>
class Tree {
 public:
  explicit Tree(Heap& heap) : heap_(heap), root_(leaf()) {}
  ~Tree() { drop(root_); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  void insert(uint64_t key) {
    if (root_->count == kOrder) {
      Node* old = root_;
      root_ = inner();
      root_->child[0] = old;
      split(root_, 0);
    }
    Node* node = root_;
    while (!node->is_leaf) {
      unsigned at = position(node, key);
      if (node->child[at]->count == kOrder) {
        split(node, at);
        if (key >= node->key[at]) ++at;
      }
      node = node->child[at];
    }
    unsigned at = position(node, key);
    std::copy_backward(node->key + at, node->key + node->count, node->key + node->count + 1);
    node->key[at] = key;
    ++node->count;
    heap_.store(node, kLine);
  }
  void find(uint64_t key) {
    Node* node = root_;
    for (;;) {
      unsigned at = position(node, key);
      heap_.load(node, kLine);
      heap_.load(node->key + (at ? at - 1 : 0), sizeof key);
      if (node->is_leaf) return;
      heap_.load(node->child + at, sizeof(Node*));
      node = node->child[at];
    }
  }

 private:
  static constexpr unsigned kOrder = 30;
  struct Node {
    uint32_t count;
    bool is_leaf;
    uint64_t key[kOrder];
    Node* child[];  // of inner nodes, one more than keys
  };
  Node* leaf() {
    auto* node = static_cast<Node*>(heap_.allocate(sizeof(Node)));
    heap_.store(node, sizeof(Node));
    node->count = 0;
    node->is_leaf = true;
    return node;
  }
  Node* inner() {
    size_t bytes = sizeof(Node) + (kOrder + 1) * sizeof(Node*);
    auto* node = static_cast<Node*>(heap_.allocate(bytes));
    heap_.store(node, bytes);
    node->count = 0;
    node->is_leaf = false;
    return node;
  }
  static unsigned position(const Node* node, uint64_t key) {
    return static_cast<unsigned>(std::upper_bound(node->key, node->key + node->count, key) -
                                 node->key);
  }
  void split(Node* parent, unsigned at) {
    Node* left = parent->child[at];
    Node* right = left->is_leaf ? leaf() : inner();
    unsigned half = kOrder / 2;
    uint64_t middle = left->key[half];
    unsigned from = left->is_leaf ? half : half + 1;
    right->count = kOrder - from;
    std::copy(left->key + from, left->key + kOrder, right->key);
    if (!left->is_leaf) std::copy(left->child + from, left->child + kOrder + 1, right->child);
    left->count = half;
    std::copy_backward(parent->key + at, parent->key + parent->count,
                       parent->key + parent->count + 1);
    std::copy_backward(parent->child + at + 1, parent->child + parent->count + 1,
                       parent->child + parent->count + 2);
    parent->key[at] = middle;
    parent->child[at + 1] = right;
    ++parent->count;
  }
  void drop(Node* node) {
    for (unsigned i = 0; !node->is_leaf && i <= node->count; ++i) drop(node->child[i]);
    heap_.release(node);
  }

  Heap& heap_;
  Node* root_;
};

template <typename Heap>
void btree(Heap& heap, const Load& load) {
  uint64_t keys = load.bytes / 13;  // bytes of the tree per key, with leaves two thirds full
  Tree<Heap> tree(heap);
  for (uint64_t i = 0; i < keys; ++i) tree.insert(scramble(i));
  Random random(4);
  Zipf zipf(keys, kSkew);
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / 6; ++i) tree.find(scramble(zipf.draw(random)));
}

// Lookups in a skip list, whose towers are as high as chance has it.
template <typename Heap>
void skiplist(Heap& heap, const Load& load) {
  constexpr unsigned kLevels = 24;
  struct Tower {
    uint64_t key, payload[4];
    Tower* next[];
  };
  auto tower = [&](unsigned levels) {
    size_t bytes = sizeof(Tower) + levels * sizeof(Tower*);
    auto* made = static_cast<Tower*>(heap.allocate(bytes));
    heap.store(made, bytes);
    std::fill(made->next, made->next + levels, nullptr);
    return made;
  };
  uint64_t keys = load.bytes / 64;
  Random random(5);
  Tower* head = tower(kLevels);
  Tower* before[kLevels];
  auto seek = [&](uint64_t key, bool noted) {
    Tower* at = head;
    for (unsigned level = kLevels; level-- > 0;) {
      while (at->next[level] && at->next[level]->key < key) {
        at = at->next[level];
        if (noted) heap.load(at, sizeof(Tower));
      }
      before[level] = at;
    }
  };
  for (uint64_t i = 0; i < keys; ++i) {
    uint64_t key = scramble(i);
    unsigned levels = 1;
    while (levels < kLevels && random.below(2)) ++levels;
    Tower* made = tower(levels);
    made->key = key;
    seek(key, false);
    for (unsigned level = 0; level < levels; ++level) {
      made->next[level] = before[level]->next[level];
      before[level]->next[level] = made;
    }
  }
  Zipf zipf(keys, kSkew);
  heap.warm();
  for (uint64_t i = 0; i < load.accesses / 24; ++i) seek(scramble(zipf.draw(random)), true);
  while (head) {
    Tower* next = head->next[0];
    heap.release(head);
    head = next;
  }
}

}  // namespace

template <typename Heap>
std::vector<Kernel<Heap>> object_kernels() {
  return {
      {"scattered", "updates of hot 128-byte objects among cold ones", Kind::kObjects,
       scattered<Heap>},
      {"kv-b", "key-value store, Zipf 0.99, 90 % reads, 5 % writes, 5 % churn", Kind::kObjects,
       kv_b<Heap>},
      {"kv-a", "the same, 48 % reads, 47 % writes, 5 % churn", Kind::kObjects, kv_a<Heap>},
      {"lru", "item cache with eviction, Zipf 0.99", Kind::kObjects, lru<Heap>},
      {"btree", "B+ tree lookups, Zipf 0.99", Kind::kObjects, btree<Heap>},
      {"skiplist", "skip list lookups, Zipf 0.99", Kind::kObjects, skiplist<Heap>},
  };
}
template std::vector<Kernel<NativeHeap>> object_kernels();
template std::vector<Kernel<Recorder>> object_kernels();

}  // namespace hms::bench::tiering
