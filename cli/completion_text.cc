// See completion.h.
#include "cli/completion.h"

namespace hms::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The word by which _hms_reply knows what to offer.
std::string bash_kind(const CompletionValue& value) {
  switch (value.kind) {
    case CompletionValue::kWords:
      return "words " + joined(value.words);
    case CompletionValue::kFile:
      return "file";
    case CompletionValue::kProcess:
      return "process";
    case CompletionValue::kCommand:
      return "command";
    case CompletionValue::kProgram:
      return "program";
    case CompletionValue::kAny:
      break;
  }
  return "any";
}

std::string bash_command(const CompletionCommand& command) {
  std::string options, valued, kinds, values;
  for (const CompletionOption& option : command.options) {
    const std::string names = joined(option.names);
    options += (options.empty() ? "" : " ") + names;
    if (option.needs_value) valued += " " + names;
    if (!option.takes_value) continue;
    std::string pattern;
    for (const std::string& name : option.names) pattern += (pattern.empty() ? "" : " | ") + name;
    values += "        " + pattern + ") value=" + quoted(bash_kind(option.value)) + " ;;\n";
  }
  for (const CompletionValue& value : command.positionals) {
    kinds += (kinds.empty() ? "" : " ") + quoted(bash_kind(value));
  }
  std::string out = "    " + (command.name.empty() ? "''" : command.name) +
                    ")\n      options=" + quoted(options) +
                    "\n      valued=" + quoted(valued + " ") + "\n      kinds=(" + kinds + ")\n";
  if (command.last_repeats) out += "      repeats=1\n";
  if (!values.empty()) out += "      case $prev in\n" + values + "      esac\n";
  return out + "      ;;\n";
}

constexpr char kBashHead[] = R"sh(# Completion of hms in bash; written by: hms completion bash
_hms_reply() {
  case $1 in
    words\ *) mapfile -t COMPREPLY < <(compgen -W "${1#words }" -- "$cur") ;;
    file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && compopt -o filenames 2>/dev/null ;;
    process) mapfile -t COMPREPLY < <(compgen -W "$(_hms_processes)" -- "$cur") ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    program) mapfile -t COMPREPLY < <(compgen -c -W "$(_hms_processes)" -- "$cur") ;;
  esac
}

_hms_processes() {
  "${COMP_WORDS[0]}" stat 2>/dev/null | while read -r pid _; do
    case $pid in *[!0-9]* | '') ;; *) echo "$pid" ;; esac
  done
}

_hms() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=''
  local options='' valued='' value='' kinds=() repeats=0 at=0 i word
  COMPREPLY=()
  # bash splits --option=value at the sign.
  if [ "$cur" = = ]; then cur=''; elif [ "$prev" = = ]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
  [ "$COMP_CWORD" = 1 ] || command=${COMP_WORDS[1]}
  case $command in
)sh";

constexpr char kBashTail[] = R"sh(    *) return ;;
  esac
  # How many words that are no options, nor values of any, come before.
  for ((i = 2; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --)
        value=''
        [ "${kinds[at]:-}" != command ] || break
        ;;
      -*)
        if [ "${COMP_WORDS[i + 1]:-}" = = ]; then
          ((i += 2))
        elif [[ $valued == *" $word "* ]]; then
          ((++i))
        fi
        ;;
      *)
        [ "${kinds[at]:-}" != command ] || break
        ((++at))
        ;;
    esac
  done
  # From the program on, the words are its own.
  if ((i < COMP_CWORD)); then
    [ "${COMP_WORDS[i]}" != -- ] || ((++i))
    if ((i == COMP_CWORD)); then
      _hms_reply command
    elif declare -F _command_offset >/dev/null; then
      _command_offset "$i"
    else
      _hms_reply file
    fi
    return
  fi
  if [ -n "$value" ] && { [ "$value" != any ] || [[ $valued == *" $prev "* ]]; }; then
    _hms_reply "$value"
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  else
    if ((at >= ${#kinds[@]} && repeats)); then at=$((${#kinds[@]} - 1)); fi
    _hms_reply "${kinds[at]:-}"
    # Where no other word can stand, the options.
    [ "${#COMPREPLY[@]}" != 0 ] || [ -n "$cur" ] || mapfile -t COMPREPLY < <(compgen -W "$options")
  fi
}

complete -F _hms hms
)sh";

// In a specification of _arguments, brackets and colons have a meaning.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_value(const CompletionValue& value) {
  const std::string out = ":" + zsh_text(value.name.empty() ? "value" : value.name) + ":";
  switch (value.kind) {
    case CompletionValue::kWords:
      return out + "(" + joined(value.words) + ")";
    case CompletionValue::kFile:
      return out + "_files";
    case CompletionValue::kProcess:
      return out + "_hms_processes";
    case CompletionValue::kProgram:
      return out + "_hms_programs";
    case CompletionValue::kCommand:
    case CompletionValue::kAny:
      break;
  }
  return out + " ";
}

std::string zsh_option(const CompletionOption& option, const std::string& indent) {
  std::string out;
  const std::string others = joined(option.names);
  for (const std::string& name : option.names) {
    std::string spec = option.repeats ? "*" : "(" + others + ")";
    spec += name;
    // A value that must come may follow as a word; others only behind the sign.
    if (option.takes_value) spec += !option.needs_value ? "=-" : name[1] == '-' ? "=" : "+";
    spec += "[" + zsh_text(option.text) + "]";
    if (option.takes_value) spec += (option.needs_value ? "" : ":") + zsh_value(option.value);
    out += indent + quoted(spec) + " \\\n";
  }
  return out;
}

std::string zsh_positionals(const CompletionCommand& command, const std::string& indent) {
  std::string out;
  for (size_t i = 0; i < command.positionals.size(); ++i) {
    const CompletionValue& value = command.positionals[i];
    const bool last = i + 1 == command.positionals.size();
    std::string spec = std::to_string(i + 1) + zsh_value(value);
    if (value.kind == CompletionValue::kCommand) {
      spec = "*::" + zsh_text(value.name) + ":_normal";
    } else if (last && command.last_repeats) {
      spec = "*" + zsh_value(value);
    }
    out += indent + quoted(spec) + " \\\n";
  }
  return out;
}

constexpr char kZshHead[] = R"sh(#compdef hms
# Completion of hms in zsh; written by: hms completion zsh
_hms_processes() {
  local -a processes
  local pid program
  _call_program processes hms stat 2>/dev/null | while read -r pid program _; do
    case $pid in *[!0-9]* | '') ;; *) processes+=("$pid:$program") ;; esac
  done
  _describe -t processes 'process under libhms' processes
}

_hms_programs() {
  _alternative 'processes:process under libhms:_hms_processes' 'commands:command:_command_names -e'
}

_hms() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C \
)sh";

}  // namespace

std::string bash_completion(const std::vector<CompletionCommand>& commands) {
  std::string out = kBashHead;
  for (const CompletionCommand& command : commands) out += bash_command(command);
  return out + kBashTail;
}

std::string zsh_completion(const std::vector<CompletionCommand>& commands) {
  std::string out = kZshHead, names, cases;
  for (const CompletionCommand& command : commands) {
    std::string options;
    const std::string indent = command.name.empty() ? "    " : "            ";
    for (const CompletionOption& option : command.options) options += zsh_option(option, indent);
    if (command.name.empty()) {
      out += options;
      continue;
    }
    names += "        " + quoted(zsh_text(command.name) + ":" + command.text) + "\n";
    cases += "        " + command.name + ")\n          _arguments -s -S \\\n" + options +
             zsh_positionals(command, indent) + "            && return\n          ;;\n";
  }
  return out + "    '1:command:->command' \\\n    '*::argument:->arguments' && return\n" +
         "  case $state in\n    command)\n      local -a commands=(\n" + names +
         "      )\n      _describe -t commands command commands\n      ;;\n    arguments)\n" +
         "      case $line[1] in\n" + cases + "      esac\n      ;;\n  esac\n}\n\n" +
         "if [ \"$funcstack[1]\" = _hms ]; then _hms \"$@\"; else compdef _hms hms; fi\n";
}

}  // namespace hms::cli
