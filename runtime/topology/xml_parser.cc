// Reading XML in one pass. Memory grows only with the nesting and with one element's attributes.
#include "runtime/topology/xml_parser.h"

#include <string.h>

#include <algorithm>

namespace hms::topology {
namespace {

// The largest machines that hwloc's authors publish have some 10,000 objects, 20 levels deep.
constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxElements = 1000000;
constexpr size_t kMaxAttributes = 64;
constexpr size_t kMaxAttributeBytes = 65536;

struct Entity {
  const char* name;
  char character;
};
// XML's own, and the character references that hwloc writes for line ends and tabs.
constexpr Entity kEntities[] = {{"&amp;", '&'},   {"&lt;", '<'},  {"&gt;", '>'},   {"&quot;", '"'},
                                {"&apos;", '\''}, {"&#9;", '\t'}, {"&#10;", '\n'}, {"&#13;", '\r'}};

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

class Parser {
 public:
  Parser(const std::string& text, XmlHandler* handler) : text_(text), handler_(handler) {}

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

  Status content(size_t end) {
    std::string out;
    if (Status s = decode(end, &out); !s.ok()) return s;
    bool blank = std::all_of(out.begin(), out.end(), space);
    if (blank) return {};
    if (open_.empty()) return bad("text outside of elements");
    return handled(handler_->text(out));
  }

  // Copies up to `end` with XML's own entities replaced; others would need a declaration.
  Status decode(size_t end, std::string* out) {
    while (at_ < end) {
      if (text_[at_] != '&') {
        *out += text_[at_++];
        continue;
      }
      size_t before = at_;
      for (const Entity& e : kEntities) {
        if (!starts(e.name)) continue;
        *out += e.character;
        at_ += strlen(e.name);
        break;
      }
      if (at_ == before) return bad("an entity that XML does not define");
    }
    return {};
  }

  // The handler's errors get the line.
  Status handled(const Status& s) const { return s.ok() ? s : bad(s.message()); }

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
    return handled(handler_->close(tag));
  }

  Status open() {
    ++at_;
    std::string tag = name();
    if (tag.empty()) return bad("'<' without a name");
    if (open_.empty() && elements_ > 0) return bad("a second root element <" + tag + ">");
    if (++elements_ > kMaxElements) return bad("more than a million elements");
    bool closed = false;
    XmlAttributes found;
    if (Status s = attributes(tag, &closed, &found); !s.ok()) return s;
    if (Status s = handled(handler_->open(tag, found)); !s.ok()) return s;
    if (closed) return handled(handler_->close(tag));
    open_.push_back(tag);
    if (open_.size() > kMaxDepth) return bad("elements nested deeper than 100");
    return {};
  }

  Status attributes(const std::string& tag, bool* closed, XmlAttributes* out) {
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
      std::string value;
      if (text_.find('<', at_) < end) return bad("'<' in the value of " + key);
      if (Status s = decode(end, &value); !s.ok()) return s;
      out->emplace_back(std::move(key), std::move(value));
      at_ = end + 1;
    }
  }

  const std::string& text_;
  XmlHandler* handler_;
  size_t at_ = 0;
  size_t elements_ = 0;
  std::vector<std::string> open_;
};

}  // namespace

Status parse_xml(const std::string& text, XmlHandler* handler) {
  return Parser(text, handler).run();
}

}  // namespace hms::topology
