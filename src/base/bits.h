// The bits of a word, one by one.
#pragma once

#include <bit>
#include <cstdint>

namespace tailrace {

// visit(i) for each bit i that is set, in ascending order.
template <class Visit>
void each_bit(std::uint64_t word, Visit visit) {
  for (; word != 0; word &= word - 1) visit(static_cast<std::uint32_t>(std::countr_zero(word)));
}

constexpr std::uint64_t bit_of(std::uint32_t i) { return std::uint64_t{1} << i; }

// The bits from `begin` on, before `end`; both at most 64.
constexpr std::uint64_t bits_between(std::uint32_t begin, std::uint32_t end) {
  const auto below = [](std::uint32_t n) { return n >= 64 ? ~std::uint64_t{0} : bit_of(n) - 1; };
  return below(end) & ~below(begin);
}

}  // namespace tailrace
