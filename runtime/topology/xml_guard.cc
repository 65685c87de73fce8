// Checking descriptions before hwloc sees them. One pass, no allocation that grows with anything
// but the nesting.
#include "runtime/topology/xml_guard.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "runtime/topology/tree.h"

namespace hms::topology {
namespace {

// The largest machines that hwloc's authors publish have some 10,000 objects, 20 levels deep.
constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxElements = 1000000;
constexpr size_t kMaxAttributes = 64;
constexpr size_t kMaxAttributeBytes = 65536;
constexpr int64_t kMaxMatrix = 4096;  // objects in a distance matrix
constexpr uint64_t kMaxSynthetic = 65536;

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

class Guard {
 public:
  explicit Guard(const std::string& text) : text_(text) {}

  Status run() {
    if (text_.find('\0') != std::string::npos) return bad("a NUL byte: not UTF-8 text");
    if (starts("\xef\xbb\xbf")) at_ += 3;
    if (Status s = prologue(); !s.ok()) return s;
    while (at_ < text_.size()) {
      size_t open = text_.find('<', at_);
      if (Status s = content(std::min(open, text_.size())); !s.ok()) return s;
      if (open == std::string::npos) break;
      at_ = open;
      if (Status s = markup(); !s.ok()) return s;
    }
    if (!open_.empty()) return bad("the end is missing: <" + open_.back() + "> is still open");
    if (elements_ == 0) return bad("no element: not an XML topology");
    return {};
  }

 private:
  bool starts(const char* word) const { return text_.compare(at_, strlen(word), word) == 0; }
  void skip_space() {
    while (at_ < text_.size() && space(text_[at_])) ++at_;
  }

  Status bad(const std::string& what) const {
    auto end = text_.begin() + static_cast<ptrdiff_t>(std::min(at_, text_.size()));
    auto line = std::count(text_.begin(), end, '\n') + 1;
    return {HMS_EIO, "line " + std::to_string(line) + ": " + what};
  }

  std::string name() {
    size_t first = at_;
    while (at_ < text_.size() && name_char(text_[at_]) && at_ - first < 64) ++at_;
    return text_.substr(first, at_ - first);
  }

  // The declaration, then at most hwloc's own DOCTYPE: anything else could declare entities.
  Status prologue() {
    skip_space();
    if (starts("<?xml")) {
      size_t end = text_.find("?>", at_);
      if (end == std::string::npos || end - at_ > 256) return bad("the XML declaration has no end");
      std::string head = text_.substr(at_, end - at_);
      if (head.find("encoding") != std::string::npos && head.find("UTF-8") == std::string::npos &&
          head.find("utf-8") == std::string::npos && head.find("ASCII") == std::string::npos) {
        return bad("an encoding other than UTF-8");
      }
      at_ = end + 2;
    }
    skip_space();
    if (!starts("<!DOCTYPE")) return {};
    size_t end = text_.find('>', at_);
    if (end == std::string::npos) return bad("the DOCTYPE has no end");
    std::string type = text_.substr(at_, end + 1 - at_);
    if (type != "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">" &&
        type != "<!DOCTYPE topology SYSTEM \"hwloc.dtd\">") {
      return bad("a DOCTYPE that is not hwloc's: entity declarations are not accepted");
    }
    at_ = end + 1;
    return {};
  }

  // Text between elements: hwloc has none outside of userdata, and entities have no business in it.
  Status content(size_t end) {
    for (; at_ < end; ++at_) {
      if (open_.empty() && !space(text_[at_])) return bad("text outside of elements");
      if (text_[at_] == '&' && !known_entity()) return bad("an entity that XML does not define");
    }
    return {};
  }

  bool known_entity() const {
    for (const char* e : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#"}) {
      if (starts(e)) return true;
    }
    return false;
  }

  Status markup() {
    if (starts("<!--")) {
      size_t end = text_.find("-->", at_ + 4);
      if (end == std::string::npos) return bad("a comment has no end");
      at_ = end + 3;
      return {};
    }
    if (starts("<!") || starts("<?")) return bad("a declaration where an element was expected");
    if (starts("</")) return close();
    return open();
  }

  Status close() {
    at_ += 2;
    std::string tag = name();
    skip_space();
    if (!starts(">")) return bad("</" + tag + " has no end");
    ++at_;
    if (open_.empty() || open_.back() != tag) return bad("</" + tag + "> closes nothing");
    open_.pop_back();
    return {};
  }

  Status open() {
    ++at_;
    std::string tag = name();
    if (tag.empty()) return bad("'<' without a name");
    if (open_.empty() && elements_ > 0) return bad("a second root element <" + tag + ">");
    if (open_.empty() && tag != "topology" && tag != "root") {
      return bad("the root element is <" + tag + ">; a hwloc file has <topology>");
    }
    if (++elements_ > kMaxElements) return bad("more than a million elements");
    bool closed = false;
    if (Status s = attributes(tag, &closed); !s.ok()) return s;
    if (closed) return {};
    open_.push_back(tag);
    if (open_.size() > kMaxDepth) return bad("elements nested deeper than 100");
    return {};
  }

  Status attributes(const std::string& tag, bool* closed) {
    for (size_t count = 0;; ++count) {
      size_t before = at_;
      skip_space();
      if (starts("/>") || starts(">")) {
        *closed = text_[at_] == '/';
        at_ += *closed ? 2 : 1;
        return {};
      }
      if (at_ == before) return bad("<" + tag + " is malformed");
      if (count == kMaxAttributes) return bad("<" + tag + "> has more than 64 attributes");
      std::string key = name();
      if (key.empty() || !starts("=\"")) return bad("<" + tag + "> has a malformed attribute");
      at_ += 2;
      size_t end = text_.find('"', at_);
      if (end == std::string::npos || end - at_ > kMaxAttributeBytes) {
        return bad("the value of " + key + " has no end");
      }
      if (Status s = value(key, end); !s.ok()) return s;
      at_ = end + 1;
    }
  }

  Status value(const std::string& key, size_t end) {
    std::string text = text_.substr(at_, end - at_);
    if (text.find('<') != std::string::npos) return bad("'<' in the value of " + key);
    for (size_t i = text.find('&'); i != std::string::npos; i = text.find('&', i + 1)) {
      Guard inner(text);
      inner.at_ = i;
      if (!inner.known_entity()) return bad("an entity that XML does not define");
    }
    // hwloc sizes arrays by these before it has read a single element of them.
    if (key == "nbobjs" || key == "length") {
      auto n = parse_number(text);
      int64_t most = key == "nbobjs" ? kMaxMatrix : static_cast<int64_t>(text_.size());
      if (!n || *n < 0 || *n > most) return bad(key + "=\"" + text.substr(0, 24) + "\"");
    }
    return {};
  }

  const std::string& text_;
  size_t at_ = 0;
  size_t elements_ = 0;
  std::vector<std::string> open_;
};

}  // namespace

Status check_hwloc_xml(const std::string& text) { return Guard(text).run(); }

Status check_synthetic(const std::string& spec) {
  if (spec.size() > 4096) return {HMS_EINVAL, "is longer than 4096 characters"};
  // The levels multiply: every number after ':' (or alone) that is not inside (attributes).
  uint64_t objects = 1;
  int depth = 0;
  for (size_t at = 0; at < spec.size(); ++at) {
    char c = spec[at];
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') {
      return {HMS_EINVAL, "has a character that is not printable ASCII"};
    }
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    bool number = c >= '0' && c <= '9';
    bool first = at == 0 || spec[at - 1] == ':' || spec[at - 1] == ' ';
    if (!number || !first || depth > 0) continue;
    size_t end = std::min(spec.find_first_not_of("0123456789", at), spec.size());
    auto n = parse_number(spec.substr(at, end - at));
    if (!n || static_cast<uint64_t>(*n) > kMaxSynthetic) objects = kMaxSynthetic + 1;
    if (n && *n > 0 && objects <= kMaxSynthetic) objects *= static_cast<uint64_t>(*n);
    if (objects > kMaxSynthetic) {
      return {HMS_EINVAL, "has more than " + std::to_string(kMaxSynthetic) + " objects"};
    }
    at = end - 1;
  }
  return {};
}

}  // namespace hms::topology
