#include "profiles/profiles.h"

#include <algorithm>
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

// A trait that names the person beyond this workspace.
std::string_view trait_text(const Value& traits, std::string_view name) {
  const Value* value = traits.kind == Value::Kind::object ? traits.find(name) : nullptr;
  return value != nullptr && value->kind == Value::Kind::string ? trimmed(value->string) : std::string_view();
}

bool before(const DatedValue& a, const DatedValue& b) {
  return std::tie(a.time, a.message_id) < std::tie(b.time, b.message_id);
}
// At the same time the stricter statement is the later one.
bool before(const DatedConsent& a, const DatedConsent& b) {
  return std::tuple(a.time, !a.granted, std::string_view(a.message_id)) <
         std::tuple(b.time, !b.granted, std::string_view(b.message_id));
}

template <class Dated>
void insert_dated(std::vector<Dated>& history, Dated statement) {
  const auto place = std::upper_bound(history.begin(), history.end(), statement,
                                      [](const Dated& a, const Dated& b) { return before(a, b); });
  history.insert(place, std::move(statement));
}

template <class Key, class Dated>
std::vector<Dated>& history_of(std::vector<std::pair<Key, std::vector<Dated>>>& histories, Key key) {
  for (auto& [known, history] : histories) {
    if (known == key) return history;
  }
  return histories.emplace_back(key, std::vector<Dated>()).second;
}

template <class Key, class Dated>
const std::vector<Dated>* find_history(const std::vector<std::pair<Key, std::vector<Dated>>>& histories,
                                       Key key) {
  for (const auto& [known, history] : histories) {
    if (known == key) return &history;
  }
  return nullptr;
}

template <class Key, class Dated>
void merge_histories(std::vector<std::pair<Key, std::vector<Dated>>>& into,
                     std::vector<std::pair<Key, std::vector<Dated>>>& from) {
  for (auto& [key, history] : from) {
    auto& target = history_of(into, key);
    for (auto& statement : history) insert_dated(target, std::move(statement));
  }
  from.clear();
}

template <class Dated>
const Dated* as_of(const std::vector<Dated>& history, Time t) {
  const auto after = std::upper_bound(history.begin(), history.end(), t,
                                      [](Time at, const Dated& s) { return at < s.time; });
  return after == history.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

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

std::optional<PersonId> Profiles::find(const RecordView& record, const Value& traits) const {
  if (!record.user_id.empty()) {
    if (const auto known = directory_.find(IdentifierKind::external_id, record.user_id)) return known;
    // An alias may have named it as a previous id, before anything else did.
    return directory_.find(IdentifierKind::anonymous_id, record.user_id);
  }
  if (!record.anonymous_id.empty()) return directory_.find(IdentifierKind::anonymous_id, record.anonymous_id);
  if (const auto email = trait_text(traits, "email"); !email.empty())
    return directory_.find(IdentifierKind::email, email);
  if (const auto phone = trait_text(traits, "phone"); !phone.empty())
    return directory_.find(IdentifierKind::phone, phone);
  return std::nullopt;
}

std::optional<PersonId> Profiles::find_by_any(std::string_view value) const {
  for (const auto kind : {IdentifierKind::external_id, IdentifierKind::email, IdentifierKind::phone,
                          IdentifierKind::anonymous_id}) {
    if (const auto person = directory_.find(kind, value)) return person;
  }
  return std::nullopt;
}

PersonId Profiles::create() {
  const PersonId id(static_cast<std::uint32_t>(people_.size()));
  people_.emplace_back();
  alive_.push_back(true);
  ++alive_count_;
  return id;
}

bool Profiles::add_identifier(PersonId person, IdentifierKind kind, std::string_view value, Time time) {
  auto& identifiers = people_[person.value].identifiers;
  for (Identifier& known : identifiers) {
    if (known.kind != kind || known.value != value) continue;
    known.since = std::min(known.since, time);
    return false;
  }
  identifiers.push_back({kind, std::string(value), time});
  return true;
}

bool Profiles::has_kind(PersonId person, IdentifierKind kind) const {
  const auto& identifiers = people_[person.value].identifiers;
  return std::any_of(identifiers.begin(), identifiers.end(),
                     [&](const Identifier& known) { return known.kind == kind; });
}

PersonId Profiles::merge(PersonId a, PersonId b) {
  const PersonId survivor = std::min(a, b);
  const PersonId other = std::max(a, b);
  Person& into = people_[survivor.value];
  Person& from = people_[other.value];
  for (const Identifier& identifier : from.identifiers) {
    // An e-mail may belong to several people; the directory's entry moves only where it was this one's.
    if (directory_.find(identifier.kind, identifier.value) == other)
      directory_.put(identifier.kind, identifier.value, survivor);
    add_identifier(survivor, identifier.kind, identifier.value, identifier.since);
  }
  merge_histories(into.traits, from.traits);
  merge_histories(into.consents, from.consents);
  into.created_by.insert(into.created_by.end(), from.created_by.begin(), from.created_by.end());
  from = {};
  from.merged_into = survivor;
  alive_[other.value] = false;
  --alive_count_;
  return survivor;
}

// The anonymous person that an identify with both ids names, unless it has a user id of its own.
std::optional<PersonId> Profiles::find_anonymous(const RecordView& record) const {
  if (record.user_id.empty() || record.anonymous_id.empty()) return std::nullopt;
  const auto found = directory_.find(IdentifierKind::anonymous_id, record.anonymous_id);
  return found && !has_kind(*found, IdentifierKind::external_id) ? found : std::nullopt;
}

std::optional<PersonId> Profiles::find_previous(const RecordView& record) const {
  if (record.previous_id.empty()) return std::nullopt;
  const auto found = directory_.find(IdentifierKind::external_id, record.previous_id);
  return found ? found : directory_.find(IdentifierKind::anonymous_id, record.previous_id);
}

PersonId Profiles::survivor(PersonId person) const {
  while (people_[person.value].merged_into != kNobody) person = people_[person.value].merged_into;
  return person;
}

Profiles::Effect Profiles::apply(Position position, const RecordView& record, const Value& traits,
                                 const Value& consent) {
  Effect effect;
  const auto claim = [&](IdentifierKind kind, std::string_view value) {
    if (directory_.find(kind, value)) return;
    directory_.put(kind, value, effect.person);
    effect.identifiers_changed |= add_identifier(effect.person, kind, value, record.time);
  };

  // Another person who is this one by what the record says.
  const auto other = record.kind == RecordKind::identify ? find_anonymous(record)
                     : record.kind == RecordKind::alias  ? find_previous(record)
                                                         : std::nullopt;
  auto found = find(record, traits);
  if (!found) found = other;
  effect.created = !found;
  effect.person = found ? *found : create();
  if (effect.created) people_[effect.person.value].created_by.push_back(position);
  // The ids of an event of somebody known are known: events are spared the look-up.
  const bool names_somebody = record.kind == RecordKind::identify || record.kind == RecordKind::alias;
  if (effect.created || names_somebody) {
    if (!record.user_id.empty()) {
      claim(IdentifierKind::external_id, record.user_id);
    } else if (!record.anonymous_id.empty()) {
      claim(IdentifierKind::anonymous_id, record.anonymous_id);
    }
  }
  if (other && *other != effect.person) {
    const PersonId survivor = merge(effect.person, *other);
    effect.merged = survivor == effect.person ? *other : effect.person;
    effect.person = survivor;
    effect.identifiers_changed = true;
  }
  if (record.kind == RecordKind::identify && !record.anonymous_id.empty())
    claim(IdentifierKind::anonymous_id, record.anonymous_id);
  if (record.kind == RecordKind::alias && !record.previous_id.empty() && !other)
    claim(IdentifierKind::anonymous_id, record.previous_id);

  if (record.kind == RecordKind::identify || record.kind == RecordKind::group)
    state_traits(effect, record, traits);
  state_consent(effect, record, consent);
  return effect;
}

void Profiles::state_traits(Effect& effect, const RecordView& record, const Value& traits) {
  if (traits.kind != Value::Kind::object) return;
  for (const auto& [name, value] : traits.members) {
    if (name == "consent") {
      state_consent(effect, record, value);
      continue;
    }
    const TraitId id = trait(name);
    insert_dated(history_of(people_[effect.person.value].traits, id),
                 {record.time, std::string(record.message_id), value});
    effect.traits.push_back(id);
  }
  for (const auto& [name, kind] :
       {std::pair("email", IdentifierKind::email), std::pair("phone", IdentifierKind::phone)}) {
    const std::string_view value = trait_text(traits, name);
    if (value.empty()) continue;
    if (!directory_.find(kind, value)) directory_.put(kind, value, effect.person);
    effect.identifiers_changed |= add_identifier(effect.person, kind, value, record.time);
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
  insert_dated(history_of(people_[effect.person.value].consents, id),
               {record.time, std::string(record.message_id), granted});
  effect.purposes.push_back(id);
}

std::optional<PersonId> Profiles::remove(const RecordView& record) {
  const auto person = find(record, Value());
  if (!person) return std::nullopt;
  Person& gone = people_[person->value];
  for (const Identifier& identifier : gone.identifiers) {
    if (directory_.find(identifier.kind, identifier.value) == *person)
      directory_.erase(identifier.kind, identifier.value);
  }
  gone = {};
  alive_[person->value] = false;
  --alive_count_;
  return person;
}

const std::vector<DatedValue>* Profiles::trait_history(PersonId person, TraitId trait) const {
  return person.value < people_.size() ? find_history(people_[person.value].traits, trait) : nullptr;
}

const std::vector<DatedConsent>* Profiles::consent_history(PersonId person, PurposeId purpose) const {
  return person.value < people_.size() ? find_history(people_[person.value].consents, purpose) : nullptr;
}

Time Profiles::first_time(PersonId person) const {
  if (person.value >= people_.size()) return kNever;
  Time first = kNever;
  for (const auto& [id, history] : people_[person.value].traits)
    first = std::min(first, history.front().time);
  for (const auto& [id, history] : people_[person.value].consents)
    first = std::min(first, history.front().time);
  return first;
}

std::string_view Profiles::golden_id(PersonId person, IdentifierKind golden) const {
  const Identifier* best = nullptr;
  const auto better = [&](const Identifier& candidate) {
    if (best == nullptr) return true;
    if ((candidate.kind == golden) != (best->kind == golden)) return candidate.kind == golden;
    if (candidate.kind != best->kind) return candidate.kind < best->kind && best->kind != golden;
    return std::tie(candidate.since, candidate.value) < std::tie(best->since, best->value);
  };
  for (const Identifier& candidate : people_[person.value].identifiers) {
    if (better(candidate)) best = &candidate;
  }
  return best == nullptr ? std::string_view() : best->value;
}

PersonProfile Profiles::profile(PersonId person, IdentifierKind golden, Time now) const {
  PersonProfile result;
  result.id = person;
  result.deleted = !alive(person);
  if (result.deleted) return result;
  const Person& source = people_[person.value];
  result.golden_id = golden_id(person, golden);
  result.traits = Value::with(Value::Kind::object);
  for (const auto& [id, history] : source.traits) {
    const DatedValue* latest = as_of(history, now);
    if (latest != nullptr && latest->value.present())
      result.traits.members.emplace_back(trait_names_[id.value], latest->value);
  }
  // Of e-mails and phones, those that are the person's now; the ones before them stay known, for look-ups.
  for (const Identifier& identifier : source.identifiers) {
    const bool contact = identifier.kind == IdentifierKind::email || identifier.kind == IdentifierKind::phone;
    if (!contact || trait_text(result.traits, to_string(identifier.kind)) == identifier.value)
      result.identifiers.push_back(identifier);
  }
  for (const auto& [id, history] : source.consents) {
    if (const DatedConsent* latest = as_of(history, now))
      result.consent.emplace_back(purpose_names_[id.value], latest->granted);
  }
  return result;
}

void Profiles::add_memory(MemoryParts& parts) const {
  MemoryUse use;  // of what those people have who are counted
  const auto add_text = [&](const std::string& text) { use += memory_of(text); };
  const auto add_value = [&](const auto& self, const Value& value) -> void {
    add_text(value.string);
    use += memory_of(value.list);
    use += memory_of(value.members);
    for (const Value& element : value.list) self(self, element);
    for (const auto& [name, member] : value.members) {
      add_text(name);
      self(self, member);
    }
  };
  const auto add_histories = [&](const auto& histories, const auto& add_statement) {
    use += memory_of(histories);
    for (const auto& [key, history] : histories) {
      use += memory_of(history);
      for (const auto& statement : history) {
        add_text(statement.message_id);
        add_statement(statement);
      }
    }
  };
  const std::size_t step = people_.size() / kCounted + 1;
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < people_.size(); i += step, ++counted) {
    const Person& person = people_[i];
    use += memory_of(person.created_by);
    use += memory_of(person.identifiers);
    for (const Identifier& identifier : person.identifiers) add_text(identifier.value);
    add_histories(person.traits, [&](const DatedValue& statement) { add_value(add_value, statement.value); });
    add_histories(person.consents, [](const DatedConsent&) {});
  }
  if (counted > 0) {
    use.bytes = use.bytes * people_.size() / counted;
    use.unused = use.unused * people_.size() / counted;
  }
  use += memory_of(people_);
  use += memory_of(alive_);
  parts.add("profiles", use);
  parts.add("directory", directory_.memory());
}

void Profiles::save(ByteWriter& out) const {
  const auto put_names = [&](const std::vector<std::string>& names) {
    out.put<std::uint64_t>(names.size());
    for (const std::string& name : names) out.put_string(name);
  };
  put_names(trait_names_);
  put_names(purpose_names_);
  directory_.save(out);
  out.put<std::uint64_t>(people_.size());
  for (std::size_t i = 0; i < people_.size(); ++i) {
    const Person& person = people_[i];
    out.put<bool>(alive_[i]);
    out.put(person.merged_into);
    out.put_array(person.created_by);
    out.put<std::uint64_t>(person.identifiers.size());
    for (const Identifier& identifier : person.identifiers) {
      out.put(identifier.kind);
      out.put_string(identifier.value);
      out.put(identifier.since);
    }
    out.put<std::uint64_t>(person.traits.size());
    for (const auto& [id, history] : person.traits) {
      out.put(id);
      out.put<std::uint64_t>(history.size());
      for (const DatedValue& statement : history) {
        out.put(statement.time);
        out.put_string(statement.message_id);
        out.put_string(to_json(statement.value));
      }
    }
    out.put<std::uint64_t>(person.consents.size());
    for (const auto& [id, history] : person.consents) {
      out.put(id);
      out.put<std::uint64_t>(history.size());
      for (const DatedConsent& statement : history) {
        out.put(statement.time);
        out.put_string(statement.message_id);
        out.put(statement.granted);
      }
    }
  }
}

Result<void> Profiles::restore(ByteReader& in) {
  TR_ASSERT(people_.empty());
  for (auto left = TRY(in.get_count(8)); left > 0; --left) trait(TRY(in.get_view()));
  for (auto left = TRY(in.get_count(8)); left > 0; --left) purpose(TRY(in.get_view()));
  TRY(directory_.restore(in));
  const auto count = TRY(in.get_count(29));
  people_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    Person person;
    const bool is_alive = TRY(in.get<bool>());
    person.merged_into = TRY(in.get<PersonId>());
    person.created_by = TRY(in.get_array<Position>());
    if (person.merged_into != kNobody && person.merged_into.value >= i)
      return fail(Error::Code::corrupt, "a person merged into a younger one");
    for (auto left = TRY(in.get_count(17)); left > 0; --left) {
      Identifier identifier;
      identifier.kind = TRY(in.get<IdentifierKind>());
      identifier.value = TRY(in.get_string());
      identifier.since = TRY(in.get<Time>());
      person.identifiers.push_back(std::move(identifier));
    }
    for (auto left = TRY(in.get_count(12)); left > 0; --left) {
      const auto id = TRY(in.get<TraitId>());
      if (id.value >= trait_names_.size()) return fail(Error::Code::corrupt, "an unknown trait");
      auto& history = history_of(person.traits, id);
      for (auto statements = TRY(in.get_count(24)); statements > 0; --statements) {
        DatedValue statement;
        statement.time = TRY(in.get<Time>());
        statement.message_id = TRY(in.get_string());
        statement.value = TRY(parse_json(TRY(in.get_view())));
        history.push_back(std::move(statement));
      }
    }
    for (auto left = TRY(in.get_count(12)); left > 0; --left) {
      const auto id = TRY(in.get<PurposeId>());
      if (id.value >= purpose_names_.size()) return fail(Error::Code::corrupt, "an unknown consent purpose");
      auto& history = history_of(person.consents, id);
      for (auto statements = TRY(in.get_count(17)); statements > 0; --statements) {
        DatedConsent statement;
        statement.time = TRY(in.get<Time>());
        statement.message_id = TRY(in.get_string());
        statement.granted = TRY(in.get<bool>());
        history.push_back(std::move(statement));
      }
    }
    alive_count_ += is_alive;
    alive_.push_back(is_alive);
    people_.push_back(std::move(person));
  }
  return {};
}

}  // namespace tailrace::profiles
