#include "history/history.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::history {
namespace {

constexpr std::size_t kFewStreams = 32;  // of an event, whose rows are fetched ahead

}  // namespace

EventId History::event(std::string_view name) {
  if (const auto known = event_ids_.find(name); known != event_ids_.end()) return known->second;
  const EventId id(static_cast<std::uint32_t>(events_.size()));
  events_.emplace_back().name = name;
  event_ids_.emplace(name, id);
  stream(id, "", {});
  return id;
}

std::optional<EventId> History::find_event(std::string_view name) const {
  const auto known = event_ids_.find(name);
  return known == event_ids_.end() ? std::nullopt : std::optional(known->second);
}

StreamId History::stream(EventId event, const std::string& where, Filter filter) {
  EventEntry& entry = events_[event.value];
  for (const std::string& path : filter.looks_at) add_path(entry.members, path);
  const std::string key = entry.name + '\0' + where;
  if (const auto known = stream_ids_.find(key); known != stream_ids_.end()) {
    StreamEntry& found = streams_[known->second.value];
    if (!found.accepts) {
      found.accepts = std::move(filter.accepts);
      found.looks_at = std::move(filter.looks_at);
      found.needs = std::move(filter.needs);
      entry.index.reset();
    }
    found.claimed = claims_;
    return known->second;
  }
  const StreamId id(static_cast<std::uint32_t>(streams_.size()));
  streams_.push_back({.event = event,
                      .where = where,
                      .accepts = std::move(filter.accepts),
                      .looks_at = std::move(filter.looks_at),
                      .needs = std::move(filter.needs),
                      .columns = {},
                      // Of a question, a map of its own: it goes as a whole.
                      .stream = std::make_unique<Stream>(
                          question_ ? std::make_shared<Places>(Places::Layout::in_tables) : places_),
                      .claimed = claims_});
  stream_ids_.emplace(key, id);
  entry.streams.push_back(id);
  entry.index.reset();
  if (!where.empty()) {
    if (at(base(event)).row_count() > 0) add_target({Target::What::whole_stream, id});
  }
  return id;
}

Column History::column(StreamId stream, const std::string& path) {
  const Column column = add_column(stream, path);
  if (!question_) keep_sums(stream, column);
  return column;
}

void History::keep_sums(StreamId stream, Column column) {
  Stream& filled = *streams_[stream.value].stream;
  if (filled.has_sums(column)) return;
  filled.keep_sums(column);
  const bool pending =
      is_target({Target::What::column, stream, column}) || is_target({Target::What::whole_stream, stream});
  if (filled.row_count() > 0 && !pending) add_target({Target::What::sums, stream, column});
}

void History::keep_column(EventId event, const std::string& path, Sums sums) {
  const Column column = add_column(base(event), path);
  if (sums == Sums::kept && !question_) keep_sums(base(event), column);
}

// Without sums.
Column History::add_column(StreamId stream, const std::string& path) {
  StreamEntry& entry = streams_[stream.value];
  const auto known = std::find(entry.columns.begin(), entry.columns.end(), path);
  if (known != entry.columns.end()) return static_cast<Column>(known - entry.columns.begin());
  entry.columns.push_back(path);
  add_path(events_[entry.event.value].members, path);
  const Column column = entry.stream->add_column(Sums::none);
  if (entry.stream->row_count() > 0 && !is_target({Target::What::whole_stream, stream}))
    add_target({Target::What::column, stream, column});
  return column;
}

Cell History::cell_at(const Value& properties, const std::string& path) {
  if (const Value* value = properties.find_path(path)) return cells_.intern(*value);
  std::vector<const Value*> found;
  properties.find_all(path, found);
  std::erase_if(found, [](const Value* value) { return !value->present(); });
  if (found.empty()) return {};
  Value list = Value::with(Value::Kind::list);
  for (const Value* value : found) list.list.push_back(*value);
  return cells_.intern(list);
}

void History::gather_cells(const StreamEntry& entry, const Value& properties) {
  scratch_.clear();
  for (const std::string& path : entry.columns) scratch_.push_back(cell_at(properties, path));
}

FilterIndex& History::index_of(EventEntry& event) {
  if (!event.index) {
    event.index.emplace();
    for (const StreamId id : event.streams) event.index->add(id, streams_[id.value].needs);
  }
  return *event.index;
}

bool History::accepts(FilterIndex::Candidate candidate, const Value& properties) const {
  const StreamEntry& entry = streams_[candidate.stream.value];
  return candidate.certain || !entry.accepts || entry.accepts(properties);
}

void History::insert(EventId event, PersonId person, Time time, Position position,
                     std::string_view message_id, const Value& properties, MessageIds& ids,
                     std::vector<StreamId>* touched) {
  visit_if_needed(person);
  for (const auto& candidate : index_of(events_[event.value]).find(properties)) {
    if (!accepts(candidate, properties)) continue;
    const StreamEntry& entry = streams_[candidate.stream.value];
    gather_cells(entry, properties);
    entry.stream->insert(person, time, position, message_id, scratch_, ids);
    if (touched != nullptr) touched->push_back(candidate.stream);
  }
}

void History::prefetch_rows(std::string_view event, PersonId person) const {
  const auto known = event_ids_.find(event);
  if (known == event_ids_.end()) return;
  const auto& streams = events_[known->second.value].streams;
  // Of many an event belongs to few, and which is not known yet; every event belongs to the first.
  const std::size_t wanted = streams.size() <= kFewStreams ? streams.size() : 1;
  for (const StreamId id : std::span(streams).first(wanted)) at(id).prefetch_newest(person);
}

void History::drop_name(StreamEntry& entry) {
  EventEntry& event = events_[entry.event.value];
  const auto name = stream_ids_.find(event.name + '\0' + entry.where);
  std::erase(event.streams, name->second);
  event.index.reset();
  stream_ids_.erase(name);
}

void History::give_up_unclaimed() {
  TR_ASSERT(targets_.empty() && filling_ == nullptr);
  for (StreamEntry& entry : streams_) {
    if (entry.where.empty() || entry.given_up || entry.claimed == claims_) continue;
    drop_name(entry);
    entry.given_up = true;
    entry.accepts = nullptr;
    entry.needs.reset();
    entry.looks_at.clear();
    entry.columns.clear();
    entry.stream = nullptr;
  }
  places_->sweep();
}

History::Mark History::mark() const {
  Mark result{.streams = streams_.size(), .columns = {}};
  for (const StreamEntry& entry : streams_) result.columns.push_back(entry.columns.size());
  return result;
}

History::Mark History::begin_question() {
  question_ = true;
  return mark();
}

void History::roll_back(const Mark& mark) {
  TR_ASSERT(targets_.empty() && filling_ == nullptr);
  for (; streams_.size() > mark.streams; streams_.pop_back()) {
    drop_name(streams_.back());
    const EventEntry& event = events_[streams_.back().event.value];
    if (event.streams.empty()) {  // an event nobody had heard of; it is the newest, as its stream is
      event_ids_.erase(event.name);
      events_.pop_back();
    }
  }
  for (std::size_t i = 0; i < mark.columns.size(); ++i) {
    for (StreamEntry& entry = streams_[i]; entry.columns.size() > mark.columns[i]; entry.columns.pop_back()) {
      entry.stream->drop_last_column();
    }
  }
  places_->sweep();
  question_ = false;
}

void History::move(PersonId from, PersonId to, MessageIds& ids, std::vector<StreamId>* touched) {
  note_move(from, to);
  for (std::uint32_t id = 0; id < streams_.size(); ++id) {
    if (streams_[id].given_up) continue;
    Stream& stream = *streams_[id].stream;
    if (stream.slot(from) == nullptr) continue;
    stream.move(from, to, ids);
    if (touched != nullptr) touched->push_back(StreamId(id));
  }
}

void History::erase(PersonId person, std::vector<StreamId>* touched) {
  for (std::uint32_t id = 0; id < streams_.size(); ++id) {
    if (streams_[id].given_up) continue;
    Stream& stream = *streams_[id].stream;
    if (stream.slot(person) == nullptr) continue;
    stream.erase(person);
    if (touched != nullptr) touched->push_back(StreamId(id));
  }
}

Time History::first_time(PersonId person) const {
  Time first = kNever;
  for (const EventEntry& event : events_) {
    const Stream::Rows rows = at(event.streams.front()).rows(person);
    if (rows.size() > 0) first = std::min(first, rows.times.front());
  }
  return first;
}

std::uint64_t History::row_count() const {
  std::uint64_t rows = 0;
  for (const EventEntry& event : events_) rows += at(event.streams.front()).row_count();
  return rows;
}

void History::add_memory(MemoryParts& parts) const {
  parts.add("event_rows", {});
  parts.add("filtered_streams", {});
  parts.add("columns", {});
  for (const StreamEntry& entry : streams_) {
    if (entry.given_up) continue;
    const Stream::Memory memory = entry.stream->memory();
    parts.add(entry.where.empty() ? "event_rows" : "filtered_streams", memory.rows);
    parts.add("columns", memory.columns);
  }
  parts.add("property_texts", cells_.memory());
  parts.add("person_blocks", places_->memory());
}

void History::save(ByteWriter& out) const {
  TR_ASSERT(!backfill_pending() && filling_ == nullptr);
  CellPool::Used used;
  for (const StreamEntry& entry : streams_) {
    if (!entry.given_up) entry.stream->for_each_cell([&](Cell cell) { used.add(cell); });
  }
  cells_.save(out, used);
  places_->save(out);
  out.begin_part("events");
  out.put<std::uint64_t>(events_.size());
  for (const EventEntry& event : events_) out.put_string(event.name);
  const auto is_kept = [](const StreamEntry& entry) { return !entry.given_up; };
  out.put<std::uint64_t>(
      static_cast<std::uint64_t>(std::count_if(streams_.begin(), streams_.end(), is_kept)));
  for (const StreamEntry& entry : streams_) {
    if (!is_kept(entry)) continue;
    out.put(entry.event);
    out.put_string(entry.where);
    out.put<std::uint64_t>(entry.columns.size());
    for (const std::string& path : entry.columns) out.put_string(path);
    entry.stream->save(out);
  }
}

Result<void> History::restore(ByteReader& in) {
  TR_ASSERT(events_.empty());
  TRY(cells_.restore(in));
  TRY(places_->restore(in));
  for (auto left = TRY(in.get_count(8)); left > 0; --left) {
    const std::string name = TRY(in.get_string());
    event_ids_.emplace(name, EventId(static_cast<std::uint32_t>(events_.size())));
    events_.emplace_back().name = name;
  }
  for (auto left = TRY(in.get_count(16)); left > 0; --left) {
    StreamEntry entry;
    entry.event = TRY(in.get<EventId>());
    if (entry.event.value >= events_.size())
      return fail(Error::Code::corrupt, "a stream of an unknown event");
    entry.where = TRY(in.get_string());
    for (auto columns = TRY(in.get_count(8)); columns > 0; --columns)
      entry.columns.push_back(TRY(in.get_string()));
    entry.stream = std::make_unique<Stream>(places_);
    TRY(entry.stream->restore(in));
    if (entry.stream->column_count() != entry.columns.size())
      return fail(Error::Code::corrupt, "a stream without its columns");
    EventEntry& event = events_[entry.event.value];
    for (const std::string& path : entry.columns) add_path(event.members, path);
    const StreamId id(static_cast<std::uint32_t>(streams_.size()));
    event.streams.push_back(id);
    stream_ids_.emplace(event.name + '\0' + entry.where, id);
    streams_.push_back(std::move(entry));
  }
  for (const EventEntry& event : events_) {
    if (event.streams.empty()) return fail(Error::Code::corrupt, "an event without its stream");
  }
  Places::Uses uses;
  for (const StreamEntry& entry : streams_) {
    bool is_first = uses.emplace(entry.stream->key(), entry.stream->row_limit()).second;
    for (const Places::Key key : entry.stream->sum_keys())
      is_first = uses.emplace(key, std::nullopt).second && is_first;
    if (!is_first) return fail(Error::Code::corrupt, "two streams or sums of one key");
  }
  return places_->check(uses);
}

}  // namespace tailrace::history
