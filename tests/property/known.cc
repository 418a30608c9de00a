#include "property/known.h"

#include <algorithm>

#include <fmt/format.h>

namespace tailrace::testing {

void Known::apply(const Input& input) {
  switch (input.kind) {
    case Input::Kind::event:
      if (held_back_ && input.name == kHeldBack) {
        waiting_.emplace_back(sequence_++, input);
        return;
      }
      add_event(sequence_++, input);
      return;
    case Input::Kind::trait:
      person(input.who).traits.push_back({input.name, input.value, input.time, input.message_id});
      return;
    case Input::Kind::consent:
      person(input.who).consents.push_back({input.name, input.value.boolean, input.time, input.message_id});
      return;
    case Input::Kind::sync_entry:
      if (ids_.contains(input.who)) person(input.who).sync_entries[input.name].push_back(input.time);
      return;
    case Input::Kind::join:
    case Input::Kind::merge:
      join(input.who, input.other);
      return;
    case Input::Kind::removal:
      remove(input.who);
      return;
  }
}

void Known::let_in() {
  held_back_ = false;
  for (const auto& [sequence, input] : std::exchange(waiting_, {})) add_event(sequence, input);
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
  for (const auto& [name, id] : ids_) {
    if (id == person) names += (names.empty() ? "" : " ") + name;
  }
  return names.empty() ? fmt::format("person {}, who is gone", person.value) : names;
}

void Known::add_event(std::size_t sequence, const Input& input) {
  person(input.who);
  people_.at(ids_.at(input.who)).events[sequence] = {input.name, input.time, input.message_id, input.value};
}

OraclePerson& Known::person(const std::string& who) {
  if (!ids_.contains(who)) {
    ids_[who] = PersonId(created_++);
    people_[ids_[who]];
  }
  return people_.at(ids_.at(who)).rest;
}

void Known::join(const std::string& who, const std::string& into) {
  // One who is not known yet becomes the other.
  if (!ids_.contains(into) && ids_.contains(who)) ids_[into] = ids_[who];
  person(into);
  if (!ids_.contains(who)) ids_[who] = ids_[into];
  const PersonId survivor = std::min(ids_[who], ids_[into]);
  const PersonId gone = std::max(ids_[who], ids_[into]);
  if (survivor == gone) return;
  Person& to = people_.at(survivor);
  Person& from = people_.at(gone);
  to.events.merge(from.events);
  const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
  append(to.rest.traits, from.rest.traits);
  append(to.rest.consents, from.rest.consents);
  for (const auto& [sync, entries] : from.rest.sync_entries) append(to.rest.sync_entries[sync], entries);
  people_.erase(gone);
  merged_[gone] = survivor;
  for (auto& [name, id] : ids_) {
    if (id == gone) id = survivor;
  }
}

void Known::remove(const std::string& who) {
  if (!ids_.contains(who)) return;
  const PersonId id = ids_[who];
  people_.erase(id);
  std::erase_if(ids_, [&](const auto& known) { return known.second == id; });
}

}  // namespace tailrace::testing
