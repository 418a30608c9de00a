// What the ledger writes, and reads again. Numbers are big-endian, so keys sort by person and then by time;
// times are stored with their sign bit flipped for the same reason.
//
//   key        = "version"                              value: version
//              | "s" name                               value: state
//              | "m" name person                        value: membership
//              | "h" name kind value-text person        value: empty; the person holds that identifier
//              | "e" name person time                   value: empty; an acknowledged addition
//              | "t" name                               value: stream; of a stream sync
//              | "d" name position                      value: dead; an event of a stream sync
//              | "r" name reason-text                   value: refused; those of a stream sync
//              | "w" name                               value: warehouse; of a warehouse sync
//              | "n"                                    value: u64; the id of the next delivery
//              | "o" id                                 value: delivery; until all warehouses have it
//              | "p" name time                          value: point; of the history of its match rate
//   version    = u32, now 7
//   position   = u64
//   name       = text                                   the sync's name
//   person     = u32
//   time       = u64
//   text       = u32 length, that many bytes
//   membership = u8 state, u8 unanswered, time changed, time received, time acknowledged,
//                text reason, u32 count, that many identifiers,
//                time sent, u8 live, time refused, u64 dropped
//                (these four are absent in what formats 1 and 2 wrote), time renewed (absent in 1 to 3),
//                u64 attributes (absent in 1 to 5)
//   identifier = u8 kind, u8 hashed, u16 normalisation version, text value
//   state      = text audience id, u64 sent, u64 accepted, u64 rejected, u64 next batch id,
//                time last success, text stopped reason, u8 is measured, measurement, time measured,
//                text destination (absent in what format 1 wrote), guards, baseline, u8 frozen, u8 starts
//                over (these absent in 1 and 2), time reupload asked (absent in 1 to 3), sweep (absent in 1
//                to 6)
//   sweep      = u32 next, u32 end, time clear before, time removed
//   guards     = side of additions, side of removals, u64 slot, u8 filled
//   baseline   = u8 known, text name, text description, u8 has retention, u64 days, text flag, u64 delivered,
//                u64 size, u64 strangers
//   side       = u8 hold, time held, u8 release asked, u64 released, 12 of u32 recent
//   measurement= u8 has size, u64 size, u8 has rate, u64 rate (bits of a double), text detail
//   stream     = u8 begun, walk, u8 replays, walk of the replay, position begin, position end, time from,
//   time to, u8 paused,
//                u64 sent, u64 accepted, u64 rejected, time last success, text stopped reason
//   walk       = position cursor, position read, u32 count, that many of (position, u8 sent)
//   dead       = u32 person, text event, time at, text reason, u8 ambiguous
//   refused    = u64 count, position last, u32 person, time last
//   id         = u64
//   delivery   = text sync, u32 person, u8 operation, u8 outcome, position, text event, time changed,
//                time received, time sent, time acknowledged, text reason
//   warehouse  = u8 begun, u64 packs, position log, position changes, id deliveries, u8 is pending, pending,
//                text schema, u64 rows, u64 bytes, time loaded, u8 paused, text stopped reason
//   pending    = position log, position changes, id deliveries, time cut
//   point      = u64 people, u64 usable, u64 members, u64 identifiers, u8 has size, u64 size, u8 has rate,
//                u64 rate (bits of a double), time measured, text configuration
//
// A value with bytes missing, left over or out of range is corrupt. A change of this grammar raises the
// version; a version we do not know is refused before anything else is read. An older one is read as it is,
// and named anew: what is written from then on is of the new format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "delivery/ledger.h"

namespace tailrace::delivery::ledger_format {

constexpr std::uint64_t kSignBit = 1ull << 63;

template <class Number>
void put(std::string& out, Number value) {
  for (int shift = static_cast<int>(sizeof(Number)) * 8 - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((value >> shift) & 0xff));
}
inline void put_time(std::string& out, Time time) {
  put(out, static_cast<std::uint64_t>(time.ms) ^ kSignBit);
}
inline void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Reads the grammar. After a failure every read gives a zero and ok() stays false, so a whole value is read
// first and judged once.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  Number number() {
    Number value = 0;
    for (const char c : take(sizeof(Number)))
      value = static_cast<Number>((static_cast<std::uint64_t>(value) << 8) | static_cast<unsigned char>(c));
    return value;
  }
  template <class Enum>
  Enum choice(Enum last) {
    const auto value = number<std::uint8_t>();
    if (value > static_cast<std::uint8_t>(last)) failed_ = true;
    return failed_ ? Enum{} : static_cast<Enum>(value);
  }
  bool flag() {
    const auto value = number<std::uint8_t>();
    if (value > 1) failed_ = true;
    return value == 1;
  }
  Time time() { return Time{static_cast<std::int64_t>(number<std::uint64_t>() ^ kSignBit)}; }
  std::string text() { return std::string(take(number<std::uint32_t>())); }
  std::size_t left() const { return bytes_.size(); }
  bool ok() const { return !failed_ && bytes_.empty(); }
  bool failed() const { return failed_; }

 private:
  std::string_view take(std::size_t count) {
    if (failed_ || count > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  std::string_view bytes_;
  bool failed_ = false;
};

std::string encode_membership(const Membership& membership);
std::string encode_state(const SyncState& state);
std::string encode_stream(const StreamState& state);
std::string encode_dead_letter(const StreamDeadLetter& letter);  // without its position
std::string encode_refusals(const StreamRefusals& refusals);     // without their reason
std::string encode_delivery(const DeliveryFact& fact);           // without its id
std::string encode_warehouse(const WarehouseState& state);
std::string encode_match_point(const MatchPoint& point);  // without its instant
// Whatever the bytes are. Missing: they do not keep to the grammar.
std::optional<Membership> decode_membership(std::string_view bytes);
std::optional<SyncState> decode_state(std::string_view bytes);
std::optional<StreamState> decode_stream(std::string_view bytes);
std::optional<StreamDeadLetter> decode_dead_letter(Position position, std::string_view bytes);
std::optional<DeliveryFact> decode_delivery(std::uint64_t id, std::string_view bytes);
std::optional<WarehouseState> decode_warehouse(std::string_view bytes);
std::optional<StreamRefusals> decode_refusals(std::string reason, std::string_view bytes);
std::optional<MatchPoint> decode_match_point(Time at, std::string_view bytes);

}  // namespace tailrace::delivery::ledger_format
