#include "workspace/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include <fmt/format.h>
#include <unicode/uloc.h>

namespace tailrace::workspace {

namespace {

struct CronField {
  std::string_view name;
  int least;
  int most;
};
constexpr std::array<CronField, 5> kCronFields{{{"minute", 0, 59},
                                                {"hour", 0, 23},
                                                {"day of the month", 1, 31},
                                                {"month", 1, 12},
                                                {"day of the week", 0, 7}}};

constexpr std::array kIdentifierKinds{IdentifierKind::external_id, IdentifierKind::anonymous_id,
                                      IdentifierKind::email,       IdentifierKind::phone,
                                      IdentifierKind::idfa,        IdentifierKind::aaid};

constexpr std::array<std::pair<std::string_view, language::Type>, 6> kTypes{
    {{"string", language::Type::string},
     {"number", language::Type::number},
     {"boolean", language::Type::boolean},
     {"time", language::Type::time},
     {"list", language::Type::list},
     {"any", language::Type::any}}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t next = text.find(separator, at);
    parts.push_back(text.substr(at, next - at));
    if (next == std::string_view::npos) return parts;
    at = next + 1;
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (const std::string_view part : split(text, ' ')) {
    if (!part.empty()) found.push_back(part);
  }
  return found;
}

Result<int> cron_number(std::string_view text, const CronField& field) {
  int number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size() || number < field.least ||
      number > field.most) {
    return invalid(fmt::format("\"{}\" is no {}: a number from {} to {} is needed", text, field.name,
                               field.least, field.most));
  }
  return number;
}

// One element of a field's list: *, 5, 1-5, and these with /step.
Result<void> check_cron_element(std::string_view element, const CronField& field) {
  const std::size_t slash = element.find('/');
  const std::string_view range = element.substr(0, slash);
  if (slash != std::string_view::npos) {
    const int step = TRY(cron_number(element.substr(slash + 1), {field.name, 1, field.most}));
    if (range != "*" && range.find('-') == std::string_view::npos) {
      return invalid(fmt::format("\"{}\": a step (/{}) needs a range or * before it", element, step));
    }
  }
  if (range == "*") return {};
  const std::size_t dash = range.find('-');
  const int first = TRY(cron_number(range.substr(0, dash), field));
  if (dash == std::string_view::npos) return {};
  const int last = TRY(cron_number(range.substr(dash + 1), field));
  if (first > last) return invalid(fmt::format("\"{}\": the range ends before it begins", range));
  return {};
}

Result<void> check_cron(std::span<const std::string_view> fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    for (const std::string_view element : split(fields[i], ','))
      TRY(check_cron_element(element, kCronFields[i]));
  }
  return {};
}

}  // namespace

Result<Cadence> parse_cadence(std::string_view text) {
  const std::vector<std::string_view> parts = words(text);
  Cadence cadence;
  if (parts.size() == 1 && parts[0] == "realtime") return cadence;
  if (parts.size() == 2 && parts[0] == "every") {
    cadence.kind = Cadence::Kind::every;
    cadence.every = TRY(parse_duration(parts[1]));
    if (cadence.every < kMinute)
      return invalid("`every` takes a minute at least; for less there is `realtime`");
    return cadence;
  }
  if (parts.size() == kCronFields.size()) {
    TRY(check_cron(parts));
    cadence.kind = Cadence::Kind::cron;
    cadence.cron = fmt::format("{} {} {} {} {}", parts[0], parts[1], parts[2], parts[3], parts[4]);
    return cadence;
  }
  return invalid(fmt::format(
      "\"{}\" is no cadence: write `realtime`, `every 15m`, or five cron fields such as \"*/15 * * * *\"",
      text));
}

std::string print_cadence(const Cadence& cadence) {
  switch (cadence.kind) {
    case Cadence::Kind::realtime:
      return "realtime";
    case Cadence::Kind::every:
      return "every " + format_duration(cadence.every);
    case Cadence::Kind::cron:
      return cadence.cron;
  }
  return "?";
}

Result<std::uint32_t> parse_share(std::string_view text) {
  constexpr int kDigitsMax = 4;  // a millionth is 0.0001%
  const auto refuse = [&] {
    return invalid(fmt::format(
        "\"{}\" is no share: write 10% or 0.5%, from 0% to below 100%, four decimals at most", text));
  };
  if (!text.ends_with('%')) return refuse();
  const Result<Number> percent = Number::parse(text.substr(0, text.size() - 1));
  if (!percent || *percent < Number::integer(0) || *percent >= Number::integer(100)) return refuse();
  const auto digits = (*percent).as_decimal();
  if (!digits || digits->scale > kDigitsMax) return refuse();
  const auto millionths = (*percent * Number::integer(10'000)).as_decimal();
  return static_cast<std::uint32_t>(millionths->mantissa);
}

bool is_region(std::string_view code) {
  for (const char* const* country = uloc_getISOCountries(); *country != nullptr; ++country) {
    if (code == *country) return true;
  }
  return false;
}

const std::vector<std::string>& warehouse_tables() {
  static const std::vector<std::string> kTables{
      "events",      "people",   "identifiers", "segment_memberships", "audience_deliveries", "rejections",
      "conversions", "messages", "holdouts",    "sync_runs",           "definitions",         "discards"};
  return kTables;
}

std::optional<IdentifierKind> parse_identifier_kind(std::string_view text) {
  for (const IdentifierKind kind : kIdentifierKinds) {
    if (text == to_string(kind)) return kind;
  }
  return std::nullopt;
}

Result<language::Type> parse_type(std::string_view text) {
  for (const auto& [name, type] : kTypes) {
    if (name == text) return type;
  }
  return invalid(fmt::format("\"{}\" is no type", text));
}

std::string_view print_type(language::Type type) {
  for (const auto& [name, candidate] : kTypes) {
    if (candidate == type) return name;
  }
  return "any";
}

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> out;
    for (const auto& [name, type] : kTypes) out.emplace_back(name);
    return out;
  }();
  return kNames;
}

const std::vector<std::string>& identifier_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> out;
    for (const IdentifierKind kind : kIdentifierKinds) out.emplace_back(to_string(kind));
    return out;
  }();
  return kNames;
}

}  // namespace tailrace::workspace
