// Who people are: identifiers, merges, dated traits and consent, deletion.
//
// Rules of identity (docs/concepts.md):
//   - a record belongs to the person of its user id; without one, of its anonymous id; without both, of its
//   e-mail or phone
//   - identify with a user id and an anonymous id: the anonymous person, if there is one without a user id,
//   is merged in, or becomes that person where the user id is new
//   - alias merges the person of the previous id with the person of the user id, likewise; a previous id that
//   nobody has yet will be that person's, whether it comes as an anonymous id or as a user id
//   - of merged people the older PersonId survives, and keeps both histories
//   - an e-mail or phone in traits belongs to the person; it does not merge people
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"
#include "model/person.h"
#include "model/record.h"
#include "model/value.h"
#include "profiles/directory.h"

namespace tailrace::profiles {

using TraitId = Id<struct TraitTag>;      // a trait's name at the top level
using PurposeId = Id<struct PurposeTag>;  // a consent purpose

// A statement with its date. Of several, the latest (time, message id) at or before t holds at t; of those
// equal in both, the one that arrived last. Where people became one, the older one's count as arrived first.
struct DatedValue {
  Time time;
  std::string message_id;
  Value value;  // missing or null: unset
};
struct DatedConsent {
  Time time;
  std::string message_id;
  bool granted = false;
};

class Profiles {
 public:
  TraitId trait(std::string_view name);
  PurposeId purpose(std::string_view name);
  const std::string& trait_name(TraitId trait) const { return trait_names_[trait.value]; }

  // The person a record belongs to, without creating anyone.
  std::optional<PersonId> find(const RecordView& record, const Value& traits) const;
  std::optional<PersonId> find(IdentifierKind kind, std::string_view value) const {
    return directory_.find(kind, value);
  }
  const Directory& directory() const { return directory_; }
  // By golden id, else any other kind of identifier.
  std::optional<PersonId> find_by_any(std::string_view value) const;

  // What a record did to profiles; the caller moves histories and re-evaluates.
  struct Effect {
    PersonId person;
    bool created = false;
    bool identifiers_changed = false;
    std::optional<PersonId> merged;   // this person's history is to be moved to `person`
    std::vector<TraitId> traits;      // that got a statement
    std::vector<PurposeId> purposes;  // likewise
  };
  // identify, alias, group, and the attribution of events. traits: parsed payload of identify, else missing;
  // consent: the object at context.consent (categoryPreferences or plain), else missing.
  Effect apply(Position position, const RecordView& record, const Value& traits, const Value& consent);
  // The records that made this person known.
  const std::vector<Position>& created_by(PersonId person) const { return people_[person.value].created_by; }
  // Takes the next PersonId for nobody: in the place of a person whose records are gone.
  void skip() {
    people_.emplace_back();
    alive_.push_back(false);
  }
  // Deletes; missing: there is no such person.
  std::optional<PersonId> remove(const RecordView& record);

  // Whom a merged person has become; others are themselves.
  PersonId survivor(PersonId person) const;
  // All identifiers a person ever had.
  const std::vector<Identifier>& identifiers(PersonId person) const {
    return people_[person.value].identifiers;
  }

  bool alive(PersonId person) const { return person.value < alive_.size() && alive_[person.value]; }
  std::size_t person_limit() const { return people_.size(); }  // ids below this were given out
  std::size_t alive_count() const { return alive_count_; }

  // Statements, oldest first. nullptr: none, or nobody has this id.
  const std::vector<DatedValue>* trait_history(PersonId person, TraitId trait) const;
  const std::vector<DatedConsent>* consent_history(PersonId person, PurposeId purpose) const;
  Time first_time(PersonId person) const;  // of the earliest statement; kNever without one

  // The identifier that names a person outwards.
  std::string_view golden_id(PersonId person, IdentifierKind golden) const;
  PersonProfile profile(PersonId person, IdentifierKind golden, Time now) const;

  // Of more than kCounted people it is estimated by that many of them.
  static constexpr std::size_t kCounted = 4096;
  void add_memory(MemoryParts& parts) const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct Person {
    PersonId merged_into = kNobody;
    std::vector<Position> created_by;  // the records that made this person known, and those merged into them
    std::vector<Identifier> identifiers;
    std::vector<std::pair<TraitId, std::vector<DatedValue>>> traits;
    std::vector<std::pair<PurposeId, std::vector<DatedConsent>>> consents;
  };

  PersonId create();
  std::optional<PersonId> find_anonymous(const RecordView& record) const;
  std::optional<PersonId> find_previous(const RecordView& record) const;
  bool add_identifier(PersonId person, IdentifierKind kind, std::string_view value, Time time);
  bool has_kind(PersonId person, IdentifierKind kind) const;
  PersonId merge(PersonId a, PersonId b);
  void state_traits(Effect& effect, const RecordView& record, const Value& traits);
  void state_consent(Effect& effect, const RecordView& record, const Value& consent);
  void state_one_consent(Effect& effect, const RecordView& record, std::string_view name, bool granted);

  std::vector<Person> people_;
  std::vector<bool> alive_;  // by person
  Directory directory_;
  std::size_t alive_count_ = 0;
  std::vector<std::string> trait_names_;
  std::vector<std::string> purpose_names_;
  std::map<std::string, TraitId, std::less<>> trait_ids_;
  std::map<std::string, PurposeId, std::less<>> purpose_ids_;
};

}  // namespace tailrace::profiles
