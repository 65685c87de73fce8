// Profiles in a program: one to place by (HMS_PROFILE=FILE), or one to be written (HMS_RECORD=1, as
// `hms record` sets it). docs/profiles.md
//
// Recording needs a thread, which only looks: it starts with the library, blocks all signals, and
// stores what it has learnt so far now and then, as a process that is killed has no last word.
#pragma once

namespace hms::entry {

// When the library starts, after rules: divides the heap into classes if either is asked for. May
// allocate.
void start_profiling();
// In the constructor of the library: starting a thread takes the dynamic linker's lock.
void start_recorder();
// At the end of the process, however it ends: the last look, by the recorder's thread. Waits, but
// not for long: a thread that was interrupted by the signal in whose handler the process ends may
// hold what the recorder needs.
void finish_recording();

}  // namespace hms::entry
