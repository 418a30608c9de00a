// Events of the log as tables: to Parquet files beside DuckDB's own COPY of the same rows, and to PostgreSQL
// beside psql's \copy of the same rows.
//
//   warehouse_bench [--events 1000000] [--people 10000] [--postgres 1]
//
// To Parquet: a store is filled, then a lake is brought up to date as a warehouse sync does it, from reading
// the log to the published manifest. DuckDB copies a CSV of each of its files to Parquet again, on one
// thread. CPU time, of all threads.
//
// To PostgreSQL: the same files by the destination `postgres`, into tables that are not there yet; then psql
// copies a CSV of each into a table that is made alike. By the clock, as another process does half of it;
// each three times, taking turns, and the quickest counts. The server syncs nothing.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "columnar/columnar.h"
#include "core_harness.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "model/json.h"
#include "server/warehouse/warehouses.h"
#include "support/postgres_server.h"
#include "warehouse/tables.h"
#include "workload.h"

namespace tailrace::bench {
namespace {

namespace fs = std::filesystem;
using columnar::quoted_name;
using columnar::quoted_text;

workspace::Workspace workspace_with_lake(const std::string& location) {
  auto parsed = must(parse_json(workspace_json(segment_texts(kNamedSegments))));
  workspace::Workspace workspace = must(workspace::from_value(parsed));
  workspace.destinations.push_back({.name = "lake",
                                    .type = "parquet_lake",
                                    .settings = {{"location", location}},
                                    .credentials = {},
                                    .allow_private_addresses = false,
                                    .ca_file = {}});
  workspace::WarehouseConfig sync;
  sync.name = "Lake";
  sync.destination = "lake";
  workspace.warehouses.push_back(std::move(sync));
  return workspace;
}

class Bench {
 public:
  Bench(std::uint64_t events, std::uint64_t people) : shape_{.people = people, .events = events} {
    spdlog::set_level(spdlog::level::off);
    folder_ = (fs::temp_directory_path() / fmt::format("warehouse-bench-{}", ::getpid())).string();
    // The server that copies is another user.
    fs::create_directories(folder_);
    fs::permissions(folder_, fs::perms::all);
    server::Core::Options options;
    options.store.directory = folder_ + "/store";
    options.store.log.durability = log::Durability::operating_system;
    core_ = must(server::Core::start(*disk_, options, io::system_now));
    workspace_ = workspace_with_lake(folder_ + "/lake");
  }
  ~Bench() {
    core_.reset();
    fs::remove_all(folder_);
  }

  void fill() {
    const std::string json = to_json(workspace::to_value(workspace_));
    std::string bytes;
    RecordView record;
    record.kind = RecordKind::workspace;
    record.payload = json;
    record.time = io::system_now();
    must(encode_record(record, bytes));
    submit(*core_, bytes, {static_cast<std::uint32_t>(bytes.size())});
    constexpr std::uint64_t kAtOnce = 1'000;
    Shop shop(shape_);
    for (std::uint64_t first = 0; first < shape_.events; first += kAtOnce) {
      bytes.clear();
      std::vector<std::uint32_t> ends;
      for (std::uint64_t i = first; i < std::min(shape_.events, first + kAtOnce); ++i) {
        const ShopEvent event = shop.next();
        append_track(shape_, event, event.time, bytes);
        ends.push_back(static_cast<std::uint32_t>(bytes.size()));
      }
      submit(*core_, bytes, ends);
    }
    core_->call([](engine::Engine&) { return true; });
  }

  void to_parquet() {
    const std::uint64_t at_rest = resident_bytes();
    const PeakMemory peak;
    const double cpu = process_cpu_seconds(), clock = wall_seconds();
    must(server::load_resting(*core_, workspace_, "Lake", folder_));
    const double ours = process_cpu_seconds() - cpu, seconds = wall_seconds() - clock;
    fmt::print("to Parquet: {:.0f} MiB of memory at most, beside {:.0f} MiB of the store\n",
               mebibytes(peak.beyond(at_rest)), mebibytes(at_rest));
    find_files();
    const auto database = must(columnar::Database::open({.threads = 1}));
    double theirs = 0, their_seconds = 0;
    for (const auto& file : files_) {
      to_csv(*database, file);
      const double before = process_cpu_seconds(), at = wall_seconds();
      must(database->run(
          fmt::format("COPY (SELECT * FROM read_csv({}, auto_detect = false, header = true, quote = '\"', "
                      "escape = '\"', columns = {{{}}})) TO {} (FORMAT parquet, "
                      "COMPRESSION zstd)",
                      quoted_text(csv_of(file)), columns_of(file), quoted_text(folder_ + "/again.parquet"))));
      theirs += process_cpu_seconds() - before;
      their_seconds += wall_seconds() - at;
    }
    const auto count = static_cast<double>(shape_.events);
    fmt::print("to Parquet: {} events as {} rows of {} files, {:.0f} bytes an event\n", shape_.events, rows_,
               files_.size(), static_cast<double>(bytes_) / count);
    fmt::print(
        "to Parquet: {:.0f} events/s of CPU ({:.0f} by the clock), {:.2f} us an event; DuckDB's COPY of the "
        "same rows from CSV: {:.0f} ({:.0f}), {:.2f} us; ratio {:.2f}\n",
        count / ours, count / seconds, ours * 1e6 / count, count / theirs, count / their_seconds,
        theirs * 1e6 / count, theirs / ours);
  }

  void to_postgres() {
    auto* server = testing::PostgresServer::instance();
    if (server == nullptr) {
      fmt::print("to PostgreSQL: not measured: {}\n", testing::PostgresServer::why());
      return;
    }
    double ours = 0, theirs = 0;
    for (int round = 0; round < 3; ++round) {
      static_cast<void>(server->create_database("bench"));
      const double one = load(*server);
      const double other = copy(*server);
      ours = round == 0 ? one : std::min(ours, one);
      theirs = round == 0 ? other : std::min(theirs, other);
    }
    const auto count = static_cast<double>(rows_);
    fmt::print(
        "to PostgreSQL: {:.0f} rows/s by the clock; psql's \\copy of the same rows: {:.0f}; ratio {:.2f}\n",
        count / ours, count / theirs, theirs / ours);
  }

 private:
  void find_files() {
    tables_ = warehouse::tables_of(workspace_, {});
    const auto database = must(columnar::Database::open({}));
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/lake")) {
      if (entry.path().extension() != ".parquet") continue;
      destinations::PackFile file;
      file.path = entry.path().string();
      file.name = fs::relative(entry.path(), folder_ + "/lake").string();
      file.table = file.name.substr(0, file.name.find('/'));
      file.bytes = entry.file_size();
      const auto counted =
          must(database->query(fmt::format("SELECT count(*) FROM read_parquet({})", quoted_text(file.path))));
      file.rows = std::strtoull(counted.rows.at(0).at(0).value().c_str(), nullptr, 10);
      rows_ += file.rows;
      bytes_ += file.bytes;
      files_.push_back(std::move(file));
    }
    std::ranges::sort(files_, {}, &destinations::PackFile::name);
  }

  const WarehouseTable& table_of(const destinations::PackFile& file) const {
    const auto found = std::ranges::find(tables_, file.table, &WarehouseTable::name);
    if (found == tables_.end()) std::abort();
    return *found;
  }
  std::string csv_of(const destinations::PackFile& file) const {
    return fmt::format("{}/{}.csv", folder_, &file - files_.data());
  }
  std::string columns_of(const destinations::PackFile& file) const {
    std::string list;
    for (const WarehouseColumn& column : table_of(file).columns) {
      list += fmt::format("{}{}: '{}'", list.empty() ? "" : ", ", quoted_text(column.name),
                          columnar::sql_type(column.type));
    }
    return list;
  }
  void to_csv(columnar::Database& database, const destinations::PackFile& file) const {
    must(
        database.run(fmt::format("COPY (FROM read_parquet({}, hive_partitioning = false)) TO {} (FORMAT csv, "
                                 "HEADER true, TIMESTAMPFORMAT '%Y-%m-%d "
                                 "%H:%M:%S.%f+00')",
                                 quoted_text(file.path), quoted_text(csv_of(file)))));
  }

  double load(const testing::PostgresServer& server) {
    destinations::Pack pack;
    pack.id = "bench_1";
    pack.workspace = workspace_.name;
    pack.sync = "Warehouse";
    pack.sequence = 1;
    pack.tables = tables_;
    pack.files = files_;
    const auto* destination = destinations::find_warehouse_destination("postgres");
    destinations::Config config;
    config.settings = {
        {"host", server.folder()}, {"database", "bench"}, {"user", "owner"}, {"sslmode", "disable"}};
    destinations::fill_defaults(*destination, config);
    const auto client = must(io::HttpClient::start({}));
    server::WarehouseTransport transport(
        *client, *disk_, {.reach = {}, .now = io::system_now, .read_csv = columnar::read_csv});
    const double before = wall_seconds();
    must(destination->load(pack, config, transport));
    return wall_seconds() - before;
  }

  double copy(const testing::PostgresServer& server) {
    server.psql("bench", "CREATE SCHEMA again");
    for (const WarehouseTable& table : tables_) {
      server.psql("bench", fmt::format("CREATE TABLE again.{0} (LIKE tailrace.{0} INCLUDING ALL)",
                                       quoted_name(table.name)));
    }
    double seconds = 0;
    for (const auto& file : files_) {
      std::string columns;
      for (const WarehouseColumn& column : table_of(file).columns)
        columns += (columns.empty() ? "" : ", ") + quoted_name(column.name);
      const std::string statement = fmt::format("\\copy again.{} ({}) FROM pstdin (FORMAT csv, HEADER)",
                                                quoted_name(file.table), columns);
      const double before = wall_seconds();
      if (server.psql_file("bench", statement, csv_of(file)) != 0) std::abort();
      seconds += wall_seconds() - before;
    }
    return seconds;
  }

  Shape shape_;
  std::string folder_;
  workspace::Workspace workspace_;
  std::vector<WarehouseTable> tables_;
  std::vector<destinations::PackFile> files_;
  std::uint64_t rows_ = 0, bytes_ = 0;
  std::unique_ptr<Disk> disk_ = io::posix_disk();
  std::unique_ptr<server::Core> core_;
};

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  using tailrace::bench::argument;
  tailrace::bench::Bench bench(argument(argc, argv, "events", 1'000'000),
                               argument(argc, argv, "people", 10'000));
  bench.fill();
  bench.to_parquet();
  if (argument(argc, argv, "postgres", 1) != 0) bench.to_postgres();
  return 0;
}
