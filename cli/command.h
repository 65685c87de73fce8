// How a subcommand joins `hms`: one file per subcommand, each with a static Command.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

#include "cli/exit_code.h"

namespace hms::cli {

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
