#include "profiles/profiles.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "base/assert.h"
#include "model/json.h"

namespace tailrace::profiles {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Everything that is in a value beside itself.
std::uint64_t bytes_in(const Value& value) {
  std::uint64_t bytes =
      memory_of(value.string).bytes + memory_of(value.list).bytes + memory_of(value.members).bytes;
  for (const Value& element : value.list) bytes += bytes_in(element);
  for (const auto& [name, member] : value.members) bytes += memory_of(name).bytes + bytes_in(member);
  return bytes;
}

// Calls visit(trait, in), which reads or skips the value, for each statement of a record.
template <class Visit>
void for_each_statement(const TraitRecord& record, Visit visit) {
  Unpacker in(record.stated);
  for (std::uint64_t left = record.count; left > 0; --left) {
    const TraitId trait(static_cast<std::uint32_t>(in.varint()));
    visit(trait, in);
  }
}

// A person's statements about one purpose.
struct ConsentGroup {
  std::size_t begin = 0;  // of the group among the bytes
  std::string_view entries;
  static constexpr std::size_t kHead = 2 * sizeof(std::uint32_t);
  static constexpr std::size_t kEntry = sizeof(std::int64_t);
  std::size_t size() const { return entries.size() / kEntry; }
  std::int64_t entry(std::size_t i) const {
    std::int64_t value = 0;
    std::memcpy(&value, entries.data() + i * kEntry, sizeof value);
    return value;
  }
  // How many are at most that.
  std::size_t count_to(std::int64_t limit) const {
    std::size_t low = 0;
    for (std::size_t high = size(); low < high;) {
      const std::size_t middle = (low + high) / 2;
      if (entry(middle) <= limit) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};
constexpr std::int64_t entry_of(Time time, bool granted) {
  constexpr std::int64_t kFar = std::int64_t{1} << 61;  // beyond it all is one instant
  return std::clamp(time.ms, -kFar, kFar) * 2 + !granted;
}
constexpr Time time_of(std::int64_t entry) { return {entry >> 1}; }
constexpr bool granted_by(std::int64_t entry) { return (entry & 1) == 0; }

constexpr std::array kOfWhichOneIsPrimary{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                                          IdentifierKind::aaid};

// Those of a kind: what is stated now, then the newest first.
void put_primary_first(std::vector<Identifier>& identifiers, IdentifierKind kind, std::string_view stated) {
  std::vector<std::size_t> places;
  std::vector<Identifier> of_kind;
  for (std::size_t i = 0; i < identifiers.size(); ++i) {
    if (identifiers[i].kind != kind) continue;
    places.push_back(i);
    of_kind.push_back(std::move(identifiers[i]));
  }
  std::ranges::stable_sort(of_kind, [&](const Identifier& a, const Identifier& b) {
    const bool a_is_stated = is_same(kind, a.value, stated);
    const bool b_is_stated = is_same(kind, b.value, stated);
    if (a_is_stated != b_is_stated) return a_is_stated;
    return a.since != b.since ? a.since > b.since : a.value < b.value;
  });
  for (std::size_t i = 0; i < places.size(); ++i) identifiers[places[i]] = std::move(of_kind[i]);
}

template <class Visit>
void for_each_consent(std::string_view consents, Visit visit) {
  Unpacker in(consents);
  while (!in.done()) {
    const std::size_t begin = consents.size() - in.rest().size();
    const PurposeId purpose(in.fixed<std::uint32_t>());
    const auto count = in.fixed<std::uint32_t>();
    visit(purpose, ConsentGroup{begin, in.bytes(std::uint64_t{count} * ConsentGroup::kEntry)});
  }
}
std::optional<ConsentGroup> find_consent(std::string_view consents, PurposeId wanted) {
  std::optional<ConsentGroup> found;
  for_each_consent(consents, [&](PurposeId purpose, const ConsentGroup& group) {
    if (purpose == wanted) found = group;
  });
  return found;
}

// The record's previous contact was another's, who is gone now.
bool names_in_vain(const RecordView& record, const Contact& previous) {
  return !previous.value.empty() && (record.pinned & pin_of(previous.kind)) != 0;
}

}  // namespace

std::string_view text_in(const Value& object, std::string_view name) {
  const Value* value = object.kind == Value::Kind::object ? object.find(name) : nullptr;
  return value != nullptr && value->kind == Value::Kind::string ? trimmed(value->string) : std::string_view();
}

TraitId Profiles::trait(std::string_view name) {
  if (const auto known = trait_ids_.find(name); known != trait_ids_.end()) return known->second;
  const TraitId id(static_cast<std::uint32_t>(trait_names_.size()));
  trait_names_.emplace_back(name);
  trait_ids_.emplace(name, id);
  return id;
}

PurposeId Profiles::purpose(std::string_view name) {
  if (const auto known = purpose_ids_.find(name); known != purpose_ids_.end()) return known->second;
  const PurposeId id(static_cast<std::uint32_t>(purpose_names_.size()));
  purpose_names_.emplace_back(name);
  purpose_ids_.emplace(name, id);
  return id;
}

std::optional<PersonId> Profiles::find(const RecordView& record, const Value& named) const {
  if (!record.user_id.empty()) {
    if (const auto known = directory().find(IdentifierKind::external_id, record.user_id)) return known;
    // An alias may have named it as a previous id, before anything else did.
    return directory().find(IdentifierKind::anonymous_id, record.user_id);
  }
  if (!record.anonymous_id.empty())
    return directory().find(IdentifierKind::anonymous_id, record.anonymous_id);
  return find_contact(named);
}

Contact Profiles::contact_in(const Value& named) const {
  for (const auto kind : {IdentifierKind::email, IdentifierKind::phone}) {
    const std::string_view value = text_in(named, to_string(kind));
    if (!value.empty() && !graph_.blocks(kind, value)) return {kind, value};
  }
  return {};
}

std::optional<PersonId> Profiles::find_contact(const Value& named) const {
  const Contact contact = contact_in(named);
  return contact.value.empty() ? std::nullopt : directory().find(contact.kind, contact.value);
}

bool Profiles::is_wholly_anonymous(PersonId person) const {
  bool anonymous = true;
  graph_.for_each_identifier(
      person, [&](const IdentityEntry& known) { anonymous &= known.kind == IdentifierKind::anonymous_id; });
  return anonymous;
}

const RecordView& Profiles::without_blocked(const RecordView& record, RecordView& copy) const {
  const auto blocks = [&](IdentifierKind kind, std::string_view value) {
    return !value.empty() && graph_.blocks(kind, value);
  };
  const bool user = blocks(IdentifierKind::external_id, record.user_id);
  const bool anonymous = blocks(IdentifierKind::anonymous_id, record.anonymous_id);
  const bool previous = blocks(IdentifierKind::external_id, record.previous_id) ||
                        blocks(IdentifierKind::anonymous_id, record.previous_id);
  if (!user && !anonymous && !previous) return record;
  copy = record;
  if (user) copy.user_id = {};
  if (anonymous) copy.anonymous_id = {};
  if (previous) copy.previous_id = {};
  return copy;
}

std::string Profiles::why_nobody(const RecordView& record, const Value& traits) const {
  RecordView copy;
  const RecordView& left = without_blocked(record, copy);
  if (!left.user_id.empty() || !left.anonymous_id.empty()) return "";
  std::string blocked;
  const auto add = [&](std::string_view what) {
    blocked += blocked.empty() ? "" : " and ";
    blocked += what;
  };
  if (!record.user_id.empty()) add("user id");
  if (!record.anonymous_id.empty()) add("anonymous id");
  for (const auto kind : {IdentifierKind::email, IdentifierKind::phone}) {
    const std::string_view value = text_in(traits, to_string(kind));
    if (value.empty()) continue;
    if (!graph_.blocks(kind, value)) return "";
    add(to_string(kind));
  }
  if (blocked.empty()) return "";
  return "it names nobody: its " + blocked + " is blocked by `identity` in tailrace.yaml";
}

std::optional<PersonId> Profiles::find_by_any(std::string_view value) const {
  for (const auto kind : {IdentifierKind::external_id, IdentifierKind::email, IdentifierKind::phone,
                          IdentifierKind::anonymous_id, IdentifierKind::idfa, IdentifierKind::aaid}) {
    if (const auto person = directory().find(kind, value)) return person;
  }
  return std::nullopt;
}

Value Stated::value() const {
  switch (kind) {
    case Kind::nothing:
      return {};
    case Kind::null:
      return Value::of_null();
    case Kind::boolean:
      return Value::of(boolean);
    case Kind::number:
      return Value::of(number);
    case Kind::text:
      return Value::of(std::string(text));
    case Kind::other:
      return *other;
  }
  return {};
}

PersonId Profiles::create(Position position) {
  const PersonId id(static_cast<std::uint32_t>(merged_into_.size()));
  skip();
  set_alive(id);
  graph_.add_creators(id, {&position, 1});
  return id;
}

std::vector<Identifier> Profiles::identifiers(PersonId person) const {
  std::vector<Identifier> result;
  graph_.for_each_identifier(person, [&](const IdentityEntry& known) {
    result.push_back({known.kind, std::string(known.value), known.time});
  });
  return result;
}

std::uint32_t Profiles::keep_other(const Value& value) {
  std::uint32_t place = 0;
  if (free_others_.empty()) {
    place = static_cast<std::uint32_t>(others_.size());
    others_.emplace_back();
  } else {
    place = free_others_.back();
    free_others_.pop_back();
  }
  others_[place] = value;
  other_bytes_ += bytes_in(others_[place]);
  return place;
}

// Of statements that go away.
void Profiles::release_others(std::string_view statements) {
  while (const auto last = take_last_record(statements)) {
    for_each_statement(read_record(last->body), [&](TraitId, Unpacker& in) {
      const ValueView value = read_value(in);
      if (value.kind != ValueView::Kind::other) return;
      other_bytes_ -= bytes_in(others_[value.other]);
      others_[value.other] = {};
      free_others_.push_back(value.other);
    });
  }
}

// Behind those that are equal in time and message id. Nearly always it is the last.
void Profiles::insert_record(PersonId person, std::string_view message_id, Time time,
                             std::string_view record) {
  std::string_view before = statements_.of(person);
  for (std::string_view rest = before; const auto last = take_last_record(rest);) {
    const TraitRecord other = read_record(last->body);
    if (std::tie(other.time, other.message_id) <= std::tie(time, message_id)) break;
    before = rest;
  }
  statements_.splice(person, before.size(), 0, record);
}

void Profiles::insert_consent(PersonId person, PurposeId purpose, std::int64_t entry) {
  const auto put = [](std::string& out, auto value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const std::string_view consents = consents_.of(person);
  const auto group = find_consent(consents, purpose);
  std::string written;
  if (!group) {
    put(written, purpose);
    put(written, std::uint32_t{1});
    put(written, entry);
    consents_.append(person, written);
    return;
  }
  const std::size_t place = group->count_to(entry);
  if (place > 0 && group->entry(place - 1) == entry) return;
  put(written, static_cast<std::uint32_t>(group->size() + 1));
  put(written, entry);
  const std::string_view count(written.data(), sizeof(std::uint32_t));
  const std::size_t begin = group->begin;
  consents_.splice(person, begin + ConsentGroup::kHead + place * ConsentGroup::kEntry, 0,
                   std::string_view(written).substr(count.size()));
  consents_.splice(person, begin + sizeof purpose, count.size(), count);
}

void Profiles::clear(PersonId person) {
  statements_.clear(person);
  consents_.clear(person);
  clicks_.clear(person);
  alive_[person.value / 64] &= ~alive_bit(person);
  --alive_count_;
}

PersonId Profiles::merge(PersonId a, PersonId b) {
  const PersonId survivor = std::min(a, b);
  const PersonId other = std::max(a, b);
  graph_.absorb(survivor, other);
  std::vector<std::string_view> records;  // the newest first
  for (std::string_view rest = statements_.of(other); const auto last = take_last_record(rest);)
    records.push_back(last->whole);
  for (std::size_t i = records.size(); i-- > 0;) {
    const TraitRecord record = read_record(records[i]);
    insert_record(survivor, record.message_id, record.time, records[i]);
  }
  for_each_consent(consents_.of(other), [&](PurposeId purpose, const ConsentGroup& group) {
    for (std::size_t i = 0; i < group.size(); ++i) insert_consent(survivor, purpose, group.entry(i));
  });
  clicks_.absorb(survivor, other);
  clear(other);
  merged_into_[other.value] = survivor;
  return survivor;
}

// Whom an identify finds to be this person: the anonymous one that it names beside the user id, unless that
// has a user id of its own; that of its previous id or contact, likewise.
std::optional<PersonId> Profiles::find_anonymous(const RecordView& record, const Value& previous) const {
  if (!record.previous_id.empty()) {
    const auto known = directory().find(IdentifierKind::anonymous_id, record.previous_id);
    return known && is_wholly_anonymous(*known) ? known : std::nullopt;
  }
  if (names_in_vain(record, contact_in(previous))) return std::nullopt;
  auto found = find_contact(previous);
  if (!found && !record.user_id.empty() && !record.anonymous_id.empty())
    found = directory().find(IdentifierKind::anonymous_id, record.anonymous_id);
  return found && !graph_.has_kind(*found, IdentifierKind::external_id) ? found : std::nullopt;
}

std::optional<PersonId> Profiles::find_previous(const RecordView& record, const Value& previous,
                                                IdentifierKind& kind) const {
  if (record.previous_id.empty()) {
    if (names_in_vain(record, contact_in(previous))) return std::nullopt;
    const auto found = find_contact(previous);
    const bool has_name = found && graph_.has_kind(*found, IdentifierKind::external_id);
    kind = has_name ? IdentifierKind::external_id : IdentifierKind::anonymous_id;
    return found;
  }
  for (const auto each : {IdentifierKind::external_id, IdentifierKind::anonymous_id}) {
    kind = each;
    if (const auto found = directory().find(each, record.previous_id)) return found;
  }
  return std::nullopt;
}

std::optional<Refusal> Profiles::why_not(const RecordView& alias, const Contacts& contacts) const {
  IdentifierKind kind{};
  const auto previous = find_previous(alias, contacts.previous, kind);
  if (alias.kind != RecordKind::alias || !previous) return std::nullopt;
  const auto person = find(alias, contacts.named);
  if (person == previous) return std::nullopt;
  if (person) {
    if (!alias.previous_id.empty()) return graph_.why_not(*person, *previous, kind, kind, alias.previous_id);
    const Contact contact = contact_in(contacts.previous);
    return graph_.why_not(*person, *previous, kind, contact.kind, contact.value);
  }
  if (!graph_.rules().of(kind).merges) return Refusal::kind_does_not_merge;
  IdentifierKind named = IdentifierKind::external_id;
  if (alias.user_id.empty())
    named = alias.anonymous_id.empty() ? contact_in(contacts.named).kind : IdentifierKind::anonymous_id;
  if (!graph_.has_room(*previous, named)) return Refusal::too_many_together;
  return std::nullopt;
}

PersonId Profiles::survivor(PersonId person) const {
  while (merged_into_[person.value] != kNobody) person = merged_into_[person.value];
  return person;
}

void Profiles::see(PersonId person, std::span<const SeenClick> clicks, Time at) {
  for (const auto& [kind, value] : clicks) clicks_.see(person, {kind, value, at, at});
}

void Profiles::join(Effect& effect, PersonId other, IdentifierKind kind, std::string_view value,
                    const Said& said) {
  const PersonId survivor = merge(effect.person, other);
  const PersonId gone = survivor == other ? effect.person : other;
  graph_.note_join(survivor, gone, kind, value, said);
  // Whom this record made known nobody has heard of.
  if (effect.created && gone == effect.person) {
    effect.created = false;
  } else {
    effect.merged.push_back(gone);
  }
  effect.person = survivor;
  effect.identifiers_changed = true;
}

Profiles::Effect Profiles::apply(Position position, const RecordView& record, const Value& traits,
                                 const Value& consent, const Contacts& contacts) {
  Effect effect;
  // Events of somebody known say nothing of who is who: they are spared the look-ups.
  const bool names_somebody = record.kind == RecordKind::identify || record.kind == RecordKind::alias;
  // Another person who is this one by what the record says.
  IdentifierKind through = IdentifierKind::anonymous_id;
  std::optional<PersonId> other;
  if (record.kind == RecordKind::identify) other = find_anonymous(record, contacts.previous);
  if (record.kind == RecordKind::alias) other = find_previous(record, contacts.previous, through);
  auto found = find(record, contacts.named);
  // They take on the name that nobody has yet.
  if (!found && other && graph_.rules().of(through).merges) found = other;
  effect.created = !found;
  effect.person = found ? *found : create(position);
  if (effect.created || names_somebody) {
    const Said said{record.time, position, graph_.source(message_scope(record.source))};
    const auto claim = [&](IdentifierKind kind, std::string_view value) {
      effect.identifiers_changed |= graph_.claim(effect.person, kind, value, said);
    };
    const auto claim_name = [&] {
      if (!record.user_id.empty()) {
        claim(IdentifierKind::external_id, record.user_id);
      } else if (!record.anonymous_id.empty()) {
        claim(IdentifierKind::anonymous_id, record.anonymous_id);
      } else if (const Contact named = contact_in(contacts.named); !named.value.empty()) {
        // Of those that nobody else has.
        effect.identifiers_changed |=
            graph_.state(effect.person, named.kind, named.value, said, false).changed;
      }
    };
    const bool is_alias = record.kind == RecordKind::alias;
    if (!is_alias) claim_name();
    const Contact previous = record.previous_id.empty() ? contact_in(contacts.previous) : Contact{};
    // By which the other is known.
    const std::string_view id =
        is_alias || !record.previous_id.empty() ? record.previous_id : record.anonymous_id;
    std::optional<Refusal> refusal;
    if (other && *other != effect.person) {
      const IdentifierKind kind = previous.value.empty() ? through : previous.kind;
      const std::string_view value = previous.value.empty() ? id : previous.value;
      // An alias that may not is held back before it comes here.
      refusal = graph_.why_not(effect.person, *other, through, kind, value);
      if (!refusal) join(effect, *other, kind, value, said);
    }
    // Whether an alias may was judged without the name it brings.
    if (is_alias) claim_name();
    if (!previous.value.empty()) state_previous(effect, record, previous, said);
    if (record.kind == RecordKind::identify) {
      for (const std::string_view each : {record.anonymous_id, record.previous_id}) {
        const bool is_judged = refusal && previous.value.empty() && each == id;
        if (!each.empty())
          effect.identifiers_changed |= graph_.claim(effect.person, IdentifierKind::anonymous_id, each, said,
                                                     is_judged ? *refusal : Refusal::somebody_elses);
      }
      state_identifiers(effect, record, traits, said);
    }
    if (is_alias && !id.empty() && !other) claim(IdentifierKind::anonymous_id, id);
  }

  if (record.kind == RecordKind::identify || record.kind == RecordKind::group)
    state_traits(effect, record, traits);
  state_consent(effect, record, consent);
  return effect;
}

// Whoever has the contact has become the person, or was not to; what nobody has is the person's.
void Profiles::state_previous(Effect& effect, const RecordView& record, const Contact& previous,
                              const Said& said) {
  const auto& [kind, value] = previous;
  const auto owner = directory().find(kind, value);
  const bool is_pinned = (record.pinned & pin_of(kind)) != 0;
  if (owner && *owner != effect.person) {
    graph_.pin_if_free(effect.person, kind, value, said);
  } else if (!owner && !is_pinned) {
    effect.identifiers_changed |= graph_.state(effect.person, kind, value, said, false).changed;
  }
}

void Profiles::state_identifiers(Effect& effect, const RecordView& record, const Value& traits,
                                 const Said& said) {
  for (const auto kind :
       {IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa, IdentifierKind::aaid}) {
    const std::string_view value = text_in(traits, to_string(kind));
    if (value.empty()) continue;
    const bool is_pinned = (record.pinned & pin_of(kind)) != 0;
    const auto stated = graph_.state(effect.person, kind, value, said, is_pinned);
    effect.identifiers_changed |= stated.changed;
    if (!stated.other) continue;
    if (const auto refusal = graph_.why_not(effect.person, *stated.other, kind, kind, value)) {
      graph_.refuse(effect.person, kind, value, *refusal, said, Graph::Claims::pinned);
    } else {
      join(effect, *stated.other, kind, value, said);
    }
  }
}

void Profiles::state_traits(Effect& effect, const RecordView& record, const Value& traits) {
  if (traits.kind != Value::Kind::object) return;
  std::string statements;
  for (const auto& [name, value] : traits.members) {
    if (name == "consent") {
      state_consent(effect, record, value);
      continue;
    }
    const TraitId id = trait(name);
    const bool outside = value.kind == Value::Kind::list || value.kind == Value::Kind::object;
    put_varint(statements, id.value);
    put_value(statements, value, outside ? keep_other(value) : 0);
    effect.traits.push_back(id);
  }
  if (!effect.traits.empty()) {
    std::string bytes;
    put_record(bytes, record.time, record.message_id, effect.traits.size(), statements);
    insert_record(effect.person, record.message_id, record.time, bytes);
  }
}

void Profiles::state_consent(Effect& effect, const RecordView& record, const Value& consent) {
  if (consent.kind != Value::Kind::object) return;
  for (const auto& [name, value] : consent.members) {
    if (value.kind == Value::Kind::boolean) {
      state_one_consent(effect, record, name, value.boolean);
    } else if (name == "categoryPreferences" && value.kind == Value::Kind::object) {
      for (const auto& [category, preference] : value.members) {
        if (preference.kind == Value::Kind::boolean)
          state_one_consent(effect, record, category, preference.boolean);
      }
    }
  }
}

void Profiles::state_one_consent(Effect& effect, const RecordView& record, std::string_view name,
                                 bool granted) {
  const PurposeId id = purpose(name);
  insert_consent(effect.person, id, entry_of(record.time, granted));
  effect.purposes.push_back(id);
}

std::optional<Profiles::Removal> Profiles::remove(const RecordView& record, const Value& named) {
  auto person = find(record, named);
  // What is blocked may have been somebody's before.
  const bool has_id = !record.user_id.empty() || !record.anonymous_id.empty();
  for (const auto kind : {IdentifierKind::email, IdentifierKind::phone}) {
    if (!person && !has_id) person = directory().find(kind, text_in(named, to_string(kind)));
  }
  if (!person) return std::nullopt;
  Removal removal{.person = *person,
                  .identifiers = {},
                  .created_by = graph_.created_by(*person),
                  .pins = {},
                  .heirs = {}};
  // By an e-mail that somebody else has too, records are found that are the other's.
  for (Identifier& identifier : identifiers(*person)) {
    if (directory().find(identifier.kind, identifier.value) == person)
      removal.identifiers.push_back(std::move(identifier));
  }
  release_others(statements_.of(*person));
  auto removed = graph_.remove(*person, [this](PersonId one) { return survivor(one); });
  removal.pins = std::move(removed.pins);
  removal.heirs = std::move(removed.heirs);
  clear(*person);
  return removal;
}

Stated Profiles::stated(const ValueView& value, Time time, Time until) const {
  using Kind = ValueView::Kind;
  Stated result{.kind = Stated::Kind::null,
                .boolean = value.boolean,
                .number = value.number,
                .text = value.text,
                .other = nullptr,
                .time = time,
                .until = until};
  switch (value.kind) {
    case Kind::null:
      break;
    case Kind::boolean:
      result.kind = Stated::Kind::boolean;
      break;
    case Kind::number:
      result.kind = Stated::Kind::number;
      break;
    case Kind::text:
      result.kind = Stated::Kind::text;
      break;
    case Kind::other:
      result.kind = Stated::Kind::other;
      result.other = &others_[value.other];
      break;
  }
  return result;
}

Stated Profiles::trait_at(PersonId person, TraitId trait, Time t) const {
  Time until = kNever;
  for (std::string_view rest = statements_.of(person); const auto last = take_last_record(rest);) {
    const TraitRecord record = read_record(last->body);
    std::optional<Unpacker> found;  // the last of the record
    for_each_statement(record, [&](TraitId stated, Unpacker& in) {
      if (stated == trait) found = in;
      skip_value(in);
    });
    if (!found) continue;
    if (record.time <= t) return stated(read_value(*found), record.time, until);
    until = record.time;
  }
  Stated nothing;
  nothing.until = until;
  return nothing;
}

StatedConsent Profiles::consent_at(PersonId person, PurposeId purpose, Time t) const {
  StatedConsent result;
  const auto group = find_consent(consents_.of(person), purpose);
  if (!group) return result;
  const std::size_t after = group->count_to(entry_of(t, false));
  if (after > 0) result.granted = granted_by(group->entry(after - 1));
  if (after < group->size()) result.until = time_of(group->entry(after));
  return result;
}

Time Profiles::first_time(PersonId person) const {
  Time first = kNever;
  if (const std::string_view statements = statements_.of(person); !statements.empty())
    first = read_record(statements).time;
  for_each_consent(consents_.of(person), [&](PurposeId, const ConsentGroup& group) {
    first = std::min(first, time_of(group.entry(0)));
  });
  return first;
}

std::string_view Profiles::golden_id(PersonId person, IdentifierKind golden) const {
  std::optional<IdentityEntry> best;
  const auto better = [&](const IdentityEntry& candidate) {
    if (!best) return true;
    if ((candidate.kind == golden) != (best->kind == golden)) return candidate.kind == golden;
    if (candidate.kind != best->kind) return candidate.kind < best->kind && best->kind != golden;
    return std::tie(candidate.time, candidate.value) < std::tie(best->time, best->value);
  };
  graph_.for_each_identifier(person, [&](const IdentityEntry& candidate) {
    if (better(candidate)) best = candidate;
  });
  return best ? best->value : std::string_view();
}

PersonProfile Profiles::profile(PersonId person, IdentifierKind golden, Time now) const {
  PersonProfile result;
  result.id = person;
  result.deleted = !alive(person);
  if (result.deleted) return result;
  result.golden_id = golden_id(person, golden);
  result.traits = Value::with(Value::Kind::object);
  std::map<TraitId, Stated> latest;
  // What was taken back is not theirs any more, and stays known for look-ups.
  struct TakenBack {
    std::optional<TraitId> trait;  // the kind's
    std::optional<Time> at;
    std::vector<std::string_view> stated_since;
  };
  std::array<TakenBack, kOfWhichOneIsPrimary.size()> taken_back;
  for (std::size_t i = 0; i < taken_back.size(); ++i) {
    const auto known = trait_ids_.find(to_string(kOfWhichOneIsPrimary[i]));
    if (known != trait_ids_.end()) taken_back[i].trait = known->second;
  }
  for (std::string_view rest = statements_.of(person); const auto last = take_last_record(rest);) {
    const TraitRecord record = read_record(last->body);
    if (record.time > now) continue;
    std::map<TraitId, Stated> of_record;
    for_each_statement(record, [&](TraitId trait, Unpacker& in) {
      of_record[trait] = stated(read_value(in), record.time, kNever);
    });
    for (TakenBack& back : taken_back) {
      const auto said = back.trait ? of_record.find(*back.trait) : of_record.end();
      if (back.at || said == of_record.end()) continue;
      if (said->second.kind == Stated::Kind::null) back.at = record.time;
      if (said->second.kind == Stated::Kind::text) back.stated_since.push_back(trimmed(said->second.text));
    }
    latest.merge(of_record);  // what a later record states stays
  }
  for (const auto& [trait, stated] : latest) {
    if (stated.kind != Stated::Kind::null)
      result.traits.members.emplace_back(trait_names_[trait.value], stated.value());
  }
  for (Identifier& identifier : identifiers(person)) {
    const auto kind = std::ranges::find(kOfWhichOneIsPrimary, identifier.kind);
    const TakenBack* back =
        kind == kOfWhichOneIsPrimary.end()
            ? nullptr
            : &taken_back.at(static_cast<std::size_t>(kind - kOfWhichOneIsPrimary.begin()));
    const bool is_taken_back = back != nullptr && back->at && identifier.since <= *back->at &&
                               std::ranges::none_of(back->stated_since, [&](std::string_view stated) {
                                 return is_same(identifier.kind, stated, identifier.value);
                               });
    const bool is_to_come = back != nullptr && identifier.since > now;
    if (is_taken_back || is_to_come || graph_.blocks(identifier.kind, identifier.value)) continue;
    result.identifiers.push_back(std::move(identifier));
  }
  for (const auto kind : kOfWhichOneIsPrimary)
    put_primary_first(result.identifiers, kind, text_in(result.traits, to_string(kind)));
  for_each_consent(consents_.of(person), [&](PurposeId purpose, const ConsentGroup& group) {
    const std::size_t after = group.count_to(entry_of(now, false));
    if (after > 0)
      result.consent.emplace_back(purpose_names_[purpose.value], granted_by(group.entry(after - 1)));
  });
  return result;
}

void Profiles::add_memory(MemoryParts& parts) const {
  MemoryUse use = memory_of(merged_into_);
  use += memory_of(alive_);
  use += statements_.memory();
  use += consents_.memory();
  use += clicks_.memory();
  use += memory_of(others_);
  use += memory_of(free_others_);
  use += {other_bytes_, 0};
  graph_.add_memory(parts, use);
  parts.add("profiles", use);
}

void Profiles::save(ByteWriter& out) const {
  const auto put_names = [&](const std::vector<std::string>& names) {
    out.put<std::uint64_t>(names.size());
    for (const std::string& name : names) out.put_string(name);
  };
  out.begin_part("names of traits and purposes");
  put_names(trait_names_);
  put_names(purpose_names_);
  graph_.save(out);
  out.begin_part("lists and objects of traits");
  out.put<std::uint64_t>(others_.size());
  for (const Value& value : others_) out.put_string(to_json(value));
  out.put_array(free_others_);
  out.begin_part("profiles");
  out.put<std::uint64_t>(merged_into_.size());
  for (std::uint32_t person = 0; person < merged_into_.size(); ++person) {
    if (begins_range(PersonId(person))) out.begin_range(1 + range_of(PersonId(person)));
    out.put<bool>(alive(PersonId(person)));
    out.put(merged_into_[person]);
    out.put_string(graph_.bytes_of(PersonId(person)));
    for (const PersonBytes* bytes : {&statements_, &consents_}) out.put_string(bytes->of(PersonId(person)));
    out.put_string(clicks_.bytes_of(PersonId(person)));
  }
}

Result<void> Profiles::restore(ByteReader& in) {
  TR_ASSERT(merged_into_.empty());
  for (auto left = TRY(in.get_count(8)); left > 0; --left) trait(TRY(in.get_view()));
  for (auto left = TRY(in.get_count(8)); left > 0; --left) purpose(TRY(in.get_view()));
  TRY(graph_.restore(in));
  for (auto left = TRY(in.get_count(8)); left > 0; --left) {
    others_.push_back(TRY(parse_json(TRY(in.get_view()))));
    other_bytes_ += bytes_in(others_.back());
  }
  free_others_ = TRY(in.get_array<std::uint32_t>());
  for (const std::uint32_t place : free_others_) {
    if (place >= others_.size()) return fail(Error::Code::corrupt, "a place of no list or object");
  }
  const auto count = TRY(in.get_count(37));
  merged_into_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    skip();
    if (TRY(in.get<unsigned char>()) != 0) set_alive(PersonId(i));
    merged_into_.back() = TRY(in.get<PersonId>());
    if (merged_into_.back() != kNobody && merged_into_.back().value >= i)
      return fail(Error::Code::corrupt, "a person merged into a younger one");
    const PersonId person(i);
    const auto take = [&](PersonBytes& kept, auto is_sound) -> Result<void> {
      const std::string_view bytes = TRY(in.get_view());
      if (!is_sound(bytes)) return fail(Error::Code::corrupt, "what is known of a person is damaged");
      if (!bytes.empty()) kept.append(person, bytes);
      return {};
    };
    TRY(graph_.restore_person(person, TRY(in.get_view())));
    TRY(take(statements_, [&](std::string_view bytes) {
      return is_statements(bytes, trait_names_.size(), others_.size());
    }));
    TRY(take(consents_, [&](std::string_view bytes) { return is_consents(bytes, purpose_names_.size()); }));
    TRY(clicks_.restore_person(person, TRY(in.get_view())));
  }
  return {};
}

}  // namespace tailrace::profiles
