// Counter pages on disk: see stats_files.h.
#include "runtime/support/stats_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "runtime/support/control.h"
#include "runtime/support/counters.h"
#include "runtime/support/os_files.h"
#include "runtime/support/os_tree.h"

namespace hms {
namespace {

// A decimal number without a sign; moves `at` behind it.
bool parse_number(const char** at, uint64_t limit, uint64_t* out) {
  if ((*at)[0] < '0' || (*at)[0] > '9') return false;
  char* end = nullptr;
  errno = 0;
  *out = strtoull(*at, &end, 10);
  *at = end;
  return errno == 0 && *out <= limit;
}

// "PID-START" and, if the caller takes it, ".IMAGE"; false for any other name.
bool parse_name(const char* at, int* pid, uint64_t* start_time, unsigned* image) {
  uint64_t number = 0;
  if (!parse_number(&at, INT32_MAX, &number) || number == 0 || *at++ != '-') return false;
  *pid = static_cast<int>(number);
  if (!parse_number(&at, UINT64_MAX, start_time)) return false;
  if (*at == 0) return true;
  if (image == nullptr || *at++ != '.') return false;
  if (!parse_number(&at, kStatsImages - 1, &number) || *at != 0) return false;
  *image = static_cast<unsigned>(number);
  return number > 0;
}

struct Listing {
  std::string dir;
  std::vector<StatsFile> files;
  std::vector<std::string> runs;
};

constexpr char kRunPrefix[] = "run-";
constexpr size_t kMaxEntries = 100000;  // a directory that full is not ours

bool visit_entry(void* context, const char* name) {
  auto* listing = static_cast<Listing*>(context);
  StatsFile file;
  if (parse_name(name, &file.pid, &file.start_time, &file.image)) {
    file.dir = listing->dir;
    file.name = name;
    listing->files.push_back(file);
  } else if (strncmp(name, kRunPrefix, sizeof kRunPrefix - 1) == 0) {
    listing->runs.emplace_back(name);
  }
  return listing->files.size() + listing->runs.size() < kMaxEntries;
}

Listing list(const std::string& dir, unsigned user) {
  Listing listing;
  listing.dir = dir;
  int fd = os::open_private_dir(dir.c_str(), user, false);
  if (fd < 0) return listing;
  os::close_file(fd);
  os::list_directory(dir.c_str(), visit_entry, &listing);
  auto order = [](const StatsFile& f) { return std::tie(f.pid, f.start_time, f.image); };
  std::sort(listing.files.begin(), listing.files.end(),
            [&](const StatsFile& a, const StatsFile& b) { return order(a) < order(b); });
  for (size_t i = 1; i < listing.files.size(); ++i) {
    StatsFile* earlier = &listing.files[i - 1];
    const StatsFile& later = listing.files[i];
    earlier->replaced = earlier->pid == later.pid && earlier->start_time == later.start_time;
  }
  return listing;
}

}  // namespace

std::string stats_directory(unsigned user) { return "/dev/shm/hms-" + std::to_string(user); }

std::vector<StatsFile> list_stats(const std::string& dir, unsigned user) {
  return list(dir, user).files;
}

std::vector<StatsFile> list_all_stats(unsigned user) {
  Listing top = list(stats_directory(user), user);
  for (const std::string& run : top.runs) {
    std::vector<StatsFile> more = list_stats(top.dir + "/" + run, user);
    top.files.insert(top.files.end(), more.begin(), more.end());
  }
  return top.files;
}

bool is_running(int pid, uint64_t start_time) {
  uint64_t now = 0;
  int r = os::process_start_time(pid, &now);
  if (r == 0 && start_time != 0) return now == start_time;
  return os::process_exists(pid);
}

bool is_replaced(const ProcessStats& stats) {
  uint64_t now = 0;
  if (stats.stack_start == 0 || os::process_stack_start(stats.pid, &now) != 0) return false;
  return now != stats.stack_start;
}

Result<std::vector<char>> read_page(const StatsFile& file, unsigned user) {
  int dir = os::open_private_dir(file.dir.c_str(), user, false);
  if (dir < 0) {
    return Status(dir == -EPERM ? HMS_EPERM : HMS_EIO,
                  "cannot use " + file.dir + ": " + strerrordesc_np(-dir));
  }
  std::vector<char> page(sizeof(StatsPage));
  int bytes = os::read_owned_file(dir, file.name.c_str(), user, page.data(), page.size());
  os::close_file(dir);
  if (bytes < 0) {
    return Status(HMS_EIO,
                  "cannot read " + file.dir + "/" + file.name + ": " + strerrordesc_np(-bytes));
  }
  page.resize(static_cast<size_t>(bytes));
  return page;
}

Result<ProcessStats> read_stats(const StatsFile& file, unsigned user) {
  Result<std::vector<char>> page = read_page(file, user);
  if (!page.ok()) return page.status();
  std::string path = file.dir + "/" + file.name;
  Result<ProcessStats> stats = parse_stats(page.value().data(), page.value().size());
  if (!stats.ok()) return Status(HMS_EIO, path + ": " + stats.status().message());
  if (stats.value().pid != file.pid || stats.value().start_time != file.start_time) {
    return Status(HMS_EIO, path + ": names another process (" + std::to_string(stats.value().pid) +
                               ") than its file name");
  }
  return stats;
}

void remove_stats(const StatsFile& file, unsigned user) {
  int dir = os::open_private_dir(file.dir.c_str(), user, false);
  if (dir < 0) return;
  os::remove_file(dir, file.name.c_str());
  remove_control(dir, file.name.c_str());
  os::close_file(dir);
}

void remove_stale_stats(unsigned user) {
  Listing top = list(stats_directory(user), user);
  for (const StatsFile& file : top.files) {
    if (!is_running(file.pid, file.start_time)) remove_stats(file, user);
  }
  for (const std::string& run : top.runs) {
    // The launcher reads the pages of ended processes: theirs are stale when it has gone itself.
    int launcher = 0;
    uint64_t start_time = 0;
    const char* identity = run.c_str() + sizeof kRunPrefix - 1;
    if (!parse_name(identity, &launcher, &start_time, nullptr) || is_running(launcher, start_time))
      continue;
    std::string dir = top.dir + "/" + run;
    for (const StatsFile& file : list_stats(dir, user)) {
      if (!is_running(file.pid, file.start_time)) remove_stats(file, user);
    }
    remove_run_directory(dir);
  }
}

namespace {

// Makes the directory, if need be; -errno if it cannot be had or has no room for a page (containers
// are often given a small /dev/shm).
int prepare_run_directory(const std::string& dir, unsigned user) {
  constexpr char kProbe[] = "probe";
  int fd = os::open_private_dir(dir.c_str(), user, true);
  if (fd < 0) return fd;
  int probe = os::create_full_file(fd, kProbe, sizeof(StatsPage));
  if (probe >= 0) {
    os::close_file(probe);
    os::remove_file(fd, kProbe);
  }
  os::close_file(fd);
  if (probe < 0) remove_run_directory(dir);
  return std::min(probe, 0);
}

}  // namespace

Result<std::string> make_run_directory() {
  unsigned user = os::effective_user();
  uint64_t start_time = 0;
  os::process_start_time(0, &start_time);
  std::string top = stats_directory(user);
  int fd = os::open_private_dir(top.c_str(), user, true);
  if (fd >= 0) {
    os::close_file(fd);
    std::string dir = top + "/" + kRunPrefix + std::to_string(os::process_id()) + "-" +
                      std::to_string(start_time);
    if (prepare_run_directory(dir, user) == 0) return dir;
  }
  const char* base = secure_getenv("TMPDIR");
  std::string dir = std::string(base != nullptr && base[0] == '/' ? base : "/tmp") + "/hms-XXXXXX";
  int r = mkdtemp(&dir[0]) != nullptr ? prepare_run_directory(dir, user) : -errno;
  if (r == 0) return dir;
  return Status(HMS_EPERM, "no folder for the counters: neither " + top + " nor " + dir +
                               " can be made and has room (" + strerrordesc_np(-r) +
                               "); set TMPDIR");
}

void remove_run_directory(const std::string& dir) { rmdir(dir.c_str()); }

}  // namespace hms
