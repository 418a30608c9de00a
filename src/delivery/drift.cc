#include "delivery/drift.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/grouped.h"

namespace tailrace::delivery {
namespace {

using destinations::Measurement;

constexpr std::int64_t kTooFewToTell = 1'000;  // below it platforms round to nothing

std::string in_words(std::int64_t number) { return grouped(static_cast<std::uint64_t>(number)); }

// What somebody wrote at the platform, fit for a line of text.
std::string shown(const std::string& text) {
  constexpr std::size_t kShownMax = 80;
  std::string line = text.substr(0, kShownMax);
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return line;
}

void compare_text(std::string_view what, const std::string& before, const std::string& now,
                  std::vector<Drift>& drift) {
  if (now.empty() || now == before) return;  // "" is also what is said by a platform that does not say
  drift.push_back({Drift::Kind::edited,
                   fmt::format("its {} is now \"{}\", it was \"{}\"", what, shown(now), shown(before))});
}

// What the platform should hold at least: what it held, less what we have removed since.
std::int64_t expected_size(const Baseline& baseline, std::uint64_t delivered) {
  if (baseline.delivered == 0) return 0;
  const double kept =
      static_cast<double>(std::min(delivered, baseline.delivered)) / static_cast<double>(baseline.delivered);
  return static_cast<std::int64_t>(static_cast<double>(baseline.size) * kept);
}

void take_words(Baseline& baseline, const Measurement& now) {
  if (!now.name.empty()) baseline.name = now.name;
  if (!now.description.empty()) baseline.description = now.description;
  if (now.retention_days) baseline.retention_days = now.retention_days;
  baseline.flag = now.flag;
}

}  // namespace

std::vector<Drift> drift_of(const Baseline& baseline, const Measurement& now, std::uint64_t delivered) {
  using Kind = Drift::Kind;
  if (now.gone)
    return {{Kind::gone, "the platform has no such audience, or does not let us see it any more"}};
  std::vector<Drift> drift;
  if (!now.flag.empty() && now.flag != baseline.flag)
    drift.push_back({Kind::flagged, "the platform says: " + now.flag});
  const auto ours = static_cast<std::int64_t>(delivered);
  const std::int64_t size = now.size.value_or(0);
  if (size > ours + ours / 4 + kTooFewToTell + baseline.strangers) {
    drift.push_back(
        {Kind::foreign, fmt::format("it holds {} people, we have sent {}", in_words(size), in_words(ours))});
  }
  if (!baseline.known) return drift;
  compare_text("name", baseline.name, now.name, drift);
  compare_text("description", baseline.description, now.description, drift);
  if (now.retention_days && baseline.retention_days && *now.retention_days != *baseline.retention_days) {
    drift.push_back({Kind::edited, fmt::format("its members stay {} days, it was {}", *now.retention_days,
                                               *baseline.retention_days)});
  }
  const std::int64_t expected = expected_size(baseline, delivered);
  if (now.size && expected >= kTooFewToTell && size < expected / 2) {
    drift.push_back(
        {Kind::decayed, fmt::format("it holds {} people, {} are expected after what it held before",
                                    in_words(size), in_words(expected))});
  }
  return drift;
}

Baseline adopted(const Baseline& baseline, const Measurement& now, std::uint64_t delivered) {
  Baseline next = baseline;
  next.known = true;
  take_words(next, now);
  next.delivered = delivered;
  next.size = now.size.value_or(0);
  next.strangers = std::max<std::int64_t>(next.size - static_cast<std::int64_t>(delivered), 0);
  return next;
}

Baseline followed(const Baseline& baseline, const Measurement& now, std::uint64_t delivered) {
  Baseline next = baseline;
  next.known = true;
  take_words(next, now);
  const std::int64_t expected = expected_size(baseline, delivered);
  // A slow loss is measured against the best there was, not against the day before.
  if (now.size.value_or(0) >= expected) {
    next.delivered = delivered;
    next.size = now.size.value_or(0);
  } else {
    next.delivered = std::min(delivered, baseline.delivered);
    next.size = expected;
  }
  return next;
}

}  // namespace tailrace::delivery
