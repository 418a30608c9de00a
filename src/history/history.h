// All streams. Every event name has its base stream (all its admitted events); what the applied workspace
// asks for beyond that - the events that satisfy a `where`, columns of properties - is added, and back-filled
// from the log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

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
  bool backfill_pending() const { return !backfill_.empty(); }
  struct BackfillRow {
    Position position;
    PersonId person;
    EventId event;
    Time time;
  };
  // The rows to feed to backfill(), in order of position; what came in after this call reaches new streams by
  // insert().
  std::vector<BackfillRow> take_backfill();
  void backfill(const BackfillRow& row, std::string_view message_id, const Value& properties,
                MessageIds& ids);
  void finish_backfill();

  // Between these two, stream() notes which filtered streams are asked for; those that were not are given up.
  // Their ids stay taken, but nothing is kept in them.
  void begin_claims() { ++claims_; }
  void give_up_unclaimed();

  // Streams and columns added since a mark are taken away again: what a question asked once needed.
  struct Mark {
    std::size_t streams = 0;
    std::vector<std::size_t> columns;
  };
  Mark mark() const;
  void roll_back(const Mark& mark);

  void move(PersonId from, PersonId to, MessageIds& ids, std::vector<StreamId>* touched);
  void erase(PersonId person, std::vector<StreamId>* touched);

  // The earliest event time of a person; kNever without events.
  Time first_time(PersonId person) const;
  std::uint64_t row_count() const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct Target {  // what a back-fill fills: a whole stream, or a column of it
    StreamId stream;
    std::optional<Column> column;
  };
  struct EventEntry {
    std::string name;
    std::vector<StreamId> streams;     // the base stream first
    std::vector<std::string> members;  // of the properties, that the streams look at, or once did
    std::optional<FilterIndex> index;  // of `streams`; none: they have changed, and it is to be made
    FilterIndex filling;               // of those a back-fill fills
    std::vector<Target> filling_columns;
  };
  struct StreamEntry {
    EventId event;
    std::string where;
    Accepts accepts;  // null: all
    std::optional<Needs> needs;
    std::vector<std::string> columns;
    std::unique_ptr<Stream> stream;
    std::uint64_t claimed = 0;  // the last claims_ it was asked for in
    bool given_up = false;
  };
  void drop_name(StreamEntry& entry);
  FilterIndex& index_of(EventEntry& event);
  bool accepts(FilterIndex::Candidate candidate, const Value& properties) const;
  PersonId owner_now(PersonId person) const;
  Cell cell_at(const Value& properties, const std::string& path);
  void gather_cells(const StreamEntry& entry, const Value& properties);

  std::shared_ptr<Places> places_ = std::make_shared<Places>();
  std::vector<EventEntry> events_;
  boost::unordered_flat_map<std::string, EventId, TextHash, std::equal_to<>> event_ids_;
  std::vector<StreamEntry> streams_;
  boost::unordered_flat_map<std::string, StreamId> stream_ids_;  // event name, '\0', where
  std::vector<Target> backfill_;
  std::vector<Target> filling_;
  boost::unordered_flat_map<std::uint32_t, PersonId> moved_;  // while filling: merged people
  std::uint64_t claims_ = 0;
  CellPool cells_;
  std::vector<Cell> scratch_;
};

}  // namespace tailrace::history
