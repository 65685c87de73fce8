// The file of measurements: JSON of the shape that runtime/topology/measured.h reads.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/measure.h"
#include "runtime/support/os.h"

namespace hms::cli {
namespace {

// Makes the directories of the default place: ~/.cache and ~/.cache/hms, private to the user.
void make_parents(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    // What matters is whether the file can be made; that call reports.
    (void)mkdir(path.substr(0, at).c_str(), 0700);
  }
}

}  // namespace

Result<MeasureFile> MeasureFile::open(const std::string& path, bool make_folders) {
  if (path.empty()) {
    return Status(HMS_EIO, "neither XDG_CACHE_HOME nor HOME is set: name a file, --measure=FILE");
  }
  if (make_folders) make_parents(path);
  MeasureFile out;
  out.path_ = path;
  out.temporary_ = path + ".new-" + std::to_string(getpid());
  out.fd_ = ::open(out.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (out.fd_ < 0) {
    int error = errno;
    out.temporary_.clear();
    char text[128];
    const char* why = strerror_r(error, text, sizeof text);
    return Status(HMS_EIO, "cannot write " + path + ": " + why +
                               "; name another file, --measure=FILE, and set HMS_MEASURED to it");
  }
  return out;
}

MeasureFile& MeasureFile::operator=(MeasureFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(fd_, other.fd_);
  return *this;
}

MeasureFile::~MeasureFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Status MeasureFile::write(const topology::Measurements& measurements) {
  nlohmann::ordered_json out = {
      {"schema", 1}, {"machine", measurements.machine}, {"pairs", nlohmann::ordered_json::array()}};
  for (const auto& m : measurements.pairs) {
    out["pairs"].push_back({{"initiator", m.initiator},
                            {"target", m.target},
                            {"latency_ns", m.latency},
                            {"bandwidth_bytes_s", m.bandwidth}});
  }
  std::string text = out.dump(1) + '\n';
  int wrote = os::write_all(fd_, text.data(), text.size());
  if (wrote == 0 && fsync(fd_) != 0) wrote = -errno;
  if (wrote == 0 && rename(temporary_.c_str(), path_.c_str()) != 0) wrote = -errno;
  if (wrote != 0) {
    char why[128];
    return {HMS_EIO, "cannot write " + path_ + ": " + strerror_r(-wrote, why, sizeof why)};
  }
  temporary_.clear();
  return {};
}

}  // namespace hms::cli
