// The engine: a state machine without I/O. apply(record) -> deltas. Its clock is the record's received_at;
// before a record is applied, every change due at or before that instant fires, in order of (instant, person,
// segment). State is a function of (log prefix, t). One thread.
//
//   Engine engine(records);
//   engine.apply(position, record, output);        // output.deltas: who entered and left what, and when
//   engine.advance(now, output);                   // what time alone decides
//   while (engine.work_pending()) engine.work();   // back-fill of a new workspace, in slices between records
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/calendar.h"
#include "base/memory_use.h"
#include "history/history.h"
#include "ingest/deduplication.h"
#include "ingest/taxonomy.h"
#include "model/delta.h"
#include "model/person.h"
#include "model/record.h"
#include "profiles/profiles.h"
#include "segments/backtest.h"
#include "segments/plan.h"
#include "segments/plan_view.h"
#include "segments/tracker.h"
#include "workspace/workspace.h"

namespace tailrace::engine {

// Records by position: the log, or a list in tests.
class Records {
 public:
  virtual ~Records() = default;
  // Views into `bytes`. Errors: corrupt, io.
  virtual Result<RecordView> record(Position position, std::string& bytes) = 0;
};

// In a deletion of somebody who is not known.
constexpr PersonId kNoPerson{UINT32_MAX};

struct Deletion {
  PersonId person;
  std::vector<Identifier> identifiers;  // by which it was found: whose records are to become tombstones
  std::vector<Position> created_by;     // the records that made the person known
  Position until;                       // the deletion itself; later records are another person's
  std::vector<Pin> pins;                // of others' records, where the person was in the way
};

struct Output {
  std::vector<Delta> deltas;
  std::vector<PersonId> changed_profiles;  // identifiers, contact traits or consent changed
  std::vector<PersonId>
      changed_attributes;  // a trait, or a computed attribute perhaps; where syncs carry some
  std::vector<Deletion> deletions;
  bool empty() const {
    return deltas.empty() && changed_profiles.empty() && changed_attributes.empty() && deletions.empty();
  }
  void clear() {
    deltas.clear();
    changed_profiles.clear();
    changed_attributes.clear();
    deletions.clear();
  }
};

struct Quarantined {
  Position position;
  std::string reason;
};

struct Counts {
  std::uint64_t records = 0;  // applied, of every kind
  std::uint64_t events = 0;   // admitted
  std::uint64_t duplicates = 0;
  std::uint64_t people = 0;
  std::uint64_t quarantined = 0;
};

struct Transition {
  Time at;
  PersonId person;
  Change change = Change::entered;
};

// What a definition that is not live would have done.
struct Backtest {
  segments::Backtest past;
  struct Overlap {
    std::string segment;
    std::uint64_t size = 0;
    std::uint64_t common = 0;  // in both
  };
  std::vector<Overlap> overlaps;  // at the end, with every segment of the workspace
};

class Engine {
 public:
  // How much work() does at a time.
  struct Slice {
    std::size_t visits = 2'000;  // people whose rows go into new columns and streams
    std::size_t rows = 500;      // read again from the log, into those
    std::size_t people = 200;    // evaluated for all segments
  };
  explicit Engine(Records& records);
  Engine(Records& records, Slice slice);
  ~Engine();

  // Errors: corrupt, io (a record that is needed again cannot be read); after one the engine must not go on.
  Result<void> apply(Position position, const RecordView& record, Output& output);
  // Applies `count` records; what each will touch is fetched into the caches while those before it are
  // applied. record_at(i) -> Result<Located>, whose bytes must stay until it is applied; applied(i, record)
  // is called after each.
  struct Located {
    Position position;
    RecordView record;
  };
  template <class RecordAt, class Applied>
  Result<void> apply_all(std::size_t count, Output& output, RecordAt record_at, Applied applied);
  void advance(Time t, Output& output);
  // Error: io, corrupt (a record that was needed again could not be read, by advance() or a question): the
  // engine must not go on, and what it said since is not to be believed.
  Result<void> sound() const;
  Time next_change();
  Time now() const { return now_; }

  // After a workspace record: columns and segments that are new are filled from history in slices of about a
  // millisecond; the workspace before it stays live meanwhile. A workspace that cannot be compiled is
  // quarantined with its reason, and the one before it stays.
  bool work_pending() const { return next_ != nullptr; }
  Result<void> work();
  // Counts up each time a workspace has become live.
  std::uint64_t generation() const { return generation_; }
  // The live workspace; nullptr before the first.
  const workspace::Workspace* workspace() const;
  // Of the pending work.
  struct Progress {
    enum class Step : unsigned char { none, columns, records, people };
    Step step = Step::none;
    std::string filling;     // names of events, with commas; empty: nothing is filled
    std::uint64_t done = 0;  // of this step: people whose columns are filled, records read, people evaluated
    std::uint64_t total = 0;
    double share = 1;  // of the whole, estimated by what the steps usually cost
    // Whose members are worked out; those of the others are the same as in the workspace before.
    std::uint64_t new_segments = 0;
  };
  Progress progress() const;

  // Would this workspace compile? To be asked before it is logged. Errors: unsupported, invalid_argument.
  Result<void> check(const workspace::Workspace& workspace);

  // Segments come first in the order of the workspace, then the audience of each sync: who is in its segment,
  // in none of its exclusions, consents where it asks for that, and has not stayed too long
  // (workspace/audience.h); then whom expiries are about.
  std::optional<SegmentId> segment(std::string_view name) const;
  SegmentId audience(SyncId sync) const;
  std::optional<SyncId> sync_of(SegmentId segment) const;  // whose audience it is
  // Whom the sync's expiry is about (workspace/audience.h), kept like a segment. Missing: it has none.
  std::optional<SegmentId> expired(SyncId sync) const;
  std::vector<PersonId> members(SegmentId segment) const;
  bool contains(SegmentId segment, PersonId person) const;
  std::uint64_t size(SegmentId segment) const;

  // Acknowledged entries, for `entered sync`. From the ledger at start, and as they come; one that is known
  // already changes nothing. Of a merged person: the survivor's.
  void enter_sync(const std::string& sync, PersonId person, Time at, Output& output);

  // Of a record that was applied: whose event it is and under which name, if it was admitted as one. Missing:
  // it is no event, is quarantined, a duplicate, or of a deleted person. A merged person's is the survivor's.
  // Cost: a few look-ups. The name is lent until the next call of anything else.
  struct Admitted {
    PersonId person;
    std::string_view event;
  };
  std::optional<Admitted> admitted(Position position, const RecordView& record);
  // Of such an event, as conditions see them: an object.
  Value properties(const RecordView& record) const;

  PersonProfile profile(PersonId person) const;
  // Whom a merged person has become; others are themselves.
  PersonId survivor(PersonId person) const { return profiles_.survivor(person); }
  bool is_alive(PersonId person) const { return profiles_.alive(person); }
  // The computed attributes of the live workspace, in its order, as of now(); times as texts. Empty, unless
  // the workspace has syncs that carry them (carries_attributes).
  std::vector<Value> attributes(PersonId person) const;
  std::size_t person_limit() const { return profiles_.person_limit(); }  // ids below this were given out
  std::string golden_id(PersonId person) const;
  std::optional<PersonId> find_person(std::string_view identifier) const;
  // Of a record that is still there: is it to become a tombstone? Nobody else's is, whatever it says of them.
  bool is_theirs(const Deletion& deletion, Position position, const RecordView& record) const;
  // What somebody is known by, how that came, and what was refused.
  const profiles::Profiles& profiles() const { return profiles_; }
  const std::vector<Quarantined>& quarantine() const { return quarantine_; }
  Counts counts() const;
  // What it holds, by part (docs/performance.md names them). Takes a millisecond, whatever there is.
  MemoryParts memory() const;
  // Records in the log by import: what an import has done is what the log holds of it. A source with a '#' is
  // an import.
  const std::map<std::string, std::uint64_t>& imports() const { return imports_; }

  // Questions over the past, by checked expressions of `in` (the live workspace, or another that is being
  // planned). They read the log where they need a column that no segment has, and finish pending work first.
  Result<std::vector<PersonId>> members_at(const workspace::Workspace& in, const language::ExprPtr& expr,
                                           Time t);
  // only: of this person, else of everybody.
  Result<std::vector<Transition>> transitions(const workspace::Workspace& in, const language::ExprPtr& expr,
                                              Time from, Time to,
                                              std::optional<PersonId> only = std::nullopt);
  Result<segments::Explanation> explain(const workspace::Workspace& in, const language::ExprPtr& expr,
                                        PersonId person, Time t);
  // Over [from, to]. Errors besides: invalid_argument (to before from, or more than segments::kPeriodMax
  // after).
  Result<Backtest> backtest(const workspace::Workspace& in, const language::ExprPtr& expr, Time from,
                            Time to);
  // How an expression is computed. `name`: the segment it is the definition of, which is not told as one that
  // shares it; may be empty. Measured at now(), with a thousand people at most.
  Result<segments::PlanView> plan(const workspace::Workspace& in, const std::string& name,
                                  const language::ExprPtr& expr, const segments::Stopwatch& stopwatch);
  // Members of each sync's audience under a workspace that is not live.
  Result<std::vector<PersonId>> audience_at(const workspace::Workspace& in, const workspace::SyncConfig& sync,
                                            Time t);

  // The whole state, at the position the caller keeps beside it. Only while no work is pending.
  void save(ByteWriter& out) const;
  // After an error: reset() before anything else. Errors: corrupt, unsupported (of another version, or it
  // lacks what the workspace needs); those of where the bytes come from.
  Result<void> restore(ByteReader& in);
  // The same in one piece, where the state is small.
  std::string save() const;
  Result<void> restore(std::string_view bytes);
  void reset();

 private:
  struct Live;      // a compiled workspace with its tracker
  struct Question;  // an expression compiled for once
  class MessageIds;

  Result<void> apply_record(Position position, const RecordView& record, Output& output);
  bool held_back(Position position, const RecordView& record);
  void apply_person(Position position, const RecordView& record, Output& output);
  Result<void> apply_event(Position position, const RecordView& record, Output& output);
  Result<void> apply_workspace(Position position, const RecordView& record, Output& output);
  Result<void> judge_again(Output& output);
  void apply_deletion(Position position, const RecordView& record, Output& output);
  void expect(const RecordView& record);
  Value& looked_at(const RecordView& record, std::optional<history::EventId> event,
                   std::span<const std::string> judged = {});
  void admit(Position position, const RecordView& record, history::EventId event, const Value& properties,
             Output& output);
  void note_effect(const profiles::Profiles::Effect& effect, std::span<const history::StreamId> touched,
                   Time event_time, Output& output);
  bool seen_before(Position position, const RecordView& record);
  void finish_work();
  Result<std::unique_ptr<Live>> compile(workspace::Workspace workspace);
  template <class Visit>
  void for_each_alive(const segments::Dependencies& dependencies, Visit visit) const;
  segments::World world(const Zone& zone, bool consent_unknown) const;
  // only: the one person the question is about.
  template <class Ask>
  auto ask(const workspace::Workspace& in, const language::ExprPtr& expr, Time from, Time to, Ask answer,
           std::optional<PersonId> only = std::nullopt)
      -> Result<decltype(answer(std::declval<Question&>()))>;
  Result<void> backfill(const history::History::BackfillRow& row, std::string& bytes);
  Result<void> backfill_all(std::optional<PersonId> only);

  Records& records_;
  Slice slice_;
  std::unique_ptr<MessageIds> ids_;
  history::History history_;
  profiles::Profiles profiles_;
  ingest::Deduplication deduplication_;
  segments::SyncEntries sync_entries_;
  std::unique_ptr<Live> live_;
  std::unique_ptr<Live> next_;  // being filled
  bool filling_ = false;        // streams and columns; after that, the tracker
  std::vector<Quarantined> quarantine_;
  std::map<std::string, std::uint64_t> imports_;
  Counts counts_;
  std::uint64_t generation_ = 0;
  Time now_ = kForeverAgo;
  std::vector<history::StreamId> touched_;
  Value properties_;  // of the event that is applied; kept for its memory
  // Records of which expect() spoke, the newest last, each at its stage of being fetched.
  struct Expected {
    std::string_view event;
    std::uint64_t key = 0;
    std::optional<PersonId> person;
  };
  static constexpr std::size_t kAhead = 30;
  std::array<Expected, 32> expected_;
  std::size_t expected_count_ = 0;
};

template <class RecordAt, class Applied>
Result<void> Engine::apply_all(std::size_t count, Output& output, RecordAt record_at, Applied applied) {
  std::array<Located, kAhead> ahead;
  expected_ = {};
  for (std::size_t next = 0; next < count + kAhead; ++next) {
    Located& slot = ahead[next % kAhead];
    if (next >= kAhead && next - kAhead < count) {
      TRY(apply(slot.position, slot.record, output));
      applied(next - kAhead, slot.record);
    }
    if (next >= count) continue;
    slot = TRY(record_at(next));
    expect(slot.record);
  }
  return {};
}

}  // namespace tailrace::engine
