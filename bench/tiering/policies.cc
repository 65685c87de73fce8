// See policies.h.
#include "bench/tiering/policies.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/tiering/zipf.h"

namespace hms::bench::tiering {
namespace {

class AllSlow : public Policy {
 public:
  const char* name() const override { return "all-slow"; }
  void born(uint32_t, const Object&, FastMemory*) override {}
};

class FirstTouch : public Policy {
 public:
  const char* name() const override { return "first-touch"; }
  void born(uint32_t page, const Object&, FastMemory* fast) override { fast->add(page); }
};

// Pages by turns, in the proportion of the memories.
class Interleave : public Policy {
 public:
  explicit Interleave(double share) : share_(share) {}
  const char* name() const override { return "interleave"; }
  void born(uint32_t page, const Object&, FastMemory* fast) override {
    owed_ += share_;
    if (owed_ < 1) return;
    owed_ -= 1;
    fast->add(page);
  }

 private:
  double share_, owed_ = 0;
};

// Small allocations are fast, with the threshold that just fills the room: what memtier's dynamic
// threshold aims at, here known from the start.
class SizeThreshold : public Policy {
 public:
  SizeThreshold(const Trace& trace, uint64_t fast_bytes) {
    std::vector<uint64_t> sizes;
    for (const Object& object : trace.objects) {
      if (object.birth <= trace.epochs.back().end && object.death == kNever)
        sizes.push_back(object.bytes);
    }
    if (sizes.empty()) {
      for (const Object& object : trace.objects) sizes.push_back(object.bytes);
    }
    std::sort(sizes.begin(), sizes.end());
    uint64_t sum = 0;
    for (uint64_t bytes : sizes) {
      if ((sum += bytes) > fast_bytes) break;
      limit_ = bytes;
    }
  }
  const char* name() const override { return "size-threshold"; }
  void born(uint32_t page, const Object& object, FastMemory* fast) override {
    if (object.bytes <= limit_) fast->add(page);
  }

 private:
  uint64_t limit_ = 0;
};

void make_room(uint64_t wanted, std::vector<uint32_t>* victims, FastMemory* fast) {
  while (fast->free() < wanted && !victims->empty()) {
    fast->remove(victims->back());
    victims->pop_back();
  }
}

// After HeMem (Raybuck et al., SOSP 2021): a page is hot from 8 sampled loads or 4 sampled stores
// on; when a page reaches 18, all are halved. Hot pages go up, cold ones make room.
class HotThreshold : public Policy {
 public:
  explicit HotThreshold(uint32_t pages) : reads_(pages), writes_(pages) {}
  const char* name() const override { return "hemem-like"; }
  void born(uint32_t page, const Object&, FastMemory* fast) override { fast->add(page); }
  void epoch(const std::vector<Sample>& samples, FastMemory* fast) override {
    bool cool = false;
    for (const Sample& sample : samples) {
      reads_[sample.page] += sample.reads;
      writes_[sample.page] += sample.writes;
      cool |= reads_[sample.page] + writes_[sample.page] >= kCooling;
    }
    std::vector<uint32_t> rising, victims;
    for (uint32_t page = 0; page < reads_.size(); ++page) {
      bool hot = reads_[page] >= kHotReads || writes_[page] >= kHotWrites;
      if (hot && !fast->has(page)) rising.push_back(page);
      if (!hot && fast->has(page)) victims.push_back(page);
    }
    make_room(rising.size(), &victims, fast);
    for (uint32_t page : rising) fast->add(page);
    if (!cool) return;
    for (uint32_t page = 0; page < reads_.size(); ++page) {
      reads_[page] /= 2;
      writes_[page] /= 2;
    }
  }

 private:
  static constexpr uint32_t kHotReads = 8, kHotWrites = 4, kCooling = 18;
  std::vector<uint32_t> reads_, writes_;
};

// After Memtis (Lee et al., SOSP 2023): a histogram of powers of two of decayed sample counts; the
// threshold of hot is the bin down to which everything fits into the room; pages one bin lower are
// warm, and make room last.
class Histogram : public Policy {
 public:
  explicit Histogram(uint32_t pages) : heat_(pages) {}
  const char* name() const override { return "memtis-like"; }
  void born(uint32_t page, const Object&, FastMemory* fast) override { fast->add(page); }
  void epoch(const std::vector<Sample>& samples, FastMemory* fast) override {
    for (const Sample& sample : samples) heat_[sample.page] += sample.reads + sample.writes;
    uint64_t bins[kBins] = {};
    for (double heat : heat_) ++bins[bin(heat)];
    unsigned hot = kBins;
    for (uint64_t sum = 0; hot > 1 && (sum += bins[hot - 1]) <= fast->room();) --hot;
    std::vector<uint32_t> rising, warm, cold;
    for (uint32_t page = 0; page < heat_.size(); ++page) {
      unsigned in = bin(heat_[page]);
      if (in >= hot && !fast->has(page)) rising.push_back(page);
      if (in < hot && fast->has(page)) (in + 1 < hot ? cold : warm).push_back(page);
    }
    make_room(rising.size(), &cold, fast);
    make_room(rising.size(), &warm, fast);
    for (uint32_t page : rising) fast->add(page);
    if (++epochs_ % kCoolEvery == 0) {
      for (double& heat : heat_) heat /= 2;
    }
  }

 private:
  static constexpr unsigned kBins = 16, kCoolEvery = 4;
  static unsigned bin(double heat) {
    return heat < 1 ? 0 : std::min(kBins - 1, 1 + static_cast<unsigned>(std::log2(heat)));
  }
  std::vector<double> heat_;
  uint64_t epochs_ = 0;
};

// The accesses of one epoch, by page, thinned to one sample in `rate`.
class Sampler {
 public:
  Sampler(uint32_t pages, uint64_t rate) : slot_(pages, kNone), thin_(rate) {}
  void add(uint32_t page, const Heat& heat) {
    uint32_t reads = thin_(heat.reads), writes = thin_(heat.writes);
    if (reads + writes == 0) return;
    if (slot_[page] == kNone) {
      slot_[page] = static_cast<uint32_t>(samples_.size());
      samples_.push_back(Sample{page, 0, 0});
    }
    samples_[slot_[page]].reads += reads;
    samples_[slot_[page]].writes += writes;
  }
  std::vector<Sample> take() {
    for (const Sample& sample : samples_) slot_[sample.page] = kNone;
    return std::exchange(samples_, {});
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> slot_;
  std::vector<Sample> samples_;
  Thinner thin_;
};

}  // namespace

uint32_t Thinner::operator()(uint32_t count) {
  uint32_t drawn = 0;
  while (gap_ < count) {
    count -= gap_ + 1;
    gap_ = static_cast<uint32_t>(-std::log(1 - random_.unit()) * static_cast<double>(rate_));
    ++drawn;
  }
  gap_ -= count;
  return drawn;
}

std::vector<std::unique_ptr<Policy>> baselines(const Trace& trace, const Layout& layout,
                                               uint64_t fast_bytes) {
  std::vector<std::unique_ptr<Policy>> out;
  double share = static_cast<double>(fast_bytes / layout.page_bytes) / std::max(layout.pages, 1u);
  out.push_back(std::make_unique<AllSlow>());
  out.push_back(std::make_unique<FirstTouch>());
  out.push_back(std::make_unique<Interleave>(std::min(share, 1.0)));
  out.push_back(std::make_unique<SizeThreshold>(trace, fast_bytes));
  out.push_back(std::make_unique<HotThreshold>(layout.pages));
  out.push_back(std::make_unique<Histogram>(layout.pages));
  return out;
}

Replay replay(const Trace& trace, const Layout& layout, uint64_t fast_bytes, uint64_t rate,
              Policy* policy) {
  Replay out;
  FastMemory fast(layout.pages, fast_bytes / layout.page_bytes);
  Sampler sampler(layout.pages, rate);
  std::vector<bool> was(layout.pages);
  uint64_t heat = 0, hits = 0, accesses = 0, late_hits = 0, late_accesses = 0;
  size_t object = 0;
  uint32_t born = 0;
  uint64_t judged = trace.epochs.size() - trace.warm_epochs;
  for (uint64_t epoch = 0; epoch < trace.epochs.size(); ++epoch) {
    for (; object < trace.objects.size() && trace.objects[object].birth < trace.epochs[epoch].end;
         ++object) {
      const Object& now = trace.objects[object];
      for (uint64_t i = 0; i < pieces_of(now); ++i) {
        uint32_t page = layout.page_of[now.first_piece + i];
        if (page < born) continue;
        born = page + 1;
        policy->born(page, now, &fast);
      }
    }
    uint64_t epoch_hits = 0, epoch_accesses = 0;
    for (; heat < trace.epochs[epoch].heat_end; ++heat) {
      const Heat& entry = trace.heat[heat];
      uint32_t page = layout.page_of[entry.piece];
      uint64_t count = uint64_t{entry.reads} + entry.writes;
      epoch_accesses += count;
      epoch_hits += fast.has(page) ? count : 0;
      sampler.add(page, entry);
    }
    if (epoch >= trace.warm_epochs) {
      bool late = (epoch - trace.warm_epochs) * 4 >= judged * 3;
      hits += epoch_hits;
      accesses += epoch_accesses;
      late_hits += late ? epoch_hits : 0;
      late_accesses += late ? epoch_accesses : 0;
      out.by_epoch.push_back(epoch_accesses ? static_cast<double>(epoch_hits) /
                                                  static_cast<double>(epoch_accesses)
                                            : 0);
    }
    for (uint32_t page = 0; page < layout.pages; ++page) was[page] = fast.has(page);
    policy->epoch(sampler.take(), &fast);
    for (uint32_t page = 0; epoch >= trace.warm_epochs && page < layout.pages; ++page) {
      out.moved += fast.has(page) && !was[page];
    }
  }
  out.hits = accesses ? static_cast<double>(hits) / static_cast<double>(accesses) : 0;
  out.last_hits =
      late_accesses ? static_cast<double>(late_hits) / static_cast<double>(late_accesses) : 0;
  return out;
}

}  // namespace hms::bench::tiering
