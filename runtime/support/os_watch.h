// The descriptors that sampling holds: a child of fork has them too, but must not read what its
// parent samples, so it closes them all without asking the objects that hold them, which the fork
// may have caught in the middle of a change. And a program may close every descriptor that it
// finds, as daemons do, and give the numbers to files of its own: those are neither read nor
// closed. The rules of os.h hold.
#pragma once

namespace hms::os {

// Remembers a descriptor and returns it; negative ones pass through. Where too many are held
// already it is closed, and the answer is -1 with errno EMFILE.
int watched(int fd);
// Whether it still is what was remembered; to be asked before something is read from it. Where
// /proc does not tell, it is.
bool still_watched(int fd);
// If it still is.
void close_watched(int fd);
// In the child of a fork.
void close_all_watched();

}  // namespace hms::os
