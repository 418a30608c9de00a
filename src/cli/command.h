// The command line as data, parsed the same way by the program and by a running `serve` that is sent a
// command.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "server/admin_socket.h"
#include "server/core.h"

namespace tailrace::cli {

// Exit codes, documented in docs/cli.md.
enum Exit : int {
  kDone = 0,
  kFailed = 1,    // the disk, the network, a damaged store
  kUsage = 2,     // the command line
  kInvalid = 3,   // the workspace, an expression, a file has errors
  kNotFound = 4,  // no such person, segment, sync, file
  kConflict = 5,  // the store is in use, the folder differs from what is applied, a resume that does not fit
  kUnavailable = 6,  // try again later
};
Exit exit_code(const Error& error);

enum class Format : unsigned char { text, json, csv };

struct Command {
  std::string name;
  std::string workspace;
  std::string data;  // empty: WORKSPACE/.tailrace
  Format format = Format::text;
  std::string segment, person, sync;
  std::string plan;  // explain: of this segment, instead of a person
  std::string at, from, to;
  std::string action, reason;  // dlq
  std::vector<std::string> files;
  std::string mapping, now, shift_to;
  std::string add, remove;
  std::string destination, config, operation, platform;  // of the windows into a destination
  bool remove_others = false;                            // reupload
  std::uint64_t limit = 0;                               // sync: people or events, at most; 0: all
  std::string timeout = "2m";                            // sync: the longest it waits for answers
  std::string listen;
  std::string sql;
  std::string source;
  bool preview = false, released = false;  // of a source: what is done with it
  bool stale = false;                      // query: what is there, without bringing it up to date
  bool apply = false;
  bool live = false;           // check: the platforms are asked, too
  bool once = false;           // sync: one pass (the only way); source: a run now
  bool leave_members = false;  // apply: of syncs that go away, people may stay in the audience
  bool unmasked = false;       // identity: values as they are
  bool memory = false;         // status: of the process, instead of the syncs
  bool streams = false;        // status: of the syncs that send events alone
  double known_share = 0.6;
  std::uint64_t seed = 1;
  std::string token;
  std::string directory;  // init; of a backup
  std::string deletions;
  std::string durability = "fsync";
};
log::Options log_options(const Command& command);

struct Stop {
  int code = 0;
  std::string message;  // help or a usage error
};
std::expected<Command, Stop> parse(const std::vector<std::string>& arguments);

// Where a command runs: its store, its words, and what its relative paths are relative to.
struct Run {
  const Command& command;
  server::Core& core;
  server::Console& console;
  std::string folder;

  std::string path(const std::string& relative) const {
    return relative.empty() || relative.starts_with('/') ? relative : folder + "/" + relative;
  }
  int fail(const Error& error) const;
};

// Commands on a store, in the process that owns it.
int run_on_store(const Command& command, server::Core& core, server::Console& console,
                 const std::string& folder);
int run_plan(const Run& run);
int run_apply(const Run& run);
int run_import(const Run& run);
int run_members(const Run& run);
int run_transitions(const Run& run);
int run_explain(const Run& run);
int run_identity(const Run& run);
int run_backtest(const Run& run);
int run_preview(const Run& run);
int run_release(const Run& run);
int run_reupload(const Run& run);
int run_sync(const Run& run);
int run_match(const Run& run);
int run_stream(const Run& run);  // pause, resume, reset, replay
int run_query(const Run& run);
int run_source(const Run& run);
int run_status(const Run& run);
int run_backup(const Run& run);
int run_verify(const Run& run);
int run_receipt(const Run& run);
int run_latency(const Run& run);
int run_dlq(const Run& run);

// Commands without one.
int run_init(const Command& command, server::Console& console);
int run_check(const Command& command, server::Console& console);
int run_serve(const Command& command, server::Console& console);
int run_sandbox(const Command& command, server::Console& console);
int run_restore(const Command& command, server::Console& console);
// Records come by standard input.
int run_preview_destination(const Command& command, server::Console& console);
int run_normalize(const Command& command, server::Console& console);
int run_classify(const Command& command, server::Console& console);
int run_verify_backup(const Command& command, server::Console& console);
int run_verify_closed(const std::string& data, server::Console& console);

// An instant of the command line, or now.
Result<Time> instant(const std::string& text, Time otherwise);
// The workspace in the folder. Error: invalid_argument, with all its problems rendered.
Result<workspace::Workspace> load_folder(const std::string& folder);
// The applied workspace. Error: not_found, with what to do.
std::unexpected<Error> no_workspace();
Result<workspace::Workspace> applied_workspace(server::Core& core);

}  // namespace tailrace::cli
