// Looks from outside into processes that run under libhms: what `hms stat` and `hms top` show.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/report.h"
#include "runtime/support/stats_files.h"

namespace hms::cli {

// Reads a counter page, and asks the kernel for at most `verify_seconds` where the pages of the
// process are; not at all for 0. HMS_ENODEV: the process goes on as another program.
Result<ProcessReport> look_at(const StatsFile& file, unsigned user, double verify_seconds);

struct RunningPage {
  StatsFile file;
  unsigned user = 0;
};
// The pages of running processes: those of this user, for root those of everybody.
std::vector<RunningPage> running_pages();
// A line for people when there are none.
std::string no_processes();

// Looks at all of them again and again, and knows what happened between two looks.
class Observer {
 public:
  // `verify_seconds`: for all processes together.
  Report look(double verify_seconds);

 private:
  struct Before {
    ProcessStats stats;
    int64_t at_ns = 0;
  };
  std::map<std::string, Before> before_;  // by path of the page
};

}  // namespace hms::cli
