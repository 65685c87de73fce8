// bench_documents: two threads in a pipeline: one parses documents into trees of small nodes, the
// other rewrites and prints them and frees everything, so each block is freed by a foreign thread.
//
// usage: bench_documents [DOCUMENTS]
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct Node {
  std::string name, value;
  std::vector<std::unique_ptr<Node>> children;
};

// Text of nested lists: (name value (child ...) ...).
void generate(std::string* text, uint64_t* noise, int depth) {
  auto next = [noise] {
    return (*noise = *noise * 6364136223846793005U + 1442695040888963407U) >> 33;
  };
  *text += '(';
  *text += "field_" + std::to_string(next() % 1000) + ' ';
  text->append(next() % (next() % 8 == 0 ? 400 : 24), 'v');
  for (uint64_t children = depth > 0 ? 2 + next() % 5 : 0; children > 0; --children) {
    generate(text, noise, depth - 1);
  }
  *text += ')';
}

std::unique_ptr<Node> parse(const std::string& text, size_t* at) {
  auto node = std::make_unique<Node>();
  ++*at;
  while (text[*at] != ' ') node->name += text[(*at)++];
  ++*at;
  while (text[*at] == 'v') node->value += text[(*at)++];
  while (text[*at] == '(') node->children.push_back(parse(text, at));
  ++*at;
  return node;
}

void print(const Node& node, std::string* out) {
  *out += '{' + node.name + '=' + std::to_string(node.value.size());
  for (const auto& child : node.children) print(*child, out);
  *out += '}';
}

// Hands trees over, at most 64 at a time.
class Queue {
 public:
  void push(std::unique_ptr<Node> node) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return nodes_.size() < 64; });
    nodes_.push_back(std::move(node));
    changed_.notify_all();
  }
  std::unique_ptr<Node> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !nodes_.empty(); });
    auto node = std::move(nodes_.front());
    nodes_.pop_front();
    changed_.notify_all();
    return node;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Node>> nodes_;
};

}  // namespace

int main(int argc, char** argv) {
  unsigned long documents = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 2500;
  Queue queue;
  size_t sum = 0;
  std::thread printer([&] {
    while (auto node = queue.pop()) {
      std::string out;
      print(*node, &out);
      sum = sum * 31 + out.size();
    }
  });
  std::vector<std::string> texts(16);
  uint64_t noise = 1;
  for (std::string& text : texts) generate(&text, &noise, 5);
  for (unsigned long i = 0; i < documents; ++i) {
    size_t at = 0;
    queue.push(parse(texts[i % texts.size()], &at));
  }
  queue.push(nullptr);
  printer.join();
  std::printf("%zu\n", sum);
  return 0;
}
