// The end of a process under libhms: the last numbers, then the last mark on the counter page.
#pragma once

namespace hms::routing {

// Remembers whether a launcher asked for an audit at the end (HMS_AUDIT=1), which the program may
// overwrite later. init() does it.
void prepare_finish();

// Called by the entry points' destructor and by their _exit wrapper; later calls do nothing, and a
// child of vfork, which shares the page of its parent, does nothing either.
void finish_process();

}  // namespace hms::routing
