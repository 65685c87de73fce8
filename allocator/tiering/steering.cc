// See steering.h.
#include "allocator/tiering/steering.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <exception>

#include "allocator/leg.h"
#include "allocator/tiering/class_list.h"
#include "allocator/tiering/opening.h"
#include "runtime/support/log.h"
#include "runtime/support/os_sampling.h"
#include "runtime/tiering/movers.h"
#include "runtime/tiering/samplers/ladder.h"
#include "runtime/topology/units.h"

namespace hms::alloc {

using tiering::Report;

namespace {

constexpr double kStep = 0.25;  // seconds between two steps
constexpr double kCalm = 1;     // at most, while all that the program has is near
constexpr double kIdle = 4;     // at most, while the program does nothing
// Of the budget, that deciding may take: where a step costs much, there are fewer.
constexpr double kDecideShare = 0.3;
// Of the budget: what costs more for long is ended, and what a sampler that governs itself may take
// at first.
constexpr double kLimit = 4, kSampling = 2;
constexpr double kIdleShare = 0.01;  // of a CPU, that is nothing
constexpr double kLookEvery = 1, kCostWindow = 1;
constexpr double kSmoothing = 0.2;      // of what is told of the program's CPU time
constexpr double kShareShown = 0.0005;  // of the accesses, that a place has at least
constexpr double kMillion = 1e6, kThousand = 1e3;

double own_cpu() { return static_cast<double>(os::thread_cpu_ns()) / 1e9; }

double process_cpu() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

template <size_t capacity>
void set_text(char (&out)[capacity], const std::string& text) {
  const size_t bytes = std::min(text.size(), capacity - 1);
  memcpy(out, text.data(), bytes);
  memset(out + bytes, 0, capacity - bytes);
}

void set(Counter& counter, double value, double unit) {
  counter.store(value > 0 ? static_cast<uint64_t>(std::min(value * unit, 1.8e19)) : 0,
                std::memory_order_relaxed);
}
void set(Counter& counter, uint64_t value) { counter.store(value, std::memory_order_relaxed); }

}  // namespace

// Tells what moving costs from what deciding costs; below, the same for looking.
class MeteredHeap final : public tiering::Heap {
 public:
  explicit MeteredHeap(tiering::Heap& heap) : heap_(heap) {}
  double moving_s() const { return moving_s_; }

  tiering::Room room() override { return heap_.room(); }
  void contexts(std::vector<tiering::ContextView>* out) override { heap_.contexts(out); }
  void classes(std::vector<tiering::ClassView>* out) override { heap_.classes(out); }
  void units(std::vector<tiering::UnitView>* out) override { heap_.units(out); }
  void set_lean(tiering::ClassId id, tiering::Side side) override { heap_.set_lean(id, side); }
  void set_weave(tiering::ClassId id, uint8_t share) override { heap_.set_weave(id, share); }
  void assign(tiering::ContextId context, tiering::ClassId id) override {
    heap_.assign(context, id);
  }
  void move(const std::vector<tiering::UnitId>& units, tiering::Side side,
            std::vector<tiering::Moved>* moved) override {
    const double before = own_cpu();
    heap_.move(units, side, moved);
    moving_s_ += own_cpu() - before;
  }
  void split(tiering::UnitId unit, uint32_t bytes) override { heap_.split(unit, bytes); }
  // Copies, as moves do.
  void ask_huge(tiering::ClassId id) override {
    const double before = own_cpu();
    heap_.ask_huge(id);
    moving_s_ += own_cpu() - before;
  }

 private:
  tiering::Heap& heap_;
  double moving_s_ = 0;
};

class MeteredSampler final : public tiering::Sampler {
 public:
  explicit MeteredSampler(std::unique_ptr<tiering::Sampler> sampler)
      : sampler_(std::move(sampler)) {}
  double looking_s() const { return looking_s_; }

  const char* name() const override { return sampler_->name(); }
  tiering::Sight sight() const override { return sampler_->sight(); }
  Status start() override { return sampler_->start(); }
  void stop() override { sampler_->stop(); }
  void collect(const std::vector<tiering::UnitView>& units,
               std::vector<tiering::Reading>* out) override {
    const double before = own_cpu();
    sampler_->collect(units, out);
    looking_s_ += own_cpu() - before;
  }
  void set_effort(double share) override { sampler_->set_effort(share); }
  double cost_s() const override { return sampler_->cost_s(); }

 private:
  std::unique_ptr<tiering::Sampler> sampler_;
  double looking_s_ = 0;
};

namespace {

tiering::EngineOptions options_for(const SteeringOptions& of, const tiering::Sides& sides) {
  tiering::EngineOptions options;
  options.cpu.budget = of.budget;
  options.cpu.limit = kLimit * of.budget;
  options.policy.gap_ns = of.gap_ns;
  if (of.profiled) options.policy.believe_s = tiering::kBelieveProfile;
  options.weave = tiering::weave_options(of.weave, sides.bandwidths);
  return options;
}

}  // namespace

void show_waiting(const tiering::Sides& sides, uint64_t until_bytes) {
  if (until_bytes == kNotWaiting) return;
  TieringCounters& page = stats()->tiering;
  set_text(page.near_key, sides.near.key);
  set_text(page.far_key, sides.far.key);
  set_text(page.why, "the program has less than " + topology::format_bytes(until_bytes));
  page.on.store(1, std::memory_order_release);
}

Steering::Steering(tiering::Heap& heap, const tiering::ContextTable& contexts,
                   const tiering::ContextKeys& keys, const tiering::Sides& sides,
                   const SteeringOptions& options)
    : contexts_(contexts),
      keys_(keys),
      heap_(std::make_unique<MeteredHeap>(heap)),
      sampler_(std::make_unique<MeteredSampler>(
          tiering::open_best_sampler("", kSampling * options.budget).sampler)),
      engine_(std::make_unique<tiering::Engine>(*heap_, *sampler_, options_for(options, sides))),
      page_(stats()->tiering),
      budget_(options.budget),
      emulated_(sides.near.node == sides.far.node),
      exceptions_(std::uncaught_exceptions()) {
  set_text(page_.sampler, sampler_->name());
  set_text(page_.near_key, sides.near.key);
  set_text(page_.far_key, sides.far.key);
  set_text(page_.why, "");
  page_.on.store(1, std::memory_order_release);
  log(LogLevel::kInfo, "tiering %s > %s, sampler %s", sides.near.key.c_str(), sides.far.key.c_str(),
      sampler_->name());
}

Steering::~Steering() {
  if (std::uncaught_exceptions() > exceptions_) end("an error, such as too little memory");
}

double Steering::end(const char* why) {
  if (ended_) return 0;
  ended_ = true;
  set_text(page_.why, why);
  page_.on.store(2, std::memory_order_release);
  log(LogLevel::kInfo, "tiering has ended: %s", why);
  return 0;
}

// What the engine is told it costs, and what the page is.
void Steering::meter(double now) {
  const double own = own_cpu(), others = sampler_->cost_s();
  engine_->spent(own - heap_->moving_s() + others);
  if (window_ >= 0 && now < window_ + kCostWindow) return;
  if (window_ >= 0) cost_ = (own + others - used_) / (now - window_);
  window_ = now;
  used_ = own + others;
}

double Steering::deciding_cpu() const {
  return own_cpu() - heap_->moving_s() - sampler_->looking_s();
}

double Steering::step(double now) {
  if (strcmp(sampler_->name(), "none") == 0) {
    return end("nothing tells which memory is used: `hms doctor` says why");
  }
  if (!emulated_ && (looked_ < 0 || now >= looked_ + kLookEvery)) {
    engine_->foreign_mover(tiering::foreign_mover(""));
  }
  meter(now);
  const double before = deciding_cpu();
  const Report& report = engine_->step(now);
  show(report);
  step_cost_ = deciding_cpu() - before;
  if (report.effort <= 0) {
    sampler_->stop();
    return end("sampling cost more than it may");
  }
  return pause(now, report);
}

double Steering::pause(double now, const Report& report) {
  const double busy = process_cpu() - own_cpu();
  const bool idle = last_ >= 0 && busy - busy_ < kIdleShare * (now - last_);
  if (last_ >= 0 && now > last_) cpus_ += kSmoothing * ((busy - busy_) / (now - last_) - cpus_);
  engine_->busy(cpus_);
  const bool calm = report.price <= 0 && report.far == 0;
  last_ = now;
  busy_ = busy;
  const double least = std::clamp(step_cost_ / (kDecideShare * budget_), kStep, kIdle);
  const double most = std::max(least, idle ? kIdle : calm ? kCalm : kStep);
  pause_ = std::clamp(2 * pause_, least, most);
  return pause_;
}

void Steering::show(const Report& report) {
  // While moves are only fewer than they might be, they go on.
  const std::string& why = report.moving ? std::string() : report.why;
  if (why != why_) {
    why_ = why;
    set_text(page_.why, why);
    const std::string now = why.empty() ? "pages move again" : "no page moves: " + why;
    log(LogLevel::kInfo, "tiering: %s", now.c_str());
  }
  set(page_.steps, report.steps);
  set(page_.hit_ratio, report.hit_ratio, kMillion);
  set(page_.events, report.events_per_s, kThousand);
  set(page_.price, report.price, kThousand);
  set(page_.near_bytes, report.room.near_capacity);
  set(page_.near_used, report.room.near_used);
  set(page_.promoted, report.promoted);
  set(page_.demoted, report.demoted);
  set(page_.stuck, report.stuck_pages);
  set(page_.cost, cost_, kMillion);
  set(page_.effort, report.effort, kMillion);
  set(page_.units, report.listed);
  if (looked_ >= 0 && report.now < looked_ + kLookEvery) return;
  looked_ = report.now;
  show_contexts(report);
}

// Places and hints, whose blocks may come from any place; both lists have the hottest first.
void Steering::show_contexts(const Report& report) {
  size_t shown = 0;
  size_t at = 0;
  uint64_t woven[2] = {};
  const auto show_hints_from = [&](double share) {
    for (; at < report.classes.size() && report.classes[at].share >= share; ++at) {
      if (shown < kStatsContexts && show_hint(report.classes[at], &page_.contexts[shown])) ++shown;
    }
  };
  for (const tiering::ContextLine& line : report.contexts) {
    if (line.share < kShareShown) break;
    show_hints_from(line.share);
    if (shown >= kStatsContexts || !show_place(line, &page_.contexts[shown])) continue;
    const uint64_t share = line.near_share == tiering::kNotWoven ? 0 : line.near_share + 1U;
    woven[shown / 8] |= share << (shown % 8 * 8);
    ++shown;
  }
  show_hints_from(kShareShown);
  set(page_.woven[0], woven[0]);
  set(page_.woven[1], woven[1]);
  for (; shown < kStatsContexts; ++shown) page_.contexts[shown].object[0] = '\0';
}

bool Steering::show_place(const tiering::ContextLine& line, ContextCounters* out) const {
  tiering::StableKey key;
  if (!keys_.key_of(line.id, &key) || key.count == 0) return false;
  const bool named = key.frames[0].object != tiering::kGeneratedCode;
  const std::string path = named ? keys_.objects().at(key.frames[0].object).path : "";
  set_text(out->object, named ? path.substr(path.rfind('/') + 1) : "generated");
  set(out->offset, key.frames[0].offset);
  set(out->depth, tiering::depth_of(contexts_.at(line.id).key.load(std::memory_order_relaxed)));
  set(out->share, line.share, kMillion);
  set(out->allocated, line.allocated);
  set(out->class_id, line.class_id);
  return true;
}

bool Steering::show_hint(const tiering::ClassLine& line, ContextCounters* out) {
  const Hint hint = hint_of_class(line.id);
  if (hint == kNoHint) return false;
  set_text(out->object, hint_text(hint));
  set(out->offset, uint64_t{0});
  set(out->depth, uint64_t{0});
  set(out->share, line.share, kMillion);
  set(out->allocated, class_leg(line.id)->plan.units->allocated.load(std::memory_order_relaxed));
  set(out->class_id, line.id);
  return true;
}

}  // namespace hms::alloc
