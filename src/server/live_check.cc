#include "server/live_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "delivery/connector.h"
#include "destinations/audience_destination.h"
#include "destinations/event_destination.h"
#include "destinations/probe.h"

namespace tailrace::server {
namespace {

using destinations::Reply;
using Kind = LiveFinding::Kind;

class DestinationCheck {
 public:
  DestinationCheck(const workspace::DestinationConfig& given, const destinations::Destination& type,
                   destinations::Config config, const LiveReach& reach, Time now,
                   std::vector<LiveFinding>& findings)
      : given_(given),
        type_(type),
        probed_(destinations::probed(type)),
        config_(std::move(config)),
        reach_(reach),
        now_(now),
        findings_(findings) {}

  // False: there is no use in asking for more.
  bool credentials() { return token() && permissions(); }

  void warehouse(const WarehouseConnection& connection) {
    const std::string asked = fmt::format("sync \"{}\"", connection.sync.name);
    if (const auto probed = reach_.probe(connection); !probed) return refused(asked, probed.error());
    note(asked, Kind::fine, "tables can be made and written there");
  }

  void audience(const delivery::Connection& connection) {
    const std::string asked = fmt::format("sync \"{}\"", connection.sync.name);
    const destinations::AudienceDestination& audiences = *connection.destination;
    const destinations::Context context{.config = connection.config, .access_token = token_, .now = now_};
    const std::string& id = connection.sync.audience_id;
    if (!id.empty()) {
      const auto request = audiences.encode_measure(id, context);
      if (!request) return note(asked, Kind::unasked, "its audience cannot be asked about");
      const auto answer = send(asked, *request);
      if (!answer) return;
      const auto measured = audiences.decode_measure(*answer);
      if (!measured) return refused(asked, measured.error());
      if (measured->gone) {
        return note(asked, Kind::problem,
                    fmt::format("there is no audience {}, or these credentials may not see it", id),
                    "write another `audience_id`, or share the audience with the account");
      }
      return note(asked, Kind::fine, fmt::format("the audience {} is there", id));
    }
    const auto request = audiences.encode_find(context, "");
    if (!request) return note(asked, Kind::unasked, "there is nothing to ask without making an audience");
    const auto answer = send(asked, *request);
    if (!answer) return;
    const auto found = audiences.decode_find(*answer, connection.config);
    if (!found) return refused(asked, found.error());
    note(asked, Kind::fine,
         found->audience_id.empty() ? "its account's audiences can be read"
                                    : fmt::format("its audience is there: {}", found->audience_id));
  }

  void events(const delivery::StreamConnection& connection) {
    const std::string asked = fmt::format("sync \"{}\"", connection.stream.name);
    const auto mode = probed_ == nullptr ? std::nullopt : probed_->test_mode();
    if (!mode) {
      if (!has_probe_) note(asked, Kind::unasked, "there is nothing to ask without sending an event");
      return;
    }
    destinations::Config config = connection.config;
    config.settings[std::string(mode->setting)] = mode->value;
    const destinations::EventDestination& events = *connection.destination;
    const auto event = destinations::test_event(events, {config, now_});
    if (!event)
      return note(asked, Kind::unasked, fmt::format("no test event can be made: {}", event.error().reason));
    const auto answer =
        send(asked, events.encode({&*event, 1}, {.config = config, .access_token = token_, .now = now_}));
    if (!answer) return;
    const Reply reply = events.decode(1, *answer);
    switch (reply.verdict) {
      case Reply::Verdict::done:
        if (!reply.outcomes.empty() && reply.outcomes.front().kind == destinations::Outcome::Kind::rejected) {
          return note(asked, Kind::problem,
                      fmt::format("a test event is refused: {}", reply.outcomes.front().reason), "");
        }
        return note(asked, Kind::fine, "a test event is taken, and not counted");
      case Reply::Verdict::retry:
        return note(asked, Kind::unreachable, delivery::with_code(reply));
      case Reply::Verdict::split:
      case Reply::Verdict::reauthorise:
      case Reply::Verdict::stop:
        return refused(asked, {.code = Error::Code::invalid_argument, .message = delivery::with_code(reply)});
    }
  }

 private:
  bool token() {
    const auto request = type_.encode_token(config_, now_);
    if (!request) return true;
    const auto answer = send("token", *request);
    if (!answer) return false;
    auto token = type_.decode_token(*answer, now_);
    if (!token) {
      refused("token", token.error());
      return false;
    }
    token_ = std::move(token->value);
    note("token", Kind::fine, "an access token is given");
    return true;
  }

  bool permissions() {
    const auto request =
        probed_ == nullptr ? std::nullopt
                           : probed_->encode_probe({.config = config_, .access_token = token_, .now = now_});
    if (!request) return true;
    has_probe_ = true;
    const auto answer = send("permissions", *request);
    if (!answer) return false;
    const auto standing = probed_->decode_probe(*answer);
    if (!standing) {
      refused("permissions", standing.error());
      return false;
    }
    if (!standing->missing.empty()) {
      std::string missing;
      for (const std::string& each : standing->missing) missing += (missing.empty() ? "" : ", ") + each;
      note("permissions", Kind::problem, fmt::format("the credentials lack {}", missing), needs());
      return false;
    }
    note("permissions", Kind::fine, "the credentials may do what is needed");
    findings_.back().ends_at = standing->ends_at;
    return true;
  }

  std::optional<HttpResponse> send(const std::string& asked, HttpRequest request) {
    auto answer = reach_.exchange(
        std::move(request), {.private_addresses = given_.allow_private_addresses, .ca_file = given_.ca_file});
    if (answer) return std::move(*answer);
    note(asked, Kind::unreachable, answer.error().message);
    return std::nullopt;
  }

  void refused(const std::string& asked, const Error& error) {
    const bool later = error.code == Error::Code::unavailable;
    note(asked, later ? Kind::unreachable : Kind::problem, error.message, later ? "" : needs());
  }

  std::string needs() const {
    if (probed_ == nullptr) return "look at the credentials of this destination";
    return fmt::format("they need {}", probed_->permissions());
  }

  void note(std::string asked, Kind kind, std::string text, std::string mend = {}) {
    findings_.push_back({.destination = given_.name,
                         .asked = std::move(asked),
                         .kind = kind,
                         .text = std::move(text),
                         .mend = std::move(mend),
                         .ends_at = std::nullopt});
  }

  const workspace::DestinationConfig& given_;
  const destinations::Destination& type_;
  const destinations::Probed* probed_;
  destinations::Config config_;
  const LiveReach& reach_;
  Time now_;
  std::vector<LiveFinding>& findings_;
  std::string token_;
  bool has_probe_ = false;
};

// Without the values that cannot be had, each of which is a finding.
std::map<std::string, std::string> values_of(const workspace::DestinationConfig& destination,
                                             const Secrets& secrets, std::vector<LiveFinding>& findings) {
  std::map<std::string, std::string> values;
  for (const auto& [name, reference] : destination.credentials) {
    auto value = secrets(reference);
    if (value) {
      values[name] = std::move(*value);
      continue;
    }
    findings.push_back({.destination = destination.name,
                        .asked = "credentials",
                        .kind = Kind::problem,
                        .text = fmt::format("`{}`: {}", name, value.error().message),
                        .mend = "set it where this command and `tailrace serve` run",
                        .ends_at = std::nullopt});
  }
  return values;
}

}  // namespace

Result<std::vector<LiveFinding>> check_live(const workspace::Workspace& workspace, const std::string& folder,
                                            const Secrets& secrets, const LiveReach& reach, Time now) {
  std::vector<LiveFinding> findings;
  // What cannot be had is told of its destination, and must not keep the others from being asked.
  const Secrets lenient = [&](const workspace::SecretReference& reference) {
    return secrets(reference).value_or(std::string());
  };
  const auto connections = TRY(connect(workspace, lenient));
  const auto streams = TRY(connect_streams(workspace, lenient));
  for (const auto& given : workspace.destinations) {
    const destinations::Destination* type = destinations::find(given.type);
    if (type == nullptr)
      return invalid(
          fmt::format("destination \"{}\": this version knows no type \"{}\"", given.name, given.type));
    const std::size_t before = findings.size();
    destinations::Config config;
    destinations::fill_defaults(*type, config);
    for (const auto& [name, value] : given.settings) config.settings[name] = value;
    config.secrets = values_of(given, secrets, findings);
    if (findings.size() > before) continue;
    DestinationCheck check(given, *type, std::move(config), reach, now, findings);
    if (!check.credentials()) continue;
    for (const auto& connection : connections) {
      if (connection.sync.destination == given.name && !connection.sync.is_retired())
        check.audience(connection);
    }
    for (const auto& connection : streams) {
      if (connection.stream.destination == given.name && !connection.stream.is_retired())
        check.events(connection);
    }
    for (const auto& sync : workspace.warehouses) {
      if (sync.destination == given.name)
        check.warehouse(TRY(connect_warehouse(workspace, sync, secrets, folder)));
    }
  }
  return findings;
}

}  // namespace tailrace::server
