#include <filesystem>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/table.h"
#include "delivery/ledger.h"
#include "io/posix_disk.h"
#include "server/backup/of_store.h"
#include "server/backup/restore.h"

namespace tailrace::cli {
namespace {

std::string size_in_words(std::uint64_t bytes) {
  if (bytes < 1'000'000) return fmt::format("{} kB", (bytes + 999) / 1000);
  if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::string files_in_words(std::uint64_t count) { return grouped(count) + (count == 1 ? " file" : " files"); }

// A ledger that was brought back must not give out ids of batches that platforms have seen since.
Result<void> ready_ledger(const std::string& directory) {
  return TRY(delivery::Ledger::open(directory))
  ->skip_batch_ids();
}

Result<server::RestoreReport> restore(const Command& command, const std::string& directory) {
  const auto disk = io::posix_disk();
  std::vector<server::Deletions> deletions;
  if (!command.deletions.empty()) deletions.push_back(TRY(server::read_deletions(*disk, command.deletions)));
  return server::restore_backup(*disk, command.directory, directory, deletions, ready_ledger);
}

}  // namespace

int run_backup(const Run& run) {
  const auto report =
      server::back_up(run.core, run.path(run.command.directory), [&run] { return run.console.gone(); });
  if (!report) return run.fail(report.error());
  if (!report->note.empty()) run.console.err("note: " + report->note + "\n");
  run.console.out(fmt::format("{} records in {}, {}: {} with {} copied, {} removed\n",
                              grouped(report->records), files_in_words(report->files),
                              size_in_words(report->bytes), files_in_words(report->copied_files),
                              size_in_words(report->copied_bytes), files_in_words(report->removed_files)));
  if (report->tombstones > 0) {
    run.console.out(fmt::format(
        "{} records of deleted people are listed in {}/deletions, for restoring copies from before\n",
        grouped(report->tombstones), run.command.directory));
  }
  return kDone;
}

int run_restore(const Command& command, server::Console& console) {
  const std::string data = command.data.empty() ? command.workspace + "/.tailrace" : command.data;
  const auto report = restore(command, data);
  if (!report) {
    console.err(report.error().message + "\n");
    return exit_code(report.error());
  }
  console.out(fmt::format("{} holds {} records, {}, as of {}\n", data, grouped(report->manifest.records),
                          size_in_words(report->bytes), format_time(report->manifest.made)));
  if (report->deleted_records > 0) {
    console.out(fmt::format("{} records of people deleted since then were removed from it\n",
                            grouped(report->deleted_records)));
  } else if (command.deletions.empty()) {
    console.out(
        "people deleted after that are in it again, unless --deletions names the list of a later backup\n");
  }
  return kDone;
}

}  // namespace tailrace::cli
