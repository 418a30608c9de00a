#include "server/event_log.h"

#include <algorithm>

#include "model/json.h"

namespace tailrace::server {
namespace {

constexpr std::size_t kBytesAtOnce = 8u << 20;

// The kinds of which events are made.
Result<bool> may_be_event(std::string_view bytes) {
  const RecordView record = TRY(decode_record(bytes));
  return record.kind == RecordKind::track || record.kind == RecordKind::page ||
         record.kind == RecordKind::screen;
}

Value object_of(std::string_view json) {
  auto value = parse_json(json.empty() ? "{}" : json);
  if (value && value->kind == Value::Kind::object) return std::move(*value);
  return Value::with(Value::Kind::object);
}

}  // namespace

Result<LoggedRecords> read_records(const log::Log& log, Position from, Position until, std::size_t records) {
  LoggedRecords read;
  read.from = read.next = from;
  const auto reader = TRY(log.read_from(from));
  log::Frame frame;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < records && bytes < kBytesAtOnce; ++i) {
    const bool is_there = TRY(reader->next(frame));
    if (!is_there || frame.position >= until) {
      read.at_end = true;
      return read;
    }
    read.next = frame.next;
    bytes += frame.record.size();
    const bool is_event = TRY(may_be_event(frame.record));
    if (is_event) read.records.push_back({frame.position, std::string(frame.record)});
  }
  return read;
}

Result<LoggedRecords> read_records(const log::Log& log, std::span<const Position> positions) {
  LoggedRecords read;
  read.at_end = true;
  std::string bytes;
  for (const Position position : positions)
    read.records.push_back({ position, std::string(TRY(log.read(position, bytes))) });
  return read;
}

delivery::EventSource::Page judge(engine::Engine& engine, Position applied, LoggedRecords records,
                                  const delivery::EventSource::Question& question) {
  delivery::EventSource::Page page{.events = {}, .next = records.next, .at_end = records.at_end};
  const auto people = question.people.empty() ? std::nullopt : engine.segment(question.people);
  const auto also = question.also.empty() ? std::nullopt : engine.segment(question.also);
  if (page.next > applied) {
    page.next = std::max(records.from, applied);
    page.at_end = true;
  }
  for (const auto& [position, bytes] : records.records) {
    if (position >= applied) break;
    const auto record = decode_record(bytes);  // was read once
    if (!record) continue;
    const auto admitted = engine.admitted(position, *record);
    if (!admitted || !question.wants(admitted->event)) continue;
    const PersonId person = admitted->person;
    RecordView copy;
    const RecordView& named = engine.profiles().without_blocked(*record, copy);
    delivery::LoggedEvent event{.position = position,
                                .received_at = record->received_at,
                                .person = {},
                                .message = {.event = std::string(admitted->event),
                                            .message_id = std::string(record->message_id),
                                            .user_id = std::string(named.user_id),
                                            .anonymous_id = std::string(named.anonymous_id),
                                            .at = record->time,
                                            .properties = engine.properties(*record),
                                            .context = object_of(record->context),
                                            .clicks = engine.profiles().clicks().of(person)}};
    event.in_people = (question.people.empty() || (people && engine.contains(*people, person))) &&
                      (question.also.empty() || (also && engine.contains(*also, person)));
    event.person = engine.profile(person);
    page.events.push_back(std::move(event));
  }
  return page;
}

}  // namespace tailrace::server
