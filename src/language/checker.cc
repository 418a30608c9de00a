// Types, names and warnings. Checking builds the tree anew: trees are shared and never change. After an error
// a node has the type `any`, which fits everywhere, so one mistake is reported once.
#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/nearest.h"
#include "language/language.h"
#include "language/words.h"

namespace tailrace::language {
namespace {

// The parser bounds one tree; these bound a walk that follows names into other trees.
constexpr int kVisitDepthMax = 800;
constexpr std::size_t kReferenceDepthMax = 100;

enum class Reference : unsigned char { definition, attribute, segment };

std::string_view word_of(Reference kind) {
  switch (kind) {
    case Reference::definition:
      return "definition";
    case Reference::attribute:
      return "attribute";
    case Reference::segment:
      return "segment";
  }
  return "";
}

// What is known of a named expression once its tree has been walked.
struct Known {
  Type type = Type::any;
  bool may_be_missing = true;
  std::string cycle;  // "a -> b -> a"; empty: none
};

struct Scope {
  enum class Kind : unsigned char { person, event, element };
  Kind kind = Kind::person;
  std::string event;
  std::string list;  // of an element: the path of its list
};

bool fits(Type type, Type wanted) { return type == wanted || type == Type::any; }

std::string with_article(Type type) { return fmt::format("a {}", name_of(type)); }

class Checker {
 public:
  explicit Checker(const Names& names) : names_(names) {}

  Checked run(const ExprPtr& tree, Place place) {
    ExprPtr expr = visit(tree);
    // Met in some other tree, whose own problems are not reported here; this one must be.
    if (too_deep_)
      error(expr->span, "names and trees are nested too deep together", "name fewer things through others");
    if (place != Place::attribute && !fits(expr->type, Type::boolean))
      error(
          expr->span, fmt::format("a condition is needed here, and this is {}", with_article(expr->type)),
          expr->type == Type::number ? "compare it with something: `... > 0`" : "compare it with something");
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return std::pair(a.span.line, a.span.column) < std::pair(b.span.line, b.span.column);
    });
    const bool failed = std::any_of(problems_.begin(), problems_.end(), [](const Problem& problem) {
      return problem.severity == Problem::Severity::error;
    });
    return {failed ? nullptr : std::move(expr), std::move(problems_)};
  }

 private:
  // --- problems

  void error(Span span, std::string message, std::string mend = "") {
    problems_.push_back({Problem::Severity::error, span, std::move(message), std::move(mend)});
  }
  void warn(Span span, std::string message, std::string mend = "") {
    problems_.push_back({Problem::Severity::warning, span, std::move(message), std::move(mend)});
  }
  static std::string did_you_mean(std::string_view written, const std::vector<std::string>& names,
                                  std::string_view quote) {
    const auto near = nearest(written, names);
    return near ? fmt::format("did you mean {0}{1}{0}?", quote, *near) : "";
  }

  // --- walking

  struct Typed {
    Node node;
    Type type = Type::any;
  };

  ExprPtr visit(const ExprPtr& expr) {
    if (depth_ == kVisitDepthMax) {
      too_deep_ = true;
      return expr;
    }
    ++depth_;
    Typed typed = std::visit([&](const auto& node) { return check(node, *expr); }, expr->node);
    --depth_;
    return std::make_shared<const Expr>(Expr{std::move(typed.node), expr->span, typed.type});
  }

  ExprPtr visit_as(const ExprPtr& expr, Type wanted, std::string_view place) {
    ExprPtr checked = visit(expr);
    if (!fits(checked->type, wanted))
      error(checked->span, fmt::format("{} needs {}, and this is {}", place, with_article(wanted),
                                       with_article(checked->type)));
    return checked;
  }

  ExprPtr visit_in(Scope scope, const ExprPtr& expr, std::string_view place) {
    if (expr == nullptr) return nullptr;
    std::swap(scope_, scope);
    // What exists outside is no word on a property of the same name.
    std::vector<std::string> outer_settled = std::exchange(settled_, {});
    ExprPtr checked = visit_as(expr, Type::boolean, place);
    settled_ = std::move(outer_settled);
    std::swap(scope_, scope);
    return checked;
  }

  // A form about the person does not stand in a `where` over an event.
  bool refuse_in_where(const Expr& expr) {
    if (scope_.kind == Scope::Kind::person) return false;
    error(expr.span, "a `where` over an event holds only conditions on its properties",
          "move this out of the `where` and join it with `and`");
    return true;
  }

  // --- values

  Typed check(const Literal& literal, const Expr&) {
    switch (literal.kind) {
      case Literal::Kind::boolean:
        return {literal, Type::boolean};
      case Literal::Kind::number:
        return {literal, Type::number};
      case Literal::Kind::string:
        return {literal, Type::string};
      case Literal::Kind::time:
        return {literal, Type::time};
    }
    return {literal, Type::any};
  }

  Typed check(const Attribute& attribute, const Expr& expr) {
    if (refuse_in_where(expr)) return {attribute, Type::any};
    if (const ExprPtr tree = ask(names_.definition, attribute.path))
      return {Definition{attribute.path},
              explore(Reference::definition, attribute.path, tree, expr.span).type};
    if (const ExprPtr tree = ask(names_.attribute, attribute.path)) {
      const Type type = explore(Reference::attribute, attribute.path, tree, expr.span).type;
      return {Attribute{attribute.path, true}, type};
    }
    if (const auto declared = ask_type(names_.trait_type, attribute.path))
      return {Attribute{attribute.path, false}, *declared};
    report_undeclared_trait(attribute.path, expr.span);
    return {Attribute{attribute.path, false}, Type::any};
  }

  void report_undeclared_trait(const std::string& path, Span span) {
    const std::string first = path.substr(0, path.find('.'));
    if (std::find(names_.traits.begin(), names_.traits.end(), first) != names_.traits.end()) return;
    std::vector<std::string> known = names_.definitions;
    known.insert(known.end(), names_.attributes.begin(), names_.attributes.end());
    known.insert(known.end(), names_.traits.begin(), names_.traits.end());
    std::string mend = did_you_mean(path, known, "`");
    if (names_.strict_traits)
      error(span, fmt::format("unknown attribute `{}`", path),
            mend.empty() ? "declare it under `traits` in taxonomy.yaml" : std::move(mend));
    else if (!mend.empty())
      warn(span, fmt::format("`{}` is neither defined nor declared, and is taken for a trait", path),
           std::move(mend));
  }

  Typed check(const Definition& definition, const Expr& expr) {
    if (refuse_in_where(expr)) return {definition, Type::any};
    const ExprPtr tree = ask(names_.definition, definition.name);
    if (tree == nullptr) {
      error(expr.span, fmt::format("unknown definition `{}`", definition.name),
            did_you_mean(definition.name, names_.definitions, "`"));
      return {definition, Type::any};
    }
    return {definition, explore(Reference::definition, definition.name, tree, expr.span).type};
  }

  Typed check(const Property& property, const Expr& expr) {
    if (scope_.kind == Scope::Kind::person) {
      error(expr.span, "a property of an event stands only inside `where`");
      return {property, Type::any};
    }
    if (scope_.kind == Scope::Kind::element) {
      const std::string path = property.path.empty() ? scope_.list : scope_.list + "." + property.path;
      const auto declared = property.path.empty() ? std::nullopt : property_type(scope_.event, path);
      return {property, declared.value_or(Type::any)};
    }
    if (property.path.empty()) {
      error(expr.span, "`it` stands only inside `any`, `all` or `none`");
      return {property, Type::any};
    }
    const auto declared = property_type(scope_.event, property.path);
    if (!declared && names_a_person(property.path))
      warn(expr.span,
           fmt::format("`{}` is read as a property of {}, which declares none of that name", property.path,
                       quoted(scope_.event)),
           fmt::format("to mean the person's `{}`, close the `where`: (performed ... where ...) and {} ...",
                       property.path, property.path));
    return {property, declared.value_or(Type::any)};
  }

  bool names_a_person(const std::string& path) const {
    return ask(names_.definition, path) != nullptr || ask(names_.attribute, path) != nullptr ||
           ask_type(names_.trait_type, path).has_value();
  }

  Typed check(const Consent& consent, const Expr& expr) {
    refuse_in_where(expr);
    return {consent, Type::boolean};
  }

  // --- logic

  Typed check(const Not& negation, const Expr& expr) {
    ExprPtr operand = visit_as(negation.operand, Type::boolean, "`not`");
    const auto* compare = as<Compare>(*operand);
    if (compare != nullptr && compare->op == Comparison::equal)
      warn_missing(expr, {compare->left, compare->right}, "true");
    if (const auto* in = as<InList>(*operand)) warn_missing(expr, {in->value}, "true");
    return {Not{std::move(operand)}, Type::boolean};
  }

  Typed check(const Logical& logical, const Expr&) {
    const bool all = logical.kind == Logical::Kind::all_of;
    const std::size_t settled_before = settled_.size();
    for (const ExprPtr& operand : logical.operands) {
      // `x exists and x != 1` and `x is missing or x != 1` say what happens to a missing x.
      const auto* negation = as<Not>(*operand);
      const auto* exists = as<Exists>(all || negation == nullptr ? *operand : *negation->operand);
      if (exists != nullptr && (all || negation != nullptr)) settled_.push_back(print(*exists->value));
    }
    Logical checked{logical.kind, {}};
    for (const ExprPtr& operand : logical.operands)
      checked.operands.push_back(visit_as(operand, Type::boolean, all ? "`and`" : "`or`"));
    settled_.resize(settled_before);
    return {std::move(checked), Type::boolean};
  }

  Typed check(const Exists& exists, const Expr&) { return {Exists{visit(exists.value)}, Type::boolean}; }

  // --- comparisons

  Typed check(const Compare& compare, const Expr& expr) {
    ExprPtr left = visit(compare.left);
    ExprPtr right = visit(compare.right);
    if (left->type == Type::time) right = as_time(right);
    if (right->type == Type::time) left = as_time(left);
    const bool ordered = compare.op != Comparison::equal && compare.op != Comparison::not_equal;
    if (!comparable(left->type, right->type)) {
      const bool left_literal = as<Literal>(*left) != nullptr && as<Literal>(*right) == nullptr;
      const Expr& odd = left_literal ? *left : *right;
      const Expr& other = left_literal ? *right : *left;
      error(odd.span,
            fmt::format("{} cannot be compared with {}", with_article(left->type), with_article(right->type)),
            comparison_mend(odd, other.type));
    } else if (ordered && (left->type == Type::boolean || right->type == Type::boolean)) {
      error(expr.span, "conditions have no order", "compare them with `=` or `!=`");
    }
    if (compare.op == Comparison::not_equal) warn_missing(expr, {left, right}, "false");
    return {Compare{compare.op, std::move(left), std::move(right)}, Type::boolean};
  }

  static bool comparable(Type a, Type b) {
    // A bare path over a list means any of its elements, whose type nobody declared.
    return fits(a, b) || b == Type::any || a == Type::list || b == Type::list;
  }

  static std::string comparison_mend(const Expr& odd, Type other) {
    const auto* literal = as<Literal>(odd);
    if (literal == nullptr) return "";
    if (literal->kind == Literal::Kind::string && other == Type::number && Number::parse(literal->string))
      return fmt::format("write it without quotes: {}", literal->string);
    if (literal->kind == Literal::Kind::number && other == Type::string)
      return fmt::format("write it in quotes: \"{}\"", literal->number.to_string());
    if (literal->kind == Literal::Kind::number && other == Type::time)
      return "write the time in quotes: \"2026-01-31\"";
    return "";
  }

  // A text beside a time is that time.
  ExprPtr as_time(const ExprPtr& expr) {
    const auto* literal = as<Literal>(*expr);
    if (literal == nullptr || literal->kind != Literal::Kind::string) return expr;
    return std::make_shared<const Expr>(Expr{time_literal(*literal, expr->span), expr->span, Type::time});
  }
  Literal time_literal(const Literal& text, Span span) {
    Literal literal;
    literal.kind = Literal::Kind::time;
    const auto time = parse_time(text.string);
    if (!time) error(span, time.error().message);
    literal.time = time.value_or(Time{});
    return literal;
  }

  Typed check(const InList& in, const Expr& expr) {
    InList checked{visit(in.value), {}};
    for (const Literal& option : in.options) {
      const bool is_time = checked.value->type == Type::time && option.kind == Literal::Kind::string;
      checked.options.push_back(is_time ? time_literal(option, expr.span) : option);
      const Type type = check(checked.options.back(), expr).type;
      if (!comparable(checked.value->type, type))
        error(expr.span, fmt::format("{} cannot be compared with {}, {}", with_article(checked.value->type),
                                     with_article(type), print(Expr{option, {}, type})));
    }
    return {std::move(checked), Type::boolean};
  }

  // --- what may be missing

  bool may_be_missing(const Expr& expr) {
    if (as<Attribute>(expr)) {
      const auto& attribute = *as<Attribute>(expr);
      const auto known = known_.find({Reference::attribute, attribute.path});
      return !attribute.computed || known == known_.end() || known->second.may_be_missing;
    }
    if (const auto* property = as<Property>(expr)) return !property->path.empty();
    if (const auto* aggregate = as<Aggregate>(expr))
      return aggregate->op != Aggregate::Op::count && aggregate->op != Aggregate::Op::sum &&
             aggregate->op != Aggregate::Op::distinct;
    if (const auto* arithmetic = as<Arithmetic>(expr)) {
      const auto* divisor = as<Literal>(*arithmetic->right);
      const bool may_divide_by_zero =
          arithmetic->op == Arithmetic::Op::divide && (divisor == nullptr || divisor->number == Number());
      return may_divide_by_zero || may_be_missing(*arithmetic->left) || may_be_missing(*arithmetic->right);
    }
    if (const auto* conditional = as<Conditional>(expr))
      return conditional->otherwise == nullptr || may_be_missing(*conditional->then) ||
             may_be_missing(*conditional->otherwise);
    return false;
  }

  void warn_missing(const Expr& expr, const std::vector<ExprPtr>& values, std::string_view outcome) {
    for (const ExprPtr& value : values) {
      if (!may_be_missing(*value)) continue;
      const std::string text = print(*value);
      if (std::find(settled_.begin(), settled_.end(), text) != settled_.end()) continue;
      const std::string whole = print(expr);
      warn(expr.span, fmt::format("`{}` is {} where `{}` is missing", whole, outcome, text),
           fmt::format("say which is meant: `{0} exists and {1}` or `{0} is missing or {1}`", text, whole));
      return;
    }
  }

  // --- arithmetic and conditionals

  Typed check(const Arithmetic& arithmetic, const Expr&) {
    const std::string place = fmt::format("`{}`", symbol_of(arithmetic.op));
    ExprPtr left = visit_as(arithmetic.left, Type::number, place);
    ExprPtr right = visit_as(arithmetic.right, Type::number, place);
    return {Arithmetic{arithmetic.op, std::move(left), std::move(right)}, Type::number};
  }

  Typed check(const Conditional& conditional, const Expr& expr) {
    Conditional checked;
    checked.condition = visit_as(conditional.condition, Type::boolean, "`if`");
    checked.then = visit(conditional.then);
    Type type = checked.then->type;
    if (conditional.otherwise == nullptr) return {std::move(checked), type};
    checked.otherwise = visit(conditional.otherwise);
    if (type == Type::time) checked.otherwise = as_time(checked.otherwise);
    if (checked.otherwise->type == Type::time) checked.then = as_time(checked.then);
    type = checked.then->type;
    const Type other = checked.otherwise->type;
    if (!fits(type, other) && other != Type::any)
      error(expr.span,
            fmt::format("`then` gives {} and `else` gives {}", with_article(type), with_article(other)),
            "give both the same type");
    return {std::move(checked), type == other ? type : Type::any};
  }

  Typed check(const Quantified& quantified, const Expr& expr) {
    if (scope_.kind == Scope::Kind::person) {
      error(expr.span,
            fmt::format("`{}` over a list stands only inside `where`", language::word_of(quantified.kind)));
      return {quantified, Type::boolean};
    }
    const std::string path =
        scope_.kind == Scope::Kind::element ? scope_.list + "." + quantified.path : quantified.path;
    const Type type = property_type(scope_.event, path).value_or(Type::any);
    if (!fits(type, Type::list))
      error(expr.span, fmt::format("`{}` is {}, not a list", quantified.path, with_article(type)));
    Quantified checked = quantified;
    checked.condition = visit_in({Scope::Kind::element, scope_.event, path}, quantified.condition,
                                 fmt::format("`{}`", language::word_of(quantified.kind)));
    return {std::move(checked), Type::boolean};
  }

  // --- events

  EventSelector check_selector(const EventSelector& selector) {
    EventSelector checked = selector;
    const auto canonical =
        names_.canonical_event ? names_.canonical_event(selector.event) : std::optional<std::string>{};
    if (canonical)
      checked.event = *canonical;
    else if (names_.strict_events)
      error(selector.span, fmt::format("unknown event {}", quoted(selector.event)),
            event_mend(selector.event));
    checked.where = visit_in({Scope::Kind::event, checked.event, ""}, selector.where, "`where`");
    return checked;
  }
  std::string event_mend(const std::string& event) const {
    std::string mend = did_you_mean(event, names_.events, "\"");
    return mend.empty() ? "declare it in taxonomy.yaml" : mend;
  }

  Typed check(const Performed& performed, const Expr& expr) {
    if (refuse_in_where(expr)) return {performed, Type::boolean};
    Performed checked = performed;
    checked.selector = check_selector(performed.selector);
    checked.window = check_window(performed.window);
    check_times(performed, expr);
    for (SequenceStep& step : checked.steps) {
      step.selector = check_selector(step.selector);
      check_step(performed, step, &step == &checked.steps.back());
    }
    return {std::move(checked), Type::boolean};
  }

  void check_times(const Performed& performed, const Expr& expr) {
    const bool counted = performed.op != Comparison::greater_equal || performed.times != 1;
    if (performed.op == Comparison::not_equal) {
      error(expr.span, "a number of times cannot be refused", "write `not performed ... exactly N times`");
    } else if (counted && !performed.steps.empty()) {
      error(expr.span, "a chain cannot be counted", "leave out the number of times");
    } else if (performed.op == Comparison::less && performed.times == 0) {
      error(expr.span, "`fewer than 0 times` is never true");
    } else if (performed.op == Comparison::greater_equal && performed.times == 0) {
      warn(expr.span, "`at least 0 times` is always true");
    }
  }

  void check_step(const Performed& performed, const SequenceStep& step, bool last) {
    const Span span = step.selector.span;
    if (step.within && step.within->count <= 0) error(span, "a step needs a time longer than nothing");
    if (!step.negated) return;
    if (!last) error(span, "nothing can follow what did not happen", "put `not followed by` last");
    if (!step.within) {
      error(span, "`not followed by` needs a time to wait", "add `within 2h`");
      return;
    }
    for (const Bound& bound : performed.window) {
      const bool reaches_back = bound.kind == Bound::Kind::within || bound.kind == Bound::Kind::between_ago;
      if (!reaches_back || bound.far > *step.within) continue;
      error(bound.span,
            fmt::format("nobody can match: an event of the last {} cannot have been waited on for {}",
                        written_duration(bound.far), written_duration(*step.within)),
            fmt::format("look back further than {}", written_duration(*step.within)));
    }
  }

  Typed check(const Aggregate& aggregate, const Expr& expr) {
    if (refuse_in_where(expr)) return {aggregate, Type::any};
    Aggregate checked = aggregate;
    checked.selector = check_selector(aggregate.selector);
    checked.window = check_window(aggregate.window);
    return {std::move(checked), type_of(aggregate, checked.selector.event, expr.span)};
  }

  Type type_of(const Aggregate& aggregate, const std::string& event, Span span) {
    using Op = Aggregate::Op;
    const std::string_view word = language::word_of(aggregate.op);
    const bool has_property = !aggregate.property.empty();
    const Type property =
        has_property ? property_type(event, aggregate.property).value_or(Type::any) : Type::any;
    if (aggregate.op == Op::count) {
      if (has_property)
        error(span, "`count` counts events, not a property",
              fmt::format("write `distinct(...)`, or `count({} where {} exists)`", quoted(event),
                          written_path(aggregate.property)));
      return Type::number;
    }
    if (!has_property) {
      if (is_first_or_last(aggregate.op)) return Type::time;
      error(span, fmt::format("`{}` needs a property", word),
            fmt::format("write `{}({}.revenue)`", word, quoted(event)));
      return aggregate.op == Op::min || aggregate.op == Op::max ? Type::any : Type::number;
    }
    if (aggregate.op == Op::sum || aggregate.op == Op::avg) {
      if (!fits(property, Type::number))
        error(span, fmt::format("`{}` needs a number, and `{}` is {}", word, aggregate.property,
                                with_article(property)));
      return Type::number;
    }
    if (aggregate.op == Op::min || aggregate.op == Op::max) {
      if (!fits(property, Type::number) && property != Type::time)
        error(span, fmt::format("`{}` needs a number or a time, and `{}` is {}", word, aggregate.property,
                                with_article(property)));
      return fits(property, Type::number) || property == Type::time ? property : Type::any;
    }
    return aggregate.op == Op::distinct ? Type::number : property;
  }

  // --- windows

  Window check_window(const Window& window) {
    Window checked = window;
    for (Bound& bound : checked) check_bound(bound);
    return checked;
  }

  void check_bound(Bound& bound) {
    switch (bound.kind) {
      case Bound::Kind::within:
        if (bound.far.count <= 0) error(bound.span, "a window needs a length", "write it like `within 7d`");
        return;
      case Bound::Kind::between_ago:
        if (bound.near >= bound.far)
          error(bound.span, "the nearer end of `between ... ago` comes first",
                bound.near == bound.far
                    ? "give two different lengths"
                    : fmt::format("write `between {} and {} ago`", written_duration(bound.far),
                                  written_duration(bound.near)));
        return;
      case Bound::Kind::since_last:
      case Bound::Kind::since_first:
        bound.selector = check_selector(bound.selector);
        return;
      case Bound::Kind::since_entered_segment:
        check_segment(bound.name, bound.span);
        return;
      case Bound::Kind::since_entered_sync:
        check_sync(bound.name, bound.span);
        return;
      case Bound::Kind::since_time:
      case Bound::Kind::before_time:
      case Bound::Kind::calendar:
        return;
    }
  }

  Typed check(const InWindow& in_window, const Expr& expr) {
    if (refuse_in_where(expr)) return {in_window, Type::boolean};
    ExprPtr value = visit_as(in_window.value, Type::time, "a window");
    return {InWindow{std::move(value), check_window(in_window.window)}, Type::boolean};
  }

  // --- segments, syncs, ranks

  Typed check(const InSegment& in, const Expr& expr) {
    if (!refuse_in_where(expr)) check_segment(in.segment, expr.span);
    return {in, Type::boolean};
  }
  Typed check(const WasInSegment& was, const Expr& expr) {
    if (!refuse_in_where(expr)) check_segment(was.segment, expr.span);
    return {was, Type::boolean};
  }
  Typed check(const Entered& entered, const Expr& expr) {
    if (refuse_in_where(expr)) return {entered, Type::boolean};
    if (entered.of == Entered::Of::segment)
      check_segment(entered.name, expr.span);
    else
      check_sync(entered.name, expr.span);
    return {Entered{entered.of, entered.name, check_window(entered.window)}, Type::boolean};
  }

  void check_segment(const std::string& name, Span span) {
    const ExprPtr tree = ask(names_.segment, name);
    if (tree == nullptr)
      error(span, fmt::format("unknown segment {}", quoted(name)), did_you_mean(name, names_.segments, "\""));
    else
      explore(Reference::segment, name, tree, span);
  }
  void check_sync(const std::string& name, Span span) {
    if (std::find(names_.syncs.begin(), names_.syncs.end(), name) == names_.syncs.end())
      error(span, fmt::format("unknown sync {}", quoted(name)), did_you_mean(name, names_.syncs, "\""));
  }

  Typed check(const Rank& rank, const Expr& expr) {
    if (refuse_in_where(expr)) return {rank, Type::boolean};
    Rank checked = rank;
    check_amount(rank, expr.span);
    checked.by = visit_as(rank.by, Type::number, "a rank");
    if (rank.where != nullptr) {
      // Only people with the value present are ranked.
      settled_.push_back(print(*rank.by));
      checked.where = visit_as(rank.where, Type::boolean, "`where`");
      settled_.pop_back();
    }
    if (!rank.among_segment.empty()) check_segment(rank.among_segment, expr.span);
    const bool percent = rank.kind == Rank::Kind::top_percent || rank.kind == Rank::Kind::bottom_percent;
    if (percent && rank.where == nullptr && !may_be_missing(*checked.by)) {
      const std::string by = print(*rank.by);
      warn(expr.span, fmt::format("everybody has `{}`, if only 0, so everybody is ranked", by),
           fmt::format("narrow it: `where {} > 0`", by));
    }
    return {std::move(checked), Type::boolean};
  }

  void check_amount(const Rank& rank, Span span) {
    const bool percent = rank.kind == Rank::Kind::top_percent || rank.kind == Rank::Kind::bottom_percent;
    if (percent && (rank.amount <= Number() || rank.amount > Number::integer(100)))
      error(span,
            fmt::format("a share of people is above 0% and at most 100%, not {}%", rank.amount.to_string()));
    const auto decimal = rank.amount.as_decimal();
    if (!percent && (!decimal || decimal->scale != 0 || decimal->mantissa < 1))
      error(span, fmt::format("a rank is a whole number from 1 on, not {}", rank.amount.to_string()));
  }

  // --- names

  static ExprPtr ask(const std::function<ExprPtr(std::string_view)>& question, std::string_view name) {
    return question ? question(name) : nullptr;
  }
  static std::optional<Type> ask_type(const std::function<std::optional<Type>(std::string_view)>& question,
                                      std::string_view name) {
    return question ? question(name) : std::nullopt;
  }
  std::optional<Type> property_type(const std::string& event, const std::string& path) const {
    return names_.property_type ? names_.property_type(event, path) : std::nullopt;
  }

  // What the named tree is, walked once. A cycle is reported at the reference that leads into it; what else
  // is wrong in there is reported where that tree itself is checked.
  Known explore(Reference kind, const std::string& name, const ExprPtr& tree, Span span) {
    const Key key{kind, name};
    Known known;
    const auto open = std::find(path_.begin(), path_.end(), key);
    if (const auto found = known_.find(key); found != known_.end()) {
      known = found->second;
    } else if (open != path_.end()) {
      for (auto at = open; at != path_.end(); ++at) known.cycle += at->second + " -> ";
      known.cycle += name;
    } else if (path_.size() == kReferenceDepthMax) {
      too_deep_ = true;
    } else {
      known = walk(key, tree);
      known_.emplace(key, known);
    }
    if (known.cycle.empty()) return known;
    if (cycle_.empty()) cycle_ = known.cycle;
    error(span, fmt::format("{} `{}` refers to itself: {}", word_of(kind), name, known.cycle),
          "break the circle: no name may lead back to itself");
    return known;
  }

  using Key = std::pair<Reference, std::string>;

  Known walk(const Key& key, const ExprPtr& tree) {
    auto outer_problems = std::exchange(problems_, {});
    auto outer_settled = std::exchange(settled_, {});
    auto outer_cycle = std::exchange(cycle_, {});
    Scope outer_scope = std::exchange(scope_, {});
    path_.push_back(key);
    const ExprPtr checked = visit(tree);
    Known known{checked->type, may_be_missing(*checked), cycle_};
    path_.pop_back();
    scope_ = std::move(outer_scope);
    cycle_ = std::move(outer_cycle);
    settled_ = std::move(outer_settled);
    problems_ = std::move(outer_problems);
    return known;
  }

  const Names& names_;
  std::vector<Problem> problems_;
  Scope scope_;
  std::vector<std::string> settled_;  // printed values whose absence the text has already spoken of
  std::map<Key, Known> known_;
  std::vector<Key> path_;  // the names being walked
  std::string cycle_;      // the first one met in the tree being walked
  int depth_ = 0;
  bool too_deep_ = false;
};

}  // namespace

Checked check(const ExprPtr& tree, const Names& names, Place place) {
  return Checker(names).run(tree, place);
}

}  // namespace tailrace::language
