#include "destinations/event_destination.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <unicode/ucurr.h>
#include <unicode/uenum.h>

#include "model/click.h"

namespace tailrace::destinations {
namespace {

constexpr std::size_t kEventBytesMax = 1 << 20;

const std::set<std::string, std::less<>>& currencies() {
  static const auto kCurrencies = [] {
    std::set<std::string, std::less<>> all;
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration* codes = ucurr_openISOCurrencies(UCURR_COMMON | UCURR_NON_DEPRECATED, &status);
    std::int32_t length = 0;
    for (const char* code = uenum_next(codes, &length, &status); code != nullptr && U_SUCCESS(status) != 0;
         code = uenum_next(codes, &length, &status))
      all.emplace(code, static_cast<std::size_t>(length));
    uenum_close(codes);
    return all;
  }();
  return kCurrencies;
}

bool has_all(const Conversion& conversion, std::span<const Field> fields) {
  return std::ranges::all_of(fields, [&](Field field) { return !conversion.user_field(field).empty(); });
}

std::optional<Refused> judge_time(const EventRules& rules, const Conversion& conversion, Time now) {
  const Millis most = conversion.source == Conversion::Source::store && rules.store_age_max.count > 0
                          ? rules.store_age_max
                          : rules.age_max;
  if (most.count > 0 && conversion.at + most < now) {
    return Refused{
        "at", fmt::format("older than {}, and the platform takes no such events", format_duration(most))};
  }
  if (conversion.at > now + rules.ahead_max) return Refused{"at", "dated in the future"};
  return std::nullopt;
}

std::optional<Refused> judge_value(const EventRules& rules, const Conversion& conversion) {
  const Number zero = Number::integer(0);
  if (conversion.value && *conversion.value < zero) return Refused{"value", "negative value"};
  if (!conversion.currency.empty() && !currencies().contains(conversion.currency))
    return Refused{"currency", "no currency of ISO 4217"};
  for (const ConversionItem& item : conversion.items) {
    if (item.price && *item.price < zero) return Refused{"items", "an item with a negative price"};
    if (item.quantity < zero) return Refused{"items", "an item with a negative quantity"};
  }
  const bool valued = std::ranges::find(rules.valued, conversion.name) != rules.valued.end();
  if (valued && !conversion.value) return Refused{"value", "missing, and the event needs one"};
  if (conversion.value && conversion.currency.empty())
    return Refused{"currency", "missing beside a value; name it in the event, or `currency` in the sync"};
  return std::nullopt;
}

}  // namespace

const std::string& Conversion::user_field(Field field) const {
  static const std::string kNone;
  const auto found = std::ranges::find(user, field, &std::pair<Field, std::string>::first);
  return found == user.end() ? kNone : found->second;
}

bool is_currency(std::string_view code) { return currencies().contains(code); }

bool is_click_id(Field field) {
  return std::ranges::any_of(
      kClickRules, [&](const ClickRule& rule) { return !rule.is_browsers && rule.name == to_string(field); });
}

std::string EventDestination::group(const Conversion&) const { return ""; }

std::optional<Refused> judge(const EventDestination& destination, const Conversion& conversion, Time now) {
  const EventRules rules = destination.rules();
  if (conversion.name.empty()) return Refused{"event", "no event of this platform is mapped to it"};
  const bool is_for_ads = !destination.takes_every_event();
  if (is_for_ads && conversion.ads_consent == false) return Refused{"consent", "no consent to ads"};
  if (auto refused = judge_time(rules, conversion, now)) return refused;
  if (is_for_ads) {
    if (auto refused = judge_value(rules, conversion)) return refused;
  }
  const bool identified =
      rules.identified_by.empty() ||
      std::ranges::any_of(rules.identified_by, [&](auto fields) { return has_all(conversion, fields); });
  if (!identified) return Refused{"user", "nothing the platform could match the person by"};
  const bool clicked = std::ranges::any_of(destination.fields(), [&](const FieldRule& rule) {
    return is_click_id(rule.field) && !conversion.user_field(rule.field).empty();
  });
  if (conversion.click_required && !clicked)
    return Refused{"user.click", "no click on an ad of this platform before it, and the sync asks for one"};
  return std::nullopt;
}

std::expected<std::string, Refused> to_event(const EventDestination& destination,
                                             const Conversion& conversion, EventDestination::At at) {
  if (auto refused = judge(destination, conversion, at.now)) return std::unexpected(std::move(*refused));
  auto event = destination.encode_event(conversion, at);
  const std::size_t most = destination.limits().batch_bytes_max;
  if (event && event->size() > (most > 0 ? most : kEventBytesMax))
    return std::unexpected(Refused{"properties", "the event is too large for a request"});
  return event;
}

std::vector<UserValue> user_values(const EventDestination& destination, const Conversion& conversion,
                                   const Config& config, std::vector<Refused>* refused) {
  const Locality locality{.region = config.default_region, .country = conversion.user_field(Field::country)};
  std::vector<UserValue> values;
  for (const FieldRule& rule : destination.fields()) {
    for (const auto& [field, raw] : conversion.user) {
      if (field != rule.field || raw.empty()) continue;
      auto prepared = prepare(rule, raw, locality);
      if (!prepared) {
        if (refused != nullptr)
          refused->push_back({fmt::format("user.{}", to_string(field)), prepared.error().message});
        continue;
      }
      const bool known = std::ranges::any_of(
          values, [&](const UserValue& one) { return one.rule == &rule && one.value == prepared->value; });
      if (!known) values.push_back({&rule, std::move(prepared->value)});
    }
  }
  return values;
}

Value user_object(const EventDestination& destination, const Conversion& conversion, const Config& config,
                  bool (*is_list)(const FieldRule&)) {
  Value user = Value::with(Value::Kind::object);
  for (UserValue& each : user_values(destination, conversion, config)) {
    const std::string key(each.rule->key);
    // Rules of one key stand together in a table.
    const bool begun = !user.members.empty() && user.members.back().first == key;
    if (!is_list(*each.rule)) {
      if (!begun) user.members.emplace_back(key, Value::of(std::move(each.value)));
      continue;
    }
    if (!begun) user.members.emplace_back(key, Value::with(Value::Kind::list));
    user.members.back().second.list.push_back(Value::of(std::move(each.value)));
  }
  return user;
}

}  // namespace tailrace::destinations
