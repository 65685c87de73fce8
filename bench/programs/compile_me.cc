// What the gcc program of bench/run compiles: templates enough to keep a compiler's allocator busy.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

template <int N>
struct Level {
  using Value = std::variant<int, double, std::string, std::vector<int>>;
  std::map<std::string, std::tuple<Value, std::unique_ptr<Level<N - 1>>>> entries;
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    for (const auto& [name, entry] : entries) {
      std::visit([&](const auto& value) { visitor(name, value); }, std::get<0>(entry));
      if (std::get<1>(entry)) std::get<1>(entry)->visit(visitor);
    }
  }
};
template <>
struct Level<0> {
  template <class Visitor>
  void visit(Visitor&&) const {}
};

}  // namespace

std::size_t walk(const std::string& text) {
  Level<8> root;
  std::unordered_map<std::string, std::function<int(int)>> table;
  std::regex word("[a-z]+");
  for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at) {
    table[at->str()] = [n = at->position()](int x) { return x + static_cast<int>(n); };
    std::get<0>(root.entries[at->str()]) = at->str();
  }
  std::size_t sum = table.size();
  root.visit([&](const std::string& name, const auto&) { sum += name.size(); });
  return sum;
}
