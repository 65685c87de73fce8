// The kernel's answers to harmless trials of the calls that libhms would like to use: each touches
// only memory and descriptors made for the trial, and leaves the process as it was. For `hms
// doctor`; nothing here is on a program's path.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>

namespace hms::os {

// 0: works; -errno: why not.
struct Trials {
  int get_mempolicy = 0;
  int set_mempolicy = 0;
  int mbind = 0;
  int move_pages = 0;
  int preferred_many = 0;
  int weighted_interleave = 0;
  int populate = 0;  // MADV_POPULATE_WRITE
  int perf_software = 0;
  int perf_hardware = 0;
  int userfaultfd = 0;
  uint64_t userfaultfd_features = 0;  // UFFD_FEATURE_* that the kernel offers
  int pagemap_scan = 0;
};

// UFFD_FEATURE_WP_ASYNC, include/uapi/linux/userfaultfd.h of Linux 6.7.
inline constexpr uint64_t kUffdWriteProtectAsync = uint64_t{1} << 15;

// include/uapi/linux/fs.h of Linux 6.7; Debian 12's headers are older.
struct PagemapScan {
  uint64_t size = sizeof(PagemapScan);
  uint64_t flags = 0;
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t walk_end = 0;
  uint64_t regions = 0;
  uint64_t region_count = 0;
  uint64_t max_pages = 0;
  uint64_t category_inverted = 0;
  uint64_t category_mask = 0;
  uint64_t category_anyof_mask = 0;
  uint64_t return_mask = 0;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, PagemapScan);
inline constexpr uint64_t kScanPageIsPresent = 1 << 3;

Trials try_kernel();

}  // namespace hms::os
