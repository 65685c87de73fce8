// Kernel contact for memory that must stay in memory. The rules of os.h hold.
#pragma once

#include <cstddef>

namespace hms::os {

// mlock(2): the pages are brought in and never paged out. -ENOMEM above RLIMIT_MEMLOCK.
int lock_pages(void* addr, size_t bytes);
int unlock_pages(void* addr, size_t bytes);

}  // namespace hms::os
