// What is known of conditions on attributes alone: country = "DE" holds until a statement about the person
// comes, so it need not be worked out from the statements at every event. For the live workspace only; what
// is asked of the past must not look here.
#pragma once

#include <cstdint>
#include <optional>

#include "base/chunked.h"
#include "base/id.h"
#include "base/memory_use.h"

namespace tailrace::segments {

class Memory {
 public:
  // So many conditions are remembered, two bits each; those beyond are worked out.
  static constexpr std::uint32_t kLimit = 64;

  std::optional<bool> find(PersonId person, std::uint32_t condition) const {
    if (person.value >= known_.size()) return std::nullopt;
    const Bits& bits = known_[person.value];
    const std::uint64_t bit = std::uint64_t{1} << condition;
    if ((bits.known & bit) == 0) return std::nullopt;
    return (bits.value & bit) != 0;
  }
  void note(PersonId person, std::uint32_t condition, bool value) {
    if (person.value >= known_.size()) known_.grow_to(person.value + 1);
    Bits& bits = known_[person.value];
    const std::uint64_t bit = std::uint64_t{1} << condition;
    bits.known |= bit;
    bits.value = value ? bits.value | bit : bits.value & ~bit;
  }
  void forget(PersonId person) {
    if (person.value < known_.size()) known_[person.value] = {};
  }
  MemoryUse memory() const { return known_.memory(); }
  void prefetch(PersonId person) const {
    if (person.value < known_.size()) __builtin_prefetch(known_.address(person.value));
  }

 private:
  struct Bits {
    std::uint64_t known = 0;
    std::uint64_t value = 0;
  };
  Chunked<Bits> known_;
};

}  // namespace tailrace::segments
