#include <array>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/clickhouse/codec.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace codec = clickhouse_codec;

constexpr std::array<Setting, 5> kSettings{{
    {.name = "url",
     .required = true,
     .example = "https://clickhouse.example.com:8443",
     .about = "The server's HTTP interface."},
    {.name = "database",
     .default_value = "tailrace",
     .about = "Where the tables are kept; made where it is missing. One sync has it for itself."},
    {.name = "user", .default_value = "default", .about = "Who writes: see the rights below."},
    {.name = "cluster",
     .about = "The cluster on which tables are made (`ON CLUSTER`), with replicated engines. Without it: one "
              "server, or ClickHouse Cloud."},
    {.name = "password", .secret = true, .example = "secret-password", .about = "The user's password."},
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a database of a ClickHouse server (23.7 or newer), or of ClickHouse Cloud.

**Once.** Every file is one `INSERT ... FORMAT Parquet` with `insert_deduplication_token` = pack, table and number of the file: a
file that is sent again after a lost answer is known to the server, which keeps the last 1000 tokens of a table
(`non_replicated_deduplication_window`, set when a table is made), and left out. Tables are `ReplacingMergeTree` by
their key besides, of the latest state with their version: what came twice all the same is one row for whoever reads
with `FINAL`, and after the next merge for everybody. When all files are there the pack is written to
`_tailrace_packs (sync, sequence, pack_id, tables, loaded_at)`.

ClickHouse has no transaction over several tables: while a pack is loaded some of its tables may be ahead of others.

**Reading.** `SELECT ... FROM tailrace.people FINAL`.

**Schema.** Database, tables and columns are made when they are needed. Columns are only added. JSON is a `String`.
Inserts are never asynchronous, and their answers are waited for.

**Rights.** `CREATE DATABASE` (or the database made beforehand), `CREATE TABLE`, `ALTER TABLE`, `INSERT` and `SELECT` on the
database, `SELECT` on `system.columns`.

**When somebody changes things.** A table that was dropped, a column whose type was changed, rows missing in
`_tailrace_packs`, or a right that was revoked stop the sync with a message that says how to mend it. A full disk,
too many parts or queries, or a replica that is read-only are tried again, with the same token.

**Tested** on ClickHouse's own engine, 26.7, as a library behind a small front that speaks its HTTP interface
(`tests/end_to_end/clickhouse_test.py`). Clusters, grants and ClickHouse Cloud: against a stand-in, by their documents.
)";

class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        config_(config),
        transport_(transport),
        where_(fmt::format("the database {}", config.setting("database"))) {}

  Result<void> run() {
    TRY(send(codec::statement(codec::create_database(config_), config_)));
    TRY(send(codec::statement(codec::create_packs(config_), config_)));
    const std::string packs = TRY(send(codec::statement(codec::select_packs(pack_, config_), config_)));
    const PacksThere there = TRY(codec::decode_packs(packs, pack_));
    if (TRY(judge_order(pack_, there, where_)) == PackOrder::done) return {};
    TRY(bring_tables(there));
    for (const WarehouseTable& table : pack_.tables) {
      int number = 0;
      for (const PackFile* file : files_of(pack_, table)) {
        std::string bytes = TRY(transport_.read(*file, 0, file->bytes));
        if (bytes.size() != file->bytes)
          return fail(Error::Code::corrupt, fmt::format("{} is shorter than the pack says", file->path));
        const std::string token = fmt::format("{}_{}_{}", pack_.id, table.name, number++);
        TRY(send(codec::insert(table, std::move(bytes), token, config_)));
      }
    }
    TRY(send(codec::statement(codec::insert_pack(pack_, config_), config_)));
    return {};
  }

  Result<void> probe() {
    TRY(send(codec::statement("SELECT 1", config_)));
    const WarehouseTable table = probe_table();
    TRY(send(codec::statement(codec::create_database(config_), config_)));
    TRY(send(codec::statement(codec::create_table(table, config_), config_)));
    const std::string place = sql_name(config_.setting("database"), '`') + "." + sql_name(table.name, '`');
    auto inserted = send(codec::statement(fmt::format("INSERT INTO {} SELECT 1", place), config_));
    TRY(send(codec::statement(fmt::format("DROP TABLE {}", place), config_)));
    if (!inserted) return std::unexpected(inserted.error());
    return {};
  }

 private:
  Result<std::string> send(HttpRequest request) {
    return codec::decode(TRY(transport_.send(std::move(request))));
  }

  Result<void> bring_tables(const PacksThere& there) {
    const std::string columns = TRY(send(codec::statement(codec::select_columns(config_), config_)));
    const auto tables = TRY(codec::decode_columns(columns));
    return destinations::bring_tables(
        pack_, there, tables, where_,
        {.create = [&](const WarehouseTable& table) -> Result<void> {
           TRY(send(codec::statement(codec::create_table(table, config_), config_)));
           return {};
         },
         .add_column = [&](const WarehouseTable& table, const WarehouseColumn& column) -> Result<void> {
           TRY(send(codec::statement(codec::add_column(table.name, column, config_), config_)));
           return {};
         },
         .type_of = codec::type_of,
         .takes = codec::takes});
  }

  const Pack& pack_;
  const Config& config_;
  Transport& transport_;
  std::string where_;
};

class ClickHouse final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "clickhouse"; }
  std::string_view platform() const override { return "clickhouse"; }
  std::string_view title() const override { return "ClickHouse"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, "url", Query::refused, problems);
    check_token(config, "password", problems);
    for (const char* name : {"database", "user", "cluster"}) check_plain(config, name, problems);
    return problems;
  }
  Result<void> load(const Pack& pack, const Config& config, Transport& transport) const override {
    return Loading(pack, config, transport).run();
  }
  Result<void> probe(const Config& config, Transport& transport) const override {
    const Pack none;
    return Loading(none, config, transport).probe();
  }
};

}  // namespace

const Destination& clickhouse() {
  static const ClickHouse kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
