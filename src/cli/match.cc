// match: how many people of an audience its platform can know, in three figures that are never one: people
// with an identifier that can be uploaded, identifiers that the platform has accepted, and what it says
// itself.
#include <algorithm>

#include <fmt/format.h>

#include "cli/chart.h"
#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/table.h"
#include "delivery/coverage.h"
#include "server/connections.h"

namespace tailrace::cli {
namespace {

using delivery::Coverage;
using delivery::MatchPoint;

constexpr std::size_t kPeopleAtATime = 5'000;

std::string share(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "";
  return fmt::format(" ({:.1f} %)", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// Everybody who should be in the audience, a slice at a time.
Coverage coverage_of(const Run& run, const delivery::Connection& connection, SyncId sync) {
  auto people = run.core.call([&](engine::Engine& engine) { return engine.members(engine.audience(sync)); });
  std::erase_if(people, [&](PersonId person) { return server::held_out(connection.sync, person); });
  Coverage coverage(connection);
  for (std::size_t first = 0; first < people.size(); first += kPeopleAtATime) {
    const auto some = std::span(people).subspan(first, std::min(kPeopleAtATime, people.size() - first));
    for (const PersonProfile& profile : run.core.profiles(some)) coverage.add(profile);
  }
  return coverage;
}

Table kinds_table(const Coverage& coverage) {
  Table table({"identifier", "used", "people", "identifiers", "more people", "one more of"});
  for (const Coverage::Kind& kind : coverage.kinds()) {
    table.add({Value::of(std::string(to_string(kind.kind))), Value::of(kind.used ? "yes" : "no"),
               number(kind.people), number(kind.identifiers), kind.used ? Value() : number(kind.more_people),
               kind.used ? Value() : number(kind.more_of_people)});
  }
  return table;
}

// What the platform says, and when it said so.
std::string measured_in_words(const delivery::SyncStatus& status, Time now) {
  if (!status.measured) return "the platform has said nothing yet";
  std::string text;
  if (status.measured->size)
    text += fmt::format(
        "size {}", grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(*status.measured->size, 0))));
  if (status.measured->match_rate)
    text +=
        fmt::format("{}match rate {:.0f} %", text.empty() ? "" : ", ", *status.measured->match_rate * 100);
  if (!status.measured->detail.empty())
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", status.measured->detail);
  if (text.empty()) text = "the platform says neither size nor match rate";
  const Millis age{std::max<std::int64_t>((now - status.measured_at).count / kMinute.count, 0) *
                   kMinute.count};
  return fmt::format("{}, {} ago", text, age.count == 0 ? "less than a minute" : in_words(age));
}

// The latest points, drawn; missing values are left out.
template <class Figure>
std::string drawn(std::string_view what, const std::vector<MatchPoint>& points, const Figure& figure) {
  std::vector<std::uint64_t> values;
  Time first, last;
  for (const MatchPoint& point : points) {
    const std::optional<std::uint64_t> value = figure(point);
    if (!value) continue;
    if (values.empty()) first = point.at;
    last = point.at;
    values.push_back(*value);
  }
  if (values.size() < 2) return {};
  return fmt::format("\n{}\n{}", what,
                     chart(values, format_time(first).substr(0, 10), format_time(last).substr(0, 10)));
}

std::string history_in_words(const std::vector<MatchPoint>& points) {
  std::string text = drawn("People with an identifier that can be uploaded", points,
                           [](const MatchPoint& point) { return std::optional(point.usable); });
  text += drawn("Identifiers that the platform has accepted", points,
                [](const MatchPoint& point) { return std::optional(point.identifiers); });
  text += drawn("Size, as the platform says", points, [](const MatchPoint& point) {
    return point.size ? std::optional(static_cast<std::uint64_t>(std::max<std::int64_t>(*point.size, 0)))
                      : std::nullopt;
  });
  text += drawn("Match rate in %, as the platform says", points, [](const MatchPoint& point) {
    return point.match_rate ? std::optional(static_cast<std::uint64_t>(*point.match_rate * 100 + 0.5))
                            : std::nullopt;
  });
  std::string changes;
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].configuration == points[i - 1].configuration) continue;
    changes += fmt::format("  {}  {}\n", format_time(points[i].at).substr(0, 16), points[i].configuration);
  }
  if (!changes.empty()) text += "\nConfigured otherwise\n" + changes;
  return text;
}

Result<void> match(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  const server::Secrets none = [](const workspace::SecretReference&) { return std::string("none"); };
  const auto connections = TRY(server::connect(workspace, none));
  const delivery::Connection& connection = connections[sync.value];
  const Coverage coverage = coverage_of(run, connection, sync);
  if (run.command.format != Format::text) {
    run.console.out(kinds_table(coverage).print(run.command.format));
    return {};
  }
  const auto status = TRY(
      with_delivery(run.core, workspace, [&](delivery::Delivery& delivery) -> Result<delivery::SyncStatus> {
        return delivery.status()[sync.value];
      }));
  const auto points = TRY(run.core.with_ledger(
      [&](delivery::Ledger& ledger) { return ledger.match_points(run.command.sync, kChartColumns); }));

  run.console.out(fmt::format("People       {} in the audience\n", grouped(coverage.people())));
  run.console.out(fmt::format("             {} with an identifier that can be uploaded{}\n",
                              grouped(coverage.usable()), share(coverage.usable(), coverage.people())));
  run.console.out(fmt::format("Identifiers  {} accepted by the platform, of {} members\n",
                              grouped(status.identifiers), grouped(status.delivered)));
  run.console.out(fmt::format("Platform     {}\n\n", measured_in_words(status, run.core.now())));
  run.console.out(kinds_table(coverage).print(Format::text));
  for (const Coverage::Kind& kind : coverage.kinds()) {
    if (kind.used || kind.people == 0) continue;
    run.console.out(
        fmt::format("\nWith {} the sync would reach {} more people, and {} by one more identifier.\n",
                    to_string(kind.kind), grouped(kind.more_people), grouped(kind.more_of_people)));
  }
  if (!coverage.unusable().empty()) run.console.out("\nIdentifiers that cannot be uploaded\n");
  for (const auto& [reason, count] : coverage.unusable())
    run.console.out(fmt::format("  {:>8}  {}\n", grouped(count), reason));
  run.console.out(history_in_words(points));
  return {};
}

}  // namespace

int run_match(const Run& run) {
  const auto said = match(run);
  return said ? kDone : run.fail(said.error());
}

}  // namespace tailrace::cli
