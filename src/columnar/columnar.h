// SQL over rows by column (Parquet files; parquet_writer.h writes them), by DuckDB, which runs in this
// process. It reads and writes files itself. It fetches nothing: extensions that are not built in are
// refused.
//
//   auto database = TRY(Database::open({.threads = 2}));
//   Answer answer = TRY(database->query("SELECT count(*) FROM 'events.parquet'"));
//
// One thread at a time. Facts: DuckDB's C API (duckdb.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/warehouse_table.h"

namespace tailrace::columnar {

struct Answer {
  struct Column {
    std::string name;
    std::string type;         // as DuckDB calls it: "DECIMAL(38,9)"
    bool is_numeric = false;  // its texts are JSON numbers, but for infinities and NaN
    bool is_boolean = false;  // true, false
  };
  std::vector<Column> columns;                                // none: the statement gives no rows
  std::vector<std::vector<std::optional<std::string>>> rows;  // missing: null
};

class Database {
 public:
  struct Options {
    unsigned threads = 1;
    std::uint64_t memory_bytes = std::uint64_t{512} << 20;  // beyond, what can goes to `spill_directory`
    std::string spill_directory = {};                       // empty: nowhere; more is an error
  };
  // In memory. Errors: io.
  static Result<std::unique_ptr<Database>> open(const Options& options);
  virtual ~Database() = default;

  // One statement, or several with semicolons; the answer is the last one's. Errors: invalid_argument
  // (DuckDB's words: what is wrong with the statement, and where), io, unavailable (interrupted).
  virtual Result<Answer> query(const std::string& sql) = 0;
  // The same, when nobody looks at rows.
  virtual Result<void> run(const std::string& sql) = 0;
  // A SELECT whose columns are all VARCHAR, row by row, however many there are. Errors: those of take
  // besides.
  using TakeRow = std::function<Result<void>(std::vector<std::optional<std::string>>&)>;
  virtual Result<void> stream(const std::string& sql, const TakeRow& take) = 0;
  // From another thread: what runs ends with an error.
  virtual void interrupt() = 0;
};

// The statement's word for a type, and a name or text in quotes, safe within a statement.
std::string_view sql_type(ColumnType type);
std::string quoted_name(std::string_view name);
std::string quoted_text(std::string_view text);

// The rows of a Parquet file that was written here as CSV: see destinations::Transport::read_csv, whose
// promises this keeps. Rows are read as they are taken, in pieces of some 64 KiB: nothing lies in between, on
// disk or in memory. Errors: io, corrupt; those of take, after which it is not called again.
Result<void> read_csv(const std::string& path, const std::vector<std::string>& columns,
                      const std::function<Result<void>(std::string_view)>& take);

}  // namespace tailrace::columnar
