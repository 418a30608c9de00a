// What is known of a person, as bytes: there are millions of people, and of most of them little is ever
// asked.
//
//   identity   := creators:varint position:varint * creators, entry*
//   entry      := (what | kind):1 time:zigzag-varint source:varint position:varint by what: nothing;
//                 gone:varint; reason:1 count:varint rules:varint, and then size:varint value
//   statements := record*                     in order of (time, message id), of equal ones as they arrived
//   record     := time:8 size:varint message_id count:varint (trait:varint value) * count, size:4
//   value      := tag:1, then by tag: nothing; mantissa:zigzag-varint scale:1; size:varint text; index:4
//   consents   := (purpose:4 count:4 entry:8 * count)*
//   entry      := time * 2 + (1: denied)      in order, each once: at the same time the stricter is the later
//
// A record is what one message says of traits; its size stands behind it, as questions about now begin at the
// end. Lists and objects stand outside, by index.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/number.h"
#include "base/time.h"
#include "model/identity_rules.h"
#include "model/person.h"
#include "model/value.h"

namespace tailrace::profiles {

using TraitId = Id<struct TraitTag>;      // a trait's name at the top level
using PurposeId = Id<struct PurposeTag>;  // a consent purpose

void put_varint(std::string& out, std::uint64_t value);
// Small numbers of both signs become small ones.
constexpr std::uint64_t zigzag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t from_zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// Reads bytes in order. Behind their end it reads zeros, and has failed.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  bool failed() const { return failed_; }
  std::string_view rest() const { return rest_; }
  std::uint64_t varint();
  std::string_view bytes(std::uint64_t size);
  template <class T>
  T fixed() {
    T value{};
    const std::string_view found = bytes(sizeof value);
    if (!found.empty()) found.copy(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

// What the graph of a person holds, and how it came to be.
struct IdentityEntry {
  enum class What : unsigned char {
    identifier = 0,
    joined = 0x40,     // another person became this one, through the value
    refused = 0x80,    // the value did not become this person's, or made nobody one with them
    contested = 0xc0,  // a user id or anonymous id that is somebody else's; this person's if they go
  };
  What what = What::identifier;
  IdentifierKind kind = IdentifierKind::external_id;
  Time time;                 // the earliest event time that said so
  std::uint32_t source = 0;  // of the first record in the log that did; an index
  Position position;         // of that record
  PersonId gone;             // joined: who
  // Refused, contested: why, how often, and by which rules last, counted in the log.
  Refusal reason = Refusal::blocked;
  std::uint64_t count = 0;
  std::uint64_t rules = 0;
  std::string_view value;
};
IdentityEntry read_entry(Unpacker& in);
void put_entry(std::string& out, const IdentityEntry& entry);

struct ValueView {
  enum class Kind : unsigned char { null, boolean, number, text, other };
  Kind kind = Kind::null;
  bool boolean = false;
  Number number;
  std::string_view text;    // in the bytes
  std::uint32_t other = 0;  // the index of a list or an object
};
ValueView read_value(Unpacker& in);
void skip_value(Unpacker& in);
// other: the index, of a list or an object.
void put_value(std::string& out, const Value& value, std::uint32_t other);

struct TraitRecord {
  Time time;
  std::string_view message_id;
  std::uint64_t count = 0;
  std::string_view stated;  // the traits with their values
};
TraitRecord read_record(std::string_view body);
void put_record(std::string& out, Time time, std::string_view message_id, std::uint64_t count,
                std::string_view stated);
// Takes the last record, as it stands in the bytes or without its size, off them. Missing: they are not
// records.
struct LastRecord {
  std::string_view whole, body;
};
std::optional<LastRecord> take_last_record(std::string_view& statements);

// Do the bytes hold what they should, and of traits and lists only those below the limits?
bool is_identity(std::string_view bytes, std::size_t sources);
bool is_statements(std::string_view bytes, std::size_t traits, std::size_t others);
bool is_consents(std::string_view bytes, std::size_t purposes);

}  // namespace tailrace::profiles
