// How the C interface reports: a status for the program, a message for people.
#pragma once

#include "runtime/support/result.h"

namespace hms {

// Keeps the message for this thread's hms_last_error() and returns the code. HMS_OK keeps the old
// message. Never allocates: the message is cut to a fixed buffer.
hms_status fail(const Status& status);
// The same for a message that needs no formatting.
hms_status fail(hms_status code, const char* message);

}  // namespace hms
