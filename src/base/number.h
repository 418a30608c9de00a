// Exact arithmetic for money and counts (design.md, "Numbers").
//
// A Number is an exact fraction as long as numerator and denominator fit in 127 bits (every decimal of up to
// 18 significant digits, their sums and products of ordinary size, and quotients such as an average), and an
// IEEE double beyond that. Comparison of two exact Numbers cross-multiplies and is exact. Arithmetic that
// leaves the exact range, or that meets a double, gives a double.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace {

class Number {
 public:
  constexpr Number() = default;
  static constexpr Number integer(std::int64_t value) { return Number(value, 1); }
  // mantissa * 10^-scale; 0 <= scale <= 36.
  static Number decimal(std::int64_t mantissa, int scale);
  // A finite double. Not for literals: parse those.
  static Number approximate(double value);

  // Reads a JSON number. Up to 18 significant digits stay exact; longer ones become a double.
  // Errors: invalid_argument when it is not a JSON number or overflows a double.
  static Result<Number> parse(std::string_view text);

  bool is_exact() const { return denominator_ != 0; }
  double to_double() const;
  // A decimal text: exact where the fraction is a finite decimal ("19.99", "-3", "0.125"), else 17
  // significant digits.
  std::string to_string() const;
  // {mantissa, scale} with the smallest scale, when the Number is a decimal of at most 18 significant digits.
  struct Decimal {
    std::int64_t mantissa;
    int scale;
  };
  std::optional<Decimal> as_decimal() const;
  // Sixteen bytes instead of 48, for tables with a number for everybody. denominator > 0, not reduced.
  struct Fraction {
    std::int64_t numerator = 0;
    std::int64_t denominator = 1;
  };
  // Missing: it is approximate, or one of the two does not fit in 64 bits.
  std::optional<Fraction> as_fraction() const {
    if (static_cast<std::int64_t>(numerator_) != numerator_ || denominator_ == 0 ||
        static_cast<std::int64_t>(denominator_) != denominator_)
      return std::nullopt;
    return Fraction{static_cast<std::int64_t>(numerator_), static_cast<std::int64_t>(denominator_)};
  }
  static constexpr Number of(const Fraction& fraction) { return {fraction.numerator, fraction.denominator}; }

  friend Number operator+(const Number& a, const Number& b);
  friend Number operator-(const Number& a, const Number& b);
  friend Number operator*(const Number& a, const Number& b);
  // Missing when b is zero.
  friend std::optional<Number> divide(const Number& a, const Number& b);
  friend std::strong_ordering operator<=>(const Number& a, const Number& b);
  friend bool operator==(const Number& a, const Number& b) { return (a <=> b) == 0; }

 private:
  __extension__ using Wide = __int128;
  constexpr Number(Wide numerator, Wide denominator) : numerator_(numerator), denominator_(denominator) {}

  // Exact: numerator_/denominator_, denominator_ > 0, not necessarily reduced. Approximate: denominator_ ==
  // 0.
  Wide numerator_ = 0;
  Wide denominator_ = 1;
  double approximate_ = 0;
};

}  // namespace tailrace
