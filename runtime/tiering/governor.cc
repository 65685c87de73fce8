// See governor.h.
#include "runtime/tiering/governor.h"

#include <algorithm>

namespace hms::tiering {
namespace {

constexpr double kDecideEvery = 1;  // seconds
// Verdicts fade by that factor with each decision.
constexpr double kFade = 0.8;
// Below this share of what may move, there is too little to judge by.
constexpr double kWidthMin = 1.0 / 64;
constexpr unsigned kPastMax = 65536;
constexpr unsigned kFreezesMax = 6;  // the longest freeze is 2^6 times the first
constexpr unsigned kOverLimit = 2;   // windows in a row above the limit

}  // namespace

void MoveGovernor::refill(double now, uint64_t near_capacity) {
  auto capacity = static_cast<double>(near_capacity);
  double passed = last_ < 0 ? 0 : std::max(now - last_, 0.0);
  double rate =
      std::min(options_.refill_share * capacity, static_cast<double>(options_.refill_max));
  double most = options_.burst_share * capacity * width_;
  tokens_ = last_ < 0 ? most : std::min(tokens_ + rate * width_ * passed, most);
  last_ = now;
  if (frozen_ && now >= thaw_at_) {
    frozen_ = false;
    squeezed_ = options_.squeezes - 1;  // the next doubt freezes again
    predicted_ = realised_ = moved_bytes_ = returned_bytes_ = 0;
    tokens_ = 0;
    why_ = "thawed, on trial";
  }
}

void MoveGovernor::moved(UnitId unit, Side side, uint64_t bytes, double predicted, double now) {
  tokens_ = std::max(tokens_ - static_cast<double>(bytes), 0.0);
  moved_bytes_ += static_cast<double>(bytes);
  auto found = past_.find(unit);
  if (found != past_.end() && found->second.side != side &&
      now < found->second.at + options_.return_s)
    returned_bytes_ += static_cast<double>(bytes);
  if (found == past_.end() && past_.size() >= kPastMax) return;
  past_[unit] = Past{now, side, bytes, predicted, side == Side::kNear};
}

std::vector<MoveGovernor::Due> MoveGovernor::due(double now) {
  std::vector<Due> out;
  for (auto it = past_.begin(); it != past_.end();) {
    Past& past = it->second;
    if (past.waiting && now >= past.at + options_.judge_s) {
      past.waiting = false;
      out.push_back({it->first, past.predicted});
    }
    it = now >= past.at + options_.return_s ? past_.erase(it) : std::next(it);
  }
  return out;
}

void MoveGovernor::judged(double predicted, double realised) {
  predicted_ += predicted;
  realised_ += realised;
}

void MoveGovernor::decide(double now) {
  if (now < decide_at_) return;
  decide_at_ = now + kDecideEvery;
  if (frozen_) return;
  bool enough = moved_bytes_ > 0;
  if (enough && returned_bytes_ > options_.pingpong_max * moved_bytes_) {
    squeeze(now, "units move back and forth");
  } else if (predicted_ >= options_.verdict_min && realised_ < options_.realised_min * predicted_) {
    squeeze(now, "moves bring less than half of what was expected");
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
  predicted_ = realised_ = moved_bytes_ = returned_bytes_ = 0;
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
