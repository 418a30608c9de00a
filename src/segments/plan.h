// A compiled expression: a tree of nodes over streams, dated attributes and other segments. Every node
// answers for one person at one instant, and says until when its answer holds as long as no new record comes:
// that is how a window that ends becomes an event. Equal parts of different segments are one node (by
// canonical text).
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/calendar.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "history/history.h"
#include "language/ast.h"
#include "profiles/profiles.h"
#include "segments/group.h"
#include "segments/memory.h"
#include "segments/scalar.h"

namespace tailrace::segments {

// A condition's value at t, constant in [t, until). `until` may be too early (then it is asked again), never
// too late.
struct Truth {
  bool value = false;
  Time until = kNever;
};
struct Held {
  Scalar value;
  Time until = kNever;
};

using RankId = Id<struct RankTag>;

// Who is within a rank (top 10 % by ltv). Live: the present membership, and the past of those ranks that are
// asked for it. In a question about the past: the timeline of all.
class RankView {
 public:
  virtual ~RankView() = default;
  virtual Truth truth(RankId rank, PersonId person, Time t) const = 0;
  Verdicts verdicts(RankId rank, const Group& group, Time t, Holding holding) const;
  // Before this instant nobody came in or left.
  virtual Time known_from() const = 0;
};

// Acknowledged entries into syncs' audiences, per sync name and person, in order of time.
using SyncEntries =
    std::map<std::string, boost::unordered_flat_map<std::uint32_t, std::vector<Time>>, std::less<>>;

class Timelines;

// All that nodes may look at.
struct World {
  const history::History& history;
  const profiles::Profiles& profiles;
  history::MessageIds& ids;
  const Zone& zone;
  bool consent_unknown;
  const SyncEntries& sync_entries;
  const RankView* ranks;
  Memory* memory = nullptr;        // of the present; nullptr: work everything out
  GroupMemory* group = nullptr;    // of one instant
  Timelines* timelines = nullptr;  // where an expression asks for a segment's past there must be one
};

// What decided a condition, for `explain`.
struct Evidence {
  std::string value;                 // "2 times", "152.30", "missing"
  std::optional<Position> position;  // the event that decided
  std::optional<Time> time;          // its time, or that of the statement that decided
};

class Node {
 public:
  virtual ~Node() = default;
  virtual Held at(const World& world, PersonId person, Time t) const = 0;
  // As an operand of a condition, a path that meets lists stands for all values found (`values`, which gives
  // until when they hold); elsewhere for none.
  virtual bool may_be_several() const { return false; }
  virtual Time values(const World& world, PersonId person, Time t, std::vector<Scalar>& values) const;
  virtual Evidence evidence(const World& world, PersonId person, Time t) const;
  // at() of a whole group, where it gives numbers and that takes less than one by one. False: it does not.
  virtual bool amounts(const World&, const Group&, Time, Amounts&) const { return false; }
};

class Condition : public Node {
 public:
  virtual Truth truth(const World& world, PersonId person, Time t) const = 0;
  Held at(const World& world, PersonId person, Time t) const final {
    const Truth result = truth(world, person, t);
    return {Scalar::of(result.value), result.until};
  }
  // Of a whole group, what can be told without asking for each.
  virtual Verdicts verdicts(const World&, const Group&, Time, Holding) const { return {}; }
};

// What one more event in a stream can do to a condition, at every instant from then on: nothing but make it
// true (or a number greater), nothing but make it false (or smaller), or whatever. A condition that holds
// already need not be looked at for an event that can only make it true: what was known of when it changes
// may now be too early, never too late.
enum class Effect : unsigned char { raises, lowers, any };

// "performed at least `times` times within `far`" (or ever), or with so many distinct values of a column.
struct Threshold {
  std::uint64_t times = 1;
  std::optional<Millis> far;
  std::optional<history::Column> distinct;  // then times <= kDistinctMax
  bool operator==(const Threshold&) const = default;
};
constexpr std::uint64_t kDistinctMax = 64;

// The distinct values of a column by their last events, the most recent first: what many thresholds ask of
// the same rows is worked out once.
class RecentValues {
 public:
  // Of all rows but the newest: up to `count` values (at most kDistinctMax), of events after `low`.
  RecentValues(const history::Stream& stream, const history::Stream::Rows& rows, history::Column column,
               std::uint64_t count, Time low);
  // Is a threshold reached with the newest row, at t, and not without it? Where rows hold lists it may say
  // yes without need. It asks for no more values and reaches no farther than the constructor was told, and no
  // row is later than t.
  bool newest_is_decisive(const Threshold& threshold, Time t) const;

 private:
  struct Seen {
    std::uint64_t bits;
    Time last;
  };
  std::array<Seen, kDistinctMax> seen_;
  std::size_t found_ = 0;
  std::size_t place_of_newest_ = kDistinctMax;  // among them; kDistinctMax: it is another value
  bool several_ = false;                        // a row may hold more than one value
  history::Cell newest_;
  Time newest_time_;
};

// How an expression uses a stream.
struct StreamUse {
  history::StreamId stream;
  Effect effect = Effect::any;  // of one more event
  // With an effect other than `any`: if only_thresholds, the expression sees of the stream whether these
  // hold, and nothing else. An event by which none of them comes to hold changes nothing.
  bool only_thresholds = false;
  std::vector<Threshold> thresholds;
};

// What an expression's value depends on beside time: a record that touches none of these cannot change it.
struct Dependencies {
  std::vector<StreamUse> streams;
  std::vector<profiles::TraitId> traits;
  std::vector<profiles::PurposeId> purposes;
  std::vector<std::string> syncs;
  std::vector<RankId> ranks;
  // The earliest instant written in the expression at which it may change whatever the person's history.
  Time first_instant = kNever;

  void use(StreamUse use);
  // Of a part: how it bears on the whole. `same`: the greater the part, the greater the whole.
  enum class Bearing : unsigned char { same, reverse, any };
  void add(const Dependencies& part, Bearing bearing);
};

// What an expression means: its text, its types, and what it refers to means. Two that are equal have the
// same value for everybody at every instant, be they compiled in one workspace or in two, of one time zone
// and one `consent unknown`. 128 bits of a hash.
struct Meaning {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Meaning&) const = default;
};

struct Compiled {
  std::shared_ptr<const Node> node;
  Dependencies dependencies;
  Meaning meaning;
};

// Parts of an explanation: the tree of and, or, not as written, with the leaves' evidence.
struct Explanation {
  std::string text;  // canonical
  bool holds = false;
  Time until = kNever;
  Evidence evidence;
  std::vector<Explanation> parts;
};

// A rank condition: `where` and `among` are one condition on who takes part; `by` is the value ranked.
struct RankPlan {
  language::Rank::Kind kind = language::Rank::Kind::top_percent;
  Number amount;
  Compiled by;
  std::shared_ptr<const Condition> eligible;  // null: everybody
  Dependencies eligible_dependencies;
  bool past_is_asked = false;  // who was within earlier, too
  Meaning meaning;
  // Of a group, the values that are ranked; missing ones are of those who take no part. Not known where one
  // of the two has to be asked for each.
  Amounts values(const World& world, const Group& group, Time t, Holding holding) const;
  // How many of `count` people are within.
  std::uint64_t limit(std::uint64_t count) const;
  bool ascending() const {
    return kind == language::Rank::Kind::bottom_percent || kind == language::Rank::Kind::bottom_rank_at_most;
  }
};

// Trees by name, for references. Checked trees, without cycles.
struct References {
  std::function<language::ExprPtr(std::string_view)> definition, attribute, segment;
};

// Compiles checked expressions. Adds the streams and columns they need to the history (which then has to be
// back-filled), and ranks to `ranks` in an order in which each uses only those before it.
class Compiler {
 public:
  Compiler(history::History& history, profiles::Profiles& profiles, References references);
  Result<std::shared_ptr<const Condition>> compile(const language::ExprPtr& expr, Dependencies& dependencies);
  // Of an expression that need not be a condition: a computed attribute.
  Result<std::shared_ptr<const Node>> compile_value(const language::ExprPtr& expr,
                                                    Dependencies& dependencies);
  // Of one that was compiled.
  Meaning meaning(const language::ExprPtr& expr) const;
  Explanation explain(const World& world, const language::ExprPtr& expr, PersonId person, Time t);
  const std::vector<RankPlan>& ranks() const { return ranks_; }

 private:
  friend class Compilation;
  history::History& history_;
  profiles::Profiles& profiles_;
  References references_;
  std::vector<RankPlan> ranks_;
  std::map<std::string, Compiled, std::less<>> known_;       // by canonical text
  std::uint32_t remembered_ = 0;                             // conditions in Memory
  std::map<std::string, std::uint32_t, std::less<>> pasts_;  // segments in Timelines, by name
};

// The instants in (from, to] at which a condition changes for a person, in order, and its truth at `from`.
struct Timeline {
  bool initially = false;
  std::vector<Time> changes;
};
Timeline timeline(const World& world, const Condition& condition, PersonId person, Time from, Time to);

// A segment whose past is asked for.
struct Past {
  std::shared_ptr<const Condition> segment;
  std::uint32_t index = 0;        // of the segment, in Timelines
  Time first_instant = kNever;    // see Dependencies
  bool depends_on_ranks = false;  // others move the person, also before their own first record
  // Nothing changes for the person before this instant, which is at or before t.
  Time beginning(const World& world, PersonId person, Time t) const;
};

// Just before the person's first record. What changes before it are expressions with fixed instants alone.
Time beginning_of(const World& world, PersonId person);

}  // namespace tailrace::segments
