#include <filesystem>
#include <future>

#include <fmt/format.h>

#include "cli/command.h"
#include "io/http_client.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "server/live_check.h"
#include "server/warehouse_transport.h"

namespace tailrace::cli {
namespace {

std::string_view word(server::LiveFinding::Kind kind) {
  switch (kind) {
    case server::LiveFinding::Kind::fine:
      return "ok";
    case server::LiveFinding::Kind::unasked:
      return "not asked";
    case server::LiveFinding::Kind::problem:
      return "PROBLEM";
    case server::LiveFinding::Kind::unreachable:
      return "no answer";
  }
  return "?";
}

int check_platforms(const workspace::Workspace& workspace, const std::string& folder,
                    server::Console& console) {
  auto client = io::HttpClient::start({});
  if (!client) {
    console.err(client.error().message + "\n");
    return kFailed;
  }
  const auto disk = io::posix_disk();
  const auto beside = [&](HttpReach reach) {
    if (!reach.ca_file.empty() && !reach.ca_file.starts_with('/'))
      reach.ca_file = folder + "/" + reach.ca_file;
    return reach;
  };
  server::LiveReach outside;
  outside.exchange = [&](HttpRequest request, const HttpReach& reach) {
    std::promise<Result<HttpResponse>> answered;
    (*client)->send(std::move(request), beside(reach),
                    [&](Result<HttpResponse> answer) { answered.set_value(std::move(answer)); });
    return answered.get_future().get();
  };
  outside.probe = [&](const server::WarehouseConnection& connection) {
    server::WarehouseTransport transport(
        **client, *disk, {.reach = beside(connection.reach), .now = io::system_now, .read_csv = {}});
    return connection.destination->probe(connection.config, transport);
  };
  const auto found =
      server::check_live(workspace, folder, server::secrets_of(folder), outside, io::system_now());
  if (!found) {
    console.err(found.error().message + "\n");
    return kInvalid;
  }
  bool any_problem = false;
  bool any_unreachable = false;
  std::string destination;
  for (const server::LiveFinding& finding : *found) {
    if (finding.destination != destination) console.out("\n" + finding.destination + "\n");
    destination = finding.destination;
    console.out(
        fmt::format("  {:<9}  {}: {}{}\n", word(finding.kind), finding.asked, finding.text,
                    finding.ends_at ? "; they end on " + format_time(*finding.ends_at).substr(0, 10) : ""));
    if (!finding.mend.empty()) console.out(fmt::format("             {}\n", finding.mend));
    any_problem = any_problem || finding.kind == server::LiveFinding::Kind::problem;
    any_unreachable = any_unreachable || finding.kind == server::LiveFinding::Kind::unreachable;
  }
  return any_problem ? kInvalid : any_unreachable ? kUnavailable : kDone;
}

}  // namespace

int run_check(const Command& command, server::Console& console) {
  if (!std::filesystem::is_directory(command.workspace)) {
    console.err(fmt::format("there is no folder {}: `tailrace init {}` writes a workspace\n",
                            command.workspace, command.workspace));
    return kNotFound;
  }
  const auto loaded = workspace::load(command.workspace, io::system_now());
  std::size_t errors = 0;
  for (const auto& problem : loaded.problems) {
    errors += problem.problem.severity == language::Problem::Severity::error;
    console.err(workspace::render(command.workspace, problem) + "\n");
  }
  if (!loaded.ok()) {
    console.err(fmt::format("{} error{}\n", errors, errors == 1 ? "" : "s"));
    return kInvalid;
  }
  const auto& workspace = loaded.workspace;
  console.out(fmt::format(
      "{} is well: {} events, {} attributes, {} segments, {} syncs to {} destinations{}\n", command.workspace,
      workspace.taxonomy.events.size(), workspace.attributes.size(), workspace.segments.size(),
      workspace.syncs.size() + workspace.streams.size() + workspace.warehouses.size(),
      workspace.destinations.size(),
      loaded.problems.empty()
          ? ""
          : fmt::format("; {} warning{}", loaded.problems.size(), loaded.problems.size() == 1 ? "" : "s")));
  return command.live ? check_platforms(workspace, command.workspace, console) : kDone;
}

}  // namespace tailrace::cli
