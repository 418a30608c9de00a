#include "segments/rank.h"

#include <algorithm>
#include <cmath>

#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>

#include "base/assert.h"
#include "segments/walk.h"

namespace tailrace::segments {
namespace {

struct Key {
  Key(const Number& v, PersonId p) : value(v), person(p), about(v.to_double()) {}
  Number value;
  PersonId person;
  double about;  // the value; decides most comparisons, in a fraction of the time of an exact one
};
struct Before {
  bool ascending = false;
  bool operator()(const Key& a, const Key& b) const {
    // to_double() rounds three times at most, each by less than 2e-16 of the value.
    constexpr double kRounding = 1e-12;
    const double difference = a.about - b.about;
    if (std::abs(difference) > kRounding * (std::abs(a.about) + std::abs(b.about)))
      return ascending ? difference < 0 : difference > 0;
    const auto order = a.value <=> b.value;
    if (order != 0) return ascending ? order < 0 : order > 0;
    return a.person < b.person;
  }
};
using Tree = __gnu_pbds::tree<Key, __gnu_pbds::null_type, Before, __gnu_pbds::rb_tree_tag,
                              __gnu_pbds::tree_order_statistics_node_update>;

}  // namespace

struct RankTable::Order {
  explicit Order(bool ascending) : tree(Before{ascending}) {}
  Tree tree;
  std::vector<std::optional<Number>> values;  // by person
};

RankTable::RankTable(const RankPlan& plan)
    : plan_(&plan), order_(std::make_unique<Order>(plan.ascending())) {}
RankTable::~RankTable() = default;
RankTable::RankTable(RankTable&&) noexcept = default;
RankTable& RankTable::operator=(RankTable&&) noexcept = default;

bool RankTable::contains(PersonId person) const {
  return person.value < inside_.size() && inside_[person.value];
}

MemoryUse RankTable::memory() const {
  // A node of the tree: three pointers, a colour and how many are below it, beside its key.
  constexpr std::uint64_t kNode = sizeof(Key) + 5 * sizeof(void*);
  MemoryUse use = memory_of(inside_);
  use += memory_of(order_->values);
  return use += {order_->tree.size() * kNode, 0};
}

void RankTable::set(PersonId person, bool inside, std::vector<PersonId>& flips) {
  if (inside_[person.value] == inside) return;
  inside_[person.value] = inside;
  // A second flip of the same person takes the first back.
  const auto earlier = std::find(flips.begin(), flips.end(), person);
  if (earlier == flips.end()) {
    flips.push_back(person);
  } else {
    flips.erase(earlier);
  }
}

void RankTable::update(PersonId person, const std::optional<Number>& value, std::vector<PersonId>& flips) {
  if (person.value >= inside_.size()) {
    inside_.resize(person.value + 1);
    order_->values.resize(person.value + 1);
  }
  if (!filling_ && !ordered_) put_in_order();
  std::optional<Number>& known = order_->values[person.value];
  if (known.has_value() == value.has_value() && (!value || *known == *value)) return;
  std::vector<PersonId> moved;
  if (known) {
    if (ordered_) order_->tree.erase({*known, person});
    if (inside_[person.value]) {
      --inside_count_;
      set(person, false, moved);
    }
  }
  known = value;
  if (known && ordered_) {
    order_->tree.insert({*known, person});
    if (!filling_ && order_->tree.order_of_key({*known, person}) < inside_count_) {
      // Everybody behind moves back by one; the boundary is set right below.
      ++inside_count_;
      set(person, true, moved);
    }
  }
  if (!filling_) move_boundary(moved);
  flips.insert(flips.end(), moved.begin(), moved.end());
}

void RankTable::move_boundary(std::vector<PersonId>& flips) {
  const std::uint64_t limit = plan_->limit(order_->tree.size());
  for (; inside_count_ < limit; ++inside_count_)
    set(order_->tree.find_by_order(inside_count_)->person, true, flips);
  for (; inside_count_ > limit; --inside_count_)
    set(order_->tree.find_by_order(inside_count_ - 1)->person, false, flips);
}

void RankTable::start_filling(Filling how) {
  filling_ = true;
  ordered_ = how == Filling::in_order;
}

void RankTable::finish_filling() {
  filling_ = false;
  if (ordered_) {
    const std::uint64_t limit = plan_->limit(order_->tree.size());
    for (auto key = order_->tree.begin(); inside_count_ < limit; ++key, ++inside_count_)
      inside_[key->person.value] = true;
    return;
  }
  std::vector<Key> keys;
  for (std::uint32_t person = 0; person < order_->values.size(); ++person) {
    if (const auto& value = order_->values[person]) keys.emplace_back(*value, PersonId(person));
  }
  inside_count_ = plan_->limit(keys.size());
  const auto boundary = keys.begin() + static_cast<std::ptrdiff_t>(inside_count_);
  std::nth_element(keys.begin(), boundary, keys.end(), Before{plan_->ascending()});
  for (auto key = keys.begin(); key != boundary; ++key) inside_[key->person.value] = true;
}

void RankTable::put_in_order() {
  for (std::uint32_t person = 0; person < order_->values.size(); ++person) {
    if (const auto& value = order_->values[person]) order_->tree.insert({*value, PersonId(person)});
  }
  ordered_ = true;
}

Time beginning_of(const World& world, const std::vector<RankPlan>& ranks) {
  Time beginning = kNever;
  for (const RankPlan& rank : ranks) {
    beginning = std::min({beginning, rank.by.dependencies.first_instant - Millis{1},
                          rank.eligible_dependencies.first_instant - Millis{1}});
  }
  for (std::uint32_t id = 0; id < world.profiles.person_limit(); ++id) {
    if (world.profiles.alive(PersonId(id)))
      beginning = std::min(beginning, beginning_of(world, PersonId(id)));
  }
  return beginning;
}

RankHistory::RankHistory(const World& world, const std::vector<RankPlan>& ranks, Time from, Time to)
    : from_(from), horizon_(to + Millis{1}) {
  struct Step {
    Time at;
    PersonId person;
    std::optional<Number> value;
  };
  World own = world;
  own.ranks = this;
  const auto people = static_cast<std::uint32_t>(world.profiles.person_limit());
  for (const RankPlan& plan : ranks) {
    RankTable table(plan);
    table.start_filling(RankTable::Filling::unordered);
    std::vector<Step> steps;
    std::vector<PersonId> flips;
    std::vector<StreamUse> uses = plan.by.dependencies.streams;
    uses.insert(uses.end(), plan.eligible_dependencies.streams.begin(),
                plan.eligible_dependencies.streams.end());
    const auto by_stream = [](const StreamUse& a, const StreamUse& b) { return a.stream < b.stream; };
    const auto same_stream = [](const StreamUse& a, const StreamUse& b) { return a.stream == b.stream; };
    std::sort(uses.begin(), uses.end(), by_stream);
    uses.erase(std::unique(uses.begin(), uses.end(), same_stream), uses.end());
    for (std::uint32_t id = 0; id < people; ++id) {
      prefetch_ahead(world.history, uses, id, people);
      const PersonId person(id);
      if (!world.profiles.alive(person)) continue;
      for (Time t = from; t <= to;) {
        const Truth takes_part = plan.eligible ? plan.eligible->truth(own, person, t) : Truth{true, kNever};
        const Held by = takes_part.value ? plan.by.node->at(own, person, t) : Held{};
        std::optional<Number> value;
        if (by.value.kind == Scalar::Kind::number) value = by.value.number;
        if (t == from) {
          table.update(person, value, flips);
        } else {
          steps.push_back({t, person, value});
        }
        t = std::min(takes_part.until, by.until);
      }
    }
    table.finish_filling();
    std::vector<Line> lines(people);
    for (std::uint32_t id = 0; id < people; ++id) lines[id].initially = table.contains(PersonId(id));
    std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.at < b.at; });
    // All values of one instant count at once: somebody who is overtaken and overtakes in it has not moved.
    for (std::size_t i = 0; i < steps.size();) {
      const Time at = steps[i].at;
      flips.clear();
      for (; i < steps.size() && steps[i].at == at; ++i) table.update(steps[i].person, steps[i].value, flips);
      std::sort(flips.begin(), flips.end());
      for (std::size_t j = 0; j < flips.size();) {
        const PersonId person = flips[j];
        std::size_t count = 0;
        for (; j < flips.size() && flips[j] == person; ++j) ++count;
        if (count % 2 == 1) lines[person.value].changes.push_back(at);
      }
    }
    ranks_.push_back(std::move(lines));
  }
}

Truth RankHistory::truth(RankId rank, PersonId person, Time t) const {
  const Line& line = ranks_[rank.value][person.value];
  const auto after = std::upper_bound(line.changes.begin(), line.changes.end(), t);
  const bool odd = (after - line.changes.begin()) % 2 == 1;
  return {line.initially != odd, after == line.changes.end() ? horizon_ : *after};
}

}  // namespace tailrace::segments
