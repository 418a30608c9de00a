#include "sandbox/webhook/webhook.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr Millis kTolerance = kMinute * 5;
constexpr std::size_t kMessagesRemembered = 100'000;
constexpr std::size_t kSecretBytesMin = 24;
constexpr std::size_t kSecretBytesMax = 64;
constexpr std::string_view kSecretPrefix = "whsec_";

HttpResponse refusal(int status, const std::string& message) {
  return json_response(status, object({{"error", Value::of(message)}}));
}

// Compares every byte whatever differs, as a receiver should.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

bool is_signed(std::string_view signatures, const std::string& key, const std::string& content) {
  const Sha256 digest = hmac_sha256(key, content);
  const std::string expected =
      "v1," + to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
  bool found = false;
  while (!signatures.empty()) {
    const std::size_t blank = std::min(signatures.find(' '), signatures.size());
    found = equal_in_constant_time(signatures.substr(0, blank), expected) || found;
    signatures.remove_prefix(std::min(blank + 1, signatures.size()));
  }
  return found;
}

enum class Change { none, add, remove };

Change change_of(std::string_view type) {
  if (type == "audience.members_added") return Change::add;
  if (type == "audience.members_removed") return Change::remove;
  return Change::none;
}

// Missing unless the message names its audience and at least one member, each by its person.
std::optional<std::vector<MemberId>> people_of(const Value& data) {
  const Value* audience = data.find("audience");
  const Value* members = data.find("members");
  if (!is_string(audience) || audience->string.empty()) return std::nullopt;
  if (members == nullptr || members->list.empty()) return std::nullopt;
  std::vector<MemberId> people;
  for (const Value& member : members->list) {
    const Value* person = member.find("person");
    if (!is_string(person) || person->string.empty()) return std::nullopt;
    people.push_back({"person", person->string});
  }
  return people;
}

std::string endpoint_of(const Call& call) {
  return call.segments.empty() ? "default" : printable(fmt::format("{}", fmt::join(call.segments, "/")));
}

}  // namespace

std::optional<HttpResponse> Webhook::control(const Call& call) {
  if (call.request.method == "GET" && call.segments == std::vector<std::string>{"events"})
    return json_response(200, events_.describe());
  if (!call.segments.empty() || call.request.method != "POST") return std::nullopt;
  const auto error = [](const char* text) {
    return json_response(400, object({{"error", Value::of(text)}}));
  };
  const auto body = parse_json(call.request.body);
  const Value* endpoint = body ? body->find("endpoint") : nullptr;
  const Value* secret = body ? body->find("secret") : nullptr;
  if (!is_string(secret)) return error("secret must be a text; \"\" ends the check.");
  const std::string name = is_string(endpoint) ? endpoint->string : "";
  if (!set_secret(name, secret->string)) return error("secret must be whsec_ and base64 of 24 to 64 bytes.");
  return json_response(200, object({{"endpoint", Value::of(printable(name))}}));
}

bool Webhook::set_secret(const std::string& endpoint, const std::string& secret) {
  if (secret.empty()) {
    keys_.erase(endpoint);
    return true;
  }
  std::string key;
  if (!secret.starts_with(kSecretPrefix) || !from_base64(secret.substr(kSecretPrefix.size()), key) ||
      key.size() < kSecretBytesMin || key.size() > kSecretBytesMax) {
    return false;
  }
  keys_[endpoint] = key;
  return true;
}

std::string Webhook::key_for(const std::string& endpoint) const {
  auto found = keys_.find(endpoint);
  if (found == keys_.end()) found = keys_.find("");
  return found == keys_.end() ? "" : found->second;
}

bool Webhook::seen_before(const std::string& message_id) {
  if (!seen_.insert(message_id).second) return true;
  seen_order_.push_back(message_id);
  if (seen_order_.size() > kMessagesRemembered) {
    seen_.erase(seen_order_.front());
    seen_order_.pop_front();
  }
  return false;
}

HttpResponse Webhook::handle(const Call& call) {
  const HttpRequest& request = call.request;
  if (request.method != "POST") return refusal(405, "A webhook is sent with POST.");
  const auto id = request.headers.get("webhook-id");
  const auto timestamp = request.headers.get("webhook-timestamp");
  const auto signature = request.headers.get("webhook-signature");
  if (!id || !timestamp || !signature || id->empty()) {
    return refusal(400, "webhook-id, webhook-timestamp and webhook-signature are all required.");
  }
  if (id->find('.') != std::string_view::npos) return refusal(400, "webhook-id must not contain a dot.");
  const auto seconds = whole_number(*timestamp);
  if (!seconds || *seconds < 0 || *seconds > kTimeMax.ms / 1000) {
    return refusal(400, "webhook-timestamp is not a number of seconds since 1970.");
  }
  const Time signed_at{*seconds * 1000};
  if (signed_at + kTolerance < call.now || call.now + kTolerance < signed_at) {
    return refusal(401, "webhook-timestamp is more than 5 minutes from now.");
  }
  const std::string endpoint = endpoint_of(call);
  const std::string key = key_for(endpoint);
  if (!key.empty() && !is_signed(*signature, key, fmt::format("{}.{}.{}", *id, *timestamp, request.body))) {
    return refusal(401, "No signature in webhook-signature is that of this message under the secret.");
  }
  const auto body = parse_json(request.body);
  if (!body || !is_string(body->find("type")) || body->find("data") == nullptr) {
    return refusal(400, "The body must be a JSON object with type, timestamp and data.");
  }
  const Value* said = body->find("timestamp");
  if (!is_string(said) || !parse_time(said->string)) return refusal(400, "timestamp must be ISO 8601.");
  const Change change = change_of(body->find("type")->string);
  const auto people = people_of(*body->find("data"));
  if (change != Change::none && !people)
    return refusal(400, "data must name its audience, and in members each person.");
  const bool repeated = seen_before(std::string(*id));
  if (!repeated) keep_events(*body, call.now);
  if (change != Change::none && !repeated) {
    const std::string audience = endpoint + ":" + body->find("data")->find("audience")->string;
    // Whoever receives webhooks knows everyone it is told of.
    Members& members = audiences_.try_emplace(audience, KnownPeople(2, 0)).first->second;
    for (const MemberId& person : *people) {
      if (change == Change::add) {
        members.add({&person, 1}, call.now);
      } else {
        members.remove({&person, 1});
      }
    }
  }
  return json_response(200, object({{"received", Value::of(true)}, {"repeated", Value::of(repeated)}}));
}

// "event.<name>" is one, "events" a list of them; each is told by its own id.
void Webhook::keep_events(const Value& message, Time now) {
  const std::string& type = message.find("type")->string;
  const Value& data = *message.find("data");
  if (type.starts_with("event.")) {
    const Value* id = data.find("message_id");
    events_.add(is_string(id) ? id->string : "", message, now);
  }
  const Value* list = type == "events" ? data.find("events") : nullptr;
  if (list == nullptr) return;
  for (const Value& each : list->list) {
    const Value* inner = each.find("data");
    const Value* id = inner == nullptr ? nullptr : inner->find("message_id");
    events_.add(is_string(id) ? id->string : "", each, now);
  }
}

HttpResponse Webhook::refuse(Refusal kind, int status, const Call&) {
  switch (kind) {
    case Refusal::auth:
      return refusal(401, "The signature is not accepted, as a fault of the sandbox asked for.");
    case Refusal::throttle: {
      HttpResponse response = refusal(429, "Too many messages, as a fault of the sandbox asked for.");
      response.headers.emplace_back("Retry-After", "30");
      return response;
    }
    case Refusal::fail:
      break;
  }
  return refusal(status, "Failed, as a fault of the sandbox asked for.");
}

std::vector<AudienceSummary> Webhook::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, members] : audiences_) all.push_back({id, id, "", &members});
  return all;
}

Members* Webhook::members(std::string_view audience) {
  const auto found = audiences_.find(std::string(audience));
  return found == audiences_.end() ? nullptr : &found->second;
}

bool Webhook::plant(const std::string& id, const std::string&, const std::string&) {
  return !id.empty() && audiences_.try_emplace(id, KnownPeople(2, 0)).second;
}

std::unique_ptr<Platform> make_webhook(const Options&, const Limits&) { return std::make_unique<Webhook>(); }

}  // namespace tailrace::sandbox
