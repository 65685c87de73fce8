// Kernel contact for reading trees of small files (sysfs). The rules of os.h hold:
// async-signal-safe, no allocation, 0 or a count on success and -errno on failure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

// Calls `visit(context, name)` for each entry of a directory but "." and "..", in kernel order.
// Stops early when it returns false.
int list_directory(const char* path, bool (*visit)(void* context, const char* name), void* context);
// What a symbolic link says, always terminated; longer ones are cut. Length or -errno.
int read_link(const char* path, char* buffer, size_t capacity);
// Size of a regular file; -errno, or -EINVAL for anything else (a pipe, a directory).
int64_t file_size(const char* path);
// Installed and free memory of the whole machine, where no node tells.
int machine_memory(uint64_t* total, uint64_t* free_now);
// Number of CPUs that are online; at least 1.
int online_cpus();

}  // namespace hms::os
