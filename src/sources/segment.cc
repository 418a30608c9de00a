// Three steps: scan the whole body into Messages, which are slices of it (json_scanner.h); judge each; encode
// it. Scanning comes first because what holds for a whole batch, `sentAt` and `context`, usually stands after
// it.
#include "sources/segment.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <libdeflate.h>
#include <simdjson.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/http.h"
#include "model/json.h"
#include "model/json_scanner.h"

namespace tailrace::sources {
namespace {

constexpr std::size_t kGunzipStepBytes = 64 * 1024;
constexpr std::string_view kTypes = "identify, track, page, screen, group, alias or delete";
constexpr std::string_view kTimeMend =
    "send ISO 8601 between the years 0001 and 9999, like 2026-03-01T10:00:00.000Z";

// One message of the body: the members we know, as they stand there.
struct Message {
  std::string_view raw;
  JsonSlice type, message_id, user_id, anonymous_id, previous_id, group_id, event, name;
  JsonSlice timestamp, original_timestamp, sent_at;
  JsonSlice properties, traits, context, context_traits;
  bool traits_hold_contact = false;
  bool context_traits_hold_contact = false;
  JsonFlaw flaw = JsonFlaw::none;
};

// What stands beside the messages of a batch.
struct Envelope {
  JsonSlice sent_at, context;
};

// text == word, without a call for the few bytes.
template <std::size_t Size>
bool is(std::string_view text, const char (&word)[Size]) {
  return text.size() == Size - 1 && std::memcmp(text.data(), word, Size - 1) == 0;
}

// The members we know, by the length of their name first: this is asked for every member of every message.
JsonSlice Message::* known_member(std::string_view key) {
  switch (key.size()) {
    case 4:
      return is(key, "type") ? &Message::type : is(key, "name") ? &Message::name : nullptr;
    case 5:
      return is(key, "event") ? &Message::event : nullptr;
    case 6:
      return is(key, "userId")   ? &Message::user_id
             : is(key, "traits") ? &Message::traits
             : is(key, "sentAt") ? &Message::sent_at
                                 : nullptr;
    case 7:
      return is(key, "context") ? &Message::context : is(key, "groupId") ? &Message::group_id : nullptr;
    case 9:
      return is(key, "messageId")   ? &Message::message_id
             : is(key, "timestamp") ? &Message::timestamp
                                    : nullptr;
    case 10:
      return is(key, "properties")   ? &Message::properties
             : is(key, "previousId") ? &Message::previous_id
                                     : nullptr;
    case 11:
      return is(key, "anonymousId") ? &Message::anonymous_id : nullptr;
    case 17:
      return is(key, "originalTimestamp") ? &Message::original_timestamp : nullptr;
    default:
      return nullptr;
  }
}

// A member's name, unescaped into scratch where that is needed.
std::string_view plain_key(const JsonSlice& key, std::string& scratch) {
  if (!key.escaped) return key.text;
  scratch.clear();
  append_unescaped(scratch, key.text);
  return scratch;
}

bool read_traits(JsonScanner& scanner, JsonSlice& traits, bool& hold_contact) {
  hold_contact = false;
  if (scanner.peek() != '{') return scanner.value(traits);
  std::string scratch;
  return scanner.members(traits, [&](const JsonSlice& key) {
    const std::string_view name = plain_key(key, scratch);
    const bool contact = is(name, "email") || is(name, "phone");
    JsonSlice value;
    if (!scanner.value(value, 1)) return false;
    if (contact &&
        (value.type == JsonType::number || (value.type == JsonType::string && !value.text.empty()))) {
      hold_contact = true;
    }
    return true;
  });
}

bool read_context(JsonScanner& scanner, Message& message) {
  if (scanner.peek() != '{') return scanner.value(message.context);
  message.context_traits = {};
  std::string scratch;
  return scanner.members(message.context, [&](const JsonSlice& key) {
    if (is(plain_key(key, scratch), "traits")) {
      return read_traits(scanner, message.context_traits, message.context_traits_hold_contact);
    }
    JsonSlice ignored;
    return scanner.value(ignored, 1);
  });
}

bool read_message(JsonScanner& scanner, Message& message) {
  const char first = scanner.peek();
  const char* begin = scanner.position();
  JsonSlice whole;
  bool read = false;
  if (first == '{') {
    std::string scratch;
    read = scanner.members(whole, [&](const JsonSlice& key) {
      JsonSlice Message::* const member = known_member(plain_key(key, scratch));
      if (member == &Message::traits)
        return read_traits(scanner, message.traits, message.traits_hold_contact);
      if (member == &Message::context) return read_context(scanner, message);
      JsonSlice ignored;
      return scanner.value(member == nullptr ? ignored : message.*member);
    });
  } else {
    read = scanner.value(whole);
  }
  message.raw = {begin, static_cast<std::size_t>(scanner.position() - begin)};
  message.flaw = scanner.take_flaw();
  return read;
}

Result<void> read_batch(JsonScanner& scanner, const SegmentLimits& limits, std::vector<Message>& messages,
                        Envelope& envelope) {
  bool too_many = false;
  int batches = 0;
  const auto read_messages = [&] {
    JsonSlice list;
    ++batches;
    return scanner.elements(list, [&] {
      too_many = messages.size() == limits.batch_messages_max;
      return !too_many && read_message(scanner, messages.emplace_back());
    });
  };
  std::string scratch;
  JsonSlice whole;
  JsonFlaw flaw = JsonFlaw::none;
  const bool read = scanner.members(whole, [&](const JsonSlice& key) {
    const std::string_view name = plain_key(key, scratch);
    JsonSlice ignored;
    if (name == "batch" && scanner.peek() == '[') return read_messages();
    const bool understood = scanner.value(name == "sentAt"    ? envelope.sent_at
                                          : name == "context" ? envelope.context
                                                              : ignored);
    // read_message asks for the flaws of messages; those of unknown members do not matter.
    const JsonFlaw found = scanner.take_flaw();
    if (name == "context") flaw = found;
    return understood;
  });
  if (too_many) {
    return invalid(
        fmt::format("more than {} messages in one batch; send them in several", limits.batch_messages_max));
  }
  if (!read) return invalid(scanner.error());
  if (batches != 1) return invalid("a batch needs one list `batch` of messages");
  if (flaw != JsonFlaw::none) {
    return invalid(
        "`context` of the batch has half a surrogate pair, a number beyond a double, or is too deep");
  }
  if (envelope.context.type != JsonType::object && envelope.context.type != JsonType::missing &&
      envelope.context.type != JsonType::null) {
    return invalid("`context` of the batch is not an object");
  }
  if (envelope.context.text.size() > kBatchContextBytesMax) {
    return invalid(fmt::format("`context` of the batch has {} bytes; send at most {}",
                               envelope.context.text.size(), kBatchContextBytesMax));
  }
  return {};
}

Result<void> scan(std::string_view body, const SegmentRequest& request, const SegmentLimits& limits,
                  std::vector<Message>& messages, Envelope& envelope) {
  if (!simdjson::validate_utf8(body)) return invalid("not valid JSON: it must be UTF-8 text");
  JsonScanner scanner(body);
  if (scanner.peek() != '{') return invalid("the body must be a JSON object");
  if (request.call == SegmentCall::batch) {
    TRY(read_batch(scanner, limits, messages, envelope));
  } else if (!read_message(scanner, messages.emplace_back())) {
    return invalid(scanner.error());
  }
  if (!scanner.at_end()) {
    scanner.expected("the end");
    return invalid(scanner.error());
  }
  return {};
}

std::string_view name_of(JsonType type) {
  switch (type) {
    case JsonType::boolean:
      return "true or false";
    case JsonType::number:
      return "a number";
    case JsonType::string:
      return "text";
    case JsonType::list:
      return "a list";
    case JsonType::object:
      return "an object";
    case JsonType::missing:
    case JsonType::null:
      break;
  }
  return "missing";
}

bool is_absent(const JsonSlice& slice) {
  return slice.type == JsonType::missing || slice.type == JsonType::null;
}

std::optional<RecordKind> kind_of_type(std::string_view type) {
  static constexpr std::array<std::pair<std::string_view, RecordKind>, 7> kKinds{
      {{"track", RecordKind::track},
       {"identify", RecordKind::identify},
       {"page", RecordKind::page},
       {"screen", RecordKind::screen},
       {"group", RecordKind::group},
       {"alias", RecordKind::alias},
       {"delete", RecordKind::remove}}};
  for (const auto& [name, kind] : kKinds) {
    if (type == name) return kind;
  }
  return std::nullopt;
}

std::optional<RecordKind> kind_of_call(SegmentCall call) {
  switch (call) {
    case SegmentCall::identify:
      return RecordKind::identify;
    case SegmentCall::track:
      return RecordKind::track;
    case SegmentCall::page:
      return RecordKind::page;
    case SegmentCall::screen:
      return RecordKind::screen;
    case SegmentCall::group:
      return RecordKind::group;
    case SegmentCall::alias:
      return RecordKind::alias;
    case SegmentCall::remove:
      return RecordKind::remove;
    case SegmentCall::batch:
    case SegmentCall::any:
      break;
  }
  return std::nullopt;
}

// Judges and encodes the messages of one body.
class Encoder {
 public:
  Encoder(const SegmentRequest& request, const SegmentLimits& limits, const Envelope& envelope,
          std::size_t body_bytes, std::size_t messages)
      : request_(request), limits_(limits), envelope_(envelope), body_bytes_(body_bytes) {
    out_.bytes.reserve(body_bytes + 256);
    out_.ends.reserve(messages);
    if (envelope.sent_at.type == JsonType::string && !envelope.sent_at.escaped) {
      if (const auto time = parse_time(envelope.sent_at.text)) batch_sent_at_ = *time;
    }
    if (envelope.context.type == JsonType::object) list_members(envelope.context, batch_context_);
  }

  void add(const Message& message) {
    message_ = &message;
    reason_.clear();
    unescaped_.clear();
    RecordView record;
    record.source = request_.source;
    read_ids(record);
    if (judge(record)) {
      if (auto encoded = encode_record(record, out_.bytes); !encoded) refuse(encoded.error().message);
    }
    if (!reason_.empty()) add_rejected(record);
    out_.ends.push_back(static_cast<std::uint32_t>(out_.bytes.size()));
    ++index_;
  }

  RawRecords take() { return std::move(out_); }

 private:
  struct Member {
    std::string name;
    std::string text;  // "name":value, minified
  };

  // The first reason stays. Returns false, so that a judgement can end with it.
  bool refuse(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }

  std::string_view text_of(const JsonSlice& slice) {
    if (!slice.escaped) return slice.text;
    // All the text that is unescaped fits, so views into it stay good.
    unescaped_.reserve(body_bytes_);
    const std::size_t begin = unescaped_.size();
    append_unescaped(unescaped_, slice.text);
    return std::string_view(unescaped_).substr(begin);
  }

  // Text or a number as text. Empty when absent, or when it is something else or too long, with a reason.
  std::string_view id_of(const JsonSlice& slice, std::string_view field, std::size_t bytes_max) {
    if (is_absent(slice)) return {};
    if (slice.type == JsonType::number) return slice.text;
    if (slice.type != JsonType::string) {
      refuse(fmt::format("`{}` is {}; send text", field, name_of(slice.type)));
      return {};
    }
    const std::string_view text = text_of(slice);
    if (text.size() <= bytes_max) return text;
    refuse(fmt::format("`{}` has {} bytes; send at most {}", field, text.size(), bytes_max));
    return {};
  }

  std::string_view text_field(const JsonSlice& slice, std::string_view field) {
    return id_of(slice, field, limits_.message_bytes_max);
  }

  void read_ids(RecordView& record) {
    record.user_id = id_of(message_->user_id, "userId", kIdentifierBytesMax);
    record.anonymous_id = id_of(message_->anonymous_id, "anonymousId", kIdentifierBytesMax);
    record.message_id = id_of(message_->message_id, "messageId", kMessageIdBytesMax);
    if (!record.message_id.empty()) return;
    message_id_.clear();
    if (request_.default_message_id_prefix.empty()) {
      fmt::format_to(std::back_inserter(message_id_), "auto-{:016x}-{}", request_.entropy, index_);
    } else {
      fmt::format_to(std::back_inserter(message_id_), "{}{}", request_.default_message_id_prefix, index_);
    }
    record.message_id = message_id_;
  }

  bool judge(RecordView& record) {
    if (!reason_.empty()) return false;
    if (message_->raw.size() > limits_.message_bytes_max) {
      return refuse(fmt::format("the message has {} bytes; send at most {}", message_->raw.size(),
                                limits_.message_bytes_max));
    }
    if (message_->raw.front() != '{') return refuse("a message must be a JSON object");
    return judge_flaw() && judge_type(record) && judge_fields(record) && judge_time(record) &&
           judge_payload(record);
  }

  bool judge_flaw() {
    switch (message_->flaw) {
      case JsonFlaw::none:
        return true;
      case JsonFlaw::number_too_large:
        return refuse("a number is larger than a double can hold; send it as text");
      case JsonFlaw::half_surrogate:
        return refuse("a text has half of a surrogate pair (\\ud800 to \\udfff); send whole characters");
      case JsonFlaw::too_deep:
        return refuse(fmt::format("it is nested deeper than {} levels; send it flatter", kJsonDepthMax));
    }
    return true;
  }

  bool judge_type(RecordView& record) {
    auto kind = kind_of_call(request_.call);
    if (!kind) {
      if (message_->type.type != JsonType::string) return refuse(fmt::format("no `type`; send {}", kTypes));
      const std::string_view type = text_of(message_->type);
      kind = kind_of_type(type);
      if (!kind) return refuse(fmt::format("unknown type `{}`; send {}", cut(type, 64), kTypes));
    }
    record.kind = *kind;
    return true;
  }

  bool judge_fields(RecordView& record) {
    const bool anybody = !record.user_id.empty() || !record.anonymous_id.empty();
    switch (record.kind) {
      case RecordKind::identify:
        if (anybody || traits_hold_contact()) return true;
        return refuse("no userId or anonymousId, and no email or phone in the traits; send one of them");
      case RecordKind::alias:
        record.previous_id = id_of(message_->previous_id, "previousId", kIdentifierBytesMax);
        if (!record.user_id.empty() && !record.previous_id.empty()) return true;
        return refuse("an alias needs `userId` (the id to keep) and `previousId`; send both");
      case RecordKind::group:
        record.group_id = id_of(message_->group_id, "groupId", kIdentifierBytesMax);
        if (record.group_id.empty()) return refuse("a group call without `groupId`; send the group's id");
        break;
      case RecordKind::track:
        if (!is_absent(message_->event) && message_->event.type != JsonType::string) {
          return refuse(fmt::format("`event` is {}; send text", name_of(message_->event.type)));
        }
        record.event = text_field(message_->event, "event");
        if (record.event.empty()) return refuse("a track call without `event`; send the event's name");
        break;
      default:
        if (record.kind != RecordKind::remove) record.event = text_field(message_->name, "name");
        break;
    }
    return reason_.empty() && (anybody || refuse("no userId or anonymousId; send one of them"));
  }

  bool judge_time(RecordView& record) {
    record.time = request_.now;
    const bool caller_set = !is_absent(message_->timestamp);
    const JsonSlice& happened = caller_set ? message_->timestamp : message_->original_timestamp;
    if (is_absent(happened)) return true;
    const std::string_view field = caller_set ? "timestamp" : "originalTimestamp";
    const auto time = time_of(happened, field);
    if (!time) return false;
    record.time = *time;
    const JsonSlice& sent_at = is_absent(envelope_.sent_at) ? message_->sent_at : envelope_.sent_at;
    if (!request_.correct_clock_skew || is_absent(sent_at)) return true;
    // That of the batch is read once; when it can't be read, each message is told so.
    const auto sent =
        &sent_at == &envelope_.sent_at && batch_sent_at_ ? batch_sent_at_ : time_of(sent_at, "sentAt");
    if (!sent) return false;
    record.time = request_.now - (*sent - *time);
    if (record.time >= kTimeMin && record.time <= kTimeMax) return true;
    return refuse(fmt::format("`{}`, corrected by `sentAt`, is out of bounds; {}", field, kTimeMend));
  }

  std::optional<Time> time_of(const JsonSlice& slice, std::string_view field) {
    if (slice.type != JsonType::string) {
      refuse(fmt::format("`{}` is {}; {}", field, name_of(slice.type), kTimeMend));
      return std::nullopt;
    }
    const std::string_view text = text_of(slice);
    const auto time = parse_time(text);
    if (time) return *time;
    refuse(fmt::format("`{}` is `{}`; {}", field, cut(text, 64), kTimeMend));
    return std::nullopt;
  }

  bool traits_are_in_context() const {
    return is_absent(message_->traits) && message_->context_traits.type == JsonType::object;
  }
  bool traits_hold_contact() const {
    return traits_are_in_context() ? message_->context_traits_hold_contact : message_->traits_hold_contact;
  }

  bool judge_payload(RecordView& record) {
    switch (record.kind) {
      case RecordKind::track:
      case RecordKind::page:
      case RecordKind::screen:
        if (!object_of(message_->properties, "properties", payload_, record.payload)) return false;
        break;
      case RecordKind::identify:
        if (!object_of(traits_are_in_context() ? message_->context_traits : message_->traits, "traits",
                       payload_, record.payload)) {
          return false;
        }
        break;
      case RecordKind::group:
        if (!object_of(message_->traits, "traits", payload_, record.payload)) return false;
        break;
      default:
        break;
    }
    if (!object_of(message_->context, "context", context_, record.context)) return false;
    if (!batch_context_.empty()) merge_context(record);
    return true;
  }

  // The object's minified text: a view of the body where it came without white space, else of buffer.
  bool object_of(const JsonSlice& slice, std::string_view field, std::string& buffer,
                 std::string_view& text) {
    if (is_absent(slice)) return true;
    if (slice.type != JsonType::object) {
      return refuse(fmt::format("`{}` is {}; send an object", field, name_of(slice.type)));
    }
    text = slice.text;
    if (!slice.spaced) return true;
    buffer.clear();
    append_minified(buffer, slice);
    text = buffer;
    return true;
  }

  // object: scanned before.
  static void list_members(const JsonSlice& object, std::vector<Member>& members) {
    JsonScanner scanner(object.text);
    JsonSlice whole;
    scanner.members(whole, [&](const JsonSlice& key) {
      JsonSlice value;
      scanner.peek();
      const char* begin = scanner.position();
      if (!scanner.value(value)) return false;
      Member& member = members.emplace_back();
      append_unescaped(member.name, key.text);
      member.text = fmt::format("\"{}\":", key.text);
      value.text = {begin, static_cast<std::size_t>(scanner.position() - begin)};
      append_minified(member.text, value);
      return true;
    });
  }

  void merge_context(RecordView& record) {
    std::vector<Member> own;
    if (message_->context.type == JsonType::object) list_members(message_->context, own);
    const auto by_name = [](const Member& a, const Member& b) { return a.name < b.name; };
    std::sort(own.begin(), own.end(), by_name);
    merged_.assign(record.context.empty() ? "{" : record.context.substr(0, record.context.size() - 1));
    for (const Member& member : batch_context_) {
      if (std::binary_search(own.begin(), own.end(), member, by_name)) continue;
      if (merged_.size() > 1) merged_ += ',';
      merged_ += member.text;
    }
    merged_ += '}';
    record.context = merged_;
  }

  void add_rejected(const RecordView& read) {
    RecordView record;
    record.kind = RecordKind::rejected;
    record.time = request_.now;
    record.source = read.source;
    record.message_id = read.message_id;
    record.user_id = read.user_id;
    record.anonymous_id = read.anonymous_id;
    record.payload = cut(message_->raw, kRejectedPayloadBytesMax);
    record.reason = reason_;
    const auto encoded = encode_record(record, out_.bytes);
    TR_ASSERT(encoded.has_value());
    ++out_.rejected;
    out_.reasons.push_back(reason_);
  }

  const SegmentRequest& request_;
  const SegmentLimits& limits_;
  const Envelope& envelope_;
  const std::size_t body_bytes_;
  std::optional<Time> batch_sent_at_;
  std::vector<Member> batch_context_;
  RawRecords out_;
  const Message* message_ = nullptr;
  std::size_t index_ = 0;
  std::string reason_, message_id_, unescaped_, payload_, context_, merged_;
};

std::optional<std::string> basic_user(std::string_view authorization) {
  const std::size_t blank = authorization.find(' ');
  if (blank == std::string_view::npos || !equal_ignoring_case(authorization.substr(0, blank), "Basic")) {
    return std::nullopt;
  }
  std::string_view encoded = authorization.substr(blank);
  while (!encoded.empty() && encoded.front() == ' ') encoded.remove_prefix(1);
  while (!encoded.empty() && encoded.back() == ' ') encoded.remove_suffix(1);
  std::string user;
  if (!from_base64(encoded, user)) return std::nullopt;
  user.resize(std::min(user.find(':'), user.size()));
  if (user.empty()) return std::nullopt;
  return user;
}

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

}  // namespace

std::optional<SegmentCall> segment_call(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, SegmentCall>, 16> kCalls{
      {{"batch", SegmentCall::batch},
       {"b", SegmentCall::batch},
       {"import", SegmentCall::batch},
       {"track", SegmentCall::track},
       {"t", SegmentCall::track},
       {"identify", SegmentCall::identify},
       {"i", SegmentCall::identify},
       {"page", SegmentCall::page},
       {"p", SegmentCall::page},
       {"screen", SegmentCall::screen},
       {"s", SegmentCall::screen},
       {"group", SegmentCall::group},
       {"g", SegmentCall::group},
       {"alias", SegmentCall::alias},
       {"a", SegmentCall::alias},
       {"delete", SegmentCall::remove}}};
  path = path.substr(0, path.find('?'));
  static constexpr std::string_view kPrefix = "/v1/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  for (const auto& [name, call] : kCalls) {
    if (path == name) return call;
  }
  return std::nullopt;
}

Result<RawRecords> read_segment(std::string_view body, const SegmentRequest& request,
                                const SegmentLimits& limits) {
  Envelope envelope;
  // Kept from body to body: a batch takes more than an allocator hands out cheaply.
  thread_local std::vector<Message> messages;
  messages.clear();
  TRY(scan(body, request, limits, messages, envelope));
  Encoder encoder(request, limits, envelope, body.size(), messages.size());
  for (const Message& message : messages) encoder.add(message);
  return encoder.take();
}

std::optional<std::string> write_key(std::optional<std::string_view> authorization, std::string_view body) {
  if (authorization) {
    if (auto user = basic_user(*authorization)) return user;
  }
  std::optional<std::string> key;
  JsonScanner scanner(body);
  JsonSlice whole;
  std::string scratch;
  // What is wrong with the body is for read_segment to say.
  scanner.members(whole, [&](const JsonSlice& name) {
    const bool wanted = plain_key(name, scratch) == "writeKey";
    JsonSlice value;
    if (!scanner.value(value)) return false;
    if (!wanted || value.type != JsonType::string || value.text.empty()) return true;
    key.emplace();
    append_unescaped(*key, value.text);
    return false;  // found: the rest does not matter
  });
  return key;
}

Result<std::string> gunzip(std::string_view compressed, std::size_t bytes_max) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  std::string out;
  std::size_t size = 0;  // of what is undone; out is room for more
  do {
    // The last four bytes say the size of the last member, which is nearly always the only one. They may lie;
    // then there is the limit.
    std::uint32_t claimed = 0;
    if (compressed.size() >= 18) std::memcpy(&claimed, compressed.data() + compressed.size() - 4, 4);
    std::size_t room = std::max(out.size(), std::min<std::size_t>(claimed, bytes_max));
    std::size_t used = 0, written = 0;
    libdeflate_result result{};
    for (;;) {
      out.resize(room);
      result = libdeflate_gzip_decompress_ex(decompressor.get(), compressed.data(), compressed.size(),
                                             out.data() + size, room - size, &used, &written);
      if (result != LIBDEFLATE_INSUFFICIENT_SPACE || room == bytes_max) break;
      room = std::min(2 * room + kGunzipStepBytes, bytes_max);
    }
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      return invalid(fmt::format("the body is larger than {} bytes when uncompressed", bytes_max));
    }
    if (result != LIBDEFLATE_SUCCESS) return invalid("the body is not valid gzip");
    size += written;
    compressed.remove_prefix(used);
  } while (!compressed.empty());
  out.resize(size);
  return out;
}

}  // namespace tailrace::sources
