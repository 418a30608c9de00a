// What the judge is told: the world as far as it has arrived. Who is who follows the rules of identity, said
// once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "property/scenario.h"
#include "support/oracle.h"

namespace tailrace::testing {

class Known {
 public:
  void apply(const Input& input);
  // Events of the name kHeldBack wait until they are let in.
  void hold_back() { held_back_ = true; }
  void let_in();
  std::size_t waiting() const { return waiting_.size(); }

  OracleWorld world() const;
  // With the words of a workspace, as far as judging needs them.
  OracleWorld world(const workspace::Workspace& workspace) const;
  // Whom a merged person has become.
  PersonId survivor(PersonId person) const;
  // Every name the person is known under: "anon-1 u1".
  std::string names_of(PersonId person) const;

 private:
  struct Person {
    std::map<std::size_t, OracleEvent> events;  // by arrival
    OraclePerson rest;
  };

  void add_event(std::size_t sequence, const Input& input);
  OraclePerson& person(const std::string& who);
  void join(const std::string& who, const std::string& into);
  void remove(const std::string& who);

  std::map<PersonId, Person> people_;
  std::map<std::string, PersonId> ids_;
  std::map<PersonId, PersonId> merged_;
  std::uint32_t created_ = 0;
  std::size_t sequence_ = 0;
  bool held_back_ = false;
  std::vector<std::pair<std::size_t, Input>> waiting_;
};

}  // namespace tailrace::testing
