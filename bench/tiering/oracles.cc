// See oracles.h.
#include "bench/tiering/oracles.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>

namespace hms::bench::tiering {
namespace {

uint64_t heat_begin(const Trace& trace, uint64_t epoch) {
  return epoch == 0 ? 0 : trace.epochs[epoch - 1].heat_end;
}
uint64_t epoch_begin(const Trace& trace, uint64_t epoch) {
  return epoch == 0 ? 0 : trace.epochs[epoch - 1].end;
}
uint64_t total(const Heat& heat) { return uint64_t{heat.reads} + heat.writes; }

// Ticks of the judged time that an object lived.
uint64_t lived(const Trace& trace, const Object& object) {
  uint64_t begin = std::max(object.birth, epoch_begin(trace, trace.warm_epochs));
  uint64_t end = std::min(object.death, trace.epochs.back().end);
  return end > begin ? end - begin : 0;
}

std::vector<uint64_t> piece_heat(const Trace& trace) {
  std::vector<uint64_t> heat(trace.pieces());
  for (uint64_t i = heat_begin(trace, trace.warm_epochs); i < trace.heat.size(); ++i) {
    heat[trace.heat[i].piece] += total(trace.heat[i]);
  }
  return heat;
}

double share(double part, uint64_t whole) { return whole ? part / static_cast<double>(whole) : 0; }

// Accesses of one page in one epoch, page by page.
struct Visit {
  uint32_t epoch;
  uint32_t count;
};
struct Visits {
  std::vector<uint64_t> begin;  // by page, one more at the end
  std::vector<Visit> list;
};

Visits visits_by_page(const Trace& trace, const Layout& layout) {
  Visits visits;
  visits.begin.assign(layout.pages + 1, 0);
  std::vector<uint32_t> seen(layout.pages, ~uint32_t{0});
  auto each = [&](auto&& body) {
    std::fill(seen.begin(), seen.end(), ~uint32_t{0});
    for (uint64_t epoch = trace.warm_epochs; epoch < trace.epochs.size(); ++epoch) {
      for (uint64_t i = heat_begin(trace, epoch); i < trace.epochs[epoch].heat_end; ++i) {
        uint32_t page = layout.page_of[trace.heat[i].piece];
        bool first = seen[page] != epoch;
        seen[page] = static_cast<uint32_t>(epoch);
        body(page, static_cast<uint32_t>(epoch - trace.warm_epochs), first, total(trace.heat[i]));
      }
    }
  };
  each([&](uint32_t page, uint32_t, bool first, uint64_t) { visits.begin[page + 1] += first; });
  std::partial_sum(visits.begin.begin(), visits.begin.end(), visits.begin.begin());
  visits.list.resize(visits.begin.back());
  std::vector<uint64_t> next(visits.begin.begin(), visits.begin.end() - 1);
  each([&](uint32_t page, uint32_t epoch, bool first, uint64_t count) {
    if (first) visits.list[next[page]++] = Visit{epoch, 0};
    visits.list[next[page] - 1].count += static_cast<uint32_t>(count);
  });
  return visits;
}

// For given prices of a fast page in each epoch, the best choice for every page alone.
class Pricing {
 public:
  Pricing(const Visits& visits, uint32_t pages, uint64_t epochs, double move_cost)
      : visits_(visits),
        pages_(pages),
        epochs_(epochs),
        move_cost_(move_cost),
        dense_(epochs),
        went_(epochs) {}

  struct Outcome {
    double value = 0;  // hits less costs of moves, before prices
    double paid = 0;   // prices
    double hits = 0;
    uint64_t moved = 0;
    std::vector<double> used;  // fast pages, by epoch
  };

  Outcome choose(const std::vector<double>& prices) {
    Outcome out;
    out.used.assign(epochs_, 0);
    for (uint32_t page = 0; page < pages_; ++page) {
      if (visits_.begin[page] != visits_.begin[page + 1]) choose_page(page, prices, &out);
    }
    return out;
  }

 private:
  // Two states, slow and fast; going to fast costs a move. The first choice is free: a page can be
  // placed at its birth.
  void choose_page(uint32_t page, const std::vector<double>& prices, Outcome* out) {
    std::fill(dense_.begin(), dense_.end(), 0.0);
    for (uint64_t i = visits_.begin[page]; i < visits_.begin[page + 1]; ++i) {
      dense_[visits_.list[i].epoch] = visits_.list[i].count;
    }
    double slow = 0, fast = 0;
    for (uint64_t e = 0; e < epochs_; ++e) {
      bool rises = e > 0 && slow - move_cost_ > fast, falls = e > 0 && fast > slow;
      double was_slow = slow;
      if (falls) slow = fast;
      if (rises) fast = was_slow - move_cost_;
      went_[e] = static_cast<char>((rises ? 1 : 0) | (falls ? 2 : 0));
      fast += dense_[e] - prices[e];
    }
    bool in_fast = fast > slow;
    for (uint64_t e = epochs_; e-- > 0;) {
      if (in_fast) {
        out->used[e] += 1;
        out->hits += dense_[e];
        out->paid += prices[e];
        if (went_[e] & 1) {
          ++out->moved;
          in_fast = false;
        }
      } else if (went_[e] & 2) {
        in_fast = true;
      }
    }
  }

  const Visits& visits_;
  uint32_t pages_;
  uint64_t epochs_;
  double move_cost_;
  std::vector<double> dense_;
  std::vector<char> went_;
};

}  // namespace

std::vector<uint64_t> page_heat(const Trace& trace, const Layout& layout) {
  std::vector<uint64_t> heat(layout.pages);
  for (uint64_t i = heat_begin(trace, trace.warm_epochs); i < trace.heat.size(); ++i) {
    heat[layout.page_of[trace.heat[i].piece]] += total(trace.heat[i]);
  }
  return heat;
}

uint64_t judged_accesses(const Trace& trace) {
  uint64_t sum = 0;
  for (uint64_t i = heat_begin(trace, trace.warm_epochs); i < trace.heat.size(); ++i)
    sum += total(trace.heat[i]);
  return sum;
}

uint64_t peak_live_bytes(const Trace& trace) {
  std::vector<std::pair<uint64_t, int64_t>> steps;
  for (const Object& object : trace.objects) {
    steps.emplace_back(object.birth, static_cast<int64_t>(object.bytes));
    if (object.death != kNever)
      steps.emplace_back(object.death, -static_cast<int64_t>(object.bytes));
  }
  std::sort(steps.begin(), steps.end());
  int64_t live = 0, peak = 0;
  for (const auto& step : steps) peak = std::max(peak, live += step.second);
  return static_cast<uint64_t>(peak);
}

double best_static_pages(const Trace& trace, const Layout& layout, uint64_t fast_bytes) {
  std::vector<uint64_t> heat = page_heat(trace, layout);
  std::sort(heat.begin(), heat.end(), std::greater<>());
  size_t room = std::min<size_t>(heat.size(), fast_bytes / layout.page_bytes);
  auto end = heat.begin() + static_cast<std::ptrdiff_t>(room);
  return share(static_cast<double>(std::accumulate(heat.begin(), end, uint64_t{0})),
               judged_accesses(trace));
}

double best_static_objects(const Trace& trace, uint64_t fast_bytes) {
  std::vector<uint64_t> heat = piece_heat(trace);
  uint64_t time = trace.epochs.back().end - epoch_begin(trace, trace.warm_epochs);
  struct Unit {
    double heat, room;
  };
  std::vector<Unit> units;
  for (const Object& object : trace.objects) {
    double part = static_cast<double>(lived(trace, object)) / static_cast<double>(time);
    bool whole = object.bytes <= kPage;
    Unit unit{0, static_cast<double>(object.bytes) * part};
    for (uint64_t i = 0; i < pieces_of(object); ++i) {
      auto count = static_cast<double>(heat[object.first_piece + i]);
      if (!whole) units.push_back(Unit{count, static_cast<double>(piece_bytes(object, i)) * part});
      unit.heat += count;
    }
    if (whole) units.push_back(unit);
  }
  // Cold ones have no place in the order, least of all those that also lived for no time.
  units.erase(std::remove_if(units.begin(), units.end(), [](const Unit& u) { return u.heat == 0; }),
              units.end());
  std::sort(units.begin(), units.end(),
            [](const Unit& a, const Unit& b) { return a.heat * b.room > b.heat * a.room; });
  double room = static_cast<double>(fast_bytes), hits = 0;
  for (const Unit& unit : units) {
    if (room <= 0) break;
    double part = unit.room <= room ? 1 : room / unit.room;
    hits += unit.heat * part;
    room -= unit.room;
  }
  return share(hits, judged_accesses(trace));
}

Dynamic best_dynamic_pages(const Trace& trace, const Layout& layout, uint64_t fast_bytes,
                           double move_cost) {
  constexpr unsigned kSteps = 60;
  uint64_t epochs = trace.epochs.size() - trace.warm_epochs, accesses = judged_accesses(trace);
  auto room = static_cast<double>(fast_bytes / layout.page_bytes);
  Visits visits = visits_by_page(trace, layout);
  Pricing pricing(visits, layout.pages, epochs, move_cost);
  // A price of the average density is a start; then each epoch's price follows its own demand.
  std::vector<double> prices(
      epochs, static_cast<double>(accesses) / static_cast<double>(epochs) / layout.pages);
  double bound = static_cast<double>(accesses);
  // Never moving is a choice, too.
  Pricing::Outcome best;
  best.hits = best.value =
      best_static_pages(trace, layout, fast_bytes) * static_cast<double>(accesses);
  for (unsigned step = 0; step < kSteps; ++step) {
    Pricing::Outcome outcome = pricing.choose(prices);
    double prices_sum = std::accumulate(prices.begin(), prices.end(), 0.0);
    double value = outcome.hits - static_cast<double>(outcome.moved) * move_cost;
    bound = std::min(bound, value - outcome.paid + room * prices_sum);
    std::vector<double> used = outcome.used;
    double worst = *std::max_element(used.begin(), used.end());
    if (worst <= room && value > best.value) {
      best = std::move(outcome);
      best.value = value;
    }
    double pace = 1.5 / (1 + step * 0.25);
    for (uint64_t e = 0; e < epochs; ++e) {
      double excess = std::log((used[e] + 1) / (room + 1));
      prices[e] = std::max(prices[e] * std::exp(pace * std::clamp(excess, -1.0, 1.0)), 1e-3);
    }
  }
  return {share(best.hits, accesses), share(bound, accesses), share(best.value, accesses),
          best.moved};
}

double explained_variance(const Trace& trace, const std::vector<uint32_t>& contexts,
                          bool logarithmic) {
  std::vector<uint64_t> heat = piece_heat(trace);
  uint64_t epochs = trace.epochs.size() - trace.warm_epochs;
  double per_epoch = static_cast<double>(judged_accesses(trace)) / static_cast<double>(epochs);
  struct Sum {
    double weight = 0, first = 0, second = 0;
    void add(double w, double x) {
      weight += w;
      first += w * x;
      second += w * x * x;
    }
    double spread() const { return weight > 0 ? second - first * first / weight : 0; }
  };
  Sum all;
  std::vector<Sum> groups;
  for (size_t i = 0; i < trace.objects.size(); ++i) {
    const Object& object = trace.objects[i];
    double life = static_cast<double>(lived(trace, object)) / per_epoch;
    if (life <= 0) continue;
    if (contexts[i] >= groups.size()) groups.resize(contexts[i] + 1);
    // A large object is as many observations as it has pages.
    double small = 0;
    for (uint64_t piece = 0; piece < pieces_of(object); ++piece) {
      auto count = static_cast<double>(heat[object.first_piece + piece]);
      small += count;
      if (object.bytes <= kPage && piece + 1 < pieces_of(object)) continue;
      auto bytes =
          static_cast<double>(object.bytes <= kPage ? object.bytes : piece_bytes(object, piece));
      double density = (object.bytes <= kPage ? small : count) / bytes / life * kPage;
      double x = logarithmic ? std::log2(1 + density) : density;
      all.add(bytes * life, x);
      groups[contexts[i]].add(bytes * life, x);
    }
  }
  double within = 0;
  for (const Sum& group : groups) within += group.spread();
  return all.spread() > 0 ? 1 - within / all.spread() : 1;
}

}  // namespace hms::bench::tiering
