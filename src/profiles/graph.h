// Who has which identifier, since when and by whose word; who became one with whom and through what; what was
// refused and why. Each person's part is bytes (profiles/packed.h).
//
// What holds a merge back (IdentityRules) is judged where a record stands in the log, by the rules and the
// people there are then. So a value that two people state in vain may come into somebody's possession only
// when its owner is deleted, and a replay of the log from which that owner is gone must come to the same:
//   - who stated a value that was another's is on its list of claims, in order; when the owner
//     is deleted, the first of them has it, as a replay would find
//   - who was refused by a limit would not be in a replay: their record is pinned in the log (record.h), and
//     says from then on that this value makes nobody one
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"
#include "model/identity_rules.h"
#include "model/person.h"
#include "model/record.h"
#include "profiles/directory.h"
#include "profiles/identifier_filter.h"
#include "profiles/packed.h"
#include "profiles/person_bytes.h"

namespace tailrace::profiles {

// A record's word.
struct Said {
  Time time;
  Position position;
  std::uint32_t source = 0;  // Graph::source
};

// How often values were refused, of the people there are.
using RefusalCounts = std::array<std::array<std::uint64_t, kRefusals>, IdentityRules::kKinds>;

class Graph {
 public:
  Graph();

  // From the next record on.
  void set_rules(const IdentityRules& rules);
  void restore_rules(const IdentityRules& rules);  // those in force when the graph was saved
  const IdentityRules& rules() const { return rules_; }
  bool blocks(IdentifierKind kind, std::string_view value) const { return filter_.blocks(kind, value); }

  const Directory& directory() const { return directory_; }
  std::uint32_t source(std::string_view name);
  const std::string& source_name(std::uint32_t source) const { return sources_[source]; }

  void add_creators(PersonId person, std::span<const Position> positions);
  std::vector<Position> created_by(PersonId person) const;

  // A user id or anonymous id is the person's. Where it is somebody else's it stays theirs, for that reason.
  // True: the person's identifiers changed.
  bool claim(PersonId person, IdentifierKind kind, std::string_view value, const Said& said,
             Refusal reason = Refusal::somebody_elses);
  // Likewise an e-mail, phone or device, of which several people may have one. Whoever else is found by it is
  // to be one with the person, where `other` says so.
  struct StatedValue {
    bool changed = false;
    std::optional<PersonId> other;
  };
  StatedValue state(PersonId person, IdentifierKind kind, std::string_view value, const Said& said,
                    bool is_pinned);
  // Why somebody may not become one with `other` through a value. by: the kind whose rule says whether; the
  // value's own but for an alias by e-mail or phone.
  std::optional<Refusal> why_not(PersonId person, PersonId other, IdentifierKind by, IdentifierKind kind,
                                 std::string_view value) const;
  // Whether the person may have one value more.
  bool has_room(PersonId person, IdentifierKind kind) const;
  // How the claim of whoever was refused stands once the owner is deleted.
  enum class Claims : unsigned char {
    none,    // the value is nobody's
    holds,   // it is theirs too: they may come to be its owner
    pinned,  // it is theirs, and stays without effect
  };
  void refuse(PersonId person, IdentifierKind kind, std::string_view value, Refusal reason, const Said& said,
              Claims claims);

  // The record names a value in vain, as it is another's: it is pinned when that one goes.
  void pin_if_free(PersonId person, IdentifierKind kind, std::string_view value, const Said& said);

  // Everything of `gone` is the survivor's.
  void absorb(PersonId survivor, PersonId gone);
  void note_join(PersonId survivor, PersonId gone, IdentifierKind kind, std::string_view value,
                 const Said& said);

  // The person is gone, and what they owned is somebody else's or nobody's. survivor: whom somebody has
  // become.
  struct Removed {
    std::vector<Pin> pins;        // records that stay, and what they are to say from now on
    std::vector<PersonId> heirs;  // whose identifiers changed
  };
  Removed remove(PersonId person, const std::function<PersonId(PersonId)>& survivor);

  bool has_kind(PersonId person, IdentifierKind kind) const;
  // All of a person's, in no order; lent until the person changes.
  template <class Visit>
  void for_each_entry(PersonId person, Visit visit) const {
    for_each_entry_of(identities_.of(person), visit);
  }
  template <class Visit>
  void for_each_identifier(PersonId person, Visit visit) const {
    for_each_entry(person, [&](const IdentityEntry& entry) {
      if (entry.what == IdentityEntry::What::identifier) visit(entry);
    });
  }
  // Who else stated the value, in order; some have become others since.
  std::vector<PersonId> claimants(IdentifierKind kind, std::string_view value) const;
  const RefusalCounts& refused() const { return refused_; }

  void add_memory(MemoryParts& parts, MemoryUse& profiles) const;
  std::string_view bytes_of(PersonId person) const { return identities_.of(person); }

  // What is not by person, and then each person's bytes, for Profiles to put beside the rest of them.
  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);
  Result<void> restore_person(PersonId person, std::string_view bytes);

 private:
  struct Claim {
    PersonId person;  // who made it; perhaps another by now
    std::uint32_t source = 0;
    Position position;
    Time time;
    Claims claims = Claims::none;
  };
  using Key = std::pair<IdentifierKind, std::string>;  // in the form in which they are compared

  template <class Visit>
  static void for_each_entry_of(std::string_view identity, Visit visit) {
    if (identity.empty()) return;
    Unpacker in(identity);
    for (std::uint64_t left = in.varint(); left > 0; --left) in.varint();
    while (!in.done()) visit(read_entry(in));
  }
  // The entry that `is_wanted`, with the place of its bytes.
  struct Found {
    std::size_t begin = 0, end = 0;
    IdentityEntry entry;
  };
  template <class Wanted>
  std::optional<Found> find_entry(PersonId person, Wanted is_wanted) const;
  void replace(PersonId person, const Found& found, const IdentityEntry& entry);
  void erase(PersonId person, const Found& found);
  void append(PersonId person, const IdentityEntry& entry);
  bool add_identifier(PersonId person, IdentifierKind kind, std::string_view value, const Said& said);
  void add_refusal(PersonId person, const IdentityEntry& entry);
  void count(const IdentityEntry& entry, bool more);
  bool holds_claim(PersonId person, IdentifierKind kind, std::string_view value) const;
  void add_claim(PersonId person, IdentifierKind kind, std::string_view value, const Said& said,
                 Claims claims);
  std::size_t values(PersonId person, IdentifierKind kind) const;
  std::size_t values_together(PersonId a, PersonId b, IdentifierKind kind) const;
  std::uint64_t joins(PersonId person, IdentifierKind kind, std::string_view value) const;
  void forget_contested(PersonId person, IdentifierKind kind, std::string_view value);
  void inherit(const Key& key, std::vector<Claim> claims, Removed& removed);

  IdentityRules rules_;
  IdentifierFilter filter_;
  std::uint64_t rules_count_ = 0;  // of different ones in the log so far
  Directory directory_;
  PersonBytes identities_;
  std::vector<std::string> sources_;
  std::map<std::string, std::uint32_t, std::less<>> source_ids_;
  std::map<Key, std::vector<Claim>> claims_;  // of values that somebody else has; as they came
  RefusalCounts refused_{};
};

}  // namespace tailrace::profiles
