// The people of a rank (top 10 % by ltv), ordered, with the boundary kept as values change: exact at every
// record. An update costs O(log n), whoever it moves over the boundary included.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

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
  // unordered: whoever is within is found out at the end, in a fraction of the time; the order is made by the
  // first update after it, if one comes.
  enum class Filling : unsigned char { in_order, unordered };
  void start_filling(Filling how);
  void finish_filling();

  bool contains(PersonId person) const;
  MemoryUse memory() const;

 private:
  struct Order;
  void put_in_order();
  void move_boundary(std::vector<PersonId>& flips);
  void set(PersonId person, bool inside, std::vector<PersonId>& flips);

  const RankPlan* plan_;
  std::unique_ptr<Order> order_;
  std::vector<bool> inside_;  // by person
  std::uint64_t inside_count_ = 0;
  bool filling_ = false;
  bool ordered_ = true;
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
  struct Line {
    bool initially = false;
    std::vector<Time> changes;
  };
  Time from_;
  Time horizon_;                          // nothing is known from here on
  std::vector<std::vector<Line>> ranks_;  // by rank, then person
};

}  // namespace tailrace::segments
