// Customer.io's Track API, v1 and v2, so that its clients work unmodified. Facts: the public OpenAPI
// description of the Track API, and what the npm client customerio-node sends and demands.
//
//   v1: the call is in the method and path, /api/v1/customers/{identifier}/events, and one body is one call
//   v2: POST /api/v2/entity is one operation, POST /api/v2/batch a list `batch` of them
//
// Both become the same few calls of Operation. What the API would refuse is refused in its words, and nothing
// of it is kept; what it would take and has no place here is kept as rejected, with the reason.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"
#include "sources/json_object.h"
#include "sources/message_event.h"
#include "sources/source.h"

namespace tailrace::sources {
namespace {

constexpr std::string_view kAbout =
    R"(The Track API of Customer.io, version 1 and 2, so that `customerio-node` and the other clients of it work unmodified: point their
URL to `https://YOUR-HOST/api/v1` (or `/api/v2`). So what a shop tells Customer.io already can come here as well, or here first.

```yaml
# tailrace.yaml
sources:
  - name: customerio_track
    type: customerio_track
    settings: {site_id: a-site-id}
    credentials:
      api_key: {env: CUSTOMERIO_TRACK_API_KEY}
```

Site id and API key are of your choice: they are what the client is given, and are compared with Basic authentication. Several sources of this type are told apart by them.

| call | becomes |
|---|---|
| `PUT /api/v1/customers/{id}` | identify: the attributes as traits, at `_timestamp` where it is given |
| `DELETE /api/v1/customers/{id}` | delete: forget this person everywhere |
| `POST /api/v1/customers/{id}/suppress` | withdraws consent to what `suppress_withdraws` names; the person stays known, as audiences that leave them out need to know them |
| `POST /api/v1/customers/{id}/unsuppress` | nothing: it restores nothing at Customer.io either |
| `POST /api/v1/customers/{id}/events` | track, page or screen; the ULID `id` is the message id, so a repeat counts once |
| `POST /api/v1/events` | the same of an `anonymous_id` |
| `PUT /api/v1/customers/{id}/devices`, `DELETE .../devices/{token}` | the events `Device Created or Updated` and `Device Deleted` |
| `POST /api/v1/merge_customers` | alias: the secondary person becomes the primary one, whichever came first |
| `POST /api/v1/metrics`, `/api/v1/push/events` | the event of [message engagement](../messages.md), where `recipient` is an e-mail. Others name nobody (a delivery alone) and are kept as rejected: [reporting webhooks](customerio_webhooks.md) say whose they are |
| `GET /api/v1/accounts/region` | who asks may send |
| `POST /api/v2/entity`, `/api/v2/batch` | the same operations of type `person`, and `delivery`; operations on objects and relationships have no place here, and are kept as rejected |

**Who.** An identifier with an `@` is an e-mail, one that begins with `cio_` Customer.io's own id, any other the user id. An e-mail or phone that nobody has yet makes
somebody known by it; whoever gets a user id later (`PUT /api/v1/customers/ada@example.com` with `id` in the body) stays the same person. The attribute `anonymous_id` joins what
a visitor did before.

**Consent.** The attribute `unsubscribed` states `consent.email`, `cio_subscription_preferences` each topic as a purpose of its own (`topic_7`), both dated.

**Answers.** `200 {}` means: on disk. `400 {"meta":{"error":...}}` (v2: `{"errors":[...]}`) refuses the call, and nothing of it was taken. A v2 batch of which some operations are wrong is answered
`207` with an entry for each of these, by its `batch_index`; the others are on disk. `401`: site id or API key. `413`, `429`, `503` as everywhere.

**Differences.** A merge into a primary that does not exist yet holds for when it comes. `_update: true` creates people all the same. Events of any age come in.
)";

const std::array kSettings{
    Setting{.name = "site_id", .required = true, .about = "the user name that clients send"},
    Setting{.name = "suppress_withdraws",
            .default_value = "email, sms, push",
            .about = "the purposes, with commas between them, to which `suppress` withdraws consent"},
    Setting{.name = "api_key", .required = true, .secret = true, .about = "the password that clients send"}};

constexpr std::size_t kOperationsMax = 2'500;

// What is wrong with one operation, as v2 says it.
struct Fault {
  std::string_view reason;  // "required", "invalid"
  std::string_view field;
  std::string message;
};
Fault invalid_field(std::string_view field, std::string message) {
  return {"invalid", field, std::move(message)};
}
using Done = std::optional<Fault>;  // missing: done

Done fault_of(const Result<void>& result, std::string_view field) {
  if (result) return std::nullopt;
  return invalid_field(field, result.error().message);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// An identifier of a path, by its shape.
Who named_in_path(const std::string& identifier) {
  Who who;
  if (identifier.starts_with("cio_")) {
    who.anonymous_id = identifier;
  } else if (identifier.find('@') != std::string::npos) {
    who.email = identifier;
  } else {
    who.user_id = identifier;
  }
  return who;
}

// {"id":...}, {"email":...}, {"phone":...} or {"cio_id":...}: one of them.
Who named_by(const JsonMember& identifiers) {
  const JsonObject object = JsonObject::of(identifiers);
  Who who{.user_id = object["id"].text()};
  if (who.has_id()) return who;
  if (std::string own = object["cio_id"].text(); !own.empty()) {
    who.anonymous_id = own.starts_with("cio_") ? std::move(own) : "cio_" + own;
    return who;
  }
  who.email = object["email"].text();
  if (who.email.empty()) who.phone = object["phone"].text();
  return who;
}

bool is_affirmative(const JsonMember& member) {
  return member.is_true() || (member.is(JsonType::string) && member.value.text == "true") ||
         (member.is(JsonType::number) && member.value.text == "1");
}

// What attributes say of consent, as JSON; empty: nothing.
std::string consent_in(const JsonObject& attributes) {
  JsonText consent;
  const auto state_topics = [&](const JsonObject& topics) {
    for (const JsonMember& topic : topics.members()) {
      if (topic.is(JsonType::boolean)) consent.raw(topic.name, topic.raw);
    }
  };
  static constexpr std::string_view kPreferences = "cio_subscription_preferences";
  for (const JsonMember& member : attributes.members()) {
    if (member.name == "unsubscribed" && member.present()) {
      consent.raw("email", is_affirmative(member) ? "false" : "true");
    } else if (member.name == kPreferences) {
      state_topics(JsonObject::of(JsonObject::of(member)["topics"]));
    } else if (member.name.starts_with(kPreferences)) {
      static constexpr std::string_view kTopics = ".topics";
      const std::string_view path = std::string_view(member.name).substr(kPreferences.size());
      if (path == kTopics) state_topics(JsonObject::of(member));
      if (path.size() > kTopics.size() + 1 && path.starts_with(kTopics) && member.is(JsonType::boolean))
        consent.raw(path.substr(kTopics.size() + 1), member.raw);
    }
  }
  return consent.empty() ? std::string() : consent.take();
}

// The calls, as records.
class Operation {
 public:
  // raw: the call as it came, for what is kept as rejected.
  Operation(const SourceConfig& config, Time now, std::string_view raw, RecordList& records)
      : config_(config), now_(now), raw_(raw), records_(records) {}

  Done identify(Who who, const JsonObject& attributes, const JsonMember& at) {
    const JsonMember& stamp = at.present() ? at : attributes["_timestamp"];
    Time time = now_;
    if (const Done fault = read_time(stamp, "timestamp", time)) return fault;
    if (who.user_id.empty()) who.user_id = attributes["id"].text();
    if (const Done fault = fault_of(who.check(), "identifiers")) return fault;
    std::string traits = "{";
    const auto add = [&](std::string_view name, std::string_view json) {
      if (traits.size() > 1) traits += ',';
      append_json_string(traits, name);
      traits.append(":").append(json);
    };
    for (const auto& [name, value] : {std::pair("email", &who.email), std::pair("phone", &who.phone)}) {
      std::string json;
      append_json_string(json, *value);
      if (!value->empty() && !attributes[name].present()) add(name, json);
    }
    static constexpr std::array<std::string_view, 5> kNoTraits{"id", "_update", "_timestamp", "anonymous_id",
                                                               "cio_relationships"};
    for (const JsonMember& member : attributes.members()) {
      if (std::ranges::find(kNoTraits, member.name) == kNoTraits.end()) add(member.name, minified(member));
    }
    if (const std::string consent = consent_in(attributes); !consent.empty()) add("consent", consent);
    traits += '}';

    RecordView record = record_of(RecordKind::identify, who, time);
    const std::string visitor = attributes["anonymous_id"].text();
    if (visitor.size() > kIdentifierBytesMax)
      return invalid_field("anonymous_id", "`anonymous_id` is too long");
    // Of somebody with a user id it may be any visitor's; of others only nobody else's.
    if (!visitor.empty() && !who.user_id.empty() && who.anonymous_id.empty()) {
      record.anonymous_id = visitor;
    } else if (!visitor.empty()) {
      record.previous_id = visitor;
    }
    const std::string context = who.context();
    record.context = context;
    record.payload = traits;
    if (const Done fault = add_record(record)) return fault;
    // Somebody known by their e-mail or phone gets a user id: who has it and none yet is the same person.
    const std::string contact = Who{.email = who.email, .phone = who.phone}.contact();
    if (!who.has_id() || contact.empty()) return std::nullopt;
    RecordView same = record_of(RecordKind::identify, who, time);
    const std::string previous = JsonText().raw("previous", contact).take();
    same.context = previous;
    return add_record(same);
  }

  Done event(std::string_view type, const Who& who, const JsonObject& call, const JsonMember& data) {
    if (!call["name"].is(JsonType::string)) return required("name");
    const std::string whole_name = call["name"].text();
    const std::string_view name = trimmed(whole_name);
    if (name.empty()) return required("name");
    RecordKind kind = RecordKind::track;
    if (type == "page")
      kind = RecordKind::page;
    else if (type == "screen")
      kind = RecordKind::screen;
    else if (type != "event" && !type.empty())
      return invalid_field("type", "`type` is event, page or screen");
    Time time = now_;
    if (const Done fault = read_time(call["timestamp"], "timestamp", time)) return fault;
    const std::string id = call["id"].text();
    if (id.size() > kMessageIdBytesMax) return invalid_field("id", "`id` is too long");
    if (data.present() && !data.is(JsonType::object))
      return invalid_field("data", "the event's data is no object");
    RecordView record = record_of(kind, who, time);
    record.event = name;
    record.message_id = id;
    const std::string payload = data.present() ? minified(data) : std::string();
    record.payload = payload;
    if (who.is_nobody()) {
      records_.reject(record, raw_, "an event of nobody: it has no `anonymous_id`");
      return std::nullopt;
    }
    return add_of(who, record);
  }

  Done add_device(const Who& who, const JsonObject& device, std::string_view token_name) {
    const std::string token = device[token_name].text();
    if (token.empty()) return required("device");
    const std::string platform = device["platform"].text();
    if (platform.empty()) return required("device.platform");
    std::string properties = JsonText()
                                 .text("token", token)
                                 .text("platform", platform)
                                 .value("last_used", device["last_used"])
                                 .take();
    for (const JsonMember& member : JsonObject::of(device["attributes"]).members()) {
      if (member.name == "token" || member.name == "platform" || member.name == "last_used") continue;
      properties.back() = ',';
      append_json_string(properties, member.name);
      properties.append(":").append(minified(member)).append("}");
    }
    return device_event(who, "Device Created or Updated", properties);
  }
  Done delete_device(const Who& who, std::string_view token) {
    if (token.empty()) return required("device");
    return device_event(who, "Device Deleted", JsonText().text("token", token).take());
  }

  Done merge(const Who& primary, const Who& secondary, Time time) {
    if (primary.is_nobody()) return required("primary");
    if (secondary.is_nobody()) return required("secondary");
    if (const Done fault = fault_of(primary.check(), "primary")) return fault;
    if (const Done fault = fault_of(secondary.check(), "secondary")) return fault;
    RecordView record = record_of(RecordKind::alias, primary, time);
    record.previous_id = secondary.user_id.empty() ? secondary.anonymous_id : secondary.user_id;
    if (const Done fault = fault_of(primary.make_known(time, records_), "primary")) return fault;
    JsonText context;
    context.raw("traits", primary.contact()).raw("previous", secondary.contact());
    const std::string said = context.empty() ? std::string() : context.take();
    record.context = said;
    return add_record(record);
  }

  Done suppress(const Who& who) {
    if (const Done fault = fault_of(who.check(), "identifiers")) return fault;
    JsonText consent;
    std::string_view purposes = config_.setting("suppress_withdraws");
    while (!purposes.empty()) {
      const std::size_t comma = std::min(purposes.find(','), purposes.size());
      if (const std::string_view purpose = trimmed(purposes.substr(0, comma)); !purpose.empty())
        consent.raw(purpose, "false");
      purposes.remove_prefix(std::min(comma + 1, purposes.size()));
    }
    const std::string traits = JsonText().raw("consent", consent.take()).take();
    RecordView record = record_of(RecordKind::identify, who, now_);
    record.payload = traits;
    return add_of(who, record);
  }
  // What `suppress` took is given back by nobody but the person.
  Done unsuppress(const Who& who) { return fault_of(who.check(), "identifiers"); }

  Done remove(const Who& who) {
    if (const Done fault = fault_of(who.check(), "identifiers")) return fault;
    RecordView record = record_of(RecordKind::remove, who, now_);
    const std::string context = who.context();
    record.context = context;
    return add_record(record);
  }

  // What became of a delivery. metric and the rest are members of `call`.
  Done metric(std::string_view channel, const std::string& metric, const std::string& delivery,
              const JsonObject& call) {
    if (delivery.empty()) return required("delivery_id");
    if (metric.empty()) return required("metric");
    Time time = now_;
    if (const Done fault = read_time(call["timestamp"], "timestamp", time)) return fault;
    const std::string recipient = call["recipient"].text();
    const Who who{.email = recipient.find('@') == std::string::npos ? std::string() : recipient};
    const std::string properties = JsonText()
                                       .text("channel", channel)
                                       .text("metric", metric)
                                       .text("delivery_id", delivery)
                                       .value("recipient", call["recipient"])
                                       .value("reason", call["reason"])
                                       .value("link_url", call["href"])
                                       .take();
    const std::string name = message_event_name(channel, metric, false);
    RecordView record = record_of(RecordKind::track, who, time);
    record.event = name;
    record.payload = properties;
    if (who.is_nobody()) {
      records_.reject(record, raw_,
                      "it names a delivery and nobody: take reporting webhooks, which say whose it is");
      return std::nullopt;
    }
    return add_of(who, record);
  }

  // Larger than a call may be.
  Done too_large() const {
    if (raw_.size() <= kMessageBytesMax) return std::nullopt;
    return invalid_field("", fmt::format("it has {} bytes; send at most {}", raw_.size(), kMessageBytesMax));
  }

  void keep_rejected(std::string reason) { records_.reject({}, raw_, std::move(reason)); }

  static Done required(std::string_view field) {
    return Fault{"required", field, fmt::format("`{}` is missing", field)};
  }

  Done read_time(const JsonMember& member, std::string_view field, Time& time) const {
    if (!member.present()) return std::nullopt;
    const auto read = time_of_seconds(member.text());
    if (!read) return invalid_field(field, fmt::format("`{}` is no time in seconds since 1970", field));
    time = *read;
    return std::nullopt;
  }

 private:
  static RecordView record_of(RecordKind kind, const Who& who, Time time) {
    RecordView record;
    record.kind = kind;
    record.time = time;
    who.name(record);
    return record;
  }

  Done device_event(const Who& who, std::string_view name, const std::string& properties) {
    RecordView record = record_of(RecordKind::track, who, now_);
    record.event = name;
    record.payload = properties;
    return add_of(who, record);
  }

  // With the record that makes a person known who has no id.
  Done add_of(const Who& who, RecordView record) {
    if (const Done fault = fault_of(who.check(), "identifiers")) return fault;
    if (const Done fault = fault_of(who.make_known(record.time, records_), "identifiers")) return fault;
    const std::string context = who.context();
    record.context = context;
    return add_record(record);
  }
  Done add_record(const RecordView& record) { return fault_of(records_.add(record), ""); }

  const SourceConfig& config_;
  Time now_;
  std::string_view raw_;
  RecordList& records_;
};

// One operation of v2.
Done read_operation(const JsonObject& call, Operation& operation) {
  if (const Done fault = operation.too_large()) return fault;
  const std::string type = call["type"].text();
  const std::string action = call["action"].text();
  if (type.empty()) return Operation::required("type");
  if (action.empty()) return Operation::required("action");
  if (type == "object") {
    operation.keep_rejected("an operation on an object: objects and relationships have no place here");
    return std::nullopt;
  }
  const JsonMember& attributes = call["attributes"];
  if (type == "delivery") {
    if (action != "event") return invalid_field("action", "a delivery has the action event");
    return operation.metric("push", call["name"].text(), JsonObject::of(call["identifiers"])["id"].text(),
                            call);
  }
  if (type != "person") return invalid_field("type", "`type` is person, object or delivery");
  if (action == "merge") {
    Time time;
    const Done fault = operation.read_time(call["timestamp"], "timestamp", time);
    if (fault) return fault;
    return operation.merge(named_by(call["primary"]), named_by(call["secondary"]), time);
  }
  const Who who = named_by(call["identifiers"]);
  if (who.is_nobody()) return Operation::required("identifiers");
  if (action == "identify") {
    if (attributes.present() && !attributes.is(JsonType::object))
      return invalid_field("attributes", "`attributes` is no object");
    return operation.identify(who, JsonObject::of(attributes), call["timestamp"]);
  }
  if (action == "event" || action == "page" || action == "screen")
    return operation.event(action, who, call, attributes);
  if (action == "delete") return operation.remove(who);
  if (action == "suppress") return operation.suppress(who);
  if (action == "unsuppress") return operation.unsuppress(who);
  if (action == "add_device") return operation.add_device(who, JsonObject::of(call["device"]), "token");
  if (action == "delete_device")
    return operation.delete_device(who, JsonObject::of(call["device"])["token"].text());
  if (action == "add_relationships" || action == "delete_relationships") {
    operation.keep_rejected("relationships to objects have no place here");
    return std::nullopt;
  }
  return invalid_field("action", "there is no such action of a person");
}

HttpResponse v1_answer(const Done& fault) {
  if (!fault) return json_answer(200, "{}");
  std::string body = R"({"meta":{"error":)";
  append_json_string(body, fault->message);
  return json_answer(400, body + "}}");
}

void append_fault(std::string& out, const Fault& fault, std::optional<std::size_t> index) {
  JsonText text;
  if (index) text.raw("batch_index", fmt::format("{}", *index));
  out += text.text("reason", fault.reason).text("field", fault.field).text("message", fault.message).take();
}

HttpResponse v2_answer(const Done& fault) {
  if (!fault) return json_answer(200, "{}");
  std::string body = R"({"errors":[)";
  append_fault(body, *fault, std::nullopt);
  return json_answer(400, body + "]}");
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // its slash
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

class CustomerioTrack final : public HttpSource {
 public:
  std::string_view type() const override { return "customerio_track"; }
  std::string_view title() const override { return "Customer.io Track API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  bool serves(std::string_view path) const override {
    return path.starts_with("/api/v1/") || path.starts_with("/api/v2/");
  }

  Result<void> authenticate(const SourceConfig& config, const Request& request) const override {
    const auto authorization = request.http.headers.get("Authorization");
    if (!authorization || authorization->size() < 6 ||
        !equal_ignoring_case(authorization->substr(0, 6), "Basic "))
      return invalid("no site id and API key: send them by Basic authentication");
    std::string given;
    if (!from_base64(trimmed(authorization->substr(6)), given))
      return invalid("Basic authentication is no base64");
    // Digests are of one length, whatever was sent.
    const std::string& key = config.secret("api_key");
    if (key.empty() || !same_secret(sha256_hex(given), sha256_hex(config.setting("site_id") + ":" + key)))
      return invalid("unknown site id or API key");
    return {};
  }

  HttpResponse refusal(int status, std::string_view why) const override {
    std::string body = R"({"meta":{"error":)";
    append_json_string(body, why);
    return json_answer(status, body + "}}");
  }

  Taken take(const SourceConfig& config, const Request& request) const override {
    const std::vector<std::string_view> path = segments_of(request.path);
    RecordList records(config.name, request.now, request.entropy);
    HttpResponse answer =
        path[1] == "v1" ? v1(path, config, request, records) : v2(path, config, request, records);
    // What was refused as a whole left nothing.
    if (answer.status >= 400) return {{}, std::move(answer)};
    return {records.take(), std::move(answer)};
  }

 private:
  HttpResponse v1(const std::vector<std::string_view>& path, const SourceConfig& config,
                  const Request& request, RecordList& records) const {
    const std::string_view method = request.http.method;
    const std::string_view call = path.size() > 2 ? path[2] : std::string_view();
    if (call == "accounts" && path.size() == 4 && path[3] == "region") return region(request);
    JsonObject body;
    if (!request.body.empty()) {
      auto read = JsonObject::parse(request.body);
      if (!read) return refusal(400, read.error().message);
      body = std::move(*read);
    }
    Operation operation(config, request.now, request.body, records);
    if (const Done fault = operation.too_large()) return refusal(413, fault->message);
    if (call == "customers" && path.size() > 3) return customer(path, method, body, operation);
    if (method != "POST") return refusal(404, "there is no such call");
    if (path.size() == 3 && call == "events") {
      const std::string visitor = body["anonymous_id"].text();
      const Who who{.anonymous_id = visitor};
      return v1_answer(operation.event(body["type"].text(), who, body, body["data"]));
    }
    if (path.size() == 3 && call == "merge_customers")
      return v1_answer(operation.merge(named_by(body["primary"]), named_by(body["secondary"]), request.now));
    if (path.size() == 3 && call == "metrics")
      return v1_answer(operation.metric("email", body["metric"].text(), body["delivery_id"].text(), body));
    if (path.size() == 4 && call == "push" && path[3] == "events")
      return v1_answer(operation.metric("push", body["event"].text(), body["delivery_id"].text(), body));
    return refusal(404, "there is no such call");
  }

  HttpResponse customer(const std::vector<std::string_view>& path, std::string_view method,
                        const JsonObject& body, Operation& operation) const {
    auto identifier = percent_decoded(path[3]);
    if (!identifier || identifier->empty()) return refusal(400, "the identifier in the path is none");
    const Who who = named_in_path(*identifier);
    const std::string_view what = path.size() > 4 ? path[4] : std::string_view();
    if (path.size() == 4 && method == "PUT") return v1_answer(operation.identify(who, body, {}));
    if (path.size() == 4 && method == "DELETE") return v1_answer(operation.remove(who));
    if (path.size() == 5 && method == "POST") {
      if (what == "events") return v1_answer(operation.event(body["type"].text(), who, body, body["data"]));
      if (what == "suppress") return v1_answer(operation.suppress(who));
      if (what == "unsuppress") return v1_answer(operation.unsuppress(who));
    }
    if (path.size() == 5 && what == "devices" && method == "PUT")
      return v1_answer(operation.add_device(who, JsonObject::of(body["device"]), "id"));
    if (path.size() == 6 && what == "devices" && method == "DELETE") {
      const auto token = percent_decoded(path[5]);
      if (!token) return refusal(400, "the device in the path is none");
      return v1_answer(operation.delete_device(who, *token));
    }
    return refusal(404, "there is no such call");
  }

  HttpResponse v2(const std::vector<std::string_view>& path, const SourceConfig& config,
                  const Request& request, RecordList& records) const {
    const bool batch = path.size() == 3 && path[2] == "batch";
    if (!batch && !(path.size() == 3 && path[2] == "entity")) return refusal(404, "there is no such call");
    if (request.http.method != "POST") return refusal(405, "use POST");
    auto body = JsonObject::parse(request.body, batch ? Flaws::kept : Flaws::refused);
    if (!body) return v2_answer(invalid_field("", body.error().message));
    if (!batch) {
      Operation operation(config, request.now, request.body, records);
      return v2_answer(read_operation(*body, operation));
    }
    const JsonMember& list = (*body)["batch"];
    const std::vector<JsonMember> operations = elements_of(list);
    if (!list.is(JsonType::list) || operations.empty()) return v2_answer(Operation::required("batch"));
    if (operations.size() > kOperationsMax)
      return v2_answer(invalid_field(
          "batch", fmt::format("more than {} operations; send them in several", kOperationsMax)));
    std::string errors;
    std::size_t count = 0;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const Done fault = read_element(operations[i], config, request, records);
      if (!fault) continue;
      if (count++ > 0) errors += ',';
      append_fault(errors, *fault, i);
    }
    if (count == 0) return json_answer(200, "{}");
    return json_answer(count == operations.size() ? 400 : 207, R"({"errors":[)" + errors + "]}");
  }

  static Done read_element(const JsonMember& element, const SourceConfig& config, const Request& request,
                           RecordList& records) {
    if (element.flaw != JsonFlaw::none) return invalid_field("", std::string(words_of(element.flaw)));
    if (!element.is(JsonType::object)) return invalid_field("", "an operation is an object");
    Operation operation(config, request.now, element.raw, records);
    return read_operation(JsonObject::of(element), operation);
  }

  HttpResponse region(const Request& request) const {
    if (request.http.method != "GET") return refusal(405, "use GET");
    const auto host = request.http.headers.get("Host");
    return json_answer(200, JsonText()
                                .text("url", "https://" + std::string(host.value_or("localhost")))
                                .text("region", "us")
                                .raw("environment_id", "1")
                                .take());
  }
};

}  // namespace

const HttpSource& customerio_track() {
  static const CustomerioTrack kSource;
  return kSource;
}

}  // namespace tailrace::sources
