// Reading a tree of small text files, such as sysfs or a recording of it. Everything in it is
// untrusted: numbers are bounded, lists are clamped, missing files are ordinary.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hms::topology {

class Tree {
 public:
  explicit Tree(std::string root) : root_(std::move(root)) {}
  const std::string& root() const { return root_; }
  // The running machine, not a recording.
  bool live() const { return root_ == "/sys"; }

  // The first line's text without the line end; nothing if it cannot be read.
  std::optional<std::string> text(const std::string& path) const;
  // The whole file, at most 64 KiB.
  std::optional<std::string> content(const std::string& path) const;
  // A whole number, decimal or 0x hexadecimal; nothing if it is none.
  std::optional<int64_t> number(const std::string& path) const;
  // "0-3,8": ascending numbers below `limit`; others are dropped.
  std::vector<int> list(const std::string& path, int limit) const;
  // Entries whose name starts with `prefix`, sorted.
  std::vector<std::string> entries(const std::string& path, const std::string& prefix = "") const;
  // Where a symbolic link points; a recording may hold a text file instead.
  std::string link(const std::string& path) const;

 private:
  std::string root_;
};

// The parts with '/' between them.
std::string path_of(std::initializer_list<std::string_view> parts);
// "0-3,8" with the rules of Tree::list.
std::vector<int> parse_list(const std::string& text, int limit);
// A whole decimal or 0x number and nothing else.
std::optional<int64_t> parse_number(const std::string& text);
// The number after `prefix` in "node12"; -1 if the name is not prefix and digits.
int suffix_number(const std::string& name, const std::string& prefix, int limit);

}  // namespace hms::topology
