#include "destinations/klaviyo_api/api.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/checks.h"
#include "destinations/text.h"

namespace tailrace::destinations::klaviyo_api {
namespace {

// The number behind "/<list>/data/" in a JSON pointer; negative where there is none.
std::int64_t index_in(std::string_view pointer, std::string_view list) {
  const std::string mark = fmt::format("/{}/data/", list);
  const std::size_t at = pointer.find(mark);
  if (at == std::string_view::npos) return -1;
  const std::string_view rest = pointer.substr(at + mark.size());
  std::int64_t index = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  return error == std::errc() && end != rest.data() ? index : -1;
}

// The last name of a pointer that is no number: the field it means.
std::string field_in(std::string_view pointer) {
  const std::string_view last = pointer.substr(std::min(pointer.rfind('/') + 1, pointer.size()));
  return analytics::field_word(last);
}

}  // namespace

HttpRequest post(const Config& config, std::string_view path, std::string body) {
  return analytics::post_json(
      fmt::format("{}{}", without_trailing_slash(config.setting(std::string(kBaseUrl))), path),
      std::move(body),
      {{"Authorization", "Klaviyo-API-Key " + config.secret(std::string(kApiKey))},
       {"revision", config.setting(std::string(kRevision))},
       {"Accept", "application/vnd.api+json"},
       {"Content-Type", "application/vnd.api+json"}});
}

Reply decode(Records records, const HttpResponse& response, std::string_view list) {
  const int status = response.status;
  if (status >= 200 && status < 300) return accepted(records);
  if (status != 400 && status != 409 && status != 422) return judge_status(records, response);
  // Refused whole; the errors point at the records to blame.
  const auto body = json_object(response);
  const Value* errors = member(body ? &*body : nullptr, "errors");
  std::vector<analytics::Culprit> culprits;
  if (errors != nullptr) {
    for (const Value& each : errors->list) {
      const std::string_view pointer = text_member(member(&each, "source"), "pointer");
      const std::string field = field_in(pointer);
      culprits.push_back({index_in(pointer, list), field.empty() ? "the platform does not take it"
                                                                 : "the platform does not take " + field});
    }
  }
  Reply reply =
      split(records, fmt::format("it is not accepted (HTTP {})", status), fmt::format("{}", status));
  if (reply.verdict == Reply::Verdict::split && !analytics::blame(reply, records.count, culprits))
    reply.outcomes.clear();
  return reply;
}

void check(const Config& config, std::vector<std::string>& problems) {
  check_url(config, std::string(kBaseUrl), Query::refused, problems);
  check_token(config, std::string(kApiKey), problems);
  const std::string& revision = config.setting(std::string(kRevision));
  const bool date = revision.size() == 10 && parse_time(revision).has_value();
  if (!date) problems.emplace_back("revision must be a date, such as 2026-07-15");
}

}  // namespace tailrace::destinations::klaviyo_api
