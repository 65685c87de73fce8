// See governor.h.
#include "runtime/tiering/governor.h"

#include <algorithm>

namespace hms::tiering {
namespace {

constexpr double kDecideEvery = 1;  // seconds
// Verdicts fade by that factor with each decision.
constexpr double kFade = 0.9;
// The first look at what a move brought, when the short average no longer holds what was before.
constexpr double kJudgeFrom = 1;
// What went may be twice as warm as it was.
constexpr double kStillCold = 2;
// Moves that saved so many times their cost are no ping-pong: what is hot takes turns.
constexpr double kPaid = 2;
// Below this share of what may move, there is too little to judge by.
constexpr double kWidthMin = 1.0 / 64;
// Of near memory: fewer moved bytes within some seconds are nobody's harm.
constexpr double kVerdictShare = 0.02;
constexpr double kExchange = 2.0 * kUnitBytes;
constexpr unsigned kPastMax = 65536;
constexpr unsigned kFreezesMax = 6;  // the longest freeze is 2^6 times the first
constexpr unsigned kOverLimit = 2;   // windows in a row above the limit

}  // namespace

void MoveGovernor::refill(double now, uint64_t near_capacity) {
  capacity_ = static_cast<double>(near_capacity);
  double passed = last_ < 0 ? 0 : std::max(now - last_, 0.0);
  double rate =
      std::min(options_.refill_share * capacity_, static_cast<double>(options_.refill_max));
  // An exchange of two whole units must fit, however small near memory is.
  double most = std::max(options_.burst_share * capacity_ * width_, kExchange);
  tokens_ = last_ < 0 ? most : std::min(tokens_ + rate * width_ * passed, most);
  last_ = now;
  if (frozen_ && now >= thaw_at_) {
    frozen_ = false;
    squeezed_ = options_.squeezes - 1;  // the next doubt freezes again
    start_verdict();
    tokens_ = 0;
    why_ = "thawed, on trial";
  }
}

void MoveGovernor::moved(UnitId unit, Side side, uint64_t bytes, const Expected& expected,
                         double now) {
  spend(bytes);
  moved_bytes_ += static_cast<double>(bytes);
  auto found = past_.find(unit);
  if (found != past_.end() && found->second.side != side && !found->second.right &&
      now < found->second.at + options_.return_s)
    returned_bytes_ += static_cast<double>(bytes);
  if (found == past_.end() && past_.size() >= kPastMax) return;
  past_[unit] = Past{now, side, expected, 0, false};
}

std::vector<MoveGovernor::Due> MoveGovernor::due(double now) {
  std::vector<Due> out;
  if (now < judge_at_) return out;
  judge_at_ = now + kDecideEvery;
  for (auto it = past_.begin(); it != past_.end();) {
    double age = now - it->second.at;
    if (age >= kJudgeFrom && age <= options_.judge_s)
      out.push_back({it->first, it->second.side, it->second.expected.extent});
    it = age >= options_.return_s ? past_.erase(it) : std::next(it);
  }
  return out;
}

bool MoveGovernor::judged(const Due& due, double share, double saved_ns) {
  auto found = past_.find(due.unit);
  if (found == past_.end()) return false;
  Past& past = found->second;
  double sign = past.side == Side::kNear ? 1 : -1;
  predicted_ += sign * past.expected.share;
  realised_ += sign * share;
  cost_ns_ += past.expected.cost_ns / options_.judge_s;
  saved_ns_ += sign * saved_ns * kDecideEvery;
  past.saved_ns += saved_ns * kDecideEvery;
  past.right = past.side == Side::kNear ? past.saved_ns > past.expected.cost_ns
                                        : share <= kStillCold * past.expected.share;
  return past.right;
}

void MoveGovernor::start_verdict() {
  predicted_ = realised_ = cost_ns_ = saved_ns_ = moved_bytes_ = returned_bytes_ = 0;
}

void MoveGovernor::decide(double now) {
  if (now < decide_at_) return;
  decide_at_ = now + kDecideEvery;
  if (frozen_) return;
  bool enough = moved_bytes_ > kVerdictShare * capacity_;
  const bool paid = saved_ns_ > kPaid * cost_ns_;
  if (enough && returned_bytes_ > options_.pingpong_max * moved_bytes_ && !paid) {
    squeeze(now, "units move back and forth");
  } else if (predicted_ >= options_.verdict_min && realised_ < options_.realised_min * predicted_ &&
             saved_ns_ < cost_ns_) {
    squeeze(now, "moves bring less than they cost");
  } else if (predicted_ > 0 || !enough) {
    // Right, or quiet: widen slowly.
    width_ = std::min(1.0, width_ * 1.1);
    hysteresis_ = std::max(1.0, hysteresis_ / 1.1);
    if (width_ == 1 && squeezed_ > 0) --squeezed_;
    if (width_ == 1 && squeezed_ == 0) {
      freezes_ = 0;
      why_.clear();
    }
  }
  cost_ns_ *= kFade;
  saved_ns_ *= kFade;
  moved_bytes_ *= kFade;
  returned_bytes_ *= kFade;
  predicted_ *= kFade;
  realised_ *= kFade;
  if (moved_bytes_ < 1) moved_bytes_ = returned_bytes_ = 0;
  if (predicted_ < 1e-9) predicted_ = realised_ = 0;
}

void MoveGovernor::squeeze(double now, const char* reason) {
  why_ = reason;
  width_ = std::max(width_ / 2, kWidthMin);
  tokens_ /= 2;
  hysteresis_ = std::min(hysteresis_ * 2, 8.0);
  // What led here is answered; the next verdict is on what comes now.
  start_verdict();
  if (++squeezed_ < options_.squeezes) return;
  frozen_ = true;
  thaw_at_ = now + options_.thaw_s * static_cast<double>(1u << std::min(freezes_, kFreezesMax));
  ++freezes_;
}

bool CpuGovernor::spent(double now, double cpu_s) {
  if (killed_) return false;
  if (window_begin_ < 0) {
    window_begin_ = now;
    window_cpu_ = cpu_s;
    return false;
  }
  double passed = now - window_begin_;
  if (passed < options_.window_s) return false;
  cost_ = std::max(cpu_s - window_cpu_, 0.0) / passed;
  window_begin_ = now;
  window_cpu_ = cpu_s;
  over_ = cost_ > options_.limit ? over_ + 1 : 0;
  double before = effort_;
  if (over_ >= kOverLimit && effort_ <= options_.effort_min) {
    killed_ = true;
    effort_ = 0;
  } else if (cost_ > options_.budget) {
    effort_ =
        std::max(effort_ * std::clamp(options_.budget / cost_, 0.25, 0.9), options_.effort_min);
  } else if (cost_ < options_.budget / 2) {
    effort_ = std::min(1.0, effort_ + 0.05);
  }
  return effort_ != before;
}

}  // namespace hms::tiering
