// All streams. Every event name has its base stream (all its admitted events); what the applied workspace
// asks for beyond that - the events that satisfy a `where`, columns of properties - is added, and
// back-filled: from columns of the base stream where it has those that are needed, else from the log.
//
// A back-fill first walks over people. What columns say is complete for a person, or not begun: a change of
// somebody who was not visited visits them before. What only the log says is listed on the way, sorted by
// position in runs, and fed in by record; each row looks again whose it is by then.
//
//   history.begin_backfill();
//   while (!history.visit(200)) {}                              // people
//   while (const auto* row = history.next_row()) history.backfill(*row, ...record of row->position...);
//   history.finish_backfill();
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/id.h"
#include "base/text_hash.h"
#include "history/cell.h"
#include "history/filter.h"
#include "history/stream.h"
#include "model/value.h"

namespace tailrace::history {

using EventId = Id<struct EventTag>;  // an event name, canonical

class History {
 public:
  EventId event(std::string_view name);  // adds it, with its base stream, when it is new
  std::optional<EventId> find_event(std::string_view name) const;
  const std::string& event_name(EventId event) const { return events_[event.value].name; }
  std::size_t event_count() const { return events_.size(); }

  StreamId base(EventId event) const { return events_[event.value].streams.front(); }
  // The stream of an event and a `where` (its canonical text, "" for none). The filter is kept where the
  // stream is new, or was restored from a snapshot without it.
  StreamId stream(EventId event, const std::string& where, Filter filter);
  // A stream's column for a property path. New ones are missing in rows that are there already. Where the
  // path goes through lists its cells are lists of what is present at it.
  Column column(StreamId stream, const std::string& path);
  // A column of the event's base stream for whatever may be asked for later (`indexed` in the taxonomy), with
  // or without everybody's sum.
  void keep_column(EventId event, const std::string& path, Sums sums);

  const Stream& at(StreamId stream) const { return *streams_[stream.value].stream; }
  EventId event_of(StreamId stream) const { return streams_[stream.value].event; }
  // Its `where`, canonical; "" for every event of the name. The paths of its columns.
  const std::string& where_of(StreamId stream) const { return streams_[stream.value].where; }
  std::span<const std::string> columns_of(StreamId stream) const { return streams_[stream.value].columns; }
  std::size_t stream_count() const { return streams_.size(); }
  const Places& places() const { return *places_; }
  std::span<const StreamId> streams_of(EventId event) const { return events_[event.value].streams; }

  // The members of an event's properties, at the top level, that its streams look at.
  std::span<const std::string> looks_at(EventId event) const { return events_[event.value].members; }
  const CellPool& cells() const { return cells_; }

  // One admitted event, into every stream that accepts it. Those go to `touched` when it is not null.
  void insert(EventId event, PersonId person, Time time, Position position, std::string_view message_id,
              const Value& properties, MessageIds& ids, std::vector<StreamId>* touched);

  // A hint that this person gets an event of this name (as its sender spells it).
  void prefetch_rows(std::string_view event, PersonId person) const;

  // Work that a change of streams left: rows of base streams that new streams and columns have not seen.
  bool backfill_pending() const { return !targets_.empty(); }
  struct BackfillRow {
    Position position;
    Time time;
    PersonId person;
    StreamId stream;  // the base stream of its event, or the one that lacks columns
  };
  // What comes in after this call reaches new streams by insert(). only: whose rows alone are wanted.
  void begin_backfill(std::optional<PersonId> only = std::nullopt);
  void give_up_backfill();  // instead: what is to be filled will be taken away again
  // So many more people; true: everybody has been visited.
  bool visit(std::size_t people);
  // The next row whose record is needed, in order of position, when everybody has been visited; nullptr:
  // there is none. Valid until the next call.
  const BackfillRow* next_row();
  void backfill(const BackfillRow& row, std::string_view message_id, const Value& properties,
                MessageIds& ids);
  void finish_backfill();
  // Of the present back-fill.
  struct Progress {
    std::uint64_t people = 0, people_visited = 0;
    std::uint64_t rows = 0, rows_read = 0;  // known when everybody has been visited
    std::string filling;                    // the names of the events, with commas
  };
  Progress progress() const;

  // Between these two, stream() notes which filtered streams are asked for; those that were not are given up.
  // Their ids stay taken, but nothing is kept in them.
  void begin_claims() { ++claims_; }
  void give_up_unclaimed();

  // Streams and columns added since a mark are taken away again: what a question asked once needed. Those
  // added since begin_question() cost less to make and to take away, and more at each look.
  struct Mark {
    std::size_t streams = 0;
    std::vector<std::size_t> columns;
  };
  Mark mark() const;
  Mark begin_question();
  void roll_back(const Mark& mark);

  void move(PersonId from, PersonId to, MessageIds& ids, std::vector<StreamId>* touched);
  void erase(PersonId person, std::vector<StreamId>* touched);

  // The earliest event time of a person; kNever without events.
  Time first_time(PersonId person) const;
  std::uint64_t row_count() const;

  void add_memory(MemoryParts& parts) const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct EventEntry {
    std::string name;
    std::vector<StreamId> streams;     // the base stream first
    std::vector<std::string> members;  // of the properties, that the streams look at, or once did
    std::optional<FilterIndex> index;  // of `streams`; none: they have changed, and it is to be made
  };
  struct StreamEntry {
    EventId event;
    std::string where;
    Accepts accepts;                    // null: all
    std::vector<std::string> looks_at;  // the paths `accepts` looks at
    std::optional<Needs> needs;
    std::vector<std::string> columns;
    std::unique_ptr<Stream> stream;
    std::uint64_t claimed = 0;  // the last claims_ it was asked for in
    bool given_up = false;
  };
  struct Target {  // what a back-fill fills
    enum class What : unsigned char { whole_stream, column, sums };
    What what;
    StreamId stream;
    Column column = 0;
    std::uint64_t key() const {
      return static_cast<std::uint64_t>(what) << 62 | std::uint64_t{stream.value} << 30 | column;
    }
  };
  struct Filling;
  struct Judged;
  void add_target(const Target& target);
  Column add_column(StreamId stream, const std::string& path);
  void keep_sums(StreamId stream, Column column);
  bool is_target(const Target& target) const;
  std::optional<Column> filled_base_column(EventId event, const std::string& path) const;
  void plan_filling(Filling& filling);
  bool visited(PersonId person) const;
  void visit(PersonId person);
  void visit_ahead(PersonId person);
  void visit_if_needed(PersonId person) {
    if (filling_ != nullptr && !visited(person)) visit_ahead(person);
  }
  std::span<const std::uint32_t> judge(Judged& judged, const Stream::Rows& rows, std::size_t row) const;
  void list_rows(StreamId stream, PersonId person);
  void drop_name(StreamEntry& entry);
  FilterIndex& index_of(EventEntry& event);
  bool accepts(FilterIndex::Candidate candidate, const Value& properties) const;
  void note_move(PersonId from, PersonId to);
  PersonId owner_now(PersonId person) const;
  Cell cell_at(const Value& properties, const std::string& path);
  void gather_cells(const StreamEntry& entry, const Value& properties);

  std::shared_ptr<Places> places_ = std::make_shared<Places>();
  std::vector<EventEntry> events_;
  boost::unordered_flat_map<std::string, EventId, TextHash, std::equal_to<>> event_ids_;
  std::vector<StreamEntry> streams_;
  boost::unordered_flat_map<std::string, StreamId> stream_ids_;  // event name, '\0', where
  std::vector<Target> targets_;                                  // of the next back-fill
  boost::unordered_flat_set<std::uint64_t> target_keys_;         // of these
  std::shared_ptr<Filling> filling_;                             // the present one
  bool question_ = false;
  std::uint64_t claims_ = 0;
  CellPool cells_;
  std::vector<Cell> scratch_;
};

}  // namespace tailrace::history
