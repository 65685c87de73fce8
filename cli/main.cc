// `hms`: sees the memories of the machine, runs programs on them, and tells where their pages are.
#include <unistd.h>

#include "cli/command.h"
#include "include/hms/hms.h"

namespace hms::cli {
namespace {
int exit_code = 0;
}
void finish(int code) { exit_code = code; }
}  // namespace hms::cli

int main(int argc, char** argv) {
  CLI::App app{"hms: heterogeneous memory, seen and used from user space"};
  app.name("hms");
  app.require_subcommand(1);
  app.set_version_flag("--version", "hms 1.0.0");
  for (auto setup : hms::cli::Command::all()) setup(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    int code = app.exit(e);
    return code == 0 ? 0 : hms::cli::kUsage;
  }
  return hms::cli::exit_code;
}
