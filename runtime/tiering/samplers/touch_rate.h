// From "m of n pages were touched in t seconds" to accesses. Each page remembers one access however
// many there were, so counts saturate.
#pragma once

#include <algorithm>
#include <cmath>

namespace hms::tiering {

// Above that share of touched pages a count says little more than "many".
inline constexpr double kSaturated = 0.9;

// How many accesses it takes, on average, to touch that share of n pages, if all pages are alike.
// When all were touched it is the least that makes that likely: as if half a page were missing.
inline double accesses_of(double touched_share, double pages) {
  if (!(pages > 0) || !(touched_share > 0)) return 0;
  const double share = std::min(touched_share, 1 - 0.5 / std::max(pages, 1.0));
  return -std::log1p(-share) * pages;
}

}  // namespace hms::tiering
