#include "destinations/customerio_api/track.h"

#include <vector>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::customerio_api {
namespace {

// "2026-03-01T10:00:00Z": a date with a time, which nothing but an instant looks like.
bool is_instant(std::string_view text) {
  if (text.size() < 19 || text.size() > 35 || text[4] != '-' || text[7] != '-') return false;
  return (text[10] == 'T' || text[10] == ' ') && text[13] == ':' && text[16] == ':';
}

}  // namespace

HttpRequest post(const Config& config, std::string_view path, std::string body) {
  return analytics::post_json(
      fmt::format("{}{}", without_trailing_slash(config.setting(std::string(kBaseUrl))), path),
      std::move(body),
      {{"Authorization", analytics::basic_authorization(config.secret(std::string(kSiteId)),
                                                        config.secret(std::string(kApiKey)))}});
}

Value identifiers(std::string_view kind, std::string value) {
  Value out = analytics::empty_object();
  out.members.emplace_back(kind, Value::of(std::move(value)));
  return out;
}

Reply judge(Records records, const HttpResponse& response) {
  const int status = response.status;
  if (status == 200) return accepted(records);
  const auto body = json_object(response);
  const Value* errors = member(body ? &*body : nullptr, "errors");
  std::vector<analytics::Culprit> culprits;
  if (errors != nullptr) {
    for (const Value& each : errors->list) {
      const std::string field = analytics::field_word(text_member(&each, "field"));
      culprits.push_back(
          {integer_member(&each, "batch_index").value_or(-1),
           field.empty() ? "the platform does not take it" : "the platform does not take " + field});
    }
  }
  if (status == 207) {
    Reply reply = accepted(records);
    reply.code = "207";
    if (!analytics::blame(reply, records.count, culprits) && !culprits.empty())
      reply.reason = "some are not accepted; which is not said (HTTP 207)";
    return reply;
  }
  if (status == 400) return split(records, "it is not accepted (HTTP 400)", "400");
  return judge_status(records, response);
}

void convert_instants(Value& value) {
  if (value.kind == Value::Kind::string && is_instant(value.string)) {
    if (const auto instant = parse_time(value.string))
      value = Value::of(Number::integer(instant->ms / kSecond.count));
  }
  for (Value& each : value.list) convert_instants(each);
  for (auto& [name, each] : value.members) convert_instants(each);
}

}  // namespace tailrace::destinations::customerio_api
