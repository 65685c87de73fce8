// The C++ runtime of the host program. This library carries a private one, whose exceptions no
// handler of the program would match and whose new-handler nobody sets; so the operators ask the
// program's own libstdc++ (or libc++).
#pragma once

#include <cstddef>
#include <new>

namespace hms::entry {

// The program's std::get_new_handler(), or null.
std::new_handler host_new_handler();
// Throws the program's std::bad_alloc. Returns only if the process has no C++ runtime to throw
// with, after saying so.
void throw_host_bad_alloc();

// The runtime's own nothrow operators. They call our throwing ones inside the program's try block,
// which our private runtime cannot provide. Null when there is no runtime.
using NothrowNew = void* (*)(size_t, const std::nothrow_t&);
using AlignedNothrowNew = void* (*)(size_t, std::align_val_t, const std::nothrow_t&);
NothrowNew host_nothrow_new();
AlignedNothrowNew host_aligned_nothrow_new();

}  // namespace hms::entry
