#include "server/verify.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "io/posix_disk.h"
#include "server/backup/backup.h"

namespace tailrace::cli {
namespace {

int tell(const Result<server::StoreReport>& report, server::Console& console) {
  if (!report) {
    console.err(report.error().message + "\n");
    return exit_code(report.error());
  }
  for (const std::string& fact : report->facts) console.out(fact + "\n");
  for (const auto& problem : report->problems)
    console.err(fmt::format("wrong: {}\n  mend: {}\n", problem.what, problem.mend));
  if (!report->problems.empty()) return kFailed;
  console.out("all is well\n");
  return kDone;
}

}  // namespace

int run_verify(const Run& run) {
  return tell(server::verify_open_store(run.core, [&run] { return run.console.gone(); }), run.console);
}

int run_verify_closed(const std::string& data, server::Console& console) {
  return tell(server::verify_closed_store(*io::posix_disk(), data, [] { return false; }), console);
}

int run_verify_backup(const Command& command, server::Console& console) {
  const auto disk = io::posix_disk();
  const auto problems = server::verify_backup(*disk, command.directory);
  if (!problems) {
    console.err(problems.error().message + "\n");
    return exit_code(problems.error());
  }
  for (const std::string& what : *problems) {
    console.err(fmt::format(
        "wrong: {}\n  mend: use another backup, or make this one anew into another folder\n", what));
  }
  if (!problems->empty()) return kFailed;
  console.out("every file of the backup is as it was written\n");
  return kDone;
}

}  // namespace tailrace::cli
