// See size.h.
//
// Integer arithmetic throughout: a quota of "0.1T" must mean the same bytes on every machine, which
// floating point does not promise.
#include "runtime/support/size.h"

#include <cctype>

namespace hms {
namespace {

constexpr int kMaxDecimals = 9;  // 10^9 * 2^64 fits in 128 bits with room to spare

Status bad_size(const std::string& text, const std::string& why) {
  return {HMS_EINVAL, "size '" + text + "': " + why +
                          "; expected a number with an optional K, M, G, T, P or E, such as 4096, "
                          "512M or 1.5GiB"};
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// The power of two that a suffix stands for; -1 if it is none. "B" alone means bytes.
int suffix_shift(std::string suffix) {
  for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (suffix.empty() || suffix == "b") return 0;
  static const std::string kLetters = "kmgtpe";
  size_t place = kLetters.find(suffix[0]);
  if (place == std::string::npos) return -1;
  std::string rest = suffix.substr(1);
  if (!rest.empty() && rest != "b" && rest != "ib") return -1;
  return 10 * static_cast<int>(place + 1);
}

}  // namespace

Result<uint64_t> parse_size(const std::string& text) {
  size_t at = 0;
  unsigned __int128 number = 0;
  constexpr unsigned __int128 kLimit = UINT64_MAX;
  for (; at < text.size() && digit(text[at]); ++at) {
    number = number * 10 + static_cast<unsigned>(text[at] - '0');
    if (number > kLimit) return bad_size(text, "does not fit in 64 bits");
  }
  if (at == 0) return bad_size(text, text.empty() ? "is empty" : "does not start with a digit");
  unsigned __int128 fraction = 0;
  unsigned __int128 scale = 1;
  if (at < text.size() && text[at] == '.') {
    size_t first = ++at;
    for (; at < text.size() && digit(text[at]); ++at) {
      if (at - first == kMaxDecimals) return bad_size(text, "has more than 9 decimals");
      fraction = fraction * 10 + static_cast<unsigned>(text[at] - '0');
      scale *= 10;
    }
    if (at == first) return bad_size(text, "has no digit after the point");
  }
  int shift = suffix_shift(text.substr(at));
  if (shift < 0) return bad_size(text, "unknown unit '" + text.substr(at) + "'");
  if (shift == 0 && scale != 1) return bad_size(text, "is a fraction of a byte");
  unsigned __int128 bytes = (number << shift) + (fraction << shift) / scale;
  if (bytes > kLimit) return bad_size(text, "does not fit in 64 bits");
  return static_cast<uint64_t>(bytes);
}

}  // namespace hms
