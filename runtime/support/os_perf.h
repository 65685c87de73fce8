// Kernel contact for samples with addresses: perf events of this process's threads, each with a
// ring of pages that the kernel writes records into. The rules of os.h hold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hms::os {

// What is sampled. Every record holds instruction pointer and data address, see read_samples().
struct SampleSource {
  uint32_t type = 0;  // PERF_TYPE_* or the number of a PMU in /sys/bus/event_source/devices
  uint64_t config = 0, config1 = 0;
  uint64_t period = 1;    // one sample in so many events
  bool precise = false;   // the address must be that of the instruction that is told
  bool user_only = true;  // some PMUs cannot leave the kernel out: false
};
SampleSource page_fault_source();  // the software event of page faults

struct SampleRing {
  int fd = -1;
  void* pages = nullptr;
  size_t bytes = 0;  // of the mapping; the data is what lies behind the first page
};
// thread: its number. *ring is untouched on failure.
int open_samples(const SampleSource& source, int thread, size_t data_bytes, SampleRing* ring);
int set_sample_period(const SampleRing& ring, uint64_t period);
void close_samples(SampleRing* ring);

struct Sample {
  uintptr_t instruction;
  uintptr_t address;
};
struct SamplesRead {
  uint64_t samples = 0;
  uint64_t lost = 0;  // that the kernel had no room for
};
using SampleVisitor = void (*)(void* context, const Sample& sample);
// The records from `tail` to `head` of a ring's data, whose size is a power of two. Trusts nothing:
// stops at a record that cannot be.
SamplesRead decode_samples(const char* data, size_t size, uint64_t tail, uint64_t head,
                           SampleVisitor visit, void* context);
// What has come since the last call, and makes room for more.
SamplesRead read_samples(const SampleRing& ring, SampleVisitor visit, void* context);

}  // namespace hms::os
