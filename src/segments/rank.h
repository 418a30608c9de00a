// The people of a rank (top 10 % by ltv), ordered, with the boundary kept as values change: exact at every
// record. An update costs O(log n), whoever it moves over the boundary included. Some 36 bytes a person.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/id.h"
#include "base/memory_use.h"
#include "base/number.h"
#include "segments/plan.h"

namespace tailrace::segments {

class RankTable {
 public:
  explicit RankTable(const RankPlan& plan);
  ~RankTable();
  RankTable(RankTable&&) noexcept;
  RankTable& operator=(RankTable&&) noexcept;

  // The person's value changed; missing: takes no part. People whose membership changed are appended to
  // flips, each once (this person too).
  void update(PersonId person, const std::optional<Number>& value, std::vector<PersonId>& flips);
  // While filling, updates move nobody; finish_filling sets the boundary once.
  // in_order: values are sorted in runs as they come, so that the end takes 25 ms for a million people.
  // unordered: whoever is within is found out at the end without an order, which the first update after it
  // makes, if one comes.
  enum class Filling : unsigned char { in_order, unordered };
  void start_filling(Filling how);
  // While filling, update() of one whose value is such a fraction.
  void fill_in(PersonId person, const std::optional<Number::Fraction>& value);
  void finish_filling();

  bool contains(PersonId person) const;
  std::vector<bool> inside(std::size_t people) const;  // those below `people`
  std::optional<Number> value(PersonId person) const;  // missing: takes no part
  MemoryUse memory() const;

 private:
  struct Order;
  void reserve(PersonId person);
  void fill(PersonId person, bool had_value);
  void enter(PersonId person, std::vector<PersonId>& flips);
  void leave(PersonId person, std::vector<PersonId>& flips);
  void move_boundary(std::vector<PersonId>& flips);
  void set(PersonId person, bool inside, std::vector<PersonId>& flips);

  const RankPlan* plan_;
  std::unique_ptr<Order> order_;
  std::vector<bool> inside_;  // by person
  std::uint64_t inside_count_ = 0;
  std::optional<Filling> filling_;
};

// An instant before which no rank moves anybody.
Time beginning_of(const World& world, const std::vector<RankPlan>& ranks);

// Ranks over the past: who was within at each instant of [from, to], for expressions that are asked once.
class RankHistory final : public RankView {
 public:
  // world.ranks is ignored. ranks: in an order in which each uses only those before it.
  RankHistory(const World& world, const std::vector<RankPlan>& ranks, Time from, Time to);
  Truth truth(RankId rank, PersonId person, Time t) const override;
  Time known_from() const override { return from_; }

 private:
  struct Past {
    std::vector<bool> initially;  // by person
    boost::unordered_flat_map<std::uint32_t, std::vector<Time>> changes;
  };
  Time from_;
  Time horizon_;             // nothing is known from here on
  std::vector<Past> ranks_;  // by rank
};

}  // namespace tailrace::segments
