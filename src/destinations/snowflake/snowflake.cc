#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/authentication/signed_token.h"
#include "destinations/checks.h"
#include "destinations/object_store/object_store.h"
#include "destinations/snowflake/codec.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/polling.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace codec = snowflake_codec;

constexpr std::string_view kStageLocation = "stage_location";
constexpr Millis kPatience{40 * 60 * 1000};
constexpr int kResendsMax = 3;

constexpr std::array<Setting, 18> kSettings{{
    {.name = "account",
     .required = true,
     .example = "example-account",
     .about = "The account's identifier, `organisation-account` or a locator with its region."},
    {.name = "user", .required = true, .example = "TAILRACE", .about = "Who writes: see the rights below."},
    {.name = "database",
     .required = true,
     .example = "ANALYTICS",
     .about = "The database, as it is written there."},
    {.name = "schema",
     .default_value = "TAILRACE",
     .about = "Where the tables are kept; it exists. One sync has it for itself."},
    {.name = "warehouse", .required = true, .example = "LOAD_WH", .about = "The warehouse that computes."},
    {.name = "role", .about = "The role that writes; without it the user's default role."},
    {.name = "stage",
     .required = true,
     .example = "ANALYTICS.TAILRACE.STAGE",
     .about = "An external stage whose location is the one below, as it is written in SQL without `@`."},
    {.name = kStageLocation,
     .required = true,
     .example = "s3://example-lake/snowflake",
     .about = "Where that stage looks: `s3://bucket/prefix`, `gs://...` or `azure://container/prefix`. Files "
              "are put "
              "there for Snowflake to copy; a rule of the bucket may remove them after some days."},
    {.name = "url",
     .about = "Where requests go, where it is not `https://<account>.snowflakecomputing.com`."},
    object_store::kRegionSetting,
    object_store::kEndpointUrlSetting,
    {.name = object_store::kAccount, .about = "`azure://`: the storage account."},
    object_store::kTokenUrlSetting,
    {.name = "private_key",
     .required = true,
     .secret = true,
     .about = "The user's RSA key, PEM, not encrypted; its public half is the user's `RSA_PUBLIC_KEY`."},
    object_store::kAccessKeyIdSetting,
    object_store::kSecretAccessKeySetting,
    object_store::kAccountKeySetting,
    {.name = object_store::kServiceAccountJson,
     .secret = true,
     .about = "`gs://`: the JSON key file of a service account, instead of an HMAC key."},
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a schema of a Snowflake database.

**How.** Files are put where an external stage of yours looks (S3, Google Cloud Storage or Azure; `PUT` to an internal stage is
not open to the SQL API). Then one request of several statements copies them: a transaction that holds `COPY INTO` of every
file, for tables of the latest state a `MERGE` from a transient table where the version is greater, and the pack's row in
`_TAILRACE_PACKS (SYNC, SEQUENCE, PACK_ID, TABLES, LOADED_AT)`.

**Once.** A pack is there whole, or not at all, and one that is sent again after a lost answer is found by its row. A request
that was given up here and still runs there holds a lock (the row with `SEQUENCE` 0) until it ends; the next one waits for it
and then ends itself where the pack is there. A request that is repeated has its `requestId` and `retry=true`; and `COPY INTO`
knows for 64 days which files a table has.

**Schema.** Tables and columns are made when they are needed, in upper case. Columns are only added. JSON is a `VARCHAR`
(`PARSE_JSON` reads it).

**Rights** of the role: `USAGE` on the warehouse, the database, the schema and the stage (with its integration), `CREATE TABLE` on
the schema; the tables belong to the role. And for the files what the page of the Parquet lake names.

    ALTER USER TAILRACE SET RSA_PUBLIC_KEY = '...';
    CREATE STAGE ANALYTICS.TAILRACE.STAGE URL = 's3://example-lake/snowflake' STORAGE_INTEGRATION = ...;

**When somebody changes things.** A table that was dropped, a column whose type was changed, rows missing in `_TAILRACE_PACKS`, or a
right that was revoked stop the sync with a message that says how to mend it. A warehouse that is full, a resource monitor's
limit, or trouble of Snowflake's own are tried again.

Only the code of a refusal is shown, since Snowflake's words repeat values; its query history (`QUERY_TAG = 'tailrace'`) says
more.
)";

class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        config_(config),
        transport_(transport),
        where_(fmt::format("the schema {}", config.setting("schema"))) {}

  Result<void> run() {
    TRY(bring_packs());
    const codec::Answer packs = TRY(ask(codec::packs_query(pack_, config_)));
    const PacksThere there = TRY(read_packs(pack_, packs.rows));
    if (TRY(judge_order(pack_, there, where_)) == PackOrder::done) return {};
    TRY(bring_tables(there));
    const StoreLocation location = TRY(parse_location(config_.setting(std::string(kStageLocation))));
    const auto store = TRY(open_object_store(location, config_, transport_));
    for (const PackFile& file : pack_.files) TRY(store->create(codec::staged_name(pack_, file), file));
    const std::vector<std::string> statements = codec::load(pack_, config_);
    TRY(ask(fmt::format("{}", fmt::join(statements, ";\n")), static_cast<int>(statements.size())));
    return {};
  }

  Result<void> probe() {
    TRY(bring_packs());
    const StoreLocation location = TRY(parse_location(config_.setting(std::string(kStageLocation))));
    const auto store = TRY(open_object_store(location, config_, transport_));
    TRY(probe_object_store(*store));
    TRY(ask(fmt::format("LIST @{}", config_.setting("stage"))));
    return {};
  }

 private:
  Result<void> bring_packs() {
    TRY(ask(codec::create_packs(config_)));
    TRY(ask(codec::create_lock_row(config_)));
    return {};
  }

  Result<void> bring_tables(const PacksThere& there) {
    const auto tables = TRY(codec::read_columns(TRY(ask(codec::select_columns(config_)))));
    const TableMaker make{
        .create = [&](const WarehouseTable& table) -> Result<void> {
          TRY(ask(codec::create_table(table, config_)));
          return {};
        },
        .add_column = [&](const WarehouseTable& table, const WarehouseColumn& column) -> Result<void> {
          TRY(ask(codec::add_column(table.name, column, config_)));
          return {};
        },
        .type_of = [](const WarehouseTable&,
                      const WarehouseColumn& column) { return std::string(codec::type_of(column.type)); },
        .takes = [](std::string_view type_there, const WarehouseTable&,
                    const WarehouseColumn& column) { return codec::takes(type_there, column.type); }};
    TRY(destinations::bring_tables(pack_, there, tables, where_, make));
    for (const WarehouseTable& table : pack_.tables) {
      if (table.kind == WarehouseTable::Kind::latest && !files_of(pack_, table).empty())
        TRY(ask(codec::create_stage(table, config_)));
    }
    return {};
  }

  Result<std::string> token() {
    constexpr Millis kRenew{50 * 60 * 1000};
    if (token_.empty() || transport_.now() >= renew_at_) {
      token_ = TRY(codec::token(config_, transport_.now()));
      renew_at_ = transport_.now() + kRenew;
    }
    return token_;
  }

  // The rows when it is done. A request whose answer was lost is asked for again by its own id.
  Result<codec::Answer> ask(const std::string& sql, int statements = 1) {
    const std::string id =
        codec::request_id(fmt::format("{} {} {} {}", pack_.id, transport_.now().ms, ++asked_, sql));
    codec::Submission submission{sql, id, false, statements};
    for (int resends = 0;; ++resends) {
      const auto response = transport_.send(codec::submit(submission, config_, TRY(token())));
      if (response) return follow(TRY(codec::decode(*response)));
      if (response.error().code != Error::Code::unavailable || resends == kResendsMax)
        return std::unexpected(response.error());
      submission.again = true;
      if (!transport_.wait(kSecond)) return stopping();
    }
  }

  Result<codec::Answer> follow(codec::Answer answer) {
    if (answer.running.empty()) return answer;
    TRY(keep_looking(transport_, kPatience, "a statement of Snowflake's", [&]() -> Result<bool> {
      const HttpResponse response = TRY(transport_.send(codec::poll(answer.running, config_, TRY(token()))));
      // Too many questions, not a statement that failed.
      if (response.status == 429) return false;
      answer = TRY(codec::decode(response));
      return answer.running.empty();
    }));
    return answer;
  }

  const Pack& pack_;
  const Config& config_;
  Transport& transport_;
  std::string where_;
  std::string token_;
  Time renew_at_;
  int asked_ = 0;
};

class Snowflake final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "snowflake"; }
  std::string_view platform() const override { return "snowflake"; }
  std::string_view title() const override { return "Snowflake"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_object_store(config, std::string(kStageLocation), problems);
    check_url(config, "url", Query::refused, problems);
    const auto location = parse_location(config.setting(std::string(kStageLocation)));
    if (location && location->kind == StoreLocation::Kind::folder)
      problems.emplace_back("stage_location must be in an object store: Snowflake cannot see this machine");
    const std::string& account = config.setting("account");
    if (!std::ranges::all_of(account, [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                 c == '_' || c == '.';
        }))
      problems.emplace_back("account must be an account's identifier, such as organisation-account");
    for (const char* name : {"user", "database", "schema", "warehouse", "role"})
      check_plain(config, name, problems);
    const std::string& stage = config.setting("stage");
    if (stage.find_first_of(" ';()@") != std::string::npos)
      problems.emplace_back("stage must be a stage's name, such as DATABASE.SCHEMA.STAGE");
    const std::string& key = config.secret("private_key");
    if (!key.empty() && !RsaKey::read(key))
      problems.emplace_back("private_key must be an unencrypted RSA key, PEM");
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

const Destination& snowflake() {
  static const Snowflake kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
