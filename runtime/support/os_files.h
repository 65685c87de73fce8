// Kernel contact for the counter pages: private directories, files that become mappings, and who a
// process is. The rules of os.h hold: async-signal-safe, no allocation, 0 or a count on success and
// -errno on failure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

// Opens a directory that only `owner` can enter; made (mode 0700) first if `create`. A link,
// another owner, or access for others is -EPERM: someone else prepared it. Descriptor or -errno.
int open_private_dir(const char* path, unsigned owner, bool create);
// Makes a new file of `bytes` whose space is really there: a mapping of it cannot meet SIGBUS
// because the file system ran full. Descriptor or -errno.
int create_full_file(int dir, const char* name, size_t bytes);
// Reads at most `bytes` of a regular file of `owner` in a directory; bytes or -errno. Never blocks,
// follows no link.
int read_owned_file(int dir, const char* name, unsigned owner, void* out, size_t bytes);
// Opens such a file for reading and writing in place, locked against others who do the same;
// -EWOULDBLOCK if one does. Descriptor or -errno.
int open_owned_file(int dir, const char* name, unsigned owner);
// Makes a file anew with this content, for `owner` (who is this user, or this user is root). 0 or
// -errno.
int write_new_file(int dir, const char* name, unsigned owner, const char* text, size_t bytes);
// A word of a file, at a place that is a multiple of its size.
int read_word(int fd, size_t at, uint64_t* out);
int write_word(int fd, size_t at, uint64_t value);
int remove_file(int dir, const char* name);
// Under another name in the same directory, in place of what has it: at once for whoever opens it.
int rename_file(int dir, const char* from, const char* to);
void close_file(int fd);

// Maps a file shared, readable and writable.
int map_shared(int fd, size_t bytes, void** out);
// Moves a mapping over another one of the same size: atomic for other threads.
int move_mapping(void* from, size_t bytes, void* to);
// Puts zeros in the place of whatever is mapped there, shared with children and second mappings.
int map_shared_at(void* at, size_t bytes);
// The same shared pages at another address as well; *out is that. -EINVAL if they are private.
int map_again(void* shared, size_t bytes, void** out);

int process_id();
unsigned effective_user();
// When a process started, in clock ticks after boot (field 22 of /proc/PID/stat, proc(5)): tells a
// reused pid apart. 0 = self. -errno when /proc does not tell.
int process_start_time(int pid, uint64_t* out);
// Where the stack of a process starts (field 28): another one after exec. Told only to who may read
// the memory of the process; else, and when /proc does not tell, -errno. 0 = self.
int process_stack_start(int pid, uint64_t* out);
// True if the main thread has ended, and with it all others but the calling one. False when /proc
// does not tell.
bool only_this_thread_left();
// False if the administrator wants no transparent huge pages, or the kernel has none.
bool huge_pages_allowed();
// Bytes of a process that lie in transparent huge pages; 0 when /proc does not tell.
uint64_t process_huge_bytes(int pid);
// True unless the kernel says that there is no such process.
bool process_exists(int pid);
// The user that /proc/PID belongs to, whose directory holds the page of that process.
int process_owner(int pid, unsigned* out);
// The path that this process runs, cut to the buffer and terminated; bytes or -errno.
int executable_path(char* out, size_t capacity);
// Name of the calling thread, at most 15 bytes and a terminator.
int thread_name(char out[16]);

}  // namespace hms::os
