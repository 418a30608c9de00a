#include "sandbox/linkedin/linkedin.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::int64_t kFirstSegment = 10'804;
constexpr std::int64_t kPeopleMin = 300;
constexpr std::int64_t kRequestsPerMinute = 600;
constexpr std::int64_t kReadyMs = 5000;
constexpr std::int64_t kOldestVersion = 202512;
constexpr std::size_t kElementsMax = 5000;
constexpr std::int64_t kNameMax = 35;  // characters
constexpr std::int64_t kTitleMax = 50;
constexpr Millis kTokenLifetime = kDay * 60;
constexpr Millis kOldestEvent = kDay * 90;
constexpr Millis kSameEvent = kDay * 2;  // for how long an event counts once is not documented
constexpr std::string_view kAccountUrn = "urn:li:sponsoredAccount:";

using Answered = std::expected<HttpResponse, LinkedinError>;

std::unexpected<LinkedinError> wrong(std::string message, int status = 400) {
  return std::unexpected(LinkedinError{.status = status, .message = std::move(message)});
}

std::string text_of(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return is_string(value) ? value->string : std::string();
}

// In characters, of UTF-8.
std::int64_t length_of(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; });
}

bool is_country(std::string_view code) {
  return code.size() == 2 && std::ranges::all_of(code, [](char c) { return c >= 'A' && c <= 'Z'; });
}

// The digits of "urn:li:sponsoredAccount:5168"; "" where it is not one.
std::string account_of(std::string_view urn) {
  if (!urn.starts_with(kAccountUrn)) return "";
  urn.remove_prefix(kAccountUrn.size());
  return is_digits(urn) ? std::string(urn) : std::string();
}

Value refused(const char* message) {
  return object({{"status", whole(400)},
                 {"error", object({{"status", whole(400)},
                                   {"code", Value::of("INVALID_ARGUMENT")},
                                   {"message", Value::of(message)}})}});
}

// The identifier, or missing with why in `problem`.
std::optional<MemberId> read_id(const Value& id, const char*& problem) {
  const std::string type = text_of(id, "idType");
  const std::string value = text_of(id, "idValue");
  problem = "";
  if (type == "SHA256_EMAIL") {
    if (is_lower_hex_digest(value)) return MemberId{"email", value};
    problem = "idValue is not a SHA-256 in lower-case hexadecimal";
  } else if (type == "SHA512_EMAIL") {
    if (value.size() == 128) return MemberId{"email", value};
    problem = "idValue is not a SHA-512";
  } else if (type == "GOOGLE_AID") {
    if (is_uuid(value)) return MemberId{"mobile_id", value};
    problem = "idValue is not an advertising id";
  } else {
    problem = "idType is not known";
  }
  return std::nullopt;
}

// What is wrong with an event; "": nothing.
std::string event_problem(const Value& event, Time now) {
  constexpr std::string_view kRule = "urn:lla:llaPartnerConversion:";
  const std::string rule = text_of(event, "conversion");
  if (!rule.starts_with(kRule) || !is_digits(std::string_view(rule).substr(kRule.size())))
    return "/conversion :: is not the URN of a conversion rule";
  const Value* time = event.find("conversionHappenedAt");
  const auto ms = time != nullptr && time->kind == Value::Kind::number ? whole_number(*time) : std::nullopt;
  if (!ms || Time{*ms} < now - kOldestEvent || Time{*ms} > now + kMinute * 10)
    return "/conversionHappenedAt :: is not within the last 90 days";
  if (const Value* value = event.find("conversionValue");
      value != nullptr && (text_of(*value, "amount").empty() || text_of(*value, "currencyCode").size() != 3))
    return "/conversionValue :: amount and currencyCode are texts";
  const Value* user = event.find("user");
  if (user == nullptr || user->kind != Value::Kind::object) return "/user :: is required";
  if (const Value* external = user->find("externalIds"); external != nullptr && external->list.size() > 1)
    return "/user/externalIds :: one at most";
  const Value* ids = user->find("userIds");
  std::size_t known = 0;
  for (std::size_t i = 0; ids != nullptr && i < ids->list.size(); ++i, ++known) {
    const std::string type = text_of(ids->list[i], "idType");
    const std::string value = text_of(ids->list[i], "idValue");
    const bool plain = type == "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID" || type == "ACXIOM_ID" ||
                       type == "AXCIOM_ID" || type == "ORACLE_MOAT_ID";
    if (plain ? value.empty() || is_lower_hex_digest(value)
              : !(type == "SHA256_EMAIL" && is_lower_hex_digest(value)) &&
                    !(type == "GOOGLE_AID" && is_uuid(value)))
      return "/user/userIds :: an id is not of its type";
  }
  const Value* info = user->find("userInfo");
  const bool named =
      info != nullptr && !text_of(*info, "firstName").empty() && !text_of(*info, "lastName").empty();
  return known > 0 || named ? "" : "/user :: userIds, or firstName and lastName, are required";
}

HttpResponse error_response(const LinkedinError& error) {
  Value body = object({{"message", Value::of(error.message)},
                       {"serviceErrorCode", whole(error.service_code)},
                       {"status", whole(error.status)}});
  if (!error.code.empty()) body.members.emplace_back("code", Value::of(error.code));
  return json_response(error.status, body);
}

}  // namespace

Linkedin::Linkedin(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), store_(options, kFirstSegment) {}

std::vector<Platform::Limit> Linkedin::limits() const {
  return {{"linkedin_people_min", kPeopleMin},
          {"linkedin_requests_per_minute", kRequestsPerMinute},
          {"linkedin_processing_ms", 0},
          {"linkedin_ready_ms", kReadyMs},
          {"linkedin_oldest_version", kOldestVersion}};
}

bool Linkedin::is_token_call(const Call& call) const {
  return !call.segments.empty() && (call.segments[0] == "token" || call.segments[0] == "oauth");
}

HttpResponse Linkedin::handle(const Call& call) {
  if (is_token_call(call)) return refresh_answer(call, options_, ClientShown::in_form, kTokenLifetime);
  if (!has_bearer(call, options_)) return refuse(Refusal::auth, 0, call);
  const auto version = call.request.headers.get("LinkedIn-Version");
  const auto month = version ? whole_number(*version) : std::nullopt;
  if (!month)
    return error_response({.status = 400, .message = "A version must be present", .code = "VERSION_MISSING"});
  if (version->size() != 6 || *month < limits_.of("linkedin_oldest_version"))
    return error_response(
        {.status = 426, .message = "Requested version is not active", .code = "NONEXISTENT_VERSION"});
  if (call.request.headers.get("X-Restli-Protocol-Version") != "2.0.0")
    return error_response({.status = 400, .message = "X-Restli-Protocol-Version must be 2.0.0"});
  if (!minute_.admit(call.now, limits_.of("linkedin_requests_per_minute")))
    return refuse(Refusal::throttle, 0, call);
  const auto answered = answer(call);
  return answered ? *answered : error_response(answered.error());
}

HttpResponse Linkedin::refuse(Refusal refusal, int status, const Call& call) {
  if (refusal == Refusal::auth && is_token_call(call)) return refresh_refused();
  if (refusal == Refusal::auth)
    return error_response({.status = 401,
                           .message = "The token used in the request is not valid",
                           .code = "INVALID_ACCESS_TOKEN",
                           .service_code = 65600});
  if (refusal == Refusal::throttle)
    return error_response(
        {.status = 429,
         .message = "Resource level throttle MEMBER limit for calls to this resource is reached.",
         .service_code = 101});
  return error_response({.status = status, .message = "Failed"});
}

Answered Linkedin::answer(const Call& call) {
  std::vector<std::string> path = call.segments;
  if (!path.empty() && path.front() == "rest") path.erase(path.begin());
  const std::string& method = call.request.method;
  if (path.size() == 1 && path[0] == "me" && method == "GET")
    return json_response(200, object({{"id", Value::of("sandbox")}}));
  if (path.size() == 1 && path[0] == "conversionEvents" && method == "POST") return track(call);
  if (path.empty() || path[0] != "dmpSegments") return wrong("Resource not found", 404);
  if (path.size() == 1 && method == "POST") return create(call);
  if (path.size() == 1 && method == "GET") return find(call);
  StoredAudience* const segment = path.size() >= 2 ? store_.find(path[1]) : nullptr;
  if (segment == nullptr) return wrong("The DMP segment is not found", 404);
  if (path.size() == 2 && method == "GET") return json_response(200, describe(*segment, call.now));
  if (path.size() == 2 && method == "DELETE") {
    store_.erase(path[1]);
    return HttpResponse{.status = 204, .headers = {}, .body = ""};
  }
  if (path.size() == 3 && path[2] == "users" && method == "POST") return upload(call, *segment);
  return wrong("Resource not found", 404);
}

std::optional<HttpResponse> Linkedin::control(const Call& call) {
  const bool asked =
      call.request.method == "GET" && call.segments.size() == 1 && call.segments[0] == "events";
  return asked ? std::optional(events_.list()) : std::nullopt;
}

// One bad event refuses all, and is named by its place.
Answered Linkedin::track(const Call& call) {
  if (call.request.headers.get("X-RestLi-Method") != "BATCH_CREATE")
    return wrong("X-RestLi-Method must be BATCH_CREATE");
  const auto body = parse_json(call.request.body);
  const Value* elements = body ? body->find("elements") : nullptr;
  if (elements == nullptr || elements->kind != Value::Kind::list || elements->list.empty())
    return wrong("elements must be a list of at least one");
  if (elements->list.size() > kElementsMax) return wrong("at most 5000 elements in one request");
  std::string problems;
  for (std::size_t i = 0; i < elements->list.size(); ++i) {
    const std::string problem = event_problem(elements->list[i], call.now);
    if (!problem.empty()) problems += fmt::format("Index: {}, ERROR :: {} ", i, problem);
  }
  if (!problems.empty()) return wrong(problems, 422);
  Value results = Value::with(Value::Kind::list);
  for (const Value& event : elements->list) {
    const std::string id = text_of(event, "eventId");
    events_.add(id.empty() ? "" : text_of(event, "conversion") + "/" + id, event, call.now, kSameEvent);
    results.list.push_back(object({{"status", whole(201)}}));
  }
  return json_response(200, object({{"elements", std::move(results)}}));
}

Answered Linkedin::create(const Call& call) {
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return wrong("The body is not a JSON object");
  const std::string account = account_of(text_of(*body, "account"));
  if (text_of(*body, "name").empty() || account.empty() || text_of(*body, "sourcePlatform").empty())
    return wrong("name, account and sourcePlatform are required", 422);
  if (text_of(*body, "type") != "USER") return wrong("type: the sandbox knows USER only", 422);
  const Value* destinations = body->find("destinations");
  const bool here = destinations != nullptr && destinations->list.size() == 1 &&
                    text_of(destinations->list[0], "destination") == "LINKEDIN";
  if (!here) return wrong("destinations: [{\"destination\":\"LINKEDIN\"}]", 422);
  StoredAudience& segment = store_.create(text_of(*body, "name"), account, call.now);
  segment.kind = text_of(*body, "sourcePlatform") + "/" + text_of(*body, "sourceSegmentId");
  return HttpResponse{.status = 201, .headers = {{"x-linkedin-id", segment.id}}, .body = ""};
}

Answered Linkedin::find(const Call& call) const {
  const auto param = [&](std::string_view name) {
    const std::string* value = find_param(call.query, name);
    return value == nullptr ? std::string() : *value;
  };
  if (param("q") != "account") return wrong("q: account");
  const std::string account = account_of(param("account"));
  if (account.empty()) return wrong("account is not the URN of an account");
  const std::string source = param("sourcePlatform") + "/" + param("sourceSegmentId");
  Value elements = Value::with(Value::Kind::list);
  for (const auto& [id, segment] : store_.all()) {
    if (segment.account == account && segment.kind == source)
      elements.list.push_back(describe(segment, call.now));
  }
  return json_response(200, object({{"elements", std::move(elements)}}));
}

Answered Linkedin::upload(const Call& call, StoredAudience& segment) {
  if (call.now < segment.created + Millis{limits_.of("linkedin_ready_ms")})
    return wrong("The DMP segment is not found", 404);
  if (call.request.headers.get("X-RestLi-Method") != "BATCH_CREATE")
    return wrong("X-RestLi-Method must be BATCH_CREATE");
  const auto body = parse_json(call.request.body);
  const Value* elements = body ? body->find("elements") : nullptr;
  if (elements == nullptr || elements->kind != Value::Kind::list || elements->list.empty())
    return wrong("elements must be a list of at least one");
  if (elements->list.size() > kElementsMax) return wrong("at most 5000 elements in one request");
  AudienceStore::begin_upload(segment, call.now, lag());
  Value results = Value::with(Value::Kind::list);
  for (const Value& element : elements->list) results.list.push_back(apply(element, segment, call.now));
  return json_response(200, object({{"elements", std::move(results)}}));
}

Value Linkedin::apply(const Value& element, StoredAudience& segment, Time now) {
  const std::string action = text_of(element, "action");
  if (action != "ADD" && action != "REMOVE") return refused("action must be ADD or REMOVE");
  std::vector<MemberId> ids;
  if (const Value* given = element.find("userIds"); given != nullptr) {
    for (const Value& each : given->list) {
      const char* problem = "";
      auto id = read_id(each, problem);
      if (!id) return refused(problem);
      ids.push_back(std::move(*id));
    }
  }
  const std::string first = text_of(element, "firstName");
  const std::string last = text_of(element, "lastName");
  if (length_of(first) > kNameMax || length_of(last) > kNameMax ||
      length_of(text_of(element, "title")) > kTitleMax)
    return refused("firstName and lastName hold 35 characters, title 50");
  if (element.find("country") != nullptr && !is_country(text_of(element, "country")))
    return refused("country is not a code of two capitals");
  if (ids.empty() && !first.empty() && !last.empty()) ids.push_back({"details", first + " " + last});
  if (ids.empty()) return refused("userIds, or firstName and lastName, are required");
  if (action == "ADD") {
    ++segment.received;
    segment.members.add(ids, now);
  } else {
    segment.members.remove(ids);
  }
  return object({{"status", whole(201)}});
}

Value Linkedin::describe(const StoredAudience& segment, Time now) const {
  const std::int64_t matched = AudienceStore::matched(segment, now, lag());
  const bool uploaded = segment.updated.ms > 0;
  const char* status = !uploaded                                           ? "BUILDING"
                       : AudienceStore::is_processing(segment, now, lag()) ? "UPDATING"
                                                                           : "READY";
  // Below the smallest size LinkedIn tells none.
  const std::int64_t size = matched < limits_.of("linkedin_people_min") ? 0 : blurred_down(matched);
  const Value destination = object({{"destination", Value::of("LINKEDIN")},
                                    {"status", Value::of(status)},
                                    {"audienceSize", whole(size)},
                                    {"matchedCount", whole(std::min(matched, segment.received))},
                                    {"inputCount", whole(segment.received)}});
  return object({{"id", whole(whole_number(segment.id).value_or(0))},
                 {"name", Value::of(segment.name)},
                 {"account", Value::of(std::string(kAccountUrn) + segment.account)},
                 {"type", Value::of("USER")},
                 {"destinations", list_of({destination})}});
}

std::unique_ptr<Platform> make_linkedin(const Options& options, const Limits& limits) {
  return std::make_unique<Linkedin>(options, limits);
}

}  // namespace tailrace::sandbox
