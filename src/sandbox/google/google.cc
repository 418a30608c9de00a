#include "sandbox/google/google.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr Millis kTokenLifetime = kSecond * 3599;
constexpr std::int64_t kIngestionPerDay = 100'000;
constexpr std::int64_t kManagementPerDay = 50'000;
constexpr std::size_t kRequestsKept = 10'000;  // whose status can still be asked for
constexpr std::int64_t kListedDefault = 50;
constexpr std::int64_t kListedMax = 1000;
constexpr std::int64_t kMembershipDaysMax = 540;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kEligibleMembersMin = 100;
constexpr Millis kSameEvent = kDay * 90;  // how long Google knows one is not documented
constexpr std::string_view kScope = "https://www.googleapis.com/auth/datamanager";
constexpr std::string_view kAdsScope = "https://www.googleapis.com/auth/adwords";

std::string_view status_name(int status) {
  switch (status) {
    case 400:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 409:
      return "ALREADY_EXISTS";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 503:
      return "UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return "INTERNAL";
  }
}

HttpResponse token_error(const std::string& error, const std::string& description) {
  return json_response(error == "invalid_client" ? 401 : 400,
                       object({{"error", Value::of(error)}, {"error_description", Value::of(description)}}));
}

// One part of a JWT: base64url without padding, holding a JSON object.
std::optional<Value> read_jwt_part(std::string part) {
  std::replace(part.begin(), part.end(), '-', '+');
  std::replace(part.begin(), part.end(), '_', '/');
  while (part.size() % 4 != 0) part += '=';
  std::string bytes;
  if (!from_base64(part, bytes)) return std::nullopt;
  auto value = parse_json(bytes);
  if (!value || value->kind != Value::Kind::object) return std::nullopt;
  return std::move(*value);
}

// Why a service account's assertion is refused. Empty: it is fine. The signature is not verified: the sandbox
// does not have the account's public key.
std::string assertion_problem(std::string_view assertion, Time now) {
  const std::size_t first = assertion.find('.');
  const std::size_t second = first == std::string_view::npos ? first : assertion.find('.', first + 1);
  if (second == std::string_view::npos || second + 1 >= assertion.size()) {
    return "The assertion is not a signed JWT.";
  }
  const auto header = read_jwt_part(std::string(assertion.substr(0, first)));
  const auto claims = read_jwt_part(std::string(assertion.substr(first + 1, second - first - 1)));
  if (!header || !claims) return "The assertion's header or claims are not base64url of a JSON object.";
  const Value* algorithm = header->find("alg");
  if (!is_string(algorithm) || algorithm->string != "RS256") return "The assertion's alg must be RS256.";
  for (const std::string_view name : {"iss", "aud", "scope"}) {
    if (!is_string(claims->find(name))) return fmt::format("The assertion has no {}.", name);
  }
  const std::string& scope = claims->find("scope")->string;
  if (scope.find(kScope) == std::string::npos && scope.find(kAdsScope) == std::string::npos) {
    return fmt::format("The assertion's scope lacks {}.", kScope);
  }
  const Value* issued = claims->find("iat");
  const Value* expires = claims->find("exp");
  const std::int64_t from = issued == nullptr ? -1 : whole_number(*issued).value_or(-1);
  const std::int64_t until = expires == nullptr ? -1 : whole_number(*expires).value_or(-1);
  if (from < 0 || until < 0) return "The assertion's iat and exp must be seconds since 1970.";
  if (until <= from || until - from > 3600) return "exp must be at most an hour after iat.";
  const std::int64_t seconds = now.ms / 1000;
  if (until <= seconds || from > seconds + 300) return "The assertion is expired or not yet valid.";
  return "";
}

// "GOOGLE_ADS" whatever its case: which one the path wants is not documented.
std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

// "accountTypes/GOOGLE_ADS/accounts/111", as the login-account and linked-account headers want it.
bool is_account_name(std::string_view text) {
  const Target parts = parse_target(text);
  return parts.segments.size() == 4 && parts.segments[0] == "accountTypes" &&
         is_account_type(parts.segments[1]) && parts.segments[2] == "accounts" &&
         is_digits(parts.segments[3]);
}

void check_duration(const Value* value, Violations& violations) {
  if (value == nullptr) return;
  const std::string& text = value->string;
  const auto seconds =
      value->kind == Value::Kind::string && text.ends_with('s') && is_digits(text.substr(0, text.size() - 1))
          ? whole_number(std::string_view(text).substr(0, text.size() - 1))
          : std::nullopt;
  if (!seconds || *seconds % kSecondsPerDay != 0) {
    violations.push_back({"user_list.membership_duration", "INVALID_FORMAT",
                          "A duration is written \"86400s\" and is a whole number of days."});
  } else if (*seconds > kMembershipDaysMax * kSecondsPerDay) {
    violations.push_back({"user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG",
                          fmt::format("At most {} days.", kMembershipDaysMax)});
  }
}

void check_text(const Value* value, const std::string& field, Violations& violations) {
  if (value == nullptr || value->kind != Value::Kind::string || value->string.empty()) {
    violations.push_back({field, "REQUIRED_FIELD_MISSING", "The required field is not set."});
  }
}

// The list's upload key type; "" with violations.
std::string check_ingested_info(const Value* info, Violations& violations) {
  const std::string field = "user_list.ingested_user_list_info";
  if (info == nullptr) {
    violations.push_back({field, "REQUIRED_FIELD_MISSING", "The required field is not set."});
    return "";
  }
  if (!check_fields(*info, field,
                    {"uploadKeyTypes", "contactIdInfo", "mobileIdInfo", "userIdInfo", "pairIdInfo",
                     "pseudonymousIdInfo"},
                    violations)) {
    return "";
  }
  const Value* types = info->find("uploadKeyTypes");
  if (types == nullptr || types->kind != Value::Kind::list || types->list.size() != 1) {
    violations.push_back({field + ".upload_key_types", "REQUIRED_FIELD_MISSING",
                          "Exactly one of CONTACT_ID, MOBILE_ID and USER_ID."});
    return "";
  }
  check_enum(&types->list[0], field + ".upload_key_types[0]", {"CONTACT_ID", "MOBILE_ID", "USER_ID"},
             violations);
  const std::string& type = types->list[0].string;
  const auto check_source = [&](const Value& details, const std::string& at) {
    check_enum(details.find("dataSourceType"), at + ".data_source_type",
               {"DATA_SOURCE_TYPE_FIRST_PARTY", "DATA_SOURCE_TYPE_THIRD_PARTY_CREDIT_BUREAU",
                "DATA_SOURCE_TYPE_THIRD_PARTY_VOTER_FILE"},
               violations);
  };
  for (const auto& [name, path] :
       {std::pair("contactIdInfo", ".contact_id_info"), std::pair("userIdInfo", ".user_id_info")}) {
    const Value* details = info->find(name);
    if (details != nullptr && check_fields(*details, field + path, {"dataSourceType"}, violations))
      check_source(*details, field + path);
  }
  const Value* mobile = info->find("mobileIdInfo");
  const std::string at = field + ".mobile_id_info";
  if (mobile != nullptr && check_fields(*mobile, at, {"dataSourceType", "keySpace", "appId"}, violations)) {
    check_source(*mobile, at);
    const Value* key_space = mobile->find("keySpace");
    if (key_space == nullptr)
      violations.push_back({at + ".key_space", "REQUIRED_FIELD_MISSING", "The required field is not set."});
    check_enum(key_space, at + ".key_space", {"IOS", "ANDROID"}, violations);
    check_text(mobile->find("appId"), at + ".app_id", violations);
  } else if (mobile == nullptr && type == "MOBILE_ID") {
    violations.push_back(
        {at, "REQUIRED_FIELD_MISSING", "A list of mobile ids needs mobileIdInfo with keySpace and appId."});
  }
  return type;
}

std::string_view key_type_for(DataKind kind) {
  switch (kind) {
    case DataKind::mobile_data:
      return "MOBILE_ID";
    case DataKind::user_id_data:
      return "USER_ID";
    case DataKind::user_data:
    case DataKind::none:
      break;
  }
  return "CONTACT_ID";
}

std::string match_rate_range(std::int64_t matched, std::int64_t count) {
  if (count == 0) return "MATCH_RATE_RANGE_NOT_ELIGIBLE";
  const std::int64_t percent = matched * 100 / count;
  if (percent < 20) return "MATCH_RATE_RANGE_LESS_THAN_20";
  if (percent <= 30) return "MATCH_RATE_RANGE_20_TO_30";
  const std::int64_t decade = (percent - 1) / 10 * 10;
  return fmt::format("MATCH_RATE_RANGE_{}_TO_{}", decade + 1, decade + 10);
}

// The status's field for what was counted: {"userDataIngestionStatus": {...}} and its siblings.
Value progress_of(DataKind kind, MembersCall call, std::int64_t records, std::int64_t identifiers,
                  std::int64_t matched) {
  const Value record_count = Value::of(std::to_string(records));
  const Value id_count = Value::of(std::to_string(identifiers));
  const std::string suffix = call == MembersCall::ingest ? "IngestionStatus" : "RemovalStatus";
  if (kind == DataKind::mobile_data) {
    return object(
        {{"mobileData" + suffix, object({{"recordCount", record_count}, {"mobileIdCount", id_count}})}});
  }
  if (kind == DataKind::user_id_data) {
    return object(
        {{"userIdData" + suffix, object({{"recordCount", record_count}, {"userIdCount", id_count}})}});
  }
  Value counts = object({{"recordCount", record_count}, {"userIdentifierCount", id_count}});
  if (call == MembersCall::ingest) {
    counts.members.emplace_back("uploadMatchRateRange", Value::of(match_rate_range(matched, records)));
  }
  return object({{"userData" + suffix, std::move(counts)}});
}

bool asks_to_validate_only(const Call& call) {
  const std::string* flag = find_param(call.query, "validateOnly");
  return flag != nullptr && *flag == "true";
}

std::vector<std::string> mask_of(const std::string& text) {
  std::vector<std::string> names;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) names.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return names;
}

}  // namespace

Google::Google(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), known_(options.known_share, options.seed) {}

// --- Errors
// --------------------------------------------------------------------------------------------------

HttpResponse Google::error(int status, const std::string& reason, const std::string& message,
                           const Violations& violations, const Value& metadata) {
  Value details = Value::with(Value::Kind::list);
  if (!reason.empty()) {
    Value info =
        object({{"@type", Value::of("type.googleapis.com/google.rpc.ErrorInfo")},
                {"reason", Value::of(reason)},
                {"domain", Value::of(status == 429 || status == 401 ? "googleapis.com"
                                                                    : "datamanager.googleapis.com")}});
    if (!metadata.members.empty()) info.members.emplace_back("metadata", metadata);
    details.list.push_back(std::move(info));
  }
  if (!violations.empty()) {
    Value fields = Value::with(Value::Kind::list);
    for (const Violation& violation : violations) {
      Value field =
          object({{"field", Value::of(violation.field)}, {"description", Value::of(violation.description)}});
      if (!violation.reason.empty()) field.members.emplace_back("reason", Value::of(violation.reason));
      fields.list.push_back(std::move(field));
    }
    details.list.push_back(object({{"@type", Value::of("type.googleapis.com/google.rpc.BadRequest")},
                                   {"fieldViolations", std::move(fields)}}));
  }
  details.list.push_back(object({{"@type", Value::of("type.googleapis.com/google.rpc.RequestInfo")},
                                 {"requestId", Value::of(next_request_id())}}));
  return json_response(status,
                       object({{"error", object({{"code", whole(status)},
                                                 {"message", Value::of(message)},
                                                 {"status", Value::of(std::string(status_name(status)))},
                                                 {"details", std::move(details)}})}}));
}

HttpResponse Google::rejected(const Violations& violations) {
  return error(400, violations.front().reason.empty() ? "INVALID_ARGUMENT" : violations.front().reason,
               violations.front().reason.empty() ? violations.front().description
                                                 : "There was a problem with the request.",
               violations);
}

HttpResponse Google::no_permission() {
  return error(403, "PERMISSION_DENIED",
               "The caller does not have permission, or the account or user list does not exist.");
}

HttpResponse Google::over_quota(Bucket bucket, Time now) {
  static constexpr std::string_view kNames[] = {"IngestionMutate", "IngestionRead", "ManagementMutate",
                                                "ManagementRead"};
  const bool ingestion = bucket == Bucket::ingestion_mutate || bucket == Bucket::ingestion_read;
  const std::int64_t documented = ingestion ? kIngestionPerDay : kManagementPerDay;
  const std::int64_t per_day =
      limits_.google_requests_per_day > 0 ? limits_.google_requests_per_day : documented;
  Quota& quota = quotas_[bucket];
  std::string_view window;
  std::int64_t limit = 0;
  if (!quota.minute.admit(now, limits_.google_requests_per_minute)) {
    window = "PerMinute";
    limit = limits_.google_requests_per_minute;
  } else if (!quota.day.admit(now, per_day)) {
    window = "PerDay";
    limit = per_day;
  } else {
    return {};
  }
  const std::string name =
      fmt::format("{}Requests{}PerProject", kNames[static_cast<std::size_t>(bucket)], window);
  return error(429, "RATE_LIMIT_EXCEEDED",
               fmt::format("Quota exceeded for quota metric and limit '{}' of service "
                           "'datamanager.googleapis.com' for consumer 'projects/sandbox'.",
                           name),
               {},
               object({{"consumer", Value::of("projects/sandbox")},
                       {"quota_limit", Value::of(name)},
                       {"quota_limit_value", Value::of(std::to_string(limit))},
                       {"service", Value::of("datamanager.googleapis.com")}}));
}

HttpResponse Google::refuse(Refusal refusal, int status, const Call& call) {
  switch (refusal) {
    case Refusal::auth:
      if (is_token_call(call)) return token_error("invalid_grant", "Token has been expired or revoked.");
      return error(
          401, "ACCESS_TOKEN_EXPIRED",
          "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
          "or other valid authentication credential.");
    case Refusal::throttle:
      return error(429, "RATE_LIMIT_EXCEEDED", "Quota exceeded, as a fault of the sandbox asked for.", {},
                   object({{"consumer", Value::of("projects/sandbox")},
                           {"quota_limit", Value::of("IngestionMutateRequestsPerMinutePerProject")},
                           {"service", Value::of("datamanager.googleapis.com")}}));
    case Refusal::fail:
      break;
  }
  if (is_token_call(call)) return json_response(status, object({{"error", Value::of("internal_failure")}}));
  return error(status, status >= 500 ? "" : "INVALID_ARGUMENT",
               status == 503 ? "The service is currently unavailable." : "Internal error encountered.");
}

std::string Google::next_request_id() {
  return fmt::format("{:016x}", hash64("request", options_.seed + ++issued_requests_));
}

// --- Tokens
// --------------------------------------------------------------------------------------------------

bool Google::is_token_call(const Call& call) const {
  return call.segments.size() == 1 && call.segments[0] == "token";
}

HttpResponse Google::issue_token(const Call& call) {
  if (call.request.method != "POST") return token_error("invalid_request", "The token endpoint takes POST.");
  const Params form = parse_form(call.request.body);
  const auto field = [&](std::string_view name) {
    const std::string* value = find_param(form, name);
    return value == nullptr ? std::string() : *value;
  };
  const std::string grant = field("grant_type");
  if (grant == "refresh_token") {
    for (const std::string_view name : {"refresh_token", "client_id", "client_secret"}) {
      if (field(name).empty()) {
        return token_error("invalid_request", fmt::format("Missing required parameter: {}", name));
      }
    }
  } else if (grant == "urn:ietf:params:oauth:grant-type:jwt-bearer") {
    const std::string problem = assertion_problem(field("assertion"), call.now);
    if (!problem.empty()) return token_error("invalid_grant", problem);
  } else if (grant.empty()) {
    return token_error("invalid_request", "Missing required parameter: grant_type");
  } else {
    return token_error("unsupported_grant_type", "Invalid grant_type: " + printable(grant));
  }
  std::erase_if(tokens_, [&](const auto& token) { return token.second <= call.now; });
  const std::string token =
      fmt::format("sandbox-issued-{:016x}", hash64("token", options_.seed + ++issued_tokens_));
  tokens_[token] = call.now + kTokenLifetime;
  return json_response(200, object({{"access_token", Value::of(token)},
                                    {"expires_in", whole(kTokenLifetime.count / 1000)},
                                    {"scope", Value::of(std::string(kScope))},
                                    {"token_type", Value::of("Bearer")}}));
}

bool Google::is_authorised(const Call& call) const {
  const auto token = bearer_token(call.request.headers);
  if (!token || token->empty()) return false;
  if (options_.token.empty() || *token == options_.token) return true;
  const auto issued = tokens_.find(*token);
  return issued != tokens_.end() && call.now < issued->second;
}

// --- Routes
// --------------------------------------------------------------------------------------------------

// Who was added longer ago than the list's duration is let go, within the hour.
void Google::end_memberships(Time now) {
  for (auto& [id, list] : lists_) {
    if (now < list.looked_at + kHour) continue;
    list.looked_at = now;
    const std::string_view seconds =
        std::string_view(list.membership_duration).substr(0, list.membership_duration.size() - 1);
    if (const auto number = whole_number(seconds)) list.members.remove_added_before(now - kSecond * *number);
  }
}

HttpResponse Google::handle(const Call& call) {
  end_memberships(call.now);
  if (is_token_call(call)) return issue_token(call);
  if (!is_authorised(call)) return refuse(Refusal::auth, 0, call);
  return answer(call);
}

HttpResponse Google::answer(const Call& call) {
  const std::string& method = call.request.method;
  const std::vector<std::string>& path = call.segments;
  if (path.size() == 2 && path[0] == "v1") {
    if (method == "POST" && path[1] == "audienceMembers:ingest") return ingest(call, MembersCall::ingest);
    if (method == "POST" && path[1] == "audienceMembers:remove") return ingest(call, MembersCall::remove);
    if (method == "POST" && path[1] == "audienceMembers:removeAll") return remove_all(call);
    if (method == "POST" && path[1] == "events:ingest") return ingest_events(call);
    if (method == "GET" && path[1] == "requestStatus:retrieve") return retrieve_status(call);
  }
  if (GoogleAdjustments::is_upload(call)) return adjustments_.upload(call, events_);
  if ((path.size() == 6 || path.size() == 7) && path[0] == "v1" && path[1] == "accountTypes" &&
      path[3] == "accounts" && path[5] == "userLists") {
    return answer_lists(call);
  }
  return error(
      404, "",
      fmt::format(
          "The sandbox serves no {} /{}. It has the token endpoint, user lists, "
          "audienceMembers:ingest, :remove and :removeAll, events:ingest, requestStatus:retrieve, and Google "
          "Ads' uploadConversionAdjustments.",
          printable(method), printable(fmt::format("{}", fmt::join(path, "/")))));
}

HttpResponse Google::answer_lists(const Call& call) {
  const std::string& method = call.request.method;
  const std::string type = upper(call.segments[2]);
  const std::string& account = call.segments[4];
  if (auto full = over_quota(method == "GET" ? Bucket::management_read : Bucket::management_mutate, call.now);
      full.status != 0) {
    return full;
  }
  for (const std::string_view header : {"login-account", "linked-account"}) {
    const auto value = call.request.headers.get(header);
    if (value && !is_account_name(*value)) {
      return rejected({{std::string(header), "INVALID_FORMAT",
                        "An account is written accountTypes/GOOGLE_ADS/accounts/111."}});
    }
  }
  if (!is_account_type(type) || !is_digits(account)) {
    return rejected({{"parent", "INVALID_FORMAT", "The parent is accountTypes/{type}/accounts/{digits}."}});
  }
  if (call.segments.size() == 6) {
    if (method == "POST") return create_list(call, type, account);
    if (method == "GET") return list_lists(call, type, account);
    return error(404, "", "User lists take GET and POST.");
  }
  const auto id = is_digits(call.segments[6]) ? whole_number(call.segments[6]) : std::nullopt;
  const auto found = id ? lists_.find(*id) : lists_.end();
  if (found == lists_.end() || found->second.account != account || found->second.account_type != type) {
    return no_permission();
  }
  if (method == "GET") return json_response(200, describe(*id, found->second));
  if (method == "PATCH") return patch_list(call, *id);
  if (method != "DELETE") return error(404, "", "A user list takes GET, PATCH and DELETE.");
  if (!asks_to_validate_only(call)) lists_.erase(found);
  return json_response(200, Value::with(Value::Kind::object));
}

// --- User lists
// ----------------------------------------------------------------------------------------------

bool Google::display_name_taken(const std::string& account, const std::string& name,
                                std::int64_t except) const {
  return std::any_of(lists_.begin(), lists_.end(), [&](const auto& entry) {
    return entry.first != except && entry.second.account == account && entry.second.display_name == name;
  });
}

HttpResponse Google::create_list(const Call& call, const std::string& type, const std::string& account) {
  const auto body = parse_json(call.request.body);
  if (!body) return rejected({{"", "", "Invalid JSON payload received: " + printable(body.error().message)}});
  Violations violations;
  std::string key_type;
  if (check_fields(*body, "user_list",
                   {"displayName", "description", "membershipDuration", "ingestedUserListInfo",
                    "integrationCode", "membershipStatus"},
                   violations)) {
    check_text(body->find("displayName"), "user_list.display_name", violations);
    check_duration(body->find("membershipDuration"), violations);
    key_type = check_ingested_info(body->find("ingestedUserListInfo"), violations);
  }
  if (!violations.empty()) return rejected(violations);
  const std::string& name = body->find("displayName")->string;
  if (display_name_taken(account, name, 0)) {
    return error(409, "DISPLAY_NAME_ALREADY_USED", "Another user list of the account has this display name.");
  }
  const Value* description = body->find("description");
  const Value* duration = body->find("membershipDuration");
  UserList list{.account_type = type,
                .account = account,
                .display_name = name,
                .description = is_string(description) ? description->string : "",
                .membership_duration = is_string(duration)
                                           ? duration->string
                                           : fmt::format("{}s", kMembershipDaysMax * kSecondsPerDay),
                .key_type = key_type,
                .ingested_info = *body->find("ingestedUserListInfo"),
                .members = Members(known_)};
  if (asks_to_validate_only(call)) return json_response(200, describe(0, list));
  while (lists_.contains(next_list_)) ++next_list_;
  const std::int64_t id = next_list_++;
  return json_response(200, describe(id, lists_.emplace(id, std::move(list)).first->second));
}

Value Google::describe(std::int64_t id, const UserList& list) const {
  const std::int64_t matched = list.members.matched();
  const std::int64_t people = list.members.people();
  const Value size = Value::of(std::to_string(blurred_down(matched)));
  Value info = list.ingested_info;
  if (list.key_type == "CONTACT_ID") {
    Value contact = Value::with(Value::Kind::object);
    if (const Value* given = info.find("contactIdInfo"); given != nullptr) contact = *given;
    contact.members.emplace_back("matchRatePercentage", whole(people == 0 ? 0 : matched * 100 / people));
    std::erase_if(info.members, [](const auto& member) { return member.first == "contactIdInfo"; });
    info.members.emplace_back("contactIdInfo", std::move(contact));
  }
  const bool eligible = matched >= kEligibleMembersMin;
  Value described = object({{"displayName", Value::of(list.display_name)},
                            {"description", Value::of(list.description)},
                            {"membershipStatus", Value::of("OPEN")},
                            {"membershipDuration", Value::of(list.membership_duration)},
                            {"accessReason", Value::of("OWNED")},
                            {"accountAccessStatus", Value::of("ENABLED")},
                            {"readOnly", Value::of(false)},
                            {"sizeInfo", object({{"displayNetworkMembersCount", size},
                                                 {"searchNetworkMembersCount", size},
                                                 {"youtubeMembersCount", size},
                                                 {"gmailMembersCount", size}})},
                            {"targetNetworkInfo", object({{"eligibleForSearch", Value::of(eligible)},
                                                          {"eligibleForDisplay", Value::of(eligible)}})},
                            {"ingestedUserListInfo", std::move(info)}});
  if (id == 0) return described;  // validated only: it has neither id nor name
  described.members.emplace_back("id", Value::of(std::to_string(id)));
  described.members.emplace_back("name", Value::of(fmt::format("accountTypes/{}/accounts/{}/userLists/{}",
                                                               list.account_type, list.account, id)));
  return described;
}

HttpResponse Google::list_lists(const Call& call, const std::string& type, const std::string& account) {
  std::int64_t size = kListedDefault;
  std::int64_t after = 0;
  if (const std::string* text = find_param(call.query, "pageSize"); text != nullptr) {
    const auto number = whole_number(*text);
    if (!number || *number < 0) return rejected({{"page_size", "INVALID_FORMAT", "A number, not negative."}});
    if (*number > 0) size = std::min(*number, kListedMax);
  }
  if (const std::string* text = find_param(call.query, "pageToken"); text != nullptr && !text->empty()) {
    const auto number = whole_number(*text);
    if (!number) return rejected({{"page_token", "INVALID_FORMAT", "Not a token of this list."}});
    after = *number;
  }
  Value page = Value::with(Value::Kind::list);
  std::int64_t last = 0;
  bool more = false;
  for (const auto& [id, list] : lists_) {
    if (id <= after || list.account != account || list.account_type != type) continue;
    more = std::ssize(page.list) == size;
    if (more) break;
    page.list.push_back(describe(id, list));
    last = id;
  }
  Value result = object({{"userLists", std::move(page)}});
  if (more) result.members.emplace_back("nextPageToken", Value::of(std::to_string(last)));
  return json_response(200, result);
}

HttpResponse Google::patch_list(const Call& call, std::int64_t id) {
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) {
    return rejected({{"", "", "Invalid JSON payload received."}});
  }
  const std::string* mask = find_param(call.query, "updateMask");
  if (mask == nullptr || mask->empty()) {
    return rejected({{"update_mask", "REQUIRED_FIELD_MISSING", "The required field is not set."}});
  }
  UserList& list = lists_.at(id);
  Violations violations;
  std::string display_name = list.display_name;
  std::string description = list.description;
  std::string duration = list.membership_duration;
  for (const std::string& name : mask_of(*mask)) {
    if (name == "displayName" || name == "display_name") {
      const Value* value = body->find("displayName");
      check_text(value, "user_list.display_name", violations);
      if (is_string(value)) display_name = value->string;
    } else if (name == "description") {
      const Value* value = body->find("description");
      description = is_string(value) ? value->string : "";
    } else if (name == "membershipDuration" || name == "membership_duration") {
      const Value* value = body->find("membershipDuration");
      check_text(value, "user_list.membership_duration", violations);
      check_duration(value, violations);
      if (is_string(value)) duration = value->string;
    } else {
      violations.push_back({"update_mask", "INVALID_FORMAT",
                            fmt::format("{} cannot be changed, or does not exist.", printable(name))});
    }
  }
  if (!violations.empty()) return rejected(violations);
  if (display_name_taken(list.account, display_name, id)) {
    return error(409, "DISPLAY_NAME_ALREADY_USED", "Another user list of the account has this display name.");
  }
  if (!asks_to_validate_only(call)) {
    list.display_name = display_name;
    list.description = description;
    list.membership_duration = duration;
  }
  return json_response(200, describe(id, list));
}

// --- Members
// -------------------------------------------------------------------------------------------------

std::vector<Google::UserList*> Google::find_lists(const std::vector<GoogleDestination>& destinations) {
  std::vector<UserList*> found;
  for (const GoogleDestination& destination : destinations) {
    const auto id = whole_number(destination.list);
    const auto list = id ? lists_.find(*id) : lists_.end();
    if (list == lists_.end() || list->second.account != destination.account ||
        list->second.account_type != destination.account_type) {
      return {};
    }
    found.push_back(&list->second);
  }
  return found;
}

Violations Google::check_key_types(const std::vector<UserList*>& lists, DataKind kind) const {
  Violations violations;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i]->key_type == key_type_for(kind)) continue;
    violations.push_back(
        {fmt::format("destinations[{}].product_destination_id", i), "INVALID_USER_LIST_TYPE",
         fmt::format("The list takes {}, the request has {}.", lists[i]->key_type, key_type_for(kind))});
  }
  return violations;
}

HttpResponse Google::ingest(const Call& call, MembersCall kind) {
  if (auto full = over_quota(Bucket::ingestion_mutate, call.now); full.status != 0) return full;
  const auto body = parse_json(call.request.body);
  if (!body) return rejected({{"", "", "Invalid JSON payload received: " + printable(body.error().message)}});
  Violations violations;
  const MembersRequest request = read_members_request(*body, kind, violations);
  if (!violations.empty()) return rejected(violations);
  const std::vector<UserList*> lists = find_lists(request.destinations);
  if (lists.empty()) return no_permission();
  violations = check_key_types(lists, request.kind);
  if (!violations.empty()) return rejected(violations);
  std::vector<DestinationStatus> statuses;
  for (std::size_t i = 0; i < lists.size() && !request.validate_only; ++i) {
    statuses.push_back(apply(*lists[i], request.destinations[i], request, kind, call.now));
  }
  return accepted(call.now, std::move(statuses), request.validate_only);
}

Google::DestinationStatus Google::apply(UserList& list, const GoogleDestination& destination,
                                        const MembersRequest& request, MembersCall kind, Time now) {
  std::int64_t records = 0;
  std::int64_t identifiers = 0;
  std::int64_t matched = 0;
  std::int64_t denied = 0;
  for (const GoogleMember& member : request.members) {
    if (!member.references.empty() && std::find(member.references.begin(), member.references.end(),
                                                destination.reference) == member.references.end()) {
      continue;
    }
    ++records;
    identifiers += std::ssize(member.ids);
    if (member.consent_denied) {
      ++denied;
    } else if (kind == MembersCall::remove) {
      list.members.remove(member.ids);
    } else {
      list.members.add(member.ids, now);
      if (known_.knows_any(member.ids)) ++matched;
    }
  }
  std::string status = "SUCCESS";
  if (denied > 0) status = denied == records ? "FAILED" : "PARTIAL_SUCCESS";
  return {.destination = destination.json,
          .status = status,
          .denied = denied,
          .progress_name =
              kind == MembersCall::ingest ? "audienceMembersIngestionStatus" : "audienceMembersRemovalStatus",
          .progress = progress_of(request.kind, kind, records, identifiers, matched)};
}

// --- Events
// --------------------------------------------------------------------------------------------------

HttpResponse Google::ingest_events(const Call& call) {
  if (auto full = over_quota(Bucket::ingestion_mutate, call.now); full.status != 0) return full;
  const auto body = parse_json(call.request.body);
  if (!body) return rejected({{"", "", "Invalid JSON payload received: " + printable(body.error().message)}});
  Violations violations;
  const EventsRequest request = read_events_request(*body, call.now, violations);
  if (!violations.empty()) return rejected(violations);
  std::vector<DestinationStatus> statuses;
  for (const GoogleDestination& destination : request.destinations) {
    if (!request.validate_only) statuses.push_back(count_events(destination, request, call.now));
  }
  return accepted(call.now, std::move(statuses), request.validate_only);
}

// What was counted already shows in the request's status alone, as consent that was denied does.
Google::DestinationStatus Google::count_events(const GoogleDestination& destination,
                                               const EventsRequest& request, Time now) {
  std::int64_t records = 0;
  std::int64_t denied = 0;
  const std::int64_t duplicates_before = events_.duplicates();
  for (const GoogleEvent& event : request.events) {
    const bool is_for_it =
        event.references.empty() || std::find(event.references.begin(), event.references.end(),
                                              destination.reference) != event.references.end();
    if (!is_for_it) continue;
    ++records;
    if (event.consent_denied) {
      ++denied;
      continue;
    }
    std::string key;
    if (!event.transaction.empty()) {
      key = destination.list + "/" + event.transaction;
    } else if (!event.gclid.empty()) {
      key = fmt::format("{}/{}/{}", destination.list, event.gclid, event.time);
    }
    events_.add(key, event.json, now, kSameEvent);
  }
  const std::int64_t duplicates = events_.duplicates() - duplicates_before;
  std::string status = "SUCCESS";
  if (denied + duplicates > 0) status = denied + duplicates == records ? "FAILED" : "PARTIAL_SUCCESS";
  return {.destination = destination.json,
          .status = status,
          .denied = denied,
          .duplicates = duplicates,
          .progress_name = "eventsIngestionStatus",
          .progress = object({{"recordCount", Value::of(std::to_string(records))}})};
}

HttpResponse Google::remove_all(const Call& call) {
  if (auto full = over_quota(Bucket::ingestion_mutate, call.now); full.status != 0) return full;
  const auto body = parse_json(call.request.body);
  if (!body) return rejected({{"", "", "Invalid JSON payload received: " + printable(body.error().message)}});
  Violations violations;
  const RemoveAllRequest request = read_remove_all_request(*body, call.now, violations);
  if (!violations.empty()) return rejected(violations);
  const std::vector<UserList*> lists = find_lists(request.destinations);
  if (lists.empty()) return no_permission();
  std::vector<DestinationStatus> statuses;
  for (std::size_t i = 0; i < lists.size() && !request.validate_only; ++i) {
    lists[i]->members.remove_added_before(request.as_of);
    statuses.push_back({.destination = request.destinations[i].json,
                        .status = "SUCCESS",
                        .denied = 0,
                        .progress_name = "removeAllAudienceMembersStatus",
                        .progress = Value::with(Value::Kind::object)});
  }
  return accepted(call.now, std::move(statuses), request.validate_only);
}

HttpResponse Google::accepted(Time now, std::vector<DestinationStatus> destinations, bool validate_only) {
  const std::string id = next_request_id();
  if (!validate_only) {
    requests_[id] = {now, std::move(destinations)};
    request_order_.push_back(id);
    if (request_order_.size() > kRequestsKept) {
      requests_.erase(request_order_.front());
      request_order_.pop_front();
    }
  }
  return json_response(200, object({{"requestId", Value::of(id)}}));
}

HttpResponse Google::retrieve_status(const Call& call) {
  if (auto full = over_quota(Bucket::ingestion_read, call.now); full.status != 0) return full;
  const std::string* id = find_param(call.query, "requestId");
  const auto found = id == nullptr ? requests_.end() : requests_.find(*id);
  if (found == requests_.end()) {
    return rejected({{"request_id", "INVALID_REQUEST_ID", "No accepted request has this id."}});
  }
  const bool processed = found->second.received + limits_.google_processing <= call.now;
  Value per_destination = Value::with(Value::Kind::list);
  for (const DestinationStatus& status : found->second.destinations) {
    Value entry = object({{"destination", status.destination},
                          {"requestStatus", Value::of(processed ? status.status : "PROCESSING")}});
    Value errors = Value::with(Value::Kind::list);
    const auto add = [&](const char* reason, std::int64_t count) {
      if (count > 0)
        errors.list.push_back(
            object({{"reason", Value::of(reason)}, {"recordCount", Value::of(std::to_string(count))}}));
    };
    add("PROCESSING_ERROR_REASON_DENIED_CONSENT", status.denied);
    add("PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID", status.duplicates);
    if (processed && !errors.list.empty())
      entry.members.emplace_back("errorInfo", object({{"errorCounts", std::move(errors)}}));
    if (processed) entry.members.emplace_back(status.progress_name, status.progress);
    per_destination.list.push_back(std::move(entry));
  }
  return json_response(200, object({{"requestStatusPerDestination", std::move(per_destination)}}));
}

// --- Controls
// ------------------------------------------------------------------------------------------------

std::optional<HttpResponse> Google::control(const Call& call) {
  const bool asked =
      call.request.method == "GET" && call.segments.size() == 1 && call.segments[0] == "events";
  return asked ? std::optional(events_.list()) : std::nullopt;
}

std::vector<AudienceSummary> Google::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, list] : lists_) {
    all.push_back({std::to_string(id), list.display_name, list.account, &list.members});
  }
  return all;
}

Members* Google::members(std::string_view audience) {
  const auto id = is_digits(audience) ? whole_number(audience) : std::nullopt;
  const auto found = id ? lists_.find(*id) : lists_.end();
  return found == lists_.end() ? nullptr : &found->second.members;
}

bool Google::plant(const std::string& id, const std::string& name, const std::string& account) {
  const auto number = is_digits(id) ? whole_number(id) : std::nullopt;
  if (!number || *number == 0 || !is_digits(account)) return false;
  return lists_
      .emplace(*number,
               UserList{.account_type = "GOOGLE_ADS",
                        .account = account,
                        .display_name = name,
                        .description = "",
                        .membership_duration = fmt::format("{}s", kMembershipDaysMax * kSecondsPerDay),
                        .key_type = "CONTACT_ID",
                        .ingested_info = object({{"uploadKeyTypes", list_of({Value::of("CONTACT_ID")})}}),
                        .members = Members(known_)})
      .second;
}

std::unique_ptr<Platform> make_google(const Options& options, const Limits& limits) {
  return std::make_unique<Google>(options, limits);
}

}  // namespace tailrace::sandbox
