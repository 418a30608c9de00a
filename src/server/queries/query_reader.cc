#include "server/queries/query_reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "columnar/columnar.h"
#include "destinations/clickhouse/codec.h"
#include "io/postgres_session.h"
#include "sources/query/dialects.h"
#include "sources/query/engines.h"

namespace tailrace::server {
namespace {

using sources::DescribedColumn;
using sources::Statement;

std::unexpected<Error> stopped() {
  return fail(Error::Code::unavailable, "given up, because tailrace stops");
}

std::unexpected<Error> no_columns() { return invalid("the query gives no columns"); }

// One transaction that only reads: all rows as of one instant, and a query that would change something fails.
class PostgresReader final : public QueryReader {
 public:
  explicit PostgresReader(std::string connection) : connection_(std::move(connection)) {}

  Result<void> read(const std::string& query, RowSink& sink) override {
    const auto session =
        TRY(io::connect_postgres(connection_, {.stopping = [this] { return stopping_.load(); }}));
    TRY(session->run(
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TIME ZONE 'UTC'; "
        "SET LOCAL DateStyle TO ISO; SET LOCAL extra_float_digits TO 1"));
    std::vector<DescribedColumn> described;
    const auto shape = TRY(session->run_one(sources::postgres_describe(query)));
    for (const auto& column : shape.columns) described.push_back({column.name, "", column.type});
    if (described.empty()) return no_columns();
    Statement statement = sources::postgres_select(query, described);
    TRY(session->run_one("DECLARE tailrace_rows NO SCROLL CURSOR FOR " + statement.sql));
    TRY(sink.columns(std::move(statement.columns)));
    while (true) {
      constexpr std::string_view kFetch = "FETCH FORWARD 5000 FROM tailrace_rows";
      const auto rows = TRY(session->run(std::string(kFetch)));
      if (rows.rows.empty()) break;
      for (const auto& row : rows.rows) TRY(sink.row(row));
    }
    TRY(session->run("ROLLBACK"));
    return {};
  }
  void stop() override { stopping_ = true; }

 private:
  const std::string connection_;
  std::atomic<bool> stopping_{false};
};

class DuckDbReader final : public QueryReader {
 public:
  DuckDbReader(std::string folder, std::string database, std::string scratch)
      : folder_(std::move(folder)), database_(std::move(database)), scratch_(std::move(scratch)) {}

  Result<void> read(const std::string& query, RowSink& sink) override {
    const auto database =
        TRY(columnar::Database::open({.threads = 2, .spill_directory = scratch_ + "/duckdb"}));
    const Running running(*this, *database);
    auto done = read(*database, query, sink);
    if (!done && stopping()) return stopped();
    return done;
  }

  void stop() override {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_ != nullptr) running_->interrupt();
  }

 private:
  // So that stop() finds whom to interrupt.
  class Running {
   public:
    Running(DuckDbReader& reader, columnar::Database& database) : reader_(reader) { set(&database); }
    ~Running() { set(nullptr); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    void set(columnar::Database* database) {
      const std::lock_guard lock(reader_.mutex_);
      reader_.running_ = database;
    }
    DuckDbReader& reader_;
  };

  bool stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  Result<void> read(columnar::Database& database, const std::string& query, RowSink& sink) {
    TRY(database.run("SET file_search_path = " + columnar::quoted_text(folder_)));
    if (!database_.empty()) {
      const std::string path = database_.starts_with('/') ? database_ : folder_ + "/" + database_;
      TRY(database.run(
          fmt::format("ATTACH {} AS source (READ_ONLY); USE source", columnar::quoted_text(path))));
    }
    const auto shape = TRY(database.query(sources::duckdb_describe(query)));
    std::vector<DescribedColumn> described;
    for (const auto& row : shape.rows) {
      if (row.size() < 2 || !row[0] || !row[1]) return no_columns();
      described.push_back({*row[0], *row[1]});
    }
    if (described.empty()) return no_columns();
    Statement statement = sources::duckdb_select(query, described);
    TRY(sink.columns(std::move(statement.columns)));
    return database.stream(statement.sql, [&](std::vector<std::optional<std::string>>& row) -> Result<void> {
      if (stopping()) return stopped();
      return sink.row(row);
    });
  }

  const std::string folder_, database_, scratch_;
  std::mutex mutex_;
  bool stopping_ = false;                  // guarded by mutex_
  columnar::Database* running_ = nullptr;  // likewise
};

// The answer is written to a file first: a server is not to wait for us with a query half answered.
class ClickHouseReader final : public QueryReader {
 public:
  ClickHouseReader(destinations::Config config, HttpReach reach, const QueryReaderOptions& options)
      : config_(std::move(config)),
        reach_(std::move(reach)),
        client_(*options.client),
        disk_(*options.disk),
        spool_(options.scratch + "/answer") {}

  Result<void> read(const std::string& query, RowSink& sink) override {
    std::vector<DescribedColumn> described;
    TRY(ask(sources::clickhouse_describe(query)));
    TRY(each_line([&](const std::vector<std::optional<std::string>>& cells) -> Result<void> {
      if (cells.size() < 2 || !cells[0] || !cells[1]) return no_columns();
      described.push_back({*cells[0], *cells[1]});
      return {};
    }));
    if (described.empty()) return no_columns();
    Statement statement = sources::clickhouse_select(query, described);
    TRY(ask(statement.sql));
    TRY(sink.columns(std::move(statement.columns)));
    TRY(each_line([&](const std::vector<std::optional<std::string>>& cells) -> Result<void> {
      if (cells.size() != described.size())
        return fail(Error::Code::unavailable, "ClickHouse's answer has a row of another length");
      return sink.row(cells);
    }));
    return disk_.remove(spool_);
  }

  void stop() override { stopping_ = true; }

 private:
  // Of one request; it may outlive the reader.
  struct Waiting {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_ptr<File> file;
    std::uint64_t bytes = 0;
    std::optional<Error> failed;
    std::optional<Result<HttpResponse>> answer;
    bool given_up = false;
  };

  // The answer's body is in the file after.
  Result<void> ask(const std::string& sql) {
    const auto waiting = std::make_shared<Waiting>();
    waiting->file = TRY(disk_.open(spool_, Disk::Mode::create_or_open));
    TRY(waiting->file->truncate(0));
    HttpRequest request = destinations::clickhouse_codec::statement(sql, config_);
    // Times within lists and objects come with their zone, as those that stand alone do.
    request.url += fmt::format(
        "&readonly=2&output_format_json_quote_64bit_integers=0&"
        "output_format_json_quote_decimals=0&date_time_output_format=iso&database={}",
        config_.setting("database"));
    client_.send(
        std::move(request), reach_,
        [waiting](std::string_view piece) {
          const std::lock_guard lock(waiting->mutex);
          if (waiting->given_up) return false;
          if (auto written = waiting->file->write_at(waiting->bytes, piece); !written) {
            waiting->failed = written.error();
            return false;
          }
          waiting->bytes += piece.size();
          return true;
        },
        [waiting](Result<HttpResponse> answer) {
          const std::lock_guard lock(waiting->mutex);
          waiting->answer = std::move(answer);
          waiting->changed.notify_all();
        });
    std::unique_lock lock(waiting->mutex);
    while (!waiting->answer) {
      constexpr std::chrono::milliseconds kLook{200};
      waiting->changed.wait_for(lock, kLook);
      if (waiting->answer || !stopping_) continue;
      waiting->given_up = true;
      return stopped();
    }
    if (waiting->failed) return std::unexpected(*waiting->failed);
    HttpResponse response = TRY(*std::move(waiting->answer));
    const std::string words = response.body;
    if (auto decoded = destinations::clickhouse_codec::decode(std::move(response)); !decoded) {
      Error error = decoded.error();
      if (const std::string_view why = of_the_query(words); !why.empty())
        error = {Error::Code::invalid_argument, fmt::format("ClickHouse: {}", why)};
      return std::unexpected(std::move(error));
    }
    return {};
  }

  // What is wrong with the query, in the server's words, where these repeat nothing but the query.
  static std::string_view of_the_query(std::string_view words) {
    // Unknown identifier, function, table, database; a syntax error; ambiguity; arguments; aggregates.
    for (const std::string_view code : {"47", "46", "60", "81", "62", "207", "42", "43", "184", "215"}) {
      if (!words.starts_with(fmt::format("Code: {}.", code))) continue;
      constexpr std::size_t kWordsMax = 400;
      return words.substr(0, std::min(words.find('\n'), kWordsMax));
    }
    return {};
  }

  Result<void> each_line(
      const std::function<Result<void>(const std::vector<std::optional<std::string>>&)>& take) {
    const auto file = TRY(disk_.open(spool_, Disk::Mode::read));
    constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
    constexpr std::size_t kLineBytesMax = std::size_t{64} << 20;
    std::string chunk(kChunkBytes, '\0');
    std::string line;
    for (std::uint64_t at = 0;;) {
      const std::size_t got = TRY(file->read_at(at, chunk));
      if (got == 0) break;
      at += got;
      std::string_view rest = std::string_view(chunk).substr(0, got);
      while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        line += rest.substr(0, end);
        if (line.size() > kLineBytesMax)
          return fail(Error::Code::unavailable, "ClickHouse's answer has a row longer than 64 MiB");
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
        if (stopping_) return stopped();
        TRY(take(TRY(sources::read_tab_separated(line))));
        line.clear();
      }
    }
    if (line.empty()) return {};
    return fail(Error::Code::unavailable, "ClickHouse's answer ends within a row");
  }

  const destinations::Config config_;
  const HttpReach reach_;
  io::HttpClient& client_;
  Disk& disk_;
  const std::string spool_;
  std::atomic<bool> stopping_{false};
};

std::string in_folder(const std::string& path, const std::string& folder) {
  return path.empty() || path.starts_with('/') ? path : folder + "/" + path;
}

}  // namespace

Result<std::unique_ptr<QueryReader>> make_query_reader(const workspace::QuerySource& source,
                                                       const QueryReaderOptions& options) {
  const sources::QueryEngine* engine = sources::find_query_engine(source.type);
  if (engine == nullptr) return invalid(fmt::format("there is no database type \"{}\"", source.type));
  destinations::Config config;
  config.settings = source.settings;
  for (const sources::Setting& setting : engine->settings) {
    if (!setting.secret && !setting.default_value.empty())
      config.settings.emplace(setting.name, setting.default_value);
  }
  for (const auto& [name, reference] : source.credentials) {
    auto secret = resolve_secret(reference, options.folder);
    if (!secret)
      return invalid(fmt::format("source \"{}\", `{}`: {}", source.name, name, secret.error().message));
    config.secrets[name] = std::move(*secret);
  }
  if (source.type == "postgres") return std::make_unique<PostgresReader>(config.secrets["connection"]);
  if (source.type == "duckdb") {
    return std::make_unique<DuckDbReader>(in_folder(config.setting("folder"), options.folder),
                                          config.setting("database"), options.scratch);
  }
  return std::make_unique<ClickHouseReader>(std::move(config),
                                            HttpReach{.private_addresses = source.allow_private_addresses,
                                                      .ca_file = in_folder(source.ca_file, options.folder)},
                                            options);
}

}  // namespace tailrace::server
