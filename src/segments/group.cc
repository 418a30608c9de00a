#include "segments/group.h"

namespace tailrace::segments {
namespace {

using Fraction = Number::Fraction;
__extension__ using Wide = __int128;

Computed fitting(Wide numerator, Wide denominator) {
  const auto short_numerator = static_cast<std::int64_t>(numerator);
  const auto short_denominator = static_cast<std::int64_t>(denominator);
  if (short_numerator != numerator || short_denominator != denominator) return {};
  return {.fits = true, .missing = false, .value = {short_numerator, short_denominator}};
}

Computed sum(const Fraction& a, const Fraction& b, int sign) {
  // Sums of money have powers of ten below them: the larger one is common to both.
  const auto over = [&](std::int64_t denominator) {
    const Wide left = Wide{a.numerator} * (denominator / a.denominator);
    const Wide right = Wide{b.numerator} * (denominator / b.denominator);
    return fitting(left + sign * right, denominator);
  };
  if (a.denominator % b.denominator == 0) return over(a.denominator);
  if (b.denominator % a.denominator == 0) return over(b.denominator);
  return fitting(Wide{a.numerator} * b.denominator + sign * (Wide{b.numerator} * a.denominator),
                 Wide{a.denominator} * b.denominator);
}

}  // namespace

Computed compute(language::Arithmetic::Op op, const Fraction& a, const Fraction& b) {
  using Op = language::Arithmetic::Op;
  switch (op) {
    case Op::add:
      return sum(a, b, 1);
    case Op::subtract:
      return sum(a, b, -1);
    case Op::multiply:
      return fitting(Wide{a.numerator} * b.numerator, Wide{a.denominator} * b.denominator);
    case Op::divide: {
      if (b.numerator == 0) return {.fits = true, .missing = true, .value = {}};
      const Wide sign = b.numerator < 0 ? -1 : 1;
      return fitting(sign * a.numerator * b.denominator, sign * a.denominator * b.numerator);
    }
  }
  return {};
}

std::strong_ordering order_of(const Fraction& a, const Fraction& b) {
  if (a.denominator == b.denominator) return a.numerator <=> b.numerator;
  const Wide left = Wide{a.numerator} * b.denominator;
  const Wide right = Wide{b.numerator} * a.denominator;
  return left < right    ? std::strong_ordering::less
         : left == right ? std::strong_ordering::equal
                         : std::strong_ordering::greater;
}

}  // namespace tailrace::segments
