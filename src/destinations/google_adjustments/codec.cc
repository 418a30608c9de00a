#include "destinations/google_adjustments/codec.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/google_conversions/codec.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::google_adjustments_codec {
namespace {

std::string setting(const Config& config, std::string_view name) { return config.setting(std::string(name)); }

std::string customer_of(const Config& config) {
  return percent_encoded(without_dashes(setting(config, kCustomerId)));
}

// "2026-11-20 14:05:09+00:00".
std::string time_text(Time at) {
  const std::string text = format_time(at);
  return text.substr(0, 10) + " " + text.substr(11, 8) + "+00:00";
}

// What an adjustment was refused for, and which.
struct Failure {
  std::optional<std::size_t> index;
  std::string code;
};

// {"conversionAdjustmentUploadError":"CONVERSION_EXPIRED"}: the one word in it.
std::string code_in(const Value* object) {
  if (object == nullptr || object->members.empty()) return "";
  const Value& word = object->members.front().second;
  return word.kind == Value::Kind::string ? code_word(word.string) : "";
}

std::optional<std::size_t> place_of(const Value& error) {
  const Value* path = member(member(&error, "location"), "fieldPathElements");
  if (path == nullptr) return std::nullopt;
  for (const Value& element : path->list) {
    const std::string_view field = text_member(&element, "fieldName");
    const auto index = integer_member(&element, "index");
    if ((field == "conversion_adjustments" || field == "conversionAdjustments") && index && *index >= 0)
      return static_cast<std::size_t>(*index);
  }
  return std::nullopt;
}

// Of a "partialFailureError", or of an "error".
std::vector<Failure> failures_in(const Value* error) {
  std::vector<Failure> found;
  const Value* details = member(error, "details");
  if (details == nullptr) return found;
  for (const Value& detail : details->list) {
    const Value* errors = member(&detail, "errors");
    if (errors == nullptr) continue;
    for (const Value& each : errors->list)
      found.push_back({place_of(each), code_in(member(&each, "errorCode"))});
  }
  return found;
}

bool is_one_of(std::string_view code, std::span<const std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

// It was done already: by the request whose answer was lost.
bool is_done(std::string_view code) {
  constexpr std::array<std::string_view, 2> kDone{"CONVERSION_ALREADY_RETRACTED",
                                                  "RESTATEMENT_ALREADY_EXISTS"};
  return is_one_of(code, kDone);
}

bool passes_by_itself(std::string_view code) {
  constexpr std::array<std::string_view, 6> kPassing{
      "CONCURRENT_MODIFICATION", "INTERNAL_ERROR",     "TRANSIENT_ERROR",
      "DEADLINE_EXCEEDED",       "RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"};
  return is_one_of(code, kPassing);
}

// An adjustment that is there already is none the second time, so the whole may go again.
Reply judge_partial(std::size_t events, const Value& failure) {
  const std::vector<Failure> failures = failures_in(&failure);
  for (const Failure& each : failures) {
    if (passes_by_itself(each.code))
      return retry(fmt::format("the platform could not do it now ({})", each.code), each.code);
  }
  Reply reply = accepted(events);
  for (const Failure& each : failures) {
    if (!each.index || *each.index >= events)
      return split(events, fmt::format("the platform refuses an adjustment ({})", each.code), each.code);
    if (is_done(each.code)) continue;
    reply.outcomes[*each.index] = {Outcome::Kind::rejected,
                                   fmt::format("the platform refuses the adjustment ({})",
                                               each.code.empty() ? "no reason given" : each.code)};
  }
  if (failures.empty()) return split(events, "the platform refuses an adjustment", "");
  return reply;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const Conversion& conversion, const Config& config) {
  const bool restates = conversion.name == kRestatement;
  if (!restates && conversion.name != kRetraction && conversion.name != kRefund)
    return std::unexpected(Refused{"event", "an adjustment is RETRACTION, RESTATEMENT or REFUND"});
  if (conversion.order_id.empty())
    return std::unexpected(Refused{"order_id", "missing, and Google finds the conversion by it"});
  if (restates && !conversion.value)
    return std::unexpected(Refused{"value", "missing: a restatement says what the order is worth now"});
  if (conversion.name == kRefund && (conversion.value || !conversion.items.empty()))
    return std::unexpected(
        Refused{"value",
                "how much is left of the order is not known: map the event to RETRACTION, or "
                "to RESTATEMENT with what is left as `value`"});

  Value adjustment = Value::with(Value::Kind::object);
  adjustment.members.emplace_back(
      "conversionAction",
      Value::of(fmt::format("customers/{}/conversionActions/{}", customer_of(config),
                            without_dashes(setting(config, google_conversions_codec::kConversionActionId)))));
  adjustment.members.emplace_back("adjustmentType",
                                  Value::of(std::string(restates ? kRestatement : kRetraction)));
  adjustment.members.emplace_back("orderId", Value::of(conversion.order_id));
  adjustment.members.emplace_back("adjustmentDateTime", Value::of(time_text(conversion.at)));
  if (restates) {
    Value now = Value::with(Value::Kind::object);
    now.members.emplace_back("adjustedValue", Value::of(*conversion.value));
    now.members.emplace_back("currencyCode", Value::of(conversion.currency));
    adjustment.members.emplace_back("restatementValue", std::move(now));
  }
  return to_json(adjustment);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const Config& config = context.config;
  HttpRequest result;
  result.method = "POST";
  result.url =
      fmt::format("{}/customers/{}:uploadConversionAdjustments",
                  without_trailing_slash(setting(config, google_codec::kBaseUrl)), customer_of(config));
  result.headers = {{"Authorization", "Bearer " + std::string(context.access_token)}};
  if (const std::string login = setting(config, kLoginCustomerId); !login.empty())
    result.headers.emplace_back("login-customer-id", without_dashes(login));
  result.headers.emplace_back("Content-Type", "application/json");
  result.body = fmt::format(R"({{"conversionAdjustments":[{}],"partialFailure":true,"validateOnly":{}}})",
                            fmt::join(events, ","), setting(config, google_codec::kValidateOnly) == "true");
  return result;
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  const bool is_success = response.status >= 200 && response.status < 300;
  if (is_success && answer && member(&*answer, "error") == nullptr) {
    const Value* failure = member(&*answer, "partialFailureError");
    if (failure != nullptr && failure->present()) return judge_partial(events, *failure);
    // Of a request that was only validated there are no results.
    if (member(&*answer, "results") != nullptr || answer->members.empty()) return accepted(events);
    return retry("the answer cannot be read: no results", "unreadable");
  }
  // Two uploads for one account at a time are refused as if they were wrong.
  for (const Failure& each : answer ? failures_in(member(&*answer, "error")) : std::vector<Failure>()) {
    if (response.status == 400 && passes_by_itself(each.code))
      return retry(fmt::format("the platform could not do it now ({})", each.code), each.code);
  }
  return google_conversions_codec::decode(events, response);
}

}  // namespace tailrace::destinations::google_adjustments_codec
