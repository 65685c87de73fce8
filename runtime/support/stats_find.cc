// Finding the counter page of a process: see stats_files.h.
#include <stdlib.h>
#include <unistd.h>

#include "runtime/support/os_files.h"
#include "runtime/support/stats_files.h"

namespace hms {

std::vector<StatsFile> pages_of(unsigned user) {
  std::vector<StatsFile> files = list_all_stats(user);
  const char* dir = secure_getenv("HMS_STATS_DIR");
  if (dir != nullptr) {
    for (const StatsFile& file : list_stats(dir, user)) files.push_back(file);
  }
  return files;
}

Result<StatsFile> find_page(int pid, unsigned* user) {
  std::string who = "process " + std::to_string(pid);
  int r = os::process_owner(pid, user);
  if (r != 0 && !os::process_exists(pid)) return Status(HMS_ENODEV, "there is no " + who);
  if (r != 0) return Status(HMS_EIO, "/proc does not tell whose " + who + " is; is it mounted?");
  bool reused = false;
  for (const StatsFile& file : pages_of(*user)) {
    if (file.pid != pid || file.replaced) continue;
    if (is_running(pid, file.start_time)) return file;
    reused = true;
  }
  if (reused) {
    return Status(HMS_ENODEV, who +
                                  " is not the one that libhms knew under this number: that one "
                                  "has ended, and the number was given away again");
  }
  if (*user != geteuid() && geteuid() != 0) {
    return Status(HMS_EPERM, who + " belongs to user " + std::to_string(*user) +
                                 "; run as that user or as root");
  }
  return Status(HMS_ENODEV, who +
                                " has no counters: it runs without libhms, or has hardly "
                                "allocated yet. Start it with `hms run`");
}

}  // namespace hms
