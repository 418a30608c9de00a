#include "destinations/google_data_manager/codec.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::google_codec {
namespace {

constexpr std::string_view kReference = "audience";
// Google asks every client to wait so long after a 429 and after a 5xx at least.
constexpr Millis kQuotaWaitMin{30'000};
constexpr Millis kServerWaitMin{1'000};
// A spent day's quota comes back at midnight in California. The answer does not say when that is; asking
// every hour costs little.
constexpr Millis kDailyQuotaWait = kHour;
constexpr std::int64_t kSecondsPerDay = 86'400;

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

std::string account_path(const Context& context, std::string_view id_setting) {
  return fmt::format("accountTypes/{}/accounts/{}", percent_encoded(setting(context, kAccountType)),
                     percent_encoded(without_dashes(setting(context, id_setting))));
}

HttpRequest request(const Context& context, std::string method, const std::string& path) {
  HttpRequest result;
  result.method = std::move(method);
  result.url = fmt::format("{}/v1/{}", without_trailing_slash(setting(context, kBaseUrl)), path);
  result.headers = {{"Authorization", "Bearer " + std::string(context.access_token)}};
  return result;
}

// Calls for lists name the account one logs in with in a header, calls for members in the body.
HttpRequest list_request(const Context& context, std::string method, const std::string& list_path) {
  HttpRequest result =
      request(context, std::move(method), account_path(context, kOperatingAccountId) + "/" + list_path);
  if (!setting(context, kLoginAccountId).empty())
    result.headers.emplace_back("login-account", account_path(context, kLoginAccountId));
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

bool validates_only(const Context& context) { return setting(context, kValidateOnly) == "true"; }

void append_account(std::string& out, const Context& context, std::string_view id_setting) {
  out += R"({"accountType":)";
  append_json_string(out, setting(context, kAccountType));
  out += R"(,"accountId":)";
  append_json_string(out, without_dashes(setting(context, id_setting)));
  out += '}';
}

}  // namespace

void append_accounts(std::string& out, const Context& context) {
  out += R"("operatingAccount":)";
  append_account(out, context, kOperatingAccountId);
  if (!setting(context, kLoginAccountId).empty()) {
    out += R"(,"loginAccount":)";
    append_account(out, context, kLoginAccountId);
  }
}

namespace {

void append_destination(std::string& out, const std::string& audience_id, const Context& context) {
  out += R"("destinations":[{"reference":)";
  append_json_string(out, kReference);
  out += ',';
  append_accounts(out, context);
  out += R"(,"productDestinationId":)";
  append_json_string(out, audience_id);
  out += "}]";
}

// What a member of a request can carry, of which a request has one.
struct DataKind {
  std::string_view before;     // its identifiers, in the member
  std::string_view separator;  // between them
  std::string_view after;
  std::size_t most = kIdentifiersPerMemberMax;
};
constexpr DataKind kUserData{R"({"userData":{"userIdentifiers":[)", ",", "]}}"};
constexpr DataKind kMobileData{R"({"mobileData":{"mobileIds":[)", ",", "]}}"};
constexpr DataKind kUserIdData{R"({"userIdData":{"userId":)", "", "}}", 1};

const DataKind& data_kind(IdentifierKind kind) {
  switch (kind) {
    case IdentifierKind::idfa:
    case IdentifierKind::aaid:
      return kMobileData;
    case IdentifierKind::external_id:
    case IdentifierKind::anonymous_id:
      return kUserIdData;
    case IdentifierKind::email:
    case IdentifierKind::phone:
      break;
  }
  return kUserData;
}

// Those of the identifiers (at least one) that go in one member of a request: the first ones.
std::span<const UploadIdentifier> first_entry(std::span<const UploadIdentifier> identifiers) {
  const DataKind& kind = data_kind(identifiers.front().kind);
  std::size_t count = 1;
  while (count < std::min(identifiers.size(), kind.most) && &data_kind(identifiers[count].kind) == &kind)
    ++count;
  return identifiers.first(count);
}

void append_identifier(std::string& out, const UploadIdentifier& identifier) {
  const bool is_contact = &data_kind(identifier.kind) == &kUserData;
  if (is_contact)
    out += identifier.kind == IdentifierKind::phone ? R"({"phoneNumber":)" : R"({"emailAddress":)";
  append_json_string(out, identifier.value);
  if (is_contact) out += '}';
}

void append_entry(std::string& out, std::span<const UploadIdentifier> identifiers) {
  const DataKind& kind = data_kind(identifiers.front().kind);
  out += kind.before;
  for (std::size_t i = 0; i < identifiers.size(); ++i) {
    if (i > 0) out += kind.separator;
    append_identifier(out, identifiers[i]);
  }
  out += kind.after;
}

void append_members(std::string& out, const Batch& batch) {
  out += R"("audienceMembers":[)";
  bool is_first = true;
  for (const Member& person : batch.members) {
    std::span<const UploadIdentifier> left = person.identifiers;
    while (!left.empty()) {
      if (!is_first) out += ',';
      is_first = false;
      const auto entry = first_entry(left);
      append_entry(out, entry);
      left = left.subspan(entry.size());
    }
  }
  out += ']';
}

bool has_user_data(const Batch& batch) {
  return std::ranges::any_of(batch.members, [](const Member& member) {
    return std::ranges::any_of(member.identifiers,
                               [](const UploadIdentifier& id) { return &data_kind(id.kind) == &kUserData; });
  });
}

// What a list is made of, as "ingestedUserListInfo" says it.
Value list_info(const Config& config) {
  const auto setting = [&](std::string_view name) { return Value::of(config.setting(std::string(name))); };
  const std::string& list_type = config.setting(std::string(kListType));
  std::string_view key_type = "CONTACT_ID";
  std::string_view name = "contactIdInfo";
  Value info = Value::with(Value::Kind::object);
  info.members.emplace_back("dataSourceType", Value::of("DATA_SOURCE_TYPE_FIRST_PARTY"));
  if (list_type == kMobileIdList) {
    key_type = "MOBILE_ID";
    name = "mobileIdInfo";
    info.members.emplace_back("keySpace", setting(kKeySpace));
    info.members.emplace_back("appId", setting(kAppId));
  } else if (list_type == kUserIdList) {
    key_type = "USER_ID";
    name = "userIdInfo";
  }
  Value key_types = Value::with(Value::Kind::list);
  key_types.list.push_back(Value::of(std::string(key_type)));
  Value all = Value::with(Value::Kind::object);
  all.members.emplace_back("uploadKeyTypes", std::move(key_types));
  all.members.emplace_back(name, std::move(info));
  return all;
}

void append_consent(std::string& out, const Context& context) {
  out += R"("consent":{"adUserData":)";
  append_json_string(out, setting(context, kAdUserData));
  out += R"(,"adPersonalization":)";
  append_json_string(out, setting(context, kAdPersonalization));
  out += R"(},"termsOfService":{"customerMatchTermsOfServiceStatus":"ACCEPTED"})";
}

// What an error answer says, brought together from its parts.
struct ApiError {
  int status = 0;
  std::string name;         // "INVALID_ARGUMENT"
  std::string reason;       // of ErrorInfo, or of the first violation
  std::string quota_limit;  // the bucket that ran out
  std::optional<Millis> retry_delay;
  struct Violation {
    std::optional<std::size_t> entry;  // index of the member in the request
    std::string reason;
  };
  std::vector<Violation> violations;
};

// "audience_members.audience_members[3].user_data", "audienceMembers[3].userData", "events.events[3]": 3.
std::optional<std::size_t> entry_of(std::string_view field) {
  for (const std::string_view name : {"audience_members[", "audienceMembers[", "events["}) {
    const std::size_t found = field.find(name);
    if (found == std::string_view::npos) continue;
    const std::string_view digits = field.substr(found + name.size());
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc() && end != digits.data() + digits.size() && *end == ']') return index;
  }
  return std::nullopt;
}

// "30s", "1.5s".
std::optional<Millis> read_delay(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || seconds < 0 || !text.ends_with('s')) return std::nullopt;
  const bool fraction = *end == '.';
  return kSecond * std::min(seconds + (fraction ? 1 : 0), kRetryAfterMax.count / kSecond.count);
}

void read_detail(const Value& detail, ApiError& error) {
  const std::string_view type = text_member(&detail, "@type");
  if (type.ends_with("ErrorInfo")) {
    error.reason = code_word(text_member(&detail, "reason"));
    error.quota_limit = std::string(text_member(member(&detail, "metadata"), "quota_limit"));
  } else if (type.ends_with("RetryInfo")) {
    error.retry_delay = read_delay(text_member(&detail, "retryDelay"));
  } else if (const Value* violations = member(&detail, "fieldViolations"); violations != nullptr) {
    for (const Value& violation : violations->list)
      error.violations.push_back(
          {entry_of(text_member(&violation, "field")), code_word(text_member(&violation, "reason"))});
  }
}

std::optional<ApiError> read_error(const HttpResponse& response) {
  const auto answer = json_object(response);
  const Value* body = answer ? member(&*answer, "error") : nullptr;
  if (body == nullptr || body->kind != Value::Kind::object) return std::nullopt;
  ApiError error;
  error.status = response.status;
  if (response.status < 400)
    error.status =
        static_cast<int>(std::clamp<std::int64_t>(integer_member(body, "code").value_or(0), 0, 599));
  error.name = code_word(text_member(body, "status"));
  if (const Value* details = member(body, "details"); details != nullptr) {
    for (const Value& detail : details->list) read_detail(detail, error);
  }
  return error;
}

std::string described(const ApiError& error) {
  std::string text = fmt::format("HTTP {}", error.status);
  if (!error.name.empty()) text += " " + error.name;
  if (!error.reason.empty() && error.reason != error.name) text += ", " + error.reason;
  return text;
}

std::string code_of(const ApiError& error) {
  if (!error.name.empty()) return error.name;
  return fmt::format("{}", error.status);
}

// batch.members index of every member of the request.
std::vector<std::size_t> people_of_entries(const Batch& batch) {
  std::vector<std::size_t> people;
  for (std::size_t i = 0; i < batch.members.size(); ++i)
    people.insert(people.end(), entries(batch.members[i]), i);
  return people;
}

// The violations that name members of the request, as outcomes; empty when none does.
std::vector<Outcome> culprits(const Batch& batch, const ApiError& error) {
  const auto people = people_of_entries(batch);
  std::vector<Outcome> outcomes;
  for (const ApiError::Violation& violation : error.violations) {
    if (!violation.entry || *violation.entry >= people.size()) continue;
    outcomes.resize(batch.members.size());
    Outcome& outcome = outcomes[people[*violation.entry]];
    if (outcome.kind == Outcome::Kind::rejected) continue;
    outcome.kind = Outcome::Kind::rejected;
    outcome.reason = fmt::format("the platform refuses the record ({})",
                                 violation.reason.empty() ? "no reason given" : violation.reason);
  }
  return outcomes;
}

bool blames_a_record(const ApiError& error) {
  constexpr std::array<std::string_view, 12> kOfRecords{
      "EVENT_TIME_INVALID",        "INVALID_CURRENCY_CODE",     "REQUIRED_FIELD_MISSING",
      "INVALID_POSTAL_CODE",       "INVALID_AUDIENCE_MEMBER",   "INVALID_HEX_ENCODING",
      "INVALID_SHA256_FORMAT",     "INVALID_USER_IDENTIFIER",   "NO_IDENTIFIERS_PROVIDED",
      "TOO_MANY_AUDIENCE_MEMBERS", "TOO_MANY_USER_IDENTIFIERS", "INVALID_MOBILE_ID_FORMAT"};
  const auto of_record = [&](std::string_view reason) {
    return std::find(kOfRecords.begin(), kOfRecords.end(), reason) != kOfRecords.end();
  };
  return of_record(error.reason) || std::any_of(error.violations.begin(), error.violations.end(),
                                                [&](const auto& v) { return of_record(v.reason); });
}

// The platform processes nothing of a request with one bad record.
Reply judge_invalid(const Batch& batch, const ApiError& error) {
  auto outcomes = culprits(batch, error);
  if (!outcomes.empty()) {
    const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                                 [](const Outcome& o) { return o.kind == Outcome::Kind::rejected; });
    Reply reply;
    reply.verdict = all ? Reply::Verdict::done : Reply::Verdict::split;
    reply.outcomes = std::move(outcomes);
    reply.reason = all ? "" : fmt::format("the platform refuses records ({})", described(error));
    reply.code = code_of(error);
    return reply;
  }
  if (blames_a_record(error))
    return split(batch, fmt::format("the platform refuses a record ({})", described(error)), code_of(error));
  std::string reason = described(error);
  for (const ApiError::Violation& violation : error.violations) {
    if (!violation.reason.empty() && reason.find(violation.reason) == std::string::npos)
      reason += ", " + violation.reason;
  }
  return stop(fmt::format("the platform refuses the request ({})", reason), code_of(error));
}

Reply judge_quota(const HttpResponse& response, const ApiError& error) {
  const bool of_the_day = error.quota_limit.find("PerDay") != std::string::npos;
  Millis wait =
      std::max(retry_after(response).value_or(kQuotaWaitMin), error.retry_delay.value_or(kQuotaWaitMin));
  wait = std::max(wait, of_the_day ? kDailyQuotaWait : kQuotaWaitMin);
  const std::string_view reason = of_the_day ? "the project's quota of the day is spent; it returns at "
                                               "midnight Pacific time, asking again every hour"
                                             : "the project's quota of the minute is spent";
  return retry(std::string(reason), code_of(error), wait);
}

Reply judge_error(const Batch& batch, const HttpResponse& response, const ApiError& error) {
  const std::string what = described(error);
  const std::string code = code_of(error);
  switch (error.status) {
    case 400:
      return judge_invalid(batch, error);
    case 401:
      return reauthorise(fmt::format("the token is not accepted ({})", what), code);
    case 403:
      return stop(fmt::format("the account may not use what the request names, or there is none ({})", what),
                  code);
    case 404:
      return stop(fmt::format("what the request names does not exist ({})", what), code);
    case 413:
      return split(batch, fmt::format("the request is too large ({})", what), code);
    case 408:
    case 429:
      return judge_quota(response, error);
    default:
      break;
  }
  if (error.status >= 500 || error.status < 400) {
    const Millis wait =
        std::max(retry_after(response).value_or(kServerWaitMin), error.retry_delay.value_or(kServerWaitMin));
    return retry(fmt::format("the platform failed ({})", what), code, wait);
  }
  return stop(fmt::format("the platform refuses the request ({})", what), code);
}

// An answer of ours names the request; one of `validateOnly` may be empty.
bool is_acknowledgement(const Value& answer) {
  return answer.members.empty() || !text_member(&answer, "requestId").empty();
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  const auto answer = json_object(response);
  const bool good =
      answer && response.status >= 200 && response.status < 300 && member(&*answer, "error") == nullptr;
  if (good) return *answer;
  return failed(what, decode(Batch{}, response));
}

std::string size_detail(const Value* sizes, std::optional<std::int64_t>& largest) {
  struct Network {
    std::string_view field, name;
  };
  constexpr std::array<Network, 4> kNetworks{{{"displayNetworkMembersCount", "display"},
                                              {"searchNetworkMembersCount", "search"},
                                              {"youtubeMembersCount", "YouTube"},
                                              {"gmailMembersCount", "Gmail"}}};
  std::string detail;
  for (const Network& network : kNetworks) {
    const auto count = integer_member(sizes, network.field);
    if (!count || *count < 0) continue;
    largest = std::max(largest.value_or(0), *count);
    detail += fmt::format("{}{} {}", detail.empty() ? "" : ", ", network.name, *count);
  }
  return detail;
}

}  // namespace

HttpRequest post(const Context& context, const std::string& path, std::string body) {
  HttpRequest result = request(context, "POST", path);
  set_json(result, std::move(body));
  return result;
}

std::size_t entries(const Member& member) {
  std::size_t count = 0;
  std::span<const UploadIdentifier> left = member.identifiers;
  for (; !left.empty(); ++count) left = left.subspan(first_entry(left).size());
  return count;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  const bool adding = batch.kind == BatchKind::add;
  HttpRequest result = request(context, "POST", adding ? "audienceMembers:ingest" : "audienceMembers:remove");
  std::string body = "{";
  append_destination(body, batch.audience_id, context);
  body += ',';
  append_members(body, batch);
  if (adding) {
    body += ',';
    append_consent(body, context);
  }
  if (has_user_data(batch)) body += R"(,"encoding":"HEX")";
  body += R"(,"validateOnly":)";
  body += validates_only(context) ? "true" : "false";
  body += '}';
  set_json(result, std::move(body));
  return result;
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  if (const auto error = read_error(response)) return judge_error(batch, response, *error);
  if (response.status == 429) {
    ApiError quota;
    quota.status = response.status;
    return judge_quota(response, quota);
  }
  if (response.status < 200 || response.status >= 300) return judge_status(batch, response);
  const auto answer = json_object(response);
  if (!answer || !is_acknowledgement(*answer))
    return retry("the answer cannot be read: no requestId", "unreadable");
  return accepted(batch);
}

namespace {

// The id of a list: its own field, or the end of its name, accountTypes/.../userLists/987.
std::string list_id(const Value& list) {
  if (const std::string_view id = text_member(&list, "id"); !id.empty()) return std::string(id);
  constexpr std::string_view kBefore = "userLists/";
  const std::string_view name = text_member(&list, "name");
  const std::size_t at = name.rfind(kBefore);
  return at == std::string_view::npos ? "" : std::string(name.substr(at + kBefore.size()));
}

// Why a list cannot be that of the sync: what it is made of is given at its creation, for good. Empty: it
// can, or the answer does not say.
std::string misfit_of_list(const Value& list, const Config& config) {
  const Value wanted = list_info(config);
  const Value* there = member(&list, "ingestedUserListInfo");
  const std::string& key_type = wanted.members.front().second.list.front().string;
  const Value* key_types = member(there, "uploadKeyTypes");
  if (key_types == nullptr || key_types->list.empty()) return "";
  const bool has_type =
      std::ranges::any_of(key_types->list, [&](const Value& type) { return text_of(type) == key_type; });
  if (!has_type) {
    return fmt::format("it is of {}, not of {}: write another list_type, or another audience_name",
                       code_word(text_of(key_types->list.front())), key_type);
  }
  const auto& [name, made_of] = wanted.members.back();
  for (const std::string_view each : {"keySpace", "appId"}) {
    const std::string_view ours = text_member(&made_of, each);
    const std::string_view theirs = text_member(member(there, name), each);
    if (ours.empty() || theirs.empty() || ours == theirs) continue;
    return fmt::format("its {} is not {}: write another audience_name", each, ours);
  }
  return "";
}

}  // namespace

HttpRequest encode_find(const Context& context, const std::string& page) {
  std::string path = "userLists?pageSize=1000";
  if (!page.empty()) path += "&pageToken=" + percent_encoded(page);
  return list_request(context, "GET", path);
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the list"));
  AudienceDestination::Found found;
  if (const Value* lists = member(&answer, "userLists"); lists != nullptr) {
    for (const Value& list : lists->list) {
      if (text_member(&list, "displayName") != config.audience_name) continue;
      if (const std::string wrong = misfit_of_list(list, config); !wrong.empty())
        return invalid(fmt::format("there is a list of that name, and {}", wrong));
      found.audience_id = list_id(list);
      return found;
    }
  }
  found.next_page = text_member(&answer, "nextPageToken");
  return found;
}

HttpRequest encode_create(const Context& context) {
  HttpRequest result =
      list_request(context, "POST", validates_only(context) ? "userLists?validateOnly=true" : "userLists");
  std::int64_t days = 0;
  const std::string text = setting(context, kMembershipDurationDays);
  std::from_chars(text.data(), text.data() + text.size(), days);
  std::string body = R"({"displayName":)";
  append_json_string(body, context.config.audience_name);
  body += R"(,"description":)";
  append_json_string(body, context.config.audience_description);
  body += fmt::format(R"(,"membershipDuration":"{}s")", days * kSecondsPerDay);
  body += R"(,"ingestedUserListInfo":)" + to_json(list_info(context.config)) + '}';
  set_json(result, std::move(body));
  return result;
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the list"));
  if (std::string id = list_id(answer); !id.empty()) return id;
  return fail(Error::Code::unavailable,
              "creating the list: the answer names no id (with validate_only, no list is created)");
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  return list_request(context, "GET", "userLists/" + percent_encoded(audience_id));
}

HttpRequest encode_update(const std::string& audience_id, const Context& context) {
  HttpRequest result = list_request(
      context, "PATCH", "userLists/" + percent_encoded(audience_id) + "?updateMask=displayName,description");
  std::string body = R"({"displayName":)";
  append_json_string(body, context.config.audience_name);
  body += R"(,"description":)";
  append_json_string(body, context.config.audience_description);
  set_json(result, body + "}");
  return result;
}

Result<void> decode_update(const HttpResponse& response) {
  TRY(read_object(response, "renaming the list"));
  return {};
}

HttpRequest encode_clear(const std::string& audience_id, Time before, const Context& context) {
  HttpRequest result = request(context, "POST", "audienceMembers:removeAll");
  std::string body = "{";
  append_destination(body, audience_id, context);
  body += R"(,"removeAsOfTime":)";
  append_json_string(body, format_time(before));
  set_json(result, body + "}");
  return result;
}

Result<void> decode_clear(const HttpResponse& response) {
  TRY(read_object(response, "emptying the list of others"));
  return {};
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  // A list that is not there is answered as one that may not be seen.
  result.gone = response.status == 403 || response.status == 404;
  if (result.gone) return result;
  const Value answer = TRY(read_object(response, "measuring the list"));
  result.name = text_member(&answer, "displayName");
  result.description = text_member(&answer, "description");
  const std::string_view duration = text_member(&answer, "membershipDuration");  // "46656000s"
  std::int64_t seconds = 0;
  const auto [end, failure] = std::from_chars(duration.data(), duration.data() + duration.size(), seconds);
  if (failure == std::errc() && std::string_view(end, duration.data() + duration.size()) == "s")
    result.retention_days = seconds / kSecondsPerDay;
  if (text_member(&answer, "membershipStatus") == "CLOSED")
    result.flag = fmt::format("membershipStatus CLOSED {}", code_word(text_member(&answer, "closingReason")));
  result.detail = size_detail(member(&answer, "sizeInfo"), result.size);
  const Value* contact = member(member(&answer, "ingestedUserListInfo"), "contactIdInfo");
  const auto percent = integer_member(contact, "matchRatePercentage");
  if (percent && *percent >= 0 && *percent <= 100) result.match_rate = static_cast<double>(*percent) / 100.0;
  return result;
}

}  // namespace tailrace::destinations::google_codec
