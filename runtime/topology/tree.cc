// Bounded reading of small text files.
#include "runtime/topology/tree.h"

#include <errno.h>
#include <stdlib.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"

namespace hms::topology {

std::optional<std::string> Tree::content(const std::string& path) const {
  // Most files are far below 4 KiB; a few (KFD, a long PCI resource list) are not.
  char small[4096];
  std::string full = root_ + '/' + path;
  int n = os::read_file(full.c_str(), small, sizeof small);
  if (n < 0) return std::nullopt;
  if (static_cast<size_t>(n) + 1 < sizeof small) return std::string(small, static_cast<size_t>(n));
  std::string large(65536, '\0');
  n = os::read_file(full.c_str(), large.data(), large.size());
  if (n < 0) return std::nullopt;
  large.resize(static_cast<size_t>(n));
  return large;
}

std::optional<std::string> Tree::text(const std::string& path) const {
  auto all = content(path);
  if (all) all->resize(std::min(all->find('\n'), all->size()));
  return all;
}

std::optional<int64_t> parse_number(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  long long value = strtoll(text.c_str(), &end, text.compare(0, 2, "0x") == 0 ? 16 : 10);
  if (errno != 0 || end == text.c_str() || *end != '\0') return std::nullopt;
  return value;
}

std::optional<int64_t> Tree::number(const std::string& path) const {
  auto line = text(path);
  return line ? parse_number(*line) : std::nullopt;
}

std::vector<int> parse_list(const std::string& text, int limit) {
  std::vector<int> out;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find(',', at), text.size());
    std::string part = text.substr(at, end - at);
    at = end + 1;
    size_t dash = part.find('-');
    auto first = parse_number(part.substr(0, dash));
    auto last = dash == std::string::npos ? first : parse_number(part.substr(dash + 1));
    if (!first || !last || *first < 0) continue;
    for (int64_t n = *first; n <= std::min<int64_t>(*last, limit - 1); ++n) {
      out.push_back(static_cast<int>(n));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<int> Tree::list(const std::string& path, int limit) const {
  auto line = text(path);
  return line ? parse_list(*line, limit) : std::vector<int>{};
}

std::vector<std::string> Tree::entries(const std::string& path, const std::string& prefix) const {
  struct Context {
    const std::string& prefix;
    std::vector<std::string> names;
  } context{prefix, {}};
  std::string full = root_ + '/' + path;
  os::list_directory(
      full.c_str(),
      [](void* c, const char* name) {
        auto* context = static_cast<Context*>(c);
        std::string text = name;
        if (text.compare(0, context->prefix.size(), context->prefix) == 0) {
          context->names.push_back(std::move(text));
        }
        return true;
      },
      &context);
  std::sort(context.names.begin(), context.names.end());
  return std::move(context.names);
}

std::string Tree::link(const std::string& path) const {
  char target[1024];
  std::string full = root_ + '/' + path;
  if (os::read_link(full.c_str(), target, sizeof target) >= 0) return target;
  return text(path).value_or("");
}

std::string path_of(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (std::string_view part : parts) {
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

int suffix_number(const std::string& name, const std::string& prefix, int limit) {
  if (name.compare(0, prefix.size(), prefix) != 0) return -1;
  std::string digits = name.substr(prefix.size());
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  auto n = parse_number(digits);
  return n && *n < limit ? static_cast<int>(*n) : -1;
}

}  // namespace hms::topology
