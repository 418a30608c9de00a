#include "engine/engine.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "model/json.h"
#include "profiles/identifier_filter.h"
#include "segments/walk.h"
#include "workspace/audience.h"

namespace tailrace::engine {
namespace {

constexpr std::uint32_t kSnapshotVersion = 11;

// An unreadable payload counts as empty: the sources validated it before it reached the log.
Value parse_payload(std::string_view payload) {
  if (payload.empty()) return {};
  auto parsed = parse_json(payload);
  return parsed ? std::move(*parsed) : Value();
}

// What an event's conditions see. The name of a page or screen stands beside its properties in a call, and
// among them where the sender put it there itself.
Value properties_of(const RecordView& record) {
  Value properties = parse_payload(record.payload);
  if (record.kind == RecordKind::track || record.event.empty()) return properties;
  if (properties.kind != Value::Kind::object) properties = Value::with(Value::Kind::object);
  if (properties.find("name") == nullptr)
    properties.members.emplace_back("name", Value::of(std::string(record.event)));
  return properties;
}

// What a record says beside its payload.
struct Aside {
  Value consent;
  std::vector<profiles::SeenClick> clicks;
};
Aside aside_of(const RecordView& record) {
  // memmem, as string_view::find stops at every quotation mark.
  static constexpr std::string_view kKey = "\"consent\"";
  Aside aside;
  if (record.kind == RecordKind::page && profiles::may_hold_clicks(record.payload))
    aside.clicks = profiles::clicks_in(parse_payload(record.payload), record.time);
  if (record.context.empty()) return aside;  // its data may be null, which memmem must not be given
  const bool consents =
      ::memmem(record.context.data(), record.context.size(), kKey.data(), kKey.size()) != nullptr;
  const bool clicks = profiles::may_hold_clicks(record.context);
  if (!consents && !clicks) return aside;
  const Value context = parse_payload(record.context);
  if (context.kind != Value::Kind::object) return aside;
  if (const Value* consent = context.find("consent")) aside.consent = *consent;
  auto seen = profiles::clicks_in(context, record.time);
  aside.clicks.insert(aside.clicks.end(), seen.begin(), seen.end());
  return aside;
}

// Attributes that no segment uses cost nothing unless somebody is told of them.
bool sync_carries_attributes(const workspace::Workspace& workspace) {
  return std::ranges::any_of(workspace.syncs, [](const auto& sync) { return !sync.attributes.empty(); });
}
bool carries_attributes(const workspace::Workspace& workspace) {
  return !workspace.warehouses.empty() || sync_carries_attributes(workspace);
}

bool names_somebody(const Value& contact) {
  const auto is_text = [&](std::string_view name) {
    const Value* value = contact.find(name);
    return value != nullptr && value->kind == Value::Kind::string && !value->string.empty();
  };
  return is_text("email") || is_text("phone");
}

// Whom a record names by an e-mail or phone: context.traits, and context.previous of who becomes that person.
// An identify without ids may name them by its traits.
profiles::Contacts contacts_of(const RecordView& record) {
  const bool has_id = !record.user_id.empty() || !record.anonymous_id.empty();
  const bool merges = record.kind == RecordKind::identify || record.kind == RecordKind::alias;
  if (has_id && (!merges || record.context.empty())) return {};
  static constexpr std::string_view kPrevious = "\"previous\"";
  if (has_id &&
      ::memmem(record.context.data(), record.context.size(), kPrevious.data(), kPrevious.size()) == nullptr)
    return {};
  profiles::Contacts contacts;
  Value context = parse_payload(record.context);
  if (context.kind == Value::Kind::object) {
    for (auto& [name, value] : context.members) {
      if (name == "traits") {
        contacts.named = std::move(value);
      } else if (name == "previous") {
        contacts.previous = std::move(value);
      }
    }
  }
  if (record.kind == RecordKind::identify && !has_id && !names_somebody(contacts.named))
    contacts.named = parse_payload(record.payload);
  return contacts;
}

segments::References references_of(const workspace::Workspace& workspace) {
  const auto expr_of = [](const workspace::Named* named) { return named == nullptr ? nullptr : named->expr; };
  return {.definition = [&workspace,
                         expr_of](std::string_view name) { return expr_of(workspace.find_definition(name)); },
          .attribute = [&workspace,
                        expr_of](std::string_view name) { return expr_of(workspace.find_attribute(name)); },
          .segment = [&workspace,
                      expr_of](std::string_view name) { return expr_of(workspace.find_segment(name)); }};
}

// What is asked, of a workspace. It may be the live one's own, which a pending one is about to replace.
struct Kept {
  workspace::Workspace in;
  language::ExprPtr expr;
};
// Does what is pending.
Result<Kept> settle(Engine& engine, const workspace::Workspace& in, const language::ExprPtr& expr) {
  Kept kept{in, expr};
  while (engine.work_pending()) TRY(engine.work());
  return kept;
}

}  // namespace

class Engine::MessageIds final : public history::MessageIds {
 public:
  explicit MessageIds(Records& records) : records_(records) {}
  // The record was read and applied once; if it cannot be read now, the disk is failing under us, and what
  // follows may be in a wrong order.
  std::string_view message_id(Position position) override {
    const auto record = this->record(position, bytes_);
    return record ? record->message_id : "";
  }
  std::optional<RecordView> record(Position position, std::string& bytes) {
    const auto record = records_.record(position, bytes);
    if (record) return *record;
    if (!failure_) failure_ = record.error();
    return std::nullopt;
  }
  // The first failure.
  Result<void> check() const {
    if (failure_) return std::unexpected(*failure_);
    return {};
  }

 private:
  Records& records_;
  std::string bytes_;
  std::optional<Error> failure_;
};

struct Engine::Live {
  Live(workspace::Workspace w, Zone z)
      : workspace(std::move(w)),
        taxonomy(workspace.taxonomy),
        zone(std::move(z)),
        events(taxonomy.rule_count()) {}
  workspace::Workspace workspace;
  ingest::Taxonomy taxonomy;
  Zone zone;
  std::unique_ptr<segments::Tracker> tracker;
  std::vector<std::optional<SegmentId>> expired;                  // by sync
  std::vector<std::shared_ptr<const segments::Node>> attributes;  // where syncs carry them
  bool syncs_carry_attributes = false;
  std::vector<std::optional<history::EventId>> events;  // by rule of the taxonomy, once known

  // Missing: no event of that name was admitted yet, nor does a segment ask for it.
  std::optional<history::EventId> event_of(const ingest::Taxonomy::Named& named,
                                           const history::History& history) {
    if (named.rule == ingest::Taxonomy::Named::kNoRule) return history.find_event(named.event);
    auto& known = events[named.rule];
    if (!known) known = history.find_event(named.event);
    return known;
  }
};

struct Engine::Question {
  std::shared_ptr<const segments::Condition> condition;
  language::ExprPtr expr;
  const segments::Dependencies& dependencies;
  segments::Compiler& compiler;
  const segments::World& world;
};

Engine::Engine(Records& records) : Engine(records, Slice{}) {}
Engine::Engine(Records& records, Slice slice)
    : records_(records),
      slice_(slice),
      ids_(std::make_unique<MessageIds>(records)),
      deduplication_(kDay * 30) {}
Engine::~Engine() = default;

const workspace::Workspace* Engine::workspace() const { return live_ ? &live_->workspace : nullptr; }

segments::World Engine::world(const Zone& zone, bool consent_unknown) const {
  return {.history = history_,
          .profiles = profiles_,
          .ids = *ids_,
          .zone = zone,
          .consent_unknown = consent_unknown,
          .sync_entries = sync_entries_,
          .ranks = nullptr};
}

Result<void> Engine::apply(Position position, const RecordView& record, Output& output) {
  TRY(apply_record(position, record, output));
  return sound();
}

Result<void> Engine::sound() const { return ids_->check(); }

Result<void> Engine::apply_record(Position position, const RecordView& record, Output& output) {
  advance(record.received_at, output);
  ++counts_.records;
  if (record.source.find('#') != std::string_view::npos) ++imports_[std::string(record.source)];
  switch (record.kind) {
    case RecordKind::tombstone:
      // The person is gone; their id and the message stay taken.
      if (record.created_person) profiles_.skip();
      if (record.message_hash != 0) seen_before(position, record);
      return {};
    case RecordKind::workspace:
      return apply_workspace(position, record, output);
    case RecordKind::rejected:
      quarantine_.push_back({position, std::string(record.reason)});
      return {};
    case RecordKind::identify:
    case RecordKind::group:
    case RecordKind::alias:
      if (held_back(position, record) || seen_before(position, record)) return {};
      apply_person(position, record, output);
      return {};
    case RecordKind::remove:
      if (seen_before(position, record)) return {};
      apply_deletion(position, record, output);
      return {};
    case RecordKind::track:
    case RecordKind::page:
    case RecordKind::screen:
      return apply_event(position, record, output);
  }
  return {};
}

void Engine::expect(const RecordView& record) {
  // Each call takes the records before it one stage further: by the time one is applied, the chain from its
  // identifier to the person's rows has been walked without waiting at any step.
  constexpr std::size_t kText = 8, kPerson = 14, kEntries = 20, kRows = 26;
  const auto before = [&](std::size_t calls) -> Expected& {
    return expected_[(expected_count_ + expected_.size() - calls) % expected_.size()];
  };
  Expected& now = before(0);
  now = {};
  const bool by_user = !record.user_id.empty();
  const std::string_view identifier = by_user ? record.user_id : record.anonymous_id;
  if (record.kind == RecordKind::track) now.event = record.event;
  if (!identifier.empty()) {
    now.key = profiles_.directory().prefetch(
        by_user ? IdentifierKind::external_id : IdentifierKind::anonymous_id, identifier);
    deduplication_.prefetch(message_hash(record.source, record.message_id));
  }
  if (const Expected& one = before(kText); one.key != 0) profiles_.directory().prefetch_text(one.key);
  if (Expected& one = before(kPerson); one.key != 0) {
    one.person = profiles_.directory().guess(one.key);
    if (one.person) {
      history_.places().prefetch(*one.person);
      if (live_) live_->tracker->prefetch(*one.person);
    }
  }
  if (const Expected& one = before(kEntries); one.person) {
    history_.places().prefetch_entries(*one.person);
    if (live_) live_->tracker->prefetch_entries(*one.person);
  }
  if (const Expected& one = before(kRows); one.person && !one.event.empty())
    history_.prefetch_rows(one.event, *one.person);
  expected_count_ = (expected_count_ + 1) % expected_.size();
}

bool Engine::seen_before(Position position, const RecordView& record) {
  using Earlier = ingest::Deduplication::Earlier;
  const auto hash_of = [](const RecordView& view) {
    return view.kind == RecordKind::tombstone ? view.message_hash
                                              : message_hash(view.source, view.message_id);
  };
  const bool gone = record.kind == RecordKind::tombstone;
  const auto is_same = [&](const RecordView& other) {
    // Of a deleted person's message only the hash is left.
    if (gone || other.kind == RecordKind::tombstone) return hash_of(other) == hash_of(record);
    return other.message_id == record.message_id &&
           message_scope(other.source) == message_scope(record.source);
  };
  const auto compare = [&](Position earlier) {
    std::string bytes;
    const auto other = ids_->record(earlier, bytes);
    if (!other || !is_same(*other)) return Earlier::other;
    return record.received_at - other->received_at < deduplication_.window() ? Earlier::same
                                                                             : Earlier::same_long_ago;
  };
  const bool seen = deduplication_.seen(hash_of(record), position, record.received_at, compare);
  counts_.duplicates += seen && !gone;
  return seen;
}

// Of an event's properties, what the taxonomy and the streams look at; all where that is simpler.
Value& Engine::looked_at(const RecordView& record, std::optional<history::EventId> event,
                         std::span<const std::string> judged) {
  const auto kept = event ? history_.looks_at(*event) : std::span<const std::string>();
  properties_.members.clear();
  properties_.kind = Value::Kind::object;
  if (record.kind == RecordKind::track && judged.empty() && kept.empty()) return properties_;
  if (record.kind != RecordKind::track || record.payload.empty() ||
      !read_members(record.payload, judged, kept, properties_))
    properties_ = properties_of(record);
  return properties_;
}

Result<void> Engine::apply_event(Position position, const RecordView& record, Output& output) {
  if (live_ == nullptr) {
    // Nothing says yet what is an event; the first workspace will judge it.
    quarantine_.push_back({position, "no workspace was applied yet: run `tailrace apply`"});
    return {};
  }
  Live& judge = next_ ? *next_ : *live_;
  const auto named = judge.taxonomy.name(record);
  auto event = judge.event_of(named, history_);
  Value& properties = looked_at(record, event, judge.taxonomy.looks_at(named));
  if (std::string reason = judge.taxonomy.judge(named, properties); !reason.empty()) {
    quarantine_.push_back({position, std::move(reason)});
    return {};
  }
  if (held_back(position, record) || seen_before(position, record)) return {};
  if (!event) event = history_.event(named.event);
  judge.taxonomy.convert(named, properties);
  admit(position, record, *event, properties, output);
  return {};
}

// Quarantines what is nobody's, and an alias that may not make two people one: by other rules it may.
bool Engine::held_back(Position position, const RecordView& record) {
  RecordView copy;
  const RecordView& left = profiles_.without_blocked(record, copy);
  // Of an event with an id only that names somebody, and its payload need not be read.
  const bool has_id = !left.user_id.empty() || !left.anonymous_id.empty();
  if (has_id && record.kind != RecordKind::alias) return false;
  const profiles::Contacts contacts = contacts_of(left);
  std::string reason = profiles_.why_nobody(record, contacts.named);
  if (reason.empty() && record.kind == RecordKind::alias) {
    if (const auto refusal = profiles_.why_not(left, contacts))
      reason = fmt::format("the two did not become one: {}", to_string(*refusal));
  }
  if (reason.empty()) return false;
  quarantine_.push_back({position, std::move(reason)});
  return true;
}

std::optional<Engine::Admitted> Engine::admitted(Position position, const RecordView& record) {
  const bool is_event = record.kind == RecordKind::track || record.kind == RecordKind::page ||
                        record.kind == RecordKind::screen;
  if (live_ == nullptr || !is_event) return std::nullopt;
  // Under the name it was admitted by: of the workspace that judges now, or one before it.
  const auto as_of = [&](PersonId person) -> std::optional<Admitted> {
    const auto stands_as = [&](std::optional<history::EventId> event) {
      return event && history_.at(history_.base(*event)).has_row(person, record.time, position);
    };
    for (Live* live : {next_.get(), live_.get()}) {
      if (live == nullptr) continue;
      if (const auto event = live->event_of(live->taxonomy.name(record), history_); stands_as(event))
        return Admitted{person, history_.event_name(*event)};
    }
    if (const auto event = history_.find_event(record.event); stands_as(event))
      return Admitted{person, history_.event_name(*event)};
    return std::nullopt;
  };
  RecordView copy;
  const RecordView& left = profiles_.without_blocked(record, copy);
  const Value named = contacts_of(left).named;
  if (const auto person = profiles_.find(left, named)) {
    if (const auto found = as_of(*person)) return found;
  }
  // It came before what names it was blocked.
  if (&left != &record) {
    const auto person = profiles_.find(record, Value());
    return person ? as_of(*person) : std::nullopt;
  }
  for (const auto kind : {IdentifierKind::email, IdentifierKind::phone}) {
    const std::string_view value = profiles::text_in(named, to_string(kind));
    if (value.empty() || !profiles_.graph().blocks(kind, value)) continue;
    const auto person = profiles_.find(kind, value);
    if (const auto found = person ? as_of(*person) : std::nullopt) return found;
  }
  return std::nullopt;
}

Value Engine::properties(const RecordView& record) const {
  Value properties = properties_of(record);
  if (properties.kind != Value::Kind::object) properties = Value::with(Value::Kind::object);
  if (live_ != nullptr) live_->taxonomy.convert(live_->taxonomy.name(record), properties);
  return properties;
}

void Engine::admit(Position position, const RecordView& record, history::EventId event,
                   const Value& properties, Output& output) {
  RecordView copy;
  const RecordView& left = profiles_.without_blocked(record, copy);
  const Aside aside = aside_of(record);
  const auto effect = profiles_.apply(position, left, Value(), aside.consent, contacts_of(left));
  profiles_.see(effect.person, aside.clicks, record.time);
  touched_.clear();
  history_.insert(event, effect.person, record.time, position, record.message_id, properties, *ids_,
                  &touched_);
  ++counts_.events;
  note_effect(effect, touched_, record.time, output);
}

void Engine::apply_person(Position position, const RecordView& record, Output& output) {
  Value traits = parse_payload(record.payload);
  if (record.kind == RecordKind::group) {
    Value group = Value::with(Value::Kind::object);
    group.members.emplace_back("group_id", Value::of(std::string(record.group_id)));
    if (traits.kind == Value::Kind::object) group.members.emplace_back("group", std::move(traits));
    traits = std::move(group);
  }
  RecordView copy;
  const RecordView& left = profiles_.without_blocked(record, copy);
  const Aside aside = aside_of(record);
  const auto effect = profiles_.apply(position, left, traits, aside.consent, contacts_of(left));
  profiles_.see(effect.person, aside.clicks, record.time);
  touched_.clear();
  for (const PersonId gone : effect.merged) {
    history_.move(gone, effect.person, *ids_, &touched_);
    for (auto& [sync, people] : sync_entries_) {
      const auto moved = people.find(gone.value);
      if (moved == people.end()) continue;
      auto times = std::move(moved->second);
      people.erase(moved);
      auto& into = people[effect.person.value];
      into.insert(into.end(), times.begin(), times.end());
      std::sort(into.begin(), into.end());
    }
  }
  note_effect(effect, touched_, record.time, output);
}

void Engine::note_effect(const profiles::Profiles::Effect& effect, std::span<const history::StreamId> touched,
                         Time event_time, Output& output) {
  std::vector<Delta> unseen;
  for (Live* live : {live_.get(), next_.get()}) {
    if (live == nullptr) continue;
    auto& deltas = live == live_.get() ? output.deltas : unseen;
    const segments::Tracker::Touch touch{.person = effect.person,
                                         .created = effect.created,
                                         .all = !effect.merged.empty(),
                                         .streams = touched,
                                         .event_time = event_time,
                                         .traits = effect.traits,
                                         .purposes = effect.purposes,
                                         .sync = {}};
    if (effect.merged.empty()) live->tracker->touch(touch, now_, deltas);
    for (const PersonId gone : effect.merged) live->tracker->merge(gone, touch, now_, deltas);
  }
  output.changed_profiles.insert(output.changed_profiles.end(), effect.merged.begin(), effect.merged.end());
  if (live_ && live_->syncs_carry_attributes) output.changed_attributes.push_back(effect.person);
  const bool contact = std::any_of(effect.traits.begin(), effect.traits.end(), [&](profiles::TraitId trait) {
    return profiles_.trait_name(trait) == "email" || profiles_.trait_name(trait) == "phone";
  });
  if (effect.identifiers_changed || contact || !effect.purposes.empty())
    output.changed_profiles.push_back(effect.person);
}

void Engine::apply_deletion(Position position, const RecordView& record, Output& output) {
  const Value contact = contacts_of(record).named;
  auto removal = profiles_.remove(record, contact);
  if (!removal) {
    // Nobody is known by it (any more: a deletion that was cut short is finished at the next start), but
    // records may name it.
    std::vector<Identifier> named;
    const auto add = [&](IdentifierKind kind, std::string_view value) {
      if (!value.empty()) named.push_back({kind, std::string(value), record.time});
    };
    add(IdentifierKind::external_id, record.user_id);
    add(IdentifierKind::anonymous_id, record.anonymous_id);
    for (const auto kind : {IdentifierKind::email, IdentifierKind::phone})
      add(kind, profiles::text_in(contact, to_string(kind)));
    output.deletions.push_back({kNoPerson, std::move(named), {}, position, {}});
    return;
  }
  const PersonId person = removal->person;
  output.deletions.push_back({person, std::move(removal->identifiers), std::move(removal->created_by),
                              position, std::move(removal->pins)});
  history_.erase(person, nullptr);
  for (auto& [sync, people] : sync_entries_) people.erase(person.value);
  std::vector<Delta> unseen;
  if (live_) live_->tracker->remove(person, now_, output.deltas);
  if (next_) next_->tracker->remove(person, now_, unseen);
  output.changed_profiles.push_back(person);
  output.changed_profiles.insert(output.changed_profiles.end(), removal->heirs.begin(), removal->heirs.end());
}

bool Engine::is_theirs(const Deletion& deletion, Position position, const RecordView& record) const {
  const bool is_somebodys = record.kind != RecordKind::workspace && record.kind != RecordKind::tombstone;
  if (!is_somebodys || position > deletion.until) return false;
  const auto has = [&](std::string_view value) {
    return !value.empty() && std::ranges::any_of(deletion.identifiers, [&](const Identifier& identifier) {
      const bool is_id =
          identifier.kind == IdentifierKind::external_id || identifier.kind == IdentifierKind::anonymous_id;
      return is_id && identifier.value == value;
    });
  };
  const auto has_contact = [&](const profiles::Contact& contact) {
    return std::ranges::any_of(deletion.identifiers, [&](const Identifier& identifier) {
      return identifier.kind == contact.kind &&
             profiles::is_same(contact.kind, identifier.value, contact.value);
    });
  };
  RecordView copy;
  const RecordView& left = profiles_.without_blocked(record, copy);
  if (has(left.user_id)) return true;
  // An alias that was held back did nothing for anybody else.
  const auto is_held_back = [&] {
    return std::ranges::any_of(quarantine_,
                               [&](const Quarantined& item) { return item.position == position; });
  };
  if (has(record.previous_id) && is_held_back()) return true;
  const profiles::Contacts contacts = contacts_of(left);
  if (record.kind == RecordKind::alias && record.previous_id.empty()) {
    const profiles::Contact previous = profiles_.contact_in(contacts.previous);
    if (!previous.value.empty() && has_contact(previous) && is_held_back()) return true;
  }
  // On a device that several people used, what somebody with a user id did is theirs.
  // An alias may have named them by it before anything else did.
  for (const auto kind : {IdentifierKind::external_id, IdentifierKind::anonymous_id}) {
    if (!left.user_id.empty() && profiles_.find(kind, left.user_id)) return false;
  }
  if (has(left.anonymous_id)) return true;
  if (!left.user_id.empty() || !left.anonymous_id.empty()) return false;
  if (const profiles::Contact named = profiles_.contact_in(contacts.named); !named.value.empty())
    return has_contact(named);
  // All by which it names somebody is blocked: nobody's, but it names them.
  if (!record.user_id.empty() || !record.anonymous_id.empty())
    return has(record.user_id) || has(record.anonymous_id);
  for (const auto kind : {IdentifierKind::email, IdentifierKind::phone}) {
    const std::string_view value = profiles::text_in(contacts.named, to_string(kind));
    if (!value.empty() && has_contact({kind, value})) return true;
  }
  return std::ranges::any_of(deletion.identifiers, [&](const Identifier& identifier) {
    return record.payload.find(identifier.value) != std::string_view::npos ||
           record.context.find(identifier.value) != std::string_view::npos;
  });
}

void Engine::enter_sync(const std::string& sync, PersonId person, Time at, Output& output) {
  person = profiles_.survivor(person);
  if (!profiles_.alive(person)) return;
  auto& times = sync_entries_[sync][person.value];
  const auto place = std::lower_bound(times.begin(), times.end(), at);
  if (place != times.end() && *place == at) return;
  times.insert(place, at);
  std::vector<Delta> unseen;
  for (Live* live : {live_.get(), next_.get()}) {
    if (live == nullptr) continue;
    live->tracker->touch({.person = person,
                          .created = false,
                          .all = false,
                          .streams = {},
                          .event_time = {},
                          .traits = {},
                          .purposes = {},
                          .sync = sync},
                         now_, live == live_.get() ? output.deltas : unseen);
  }
}

void Engine::advance(Time t, Output& output) {
  now_ = std::max(now_, t);
  std::vector<Delta> unseen;
  if (live_) live_->tracker->advance(now_, output.deltas);
  if (next_) next_->tracker->advance(now_, unseen);
}

Time Engine::next_change() { return live_ ? live_->tracker->next_change() : kNever; }

Result<std::unique_ptr<Engine::Live>> Engine::compile(workspace::Workspace workspace) {
  Zone zone = TRY(Zone::named(workspace.time_zone));
  auto live = std::make_unique<Live>(std::move(workspace), std::move(zone));
  for (const auto& event : live->workspace.taxonomy.events) {
    for (const auto& property : event.properties) {
      if (!property.indexed) continue;
      const bool adds_up = property.type == language::Type::number;
      history_.keep_column(history_.event(event.name), property.name,
                           adds_up ? history::Sums::kept : history::Sums::none);
    }
  }
  segments::Compiler compiler(history_, profiles_, references_of(live->workspace));
  std::vector<segments::Tracker::Segment> compiled;
  const auto add = [&](const language::ExprPtr& expr) -> Result<void> {
    segments::Tracker::Segment segment;
    segment.condition = TRY(compiler.compile(expr, segment.dependencies));
    segment.meaning = compiler.meaning(expr);
    compiled.push_back(std::move(segment));
    return {};
  };
  for (const auto& segment : live->workspace.segments) TRY(add(segment.expr));
  for (const auto& sync : live->workspace.syncs) TRY(add(workspace::audience_expression(sync, live->zone)));
  for (const auto& sync : live->workspace.syncs) {
    const auto expired = workspace::expired_expression(sync, live->zone);
    live->expired.push_back(expired ? std::optional(SegmentId(static_cast<std::uint32_t>(compiled.size())))
                                    : std::nullopt);
    if (expired) TRY(add(expired));
  }
  live->syncs_carry_attributes = sync_carries_attributes(live->workspace);
  if (carries_attributes(live->workspace)) {
    for (const auto& attribute : live->workspace.attributes) {
      segments::Dependencies unused;  // their streams are kept as those of segments are
      live->attributes.push_back(TRY(compiler.compile_value(attribute.expr, unused)));
    }
  }
  live->tracker = std::make_unique<segments::Tracker>(world(live->zone, live->workspace.consent_unknown),
                                                      compiler.ranks(), std::move(compiled));
  return live;
}

std::vector<Value> Engine::attributes(PersonId person) const {
  std::vector<Value> values;
  if (live_ == nullptr) return values;
  for (const auto& attribute : live_->attributes) {
    const segments::Scalar value = live_->tracker->value(*attribute, person, now_);
    switch (value.kind) {
      case segments::Scalar::Kind::missing:
        values.emplace_back();
        break;
      case segments::Scalar::Kind::boolean:
        values.push_back(Value::of(value.boolean));
        break;
      case segments::Scalar::Kind::number:
        values.push_back(Value::of(value.number));
        break;
      case segments::Scalar::Kind::string:
        values.push_back(Value::of(std::string(value.text)));
        break;
      case segments::Scalar::Kind::time:
        values.push_back(Value::of(format_time(value.time)));
        break;
      case segments::Scalar::Kind::list:
        values.push_back(value.list == nullptr ? Value() : *value.list);
        break;
    }
  }
  return values;
}

// Compiles and takes back what compiling added to the history.
Result<void> Engine::check(const workspace::Workspace& workspace) {
  while (work_pending()) TRY(work());
  const auto mark = history_.begin_question();
  const auto compiled = compile(workspace);
  history_.give_up_backfill();
  history_.roll_back(mark);
  if (!compiled) return std::unexpected(compiled.error());
  return {};
}

Result<void> Engine::apply_workspace(Position position, const RecordView& record, Output& output) {
  while (work_pending()) TRY(work());
  const auto value = parse_json(record.payload);
  auto workspace = value ? workspace::from_value(*value) : std::unexpected(value.error());
  const auto accepted = workspace ? check(*workspace) : std::unexpected(workspace.error());
  if (!accepted) {
    // It is in the log for good, so it must not stop us at every start.
    quarantine_.push_back({position, "the workspace was not applied: " + accepted.error().message});
    return {};
  }
  deduplication_.set_window(workspace->dedup_window);
  profiles_.set_rules(workspace->identity);
  history_.begin_claims();
  next_ = TRY(compile(std::move(*workspace)));
  if (live_ != nullptr && live_->workspace.time_zone == next_->workspace.time_zone &&
      live_->workspace.consent_unknown == next_->workspace.consent_unknown)
    next_->tracker->carry_over(*live_->tracker);
  history_.begin_backfill();
  filling_ = true;
  TRY(judge_again(output));
  if (live_ == nullptr) {
    // Nobody waits for the one before.
    while (work_pending()) TRY(work());
  }
  return {};
}

// What the taxonomy before held back is judged by the new one.
Result<void> Engine::judge_again(Output& output) {
  const std::vector<Quarantined> held = std::exchange(quarantine_, {});
  std::string bytes;
  for (const Quarantined& item : held) {
    const RecordView again = TRY(records_.record(item.position, bytes));
    if (again.kind == RecordKind::tombstone) continue;
    if (again.kind == RecordKind::identify || again.kind == RecordKind::group ||
        again.kind == RecordKind::alias) {
      if (!held_back(item.position, again) && !seen_before(item.position, again))
        apply_person(item.position, again, output);
      continue;
    }
    if (again.kind != RecordKind::track && again.kind != RecordKind::page &&
        again.kind != RecordKind::screen) {
      quarantine_.push_back(item);
      continue;
    }
    Value properties = properties_of(again);
    const auto named = next_->taxonomy.name(again);
    std::string reason = next_->taxonomy.judge(named, properties);
    if (!reason.empty()) {
      quarantine_.push_back({item.position, std::move(reason)});
    } else if (!held_back(item.position, again) && !seen_before(item.position, again)) {
      next_->taxonomy.convert(named, properties);
      admit(item.position, again, history_.event(named.event), properties, output);
    }
  }
  return {};
}

Result<void> Engine::work() {
  TR_ASSERT(work_pending());
  if (filling_) {
    if (!history_.visit(slice_.visits)) return {};
    std::string bytes;
    for (std::size_t left = slice_.rows; left > 0; --left) {
      const auto* row = history_.next_row();
      filling_ = row != nullptr;
      if (!filling_) break;
      TRY(backfill(*row, bytes));
    }
    if (filling_) return sound();
    history_.finish_backfill();
  }
  next_->tracker->fill(slice_.people, now_);
  if (next_->tracker->filled()) finish_work();
  return sound();
}

void Engine::finish_work() {
  live_ = std::move(next_);
  history_.give_up_unclaimed();
  ++generation_;
}

Engine::Progress Engine::progress() const {
  if (!work_pending()) return {};
  // By what they cost: a record that is read again some microsecond, a person's step a tenth of one.
  constexpr double kRecord = 10;
  const auto history = history_.progress();
  const auto [evaluated, to_evaluate] = next_->tracker->fill_progress();
  Progress progress{.step = Progress::Step::people,
                    .filling = history.filling,
                    .done = evaluated,
                    .total = to_evaluate,
                    .share = 1,
                    .new_segments = next_->tracker->new_segments()};
  if (filling_ && history.people_visited < history.people) {
    progress.step = Progress::Step::columns;
    progress.done = history.people_visited;
    progress.total = history.people;
  } else if (filling_) {
    progress.step = Progress::Step::records;
    progress.done = history.rows_read;
    progress.total = history.rows;
  }
  const auto cost = [](std::uint64_t people, std::uint64_t records, std::uint64_t more_people) {
    return static_cast<double>(people) + kRecord * static_cast<double>(records) +
           static_cast<double>(more_people);
  };
  const double all = cost(history.people, history.rows, to_evaluate);
  if (all > 0) progress.share = cost(history.people_visited, history.rows_read, evaluated) / all;
  return progress;
}

std::optional<SegmentId> Engine::segment(std::string_view name) const {
  if (live_ == nullptr) return std::nullopt;
  const auto& segments = live_->workspace.segments;
  for (std::uint32_t i = 0; i < segments.size(); ++i) {
    if (segments[i].name == name) return SegmentId(i);
  }
  return std::nullopt;
}

SegmentId Engine::audience(SyncId sync) const {
  return SegmentId(static_cast<std::uint32_t>(live_->workspace.segments.size()) + sync.value);
}

std::optional<SyncId> Engine::sync_of(SegmentId segment) const {
  const auto first = static_cast<std::uint32_t>(live_->workspace.segments.size());
  const bool is_audience = segment.value >= first && segment.value - first < live_->workspace.syncs.size();
  return is_audience ? std::optional(SyncId(segment.value - first)) : std::nullopt;
}

std::optional<SegmentId> Engine::expired(SyncId sync) const { return live_->expired[sync.value]; }

std::vector<PersonId> Engine::members(SegmentId segment) const { return live_->tracker->members(segment); }
bool Engine::contains(SegmentId segment, PersonId person) const {
  return live_->tracker->contains(segment, person);
}
std::uint64_t Engine::size(SegmentId segment) const { return live_->tracker->size(segment); }

PersonProfile Engine::profile(PersonId person) const {
  auto profile =
      profiles_.profile(person, live_ ? live_->workspace.golden_id : IdentifierKind::external_id, now_);
  if (live_ && live_->syncs_carry_attributes && !profile.deleted) {
    std::vector<Value> values = attributes(person);
    for (std::size_t i = 0; i < values.size(); ++i)
      profile.attributes.emplace_back(live_->workspace.attributes[i].name, std::move(values[i]));
  }
  return profile;
}

std::string Engine::golden_id(PersonId person) const {
  return std::string(
      profiles_.golden_id(person, live_ ? live_->workspace.golden_id : IdentifierKind::external_id));
}

std::optional<PersonId> Engine::find_person(std::string_view identifier) const {
  return profiles_.find_by_any(identifier);
}

Counts Engine::counts() const {
  Counts counts = counts_;
  counts.people = profiles_.alive_count();
  counts.quarantined = quarantine_.size();
  return counts;
}

MemoryParts Engine::memory() const {
  MemoryParts parts;
  history_.add_memory(parts);
  for (const Live* live : {live_.get(), next_.get()}) {
    if (live != nullptr) live->tracker->add_memory(parts);
  }
  parts.add("deduplication", deduplication_.memory());
  profiles_.add_memory(parts);
  MemoryUse held = memory_of(quarantine_);
  for (const Quarantined& item : quarantine_) held += memory_of(item.reason);
  parts.add("quarantine", held);
  return parts;
}

Result<void> Engine::backfill(const history::History::BackfillRow& row, std::string& bytes) {
  const RecordView record = TRY(records_.record(row.position, bytes));
  const std::string message_id(record.message_id);  // reading another record may overwrite it
  Value& properties = looked_at(record, history_.event_of(row.stream));
  if (const Live* judge = next_ ? next_.get() : live_.get())
    judge->taxonomy.convert(judge->taxonomy.name(record), properties);
  history_.backfill(row, message_id, properties, *ids_);
  return {};
}

Result<void> Engine::backfill_all(std::optional<PersonId> only) {
  std::string bytes;
  history_.begin_backfill(only);
  while (!history_.visit(SIZE_MAX)) {
  }
  while (const auto* row = history_.next_row()) TRY(backfill(*row, bytes));
  history_.finish_backfill();
  return {};
}

template <class Ask>
auto Engine::ask(const workspace::Workspace& in, const language::ExprPtr& expr, Time from, Time to,
                 Ask answer, std::optional<PersonId> only)
    -> Result<decltype(answer(std::declval<Question&>()))> {
  if (work_pending()) {
    const Kept kept = TRY(settle(*this, in, expr));
    return ask(kept.in, kept.expr, from, to, answer, only);
  }
  const Zone zone = TRY(Zone::named(in.time_zone));
  const auto mark = history_.begin_question();
  struct RollBack {
    history::History& history;
    const history::History::Mark& mark;
    ~RollBack() { history.roll_back(mark); }
  };
  segments::Compiler compiler(history_, profiles_, references_of(in));
  segments::Dependencies dependencies;
  auto condition = compiler.compile(expr, dependencies);
  // A rank is of everybody.
  if (!compiler.ranks().empty()) only = std::nullopt;
  TRY(backfill_all(only));
  const RollBack roll_back{history_, mark};
  if (!condition) return std::unexpected(condition.error());
  segments::World seen = world(zone, in.consent_unknown);
  segments::Timelines timelines;
  seen.timelines = &timelines;
  const auto past_is_asked = [](const segments::RankPlan& rank) { return rank.past_is_asked; };
  if (std::any_of(compiler.ranks().begin(), compiler.ranks().end(), past_is_asked))
    from = std::min(from, segments::beginning_of(seen, compiler.ranks()));
  const segments::RankHistory ranks(seen, compiler.ranks(), from, to);
  seen.ranks = &ranks;
  Question question{std::move(*condition), expr, dependencies, compiler, seen};
  auto answered = answer(question);
  TRY(sound());
  return answered;
}

// In order, each person's memory fetched ahead of them.
template <class Visit>
void Engine::for_each_alive(const segments::Dependencies& dependencies, Visit visit) const {
  const auto limit = static_cast<std::uint32_t>(profiles_.person_limit());
  for (std::uint32_t id = 0; id < limit; ++id) {
    segments::prefetch_ahead(history_, dependencies.streams, id, limit);
    if (profiles_.alive(PersonId(id))) visit(PersonId(id));
  }
}

Result<std::vector<PersonId>> Engine::members_at(const workspace::Workspace& in,
                                                 const language::ExprPtr& expr, Time t) {
  return ask(in, expr, t, t, [&](Question& question) {
    std::vector<PersonId> result;
    const auto limit = static_cast<std::uint32_t>(profiles_.person_limit());
    for (PersonId first(0); first.value < limit; first.value += segments::kGroup) {
      const segments::Group group{first, profiles_.alive_among(first)};
      const auto found = question.condition->verdicts(question.world, group, t, segments::Holding::now);
      std::uint64_t inside = found.value;
      segments::each_prefetched(question.world, question.dependencies, {first, group.people & ~found.known},
                                [&](PersonId person) {
                                  if (question.condition->truth(question.world, person, t).value)
                                    inside |= bit_of(person.value - first.value);
                                });
      each_bit(inside, [&](std::uint32_t i) { result.push_back(group.at(i)); });
    }
    return result;
  });
}

Result<std::vector<PersonId>> Engine::audience_at(const workspace::Workspace& in,
                                                  const workspace::SyncConfig& sync, Time t) {
  return members_at(in, workspace::audience_expression(sync, TRY(Zone::named(in.time_zone))), t);
}

Result<std::vector<Transition>> Engine::transitions(const workspace::Workspace& in,
                                                    const language::ExprPtr& expr, Time from, Time to,
                                                    std::optional<PersonId> only) {
  const auto answer = [&](Question& question) {
    std::vector<Transition> result;
    const auto add = [&](PersonId person) {
      // Nothing but calendar words and fixed dates can change before a person's first record.
      const auto line = segments::timeline(question.world, *question.condition, person, from, to);
      bool inside = line.initially;
      for (const Time at : line.changes) {
        inside = !inside;
        result.push_back({at, person, inside ? Change::entered : Change::left});
      }
    };
    if (only) {
      add(*only);
    } else {
      for_each_alive(question.dependencies, add);
    }
    std::sort(result.begin(), result.end(), [](const Transition& a, const Transition& b) {
      return std::tie(a.at, a.person) < std::tie(b.at, b.person);
    });
    return result;
  };
  return ask(in, expr, from, to, answer, only);
}

Result<Backtest> Engine::backtest(const workspace::Workspace& in, const language::ExprPtr& expr, Time from,
                                  Time to) {
  if (to < from) return invalid("the end is before the beginning");
  if (to - from > segments::kPeriodMax) {
    return invalid(fmt::format("a backtest is of at most {} days", segments::kPeriodMax.count / kDay.count));
  }
  if (work_pending()) {
    const Kept kept = TRY(settle(*this, in, expr));
    return backtest(kept.in, kept.expr, from, to);
  }
  const Zone zone = TRY(Zone::named(in.time_zone));
  Backtest result;
  result.past = TRY(ask(in, expr, to, to, [&](Question& question) {
    segments::Dependencies dependencies;
    TR_ASSERT(question.compiler.compile(expr, dependencies).has_value());
    // Who entered before `from` is looked up too, so ranks are needed from where anything can have changed.
    Time beginning = from;
    if (const auto& ranks = question.compiler.ranks(); !ranks.empty()) {
      beginning = std::min(
          {beginning, dependencies.first_instant - Millis{1}, segments::beginning_of(question.world, ranks)});
    }
    segments::World seen = question.world;
    const segments::RankHistory ranks(seen, question.compiler.ranks(), beginning, to);
    seen.ranks = &ranks;
    return segments::backtest(seen, *question.condition, dependencies, segments::period_of(zone, from, to),
                              beginning);
  }));
  const bool live_now = &in == workspace() && to == now_;
  for (std::uint32_t i = 0; i < in.segments.size(); ++i) {
    const auto& segment = in.segments[i];
    const auto members = live_now ? this->members(SegmentId(i)) : TRY(members_at(in, segment.expr, to));
    result.overlaps.push_back({.segment = segment.name,
                               .size = members.size(),
                               .common = segments::common_count(result.past.members, members)});
  }
  return result;
}

Result<segments::Explanation> Engine::explain(const workspace::Workspace& in, const language::ExprPtr& expr,
                                              PersonId person, Time t) {
  // Ranks are followed a while into the future, so that "will next change" can name the instant.
  return ask(
      in, expr, t, t + kDay * 35,
      [&](Question& question) { return question.compiler.explain(question.world, question.expr, person, t); },
      person);
}

Result<segments::PlanView> Engine::plan(const workspace::Workspace& in, const std::string& name,
                                        const language::ExprPtr& expr, const segments::Stopwatch& stopwatch) {
  if (work_pending()) {
    const Kept kept = TRY(settle(*this, in, expr));
    return plan(kept.in, name, kept.expr, stopwatch);
  }
  constexpr std::uint32_t kSample = 1'000;
  const auto before = history_.mark();
  const auto references = references_of(in);
  auto view = TRY(ask(in, expr, now_, now_, [&](Question& question) {
    segments::PlanView made = segments::view_plan(history_, before, references, expr);
    const auto limit = static_cast<std::uint32_t>(profiles_.person_limit());
    std::vector<PersonId> sample;
    for (std::uint32_t id = 0; id < limit; id += std::max(1u, (limit + kSample - 1) / kSample)) {
      if (profiles_.alive(PersonId(id))) sample.emplace_back(id);
    }
    made.people = profiles_.alive_count();
    made.sample = sample.size();
    const auto measure = [&](const segments::Condition& condition) {
      return segments::nanoseconds_per_person(question.world, condition, sample, now_, stopwatch);
    };
    made.root.nanoseconds = measure(*question.condition);
    if (const auto* logical = language::as<language::Logical>(*expr)) {
      for (std::size_t i = 0; i < logical->operands.size(); ++i) {
        segments::Dependencies unused;
        const auto part = question.compiler.compile(logical->operands[i], unused);
        TR_ASSERT(part.has_value());
        made.root.parts[i].nanoseconds = measure(**part);
      }
    }
    return made;
  }));
  std::vector<std::pair<std::string, std::set<std::string>>> others;
  for (const auto& segment : in.segments) {
    if (segment.name != name)
      others.emplace_back(segment.name, segments::node_texts(references, segment.expr));
  }
  segments::note_shared(view.root, others);
  return view;
}

std::string Engine::save() const {
  ByteWriter out;
  save(out);
  return out.take();
}

void Engine::save(ByteWriter& out) const {
  TR_ASSERT(!work_pending());
  out.begin_part("engine");
  out.put(kSnapshotVersion);
  out.put(now_);
  out.put(counts_);
  out.put(live_ != nullptr);
  if (live_) out.put_string(to_json(workspace::to_value(live_->workspace)));
  history_.save(out);
  profiles_.save(out);
  deduplication_.save(out);
  out.begin_part("imports");
  out.put<std::uint64_t>(imports_.size());
  for (const auto& [source, records] : imports_) {
    out.put_string(source);
    out.put(records);
  }
  out.begin_part("quarantine");
  out.put<std::uint64_t>(quarantine_.size());
  for (const Quarantined& item : quarantine_) {
    out.put(item.position);
    out.put_string(item.reason);
  }
  out.begin_part("syncs");
  out.put<std::uint64_t>(sync_entries_.size());
  for (const auto& [sync, people] : sync_entries_) {
    out.begin_part("entries of a sync", hash64(sync));
    out.put_string(sync);
    out.put<std::uint64_t>(people.size());
    for (const auto& [person, times] : people) {
      out.put(person);
      out.put_array(times);
    }
  }
  if (live_) live_->tracker->save(out);
}

void Engine::reset() {
  live_.reset();
  next_.reset();
  history_ = {};
  profiles_ = {};
  deduplication_ = ingest::Deduplication(kDay * 30);
  sync_entries_.clear();
  filling_ = false;
  quarantine_.clear();
  imports_.clear();
  counts_ = {};
  generation_ = 0;
  now_ = kForeverAgo;
  expected_ = {};
}

Result<void> Engine::restore(std::string_view bytes) {
  ByteReader in(bytes);
  return restore(in);
}

Result<void> Engine::restore(ByteReader& in) {
  if (TRY(in.get<std::uint32_t>()) != kSnapshotVersion) {
    return fail(Error::Code::unsupported,
                "the snapshot is of another version; it will be made anew from the log");
  }
  now_ = TRY(in.get<Time>());
  counts_ = TRY(in.get<Counts>());
  const bool has_workspace = TRY(in.get<bool>());
  std::optional<workspace::Workspace> workspace;
  if (has_workspace) workspace = TRY(workspace::from_value(TRY(parse_json(TRY(in.get_view())))));
  TRY(history_.restore(in));
  TRY(profiles_.restore(in));
  TRY(deduplication_.restore(in));
  for (auto left = TRY(in.get_count(16)); left > 0; --left) {
    std::string source = TRY(in.get_string());
    imports_[std::move(source)] = TRY(in.get<std::uint64_t>());
  }
  for (auto left = TRY(in.get_count(16)); left > 0; --left) {
    const auto position = TRY(in.get<Position>());
    quarantine_.push_back({ position, TRY(in.get_string()) });
  }
  for (auto left = TRY(in.get_count(16)); left > 0; --left) {
    auto& people = sync_entries_[TRY(in.get_string())];
    for (auto entries = TRY(in.get_count(12)); entries > 0; --entries) {
      const auto person = TRY(in.get<std::uint32_t>());
      people[person] = TRY(in.get_array<Time>());
    }
  }
  if (workspace) {
    deduplication_.set_window(workspace->dedup_window);
    profiles_.restore_rules(workspace->identity);
    history_.begin_claims();
    live_ = TRY(compile(std::move(*workspace)));
    if (history_.backfill_pending())
      return fail(Error::Code::unsupported, "the snapshot lacks columns that the workspace needs");
    history_.give_up_unclaimed();
    TRY(live_->tracker->restore(in, now_));
    ++generation_;
  }
  if (!in.done()) return fail(Error::Code::corrupt, "the snapshot is longer than it should be");
  return {};
}

}  // namespace tailrace::engine
