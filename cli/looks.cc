// See looks.h.
#include "cli/looks.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "runtime/support/os_sampling.h"

namespace hms::cli {
namespace {

// The users whose pages this one may read.
std::set<unsigned> readable_users() {
  std::set<unsigned> users = {geteuid()};
  if (geteuid() != 0) return users;
  const std::filesystem::path first = stats_directory(0);
  std::string prefix = first.filename().string();
  prefix.pop_back();  // the 0
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(first.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string number = name.substr(prefix.size());
    const bool digits = number.find_first_not_of("0123456789") == std::string::npos;
    if (digits && !number.empty() && number.size() < 10) {
      users.insert(static_cast<unsigned>(std::stoul(number)));
    }
  }
  return users;
}

}  // namespace

Result<ProcessReport> look_at(const StatsFile& file, unsigned user, double verify_seconds) {
  Result<ProcessStats> stats = read_stats(file, user);
  if (!stats.ok()) return stats.status();
  if (is_replaced(stats.value())) {
    return Status(HMS_ENODEV, "process " + std::to_string(file.pid) + " was '" +
                                  stats.value().program +
                                  "' under libhms, and is another program now: one without "
                                  "libhms, or one that has hardly allocated yet");
  }
  ProcessReport report;
  report.stats = stats.value();
  report.running = !report.stats.exited;
  if (!(verify_seconds > 0)) return report;
  Status checked = verify_pages(&report.stats, verify_seconds);
  bool done = checked.ok() || checked.code() == HMS_EPARTIAL;
  report.verified = done ? Verified::kNow : Verified::kNever;
  report.note = checked.message();
  return report;
}

std::vector<RunningPage> running_pages() {
  std::vector<RunningPage> out;
  std::set<std::string> known;  // HMS_STATS_DIR can name a folder that is looked into anyway
  for (unsigned user : readable_users()) {
    for (const StatsFile& file : pages_of(user)) {
      if (file.replaced || !is_running(file.pid, file.start_time)) continue;
      if (known.insert(file.dir + "/" + file.name).second) out.push_back({file, user});
    }
  }
  return out;
}

std::string no_processes() {
  if (geteuid() == 0) return "No process runs under libhms.\n";
  return "No process of user " + std::to_string(geteuid()) + " runs under libhms.\n";
}

Report Observer::look(double verify_seconds) {
  Report report;
  std::map<std::string, Before> now;
  const std::vector<RunningPage> pages = running_pages();
  const int64_t start_ns = os::monotonic_ns();
  for (const RunningPage& page : pages) {
    const double used = static_cast<double>(os::monotonic_ns() - start_ns) / 1e9;
    Result<ProcessReport> process =
        look_at(page.file, page.user, std::max(verify_seconds - used, 0.0));
    if (!process.ok()) continue;  // it ended meanwhile
    const std::string path = page.file.dir + "/" + page.file.name;
    const Before seen = {process.value().stats, os::monotonic_ns()};
    const auto before = before_.find(path);
    if (before != before_.end()) {
      const double passed = static_cast<double>(seen.at_ns - before->second.at_ns) / 1e9;
      process.value().rates = rates_between(before->second.stats, seen.stats, passed);
    }
    now[path] = seen;
    report.processes.push_back(std::move(process.value()));
  }
  before_ = std::move(now);
  return report;
}

}  // namespace hms::cli
