// See node_pages.h.
#include "runtime/hbind/node_pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

namespace hms::hbind {
namespace {

// The number after `name` in a kernel table, in kB or plain; 0 if it is not there.
uint64_t field(const char* text, const char* name) {
  const char* at = strstr(text, name);
  return at ? strtoull(at + strlen(name), nullptr, 10) : 0;
}

uint64_t file_number(const char* path, uint64_t otherwise) {
  char text[32];
  if (os::read_file(path, text, sizeof text) <= 0) return otherwise;
  return strtoull(text, nullptr, 10);
}

// What the page allocator leaves on a node before it goes to another: its low watermark, by the
// rule of mm/page_alloc.c (__setup_per_zone_wmarks): a share of min_free_kbytes, plus the larger of
// a quarter of that and watermark_scale_factor ten-thousandths of the node; while memory is
// fragmented, raised by up to watermark_boost_factor ten-thousandths of the high watermark, which
// lies twice as far above (boost_watermark). And a little for what sits in per-CPU lists.
uint64_t kept_back(uint64_t node_bytes) {
  constexpr uint64_t kSlack = uint64_t{4} << 20;
  char text[4096];
  uint64_t all = 0;
  if (os::read_file("/proc/meminfo", text, sizeof text) > 0) all = field(text, "MemTotal:") * 1024;
  if (all == 0) return node_bytes / 64 + kSlack;
  uint64_t min_free = file_number("/proc/sys/vm/min_free_kbytes", 65536) * 1024;
  uint64_t scale = file_number("/proc/sys/vm/watermark_scale_factor", 10);
  uint64_t boost = file_number("/proc/sys/vm/watermark_boost_factor", 15000);
  double share = std::min(1.0, static_cast<double>(node_bytes) / static_cast<double>(all));
  auto min = static_cast<uint64_t>(static_cast<double>(min_free) * share);
  const uint64_t step = std::max(min / 4, node_bytes / 10000 * scale);
  const uint64_t high = min + 2 * step;
  return std::max(high, min + step + high / 10000 * boost) + kSlack;
}

}  // namespace

hms_status status_of(int negative_errno) {
  switch (-negative_errno) {
    case 0:
      return HMS_OK;
    case EPERM:
    case EACCES:
      return HMS_EPERM;
    case ENOMEM:
      return HMS_ENOMEM;
    case ENODEV:
    case EINVAL:  // the node is not there, has no memory, or the cpuset excludes it: mbind(2)
      return HMS_ENODEV;
    case ENOSYS:
      return HMS_ENOSYS;
    default:
      return HMS_EIO;
  }
}

uint64_t node_room(int node, bool reclaimable) {
  char path[64];
  char text[4096];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
  if (os::read_file(path, text, sizeof text) <= 0) {
    // No /sys, one node: the whole machine.
    if (node != 0 || os::read_file("/proc/meminfo", text, sizeof text) <= 0) return 0;
  }
  uint64_t room = field(text, "MemFree:") * 1024;
  if (reclaimable) room += field(text, "Inactive(file):") * 1024;
  uint64_t kept = kept_back(field(text, "MemTotal:") * 1024);
  return room > kept ? (room - kept) / os::kPageSize * os::kPageSize : 0;
}

int prefer(PageSpan span, const os::NodeMask& nodes, bool several) {
  if (several) {
    int r = os::set_range_policy(span.address(), span.bytes(), os::Policy::kPreferredMany, nodes);
    if (r != -EINVAL) return r;
    // Before Linux 5.15 there is no PREFERRED_MANY; PREFERRED takes the first node of the mask.
  }
  return os::set_range_policy(span.address(), span.bytes(), os::Policy::kPreferred, nodes);
}

int clear_policy(PageSpan span) {
  return os::set_range_policy(span.address(), span.bytes(), os::Policy::kDefault, os::NodeMask{});
}

int locate(Batch* batch) {
  void* addresses[kBatchPages];
  for (size_t i = 0; i < batch->count; ++i) {
    addresses[i] = PageSpan{batch->pages[i], batch->pages[i] + 1}.address();
  }
  int r = os::query_pages(0, batch->count, addresses, batch->node);
  return r < 0 ? r : 0;
}

hms_status move_to_node(const Batch& batch, int node, bool* done) {
  void* addresses[kBatchPages];
  int nodes[kBatchPages];
  int status[kBatchPages];
  size_t index[kBatchPages];
  size_t pending = batch.count;
  for (size_t i = 0; i < pending; ++i) index[i] = i;
  // After ENOMEM part of the pages may have moved, and splitting a huge page may let more of them
  // fit: go on as long as that brings something.
  for (;;) {
    for (size_t i = 0; i < pending; ++i) {
      Page page = batch.pages[index[i]];
      addresses[i] = PageSpan{page, page + 1}.address();
      nodes[i] = node;
    }
    int r = os::move_pages(pending, addresses, nodes, status);
    if (r < 0 && r != -ENOMEM) return status_of(r);
    // The statuses of the move itself are not the truth: pages of one huge page report EBUSY and
    // move with it, and after an error entries stay unwritten.
    int asked = os::query_pages(0, pending, addresses, status);
    if (asked < 0) return status_of(asked);
    size_t left = 0;
    for (size_t i = 0; i < pending; ++i) {
      // Less than zero: it is no longer there, or has become the zero page when a huge page of
      // which it was an unused part was broken up (Linux 6.12); so nothing of it is elsewhere.
      if (status[i] == node || status[i] < 0) {
        done[index[i]] = true;
      } else {
        index[left++] = index[i];
      }
    }
    bool progress = left < pending;
    pending = left;
    if (r != -ENOMEM || pending == 0) return HMS_OK;
    if (!progress) return HMS_ENOMEM;
  }
}

}  // namespace hms::hbind
