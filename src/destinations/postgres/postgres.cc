#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/postgres/session.h"
#include "destinations/postgres/statements.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace sql = postgres_statements;
namespace connect = postgres_session;

constexpr std::array<Setting, 8> kSettings{{
    {.name = "host",
     .required = true,
     .example = "db.example.com",
     .about = "The server's name, or the folder of its socket (`/var/run/postgresql`)."},
    {.name = "port", .default_value = "5432", .about = "The server's port."},
    connect::kDatabaseSetting,
    connect::kUserSetting,
    connect::kSchemaSetting,
    connect::kSslModeSetting,
    connect::kSslRootCertSetting,
    connect::kPasswordSetting,
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a schema of a PostgreSQL database (12 or newer).

**Once.** All files of a pack and its row in `_tailrace_packs (sync, sequence, pack_id, tables, loaded_at)` are one
transaction: a pack is there whole, or not at all, and one that is sent again after a crash is found by its row. That also
makes `_tailrace_packs` the answer to "how far is the warehouse?".

**How.** Rows of a table that only grows are copied straight into it (`COPY`); where that meets a key that is there, the copy is
undone, and they go through a temporary table and `INSERT ... ON CONFLICT DO NOTHING`. Rows of a table of the latest state go
through a temporary table and `ON CONFLICT DO UPDATE` where their version is greater.

**Schema.** Schema, tables and columns are made when they are needed. Columns are only added; none is dropped or
retyped. Columns of your own, indexes, views and grants are left alone, as long as a row without your columns may
be inserted. A jsonb holds no U+0000 and a text none either: both come with U+FFFD instead.

**Rights.** `CREATE` on the database (or the schema made beforehand, and `CREATE` and `USAGE` on it), `TEMPORARY` on the
database; the tables belong to the user who makes them.

    CREATE USER tailrace PASSWORD '...';
    CREATE SCHEMA tailrace AUTHORIZATION tailrace;
    GRANT TEMPORARY ON DATABASE analytics TO tailrace;

**When somebody changes things.** A table that was dropped or renamed, a column whose type was changed, a missing
row of `_tailrace_packs`, or rows of another store there stop the sync with a message that says how to mend it. A
server that shuts down, is full, is a standby for now, or a lock that is not given within 30 s is tried again.

A connection pooler must hand a whole transaction to one server session (PgBouncer: `pool_mode = session` or
`transaction`).
)";

constexpr std::array<connect::Advice, 12> kAdvice{{
    {"42501", "grant the user the rights that the page of this destination names, then release the sync"},
    {"28P01", "give the right password"},
    {"28000", "let the user in (pg_hba.conf), or mend `user`"},
    {"3D000", "create the database, or mend `database`"},
    {"42P10", "the table has no unique index over its key any more: create it again"},
    {"42804", "a column was altered to another type: change it back"},
    {"42703", "a column is missing: was it renamed while the pack was loaded?"},
    {"53100", "the server's disk is full: make room there; the sync goes on by itself"},
    {"25006", "the server takes no writes (a standby?); the sync goes on when it does"},
    {"55P03", "somebody holds a lock on the table; the sync goes on when it is released"},
    {"54011", "PostgreSQL allows 1600 columns a table: send fewer properties"},
    {"23502", "a column of your own has NOT NULL and no default: give it one"},
}};

// One load, in one transaction.
class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        transport_(transport),
        schema_(config.setting("schema")),
        where_(fmt::format("the schema {}", schema_)) {}

  Result<void> run(SqlSession& session) {
    session_ = &session;
    TRY(begin());
    const PacksThere there = TRY(connect::packs_there(session, schema_, pack_));
    if (TRY(judge_order(pack_, there, where_)) == PackOrder::done) {
      TRY(session.run("ROLLBACK"));
      return {};
    }
    TRY(connect::bring_tables(*session_, schema_, pack_, there, where_,
                              {sql::create_table, sql::add_column, sql::type_of, sql::takes}));
    for (const WarehouseTable& table : pack_.tables) TRY(load_table(table));
    TRY(connect::insert_pack(session, schema_, pack_, "now()"));
    TRY(session.run("COMMIT"));
    return {};
  }

  // What `run` begins with, undone: whether it may be done.
  Result<void> probe(SqlSession& session) {
    session_ = &session;
    TRY(begin());
    const WarehouseTable table = probe_table();
    TRY(session.run(sql::create_table(schema_, table)));
    TRY(session.run(sql::create_stage(table)));
    TRY(session.copy_in(sql::copy_into_stage(table),
                        [](const SqlSession::Put& put) { return put("a\n1\n"); }));
    TRY(session.run(sql::merge(schema_, table)));
    TRY(session.run("ROLLBACK"));
    return {};
  }

  const std::string& where() const { return where_; }

 private:
  Result<void> begin() {
    TRY(
        session_->run("SET lock_timeout = '30s'; SET statement_timeout = '30min'; SET TimeZone = 'UTC'; SET "
                      "DateStyle = 'ISO, MDY'; SET standard_conforming_strings = on"));
    TRY(session_->run("BEGIN"));
    // One load at a time, also by another process of ours that has not noticed its end yet.
    const std::vector<std::optional<std::string>> key{"tailrace " + schema_};
    TRY(session_->run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key));
    if (!TRY(connect::has_schema(*session_, schema_)))
      TRY(session_->run(fmt::format("CREATE SCHEMA {}", sql_name(schema_))));
    // IF NOT EXISTS would ask for the right to create all the same.
    const std::vector<std::optional<std::string>> packs{sql_name(schema_) + "." + std::string(kPacksTable)};
    const auto table = TRY(session_->run("SELECT pg_catalog.to_regclass($1) IS NULL", packs));
    if (table.rows.at(0).at(0) == "t") TRY(session_->run(sql::create_packs(schema_)));
    return {};
  }

  Result<void> load_table(const WarehouseTable& table) {
    const std::vector<const PackFile*> files = files_of(pack_, table);
    if (files.empty()) return {};
    if (table.kind == WarehouseTable::Kind::append && TRY(copy_straight(table, files))) return {};
    TRY(session_->run(sql::create_stage(table)));
    for (const PackFile* file : files) TRY(copy(sql::copy_into_stage(table), table, *file));
    TRY(session_->run(sql::merge(schema_, table)));
    TRY(session_->run(sql::drop_stage(table)));
    return {};
  }

  // False: something was there already, or a value needs mending first; nothing is done then.
  Result<bool> copy_straight(const WarehouseTable& table, const std::vector<const PackFile*>& files) {
    TRY(session_->run("SAVEPOINT straight"));
    for (const PackFile* file : files) {
      const auto copied = copy(sql::copy_into_table(schema_, table), table, *file);
      if (copied) continue;
      const std::string& why = copied.error().message;
      if (!why.starts_with("23505") && !why.starts_with("22")) return std::unexpected(copied.error());
      TRY(session_->run("ROLLBACK TO SAVEPOINT straight"));
      return false;
    }
    TRY(session_->run("RELEASE SAVEPOINT straight"));
    return true;
  }

  Result<void> copy(const std::string& statement, const WarehouseTable& table, const PackFile& file) {
    const std::vector<std::string> columns = column_names(table);
    const auto copied = session_->copy_in(statement, [&](const SqlSession::Put& put) {
      return transport_.read_csv(file, columns, [&](std::string_view piece) { return put_text(put, piece); });
    });
    if (!copied) return std::unexpected(copied.error());
    if (*copied != file.rows)
      return fail(Error::Code::corrupt,
                  fmt::format("{} has {} rows, and the pack says {}", file.path, *copied, file.rows));
    return {};
  }

  // No text here holds a zero byte.
  static Result<void> put_text(const SqlSession::Put& put, std::string_view piece) {
    for (std::size_t zero = piece.find('\0'); zero != std::string_view::npos; zero = piece.find('\0')) {
      TRY(put(piece.substr(0, zero)));
      TRY(put("\xef\xbf\xbd"));
      piece.remove_prefix(zero + 1);
    }
    return put(piece);
  }

  const Pack& pack_;
  Transport& transport_;
  std::string schema_;
  std::string where_;
  SqlSession* session_ = nullptr;
};

class Postgres final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "postgres"; }
  std::string_view platform() const override { return "postgres"; }
  std::string_view title() const override { return "PostgreSQL"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    connect::check(config, problems);
    return problems;
  }

  Result<void> load(const Pack& pack, const Config& config, Transport& transport) const override {
    Loading loading(pack, config, transport);
    const auto done = [&]() -> Result<void> {
      const auto session = TRY(transport.connect_sql(connect::connection(config)));
      return loading.run(*session);
    }();
    if (!done) return std::unexpected(connect::advised(done.error(), loading.where(), kAdvice));
    return {};
  }

  Result<void> probe(const Config& config, Transport& transport) const override {
    const Pack none;
    Loading loading(none, config, transport);
    const auto done = [&]() -> Result<void> {
      const auto session = TRY(transport.connect_sql(connect::connection(config)));
      return loading.probe(*session);
    }();
    if (!done) return std::unexpected(connect::advised(done.error(), loading.where(), kAdvice));
    return {};
  }
};

}  // namespace

const Destination& postgres() {
  static const Postgres kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
