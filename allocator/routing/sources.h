// Where the configuration of this process comes from.
#pragma once

#include <string>

#include "runtime/support/config.h"

namespace hms::routing {

// HMS_CONF, then the file that HMS_CONF_FILE names. Only when neither is set: the first that exists
// of $XDG_CONFIG_HOME/hms/hms.conf (else ~/.config/hms/hms.conf) and /etc/hms.conf. Empty if there
// is none, and always in set-user-ID programs. A file that cannot be read is reported by log().
Config read_configuration();

// What Topology::load() is asked for: the `tiers` statement first, then $HMS_TOPOLOGY, then the
// cheap live source. hwloc is never loaded into a host program unless it was asked for by name.
std::string topology_source(const std::string& tiers);

}  // namespace hms::routing
