// Text in SVG and HTML.
#pragma once

#include <string>

namespace hms::cli {

// As content and in attributes with double quotes. What comes from files may hold control
// characters, which XML does not allow at all: they become blanks.
std::string escape_markup(const std::string& text);

}  // namespace hms::cli
