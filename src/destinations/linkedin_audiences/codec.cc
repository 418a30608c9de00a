#include "destinations/linkedin_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/linkedin_api/rest.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::linkedin_codec {
namespace {

constexpr Millis kUntilReady = kMinute;  // a new segment takes people after some seconds to two minutes

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

std::string account_urn(const Context& context) {
  return "urn:li:sponsoredAccount:" + without_dashes(setting(context, kAccountId));
}

// https://learn.microsoft.com/linkedin/marketing/matched-audiences/create-and-manage-segment-users
constexpr std::array kDetails{
    Detail{"first_name", "firstName", &opaque, 35},  Detail{"last_name", "lastName", &opaque, 35},
    Detail{"title", "title", &opaque, 50},           Detail{"company", "company", &opaque, 0},
    Detail{"country", "country", &country_upper, 2},
};

// What cannot be normalised, or is longer than LinkedIn takes, helps nobody to be found and is left out.
void append_details(std::string& out, const Member& person) {
  for (const auto& [name, value] : person.attributes) {
    const Detail* detail = detail_named(name);
    if (detail == nullptr) continue;
    const auto text = detail->normalise(text_of(value), {});
    if (!text || text->empty()) continue;
    if (detail->characters_max > 0 && characters_in(*text) > detail->characters_max) continue;
    out += fmt::format(R"(,"{}":)", detail->key);
    append_json_string(out, *text);
  }
}

void append_element(std::string& out, const Member& person, BatchKind kind) {
  out += fmt::format(R"({{"action":"{}","userIds":[)", kind == BatchKind::add ? "ADD" : "REMOVE");
  bool first = true;
  for (const UploadIdentifier& identifier : person.identifiers) {
    if (!first) out += ',';
    first = false;
    out += fmt::format(R"({{"idType":"{}","idValue":)",
                       identifier.kind == IdentifierKind::email ? "SHA256_EMAIL" : "GOOGLE_AID");
    append_json_string(out, identifier.value);
    out += '}';
  }
  out += ']';
  if (kind == BatchKind::add) append_details(out, person);
  out += '}';
}

Reply judge(Records records, const HttpResponse& response) {
  const auto answer = json_object(response);
  const Value* body = answer ? &*answer : nullptr;
  if (response.status == 404)
    return retry("the segment is not ready yet, or there is none (HTTP 404)", "404", kUntilReady);
  const bool good = response.status >= 200 && response.status < 300;
  return good ? linkedin_api::judge_elements(records, body)
              : linkedin_api::judge_failure(records, response, body);
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  auto answer = json_object(response);
  if (answer && response.status >= 200 && response.status < 300) return *std::move(answer);
  if (response.status == 400 || response.status == 422)
    return invalid(fmt::format("{}: the platform refuses it (HTTP {})", what, response.status));
  return failed(what, judge(std::size_t{0}, response));
}

std::string id_member(const Value* object) {
  const auto number = integer_member(object, "id");
  return number ? fmt::format("{}", *number) : std::string(text_member(object, "id"));
}

// A figure stands in the destination LINKEDIN, or beside it.
std::optional<std::int64_t> figure(const Value& segment, const Value* destination, std::string_view key) {
  const auto inside = integer_member(destination, key);
  const auto number = inside ? inside : integer_member(&segment, key);
  return number && *number >= 0 ? number : std::nullopt;
}

bool is_unusable(std::string_view status) {
  return status == "FAILED" || status == "ERROR" || status == "EXPIRED";
}

}  // namespace

const Detail* detail_named(std::string_view attribute) {
  const auto field = field_named(attribute);
  const std::string_view name = field ? to_string(*field) : attribute;
  const auto found = std::ranges::find(kDetails, name, &Detail::attribute);
  return found == kDetails.end() ? nullptr : &*found;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  std::string body = R"({"elements":[)";
  bool first = true;
  for (const Member& person : batch.members) {
    if (!first) body += ',';
    first = false;
    append_element(body, person, batch.kind);
  }
  return linkedin_api::batch_request(
      context, fmt::format("dmpSegments/{}/users", percent_encoded(batch.audience_id)), body + "]}");
}

Reply decode(const Batch& batch, const HttpResponse& response) { return judge(batch, response); }

HttpRequest encode_find(const Context& context, const std::string&) {
  return linkedin_api::request(
      context, "GET",
      fmt::format("dmpSegments?q=account&account={}&sourcePlatform={}&sourceSegmentId={}",
                  percent_encoded(account_urn(context)), percent_encoded(setting(context, kSourcePlatform)),
                  percent_encoded(context.config.audience_name)));
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  AudienceDestination::Found found;
  if (response.status == 404) return found;
  const Value answer = TRY(read_object(response, "looking for the segment"));
  const Value* segments = member(&answer, "elements");
  if (segments == nullptr) return found;
  for (const Value& segment : segments->list) {
    if (text_member(&segment, "name") != config.audience_name) continue;
    found.audience_id = id_member(&segment);
    break;
  }
  return found;
}

HttpRequest encode_create(const Context& context) {
  HttpRequest result = linkedin_api::request(context, "POST", "dmpSegments");
  Value destination = Value::with(Value::Kind::object);
  destination.members.emplace_back("destination", Value::of("LINKEDIN"));
  Value destinations = Value::with(Value::Kind::list);
  destinations.list.push_back(std::move(destination));
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("name", Value::of(context.config.audience_name));
  body.members.emplace_back("sourcePlatform", Value::of(setting(context, kSourcePlatform)));
  body.members.emplace_back("sourceSegmentId", Value::of(context.config.audience_name));
  body.members.emplace_back("account", Value::of(account_urn(context)));
  body.members.emplace_back("type", Value::of("USER"));
  body.members.emplace_back("destinations", std::move(destinations));
  linkedin_api::set_json(result, to_json(body));
  return result;
}

// The id is in a header; the body of a 201 is empty.
Result<std::string> decode_create(const HttpResponse& response) {
  constexpr std::string_view kWhat = "creating the segment";
  if (response.status < 200 || response.status >= 300) {
    const auto answer = read_object(response, kWhat);
    return std::unexpected(answer.error());
  }
  for (const std::string_view name : {"x-linkedin-id", "x-restli-id"}) {
    const auto id = response.headers.get(name);
    if (id && !id->empty()) return std::string(*id);
  }
  return fail(Error::Code::unavailable, fmt::format("{}: the answer names no id", kWhat));
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  return linkedin_api::request(context, "GET", "dmpSegments/" + percent_encoded(audience_id));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  result.gone = response.status == 404;
  if (result.gone) return result;
  const Value segment = TRY(read_object(response, "measuring the segment"));
  result.name = text_member(&segment, "name");
  const Value* destinations = member(&segment, "destinations");
  const Value* destination =
      destinations == nullptr || destinations->list.empty() ? nullptr : &destinations->list.front();
  result.detail = code_word(text_member(destination, "status"));
  if (is_unusable(result.detail)) result.flag = "status " + result.detail;
  result.size = figure(segment, destination, "audienceSize");
  const auto matched = figure(segment, destination, "matchedCount");
  const auto sent = figure(segment, destination, "inputCount");
  if (matched && sent && *sent > 0 && *matched <= *sent)
    result.match_rate = static_cast<double>(*matched) / static_cast<double>(*sent);
  return result;
}

}  // namespace tailrace::destinations::linkedin_codec
