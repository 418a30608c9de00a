#include <filesystem>

#include <fmt/format.h>

#include "cli/command.h"
#include "io/system_clock.h"

namespace tailrace::cli {

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
  return kDone;
}

}  // namespace tailrace::cli
