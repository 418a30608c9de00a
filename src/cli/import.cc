// tailrace import: files into the log, exactly once per line for ever. What an import has done is what the
// log holds of it: each line that is not blank became one record (good or rejected) whose source names the
// file by its content, so a resume skips as many lines as the log has records of that source.
#include <chrono>
#include <fstream>
#include <mutex>

#include <fmt/format.h>

#include "base/hash.h"
#include "cli/command.h"
#include "cli/table.h"
#include "model/record.h"
#include "sources/messages.h"
#include "sources/segment.h"

namespace tailrace::cli {
namespace {

constexpr std::size_t kBatchRecords = 2'000;
constexpr std::size_t kBatchBytes = 4u << 20;
constexpr std::size_t kRejectedTextMax = 4'096;

// import:<file's name>#<hash of its content>@<shift in ms>
struct Source {
  std::string base;  // up to the '@'
  Millis shift;
  std::string text() const { return fmt::format("{}@{}", base, shift.count); }
};

Result<std::string> content_hash(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Error::Code::not_found, fmt::format("cannot read {}", path));
  std::string digest;
  std::string block(1 << 20, '\0');
  // A chain of digests, block by block: the file need not fit in memory.
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    digest = sha256_hex(digest + block.substr(0, static_cast<std::size_t>(file.gcount())));
  }
  return digest.substr(0, 16);
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

struct File {
  std::string path;
  Source source;
  std::uint64_t done = 0;  // records in the log
  bool known = false;
};

class Progress {
 public:
  Progress(server::Console& console, std::uint64_t bytes_total)
      : console_(console), bytes_total_(bytes_total) {}
  void report(std::uint64_t bytes, std::uint64_t records, bool last) {
    const auto now = std::chrono::steady_clock::now();
    const auto pause = console_.terminal() ? std::chrono::milliseconds(200) : std::chrono::seconds(2);
    if (!last && now - shown_ < pause) return;
    shown_ = now;
    const double seconds = std::max(0.001, std::chrono::duration<double>(now - begin_).count());
    const double share =
        bytes_total_ == 0 ? 1 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(bytes_total_));
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(records) / seconds);
    std::string line =
        fmt::format("{:3.0f} %  {} records  {}/s", share * 100, grouped(records), grouped(rate));
    if (!last && share > 0.01) line += fmt::format("  {:.0f} s left", seconds / share - seconds);
    if (console_.terminal()) {
      const auto filled = static_cast<std::size_t>(share * 30);
      console_.err(fmt::format("\r[{}{}] {}\x1b[K{}", std::string(filled, '='), std::string(30 - filled, ' '),
                               line, last ? "\n" : ""));
    } else {
      console_.err(line + "\n");
    }
  }

 private:
  server::Console& console_;
  std::uint64_t bytes_total_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_{};
};

// One message as one record, whatever is wrong with it.
Result<sources::RawRecords> to_record(const File& file, const sources::Message& message, Time now) {
  const std::string source = file.source.text();
  const std::string place = fmt::format("{} line {}", base_name(file.path), message.line);
  const std::string id =
      fmt::format("{}:{}:", file.source.base.substr(file.source.base.find('#') + 1), message.line);
  std::string problem = message.problem;
  if (problem.empty()) {
    auto records = sources::read_segment(message.json,
                                         {.call = sources::SegmentCall::any,
                                          .source = source,
                                          .now = now,
                                          .entropy = 0,
                                          .correct_clock_skew = false,
                                          .default_message_id_prefix = id},
                                         {});
    if (records && records->rejected == 0) return records;
    problem = records ? records->reasons.front() : records.error().message;
  }
  sources::RawRecords rejected;
  const std::string reason = fmt::format("{}: {}", place, problem);
  TRY(encode_record({.kind = RecordKind::rejected,
                     .received_at = {},
                     .time = now,
                     .source = source,
                     .message_id = id,
                     .user_id = {},
                     .anonymous_id = {},
                     .previous_id = {},
                     .group_id = {},
                     .event = {},
                     .payload = std::string_view(message.json).substr(0, kRejectedTextMax),
                     .context = {},
                     .reason = reason},
                    rejected.bytes));
  rejected.ends.push_back(static_cast<std::uint32_t>(rejected.bytes.size()));
  rejected.rejected = 1;
  return rejected;
}

Result<Time> newest_time(const Run& run, const std::vector<File>& files) {
  Time newest = kForeverAgo;
  for (const File& file : files) {
    const auto reader = TRY(sources::MessageReader::open(file.path, run.path(run.command.mapping)));
    sources::Message message;
    while (TRY(reader->next(message))) {
      const auto record = TRY(to_record(file, message, kForeverAgo));
      if (record.rejected == 0) newest = std::max(newest, TRY(decode_record(record.at(0))).time);
    }
  }
  if (newest == kForeverAgo) return invalid("no message in the files has a timestamp to shift");
  return newest;
}

// Finds what the log holds of each file, and settles the shift.
Result<std::vector<File>> find_files(const Run& run) {
  const auto imports = run.core.call([](engine::Engine& engine) { return engine.imports(); });
  std::vector<File> files;
  std::optional<Millis> known_shift;
  for (const std::string& name : run.command.files) {
    File file{.path = run.path(name), .source = {}, .done = 0, .known = false};
    file.source.base = fmt::format("import:{}#{}", base_name(file.path), TRY(content_hash(file.path)));
    const std::string content = file.source.base.substr(file.source.base.find('#'));
    for (const auto& [source, records] : imports) {
      const std::size_t at = source.rfind('@');
      const std::size_t hash = source.find('#');
      if (hash == std::string::npos || at == std::string::npos || source.substr(hash, at - hash) != content)
        continue;
      // The content counts, not the name: a renamed copy is the same file.
      file.source = {.base = source.substr(0, at), .shift = {std::stoll(source.substr(at + 1))}};
      file.done = records;
      file.known = true;
      if (known_shift && *known_shift != file.source.shift) {
        return fail(Error::Code::conflict,
                    "the files were imported before, with different shifts; import them one by one");
      }
      known_shift = file.source.shift;
    }
    files.push_back(std::move(file));
  }
  Millis shift = known_shift.value_or(Millis{0});
  if (!run.command.shift_to.empty()) {
    const Millis wanted = TRY(parse_time(run.command.shift_to))
    -TRY(newest_time(run, files));
    if (known_shift && wanted != *known_shift) {
      return fail(Error::Code::conflict,
                  fmt::format("these files were imported before with a shift of {} ms, and --shift-to {} "
                              "would be {} ms; leave it out to go on "
                              "with the first",
                              known_shift->count, run.command.shift_to, wanted.count));
    }
    shift = wanted;
  }
  for (File& file : files) file.source.shift = shift;
  return files;
}

struct Totals {
  std::uint64_t records = 0, rejected = 0, skipped = 0;
};

Result<void> import_file(const Run& run, const File& file, std::uint64_t& bytes_before, Totals& totals,
                         Progress& progress) {
  const auto reader = TRY(sources::MessageReader::open(file.path, run.path(run.command.mapping)));
  std::string bytes;
  std::vector<std::uint32_t> ends;
  const auto flush = [&]() -> Result<void> {
    if (ends.empty()) return {};
    totals.records += ends.size();
    TRY(run.core.submit_and_wait(std::move(bytes), std::move(ends)));
    bytes.clear();
    ends.clear();
    progress.report(bytes_before + reader->bytes_read(), totals.records, false);
    return {};
  };
  sources::Message message;
  for (std::uint64_t index = 0; TRY(reader->next(message)); ++index) {
    if (run.console.gone()) break;
    if (index < file.done) {
      ++totals.skipped;
      continue;
    }
    const auto record = TRY(to_record(file, message, run.core.now()));
    const std::size_t begin = bytes.size();
    bytes += record.bytes;
    if (record.rejected == 0) shift_time(bytes, begin, file.source.shift);
    ends.push_back(static_cast<std::uint32_t>(bytes.size()));
    totals.rejected += record.rejected;
    if (ends.size() >= kBatchRecords || bytes.size() >= kBatchBytes) TRY(flush());
  }
  TRY(flush());
  bytes_before += reader->bytes_total();
  return {};
}

Result<Totals> import_all(const Run& run) {
  const std::lock_guard one_at_a_time(run.core.one_import());
  const auto files = TRY(find_files(run));
  if (!run.command.now.empty()) {
    const Time now = TRY(parse_time(run.command.now));
    const Time last = run.core.store().log().last_received_at();
    if (now < last) {
      return invalid(fmt::format("--now {} is earlier than the log's last record, of {}", format_time(now),
                                 format_time(last)));
    }
    run.core.pin_clock(now);
  }
  struct Unpin {
    server::Core& core;
    ~Unpin() { core.pin_clock(std::nullopt); }
  } const unpin{run.core};

  std::uint64_t bytes_total = 0;
  for (const File& file : files)
    bytes_total += TRY(sources::MessageReader::open(file.path, run.path(run.command.mapping)))
  ->bytes_total();
  if (files.front().source.shift.count != 0) {
    run.console.err(fmt::format(
        "event times are moved by {:.2f} days, so that the newest falls on the instant asked for\n",
        static_cast<double>(files.front().source.shift.count) / static_cast<double>(kDay.count)));
  }
  Progress progress(run.console, bytes_total);
  Totals totals;
  std::uint64_t bytes_before = 0;
  for (const File& file : files) {
    TRY(import_file(run, file, bytes_before, totals, progress));
  }
  // Applied too, so that what comes after sees it.
  run.core.call([](engine::Engine&) { return true; });
  progress.report(bytes_before, totals.records, true);
  return totals;
}

}  // namespace

int run_import(const Run& run) {
  const auto totals = import_all(run);
  if (!totals) return run.fail(totals.error());
  const auto counts = run.core.call([](engine::Engine& engine) { return engine.counts(); });
  const auto number = [](std::uint64_t value) {
    return Value::of(Number::integer(static_cast<std::int64_t>(value)));
  };
  Table table({"imported", "rejected", "imported before", "people", "events", "duplicates", "quarantined"});
  table.add({number(totals->records), number(totals->rejected), number(totals->skipped),
             number(counts.people), number(counts.events), number(counts.duplicates),
             number(counts.quarantined)});
  run.console.out(table.print(run.command.format));
  return kDone;
}

}  // namespace tailrace::cli
