// `hms`: sees the memories of the machine, runs programs on them, and tells where their pages are.
#include <stdio.h>

#include <exception>

#include "cli/command.h"

namespace hms::cli {
namespace {
int exit_code = 0;
}
void finish(int code) { exit_code = code; }

int run(int argc, char** argv) {
  CLI::App app{"hms: heterogeneous memory, seen and used from user space"};
  app.name("hms");
  app.require_subcommand(1);
  app.set_version_flag("--version", "hms 1.0.0");
  for (auto setup : Command::all()) setup(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;
  }
  return exit_code;
}

}  // namespace hms::cli

int main(int argc, char** argv) {
  try {
    return hms::cli::run(argc, argv);
  } catch (const std::exception& failure) {
    fprintf(stderr, "hms: %s\n", failure.what());
    return hms::cli::kFailed;
  }
}
