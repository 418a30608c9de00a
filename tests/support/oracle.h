// The independent judge: a brute-force evaluator of the segment language over a small world of people. It
// scans every event of every person for every question and shares no code with the engine, the segments or
// the history; not even their arithmetic. What it says is right, or docs/language.md is unclear.
//
//   Oracle oracle(world);
//   oracle.members(*expr, t);             // who satisfies expr at t
//   oracle.timeline(*expr, from, to);     // every entry and exit in (from, to]
//
// Trees must be checked ones (language::check): canonical event names, definitions and computed attributes
// marked, time literals recognised.
//
// Readings, where docs/language.md leaves a choice:
//   Time
//   1.  An event, trait or consent dated after t is invisible at t. Everybody in the world exists at every
//       instant: people have no beginning, so `not performed "X"` holds since for ever.
//   2.  Events of one person are ordered by (time, message id), and at equal ids by arrival (their order in
//       OraclePerson::events).
//   3.  `since last X` finds X among all events at or before t; the rest of the window does not narrow X.
//       "After" for an event of another name: time >= X.time. For one of the same name, whatever its
//       `where`: later in that order. For a bare time (InWindow, the entries of Entered): time >= X.time.
//   4.  `since entered segment S`, `since entered sync Y`: entry < time, the last entry at or before t.
//   5.  `if any` on those: where nothing was entered, all events up to t.
//   6.  `before T` asks for time < T and, like every window, time <= t.
//   7.  A window on `entered` speaks of the times of entry: one entry must satisfy all its bounds.
//   8.  An entry is an instant at which the segment turns from false to true. True since for ever is no
//       entry.
//   9.  `was in segment S at T` is false before T and fixed from T on.
//   10. A calendar word is the unit around t, [start, end), in the world's zone; weeks begin on Monday. A day
//       whose midnight is skipped begins after the gap; one whose midnight comes twice begins at the first.
//   Sequences
//   11. The window speaks of the first event only. Later events must be at or before t and lie in
//       [before, before + within] of the event before them, after it in the sense of reading 3. Any choice of
//       events that satisfies the whole chain will do.
//   12. After `not followed by`, the next step is bound to the last event that did happen.
//   Values
//   13. A null is missing. A dotted path reaches into objects; a member whose own name has dots comes first.
//   14. In a condition (comparison, `in`, window, truth, any/all/none) a path enters lists wherever it meets
//       them (`products.price > 20`, `tags = "x"`) and one value must satisfy the condition, on both sides of
//       a comparison. In arithmetic lists are not entered: a path through one is missing, and a list is not a
//       number. For aggregates see reading 21.
//   15. `x exists`: something present is found at the path; an empty list is present.
//   16. any/all/none over a missing list: no elements, so `any` is false, `all` and `none` are true. A value
//       that is no list is a list of one.
//   17. Values of different kinds: `=` and every order are false, `!=` is true. Booleans, lists and objects
//       have no order. Strings compare by byte.
//   18. A condition is met only by the boolean true: a missing value or another kind is not true, and `not`
//       of it is.
//   19. Where a time is asked for (a window, a comparison with a time, a path declared as time), a string
//       that reads as ISO 8601 is that instant. Other coercion happens at admission, before the judge.
//   20. Arithmetic with anything but two numbers is missing.
//   Aggregates
//   21. sum, avg, min, max, distinct are of all values found at the path in all those events, entering lists.
//       sum, avg, min, max skip what is not a number (what is not a time, where the checker says the result
//       is one). distinct counts present values, numbers by value. first(p) and last(p) are of the first and
//       last event, present or not; where the path goes through lists, the list of what is present at it.
//   22. Numbers beyond 18 significant digits are doubles to the engine; the judge takes the double's exact
//       value and goes on exactly, so near those the two may differ.
//   Attributes and consent
//   23. A trait's latest statement at or before t counts, whole: objects are not merged member by member.
//       Order is (time, message id), then arrival; where people became one, what was said of the older one
//       counts as arrived first. null removes.
//   24. Consent: the latest statement at or before t; several in one millisecond: a refusal wins, whatever
//       the message ids. Never stated: the world's `consent_unknown`.
//   Ranks
//   25. Only people whose value is a present number are ranked, highest first (bottom: lowest first), at
//       equal values the smaller PersonId first in both directions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/multiprecision/cpp_int.hpp>

#include "base/id.h"
#include "base/time.h"
#include "language/ast.h"
#include "model/value.h"

namespace tailrace::testing {

struct OracleEvent {
  std::string event;  // canonical
  Time time;
  std::string message_id;
  Value properties;  // an object
};

struct OracleTrait {
  std::string name;  // of a top-level trait
  Value value;
  Time time;
  std::string message_id;
};

struct OracleConsent {
  std::string purpose;
  bool granted = false;
  Time time;
  std::string message_id;
};

struct OraclePerson {
  PersonId id;
  std::vector<OracleEvent> events;  // in any order; see reading 2
  std::vector<OracleTrait> traits;
  std::vector<OracleConsent> consents;
  std::map<std::string, std::vector<Time>> sync_entries;  // by sync: acknowledged first additions
};

struct OracleWorld {
  std::vector<OraclePerson> people;
  std::map<std::string, language::ExprPtr> definitions;
  std::map<std::string, language::ExprPtr> attributes;  // computed
  std::map<std::string, language::ExprPtr> segments;
  std::string time_zone = "UTC";
  bool consent_unknown = false;  // what an unknown consent counts as
};

// The judge's own value: like Value, with exact numbers of any size and with times.
struct OracleValue {
  enum class Kind : unsigned char { missing, boolean, number, string, time, list, object };
  Kind kind = Kind::missing;
  bool boolean = false;
  boost::multiprecision::cpp_rational number;
  std::string string;
  Time time;
  std::vector<OracleValue> list;
  std::map<std::string, OracleValue> members;

  bool operator==(const OracleValue&) const = default;
};

// `missing`, `true`, `12.5`, `1/3` (a fraction that is no finite decimal), `"text"`, the time as format_time
// writes it, `[1, 2]`, `{"a": 1}`.
std::string to_text(const OracleValue& value);

struct Transition {
  Time at;
  PersonId person;
  bool entered = false;

  auto operator<=>(const Transition&) const = default;
};

class Oracle {
 public:
  explicit Oracle(OracleWorld world);
  ~Oracle();
  Oracle(Oracle&&) noexcept;
  Oracle& operator=(Oracle&&) noexcept;

  OracleValue evaluate(const language::Expr& expr, PersonId person, Time t);
  bool holds(const language::Expr& expr, PersonId person, Time t);

  // In order of PersonId.
  std::vector<PersonId> members(const language::Expr& expr, Time t);

  // Entries and exits in (from, to], ordered by (time, person); the state at `from` is where they start.
  std::vector<Transition> timeline(const language::Expr& expr, Time from, Time to);

 private:
  class Judge;
  std::unique_ptr<Judge> judge_;
};

}  // namespace tailrace::testing
