// One source that is asked: a run asks its query, compares the rows with those of the run before, and puts
// into the log what changed. Blocking, and without a thread of its own.
//
// The steps, any of which may be the last before a crash:
//   1. rows, sorted, go to files in between; what a crash leaves of them is removed by the next run
//   2. `snapshot-N` (the rows as they are now) and `changes-N` (the records) are written, and on disk
//   3. `state.json` says that run N is under way; from here on it is finished, not asked again
//   4. the records go into the log in batches, and the state says how many are there. A batch that was in the
//   log
//      when the crash came goes again, with the same message ids: de-duplication drops it
//   5. `state.json` says that snapshot N holds; the files before it are removed
//
// So a record is in the log before the snapshot that has its row holds, and no record is there twice. Of a
// restored backup, whose snapshot is older than its log, people are told again what they know; events count
// once by their keys, within the workspace's `dedup_window`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "server/queries/query_reader.h"
#include "server/queries/query_state.h"
#include "sources/query/row_mapping.h"
#include "workspace/workspace.h"

namespace tailrace::server {

// Records into the log, on disk on return. Errors: unavailable (too much waits), io.
using PutRecords = std::function<Result<void>(std::string bytes, std::vector<std::uint32_t> ends)>;

// What the taxonomy wants of the traits or properties that a source sets.
std::map<std::string, sources::WantedType> wanted_types(const workspace::Workspace& workspace,
                                                        const sources::QuerySpec& spec);

// Why the guards of a source hold a run back; empty: they do not.
std::string guard_reason(const workspace::Guards& guards, const sources::RowCounts& counts);

// The files by which a source in `directory` is as it is at one moment, by name; open, so that a run that
// ends meanwhile takes none away. Empty: it was never asked.
Result<std::map<std::string, std::unique_ptr<File>>> standing_files(Disk& disk, const std::string& directory);

class QueryRun {
 public:
  struct Options {
    std::string directory;  // of this source alone
    std::size_t memory_bytes_max = std::size_t{64} << 20;
    std::size_t batch_records_max = 2'000;
    std::size_t batch_bytes_max = std::size_t{4} << 20;
  };
  enum class Held : unsigned char { by_guards, released };  // released: the guards are not asked
  // disk: outlives it.
  QueryRun(Disk& disk, workspace::QuerySource source, std::map<std::string, sources::WantedType> types,
           Options options)
      : disk_(disk), source_(std::move(source)), types_(std::move(types)), options_(std::move(options)) {}

  // Finishes a run that was begun, or makes one. How it ended is in the state too, failures with it. Errors:
  // of the reader, of put, corrupt (a file of ours was damaged).
  Result<PastRun> run(QueryReader& reader, const PutRecords& put, const std::function<Time()>& now,
                      Held held);

  struct Preview {
    sources::RowCounts counts;
    std::string held;                  // why it would be held
    std::vector<std::string> records;  // the first ones, encoded
  };
  // What a run would do, doing nothing.
  Result<Preview> preview(QueryReader& reader, Time now, std::size_t records_max);

  Result<QueryState> state() { return read_query_state(disk_, options_.directory); }
  Result<void> set_paused(bool paused);

 private:
  class Sink;
  Result<PastRun> attempt(QueryState& state, QueryReader& reader, const PutRecords& put,
                          const std::function<Time()>& now, Held held);
  Result<PastRun> send(QueryState& state, const PutRecords& put, const std::function<Time()>& now);
  // Writes snapshot and changes to `directory`, named by `number`.
  Result<sources::RowCounts> ask(const QueryState& state, QueryReader& reader, Time begun,
                                 const std::string& directory, std::uint64_t number);
  Result<void> clear(const QueryState& state);
  Result<void> remove_all(const std::string& directory, const std::vector<std::string>& kept);
  std::string snapshot_path(std::uint64_t number) const;

  Disk& disk_;
  workspace::QuerySource source_;
  std::map<std::string, sources::WantedType> types_;
  Options options_;
};

}  // namespace tailrace::server
