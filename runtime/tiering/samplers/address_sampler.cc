// See address_sampler.h.
#include "runtime/tiering/samplers/address_sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/support/os.h"
#include "runtime/support/os_sampling.h"
#include "runtime/support/os_tree.h"

namespace hms::tiering {
namespace {

// 512 records of 24 bytes and some. Unprivileged users may have half a mebibyte of rings in all.
constexpr size_t kRingBytes = 4 * os::kPageSize;
constexpr size_t kThreadsMax = 64;
constexpr double kEffortMin = 1.0 / 256;
// An interrupt and its record; assumed.
constexpr double kSampleSeconds = 1e-6;

}  // namespace

// Samples of one ring, to the units that they hit.
struct AddressSampler::Drain {
  AddressSampler* sampler;
  const std::vector<UnitView>* units;

  static void take(void* context, const os::Sample& sample) {
    auto* self = static_cast<Drain*>(context);
    const std::vector<UnitView>& units = *self->units;
    auto after = std::upper_bound(
        units.begin(), units.end(), sample.address,
        [](uintptr_t address, const UnitView& unit) { return address < unit.address; });
    if (after == units.begin()) return;
    const auto at = static_cast<size_t>(after - units.begin()) - 1;
    if (sample.address - units[at].address >= units[at].bytes) return;
    if (self->sampler->counts(units, at, sample.address)) ++self->sampler->events_[at];
  }
};

uint64_t AddressSampler::period_of(const os::SampleSource& source) const {
  return static_cast<uint64_t>(static_cast<double>(source.period) /
                               std::clamp(effort_, kEffortMin, 1.0));
}

int AddressSampler::watch(int thread) {
  Watched watched{thread, true, {}};
  for (os::SampleSource source : sources_) {
    source.period = period_of(source);
    os::SampleRing ring;
    const int r = os::open_samples(source, thread, kRingBytes, &ring);
    if (r != 0) {
      for (os::SampleRing& open : watched.rings) os::close_samples(&open);
      return r;
    }
    watched.rings.push_back(ring);
  }
  threads_.push_back(watched);
  return 0;
}

int AddressSampler::open(const std::vector<os::SampleSource>& sources) {
  close();
  sources_ = sources;
  last_ns_ = os::monotonic_ns();
  return watch(gettid());
}

void AddressSampler::close() {
  for (Watched& thread : threads_) {
    for (os::SampleRing& ring : thread.rings) os::close_samples(&ring);
  }
  threads_.clear();
}

// A thread that has no ring yet gets one. What does not fit is not watched: threads are alike more
// often than not, and the engine compares units, not threads.
void AddressSampler::follow_threads() {
  for (Watched& thread : threads_) thread.alive = false;
  auto visit = [](void* context, const char* name) {
    auto* self = static_cast<AddressSampler*>(context);
    const auto number = static_cast<int>(strtol(name, nullptr, 10));
    for (Watched& thread : self->threads_) {
      if (thread.thread != number) continue;
      thread.alive = true;
      return true;
    }
    return self->threads_.size() < kThreadsMax && (number <= 0 || self->watch(number) != -EPERM);
  };
  if (os::list_directory("/proc/self/task", visit, this) < 0) return;
  for (size_t i = 0; i < threads_.size();) {
    if (threads_[i].alive) {
      ++i;
      continue;
    }
    for (os::SampleRing& ring : threads_[i].rings) os::close_samples(&ring);
    threads_.erase(threads_.begin() + static_cast<ptrdiff_t>(i));
  }
}

void AddressSampler::collect(const std::vector<UnitView>& units, std::vector<Reading>* out) {
  out->clear();
  if (sources_.empty()) return;
  events_.assign(units.size(), 0);
  Drain drain{this, &units};
  os::SamplesRead sum;
  for (const Watched& thread : threads_) {
    for (const os::SampleRing& ring : thread.rings) {
      const os::SamplesRead read = os::read_samples(ring, Drain::take, &drain);
      sum.samples += read.samples;
      sum.lost += read.lost;
    }
  }
  taken_ += sum.samples + sum.lost;
  follow_threads();
  const int64_t now = os::monotonic_ns();
  const double all = static_cast<double>(sum.samples + sum.lost);
  const double seen = all > 0 ? static_cast<double>(sum.samples) / all : 1;
  const double exposure =
      static_cast<double>(now - last_ns_) / 1e9 * seen * std::max(effort_, kEffortMin);
  last_ns_ = now;
  for (size_t i = 0; i < units.size(); ++i) out->push_back({units[i].id, events_[i], exposure});
}

double AddressSampler::cost_s() const { return static_cast<double>(taken_) * kSampleSeconds; }

void AddressSampler::set_effort(double share) {
  effort_ = share;
  for (const Watched& thread : threads_) {
    for (size_t i = 0; i < thread.rings.size(); ++i) {
      os::set_sample_period(thread.rings[i], period_of(sources_[i]));
    }
  }
}

}  // namespace hms::tiering
