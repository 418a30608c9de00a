// tailrace source: the runs of a source that is asked; a run now; what a run would take.
#include "cli/source.h"

#include <fmt/format.h>

#include "cli/table.h"
#include "model/json.h"
#include "model/record.h"
#include "server/queries/queries.h"

namespace tailrace::cli {
namespace {

using server::PastRun;
using server::QueryRun;
using server::QueryStatus;

constexpr std::size_t kPreviewRecords = 20;

Value number(std::uint64_t value) { return Value::of(Number::integer(static_cast<std::int64_t>(value))); }

std::string_view name_of(sources::RowsAs rows) {
  switch (rows) {
    case sources::RowsAs::people:
      return "people";
    case sources::RowsAs::events:
      return "events";
    case sources::RowsAs::members:
      break;
  }
  return "members";
}

std::string outcome_of(const PastRun& run) {
  if (run.outcome == PastRun::Outcome::done) return "done";
  std::string words =
      fmt::format("{}: {}", run.outcome == PastRun::Outcome::held ? "held" : "failed", run.reason);
  if (run.repeats > 0) words += fmt::format(" ({} times before)", run.repeats);
  return words;
}

std::vector<Value> counts_of(const sources::RowCounts& counts) {
  return {number(counts.rows),      number(counts.added),    number(counts.changed),  number(counts.gone),
          number(counts.unchanged), number(counts.rejected), number(counts.ambiguous)};
}

std::vector<std::string> with_counts(std::vector<std::string> before, const std::string& after) {
  for (const char* name : {"rows", "added", "changed", "gone", "unchanged", "rejected", "ambiguous"})
    before.emplace_back(name);
  if (!after.empty()) before.push_back(after);
  return before;
}

std::string history(const Run& run, const server::QueryState& state) {
  Table table(with_counts({"began", "seconds"}, "outcome"));
  for (const PastRun& past : state.runs) {
    std::vector<Value> row{Value::of(format_time(past.began_at)),
                           Value::of(Number::decimal((past.ended_at - past.began_at).count, 3))};
    for (Value& value : counts_of(past.counts)) row.push_back(std::move(value));
    row.push_back(Value::of(outcome_of(past)));
    table.add(std::move(row));
  }
  return table.print(run.command.format);
}

std::string in_words(const PastRun& run) {
  const auto& counts = run.counts;
  std::string words = fmt::format("{} rows: {} added, {} changed, {} gone, {} unchanged, {} rejected\n",
                                  grouped(counts.rows), grouped(counts.added), grouped(counts.changed),
                                  grouped(counts.gone), grouped(counts.unchanged), grouped(counts.rejected));
  if (counts.ambiguous > 0) {
    words += fmt::format("{} keys stand in several rows that differ; what was known of them stays\n",
                         grouped(counts.ambiguous));
  }
  return words;
}

// A record as the call that would have made it.
Result<std::string> call_of(const std::string& bytes) {
  const RecordView record = TRY(decode_record(bytes));
  std::string line;
  const auto add = [&](std::string_view name, std::string_view text, bool is_json = false) {
    if (text.empty()) return;
    line += line.empty() ? "{" : ",";
    append_json_string(line, name);
    line += ':';
    if (is_json) {
      line += text;
    } else {
      append_json_string(line, text);
    }
  };
  const bool is_event = record.kind == RecordKind::track;
  if (record.kind == RecordKind::rejected) {
    add("rejected", record.reason);
    add("row", record.payload, true);
    return line + "}\n";
  }
  add("type", is_event ? "track" : "identify");
  add("messageId", record.message_id);
  add("timestamp", format_time(record.time));
  add("userId", record.user_id);
  add("anonymousId", record.anonymous_id);
  add("event", record.event);
  add(is_event ? "properties" : "traits", record.payload, true);
  add("context", record.context, true);
  return line + "}\n";
}

Result<std::string> preview(const Run& run) {
  const auto workspace = TRY(load_folder(run.path(run.command.workspace)));
  const auto* source = workspace.find_query_source(run.command.source);
  if (source == nullptr)
    return fail(Error::Code::not_found,
                fmt::format("there is no source \"{}\" in sources/", run.command.source));
  const auto seen = TRY(server::preview_query(run.core, workspace, *source, kPreviewRecords));
  std::string calls;
  for (const std::string& record : seen.records) calls += TRY(call_of(record));
  if (run.command.format != Format::text) return calls;
  std::string words = in_words({.began_at = {}, .ended_at = {}, .reason = {}, .counts = seen.counts});
  if (!seen.held.empty()) words += fmt::format("It would be held: {}\n", seen.held);
  if (seen.records.size() < seen.counts.records)
    words += fmt::format("The first {} of {} records:\n", seen.records.size(), grouped(seen.counts.records));
  return words + calls;
}

Result<std::string> ask_now(const Run& run) {
  const auto held = run.command.released ? QueryRun::Held::released : QueryRun::Held::by_guards;
  const auto ended =
      run.core.queries() != nullptr ? TRY(run.core.queries()->run_now(run.command.source, held))
          : TRY(server::run_resting(run.core, TRY(applied_workspace(run.core)), run.command.source, held));
          // Applied too, so that what comes after sees it.
          run.core.call([](engine::Engine&) { return true; });
          if (ended.outcome == PastRun::Outcome::held) {
            return fail(
                Error::Code::conflict,
                fmt::format("{}\nNothing was taken; `tailrace source {} --release` takes it as it is.",
                            outcome_of(ended), run.command.source));
          }
          return in_words(ended);
}

Result<std::string> act(const Run& run) {
  if (run.command.preview) return preview(run);
  if (run.command.once || run.command.released) return ask_now(run);
  const auto workspace = TRY(applied_workspace(run.core));
  const auto* source = workspace.find_query_source(run.command.source);
  if (source == nullptr)
    return fail(Error::Code::not_found,
                fmt::format("there is no source \"{}\" that is asked", run.command.source));
  return history(run, TRY(server::query_run(run.core, workspace, *source).state()));
}

}  // namespace

int run_source(const Run& run) {
  const auto text = act(run);
  if (!text) return run.fail(text.error());
  run.console.out(*text);
  return kDone;
}

Result<std::string> source_status(const Run& run, const workspace::Workspace& workspace) {
  if (workspace.query_sources.empty()) return std::string();
  auto* running = run.core.queries();
  const auto all = running != nullptr ? TRY(running->status()) : TRY(server::resting_query_status(run.core, workspace));
  Table table(with_counts({"source", "database", "gives", "last run"}, "next run"));
  std::string states;
  for (const QueryStatus& one : all) {
    const bool has_run = !one.state.runs.empty();
    const PastRun last = has_run ? one.state.runs.back() : PastRun{};
    std::vector<Value> row{Value::of(one.source), Value::of(one.type),
                           Value::of(std::string(name_of(one.rows))),
                           has_run ? Value::of(format_time(last.ended_at)) : Value()};
    for (Value& value : counts_of(last.counts)) row.push_back(std::move(value));
    row.push_back(one.next_at ? Value::of(format_time(*one.next_at)) : Value());
    table.add(std::move(row));
    if (one.doing != "idle") states += fmt::format("  {}: {}\n", one.source, one.doing);
  }
  return table.print(run.command.format) + states;
}

Result<std::string> pause_source(const Run& run, const workspace::Workspace& workspace, bool paused) {
  const std::string& name = run.command.sync;
  if (auto* running = run.core.queries()) {
    TRY(running->set_paused(name, paused));
  } else {
    auto source = server::query_run(run.core, workspace, *workspace.find_query_source(name));
    TRY(source.set_paused(paused));
  }
  return paused ? fmt::format("\"{}\" is paused, and is not asked.\n", name)
                : fmt::format("\"{}\" is asked again.\n", name);
}

}  // namespace tailrace::cli
