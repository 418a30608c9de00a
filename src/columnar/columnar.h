// Rows by column: Parquet files, and SQL over them, by DuckDB, which runs in this process. It reads and
// writes files itself; nothing else here does. It fetches nothing: extensions that are not built in are
// refused.
//
//   auto database = TRY(Database::open({.threads = 2}));
//   auto rows = TRY(RowWriter::create(*database, table));
//   rows->put(0, "order-1"); rows->put_time(1, at); TRY(rows->end_row());     // what is not put is null
//   TRY(rows->write_parquet("events.parquet"));
//   Answer answer = TRY(database->query("SELECT count(*) FROM 'events.parquet'"));
//
// One thread at a time. Facts: DuckDB's C API (duckdb.h); values of DECIMAL(38, 9) are 128-bit integers in
// units of 10^-9.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/number.h"
#include "base/result.h"
#include "base/time.h"
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

// What a decimal column holds of a number: in units of 10^-9. Missing: it does not fit (more than 9 digits
// behind the point, or 29 before it), or is no decimal.
__extension__ using Decimal = __int128;
std::optional<Decimal> to_decimal(const Number& number);

// Rows of one table, in the order they come.
class RowWriter {
 public:
  // Errors: io.
  static Result<std::unique_ptr<RowWriter>> create(Database& database, const WarehouseTable& table);
  virtual ~RowWriter() = default;

  // column: its place in the table. The type must be the column's: text and json take put().
  virtual void put(std::size_t column, std::string_view text) = 0;
  virtual void put_boolean(std::size_t column, bool value) = 0;
  virtual void put_integer(std::size_t column, std::int64_t value) = 0;
  virtual void put_decimal(std::size_t column, Decimal value) = 0;
  virtual void put_real(std::size_t column, double value) = 0;
  virtual void put_time(std::size_t column, Time value) = 0;
  virtual Result<void> end_row() = 0;  // errors: io (out of memory and of disk to spill to)
  virtual std::uint64_t rows() const = 0;

  // All rows so far as a file, compressed with zstd; the file must not be there yet. The rows are gone then.
  virtual Result<void> write_parquet(const std::string& path) = 0;
};

// The rows of a Parquet file as CSV: see destinations::Transport::read_csv, whose promises this keeps.
// spill: a folder for the text in between. Errors: io, corrupt; those of take.
Result<void> read_csv(const std::string& path, const std::vector<std::string>& columns,
                      const std::string& spill, const std::function<Result<void>(std::string_view)>& take);

}  // namespace tailrace::columnar
