// Who people are: identifiers, merges, dated traits and consent, deletion.
//
// Rules of identity (docs/concepts.md):
//   - a record belongs to the person of its user id; without one, of its anonymous id; without both, of the
//   e-mail or phone by which it names them (Contacts)
//   - identify with a previous id, such as that of an order: whoever was known by it and by nothing but
//   anonymous ids is merged in. With a previous e-mail or phone: whoever has it and no user id. What nobody
//   has yet will be that person's; nobody else is taken
//   - identify with a user id and an anonymous id: the anonymous person, if there is one without a user id,
//   is merged in, or becomes that person where the user id is new
//   - alias merges the person of the previous id with the person of the user id, likewise; a previous id that
//   nobody has yet will be that person's, whether it comes as an anonymous id or as a user id
//   - of merged people the older PersonId survives, and keeps both histories
//   - an e-mail, phone or device in traits belongs to the person; it merges people where the workspace says
//   so
//   - the workspace's limits and blocked values hold back the rest (profiles/graph.h)
//
// What is known of a person stands as bytes (profiles/packed.h): beside their texts some 70 bytes, and 14
// more for each further message that states traits. Lists and objects in traits cost what they cost as
// values.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
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
#include "profiles/clicks.h"
#include "profiles/graph.h"
#include "profiles/packed.h"
#include "profiles/person_bytes.h"

namespace tailrace::profiles {

// What is stated of a trait as of an instant. Of several statements the latest (time, message id) at or
// before it holds; of those equal in both, the one that arrived last. Where people became one, the older
// one's count as arrived first.
struct Stated {
  enum class Kind : unsigned char { nothing, null, boolean, number, text, other };
  Kind kind = Kind::nothing;  // null: unset
  bool boolean = false;
  Number number;
  std::string_view text;         // lent, as is `other`: until something is stated of the person
  const Value* other = nullptr;  // a list or an object
  Time time;                     // of the statement, where there is one
  Time until = kNever;           // the next one

  Value value() const;
};
// Of consent the latest statement holds, and of those of one instant the stricter.
struct StatedConsent {
  std::optional<bool> granted;
  Time until = kNever;
};

// Whom a record speaks of by an e-mail or a phone: objects with `email` or else `phone`; anything else names
// nobody.
struct Contacts {
  Value named;     // whose the record is; read where it has no ids
  Value previous;  // who becomes that person by an alias or identify; read where there is no previous id
};

// A text among the members of an object, without blanks around it; empty: it has none.
std::string_view text_in(const Value& object, std::string_view name);

// An e-mail or a phone; empty: neither.
struct Contact {
  IdentifierKind kind = IdentifierKind::email;
  std::string_view value;
};

class Profiles {
 public:
  TraitId trait(std::string_view name);
  PurposeId purpose(std::string_view name);
  const std::string& trait_name(TraitId trait) const { return trait_names_[trait.value]; }

  // The person a record belongs to, without creating anyone. named: Contacts::named.
  std::optional<PersonId> find(const RecordView& record, const Value& named) const;
  std::optional<PersonId> find(IdentifierKind kind, std::string_view value) const {
    return directory().find(kind, value);
  }
  const Directory& directory() const { return graph_.directory(); }
  const Graph& graph() const { return graph_; }
  const Clicks& clicks() const { return clicks_; }
  void see(PersonId person, std::span<const SeenClick> clicks, Time at);
  // Of the workspace that judges from the next record on; and those in force when this was saved.
  void set_rules(const IdentityRules& rules) { graph_.set_rules(rules); }
  void restore_rules(const IdentityRules& rules) { graph_.restore_rules(rules); }
  // The record without ids that are nobody's: itself, or `copy`.
  const RecordView& without_blocked(const RecordView& record, RecordView& copy) const;
  // Why a record is nobody's: all it names somebody by is blocked. "": it is somebody's.
  std::string why_nobody(const RecordView& record, const Value& traits) const;
  // Why an alias may not make two people one; it is not to be applied then.
  std::optional<Refusal> why_not(const RecordView& alias, const Contacts& contacts) const;
  // The e-mail of an object, else its phone, of those that are not blocked.
  Contact contact_in(const Value& named) const;
  // By golden id, else any other kind of identifier.
  std::optional<PersonId> find_by_any(std::string_view value) const;

  // What a record did to profiles; the caller moves histories and re-evaluates.
  struct Effect {
    PersonId person;
    bool created = false;
    bool identifiers_changed = false;
    std::vector<PersonId> merged;     // their histories are to be moved to `person`, in this order
    std::vector<TraitId> traits;      // that got a statement
    std::vector<PurposeId> purposes;  // likewise
  };
  // identify, alias, group, and the attribution of events. traits: parsed payload of identify, else missing;
  // consent: the object at context.consent (categoryPreferences or plain), else missing.
  Effect apply(Position position, const RecordView& record, const Value& traits, const Value& consent,
               const Contacts& contacts);
  // Takes the next PersonId for nobody: in the place of a person whose records are gone.
  void skip() {
    merged_into_.push_back(kNobody);
    alive_.resize((merged_into_.size() + 63) / 64);
  }
  // Deletes; missing: there is no such person. named: Contacts::named.
  struct Removal {
    PersonId person;
    std::vector<Identifier> identifiers;  // by which they were found
    std::vector<Position> created_by;     // the records that made them known
    std::vector<Pin> pins;                // of others' records
    std::vector<PersonId> heirs;          // who got an identifier that was theirs
  };
  std::optional<Removal> remove(const RecordView& record, const Value& named);

  // Whom a merged person has become; others are themselves.
  PersonId survivor(PersonId person) const;
  // All identifiers a person ever had.
  std::vector<Identifier> identifiers(PersonId person) const;

  bool alive(PersonId person) const {
    return person.value / 64 < alive_.size() && (alive_[person.value / 64] & alive_bit(person)) != 0;
  }
  // Hints that statements of this person are wanted soon, far ahead and near.
  void prefetch(PersonId person) const { statements_.prefetch(person); }
  void prefetch_statements(PersonId person) const { statements_.prefetch_bytes(person); }
  // Of 64 people, the first of whom has a number that 64 divides: a bit for each who is.
  std::uint64_t alive_among(PersonId first) const {
    return first.value / 64 < alive_.size() ? alive_[first.value / 64] : 0;
  }
  std::size_t person_limit() const { return merged_into_.size(); }  // ids below this were given out
  std::size_t alive_count() const { return alive_count_; }

  // Nothing where nobody has this id. Cost: of a trait in proportion to the messages that stated traits after
  // the one that holds.
  Stated trait_at(PersonId person, TraitId trait, Time t) const;
  StatedConsent consent_at(PersonId person, PurposeId purpose, Time t) const;
  Time first_time(PersonId person) const;  // of the earliest statement; kNever without one

  // The identifier that names a person outwards.
  std::string_view golden_id(PersonId person, IdentifierKind golden) const;
  // Of e-mails, phones and devices the primary one stands before the others of its kind.
  PersonProfile profile(PersonId person, IdentifierKind golden, Time now) const;

  void add_memory(MemoryParts& parts) const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  static std::uint64_t alive_bit(PersonId person) { return std::uint64_t{1} << (person.value % 64); }
  void set_alive(PersonId person) {
    alive_[person.value / 64] |= alive_bit(person);
    ++alive_count_;
  }
  PersonId create(Position position);
  std::optional<PersonId> find_contact(const Value& named) const;
  bool is_wholly_anonymous(PersonId person) const;
  std::optional<PersonId> find_anonymous(const RecordView& record, const Value& previous) const;
  // kind: under which the previous id is known.
  std::optional<PersonId> find_previous(const RecordView& record, const Value& previous,
                                        IdentifierKind& kind) const;
  void join(Effect& effect, PersonId other, IdentifierKind kind, std::string_view value, const Said& said);
  void state_previous(Effect& effect, const RecordView& record, const Contact& previous, const Said& said);
  void state_identifiers(Effect& effect, const RecordView& record, const Value& traits, const Said& said);
  PersonId merge(PersonId a, PersonId b);
  Stated stated(const ValueView& value, Time time, Time until) const;
  std::uint32_t keep_other(const Value& value);
  void release_others(std::string_view statements);
  void insert_record(PersonId person, std::string_view message_id, Time time, std::string_view record);
  void insert_consent(PersonId person, PurposeId purpose, std::int64_t entry);
  void clear(PersonId person);
  void state_traits(Effect& effect, const RecordView& record, const Value& traits);
  void state_consent(Effect& effect, const RecordView& record, const Value& consent);
  void state_one_consent(Effect& effect, const RecordView& record, std::string_view name, bool granted);

  // By person.
  std::vector<PersonId> merged_into_;
  std::vector<std::uint64_t> alive_;  // 64 in a word
  Graph graph_;
  PersonBytes statements_, consents_;
  Clicks clicks_;
  // Lists and objects that are stated, and the places of those that no longer are.
  std::deque<Value> others_;
  std::vector<std::uint32_t> free_others_;
  std::uint64_t other_bytes_ = 0;
  std::size_t alive_count_ = 0;
  std::vector<std::string> trait_names_;
  std::vector<std::string> purpose_names_;
  std::map<std::string, TraitId, std::less<>> trait_ids_;
  std::map<std::string, PurposeId, std::less<>> purpose_ids_;
};

}  // namespace tailrace::profiles
