// Sixty-four people who are asked about at once. A question about everybody reads, for each stream it is
// about, one table from its beginning to its end, and makes one decision for all who are of one kind; only
// those of whom that says too little are asked for one by one (docs/decisions/0028).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bits.h"
#include "base/id.h"
#include "base/number.h"
#include "history/places.h"
#include "language/ast.h"

namespace tailrace::segments {

using history::kGroup;
using history::OfGroup;

// first + i for the bits i of `people`. 64 divides the number of the first.
struct Group {
  PersonId first;
  std::uint64_t people = 0;
  PersonId at(std::uint32_t i) const { return PersonId(first.value + i); }
};

// What an answer has to hold for: the instant that was asked for, or from then on until a record comes.
enum class Holding : unsigned char { now, for_good };

// Bits for people of a group: those of whom the answer is known, and of them those of whom it is yes.
struct Verdicts {
  std::uint64_t known = 0;
  std::uint64_t value = 0;
};

// A number for each, which holds for good: those of whom it is known; of them, those who have one.
struct Amounts {
  using Fraction = Number::Fraction;
  std::uint64_t known = 0;
  std::uint64_t present = 0;
  OfGroup<Fraction> of;

  void set(std::uint32_t i, const Fraction& value) {
    known |= bit_of(i);
    present |= bit_of(i);
    of[i] = value;
  }
  void set_missing(std::uint32_t i) { known |= bit_of(i); }
};

// What was worked out of the group that is asked about now: the value that is ranked is often that which
// decides who takes part.
class GroupMemory {
 public:
  // Of all of the group. Valid until the next note().
  const Amounts* find(const void* node, const Group& group) const {
    if (group.first != first_ || (group.people & ~people_) != 0) return nullptr;
    for (const Noted& noted : noted_) {
      if (noted.node == node) return &noted.amounts;
    }
    return nullptr;
  }
  void note(const void* node, const Group& group, const Amounts& amounts) {
    if (group.first != first_ || group.people != people_) {
      noted_.clear();
      first_ = group.first;
      people_ = group.people;
    }
    if (noted_.size() < kMost) noted_.push_back({node, amounts});
  }

 private:
  static constexpr std::size_t kMost = 8;
  struct Noted {
    const void* node;
    Amounts amounts;
  };
  PersonId first_;
  std::uint64_t people_ = 0;
  std::vector<Noted> noted_;
};

// a op b, where it fits in a fraction. Exact.
struct Computed {
  bool fits = false;
  bool missing = false;  // a division by zero
  Number::Fraction value;
};
Computed compute(language::Arithmetic::Op op, const Number::Fraction& a, const Number::Fraction& b);
std::strong_ordering order_of(const Number::Fraction& a, const Number::Fraction& b);

}  // namespace tailrace::segments
