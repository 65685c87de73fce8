// Profiles as files of the command: several read as one, and written whole or not at all.
#pragma once

#include <string>
#include <vector>

#include "runtime/tiering/profile.h"

namespace hms::cli {

// The sum of the profiles, in order; fails with the first that cannot be read.
Result<tiering::Profile> read_merged(const std::vector<std::string>& files);

// Beside the file first, then in its place.
Status write_profile(const tiering::Profile& profile, const std::string& path);

}  // namespace hms::cli
