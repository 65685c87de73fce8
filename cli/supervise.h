// Runs a command as if it had been started directly: signals reach it, its end becomes ours.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace hms::cli {

struct Ending {
  int exit_code = 0;  // of the command; 128 + signal if one ended it
  int signal = 0;     // that ended it, 0 if it exited
};

// Replaces this process. Returns the exit code that shells use when that fails, after a message.
int exec_command(const std::string& path, const std::vector<std::string>& command);

// Starts the command, passes on the signals that this process is sent, calls `tick` about once a
// second while it runs, and waits for its end.
Ending supervise(const std::string& path, const std::vector<std::string>& command,
                 const std::function<void()>& tick);

// Ends this process as the command ended, so that a shell sees the same: by the same signal, if one
// ended it. Returns the exit code otherwise.
int end_like(const Ending& ending);

}  // namespace hms::cli
