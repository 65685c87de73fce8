// See steer.h.
#include "bench/tiering/steer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "bench/tiering/heap.h"
#include "bench/tiering/lives.h"
#include "bench/tiering/policies.h"

namespace hms::bench::tiering {
namespace {

// Bits are cleared, and read after that share of the time between steps.
constexpr double kBitWindow = 0.01;
constexpr double kReached = 0.95;

// The accesses of an epoch by page, and what is seen of them.
class TraceSampler : public engine::Sampler {
 public:
  TraceSampler(ProductHeap& heap, const SteerOptions& options)
      : heap_(heap), options_(options), thin_(options.rate) {}
  const char* name() const override { return "trace"; }
  engine::Sight sight() const override {
    bool samples = options_.seeing == Seeing::kSamples;
    return {options_.seeing != Seeing::kWrites, true,
            samples ? static_cast<double>(options_.rate) : 1};
  }
  Status start() override { return {}; }
  void stop() override {}
  void set_effort(double) override {}

  void add(uint32_t page, const Heat& heat) {
    if (page >= counts_.size()) counts_.resize(page + 1);
    counts_[page] += options_.seeing == Seeing::kSamples ? thin_(heat.reads) + thin_(heat.writes)
                     : options_.seeing == Seeing::kBits  ? heat.reads + heat.writes
                                                         : heat.writes;
  }
  void collect(const std::vector<engine::UnitView>& units,
               std::vector<engine::Reading>* out) override {
    bool samples = options_.seeing == Seeing::kSamples;
    double exposure = options_.epoch_s * (samples ? 1 : kBitWindow);
    out->clear();
    for (const engine::UnitView& unit : units) out->push_back({unit.id, 0, exposure});
    for (uint32_t page = 0; page < counts_.size(); ++page) {
      if (counts_[page] == 0) continue;
      bool touched = random_.unit() < -std::expm1(-kBitWindow * counts_[page]);
      (*out)[heap_.listed(page)].events += samples ? counts_[page] : touched;
      counts_[page] = 0;
    }
  }

 private:
  ProductHeap& heap_;
  const SteerOptions& options_;
  Thinner thin_;
  Random random_{33};
  std::vector<uint32_t> counts_;
};

struct EpochResult {
  uint64_t accesses = 0, hits = 0, promoted = 0;
  std::vector<bool> near;  // pages, before the epoch; only where a phase begins
};

struct Ratio {
  uint64_t part = 0, whole = 0;
  double value() const {
    return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  }
};

Ratio hits_of(const std::vector<EpochResult>& epochs, size_t begin, size_t end) {
  Ratio out;
  for (size_t i = begin; i < end; ++i) {
    out.part += epochs[i].hits;
    out.whole += epochs[i].accesses;
  }
  return out;
}

// Accesses of a range of epochs by page.
std::vector<uint64_t> heat_of(const Trace& trace, const Layout& layout, size_t begin, size_t end) {
  std::vector<uint64_t> heat(layout.pages);
  for (uint64_t i = begin ? trace.epochs[begin - 1].heat_end : 0;
       i < trace.epochs[end - 1].heat_end; ++i)
    heat[layout.page_of[trace.heat[i].piece]] +=
        uint64_t{trace.heat[i].reads} + trace.heat[i].writes;
  return heat;
}

// The pages that it is best to have near, hottest first.
std::vector<uint32_t> best_pages(const std::vector<uint64_t>& heat, uint64_t room) {
  std::vector<uint32_t> pages(heat.size());
  std::iota(pages.begin(), pages.end(), 0);
  std::stable_sort(pages.begin(), pages.end(),
                   [&](uint32_t a, uint32_t b) { return heat[a] > heat[b]; });
  if (pages.size() > room) pages.resize(room);
  return pages;
}

double best_ratio(const std::vector<uint64_t>& heat, uint64_t room) {
  Ratio out;
  for (uint32_t page : best_pages(heat, room)) out.part += heat[page];
  out.whole = std::accumulate(heat.begin(), heat.end(), uint64_t{0});
  return out.value();
}

// Near memory goes to the hottest classes first; which pages of one are the hot ones nobody knows
// when they are born, so a class that does not fit has the share of its accesses that it has room.
double best_births(const std::vector<uint64_t>& heat, const std::vector<engine::ClassId>& classes,
                   uint64_t room) {
  struct Sum {
    uint64_t heat = 0, pages = 0;
  };
  std::map<engine::ClassId, Sum> by_class;
  for (size_t page = 0; page < heat.size(); ++page) {
    by_class[classes[page]].heat += heat[page];
    ++by_class[classes[page]].pages;
  }
  std::vector<Sum> sums;
  for (const auto& [id, sum] : by_class) sums.push_back(sum);
  std::sort(sums.begin(), sums.end(),
            [](const Sum& a, const Sum& b) { return a.heat * b.pages > b.heat * a.pages; });
  double near = 0, all = 0;
  for (const Sum& sum : sums) {
    uint64_t fits = std::min(room, sum.pages);
    room -= fits;
    all += static_cast<double>(sum.heat);
    near +=
        static_cast<double>(sum.heat) * static_cast<double>(fits) / static_cast<double>(sum.pages);
  }
  return all > 0 ? near / all : 0;
}

PhaseResult judge_phase(const Trace& trace, const Layout& layout, const SteerOptions& options,
                        const std::vector<EpochResult>& epochs, size_t begin, size_t end) {
  PhaseResult out;
  uint64_t room = options.heap.near_bytes / kPage;
  std::vector<uint64_t> heat = heat_of(trace, layout, begin, end);
  out.best = best_ratio(heat, room);
  out.hits = hits_of(epochs, begin, end).value();
  const std::vector<bool>& near = epochs[begin].near;
  for (uint32_t page : best_pages(heat, room))
    out.minimum += heat[page] > 0 && !(page < near.size() && near[page]) ? kPage : 0;
  auto second = static_cast<size_t>(std::max(1.0, std::round(1 / options.epoch_s)));
  for (size_t i = begin; i < end; ++i) {
    out.moved += epochs[i].promoted;
    size_t stay = std::min(i + second, end);
    if (out.reach_s < 0 && hits_of(epochs, i, stay).value() >= kReached * out.best)
      out.reach_s = static_cast<double>(i - begin) * options.epoch_s;
  }
  return out;
}

void judge(const Trace& trace, const Layout& layout, const SteerOptions& options,
           const std::vector<EpochResult>& epochs, Steered* out) {
  size_t begin = trace.warm_epochs, end = epochs.size(),
         last = end - std::max<size_t>((end - begin) / 4, 1);
  auto second = static_cast<size_t>(std::max(1.0, std::round(1 / options.epoch_s)));
  uint64_t room = options.heap.near_bytes / kPage;
  out->hits = hits_of(epochs, begin, end).value();
  out->last_hits = hits_of(epochs, last, end).value();
  out->first_hits = hits_of(epochs, begin, std::min(begin + second, end)).value();
  out->oracle = best_ratio(heat_of(trace, layout, begin, end), room);
  out->last_oracle = best_ratio(heat_of(trace, layout, last, end), room);
  for (size_t i = begin; i < end; ++i) out->by_epoch.push_back(hits_of(epochs, i, i + 1).value());
  uint64_t late = 0;
  for (size_t i = last; i < end; ++i) late += epochs[i].promoted;
  out->churn = static_cast<double>(late) / (static_cast<double>(end - last) * options.epoch_s) /
               static_cast<double>(options.heap.near_bytes);
  for (size_t from = begin; from < end;) {
    size_t to = from;
    while (to < end && trace.epochs[to].phase == trace.epochs[from].phase) ++to;
    out->phases.push_back(judge_phase(trace, layout, options, epochs, from, to));
    from = to;
  }
}

}  // namespace

Steered steer(const Trace& trace, const SteerOptions& options) {
  ProductHeap heap(trace, options.heap);
  TraceSampler sampler(heap, options);
  engine::Engine steering(heap, sampler, options.engine);
  Lives lives(trace, heap);
  std::vector<EpochResult> epochs(trace.epochs.size());
  uint64_t entry = 0, promoted = 0, demoted = 0;
  Steered out;
  for (size_t i = 0; i < epochs.size(); ++i) {
    EpochResult& epoch = epochs[i];
    lives.until(trace.epochs[i].end);
    bool judged = i >= trace.warm_epochs;
    if (judged && (i == trace.warm_epochs || trace.epochs[i].phase != trace.epochs[i - 1].phase))
      epoch.near = heap.near_pages();
    for (; entry < trace.epochs[i].heat_end; ++entry) {
      const Heat& heat = trace.heat[entry];
      uint64_t count = uint64_t{heat.reads} + heat.writes;
      epoch.accesses += count;
      epoch.hits += heap.near(heat.piece) ? count : 0;
      sampler.add(heap.page(heat.piece), heat);
    }
    promoted = heap.moved_pages(engine::Side::kNear);
    demoted = heap.moved_pages(engine::Side::kFar);
    if (options.steps) steering.step(static_cast<double>(i + 1) * options.epoch_s);
    epoch.promoted = (heap.moved_pages(engine::Side::kNear) - promoted) * kPage;
    if (judged) {
      out.promoted += epoch.promoted;
      out.demoted += (heap.moved_pages(engine::Side::kFar) - demoted) * kPage;
    }
  }
  judge(trace, heap.layout(), options, epochs, &out);
  out.births = best_births(heat_of(trace, heap.layout(), trace.warm_epochs, epochs.size()),
                           heap.classes_of_pages(), options.heap.near_bytes / kPage);
  const engine::Report& report = steering.report();
  out.share_seen = report.hit_ratio;
  out.parts = report.parts;
  out.classes = static_cast<unsigned>(report.classes.size());
  out.why = report.why;
  return out;
}

}  // namespace hms::bench::tiering
