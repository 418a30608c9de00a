// The log as stream syncs read it: records from the log's files, on any thread, then judged by the engine, on
// its own.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "delivery/streams.h"
#include "engine/engine.h"
#include "log/log.h"

namespace tailrace::server {

// Events as they lie in the log, not judged yet.
struct LoggedRecords {
  struct One {
    Position position;
    std::string bytes;
  };
  Position from;
  std::vector<One> records;
  Position next;        // where reading goes on
  bool at_end = false;  // of what is committed, or `until` was reached
};

// Looks at so many records from `from` on, and not at `until` and later. Errors: corrupt, io.
Result<LoggedRecords> read_records(const log::Log& log, Position from, Position until, std::size_t records);
// Those at these positions. Errors: corrupt, io.
Result<LoggedRecords> read_records(const log::Log& log, std::span<const Position> positions);

// Those that were admitted and are wanted. applied: what lies there and later the engine does not know yet;
// it is left for later.
delivery::EventSource::Page judge(engine::Engine& engine, Position applied, LoggedRecords records,
                                  const delivery::EventSource::Question& question);

}  // namespace tailrace::server
