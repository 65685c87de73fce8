// `hms explain`: which rule decides where memory goes, of a command or of a process.
#include <stdio.h>
#include <stdlib.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/explain_process.h"
#include "cli/explain_rules.h"
#include "cli/launch.h"
#include "cli/looks.h"
#include "cli/program.h"
#include "cli/statements.h"
#include "runtime/support/stats_files.h"

namespace hms::cli {
namespace {

struct ExplainOptions {
  RunOptions run;
  std::vector<std::string> words;  // CMD [ARGUMENTS], or PID [ADDR]
  bool json = false;
};

void say(const std::string& text) { fprintf(stderr, "hms explain: %s\n", text.c_str()); }

int print(nlohmann::ordered_json json) {
  json["schema"] = 1;
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  return 0;
}

int print(const std::string& text) {
  std::cout << text << std::flush;
  return 0;
}

// Where requests go that no rule claims, under tiering.
std::string tiering_text(const std::string& near, const std::string& far) {
  return "What no rule claims is tiered between " + near + " (near) and " + far +
         " (far),\nonce the program is not small beside near memory (HMS_TIERING_AFTER)\n";
}
nlohmann::ordered_json tiering_json(const std::string& near, const std::string& far) {
  return {{"near", near}, {"far", far}};
}

int explain_command(const ExplainOptions& options) {
  std::string text;
  std::vector<std::string> hints;
  const std::vector<std::string> problems = check_configuration(options.run, &text, &hints);
  for (const std::string& hint : hints) say(hint);
  for (const std::string& problem : problems) say(problem);
  if (!problems.empty()) return kUsage;
  const FoundCommand found = find_command(options.words[0]);
  if (found.exit_code != 0) {
    say(found.message);
    return kFailed;
  }
  const std::string program = program_of(found.path);
  const Effective effective = effective_configuration(options.run);
  const RuleExplanation explanation =
      explain_rules(effective.config, program_names(program), effective.topology.get());
  const bool tiered = effective.sides.has_value() && effective.sides->ok();
  const tiering::Sides* const sides = tiered ? &effective.sides->value() : nullptr;
  const Judgement judgement = judge_program(found.path);
  if (options.json) {
    nlohmann::ordered_json json = to_json(explanation);
    json["path"] = program;
    json["in_effect"] = judgement.preload == Preload::kWorks;
    json["why_not"] = judgement.reason;
    json["tiering"] = nullptr;
    if (sides != nullptr) json["tiering"] = tiering_json(sides->near.key, sides->far.key);
    return print(json);
  }
  std::string head = "Plain requests (malloc and its like) of " + program;
  if (program != found.path) head += ", which runs " + found.path;
  head += "\n";
  if (judgement.preload != Preload::kWorks) {
    head += "None of this has an effect in it: " + judgement.reason + "\n";
  }
  if (sides != nullptr) {
    head += tiering_text(sides->near.key, sides->far.key);
  } else if (effective.sides.has_value()) {
    head += "Tiering is asked for, and does nothing: " + effective.sides->status().message() + "\n";
  }
  if (secure_getenv("HMS_PROFILE") != nullptr) {
    head +=
        "HMS_PROFILE is set: places that it knows are placed by it, which this does not look at\n";
  }
  return print(head + "\n" + to_text(explanation));
}

bool parse_address(const std::string& word, uint64_t* out) {
  const bool prefix = word.compare(0, 2, "0x") == 0;
  const std::string digits = prefix ? word.substr(2) : word;
  if (digits.empty() || digits.size() > 16) return false;
  if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return false;
  *out = std::stoull(digits, nullptr, 16);
  return true;
}

// The rules that the process was started with, as far as they can be known.
struct StartRules {
  Status status;
  std::string origin;
  Effective effective;
  RuleExplanation rules;
};

StartRules start_rules(const ProcessStats& stats) {
  StartRules out;
  Result<Effective> started = started_with(stats.pid, &out.origin);
  out.status = started.status();
  if (!started.ok()) return out;
  out.effective = std::move(started.value());
  std::vector<std::string> names = {stats.program};
  std::error_code error;
  const std::string link = "/proc/" + std::to_string(stats.pid) + "/exe";
  const std::string real = std::filesystem::read_symlink(link, error).filename().string();
  if (!error && real != names[0]) names.push_back(real);
  out.rules = explain_rules(out.effective.config, names, out.effective.topology.get());
  return out;
}

std::string heading(const StartRules& started) {
  if (!started.status.ok()) return "Its rules are not known: " + started.status.message() + ".\n";
  return "Rules that it was started with (" + started.origin +
         "; hms ctl may have changed them):\n";
}

int print_process(const ExplainOptions& options, const ProcessStats& stats) {
  const StartRules started = start_rules(stats);
  const TieringStats& tiering = stats.tiering;
  if (options.json) {
    nlohmann::ordered_json json = to_json(started.rules);
    json["pid"] = stats.pid;
    json["rules_from"] = started.origin;
    json["windows"] = windows_json(stats);
    json["tiering"] = nullptr;
    if (tiering.on) json["tiering"] = tiering_json(tiering.near, tiering.far);
    return print(json);
  }
  std::string out =
      "Process " + std::to_string(stats.pid) + " (" + stats.program + ")\n\n" + heading(started);
  if (started.status.ok()) out += "\n" + to_text(started.rules);
  if (tiering.on) out += "\n" + tiering_text(tiering.near, tiering.far);
  return print(out + "\nMemory of its targets; hms explain PID ADDRESS tells of one address\n" +
               windows_text(stats));
}

int print_address(const ExplainOptions& options, const ProcessStats& stats,
                  const AddressExplanation& address) {
  const StartRules started = start_rules(stats);
  std::vector<std::string> keys;
  for (const TargetStats& target : address.targets) keys.push_back(target.key);
  const std::vector<int> to = rules_to(started.rules, keys, started.effective.topology.get());
  if (options.json) {
    nlohmann::ordered_json json = to_json(address);
    json["pid"] = stats.pid;
    json["rules_from"] = started.origin;
    json["rules"] = nlohmann::ordered_json::array();
    for (int rule : to) json["rules"].push_back(rule_name(started.rules, rule));
    return print(json);
  }
  std::string out = to_text(address);
  if (!address.in_window) return print(out);
  out += "  " + heading(started);
  if (!started.status.ok()) return print(out);
  for (int rule : to) out += "    " + rule_name(started.rules, rule) + "\n";
  if (to.empty()) {
    out +=
        "    none leads there: what no rule decides, what other memory had no room for, or a call "
        "of "
        "its own\n";
  }
  return print(out);
}

int explain_process(const ExplainOptions& options) {
  uint64_t address = 0;
  const bool asked = options.words.size() == 2;
  if (options.words.size() > 2 || (asked && !parse_address(options.words[1], &address))) {
    say("after a process comes one address in hexadecimal digits, such as 0x7f1200001000");
    return kUsage;
  }
  unsigned user = 0;
  Result<StatsFile> file = find_page(std::stoi(options.words[0]), &user);
  Result<ProcessReport> process =
      file.ok() ? look_at(file.value(), user, 0) : Result<ProcessReport>(file.status());
  if (!process.ok()) {
    say(process.status().message());
    return kFailed;
  }
  const ProcessStats& stats = process.value().stats;
  if (!asked) return print_process(options, stats);
  Result<AddressExplanation> found = explain_address(stats, address);
  if (!found.ok()) {
    say(found.status().message());
    return kFailed;
  }
  return print_address(options, stats, found.value());
}

int explain(const ExplainOptions& options) {
  const bool number = options.words[0].find_first_not_of("0123456789") == std::string::npos &&
                      options.words[0].size() < 8;
  if (!number) return explain_command(options);
  if (options.run.has_configuration() || !options.run.topology.empty() ||
      !options.run.tiering.empty()) {
    say("a process has rules already; options for rules are for commands (hms ctl changes rules)");
    return kUsage;
  }
  return explain_process(options);
}

void setup(CLI::App& app) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* sub = app.add_subcommand("explain", "Tell which rule decides where memory goes");
  sub->footer(
      "  hms explain --rule 'size>=64K:node:2>node:0' -- redis-server    before it runs\n"
      "  hms explain 4711                      the rules and the memory of a process\n"
      "  hms explain 4711 0x7f1200001000       whose memory that is, and where");
  add_statements(sub, &options->run, "Targets by name: see `hms topology --help`");
  sub->add_option("--topology", options->run.topology,
                  "live, xml:FILE, synthetic:SPEC, tiers:SPEC");
  sub->add_option("--tiering", options->run.tiering, "As of hms run")
      ->type_name("auto|off|NEAR>FAR");
  sub->add_flag("--json", options->json, "JSON");
  sub->add_option("PROGRAM", options->words, "A command, or the number of a process and an address")
      ->expected(-1)
      ->required();
  sub->callback([options] { finish(explain(*options)); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
