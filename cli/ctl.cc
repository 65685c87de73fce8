// `hms ctl`: other rules for a program that runs.
#include <stdio.h>
#include <unistd.h>

#include <memory>

#include "cli/command.h"
#include "cli/launch.h"
#include "cli/pages.h"
#include "cli/progress.h"
#include "cli/statements.h"
#include "runtime/support/control.h"

namespace hms::cli {
namespace {

struct CtlOptions {
  int pid = 0;
  std::string what;
  bool none = false;
  double wait = 10;
  RunOptions rules;
};

void say(const std::string& text) { fprintf(stderr, "hms ctl: %s\n", text.c_str()); }

int change_rules(const CtlOptions& options) {
  std::string text;
  std::vector<std::string> problems = check_statements(options.rules, &text);
  for (const std::string& problem : problems) say(problem);
  if (!problems.empty()) return kUsage;
  if (options.none) text.clear();
  unsigned user = 0;
  Result<StatsFile> file = find_page(options.pid, &user);
  Status sent = file.status();
  if (file.ok()) {
    Progress progress("hms ctl", "waiting until process " + std::to_string(options.pid) +
                                     " asks for memory and sees its new rules");
    sent = send_control(file.value(), user, text, options.wait);
  }
  if (sent.ok()) return 0;
  if (sent.code() == HMS_EINVAL) say("refused, and nothing has changed:");
  say(sent.message());
  return kFailed;
}

void setup(CLI::App& app) {
  auto options = std::make_shared<CtlOptions>();
  CLI::App* sub = app.add_subcommand("ctl", "Change the rules of a program that runs");
  sub->footer(
      "All of it or nothing: what the program cannot do is told, and its rules stay.\n"
      "  hms ctl 4711 rules --rule 'size>=64K:slow' --rule 'fast>slow'\n"
      "Blocks stay where they are; the rules count for what is allocated from then on.");
  add_pid(sub, &options->pid, "Process whose rules change")->required();
  sub->add_option("WHAT", options->what, "rules")->required()->check(CLI::IsMember({"rules"}));
  add_statements(sub, &options->rules,
                 "Targets by name; only if the program has none, or the same");
  sub->add_flag("--none", options->none, "No rules and no quotas: all memory is the default");
  sub->add_option("--wait", options->wait, "Seconds to wait for the program to look (10)")
      ->check(CLI::Range(0.0, 86400.0));
  sub->callback([options] {
    if (options->rules.has_configuration() == options->none) {
      say(options->none ? "--none excludes other rules"
                        : "no rules: give --rule, --quota, --config, or --none to have none");
      finish(kUsage);
      return;
    }
    finish(change_rules(*options));
  });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
