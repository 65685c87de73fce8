// How `hms` ends: 0 done, 1 the request could not be fulfilled, 2 the command line is wrong. `hms
// run` and `hms record` pass on those of their command.
#pragma once

namespace hms::cli {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

}  // namespace hms::cli
