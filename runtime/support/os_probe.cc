// Trials of kernel calls: see os_probe.h.
#include "runtime/support/os_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/support/os.h"

namespace hms::os {
namespace {

int negative_errno(long r) { return r < 0 ? -errno : 0; }

// One writable page for the trials, given back at the end.
class Page {
 public:
  Page() {
    if (reserve(nullptr, kPageSize, &address_) == 0 && commit(address_, kPageSize) != 0) {
      unmap(address_, kPageSize);
      address_ = nullptr;
    }
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() {
    if (address_ != nullptr) unmap(address_, kPageSize);
  }
  void* address() const { return address_; }
  void touch() { *static_cast<volatile char*>(address_) = 1; }

 private:
  void* address_ = nullptr;
};

// Reads the policy of this thread and sets the same again.
void try_thread_policy(Trials* out) {
  int mode = 0;
  NodeMask nodes;
  out->get_mempolicy =
      negative_errno(syscall(SYS_get_mempolicy, &mode, nodes.words, kMaxNodes, nullptr, 0UL));
  if (out->get_mempolicy != 0) mode = 0;  // MPOL_DEFAULT, which takes no nodes
  out->set_mempolicy =
      negative_errno(mode == 0 ? syscall(SYS_set_mempolicy, mode, nullptr, 0UL)
                               : syscall(SYS_set_mempolicy, mode, nodes.words, kMaxNodes));
}

int try_range_policy(Policy policy) {
  NodeMask allowed;
  if (allowed_nodes(&allowed) < 0) allowed.set(0);
  if (policy == Policy::kPreferred) {
    // One node only: the first that is allowed.
    NodeMask first;
    for (int node = 0; node < kMaxNodes; ++node) {
      if (!allowed.test(node)) continue;
      first.set(node);
      break;
    }
    allowed = first;
  }
  Page page;
  if (page.address() == nullptr) return -ENOMEM;
  return set_range_policy(page.address(), kPageSize, policy, allowed);
}

// Asks where a page is and moves it to where it is.
int try_move_pages() {
  Page page;
  if (page.address() == nullptr) return -ENOMEM;
  page.touch();
  void* const pages[] = {page.address()};
  int status[] = {-ENOENT};
  int r = query_pages(0, 1, pages, status);
  if (r < 0 || status[0] < 0) return r < 0 ? r : status[0];
  const int nodes[] = {status[0]};
  r = os::move_pages(1, pages, nodes, status);
  return r < 0 ? r : (status[0] < 0 ? status[0] : 0);
}

int try_populate() {
  Page page;
  return page.address() == nullptr ? -ENOMEM : os::populate(page.address(), kPageSize);
}

int try_perf(uint32_t type, uint64_t config) {
  perf_event_attr attr = {};
  attr.size = sizeof attr;
  attr.type = type;
  attr.config = config;
  attr.disabled = 1;
  attr.exclude_kernel = 1;
  attr.exclude_hv = 1;
  long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) return -errno;
  close(static_cast<int>(fd));
  return 0;
}

int try_userfaultfd(uint64_t* features) {
  long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (fd < 0) return -errno;
  uffdio_api api = {};
  api.api = UFFD_API;
  int r = negative_errno(ioctl(static_cast<int>(fd), UFFDIO_API, &api));
  if (r == 0) *features = api.features;
  close(static_cast<int>(fd));
  return r;
}

int try_pagemap_scan() {
  Page page;
  if (page.address() == nullptr) return -ENOMEM;
  page.touch();
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  uint64_t region[3] = {};
  PagemapScan scan;
  scan.start = reinterpret_cast<uintptr_t>(page.address());
  scan.end = scan.start + kPageSize;
  scan.regions = reinterpret_cast<uintptr_t>(region);
  scan.region_count = 1;
  scan.category_anyof_mask = kScanPageIsPresent;
  scan.return_mask = kScanPageIsPresent;
  int r = negative_errno(ioctl(fd, kPagemapScan, &scan));
  close(fd);
  return r;
}

}  // namespace

Trials try_kernel() {
  Trials out;
  try_thread_policy(&out);
  out.mbind = try_range_policy(Policy::kPreferred);
  out.preferred_many = try_range_policy(Policy::kPreferredMany);
  out.weighted_interleave = try_range_policy(Policy::kWeightedInterleave);
  out.move_pages = try_move_pages();
  out.populate = try_populate();
  out.perf_software = try_perf(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);
  out.perf_hardware = try_perf(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
  out.userfaultfd = try_userfaultfd(&out.userfaultfd_features);
  out.pagemap_scan = try_pagemap_scan();
  return out;
}

}  // namespace hms::os
