// The kernel's answers to harmless trials of the calls that libhms would like to use: each touches
// only memory and descriptors made for the trial, and leaves the process as it was. For `hms
// doctor`; nothing here is on a program's path.
#pragma once

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

Trials try_kernel();

}  // namespace hms::os
