#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/databricks/codec.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/polling.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace codec = databricks_codec;

// A warehouse that was stopped takes minutes to start.
constexpr Millis kPatience{40 * 60 * 1000};
constexpr Millis kTokenMargin = kMinute;
constexpr std::string_view kProbe = "_tailrace_probe";

constexpr std::array<Setting, 8> kSettings{{
    {.name = "url",
     .required = true,
     .example = "https://example.cloud.databricks.com",
     .about = "The workspace's address."},
    {.name = "warehouse_id",
     .required = true,
     .example = "a1b2c3d4e5f60718",
     .about = "The SQL warehouse that computes; it is started where it has stopped."},
    {.name = "catalog", .required = true, .example = "main", .about = "The catalog (Unity Catalog)."},
    {.name = "schema",
     .default_value = "tailrace",
     .about = "Where the tables are kept, in small letters; it exists. One sync has it for itself."},
    {.name = "volume_path",
     .required = true,
     .example = "/Volumes/main/tailrace/stage",
     .about = "A volume, or a folder in one, where files lie while they are loaded."},
    {.name = "access_token",
     .secret = true,
     .example = "secret-access-token",
     .about = "A personal access token; or the two below."},
    {.name = "client_id", .secret = true, .about = "A service principal's id."},
    {.name = "client_secret", .secret = true, .about = "Its secret."},
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a schema of a Databricks catalog, as Delta tables.

**How.** Files are put into a volume, and a statement for each table merges them: of a table that only grows the rows whose
key is not there, of a table of the latest state those whose version is greater. Then the pack is written to
`_tailrace_packs (sync, sequence, pack_id, tables, loaded_at)`, and the files are removed.

**Once.** A statement of Delta's is there whole or not at all, and one that comes again finds its rows by their keys and
changes nothing: whether its answer was lost, or it was given up here and still runs there. Two that run at once are told
apart by Delta: the tables are `Serializable` and without deletion vectors, so that of two statements that add rows one fails, and
is tried again. (With deletion vectors Delta compares changed rows, and two that are added are none.) `COPY INTO` is not used:
it leaves out files that it knows, but two that copy the same file at once it does not tell apart.

The tables of a pack are not one transaction: while it is loaded some of its tables may be ahead of others.

**Schema.** Tables and columns are made when they are needed; tables are clustered by their key, so that a merge reads little
of them. Columns are only added. JSON is a `STRING` (`from_json` and `:` read it).

**Rights**: `CAN USE` on the warehouse; `USE CATALOG`; `USE SCHEMA` and `CREATE TABLE` on the schema; `READ VOLUME` and `WRITE
VOLUME` on the volume. The tables belong to whoever makes them.

    GRANT USE SCHEMA, CREATE TABLE ON SCHEMA main.tailrace TO `tailrace`;
    CREATE VOLUME main.tailrace.stage;
    GRANT READ VOLUME, WRITE VOLUME ON VOLUME main.tailrace.stage TO `tailrace`;

**When somebody changes things.** A table that was dropped, a column whose type was changed, rows missing in `_tailrace_packs`, or a
right that was revoked stop the sync with a message that says how to mend it. A warehouse that is full or starting, and
somebody else's statement that changed a table meanwhile, are waited for. Leave the tables' properties as they were made.

Only the class of an error is shown, since Databricks's words repeat values; its query history says more.
)";

class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        config_(config),
        transport_(transport),
        where_(fmt::format("the schema {}", config.setting("schema"))) {}

  Result<void> run() {
    TRY(ask(codec::create_packs(config_)));
    const codec::Answer packs = TRY(ask(codec::select_packs(pack_, config_)));
    const PacksThere there = TRY(read_packs(pack_, packs.rows));
    if (TRY(judge_order(pack_, there, where_)) == PackOrder::next) {
      TRY(bring_tables(there));
      for (const PackFile& file : pack_.files) TRY(stage(file));
      for (const WarehouseTable& table : pack_.tables) {
        if (!files_of(pack_, table).empty()) TRY(ask(codec::merge(pack_, table, config_)));
      }
      TRY(ask(codec::insert_pack(pack_, config_)));
    }
    for (const PackFile& file : pack_.files) TRY(remove(codec::staged_name(pack_, file)));
    return {};
  }

  Result<void> probe() {
    const WarehouseTable table{.name = std::string(kProbe),
                               .kind = WarehouseTable::Kind::append,
                               .columns = {{"a", ColumnType::integer, ""}},
                               .key = {"a"},
                               .version = {},
                               .about = {}};
    TRY(ask(codec::create_table(table, config_)));
    TRY(ask(codec::drop_table(table.name, config_)));
    TRY(put(table.name, "May be removed.\n"));
    return remove(table.name);
  }

 private:
  Result<void> bring_tables(const PacksThere& there) {
    const TablesThere tables = TRY(codec::read_columns(TRY(ask(codec::select_columns(config_)))));
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
    return destinations::bring_tables(pack_, there, tables, where_, make);
  }

  Result<void> stage(const PackFile& file) {
    std::string bytes = TRY(transport_.read(file, 0, file.bytes));
    if (bytes.size() != file.bytes)
      return fail(Error::Code::corrupt, fmt::format("{} is shorter than the pack says", file.path));
    return put(codec::staged_name(pack_, file), std::move(bytes));
  }

  Result<void> put(const std::string& name, std::string bytes) {
    return codec::decode_file(
        TRY(transport_.send(codec::put_file(name, std::move(bytes), config_, TRY(token())))));
  }

  Result<void> remove(const std::string& name) {
    const HttpResponse removed = TRY(transport_.send(codec::delete_file(name, config_, TRY(token()))));
    if (removed.status == 404) return {};
    return codec::decode_file(removed);
  }

  Result<std::string> token() {
    const auto request = codec::token_request(config_);
    if (!request) return config_.secret("access_token");
    if (!token_ || transport_.now() + kTokenMargin >= token_->expires_at)
      token_ = TRY(refresh_token::decode(TRY(transport_.send(*request)), transport_.now()));
    return token_->value;
  }

  // The rows when it is done.
  Result<codec::Answer> ask(const codec::Statement& statement) {
    codec::Answer answer =
        TRY(codec::decode(TRY(transport_.send(codec::submit(statement, config_, TRY(token()))))));
    if (answer.running.empty()) return answer;
    TRY(keep_looking(transport_, kPatience, "a statement of Databricks's", [&]() -> Result<bool> {
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
  std::optional<Token> token_;
};

// "/Volumes/main/tailrace/stage/folder"
bool is_in_a_volume(std::string_view path) {
  constexpr std::string_view kVolumes = "/Volumes/";
  if (!path.starts_with(kVolumes) || path.find('`') != path.npos) return false;
  path.remove_prefix(kVolumes.size());
  std::size_t parts = 0;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    ++parts;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts >= 3;
}

class Databricks final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "databricks"; }
  std::string_view platform() const override { return "databricks"; }
  std::string_view title() const override { return "Databricks"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, "url", Query::refused, problems);
    for (const char* name : {"catalog", "schema"}) check_plain(config, name, problems);
    check_small_letters(config, "schema", problems);
    for (const char* name : {"access_token", "client_id", "client_secret"})
      check_token(config, name, problems);
    const std::string& warehouse = config.setting("warehouse_id");
    if (!std::ranges::all_of(warehouse,
                             [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }))
      problems.emplace_back("warehouse_id must be the id of a SQL warehouse, as its page shows it");
    const std::string& volume = config.setting("volume_path");
    if (!volume.empty() && (!is_in_a_volume(volume) || !is_plain_text(volume)))
      problems.emplace_back(
          "volume_path must be /Volumes/<catalog>/<schema>/<volume>, and a folder in it where wanted");
    const bool client = config.secrets.contains("client_id") && config.secrets.contains("client_secret");
    if (!client && !config.secrets.contains("access_token"))
      problems.emplace_back("credentials are missing: give access_token, or client_id and client_secret");
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

const Destination& databricks() {
  static const Databricks kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
