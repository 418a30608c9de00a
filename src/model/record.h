// A record: one input as it stands in the log. Everything Tailrace knows is a function of the records before
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "model/person.h"

namespace tailrace {

enum class RecordKind : std::uint8_t {
  tombstone = 0,  // what is left of a deleted person's record; see make_tombstone
  identify = 1,
  track = 2,
  page = 3,
  screen = 4,
  group = 5,
  alias = 6,
  remove = 7,     // delete the person (GDPR)
  workspace = 8,  // `tailrace apply`: payload is the whole normalised workspace as JSON
  rejected = 9,   // could not be read at all: payload is the raw input, reason says why
};

// The fields of a record, as views into somebody's bytes. Empty means absent. Encoding: record.cc.
struct RecordView {
  RecordKind kind = RecordKind::tombstone;
  Time received_at;             // stamped when appended; never decreases along the log
  Time time;                    // event time, after clock-skew correction; of identify, alias, remove too
  std::string_view source;      // the write key's name, or "import:<name>"
  std::string_view message_id;  // unique within the source
  std::string_view user_id;
  std::string_view anonymous_id;
  std::string_view previous_id;  // alias
  std::string_view group_id;     // group
  std::string_view event;        // track: as it came, before aliases; page and screen: the page's name
  std::string_view
      payload;  // JSON object: properties (track, page, screen) or traits (identify, group); see kinds above
  std::string_view context;  // JSON object
  std::string_view
      reason;  // rejected only: what is wrong and how to mend it, with the line number for imports
  // What it says of an e-mail, phone or device of these kinds makes nobody one: somebody was in the way, and
  // has been deleted since. A bit for each, see pin_of.
  std::uint8_t pinned = 0;
  // Of a tombstone only.
  bool created_person = false;     // the record made a person known: their PersonId stays taken
  std::uint64_t message_hash = 0;  // so that a retry of the message is still known as one; 0: unknown
};

constexpr std::uint32_t kRecordBytesMax = 4 * 1024 * 1024;

// Appends the record's bytes to out. Errors: invalid_argument when it is longer than kRecordBytesMax.
Result<void> encode_record(const RecordView& record, std::string& out);

// Views into bytes. Errors: corrupt.
Result<RecordView> decode_record(std::string_view bytes);

// The bit of a kind in `pinned`; 0: records cannot be pinned for it.
constexpr std::uint8_t pin_of(IdentifierKind kind) {
  switch (kind) {
    case IdentifierKind::email:
      return 1;
    case IdentifierKind::phone:
      return 2;
    case IdentifierKind::idfa:
      return 4;
    case IdentifierKind::aaid:
      return 8;
    case IdentifierKind::external_id:
    case IdentifierKind::anonymous_id:
      return 0;
  }
  return 0;
}
// A record that stays when others go, and is to be pinned.
struct Pin {
  Position position;
  std::uint8_t kinds = 0;

  auto operator<=>(const Pin&) const = default;
};
// In encoded bytes (of a record that begins at offset and is no tombstone).
void pin(std::string& encoded, std::size_t offset, std::uint8_t kinds);

// Moves the event time in encoded bytes (of a record that begins at offset and is no tombstone).
void shift_time(std::string& encoded, std::size_t offset, Millis by);

// Overwrites received_at in encoded bytes (the log stamps at append).
void stamp_received_at(std::string& encoded, std::size_t offset, Time received_at);

// The fewest bytes a record has: those of a tombstone without a tail.
constexpr std::uint32_t kRecordBytesMin = 9;

// Reads received_at alone; encoded has at least kRecordBytesMin bytes.
Time received_at_of(std::string_view encoded);

// The source as far as de-duplication goes: all imports are one, theirs names the file behind a '#'.
inline std::string_view message_scope(std::string_view source) { return source.substr(0, source.find('#')); }
// How a message is known for de-duplication.
std::uint64_t message_hash(std::string_view source, std::string_view message_id);

// Turns the encoded record at [offset, offset + length) into a tombstone of the same length. What stays:
// received_at, the source (an import counts its records), the hash of the message id, and whether it created
// a person. A tombstone is left as it is.
void make_tombstone(std::string& encoded, std::size_t offset, std::size_t length,
                    bool created_person = false);

}  // namespace tailrace
