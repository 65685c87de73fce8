// A small XML reader for files that may be hostile: it accepts what hwloc writes and little more.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/support/result.h"

namespace hms::topology {

using XmlAttributes = std::vector<std::pair<std::string, std::string>>;

// What is found, in order. An error ends the parse.
class XmlHandler {
 public:
  virtual ~XmlHandler() = default;
  virtual Status open(const std::string& tag, const XmlAttributes& attributes) = 0;
  virtual Status text(const std::string& content) = 0;
  virtual Status close(const std::string& tag) = 0;
};

// Well-formed elements, bounded in depth (100), number (a million) and attribute size; UTF-8 or
// ASCII; no entity declarations, a DOCTYPE only if it is hwloc's. Errors say what and in which
// line.
Status parse_xml(const std::string& text, XmlHandler* handler);

}  // namespace hms::topology
