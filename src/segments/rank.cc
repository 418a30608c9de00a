#include "segments/rank.h"

#include <algorithm>
#include <cmath>

#include <absl/container/btree_set.h>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/growing_array.h"
#include "segments/walk.h"

namespace tailrace::segments {
namespace {

// Everybody's value.
class Values {
 public:
  void reserve(PersonId person) { known_.grow_to(person.value + std::size_t{1}); }
  std::size_t size() const { return known_.size(); }

  bool has(PersonId person) const { return known_[person.value].denominator != kMissing; }
  Number of(PersonId person) const {
    const Number::Fraction& value = known_[person.value];
    return value.denominator == kFar ? far_.at(person.value) : Number::of(value);
  }
  bool is(PersonId person, const std::optional<Number>& value) const {
    if (!value || !has(person)) return value.has_value() == has(person);
    return of(person) == *value;
  }
  void set(PersonId person, const std::optional<Number>& value) {
    Number::Fraction& known = known_[person.value];
    if (known.denominator == kFar) far_.erase(person.value);
    const auto fraction = value ? value->as_fraction() : std::optional(Number::Fraction{0, kMissing});
    known = fraction ? *fraction : Number::Fraction{0, kFar};
    if (!fraction) far_.emplace(person.value, *value);
  }

  MemoryUse memory() const {
    MemoryUse use = known_.memory();
    return use += memory_of_table(far_);
  }

 private:
  // Denominators are greater than zero.
  static constexpr std::int64_t kMissing = 0;
  static constexpr std::int64_t kFar = -1;

  GrowingArray<Number::Fraction> known_;                  // by person
  boost::unordered_flat_map<std::uint32_t, Number> far_;  // those that are no such fraction
};

struct Key {
  double about = 0;  // the value; decides most comparisons
  PersonId person;
  bool plain = false;  // of two plain ones it decides them all
};

// Rounded in such a way that a greater fraction never becomes a lesser double: 64 bits of long double hold
// numerator and denominator, so that only the quotient is rounded, twice.
double rounded(const Number& value) {
  const auto fraction = value.as_fraction();
  if (!fraction) return value.to_double();
  return static_cast<double>(static_cast<long double>(fraction->numerator) /
                             static_cast<long double>(fraction->denominator));
}

// Fractions of denominators up to a thousand are a millionth apart or equal, which is more than a double
// loses below four billion.
bool is_plain(const Number& value) {
  const auto fraction = value.as_fraction();
  return fraction && fraction->denominator <= 1'000 && std::abs(fraction->numerator) < 4'000'000'000;
}

struct Before {
  bool ascending = false;
  const Values* values = nullptr;
  bool operator()(const Key& a, const Key& b) const {
    // What to_double() rounds, where a number is no fraction of 64 bits: less than that.
    constexpr double kRounding = 1e-12;
    const double difference = a.about - b.about;
    const bool by_about = ascending ? difference < 0 : difference > 0;
    if (a.plain && b.plain) return difference != 0 ? by_about : a.person < b.person;
    if (std::abs(difference) > kRounding * (std::abs(a.about) + std::abs(b.about))) return by_about;
    const Number left = values->of(a.person);
    const Number right = values->of(b.person);
    if (left.is_exact() && right.is_exact()) {
      const auto order = left <=> right;
      if (order != 0) return ascending ? order < 0 : order > 0;
    } else {
      if (difference != 0) return by_about;
      if (left.is_exact() != right.is_exact()) return left.is_exact();
    }
    return a.person < b.person;
  }
};

constexpr std::size_t kRun = 32'768;  // sorted in two milliseconds

}  // namespace

struct RankTable::Order {
  explicit Order(bool is_ascending) : ascending(is_ascending), tree(before()) {}

  Before before() const { return {ascending, &values}; }
  Key key_of(PersonId person) const {
    const Number value = values.of(person);
    return {rounded(value), person, is_plain(value)};
  }
  Key next() const { return last ? *tree.upper_bound(*last) : *tree.begin(); }
  void step_back() {
    const auto place = tree.lower_bound(*last);
    last = place == tree.begin() ? std::nullopt : std::optional(*std::prev(place));
  }

  void end_run() {
    // Those whose value is another by now would be out of place.
    if (!changed.empty())
      std::erase_if(run, [&](const Key& key) { return changed.contains(key.person.value); });
    if (run.empty()) return;
    std::sort(run.begin(), run.end(), before());
    runs.push_back(std::exchange(run, {}));
    while (runs.size() > 1 && runs[runs.size() - 2].size() <= runs.back().size()) merge_runs();
  }
  void merge_runs() {
    const std::vector<Key> second = std::move(runs.back());
    runs.pop_back();
    std::vector<Key> both(runs.back().size() + second.size());
    std::merge(runs.back().begin(), runs.back().end(), second.begin(), second.end(), both.begin(), before());
    runs.back() = std::move(both);
  }
  void put_in_order() {
    end_run();
    while (runs.size() > 1) merge_runs();
    for (const std::vector<Key>& sorted : std::exchange(runs, {})) {
      for (const Key& key : sorted) {
        if (!changed.contains(key.person.value)) tree.insert(tree.end(), key);
      }
    }
    for (const std::uint32_t person : std::exchange(changed, {})) {
      if (values.has(PersonId(person))) tree.insert(key_of(PersonId(person)));
    }
  }

  bool ascending;
  Values values;
  absl::btree_set<Key, Before> tree;
  std::optional<Key> last;  // the last within; missing: nobody is
  // While it is filled: those with a value, in runs that are sorted and one that is not; those whose value is
  // another since, or none.
  std::vector<std::vector<Key>> runs;
  std::vector<Key> run;
  boost::unordered_flat_set<std::uint32_t> changed;
};

RankTable::RankTable(const RankPlan& plan)
    : plan_(&plan), order_(std::make_unique<Order>(plan.ascending())) {}
RankTable::~RankTable() = default;
RankTable::RankTable(RankTable&&) noexcept = default;
RankTable& RankTable::operator=(RankTable&&) noexcept = default;

bool RankTable::contains(PersonId person) const {
  return person.value < inside_.size() && inside_[person.value];
}

std::optional<Number> RankTable::value(PersonId person) const {
  const Values& values = order_->values;
  if (person.value >= values.size() || !values.has(person)) return std::nullopt;
  return values.of(person);
}

MemoryUse RankTable::memory() const {
  // Nodes of the tree are three quarters full, where values come in no order.
  MemoryUse use = memory_of(inside_);
  use += order_->values.memory();
  return use += {order_->tree.size() * sizeof(Key) * 4 / 3, 0};
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
    order_->values.reserve(person);
  }
  if (order_->values.is(person, value)) return;
  const bool had_value = order_->values.has(person);
  if (filling_) {
    order_->values.set(person, value);
    fill(person, had_value);
    return;
  }
  if (!order_->run.empty()) order_->put_in_order();
  std::vector<PersonId> moved;
  if (had_value) leave(person, moved);
  order_->values.set(person, value);
  if (value) enter(person, moved);
  move_boundary(moved);
  flips.insert(flips.end(), moved.begin(), moved.end());
}

void RankTable::fill(PersonId person, bool had_value) {
  Order& order = *order_;
  if (*filling_ == Filling::unordered || order.changed.contains(person.value)) return;
  if (had_value) {
    order.changed.insert(person.value);
  } else {
    order.run.push_back(order.key_of(person));
    if (order.run.size() == kRun) order.end_run();
  }
}

void RankTable::enter(PersonId person, std::vector<PersonId>& flips) {
  Order& order = *order_;
  const Key key = order.key_of(person);
  order.tree.insert(key);
  if (!order.last || !order.before()(key, *order.last)) return;
  // Everybody behind moves back by one; the boundary is set right after.
  ++inside_count_;
  set(person, true, flips);
}

void RankTable::leave(PersonId person, std::vector<PersonId>& flips) {
  Order& order = *order_;
  const Key key = order.key_of(person);
  if (inside_[person.value]) {
    if (order.last->person == person) order.step_back();
    --inside_count_;
    set(person, false, flips);
  }
  order.tree.erase(key);
}

void RankTable::move_boundary(std::vector<PersonId>& flips) {
  Order& order = *order_;
  const std::uint64_t limit = plan_->limit(order.tree.size());
  for (; inside_count_ < limit; ++inside_count_) {
    order.last = order.next();
    set(order.last->person, true, flips);
  }
  for (; inside_count_ > limit; --inside_count_) {
    set(order.last->person, false, flips);
    order.step_back();
  }
}

void RankTable::start_filling(Filling how) { filling_ = how; }

void RankTable::finish_filling() {
  const Filling how = *std::exchange(filling_, std::nullopt);
  Order& order = *order_;
  if (how == Filling::in_order) {
    order.put_in_order();
    const std::uint64_t limit = plan_->limit(order.tree.size());
    for (auto key = order.tree.begin(); inside_count_ < limit; ++key, ++inside_count_) {
      inside_[key->person.value] = true;
      order.last = *key;
    }
    return;
  }
  for (std::uint32_t person = 0; person < order.values.size(); ++person) {
    if (order.values.has(PersonId(person))) order.run.push_back(order.key_of(PersonId(person)));
  }
  inside_count_ = plan_->limit(order.run.size());
  if (inside_count_ == 0) return;
  const auto last = order.run.begin() + static_cast<std::ptrdiff_t>(inside_count_ - 1);
  std::nth_element(order.run.begin(), last, order.run.end(), order.before());
  for (auto key = order.run.begin(); key <= last; ++key) inside_[key->person.value] = true;
  order.last = *last;
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
