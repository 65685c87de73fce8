// `hms completion`: what shells need to complete words of this command, from its own description.
#include "cli/completion.h"

#include <stdio.h>

#include <iostream>
#include <memory>

#include "cli/command.h"

namespace hms::cli {
namespace {

// CLI11 tells the choices of CLI::IsMember in the name of the type only: "TEXT:{a,b}".
std::vector<std::string> choices(const std::string& type) {
  std::vector<std::string> words;
  const size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return words;
  std::string word;
  for (char c : type.substr(begin + 1, end - begin - 1) + ",") {
    if (c != ',') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

CompletionValue value_of(const CLI::Option& option) {
  CompletionValue value;
  const std::string type = option.get_type_name();
  value.words = choices(type);
  value.name = option.get_positional() ? option.get_name(true) : type.substr(0, type.find(':'));
  if (!value.words.empty()) {
    value.kind = CompletionValue::kWords;
  } else if (value.name == "PID") {
    value.kind = CompletionValue::kProcess;
  } else if (value.name == "PROGRAM") {
    value.kind = CompletionValue::kProgram;
  } else if (value.name == "COMMAND") {
    value.kind = CompletionValue::kCommand;
  } else if (value.name.find("FILE") != std::string::npos ||
             type.find("FILE") != std::string::npos) {
    value.kind = CompletionValue::kFile;
  }
  return value;
}

CompletionCommand describe(const CLI::App& app, const std::string& name) {
  CompletionCommand command;
  command.name = name;
  command.text = app.get_description();
  for (const CLI::Option* o : app.get_options()) {
    if (o->get_group().empty()) continue;  // hidden
    if (o->get_positional()) {
      command.positionals.push_back(value_of(*o));
      command.last_repeats = o->get_items_expected_max() > 1;
      continue;
    }
    CompletionOption option;
    for (const std::string& n : o->get_snames()) option.names.push_back("-" + n);
    for (const std::string& n : o->get_lnames()) option.names.push_back("--" + n);
    option.text = o->get_description();
    option.takes_value = o->get_items_expected_max() > 0;
    option.needs_value = o->get_items_expected_min() > 0;
    option.repeats = o->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    option.value = value_of(*o);
    command.options.push_back(option);
  }
  return command;
}

void print(const CLI::App& app, const std::string& shell) {
  std::vector<CompletionCommand> commands = {describe(app, "")};
  CompletionValue first;
  first.kind = CompletionValue::kWords;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    first.words.push_back(sub->get_name());
    commands.push_back(describe(*sub, sub->get_name()));
  }
  commands[0].positionals = {first};
  std::cout << (shell == "bash" ? bash_completion(commands) : zsh_completion(commands))
            << std::flush;
}

void setup(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("completion", "Print what a shell needs to complete words");
  sub->footer(
      "Installed with the command; for this shell alone:\n"
      "  source <(hms completion bash)");
  sub->add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  sub->callback([&app, shell] { print(app, *shell); });
}

const Command command(setup);

}  // namespace
}  // namespace hms::cli
