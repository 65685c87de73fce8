// The profile of this process on its way to `hms record`: a file beside the counter page, in a
// folder that only the user can enter.
#pragma once

#include "runtime/tiering/profile.h"

namespace hms::tiering {

// Replaces what was stored before, whole or not at all: a process that is killed, or becomes
// another program, leaves what it stored last. Publishes the counter page first, if need be.
Status store_profile(const Profile& profile);

// The name of the program, its object, and the memory of the machine.
void describe_process(CodeObjects* objects, Profile* profile);

}  // namespace hms::tiering
