// See statements.h.
#include "cli/statements.h"

namespace hms::cli {

CLI::Option* add_repeated(CLI::App* sub, const char* name, std::vector<std::string>* to,
                          const char* text) {
  return sub->add_option(name, *to, text)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_statements(CLI::App* sub, RunOptions* rules, const char* tiers_text) {
  sub->add_option("--tiers", rules->tiers, tiers_text);
  add_repeated(sub, "--rule", &rules->rules, "A rule; may be repeated, first match wins");
  add_repeated(sub, "--quota", &rules->quotas, "TARGET=SIZE; may be repeated");
  sub->add_option("--config", rules->config_file, "A file of statements, after those of the flags")
      ->type_name("FILE");
}

}  // namespace hms::cli
