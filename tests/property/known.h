// What the judge is told: the world as far as it has arrived. Who is who follows the rules of identity, said
// once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/identity_rules.h"
#include "property/scenario.h"
#include "support/oracle.h"

namespace tailrace::testing {

class Known {
 public:
  void apply(const Input& input);
  // Events of the name kHeldBack wait until the next workspace.
  void hold_back() { held_back_ = true; }
  // A workspace comes: its rules hold, and what waits is tried again.
  void take_up(const IdentityRules& rules);
  std::size_t waiting() const { return waiting_.size(); }
  bool is_waiting(const Input& input) const;
  bool waits(const Input& input) const;  // if it came now

  OracleWorld world() const;
  // With the words of a workspace, as far as judging needs them.
  OracleWorld world(const workspace::Workspace& workspace) const;
  // Whom a merged person has become.
  PersonId survivor(PersonId person) const;
  // Every name the person is known under: "anon-1 u1".
  std::string names_of(PersonId person) const;

 private:
  using Kind = IdentifierKind;
  using Key = std::pair<Kind, std::string>;  // an identifier, as it is compared
  struct Person {
    std::map<std::size_t, OracleEvent> events;  // by arrival
    OraclePerson rest;
    std::set<Key> values;
    std::vector<Key> joined;      // one for each person that became this one, through what
    std::set<Key> refused_joins;  // by the rules there are
  };

  void apply(std::size_t sequence, const Input& input);
  void add_event(std::size_t sequence, const Input& input);
  std::optional<PersonId> find(const std::string& who) const;
  std::optional<PersonId> owner(const Key& key) const;
  PersonId create();
  PersonId person_of(const std::string& who);
  void claim(PersonId person, Kind kind, const std::string& name);
  PersonId state(PersonId person, Kind kind, const std::string& value);
  PersonId state_all(PersonId person, const Value& traits);
  std::optional<Key> previous(const std::string& who) const;
  // by: the kind whose rule says whether; else that of what they join through.
  bool may_not_join(PersonId a, PersonId b, const Key& through, std::optional<Kind> by = {}) const;
  Kind judged_by(const Key& key) const;
  bool alias_is_refused(const Input& input) const;
  std::size_t values(PersonId a, PersonId b, Kind kind) const;
  bool has_room(PersonId person, Kind kind) const;
  bool has_user_id(PersonId person) const;
  bool is_blocked(Kind kind, const std::string& value) const;
  PersonId join(PersonId a, PersonId b, const Key& through);
  PersonId identify(const Input& input);
  void alias(const std::string& before, const std::string& user);
  void remove(const std::string& who);

  IdentityRules rules_;
  std::map<PersonId, Person> people_;
  // Whose an identifier is: the first of them. Of user ids and anonymous ids the others only wait for it.
  std::map<Key, std::vector<PersonId>> holders_;
  std::map<PersonId, PersonId> merged_;
  std::uint32_t created_ = 0;
  std::size_t sequence_ = 0;
  bool held_back_ = false;
  std::vector<std::pair<std::size_t, Input>> waiting_;
};

}  // namespace tailrace::testing
