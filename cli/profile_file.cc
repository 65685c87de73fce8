// See profile_file.h.
#include "cli/profile_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fstream>

namespace hms::cli {

Result<tiering::Profile> read_merged(const std::vector<std::string>& files) {
  Result<tiering::Profile> sum = tiering::read_profile(files.at(0));
  for (size_t i = 1; sum.ok() && i < files.size(); ++i) {
    Result<tiering::Profile> next = tiering::read_profile(files[i]);
    if (!next.ok()) return next.status();
    tiering::merge_profile(next.value(), &sum.value());
  }
  return sum;
}

Status write_profile(const tiering::Profile& profile, const std::string& path) {
  const std::string fresh = path + ".new-" + std::to_string(getpid());
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << format_profile(profile);
  file.close();
  if (file && rename(fresh.c_str(), path.c_str()) == 0) return {};
  const int error = errno;
  unlink(fresh.c_str());
  return {HMS_EIO, "cannot write the profile '" + path + "': " + strerrordesc_np(error)};
}

}  // namespace hms::cli
