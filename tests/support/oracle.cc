#include "support/oracle.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include <unicode/gregocal.h>
#include <unicode/timezone.h>
#include <unicode/unistr.h>

#include "base/assert.h"

namespace tailrace::testing {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;
using language::Aggregate;
using language::Bound;
using language::CalendarWord;
using language::Comparison;
using language::EventSelector;
using language::Expr;
using language::ExprPtr;
using language::SequenceStep;
using language::Window;
using Kind = OracleValue::Kind;

constexpr Millis kTick{1};

// ---- values ---------------------------------------------------------------------------------------------

cpp_rational rational_of(const Number& number) {
  if (const auto decimal = number.as_decimal()) {
    cpp_int divisor = 1;
    for (int i = 0; i < decimal->scale; ++i) divisor *= 10;
    return {cpp_int(decimal->mantissa), divisor};
  }
  return cpp_rational(number.to_double());
}

OracleValue of_boolean(bool boolean) {
  OracleValue value;
  value.kind = Kind::boolean;
  value.boolean = boolean;
  return value;
}
OracleValue of_number(cpp_rational number) {
  OracleValue value;
  value.kind = Kind::number;
  value.number = std::move(number);
  return value;
}
OracleValue of_string(std::string string) {
  OracleValue value;
  value.kind = Kind::string;
  value.string = std::move(string);
  return value;
}
OracleValue of_time(Time time) {
  OracleValue value;
  value.kind = Kind::time;
  value.time = time;
  return value;
}

OracleValue value_of(const Value& source) {
  OracleValue value;
  switch (source.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return value;
    case Value::Kind::boolean:
      return of_boolean(source.boolean);
    case Value::Kind::number:
      return of_number(rational_of(source.number));
    case Value::Kind::string:
      return of_string(source.string);
    case Value::Kind::list:
      value.kind = Kind::list;
      for (const Value& element : source.list) value.list.push_back(value_of(element));
      return value;
    case Value::Kind::object:
      value.kind = Kind::object;
      for (const auto& [name, member] : source.members) value.members[name] = value_of(member);
      return value;
  }
  return value;
}

bool present(const OracleValue& value) { return value.kind != Kind::missing; }

// The value as a time where one is asked for; else itself.
OracleValue read_as_time(const OracleValue& value) {
  if (value.kind != Kind::string) return value;
  const auto time = parse_time(value.string);
  return time ? of_time(*time) : value;
}

// What is found at a path, entering lists on the way and at its end (reading 14).
void gather(const OracleValue& from, std::string_view path, std::vector<OracleValue>& found) {
  if (from.kind == Kind::list) {
    for (const OracleValue& element : from.list) gather(element, path, found);
    return;
  }
  if (path.empty()) {
    found.push_back(from);
    return;
  }
  if (from.kind != Kind::object) return;
  if (const auto whole = from.members.find(std::string(path)); whole != from.members.end()) {
    gather(whole->second, "", found);
    return;
  }
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return;
  const auto member = from.members.find(std::string(path.substr(0, dot)));
  if (member != from.members.end()) gather(member->second, path.substr(dot + 1), found);
}

// The one value at a path, lists not entered.
OracleValue value_at(const OracleValue& from, std::string_view path) {
  if (path.empty()) return from;
  if (from.kind != Kind::object) return {};
  if (const auto whole = from.members.find(std::string(path)); whole != from.members.end())
    return whole->second;
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return {};
  const auto member = from.members.find(std::string(path.substr(0, dot)));
  return member == from.members.end() ? OracleValue{} : value_at(member->second, path.substr(dot + 1));
}

template <class T>
bool ordered(Comparison op, const T& left, const T& right) {
  switch (op) {
    case Comparison::equal:
      return left == right;
    case Comparison::not_equal:
      return !(left == right);
    case Comparison::less:
      return left < right;
    case Comparison::less_equal:
      return left <= right;
    case Comparison::greater:
      return left > right;
    case Comparison::greater_equal:
      return left >= right;
  }
  return false;
}

bool compare_values(Comparison op, OracleValue left, OracleValue right) {
  if (!present(left) || !present(right)) return false;
  if (left.kind == Kind::time) right = read_as_time(right);
  if (right.kind == Kind::time) left = read_as_time(left);
  if (left.kind == right.kind) {
    if (left.kind == Kind::number) return ordered(op, left.number, right.number);
    if (left.kind == Kind::string) return ordered(op, left.string, right.string);
    if (left.kind == Kind::time) return ordered(op, left.time, right.time);
  }
  if (op == Comparison::equal) return left == right;
  if (op == Comparison::not_equal) return !(left == right);
  return false;
}

OracleValue value_of(const language::Literal& literal) {
  switch (literal.kind) {
    case language::Literal::Kind::boolean:
      return of_boolean(literal.boolean);
    case language::Literal::Kind::number:
      return of_number(rational_of(literal.number));
    case language::Literal::Kind::string:
      return of_string(literal.string);
    case language::Literal::Kind::time:
      return of_time(literal.time);
  }
  return {};
}

void collect_times(const OracleValue& value, std::set<Time>& times) {
  if (const OracleValue read = read_as_time(value); read.kind == Kind::time) times.insert(read.time);
  for (const OracleValue& element : value.list) collect_times(element, times);
  for (const auto& [name, member] : value.members) collect_times(member, times);
}

// ---- the calendar ---------------------------------------------------------------------------------------

// ICU's own calendar, so that base/calendar.h is judged too.
class WallCalendar {
 public:
  enum class Unit : unsigned char { day, week, month, quarter, year };

  explicit WallCalendar(const std::string& zone) : calendar_(make(zone)) {}

  struct Range {
    Time start;
    Time end;
  };

  Range range(CalendarWord word, Time t) {
    switch (word) {
      case CalendarWord::today:
        return around(Unit::day, t, 0);
      case CalendarWord::yesterday:
        return around(Unit::day, t, -1);
      case CalendarWord::this_week:
        return around(Unit::week, t, 0);
      case CalendarWord::last_week:
        return around(Unit::week, t, -1);
      case CalendarWord::this_month:
        return around(Unit::month, t, 0);
      case CalendarWord::last_month:
        return around(Unit::month, t, -1);
      case CalendarWord::this_quarter:
        return around(Unit::quarter, t, 0);
      case CalendarWord::last_quarter:
        return around(Unit::quarter, t, -1);
      case CalendarWord::this_year:
        return around(Unit::year, t, 0);
      case CalendarWord::last_year:
        return around(Unit::year, t, -1);
    }
    return {};
  }

  // Every instant at which an event at `time` may come into or fall out of a calendar word.
  void add_boundaries(Time time, std::set<Time>& instants) {
    for (const Unit unit : {Unit::day, Unit::week, Unit::month, Unit::quarter, Unit::year}) {
      for (int steps = 0; steps <= 2; ++steps) instants.insert(start_of(unit, time, steps));
    }
  }

 private:
  static icu::GregorianCalendar make(const std::string& zone) {
    UErrorCode status = U_ZERO_ERROR;
    icu::GregorianCalendar calendar(icu::TimeZone::createTimeZone(icu::UnicodeString::fromUTF8(zone)),
                                    status);
    TR_ASSERT(U_SUCCESS(status));
    TR_ASSERT(calendar.getTimeZone() != icu::TimeZone::getUnknown());
    calendar.setRepeatedWallTimeOption(UCAL_WALLTIME_FIRST);
    calendar.setSkippedWallTimeOption(UCAL_WALLTIME_NEXT_VALID);
    return calendar;
  }

  Range around(Unit unit, Time t, int steps) {
    return {start_of(unit, t, steps), start_of(unit, t, steps + 1)};
  }

  Time start_of(Unit unit, Time t, int steps) {
    UErrorCode status = U_ZERO_ERROR;
    calendar_.setTime(static_cast<UDate>(t.ms), status);
    const int year = calendar_.get(UCAL_EXTENDED_YEAR, status);
    const int month = calendar_.get(UCAL_MONTH, status);
    const int day = calendar_.get(UCAL_DATE, status);
    const int days_since_monday = (calendar_.get(UCAL_DAY_OF_WEEK, status) + 5) % 7;
    calendar_.clear();
    // The calendar is lenient: the 32nd of January is the 1st of February.
    switch (unit) {
      case Unit::day:
        calendar_.set(year, month, day + steps);
        break;
      case Unit::week:
        calendar_.set(year, month, day - days_since_monday + 7 * steps);
        break;
      case Unit::month:
        calendar_.set(year, month + steps, 1);
        break;
      case Unit::quarter:
        calendar_.set(year, (month / 3 + steps) * 3, 1);
        break;
      case Unit::year:
        calendar_.set(year + steps, 0, 1);
        break;
    }
    const Time start{static_cast<std::int64_t>(calendar_.getTime(status))};
    TR_ASSERT(U_SUCCESS(status));
    return start;
  }

  icu::GregorianCalendar calendar_;
};

// ---- people ---------------------------------------------------------------------------------------------

struct Event {
  std::string name;
  Time time;
  std::string message_id;
  OracleValue properties;
  std::size_t place = 0;  // in the person's order
};

struct Statement {  // of a trait
  std::string name;
  OracleValue value;
  Time time;
  std::string message_id;
};

struct Person {
  PersonId id;
  std::vector<Event> events;          // by (time, message id, arrival)
  std::vector<Statement> statements;  // likewise
  std::vector<OracleConsent> consents;
  std::map<std::string, std::vector<Time>> sync_entries;
  std::set<Time> times;  // everything that is dated, and every time that is a value
};

template <class T>
void sort_by_time_and_id(std::vector<T>& items) {
  std::ranges::stable_sort(items, [](const T& a, const T& b) {
    return std::tie(a.time, a.message_id) < std::tie(b.time, b.message_id);
  });
}

Person person_of(const OraclePerson& source) {
  Person person;
  person.id = source.id;
  person.consents = source.consents;
  person.sync_entries = source.sync_entries;
  for (const OracleEvent& event : source.events)
    person.events.push_back({event.event, event.time, event.message_id, value_of(event.properties)});
  for (const OracleTrait& trait : source.traits)
    person.statements.push_back({trait.name, value_of(trait.value), trait.time, trait.message_id});
  sort_by_time_and_id(person.events);
  sort_by_time_and_id(person.statements);
  for (std::size_t i = 0; i < person.events.size(); ++i) person.events[i].place = i;

  for (const Event& event : person.events) {
    person.times.insert(event.time);
    collect_times(event.properties, person.times);
  }
  for (const Statement& statement : person.statements) {
    person.times.insert(statement.time);
    collect_times(statement.value, person.times);
  }
  for (const OracleConsent& consent : person.consents) person.times.insert(consent.time);
  for (const auto& [sync, entries] : person.sync_entries) person.times.insert(entries.begin(), entries.end());
  return person;
}

// Something with a time that a window may hold: an event, or a bare time.
struct Moment {
  Time time;
  const Event* event = nullptr;
};

// Reading 3.
bool is_after(const Moment& moment, const Event& reference) {
  if (moment.event != nullptr && moment.event->name == reference.name)
    return moment.event->place > reference.place;
  return moment.time >= reference.time;
}

using People = std::vector<const Person*>;

}  // namespace

// ---- the judge ------------------------------------------------------------------------------------------

class Oracle::Judge {
 public:
  explicit Judge(OracleWorld world) : world_(std::move(world)), calendar_(world_.time_zone) {
    std::ranges::sort(world_.people, {}, &OraclePerson::id);
    for (const OraclePerson& person : world_.people) people_.push_back(person_of(person));
    for (const Person& person : people_) everybody_.push_back(&person);
  }

  // Rankings are remembered by node, and nodes of the caller's trees live only as long as one question.
  void begin_question() { rankings_.clear(); }

  const People& everybody() const { return everybody_; }

  const Person& person(PersonId id) const {
    const auto found = std::ranges::find(people_, id, &Person::id);
    TR_ASSERT(found != people_.end());
    return *found;
  }

  // What an expression is evaluated for. `subject`: the event's properties or the list's element that
  // Property nodes speak of; null outside `where`.
  struct Scope {
    const Person& person;
    Time t;
    const OracleValue* subject = nullptr;
  };

  OracleValue evaluate(const Expr& expr, const Scope& scope) {
    const OracleValue value =
        std::visit([&](const auto& node) { return value_of_node(node, expr, scope); }, expr.node);
    return expr.type == language::Type::time ? read_as_time(value) : value;
  }

  bool holds(const Expr& expr, const Scope& scope) {
    return any_candidate(expr, scope, [](const OracleValue& value) { return value == of_boolean(true); });
  }

  // The entries and exits of one person in (from, to].
  std::vector<Transition> transitions(const Expr& expr, const Person& who, Time from, Time to) {
    std::vector<Transition> transitions;
    bool inside = holds(expr, {who, from});
    for (const Time at : instants_to_try(expr, who)) {
      if (at <= from || at > to) continue;
      if (holds(expr, {who, at}) == inside) continue;
      inside = !inside;
      transitions.push_back({at, who.id, inside});
    }
    return transitions;
  }

 private:
  // ---- values of nodes ----

  OracleValue value_of_node(const language::Literal& literal, const Expr&, const Scope&) {
    return value_of(literal);
  }
  OracleValue value_of_node(const language::Attribute& attribute, const Expr&, const Scope& scope) {
    if (attribute.computed) return evaluate(*world_.attributes.at(attribute.path), outside_where(scope));
    return value_at(traits(scope), attribute.path);
  }
  OracleValue value_of_node(const language::Property& property, const Expr&, const Scope& scope) {
    return value_at(subject(scope), property.path);
  }
  OracleValue value_of_node(const language::Definition& definition, const Expr&, const Scope& scope) {
    return evaluate(*world_.definitions.at(definition.name), outside_where(scope));
  }
  OracleValue value_of_node(const language::Consent& consent, const Expr&, const Scope& scope) {
    std::optional<Time> latest;
    bool granted = world_.consent_unknown;
    for (const OracleConsent& statement : scope.person.consents) {
      if (statement.purpose != consent.purpose || statement.time > scope.t) continue;
      if (latest && statement.time < *latest) continue;
      const bool tie = latest == statement.time;
      granted = tie ? granted && statement.granted : statement.granted;
      latest = statement.time;
    }
    return of_boolean(granted);
  }
  OracleValue value_of_node(const language::Not& negation, const Expr&, const Scope& scope) {
    return of_boolean(!holds(*negation.operand, scope));
  }
  OracleValue value_of_node(const language::Logical& logical, const Expr&, const Scope& scope) {
    const auto true_here = [&](const ExprPtr& operand) { return holds(*operand, scope); };
    return of_boolean(logical.kind == language::Logical::Kind::all_of
                          ? std::ranges::all_of(logical.operands, true_here)
                          : std::ranges::any_of(logical.operands, true_here));
  }
  OracleValue value_of_node(const language::Compare& compare, const Expr&, const Scope& scope) {
    return of_boolean(any_candidate(*compare.left, scope, [&](const OracleValue& left) {
      return any_candidate(*compare.right, scope,
                           [&](const OracleValue& right) { return compare_values(compare.op, left, right); });
    }));
  }
  OracleValue value_of_node(const language::InList& in, const Expr&, const Scope& scope) {
    return of_boolean(any_candidate(*in.value, scope, [&](const OracleValue& value) {
      return std::ranges::any_of(in.options, [&](const language::Literal& option) {
        return compare_values(Comparison::equal, value, value_of(option));
      });
    }));
  }
  OracleValue value_of_node(const language::Exists& exists, const Expr&, const Scope& scope) {
    // An empty list is there, though it has no element to be found.
    if (present(evaluate(*exists.value, scope))) return of_boolean(true);
    return of_boolean(any_candidate(*exists.value, scope, present));
  }
  OracleValue value_of_node(const language::Arithmetic& arithmetic, const Expr&, const Scope& scope) {
    const OracleValue left = evaluate(*arithmetic.left, scope);
    const OracleValue right = evaluate(*arithmetic.right, scope);
    if (left.kind != Kind::number || right.kind != Kind::number) return {};
    switch (arithmetic.op) {
      case language::Arithmetic::Op::add:
        return of_number(left.number + right.number);
      case language::Arithmetic::Op::subtract:
        return of_number(left.number - right.number);
      case language::Arithmetic::Op::multiply:
        return of_number(left.number * right.number);
      case language::Arithmetic::Op::divide:
        if (right.number == 0) return {};
        return of_number(left.number / right.number);
    }
    return {};
  }
  OracleValue value_of_node(const language::Conditional& conditional, const Expr&, const Scope& scope) {
    if (holds(*conditional.condition, scope)) return evaluate(*conditional.then, scope);
    if (conditional.otherwise == nullptr) return {};
    return evaluate(*conditional.otherwise, scope);
  }
  OracleValue value_of_node(const language::Quantified& quantified, const Expr&, const Scope& scope) {
    std::vector<OracleValue> elements;
    gather(subject(scope), quantified.path, elements);
    // A null where the list should be is no list; a null inside one is an element.
    if (!present(value_at(subject(scope), quantified.path))) std::erase_if(elements, std::not_fn(present));
    const auto fits = [&](const OracleValue& element) {
      return holds(*quantified.condition, {scope.person, scope.t, &element});
    };
    switch (quantified.kind) {
      case language::Quantified::Kind::any:
        return of_boolean(std::ranges::any_of(elements, fits));
      case language::Quantified::Kind::all:
        return of_boolean(std::ranges::all_of(elements, fits));
      case language::Quantified::Kind::none:
        return of_boolean(std::ranges::none_of(elements, fits));
    }
    return {};
  }
  OracleValue value_of_node(const language::Performed& performed, const Expr&, const Scope& scope) {
    const std::vector<const Event*> events = select(performed.selector, performed.window, scope);
    if (performed.steps.empty())
      return of_boolean(ordered<std::uint64_t>(performed.op, events.size(), performed.times));
    return of_boolean(std::ranges::any_of(
        events, [&](const Event* event) { return completes(*event, performed.steps, 0, scope); }));
  }
  OracleValue value_of_node(const Aggregate& aggregate, const Expr& expr, const Scope& scope) {
    const std::vector<const Event*> events = select(aggregate.selector, aggregate.window, scope);
    if (aggregate.op == Aggregate::Op::count) return of_number(events.size());
    if (aggregate.op == Aggregate::Op::first || aggregate.op == Aggregate::Op::last) {
      if (events.empty()) return {};
      const Event* event = aggregate.op == Aggregate::Op::first ? events.front() : events.back();
      if (aggregate.property.empty()) return of_time(event->time);
      OracleValue value = value_at(event->properties, aggregate.property);
      if (present(value)) return value;
      OracleValue through_lists;
      through_lists.kind = Kind::list;
      gather(event->properties, aggregate.property, through_lists.list);
      std::erase_if(through_lists.list, std::not_fn(present));
      return through_lists.list.empty() ? OracleValue{} : through_lists;
    }
    const bool of_times = expr.type == language::Type::time;
    std::vector<OracleValue> values;
    for (const Event* event : events) {
      std::vector<OracleValue> found;
      gather(event->properties, aggregate.property, found);
      for (OracleValue& value : found) {
        if (of_times) value = read_as_time(value);
        const bool counts = aggregate.op == Aggregate::Op::distinct
                                ? present(value)
                                : value.kind == (of_times ? Kind::time : Kind::number);
        if (counts) values.push_back(std::move(value));
      }
    }
    return aggregate_of(aggregate.op, values);
  }
  OracleValue value_of_node(const language::InWindow& in, const Expr&, const Scope& scope) {
    return of_boolean(any_candidate(*in.value, scope, [&](const OracleValue& value) {
      const OracleValue time = read_as_time(value);
      return time.kind == Kind::time && in_window({time.time}, in.window, scope);
    }));
  }
  OracleValue value_of_node(const language::InSegment& in, const Expr&, const Scope& scope) {
    return of_boolean(holds(*world_.segments.at(in.segment), outside_where(scope)));
  }
  OracleValue value_of_node(const language::WasInSegment& was_in, const Expr&, const Scope& scope) {
    return of_boolean(was_in.at <= scope.t &&
                      holds(*world_.segments.at(was_in.segment), {scope.person, was_in.at}));
  }
  OracleValue value_of_node(const language::Entered& entered, const Expr&, const Scope& scope) {
    const std::vector<Time> entries = entered.of == language::Entered::Of::segment
                                          ? segment_entries(entered.name, scope.person)
                                          : sync_entries(entered.name, scope.person);
    return of_boolean(
        std::ranges::any_of(entries, [&](Time entry) { return in_window({entry}, entered.window, scope); }));
  }
  OracleValue value_of_node(const language::Rank& rank, const Expr&, const Scope& scope) {
    return of_boolean(ranked(rank, scope.t).contains(scope.person.id));
  }

  // ---- what nodes are made of ----

  // Named trees speak of the person, wherever they are named.
  static Scope outside_where(const Scope& scope) { return {scope.person, scope.t}; }

  static OracleValue traits(const Scope& scope) {
    OracleValue object;
    object.kind = Kind::object;
    for (const Statement& statement : scope.person.statements) {
      if (statement.time <= scope.t) object.members[statement.name] = statement.value;
    }
    return object;
  }

  static OracleValue subject(const Scope& scope) {
    return scope.subject != nullptr ? *scope.subject : traits(scope);
  }

  // Whether one of the values an operand of a condition stands for satisfies it (reading 14).
  template <class Condition>
  bool any_candidate(const Expr& expr, const Scope& scope, const Condition& condition) {
    std::vector<OracleValue> candidates;
    const auto* attribute = language::as<language::Attribute>(expr);
    const auto* property = language::as<language::Property>(expr);
    if (attribute != nullptr && !attribute->computed) {
      gather(traits(scope), attribute->path, candidates);
    } else if (property != nullptr) {
      gather(subject(scope), property->path, candidates);
    } else {
      gather(evaluate(expr, scope), "", candidates);
    }
    return std::ranges::any_of(candidates, [&](const OracleValue& value) {
      return condition(expr.type == language::Type::time ? read_as_time(value) : value);
    });
  }

  bool selects(const EventSelector& selector, const Event& event, const Scope& scope) {
    return event.name == selector.event && event.time <= scope.t &&
           (selector.where == nullptr || holds(*selector.where, {scope.person, scope.t, &event.properties}));
  }

  // In order.
  std::vector<const Event*> select(const EventSelector& selector, const Window& window, const Scope& scope) {
    std::vector<const Event*> events;
    for (const Event& event : scope.person.events) {
      if (selects(selector, event, scope) && in_window({event.time, &event}, window, scope))
        events.push_back(&event);
    }
    return events;
  }

  bool in_window(const Moment& moment, const Window& window, const Scope& scope) {
    return moment.time <= scope.t &&
           std::ranges::all_of(window, [&](const Bound& bound) { return in_bound(moment, bound, scope); });
  }

  bool in_bound(const Moment& moment, const Bound& bound, const Scope& scope) {
    const Time t = scope.t;
    switch (bound.kind) {
      case Bound::Kind::within:
        return t - bound.far < moment.time;
      case Bound::Kind::between_ago:
        return t - bound.far < moment.time && moment.time <= t - bound.near;
      case Bound::Kind::since_time:
        return bound.instant <= moment.time;
      case Bound::Kind::before_time:
        return moment.time < bound.instant;
      case Bound::Kind::calendar: {
        const auto [start, end] = calendar_.range(bound.word, t);
        return start <= moment.time && moment.time < end;
      }
      case Bound::Kind::since_last:
      case Bound::Kind::since_first: {
        const std::vector<const Event*> references = select(bound.selector, {}, outside_where(scope));
        if (references.empty()) return bound.if_any;
        return is_after(moment,
                        bound.kind == Bound::Kind::since_last ? *references.back() : *references.front());
      }
      case Bound::Kind::since_entered_segment:
        return is_since_entry(moment, segment_entries(bound.name, scope.person), bound, t);
      case Bound::Kind::since_entered_sync:
        return is_since_entry(moment, sync_entries(bound.name, scope.person), bound, t);
    }
    return false;
  }

  static bool is_since_entry(const Moment& moment, const std::vector<Time>& entries, const Bound& bound,
                             Time t) {
    std::optional<Time> last;
    for (const Time entry : entries) {
      if (entry <= t && (!last || entry > *last)) last = entry;
    }
    return last ? *last < moment.time : bound.if_any;
  }

  // Whether the steps from `next` on can be satisfied after `before`.
  bool completes(const Event& before, const std::vector<SequenceStep>& steps, std::size_t next,
                 const Scope& scope) {
    if (next == steps.size()) return true;
    const SequenceStep& step = steps[next];
    const auto follows = [&](const Event& event) {
      return selects(step.selector, event, scope) && is_after({event.time, &event}, before) &&
             (!step.within || event.time <= before.time + *step.within);
    };
    if (step.negated) {
      return scope.t >= before.time + *step.within && std::ranges::none_of(scope.person.events, follows) &&
             completes(before, steps, next + 1, scope);
    }
    return std::ranges::any_of(scope.person.events, [&](const Event& event) {
      return follows(event) && completes(event, steps, next + 1, scope);
    });
  }

  static OracleValue aggregate_of(Aggregate::Op op, const std::vector<OracleValue>& values) {
    if (op == Aggregate::Op::distinct) {
      std::vector<OracleValue> seen;
      for (const OracleValue& value : values) {
        if (std::ranges::find(seen, value) == seen.end()) seen.push_back(value);
      }
      return of_number(seen.size());
    }
    if (op == Aggregate::Op::min || op == Aggregate::Op::max) {
      OracleValue best;
      const Comparison better = op == Aggregate::Op::min ? Comparison::less : Comparison::greater;
      for (const OracleValue& value : values) {
        if (!present(best) || compare_values(better, value, best)) best = value;
      }
      return best;
    }
    cpp_rational sum = 0;
    for (const OracleValue& value : values) sum += value.number;
    if (op == Aggregate::Op::sum) return of_number(sum);
    if (values.empty()) return {};
    return of_number(sum / values.size());
  }

  static std::vector<Time> sync_entries(const std::string& sync, const Person& who) {
    const auto entries = who.sync_entries.find(sync);
    return entries == who.sync_entries.end() ? std::vector<Time>{} : entries->second;
  }

  // Every entry on the segment's whole timeline.
  const std::vector<Time>& segment_entries(const std::string& segment, const Person& who) {
    const auto key = std::pair(segment, who.id);
    const auto known = entries_.find(key);
    if (known != entries_.end()) return known->second;
    const Expr& expr = *world_.segments.at(segment);
    const std::set<Time> instants = instants_to_try(expr, who);
    std::vector<Time> entries;
    if (!instants.empty()) {
      // Nothing happens before the first instant, so just before it is "since for ever".
      for (const Transition& transition :
           transitions(expr, who, *instants.begin() - kTick, *instants.rbegin())) {
        if (transition.entered) entries.push_back(transition.at);
      }
    }
    return entries_[key] = entries;
  }

  // The people in the ranked part.
  const std::set<PersonId>& ranked(const language::Rank& rank, Time t) {
    const auto key = std::pair(&rank, t);
    const auto known = rankings_.find(key);
    if (known != rankings_.end()) return known->second;

    struct Entrant {
      cpp_rational value;
      PersonId id;
    };
    std::vector<Entrant> entrants;
    for (const Person* who : everybody_) {
      const Scope scope{*who, t};
      const OracleValue value = evaluate(*rank.by, scope);
      if (value.kind != Kind::number) continue;
      if (rank.where != nullptr && !holds(*rank.where, scope)) continue;
      if (!rank.among_segment.empty() && !holds(*world_.segments.at(rank.among_segment), scope)) continue;
      entrants.push_back({value.number, who->id});
    }
    const bool from_bottom = rank.kind == language::Rank::Kind::bottom_percent ||
                             rank.kind == language::Rank::Kind::bottom_rank_at_most;
    std::ranges::sort(entrants, [&](const Entrant& a, const Entrant& b) {
      if (a.value != b.value) return from_bottom ? a.value < b.value : a.value > b.value;
      return a.id < b.id;
    });

    const bool percent =
        rank.kind == language::Rank::Kind::top_percent || rank.kind == language::Rank::Kind::bottom_percent;
    const cpp_rational amount = rational_of(rank.amount);
    std::set<PersonId> inside;
    for (std::size_t i = 0; i < entrants.size(); ++i) {
      // Place i (from 0) is among the first ceil(N% x count) exactly when i < N% x count.
      const bool in = percent ? i < amount * entrants.size() / 100 : i + 1 <= amount;
      if (in) inside.insert(entrants[i].id);
    }
    return rankings_[key] = inside;
  }

  // ---- when a condition can change ----

  // Every instant that could matter, with the milliseconds around it in case one was forgotten by one.
  std::set<Time> instants_to_try(const Expr& expr, const Person& who) {
    std::set<Time> changes;
    add_changes(expr, {&who}, changes);
    std::set<Time> instants;
    for (const Time at : changes) instants.insert({at - kTick, at, at + kTick});
    return instants;
  }

  // Instants at which expr may change for somebody whose history is among `whose`. Too many do no harm.
  void add_changes(const Expr& expr, const People& whose, std::set<Time>& changes) {
    std::visit([&](const auto& node) { add_changes_of(node, whose, changes); }, expr.node);
  }
  void add_changes(const ExprPtr& expr, const People& whose, std::set<Time>& changes) {
    if (expr != nullptr) add_changes(*expr, whose, changes);
  }

  static std::set<Time> history(const People& whose) {
    std::set<Time> times;
    for (const Person* who : whose) times.insert(who->times.begin(), who->times.end());
    return times;
  }

  void add_changes_of(const language::Literal& literal, const People&, std::set<Time>& changes) {
    collect_times(value_of(literal), changes);
  }
  void add_changes_of(const language::Attribute& attribute, const People& whose, std::set<Time>& changes) {
    changes.merge(history(whose));
    if (attribute.computed) add_changes(world_.attributes.at(attribute.path), whose, changes);
  }
  void add_changes_of(const language::Property&, const People& whose, std::set<Time>& changes) {
    changes.merge(history(whose));
  }
  void add_changes_of(const language::Definition& definition, const People& whose, std::set<Time>& changes) {
    add_changes(world_.definitions.at(definition.name), whose, changes);
  }
  void add_changes_of(const language::Consent&, const People& whose, std::set<Time>& changes) {
    changes.merge(history(whose));
  }
  void add_changes_of(const language::Not& negation, const People& whose, std::set<Time>& changes) {
    add_changes(negation.operand, whose, changes);
  }
  void add_changes_of(const language::Logical& logical, const People& whose, std::set<Time>& changes) {
    for (const ExprPtr& operand : logical.operands) add_changes(operand, whose, changes);
  }
  void add_changes_of(const language::Compare& compare, const People& whose, std::set<Time>& changes) {
    add_changes(compare.left, whose, changes);
    add_changes(compare.right, whose, changes);
  }
  void add_changes_of(const language::InList& in, const People& whose, std::set<Time>& changes) {
    add_changes(in.value, whose, changes);
  }
  void add_changes_of(const language::Exists& exists, const People& whose, std::set<Time>& changes) {
    add_changes(exists.value, whose, changes);
  }
  void add_changes_of(const language::Arithmetic& arithmetic, const People& whose, std::set<Time>& changes) {
    add_changes(arithmetic.left, whose, changes);
    add_changes(arithmetic.right, whose, changes);
  }
  void add_changes_of(const language::Conditional& conditional, const People& whose,
                      std::set<Time>& changes) {
    add_changes(conditional.condition, whose, changes);
    add_changes(conditional.then, whose, changes);
    add_changes(conditional.otherwise, whose, changes);
  }
  void add_changes_of(const language::Quantified& quantified, const People& whose, std::set<Time>& changes) {
    changes.merge(history(whose));
    add_changes(quantified.condition, whose, changes);
  }
  void add_changes_of(const language::Performed& performed, const People& whose, std::set<Time>& changes) {
    std::set<Time> moments = history(whose);
    add_changes_of_window(performed.window, moments, whose, changes);
    for (const SequenceStep& step : performed.steps) {
      // Steps add up, so each one starts from wherever those before may have led.
      if (step.within) add_shifted(moments, *step.within, moments);
    }
    changes.merge(moments);
  }
  void add_changes_of(const Aggregate& aggregate, const People& whose, std::set<Time>& changes) {
    add_changes_of_window(aggregate.window, history(whose), whose, changes);
  }
  void add_changes_of(const language::InWindow& in, const People& whose, std::set<Time>& changes) {
    std::set<Time> moments = history(whose);
    add_changes(in.value, whose, moments);
    add_changes_of_window(in.window, moments, whose, changes);
  }
  void add_changes_of(const language::InSegment& in, const People& whose, std::set<Time>& changes) {
    add_changes(world_.segments.at(in.segment), whose, changes);
  }
  void add_changes_of(const language::WasInSegment& was_in, const People&, std::set<Time>& changes) {
    changes.insert(was_in.at);
  }
  void add_changes_of(const language::Entered& entered, const People& whose, std::set<Time>& changes) {
    std::set<Time> moments = history(whose);
    if (entered.of == language::Entered::Of::segment)
      add_changes(world_.segments.at(entered.name), whose, moments);
    add_changes_of_window(entered.window, moments, whose, changes);
  }
  void add_changes_of(const language::Rank& rank, const People&, std::set<Time>& changes) {
    // A rank is of everybody, so everybody's history moves it.
    add_changes(rank.by, everybody_, changes);
    add_changes(rank.where, everybody_, changes);
    if (!rank.among_segment.empty()) add_changes(world_.segments.at(rank.among_segment), everybody_, changes);
  }

  // Adds when these moments happen, and when they come into or fall out of the window.
  void add_changes_of_window(const Window& window, const std::set<Time>& moments, const People& whose,
                             std::set<Time>& changes) {
    changes.insert(moments.begin(), moments.end());
    for (const Bound& bound : window) {
      switch (bound.kind) {
        case Bound::Kind::within:
          add_shifted(moments, bound.far, changes);
          break;
        case Bound::Kind::between_ago:
          add_shifted(moments, bound.near, changes);
          add_shifted(moments, bound.far, changes);
          break;
        case Bound::Kind::since_time:
        case Bound::Kind::before_time:
          changes.insert(bound.instant);
          break;
        case Bound::Kind::calendar:
          for (const Time moment : moments) calendar_.add_boundaries(moment, changes);
          break;
        case Bound::Kind::since_entered_segment:
          add_changes(world_.segments.at(bound.name), whose, changes);
          break;
        case Bound::Kind::since_last:
        case Bound::Kind::since_first:
        case Bound::Kind::since_entered_sync:
          break;  // changes only when something dated happens
      }
    }
  }

  static void add_shifted(const std::set<Time>& moments, Millis by, std::set<Time>& changes) {
    std::vector<Time> shifted;
    for (const Time moment : moments) shifted.push_back(moment + by);
    changes.insert(shifted.begin(), shifted.end());
  }

  OracleWorld world_;
  WallCalendar calendar_;
  std::vector<Person> people_;
  People everybody_;
  std::map<std::pair<std::string, PersonId>, std::vector<Time>> entries_;
  std::map<std::pair<const language::Rank*, Time>, std::set<PersonId>> rankings_;
};

Oracle::Oracle(OracleWorld world) : judge_(std::make_unique<Judge>(std::move(world))) {}
Oracle::~Oracle() = default;
Oracle::Oracle(Oracle&&) noexcept = default;
Oracle& Oracle::operator=(Oracle&&) noexcept = default;

OracleValue Oracle::evaluate(const Expr& expr, PersonId person, Time t) {
  judge_->begin_question();
  return judge_->evaluate(expr, {judge_->person(person), t});
}

bool Oracle::holds(const Expr& expr, PersonId person, Time t) {
  judge_->begin_question();
  return judge_->holds(expr, {judge_->person(person), t});
}

std::vector<PersonId> Oracle::members(const Expr& expr, Time t) {
  judge_->begin_question();
  std::vector<PersonId> members;
  for (const Person* person : judge_->everybody()) {
    if (judge_->holds(expr, {*person, t})) members.push_back(person->id);
  }
  return members;
}

std::vector<Transition> Oracle::timeline(const Expr& expr, Time from, Time to) {
  judge_->begin_question();
  std::vector<Transition> timeline;
  for (const Person* person : judge_->everybody()) {
    for (const Transition& transition : judge_->transitions(expr, *person, from, to))
      timeline.push_back(transition);
  }
  std::ranges::sort(timeline);
  return timeline;
}

namespace {

std::string decimal_text(const cpp_rational& number) {
  cpp_int mantissa = numerator(number);
  cpp_int divisor = denominator(number);
  std::size_t places = 0;
  while (divisor != 1) {
    if (divisor % 2 != 0 && divisor % 5 != 0) return number.str();
    mantissa *= 10;
    const cpp_int common = gcd(mantissa, divisor);
    mantissa /= common;
    divisor /= common;
    ++places;
  }
  std::string digits = cpp_int(abs(mantissa)).str();
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  if (places > 0) digits.insert(digits.size() - places, ".");
  return mantissa < 0 ? "-" + digits : digits;
}

}  // namespace

std::string to_text(const OracleValue& value) {
  std::string text;
  switch (value.kind) {
    case Kind::missing:
      return "missing";
    case Kind::boolean:
      return value.boolean ? "true" : "false";
    case Kind::number:
      return decimal_text(value.number);
    case Kind::string:
      return '"' + value.string + '"';
    case Kind::time:
      return format_time(value.time);
    case Kind::list:
      for (const OracleValue& element : value.list) text += (text.empty() ? "" : ", ") + to_text(element);
      return "[" + text + "]";
    case Kind::object:
      for (const auto& [name, member] : value.members) {
        if (!text.empty()) text += ", ";
        text += '"' + name + "\": ";
        text += to_text(member);
      }
      return "{" + text + "}";
  }
  return text;
}

}  // namespace tailrace::testing
