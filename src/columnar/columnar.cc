#include "columnar/columnar.h"

#include <algorithm>
#include <array>
#include <fstream>

#include <fmt/format.h>

#include "base/assert.h"
#include "duckdb.h"

namespace tailrace::columnar {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

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
void destroy_appender(duckdb_appender* appender) { duckdb_appender_destroy(appender); }
using Statement = Owned<duckdb_prepared_statement, duckdb_destroy_prepare>;
using Statements = Owned<duckdb_extracted_statements, duckdb_destroy_extracted>;
using Answered = Owned<duckdb_result, duckdb_destroy_result>;
using Configuration = Owned<duckdb_config, duckdb_destroy_config>;
using Appender = Owned<duckdb_appender, destroy_appender>;
using Chunk = Owned<duckdb_data_chunk, duckdb_destroy_data_chunk>;
using LogicalType = Owned<duckdb_logical_type, duckdb_destroy_logical_type>;

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

class Body final : public Database {
 public:
  ~Body() override {
    duckdb_disconnect(&connection_);
    duckdb_close(&database_);
  }

  Result<void> open(const Options& options) {
    Configuration configuration;
    duckdb_create_config(&configuration);
    const std::array<std::pair<const char*, std::string>, 7> settings{{
        {"threads", std::to_string(std::max(1u, options.threads))},
        {"memory_limit", fmt::format("{}MiB", std::max<std::uint64_t>(options.memory_bytes >> 20, 64))},
        {"temp_directory", options.spill_directory},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"preserve_insertion_order", "true"},
        // Rows in memory are written out soon, and are not to be compressed before.
        {"checkpoint_threshold", "1TiB"},
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
    while (true) {
      Chunk chunk;
      *&chunk = duckdb_fetch_chunk(result.get());
      if (chunk.get() == nullptr) break;
      const idx_t size = duckdb_data_chunk_get_size(chunk.get());
      if (size == 0) break;
      for (idx_t at = 0; at < size; ++at) {
        for (idx_t i = 0; i < columns; ++i)
          row[i] = text_of(duckdb_data_chunk_get_vector(chunk.get(), i), DUCKDB_TYPE_VARCHAR, at);
        TRY(take(row));
      }
    }
    // The end, or a failure on the way.
    const char* words = duckdb_result_error(&result);
    return words == nullptr || *words == '\0' ? Result<void>() : failed(result);
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
    while (true) {
      Chunk chunk;
      *&chunk = duckdb_fetch_chunk(result.get());
      if (chunk.get() == nullptr) break;
      const idx_t size = duckdb_data_chunk_get_size(chunk.get());
      if (size == 0) break;
      for (idx_t row = 0; row < size; ++row) {
        auto& values = answer.rows.emplace_back();
        for (idx_t i = 0; i < columns; ++i)
          values.push_back(text_of(duckdb_data_chunk_get_vector(chunk.get(), i), types[i], row));
      }
    }
    return answer;
  }

  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
};

class Rows final : public RowWriter {
 public:
  Rows(Body& database, const WarehouseTable& table, std::string name)
      : database_(database), table_(table), name_(std::move(name)) {}
  ~Rows() override {
    duckdb_appender_destroy(&appender_);
    static_cast<void>(database_.run("DROP TABLE IF EXISTS " + quoted_name(name_)));
  }

  Result<void> open() {
    std::string columns;
    std::vector<duckdb_logical_type> types;
    for (const WarehouseColumn& column : table_.columns) {
      columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", quoted_name(column.name),
                             sql_type(column.type));
      types.push_back(column.type == ColumnType::decimal ? duckdb_create_decimal_type(38, 9)
                                                         : duckdb_create_logical_type(storage(column.type)));
    }
    *&chunk_ = duckdb_create_data_chunk(types.data(), types.size());
    for (duckdb_logical_type& type : types) duckdb_destroy_logical_type(&type);
    TRY(database_.run(fmt::format("CREATE TABLE {} ({})", quoted_name(name_), columns)));
    for (std::size_t i = 0; i < table_.columns.size(); ++i) vectors_.emplace_back();
    return begin_appending();
  }

  void put(std::size_t column, std::string_view text) override {
    const Place& place = at(column);
    duckdb_vector_assign_string_element_len(place.vector, row_, text.data(), text.size());
    set(column);
  }
  void put_boolean(std::size_t column, bool value) override { store(column, value); }
  void put_integer(std::size_t column, std::int64_t value) override { store(column, value); }
  void put_decimal(std::size_t column, Decimal value) override { store(column, value); }
  void put_real(std::size_t column, double value) override { store(column, value); }
  void put_time(std::size_t column, Time value) override { store(column, value.ms * 1000); }

  Result<void> end_row() override {
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      if (!std::exchange(vectors_[i].is_set, false))
        duckdb_validity_set_row_invalid(vectors_[i].validity, row_);
    }
    ++rows_;
    if (++row_ < duckdb_vector_size()) return {};
    return hand_over();
  }

  std::uint64_t rows() const override { return rows_; }

  Result<void> write_parquet(const std::string& path) override {
    TRY(hand_over());
    duckdb_appender_destroy(&appender_);
    TRY(database_.run(fmt::format("COPY {} TO {} (FORMAT parquet, COMPRESSION zstd)", quoted_name(name_),
                                  quoted_text(path))));
    TRY(database_.run("TRUNCATE " + quoted_name(name_)));
    rows_ = 0;
    return begin_appending();
  }

 private:
  struct Place {
    duckdb_vector vector = nullptr;
    void* data = nullptr;
    std::uint64_t* validity = nullptr;
    bool is_set = false;
  };

  static duckdb_type storage(ColumnType type) {
    switch (type) {
      case ColumnType::text:
      case ColumnType::json:
        return DUCKDB_TYPE_VARCHAR;
      case ColumnType::boolean:
        return DUCKDB_TYPE_BOOLEAN;
      case ColumnType::integer:
        return DUCKDB_TYPE_BIGINT;
      case ColumnType::decimal:
        return DUCKDB_TYPE_DECIMAL;
      case ColumnType::real:
        return DUCKDB_TYPE_DOUBLE;
      case ColumnType::time:
        return DUCKDB_TYPE_TIMESTAMP_TZ;
    }
    return DUCKDB_TYPE_VARCHAR;
  }

  Result<void> begin_appending() {
    if (duckdb_appender_create(database_.connection(), nullptr, name_.c_str(), &appender_) != DuckDBSuccess)
      return refused();
    clear();
    return {};
  }

  void clear() {
    duckdb_data_chunk_reset(chunk_.get());
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      Place& place = vectors_[i];
      place.vector = duckdb_data_chunk_get_vector(chunk_.get(), i);
      place.data = duckdb_vector_get_data(place.vector);
      duckdb_vector_ensure_validity_writable(place.vector);
      place.validity = duckdb_vector_get_validity(place.vector);
    }
    row_ = 0;
  }

  Result<void> hand_over() {
    if (row_ > 0) {
      duckdb_data_chunk_set_size(chunk_.get(), row_);
      if (duckdb_append_data_chunk(appender_, chunk_.get()) != DuckDBSuccess) return refused();
      clear();
    }
    if (duckdb_appender_flush(appender_) != DuckDBSuccess) return refused();
    return {};
  }

  std::unexpected<Error> refused() {
    const char* words = duckdb_appender_error(appender_);
    return fail(Error::Code::io,
                fmt::format("rows of `{}`: {}", table_.name, words == nullptr ? "?" : words));
  }

  const Place& at(std::size_t column) const { return vectors_[column]; }
  void set(std::size_t column) { vectors_[column].is_set = true; }
  template <class T>
  void store(std::size_t column, T value) {
    static_cast<T*>(at(column).data)[row_] = value;
    set(column);
  }

  Body& database_;
  WarehouseTable table_;
  std::string name_;
  Chunk chunk_;
  duckdb_appender appender_ = nullptr;
  std::vector<Place> vectors_;
  idx_t row_ = 0;
  std::uint64_t rows_ = 0;
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

std::optional<Decimal> to_decimal(const Number& number) {
  constexpr int kScale = 9;
  const auto decimal = number.as_decimal();
  if (!decimal || decimal->scale > kScale) return std::nullopt;
  Decimal value = decimal->mantissa;
  for (int scale = decimal->scale; scale < kScale; ++scale) value *= 10;
  return value;  // 18 digits and 9 zeros at most
}

Result<std::unique_ptr<RowWriter>> RowWriter::create(Database& database, const WarehouseTable& table) {
  TR_ASSERT(!table.columns.empty());
  auto rows = std::make_unique<Rows>(static_cast<Body&>(database), table, "rows of " + table.name);
  TRY(rows->open());
  return rows;
}

Result<void> read_csv(const std::string& path, const std::vector<std::string>& columns,
                      const std::string& spill, const std::function<Result<void>(std::string_view)>& take) {
  const auto database = TRY(Database::open({}));
  std::string list;
  for (const std::string& column : columns) list += (list.empty() ? "" : ", ") + quoted_name(column);
  const std::string text = spill + "/rows.csv";
  TRY(database->run(
      fmt::format("COPY (SELECT {} FROM read_parquet({})) TO {} (FORMAT csv, HEADER true, NULLSTR '', "
                  "FORCE_QUOTE ({}), TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S.%f+00')",
                  list, quoted_text(path), quoted_text(text), list)));
  std::ifstream file(text, std::ios::binary);
  std::string chunk(kChunkBytes, '\0');
  while (file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    if (file.gcount() > 0)
      TRY(take(std::string_view(chunk).substr(0, static_cast<std::size_t>(file.gcount()))));
  }
  const bool is_whole = file.eof();
  file.close();
  static_cast<void>(std::remove(text.c_str()));
  if (!is_whole) return fail(Error::Code::io, fmt::format("{} cannot be read", text));
  return {};
}

}  // namespace tailrace::columnar
