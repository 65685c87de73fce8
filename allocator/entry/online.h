// What steers or watches the heap of a process while it runs: a profile that it is placed by
// (HMS_PROFILE=FILE), the engine (HMS_TIERING=auto), or the recorder (HMS_RECORD=1, as `hms record`
// sets it). Engine and recorder need a thread, and there is one of them at most: while a profile is
// recorded nothing is moved. Unasked, there is none of all this.
#pragma once

namespace hms::entry {

// When the library starts, after rules: divides the heap into classes if one of them is asked for.
// May allocate.
void start_online();
// In the constructor of the library: starting a thread takes the dynamic linker's lock.
void start_online_thread();
// At the end of the process, however it ends. Waits, but not for long.
void finish_online();

}  // namespace hms::entry
