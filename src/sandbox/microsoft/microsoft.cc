#include "sandbox/microsoft/microsoft.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/json.h"
#include "sandbox/audience_store.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kItemsMax = 1000;
constexpr std::size_t kEventsMax = 1000;
constexpr std::size_t kAudiencesMax = 100;
constexpr std::size_t kCrmIdLengthMax = 100;
constexpr std::size_t kErrorsListed = 10;
constexpr std::int64_t kMembershipDaysMax = 390;
constexpr Millis kEventAgeMax = kDay * 7;
constexpr Millis kTokenLifetime = kSecond * 3599;

MicrosoftError invalid_parameter() { return {}; }

Value partial_error(std::size_t index, std::int64_t code, const std::string& name) {
  return object({{"Index", whole(static_cast<std::int64_t>(index))},
                 {"Code", whole(code)},
                 {"ErrorCode", Value::of(name)},
                 {"Message", Value::of(name)},
                 {"FieldPath", Value::of_null()},
                 {"Type", Value::of("BatchError")}});
}

std::string text_of(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  return is_string(value) ? value->string : std::string();
}

bool is_true(const Value* value) {
  return value != nullptr && value->kind == Value::Kind::boolean && value->boolean;
}

std::optional<std::int64_t> id_of(const Value* value) {
  return value == nullptr ? std::nullopt : whole_number(*value);
}

// --- Events of the Conversions API

struct Problem {
  std::string property;
  std::string code;
  bool warning = false;
};

constexpr std::array<std::string_view, 7> kUserIds{"anonymousId", "externalId", "em",  "ph",
                                                   "msclkid",     "idfa",       "gaid"};

std::optional<Problem> problem_of_user(const Value* user) {
  if (user == nullptr || user->kind != Value::Kind::object) return Problem{"userData", "Empty"};
  const bool known = std::any_of(kUserIds.begin(), kUserIds.end(),
                                 [&](std::string_view name) { return is_string(user->find(name)); });
  if (!known) return Problem{"userData", "Empty"};
  for (const std::string_view name : {"em", "ph"}) {
    const Value* value = user->find(name);
    if (value != nullptr && (!is_string(value) || !is_lower_hex_digest(value->string)))
      return Problem{fmt::format("userData.{}", name), "InvalidSha256"};
  }
  const Value* click = user->find("msclkid");
  if (click != nullptr && (!is_string(click) || !is_uuid(click->string)))
    return Problem{"userData.msclkid", "InvalidUuid", true};
  return std::nullopt;
}

std::optional<Problem> problem_of_event(const Value& event, Time now) {
  if (event.kind != Value::Kind::object) return Problem{"", "Empty"};
  const std::string type = text_of(event, "eventType");
  if (type != "pageLoad" && type != "custom") return Problem{"eventType", "InvalidEnumValue"};
  const Value* time = event.find("eventTime");
  const auto seconds =
      time != nullptr && time->kind == Value::Kind::number ? whole_number(*time) : std::nullopt;
  const bool good_time = seconds && *seconds >= 0 && *seconds <= kTimeMax.ms / 1000 &&
                         Time{*seconds * 1000} + kEventAgeMax >= now &&
                         Time{*seconds * 1000} <= now + kMinute;
  if (!good_time) return Problem{"eventTime", "InvalidEventTime"};
  const Value* url = event.find("eventSourceUrl");
  if (url != nullptr && (!is_string(url) || !url->string.starts_with("http")))
    return Problem{"eventSourceUrl", "InvalidUrl"};
  const std::string consent = text_of(event, "adStorageConsent");
  if (!consent.empty() && consent != "G" && consent != "D")
    return Problem{"adStorageConsent", "InvalidEnumValue"};
  return problem_of_user(event.find("userData"));
}

Value detail_of(std::size_t index, const Problem& problem) {
  return object({{"index", whole(static_cast<std::int64_t>(index))},
                 {"propertyName", Value::of(fmt::format("data[{}].{}", index, problem.property))},
                 {"attemptedValue", Value::of_null()},
                 {"errorMessage", Value::of("The value is not accepted.")},
                 {"errorCode", Value::of(problem.code)},
                 {"isWarning", Value::of(problem.warning)}});
}

HttpResponse event_error(int status, const std::string& code, Value details, std::int64_t received) {
  return json_response(status, object({{"eventsReceived", whole(received)},
                                       {"error", object({{"code", Value::of(code)},
                                                         {"message", Value::of(code)},
                                                         {"details", std::move(details)}})}}));
}

}  // namespace

Microsoft::Microsoft(const Options& options, const tailrace::sandbox::Limits& limits)
    : options_(options), limits_(limits), known_(options.known_share, options.seed), events_(kEventAgeMax) {}

std::vector<Platform::Limit> Microsoft::limits() const {
  return {
      {"microsoft_requests_per_minute", 1000}, {"microsoft_people_min", 300}, {"microsoft_processing_ms", 0}};
}

std::optional<HttpResponse> Microsoft::control(const Call& call) {
  if (call.request.method != "GET" || call.segments != std::vector<std::string>{"events"})
    return std::nullopt;
  return json_response(200, events_.describe());
}

// --- The envelope

bool Microsoft::is_token_call(const Call& call) const {
  return !call.segments.empty() && call.segments.back() == "token";
}

HttpResponse Microsoft::fault(const MicrosoftError& error) {
  return json_response(error.status,
                       object({{"Errors", list_of({object({{"Code", whole(error.code)},
                                                           {"ErrorCode", Value::of(error.name)},
                                                           {"Message", Value::of(error.name)}})})},
                               {"TrackingId", Value::of("sandbox")},
                               {"Type", Value::of("AdApiFaultDetail")}}));
}

HttpResponse Microsoft::handle(const Call& call) {
  if (is_token_call(call)) return refresh_answer(call, options_, ClientShown::in_form, kTokenLifetime);
  if (!has_bearer(call, options_)) return refuse(Refusal::auth, 0, call);
  if (!calls_.admit(call.now, limits_.of("microsoft_requests_per_minute")))
    return refuse(Refusal::throttle, 0, call);
  std::vector<std::string> path = call.segments;
  if (path.size() == 3 && path[0] == "v1" && path[2] == "events") return answer_events(call);
  if (path.size() >= 2 && path[0] == "CampaignManagement") path.erase(path.begin(), path.begin() + 2);
  for (const std::string_view name : {"DeveloperToken", "CustomerAccountId", "CustomerId"}) {
    if (call.request.headers.get(name).value_or("").empty())
      return fault({.code = 105, .name = "InvalidCredentials", .status = 401});
  }
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return fault(invalid_parameter());
  const auto answered = answer(call, path, *body);
  return answered ? json_response(200, *answered) : fault(answered.error());
}

HttpResponse Microsoft::refuse(Refusal refusal, int status, const Call& call) {
  const bool of_events = !call.segments.empty() && call.segments.back() == "events";
  switch (refusal) {
    case Refusal::auth:
      if (is_token_call(call)) return refresh_refused();
      if (of_events)
        return json_response(401, object({{"error", object({{"code", Value::of("Unauthorized")}})}}));
      return fault({.code = 109, .name = "AuthenticationTokenExpired", .status = 401});
    case Refusal::throttle:
      if (of_events)
        return json_response(429, object({{"error", object({{"code", Value::of("TooManyRequests")}})}}));
      return fault({.code = 117, .name = "CallRateExceeded", .status = 400});
    case Refusal::fail:
      break;
  }
  if (of_events) return json_response(status, object({{"error", object({{"code", Value::of("Failed")}})}}));
  return fault({.code = status >= 500 ? 0 : 100,
                .name = status >= 500 ? "InternalError" : "InvalidParameter",
                .status = status});
}

// --- Customer lists

MicrosoftResult<Value> Microsoft::answer(const Call& call, const std::vector<std::string>& path,
                                         const Value& body) {
  const bool posts = call.request.method == "POST";
  if (posts && path == std::vector<std::string>{"Audiences"}) return create(call, body);
  if (posts && path == std::vector<std::string>{"Audiences", "QueryByIds"}) return query(body, call.now);
  if (posts && path == std::vector<std::string>{"CustomerListUserData", "Apply"})
    return apply(body, call.now);
  return std::unexpected(MicrosoftError{.code = 100, .name = "NotFound", .status = 404});
}

MicrosoftResult<Value> Microsoft::create(const Call& call, const Value& body) {
  const Value* wanted = body.find("Audiences");
  if (wanted == nullptr || wanted->list.empty() || wanted->list.size() > kAudiencesMax)
    return std::unexpected(invalid_parameter());
  const std::string customer(call.request.headers.get("CustomerId").value_or(""));
  Value ids = list_of({});
  Value errors = list_of({});
  for (std::size_t i = 0; i < wanted->list.size(); ++i) {
    const Value& audience = wanted->list[i];
    const std::string name = text_of(audience, "Name");
    const auto days = audience.find("MembershipDuration") == nullptr
                          ? std::optional<std::int64_t>(30)
                          : id_of(audience.find("MembershipDuration"));
    const bool good_days = days && (*days == -1 || (*days >= 1 && *days <= kMembershipDaysMax));
    if (text_of(audience, "Type") != "CustomerList" || name.empty() || !good_days) {
      ids.list.push_back(Value::of_null());
      errors.list.push_back(partial_error(i, 100, "InvalidAudience"));
      continue;
    }
    const std::int64_t id = next_audience_++;
    audiences_.emplace(id, Audience{.name = name,
                                    .description = text_of(audience, "Description"),
                                    .account = customer,
                                    .membership_days = *days,
                                    .changed = {},
                                    .members = Members(known_)});
    ids.list.push_back(Value::of(fmt::format("{}", id)));
  }
  return object({{"AudienceIds", std::move(ids)}, {"PartialErrors", std::move(errors)}});
}

Value Microsoft::describe(std::int64_t id, const Audience& audience, Time now) const {
  const bool known = now >= audience.changed + Millis{limits_.of("microsoft_processing_ms")} &&
                     audience.members.matched() >= limits_.of("microsoft_people_min");
  const Value size = known ? whole(blurred_down(audience.members.matched())) : Value::of_null();
  return object({{"Id", Value::of(fmt::format("{}", id))},
                 {"Name", Value::of(audience.name)},
                 {"Description", Value::of(audience.description)},
                 {"Type", Value::of("CustomerList")},
                 {"Scope", Value::of("Customer")},
                 {"ParentId", Value::of(audience.account)},
                 {"MembershipDuration", whole(audience.membership_days)},
                 {"SearchSize", size},
                 {"AudienceNetworkSize", size}});
}

MicrosoftResult<Value> Microsoft::query(const Value& body, Time now) const {
  if (text_of(body, "Type") != "CustomerList") return std::unexpected(invalid_parameter());
  const Value* ids = body.find("AudienceIds");
  Value found = list_of({});
  Value errors = list_of({});
  if (ids == nullptr || !ids->present() || ids->list.empty()) {
    for (const auto& [id, audience] : audiences_) found.list.push_back(describe(id, audience, now));
    return object({{"Audiences", std::move(found)}, {"PartialErrors", std::move(errors)}});
  }
  for (std::size_t i = 0; i < ids->list.size(); ++i) {
    const auto id = whole_number(ids->list[i]);
    const auto place = id ? audiences_.find(*id) : audiences_.end();
    if (place == audiences_.end()) {
      found.list.push_back(Value::of_null());
      errors.list.push_back(partial_error(i, 8000, "InvalidAudienceId"));
    } else {
      found.list.push_back(describe(*id, place->second, now));
    }
  }
  return object({{"Audiences", std::move(found)}, {"PartialErrors", std::move(errors)}});
}

MicrosoftResult<Value> Microsoft::apply(const Value& body, Time now) {
  const Value* data = body.find("CustomerListUserData");
  if (data == nullptr || data->kind != Value::Kind::object) return std::unexpected(invalid_parameter());
  if (!is_true(data->find("AcceptCustomerMatchTerm")))
    return std::unexpected(MicrosoftError{.code = 8003, .name = "CustomerMatchTermNotAccepted"});
  const auto id = id_of(data->find("AudienceId"));
  const auto found = id ? audiences_.find(*id) : audiences_.end();
  if (found == audiences_.end())
    return std::unexpected(MicrosoftError{.code = 8000, .name = "InvalidCustomerListId"});
  const std::string action = text_of(*data, "ActionType");
  if (action != "Add" && action != "Remove" && action != "Replace")
    return std::unexpected(MicrosoftError{.code = 8001, .name = "InvalidActionType"});
  const std::string type = text_of(*data, "CustomerListItemSubType");
  if (type != "Email" && type != "CRM")
    return std::unexpected(MicrosoftError{.code = 8002, .name = "InvalidCustomerListItemSubType"});
  const Value* items = data->find("CustomerListItems");
  if (items == nullptr || items->list.empty() || items->list.size() > kItemsMax)
    return std::unexpected(invalid_parameter());
  Members& members = found->second.members;
  if (action == "Replace") members.remove_added_before(now + Millis{1});
  Value errors = list_of({});
  for (std::size_t i = 0; i < items->list.size(); ++i) {
    const Value& item = items->list[i];
    const bool text = is_string(&item) && !item.string.empty();
    if (type == "Email" && (!text || !is_lower_hex_digest(item.string))) {
      errors.list.push_back(partial_error(i, 8004, "EmailMustBeHashed"));
    } else if (!text || item.string.size() > kCrmIdLengthMax) {
      errors.list.push_back(partial_error(i, 8005, "CrmIdTooLong"));
    } else {
      const MemberId member{type == "Email" ? "email" : "external_id", item.string};
      if (action == "Remove") {
        members.remove({&member, 1});
      } else {
        members.add({&member, 1}, now);
      }
    }
  }
  found->second.changed = now;
  return object({{"PartialErrors", std::move(errors)}});
}

// --- Conversions

HttpResponse Microsoft::answer_events(const Call& call) {
  const auto body = parse_json(call.request.body);
  const Value* events = body ? body->find("data") : nullptr;
  if (call.request.method != "POST" || events == nullptr || events->list.empty() ||
      events->list.size() > kEventsMax)
    return event_error(400, "BadRequest", list_of({}), 0);
  Value details = list_of({});
  std::vector<const Value*> good;
  for (std::size_t i = 0; i < events->list.size(); ++i) {
    const auto problem = problem_of_event(events->list[i], call.now);
    if (problem && details.list.size() < kErrorsListed) details.list.push_back(detail_of(i, *problem));
    if (!problem || problem->warning) good.push_back(&events->list[i]);
  }
  const bool all = good.size() == events->list.size();
  if (good.empty() || (!all && !is_true(body->find("continueOnValidationError"))))
    return event_error(400, "ValidationFailed", std::move(details), 0);
  for (const Value* event : good) {
    const std::string id = text_of(*event, "eventId");
    const std::string key = fmt::format("{}/{}/{}", call.segments[1], id, text_of(*event, "eventName"));
    events_.add(id.empty() ? "" : key, *event, call.now);
  }
  const auto received = static_cast<std::int64_t>(good.size());
  if (!details.list.empty()) return event_error(200, "PartialSuccess", std::move(details), received);
  return json_response(200, object({{"eventsReceived", whole(received)}}));
}

// --- What the controls ask

std::vector<AudienceSummary> Microsoft::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, audience] : audiences_)
    all.push_back({fmt::format("{}", id), audience.name, audience.account, &audience.members});
  return all;
}

Members* Microsoft::members(std::string_view audience) {
  const auto id = whole_number(audience);
  const auto found = id ? audiences_.find(*id) : audiences_.end();
  return found == audiences_.end() ? nullptr : &found->second.members;
}

bool Microsoft::plant(const std::string& id, const std::string& name, const std::string& account) {
  const auto number = is_digits(id) ? whole_number(id) : std::nullopt;
  if (!number || !is_digits(account)) return false;
  return audiences_
      .emplace(
          *number,
          Audience{
              .name = name, .description = "", .account = account, .changed = {}, .members = Members(known_)})
      .second;
}

std::unique_ptr<Platform> make_microsoft(const Options& options, const Limits& limits) {
  return std::make_unique<Microsoft>(options, limits);
}

}  // namespace tailrace::sandbox
