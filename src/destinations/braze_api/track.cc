#include "destinations/braze_api/track.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::braze_api {
namespace {

std::vector<analytics::Culprit> culprits_of(const Value* errors, std::string_view list) {
  std::vector<analytics::Culprit> culprits;
  if (errors == nullptr) return culprits;
  for (const Value& each : errors->list) {
    const std::string_view input = text_member(&each, "input_array");
    if (!input.empty() && input != list) continue;
    culprits.push_back({integer_member(&each, "index").value_or(-1), "the platform does not take it"});
  }
  return culprits;
}

}  // namespace

HttpRequest encode(std::string_view list, std::span<const std::string> objects, const Config& config) {
  return analytics::post_json(
      fmt::format("{}/users/track", without_trailing_slash(config.setting(std::string(kBaseUrl)))),
      fmt::format(R"({{"{}":[{}]}})", list, analytics::joined(objects)),
      {{"Authorization", "Bearer " + config.secret(std::string(kApiKey))}});
}

Reply decode(std::string_view list, Records records, const HttpResponse& response) {
  const int status = response.status;
  const auto body = json_object(response);
  const Value* errors = member(body ? &*body : nullptr, "errors");
  if (status == 200 || status == 201) {
    // What it minds is left out; the rest was taken.
    Reply reply = accepted(records);
    const auto culprits = culprits_of(errors, list);
    if (culprits.empty()) return reply;
    reply.code = "errors";
    if (!analytics::blame(reply, records.count, culprits))
      reply.reason = fmt::format("{} of {} are not taken; which is not said", culprits.size(), records.count);
    return reply;
  }
  if (status == 400) {
    // Nothing of it was taken.
    Reply reply = split(records, "it is not accepted (HTTP 400)", "400");
    if (reply.verdict == Reply::Verdict::split &&
        !analytics::blame(reply, records.count, culprits_of(errors, list)))
      reply.outcomes.clear();
    return reply;
  }
  Reply reply = judge_status(records, response);
  if (status == 429) {
    for (const char* header : {"X-RateLimit-Retry-After", "X-RateLimit-Reset"}) {
      if (!reply.retry_after) reply.retry_after = wait_until_reset(response, header);
    }
  }
  return reply;
}

}  // namespace tailrace::destinations::braze_api
