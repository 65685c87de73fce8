// What `hms run` and `hms record` prepare before they start a command: the configuration, checked
// as the command will see it, the library, the environment, and the folder for its counters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/support/config.h"
#include "runtime/support/result.h"
#include "runtime/tiering/sides.h"
#include "runtime/topology/topology.h"

namespace hms::cli {

struct RunOptions {
  std::string tiers;
  std::vector<std::string> rules;
  std::vector<std::string> quotas;
  std::string config_file;
  std::string topology;
  bool omp = false;                 // the OpenMP door, which holds the malloc door
  std::vector<std::string> spaces;  // NAME=PLACEMENT, memory spaces of OpenMP
  std::string report;   // "" none, "-" JSON on stdout, kReportTable, else a file for the JSON
  std::string profile;  // to place by
  std::string tiering;  // "" as HMS_TIERING has it, else auto, off or NEAR>FAR
  bool verbose = false;
  std::vector<std::string> command;

  bool has_configuration() const {
    return !tiers.empty() || !rules.empty() || !quotas.empty() || !config_file.empty();
  }
};
inline constexpr char kReportTable[] = "(table)";

// Everything that is wrong with the options, or with the configuration in the environment when the
// options bring none. `text`: what HMS_CONF is to be; unchanged if the options bring none. `hints`:
// things that are allowed but rarely meant.
std::vector<std::string> check_configuration(const RunOptions& options, std::string* text,
                                             std::vector<std::string>* hints);

// The statements of the options as one text, and what is wrong with their grammar; names are not
// looked up.
std::vector<std::string> check_statements(const RunOptions& options, std::string* text);

// What is in force for a command that is started with these options, read as it will read it.
struct Effective {
  Config config;
  std::shared_ptr<const topology::Topology> topology;  // null where no word needs one
  std::optional<Result<tiering::Sides>> sides;         // where tiering is asked for
};
// As check_configuration(), which has to find no problem first.
Effective effective_configuration(const RunOptions& options);

// libhms_malloc.so, or libhms_omp.so for OpenMP: $HMS_LIBRARY, or where it lies relative to this
// binary when built or installed.
Result<std::string> find_library(bool omp);

// LD_PRELOAD with the library in front of what is there. Refuses when another allocator or a
// sanitizer runtime is there already: two allocators in one program free each other's blocks.
Result<std::string> preload_list(const std::string& library);

// Sets LD_PRELOAD so that the program at `path` runs under libhms, unless that would break it;
// `note` tells when libhms will not be in effect. Fails as the two above.
Status set_preload(const std::string& path, bool omp, std::string* note);

// How a subcommand tells people something.
using Say = void (*)(const std::string& text);

// Finds a command as the shell would, and sets LD_PRELOAD for it. 0, or the exit code for a command
// that cannot be started so, after a message.
int prepare_command(const std::string& name, bool omp, Say say, std::string* path);

// A new folder for the counter pages of one run, which the environment names from then on. 0, or an
// exit code after a message.
int open_run_folder(Say say, std::string* dir);
// Removes the pages of that folder whose processes are gone, and the folder once it is empty.
void close_run_folder(const std::string& dir);

}  // namespace hms::cli
