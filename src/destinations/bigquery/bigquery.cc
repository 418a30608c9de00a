#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/bigquery/codec.h"
#include "destinations/checks.h"
#include "destinations/google_data_manager/token.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/polling.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

namespace codec = bigquery_codec;
namespace token = google_token;

constexpr std::string_view kScope = "https://www.googleapis.com/auth/bigquery";
constexpr std::uint64_t kPieceBytes = std::uint64_t{32} << 20;  // a multiple of 256 KiB, as the API asks
constexpr int kAttemptsMax = 50;
constexpr Millis kPatience{30 * 60 * 1000};

constexpr std::array<Setting, 9> kSettings{{
    {.name = "project", .required = true, .example = "example-project", .about = "The project's id."},
    {.name = "dataset",
     .default_value = "tailrace",
     .about = "Where the tables are kept; made where it is missing. One sync has it for itself."},
    {.name = "location", .about = "Where a dataset that is made lies (`EU`); without it Google's default."},
    {.name = "api_url", .default_value = "https://bigquery.googleapis.com", .about = "Where requests go."},
    {.name = "token_url",
     .default_value = "https://oauth2.googleapis.com/token",
     .about = "Where access tokens come from."},
    {.name = token::kServiceAccountJson,
     .secret = true,
     .about = "The JSON key file of a service account; or the three below."},
    {.name = token::kClientId,
     .secret = true,
     .example = "secret-client-id",
     .about = "An OAuth client's id."},
    {.name = token::kClientSecret, .secret = true, .example = "secret-client-word", .about = "Its secret."},
    {.name = token::kRefreshToken,
     .secret = true,
     .example = "secret-refresh-token",
     .about = "A refresh token of a user, for the scope `https://www.googleapis.com/auth/bigquery`."},
}};

constexpr std::string_view kAbout =
    R"(Keeps the tables in a BigQuery dataset.

**Once.** Every file is a load job whose id follows from the pack, the table (and when it was made) and the number of the file:
BigQuery runs a job id once, so a file that is sent again after a lost answer meets its own job, and what became of it counts.
A job that failed has used up its id; the next one has the next number. A load job is atomic. Tables that only grow are loaded
directly; of the latest state a table `_tailrace_stage_...` is loaded and merged by key where the version is
greater, and then removed. When all files are there the pack is written to
`_tailrace_packs (sync, sequence, pack_id, tables, loaded_at)`.

The tables of a pack are not one transaction: while it is loaded some of its tables may be ahead of others.

**Schema.** Dataset, tables and columns are made when they are needed; tables are clustered by their key. Columns are only
added. A decimal is `NUMERIC`, JSON a `STRING` (`JSON_VALUE` and the like read it).

**Limits.** BigQuery allows 1,500 changes of a table a day, failed ones counted; a pack is one for each table and file, so
load every few minutes, not every few seconds. Changing rows (`MERGE`, and `_tailrace_packs`) needs a project with billing.

**Rights.** `roles/bigquery.dataEditor` on the dataset (on the project where the dataset is to be made) and
`roles/bigquery.jobUser` on the project.

**When somebody changes things.** A table that was dropped, a column whose type was changed, rows missing in `_tailrace_packs`, or
a right that was revoked stop the sync with a message that says how to mend it. A quota that is used up, or trouble of
BigQuery's own, is tried again.
)";

class Loading {
 public:
  Loading(const Pack& pack, const Config& config, Transport& transport)
      : pack_(pack),
        transport_(transport),
        session_{config, {}, {}},
        where_(fmt::format("the dataset {}", config.setting("dataset"))) {}

  Result<void> run() {
    TRY(open());
    const std::string packs_made = TRY(packs_table());
    const PacksThere there = TRY(
        codec::decode_packs(TRY(ask(codec::query(session_, codec::select_packs(session_, pack_)))), pack_));
    if (TRY(judge_order(pack_, there, where_)) == PackOrder::done) return {};
    for (const WarehouseTable& table : pack_.tables) {
      const std::string made = TRY(bring_table(table, there));
      if (!files_of(pack_, table).empty()) TRY(load_table(table, made));
    }
    const std::string job = fmt::format("tailrace_{}_packs_{}", pack_.id, packs_made);
    return finish_job(
        job, [&](const std::string& id) { return begin_query(id, codec::insert_pack(session_, pack_)); });
  }

  Result<void> probe() {
    TRY(open());
    const std::string name = "_tailrace_probe";
    WarehouseTable table = codec::packs_table();
    table.name = name;
    const HttpResponse made = TRY(ask(codec::create_table(session_, table)));
    if (made.status != 409) TRY(codec::decode_done(made));
    const auto asked = codec::decode_done(TRY(ask(codec::query(session_, "SELECT 1"))));
    TRY(codec::decode_done(TRY(ask(codec::delete_table(session_, name)))));
    return asked;
  }

 private:
  Result<HttpResponse> ask(HttpRequest request) { return transport_.send(std::move(request)); }

  // A token, and the dataset.
  Result<void> open() {
    const auto request = token::encode(session_.config, transport_.now(), kScope);
    if (!request) return invalid("the credentials give no token: mend them");
    session_.token = TRY(token::decode(TRY(ask(*request)), transport_.now()))
    .value;
    auto location = TRY(codec::decode_dataset(TRY(ask(codec::get_dataset(session_)))));
    if (!location) {
      const HttpResponse made = TRY(ask(codec::create_dataset(session_)));
      if (made.status != 409) TRY(codec::decode_done(made));
      location = TRY(codec::decode_dataset(TRY(ask(codec::get_dataset(session_)))));
      if (!location) return fail(Error::Code::unavailable, "the dataset that was made is not there yet");
    }
    session_.location = *location;
    return {};
  }

  Result<codec::TableThere> make_table(const WarehouseTable& table) {
    const HttpResponse made = TRY(ask(codec::create_table(session_, table)));
    if (made.status != 409) TRY(codec::decode_done(made));
    auto there = TRY(codec::decode_table(TRY(ask(codec::get_table(session_, table.name)))));
    if (!there) return fail(Error::Code::unavailable, "a table that was made is not there yet");
    return *std::move(there);
  }

  // When it was made.
  Result<std::string> packs_table() {
    const WarehouseTable table = codec::packs_table();
    const auto there = TRY(codec::decode_table(TRY(ask(codec::get_table(session_, table.name)))));
    return there ? there->created : TRY(make_table(table))
    .created;
  }

  Result<std::string> bring_table(const WarehouseTable& table, const PacksThere& packs) {
    const auto there = TRY(codec::decode_table(TRY(ask(codec::get_table(session_, table.name)))));
    if (!there) {
      TRY(check_dropped(pack_, packs, table.name, where_));
      return TRY(make_table(table))
      .created;
    }
    std::vector<WarehouseColumn> more;
    for (const WarehouseColumn& column : table.columns) {
      const auto found = std::ranges::find(there->columns, column.name, &codec::TableThere::Column::name);
      if (found == there->columns.end()) {
        more.push_back(column);
      } else if (!codec::takes(found->type, column.type)) {
        return wrong_type(table.name, column, found->type, codec::type_of(column.type));
      }
    }
    if (!more.empty())
      TRY(codec::decode_done(TRY(ask(codec::add_columns(session_, table.name, *there, more)))));
    return there->created;
  }

  Result<void> load_table(const WarehouseTable& table, const std::string& made) {
    const bool latest = table.kind == WarehouseTable::Kind::latest;
    const std::string stage = fmt::format("_tailrace_stage_{}_{}", pack_.id, table.name);
    const std::string job = fmt::format("tailrace_{}_{}_{}", pack_.id, table.name, made);
    // A merge that is done has removed its stage.
    if (latest && TRY(is_done(job + "_merge"))) return remove_stage(stage);
    int number = 0;
    for (const PackFile* file : files_of(pack_, table)) {
      TRY(finish_job(fmt::format("{}_{}", job, number++), [&](const std::string& id) {
        return upload(id, latest ? stage : table.name, latest ? codec::Into::stage : codec::Into::table,
                      *file);
      }));
    }
    if (!latest) return {};
    TRY(finish_job(job + "_merge", [&](const std::string& id) {
      return begin_query(id, codec::merge(session_, table, stage));
    }));
    return remove_stage(stage);
  }

  Result<void> remove_stage(const std::string& stage) {
    const HttpResponse removed = TRY(ask(codec::delete_table(session_, stage)));
    return removed.status == 404 ? Result<void>() : codec::decode_done(removed);
  }

  Result<void> begin_query(const std::string& job, const std::string& sql) {
    const HttpResponse begun = TRY(ask(codec::query_job(session_, job, sql)));
    return begun.status == 409 ? Result<void>() : codec::decode_done(begun);
  }

  Result<void> upload(const std::string& job, const std::string& table, codec::Into into,
                      const PackFile& file) {
    const HttpResponse begun = TRY(ask(codec::begin_load(session_, job, table, into, file.bytes)));
    const auto url = TRY(codec::decode_upload(begun, session_));
    if (!url) return {};
    for (std::uint64_t at = 0; at < file.bytes; at += kPieceBytes) {
      const std::uint64_t length = std::min(kPieceBytes, file.bytes - at);
      std::string bytes = TRY(transport_.read(file, at, length));
      if (bytes.size() != length)
        return fail(Error::Code::corrupt, fmt::format("{} is shorter than the pack says", file.path));
      const HttpResponse taken = TRY(ask(codec::send_bytes(*url, std::move(bytes), at, file.bytes)));
      const bool more = at + length < file.bytes;
      if (taken.status == 409 || (more && taken.status == 308)) {
        if (taken.status == 409) return {};
        continue;
      }
      // Ours has gone, or took less: the next try begins another.
      if (taken.status == 404 || taken.status == 410 || taken.status == 308)
        return fail(Error::Code::unavailable, "BigQuery broke off the upload");
      TRY(codec::decode_done(taken));
    }
    return {};
  }

  Result<std::optional<codec::Job>> look(const std::string& job) {
    return codec::decode_job(TRY(ask(codec::get_job(session_, job))));
  }

  // Whether one of its attempts succeeded.
  Result<bool> is_done(const std::string& job) {
    for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
      const auto there = TRY(look(fmt::format("{}_{}", job, attempt)));
      if (!there) return false;
      if (there->done && !there->failed) return true;
      if (!there->done) return false;
    }
    return false;
  }

  // A job of this name has run with success on return. begin(id) starts it, where nobody has.
  template <class Begin>
  Result<void> finish_job(const std::string& job, Begin begin) {
    for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
      const std::string id = fmt::format("{}_{}", job, attempt);
      const auto there = TRY(look(id));
      if (there && there->done && there->failed) continue;
      if (!there) TRY(begin(id));
      if (there && there->done) return {};
      return wait_for(id);
    }
    return invalid(fmt::format("BigQuery failed to run the job {} {} times: its job history says why", job,
                               kAttemptsMax));
  }

  Result<void> wait_for(const std::string& id) {
    const auto is_over = [&]() -> Result<bool> {
      const auto job = TRY(look(id));
      if (!job) return fail(Error::Code::unavailable, "a job that was begun is not there yet");
      if (job->done && job->failed) return std::unexpected(*job->failed);
      return job->done;
    };
    if (TRY(is_over())) return {};
    return keep_looking(transport_, kPatience, "a job of BigQuery's", is_over);
  }

  const Pack& pack_;
  Transport& transport_;
  codec::Session session_;
  std::string where_;
};

class BigQuery final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "bigquery"; }
  std::string_view platform() const override { return "bigquery"; }
  std::string_view title() const override { return "BigQuery"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config);
    check_url(config, "api_url", Query::refused, problems);
    check_url(config, "token_url", Query::refused, problems);
    const std::string& dataset = config.setting("dataset");
    const bool plain = std::ranges::all_of(dataset, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!plain) problems.emplace_back("dataset must be made of letters, digits and _");
    check_plain(config, "project", problems);
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

const Destination& bigquery() {
  static const BigQuery kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
