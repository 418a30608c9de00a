#include "destinations/dry_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/audience_destination.h"
#include "destinations/conversion.h"
#include "destinations/event_destination.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/list_kinds.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kNotYetCreated = "AUDIENCE_ID";
constexpr std::string_view kFetchedToken = "ACCESS_TOKEN";

Value text(std::string_view value) { return Value::of(std::string(value)); }
Value text_or_null(std::string_view value) { return value.empty() ? Value::of_null() : text(value); }
Value whole(std::size_t number) { return Value::of(Number::integer(static_cast<std::int64_t>(number))); }

Value object(std::vector<std::pair<std::string, Value>> members) {
  Value value = Value::with(Value::Kind::object);
  value.members = std::move(members);
  return value;
}

std::string dropped(std::size_t record, std::string_view field, std::string_view reason) {
  return to_json(object({{"record", whole(record)}, {"field", text(field)}, {"reason", text(reason)}}));
}

std::string first_text(const Value& value, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Value* found = value.find(name);
    if (std::string is = found == nullptr ? "" : text_of(*found); !is.empty()) return is;
  }
  return "";
}

Value object_at(const Value& value, std::string_view name) {
  const Value* found = value.find(name);
  return found != nullptr && found->kind == Value::Kind::object ? *found : Value::with(Value::Kind::object);
}

// One value or several of each identifier, at the record's top, in `identifiers` or in `traits`.
PersonProfile person_of(const Value& record, const std::map<std::string, FieldPath>& paths) {
  PersonProfile person;
  person.golden_id = first_text(record, {"id", "external_id", "externalId", "user_id", "userId"});
  person.traits = object_at(record, "traits");
  const auto add = [&](IdentifierKind kind, const Value& value) {
    for (const Value& one : value.kind == Value::Kind::list ? value.list : std::vector<Value>{value}) {
      std::string is = text_of(one);
      const auto same = [&](const Identifier& each) { return each.kind == kind && each.value == is; };
      if (!is.empty() && std::ranges::none_of(person.identifiers, same))
        person.identifiers.push_back({kind, std::move(is), {}});
    }
  };
  constexpr std::array kKinds{IdentifierKind::external_id, IdentifierKind::anonymous_id,
                              IdentifierKind::email,       IdentifierKind::phone,
                              IdentifierKind::idfa,        IdentifierKind::aaid};
  for (const IdentifierKind kind : kKinds) {
    if (const auto path = paths.find(std::string(to_string(kind))); path != paths.end()) {
      add(kind, path->second.read(record));
      continue;
    }
    if (kind == IdentifierKind::external_id && !person.golden_id.empty()) add(kind, text(person.golden_id));
    if (kind == IdentifierKind::anonymous_id) add(kind, text(first_text(record, {"anonymousId"})));
    for (const Value& place : {record, object_at(record, "identifiers"), person.traits}) {
      for (const auto& [name, value] : place.members) {
        if (field_named(name) == field_of(kind) && name != "address") add(kind, value);
      }
    }
  }
  return person;
}

class Preview {
 public:
  explicit Preview(const DryRun& run) : run_(run) {}

  Result<std::vector<std::string>> of(std::span<const std::string> records, Operation operation) {
    const bool events = operation == Operation::track;
    events_ = run_.destination->as_events();
    audiences_ = run_.destination->as_audience();
    if (events && events_ == nullptr)
      return invalid(fmt::format("{} keeps audiences: --op is add or remove", run_.destination->type()));
    if (!events && audiences_ == nullptr)
      return invalid(fmt::format("{} takes events: --op is track", run_.destination->type()));
    TRY(read_mapping());
    for (std::size_t i = 0; i < records.size(); ++i) {
      const std::size_t number = i + 1;
      const auto record = parse_json(records[i]);
      if (!record || record->kind != Value::Kind::object) {
        lines_.push_back(dropped(number, "", "not a JSON object"));
        continue;
      }
      Operation its = operation;
      if (const Value* op = record->find("op"); op != nullptr) {
        const auto named = operation_named(text_of(*op));
        if (!named || (*named == Operation::track) != events) {
          lines_.push_back(dropped(number, "op", "no operation of this destination"));
          continue;
        }
        its = *named;
      }
      if (events) {
        track(number, *record);
      } else {
        if (its != operation_) flush_members();
        operation_ = its;
        member(number, *record);
      }
    }
    flush_members();
    flush_events();
    return std::move(lines_);
  }

 private:
  Result<void> read_mapping() {
    if (events_ != nullptr) {
      mapping_ = TRY(Mapping::create(*events_, run_.events, run_.fields, run_.currency));
      return {};
    }
    for (const auto& [name, expression] : run_.fields) {
      const auto field = field_named(name);
      if (!field) return invalid(fmt::format("there is no field \"{}\"", name));
      auto path = FieldPath::parse(expression);
      if (!path) return invalid(fmt::format("field \"{}\": {}", name, path.error().message));
      paths_.emplace(to_string(*field), std::move(*path));
    }
    return {};
  }

  Context context() const { return {.config = run_.config, .access_token = kFetchedToken, .now = run_.now}; }

  std::uint32_t limit(const std::string& name, std::uint32_t documented) const {
    const std::string& own = run_.config.setting(name);
    const auto number = Number::parse(own);
    if (!number) return documented;
    const auto value = static_cast<std::uint32_t>(number->to_double());
    return documented == 0 ? value : std::min(value, documented);
  }

  // --- Audiences

  void member(std::size_t number, const Value& record) {
    const PersonProfile person = person_of(record, paths_);
    Member member{.person = person.golden_id, .identifiers = {}, .changed_at = run_.now};
    if (audiences_->takes_attributes() && operation_ == Operation::add)
      member.attributes = object_at(record, "attributes").members;
    const std::vector<IdentifierKind> kinds =
        run_.identifiers.empty() ? held_kinds(*audiences_, run_.config) : run_.identifiers;
    bool any = false;
    for (const IdentifierKind kind : kinds) {
      for (const Identifier& identifier : person.identifiers) {
        if (identifier.kind != kind) continue;
        any = true;
        auto normalised = audiences_->normalise(kind, identifier.value, run_.config);
        if (!normalised) {
          lines_.push_back(dropped(number, to_string(kind), normalised.error().message));
          continue;
        }
        const auto same = [&](const UploadIdentifier& each) { return each == normalised->upload; };
        if (std::ranges::none_of(member.identifiers, same))
          member.identifiers.push_back(std::move(normalised->upload));
      }
    }
    if (!member.identifiers.empty()) {
      members_.push_back(std::move(member));
      numbers_.push_back(number);
    } else if (!any) {
      lines_.push_back(dropped(number, "", "no usable identifier"));
    }
  }

  void flush_members() {
    if (members_.empty()) return;
    if (audience_id_.empty()) audience_id_ = run_.audience_id;
    if (audience_id_.empty()) {
      if (const auto create = audiences_->encode_create(context())) {
        request("create", *create, {});
        audience_id_ = kNotYetCreated;
      }
    }
    if (audiences_->one_kind_a_request()) {
      std::vector<IdentifierKind> kinds;
      for (const Member& each : members_) {
        for (const UploadIdentifier& id : each.identifiers) {
          if (std::ranges::find(kinds, id.kind) == kinds.end()) kinds.push_back(id.kind);
        }
      }
      for (const IdentifierKind kind : kinds) batches_of(kind);
    } else {
      batches(members_, numbers_);
    }
    members_.clear();
    numbers_.clear();
  }

  void batches_of(IdentifierKind kind) {
    std::vector<Member> of_kind;
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Member only = members_[i];
      std::erase_if(only.identifiers, [&](const UploadIdentifier& id) { return id.kind != kind; });
      if (only.identifiers.empty()) continue;
      of_kind.push_back(std::move(only));
      numbers.push_back(numbers_[i]);
    }
    batches(of_kind, numbers);
  }

  void batches(std::span<const Member> members, std::span<const std::size_t> numbers) {
    const std::size_t most =
        std::max<std::uint32_t>(1, limit("batch_records_max", audiences_->limits().batch_records_max));
    for (std::size_t at = 0; at < members.size();) {
      std::size_t count = 0;
      std::size_t end = at;
      for (; end < members.size(); ++end) {
        const std::size_t more = audiences_->records(members[end]);
        if (end > at && count + more > most) break;
        count += more;
      }
      batch(members.subspan(at, end - at), numbers.subspan(at, end - at));
      at = end;
    }
  }

  void batch(std::span<const Member> members, std::span<const std::size_t> numbers) {
    const Batch batch{.kind = operation_ == Operation::add ? BatchKind::add : BatchKind::remove,
                      .audience_id = audience_id_,
                      .id = next_batch_,
                      .members = members,
                      .config = &run_.config};
    const HttpRequest encoded = audiences_->encode(batch, context());
    const std::uint32_t bytes = limit("batch_bytes_max", audiences_->limits().batch_bytes_max);
    if (bytes > 0 && encoded.body.size() > bytes && members.size() > 1) {
      const std::size_t half = members.size() / 2;
      this->batch(members.first(half), numbers.first(half));
      this->batch(members.subspan(half), numbers.subspan(half));
      return;
    }
    ++next_batch_;
    request(operation_ == Operation::add ? "add" : "remove", encoded, numbers);
  }

  // --- Events

  void track(std::size_t number, const Value& record) {
    EventMessage message;
    message.event = first_text(record, {"event"});
    if (const std::string type = first_text(record, {"type"}); type == "page") message.event = "Page Viewed";
    message.message_id = first_text(record, {"messageId", "message_id"});
    message.user_id = first_text(record, {"userId", "user_id"});
    message.anonymous_id = first_text(record, {"anonymousId", "anonymous_id"});
    message.properties = object_at(record, "properties");
    message.context = object_at(record, "context");
    const std::string at = first_text(record, {"timestamp", "time", "originalTimestamp"});
    const auto time = at.empty() ? Result<Time>(run_.now) : parse_time(at);
    if (!time) {
      lines_.push_back(dropped(number, "timestamp", "not a time"));
      return;
    }
    message.at = *time;
    const PersonProfile person = person_of(record, {});
    const Conversion conversion = mapping_->apply(message, person);
    auto event = to_event(*events_, conversion, {run_.config, run_.now});
    if (!event) {
      lines_.push_back(dropped(number, event.error().field, event.error().reason));
      return;
    }
    // What could not be normalised is left out of an event that is sent all the same.
    std::vector<Refused> left_out;
    static_cast<void>(user_values(*events_, conversion, run_.config, &left_out));
    for (const Refused& each : left_out) lines_.push_back(dropped(number, each.field, each.reason));
    const std::uint32_t bytes = limit("batch_bytes_max", events_->limits().batch_bytes_max);
    const bool full =
        encoded_.size() >=
            std::max<std::uint32_t>(1, limit("batch_records_max", events_->limits().batch_records_max)) ||
        (bytes > 0 && bytes_ + event->size() + 1 > bytes);
    if (full) flush_events();
    bytes_ += event->size() + 1;
    encoded_.push_back(std::move(*event));
    numbers_.push_back(number);
  }

  void flush_events() {
    if (encoded_.empty()) return;
    request("track", events_->encode(encoded_, context()), numbers_);
    encoded_.clear();
    numbers_.clear();
    bytes_ = 0;
  }

  void request(std::string_view operation, const HttpRequest& request, std::span<const std::size_t> numbers) {
    const HttpRequest shown = masked(request, run_.config);
    Value headers = Value::with(Value::Kind::object);
    for (const auto& [name, value] : shown.headers) headers.members.emplace_back(name, text(value));
    Value records = Value::with(Value::Kind::list);
    for (const std::size_t number : numbers) records.list.push_back(whole(number));
    auto body = parse_json(shown.body);
    lines_.push_back(to_json(object({{"op", text(operation)},
                                     {"method", text(shown.method)},
                                     {"url", text(shown.url)},
                                     {"headers", std::move(headers)},
                                     {"body", body ? std::move(*body) : text(shown.body)},
                                     {"records", std::move(records)}})));
  }

  const DryRun& run_;
  const AudienceDestination* audiences_ = nullptr;
  const EventDestination* events_ = nullptr;
  std::map<std::string, FieldPath> paths_;
  std::optional<Mapping> mapping_;
  Operation operation_ = Operation::add;
  std::string audience_id_;
  std::uint64_t next_batch_ = 1;
  std::vector<Member> members_;
  std::vector<std::string> encoded_;
  std::size_t bytes_ = 0;
  std::vector<std::size_t> numbers_;
  std::vector<std::string> lines_;
};

struct Asked {
  std::size_t records = 1;
  bool removal = false;
};

Asked asked_of(const Value& line) {
  const Value* request = line.find("request");
  if (request == nullptr || request->kind != Value::Kind::object) request = &line;
  Asked asked;
  if (const Value* records = request->find("records")) {
    if (records->kind == Value::Kind::list) asked.records = records->list.size();
    if (const auto number = integer_member(request, "records"); number && *number >= 0)
      asked.records = static_cast<std::size_t>(std::min<std::int64_t>(*number, 1'000'000));
  }
  asked.removal = text_member(request, "op") == "remove";
  return asked;
}

std::string_view word_of(Reply::Verdict verdict) {
  switch (verdict) {
    case Reply::Verdict::done:
      return "accepted";
    case Reply::Verdict::retry:
      return "retry";
    case Reply::Verdict::split:
      return "split";
    case Reply::Verdict::reauthorise:
      return "reauthorise";
    case Reply::Verdict::stop:
      return "stop";
  }
  return "stop";
}

}  // namespace

Result<Operation> operation_named(std::string_view name) {
  if (name == "add" || name == "upsert") return Operation::add;
  if (name == "remove") return Operation::remove;
  if (name == "track") return Operation::track;
  return invalid(fmt::format("\"{}\" is no operation: add, upsert, remove or track", name));
}

Result<std::vector<std::string>> preview(const DryRun& run, std::span<const std::string> records,
                                         Operation operation) {
  return Preview(run).of(records, operation);
}

Result<std::vector<const Destination*>> normalisers_named(std::string_view platform) {
  if (const Destination* exact = find(platform)) return std::vector{exact};
  std::vector<const Destination*> found;
  for (const bool audiences : {true, false}) {
    for (const Destination* each : registry()) {
      if (each->platform() == platform && (each->as_audience() != nullptr) == audiences)
        found.push_back(each);
    }
  }
  if (!found.empty()) return found;
  std::string known;
  for (const Destination* each : registry()) known += (known.empty() ? "" : ", ") + std::string(each->type());
  return fail(Error::Code::not_found,
              fmt::format("no platform or destination \"{}\"; there are: {}", platform, known));
}

std::optional<Time> newest_of(std::span<const std::string> records) {
  std::optional<Time> newest;
  for (const std::string& record : records) {
    const auto value = parse_json(record);
    if (!value) continue;
    const auto at = parse_time(first_text(*value, {"timestamp", "time", "originalTimestamp"}));
    if (at && (!newest || *at > *newest)) newest = *at;
  }
  return newest;
}

std::string normalise_line(std::span<const Destination* const> destinations, std::string_view line) {
  std::string field_text;
  const auto answer = [&](const Prepared* prepared, std::string_view error) {
    Value digest = Value::of_null();
    if (prepared != nullptr && prepared->hashed) digest = text(prepared->value);
    return to_json(
        object({{"field", text(field_text)},
                {"normalized", prepared == nullptr ? Value::of_null() : text(prepared->normalised)},
                {"sha256", std::move(digest)},
                {"error", text_or_null(error)}}));
  };
  const auto value = parse_json(line);
  if (!value || value->kind != Value::Kind::object) return answer(nullptr, "not a JSON object");
  field_text = first_text(*value, {"field"});
  const auto field = field_named(field_text);
  if (!field) return answer(nullptr, "no such field");
  const Value* raw = value->find("raw");
  if (raw == nullptr) return answer(nullptr, "no \"raw\"");
  const std::string region = first_text(*value, {"region", "default_region"});
  const std::string country = first_text(*value, {"country"});
  for (const Destination* destination : destinations) {
    const FieldRule* rule = find_rule(destination->fields(), *field);
    if (rule == nullptr) continue;
    const auto prepared = prepare(*rule, text_of(*raw), {.region = region, .country = country});
    return prepared ? answer(&*prepared, "") : answer(nullptr, prepared.error().message);
  }
  return answer(nullptr, "the platform does not take this field");
}

std::vector<std::string> classify_line(const Destination& destination, std::string_view line) {
  const auto value = parse_json(line);
  if (!value || value->kind != Value::Kind::object)
    return {to_json(object({{"error", text("not a JSON object")}}))};
  HttpResponse response;
  response.status = static_cast<int>(integer_member(&*value, "status").value_or(0));
  if (response.status < 100 || response.status > 599)
    return {to_json(object({{"error", text("\"status\" is not one of HTTP")}}))};
  for (const auto& [name, header] : object_at(*value, "headers").members)
    response.headers.emplace_back(name, text_of(header));
  if (const Value* body = value->find("body"))
    response.body = body->kind == Value::Kind::string ? body->string : to_json(*body);

  const Asked asked = asked_of(*value);
  Reply reply;
  if (const EventDestination* events = destination.as_events()) {
    reply = events->decode(asked.records, response);
  } else if (const AudienceDestination* audiences = destination.as_audience()) {
    const std::vector<Member> members(asked.records, Member{"", std::vector<UploadIdentifier>(1), {}});
    Batch batch;
    batch.kind = asked.removal ? BatchKind::remove : BatchKind::add;
    batch.members = members;
    reply = audiences->decode(batch, response);
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < asked.records; ++i) {
    std::string_view outcome = word_of(reply.verdict);
    std::string_view reason = reply.reason;
    if (i < reply.outcomes.size()) {
      const bool rejected = reply.outcomes[i].kind == Outcome::Kind::rejected;
      if (rejected) {
        outcome = "rejected";
        reason = reply.outcomes[i].reason;
      }
    }
    Value wait = Value::of_null();
    if (reply.retry_after) wait = Value::of(Number::integer(reply.retry_after->count));
    lines.push_back(to_json(object({{"record", whole(i + 1)},
                                    {"outcome", text(outcome)},
                                    {"reason", text_or_null(reason)},
                                    {"code", text_or_null(reply.code)},
                                    {"retry_after_ms", std::move(wait)}})));
  }
  return lines;
}

}  // namespace tailrace::destinations
