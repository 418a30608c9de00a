#include "sandbox/google/google_adjustments.h"

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kAdjustmentsMax = 2000;
constexpr std::size_t kOrdersKept = 100'000;
constexpr std::string_view kUpload = ":uploadConversionAdjustments";
constexpr std::string_view kFailureType =
    "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure";

std::string text_of(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return is_string(value) ? value->string : std::string();
}

// "2026-11-20 14:05:09+00:00"; the zone may be another.
bool is_time(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd dd:dd:dd+dd:dd";
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    const bool zone = kForm[i] == '+' && text[i] == '-';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i] && !zone) return false;
  }
  return true;
}

// {"adjustedValue": zero or more, "currencyCode": "EUR"}.
bool is_restatement_value(const Value* value) {
  if (value == nullptr || value->kind != Value::Kind::object) return false;
  const Value* amount = value->find("adjustedValue");
  return amount != nullptr && amount->kind == Value::Kind::number && amount->number.to_double() >= 0 &&
         text_of(*value, "currencyCode").size() == 3;
}

Value failure(std::size_t index, const std::string& code) {
  return object(
      {{"errorCode", object({{"conversionAdjustmentUploadError", Value::of(code)}})},
       {"message", Value::of("The sandbox does not carry it out.")},
       {"location", object({{"fieldPathElements",
                             list_of({object({{"fieldName", Value::of("conversion_adjustments")},
                                              {"index", whole(static_cast<std::int64_t>(index))}})})}})}});
}

Value failures(Value errors) {
  return object({{"@type", Value::of(std::string(kFailureType))}, {"errors", std::move(errors)}});
}

HttpResponse wrong(const std::string& message) {
  return json_response(400, object({{"error", object({{"code", whole(400)},
                                                      {"message", Value::of(message)},
                                                      {"status", Value::of("INVALID_ARGUMENT")}})}}));
}

}  // namespace

bool GoogleAdjustments::is_upload(const Call& call) {
  return call.request.method == "POST" && call.segments.size() == 3 && call.segments[0].starts_with('v') &&
         call.segments[1] == "customers" && call.segments[2].ends_with(kUpload);
}

HttpResponse GoogleAdjustments::upload(const Call& call, EventStore& events) {
  const std::string customer = call.segments[2].substr(0, call.segments[2].size() - kUpload.size());
  if (!is_digits(customer)) return wrong("The customer is digits.");
  const auto body = parse_json(call.request.body);
  const Value* adjustments = body ? body->find("conversionAdjustments") : nullptr;
  if (adjustments == nullptr || adjustments->kind != Value::Kind::list || adjustments->list.empty())
    return wrong("conversionAdjustments is required.");
  if (adjustments->list.size() > kAdjustmentsMax) return wrong("TOO_MANY_ADJUSTMENTS_IN_REQUEST");
  if (const Value* partial = body->find("partialFailure");
      partial == nullptr || partial->kind != Value::Kind::boolean || !partial->boolean)
    return wrong("partialFailure must be true.");
  const Value* flag = body->find("validateOnly");
  const bool validate_only = flag != nullptr && flag->kind == Value::Kind::boolean && flag->boolean;

  Value results = Value::with(Value::Kind::list);
  Value errors = Value::with(Value::Kind::list);
  for (std::size_t i = 0; i < adjustments->list.size(); ++i) {
    const Value& adjustment = adjustments->list[i];
    const std::string code = apply(adjustment, customer, validate_only);
    if (!code.empty()) errors.list.push_back(failure(i, code));
    if (code.empty() && !validate_only) events.add("", adjustment, call.now, Millis{0});
    results.list.push_back(code.empty() ? object({{"orderId", Value::of(text_of(adjustment, "orderId"))}})
                                        : Value::with(Value::Kind::object));
  }
  Value answer = Value::with(Value::Kind::object);
  if (!errors.list.empty())
    answer.members.emplace_back("partialFailureError",
                                object({{"code", whole(3)},
                                        {"message", Value::of("Some adjustments failed.")},
                                        {"details", list_of({failures(std::move(errors))})}}));
  if (!validate_only) answer.members.emplace_back("results", std::move(results));
  return json_response(200, answer);
}

std::string GoogleAdjustments::apply(const Value& adjustment, const std::string& customer,
                                     bool validate_only) {
  const std::string action = text_of(adjustment, "conversionAction");
  const std::string prefix = fmt::format("customers/{}/conversionActions/", customer);
  if (!action.starts_with(prefix) || !is_digits(action.substr(prefix.size())))
    return "INVALID_CONVERSION_ACTION";
  const std::string order = text_of(adjustment, "orderId");
  if (order.empty()) return "MISSING_ORDER_ID_FOR_WEBPAGE";
  const std::string at = text_of(adjustment, "adjustmentDateTime");
  const std::string type = text_of(adjustment, "adjustmentType");
  const Value* value = adjustment.find("restatementValue");
  const bool retracts = type == "RETRACTION";
  const bool fits = retracts ? value == nullptr : type == "RESTATEMENT" && is_restatement_value(value);
  if (!fits || !is_time(at)) return "UNKNOWN";

  const std::string key = action + "/" + order;
  const auto known = orders_.find(key);
  if (known != orders_.end() && known->second.retracted) return "CONVERSION_ALREADY_RETRACTED";
  if (known != orders_.end() && !retracts && at == known->second.restated_at)
    return "RESTATEMENT_ALREADY_EXISTS";
  // Texts of one zone stand in the order of time; that is all this sandbox compares.
  if (known != orders_.end() && !retracts && at < known->second.restated_at)
    return "MORE_RECENT_RESTATEMENT_FOUND";
  if (validate_only) return "";
  if (orders_.size() >= kOrdersKept) orders_.clear();
  Adjusted& adjusted = orders_[key];
  adjusted.retracted = adjusted.retracted || retracts;
  if (!retracts) adjusted.restated_at = at;
  return "";
}

}  // namespace tailrace::sandbox
