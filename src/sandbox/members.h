// What a platform keeps of an audience, and whom it knows.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "base/time.h"

namespace tailrace::sandbox {

// An identifier as the platform holds it: kind in Tailrace's words ("email", "phone", "external_id",
// "mobile_id", "address", "details", "person"), value as uploaded (a digest in lower-case hex where hashed).
struct MemberId {
  std::string kind;
  std::string value;
  auto operator<=>(const MemberId&) const = default;
};

// The people this platform has accounts of: a share of all identifiers, chosen by a hash, so that the same
// identifier is known today and tomorrow, and in every audience.
class KnownPeople {
 public:
  KnownPeople(double share, std::uint64_t seed) : share_(share), seed_(seed) {}
  bool knows(const MemberId& id) const;
  bool knows_any(std::span<const MemberId> row) const;

 private:
  double share_;
  std::uint64_t seed_;
};

// The identifiers in an audience. Rows that share an identifier are one person; a person is in as long as one
// identifier is. Removing an identifier removes exactly it.
class Members {
 public:
  explicit Members(KnownPeople known) : known_(known) {}

  void add(std::span<const MemberId> row, Time now);
  void remove(std::span<const MemberId> row);
  // For platforms that remove a person by any one identifier: all identifiers of everybody who has one of
  // these. Looks at every entry once.
  void remove_people(std::span<const MemberId> ids);
  void remove_added_before(Time time);
  // The platform changes by itself, as platforms do: some identifiers vanish, some strangers appear. Returns
  // how many vanished (fewer than asked when there are fewer).
  std::size_t drift_away(std::size_t count, Random& random);
  void drift_in(std::size_t count, const std::string& kind, Random& random, Time now);

  std::vector<MemberId> sorted() const;
  std::int64_t identifiers() const { return static_cast<std::int64_t>(entries_.size()); }
  std::int64_t people() const { return static_cast<std::int64_t>(people_.size()); }
  std::int64_t matched() const { return matched_; }  // people with at least one known identifier

 private:
  struct Entry {
    std::uint64_t person = 0;
    Time added_at;
  };
  struct Person {
    std::uint32_t identifiers = 0;
    std::uint32_t known = 0;
  };
  struct Hash {
    std::size_t operator()(const MemberId& id) const { return hash64(id.value, hash64(id.kind)); }
  };
  using Entries = std::unordered_map<MemberId, Entry, Hash>;

  std::uint64_t person_of(std::span<const MemberId> row);
  void attach(std::uint64_t person, const MemberId& id);
  void detach(const MemberId& id, const Entry& entry);

  KnownPeople known_;
  Entries entries_;
  std::unordered_map<std::uint64_t, Person> people_;
  std::uint64_t next_person_ = 0;
  std::int64_t matched_ = 0;
};

}  // namespace tailrace::sandbox
