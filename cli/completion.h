// Completion in shells, written from a description of the command line: pure text.
#pragma once

#include <string>
#include <vector>

namespace hms::cli {

// What stands in the place of a value.
struct CompletionValue {
  enum Kind {
    kAny,
    kWords,
    kFile,
    kProcess,
    kCommand,
    kProgram
  };  // kProgram: either of the two before
  Kind kind = kAny;
  std::string name;                // for people: "SECONDS"
  std::vector<std::string> words;  // kWords: the choices
};

struct CompletionOption {
  std::vector<std::string> names;  // with dashes
  std::string text;
  bool takes_value = false;
  bool needs_value = false;  // always in a word of its own, or after =
  bool repeats = false;
  CompletionValue value;
};

struct CompletionCommand {
  std::string name, text;
  std::vector<CompletionOption> options;
  std::vector<CompletionValue> positionals;
  bool last_repeats = false;  // the last positional
};

// The first command has no name: options of `hms` itself.
std::string bash_completion(const std::vector<CompletionCommand>& commands);
std::string zsh_completion(const std::vector<CompletionCommand>& commands);

}  // namespace hms::cli
