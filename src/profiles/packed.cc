#include "profiles/packed.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::profiles {
namespace {

enum class Tag : unsigned char { null, no, yes, decimal, number, text, other };
constexpr Tag kLastTag = Tag::other;

template <class T>
void put_fixed(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

}  // namespace

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

std::uint64_t Unpacker::varint() {
  std::uint64_t value = 0;
  const std::size_t most = std::min<std::size_t>(rest_.size(), 10);
  for (std::size_t i = 0; i < most; ++i) {
    const auto byte = static_cast<unsigned char>(rest_[i]);
    value |= std::uint64_t{byte & 0x7fu} << (7 * i);
    if (byte < 0x80) {
      rest_.remove_prefix(i + 1);
      return value;
    }
  }
  failed_ = true;
  rest_.remove_prefix(most);
  return value;
}

std::string_view Unpacker::bytes(std::uint64_t size) {
  if (size > rest_.size()) {
    failed_ = true;
    rest_ = {};
    return {};
  }
  const std::string_view found = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return found;
}

namespace {
constexpr unsigned char kWhatMask = 0xc0;
}

IdentityEntry read_entry(Unpacker& in) {
  using What = IdentityEntry::What;
  IdentityEntry entry;
  const auto tag = in.fixed<unsigned char>();
  entry.what = static_cast<What>(tag & kWhatMask);
  entry.kind = static_cast<IdentifierKind>(tag & ~kWhatMask);
  entry.time = {from_zigzag(in.varint())};
  entry.source = static_cast<std::uint32_t>(in.varint());
  entry.position = Position(in.varint());
  if (entry.what == What::joined) entry.gone = PersonId(static_cast<std::uint32_t>(in.varint()));
  if (entry.what == What::refused || entry.what == What::contested) {
    entry.reason = static_cast<Refusal>(in.fixed<unsigned char>());
    entry.count = in.varint();
    entry.rules = in.varint();
  }
  entry.value = in.bytes(in.varint());
  return entry;
}

void put_entry(std::string& out, const IdentityEntry& entry) {
  using What = IdentityEntry::What;
  out += static_cast<char>(static_cast<unsigned char>(entry.what) | static_cast<unsigned char>(entry.kind));
  put_varint(out, zigzag(entry.time.ms));
  put_varint(out, entry.source);
  put_varint(out, entry.position.value);
  if (entry.what == What::joined) put_varint(out, entry.gone.value);
  if (entry.what == What::refused || entry.what == What::contested) {
    out += static_cast<char>(entry.reason);
    put_varint(out, entry.count);
    put_varint(out, entry.rules);
  }
  put_text(out, entry.value);
}

ValueView read_value(Unpacker& in) {
  using Kind = ValueView::Kind;
  ValueView value;
  switch (const auto tag = static_cast<Tag>(in.fixed<unsigned char>()); tag) {
    case Tag::null:
      break;
    case Tag::no:
    case Tag::yes:
      value.kind = Kind::boolean;
      value.boolean = tag == Tag::yes;
      break;
    case Tag::decimal: {
      value.kind = Kind::number;
      const std::int64_t mantissa = from_zigzag(in.varint());
      value.number = Number::decimal(mantissa, in.fixed<unsigned char>());
      break;
    }
    case Tag::number: {
      value.kind = Kind::number;
      const auto number = Number::parse(in.bytes(in.varint()));
      TR_ASSERT(number.has_value());
      value.number = *number;
      break;
    }
    case Tag::text:
      value.kind = Kind::text;
      value.text = in.bytes(in.varint());
      break;
    case Tag::other:
      value.kind = Kind::other;
      value.other = in.fixed<std::uint32_t>();
      break;
  }
  return value;
}

void skip_value(Unpacker& in) {
  switch (static_cast<Tag>(in.fixed<unsigned char>())) {
    case Tag::null:
    case Tag::no:
    case Tag::yes:
      return;
    case Tag::decimal:
      in.varint();
      in.bytes(1);
      return;
    case Tag::number:
    case Tag::text:
      in.bytes(in.varint());
      return;
    case Tag::other:
      in.bytes(sizeof(std::uint32_t));
      return;
  }
}

void put_value(std::string& out, const Value& value, std::uint32_t other) {
  const auto put_tag = [&](Tag tag) { out += static_cast<char>(tag); };
  switch (value.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return put_tag(Tag::null);
    case Value::Kind::boolean:
      return put_tag(value.boolean ? Tag::yes : Tag::no);
    case Value::Kind::number:
      if (const auto decimal = value.number.as_decimal();
          decimal && decimal->scale >= 0 && decimal->scale <= 36) {
        put_tag(Tag::decimal);
        put_varint(out, zigzag(decimal->mantissa));
        out += static_cast<char>(decimal->scale);
      } else {
        put_tag(Tag::number);
        put_text(out, value.number.to_string());
      }
      return;
    case Value::Kind::string:
      put_tag(Tag::text);
      return put_text(out, value.string);
    case Value::Kind::list:
    case Value::Kind::object:
      put_tag(Tag::other);
      return put_fixed(out, other);
  }
}

TraitRecord read_record(std::string_view body) {
  Unpacker in(body);
  TraitRecord record;
  record.time = in.fixed<Time>();
  record.message_id = in.bytes(in.varint());
  record.count = in.varint();
  record.stated = in.rest();
  return record;
}

void put_record(std::string& out, Time time, std::string_view message_id, std::uint64_t count,
                std::string_view stated) {
  const std::size_t begin = out.size();
  put_fixed(out, time);
  put_text(out, message_id);
  put_varint(out, count);
  out += stated;
  put_fixed(out, static_cast<std::uint32_t>(out.size() - begin));
}

std::optional<LastRecord> take_last_record(std::string_view& statements) {
  std::uint32_t size = 0;
  if (statements.size() < sizeof size) return std::nullopt;
  const std::size_t end = statements.size() - sizeof size;
  statements.substr(end).copy(reinterpret_cast<char*>(&size), sizeof size);
  if (size > end) return std::nullopt;
  const std::size_t begin = end - size;
  const LastRecord last{statements.substr(begin), statements.substr(begin, size)};
  statements = statements.substr(0, begin);
  return last;
}

bool is_identity(std::string_view bytes, std::size_t sources) {
  if (bytes.empty()) return true;
  Unpacker in(bytes);
  std::uint64_t creators = in.varint();
  if (creators > bytes.size()) return false;
  for (; creators > 0; --creators) in.varint();
  while (!in.done() && !in.failed()) {
    const IdentityEntry entry = read_entry(in);
    if (entry.kind > kLastIdentifierKind || entry.reason > kLastRefusal || entry.source >= sources)
      return false;
  }
  return !in.failed();
}

bool is_statements(std::string_view bytes, std::size_t traits, std::size_t others) {
  while (!bytes.empty()) {
    const auto last = take_last_record(bytes);
    if (!last) return false;
    const TraitRecord record = read_record(last->body);
    Unpacker in(record.stated);
    for (std::uint64_t left = record.count; left > 0; --left) {
      if (in.varint() >= traits || in.done()) return false;
      if (static_cast<unsigned char>(in.rest().front()) > static_cast<unsigned char>(kLastTag)) return false;
      Unpacker checked = in;
      skip_value(in);
      if (in.failed()) return false;
      const auto tag = static_cast<Tag>(checked.fixed<unsigned char>());
      if (tag == Tag::other && checked.fixed<std::uint32_t>() >= others) return false;
      if (tag == Tag::number && !Number::parse(checked.bytes(checked.varint()))) return false;
      if (tag == Tag::decimal) {
        checked.varint();
        if (checked.fixed<unsigned char>() > 36) return false;
      }
    }
    if (!in.done()) return false;
  }
  return true;
}

bool is_consents(std::string_view bytes, std::size_t purposes) {
  Unpacker in(bytes);
  while (!in.done()) {
    if (in.fixed<std::uint32_t>() >= purposes) return false;
    const auto count = in.fixed<std::uint32_t>();
    if (count == 0) return false;
    in.bytes(std::uint64_t{count} * sizeof(std::int64_t));
    if (in.failed()) return false;
  }
  return true;
}

}  // namespace tailrace::profiles
