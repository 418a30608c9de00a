// The grammar of a payload: {"schema": KEY | [KEY, ...], "data": [ROW, ...]}, a row having one value per key.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "sandbox/meta/meta.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kRowsMax = 10'000;
constexpr std::size_t kInvalidSamplesMax = 5;
// The digest of nothing: a pipeline that hashes empty fields sends it for everyone.
constexpr std::string_view kDigestOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum class Form { digest, plain_id, mobile_id, positive_number, options_list, options_number };

struct Key {
  std::string_view name;
  Form form;
  // The kind of member it makes. "" for details: they help to find a person, but name nobody by themselves.
  std::string_view kind;
};

constexpr std::array kKeys{
    Key{"EMAIL", Form::digest, "email"},
    Key{"PHONE", Form::digest, "phone"},
    Key{"EXTERN_ID", Form::plain_id, "external_id"},
    Key{"MADID", Form::mobile_id, "mobile_id"},
    Key{"GEN", Form::digest, ""},
    Key{"DOBY", Form::digest, ""},
    Key{"DOBM", Form::digest, ""},
    Key{"DOBD", Form::digest, ""},
    Key{"LN", Form::digest, ""},
    Key{"FN", Form::digest, ""},
    Key{"FI", Form::digest, ""},
    Key{"CT", Form::digest, ""},
    Key{"ST", Form::digest, ""},
    Key{"ZIP", Form::digest, ""},
    Key{"COUNTRY", Form::digest, ""},
    Key{"LOOKALIKE_VALUE", Form::positive_number, ""},
    Key{"DATA_PROCESSING_OPTIONS", Form::options_list, ""},
    Key{"DATA_PROCESSING_OPTIONS_COUNTRY", Form::options_number, ""},
    Key{"DATA_PROCESSING_OPTIONS_STATE", Form::options_number, ""},
};
// Names that stand alone, as a string and not in a list.
constexpr std::array kSingleKeys{
    Key{"EMAIL_SHA256", Form::digest, "email"},
    Key{"PHONE_SHA256", Form::digest, "phone"},
    Key{"MOBILE_ADVERTISER_ID", Form::mobile_id, "mobile_id"},
};

template <std::size_t N>
const Key* find_key(const std::array<Key, N>& keys, std::string_view name) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

MetaError mismatch(const std::string& detail) {
  return {.message = "(#100) Data is missing or does not match schema: " + detail};
}

MetaResult<std::vector<const Key*>> read_schema(const Value* schema) {
  if (schema == nullptr) return std::unexpected(mismatch("payload.schema is missing"));
  if (schema->kind == Value::Kind::string) {
    const Key* key = find_key(kSingleKeys, schema->string);
    if (key == nullptr) key = find_key(kKeys, schema->string);
    if (key == nullptr) {
      return std::unexpected(
          MetaError{.message = fmt::format("(#100) Param payload[schema] is not a known key: '{}'",
                                           printable(schema->string))});
    }
    return std::vector{key};
  }
  if (schema->kind != Value::Kind::list || schema->list.empty()) {
    return std::unexpected(mismatch("payload.schema must be a key or a list of keys"));
  }
  std::vector<const Key*> keys;
  for (const Value& name : schema->list) {
    const Key* key = name.kind == Value::Kind::string ? find_key(kKeys, name.string) : nullptr;
    if (key == nullptr) {
      return std::unexpected(
          MetaError{.message = fmt::format("(#100) Param payload[schema][{}] is not a known key: '{}'",
                                           keys.size(), printable(name.string))});
    }
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      return std::unexpected(mismatch(fmt::format("{} is in payload.schema twice", key->name)));
    }
    keys.push_back(key);
  }
  return keys;
}

std::string_view hash_problem(const Value& value) {
  if (value.kind != Value::Kind::string || !is_lower_hex_digest(value.string)) {
    return "is not a SHA-256 in 64 lower-case hexadecimal digits";
  }
  return value.string == kDigestOfNothing ? "is the SHA-256 of an empty text" : "";
}

std::string_view options_problem(const Value& value) {
  const bool known = value.kind == Value::Kind::list &&
                     std::all_of(value.list.begin(), value.list.end(), [](const Value& option) {
                       return option.kind == Value::Kind::string && option.string == "LDU";
                     });
  return known ? "" : "is not a list of \"LDU\"";
}

std::string_view number_problem(const Value& value) {
  if (value.kind == Value::Kind::number) return value.number >= Number() ? "" : "is negative";
  if (value.kind != Value::Kind::string) return "is not a number";
  const auto number = Number::parse(value.string);
  if (!number) return "is not a number";
  return *number >= Number() ? "" : "is negative";
}

// What is wrong with a value that is not "". Empty: nothing.
std::string_view problem(const Key& key, const Value& value) {
  switch (key.form) {
    case Form::digest:
      return hash_problem(value);
    case Form::plain_id:
      return value.kind == Value::Kind::string || value.kind == Value::Kind::number ? "" : "is not a text";
    case Form::mobile_id: {
      const bool lower =
          std::none_of(value.string.begin(), value.string.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
      return is_uuid(value.string) && lower ? "" : "is not a lower-case mobile advertiser id with hyphens";
    }
    case Form::positive_number:
      return number_problem(value);
    case Form::options_list:
      return options_problem(value);
    case Form::options_number:
      return whole_number(value) ? "" : "is not a whole number";
  }
  return "";
}

bool is_unknown(const Value& value) { return value.kind == Value::Kind::string && value.string.empty(); }

std::string text_of(const Value& value) {
  return value.kind == Value::Kind::number ? value.number.to_string() : value.string;
}

// The row's identifiers, or (an unexpected text) why it is an invalid entry.
std::expected<std::vector<MemberId>, std::string> read_row(const std::vector<const Key*>& keys,
                                                           std::span<const Value> values) {
  std::vector<MemberId> ids;
  std::string details;
  bool has_first_name = false;
  bool has_last_name = false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Key& key = *keys[i];
    if (is_unknown(values[i])) continue;
    const std::string_view wrong = problem(key, values[i]);
    if (!wrong.empty()) return std::unexpected(fmt::format("{} {}", key.name, wrong));
    if (!key.kind.empty()) {
      ids.push_back({std::string(key.kind), text_of(values[i])});
    } else if (key.form == Form::digest) {
      has_first_name = has_first_name || key.name == "FN";
      has_last_name = has_last_name || key.name == "LN";
      details += fmt::format("{}{}={}", details.empty() ? "" : ",", key.name, values[i].string);
    }
  }
  // Without anything better, a full name with its other details is all there is to know a person by.
  if (ids.empty() && has_first_name && has_last_name) ids.push_back({"details", details});
  if (ids.empty()) return std::unexpected("nothing in it can name a person");
  return ids;
}

// A row of a single-key schema may be the value itself.
std::span<const Value> values_of(const Value& row, std::size_t keys) {
  if (row.kind == Value::Kind::list) return row.list;
  if (keys == 1) return {&row, 1};
  return {};
}

}  // namespace

MetaResult<MetaUpload> read_meta_payload(const Value& payload, const KnownPeople& known) {
  if (payload.kind != Value::Kind::object) return std::unexpected(mismatch("payload must be an object"));
  if (const Value* raw = payload.find("is_raw"); raw != nullptr && raw->kind != Value::Kind::boolean) {
    return std::unexpected(MetaError{.message = "(#100) Param payload[is_raw] must be a boolean"});
  }
  const auto keys = read_schema(payload.find("schema"));
  if (!keys) return std::unexpected(keys.error());
  const Value* data = payload.find("data");
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty()) {
    return std::unexpected(mismatch("payload.data must be a list of at least one row"));
  }
  if (data->list.size() > kRowsMax) {
    return std::unexpected(MetaError{
        .message = fmt::format("(#100) Too many rows in payload[data]: {}, at most {} in one request",
                               data->list.size(), kRowsMax)});
  }
  MetaUpload upload;
  upload.invalid_samples = Value::with(Value::Kind::object);
  for (const Value& row : data->list) {
    const std::span<const Value> values = values_of(row, keys->size());
    if (values.size() != keys->size()) {
      return std::unexpected(mismatch(fmt::format("row {} has {} values, the schema has {} keys",
                                                  upload.received, values.size(), keys->size())));
    }
    auto ids = read_row(*keys, values);
    if (ids) {
      if (known.knows_any(*ids)) ++upload.matched;
      upload.rows.push_back(std::move(*ids));
    } else {
      if (upload.invalid_samples.members.size() < kInvalidSamplesMax) {
        upload.invalid_samples.members.emplace_back(fmt::format("row {}", upload.received),
                                                    Value::of(ids.error()));
      }
      ++upload.invalid;
    }
    ++upload.received;
  }
  return upload;
}

}  // namespace tailrace::sandbox
