// How a subcommand joins `hms`: one file per subcommand, each with a static Command.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

namespace hms::cli {

// Exit codes: 0 done, 1 the request could not be fulfilled, 2 the command line is wrong. `hms run`
// passes on those of its command.
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

class Command {
 public:
  using Setup = void (*)(CLI::App& app);
  explicit Command(Setup setup) { all().push_back(setup); }
  static std::vector<Setup>& all() {
    static std::vector<Setup> commands;
    return commands;
  }
};

// Ends the command with `code` after its output; main() returns it.
void finish(int code);

}  // namespace hms::cli
