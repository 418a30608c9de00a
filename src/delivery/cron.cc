#include "delivery/cron.h"

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/http.h"

namespace tailrace::delivery {
namespace {

constexpr std::int64_t kDayMillis = kDay.count;
constexpr int kDaysSearched = 366 * 41;  // 29 February on a given weekday comes at least once in 40 years

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  unsigned first;
  unsigned last;
  std::span<const std::string_view> names;  // names[i] is first + i
};
constexpr std::array<Field, 5> kFields{{{"minute", 0, 59, {}},
                                        {"hour", 0, 23, {}},
                                        {"day of the month", 1, 31, {}},
                                        {"month", 1, 12, kMonths},
                                        {"day of the week", 0, 7, kWeekdays}}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> value_of(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (equal_ignoring_case(field.names[i], text)) return field.first + static_cast<unsigned>(i);
  }
  const auto value = number(text);
  return value && *value >= field.first && *value <= field.last ? value : std::nullopt;
}

// One element of a list: `*`, `5`, `1-5`, each perhaps with `/step`. False where it is none.
template <std::size_t N>
bool add_element(const Field& field, std::string_view element, std::bitset<N>& out) {
  const std::size_t slash = element.find('/');
  const std::string_view range = element.substr(0, slash);
  unsigned step = 1;
  if (slash != std::string_view::npos) {
    const auto parsed = number(element.substr(slash + 1));
    if (!parsed || *parsed == 0) return false;
    step = *parsed;
  }
  unsigned first = field.first, last = field.last;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto low = value_of(field, range.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : value_of(field, range.substr(dash + 1));
    if (!low || !high || *low > *high) return false;
    first = *low;
    // `5/15` means from 5 on.
    last = dash == std::string_view::npos && slash != std::string_view::npos ? field.last : *high;
  }
  for (unsigned value = first; value <= last; value += step) out.set(value);
  return true;
}

template <std::size_t N>
Result<std::bitset<N>> parse_field(const Field& field, std::string_view text, std::string_view whole) {
  std::bitset<N> out;
  for (const std::string_view element : split(text, ',')) {
    if (!add_element(field, element, out)) {
      return invalid(
          fmt::format("cron `{}`: `{}` is no {}; write {} to {}, `*`, a range `1-5`, a list `1,3` "
                      "or a step `*/2`",
                      whole, element, field.name, field.first, field.last));
    }
  }
  return out;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) found.push_back(word);
  }
  return found;
}

// The number of the day (since 1970-01-01) that the wall clock shows at t, and the instant that day began.
struct LocalDay {
  std::int64_t day;
  Time start;
};
LocalDay local_day(const Zone& zone, Time t) {
  const Time start = zone.start_of(Zone::Unit::day, t);
  const std::int64_t utc_day =
      start.ms >= 0 ? start.ms / kDayMillis : (start.ms - kDayMillis + 1) / kDayMillis;
  for (std::int64_t day = utc_day - 1; day <= utc_day + 1; ++day) {
    if (zone.from_local(Time{day * kDayMillis}) == start) return {day, start};
  }
  TR_ASSERT(false && "no local day begins where the zone says one begins");
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  const auto parts = words(text.substr(0, 256));
  if (parts.size() != kFields.size()) {
    return invalid(
        fmt::format("cron `{}` has {} fields; write five: minute, hour, day of the month, month, day "
                    "of the week, such as `0 6 * * mon-fri`",
                    text.substr(0, 64), parts.size()));
  }
  Cron cron;
  cron.minutes_ = TRY(parse_field<60>(kFields[0], parts[0], text));
  cron.hours_ = TRY(parse_field<24>(kFields[1], parts[1], text));
  cron.days_ = TRY(parse_field<32>(kFields[2], parts[2], text));
  cron.months_ = TRY(parse_field<13>(kFields[3], parts[3], text));
  cron.weekdays_ = TRY(parse_field<8>(kFields[4], parts[4], text));
  if (cron.weekdays_[7]) cron.weekdays_.set(0);
  cron.any_day_ = parts[2].starts_with('*');
  cron.any_weekday_ = parts[4].starts_with('*');
  // 2000 is a leap year: a day that it does not have never comes.
  const std::int64_t start = 10'957;
  for (std::int64_t day = start; day < start + 366; ++day) {
    const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
    const bool day_comes = cron.days_[static_cast<unsigned>(date.day())];
    if (cron.months_[static_cast<unsigned>(date.month())] && (day_comes || !cron.any_weekday_)) return cron;
  }
  return invalid(
      fmt::format("cron `{}`: that day never comes; mend the day of the month or the month", text));
}

bool Cron::matches_day(std::int64_t local_day_number) const {
  const std::chrono::sys_days day{std::chrono::days{local_day_number}};
  const std::chrono::year_month_day date{day};
  if (!months_[static_cast<unsigned>(date.month())]) return false;
  const bool by_day = days_[static_cast<unsigned>(date.day())];
  const bool by_weekday = weekdays_[std::chrono::weekday{day}.c_encoding()];
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

Time Cron::next_after(Time t, const Zone& zone) const {
  const LocalDay today = local_day(zone, t);
  // The wall clock may differ from the time since midnight by a change of the clocks, at most two hours.
  const std::int64_t elapsed = (t - today.start).count - 2 * kHour.count;
  for (std::int64_t ahead = 0; ahead < kDaysSearched; ++ahead) {
    if (!matches_day(today.day + ahead)) continue;
    for (std::int64_t minute = 0; minute < 24 * 60; ++minute) {
      if (!hours_[static_cast<std::size_t>(minute / 60)] || !minutes_[static_cast<std::size_t>(minute % 60)])
        continue;
      const std::int64_t wall = minute * kMinute.count;
      if (ahead == 0 && wall < elapsed) continue;
      const Time at = zone.from_local(Time{(today.day + ahead) * kDayMillis + wall});
      if (at > t) return at;
    }
  }
  return kNever;
}

}  // namespace tailrace::delivery
