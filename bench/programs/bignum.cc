// bench_bignum: expands square roots of large integers as continued fractions and looks for smooth
// convergents, with integers whose every intermediate result is a new small heap block that dies at
// once: the allocation pattern of arithmetic on heap numbers.
//
// The expansion is the usual one (Knuth, The Art of Computer Programming, vol. 2, section 4.5.4):
// of sqrt(N), with a = (floor(sqrt(N)) + m) / d, m' = d*a - m, d' = (N - m'^2) / d, and the
// numerators A' = a*A + A_before mod N, for which A^2 = +-d (mod N).
//
// usage: bench_bignum [STEPS]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

// An unsigned integer in 32-bit limbs, lowest first; a heap block of exactly the size it needs.
class Number {
 public:
  explicit Number(uint64_t value) : Number(2, 0) {
    limbs()[0] = static_cast<uint32_t>(value);
    limbs()[1] = static_cast<uint32_t>(value >> 32);
    trim();
  }
  Number(const Number& other) : Number(other.rep_->count, 0) {
    std::memcpy(limbs(), other.limbs(), rep_->count * sizeof(uint32_t));
  }
  Number(Number&& other) noexcept : rep_(other.rep_) { other.rep_ = nullptr; }
  Number& operator=(Number other) noexcept {
    Rep* mine = rep_;
    rep_ = other.rep_;
    other.rep_ = mine;
    return *this;
  }
  ~Number() { std::free(rep_); }

  Number operator+(const Number& other) const {
    Number sum(larger(other) + 1, 0);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < sum.rep_->count; ++i) {
      carry += uint64_t{limb(i)} + other.limb(i);
      sum.limbs()[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    sum.trim();
    return sum;
  }
  // Wants *this >= other.
  Number operator-(const Number& other) const {
    Number difference(rep_->count, 0);
    int64_t borrow = 0;
    for (uint32_t i = 0; i < rep_->count; ++i) {
      borrow += int64_t{limb(i)} - other.limb(i);
      difference.limbs()[i] = static_cast<uint32_t>(borrow);
      borrow >>= 32;
    }
    difference.trim();
    return difference;
  }
  Number operator*(const Number& other) const {
    Number product(rep_->count + other.rep_->count, 0);
    for (uint32_t i = 0; i < rep_->count; ++i) {
      uint64_t carry = 0;
      for (uint32_t j = 0; j < other.rep_->count; ++j) {
        carry += uint64_t{limb(i)} * other.limb(j) + product.limbs()[i + j];
        product.limbs()[i + j] = static_cast<uint32_t>(carry);
        carry >>= 32;
      }
      product.limbs()[i + other.rep_->count] = static_cast<uint32_t>(carry);
    }
    product.trim();
    return product;
  }
  // Binary long division; the remainder goes to *rest.
  Number divide(const Number& by, Number* rest) const {
    Number quotient(rep_->count, 0), left(0);
    for (uint32_t bit = rep_->count * 32; bit-- > 0;) {
      left = left + left;
      if ((limb(bit / 32) >> (bit % 32) & 1) != 0) left = left + Number(1);
      if (!(left < by)) {
        left = left - by;
        quotient.limbs()[bit / 32] |= 1U << (bit % 32);
      }
    }
    quotient.trim();
    *rest = left;
    return quotient;
  }
  bool operator<(const Number& other) const {
    for (uint32_t i = larger(other); i-- > 0;) {
      if (limb(i) != other.limb(i)) return limb(i) < other.limb(i);
    }
    return false;
  }
  uint32_t rest_by(uint32_t divisor) const {
    uint64_t rest = 0;
    for (uint32_t i = rep_->count; i-- > 0;) rest = (rest << 32 | limb(i)) % divisor;
    return static_cast<uint32_t>(rest);
  }
  uint32_t low() const { return limb(0); }

 private:
  struct Rep {
    uint32_t count;
    uint32_t limbs[1];
  };

  Number(uint32_t count, uint32_t value) {
    rep_ = static_cast<Rep*>(std::malloc(sizeof(Rep) + count * sizeof(uint32_t)));
    if (rep_ == nullptr) std::exit(1);
    rep_->count = count;
    for (uint32_t i = 0; i < count; ++i) rep_->limbs[i] = value;
  }
  uint32_t* limbs() { return rep_->limbs; }
  const uint32_t* limbs() const { return rep_->limbs; }
  uint32_t limb(uint32_t i) const { return i < rep_->count ? rep_->limbs[i] : 0; }
  uint32_t larger(const Number& other) const {
    return rep_->count > other.rep_->count ? rep_->count : other.rep_->count;
  }
  void trim() {
    while (rep_->count > 1 && rep_->limbs[rep_->count - 1] == 0) --rep_->count;
  }

  Rep* rep_;
};

Number square_root(const Number& n) {
  Number low(0), high = n + Number(1);
  while (low + Number(1) < high) {
    Number rest(0);
    Number middle = (low + high).divide(Number(2), &rest);
    if (n < middle * middle) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return low;
}

// True if trial division by the first odd primes reduces `d` to 1.
bool smooth(Number d) {
  for (uint32_t prime : {2U, 3U, 5U, 7U, 11U, 13U, 17U, 19U, 23U, 29U, 31U, 37U, 41U, 43U}) {
    while (Number(1) < d && d.rest_by(prime) == 0) {
      Number rest(0);
      d = d.divide(Number(prime), &rest);
    }
  }
  return !(Number(1) < d);
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long steps = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 40000;
  Number n = Number(0xfffffffb5d1ce4e5U) * Number(0xffffffffffffffc5U);
  Number root = square_root(n), rest(0);
  Number m(0), d(1), a = root, before(1), numerator = root;
  unsigned long found = 0;
  uint32_t sum = 0;
  for (unsigned long i = 0; i < steps; ++i) {
    m = d * a - m;
    d = (n - m * m).divide(d, &rest);
    a = (root + m).divide(d, &rest);
    (a * numerator + before).divide(n, &rest);
    before = numerator;
    numerator = rest;
    if (smooth(d)) ++found;
    sum = sum * 31 + numerator.low();
  }
  std::printf("%lu %u\n", found, sum);
  return 0;
}
