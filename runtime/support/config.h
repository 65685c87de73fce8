// The configuration grammar of HMS_CONF, of configuration files and of `hms run`: docs/rules.md.
//
//   text      := statement { (";" | newline) statement }        "#" starts a comment
//   statement := "tiers" SPEC | "quota" TARGET "=" SIZE | rule
//   rule      := [ condition { "," condition } ":" ] PLACEMENT
//   condition := "size" (">=" | ">" | "<=" | "<" | "=") SIZE | "size" "=" SIZE ".." SIZE
//              | ("thread" | "object" | "symbol" | "program") "=" GLOB
//
// Parsing is pure: no file, no topology, no environment. What placements mean is decided later, by
// parse_placement().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hms {

inline constexpr size_t kMaxRules = 64;           // one bit each in the router's masks
inline constexpr size_t kMaxConfigBytes = 65536;  // longer texts are a mistake

// One rule; absent conditions hold for every request. Globs know * and ?.
struct Rule {
  uint64_t min_size = 0;
  uint64_t max_size = UINT64_MAX;      // inclusive
  std::optional<std::string> thread;   // name of the thread
  std::optional<std::string> object;   // file name of the call site's shared object
  std::optional<std::string> symbol;   // function that contains the call site
  std::optional<std::string> program;  // file name of the program
  std::string placement;
  std::string text;   // the whole rule, as written
  std::string where;  // "HMS_CONF, line 3, column 1", for messages

  bool has_size() const { return min_size > 0 || max_size < UINT64_MAX; }
  bool has_site() const { return object || symbol; }
};

struct Quota {
  std::string target;
  uint64_t bytes = 0;
  std::string where;
};

struct Config {
  std::string tiers;  // SPEC of `tiers`, "" if none
  std::vector<Rule> rules;
  std::vector<Quota> quotas;
  // One message for each statement that is wrong and was left out: it names the place, the
  // offending words and what was expected.
  std::vector<std::string> problems;
};

// Appends what `text` says to a configuration; earlier rules come first. `origin` names the text in
// messages: "HMS_CONF", a file.
void parse_config(const std::string& text, const std::string& origin, Config* config);

// True if `text` matches the glob: * is any run of characters, ? any one character.
bool glob_match(const char* glob, const char* text);

}  // namespace hms
