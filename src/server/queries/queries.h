// The sources of a running store that are asked, each on a thread of its own, when its cadence says so or
// somebody asks for it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/http_client.h"
#include "server/core.h"
#include "server/queries/query_run.h"
#include "server/workspace_follower.h"

namespace tailrace::server {

struct QueryStatus {
  std::string source;
  std::string type;
  sources::RowsAs rows = sources::RowsAs::people;
  QueryState state;
  std::optional<Time> next_at;  // when it is asked next; missing: it is not
  std::string doing;            // "idle", "asking", "held: ...", "paused", "failed: ..."
};

class Queries {
 public:
  // core: outlives it. Follows the live workspace.
  static Result<std::unique_ptr<Queries>> start(Core& core);
  ~Queries();  // stops

  // Gives up what is under way; it goes on after the next start.
  void stop();
  Result<std::vector<QueryStatus>> status();
  // Waits until a run that begins from now on has ended. Errors: of the run; not_found; conflict (paused).
  Result<PastRun> run_now(const std::string& source, QueryRun::Held held);
  Result<void> set_paused(const std::string& source, bool paused);

 private:
  struct Worker;
  explicit Queries(Core& core);
  void take_up(const workspace::Workspace& workspace);
  void work(Worker& worker);
  Result<PastRun> ask(Worker& worker, const PutRecords& put, QueryRun::Held held);
  void end_workers();
  Result<std::shared_ptr<Worker>> find(const std::string& source);

  Core& core_;
  std::unique_ptr<io::HttpClient> client_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Worker>> workers_;  // guarded by mutex_
  WorkspaceFollower follower_;
};

// DIR/sources/NAME.
std::string query_directory(const Core& core, const std::string& source);
QueryRun query_run(Core& core, const workspace::Workspace& workspace, const workspace::QuerySource& source);
// Of a store that no `serve` runs on: a run on this thread.
Result<PastRun> run_resting(Core& core, const workspace::Workspace& workspace, const std::string& source,
                            QueryRun::Held held);
Result<std::vector<QueryStatus>> resting_query_status(Core& core, const workspace::Workspace& workspace);
// What a run would do, by this workspace. In `serve` or not.
Result<QueryRun::Preview> preview_query(Core& core, const workspace::Workspace& workspace,
                                        const workspace::QuerySource& source, std::size_t records_max);

}  // namespace tailrace::server
