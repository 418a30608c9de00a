// The JSON form: every node is an object whose one member names it, except literals, which stand for
// themselves. docs/language.md lists the shapes; what can be read is exactly what can be written as text.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>

#include "language/language.h"
#include "language/words.h"

namespace tailrace::language {
namespace {

using Members = std::vector<std::pair<std::string, Value>>;

// Deeper than any tree the parser makes.
constexpr int kDepthMax = 400;

Value object(Members members) {
  Value value = Value::with(Value::Kind::object);
  value.members = std::move(members);
  return value;
}
Value object(std::string_view key, Value member) {
  Members members;
  members.emplace_back(key, std::move(member));
  return object(std::move(members));
}
Value list_of(std::vector<Value> elements) {
  Value value = Value::with(Value::Kind::list);
  value.list = std::move(elements);
  return value;
}
Value text_of(std::string_view text) { return Value::of(std::string(text)); }

struct BoundKey {
  Bound::Kind kind;
  std::string_view key;
};
constexpr std::array<BoundKey, 9> kBoundKeys{{
    {Bound::Kind::within, "within"},
    {Bound::Kind::between_ago, "between_ago"},
    {Bound::Kind::since_time, "since"},
    {Bound::Kind::before_time, "before"},
    {Bound::Kind::calendar, "calendar"},
    {Bound::Kind::since_last, "since_last"},
    {Bound::Kind::since_first, "since_first"},
    {Bound::Kind::since_entered_segment, "since_entered_segment"},
    {Bound::Kind::since_entered_sync, "since_entered_sync"},
}};

struct RankKey {
  Rank::Kind kind;
  std::string_view key;
};
constexpr std::array<RankKey, 4> kRankKeys{{
    {Rank::Kind::top_percent, "top_percent"},
    {Rank::Kind::bottom_percent, "bottom_percent"},
    {Rank::Kind::rank_at_most, "rank_at_most"},
    {Rank::Kind::bottom_rank_at_most, "bottom_rank_at_most"},
}};

// --- writing

Value written(const Literal& literal) {
  switch (literal.kind) {
    case Literal::Kind::boolean:
      return Value::of(literal.boolean);
    case Literal::Kind::number:
      return Value::of(literal.number);
    case Literal::Kind::string:
      return Value::of(literal.string);
    case Literal::Kind::time:
      return object("time", Value::of(written_time(literal.time)));
  }
  return {};
}

void add_selector(Members& members, const EventSelector& selector) {
  members.emplace_back("event", Value::of(selector.event));
  if (selector.where) members.emplace_back("where", to_value(*selector.where));
}

Value written_bound(const Bound& bound) {
  switch (bound.kind) {
    case Bound::Kind::within:
      return Value::of(written_duration(bound.far));
    case Bound::Kind::between_ago:
      return list_of({Value::of(written_duration(bound.near)), Value::of(written_duration(bound.far))});
    case Bound::Kind::since_time:
    case Bound::Kind::before_time:
      return Value::of(written_time(bound.instant));
    case Bound::Kind::calendar:
      return text_of(word_of(bound.word));
    default:
      break;
  }
  Members members;
  if (bound.kind == Bound::Kind::since_last || bound.kind == Bound::Kind::since_first)
    add_selector(members, bound.selector);
  else
    members.emplace_back("name", Value::of(bound.name));
  if (bound.if_any) members.emplace_back("if_any", Value::of(true));
  return object(std::move(members));
}

std::string key_of(const Bound& bound) {
  const auto* entry = std::find_if(kBoundKeys.begin(), kBoundKeys.end(),
                                   [&](const auto& each) { return each.kind == bound.kind; });
  return std::string(entry->key);
}

// One bound stands beside the other members; several stand in a list, in their order.
void add_window(Members& members, const Window& window) {
  if (window.size() == 1) members.emplace_back(key_of(window[0]), written_bound(window[0]));
  if (window.size() < 2) return;
  std::vector<Value> bounds;
  for (const Bound& bound : window) bounds.push_back(object(key_of(bound), written_bound(bound)));
  members.emplace_back("window", list_of(std::move(bounds)));
}

Value written(const Attribute& attribute) { return object("attribute", Value::of(attribute.path)); }
Value written(const Property& property) {
  return property.path.empty() ? object("it", Value::of(true)) : object("property", Value::of(property.path));
}
Value written(const Definition& definition) { return object("definition", Value::of(definition.name)); }
Value written(const Consent& consent) { return object("consent", Value::of(consent.purpose)); }
Value written(const Not& negation) { return object("not", to_value(*negation.operand)); }
Value written(const Logical& logical) {
  std::vector<Value> operands;
  for (const ExprPtr& operand : logical.operands) operands.push_back(to_value(*operand));
  return object(logical.kind == Logical::Kind::all_of ? "and" : "or", list_of(std::move(operands)));
}
Value written(const Compare& compare) {
  return object(symbol_of(compare.op), list_of({to_value(*compare.left), to_value(*compare.right)}));
}
Value written(const InList& in) {
  std::vector<Value> options;
  for (const Literal& option : in.options) options.push_back(written(option));
  return object("in", list_of({to_value(*in.value), list_of(std::move(options))}));
}
Value written(const Exists& exists) { return object("exists", to_value(*exists.value)); }
// a - b - c is one list, read from the left.
Value written(const Arithmetic& arithmetic) {
  std::vector<Value> operands{to_value(*arithmetic.right)};
  const Expr* left = arithmetic.left.get();
  for (const auto* same = as<Arithmetic>(*left); same != nullptr && same->op == arithmetic.op;
       same = as<Arithmetic>(*left)) {
    operands.push_back(to_value(*same->right));
    left = same->left.get();
  }
  operands.push_back(to_value(*left));
  std::reverse(operands.begin(), operands.end());
  return object(symbol_of(arithmetic.op), list_of(std::move(operands)));
}
Value written(const Conditional& conditional) {
  Members members;
  members.emplace_back("if", to_value(*conditional.condition));
  members.emplace_back("then", to_value(*conditional.then));
  if (conditional.otherwise) members.emplace_back("else", to_value(*conditional.otherwise));
  return object(std::move(members));
}
Value written(const Quantified& quantified) {
  Members members;
  members.emplace_back("path", Value::of(quantified.path));
  members.emplace_back("where", to_value(*quantified.condition));
  return object(word_of(quantified.kind), object(std::move(members)));
}
Value written(const SequenceStep& step) {
  Members members;
  add_selector(members, step.selector);
  if (step.within) members.emplace_back("within", Value::of(written_duration(*step.within)));
  return object(step.negated ? "not_followed_by" : "followed_by", object(std::move(members)));
}
Value written(const Performed& performed) {
  Members members;
  add_selector(members, performed.selector);
  if (performed.op != Comparison::greater_equal || performed.times != 1)
    members.emplace_back(word_of(performed.op).times_json,
                         Value::of(Number::integer(static_cast<std::int64_t>(performed.times))));
  add_window(members, performed.window);
  std::vector<Value> steps;
  for (const SequenceStep& step : performed.steps) steps.push_back(written(step));
  if (!steps.empty()) members.emplace_back("steps", list_of(std::move(steps)));
  return object("performed", object(std::move(members)));
}
Value written(const Aggregate& aggregate) {
  Members members;
  members.emplace_back("event", Value::of(aggregate.selector.event));
  if (!aggregate.property.empty()) members.emplace_back("property", Value::of(aggregate.property));
  if (aggregate.selector.where) members.emplace_back("where", to_value(*aggregate.selector.where));
  add_window(members, aggregate.window);
  return object(word_of(aggregate.op), object(std::move(members)));
}
Value written(const InWindow& in_window) {
  Members members;
  members.emplace_back("value", to_value(*in_window.value));
  add_window(members, in_window.window);
  return object("in_window", object(std::move(members)));
}
Value written(const InSegment& in) { return object("in_segment", Value::of(in.segment)); }
Value written(const WasInSegment& was) {
  Members members;
  members.emplace_back("segment", Value::of(was.segment));
  members.emplace_back("at", Value::of(written_time(was.at)));
  return object("was_in_segment", object(std::move(members)));
}
Value written(const Entered& entered) {
  Members members;
  members.emplace_back("name", Value::of(entered.name));
  add_window(members, entered.window);
  return object(entered.of == Entered::Of::segment ? "entered_segment" : "entered_sync",
                object(std::move(members)));
}
Value written(const Rank& rank) {
  const auto* entry = std::find_if(kRankKeys.begin(), kRankKeys.end(),
                                   [&](const auto& each) { return each.kind == rank.kind; });
  Members members;
  members.emplace_back("amount", Value::of(rank.amount));
  members.emplace_back("by", to_value(*rank.by));
  if (rank.where) members.emplace_back("where", to_value(*rank.where));
  if (!rank.among_segment.empty()) members.emplace_back("among_segment", Value::of(rank.among_segment));
  return object(entry->key, object(std::move(members)));
}

// --- reading

ExprPtr make(Node node) {
  Span unknown;
  unknown.length = 0;
  return std::make_shared<const Expr>(Expr{std::move(node), unknown, Type::any});
}

class Reader {
 public:
  Result<ExprPtr> expression(const Value& value, const std::string& path) {
    if (depth_ == kDepthMax) return invalid(fmt::format("nested more than {} deep", kDepthMax));
    ++depth_;
    auto expr = node(value, path);
    --depth_;
    return expr;
  }

 private:
  using Names = std::vector<std::string_view>;

  static std::unexpected<Error> bad(const std::string& path, std::string_view message) {
    return invalid(fmt::format("{}: {}", path, message));
  }

  // --- pieces

  static Result<void> only(const Value& value, const std::string& path, const Names& allowed) {
    if (value.kind != Value::Kind::object) return bad(path, "expected an object");
    for (const auto& [key, member] : value.members) {
      if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
        return bad(path,
                   fmt::format("unknown member \"{}\"; expected one of: {}", key, fmt::join(allowed, ", ")));
    }
    return {};
  }
  static Result<std::string> text(const Value& value, const std::string& path) {
    if (value.kind != Value::Kind::string || value.string.empty()) return bad(path, "expected a text");
    return value.string;
  }
  static Result<std::string> text_member(const Value& value, const std::string& path, std::string_view key) {
    const Value* member = value.find(key);
    if (member == nullptr) return bad(path, fmt::format("\"{}\" is missing", key));
    return text(*member, fmt::format("{}.{}", path, key));
  }
  Result<ExprPtr> member_expression(const Value& value, const std::string& path, std::string_view key) {
    const Value* member = value.find(key);
    if (member == nullptr) return bad(path, fmt::format("\"{}\" is missing", key));
    return expression(*member, fmt::format("{}.{}", path, key));
  }
  Result<ExprPtr> optional_expression(const Value& value, const std::string& path, std::string_view key) {
    if (value.find(key) == nullptr) return ExprPtr();
    return member_expression(value, path, key);
  }
  static Result<Millis> duration(const Value& value, const std::string& path) {
    const auto read = parse_duration(TRY(text(value, path)));
    if (!read) return bad(path, read.error().message);
    return *read;
  }
  static Result<Time> instant(const Value& value, const std::string& path) {
    const auto read = parse_time(TRY(text(value, path)));
    if (!read) return bad(path, read.error().message);
    return *read;
  }
  static Result<std::uint64_t> whole_number(const Value& value, const std::string& path) {
    const auto decimal = value.kind == Value::Kind::number ? value.number.as_decimal() : std::nullopt;
    if (!decimal || decimal->scale != 0 || decimal->mantissa < 0 ||
        static_cast<std::uint64_t>(decimal->mantissa) > kTimesMax)
      return bad(path, "expected a whole number");
    return static_cast<std::uint64_t>(decimal->mantissa);
  }
  static Result<bool> truth(const Value& value, const std::string& path) {
    if (value.kind != Value::Kind::boolean) return bad(path, "expected true or false");
    return value.boolean;
  }
  Result<std::vector<ExprPtr>> operands(const Value& value, const std::string& path, std::size_t least,
                                        std::size_t most) {
    if (value.kind != Value::Kind::list || value.list.size() < least || value.list.size() > most)
      return bad(path, least == most ? fmt::format("expected a list of {}", least)
                                     : fmt::format("expected a list of {} or more", least));
    std::vector<ExprPtr> read;
    for (std::size_t i = 0; i < value.list.size(); ++i)
      read.push_back(TRY(expression(value.list[i], fmt::format("{}[{}]", path, i))));
    return read;
  }

  Result<Literal> literal(const Value& value, const std::string& path) {
    Literal literal;
    if (value.kind == Value::Kind::boolean) {
      literal.boolean = value.boolean;
    } else if (value.kind == Value::Kind::number) {
      literal.kind = Literal::Kind::number;
      literal.number = value.number;
    } else if (value.kind == Value::Kind::string) {
      literal.kind = Literal::Kind::string;
      literal.string = value.string;
    } else {
      TRY(only(value, path, {"time"}));
      literal.kind = Literal::Kind::time;
      const Value* time = value.find("time");
      if (time == nullptr) return bad(path, "expected a literal");
      literal.time = TRY(instant(*time, path + ".time"));
    }
    return literal;
  }

  Result<EventSelector> selector(const Value& value, const std::string& path) {
    EventSelector selector;
    selector.span.length = 0;
    selector.event = TRY(text_member(value, path, "event"));
    selector.where = TRY(optional_expression(value, path, "where"));
    return selector;
  }

  // --- windows

  static Names with_window(Names names) {
    names.emplace_back("window");
    for (const BoundKey& entry : kBoundKeys) names.push_back(entry.key);
    return names;
  }

  Result<Window> window(const Value& value, const std::string& path) {
    Window window;
    for (const auto& [key, member] : value.members) {
      for (const BoundKey& entry : kBoundKeys) {
        if (entry.key == key)
          window.push_back(TRY(bound(entry.kind, member, fmt::format("{}.{}", path, key))));
      }
    }
    const Value* several = value.find("window");
    if (several == nullptr) return window;
    const std::string list_path = path + ".window";
    if (several->kind != Value::Kind::list) return bad(list_path, "expected a list of bounds");
    for (std::size_t i = 0; i < several->list.size(); ++i) {
      const Value& each = several->list[i];
      const std::string each_path = fmt::format("{}[{}]", list_path, i);
      TRY(only(each, each_path, with_window({})));
      if (each.members.size() != 1 || each.find("window") != nullptr)
        return bad(each_path, "expected an object with one bound");
      const Window one = TRY(this->window(each, each_path));
      window.insert(window.end(), one.begin(), one.end());
    }
    return window;
  }

  Result<Bound> bound(Bound::Kind kind, const Value& value, const std::string& path) {
    Bound bound;
    bound.kind = kind;
    bound.span.length = 0;
    bound.selector.span.length = 0;
    switch (kind) {
      case Bound::Kind::within:
        bound.far = TRY(duration(value, path));
        return bound;
      case Bound::Kind::between_ago:
        if (value.kind != Value::Kind::list || value.list.size() != 2)
          return bad(path, "expected a list of two durations");
        bound.near = TRY(duration(value.list[0], path + "[0]"));
        bound.far = TRY(duration(value.list[1], path + "[1]"));
        return bound;
      case Bound::Kind::since_time:
      case Bound::Kind::before_time:
        bound.instant = TRY(instant(value, path));
        return bound;
      case Bound::Kind::calendar: {
        const auto word = calendar_named(TRY(text(value, path)));
        if (!word) return bad(path, "expected one of: " + calendar_list());
        bound.word = *word;
        return bound;
      }
      case Bound::Kind::since_last:
      case Bound::Kind::since_first:
        TRY(only(value, path, {"event", "where", "if_any"}));
        bound.selector = TRY(selector(value, path));
        break;
      case Bound::Kind::since_entered_segment:
      case Bound::Kind::since_entered_sync:
        TRY(only(value, path, {"name", "if_any"}));
        bound.name = TRY(text_member(value, path, "name"));
        break;
    }
    if (const Value* if_any = value.find("if_any")) bound.if_any = TRY(truth(*if_any, path + ".if_any"));
    return bound;
  }
  static std::string calendar_list() {
    std::string words;
    for (const auto& entry : kCalendarWords)
      words += fmt::format("{}{}", words.empty() ? "" : ", ", entry.text);
    return words;
  }

  // --- nodes

  Result<ExprPtr> node(const Value& value, const std::string& path) {
    switch (value.kind) {
      case Value::Kind::boolean:
      case Value::Kind::number:
      case Value::Kind::string:
        return make(TRY(literal(value, path)));
      case Value::Kind::object:
        break;
      default:
        return bad(path, "expected an object or a literal");
    }
    if (value.find("if") != nullptr) return conditional(value, path);
    if (value.members.size() != 1)
      return bad(path, "expected an object with one member, which names the form");
    const auto& [key, member] = value.members.front();
    return named(key, member, fmt::format("{}.{}", path, key), value, path);
  }

  Result<ExprPtr> named(const std::string& key, const Value& member, const std::string& path,
                        const Value& whole, const std::string& whole_path) {
    if (key == "time") return make(TRY(literal(whole, whole_path)));
    if (key == "attribute")
      return make(Attribute {
        TRY(text(member, path))
        , false
      });
    if (key == "property") return make(Property { TRY(text(member, path)) });
    if (key == "definition") return make(Definition { TRY(text(member, path)) });
    if (key == "consent") return make(Consent { TRY(text(member, path)) });
    if (key == "in_segment") return make(InSegment { TRY(text(member, path)) });
    if (key == "not") return make(Not { TRY(expression(member, path)) });
    if (key == "exists") return make(Exists { TRY(expression(member, path)) });
    if (key == "it") {
      if (!TRY(truth(member, path))) return bad(path, "expected true");
      return make(Property{});
    }
    if (key == "and" || key == "or")
      return make(Logical {
        key == "and" ? Logical::Kind::all_of : Logical::Kind::any_of,
            TRY(operands(member, path, 2, kTextBytesMax))
      });
    if (key == "in") return in_list(member, path);
    if (key == "performed") return performed(member, path);
    if (key == "in_window") return in_window(member, path);
    if (key == "was_in_segment") return was_in_segment(member, path);
    if (key == "entered_segment") return entered(Entered::Of::segment, member, path);
    if (key == "entered_sync") return entered(Entered::Of::sync, member, path);
    for (const auto& entry : kComparisons) {
      if (entry.symbol == key) return compare(entry.op, member, path);
    }
    for (const auto& entry : kArithmetics) {
      if (entry.symbol == key) return arithmetic(entry.op, member, path);
    }
    for (const auto& entry : kRankKeys) {
      if (entry.key == key) return rank(entry.kind, member, path);
    }
    if (const auto kind = quantifier_named(key)) return quantified(*kind, member, path);
    if (const auto op = aggregate_named(key)) return aggregate(*op, member, path);
    return bad(whole_path, fmt::format("unknown form \"{}\"", key));
  }

  Result<ExprPtr> conditional(const Value& value, const std::string& path) {
    TRY(only(value, path, {"if", "then", "else"}));
    Conditional conditional;
    conditional.condition = TRY(member_expression(value, path, "if"));
    conditional.then = TRY(member_expression(value, path, "then"));
    conditional.otherwise = TRY(optional_expression(value, path, "else"));
    return make(std::move(conditional));
  }

  Result<ExprPtr> compare(Comparison op, const Value& value, const std::string& path) {
    const auto sides = TRY(operands(value, path, 2, 2));
    return make(Compare{op, sides[0], sides[1]});
  }

  Result<ExprPtr> arithmetic(Arithmetic::Op op, const Value& value, const std::string& path) {
    const auto values = TRY(operands(value, path, 2, kArithmeticMax + 1));
    ExprPtr left = values[0];
    for (std::size_t i = 1; i < values.size(); ++i) left = make(Arithmetic{op, left, values[i]});
    return left;
  }

  Result<ExprPtr> in_list(const Value& value, const std::string& path) {
    if (value.kind != Value::Kind::list || value.list.size() != 2 ||
        value.list[1].kind != Value::Kind::list || value.list[1].list.empty())
      return bad(path, "expected a value and a list of literals");
    InList in {
      TRY(expression(value.list[0], path + "[0]"))
      , {}
    };
    const auto& options = value.list[1].list;
    for (std::size_t i = 0; i < options.size(); ++i)
      in.options.push_back(TRY(literal(options[i], fmt::format("{}[1][{}]", path, i))));
    return make(std::move(in));
  }

  Result<ExprPtr> quantified(Quantified::Kind kind, const Value& value, const std::string& path) {
    TRY(only(value, path, {"path", "where"}));
    Quantified quantified;
    quantified.kind = kind;
    quantified.path = TRY(text_member(value, path, "path"));
    quantified.condition = TRY(member_expression(value, path, "where"));
    return make(std::move(quantified));
  }

  Result<ExprPtr> performed(const Value& value, const std::string& path) {
    Names allowed{"event", "where", "steps"};
    for (const auto& entry : kComparisons) {
      if (!entry.times_json.empty()) allowed.push_back(entry.times_json);
    }
    TRY(only(value, path, with_window(std::move(allowed))));
    Performed performed;
    performed.selector = TRY(selector(value, path));
    bool counted = false;
    for (const auto& entry : kComparisons) {
      const Value* times = entry.times_json.empty() ? nullptr : value.find(entry.times_json);
      if (times == nullptr) continue;
      if (counted) return bad(path, "more than one number of times");
      counted = true;
      performed.op = entry.op;
      performed.times = TRY(whole_number(*times, fmt::format("{}.{}", path, entry.times_json)));
    }
    performed.window = TRY(window(value, path));
    if (const Value* steps = value.find("steps")) performed.steps = TRY(read_steps(*steps, path + ".steps"));
    return make(std::move(performed));
  }

  Result<std::vector<SequenceStep>> read_steps(const Value& value, const std::string& path) {
    if (value.kind != Value::Kind::list) return bad(path, "expected a list of steps");
    std::vector<SequenceStep> steps;
    for (std::size_t i = 0; i < value.list.size(); ++i) {
      const Value& each = value.list[i];
      const std::string each_path = fmt::format("{}[{}]", path, i);
      TRY(only(each, each_path, {"followed_by", "not_followed_by"}));
      if (each.members.size() != 1) return bad(each_path, "expected an object with one step");
      const auto& [key, body] = each.members.front();
      const std::string body_path = fmt::format("{}.{}", each_path, key);
      TRY(only(body, body_path, {"event", "where", "within"}));
      SequenceStep step;
      step.negated = key == "not_followed_by";
      step.selector = TRY(selector(body, body_path));
      if (const Value* within = body.find("within"))
        step.within = TRY(duration(*within, body_path + ".within"));
      steps.push_back(std::move(step));
    }
    return steps;
  }

  Result<ExprPtr> aggregate(Aggregate::Op op, const Value& value, const std::string& path) {
    TRY(only(value, path, with_window({"event", "property", "where"})));
    Aggregate aggregate;
    aggregate.op = op;
    aggregate.selector = TRY(selector(value, path));
    if (const Value* property = value.find("property"))
      aggregate.property = TRY(text(*property, path + ".property"));
    aggregate.window = TRY(window(value, path));
    return make(std::move(aggregate));
  }

  Result<ExprPtr> in_window(const Value& value, const std::string& path) {
    TRY(only(value, path, with_window({"value"})));
    ExprPtr inner = TRY(member_expression(value, path, "value"));
    return make(InWindow { std::move(inner), TRY(window(value, path)) });
  }

  Result<ExprPtr> was_in_segment(const Value& value, const std::string& path) {
    TRY(only(value, path, {"segment", "at"}));
    WasInSegment was;
    was.segment = TRY(text_member(value, path, "segment"));
    const Value* at = value.find("at");
    if (at == nullptr) return bad(path, "\"at\" is missing");
    was.at = TRY(instant(*at, path + ".at"));
    return make(std::move(was));
  }

  Result<ExprPtr> entered(Entered::Of of, const Value& value, const std::string& path) {
    TRY(only(value, path, with_window({"name"})));
    Entered entered;
    entered.of = of;
    entered.name = TRY(text_member(value, path, "name"));
    entered.window = TRY(window(value, path));
    return make(std::move(entered));
  }

  Result<ExprPtr> rank(Rank::Kind kind, const Value& value, const std::string& path) {
    TRY(only(value, path, {"amount", "by", "where", "among_segment"}));
    Rank rank;
    rank.kind = kind;
    const Value* amount = value.find("amount");
    if (amount == nullptr || amount->kind != Value::Kind::number || amount->number < Number())
      return bad(path, "\"amount\" is missing or is not a number from 0 on");
    rank.amount = amount->number;
    rank.by = TRY(member_expression(value, path, "by"));
    rank.where = TRY(optional_expression(value, path, "where"));
    if (const Value* among = value.find("among_segment"))
      rank.among_segment = TRY(text(*among, path + ".among_segment"));
    return make(std::move(rank));
  }

  int depth_ = 0;
};

}  // namespace

Value to_value(const Expr& expr) {
  return std::visit([](const auto& node) { return written(node); }, expr.node);
}

Result<ExprPtr> from_value(const Value& value) {
  ExprPtr expr = TRY(Reader().expression(value, "$"));
  // The text is the measure of what there is: a window inside `where`, or a nesting no text may have, is
  // refused here with the parser's own words.
  const std::string text = print(*expr);
  const auto parsed = parse(text);
  if (!parsed) return invalid(render(parsed.error(), text));
  if (print(**parsed) != text) return invalid(fmt::format("this has no form as text: {}", text));
  return expr;
}

}  // namespace tailrace::language
