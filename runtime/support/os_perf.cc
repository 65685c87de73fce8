// See os_perf.h.
#include "runtime/support/os_perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_watch.h"

namespace hms::os {
namespace {

// A range of a ring, which may go over its end.
void copy_out(const char* data, size_t size, uint64_t from, void* out, size_t bytes) {
  const size_t at = from & (size - 1);
  const size_t first = std::min(bytes, size - at);
  memcpy(out, data + at, first);
  memcpy(static_cast<char*>(out) + first, data, bytes - first);
}

}  // namespace

SampleSource page_fault_source() {
  SampleSource source;
  source.type = PERF_TYPE_SOFTWARE;
  source.config = PERF_COUNT_SW_PAGE_FAULTS;
  return source;
}

int open_samples(const SampleSource& source, int thread, size_t data_bytes, SampleRing* ring) {
  perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.size = sizeof attr;
  attr.type = source.type;
  attr.config = source.config;
  attr.config1 = source.config1;
  attr.sample_period = source.period;
  attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_ADDR;
  attr.precise_ip = source.precise ? 2 : 0;
  attr.exclude_kernel = source.user_only ? 1 : 0;
  attr.exclude_hv = source.user_only ? 1 : 0;
  // Nobody waits for the ring: it is looked at now and then.
  attr.watermark = 1;
  attr.wakeup_watermark = static_cast<uint32_t>(data_bytes);
  const int fd = watched(
      static_cast<int>(syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  if (fd < 0) return -errno;
  const size_t bytes = data_bytes + kPageSize;
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (pages == MAP_FAILED) {
    const int error = errno;
    close_watched(fd);
    return -error;
  }
  *ring = {fd, pages, bytes};
  return 0;
}

int set_sample_period(const SampleRing& ring, uint64_t period) {
  return ioctl(ring.fd, PERF_EVENT_IOC_PERIOD, &period) < 0 ? -errno : 0;
}

void close_samples(SampleRing* ring) {
  if (ring->pages != nullptr) munmap(ring->pages, ring->bytes);
  if (ring->fd >= 0) close_watched(ring->fd);
  *ring = SampleRing();
}

SamplesRead decode_samples(const char* data, size_t size, uint64_t tail, uint64_t head,
                           SampleVisitor visit, void* context) {
  SamplesRead out;
  if (head - tail > size) return out;
  while (head - tail >= sizeof(perf_event_header)) {
    perf_event_header header;
    copy_out(data, size, tail, &header, sizeof header);
    if (header.size < sizeof header || header.size > head - tail) return out;
    uint64_t words[2] = {};
    if (header.size >= sizeof header + sizeof words) {
      copy_out(data, size, tail + sizeof header, words, sizeof words);
      if (header.type == PERF_RECORD_SAMPLE) {
        ++out.samples;
        visit(context, {words[0], words[1]});
      }
      if (header.type == PERF_RECORD_LOST) out.lost += words[1];  // id, then number
    }
    tail += header.size;
  }
  return out;
}

SamplesRead read_samples(const SampleRing& ring, SampleVisitor visit, void* context) {
  auto* const page = static_cast<perf_event_mmap_page*>(ring.pages);
  const uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
  const uint64_t tail = page->data_tail;
  const SamplesRead out = decode_samples(static_cast<const char*>(ring.pages) + kPageSize,
                                         ring.bytes - kPageSize, tail, head, visit, context);
  __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
  return out;
}

}  // namespace hms::os
