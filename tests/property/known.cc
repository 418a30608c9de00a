#include "property/known.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "support/text_spec.h"

namespace tailrace::testing {

namespace {

bool is_name(IdentifierKind kind) {
  return kind == IdentifierKind::external_id || kind == IdentifierKind::anonymous_id;
}

std::string compared(IdentifierKind kind, std::string text) {
  for (char& c : text) c = kind == IdentifierKind::email ? static_cast<char>(std::tolower(c)) : c;
  if (kind == IdentifierKind::phone) std::erase(text, ' ');
  return text;
}

// By recursion, not by the two fingers of the engine.
bool fits(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*')
    return fits(pattern.substr(1), text) || (!text.empty() && fits(pattern, text.substr(1)));
  return !text.empty() && pattern.front() == text.front() && fits(pattern.substr(1), text.substr(1));
}

const Value* email_of(const Input& input) {
  return input.value.kind == Value::Kind::object ? input.value.find("email") : nullptr;
}

constexpr std::array kStated{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                             IdentifierKind::aaid};

}  // namespace

void Known::apply(const Input& input) {
  const std::size_t sequence = sequence_++;
  if (waits(input)) {
    waiting_.emplace_back(sequence, input);
  } else {
    apply(sequence, input);
  }
}

void Known::take_up(const IdentityRules& rules) {
  if (rules != rules_) {
    for (auto& [id, person] : people_) person.refused_joins.clear();
  }
  rules_ = rules;
  held_back_ = false;
  for (auto& [sequence, input] : std::exchange(waiting_, {})) {
    if (waits(input)) {
      waiting_.emplace_back(sequence, input);
    } else {
      apply(sequence, input);
    }
  }
}

bool Known::is_waiting(const Input& input) const {
  return std::ranges::any_of(waiting_, [&](const auto& one) { return one.second.serial == input.serial; });
}

// Whom nothing names that counts, and an alias that may not make two people one.
bool Known::waits(const Input& input) const {
  const auto blocked = [&](const std::string& who) { return is_blocked(kind_of(who), who); };
  switch (input.kind) {
    case Input::Kind::event:
      return (held_back_ && input.name == kHeldBack) || blocked(input.who);
    case Input::Kind::consent:
      return blocked(input.who);
    case Input::Kind::trait: {
      if (!input.who.empty() && (!blocked(input.who) || !is_name(kind_of(input.who))))
        return blocked(input.who);
      const Kind kind = input.name == "phone" ? Kind::phone : Kind::email;
      return (input.name != "phone" && input.name != "email") || is_blocked(kind, input.value.string);
    }
    case Input::Kind::join: {
      const bool is_anonymous_too = is_name(kind_of(input.who)) && !blocked(input.who);
      if (is_anonymous_too || !blocked(input.other)) return false;
      const Value* email = email_of(input);
      return email == nullptr || is_blocked(Kind::email, email->string);
    }
    case Input::Kind::merge:
      return blocked(input.other) || alias_is_refused(input);
    case Input::Kind::sync_entry:
    case Input::Kind::removal:
      return false;
  }
  return false;
}

void Known::apply(std::size_t sequence, const Input& input) {
  switch (input.kind) {
    case Input::Kind::event:
      add_event(sequence, input);
      return;
    case Input::Kind::trait: {
      Value traits = Value::with(Value::Kind::object);
      traits.members.emplace_back(input.name, input.value);
      PersonId id;
      if (input.who.empty() || is_blocked(kind_of(input.who), input.who)) {
        id = person_of(input.value.string);
      } else {
        id = person_of(input.who);
        claim(id, kind_of(input.who), input.who);
      }
      id = state_all(id, traits);
      people_.at(id).rest.traits.push_back({input.name, input.value, input.time, input.message_id});
      return;
    }
    case Input::Kind::consent: {
      const PersonId id = person_of(input.who);
      claim(id, kind_of(input.who), input.who);
      people_.at(id).rest.consents.push_back({input.name, input.value.boolean, input.time, input.message_id});
      return;
    }
    case Input::Kind::sync_entry:
      if (const auto known = find(input.who))
        people_.at(*known).rest.sync_entries[input.name].push_back(input.time);
      return;
    case Input::Kind::join: {
      const auto id = state_all(identify(input), input.value);
      for (const auto& [name, value] : input.value.members)
        people_.at(id).rest.traits.push_back({name, value, input.time, input.message_id});
      return;
    }
    case Input::Kind::merge:
      alias(input.who, input.other);
      return;
    case Input::Kind::removal:
      remove(input.who);
      return;
  }
}

OracleWorld Known::world() const {
  OracleWorld world;
  for (const auto& [id, known] : people_) {
    OraclePerson person = known.rest;
    person.id = id;
    for (const auto& [sequence, event] : known.events) person.events.push_back(event);
    world.people.push_back(std::move(person));
  }
  return world;
}

OracleWorld Known::world(const workspace::Workspace& workspace) const {
  OracleWorld world = this->world();
  world.time_zone = workspace.time_zone;
  world.consent_unknown = workspace.consent_unknown;
  for (const auto& one : workspace.definitions) world.definitions[one.name] = one.expr;
  for (const auto& one : workspace.attributes) world.attributes[one.name] = one.expr;
  for (const auto& one : workspace.segments) world.segments[one.name] = one.expr;
  return world;
}

PersonId Known::survivor(PersonId person) const {
  for (auto into = merged_.find(person); into != merged_.end(); into = merged_.find(person))
    person = into->second;
  return person;
}

std::string Known::names_of(PersonId person) const {
  std::string names;
  for (const auto& [key, holders] : holders_) {
    if (holders.front() == person) names += (names.empty() ? "" : " ") + key.second;
  }
  return names.empty() ? fmt::format("person {}, who is gone", person.value) : names;
}

void Known::add_event(std::size_t sequence, const Input& input) {
  people_.at(person_of(input.who)).events[sequence] = {input.name, input.time, input.message_id, input.value};
}

std::optional<PersonId> Known::owner(const Key& key) const {
  const auto found = holders_.find(key);
  return found == holders_.end() ? std::nullopt : std::optional(found->second.front());
}

std::optional<PersonId> Known::find(const std::string& who) const {
  const Kind kind = kind_of(who);
  if (kind != Kind::external_id) return owner({kind, compared(kind, who)});
  const auto user = owner({Kind::external_id, who});
  return user ? user : owner({Kind::anonymous_id, who});
}

PersonId Known::create() {
  const PersonId id(created_++);
  people_[id].rest.id = id;
  return id;
}

PersonId Known::person_of(const std::string& who) {
  if (const auto known = find(who)) return *known;
  const PersonId id = create();
  claim(id, kind_of(who), who);
  return id;
}

bool Known::is_blocked(Kind kind, const std::string& value) const {
  return std::ranges::any_of(rules_.of(kind).blocked, [&](const std::string& pattern) {
    return fits(compared(kind, pattern), compared(kind, value));
  });
}

// How many of a kind the two have; of ids also those they wait for.
std::size_t Known::values(PersonId a, PersonId b, Kind kind) const {
  std::set<std::string> all;
  for (const PersonId id : {a, b}) {
    for (const auto& [each, value] : people_.at(id).values) {
      if (each == kind) all.insert(value);
    }
  }
  return all.size();
}

bool Known::has_room(PersonId person, Kind kind) const {
  const auto limit = rules_.of(kind).values_max;
  return !limit || values(person, person, kind) < *limit;
}

bool Known::has_user_id(PersonId person) const {
  return std::ranges::any_of(people_.at(person).values, [&](const Key& key) {
    return key.first == Kind::external_id && owner(key) == person;
  });
}

void Known::claim(PersonId person, Kind kind, const std::string& name) {
  if (!is_name(kind)) {
    state(person, kind, name);
    return;
  }
  const Key key{kind, name};
  auto& values = people_.at(person).values;
  if (values.contains(key) || !has_room(person, kind)) return;
  values.insert(key);
  holders_[key].push_back(person);
}

bool Known::may_not_join(PersonId a, PersonId b, const Key& through, std::optional<Kind> by) const {
  const auto& rule = rules_.of(through.first);
  if (!rules_.of(by.value_or(through.first)).merges) return true;
  std::size_t people = 2;
  for (const PersonId id : {a, b})
    people += static_cast<std::size_t>(std::ranges::count(people_.at(id).joined, through));
  if (rule.people_max && people > *rule.people_max) return true;
  for (std::size_t i = 0; i < IdentityRules::kKinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    if (const auto limit = rules_.of(kind).values_max; limit && values(a, b, kind) > *limit) return true;
  }
  return false;
}

PersonId Known::state_all(PersonId person, const Value& traits) {
  for (const Kind kind : kStated) {
    const Value* value = traits.kind == Value::Kind::object ? traits.find(to_string(kind)) : nullptr;
    if (value != nullptr && value->kind == Value::Kind::string) person = state(person, kind, value->string);
  }
  return person;
}

PersonId Known::state(PersonId person, Kind kind, const std::string& value) {
  if (is_blocked(kind, value)) return person;
  const Key key{kind, compared(kind, value)};
  Person& who = people_.at(person);
  if (!who.values.contains(key) && !has_room(person, kind)) return person;
  who.values.insert(key);
  if (who.refused_joins.contains(key)) return person;
  const auto first = owner(key);
  const auto is_holder = [&] { return std::ranges::count(holders_[key], person) > 0; };
  // Also of whoever was refused by rules that are no more.
  if (!first || (!rules_.of(kind).merges && !is_holder())) {
    holders_[key].push_back(person);
  } else if (*first != person && rules_.of(kind).merges) {
    if (!may_not_join(person, *first, key)) return join(person, *first, key);
    who.refused_joins.insert(key);
  }
  return person;
}

PersonId Known::identify(const Input& input) {
  const std::string& user = input.other;
  const Key before{kind_of(input.who), compared(kind_of(input.who), input.who)};
  const bool no_user = is_blocked(Kind::external_id, user);
  const bool no_before = is_blocked(before.first, input.who);
  auto other = no_before ? std::nullopt : owner(before);
  if (other && has_user_id(*other)) other.reset();
  std::string named = user;
  if (no_user && before.first == Kind::anonymous_id && !no_before) {
    named = input.who;
    other.reset();
  } else if (no_user) {
    named = email_of(input)->string;
  }
  auto found = find(named);
  if (!found && other && rules_.of(Kind::anonymous_id).merges) found = other;
  PersonId id = found ? *found : create();
  claim(id, kind_of(named), named);
  if (other && *other != id && !may_not_join(id, *other, before, Kind::anonymous_id))
    id = join(id, *other, before);
  if (no_before) return id;
  // What somebody else has is not stated of this person, as a trait would be.
  if (is_name(before.first) || !owner(before)) claim(id, before.first, input.who);
  return id;
}

std::optional<Known::Key> Known::previous(const std::string& who) const {
  if (const Kind kind = kind_of(who); !is_name(kind)) {
    const Key key{kind, compared(kind, who)};
    return owner(key) && !is_blocked(kind, who) ? std::optional(key) : std::nullopt;
  }
  for (const Kind kind : {Kind::external_id, Kind::anonymous_id}) {
    if (owner({kind, who}) && !is_blocked(Kind::external_id, who) && !is_blocked(Kind::anonymous_id, who))
      return Key{kind, who};
  }
  return std::nullopt;
}

// The kind by whose rule an alias of that person is judged.
Known::Kind Known::judged_by(const Key& key) const {
  if (is_name(key.first)) return key.first;
  return has_user_id(*owner(key)) ? Kind::external_id : Kind::anonymous_id;
}

bool Known::alias_is_refused(const Input& input) const {
  const auto key = previous(input.who);
  const auto user = find(input.other);
  if (!key || user == owner(*key)) return false;
  if (user) return may_not_join(*user, *owner(*key), *key, judged_by(*key));
  return !rules_.of(judged_by(*key)).merges || !has_room(*owner(*key), kind_of(input.other));
}

void Known::alias(const std::string& before, const std::string& user) {
  const auto key = previous(before);
  auto found = find(user);
  if (!found && key) found = owner(*key);
  PersonId id = found ? *found : create();
  if (key && *owner(*key) != id) id = join(id, *owner(*key), *key);
  claim(id, kind_of(user), user);
  if (key) return;
  const bool is_id = is_name(kind_of(before));
  const bool blocked = is_id ? is_blocked(Kind::external_id, before) || is_blocked(Kind::anonymous_id, before)
                             : is_blocked(kind_of(before), before);
  if (!blocked) claim(id, is_id ? Kind::anonymous_id : kind_of(before), before);
}

PersonId Known::join(PersonId a, PersonId b, const Key& through) {
  const PersonId survivor = std::min(a, b);
  const PersonId gone = std::max(a, b);
  Person& to = people_.at(survivor);
  Person& from = people_.at(gone);
  to.events.merge(from.events);
  const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
  append(to.rest.traits, from.rest.traits);
  append(to.rest.consents, from.rest.consents);
  for (const auto& [sync, entries] : from.rest.sync_entries) append(to.rest.sync_entries[sync], entries);
  to.values.merge(from.values);
  append(to.joined, from.joined);
  to.joined.push_back(through);
  to.refused_joins.merge(from.refused_joins);
  people_.erase(gone);
  merged_[gone] = survivor;
  for (auto& [key, holders] : holders_) {
    std::vector<PersonId> each;
    for (const PersonId one : holders) {
      const PersonId now = one == gone ? survivor : one;
      if (std::ranges::find(each, now) == each.end()) each.push_back(now);
    }
    holders = std::move(each);
  }
  return survivor;
}

void Known::remove(const std::string& who) {
  const auto id = find(who);
  if (!id) return;
  people_.erase(*id);
  for (auto& [key, holders] : holders_) std::erase(holders, *id);
  std::erase_if(holders_, [](const auto& one) { return one.second.empty(); });
}

}  // namespace tailrace::testing
