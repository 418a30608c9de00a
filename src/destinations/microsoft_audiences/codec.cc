#include "destinations/microsoft_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::microsoft_codec {
namespace {

constexpr Millis kCallRateWait = kMinute;  // the window in which calls are counted

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

HttpRequest request(const Context& context, std::string_view path, std::string json) {
  HttpRequest result;
  result.method = "POST";
  result.url = fmt::format("{}/{}", without_trailing_slash(setting(context, kBaseUrl)), path);
  result.headers = {{"Authorization", "Bearer " + std::string(refresh_token::bearer(context))},
                    {"DeveloperToken", context.config.secret(std::string(kDeveloperToken))},
                    {"CustomerAccountId", without_dashes(setting(context, kCustomerAccountId))},
                    {"CustomerId", without_dashes(setting(context, kCustomerId))},
                    {"Content-Type", "application/json"}};
  result.body = std::move(json);
  return result;
}

// --- Errors: a number says what is wrong, in a fault or of one item

std::string_view meaning(std::int64_t code) {
  switch (code) {
    case 0:
      return "the platform failed";
    case 105:
      return "the credentials are not accepted";
    case 106:
      return "the user is not authorised for this account";
    case 108:
      return "the user lacks a permission";
    case 109:
      return "the token has expired";
    case 117:
    case 4204:
      return "throttled";
    case 8000:
      return "the audience does not exist";
    case 8003:
      return "the Customer Match terms are not accepted";
    case 8004:
      return "the e-mail is not hashed";
    case 8005:
      return "the item is too long";
    default:
      return "the platform refuses";
  }
}

bool is_of_one_item(std::int64_t code) { return code == 8004 || code == 8005; }

// What no halving would mend: list, action, kind and terms are the same for all items.
bool is_of_the_request(std::int64_t code) { return code >= 8000 && code <= 8006 && !is_of_one_item(code); }

Reply judge_code(Records records, std::int64_t code) {
  const std::string text = fmt::format("{}", code);
  const std::string reason = fmt::format("{} ({})", meaning(code), code);
  if (code == 105 || code == 109) return reauthorise(reason, text);
  if (code == 0) return retry(reason, text);
  if (code == 117) return retry(reason, text, kCallRateWait);
  if (code == 4204) return retry(reason, text, kMinute * 15);
  if (is_of_one_item(code)) return split(records, reason, text);
  return stop(reason, text);
}

std::optional<std::int64_t> first_code(const Value* errors) {
  if (errors == nullptr || errors->kind != Value::Kind::list || errors->list.empty()) return std::nullopt;
  return integer_member(&errors->list.front(), "Code");
}

// The code of a fault, wherever it stands: "Errors" or "OperationErrors".
std::optional<std::int64_t> fault_code(const Value* answer) {
  for (const std::string_view name : {"Errors", "OperationErrors"}) {
    if (const auto code = first_code(member(answer, name))) return code;
  }
  return std::nullopt;
}

// Missing: a success whose items may still have errors of their own.
std::optional<Reply> judge(Records records, const HttpResponse& response,
                           const std::optional<Value>& answer) {
  if (const auto code = fault_code(answer ? &*answer : nullptr)) return judge_code(records, *code);
  const bool good = response.status >= 200 && response.status < 300;
  if (good && answer) return std::nullopt;
  if (!good && response.status != 400) return judge_status(records, response);
  return answer ? stop("the platform refuses the request (HTTP 400)", "400")
                : retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
}

// Which member each item is of, in the order of the items.
std::vector<std::size_t> owners(const Batch& batch) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < batch.members.size(); ++i)
    result.insert(result.end(), items(batch.members[i]), i);
  return result;
}

// Rows that are not listed were taken.
Reply judge_items(const Batch& batch, const Value& errors) {
  const auto owner = owners(batch);
  std::vector<std::string> reasons(owner.size());
  for (const Value& error : errors.list) {
    if (!error.present()) continue;
    const auto code = integer_member(&error, "Code");
    const auto index = integer_member(&error, "Index");
    if (code && is_of_the_request(*code)) return judge_code(batch, *code);
    const bool placed = index && *index >= 0 && static_cast<std::size_t>(*index) < owner.size();
    if (!placed) return split(batch, "the platform minds items and does not say which", "PartialErrors");
    reasons[static_cast<std::size_t>(*index)] =
        code ? fmt::format("{} ({})", meaning(*code), *code) : "the platform refuses the item";
  }
  Reply reply = accepted(batch);
  for (std::size_t member = 0, item = 0; member < batch.members.size(); ++member) {
    const std::size_t end = item + items(batch.members[member]);
    // Of several e-mails one is enough: the person is in the list, so that a removal is sent.
    const bool all_refused = item < end && std::all_of(
                                               reasons.begin() + static_cast<std::ptrdiff_t>(item),
                                               reasons.begin() + static_cast<std::ptrdiff_t>(end),
                                               [](const std::string& one) { return !one.empty(); });
    if (all_refused) reply.outcomes[member] = {Outcome::Kind::rejected, reasons[item]};
    item = end;
  }
  return reply;
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  auto answer = json_object(response);
  if (const auto reply = judge(Batch{}, response, answer)) return failed(what, *reply);
  return *std::move(answer);
}

// The list's first element that is one; of lists in which Microsoft leaves null for what failed.
const Value* first_present(const Value* list) {
  if (list == nullptr) return nullptr;
  const auto found = std::ranges::find_if(list->list, [](const Value& each) { return each.present(); });
  return found == list->list.end() ? nullptr : &*found;
}

// Ids are written as texts or as numbers.
std::string id_text(const Value* value) {
  if (value == nullptr) return "";
  if (value->kind == Value::Kind::string) return value->string;
  return value->kind == Value::Kind::number ? value->number.to_string() : "";
}

std::optional<std::int64_t> size_member(const Value* audience, std::string_view name) {
  const auto size = integer_member(audience, name);
  return size && *size >= 0 ? size : std::nullopt;
}

}  // namespace

std::size_t items(const Member& member) { return std::max<std::size_t>(1, member.identifiers.size()); }

HttpRequest encode(const Batch& batch, const Context& context) {
  std::string body = fmt::format(
      R"({{"CustomerListUserData":{{"AcceptCustomerMatchTerm":true,"ActionType":"{}","AudienceId":)",
      batch.kind == BatchKind::add ? "Add" : "Remove");
  append_json_string(body, batch.audience_id);
  body += R"(,"CustomerListItemSubType":"Email","CustomerListItems":[)";
  bool first = true;
  for (const Member& member : batch.members) {
    for (const UploadIdentifier& identifier : member.identifiers) {
      if (!first) body += ',';
      first = false;
      append_json_string(body, identifier.value);
    }
  }
  body += "]}}";
  return request(context, "CustomerListUserData/Apply", std::move(body));
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (auto reply = judge(batch, response, answer)) return *std::move(reply);
  const Value* errors = member(&*answer, "PartialErrors");
  return errors == nullptr ? accepted(batch) : judge_items(batch, *errors);
}

// Without ids, every audience of the account is asked for.
HttpRequest encode_find(const Context& context) {
  return request(context, "Audiences/QueryByIds", R"({"AudienceIds":null,"Type":"CustomerList"})");
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the audience"));
  AudienceDestination::Found found;
  const Value* audiences = member(&answer, "Audiences");
  if (audiences == nullptr) return found;
  for (const Value& audience : audiences->list) {
    if (text_member(&audience, "Name") == config.audience_name)
      found.audience_id = id_text(member(&audience, "Id"));
  }
  return found;
}

HttpRequest encode_create(const Context& context) {
  std::string body = R"({"Audiences":[{"Type":"CustomerList","Name":)";
  append_json_string(body, context.config.audience_name);
  if (!context.config.audience_description.empty()) {
    body += R"(,"Description":)";
    append_json_string(body, context.config.audience_description);
  }
  body +=
      fmt::format(R"(,"Scope":"Customer","ParentId":{},"MembershipDuration":{}}}]}})",
                  without_dashes(setting(context, kCustomerId)), setting(context, kMembershipDurationDays));
  return request(context, "Audiences", std::move(body));
}

Result<std::string> decode_create(const HttpResponse& response) {
  constexpr std::string_view kWhat = "creating the audience";
  const Value answer = TRY(read_object(response, kWhat));
  if (const Value* error = first_present(member(&answer, "PartialErrors"))) {
    const auto code = integer_member(error, "Code");
    return failed(kWhat, code ? judge_code(Batch{}, *code) : stop("the platform refuses", "PartialErrors"));
  }
  std::string id = id_text(first_present(member(&answer, "AudienceIds")));
  if (id.empty()) return fail(Error::Code::unavailable, fmt::format("{}: the answer names no id", kWhat));
  return id;
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  std::string body = R"({"AudienceIds":[)";
  append_json_string(body, audience_id);
  body += R"(],"Type":"CustomerList"})";
  return request(context, "Audiences/QueryByIds", std::move(body));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  const Value answer = TRY(read_object(response, "measuring the audience"));
  const Value* audiences = member(&answer, "Audiences");
  if (audiences == nullptr)
    return fail(Error::Code::unavailable, "measuring the audience: the answer cannot be read");
  const Value* audience = first_present(audiences);
  result.gone = audience == nullptr;
  if (result.gone) return result;
  result.name = text_member(audience, "Name");
  result.description = text_member(audience, "Description");
  result.retention_days = integer_member(audience, "MembershipDuration");
  const auto search = size_member(audience, "SearchSize");
  const auto network = size_member(audience, "AudienceNetworkSize");
  if (search || network) result.size = std::max(search.value_or(0), network.value_or(0));
  if (search) result.detail = fmt::format("search {}", *search);
  if (network) result.detail += fmt::format("{}audience network {}", search ? ", " : "", *network);
  return result;
}

}  // namespace tailrace::destinations::microsoft_codec
