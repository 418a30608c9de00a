#include "segments/rank.h"

#include <algorithm>
#include <cmath>

#include <absl/container/btree_set.h>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/assert.h"
#include "base/growing_array.h"
#include "segments/walk.h"

namespace tailrace::segments {
namespace {

// Everybody's value.
class Values {
 public:
  void reserve(std::size_t people) { known_.grow_to(people); }
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
  bool is(PersonId person, const std::optional<Number::Fraction>& value) const {
    if (!value || !has(person)) return value.has_value() == has(person);
    return of(person) == Number::of(*value);
  }
  // None where the value is no such fraction.
  const Number::Fraction* fraction(PersonId person) const {
    const Number::Fraction& value = known_[person.value];
    return value.denominator > 0 ? &value : nullptr;
  }
  void set(PersonId person, const std::optional<Number::Fraction>& value) {
    Number::Fraction& known = known_[person.value];
    if (known.denominator == kFar) far_.erase(person.value);
    known = value.value_or(Number::Fraction{0, kMissing});
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

// Fractions of denominators up to a thousand are a millionth apart or equal, which is more than a double
// loses below four billion.
bool is_plain(const Number::Fraction& value) {
  return value.denominator <= 1'000 && std::abs(value.numerator) < 4'000'000'000;
}

// Rounded in such a way that a greater fraction never becomes a lesser double: 64 bits of long double hold
// numerator and denominator, so that only the quotient is rounded, twice; a double holds plain ones.
double rounded(const Number::Fraction& value) {
  if (is_plain(value)) return static_cast<double>(value.numerator) / static_cast<double>(value.denominator);
  return static_cast<double>(static_cast<long double>(value.numerator) /
                             static_cast<long double>(value.denominator));
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
    if (const Number::Fraction* value = values.fraction(person))
      return {rounded(*value), person, is_plain(*value)};
    return {values.of(person).to_double(), person, false};
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

void RankTable::reserve(PersonId person) {
  if (person.value < inside_.size()) return;
  constexpr std::size_t kAtOnce = 4096;
  inside_.resize((person.value / kAtOnce + 1) * kAtOnce);
  order_->values.reserve(inside_.size());
}

std::vector<bool> RankTable::inside(std::size_t people) const {
  std::vector<bool> result = inside_;
  result.resize(people);
  return result;
}

void RankTable::fill_in(PersonId person, const std::optional<Number::Fraction>& value) {
  TR_ASSERT(filling_.has_value());
  reserve(person);
  Values& values = order_->values;
  if (values.is(person, value)) return;
  const bool had_value = values.has(person);
  values.set(person, value);
  fill(person, had_value);
}

void RankTable::update(PersonId person, const std::optional<Number>& value, std::vector<PersonId>& flips) {
  reserve(person);
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
  order.run.reserve(order.values.size());
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
  GroupMemory group_memory;
  own.ranks = this;
  const auto people = static_cast<std::uint32_t>(world.profiles.person_limit());
  for (const RankPlan& plan : ranks) {
    RankTable table(plan);
    table.start_filling(RankTable::Filling::unordered);
    std::vector<Step> steps;
    std::vector<PersonId> flips;
    Dependencies on;
    on.add(plan.by.dependencies, Dependencies::Bearing::any);
    on.add(plan.eligible_dependencies, Dependencies::Bearing::any);
    const auto add = [&](PersonId person) {
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
    };
    // Of one instant, most values are found for many people at once.
    const Holding holding = from == to ? Holding::now : Holding::for_good;
    own.group = &group_memory;
    for (PersonId first(0); first.value < people; first.value += kGroup) {
      const Group group{first, world.profiles.alive_among(first)};
      const Amounts amounts = plan.values(own, group, from, holding);
      each_bit(amounts.present, [&](std::uint32_t i) { table.fill_in(group.at(i), amounts.of[i]); });
      each_prefetched(own, on, {first, group.people & ~amounts.known}, add);
    }
    table.finish_filling();
    Past past{.initially = table.inside(people), .changes = {}};
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
        if (count % 2 == 1) past.changes[person.value].push_back(at);
      }
    }
    ranks_.push_back(std::move(past));
  }
}

Truth RankHistory::truth(RankId rank, PersonId person, Time t) const {
  const Past& past = ranks_[rank.value];
  const bool initially = past.initially[person.value];
  const auto changes = past.changes.find(person.value);
  if (changes == past.changes.end()) return {initially, horizon_};
  const auto after = std::upper_bound(changes->second.begin(), changes->second.end(), t);
  const bool odd = (after - changes->second.begin()) % 2 == 1;
  return {initially != odd, after == changes->second.end() ? horizon_ : *after};
}

}  // namespace tailrace::segments
