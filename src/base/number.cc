#include "base/number.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace tailrace {
namespace {

__extension__ using Wide = __int128;

Wide absolute(Wide value) { return value < 0 ? -value : value; }

Wide greatest_common_divisor(Wide a, Wide b) {
  a = absolute(a);
  b = absolute(b);
  while (b != 0) {
    const Wide rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

constexpr int kScaleMax = 36;

Wide power_of_ten(int exponent) {
  Wide power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

std::string wide_to_string(Wide value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string digits;
  for (Wide rest = absolute(value); rest != 0; rest /= 10)
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
  if (negative) digits += '-';
  return {digits.rbegin(), digits.rend()};
}

double wide_to_double(Wide value) { return static_cast<double>(value); }

// Compares a/b with c/d for b, d > 0 and a, c >= 0, by comparing continued fractions: no product, so no
// overflow.
std::strong_ordering compare_fractions(Wide a, Wide b, Wide c, Wide d) {
  bool flipped = false;
  while (true) {
    const Wide left = a / b;
    const Wide right = c / d;
    if (left != right)
      return (left < right) != flipped ? std::strong_ordering::less : std::strong_ordering::greater;
    a -= left * b;
    c -= right * d;
    if (a == 0 && c == 0) return std::strong_ordering::equal;
    if (a == 0) return flipped ? std::strong_ordering::greater : std::strong_ordering::less;
    if (c == 0) return flipped ? std::strong_ordering::less : std::strong_ordering::greater;
    // a/b < c/d  <=>  b/a > d/c
    std::swap(a, b);
    std::swap(c, d);
    flipped = !flipped;
  }
}

std::strong_ordering order_of(double a, double b) {
  if (a < b) return std::strong_ordering::less;
  if (a > b) return std::strong_ordering::greater;
  return std::strong_ordering::equal;
}

// Numerator and denominator as small as they go. Denominator stays positive.
void reduce(Wide& numerator, Wide& denominator) {
  const Wide divisor = greatest_common_divisor(numerator, denominator);
  if (divisor > 1) {
    numerator /= divisor;
    denominator /= divisor;
  }
}

}  // namespace

Number Number::decimal(std::int64_t mantissa, int scale) { return {mantissa, power_of_ten(scale)}; }

Number Number::approximate(double value) {
  Number number(0, 0);
  number.approximate_ = value;
  return number;
}

Result<Number> Number::parse(std::string_view text) {
  const auto bad = [&] { return invalid(fmt::format("not a number: `{}`", text.substr(0, 64))); };
  std::size_t at = 0;
  const auto digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  const bool negative = at < text.size() && text[at] == '-';
  if (negative) ++at;
  if (!digit()) return bad();
  if (text[at] == '0' && at + 1 < text.size() && text[at + 1] >= '0' && text[at + 1] <= '9') return bad();

  std::int64_t mantissa = 0;
  int significant = 0;
  int scale = 0;
  const auto take_digits = [&](bool fraction) {
    for (; digit(); ++at) {
      if (significant > 0 || text[at] != '0') ++significant;
      if (significant <= 18) mantissa = mantissa * 10 + (text[at] - '0');
      if (fraction) ++scale;
    }
  };
  take_digits(false);
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digit()) return bad();
    take_digits(true);
  }
  int exponent = 0;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    bool exponent_negative = false;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) exponent_negative = text[at++] == '-';
    if (!digit()) return bad();
    for (; digit(); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), 100'000);
    if (exponent_negative) exponent = -exponent;
  }
  if (at != text.size()) return bad();

  if (significant <= 18) {
    if (negative) mantissa = -mantissa;
    if (mantissa == 0) return integer(0);
    for (scale -= exponent; scale > 0 && mantissa % 10 == 0; --scale) mantissa /= 10;
    if (scale >= 0 && scale <= kScaleMax) return decimal(mantissa, scale);
    if (scale < 0 && scale >= -18) {
      std::int64_t widened = mantissa;
      bool fits = true;
      for (; scale < 0 && fits; ++scale) fits = !__builtin_mul_overflow(widened, std::int64_t{10}, &widened);
      if (fits && absolute(widened) < power_of_ten(18)) return integer(widened);
    }
  }
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec == std::errc::result_out_of_range) {
    // Too small is zero; too large has no value here.
    if (exponent < 0) return integer(0);
    return invalid(fmt::format("number out of range: `{}`", text.substr(0, 64)));
  }
  if (parsed.ec != std::errc{} || !std::isfinite(value)) return bad();
  return approximate(value);
}

double Number::to_double() const {
  return is_exact() ? wide_to_double(numerator_) / wide_to_double(denominator_) : approximate_;
}

std::optional<Number::Decimal> Number::as_decimal() const {
  if (!is_exact()) return std::nullopt;
  Wide numerator = numerator_;
  Wide denominator = denominator_;
  reduce(numerator, denominator);
  int twos = 0;
  int fives = 0;
  for (; denominator % 2 == 0; denominator /= 2) ++twos;
  for (; denominator % 5 == 0; denominator /= 5) ++fives;
  if (denominator != 1) return std::nullopt;
  const int scale = std::max(twos, fives);
  const Wide limit = power_of_ten(18);
  for (int i = twos; i < scale; ++i) {
    numerator *= 2;
    if (absolute(numerator) >= limit) return std::nullopt;
  }
  for (int i = fives; i < scale; ++i) {
    numerator *= 5;
    if (absolute(numerator) >= limit) return std::nullopt;
  }
  if (absolute(numerator) >= limit) return std::nullopt;
  return Decimal{static_cast<std::int64_t>(numerator), scale};
}

std::string Number::to_string() const {
  if (const auto decimal_form = as_decimal()) {
    const auto [mantissa, scale] = *decimal_form;
    if (scale == 0) return std::to_string(mantissa);
    std::string digits = wide_to_string(absolute(mantissa));
    const auto places = static_cast<std::size_t>(scale);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, ".");
    return mantissa < 0 ? "-" + digits : digits;
  }
  if (is_exact() && numerator_ % denominator_ == 0) return wide_to_string(numerator_ / denominator_);
  return fmt::format("{:.17g}", to_double());
}

Number operator+(const Number& a, const Number& b) {
  if (a.is_exact() && b.is_exact()) {
    Wide sum = 0;
    if (a.denominator_ == b.denominator_) {
      if (!__builtin_add_overflow(a.numerator_, b.numerator_, &sum)) return {sum, a.denominator_};
    } else {
      const Wide divisor = greatest_common_divisor(a.denominator_, b.denominator_);
      Wide denominator = 0;
      Wide left = 0;
      Wide right = 0;
      if (!__builtin_mul_overflow(a.denominator_, b.denominator_ / divisor, &denominator) &&
          !__builtin_mul_overflow(a.numerator_, b.denominator_ / divisor, &left) &&
          !__builtin_mul_overflow(b.numerator_, a.denominator_ / divisor, &right) &&
          !__builtin_add_overflow(left, right, &sum)) {
        return {sum, denominator};
      }
    }
  }
  return Number::approximate(a.to_double() + b.to_double());
}

Number operator-(const Number& a, const Number& b) {
  if (!b.is_exact()) return a + Number::approximate(-b.approximate_);
  return a + Number(-b.numerator_, b.denominator_);
}

Number operator*(const Number& a, const Number& b) {
  if (a.is_exact() && b.is_exact()) {
    Wide left_numerator = a.numerator_;
    Wide right_denominator = b.denominator_;
    Wide right_numerator = b.numerator_;
    Wide left_denominator = a.denominator_;
    reduce(left_numerator, right_denominator);
    reduce(right_numerator, left_denominator);
    Wide numerator = 0;
    Wide denominator = 0;
    if (!__builtin_mul_overflow(left_numerator, right_numerator, &numerator) &&
        !__builtin_mul_overflow(left_denominator, right_denominator, &denominator)) {
      return {numerator, denominator};
    }
  }
  return Number::approximate(a.to_double() * b.to_double());
}

std::optional<Number> divide(const Number& a, const Number& b) {
  if (b == Number()) return std::nullopt;
  if (a.is_exact() && b.is_exact()) {
    return b.numerator_ > 0 ? a * Number(b.denominator_, b.numerator_)
                            : a * Number(-b.denominator_, -b.numerator_);
  }
  return Number::approximate(a.to_double() / b.to_double());
}

std::strong_ordering operator<=>(const Number& a, const Number& b) {
  if (!a.is_exact() || !b.is_exact()) return order_of(a.to_double(), b.to_double());
  if (a.denominator_ == b.denominator_) return a.numerator_ <=> b.numerator_;
  const bool a_negative = a.numerator_ < 0;
  const bool b_negative = b.numerator_ < 0;
  if (a_negative != b_negative)
    return a_negative ? std::strong_ordering::less : std::strong_ordering::greater;
  Wide left = 0;
  Wide right = 0;
  if (!__builtin_mul_overflow(a.numerator_, b.denominator_, &left) &&
      !__builtin_mul_overflow(b.numerator_, a.denominator_, &right)) {
    return left <=> right;
  }
  if (a_negative) return compare_fractions(-b.numerator_, b.denominator_, -a.numerator_, a.denominator_);
  return compare_fractions(a.numerator_, a.denominator_, b.numerator_, b.denominator_);
}

}  // namespace tailrace
