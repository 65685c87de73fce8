// See pages.h.
#include "cli/pages.h"

namespace hms::cli {

CLI::Option* add_pid(CLI::App* sub, int* pid, const std::string& description) {
  return sub->add_option("PID", *pid, description)->check([](const std::string& word) {
    // Process numbers have at most seven digits.
    const bool fine = word.find_first_not_of("0123456789") == std::string::npos &&
                      word.size() < 8 && word.find_first_not_of('0') != std::string::npos;
    return fine ? std::string() : "'" + word + "' is not the number of a process";
  });
}

}  // namespace hms::cli
