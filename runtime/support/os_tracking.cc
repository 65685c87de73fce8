// See os_tracking.h. The numbers are those of include/uapi/linux/userfaultfd.h and fs.h of Linux
// 6.7; Debian 12's headers are older.
#include "runtime/support/os_tracking.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/support/os_probe.h"
#include "runtime/support/os_watch.h"

namespace hms::os {
namespace {

constexpr uint64_t kWriteProtectUnpopulated = uint64_t{1} << 13;

constexpr uint64_t kScanProtectMatching = 1 << 0;
constexpr uint64_t kScanCheckAsync = 1 << 1;
constexpr uint64_t kPageIsWritten = 1 << 1;

struct Region {
  uint64_t begin, end, categories;
};
constexpr size_t kRegions = 64;

int answer(long r) { return r < 0 ? -errno : static_cast<int>(r); }

uint64_t address_of(const void* addr) { return reinterpret_cast<uintptr_t>(addr); }

int protect(const WriteTracker& tracker, void* addr, size_t bytes) {
  uffdio_writeprotect request = {};
  request.range.start = address_of(addr);
  request.range.len = bytes;
  request.mode = UFFDIO_WRITEPROTECT_MODE_WP;
  return answer(ioctl(tracker.faults, UFFDIO_WRITEPROTECT, &request));
}

}  // namespace

int open_write_tracker(WriteTracker* tracker) {
  const int faults = watched(
      static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (faults < 0) return -errno;
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | kWriteProtectUnpopulated | kUffdWriteProtectAsync;
  int r = answer(ioctl(faults, UFFDIO_API, &api));
  const int pages = r < 0 ? -1 : watched(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (r >= 0 && pages < 0) r = -errno;
  if (r < 0) {
    close_watched(faults);
    return r;
  }
  *tracker = {faults, pages};
  return 0;
}

void close_write_tracker(WriteTracker* tracker) {
  if (tracker->faults >= 0) close_watched(tracker->faults);
  if (tracker->pages >= 0) close_watched(tracker->pages);
  *tracker = WriteTracker();
}

int track_writes(const WriteTracker& tracker, void* addr, size_t bytes) {
  uffdio_register request = {};
  request.range.start = address_of(addr);
  request.range.len = bytes;
  request.mode = UFFDIO_REGISTER_MODE_WP;
  const int r = answer(ioctl(tracker.faults, UFFDIO_REGISTER, &request));
  if (r < 0) return r;
  const int protected_now = protect(tracker, addr, bytes);
  if (protected_now < 0) stop_tracking(tracker, addr, bytes);
  return protected_now;
}

int stop_tracking(const WriteTracker& tracker, void* addr, size_t bytes) {
  uffdio_range range = {address_of(addr), bytes};
  return answer(ioctl(tracker.faults, UFFDIO_UNREGISTER, &range));
}

int take_written(const WriteTracker& tracker, void* addr, size_t bytes, uint64_t* written) {
  Region regions[kRegions];
  PagemapScan scan;
  scan.flags = kScanProtectMatching | kScanCheckAsync;
  scan.start = address_of(addr);
  scan.end = scan.start + bytes;
  scan.regions = reinterpret_cast<uintptr_t>(regions);
  scan.region_count = kRegions;
  scan.category_mask = kPageIsWritten | kScanPageIsPresent;
  scan.return_mask = kPageIsWritten;
  *written = 0;
  while (scan.start < scan.end) {
    const int n = answer(ioctl(tracker.pages, kPagemapScan, &scan));
    if (n < 0) return n;
    for (int i = 0; i < n; ++i) *written += regions[i].end - regions[i].begin;
    if (scan.walk_end <= scan.start) return -EIO;
    scan.start = scan.walk_end;
  }
  return 0;
}

}  // namespace hms::os
