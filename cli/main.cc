// `hms`: sees the memories of the machine, runs programs on them, and tells where their pages are.
#include <stdio.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"

namespace hms::cli {
namespace {

int exit_code = 0;

// What is wrong with the command line, and where to read on.
std::string usage_error(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* asked = app;
  for (const CLI::App* sub : app->get_subcommands()) asked = sub;
  // CLI11 misses the subcommand first, and what stood in its place later.
  const std::vector<std::string> left = app->remaining();
  const std::string why =
      asked == app && !left.empty() ? "unexpected: " + left.front() : error.what();
  const std::string command = asked == app ? "hms" : "hms " + asked->get_name();
  return command + ": " + why + "\nSee " + command + " --help.\n";
}

// CLI11 says of an unknown subcommand only that one is required.
bool names_a_subcommand(const CLI::App& app, const std::string& word) {
  std::string names;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (sub->get_name() == word) return true;
    names += (names.empty() ? "" : ", ") + sub->get_name();
  }
  fprintf(stderr, "hms: no subcommand '%s'; there are: %s\n", word.c_str(), names.c_str());
  return false;
}

// What was printed has to have arrived: on a full disk a command has not done what it was asked.
int close_output(int code) {
  std::cout.flush();
  if (fflush(stdout) == 0 && ferror(stdout) == 0 && std::cout) return code;
  fputs("hms: cannot write to standard output\n", stderr);
  return code == 0 ? kFailed : code;
}

// CLI11 shows what a flag without a value means: "--report{(table)}".
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, positional);
    const size_t brace = positional ? std::string::npos : name.find('{');
    return brace == std::string::npos ? name : name.substr(0, brace) + "[=FILE]";
  }
};

}  // namespace

void finish(int code) { exit_code = code; }

int run(int argc, char** argv) {
  CLI::App app{"hms: heterogeneous memory, seen and used from user space"};
  app.name("hms");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.set_version_flag("--version", "hms 1.0.0");
  for (auto setup : Command::all()) setup(app);
  app.failure_message(usage_error);
  if (argc < 2) {
    fputs(app.help().c_str(), stderr);
    return kUsage;
  }
  std::vector<std::string> words(argv + 1, argv + argc);
  // "help run" is "run --help"
  if (words[0] == "help") {
    words.erase(words.begin());
    words.resize(std::min<size_t>(words.size(), 1));
    words.emplace_back("--help");
  }
  if (words[0][0] != '-' && !names_a_subcommand(app, words[0])) return kUsage;
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    app.parse(words);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;
  }
  return exit_code;
}

}  // namespace hms::cli

int main(int argc, char** argv) {
  try {
    return hms::cli::close_output(hms::cli::run(argc, argv));
  } catch (const std::exception& failure) {
    fprintf(stderr, "hms: %s\n", failure.what());
    return hms::cli::kFailed;
  }
}
