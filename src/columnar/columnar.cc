#include "columnar/columnar.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "columnar/parquet_writer.h"
#include "duckdb.h"

namespace tailrace::columnar {
namespace {

// Small enough to lie in a socket's buffer: who takes the rows works while the next are read.
constexpr std::size_t kPieceBytes = std::size_t{1} << 16;

// Things of the C API, each ended by its own function.
template <class Handle, void (*destroy)(Handle*)>
class Owned {
 public:
  Owned() = default;
  ~Owned() { destroy(&handle_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle* operator&() { return &handle_; }
  Handle get() const { return handle_; }

 private:
  Handle handle_{};
};
using Statement = Owned<duckdb_prepared_statement, duckdb_destroy_prepare>;
using Statements = Owned<duckdb_extracted_statements, duckdb_destroy_extracted>;
using Answered = Owned<duckdb_result, duckdb_destroy_result>;
using Configuration = Owned<duckdb_config, duckdb_destroy_config>;
using Chunk = Owned<duckdb_data_chunk, duckdb_destroy_data_chunk>;

std::unexpected<Error> failed(Answered& result) {
  const char* words = duckdb_result_error(&result);
  const std::string text = words == nullptr ? "DuckDB gives no reason" : words;
  switch (duckdb_result_error_type(&result)) {
    case DUCKDB_ERROR_INTERRUPT:
      return fail(Error::Code::unavailable, "interrupted");
    case DUCKDB_ERROR_IO:
    case DUCKDB_ERROR_OUT_OF_MEMORY:
    case DUCKDB_ERROR_PERMISSION:
      return fail(Error::Code::io, text);
    default:
      return invalid(text);
  }
}

// One value as text, of the few types that statements without a SELECT answer with.
std::optional<std::string> text_of(duckdb_vector vector, duckdb_type type, idx_t row) {
  auto* validity = duckdb_vector_get_validity(vector);
  if (!duckdb_validity_row_is_valid(validity, row)) return std::nullopt;
  const void* data = duckdb_vector_get_data(vector);
  switch (type) {
    case DUCKDB_TYPE_VARCHAR: {
      auto* text = const_cast<duckdb_string_t*>(static_cast<const duckdb_string_t*>(data)) + row;
      return std::string(duckdb_string_t_data(text), duckdb_string_t_length(*text));
    }
    case DUCKDB_TYPE_BOOLEAN:
      return static_cast<const bool*>(data)[row] ? "true" : "false";
    case DUCKDB_TYPE_BIGINT:
      return std::to_string(static_cast<const std::int64_t*>(data)[row]);
    case DUCKDB_TYPE_INTEGER:
      return std::to_string(static_cast<const std::int32_t*>(data)[row]);
    default:
      return "?";
  }
}

// The chunks of an answer, one after another. Errors: those of take.
Result<void> for_each_chunk(Answered& result,
                            const std::function<Result<void>(duckdb_data_chunk, idx_t size)>& take) {
  while (true) {
    Chunk chunk;
    *&chunk = duckdb_fetch_chunk(result.get());
    if (chunk.get() == nullptr) break;
    const idx_t size = duckdb_data_chunk_get_size(chunk.get());
    if (size == 0) break;
    TRY(take(chunk.get(), size));
  }
  // The end, or a failure on the way.
  const char* words = duckdb_result_error(&result);
  return words == nullptr || *words == '\0' ? Result<void>() : failed(result);
}

// Whether a column of ours may be of this type in a file.
bool is_written(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_DECIMAL:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return true;
    default:
      return false;
  }
}

bool is_numeric(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_DECIMAL:
      return true;
    default:
      return false;
  }
}

// Values of a chunk as fields of CSV: texts in quotes, so that an empty one is not a null.
class CsvFields {
 public:
  explicit CsvFields(std::string& out) : out_(out) {}

  void put(duckdb_vector vector, duckdb_type type, idx_t row) {
    if (!duckdb_validity_row_is_valid(duckdb_vector_get_validity(vector), row)) return;
    const void* data = duckdb_vector_get_data(vector);
    switch (type) {
      case DUCKDB_TYPE_BOOLEAN:
        out_ += static_cast<const bool*>(data)[row] ? "true" : "false";
        break;
      case DUCKDB_TYPE_BIGINT:
        fmt::format_to(std::back_inserter(out_), "{}", static_cast<const std::int64_t*>(data)[row]);
        break;
      case DUCKDB_TYPE_DOUBLE:
        fmt::format_to(std::back_inserter(out_), "{}", static_cast<const double*>(data)[row]);
        break;
      case DUCKDB_TYPE_DECIMAL:
        put_decimal(static_cast<const Decimal*>(data)[row]);
        break;
      case DUCKDB_TYPE_TIMESTAMP_TZ:
        put_time(static_cast<const std::int64_t*>(data)[row]);
        break;
      default: {
        auto* text = const_cast<duckdb_string_t*>(static_cast<const duckdb_string_t*>(data)) + row;
        put_text({duckdb_string_t_data(text), duckdb_string_t_length(*text)});
      }
    }
  }

  void put_text(std::string_view text) {
    out_ += '"';
    for (std::size_t quote = text.find('"'); quote != std::string_view::npos; quote = text.find('"')) {
      out_.append(text.substr(0, quote + 1)) += '"';
      text.remove_prefix(quote + 1);
    }
    out_.append(text) += '"';
  }

 private:
  void put_decimal(Decimal value) {
    constexpr Decimal kUnit = 1'000'000'000;
    if (value < 0) out_ += '-';
    const Decimal whole = value / kUnit;
    const auto rest = static_cast<std::int64_t>(value % kUnit);
    fmt::format_to(std::back_inserter(out_), "{}.{:09}", whole < 0 ? -whole : whole, rest < 0 ? -rest : rest);
  }

  // micros: since 1970. Rows of a file are of one day mostly, and its name is kept.
  void put_time(std::int64_t micros) {
    constexpr std::int64_t kSecondMicros = 1'000'000;
    constexpr std::int64_t kDayMicros = 86'400 * kSecondMicros;
    const std::int64_t day = micros / kDayMicros - (micros % kDayMicros < 0 ? 1 : 0);
    if (day != day_ || date_.empty()) {
      day_ = day;
      date_ = format_time({day * kDay.count}).substr(0, 10);
    }
    const std::int64_t rest = micros - day * kDayMicros;
    const std::int64_t seconds = rest / kSecondMicros;
    fmt::format_to(std::back_inserter(out_), "{} {:02}:{:02}:{:02}.{:06}+00", date_, seconds / 3600,
                   seconds / 60 % 60, seconds % 60, rest % kSecondMicros);
  }

  std::string& out_;
  std::int64_t day_ = 0;
  std::string date_;
};

class Body final : public Database {
 public:
  ~Body() override {
    duckdb_disconnect(&connection_);
    duckdb_close(&database_);
  }

  Result<void> open(const Options& options) {
    Configuration configuration;
    duckdb_create_config(&configuration);
    const std::array<std::pair<const char*, std::string>, 6> settings{{
        {"threads", std::to_string(std::max(1u, options.threads))},
        {"memory_limit", fmt::format("{}MiB", std::max<std::uint64_t>(options.memory_bytes >> 20, 64))},
        {"temp_directory", options.spill_directory},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"preserve_insertion_order", "true"},
    }};
    for (const auto& [name, value] : settings) {
      if (duckdb_set_config(configuration.get(), name, value.c_str()) != DuckDBSuccess)
        return fail(Error::Code::io, fmt::format("DuckDB does not take {} = {}", name, value));
    }
    char* words = nullptr;
    if (duckdb_open_ext(nullptr, &database_, configuration.get(), &words) != DuckDBSuccess) {
      const std::string text = words == nullptr ? "" : words;
      duckdb_free(words);
      return fail(Error::Code::io, "DuckDB does not start: " + text);
    }
    if (duckdb_connect(database_, &connection_) != DuckDBSuccess)
      return fail(Error::Code::io, "DuckDB gives no connection");
    return run("SET TimeZone = 'UTC'");
  }

  duckdb_connection connection() const { return connection_; }

  Result<void> run(const std::string& sql) override {
    Answered result;
    if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess) return failed(result);
    return {};
  }

  Result<Answer> query(const std::string& sql) override {
    Statements statements;
    const idx_t count = duckdb_extract_statements(connection_, sql.c_str(), &statements);
    if (count == 0) {
      const char* words = duckdb_extract_statements_error(statements.get());
      return invalid(words == nullptr || *words == '\0' ? "there is no statement" : words);
    }
    Answer answer;
    for (idx_t i = 0; i < count; ++i) {
      Statement statement;
      if (duckdb_prepare_extracted_statement(connection_, statements.get(), i, &statement) != DuckDBSuccess)
        return invalid(duckdb_prepare_error(statement.get()));
      const bool is_select = duckdb_prepared_statement_type(statement.get()) == DUCKDB_STATEMENT_TYPE_SELECT;
      // Where there is one statement, its text is at hand and DuckDB itself turns all types into text.
      if (is_select && count == 1) return select(sql, statement.get());
      Answered result;
      if (duckdb_execute_prepared(statement.get(), &result) != DuckDBSuccess) return failed(result);
      answer = TRY(rows_of(result));
    }
    return answer;
  }

  Result<void> stream(const std::string& sql, const TakeRow& take) override {
    Statement statement;
    if (duckdb_prepare(connection_, sql.c_str(), &statement) != DuckDBSuccess)
      return invalid(duckdb_prepare_error(statement.get()));
    Answered result;
    if (duckdb_execute_prepared_streaming(statement.get(), &result) != DuckDBSuccess) return failed(result);
    const idx_t columns = duckdb_column_count(&result);
    std::vector<std::optional<std::string>> row(columns);
    return for_each_chunk(result, [&](duckdb_data_chunk chunk, idx_t size) -> Result<void> {
      for (idx_t at = 0; at < size; ++at) {
        for (idx_t i = 0; i < columns; ++i)
          row[i] = text_of(duckdb_data_chunk_get_vector(chunk, i), DUCKDB_TYPE_VARCHAR, at);
        TRY(take(row));
      }
      return {};
    });
  }

  void interrupt() override { duckdb_interrupt(connection_); }

 private:
  Result<Answer> select(const std::string& sql, duckdb_prepared_statement statement) {
    Answer answer;
    const idx_t columns = duckdb_prepared_statement_column_count(statement);
    for (idx_t i = 0; i < columns; ++i) {
      char* name = const_cast<char*>(duckdb_prepared_statement_column_name(statement, i));  // ours to free
      const duckdb_type type = duckdb_prepared_statement_column_type(statement, i);
      answer.columns.push_back(
          {name == nullptr ? "" : name, "", is_numeric(type), type == DUCKDB_TYPE_BOOLEAN});
      duckdb_free(name);
    }
    std::string text(sql);
    while (!text.empty() && (text.back() == ';' || text.back() == ' ' || text.back() == '\n'))
      text.pop_back();
    Answered result;
    // The line end closes a comment that the statement may end with.
    const std::string as_text = fmt::format("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({}\n)", text);
    if (duckdb_query(connection_, as_text.c_str(), &result) != DuckDBSuccess) {
      Answered itself;
      if (duckdb_execute_prepared(statement, &itself) != DuckDBSuccess) return failed(itself);
      return rows_of(itself);
    }
    answer.rows = TRY(rows_of(result))
    .rows;
    return answer;
  }

  static Result<Answer> rows_of(Answered& result) {
    Answer answer;
    const idx_t columns = duckdb_column_count(&result);
    std::vector<duckdb_type> types;
    for (idx_t i = 0; i < columns; ++i) {
      types.push_back(duckdb_column_type(&result, i));
      answer.columns.push_back({duckdb_column_name(&result, i), "", is_numeric(types.back()),
                                types.back() == DUCKDB_TYPE_BOOLEAN});
    }
    TRY(for_each_chunk(result, [&](duckdb_data_chunk chunk, idx_t size) -> Result<void> {
      for (idx_t row = 0; row < size; ++row) {
        auto& values = answer.rows.emplace_back();
        for (idx_t i = 0; i < columns; ++i)
          values.push_back(text_of(duckdb_data_chunk_get_vector(chunk, i), types[i], row));
      }
      return {};
    }));
    return answer;
  }

  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const Options& options) {
  auto body = std::make_unique<Body>();
  TRY(body->open(options));
  return body;
}

std::string_view sql_type(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return "VARCHAR";
    case ColumnType::boolean:
      return "BOOLEAN";
    case ColumnType::integer:
      return "BIGINT";
    case ColumnType::decimal:
      return "DECIMAL(38, 9)";
    case ColumnType::real:
      return "DOUBLE";
    case ColumnType::time:
      return "TIMESTAMPTZ";
  }
  return "VARCHAR";
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string quoted_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + '\'';
}

Result<void> read_csv(const std::string& path, const std::vector<std::string>& columns,
                      const std::function<Result<void>(std::string_view)>& take) {
  Body database;
  TRY(database.open({}));
  std::string list;
  for (const std::string& column : columns) list += (list.empty() ? "" : ", ") + quoted_name(column);
  Statement statement;
  const std::string sql = fmt::format("SELECT {} FROM read_parquet({})", list, quoted_text(path));
  if (duckdb_prepare(database.connection(), sql.c_str(), &statement) != DuckDBSuccess)
    return fail(Error::Code::io, duckdb_prepare_error(statement.get()));
  Answered result;
  if (duckdb_execute_prepared_streaming(statement.get(), &result) != DuckDBSuccess) return failed(result);
  std::vector<duckdb_type> types;
  std::string text;
  text.reserve(2 * kPieceBytes);
  CsvFields fields(text);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    types.push_back(duckdb_column_type(&result, i));
    if (!is_written(types.back()))
      return fail(
          Error::Code::corrupt,
          fmt::format("{}: the column {} is of a type that no row was written with", path, columns[i]));
    if (i > 0) text += ',';
    fields.put_text(columns[i]);
  }
  text += '\n';
  TRY(for_each_chunk(result, [&](duckdb_data_chunk chunk, idx_t size) -> Result<void> {
    for (idx_t row = 0; row < size; ++row) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) text += ',';
        fields.put(duckdb_data_chunk_get_vector(chunk, i), types[i], row);
      }
      text += '\n';
      if (text.size() < kPieceBytes) continue;
      TRY(take(text));
      text.clear();
    }
    return {};
  }));
  return text.empty() ? Result<void>() : take(text);
}

}  // namespace tailrace::columnar
