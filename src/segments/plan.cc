#include "segments/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "language/language.h"
#include "model/json.h"
#include "segments/filter.h"
#include "segments/timelines.h"
#include "segments/window.h"

namespace tailrace::segments {
namespace {

namespace ast = language;
using history::Cell;
using history::Column;
using history::Stream;
using history::StreamId;

Time earlier(Time a, Time b) { return std::min(a, b); }

class Constant final : public Node {
 public:
  explicit Constant(const ast::Literal& literal) : literal_(literal) {}
  Held at(const World&, PersonId, Time) const override { return {Scalar::of(literal_), kNever}; }
  bool amounts(const World&, const Group& group, Time, Amounts& amounts) const override {
    if (literal_.kind != ast::Literal::Kind::number) return false;
    const auto value = literal_.number.as_fraction();
    if (!value) return false;
    each_bit(group.people, [&](std::uint32_t i) { amounts.set(i, *value); });
    return true;
  }

 private:
  ast::Literal literal_;
};

// A trait as of t: the latest statement wins.
class Trait final : public Node {
 public:
  Trait(profiles::TraitId whole, profiles::TraitId root, std::string rest, ast::Type type)
      : whole_(whole), root_(root), rest_(std::move(rest)), type_(type) {}
  Held at(const World& world, PersonId person, Time t) const override {
    const Found found = find(world, person, t);
    return {value_of(found), found.until};
  }
  bool may_be_several() const override { return !rest_.empty(); }
  Time values(const World& world, PersonId person, Time t, std::vector<Scalar>& values) const override {
    const Found found = find(world, person, t);
    const std::size_t first = values.size();
    if (found.stated.other != nullptr) {
      collect(*found.stated.other, found.path, values);
    } else if (found.stated.kind != Stated::Kind::nothing && found.path.empty()) {
      values.push_back(scalar_of(found));
    }
    for (std::size_t i = first; i < values.size(); ++i) values[i] = typed(type_, values[i]);
    return found.until;
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    const Found found = find(world, person, t);
    if (found.stated.kind == Stated::Kind::nothing) return {.value = "missing", .position = {}, .time = {}};
    return {.value = to_string(value_of(found)), .position = {}, .time = found.stated.time};
  }

 private:
  using Stated = profiles::Stated;
  struct Found {
    Stated stated;
    Time until;
    std::string_view path;  // of the value within the statement's
  };
  Found find(const World& world, PersonId person, Time t) const {
    const Stated whole = world.profiles.trait_at(person, whole_, t);
    // A trait whose own name has dots comes before a path into another.
    if (whole.kind != Stated::Kind::nothing || rest_.empty()) return {whole, whole.until, {}};
    const Stated by_root = world.profiles.trait_at(person, root_, t);
    return {by_root, earlier(whole.until, by_root.until), rest_};
  }
  // Of what is no list or object; missing where a path leads into it.
  static Scalar scalar_of(const Found& found) {
    if (!found.path.empty()) return {};
    switch (found.stated.kind) {
      case Stated::Kind::boolean:
        return Scalar::of(found.stated.boolean);
      case Stated::Kind::number:
        return Scalar::of(found.stated.number);
      case Stated::Kind::text:
        return Scalar::of(found.stated.text);
      default:
        return {};
    }
  }
  Scalar value_of(const Found& found) const {
    if (found.stated.other == nullptr) return typed(type_, scalar_of(found));
    const Value& whole = *found.stated.other;
    const Value* value = found.path.empty() ? &whole : whole.find_path(found.path);
    return value == nullptr ? Scalar() : typed(type_, Scalar::of(*value));
  }

  profiles::TraitId whole_;  // the name with its dots
  profiles::TraitId root_;   // the part before the first dot
  std::string rest_;         // the part behind it, empty without dots
  ast::Type type_;
};

class ConsentFor final : public Condition {
 public:
  explicit ConsentFor(profiles::PurposeId purpose) : purpose_(purpose) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    const profiles::StatedConsent stated = world.profiles.consent_at(person, purpose_, t);
    return {stated.granted.value_or(world.consent_unknown), stated.until};
  }

 private:
  profiles::PurposeId purpose_;
};

// A condition that only statements about the person change.
class Remembered final : public Condition {
 public:
  Remembered(std::shared_ptr<const Condition> inner, std::uint32_t index)
      : inner_(std::move(inner)), index_(index) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    if (world.memory == nullptr) return inner_->truth(world, person, t);
    if (const auto known = world.memory->find(person, index_)) return {*known, kNever};
    const Truth found = inner_->truth(world, person, t);
    if (found.until == kNever) world.memory->note(person, index_, found.value);
    return found;
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return inner_->evidence(world, person, t);
  }

 private:
  std::shared_ptr<const Condition> inner_;
  std::uint32_t index_;
};

class Negation final : public Condition {
 public:
  explicit Negation(std::shared_ptr<const Condition> operand) : operand_(std::move(operand)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    const Truth inner = operand_->truth(world, person, t);
    return {!inner.value, inner.until};
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding holding) const override {
    const Verdicts inner = operand_->verdicts(world, group, t, holding);
    return {inner.known, inner.known & ~inner.value};
  }
  const Condition& operand() const { return *operand_; }

 private:
  std::shared_ptr<const Condition> operand_;
};

// An operand of a condition, which stands for several values where its path meets a list.
class Operand {
 public:
  explicit Operand(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

  // Does one of the values satisfy it? Lists as values are left to `satisfies`.
  template <class Satisfies>
  Truth any(const World& world, PersonId person, Time t, const Satisfies& satisfies) const {
    if (!node_->may_be_several()) {
      const Held held = node_->at(world, person, t);
      return {satisfies(held.value), held.until};
    }
    std::vector<Scalar> values;
    const Time until = node_->values(world, person, t, values);
    return {std::any_of(values.begin(), values.end(), satisfies), until};
  }
  const Node& node() const { return *node_; }

 private:
  std::shared_ptr<const Node> node_;
};

// Does a value, or an element of it where it is a list, satisfy?
template <class Satisfies>
bool any_element(const Scalar& value, const Satisfies& satisfies) {
  if (value.kind != Scalar::Kind::list || value.list->kind != Value::Kind::list) return satisfies(value);
  std::vector<Scalar> elements;
  collect(*value.list, "", elements);
  return std::any_of(elements.begin(), elements.end(), satisfies);
}

class Comparing final : public Condition {
 public:
  Comparing(ast::Comparison op, std::shared_ptr<const Node> left, std::shared_ptr<const Node> right)
      : op_(op), left_(std::move(left)), right_(std::move(right)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    Time right_until = kNever;
    const Truth left = left_.any(world, person, t, [&](const Scalar& a) {
      const Truth right = right_.any(world, person, t, [&](const Scalar& b) { return compare(op_, a, b); });
      right_until = right.until;
      return right.value;
    });
    return {left.value, earlier(left.until, right_until)};
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding) const override {
    Amounts left, right;
    if (!right_.node().amounts(world, group, t, right) || !left_.node().amounts(world, group, t, left))
      return {};
    Verdicts result{.known = left.known & right.known, .value = 0};
    each_bit(result.known & left.present & right.present, [&](std::uint32_t i) {
      if (satisfies(op_, order_of(left.of[i], right.of[i]))) result.value |= bit_of(i);
    });
    return result;
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    Evidence found = left_.node().evidence(world, person, t);
    found.value = to_string(left_.node().at(world, person, t).value);
    return found;
  }

 private:
  ast::Comparison op_;
  Operand left_, right_;
};

class OneOf final : public Condition {
 public:
  OneOf(std::shared_ptr<const Node> value, std::vector<ast::Literal> options)
      : value_(std::move(value)), options_(std::move(options)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    return value_.any(world, person, t, [&](const Scalar& value) {
      return std::any_of(options_.begin(), options_.end(), [&](const ast::Literal& option) {
        return compare(ast::Comparison::equal, value, Scalar::of(option));
      });
    });
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return value_.node().evidence(world, person, t);
  }

 private:
  Operand value_;
  std::vector<ast::Literal> options_;
};

class Existing final : public Condition {
 public:
  explicit Existing(std::shared_ptr<const Node> value) : value_(std::move(value)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    // An empty list is there, though it has no element to be found.
    const Held whole = value_.node().at(world, person, t);
    if (whole.value.present()) return {true, whole.until};
    const Truth found = value_.any(world, person, t, [](const Scalar& value) { return value.present(); });
    return {found.value, earlier(whole.until, found.until)};
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return value_.node().evidence(world, person, t);
  }

 private:
  Operand value_;
};

// A bare boolean value as a condition: `subscribed`.
class Flag final : public Condition {
 public:
  explicit Flag(std::shared_ptr<const Node> value) : value_(std::move(value)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    const auto is_true = [](const Scalar& value) {
      return value.kind == Scalar::Kind::boolean && value.boolean;
    };
    return value_.any(world, person, t, [&](const Scalar& value) { return any_element(value, is_true); });
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return value_.node().evidence(world, person, t);
  }

 private:
  Operand value_;
};

class Calculation final : public Node {
 public:
  Calculation(ast::Arithmetic::Op op, std::shared_ptr<const Node> left, std::shared_ptr<const Node> right)
      : op_(op), left_(std::move(left)), right_(std::move(right)) {}
  Held at(const World& world, PersonId person, Time t) const override {
    const Held left = left_->at(world, person, t);
    const Held right = right_->at(world, person, t);
    return {compute(op_, left.value, right.value), earlier(left.until, right.until)};
  }
  bool amounts(const World& world, const Group& group, Time t, Amounts& amounts) const override {
    if (world.group != nullptr) {
      if (const Amounts* known = world.group->find(this, group)) {
        amounts = *known;
        amounts.known &= group.people;
        amounts.present &= group.people;
        return true;
      }
    }
    Amounts left, right;
    if (!left_->amounts(world, group, t, left) || !right_->amounts(world, group, t, right)) return false;
    const std::uint64_t both = left.present & right.present;
    amounts.known = left.known & right.known & ~both;
    each_bit(left.known & right.known & both, [&](std::uint32_t i) {
      const Computed computed = compute(op_, left.of[i], right.of[i]);
      if (!computed.fits) return;
      if (computed.missing) {
        amounts.set_missing(i);
      } else {
        amounts.set(i, computed.value);
      }
    });
    if (world.group != nullptr) world.group->note(this, group, amounts);
    return true;
  }

 private:
  ast::Arithmetic::Op op_;
  std::shared_ptr<const Node> left_, right_;
};

class Choice final : public Node {
 public:
  Choice(std::shared_ptr<const Condition> condition, std::shared_ptr<const Node> then,
         std::shared_ptr<const Node> otherwise)
      : condition_(std::move(condition)), then_(std::move(then)), otherwise_(std::move(otherwise)) {}
  Held at(const World& world, PersonId person, Time t) const override {
    const Truth decided = condition_->truth(world, person, t);
    Held held;
    if (decided.value) {
      held = then_->at(world, person, t);
    } else if (otherwise_) {
      held = otherwise_->at(world, person, t);
    }
    return {held.value, earlier(held.until, decided.until)};
  }

 private:
  std::shared_ptr<const Condition> condition_;
  std::shared_ptr<const Node> then_, otherwise_;
};

// "at least n" and its contrary, "at most n - 1", as a threshold; of `=` and `!=` there is none.
struct Reaching {
  std::uint64_t times = 0;
  bool reached = true;
};
std::optional<Reaching> reaching(ast::Comparison op, std::uint64_t times) {
  switch (op) {
    case ast::Comparison::greater_equal:
      return Reaching{times, true};
    case ast::Comparison::greater:
      return Reaching{times + 1, true};
    case ast::Comparison::less:
      return Reaching{times, false};
    case ast::Comparison::less_equal:
      return Reaching{times + 1, false};
    default:
      return std::nullopt;
  }
}

// Until when a threshold stays reached; missing: it is not. No row of the slot is later than t.
std::optional<Time> stream_reaches(const Stream& stream, const history::Slot* slot,
                                   const Threshold& threshold, Time t) {
  if (slot == nullptr || slot->count < threshold.times) return std::nullopt;
  if (!threshold.far) return kNever;
  if (slot->last + *threshold.far <= t) return std::nullopt;
  const Time nth =
      threshold.times == 1 ? slot->last : stream.rows(*slot).times[slot->count - threshold.times];
  const Time leaves = nth + *threshold.far;
  return leaves > t ? std::optional(leaves) : std::nullopt;
}

class Counting final : public Condition {
 public:
  Counting(StreamId stream, Span span, ast::Comparison op, std::uint64_t times)
      : stream_(stream), span_(std::move(span)), op_(op), times_(times) {
    const auto reach = reaching(op, times);
    if (!reach || reach->times == 0) return;
    reach_ = *reach;
    since_last_ = reach->times == 1 && span_.only_since_last();
    if (!span_.only_within()) return;
    threshold_ = {.times = reach->times, .far = span_.far, .distinct = {}};
  }

  // What it asks, if it asks no more.
  const std::optional<Threshold>& threshold() const { return threshold_; }

  Truth truth(const World& world, PersonId person, Time t) const override {
    const Stream& stream = world.history.at(stream_);
    const history::Slot* slot = stream.slot(person);
    if (threshold_ && (slot == nullptr || slot->last <= t)) {
      const auto reached = stream_reaches(stream, slot, *threshold_, t);
      return reached ? Truth{reach_.reached, *reached} : Truth{!reach_.reached, kNever};
    }
    if (since_last_ && (slot == nullptr || slot->last <= t)) {
      const history::Slot* anchor = world.history.at(span_.since_events.front().stream).slot(person);
      if (slot == nullptr || anchor == nullptr || anchor->last <= t) {
        const bool any = slot != nullptr &&
                         (anchor == nullptr ? span_.since_events.front().if_any : slot->last >= anchor->last);
        return {any == reach_.reached, kNever};
      }
    }
    const Stream::Rows rows = slot == nullptr ? Stream::Rows() : stream.rows(*slot);
    const Extent extent = span_.extent(world, person, t);
    const Inside found = inside(world, span_, extent, rows, t);
    return {holds(found.count()), found.until()};
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding holding) const override {
    if (!threshold_ && !since_last_ && !span_.only_ago()) return {};
    const Stream& stream = world.history.at(stream_);
    OfGroup<history::Slot> slots;
    stream.slots(group.first, group.people, slots);
    if (threshold_) return of_threshold(stream, slots, group.people, t, holding);
    if (since_last_) return of_since_last(world, slots, group, t);
    return of_ago(stream, slots, group.people, t, holding);
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    const Stream::Rows rows = world.history.at(stream_).rows(person);
    const Inside found = inside(world, span_, span_.extent(world, person, t), rows, t);
    Evidence result{.value = found.count() == 1 ? "once" : fmt::format("{} times", found.count()),
                    .position = {},
                    .time = {}};
    if (found.count() > 0) {
      result.position = rows.positions[found.end - 1];
      result.time = rows.times[found.end - 1];
    } else if (found.begin > 0) {  // the last one before the window, which is why there is none in it
      result.position = rows.positions[found.begin - 1];
      result.time = rows.times[found.begin - 1];
    }
    return result;
  }

 private:
  using Slots = OfGroup<history::Slot>;

  bool holds(std::uint64_t count) const { return satisfies(op_, count <=> times_); }

  // Who has no row that is later than t.
  static std::uint64_t none_later(const Slots& slots, Time t) {
    std::uint64_t result = 0;
    for (std::uint32_t i = 0; i < kGroup; ++i)
      result |= std::uint64_t{slots[i].empty() || slots[i].last <= t} << i;
    return result;
  }
  Verdicts of_threshold(const Stream& stream, const Slots& slots, std::uint64_t people, Time t,
                        Holding holding) const {
    Verdicts result{.known = people & none_later(slots, t), .value = 0};
    const std::uint64_t times = threshold_->times;
    const Time low = threshold_->far ? t - *threshold_->far : kForeverAgo;
    std::uint64_t reached = 0;
    for (std::uint32_t i = 0; i < kGroup; ++i)
      reached |= std::uint64_t{slots[i].count >= times && slots[i].last > low} << i;
    reached &= result.known;
    if (threshold_->far) {
      if (times > 1) {
        each_bit(reached, [&](std::uint32_t i) { stream.prefetch_row(slots[i], slots[i].count - times); });
        each_bit(reached, [&](std::uint32_t i) {
          if (stream.rows(slots[i]).times[slots[i].count - times] <= low) reached &= ~bit_of(i);
        });
      }
      if (holding == Holding::for_good) result.known &= ~reached;
    }
    result.value = (reach_.reached ? reached : ~reached) & result.known;
    return result;
  }
  Verdicts of_since_last(const World& world, const Slots& slots, const Group& group, Time t) const {
    const SinceEvent& since = span_.since_events.front();
    Slots anchors;
    world.history.at(since.stream).slots(group.first, group.people, anchors);
    Verdicts result;
    result.known = group.people & none_later(slots, t);
    std::uint64_t any = 0;
    for (std::uint32_t i = 0; i < kGroup; ++i) {
      const bool after = anchors[i].empty() ? since.if_any : slots[i].last >= anchors[i].last;
      any |= std::uint64_t{!slots[i].empty() && after} << i;
      const bool undecided = !slots[i].empty() && !anchors[i].empty() && anchors[i].last > t;
      result.known &= ~(std::uint64_t{undecided} << i);
    }
    result.value = (reach_.reached ? any : ~any) & result.known;
    return result;
  }
  // How many of the first rows are not later than t. Found from the end, near which windows are.
  static std::size_t count_until(const history::PackedView<Time>& times, std::size_t rows, Time t) {
    std::size_t end = rows;  // from here on they are later
    std::size_t step = 1;
    for (; end >= step && times[end - step] > t; step *= 2) end -= step;
    const auto begin = times.begin() + static_cast<std::ptrdiff_t>(end >= step ? end - step : 0);
    return static_cast<std::size_t>(
        std::upper_bound(begin, times.begin() + static_cast<std::ptrdiff_t>(end), t) - times.begin());
  }
  // Rows come in at their time + near and go out at their time + far.
  Verdicts of_ago(const Stream& stream, const Slots& slots, std::uint64_t people, Time t,
                  Holding holding) const {
    const Time low = t - *span_.far;
    const Time high = t - span_.near;
    Verdicts result{.known = people & none_later(slots, t), .value = 0};
    std::uint64_t some = 0;
    for (std::uint32_t i = 0; i < kGroup; ++i)
      some |= std::uint64_t{!slots[i].empty() && slots[i].last > low} << i;
    some &= result.known;
    if (holds(0)) result.value = result.known & ~some;
    if (holding == Holding::for_good) {
      result.known &= ~some;
      return result;
    }
    each_bit(some, [&](std::uint32_t i) { stream.prefetch_row(slots[i], slots[i].count - 1); });
    each_bit(some, [&](std::uint32_t i) {
      const auto times = stream.rows(slots[i]).times;
      const std::size_t end = count_until(times, times.size(), high);
      if (holds(end - count_until(times, end, low))) result.value |= bit_of(i);
    });
    return result;
  }

  StreamId stream_;
  Span span_;
  ast::Comparison op_;
  std::uint64_t times_;
  Reaching reach_;
  std::optional<Threshold> threshold_;
  bool since_last_ = false;  // at least once, or never, since the last event of another name
};

// and, or. One operand that decides is enough for as long as it does. Counts, the most frequent of operands,
// and contraries of counts are called by their own type.
class Junction final : public Condition {
 public:
  Junction(bool all, const std::vector<std::shared_ptr<const Condition>>& operands) : all_(all) {
    for (const auto& operand : operands) {
      const auto* negation = dynamic_cast<const Negation*>(operand.get());
      const Condition* inner = negation == nullptr ? operand.get() : &negation->operand();
      parts_.push_back({.condition = operand,
                        .counting = dynamic_cast<const Counting*>(inner),
                        .negated = negation != nullptr});
    }
  }
  Truth truth(const World& world, PersonId person, Time t) const override {
    Time undecided_until = kNever;
    for (const Part& part : parts_) {
      const Truth found = part.truth(world, person, t);
      if (found.value != all_) return found;
      undecided_until = earlier(undecided_until, found.until);
    }
    return {all_, undecided_until};
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding holding) const override {
    Group rest = group;  // those whom no part has decided
    std::uint64_t known_by_all = group.people;
    for (const Part& part : parts_) {
      if (rest.people == 0) break;
      const Verdicts found = part.condition->verdicts(world, rest, t, holding);
      rest.people &= ~(found.known & (all_ ? ~found.value : found.value));
      known_by_all &= found.known;
    }
    const std::uint64_t decided = group.people & ~rest.people;
    const std::uint64_t undone = rest.people & known_by_all;
    return {.known = decided | undone, .value = all_ ? undone : decided};
  }

 private:
  struct Part {
    std::shared_ptr<const Condition> condition;
    const Counting* counting;  // what the condition is, or denies; nullptr: something else
    bool negated;

    Truth truth(const World& world, PersonId person, Time t) const {
      if (counting == nullptr) return condition->truth(world, person, t);
      const Truth found = counting->truth(world, person, t);
      return {found.value != negated, found.until};
    }
  };

  bool all_;
  std::vector<Part> parts_;
};

// distinct("X".p within D) >= n, without counting further than to n: it holds as long as the n-th most recent
// value, by its last event, is inside.
class DistinctReaching final : public Condition {
 public:
  // Or its contrary, if not `reached`. general: the same condition, worked out in full.
  DistinctReaching(StreamId stream, const Threshold& threshold, bool reached,
                   std::shared_ptr<const Condition> general)
      : stream_(stream), threshold_(threshold), reached_(reached), general_(std::move(general)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    const Stream& stream = world.history.at(stream_);
    const history::Slot* slot = stream.slot(person);
    if (slot == nullptr) return {!reached_, kNever};
    if (slot->last > t) return general_->truth(world, person, t);
    const Stream::Rows rows = stream.rows(*slot);
    bool several = false;
    const auto reached = reached_until(stream, rows, t, several);
    if (several) return general_->truth(world, person, t);
    return reached ? Truth{reached_, *reached} : Truth{!reached_, kNever};
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding) const override {
    OfGroup<history::Slot> slots;
    world.history.at(stream_).slots(group.first, group.people, slots);
    Verdicts result;
    // A row may hold a list of values, so that the number of rows says nothing but where there are none.
    each_bit(group.people, [&](std::uint32_t i) {
      const history::Slot& slot = slots[i];
      const bool over = threshold_.far && slot.last <= t && slot.last + *threshold_.far <= t;
      if (slot.empty() || over) result.known |= bit_of(i);
    });
    if (!reached_) result.value = result.known;
    return result;
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return general_->evidence(world, person, t);
  }

 private:
  // Missing: it is not reached. Where a row may hold several values nothing is said.
  std::optional<Time> reached_until(const Stream& stream, const Stream::Rows& rows, Time t,
                                    bool& several) const {
    std::array<std::uint64_t, kDistinctMax> seen;
    std::size_t found = 0;
    for (std::size_t row = rows.size(); row-- > 0;) {
      const Time leaves = threshold_.far ? rows.times[row] + *threshold_.far : kNever;
      if (leaves <= t) break;
      const Cell cell = stream.cell(rows, row, *threshold_.distinct);
      several = history::CellPool::may_be_several(cell);
      if (several) return std::nullopt;
      if (!cell.present() || std::find(seen.begin(), seen.begin() + found, cell.bits) != seen.begin() + found)
        continue;
      seen[found++] = cell.bits;
      if (found == threshold_.times) return leaves;
    }
    return std::nullopt;
  }

  StreamId stream_;
  Threshold threshold_;
  bool reached_;
  std::shared_ptr<const Condition> general_;
};

// performed X <window> [not] followed by Y within T ...
class Sequence final : public Condition {
 public:
  struct Step {
    StreamId stream;
    history::EventId event;
    bool negated;
    std::optional<Millis> within;
  };
  Sequence(StreamId stream, history::EventId event, Span span, std::vector<Step> steps)
      : stream_(stream), event_(event), span_(std::move(span)), steps_(std::move(steps)) {}

  Truth truth(const World& world, PersonId person, Time t) const override {
    const Stream::Rows rows = world.history.at(stream_).rows(person);
    const Extent extent = span_.extent(world, person, t);
    const Inside found = inside(world, span_, extent, rows, t);
    // Nothing inside, nor ever again without a new record: true of nearly everybody at any time.
    if (found.count() == 0 && found.until() == kNever) return {false, kNever};
    bool value = false;
    for (std::size_t row = found.begin; row < found.end && !value; ++row) {
      value = follows(world, person, {rows.times[row], rows.positions[row], event_}, 0, t);
    }
    return {value, earlier(found.until(), next_edge(world, person, t))};
  }
  // Nobody whose last first event is out of the window.
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding) const override {
    if (!span_.only_within() || !span_.far) return {};
    OfGroup<history::Slot> slots;
    world.history.at(stream_).slots(group.first, group.people, slots);
    Verdicts result;
    for (std::uint32_t i = 0; i < kGroup; ++i)
      result.known |= std::uint64_t{slots[i].empty() || slots[i].last <= t - *span_.far} << i;
    result.known &= group.people;
    return result;
  }

 private:
  struct Event {
    Time time;
    Position position;
    history::EventId event;
  };
  static bool is_after(const World& world, const Stream::Rows& rows, std::size_t row, history::EventId event,
                       const Event& x) {
    if (rows.times[row] != x.time || event != x.event) return rows.times[row] >= x.time;
    if (rows.positions[row] == x.position) return false;
    const std::string id(world.ids.message_id(x.position));
    const auto order = world.ids.message_id(rows.positions[row]).compare(id);
    return order > 0 || (order == 0 && x.position < rows.positions[row]);
  }
  bool follows(const World& world, PersonId person, const Event& x, std::size_t index, Time t) const {
    if (index == steps_.size()) return true;
    const Step& step = steps_[index];
    const Stream::Rows rows = world.history.at(step.stream).rows(person);
    const Time last = step.within ? x.time + *step.within : kNever;
    if (step.negated && t < last) return false;
    auto row = static_cast<std::size_t>(std::lower_bound(rows.times.begin(), rows.times.end(), x.time) -
                                        rows.times.begin());
    for (; row < rows.size() && rows.times[row] <= std::min(last, t); ++row) {
      if (!is_after(world, rows, row, step.event, x)) continue;
      if (step.negated) return false;
      if (follows(world, person, {rows.times[row], rows.positions[row], step.event}, index + 1, t))
        return true;
    }
    return step.negated && follows(world, person, x, index + 1, t);
  }
  // The next instant at which an event comes in, or a step's time since an event is up.
  Time next_edge(const World& world, PersonId person, Time t) const {
    Time next = kNever;
    const auto consider = [&](StreamId stream, Millis delay) {
      const auto times = world.history.at(stream).rows(person).times;
      const auto row = std::upper_bound(times.begin(), times.end(), t - delay);
      if (row != times.end()) next = earlier(next, *row + delay);
    };
    boost::container::small_vector<StreamId, 4> bound_to{stream_};
    consider(stream_, {0});
    if (span_.far) consider(stream_, *span_.far);
    for (const Step& step : steps_) {
      consider(step.stream, {0});
      if (step.within) {
        for (const StreamId stream : bound_to) consider(stream, *step.within);
      }
      if (!step.negated) bound_to = {step.stream};
    }
    return next;
  }

  StreamId stream_;
  history::EventId event_;
  Span span_;
  std::vector<Step> steps_;
};

// A text that equal values have in common: numbers by value, members of objects in whatever order.
void write_by_value(const Value& value, std::string& text) {
  if (value.kind == Value::Kind::number) {
    text += value.number.to_string();
  } else if (value.kind == Value::Kind::list) {
    text += '[';
    for (const Value& element : value.list) {
      write_by_value(element, text);
      text += ',';
    }
    text += ']';
  } else if (value.kind == Value::Kind::object) {
    std::vector<std::string> members;
    for (const auto& [name, member] : value.members) {
      std::string& written = members.emplace_back(to_json(Value::of(name)) + ':');
      write_by_value(member, written);
    }
    std::sort(members.begin(), members.end());
    for (const std::string& member : members) text += '{' + member + '}';
    text += "{}";
  } else {
    text += to_json(value);
  }
}

// Of ten, as far as sums are kept exactly.
constexpr auto kPowersOfTen = [] {
  std::array<std::int64_t, 19> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

class Aggregation final : public Node {
 public:
  using Op = ast::Aggregate::Op;
  // type: what the checker says the value is; of times, min and max read texts as times.
  Aggregation(StreamId stream, std::optional<Column> column, Op op, Span span, ast::Type type)
      : stream_(stream), column_(column), op_(op), span_(std::move(span)), ever_(span_.ever()), type_(type) {}

  Held at(const World& world, PersonId person, Time t) const override {
    const Stream& stream = world.history.at(stream_);
    const history::Slot* slot = stream.slot(person);
    const bool all = ever_ && (slot == nullptr || slot->last <= t);
    if (all && op_ == Op::count)
      return {Scalar::of(Number::integer(slot == nullptr ? 0 : slot->count)), kNever};
    if (all && op_ == Op::last && !column_)
      return {slot == nullptr ? Scalar() : Scalar::of(slot->last), kNever};
    if (all && (op_ == Op::sum || op_ == Op::avg)) {
      if (const auto quick = whole_sum(stream, person)) return {*quick, kNever};
    }
    const Stream::Rows rows = slot == nullptr ? Stream::Rows() : stream.rows(*slot);
    const Inside found = all ? Inside{.begin = 0, .end = rows.size(), .leaves = kNever, .enters = kNever}
                             : inside(world, span_, span_.extent(world, person, t), rows, t);
    return {value(world, stream, rows, found), found.until()};
  }
  bool amounts(const World& world, const Group& group, Time t, Amounts& amounts) const override {
    const bool of_sums = column_ && (op_ == Op::sum || op_ == Op::avg);
    if (!ever_ || !(of_sums || op_ == Op::count)) return false;
    const Stream& stream = world.history.at(stream_);
    OfGroup<history::Slot> slots;
    stream.slots(group.first, group.people, slots);
    OfGroup<history::Sum> sums;
    if (of_sums) sums_of(stream, group, slots, sums);
    each_bit(group.people, [&](std::uint32_t i) {
      if (!slots[i].empty() && slots[i].last > t) return;
      if (op_ == Op::count) return amounts.set(i, {slots[i].count, 1});
      const history::Sum& sum = sums[i];
      if (op_ == Op::avg && sum.empty()) return amounts.set_missing(i);
      std::int64_t denominator = kPowersOfTen[sum.scale];
      if (!sum.exact ||
          (op_ == Op::avg && __builtin_mul_overflow(denominator, std::int64_t{sum.numbers}, &denominator)))
        return;
      amounts.set(i, {sum.mantissa, denominator});
    });
    return true;
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    const Stream::Rows rows = world.history.at(stream_).rows(person);
    const Inside found = inside(world, span_, span_.extent(world, person, t), rows, t);
    Evidence result{.value = to_string(at(world, person, t).value), .position = {}, .time = {}};
    if (found.count() > 0) {
      const std::size_t row = op_ == Op::first ? found.begin : found.end - 1;
      result.position = rows.positions[row];
      result.time = rows.times[row];
    }
    return result;
  }

 private:
  void sums_of(const Stream& stream, const Group& group, const OfGroup<history::Slot>& slots,
               OfGroup<history::Sum>& sums) const {
    if (stream.has_sums(*column_)) return stream.sums(group.first, group.people, *column_, sums);
    const auto each = [&](auto visit) {
      each_bit(group.people, [&](std::uint32_t i) {
        if (!slots[i].empty()) visit(i);
      });
    };
    sums = {};
    each([&](std::uint32_t i) { stream.prefetch_cells(slots[i], *column_); });
    each([&](std::uint32_t i) { sums[i] = stream.add_up(slots[i], *column_); });
  }
  std::optional<Scalar> whole_sum(const Stream& stream, PersonId person) const {
    const history::Sum* sum = stream.sum(person, *column_);
    if (sum == nullptr) return op_ == Op::sum ? std::optional(Scalar::of(Number())) : std::optional(Scalar());
    if (!sum->exact) return std::nullopt;
    const Number total = Number::decimal(sum->mantissa, sum->scale);
    if (op_ == Op::sum) return Scalar::of(total);
    return sum->numbers == 0 ? Scalar() : Scalar::of(*divide(total, Number::integer(sum->numbers)));
  }

  Scalar value(const World& world, const Stream& stream, const Stream::Rows& rows,
               const Inside& found) const {
    switch (op_) {
      case Op::count:
        return Scalar::of(Number::integer(static_cast<std::int64_t>(found.count())));
      case Op::first:
      case Op::last: {
        if (found.count() == 0) return {};
        const std::size_t row = op_ == Op::first ? found.begin : found.end - 1;
        return column_ ? typed(type_, load(world, stream.cell(rows, row, *column_)))
                       : Scalar::of(rows.times[row]);
      }
      case Op::distinct: {
        return Scalar::of(Number::integer(distinct(world, stream, rows, found)));
      }
      case Op::sum:
      case Op::avg: {
        Number total;
        std::int64_t numbers = 0;
        const auto add = [&](const Number& number) {
          total = total + number;
          ++numbers;
        };
        for (std::size_t row = found.begin; row < found.end; ++row) {
          const Cell cell = stream.cell(rows, row, *column_);
          Number number;
          if (world.history.cells().number(cell, number)) {
            add(number);
          } else if (history::CellPool::may_be_several(cell)) {
            for_each_value(world, cell, [&](const Scalar& value) {
              if (value.kind == Scalar::Kind::number) add(value.number);
            });
          }
        }
        if (op_ == Op::sum) return Scalar::of(total);
        return numbers == 0 ? Scalar() : Scalar::of(*divide(total, Number::integer(numbers)));
      }
      case Op::min:
      case Op::max:
        return extreme(world, stream, rows, found);
    }
    return {};
  }

  // Of what is a number, or a time where times are asked for; without a property, of the events' times.
  Scalar extreme(const World& world, const Stream& stream, const Stream::Rows& rows,
                 const Inside& found) const {
    if (!column_) {
      if (found.count() == 0) return {};
      return Scalar::of(op_ == Op::min ? rows.times[found.begin] : rows.times[found.end - 1]);
    }
    const auto wanted = type_ == ast::Type::time ? Scalar::Kind::time : Scalar::Kind::number;
    const auto better = op_ == Op::min ? ast::Comparison::less : ast::Comparison::greater;
    Scalar best;
    for (std::size_t row = found.begin; row < found.end; ++row) {
      for_each_value(world, stream.cell(rows, row, *column_), [&](const Scalar& untyped) {
        const Scalar value = typed(type_, untyped);
        if (value.kind != wanted) return;
        if (!best.present() || compare(better, value, best)) best = value;
      });
    }
    return best;
  }

  std::int64_t distinct(const World& world, const Stream& stream, const Stream::Rows& rows,
                        const Inside& found) const {
    boost::container::small_vector<std::uint64_t, 32> seen;
    for (std::size_t row = found.begin; row < found.end; ++row) {
      const Cell cell = stream.cell(rows, row, *column_);
      if (history::CellPool::may_be_several(cell)) return distinct_elements(world, stream, rows, found);
      if (cell.present()) seen.push_back(cell.bits);
    }
    std::sort(seen.begin(), seen.end());
    return std::unique(seen.begin(), seen.end()) - seen.begin();
  }

  // Of one value and of lists alike.
  std::int64_t distinct_elements(const World& world, const Stream& stream, const Stream::Rows& rows,
                                 const Inside& found) const {
    boost::unordered_flat_set<std::string> seen;
    for (std::size_t row = found.begin; row < found.end; ++row) {
      const Value whole = world.history.cells().load(stream.cell(rows, row, *column_));
      std::vector<const Value*> values;
      whole.find_all("", values);
      for (const Value* value : values) {
        if (!value->present()) continue;
        std::string text;
        write_by_value(*value, text);
        seen.insert(std::move(text));
      }
    }
    return static_cast<std::int64_t>(seen.size());
  }

  // The value of a cell, or the elements of a list.
  template <class Visit>
  static void for_each_value(const World& world, Cell cell, const Visit& visit) {
    const Value* other = world.history.cells().other(cell);
    if (other == nullptr || other->kind != Value::Kind::list) {
      visit(load(world, cell));
      return;
    }
    std::vector<Scalar> elements;
    collect(*other, "", elements);
    for (const Scalar& element : elements) visit(element);
  }

  static Scalar load(const World& world, Cell cell) {
    const auto& cells = world.history.cells();
    if (const std::string* text = cells.text(cell)) return Scalar::of(std::string_view(*text));
    if (const Value* other = cells.other(cell)) return Scalar::of(*other);
    Number number;
    if (cells.number(cell, number)) return Scalar::of(number);
    return Scalar::of(cells.load(cell));
  }

  StreamId stream_;
  std::optional<Column> column_;
  Op op_;
  Span span_;
  bool ever_;
  ast::Type type_;
};

// A time value within a window: last("Cart Started") between 2h and 6h ago.
class TimeInside final : public Condition {
 public:
  TimeInside(std::shared_ptr<const Node> value, Span span)
      : value_(std::move(value)), span_(std::move(span)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    const Extent extent = span_.extent(world, person, t);
    Time until = extent.empty ? extent.until : kNever;
    const auto is_inside = [&](const Scalar& value) {
      const Scalar time = typed(ast::Type::time, value);
      if (time.kind != Scalar::Kind::time) return false;
      if (!extent.empty && time.time <= extent.low)
        return false;  // and never again: bounds only move forward
      until = earlier(until, extent.until);
      const Time enters = time.time + span_.near;
      if (enters > t) until = earlier(until, enters);
      if (span_.far && time.time + *span_.far > t) until = earlier(until, time.time + *span_.far);
      return !extent.empty && extent.low < time.time && time.time <= extent.high;
    };
    const Truth found =
        value_.any(world, person, t, [&](const Scalar& value) { return any_element(value, is_inside); });
    return {found.value, earlier(until, found.until)};
  }
  Evidence evidence(const World& world, PersonId person, Time t) const override {
    return value_.node().evidence(world, person, t);
  }

 private:
  Operand value_;
  Span span_;
};

class WasInside final : public Condition {
 public:
  WasInside(std::shared_ptr<const Condition> segment, Time instant)
      : segment_(std::move(segment)), instant_(instant) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    if (t < instant_) return {false, instant_};
    World past = world;
    past.memory = nullptr;
    return {segment_->truth(past, person, instant_).value, kNever};
  }

 private:
  std::shared_ptr<const Condition> segment_;
  Time instant_;
};

// entered segment "S" <window>, entered sync "Y" <window>: an entry inside the window.
class Entering final : public Condition {
 public:
  Entering(Past segment, std::string sync, Span span)
      : segment_(std::move(segment)), sync_(std::move(sync)), span_(std::move(span)) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    if (segment_.segment) {
      const Timelines::Line& line = world.timelines->of(world, segment_, person, t);
      const Truth found = truth(
          world, person, t, [&](Time at) { return line.last_entry(at); },
          [&](Time at) { return line.next_entry(at); });
      return {found.value, earlier(found.until, line.next_change(t))};
    }
    const auto by_person = world.sync_entries.find(sync_);
    if (by_person == world.sync_entries.end()) return {false, kNever};
    const auto entries = by_person->second.find(person.value);
    if (entries == by_person->second.end()) return {false, kNever};
    const std::vector<Time>& times = entries->second;
    const auto after = [&](Time at) { return std::upper_bound(times.begin(), times.end(), at); };
    return truth(
        world, person, t,
        [&](Time at) {
          const auto next = after(at);
          return next == times.begin() ? std::nullopt : std::optional(*std::prev(next));
        },
        [&](Time at) {
          const auto next = after(at);
          return next == times.end() ? std::nullopt : std::optional(*next);
        });
  }

 private:
  // last(t), next(t): the last entry at or before t, the first one after it.
  template <class Last, class Next>
  Truth truth(const World& world, PersonId person, Time t, const Last& last, const Next& next) const {
    const Extent extent = span_.extent(world, person, t);
    Time until = extent.until;
    if (const auto entry = next(t - span_.near)) until = earlier(until, *entry + span_.near);
    if (span_.far) {
      if (const auto entry = next(t - *span_.far)) until = earlier(until, *entry + *span_.far);
    }
    if (extent.empty) return {false, until};
    const auto entry = last(extent.high);
    return {entry && *entry > extent.low, until};
  }

  Past segment_;  // none: the sync
  std::string sync_;
  Span span_;
};

class Ranked final : public Condition {
 public:
  explicit Ranked(RankId rank) : rank_(rank) {}
  Truth truth(const World& world, PersonId person, Time t) const override {
    return world.ranks->truth(rank_, person, t);
  }
  Verdicts verdicts(const World& world, const Group& group, Time t, Holding holding) const override {
    return world.ranks->verdicts(rank_, group, t, holding);
  }

 private:
  RankId rank_;
};

template <class T>
void add_once(std::vector<T>& values, const T& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

}  // namespace

RecentValues::RecentValues(const Stream& stream, const Stream::Rows& rows, Column column, std::uint64_t count,
                           Time low)
    : newest_(stream.cell(rows, rows.size() - 1, column)), newest_time_(rows.times.back()) {
  several_ = history::CellPool::may_be_several(newest_);
  for (std::size_t row = rows.size() - 1; row-- > 0 && found_ < count && rows.times[row] > low;) {
    const Cell cell = stream.cell(rows, row, column);
    const auto end = seen_.begin() + found_;
    several_ = several_ || history::CellPool::may_be_several(cell);
    if (!cell.present() ||
        std::any_of(seen_.begin(), end, [&](const Seen& s) { return s.bits == cell.bits; }))
      continue;
    if (cell == newest_) place_of_newest_ = found_;
    seen_[found_++] = {cell.bits, rows.times[row]};
  }
}

bool RecentValues::newest_is_decisive(const Threshold& threshold, Time t) const {
  if (several_) return true;
  const std::size_t wanted = threshold.times;
  const auto is_inside = [&](Time time) { return !threshold.far || time + *threshold.far > t; };
  // With the newest, its value moves to the front: those before its place move back by one.
  if (!newest_.present() || place_of_newest_ < wanted || !is_inside(newest_time_)) return false;
  const bool without = found_ >= wanted && is_inside(seen_[wanted - 1].last);
  if (without) return false;
  return wanted == 1 || (found_ >= wanted - 1 && is_inside(seen_[wanted - 2].last));
}

Time Node::values(const World& world, PersonId person, Time t, std::vector<Scalar>& values) const {
  const Held held = at(world, person, t);
  values.push_back(held.value);
  return held.until;
}

Evidence Node::evidence(const World& world, PersonId person, Time t) const {
  return {.value = to_string(at(world, person, t).value), .position = {}, .time = {}};
}

void Dependencies::use(StreamUse use) {
  const auto known = std::find_if(streams.begin(), streams.end(),
                                  [&](const StreamUse& other) { return other.stream == use.stream; });
  if (known == streams.end()) {
    streams.push_back(std::move(use));
    return;
  }
  if (known->effect != use.effect) known->effect = Effect::any;
  known->only_thresholds = known->only_thresholds && use.only_thresholds;
  for (const Threshold& threshold : use.thresholds) add_once(known->thresholds, threshold);
}

void Dependencies::add(const Dependencies& part, Bearing bearing) {
  for (StreamUse added : part.streams) {
    if (bearing == Bearing::any) added.effect = Effect::any;
    if (bearing == Bearing::reverse && added.effect != Effect::any)
      added.effect = added.effect == Effect::raises ? Effect::lowers : Effect::raises;
    use(std::move(added));
  }
  for (const auto trait : part.traits) add_once(traits, trait);
  for (const auto purpose : part.purposes) add_once(purposes, purpose);
  for (const auto& sync : part.syncs) add_once(syncs, sync);
  for (const auto rank : part.ranks) add_once(ranks, rank);
  first_instant = earlier(first_instant, part.first_instant);
}

Verdicts RankView::verdicts(RankId rank, const Group& group, Time t, Holding holding) const {
  Verdicts result;
  each_bit(group.people, [&](std::uint32_t i) {
    const Truth found = truth(rank, group.at(i), t);
    if (holding == Holding::for_good && found.until != kNever) return;
    result.known |= bit_of(i);
    if (found.value) result.value |= bit_of(i);
  });
  return result;
}

Amounts RankPlan::values(const World& world, const Group& group, Time t, Holding holding) const {
  Amounts result;
  Group part = group;
  std::uint64_t known = group.people;
  if (eligible) {
    const Verdicts found = eligible->verdicts(world, group, t, holding);
    known = found.known;
    part.people = found.value;
  }
  if (part.people != 0 && !by.node->amounts(world, part, t, result)) {
    result.known = 0;
    result.present = 0;
  }
  result.known |= known & ~part.people;
  return result;
}

std::uint64_t RankPlan::limit(std::uint64_t count) const {
  const auto decimal = amount.as_decimal();
  TR_ASSERT(decimal && decimal->mantissa >= 0);
  __extension__ using Wide = unsigned __int128;
  Wide denominator = 1;
  for (int i = 0; i < decimal->scale; ++i) denominator *= 10;
  if (kind == language::Rank::Kind::rank_at_most || kind == language::Rank::Kind::bottom_rank_at_most) {
    return std::min<std::uint64_t>(
        count, static_cast<std::uint64_t>(static_cast<Wide>(decimal->mantissa) / denominator));
  }
  denominator *= 100;
  const Wide share = static_cast<Wide>(decimal->mantissa) * count;
  return std::min<std::uint64_t>(count, static_cast<std::uint64_t>((share + denominator - 1) / denominator));
}

// One walk over a tree; errors end it.
class Compilation {
 public:
  using Bearing = Dependencies::Bearing;

  explicit Compilation(Compiler& compiler) : compiler_(compiler) {}

  // What a part says of the effects of events reaches the whole only where `bearing` says how.
  Result<std::shared_ptr<const Condition>> condition(const ast::ExprPtr& expr, Dependencies& dependencies,
                                                     Bearing bearing = Bearing::any) {
    auto compiled = TRY(node(expr));
    dependencies.add(compiled.dependencies, bearing);
    if (auto found = std::dynamic_pointer_cast<const Condition>(compiled.node)) return found;
    return std::make_shared<const Flag>(compiled.node);
  }

  Result<Compiled> node(const ast::ExprPtr& expr) {
    const std::string key = language::print(*expr);
    if (const auto known = compiler_.known_.find(key); known != compiler_.known_.end()) {
      parts_.push_back(known->second.meaning);
      return known->second;
    }
    Compiled compiled;
    std::vector<Meaning> around = std::exchange(parts_, {});
    compiled.node = TRY(std::visit(
        [&](const auto& form) { return compile(form, *expr, compiled.dependencies); }, expr->node));
    compiled.meaning = meaning_of(key, expr->type, std::exchange(parts_, std::move(around)));
    parts_.push_back(compiled.meaning);
    if (language::as<ast::Rank>(*expr) != nullptr) compiler_.ranks_.back().meaning = compiled.meaning;
    if (is_about_attributes(*expr, compiled.dependencies) && compiler_.remembered_ < Memory::kLimit) {
      if (auto found = std::dynamic_pointer_cast<const Condition>(compiled.node))
        compiled.node = std::make_shared<const Remembered>(std::move(found), compiler_.remembered_++);
    }
    compiler_.known_.emplace(key, compiled);
    return compiled;
  }

 private:
  using NodePtr = std::shared_ptr<const Node>;
  using Made = Result<NodePtr>;

  static Meaning meaning_of(std::string_view text, ast::Type type, const std::vector<Meaning>& parts) {
    const std::string_view bytes(reinterpret_cast<const char*>(parts.data()), parts.size() * sizeof(Meaning));
    const auto hash = [&](std::uint64_t seed) {
      return hash64(bytes, hash64(text, seed + static_cast<std::uint64_t>(type)));
    };
    return {hash(0), hash(std::uint64_t{1} << 32)};
  }

  // A leaf that statements about the person and time decide.
  static bool is_about_attributes(const ast::Expr& expr, const Dependencies& on) {
    const bool is_leaf =
        language::as<ast::Compare>(expr) != nullptr || language::as<ast::InList>(expr) != nullptr ||
        language::as<ast::Exists>(expr) != nullptr || language::as<ast::InWindow>(expr) != nullptr ||
        language::as<ast::Consent>(expr) != nullptr;
    return is_leaf && on.streams.empty() && on.syncs.empty() && on.ranks.empty() &&
           on.first_instant == kNever && !(on.traits.empty() && on.purposes.empty());
  }

  // Of an operand of a comparison.
  static Bearing bearing(ast::Comparison op, bool right) {
    switch (op) {
      case ast::Comparison::greater:
      case ast::Comparison::greater_equal:
        return right ? Bearing::reverse : Bearing::same;
      case ast::Comparison::less:
      case ast::Comparison::less_equal:
        return right ? Bearing::same : Bearing::reverse;
      case ast::Comparison::equal:
      case ast::Comparison::not_equal:
        return Bearing::any;
    }
    return Bearing::any;
  }
  static Effect effect_of_one_more(ast::Comparison op) {
    const Bearing counted = bearing(op, false);
    return counted == Bearing::any ? Effect::any : counted == Bearing::same ? Effect::raises : Effect::lowers;
  }

  Made value(const ast::ExprPtr& expr, Dependencies& dependencies, Bearing bearing = Bearing::any) {
    auto compiled = TRY(node(expr));
    dependencies.add(compiled.dependencies, bearing);
    return compiled.node;
  }
  Made referenced(const ast::ExprPtr& expr, std::string_view what, const std::string& name,
                  Dependencies& dependencies) {
    if (expr == nullptr) return invalid(fmt::format("unknown {} \"{}\"", what, name));
    return value(expr, dependencies, Bearing::same);
  }
  Result<std::shared_ptr<const Condition>> segment(const std::string& name, Dependencies& dependencies) {
    const ast::ExprPtr expr = compiler_.references_.segment(name);
    if (expr == nullptr) return invalid(fmt::format("unknown segment \"{}\"", name));
    return condition(expr, dependencies, Bearing::same);
  }
  // A segment whose past is asked for, not only its present.
  Result<Past> segment_with_past(const std::string& name, Dependencies& dependencies) {
    Dependencies own;
    auto found = TRY(segment(name, own));
    ask_past(own);
    dependencies.add(own, Bearing::any);
    const auto next = static_cast<std::uint32_t>(compiler_.pasts_.size());
    return Past{.segment = std::move(found),
                .index = compiler_.pasts_.emplace(name, next).first->second,
                .first_instant = own.first_instant,
                .depends_on_ranks = !own.ranks.empty()};
  }
  void ask_past(const Dependencies& on) {
    for (const RankId id : on.ranks) {
      RankPlan& rank = compiler_.ranks_[id.value];
      if (std::exchange(rank.past_is_asked, true)) continue;
      ask_past(rank.by.dependencies);
      ask_past(rank.eligible_dependencies);
    }
  }

  struct Selected {
    StreamId stream;
    history::EventId event;
  };
  Selected select(const ast::EventSelector& selector, Dependencies& dependencies,
                  Effect effect = Effect::any) {
    const auto event = compiler_.history_.event(selector.event);
    StreamId stream = compiler_.history_.base(event);
    if (selector.where) {
      stream = compiler_.history_.stream(event, language::print(*selector.where), filter_of(selector.where));
    }
    dependencies.use({.stream = stream, .effect = effect, .only_thresholds = false, .thresholds = {}});
    return {stream, event};
  }

  // event: the one whose rows the window is about, for the order of events of one name in one millisecond.
  Result<Span> span(const ast::Window& window, std::optional<history::EventId> event,
                    Dependencies& dependencies) {
    Span result;
    for (const ast::Bound& bound : window) {
      using Kind = ast::Bound::Kind;
      switch (bound.kind) {
        case Kind::within:
          result.far = result.far ? std::min(*result.far, bound.far) : bound.far;
          break;
        case Kind::between_ago:
          result.far = result.far ? std::min(*result.far, bound.far) : bound.far;
          result.near = std::max(result.near, bound.near);
          break;
        case Kind::since_time:
          result.not_before = result.not_before ? std::max(*result.not_before, bound.instant) : bound.instant;
          break;
        case Kind::before_time:
          result.before = result.before ? std::min(*result.before, bound.instant) : bound.instant;
          break;
        case Kind::calendar:
          result.words.push_back(bound.word);
          break;
        case Kind::since_last:
        case Kind::since_first: {
          const Selected anchor = select(bound.selector, dependencies);
          result.since_events.push_back({.stream = anchor.stream,
                                         .last = bound.kind == Kind::since_last,
                                         .same_event = event == anchor.event,
                                         .if_any = bound.if_any});
          break;
        }
        case Kind::since_entered_segment: {
          SinceEntry& since = result.since_entries.emplace_back();
          since.past = TRY(segment_with_past(bound.name, dependencies));
          since.if_any = bound.if_any;
          break;
        }
        case Kind::since_entered_sync: {
          add_once(dependencies.syncs, bound.name);
          SinceEntry& since = result.since_entries.emplace_back();
          since.sync = bound.name;
          since.if_any = bound.if_any;
          break;
        }
      }
    }
    return result;
  }

  Made compile(const ast::Literal& form, const ast::Expr&, Dependencies& dependencies) {
    if (form.kind == ast::Literal::Kind::time)
      dependencies.first_instant = earlier(dependencies.first_instant, form.time);
    return std::make_shared<const Constant>(form);
  }
  Made compile(const ast::Attribute& form, const ast::Expr& expr, Dependencies& dependencies) {
    if (form.computed)
      return referenced(compiler_.references_.attribute(form.path), "attribute", form.path, dependencies);
    const std::size_t dot = form.path.find('.');
    const auto whole = compiler_.profiles_.trait(form.path);
    const auto root = dot == std::string::npos ? whole : compiler_.profiles_.trait(form.path.substr(0, dot));
    add_once(dependencies.traits, whole);
    add_once(dependencies.traits, root);
    return std::make_shared<const Trait>(
        whole, root, dot == std::string::npos ? "" : form.path.substr(dot + 1), expr.type);
  }
  Made compile(const ast::Property& form, const ast::Expr&, Dependencies&) {
    return invalid(fmt::format("`{}` is a property of an event; it can only stand in a `where`", form.path));
  }
  Made compile(const ast::Quantified& form, const ast::Expr&, Dependencies&) {
    return invalid(fmt::format("any, all and none over `{}` can only stand in a `where`", form.path));
  }
  Made compile(const ast::Definition& form, const ast::Expr&, Dependencies& dependencies) {
    return referenced(compiler_.references_.definition(form.name), "definition", form.name, dependencies);
  }
  Made compile(const ast::Consent& form, const ast::Expr&, Dependencies& dependencies) {
    const auto purpose = compiler_.profiles_.purpose(form.purpose);
    add_once(dependencies.purposes, purpose);
    return std::make_shared<const ConsentFor>(purpose);
  }
  Made compile(const ast::Not& form, const ast::Expr&, Dependencies& dependencies) {
    return std::make_shared<const Negation>(TRY(condition(form.operand, dependencies, Bearing::reverse)));
  }
  Made compile(const ast::Logical& form, const ast::Expr&, Dependencies& dependencies) {
    std::vector<std::shared_ptr<const Condition>> operands;
    operands.reserve(form.operands.size());
    for (const auto& operand : form.operands)
      operands.push_back(TRY(condition(operand, dependencies, Bearing::same)));
    return std::make_shared<const Junction>(form.kind == ast::Logical::Kind::all_of, operands);
  }
  Made compile(const ast::Compare& form, const ast::Expr&, Dependencies& dependencies) {
    Dependencies general;
    auto left = TRY(value(form.left, general, bearing(form.op, false)));
    auto right = TRY(value(form.right, general, bearing(form.op, true)));
    auto made = std::make_shared<const Comparing>(form.op, std::move(left), std::move(right));
    if (auto special = TRY(comparing_a_count(form, made, dependencies))) return special;
    dependencies.add(general, Bearing::same);
    return made;
  }
  Made counting(const ast::EventSelector& selector, const ast::Window& window, ast::Comparison op,
                std::uint64_t times, Dependencies& dependencies) {
    Dependencies own;
    const Selected selected = select(selector, own, effect_of_one_more(op));
    Span compiled = TRY(span(window, selected.event, own));
    auto made = std::make_shared<const Counting>(selected.stream, std::move(compiled), op, times);
    if (made->threshold()) {
      StreamUse& use = own.streams.front();  // the window asks for no other
      use.only_thresholds = true;
      use.thresholds = {*made->threshold()};
    }
    dependencies.add(own, Bearing::same);
    return made;
  }
  // Counts are compared to small numbers, which needs no counting. nullptr: not of that kind.
  Made comparing_a_count(const ast::Compare& form, const std::shared_ptr<const Condition>& general,
                         Dependencies& dependencies) {
    using Op = ast::Aggregate::Op;
    const auto* aggregate = language::as<ast::Aggregate>(*form.left);
    const auto* literal = language::as<ast::Literal>(*form.right);
    if (aggregate == nullptr || literal == nullptr || literal->kind != ast::Literal::Kind::number)
      return nullptr;
    const auto decimal = literal->number.as_decimal();
    if (!decimal || decimal->scale != 0 || decimal->mantissa < 0) return nullptr;
    const auto number = static_cast<std::uint64_t>(decimal->mantissa);
    if (aggregate->op == Op::count && aggregate->property.empty())
      return counting(aggregate->selector, aggregate->window, form.op, number, dependencies);
    Dependencies own;
    const Selected selected = select(aggregate->selector, own, effect_of_one_more(form.op));
    Span window = TRY(span(aggregate->window, selected.event, own));
    if (aggregate->op != Op::distinct || !window.only_within()) return nullptr;
    const auto reach = reaching(form.op, number);
    if (!reach || reach->times == 0 || reach->times > kDistinctMax) return nullptr;
    const Column column = compiler_.history_.column(selected.stream, aggregate->property);
    StreamUse& use = own.streams.front();  // the window asks for no other
    use.only_thresholds = true;
    use.thresholds = {{.times = reach->times, .far = window.far, .distinct = column}};
    dependencies.add(own, Bearing::same);
    return std::make_shared<const DistinctReaching>(selected.stream, use.thresholds.front(), reach->reached,
                                                    general);
  }
  Made compile(const ast::InList& form, const ast::Expr&, Dependencies& dependencies) {
    return std::make_shared<const OneOf>(TRY(value(form.value, dependencies)), form.options);
  }
  Made compile(const ast::Exists& form, const ast::Expr&, Dependencies& dependencies) {
    return std::make_shared<const Existing>(TRY(value(form.value, dependencies)));
  }
  Made compile(const ast::Arithmetic& form, const ast::Expr&, Dependencies& dependencies) {
    using Op = ast::Arithmetic::Op;
    const bool is_sum = form.op == Op::add || form.op == Op::subtract;
    const Bearing subtrahend = form.op == Op::subtract ? Bearing::reverse : Bearing::same;
    auto left = TRY(value(form.left, dependencies, is_sum ? Bearing::same : Bearing::any));
    auto right = TRY(value(form.right, dependencies, is_sum ? subtrahend : Bearing::any));
    return std::make_shared<const Calculation>(form.op, std::move(left), std::move(right));
  }
  Made compile(const ast::Conditional& form, const ast::Expr&, Dependencies& dependencies) {
    auto decided = TRY(condition(form.condition, dependencies));
    auto then = TRY(value(form.then, dependencies));
    NodePtr otherwise;
    if (form.otherwise) otherwise = TRY(value(form.otherwise, dependencies));
    return std::make_shared<const Choice>(std::move(decided), std::move(then), std::move(otherwise));
  }
  Made compile(const ast::Performed& form, const ast::Expr&, Dependencies& dependencies) {
    if (form.steps.empty()) return counting(form.selector, form.window, form.op, form.times, dependencies);
    const Selected selected = select(form.selector, dependencies, Effect::raises);
    Span window = TRY(span(form.window, selected.event, dependencies));
    std::vector<Sequence::Step> steps;
    for (const ast::SequenceStep& step : form.steps) {
      const Selected next =
          select(step.selector, dependencies, step.negated ? Effect::lowers : Effect::raises);
      steps.push_back({next.stream, next.event, step.negated, step.within});
    }
    return std::make_shared<const Sequence>(selected.stream, selected.event, std::move(window),
                                            std::move(steps));
  }
  Made compile(const ast::Aggregate& form, const ast::Expr& expr, Dependencies& dependencies) {
    using Op = ast::Aggregate::Op;
    const bool only_grows = form.op == Op::count || form.op == Op::distinct;
    const Selected selected = select(form.selector, dependencies, only_grows ? Effect::raises : Effect::any);
    Span window = TRY(span(form.window, selected.event, dependencies));
    std::optional<Column> column;
    if (!form.property.empty()) column = compiler_.history_.column(selected.stream, form.property);
    if (!column && (form.op == Op::sum || form.op == Op::avg || form.op == Op::distinct)) {
      return invalid("sum, avg and distinct need a property: sum(\"Order Placed\".revenue)");
    }
    return std::make_shared<const Aggregation>(selected.stream, column, form.op, std::move(window),
                                               expr.type);
  }
  Made compile(const ast::InWindow& form, const ast::Expr&, Dependencies& dependencies) {
    auto inner = TRY(value(form.value, dependencies));
    return std::make_shared<const TimeInside>(std::move(inner),
                                              TRY(span(form.window, std::nullopt, dependencies)));
  }
  Made compile(const ast::InSegment& form, const ast::Expr&, Dependencies& dependencies) {
    return TRY(segment(form.segment, dependencies));
  }
  Made compile(const ast::WasInSegment& form, const ast::Expr&, Dependencies& dependencies) {
    dependencies.first_instant = earlier(dependencies.first_instant, form.at);
    return std::make_shared<const WasInside>(TRY(segment_with_past(form.segment, dependencies)).segment,
                                             form.at);
  }
  Made compile(const ast::Entered& form, const ast::Expr&, Dependencies& dependencies) {
    Span window = TRY(span(form.window, std::nullopt, dependencies));
    if (form.of == ast::Entered::Of::sync) {
      add_once(dependencies.syncs, form.name);
      return std::make_shared<const Entering>(Past{}, form.name, std::move(window));
    }
    return std::make_shared<const Entering>(TRY(segment_with_past(form.name, dependencies)), "",
                                            std::move(window));
  }
  Made compile(const ast::Rank& form, const ast::Expr&, Dependencies& dependencies) {
    RankPlan plan;
    plan.kind = form.kind;
    plan.amount = form.amount;
    plan.by = TRY(node(form.by));
    std::vector<std::shared_ptr<const Condition>> eligible;
    if (form.where) eligible.push_back(TRY(condition(form.where, plan.eligible_dependencies)));
    if (!form.among_segment.empty())
      eligible.push_back(TRY(segment(form.among_segment, plan.eligible_dependencies)));
    if (eligible.size() == 1) plan.eligible = eligible.front();
    if (eligible.size() > 1) plan.eligible = std::make_shared<const Junction>(true, eligible);
    const RankId id(static_cast<std::uint32_t>(compiler_.ranks_.size()));
    compiler_.ranks_.push_back(std::move(plan));
    add_once(dependencies.ranks, id);
    return std::make_shared<const Ranked>(id);
  }

  Compiler& compiler_;
  std::vector<Meaning> parts_;  // of the expression that is being compiled, what it is made of and refers to
};

Compiler::Compiler(history::History& history, profiles::Profiles& profiles, References references)
    : history_(history), profiles_(profiles), references_(std::move(references)) {}

Result<std::shared_ptr<const Condition>> Compiler::compile(const language::ExprPtr& expr,
                                                           Dependencies& dependencies) {
  return Compilation(*this).condition(expr, dependencies, Dependencies::Bearing::same);
}

Result<std::shared_ptr<const Node>> Compiler::compile_value(const language::ExprPtr& expr,
                                                            Dependencies& dependencies) {
  auto compiled = TRY(Compilation(*this).node(expr));
  dependencies.add(compiled.dependencies, Dependencies::Bearing::any);
  return std::move(compiled.node);
}

Meaning Compiler::meaning(const ast::ExprPtr& expr) const {
  return known_.find(language::print(*expr))->second.meaning;
}

Explanation Compiler::explain(const World& world, const language::ExprPtr& expr, PersonId person, Time t) {
  Explanation result;
  result.text = language::print(*expr);
  Dependencies ignored;
  const auto node = compile(expr, ignored);
  TR_ASSERT(node.has_value());
  const Truth truth = (*node)->truth(world, person, t);
  result.holds = truth.value;
  result.until = truth.until;
  if (const auto* logical = language::as<ast::Logical>(*expr)) {
    for (const auto& operand : logical->operands) result.parts.push_back(explain(world, operand, person, t));
  } else if (const auto* negation = language::as<ast::Not>(*expr)) {
    result.parts.push_back(explain(world, negation->operand, person, t));
  } else if (const auto* definition = language::as<ast::Definition>(*expr)) {
    result.parts.push_back(explain(world, references_.definition(definition->name), person, t));
  } else if (const auto* segment = language::as<ast::InSegment>(*expr)) {
    result.parts.push_back(explain(world, references_.segment(segment->segment), person, t));
  } else {
    result.evidence = (*node)->evidence(world, person, t);
  }
  return result;
}

Time beginning_of(const World& world, PersonId person) {
  Time first = earlier(world.history.first_time(person), world.profiles.first_time(person));
  for (const auto& [sync, people] : world.sync_entries) {
    if (const auto times = people.find(person.value); times != people.end() && !times->second.empty()) {
      first = earlier(first, times->second.front());
    }
  }
  return first == kNever ? kNever : first - Millis{1};
}

Timeline timeline(const World& world, const Condition& condition, PersonId person, Time from, Time to) {
  Timeline result;
  Truth now = condition.truth(world, person, from);
  result.initially = now.value;
  while (now.until <= to) {
    const Time t = now.until;
    const Truth next = condition.truth(world, person, t);
    TR_ASSERT(next.until > t);
    if (next.value != now.value) result.changes.push_back(t);
    now = next;
  }
  return result;
}

Time Past::beginning(const World& world, PersonId person, Time t) const {
  const Time own = std::min({beginning_of(world, person), first_instant - Millis{1}, t});
  return depends_on_ranks ? earlier(own, world.ranks->known_from()) : own;
}

}  // namespace tailrace::segments
