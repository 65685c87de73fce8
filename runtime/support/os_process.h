// Kernel contact for the life of a process as a whole. The rules of os.h hold.
#pragma once

namespace hms::os {

// Ends all threads at once, without a handler or a destructor.
[[noreturn]] void exit_process(int status);
// Where the break of this process ends: glibc's first heap lies below it.
const void* program_break();

}  // namespace hms::os
