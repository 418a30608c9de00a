#include "sandbox/faults.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "sandbox/wire.h"

namespace tailrace::sandbox {
namespace {

constexpr Millis kStallDefault = kMinute;
constexpr Millis kDelayMax = kHour;

constexpr std::array<std::pair<std::string_view, Fault::Kind>, 7> kKinds{{
    {"fail", Fault::Kind::fail},
    {"stall", Fault::Kind::stall},
    {"hang_up_before", Fault::Kind::hang_up_before},
    {"hang_up_after", Fault::Kind::hang_up_after},
    {"throttle", Fault::Kind::throttle},
    {"auth", Fault::Kind::auth},
    {"drift", Fault::Kind::drift},
}};
constexpr std::array<std::string_view, 9> kFields{"platform", "path",  "kind", "status",  "delay_ms",
                                                  "count",    "share", "seed", "audience"};

Result<std::string> read_text(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  if (value == nullptr) return std::string();
  if (value->kind != Value::Kind::string) return invalid(fmt::format("{} must be a text", name));
  return value->string;
}

Result<std::optional<std::int64_t>> read_whole(const Value& body, std::string_view name, std::int64_t least,
                                               std::int64_t most) {
  const Value* value = body.find(name);
  if (value == nullptr) return std::nullopt;
  const auto number = whole_number(*value);
  if (!number || *number < least || *number > most) {
    return invalid(fmt::format("{} must be a whole number from {} to {}", name, least, most));
  }
  return number;
}

bool wants(const Fault& fault, std::string_view platform, std::string_view target, bool token_call) {
  if (!fault.platform.empty() && fault.platform != platform) return false;
  if (fault.path.empty()) return !token_call;
  return target.find(fault.path) != std::string_view::npos;
}

}  // namespace

Result<Fault> read_fault(const Value& body) {
  if (body.kind != Value::Kind::object) return invalid("the body must be a JSON object");
  for (const auto& [name, value] : body.members) {
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      return invalid(
          fmt::format("unknown field {}; there are {}", printable(name), fmt::join(kFields, ", ")));
    }
  }
  Fault fault;
  const std::string kind = TRY(read_text(body, "kind"));
  const auto found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.first == kind; });
  if (found == kKinds.end()) {
    return invalid("kind must be fail, stall, hang_up_before, hang_up_after, throttle, auth or drift");
  }
  fault.kind = found->second;
  fault.platform = TRY(read_text(body, "platform"));
  fault.path = TRY(read_text(body, "path"));
  fault.audience = TRY(read_text(body, "audience"));
  fault.status = static_cast<int>(TRY(read_whole(body, "status", 400, 599)).value_or(500));
  const std::int64_t usual = fault.kind == Fault::Kind::stall ? kStallDefault.count : 0;
  fault.delay = { TRY(read_whole(body, "delay_ms", 0, kDelayMax.count)).value_or(usual) };
  fault.seed =
      static_cast<std::uint64_t>(TRY(read_whole(body, "seed", 0, 999'999'999'999'999'999)).value_or(1));
  fault.count = TRY(read_whole(body, "count", 1, 1'000'000'000));
  if (const Value* share = body.find("share"); share != nullptr) {
    const double number = share->kind == Value::Kind::number ? share->number.to_double() : -1;
    if (number < 0 || number > 1) return invalid("share must be a number from 0 to 1");
    fault.share = number;
  }
  if (!fault.count && !fault.share) fault.count = 1;
  return fault;
}

Value describe(const Fault& fault) {
  const auto kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.second == fault.kind; });
  Value value = object({{"kind", Value::of(std::string(kind->first))},
                        {"platform", Value::of(fault.platform)},
                        {"path", Value::of(printable(fault.path))},
                        {"status", whole(fault.status)},
                        {"delay_ms", whole(fault.delay.count)},
                        {"met", whole(fault.met)}});
  if (fault.count) value.members.emplace_back("count", whole(*fault.count));
  if (fault.share) value.members.emplace_back("share", Value::of(Number::approximate(*fault.share)));
  return value;
}

std::optional<Fault> Faults::meet(std::string_view platform, std::string_view target, bool token_call) {
  for (auto active = active_.begin(); active != active_.end(); ++active) {
    Fault& fault = active->fault;
    if (!wants(fault, platform, target, token_call)) continue;
    if (fault.share && active->random.unit() >= *fault.share) continue;
    ++fault.met;
    const Fault met = fault;
    if (fault.count && fault.met >= *fault.count) active_.erase(active);
    return met;
  }
  return std::nullopt;
}

std::vector<Fault> Faults::active() const {
  std::vector<Fault> all;
  for (const Active& active : active_) all.push_back(active.fault);
  return all;
}

}  // namespace tailrace::sandbox
