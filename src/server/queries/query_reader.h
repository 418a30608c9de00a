// Databases that are asked: PostgreSQL through libpq, DuckDB in this process, ClickHouse by HTTP.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "io/http_client.h"
#include "server/connections.h"
#include "sources/query/spec.h"
#include "workspace/workspace.h"

namespace tailrace::server {

// Takes what a query gives: columns() once, then row() for each row, as text.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Result<void> columns(std::vector<sources::QueryColumn> columns) = 0;
  virtual Result<void> row(const std::vector<std::optional<std::string>>& row) = 0;
};

class QueryReader {
 public:
  virtual ~QueryReader() = default;
  // Memory does not grow with the rows. Errors: unavailable (worth another try), invalid_argument (the query,
  // the rights, the connection: for somebody to mend), those of the sink.
  virtual Result<void> read(const std::string& query, RowSink& sink) = 0;
  // From another thread: what is running, or begins later, ends with unavailable.
  virtual void stop() = 0;
};

struct QueryReaderOptions {
  std::string folder;                // what `file:` references and paths are relative to
  std::string scratch;               // a folder for what does not fit into memory
  io::HttpClient* client = nullptr;  // for ClickHouse
  Disk* disk = nullptr;
};
// Errors: invalid_argument (credentials that are missing).
Result<std::unique_ptr<QueryReader>> make_query_reader(const workspace::QuerySource& source,
                                                       const QueryReaderOptions& options);

// An answer is as long as it likes, and may take long to begin.
constexpr io::ClientOptions kQueryClient{.connect_timeout{10'000}, .total_timeout = kHour};

}  // namespace tailrace::server
