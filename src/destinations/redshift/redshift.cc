#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/object_store/object_store.h"
#include "destinations/postgres/session.h"
#include "destinations/redshift/csv_parts.h"
#include "destinations/redshift/statements.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace connect = postgres_session;
namespace sql = redshift_statements;

constexpr std::string_view kLocation = "location";
// One request each, whole in memory.
constexpr std::size_t kPartBytes = std::size_t{4} << 20;

constexpr std::array<Setting, 13> kSettings{{
    {.name = "host",
     .required = true,
     .example = "example.eu-west-1.redshift.amazonaws.com",
     .about = "The cluster's or workgroup's endpoint."},
    {.name = "port", .default_value = "5439", .about = "Its port."},
    connect::kDatabaseSetting,
    connect::kUserSetting,
    connect::kSchemaSetting,
    connect::kSslModeSetting,
    connect::kSslRootCertSetting,
    {.name = kLocation,
     .required = true,
     .example = "s3://example-lake/redshift",
     .about = "Where files lie while Redshift copies them: `s3://bucket/prefix`."},
    {.name = "iam_role",
     .default_value = "default",
     .about =
         "The role by which Redshift reads them, `arn:aws:iam::123456789012:role/copy`; `default` is the "
         "cluster's own."},
    object_store::kRegionSetting,
    connect::kPasswordSetting,
    object_store::kAccessKeyIdSetting,
    object_store::kSecretAccessKeySetting,
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a schema of an Amazon Redshift database, a cluster's or a serverless workgroup's.

**How.** Rows are put as CSV into a bucket of yours, and `COPY` takes them from there, over Redshift's own protocol. Rows of a table
that only grows are copied straight into it; rows of a table of the latest state go through a temporary table, and replace those
whose version is smaller. Then the files are removed.

**Once.** All files of a pack and its row in `_tailrace_packs (sync, sequence, pack_id, tables, loaded_at)` are one
transaction: a pack is there whole, or not at all, and one that is sent again after a lost answer is found by its row. The
transaction begins with a lock on `_tailrace_packs`, so that a session that was given up here and still runs there goes before.
(`COPY` itself remembers no file; and a transaction of the Data API is one call, with room for few statements.)

**Schema.** Its name is in small letters, as Redshift folds names. Schema, tables and columns are made when they are needed, with Redshift's automatic distribution and sort order.
Columns are only added. JSON is a `VARCHAR` (`JSON_PARSE` reads it); a column of yours that is a `SUPER` is fine too.

**Long texts.** A `VARCHAR` holds 65,535 bytes: a longer text is cut there, and longer JSON is null, because a piece of it is none.
U+0000 comes as U+FFFD.

**Rights.** `CREATE` on the database (or the schema made beforehand, and `CREATE` and `USAGE` on it) and `TEMPORARY` on the
database; the tables belong to the user who makes them. `ASSUMEROLE` on the role for `COPY`, where the cluster asks for it. The role:
`s3:GetObject` and `s3:ListBucket` on the bucket. The key: what the page of the Parquet lake names.

    CREATE USER tailrace PASSWORD '...';
    CREATE SCHEMA tailrace AUTHORIZATION tailrace;

**When somebody changes things.** A table that was dropped or renamed, a column whose type was changed, a missing row of
`_tailrace_packs`, or rows of another store there stop the sync with a message that says how to mend it. A cluster that is
paused, resized or full, and another transaction that wrote the same table, are waited for.

Of an error inside Redshift only the code is shown, since its words may repeat values; `SYS_LOAD_ERROR_DETAIL` says more.
)";

constexpr std::array<connect::Advice, 8> kAdvice{{
    {"42501", "grant the user the rights that the page of this destination names, then release the sync"},
    {"28P01", "give the right password"},
    {"28000", "give the right password, or mend `user`"},
    {"3D000", "create the database, or mend `database`"},
    {"42703", "a column is missing: was it renamed while the pack was loaded?"},
    {"53100", "the cluster's disk is full: make room there; the sync goes on by itself"},
    {"22", "a value does not fit its column: SYS_LOAD_ERROR_DETAIL says which"},
    {"54011", "Redshift allows 1600 columns a table: send fewer properties"},
}};

// Where a word begins and ends: "S3" is none of "S3CurlException", and "load" none of "load_errors".
bool is_edge(std::string_view text, std::size_t at) {
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return at == 0 || at >= text.size() || !in_word(text[at - 1]) || !in_word(text[at]);
}

// Whether the words stand there; a ? among them is any digit.
bool holds_at(std::string_view text, std::size_t at, std::string_view words) {
  if (text.size() - at < words.size() || !is_edge(text, at) || !is_edge(text, at + words.size()))
    return false;
  return std::ranges::equal(text.substr(at, words.size()), words, [](char have, char want) {
    return want == '?' ? have >= '0' && have <= '9' : have == want;
  });
}

bool holds(std::string_view text, std::string_view words) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (holds_at(text, at, words)) return true;
  }
  return false;
}

// What PostgreSQL would call an internal error is Redshift's word for much.
Error in_our_words(Error error) {
  if (!error.message.starts_with("XX")) return error;
  enum class Place : unsigned char { first, anywhere };
  struct Meaning {
    std::string_view words;
    bool passes;
    std::string_view says;
    Place place = Place::anywhere;
  };
  constexpr std::string_view kBusy = "another transaction wrote the same table; it is tried again";
  constexpr std::string_view kStoreBusy = "the bucket answers too slowly now; it is tried again";
  constexpr std::string_view kMisfit =
      "a file does not fit its table: was a column altered? SYS_LOAD_ERROR_DETAIL says more";
  constexpr std::string_view kNoBucket =
      "Redshift may not read the bucket, or it is in another region: mend `iam_role` and `region`";
  // The first that holds.
  static constexpr std::array<Meaning, 10> kMeanings{{
      {"1023", true, kBusy, Place::first},
      {"Serializable isolation violation", true, kBusy},
      {"Status 5??", true, kStoreBusy},
      {"SlowDown", true, kStoreBusy},
      {"stl_load_errors", false, kMisfit},
      {"sys_load_error_detail", false, kMisfit},
      {"S3ServiceException", false, kNoBucket},
      {"S3", false, kNoBucket},
      {"IAM", false, "the role cannot be assumed: mend `iam_role`, and attach it to the cluster"},
      {"Disk", true, "the cluster's disk is full: make room there; the sync goes on by itself"},
  }};
  const std::string_view message = error.message;
  const std::string_view code = message.substr(0, message.find(':'));
  const std::size_t first = std::min(code.size() + 2, message.size());  // behind "XX000: "
  for (const Meaning& each : kMeanings) {
    if (each.place == Place::first ? holds_at(message, first, each.words) : holds(message, each.words))
      return {each.passes ? Error::Code::unavailable : Error::Code::invalid_argument,
              fmt::format("{}: {}", code, each.says)};
  }
  return {Error::Code::unavailable, fmt::format("{}: an error inside Redshift", code)};
}

class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        config_(config),
        transport_(transport),
        schema_(config.setting("schema")),
        where_(fmt::format("the schema {}", schema_)) {}

  Result<void> run() {
    TRY(open());
    if (TRY(judge()) == PackOrder::next) {
      std::map<std::string, std::string> manifests;
      for (const WarehouseTable& table : pack_.tables) {
        if (!files_of(pack_, table).empty()) manifests[table.name] = TRY(stage_files(table));
      }
      TRY(session_->run("BEGIN"));
      TRY(session_->run(sql::lock_packs(schema_)));
      // Somebody may have been there between.
      const PacksThere there = TRY(connect::packs_there(*session_, schema_, pack_));
      if (TRY(judge_order(pack_, there, where_)) == PackOrder::next) {
        TRY(connect::bring_tables(*session_, schema_, pack_, there, where_,
                                  {sql::create_table, sql::add_column, sql::type_of, sql::takes}));
        for (const WarehouseTable& table : pack_.tables) {
          if (manifests.contains(table.name)) TRY(load_table(table, manifests[table.name]));
        }
        TRY(connect::insert_pack(*session_, schema_, pack_, "getdate()"));
      }
      TRY(session_->run("COMMIT"));
    }
    return remove_files();
  }

  // What `run` does, undone: whether it may be done.
  Result<void> probe() {
    TRY(connect_session());
    const WarehouseTable table = probe_table();
    const std::string file = table.name + ".csv";
    const std::string list = table.name + ".manifest";
    const Result<void> tried = try_copy(table, file, list);
    const Result<void> list_removed = store_->remove(list);
    const Result<void> file_removed = store_->remove(file);
    TRY(tried);
    TRY(list_removed);
    return file_removed;
  }

  const std::string& where() const { return where_; }

 private:
  Result<void> connect_session() {
    const StoreLocation location = TRY(parse_location(config_.setting(std::string(kLocation))));
    location_ = location.text;
    store_ = TRY(open_object_store(location, config_, transport_));
    session_ = TRY(transport_.connect_sql(connect::connection(config_)));
    TRY(session_->run("SET statement_timeout = 1800000"));
    TRY(session_->run("SET TimeZone = 'UTC'"));
    return {};
  }

  // Ends with its session where it fails.
  Result<void> try_copy(const WarehouseTable& table, const std::string& file, const std::string& list) {
    TRY(store_->replace(file, "1\n"));
    TRY(store_->replace(list, sql::manifest(location_, {file})));
    TRY(session_->run("BEGIN"));
    if (!TRY(connect::has_schema(*session_, schema_)))
      TRY(session_->run(fmt::format("CREATE SCHEMA {}", sql_name(schema_))));
    TRY(session_->run(sql::create_table(schema_, table)));
    TRY(session_->run(sql::copy(sql::place(schema_, table), table, location_ + "/" + list, config_)));
    TRY(session_->run("ROLLBACK"));
    return {};
  }

  Result<void> open() {
    TRY(connect_session());
    if (!TRY(connect::has_schema(*session_, schema_)))
      TRY(session_->run(fmt::format("CREATE SCHEMA IF NOT EXISTS {}", sql_name(schema_))));
    // IF NOT EXISTS would ask for the right to create all the same.
    const TablesThere tables = TRY(connect::tables_there(*session_, schema_));
    if (!tables.contains(std::string(kPacksTable))) TRY(session_->run(sql::create_packs(schema_)));
    return {};
  }

  Result<PackOrder> judge() {
    return judge_order(pack_, TRY(connect::packs_there(*session_, schema_, pack_)), where_);
  }

  // No folders, and a name that no other begins with: COPY takes a name for the beginning of names.
  std::string object_name(std::string_view rest) const { return fmt::format("{}_{}", pack_.id, rest); }
  std::string manifest_name(const WarehouseTable& table) const {
    return object_name(table.name + ".manifest");
  }

  // The manifest's address, when all its files are there.
  Result<std::string> stage_files(const WarehouseTable& table) {
    std::vector<std::string> names;
    for (const PackFile* file : files_of(pack_, table)) {
      redshift_csv::Parts parts(table, kPartBytes, [&](const std::string& part) {
        names.push_back(object_name(fmt::format("{}_{}.csv", table.name, names.size())));
        return store_->replace(names.back(), part);
      });
      TRY(transport_.read_csv(*file, column_names(table),
                              [&](std::string_view piece) { return parts.add(piece); }));
      const std::uint64_t rows = TRY(parts.finish());
      if (rows != file->rows)
        return fail(Error::Code::corrupt,
                    fmt::format("{} has {} rows, and the pack says {}", file->path, rows, file->rows));
    }
    TRY(store_->replace(manifest_name(table), sql::manifest(location_, names)));
    return location_ + "/" + manifest_name(table);
  }

  Result<void> remove_files() {
    for (const WarehouseTable& table : pack_.tables) {
      if (files_of(pack_, table).empty()) continue;
      // The manifest says which there are, also after a crash between.
      const auto manifest = TRY(store_->read(manifest_name(table)));
      if (!manifest) continue;
      for (const std::string& name : sql::names_in(*manifest, location_)) TRY(store_->remove(name));
      TRY(store_->remove(manifest_name(table)));
    }
    return {};
  }

  Result<void> load_table(const WarehouseTable& table, const std::string& manifest) {
    if (table.kind == WarehouseTable::Kind::append) return copy(sql::place(schema_, table), table, manifest);
    TRY(session_->run(sql::create_stage(table)));
    TRY(copy(sql::stage_of(table), table, manifest));
    for (const std::string& statement : sql::merge(schema_, table)) TRY(session_->run(statement));
    TRY(session_->run(sql::drop_stage(table)));
    return {};
  }

  Result<void> copy(const std::string& into, const WarehouseTable& table, const std::string& manifest) {
    TRY(session_->run(sql::copy(into, table, manifest, config_)));
    std::uint64_t rows = 0;
    for (const PackFile* file : files_of(pack_, table)) rows += file->rows;
    const auto copied = TRY(session_->run("SELECT pg_last_copy_count()"));
    if (copied.rows.size() != 1 || copied.rows[0].at(0) != fmt::format("{}", rows))
      return fail(
          Error::Code::unavailable,
          fmt::format("Redshift copied other rows into {} than the {} of the pack", table.name, rows));
    return {};
  }

  const Pack& pack_;
  const Config& config_;
  Transport& transport_;
  std::string schema_;
  std::string where_;
  std::string location_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<SqlSession> session_;
};

class Redshift final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "redshift"; }
  std::string_view platform() const override { return "redshift"; }
  std::string_view title() const override { return "Amazon Redshift"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    connect::check(config, problems);
    check_small_letters(config, "schema", problems);
    check_object_store(config, std::string(kLocation), problems);
    const auto location = parse_location(config.setting(std::string(kLocation)));
    if (location && location->kind != StoreLocation::Kind::s3)
      problems.emplace_back("location must be s3://bucket/prefix: Redshift copies from nowhere else");
    const std::string& role = config.setting("iam_role");
    if (role != "default" && (!role.starts_with("arn:") || !is_plain_text(role)))
      problems.emplace_back("iam_role must be `default` or a role's ARN, arn:aws:iam::...:role/...");
    return problems;
  }
  Result<void> load(const Pack& pack, const Config& config, Transport& transport) const override {
    Loading loading(pack, config, transport);
    return told(loading.run(), loading);
  }
  Result<void> probe(const Config& config, Transport& transport) const override {
    const Pack none;
    Loading loading(none, config, transport);
    return told(loading.probe(), loading);
  }

 private:
  static Result<void> told(Result<void> done, const Loading& loading) {
    if (done) return {};
    return std::unexpected(connect::advised(in_our_words(std::move(done).error()), loading.where(), kAdvice));
  }
};

}  // namespace

const Destination& redshift() {
  static const Redshift kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
