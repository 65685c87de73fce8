// See engine.h.
#include "runtime/tiering/engine.h"

#include <algorithm>
#include <array>

namespace hms::tiering {
namespace {

constexpr double kLookEvery = 1;    // seconds between changes of what is looked at closely
constexpr size_t kMoveBatch = 512;  // units or parts handed to the heap at once

bool by_id(const UnitView& a, const UnitView& b) { return a.id < b.id; }

}  // namespace

Engine::Engine(Heap& heap, Sampler& sampler, const EngineOptions& options)
    : heap_(heap),
      sampler_(sampler),
      options_(options),
      estimator_(options.estimator),
      policy_(options.policy),
      focus_(options.policy.listed_max),
      mover_(options.mover),
      cpu_(options.cpu) {
  // Who sees writes only does not see what is read in turn.
  if (sampler.sight().reads) streams_ = Streams(options.weave, sampler.sight().bytes_per_event);
  policy_.options().accesses_per_event = std::max(sampler.sight().accesses_per_event, 1.0);
}

const Report& Engine::step(double now) {
  observe(now);
  judge(now);
  View view{units_, classes_, estimator_, heap_.room(), now, streams_};
  Plan plan = policy_.plan(view, leave(now));
  carry_out(plan, now);
  describe(plan, now);
  if (now >= look_at_) {
    look(view);
    look_at_ = now + kLookEvery;
  }
  return report_;
}

void Engine::observe(double now) {
  heap_.units(&units_);
  heap_.classes(&classes_);
  if (!std::is_sorted(units_.begin(), units_.end(), by_id))
    std::sort(units_.begin(), units_.end(), by_id);
  if (cpu_.spent(now, cpu_s_)) sampler_.set_effort(cpu_.effort());
  readings_.clear();
  if (!cpu_.killed()) sampler_.collect(units_, &readings_);
  estimator_.step(now, units_, readings_);
}

// Events per second, lately, of what was listed as a unit or part of so many bytes when it moved.
// It may have been split or made whole since. False if nothing is there any more.
bool Engine::quick_events(UnitId first, uint32_t bytes, double* events) const {
  const auto end_of = [](const UnitView& unit) {
    return unit.id + unit.bytes / static_cast<uint32_t>(kPartBytesMin);
  };
  const UnitId end = first + bytes / static_cast<uint32_t>(kPartBytesMin);
  auto at = std::upper_bound(units_.begin(), units_.end(), first,
                             [](UnitId id, const UnitView& of) { return id < of.id; });
  if (at != units_.begin() && end_of(*std::prev(at)) > first) --at;
  bool there = false;
  *events = 0;
  for (; at != units_.end() && at->id < end; ++at) {
    const double shared = std::min(end, end_of(*at)) - std::max(first, at->id);
    const double share = shared / (end_of(*at) - at->id);
    const UnitHeat& heat = estimator_.units()[static_cast<size_t>(at - units_.begin())];
    *events += heat.quick * at->committed * share;
    there = true;
  }
  return there;
}

// Predictions are shares of all accesses: that a program does less as a whole is nobody's mistake.
double Engine::share_of(size_t unit) const {
  double all = estimator_.rate();
  return all > 0 ? estimator_.units()[unit].density * units_[unit].committed / all : 0;
}

void Engine::judge(double now) {
  const PolicyOptions& of = policy_.options();
  for (const MoveGovernor::Due& due : mover_.due(now)) {
    double events = 0;
    if (estimator_.quick_rate() <= 0 || !quick_events(due.unit, due.extent, &events)) continue;
    if (mover_.judged(due, events / estimator_.quick_rate(),
                      events * of.accesses_per_event * of.gap_ns))
      policy_.settled(due.unit);
  }
  mover_.decide(now);
}

Leave Engine::leave(double now) {
  mover_.refill(now, heap_.room().near_capacity);
  Leave leave;
  leave.tokens = mover_.tokens();
  leave.hysteresis = mover_.hysteresis();
  leave.moves = !mover_.frozen() && foreign_.empty() && !cpu_.killed();
  leave.reads_seen = sampler_.sight().reads;
  return leave;
}

void Engine::carry_out(const Plan& plan, double now) {
  for (const LeanChange& lean : plan.leans) heap_.set_lean(lean.id, lean.side);
  report_.leans += plan.leans.size();
  move(plan, now);
  for (const Split& split : plan.splits) heap_.split(split.unit, split.bytes);
}

// In runs of one direction: those that make room come before those that need it.
void Engine::move(const Plan& plan, double now) {
  std::vector<UnitId> batch;
  std::vector<Moved> moved;
  for (size_t at = 0; at < plan.moves.size();) {
    Side side = plan.moves[at].side;
    size_t begin = at;
    batch.clear();
    while (at < plan.moves.size() && plan.moves[at].side == side && batch.size() < kMoveBatch)
      batch.push_back(units_[plan.moves[at++].unit].id);
    moved.assign(batch.size(), Moved{});
    heap_.move(batch, side, &moved);
    for (size_t i = 0; i < batch.size() && i < moved.size(); ++i) {
      size_t unit = plan.moves[begin + i].unit;
      uint64_t bytes = moved[i].pages * kPartBytesMin;
      report_.stuck_pages += moved[i].stuck;
      if (bytes == 0) continue;
      (side == Side::kNear ? report_.promoted : report_.demoted) += bytes;
      policy_.moved(batch[i], side, now);
      // Most promotions take the place of something.
      double cost = side == Side::kNear
                        ? 2 * policy_.options().move_ns * static_cast<double>(moved[i].pages)
                        : 0;
      // What is woven moves for bandwidth; by the hits that came of it nobody can judge that.
      if (streams_.woven(units_[unit].class_id))
        mover_.spend(bytes);
      else
        mover_.moved(batch[i], side, bytes, {share_of(unit), cost, units_[unit].bytes}, now);
      units_[unit].side = side;
    }
  }
}

void Engine::look(const View& view) {
  for (const Split& split : focus_.plan(view)) heap_.split(split.unit, split.bytes);
  for (const WeaveChange& change : streams_.judge(view, focus_, contexts_))
    heap_.set_weave(change.id, change.share);
  for (ClassId id : huge_pages_.plan(view, focus_)) heap_.ask_huge(id);
}

void Engine::describe(const Plan& plan, double now) {
  double near = 0, all = 0;
  report_.parts = 0;
  report_.far = 0;
  for (size_t i = 0; i < units_.size(); ++i) {
    double rate = estimator_.units()[i].quick * units_[i].committed;
    all += rate;
    near += units_[i].side == Side::kNear ? rate : 0;
    report_.parts += units_[i].bytes < kUnitBytes;
    report_.far += units_[i].side == Side::kFar ? units_[i].committed : 0;
  }
  report_.now = now;
  ++report_.steps;
  report_.hit_ratio = all > 0 ? near / all : 0;
  report_.events_per_s = all;
  report_.price = plan.price * (1 << 20);
  report_.room = heap_.room();
  report_.listed = units_.size();
  report_.tokens = mover_.tokens();
  report_.cost = cpu_.cost();
  report_.effort = cpu_.effort();
  report_.moving = !mover_.frozen() && foreign_.empty() && !cpu_.killed();
  report_.why = !foreign_.empty() ? "left to " + foreign_
                : cpu_.killed()   ? "sampling cost more than it may"
                                  : mover_.why();
  if (now < look_at_) return;  // names change slowly
  describe_classes();
  describe_contexts();
}

void Engine::describe_classes() {
  std::array<uint64_t, 256> near{};
  for (const UnitView& unit : units_)
    near[unit.class_id] += unit.side == Side::kNear ? unit.committed : 0;
  report_.classes.clear();
  for (const ClassView& of : classes_) {
    const ClassHeat& heat = estimator_.of_class(of.id);
    double share = estimator_.rate() > 0 ? heat.rate / estimator_.rate() : 0;
    report_.classes.push_back({of.id, of.lean, share, static_cast<uint64_t>(heat.bytes),
                               near[of.id], streams_.share(of.id)});
  }
  std::sort(report_.classes.begin(), report_.classes.end(),
            [](const ClassLine& a, const ClassLine& b) {
              return a.share != b.share ? a.share > b.share : a.id < b.id;
            });
  if (report_.classes.size() > kLines) report_.classes.resize(kLines);
}

void Engine::describe_contexts() {
  heap_.contexts(&contexts_);
  std::array<uint64_t, 256> allocated{};
  for (const ContextView& of : contexts_) allocated[of.class_id] += of.allocated;
  report_.contexts.clear();
  for (const ContextView& of : contexts_) {
    double whole =
        estimator_.rate() > 0 ? estimator_.of_class(of.class_id).rate / estimator_.rate() : 0;
    double part = allocated[of.class_id] > 0 ? static_cast<double>(of.allocated) /
                                                   static_cast<double>(allocated[of.class_id])
                                             : 0;
    report_.contexts.push_back(
        {of.id, of.class_id, whole * part, of.allocated, streams_.share(of.class_id)});
  }
  auto hotter = [](const ContextLine& a, const ContextLine& b) {
    return a.share != b.share ? a.share > b.share : a.id < b.id;
  };
  size_t shown = std::min(report_.contexts.size(), kLines);
  std::partial_sort(report_.contexts.begin(), report_.contexts.begin() + static_cast<long>(shown),
                    report_.contexts.end(), hotter);
  report_.contexts.resize(shown);
}

}  // namespace hms::tiering
