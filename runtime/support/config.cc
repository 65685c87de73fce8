// The parser of the configuration grammar: see config.h.
#include "runtime/support/config.h"

#include <algorithm>

#include "runtime/support/size.h"

namespace hms {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::string trim(const std::string& text) {
  size_t first = 0, last = text.size();
  while (first < last && blank(text[first])) ++first;
  while (last > first && blank(text[last - 1])) --last;
  return text.substr(first, last - first);
}

// A piece of the text between separators, and where it starts.
struct Statement {
  std::string text;
  size_t line = 1, column = 1;
};

// Cuts at ';' and newlines outside double quotes, drops comments and empty statements. A quote
// never reaches over the end of its line.
std::vector<Statement> split_statements(const std::string& text) {
  std::vector<Statement> statements;
  Statement now;
  bool quoted = false, comment = false;
  size_t line = 1, column = 1;
  auto end_statement = [&] {
    now.text = trim(now.text);
    if (!now.text.empty()) statements.push_back(now);
    now = Statement();
  };
  for (size_t i = 0; i < text.size(); ++i, ++column) {
    char c = text[i];
    if (c == '\n' || (c == ';' && !quoted && !comment)) {
      end_statement();
      if (c == ';') continue;
      quoted = comment = false;
      ++line;
      column = 0;
      continue;
    }
    if (c == '"' && !comment) quoted = !quoted;
    // Only at the start of a word: tier specifications may have a '#' inside.
    if (c == '#' && !quoted && (column == 1 || blank(text[i - 1]) || text[i - 1] == ';')) {
      comment = true;
    }
    if (comment) continue;
    if (now.text.empty()) {
      if (blank(c)) continue;
      now.line = line;
      now.column = column;
    }
    now.text += c;
  }
  end_statement();
  return statements;
}

// Reads one statement into the configuration, or explains why not.
class StatementParser {
 public:
  StatementParser(const Statement& statement, const std::string& origin, Config* config)
      : text_(statement.text), config_(config) {
    where_ = origin + ", line " + std::to_string(statement.line) + ", column ";
    column_ = statement.column;
  }

  // Empty on success, else the whole message.
  std::string parse();

 private:
  std::string problem(size_t at, const std::string& why) const {
    return where_ + std::to_string(column_ + at) + ": in '" + text_ + "': " + why;
  }
  std::string where() const { return where_ + std::to_string(column_); }

  bool keyword(const char* word);
  void skip_blanks() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }
  std::string parse_tiers();
  std::string parse_quota();
  std::string parse_rule();
  bool at_condition();
  std::string parse_condition(Rule* rule);
  std::string parse_size_condition(const std::string& op, Rule* rule);
  std::string narrow(const std::string& op, uint64_t bytes, Rule* rule);
  std::string parse_glob(std::optional<std::string>* out);
  std::string read_value();

  std::string text_;
  Config* config_;
  std::string where_;
  size_t column_ = 1;
  size_t at_ = 0;          // next character to read
  std::string word_, op_;  // of the condition that at_condition() found
  size_t word_at_ = 0;     // where that is
};

constexpr const char* kConditions = "size, thread, object, symbol or program";

// `word` followed by a blank, or alone.
bool StatementParser::keyword(const char* word) {
  size_t length = std::char_traits<char>::length(word);
  if (text_.compare(0, length, word) != 0) return false;
  if (text_.size() > length && !blank(text_[length])) return false;
  at_ = length;
  skip_blanks();
  return true;
}

std::string StatementParser::parse() {
  if (std::count(text_.begin(), text_.end(), '"') % 2 != 0) {
    return problem(text_.rfind('"'), "a '\"' without its other half");
  }
  if (keyword("tiers")) return parse_tiers();
  if (keyword("quota")) return parse_quota();
  return parse_rule();
}

std::string StatementParser::parse_tiers() {
  std::string spec = text_.substr(at_);
  if (spec.empty()) return problem(at_, "'tiers' needs a specification");
  if (!config_->tiers.empty()) {
    return problem(0, "'tiers' was given before ('" + config_->tiers + "'); give it once");
  }
  config_->tiers = spec;
  return "";
}

std::string StatementParser::parse_quota() {
  size_t equals = text_.rfind('=');
  if (equals == std::string::npos || equals < at_) {
    return problem(at_, "expected 'quota TARGET=SIZE', such as 'quota node:0=512M'");
  }
  Quota quota;
  quota.target = trim(text_.substr(at_, equals - at_));
  quota.where = where();
  if (quota.target.empty()) return problem(at_, "the target before '=' is missing");
  Result<uint64_t> bytes = parse_size(trim(text_.substr(equals + 1)));
  if (!bytes.ok()) return problem(equals + 1, bytes.status().message());
  for (const Quota& other : config_->quotas) {
    if (other.target == quota.target) {
      return problem(at_, "'" + quota.target + "' already has a quota (" + other.where + ")");
    }
  }
  quota.bytes = bytes.value();
  config_->quotas.push_back(quota);
  return "";
}

// True if a word and an operator follow: what no placement starts with, but for "A>B", which is a
// condition only when A is one of ours.
bool StatementParser::at_condition() {
  skip_blanks();
  word_at_ = at_;
  size_t i = at_;
  while (i < text_.size() && letter(text_[i])) ++i;
  word_ = text_.substr(at_, i - at_);
  while (i < text_.size() && blank(text_[i])) ++i;
  if (word_.empty() || i >= text_.size()) return false;
  op_.clear();
  if (text_[i] == '<' || text_[i] == '>' || text_[i] == '=') op_ = text_[i++];
  if (op_.empty()) return false;
  if (op_ != "=" && i < text_.size() && text_[i] == '=') op_ += text_[i++];
  static const char* const kWords[] = {"size", "thread", "object", "symbol", "program"};
  bool ours = std::find(std::begin(kWords), std::end(kWords), word_) != std::end(kWords);
  if (!ours && op_ == ">") return false;
  at_ = i;
  return true;
}

// Up to the next ',' or ':' outside quotes; quotes go.
std::string StatementParser::read_value() {
  skip_blanks();
  std::string value;
  bool quoted = false;
  for (; at_ < text_.size(); ++at_) {
    char c = text_[at_];
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    if (!quoted && (c == ',' || c == ':')) break;
    value += c;
  }
  return quoted ? value : trim(value);
}

// Intersects the rule's range with one comparison. Limits of the type are impossible conditions.
std::string StatementParser::narrow(const std::string& op, uint64_t bytes, Rule* rule) {
  if ((op == "<" && bytes == 0) || (op == ">" && bytes == UINT64_MAX)) {
    return problem(word_at_, "no size is " + std::string(op == "<" ? "below 0" : "above that"));
  }
  if (op == ">=" || op == "=") rule->min_size = std::max(rule->min_size, bytes);
  if (op == ">") rule->min_size = std::max(rule->min_size, bytes + 1);
  if (op == "<=" || op == "=") rule->max_size = std::min(rule->max_size, bytes);
  if (op == "<") rule->max_size = std::min(rule->max_size, bytes - 1);
  if (rule->min_size <= rule->max_size) return "";
  return problem(word_at_, "no size satisfies this (" + std::to_string(rule->min_size) + " to " +
                               std::to_string(rule->max_size) + ")");
}

std::string StatementParser::parse_size_condition(const std::string& op, Rule* rule) {
  size_t start = at_;
  std::string value = read_value();
  size_t dots = value.find("..");
  if (dots != std::string::npos && op != "=") {
    return problem(start, "a range goes with '=': size=64..512");
  }
  if (dots == std::string::npos) {
    Result<uint64_t> bytes = parse_size(value);
    if (!bytes.ok()) return problem(start, bytes.status().message());
    return narrow(op, bytes.value(), rule);
  }
  Result<uint64_t> low = parse_size(trim(value.substr(0, dots)));
  if (!low.ok()) return problem(start, low.status().message());
  Result<uint64_t> high = parse_size(trim(value.substr(dots + 2)));
  if (!high.ok()) return problem(start + dots + 2, high.status().message());
  if (low.value() > high.value()) {
    return problem(start, "the range '" + value + "' is upside down: write the smaller size first");
  }
  std::string failed = narrow(">=", low.value(), rule);
  return failed.empty() ? narrow("<=", high.value(), rule) : failed;
}

std::string StatementParser::parse_glob(std::optional<std::string>* out) {
  size_t start = at_;
  if (op_ != "=") {
    return problem(word_at_, "'" + word_ + "' compares with '=', not with '" + op_ + "'");
  }
  if (*out) return problem(word_at_, "'" + word_ + "' was given before in this rule");
  std::string value = read_value();
  if (value.empty()) return problem(start, "'" + word_ + "=' needs a name; * and ? are wildcards");
  if (value.find('/') != std::string::npos && (word_ == "object" || word_ == "program")) {
    return problem(start, "'" + word_ + "' compares file names without folders; leave out '" +
                              value.substr(0, value.rfind('/') + 1) + "'");
  }
  *out = value;
  return "";
}

std::string StatementParser::parse_condition(Rule* rule) {
  if (word_ == "size") return parse_size_condition(op_, rule);
  if (word_ == "thread") return parse_glob(&rule->thread);
  if (word_ == "object") return parse_glob(&rule->object);
  if (word_ == "symbol") return parse_glob(&rule->symbol);
  if (word_ == "program") return parse_glob(&rule->program);
  std::string hint = word_ == "tiers" || word_ == "quota" ? "; a '" + word_ +
                                                                "' statement has a "
                                                                "blank after the word"
                                                          : "";
  return problem(word_at_, "unknown condition '" + word_ + "'; expected " + kConditions + hint);
}

std::string StatementParser::parse_rule() {
  Rule rule;
  rule.text = text_;
  rule.where = where();
  at_ = 0;
  while (at_condition()) {
    std::string failed = parse_condition(&rule);
    if (!failed.empty()) return failed;
    if (at_ >= text_.size()) {
      return problem(at_, "expected ':' and a placement after the conditions");
    }
    bool more = text_[at_++] == ',';
    if (!more) break;
    size_t here = at_;
    if (!at_condition()) {
      return problem(here, std::string("expected a condition after ',' (") + kConditions +
                               "), or ':' before the placement");
    }
    at_ = here;
  }
  skip_blanks();
  rule.placement = trim(text_.substr(at_));
  if (rule.placement.empty()) return problem(at_, "the placement is missing");
  if (config_->rules.size() == kMaxRules) {
    return problem(0, "more than " + std::to_string(kMaxRules) + " rules");
  }
  config_->rules.push_back(rule);
  return "";
}

}  // namespace

void parse_config(const std::string& text, const std::string& origin, Config* config) {
  if (text.size() > kMaxConfigBytes) {
    config->problems.push_back(origin + ": longer than " + std::to_string(kMaxConfigBytes) +
                               " bytes; nothing of it is used");
    return;
  }
  for (const Statement& statement : split_statements(text)) {
    std::string problem = StatementParser(statement, origin, config).parse();
    if (!problem.empty()) config->problems.push_back(problem);
  }
}

// Iterative, so that no pattern is worse than quadratic: on a mismatch only the last * is extended.
bool glob_match(const char* glob, const char* text) {
  const char* star = nullptr;
  const char* resume = nullptr;
  while (*text != 0) {
    if (*glob == '*') {
      star = glob++;
      resume = text;
    } else if (*glob == '?' || *glob == *text) {
      ++glob;
      ++text;
    } else if (star != nullptr) {
      glob = star + 1;
      text = ++resume;
    } else {
      return false;
    }
  }
  while (*glob == '*') ++glob;
  return *glob == 0;
}

}  // namespace hms
