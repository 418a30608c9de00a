#include "cli/command.h"

#include <CLI/CLI.hpp>

#include "base/time.h"

namespace tailrace::cli {

Exit exit_code(const Error& error) {
  switch (error.code) {
    case Error::Code::invalid_argument:
      return kInvalid;
    case Error::Code::not_found:
      return kNotFound;
    case Error::Code::conflict:
      return kConflict;
    case Error::Code::unavailable:
      return kUnavailable;
    case Error::Code::io:
    case Error::Code::corrupt:
    case Error::Code::unsupported:
      return kFailed;
  }
  return kFailed;
}

int Run::fail(const Error& error) const {
  console.err(error.message + (error.message.ends_with('\n') ? "" : "\n"));
  return exit_code(error);
}

std::expected<Command, Stop> parse(const std::vector<std::string>& arguments) {
  Command command;
  std::string format = "text";
  CLI::App app("Tailrace: events in, exact segments, audiences out.", "tailrace");
  app.require_subcommand(1);
  app.set_version_flag("--version", TAILRACE_VERSION);

  const auto on_workspace = [&](CLI::App* sub) {
    sub->add_option("-w,--workspace", command.workspace, "the workspace's folder")
        ->required()
        ->type_name("DIR");
    return sub;
  };
  const auto on_store = [&](CLI::App* sub) {
    on_workspace(sub);
    sub->add_option("--data", command.data, "the store (default: DIR/.tailrace)")->type_name("DIR");
    sub->add_option("--durability", command.durability,
                    "when a record counts as written: fsync, or system (survives kill -9, not a power cut)")
        ->check(CLI::IsMember({"fsync", "system"}));
    sub->add_option("--format", format, "text, json or csv")->check(CLI::IsMember({"text", "json", "csv"}));
    return sub;
  };
  const std::string segment_help = "a segment's name, or an expression";

  auto* init = app.add_subcommand("init", "write a commented starter workspace");
  init->add_option("directory", command.directory, "where")->required()->type_name("DIR");
  on_workspace(app.add_subcommand("check", "show all errors of a workspace at once"))
      ->add_flag("--live", command.live,
                 "ask the platforms whether the credentials may do what the syncs need, changing nothing");
  on_store(app.add_subcommand("plan", "what would change: members per segment and sync"));
  const auto may_leave_members = [&](CLI::App* sub) {
    sub->add_flag("--leave-members", command.leave_members,
                  "remove syncs though people stay in their audiences at the platform");
  };
  may_leave_members(on_store(app.add_subcommand("apply", "make the folder's workspace live")));
  auto* serve = on_store(app.add_subcommand("serve", "HTTP API, engine and delivery"));
  serve->add_flag("--apply", command.apply, "apply the folder's workspace first");
  may_leave_members(serve);
  serve->add_option("--listen", command.listen, "where to listen (default: 127.0.0.1:8080)")
      ->type_name("ADDRESS:PORT");
  auto* import =
      on_store(app.add_subcommand("import", "JSONL (one Segment-style call per line) or CSV files; .gz too"));
  import->add_option("files", command.files, "the files")->required()->type_name("FILE");
  import->add_option("--mapping", command.mapping, "how a CSV row becomes a call (YAML)")->type_name("FILE");
  import->add_option("--now", command.now, "stamp records as received at this instant")->type_name("TIME");
  import
      ->add_option("--shift-to", command.shift_to,
                   "move all event times so that the newest falls on this instant")
      ->type_name("TIME");
  auto* members = on_store(app.add_subcommand("members", "the people in a segment"));
  members->add_option("segment", command.segment, segment_help)->required();
  members->add_option("--at", command.at, "at this instant (default: now)")->type_name("TIME");
  auto* explain = on_store(app.add_subcommand("explain", "why a person is in or out, and until when"));
  auto* person = explain->add_option("person", command.person, "an identifier of the person");
  auto* of_segment =
      explain->add_option("segment", command.segment, segment_help + "; without it, all segments");
  explain->add_option("--sync", command.sync, "why they are in this sync's audience, or not")
      ->type_name("NAME")
      ->excludes(of_segment);
  explain->add_option("--at", command.at, "at this instant (default: now)")->type_name("TIME");
  explain
      ->add_option("--plan", command.plan,
                   "not of a person: how this segment is computed, what it reads and costs")
      ->type_name("SEGMENT")
      ->excludes("--at")
      ->excludes("--sync")
      ->excludes(person);
  explain->callback([&] {
    if (command.person.empty() && command.plan.empty()) throw CLI::RequiredError("person or --plan");
  });
  auto* identity =
      on_store(app.add_subcommand("identity", "by what a person is known, since when, and what was refused"));
  identity->add_option("person", command.person,
                       "an identifier of the person; without it, what was refused of everybody");
  identity->add_flag("--unmasked", command.unmasked, "values as they are");
  auto* transitions = on_store(app.add_subcommand("transitions", "every entry and exit with its exact time"));
  transitions->add_option("segment", command.segment, segment_help)->required();
  transitions->add_option("--from", command.from, "after this instant (default: the beginning)")
      ->type_name("TIME");
  transitions->add_option("--to", command.to, "up to this instant (default: now)")->type_name("TIME");
  auto* backtest = on_store(
      app.add_subcommand("backtest", "what a definition would have done: sizes, entries, exits, stays"));
  backtest->add_option("expression", command.segment, "an expression, or a segment's name")
      ->required()
      ->type_name("EXPRESSION");
  backtest->add_option("--from", command.from, "from this instant (default: 30 days before --to)")
      ->type_name("TIME");
  backtest->add_option("--to", command.to, "up to this instant (default: now)")->type_name("TIME");
  auto* preview = on_store(
      app.add_subcommand("preview", "the requests that would be sent, as JSON lines, sending nothing"));
  preview->get_option("--workspace")->required(false);
  preview->add_option("--sync", command.sync, "the sync")->type_name("NAME");
  preview
      ->add_option("--destination", command.destination,
                   "instead of a sync: a type of destination, for records of standard input")
      ->type_name("TYPE")
      ->excludes("--sync")
      ->excludes("--workspace");
  preview->add_option("--config", command.config, "its settings, as in the workspace (YAML)")
      ->type_name("FILE");
  preview->add_option("--mapping", command.mapping, "`events`, `fields`, `currency` (YAML)")
      ->type_name("FILE");
  preview->add_option("--now", command.now, "the instant of the requests (default: of the newest record)")
      ->type_name("TIME");
  preview
      ->add_option("--op", command.operation, "what is done with the records: add, remove, upsert or track")
      ->check(CLI::IsMember({"add", "remove", "upsert", "track"}));
  preview->callback([&] {
    if (command.destination.empty() && command.workspace.empty())
      throw CLI::RequiredError("--workspace or --destination");
    if (command.destination.empty() && command.sync.empty()) throw CLI::RequiredError("--sync");
  });
  preview
      ->add_option("--add", command.add,
                   "people to add, one identifier or JSON object per line; default: what is pending")
      ->type_name("FILE");
  preview->add_option("--remove", command.remove, "people to remove, likewise")->type_name("FILE");
  on_store(app.add_subcommand("release", "let through what the guards of a sync hold back now"))
      ->add_option("sync", command.sync, "the sync")
      ->required()
      ->type_name("SYNC");
  auto* reupload =
      on_store(app.add_subcommand("reupload", "add everybody again who stands in a sync's audience"));
  reupload->add_option("sync", command.sync, "the sync")->required()->type_name("SYNC");
  reupload->add_flag("--remove-others", command.remove_others,
                     "and remove everybody else who is known, and where the platform can, whoever is not");
  auto* once = on_store(app.add_subcommand("sync", "one bounded pass of a sync, waiting for the answers"));
  once->add_option("sync", command.sync, "the sync, of an audience or of events")
      ->required()
      ->type_name("SYNC");
  once->add_flag("--once", command.once, "one pass (the only way; `serve` runs them all)")->required();
  once->add_option("--limit", command.limit, "so many people or events at most (default: all that wait)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{UINT32_MAX}))
      ->type_name("COUNT");
  once->add_option("--timeout", command.timeout, "the longest it waits for answers (default: 2m)")
      ->check([](const std::string& text) {
        return parse_duration(text) ? "" : "is no length of time such as 2m";
      })
      ->type_name("DURATION");
  on_store(
      app.add_subcommand("match", "how many people of an audience its platform can know, and why not more"))
      ->add_option("sync", command.sync, "a sync that keeps an audience")
      ->required()
      ->type_name("SYNC");
  const auto on_stream = [&](CLI::App* sub) {
    on_store(sub)
        ->add_option("sync", command.sync, "a sync that sends events")
        ->required()
        ->type_name("SYNC");
    return sub;
  };
  on_stream(app.add_subcommand("pause", "send no events for now; they wait in the log"));
  on_stream(app.add_subcommand("resume", "send events again, from where it was paused"));
  on_stream(app.add_subcommand("reset", "of a paused sync: go on from another place of the log"))
      ->add_option("--to", command.to, "now, beginning, or what was received since an instant")
      ->required()
      ->type_name("TIME");
  auto* replay = on_store(app.add_subcommand("replay", "send events of the past once more"));
  replay->add_option("--sync", command.sync, "a sync that sends events")->required()->type_name("SYNC");
  replay->add_option("--from", command.from, "events at or after this instant (default: all)")
      ->type_name("TIME");
  replay->add_option("--to", command.to, "events before this instant")->type_name("TIME");
  auto* query =
      on_store(app.add_subcommand("query", "SQL over a lake on this machine, brought up to date first"));
  query->add_option("sql", command.sql, "one statement; docs/warehouse.md has the tables")
      ->required()
      ->type_name("SQL");
  query->add_option("--sync", command.sync, "the warehouse sync whose lake it is (default: the first)")
      ->type_name("NAME");
  query->add_flag("--stale", command.stale, "as it was loaded last, without bringing it up to date");
  auto* source = on_store(app.add_subcommand("source", "a source that is asked: its runs, or one now"));
  source->add_option("source", command.source, "its name")->required()->type_name("SOURCE");
  auto* now = source->add_flag("--once", command.once, "ask now, and take what changed");
  auto* what_if = source->add_flag("--preview", command.preview,
                                   "by the folder's workspace: what a run would take, taking nothing");
  auto* released = source->add_flag("--release", command.released, "ask now, whatever the guards say");
  now->excludes(what_if)->excludes(released);
  what_if->excludes(released);
  auto* status = on_store(app.add_subcommand("status", "syncs, lag, match rate, failures, quarantine"));
  status->add_flag("--memory", command.memory, "not of syncs: what takes the memory, by part");
  status->add_flag("--streams", command.streams, "of the syncs that send events alone, in any --format");
  auto* backup = on_store(app.add_subcommand("backup", "a whole copy; again, only what is new"));
  backup->add_option("target", command.directory, "the folder of the backup")
      ->required()
      ->type_name("TARGET");
  auto* restore = on_store(app.add_subcommand("restore", "a store from a backup"));
  restore->add_option("backup", command.directory, "the folder of the backup")
      ->required()
      ->type_name("BACKUP");
  restore
      ->add_option("--deletions", command.deletions,
                   "a later backup, or its list of deletions: who is on it is not restored")
      ->type_name("FILE");
  auto* verify = on_store(app.add_subcommand(
      "verify", "all checksums, and whether the state is what the log gives; or those of a backup"));
  verify->get_option("--workspace")->required(false);
  verify->callback([&] {
    if (command.workspace.empty() && command.directory.empty())
      throw CLI::RequiredError("--workspace or --backup");
  });
  verify->add_option("--backup", command.directory, "of this backup instead of the store")
      ->type_name("TARGET");
  auto* receipt = on_store(
      app.add_subcommand("receipt", "what happened last between a person and each sync, step by step"));
  receipt->add_option("person", command.person, "an identifier of the person")->required();
  receipt->add_option("--sync", command.sync, "this sync only")->type_name("NAME");
  on_store(app.add_subcommand("latency", "how long live changes take, against each sync's objective"));
  auto* dlq = on_store(app.add_subcommand("dlq", "dead letters: what was refused, or held back by ingest"));
  dlq->add_option("action", command.action,
                  "list (counts by reason), show (each), retry (ask again), drop (let them rest)")
      ->required()
      ->check(CLI::IsMember({"list", "show", "retry", "drop"}));
  dlq->add_option("--sync", command.sync, "of this sync, or `quarantine` for what ingest holds back")
      ->type_name("NAME");
  dlq->add_option("--reason", command.reason, "whose reason holds this text")->type_name("TEXT");
  dlq->add_option("--from", command.from, "refused at or after this instant")->type_name("TIME");
  dlq->add_option("--to", command.to, "refused at or before this instant")->type_name("TIME");
  auto* normalize = app.add_subcommand(
      "normalize", "values of standard input as a platform wants them: {\"field\", \"raw\"} a line");
  normalize
      ->add_option("--platform", command.platform, "a platform (meta) or a destination (meta_conversions)")
      ->required()
      ->type_name("NAME");
  auto* classify = app.add_subcommand(
      "classify",
      "what answers mean: {\"request\", \"status\", \"headers\", \"body\"} a line of standard input");
  classify->add_option("--destination", command.destination, "a type of destination")
      ->required()
      ->type_name("TYPE");
  auto* sandbox = app.add_subcommand("sandbox", "a stand-in for the ad platforms, on this machine");
  sandbox->add_option("--listen", command.listen, "where to listen (default: 127.0.0.1:9090)")
      ->type_name("ADDRESS:PORT");
  sandbox->add_option("--known-share", command.known_share, "share of identifiers it can match")
      ->check(CLI::Range(0.0, 1.0));
  sandbox->add_option("--seed", command.seed, "which identifiers those are");
  sandbox->add_option("--token", command.token, "the access token it accepts (default: sandbox-token)");

  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream problem;
    const int code = app.exit(error, out, problem);
    return std::unexpected(Stop{code == 0 ? kDone : kUsage, out.str() + problem.str()});
  }
  command.name = app.get_subcommands().front()->get_name();
  command.format = format == "json" ? Format::json : format == "csv" ? Format::csv : Format::text;
  return command;
}

log::Options log_options(const Command& command) {
  log::Options options;
  if (command.durability == "system") options.durability = log::Durability::operating_system;
  return options;
}

Result<Time> instant(const std::string& text, Time otherwise) {
  if (text.empty()) return otherwise;
  return parse_time(text);
}

Result<workspace::Workspace> load_folder(const std::string& folder) {
  auto loaded = workspace::load(folder);
  if (loaded.ok()) return std::move(loaded.workspace);
  std::string problems;
  for (const auto& problem : loaded.problems) {
    if (problem.problem.severity == language::Problem::Severity::error)
      problems += workspace::render(folder, problem) + "\n";
  }
  return invalid(problems);
}

std::unexpected<Error> no_workspace() {
  return fail(Error::Code::not_found,
              "no workspace was applied to this store yet: run `tailrace apply -w DIR`");
}

Result<workspace::Workspace> applied_workspace(server::Core& core) {
  return core.call([](engine::Engine& engine) -> Result<workspace::Workspace> {
    if (engine.workspace() == nullptr) return no_workspace();
    return *engine.workspace();
  });
}

int run_on_store(const Command& command, server::Core& core, server::Console& console,
                 const std::string& folder) {
  const Run run{.command = command, .core = core, .console = console, .folder = folder};
  if (command.name == "plan") return run_plan(run);
  if (command.name == "apply") return run_apply(run);
  if (command.name == "import") return run_import(run);
  if (command.name == "members") return run_members(run);
  if (command.name == "transitions") return run_transitions(run);
  if (command.name == "explain") return run_explain(run);
  if (command.name == "identity") return run_identity(run);
  if (command.name == "backtest") return run_backtest(run);
  if (command.name == "preview") return run_preview(run);
  if (command.name == "release") return run_release(run);
  if (command.name == "reupload") return run_reupload(run);
  if (command.name == "sync") return run_sync(run);
  if (command.name == "match") return run_match(run);
  for (const std::string_view name : {"pause", "resume", "reset", "replay"}) {
    if (command.name == name) return run_stream(run);
  }
  if (command.name == "query") return run_query(run);
  if (command.name == "source") return run_source(run);
  if (command.name == "status") return run_status(run);
  if (command.name == "backup") return run_backup(run);
  if (command.name == "verify") return run_verify(run);
  if (command.name == "receipt") return run_receipt(run);
  if (command.name == "latency") return run_latency(run);
  if (command.name == "dlq") return run_dlq(run);
  console.err("`" + command.name + "` is not a command on a store\n");
  return kUsage;
}

}  // namespace tailrace::cli
