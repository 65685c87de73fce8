// Ranks by Zipf's law, in constant time: rejection-inversion, W. Hormann and G. Derflinger,
// "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS 6(3),
// 1996.
#pragma once

#include <cmath>
#include <cstdint>

#include "bench/tiering/heap.h"

namespace hms::bench::tiering {

class Zipf {
 public:
  // Ranks 0..count-1 with probability proportional to (rank + 1)^-exponent; the exponent is not 1.
  Zipf(uint64_t count, double exponent)
      : count_(static_cast<double>(count)),
        exponent_(exponent),
        low_(area(1.5) - 1),
        high_(area(count_ + 0.5)),
        accept_(2 - inverse(area(2.5) - height(2))) {}

  uint64_t draw(Random& random) const {
    for (;;) {
      double u = high_ + random.unit() * (low_ - high_);
      double x = inverse(u);
      double k = std::floor(x + 0.5);
      if (k < 1) k = 1;
      if (k > count_) k = count_;
      if (k - x <= accept_ || u >= area(k + 0.5) - height(k)) return static_cast<uint64_t>(k) - 1;
    }
  }

 private:
  double height(double x) const { return std::exp(-exponent_ * std::log(x)); }
  double area(double x) const {
    return std::expm1((1 - exponent_) * std::log(x)) / (1 - exponent_);
  }
  double inverse(double y) const {
    return std::exp(std::log1p(y * (1 - exponent_)) / (1 - exponent_));
  }

  double count_, exponent_, low_, high_, accept_;
};

// Spreads neighbouring numbers: a permutation of 0..2^64-1 (the finaliser of SplitMix64, Steele et
// al., OOPSLA 2014).
inline uint64_t scramble(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace hms::bench::tiering
