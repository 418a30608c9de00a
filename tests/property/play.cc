#include "property/play.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/json.h"
#include "support/text_spec.h"

namespace tailrace::testing {
namespace {

constexpr engine::Engine::Slice kSmallSlices{.rows = 3, .people = 1};

bool is_contact(IdentifierKind kind) {
  return kind == IdentifierKind::email || kind == IdentifierKind::phone;
}

template <class T>
T must(Result<T> result, std::string_view what) {
  if (!result) throw Finding{std::string(what), "success", result.error().message};
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

IdentifierKind kind_of(std::string_view who) {
  if (who.find('@') != std::string_view::npos) return IdentifierKind::email;
  if (who.starts_with('+')) return IdentifierKind::phone;
  return is_anonymous(who) ? IdentifierKind::anonymous_id : IdentifierKind::external_id;
}

std::optional<workspace::Workspace> usable(const workspace::Workspace& workspace) {
  auto checked = workspace::from_value(workspace::to_value(workspace));
  MemoryRecords no_records;
  if (!checked || !engine::Engine(no_records).check(*checked)) return std::nullopt;
  return std::move(*checked);
}

void with_record(const Input& input, Time received_at, const std::function<void(const RecordView&)>& use) {
  const std::string source = "app " + input.who;  // message ids are unique within their source
  RecordView record{.kind = RecordKind::identify,
                    .received_at = received_at,
                    .time = input.time,
                    .source = source,
                    .message_id = input.message_id};
  Value payload = Value::with(Value::Kind::object);
  Value context = Value::with(Value::Kind::object);
  const auto name = [&](const std::string& who, const char* contact, std::string_view& id) {
    if (const auto kind = kind_of(who); is_contact(kind)) {
      Value value = Value::with(Value::Kind::object);
      value.members.emplace_back(to_string(kind), Value::of(who));
      context.members.emplace_back(contact, std::move(value));
    } else {
      id = who;
    }
  };
  switch (input.kind) {
    case Input::Kind::join:
      name(input.who, "previous", record.anonymous_id);
      record.user_id = input.other;
      break;
    case Input::Kind::merge:
      record.kind = RecordKind::alias;
      name(input.who, "previous", record.previous_id);
      name(input.other, "traits", record.user_id);
      break;
    default:
      name(input.who, "traits", is_anonymous(input.who) ? record.anonymous_id : record.user_id);
  }
  switch (input.kind) {
    case Input::Kind::event:
      record.kind = RecordKind::track;
      record.event = input.name;
      payload = input.value;
      break;
    case Input::Kind::trait:
      payload.members.emplace_back(input.name, input.value);
      break;
    case Input::Kind::consent: {
      Value consent = Value::with(Value::Kind::object);
      consent.members.emplace_back(input.name, input.value);
      payload.members.emplace_back("consent", std::move(consent));
      break;
    }
    case Input::Kind::join:
      if (input.value.kind == Value::Kind::object) payload = input.value;
      break;
    case Input::Kind::removal:
      record.kind = RecordKind::remove;
      break;
    case Input::Kind::merge:
    case Input::Kind::sync_entry:
      break;
  }
  const std::string context_text = context.members.empty() ? "" : to_json(context);
  record.context = context_text;
  const std::string text = to_json(payload);
  record.payload = text;
  use(record);
}

Play::Play() : engine_(std::make_unique<engine::Engine>(records_, kSmallSlices)) {}

void Play::take_up(const workspace::Workspace& workspace, Time at) {
  const std::string payload = to_json(workspace::to_value(workspace));
  const auto refused = engine_->quarantine().size();
  apply({.kind = RecordKind::workspace, .received_at = at, .payload = payload});
  if (engine_->quarantine().size() > refused)
    throw Finding{"taking up a workspace", "success", engine_->quarantine().back().reason};
}

void Play::receive(const Input& input, Time received_at) {
  if (input.kind == Input::Kind::sync_entry) {
    advance(received_at);  // an entry is no record, so it does not move the clock by itself
    if (const auto person = engine_->find_person(input.who))
      engine_->enter_sync(input.name, *person, input.time, output_);
    return;
  }
  with_record(input, received_at, [&](const RecordView& record) { apply(record); });
}

void Play::apply(const RecordView& record) {
  must(engine_->apply(records_.append(record), record, output_), "applying a record");
  if (redacts_) redact();
}

void Play::work() { must(engine_->work(), "a slice of back-fill"); }

void Play::work_all() {
  while (engine_->work_pending()) work();
}

void Play::restart() {
  const std::string snapshot = engine_->save();
  engine_ = std::make_unique<engine::Engine>(records_, kSmallSlices);
  must(engine_->restore(snapshot), "restoring a snapshot");
}

std::unique_ptr<Play> Play::replayed() {
  auto other = std::make_unique<Play>();
  other->records_ = records_;
  std::string bytes;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const RecordView record = must(records_.record(Position(i), bytes), "reading a record");
    must(other->engine_->apply(Position(i), record, other->output_), "applying a record again");
  }
  other->work_all();
  return other;
}

// As the server does soon after.
void Play::redact() {
  std::string bytes;
  for (const engine::Deletion& deletion : std::exchange(output_.deletions, {})) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const RecordView record = must(records_.record(Position(i), bytes), "reading a record");
      const bool created = std::ranges::find(deletion.created_by, Position(i)) != deletion.created_by.end();
      if (created || engine_->is_theirs(deletion, Position(i), record))
        records_.make_tombstone_at(Position(i), created);
    }
    for (const Pin& pin : deletion.pins) records_.pin_at(pin);
  }
}

Changes Play::take_changes() {
  Changes changes;
  for (const Delta& delta : output_.deltas) {
    if (!engine_->sync_of(delta.segment))
      changes.emplace_back(delta.at, delta.person, delta.segment.value, delta.change == Change::entered);
  }
  output_.clear();
  return changes;
}

Membership Play::members() const {
  Membership result;
  for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
    for (const PersonId person : engine_->members(SegmentId(i))) result.emplace(i, person);
  }
  return result;
}

std::vector<PersonId> Play::members_at(const workspace::Named& segment, Time t) {
  return must(engine_->members_at(workspace(), segment.expr, t), "asking for members of the past");
}

std::multiset<std::tuple<PersonId, std::string, Time>> Play::admitted() {
  std::multiset<std::tuple<PersonId, std::string, Time>> events;
  std::string bytes;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const RecordView record = must(records_.record(Position(i), bytes), "reading a record");
    if (const auto event = engine_->admitted(Position(i), record))
      events.emplace(event->person, event->event, record.time);
  }
  return events;
}

Changes Play::transitions(const workspace::Named& segment, Time from, Time to) {
  Changes changes;
  for (const engine::Transition& change :
       must(engine_->transitions(workspace(), segment.expr, from, to), "asking for transitions"))
    changes.emplace_back(change.at, change.person, 0, change.change == Change::entered);
  return changes;
}

}  // namespace tailrace::testing
