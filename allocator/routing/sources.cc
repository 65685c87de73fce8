// Where the configuration comes from: see sources.h.
#include "allocator/routing/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "runtime/support/config.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::routing {
namespace {

// Appends a configuration file; false if there is none.
bool append_file(const std::string& path, Config* config) {
  // Static, so that the common case, no file, touches no memory; only init() comes here. One byte
  // more than allowed, so that the parser notices a file that is too long.
  static char buffer[kMaxConfigBytes + 2];
  int bytes = os::read_file(path.c_str(), buffer, sizeof buffer);
  if (bytes >= 0) {
    parse_config(std::string(buffer, static_cast<size_t>(bytes)), path, config);
    return true;
  }
  if (bytes == -ENOENT || bytes == -ENOTDIR) return false;
  log(LogLevel::kWarning, "cannot read the configuration %s: %s; going on without it", path.c_str(),
      strerrordesc_np(-bytes));
  return true;
}

void append_default_file(Config* config) {
  const char* xdg = secure_getenv("XDG_CONFIG_HOME");
  const char* home = secure_getenv("HOME");
  std::string folder;
  if (xdg != nullptr && xdg[0] == '/') {
    folder = xdg;
  } else if (home != nullptr && home[0] == '/') {
    folder = std::string(home) + "/.config";
  }
  if (!folder.empty() && append_file(folder + "/hms/hms.conf", config)) return;
  append_file("/etc/hms.conf", config);
}

}  // namespace

Config read_configuration() {
  Config config;
  if (getauxval(AT_SECURE) != 0) return config;
  const char* conf = secure_getenv("HMS_CONF");
  const char* file = secure_getenv("HMS_CONF_FILE");
  if (conf != nullptr) parse_config(conf, "HMS_CONF", &config);
  if (file != nullptr && !append_file(file, &config)) {
    log(LogLevel::kWarning, "HMS_CONF_FILE names %s, which does not exist; going on without it",
        file);
  }
  if (conf == nullptr && file == nullptr) append_default_file(&config);
  return config;
}

std::string topology_source(const std::string& tiers) {
  if (!tiers.empty()) return "tiers:" + tiers;
  const char* wanted = secure_getenv("HMS_TOPOLOGY");
  if (wanted == nullptr || wanted[0] == 0 || strcmp(wanted, "live") == 0) return "sysfs";
  return wanted;
}

}  // namespace hms::routing
