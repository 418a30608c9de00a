// Recursive descent. The first problem is kept and the parser jumps to the end of the text, so every function
// may go on with a stand-in and no caller needs to look.
#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/nearest.h"
#include "language/language.h"
#include "language/lexer.h"
#include "language/words.h"

namespace tailrace::language {
namespace {

using Kind = Token::Kind;

Literal number_literal(Number number) {
  Literal literal;
  literal.kind = Literal::Kind::number;
  literal.number = number;
  return literal;
}

// What a bare name means, and which forms may stand.
enum class Scope : unsigned char { person, event, element };

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::expected<ExprPtr, Problem> run() {
    ExprPtr expr = expression();
    if (!problem_ && !at_end()) fail_at_rest();
    if (problem_) return std::unexpected(*std::move(problem_));
    return expr;
  }

 private:
  // --- tokens

  const Token& token(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool at_end() const { return token().kind == Kind::end; }
  bool at_kind(Kind kind, std::size_t ahead = 0) const { return token(ahead).kind == kind; }
  bool at_word(std::string_view word, std::size_t ahead = 0) const {
    return at_kind(Kind::word, ahead) && token(ahead).lower == word;
  }
  bool at_words(std::string_view first, std::string_view second) const {
    return at_word(first) && at_word(second, 1);
  }
  bool at_symbol(std::string_view symbol, std::size_t ahead = 0) const {
    return at_kind(Kind::symbol, ahead) && token(ahead).text == symbol;
  }
  void advance(std::size_t count = 1) { at_ = std::min(at_ + count, tokens_.size() - 1); }
  bool take_word(std::string_view word) {
    if (!at_word(word)) return false;
    advance();
    return true;
  }
  bool take_words(std::string_view first, std::string_view second) {
    if (!at_words(first, second)) return false;
    advance(2);
    return true;
  }
  bool take_symbol(std::string_view symbol) {
    if (!at_symbol(symbol)) return false;
    advance();
    return true;
  }
  void expect_symbol(std::string_view symbol) {
    if (!take_symbol(symbol)) fail(fmt::format("expected `{}` before {}", symbol, shown()), rest_mend());
  }
  void expect_word(std::string_view word) {
    if (!take_word(word)) fail(fmt::format("expected `{}` before {}", word, shown()));
  }

  // --- problems

  void fail_span(Span span, std::string message, std::string mend = "") {
    if (problem_) return;
    problem_ = Problem{Problem::Severity::error, span, std::move(message), std::move(mend)};
    at_ = tokens_.size() - 1;
  }
  void fail(std::string message, std::string mend = "") {
    fail_span(token().span, std::move(message), std::move(mend));
  }
  std::string shown() const {
    switch (token().kind) {
      case Kind::end:
        return "the end";
      case Kind::string:
        return quoted(token().text);
      default:
        return fmt::format("`{}`", token().text);
    }
  }
  // The parser stopped in the middle: what it stands on, or what came before, may be a slip or a window that
  // found nothing to narrow.
  void fail_at_rest() {
    fail(fmt::format("{} does not fit here", at_end() ? "the end" : shown()), rest_mend());
  }
  std::string rest_mend() const {
    if (at_window())
      return "a window stands in the parentheses of `count(...)` and its like, or after `performed`, "
             "`entered` "
             "or a time";
    if (at_word("performed") || at_word("where")) return "";
    const auto slip = [](const Token& word) -> std::string {
      static const std::vector<std::string> kWords = all_words();
      if (word.kind != Kind::word || std::find(kWords.begin(), kWords.end(), word.lower) != kWords.end())
        return "";
      const auto near = nearest(word.text, kWords);
      return near && word.text.size() > 2 ? fmt::format("did you mean `{}`?", *near) : "";
    };
    if (std::string mend = slip(token()); !mend.empty()) return mend;
    if (at_ > 0) {
      if (std::string mend = slip(tokens_[at_ - 1]); !mend.empty()) return mend;
    }
    return at_kind(Kind::word) || at_kind(Kind::string) ? "join conditions with `and` or `or`" : "";
  }
  static std::vector<std::string> all_words() {
    std::vector<std::string> words(kReservedWords.begin(), kReservedWords.end());
    words.insert(words.end(), kContextualWords.begin(), kContextualWords.end());
    for (const auto* word :
         {"week", "month", "quarter", "year", "least", "most", "than", "sync", "last", "first"})
      words.emplace_back(word);
    return words;
  }

  // --- tree

  Span span_from(const Token& first) const {
    const Token& last = tokens_[at_ > 0 ? at_ - 1 : 0];
    Span span = first.span;
    if (last.first_point >= first.first_point)
      span.length = static_cast<std::uint32_t>(last.first_point + last.span.length - first.first_point);
    return span;
  }
  ExprPtr make(Node node, const Token& first) const {
    return std::make_shared<const Expr>(Expr{std::move(node), span_from(first), Type::any});
  }
  static ExprPtr stand_in() { return std::make_shared<const Expr>(Expr{Literal{}, Span{}, Type::any}); }

  ExprPtr nested(ExprPtr (Parser::*parse)()) {
    if (nesting_ == kNestingMax) {
      fail(fmt::format("the expression is nested more than {} deep", kNestingMax),
           "name its parts with definitions");
      return stand_in();
    }
    ++nesting_;
    ExprPtr expr = (this->*parse)();
    --nesting_;
    return expr;
  }

  ExprPtr in_scope(Scope scope, int parentheses, const std::function<ExprPtr()>& parse) {
    const auto outer = std::pair(scope_, parentheses_);
    scope_ = scope;
    parentheses_ = parentheses;
    ExprPtr expr = parse();
    std::tie(scope_, parentheses_) = outer;
    return expr;
  }

  // --- or, and, not

  ExprPtr expression() { return nested(&Parser::disjunction); }

  ExprPtr disjunction() { return logical(Logical::Kind::any_of, "or", &Parser::conjunction); }
  ExprPtr conjunction() { return logical(Logical::Kind::all_of, "and", &Parser::negation); }

  ExprPtr logical(Logical::Kind kind, std::string_view word, ExprPtr (Parser::*operand)()) {
    const Token first = token();
    Logical logical{kind, {}};
    const auto add = [&](const ExprPtr& expr) {
      // (a and b) and c is one list: grouping adds no meaning.
      const auto* same = as<Logical>(*expr);
      if (same != nullptr && same->kind == kind)
        logical.operands.insert(logical.operands.end(), same->operands.begin(), same->operands.end());
      else
        logical.operands.push_back(expr);
    };
    ExprPtr only = (this->*operand)();
    while (at_word(word) && continues_here()) {
      if (only) add(std::exchange(only, nullptr));
      advance();
      add((this->*operand)());
    }
    return only ? only : make(std::move(logical), first);
  }

  // A `where` without parentheses takes all that can be meant of the event, and leaves the rest to the
  // condition around it: `performed "A" where x > 1 and not performed "B"`.
  bool continues_here() const {
    if (at_window(1)) return false;
    if (scope_ != Scope::event || parentheses_ > 0) return true;
    std::size_t ahead = 1;
    while (at_word("not", ahead) || at_symbol("(", ahead)) ++ahead;
    return !at_person_only(ahead);
  }

  ExprPtr negation() {
    if (!at_word("not")) return comparison();
    const Token first = token();
    advance();
    ExprPtr operand = nested(&Parser::negation);
    return make(Not{std::move(operand)}, first);
  }

  // --- comparisons

  std::optional<Comparison> comparison_here() const {
    for (const auto& entry : kComparisons) {
      if (at_symbol(entry.symbol)) return entry.op;
    }
    return std::nullopt;
  }

  ExprPtr comparison() {
    const Token first = token();
    ExprPtr left = sum();
    if (const auto op = comparison_here()) {
      advance();
      ExprPtr right = sum();
      if (comparison_here()) fail("comparisons do not chain", "join two comparisons with `and`");
      return make(Compare{*op, std::move(left), std::move(right)}, first);
    }
    if (take_word("exists")) return make(Exists{std::move(left)}, first);
    if (take_words("is", "missing")) {
      ExprPtr exists = make(Exists{std::move(left)}, first);
      return make(Not{std::move(exists)}, first);
    }
    if (take_words("not", "in")) {
      ExprPtr in = in_list(std::move(left), first);
      return make(Not{std::move(in)}, first);
    }
    if (take_word("in")) return in_list(std::move(left), first);
    return left;
  }

  ExprPtr in_list(ExprPtr value, const Token& first) {
    InList in{std::move(value), {}};
    expect_symbol("(");
    do {
      in.options.push_back(literal());
    } while (take_symbol(","));
    expect_symbol(")");
    return make(std::move(in), first);
  }

  Literal literal() {
    const bool negative = take_symbol("-");
    if (at_kind(Kind::number)) {
      const Number number = token().number;
      advance();
      return number_literal(negative ? Number() - number : number);
    }
    if (!negative && at_kind(Kind::string)) {
      Literal text;
      text.kind = Literal::Kind::string;
      text.string = token().text;
      advance();
      return text;
    }
    if (!negative && (at_word("true") || at_word("false"))) {
      const bool value = at_word("true");
      advance();
      Literal truth;
      truth.boolean = value;
      return truth;
    }
    fail(fmt::format("expected a text in quotes, a number, `true` or `false` before {}", shown()));
    return {};
  }

  // --- arithmetic

  ExprPtr sum() { return arithmetic({Arithmetic::Op::add, Arithmetic::Op::subtract}, &Parser::product); }
  ExprPtr product() {
    return arithmetic({Arithmetic::Op::multiply, Arithmetic::Op::divide}, &Parser::signed_value);
  }

  ExprPtr arithmetic(std::array<Arithmetic::Op, 2> ops, ExprPtr (Parser::*operand)()) {
    const Token first = token();
    ExprPtr left = (this->*operand)();
    while (true) {
      const auto* const op =
          std::find_if(ops.begin(), ops.end(), [&](auto each) { return at_symbol(symbol_of(each)); });
      if (op == ops.end()) return left;
      if (++arithmetic_count_ > kArithmeticMax) {
        fail(fmt::format("more than {} arithmetic operations in one expression", kArithmeticMax),
             "name its parts with computed attributes");
        return left;
      }
      advance();
      ExprPtr right = (this->*operand)();
      left = make(Arithmetic{*op, std::move(left), std::move(right)}, first);
    }
  }

  // There is no node for a sign: -x is 0 - x, and of a literal it is the literal.
  ExprPtr signed_value() {
    if (!at_symbol("-")) return postfix();
    const Token first = token();
    advance();
    ExprPtr value = nested(&Parser::signed_value);
    const ExprPtr zero = make(number_literal(Number()), first);
    if (const auto* number = as<Literal>(*value); number != nullptr && number->kind == Literal::Kind::number)
      return make(number_literal(Number() - number->number), first);
    return make(Arithmetic{Arithmetic::Op::subtract, zero, std::move(value)}, first);
  }

  // --- values

  ExprPtr postfix() {
    const Token first = token();
    const bool parenthesised = at_symbol("(");
    ExprPtr value = primary();
    if (scope_ != Scope::person || !at_window()) return value;
    const auto* aggregate = as<Aggregate>(*value);
    const bool takes_window = parenthesised || as<Attribute>(*value) != nullptr ||
                              (aggregate != nullptr && is_first_or_last(aggregate->op));
    if (!takes_window) return value;
    Window bounds = window();
    return make(InWindow{std::move(value), std::move(bounds)}, first);
  }

  ExprPtr primary() {
    if (take_symbol("(")) return parenthesised();
    if (at_kind(Kind::string) || at_kind(Kind::number) || at_word("true") || at_word("false")) {
      const Token first = token();
      Literal value = literal();
      return make(std::move(value), first);
    }
    if (at_kind(Kind::name)) return name();
    if (at_kind(Kind::duration)) {
      fail(fmt::format("the duration {} does not fit here", shown()),
           "a duration stands in a window: `within 7d`");
      return stand_in();
    }
    if (!at_kind(Kind::word)) {
      fail(fmt::format("expected a condition or a value before {}", shown()));
      return stand_in();
    }
    if (at_person_only(0)) return person_only();
    if (at_quantifier()) return quantified();
    if (take_word("if")) return conditional();
    if (scope_ == Scope::element && at_word("it") && !at_symbol(".", 1)) {
      const Token first = token();
      advance();
      return make(Property{}, first);
    }
    if (is_reserved(token().lower)) {
      fail_reserved();
      return stand_in();
    }
    return name();
  }

  void fail_reserved() {
    if (at_window())
      fail(fmt::format("the window {} has nothing to narrow", shown()),
           "it follows `performed`, an aggregate, `entered` or a time");
    else if (at_word("performed"))
      fail("`performed` needs the event's name in double quotes", "performed \"Order Placed\"");
    else
      fail(fmt::format("{} is a word of the language", shown()),
           fmt::format("for a name of that spelling write it in backticks: `{}`", token().text));
  }

  ExprPtr parenthesised() {
    ++parentheses_;
    ExprPtr inner = expression();
    expect_symbol(")");
    if (parentheses_ > 0) --parentheses_;
    return inner;
  }

  ExprPtr name() {
    const Token first = token();
    std::string path = dotted_path();
    if (scope_ == Scope::person) return make(Attribute{std::move(path), false}, first);
    return make(Property{std::move(path)}, first);
  }

  // shipping.cost, `plan type`.level, "plan type"; what follows a dot may be any word.
  std::string dotted_path() {
    std::string path = path_part();
    while (take_symbol(".")) path += "." + path_part();
    return path;
  }
  std::string path_part() {
    const bool named = at_kind(Kind::word) || at_kind(Kind::name) || at_kind(Kind::string);
    if (!named || token().text.empty()) {
      fail(fmt::format("expected a name before {}", shown()));
      return "";
    }
    std::string part = token().text;
    advance();
    return part;
  }

  ExprPtr conditional() {
    const Token first = tokens_[at_ - 1];
    Conditional conditional;
    conditional.condition = expression();
    expect_word("then");
    conditional.then = expression();
    if (take_word("else")) conditional.otherwise = expression();
    return make(std::move(conditional), first);
  }

  // any products (
  bool at_quantifier() const {
    if (!at_kind(Kind::word) || !quantifier_named(token().lower)) return false;
    std::size_t ahead = 1;
    const auto part = [&] { return at_kind(Kind::word, ahead) || at_kind(Kind::name, ahead); };
    if (!part() || (at_kind(Kind::word, ahead) && is_reserved(token(ahead).lower))) return false;
    for (++ahead; at_symbol(".", ahead); ++ahead) {
      if (++ahead; !part()) return false;
    }
    return at_symbol("(", ahead);
  }

  ExprPtr quantified() {
    const Token first = token();
    if (scope_ == Scope::person) {
      fail(fmt::format("{} over a list stands only inside `where`", shown()),
           "performed \"Order Placed\" where any products (category = \"cleanser\")");
      return stand_in();
    }
    Quantified quantified;
    quantified.kind = *quantifier_named(token().lower);
    advance();
    quantified.path = dotted_path();
    expect_symbol("(");
    quantified.condition = in_scope(Scope::element, 1, [&] { return expression(); });
    expect_symbol(")");
    return make(std::move(quantified), first);
  }

  // --- what can be said of a person only

  bool at_person_only(std::size_t ahead) const {
    if (!at_kind(Kind::word, ahead)) return false;
    const std::string& word = token(ahead).lower;
    const auto next = [&](std::string_view what) { return at_word(what, ahead + 1); };
    if (word == "performed") return at_kind(Kind::string, ahead + 1);
    if (word == "in") return next("segment");
    if (word == "was") return next("in");
    if (word == "entered") return next("segment") || next("sync");
    if (word == "consent") return at_symbol(".", ahead + 1);
    if (word == "top") return at_kind(Kind::number, ahead + 1);
    if (word == "bottom") return at_kind(Kind::number, ahead + 1) || next("rank");
    if (word == "rank") return at_symbol("<=", ahead + 1) && at_word("by", ahead + 3);
    return aggregate_named(word) && at_symbol("(", ahead + 1);
  }

  ExprPtr person_only() {
    const Token first = token();
    if (scope_ != Scope::person) {
      fail(fmt::format("{} cannot stand inside `where`, which is about the event alone", shown()),
           "close the `where` with parentheses and join with `and`");
      return stand_in();
    }
    advance();
    if (first.lower == "performed") return performed(first);
    if (first.lower == "in") return in_segment(first);
    if (first.lower == "was") return was_in_segment(first);
    if (first.lower == "entered") return entered(first);
    if (first.lower == "consent") return consent(first);
    if (const auto op = aggregate_named(first.lower)) return aggregate(first, *op);
    return rank(first);
  }

  EventSelector selector() {
    EventSelector selector;
    selector.span = token().span;
    selector.event = expect_string("an event's name");
    if (take_word("where")) selector.where = event_where();
    return selector;
  }
  ExprPtr event_where() {
    return in_scope(Scope::event, 0, [&] { return expression(); });
  }
  std::string expect_string(std::string_view what) {
    if (!at_kind(Kind::string)) {
      fail(fmt::format("expected {} in double quotes before {}", what, shown()));
      return "";
    }
    if (token().text.empty()) {
      fail(fmt::format("expected {} between the quotes", what));
      return "";
    }
    std::string text = token().text;
    advance();
    return text;
  }

  ExprPtr performed(const Token& first) {
    Performed performed;
    performed.selector = selector();
    const bool counted = qualifiers(performed);
    while (at_words("followed", "by") || (at_word("not") && at_word("followed", 1))) {
      if (counted) fail("a chain cannot be counted", "leave out the number of times");
      performed.steps.push_back(step());
    }
    return make(std::move(performed), first);
  }

  // Times, window and where, in any order, each once. True when times were given.
  bool qualifiers(Performed& performed) {
    bool counted = false;
    bool windowed = false;
    while (true) {
      if (!counted && times(performed)) {
        counted = true;
      } else if (!windowed && at_window()) {
        windowed = true;
        performed.window = window();
      } else if (performed.selector.where == nullptr && take_word("where")) {
        performed.selector.where = event_where();
      } else {
        return counted;
      }
    }
  }

  bool times(Performed& performed) {
    if (take_word("once")) return set_times(performed, Comparison::equal, 1);
    if (take_word("twice")) return set_times(performed, Comparison::equal, 2);
    for (const auto& entry : kComparisons) {
      if (entry.times.empty()) continue;
      const std::size_t blank = entry.times.find(' ');
      const bool taken = blank == std::string_view::npos
                             ? take_word(entry.times)
                             : take_words(entry.times.substr(0, blank), entry.times.substr(blank + 1));
      if (!taken) continue;
      if (take_word("once")) return set_times(performed, entry.op, 1);
      if (take_word("twice")) return set_times(performed, entry.op, 2);
      const std::uint64_t count = whole_number("a number of times");
      if (!take_word("times") && !take_word("time")) expect_word("times");
      return set_times(performed, entry.op, count);
    }
    return false;
  }
  static bool set_times(Performed& performed, Comparison op, std::uint64_t times) {
    performed.op = op;
    performed.times = times;
    return true;
  }
  std::uint64_t whole_number(std::string_view what) {
    const auto decimal = at_kind(Kind::number) ? token().number.as_decimal() : std::nullopt;
    if (!decimal || decimal->scale != 0 || static_cast<std::uint64_t>(decimal->mantissa) > kTimesMax) {
      fail(fmt::format("expected {}, a whole number, before {}", what, shown()));
      return 0;
    }
    advance();
    return static_cast<std::uint64_t>(decimal->mantissa);
  }

  SequenceStep step() {
    SequenceStep step;
    step.negated = take_word("not");
    advance();  // followed
    expect_word("by");
    step.selector = selector();
    if (take_word("within")) step.within = duration();
    return step;
  }

  ExprPtr in_segment(const Token& first) {
    expect_word("segment");
    std::string segment = expect_string("a segment's name");
    return make(InSegment{std::move(segment)}, first);
  }

  ExprPtr was_in_segment(const Token& first) {
    WasInSegment was;
    expect_word("in");
    expect_word("segment");
    was.segment = expect_string("a segment's name");
    expect_word("at");
    was.at = instant();
    return make(std::move(was), first);
  }

  ExprPtr entered(const Token& first) {
    Entered entered;
    entered.of = token().lower == "segment" ? Entered::Of::segment : Entered::Of::sync;
    advance();
    entered.name = expect_string(entered.of == Entered::Of::segment ? "a segment's name" : "a sync's name");
    if (at_window()) entered.window = window();
    return make(std::move(entered), first);
  }

  ExprPtr consent(const Token& first) {
    expect_symbol(".");
    std::string purpose = path_part();
    return make(Consent{std::move(purpose)}, first);
  }

  ExprPtr aggregate(const Token& first, Aggregate::Op op) {
    Aggregate aggregate;
    aggregate.op = op;
    expect_symbol("(");
    aggregate.selector.span = token().span;
    aggregate.selector.event = expect_string("an event's name");
    if (take_symbol(".")) aggregate.property = dotted_path();
    if (take_word("where")) aggregate.selector.where = event_where();
    const bool inside = at_window();
    if (inside) aggregate.window = window();
    if (inside && take_word("where")) {
      if (aggregate.selector.where) fail("a second `where`", "join the conditions of the first with `and`");
      aggregate.selector.where = event_where();
    }
    expect_symbol(")");
    if (at_window() && !is_first_or_last(op)) {
      if (inside)
        fail("a second window", fmt::format("join windows with `and` inside `{}(...)`", word_of(op)));
      aggregate.window = window();
    }
    return make(std::move(aggregate), first);
  }

  ExprPtr rank(const Token& first) {
    Rank rank;
    const bool bottom = first.lower == "bottom";
    if (first.lower == "rank" || take_word("rank")) {
      rank.kind = bottom ? Rank::Kind::bottom_rank_at_most : Rank::Kind::rank_at_most;
      expect_symbol("<=");
      rank.amount = Number::integer(static_cast<std::int64_t>(whole_number("how many people")));
    } else {
      rank.kind = bottom ? Rank::Kind::bottom_percent : Rank::Kind::top_percent;
      rank.amount = token().number;
      advance();
      if (!at_symbol("%"))
        fail(fmt::format("expected `%` before {}", shown()),
             "for a number of people write `rank <= 100 by ...`");
      advance();
    }
    expect_word("by");
    rank.by = nested(&Parser::sum);
    if (take_word("where")) rank.where = expression();
    if (take_word("among")) {
      expect_word("segment");
      rank.among_segment = expect_string("a segment's name");
    }
    return make(std::move(rank), first);
  }

  // --- windows

  bool at_window(std::size_t ahead = 0) const {
    if (!at_kind(Kind::word, ahead)) return false;
    const std::string& word = token(ahead).lower;
    if (word == "within" || word == "between" || word == "since" || word == "before" || word == "ever")
      return true;
    return calendar_at(ahead).has_value();
  }
  std::optional<CalendarWord> calendar_at(std::size_t ahead) const {
    if (!at_kind(Kind::word, ahead)) return std::nullopt;
    if (const auto single = calendar_named(token(ahead).lower)) return single;
    if (!at_kind(Kind::word, ahead + 1)) return std::nullopt;
    return calendar_named(token(ahead).lower + " " + token(ahead + 1).lower);
  }

  Window window() {
    Window bounds;
    while (true) {
      // `ever` bounds nothing.
      if (!take_word("ever")) bounds.push_back(bound());
      if (!at_word("and") || !at_window(1)) return bounds;
      advance();
    }
  }

  Bound bound() {
    const Token first = token();
    Bound bound;
    if (const auto word = calendar_at(0)) {
      bound.kind = Bound::Kind::calendar;
      bound.word = *word;
      advance(calendar_named(first.lower) ? 1 : 2);
    } else if (take_word("within")) {
      bound.far = duration();
    } else if (take_word("between")) {
      bound.kind = Bound::Kind::between_ago;
      bound.near = duration();
      expect_word("and");
      bound.far = duration();
      expect_word("ago");
    } else if (take_word("before")) {
      bound.kind = Bound::Kind::before_time;
      bound.instant = instant();
    } else {
      expect_word("since");
      since(bound);
    }
    bound.span = span_from(first);
    return bound;
  }

  void since(Bound& bound) {
    if (at_kind(Kind::string)) {
      bound.kind = Bound::Kind::since_time;
      bound.instant = instant();
      return;
    }
    if (calendar_at(0)) return fail(fmt::format("{} is a window by itself", shown()), "leave out `since`");
    if (at_word("last") || at_word("first")) {
      bound.kind = at_word("last") ? Bound::Kind::since_last : Bound::Kind::since_first;
      advance();
      bound.selector = selector();
    } else if (take_words("entered", "segment")) {
      bound.kind = Bound::Kind::since_entered_segment;
      bound.name = expect_string("a segment's name");
    } else if (take_words("entered", "sync")) {
      bound.kind = Bound::Kind::since_entered_sync;
      bound.name = expect_string("a sync's name");
    } else {
      return fail(
          fmt::format("{} cannot follow `since`", shown()),
          "write `since last \"Order Placed\"`, `since first ...`, `since entered segment ...`, `since "
          "entered sync ...` or `since \"2026-01-31\"`");
    }
    bound.if_any = take_words("if", "any");
  }

  Millis duration() {
    if (!at_kind(Kind::duration)) {
      const bool spelled = at_kind(Kind::number) && at_kind(Kind::word, 1) && !token(1).lower.empty();
      fail(fmt::format("expected a duration before {}", shown()),
           spelled ? fmt::format("write `{}{}`", token().text, token(1).lower.front())
                   : std::string("write it like 30m, 2h, 7d or 2w"));
      return {};
    }
    const Millis duration = token().duration;
    advance();
    return duration;
  }

  Time instant() {
    const Span span = token().span;
    const std::string text = expect_string("a time");
    const auto time = parse_time(text);
    if (!time && !problem_) fail_span(span, time.error().message);
    return time.value_or(Time{});
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Scope scope_ = Scope::person;
  int parentheses_ = 0;  // open inside the current `where`
  int nesting_ = 0;
  int arithmetic_count_ = 0;
  std::optional<Problem> problem_;
};

}  // namespace

std::expected<ExprPtr, Problem> parse(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return std::unexpected(std::move(tokens).error());
  return Parser(*std::move(tokens)).run();
}

}  // namespace tailrace::language
