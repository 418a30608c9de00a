// Places against a map, by random changes: whatever stands in blocks or in tables, and while one becomes the
// other.
#include "history/places.h"

#include <map>
#include <tuple>
#include <utility>

#include <gmock/gmock.h>

#include "base/bits.h"
#include "base/random.h"

namespace tailrace::history {
namespace {

constexpr std::uint32_t kPeople = 600;
constexpr std::uint64_t kRows = 1000;

bool operator==(const Slot& a, const Slot& b) {
  return std::tuple(a.begin, std::uint32_t{a.count}, a.last) ==
         std::tuple(b.begin, std::uint32_t{b.count}, b.last);
}
bool operator==(const Sum& a, const Sum& b) {
  return std::tuple(a.mantissa, a.numbers, a.scale, a.exact) ==
         std::tuple(b.mantissa, b.numbers, b.scale, b.exact);
}

class Model {
 public:
  explicit Model(Places::Layout layout) : places_(layout) {
    // Of everybody, of half of them, of few; each with sums.
    for (const std::uint32_t one_in : {1U, 2U, 40U}) {
      kinds_.push_back({places_.take_key(), places_.take_key(), one_in});
    }
  }

  void change(Random& random) {
    const Kind& kind = kinds_[random.below(kinds_.size())];
    const PersonId person(static_cast<std::uint32_t>(random.below(known_)));
    if (known_ < kPeople && random.below(3) == 0) ++known_;
    if (person.value % kind.one_in != 0) return;
    const std::pair key(kind.slots, person.value);
    if (random.below(12) == 0) {
      places_.erase(person, kind.slots);
      places_.erase(person, kind.sums);
      slots_.erase(key);
      sums_.erase(key);
      return;
    }
    Slot& slot = places_.slot_of(person, kind.slots);
    slot.size_class = static_cast<std::uint32_t>(random.below(10)) & 63;
    slot.begin = static_cast<std::uint32_t>(random.below(kRows - capacity_of(slot.size_class)));
    slot.count = (1 + static_cast<std::uint32_t>(random.below(capacity_of(slot.size_class)))) & 1023;
    slot.last = Time{static_cast<std::int64_t>(random.below(1000))};
    slots_[key] = slot;
    Sum& sum = places_.sum_of(person, kind.sums);
    sum.mantissa += 1;
    ++sum.numbers;
    sums_[key] = sum;
  }

  void expect_same() const { expect_same(places_); }
  void expect_same(const Places& places) const {
    for (const Kind& kind : kinds_) {
      for (PersonId first(0); first.value < kPeople; first.value += kGroup) {
        const std::uint64_t wanted = bits_between(first.value % 7, 60);
        OfGroup<Slot> slots;
        OfGroup<Sum> sums;
        places.slots(first, wanted, kind.slots, slots);
        places.sums(first, wanted, kind.sums, sums);
        for (std::uint32_t i = 0; i < kGroup; ++i) {
          const PersonId person(first.value + i);
          const Slot* slot = places.slot(person, kind.slots);
          const Sum* sum = places.sum(person, kind.sums);
          const auto known = slots_.find({kind.slots, person.value});
          ASSERT_EQ(slot == nullptr, known == slots_.end()) << person.value;
          ASSERT_EQ(sum == nullptr, known == slots_.end()) << person.value;
          const bool is_wanted = (wanted & bit_of(i)) != 0;
          if (slot == nullptr) {
            ASSERT_TRUE(!is_wanted || (slots[i].empty() && sums[i].empty())) << person.value;
            continue;
          }
          ASSERT_TRUE(*slot == known->second && *sum == sums_.at({kind.slots, person.value}));
          ASSERT_TRUE(!is_wanted || (slots[i] == *slot && sums[i] == *sum));
        }
      }
    }
  }

  void expect_same_after_restart() const {
    ByteWriter out;
    places_.save(out);
    const std::string bytes = out.take();
    ByteReader in(bytes);
    Places restored;
    ASSERT_TRUE(restored.restore(in).has_value());
    ASSERT_TRUE(in.done());
    Places::Uses uses;
    for (const Kind& kind : kinds_) {
      uses.emplace(kind.slots, kRows);
      uses.emplace(kind.sums, std::nullopt);
    }
    const auto checked = restored.check(uses);
    ASSERT_TRUE(checked.has_value()) << checked.error().message;
    expect_same(restored);
  }

  // Others who had a key before have nothing of it.
  void retire_one() {
    const Kind kind = kinds_.front();
    places_.retire(kind.slots);
    places_.retire(kind.sums);
    places_.sweep();
    std::erase_if(slots_, [&](const auto& entry) { return entry.first.first == kind.slots; });
    std::erase_if(sums_, [&](const auto& entry) { return entry.first.first == kind.slots; });
    kinds_.front() = {places_.take_key(), places_.take_key(), kind.one_in};
  }

 private:
  struct Kind {
    Places::Key slots, sums;
    std::uint32_t one_in;
  };
  Places places_;
  std::vector<Kind> kinds_;
  std::uint32_t known_ = 1;
  std::map<std::pair<Places::Key, std::uint32_t>, Slot> slots_;
  std::map<std::pair<Places::Key, std::uint32_t>, Sum> sums_;
};

class PlacesLayout : public ::testing::TestWithParam<Places::Layout> {};

TEST_P(PlacesLayout, holds_what_was_put_there) {
  Random random(7);
  Model model(GetParam());
  for (int round = 0; round < 40 && !HasFatalFailure(); ++round) {
    for (int i = 0; i < 300; ++i) model.change(random);
    model.expect_same();
    if (round % 8 == 7) model.expect_same_after_restart();
    if (round % 10 == 9) model.retire_one();
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, PlacesLayout,
                         ::testing::Values(Places::Layout::as_it_pays, Places::Layout::in_tables),
                         [](const auto& layout) {
                           return layout.param == Places::Layout::in_tables ? "in_tables" : "as_it_pays";
                         });

TEST(Places, a_table_of_a_damaged_file_is_refused) {
  Places places;
  const Places::Key key = places.take_key();
  for (std::uint32_t person = 0; person < 200; ++person) {
    Slot& slot = places.slot_of(PersonId(person), key);
    slot.begin = person * 2;
    slot.size_class = 1;
    slot.count = 2;
  }
  EXPECT_TRUE(places.check({{key, 400}}).has_value());
  EXPECT_FALSE(places.check({{key, 399}}).has_value());
  EXPECT_FALSE(places.check({{key, std::nullopt}}).has_value()) << "slots where sums should be";
  EXPECT_FALSE(places.check({{key, 400}, {key + 1, 400}}).has_value()) << "a key that nobody took";
}

}  // namespace
}  // namespace tailrace::history
