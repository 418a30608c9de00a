#include "support/random_expr.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace tailrace::testing {
namespace {

using namespace language;  // the generator speaks of little else

template <class Item>
const Item& pick(Random& random, const std::vector<Item>& items) {
  return items[random.below(items.size())];
}

ExprPtr make(Node node, Type type) {
  return std::make_shared<const Expr>(Expr{std::move(node), Span{}, type});
}

class Generator {
 public:
  Generator(Random& random, const RandomExprOptions& options) : random_(random), options_(options) {}

  // --- conditions on the person

  ExprPtr condition(int depth) {
    if (depth <= 0) return leaf_condition();
    switch (random_.below(8)) {
      case 0:
      case 1:
        return logical(depth, &Generator::condition);
      case 2:
        return make(Not{condition(depth - 1)}, Type::boolean);
      case 3:
        return make(Conditional{condition(depth - 1), condition(depth - 1), condition(depth - 1)},
                    Type::boolean);
      case 4:
        return compare_numbers(number(depth - 1), number(depth - 1));
      case 5:
        return options_.ranks ? rank(depth - 1) : leaf_condition();
      default:
        return leaf_condition();
    }
  }

 private:
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }

  ExprPtr logical(int depth, ExprPtr (Generator::*operand)(int)) {
    Logical logical{one_in(2) ? Logical::Kind::all_of : Logical::Kind::any_of, {}};
    for (std::uint64_t i = 2 + random_.below(2); i > 0; --i)
      logical.operands.push_back((this->*operand)(depth - 1));
    return make(std::move(logical), Type::boolean);
  }

  ExprPtr leaf_condition() {
    switch (random_.below(9)) {
      case 0:
        return make(compare_text(make(Attribute{pick(random_, options_.text_traits), false}, Type::string)),
                    Type::boolean);
      case 1:
        return compare_numbers(number(0), number(0));
      case 2:
        return last_in_window();
      case 3:
        return options_.consents.empty() ? performed()
                                         : make(Consent{pick(random_, options_.consents)}, Type::boolean);
      case 4:
        return options_.segments.empty() ? performed() : about_segment();
      case 5:
        return options_.syncs.empty() ? performed() : entered(Entered::Of::sync, options_.syncs);
      case 6:
        return make(Exists{number(0)}, Type::boolean);
      case 7:
        return options_.instants ? last_compared() : last_in_window();
      default:
        return performed();
    }
  }

  ExprPtr performed() {
    Performed performed;
    performed.selector = selector();
    performed.window = window();
    if (options_.sequences && one_in(4)) {
      performed.steps = steps(performed.window);
    } else if (one_in(2)) {
      constexpr std::array kOps{Comparison::equal, Comparison::less, Comparison::less_equal,
                                Comparison::greater, Comparison::greater_equal};
      performed.op = kOps[random_.below(kOps.size())];
      performed.times = 1 + random_.below(3);
    }
    return make(std::move(performed), Type::boolean);
  }

  std::vector<SequenceStep> steps(const Window& window) {
    std::vector<SequenceStep> steps(1 + random_.below(2));
    for (SequenceStep& step : steps) {
      step.selector = selector();
      if (one_in(2)) step.within = duration();
    }
    SequenceStep& last = steps.back();
    last.negated = one_in(2);
    // To be true of anybody, the window reaches back further than the wait.
    if (last.negated) last.within = Millis{shortest(window).count / 2};
    return steps;
  }
  static Millis shortest(const Window& window) {
    Millis shortest = kDay;
    for (const Bound& bound : window) {
      if (bound.far.count > 0) shortest = std::min(shortest, bound.far);
    }
    return shortest;
  }

  ExprPtr last_in_window() {
    Window bounds = window();
    return make(InWindow{first_or_last(), std::move(bounds)}, Type::boolean);
  }
  ExprPtr first_or_last() {
    Aggregate aggregate;
    aggregate.op = one_in(2) ? Aggregate::Op::first : Aggregate::Op::last;
    aggregate.selector = selector();
    if (one_in(3)) aggregate.window = window();
    return make(std::move(aggregate), Type::time);
  }
  ExprPtr last_compared() {
    Literal literal;
    literal.kind = Literal::Kind::time;
    literal.time = instant();
    return make(Compare{one_in(2) ? Comparison::less : Comparison::greater_equal, first_or_last(),
                        make(literal, Type::time)},
                Type::boolean);
  }

  ExprPtr about_segment() {
    switch (random_.below(3)) {
      case 1:
        if (options_.instants)
          return make(WasInSegment{pick(random_, options_.segments), instant()}, Type::boolean);
        [[fallthrough]];
      case 0:
        return make(InSegment{pick(random_, options_.segments)}, Type::boolean);
      default:
        return entered(Entered::Of::segment, options_.segments);
    }
  }
  ExprPtr entered(Entered::Of of, const std::vector<std::string>& names) {
    std::string name = pick(random_, names);
    return make(Entered{of, std::move(name), window()}, Type::boolean);
  }

  ExprPtr rank(int depth) {
    Rank rank;
    constexpr std::array kKinds{Rank::Kind::top_percent, Rank::Kind::bottom_percent, Rank::Kind::rank_at_most,
                                Rank::Kind::bottom_rank_at_most};
    rank.kind = kKinds[random_.below(kKinds.size())];
    rank.amount = Number::integer(static_cast<std::int64_t>(1 + random_.below(100)));
    rank.by = number(depth);
    if (one_in(2)) rank.where = condition(depth);
    if (!options_.segments.empty() && one_in(3)) rank.among_segment = pick(random_, options_.segments);
    return make(std::move(rank), Type::boolean);
  }

  // --- values of the person

  ExprPtr number(int depth) {
    if (depth > 0 && one_in(3)) {
      constexpr std::array kOps{Arithmetic::Op::add, Arithmetic::Op::subtract, Arithmetic::Op::multiply,
                                Arithmetic::Op::divide};
      const auto op = kOps[random_.below(kOps.size())];
      ExprPtr left = number(depth - 1);
      return make(Arithmetic{op, std::move(left), number(depth - 1)}, Type::number);
    }
    if (depth > 0 && one_in(5)) {
      ExprPtr test = condition(depth - 1);
      ExprPtr then = number(depth - 1);
      return make(Conditional{std::move(test), std::move(then), one_in(2) ? number(depth - 1) : nullptr},
                  Type::number);
    }
    switch (random_.below(4)) {
      case 0:
        return number_literal();
      case 1:
        return make(Attribute{pick(random_, options_.number_traits), false}, Type::number);
      default:
        return number_aggregate();
    }
  }

  ExprPtr number_literal() {
    Literal literal;
    literal.kind = Literal::Kind::number;
    literal.number = Number::decimal(static_cast<std::int64_t>(random_.below(2000)) - 500,
                                     static_cast<int>(random_.below(3)));
    return make(literal, Type::number);
  }

  ExprPtr number_aggregate() {
    constexpr std::array kOps{Aggregate::Op::count, Aggregate::Op::sum, Aggregate::Op::avg,
                              Aggregate::Op::min,   Aggregate::Op::max, Aggregate::Op::distinct,
                              Aggregate::Op::first, Aggregate::Op::last};
    Aggregate aggregate;
    aggregate.op = kOps[random_.below(kOps.size())];
    aggregate.selector = selector();
    if (aggregate.op != Aggregate::Op::count) aggregate.property = pick(random_, options_.number_properties);
    aggregate.window = window();
    return make(std::move(aggregate), Type::number);
  }

  // --- events

  EventSelector selector() {
    EventSelector selector;
    selector.event = pick(random_, options_.events);
    if (one_in(3)) selector.where = event_condition(2);
    return selector;
  }

  ExprPtr event_condition(int depth) {
    if (depth > 0) {
      switch (random_.below(5)) {
        case 0:
          return logical(depth, &Generator::event_condition);
        case 1:
          return make(Not{event_condition(depth - 1)}, Type::boolean);
        case 2:
          if (!options_.list_properties.empty()) return quantified();
          break;
        default:
          break;
      }
    }
    return property_condition(options_.number_properties, options_.text_properties);
  }

  ExprPtr quantified() {
    constexpr std::array kKinds{Quantified::Kind::any, Quantified::Kind::all, Quantified::Kind::none};
    Quantified quantified;
    quantified.kind = kKinds[random_.below(kKinds.size())];
    quantified.path = pick(random_, options_.list_properties);
    quantified.condition = property_condition(options_.element_numbers, options_.element_texts);
    if (one_in(2)) {
      ExprPtr more = property_condition(options_.element_numbers, options_.element_texts);
      quantified.condition =
          make(Logical{Logical::Kind::all_of, {quantified.condition, std::move(more)}}, Type::boolean);
    }
    return make(std::move(quantified), Type::boolean);
  }

  ExprPtr property_condition(const std::vector<std::string>& numbers, const std::vector<std::string>& texts) {
    if (one_in(2))
      return make(compare_text(make(Property{pick(random_, texts)}, Type::string)), Type::boolean);
    ExprPtr property = make(Property{pick(random_, numbers)}, Type::number);
    if (one_in(4)) return make(Exists{std::move(property)}, Type::boolean);
    return compare_numbers(std::move(property), number_literal());
  }

  // --- comparisons

  ExprPtr compare_numbers(ExprPtr left, ExprPtr right) {
    const auto op = static_cast<Comparison>(random_.below(6));
    return make(Compare{op, std::move(left), std::move(right)}, Type::boolean);
  }

  Node compare_text(ExprPtr value) {
    if (one_in(3)) {
      InList in{std::move(value), {}};
      for (std::uint64_t i = 1 + random_.below(2); i > 0; --i) in.options.push_back(text_literal());
      return in;
    }
    return Compare{one_in(2) ? Comparison::equal : Comparison::not_equal, std::move(value),
                   make(text_literal(), Type::string)};
  }
  Literal text_literal() {
    Literal literal;
    literal.kind = Literal::Kind::string;
    literal.string = pick(random_, options_.texts);
    return literal;
  }

  // --- windows

  Window window() {
    Window window;
    // Ever, one bound, and now and then two.
    for (std::uint64_t i = one_in(4) ? 2 : random_.below(3) > 0 ? 1 : 0; i > 0; --i)
      window.push_back(bound());
    return window;
  }

  Bound bound() {
    Bound bound;
    switch (random_.below(7)) {
      case 0:
        bound.kind = Bound::Kind::between_ago;
        bound.near = duration();
        bound.far = bound.near + duration();
        return bound;
      case 1:
        if (!options_.instants) break;
        bound.kind = one_in(2) ? Bound::Kind::since_time : Bound::Kind::before_time;
        bound.instant = instant();
        return bound;
      case 2:
        if (!options_.calendar) break;
        bound.kind = Bound::Kind::calendar;
        bound.word = static_cast<CalendarWord>(random_.below(10));
        return bound;
      case 3:
      case 4:
        if (!options_.since) break;
        since(bound);
        return bound;
      default:
        break;
    }
    bound.far = duration();
    return bound;
  }

  void since(Bound& bound) {
    bound.if_any = one_in(2);
    if (!options_.segments.empty() && one_in(4)) {
      bound.kind = Bound::Kind::since_entered_segment;
      bound.name = pick(random_, options_.segments);
    } else if (!options_.syncs.empty() && one_in(4)) {
      bound.kind = Bound::Kind::since_entered_sync;
      bound.name = pick(random_, options_.syncs);
    } else {
      bound.kind = one_in(2) ? Bound::Kind::since_last : Bound::Kind::since_first;
      bound.selector = selector();
    }
  }

  Millis duration() {
    constexpr std::array kUnits{Millis{1}, kSecond, kMinute, kHour, kDay};
    return kUnits[random_.below(kUnits.size())] * static_cast<std::int64_t>(2 + random_.below(60));
  }
  Time instant() {
    return options_.epoch +
           Millis{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(kDay.count * 90)))};
  }

  Random& random_;
  const RandomExprOptions& options_;
};

}  // namespace

ExprPtr random_expr(Random& random, const RandomExprOptions& options) {
  return Generator(random, options).condition(options.depth);
}

}  // namespace tailrace::testing
