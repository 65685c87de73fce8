// See weave.h.
#include "runtime/tiering/weave.h"

#include <stdlib.h>

#include <algorithm>
#include <cmath>

namespace hms::tiering {
namespace {

// Far memory that has less of near memory's bandwidth is not worth the later answers.
constexpr double kLeastGain = 1.0 / 16;
constexpr double kWeightMax = 1e6;

// A number above 0 that is all of the text; 0 if it is none.
double weight(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string::npos) return 0;
  char* end = nullptr;
  const double value = strtod(text.c_str(), &end);
  return *end == '\0' && value <= kWeightMax ? value : 0;
}

unsigned share_of(double near, double far) {
  const auto share = static_cast<unsigned>(std::lround(kWeaveCycle * near / (near + far)));
  return std::clamp(share, 1U, kWeaveCycle - 1);
}

}  // namespace

Result<WeaveWords> parse_weave(const std::string& words) {
  WeaveWords out;
  if (words.empty() || words == "auto") return out;
  if (words == "off") {
    out.kind = WeaveWords::Kind::kOff;
    return out;
  }
  const size_t colon = words.find(':');
  if (colon != std::string::npos) {
    out.kind = WeaveWords::Kind::kWeights;
    out.near = weight(words.substr(0, colon));
    out.far = weight(words.substr(colon + 1));
  }
  if (out.near > 0 && out.far > 0) return out;
  return Status(HMS_EINVAL, "'" + words.substr(0, 40) +
                                "' is neither auto, off nor NEAR:FAR, two numbers above 0 such as "
                                "4:1");
}

WeaveOptions weave_options(const WeaveWords& words, const Bandwidths& of) {
  WeaveOptions out;
  if (words.kind == WeaveWords::Kind::kWeights) {
    out.near_share = share_of(words.near, words.far);
  } else if (words.kind == WeaveWords::Kind::kAuto && of.near > 0 &&
             of.far >= kLeastGain * of.near) {
    out.near_share = share_of(of.near, of.far);
    out.near_bandwidth = of.near;
  }
  return out;
}

}  // namespace hms::tiering
