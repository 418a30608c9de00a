// A destination that keeps tables: a file system, an object store, a database, a warehouse. What goes there
// is cut into packs: all rows of a range of the log, as Parquet files, one or more per table. A pack lies
// whole on the local disk before anything of it is sent, and nothing of it changes after that.
//
//   TRY(destination.load(pack, config, transport));   // blocking, on a thread of the sync's own
//
// load() is called again, with the same pack, whatever became of the call before: an error, a lost answer, a
// crash between any two steps. It must end in the same tables as one call does. What makes that so is the
// platform's own: a file name that is written once, a job id, a token, a cursor in the same transaction.
//
// Destinations see the world through Transport alone, so that a test can script it and fail any step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/sql_session.h"
#include "base/time.h"
#include "destinations/destination.h"
#include "model/warehouse_table.h"

namespace tailrace::destinations {

using tailrace::ColumnType;
using tailrace::WarehouseColumn;
using tailrace::WarehouseTable;

struct PackFile {
  std::string table;
  std::string
      name;  // "events/dt=2026-03-01/events_v1_<begin>_<end>.parquet": where it belongs, deterministic
  std::string path;  // on the local disk
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::string sha256;  // hex, of the bytes
};

struct Pack {
  std::string id;  // [a-z0-9_]: the same for the same range of the same sync, and for no other
  std::string workspace;
  std::string sync;
  std::uint64_t sequence = 0;  // packs of a sync follow each other without gaps, from 1
  std::uint64_t begin = 0;     // positions in the log
  std::uint64_t end = 0;
  std::vector<WarehouseTable> tables;  // as of this pack, with rows in it or without
  std::vector<PackFile> files;         // in the order of `tables`
  std::string manifest_name;           // "_manifests/<id>.json"
  std::string manifest;                // names, rows, bytes and digests of the files, and the schema

  const WarehouseTable* find_table(std::string_view name) const;
};

// What a destination may do while it loads.
class Transport {
 public:
  virtual ~Transport() = default;
  // Waits for the answer. Errors: unavailable (nobody answered, or it may be tried again), not_found (no such
  // host, or one that may not be reached).
  virtual Result<HttpResponse> send(HttpRequest request) = 0;
  virtual Time now() = 0;
  // False: the process stops; give up with `unavailable`.
  virtual bool wait(Millis time) = 0;
  // Up to `length` bytes of a local file of the pack.
  virtual Result<std::string> read(const PackFile& file, std::uint64_t offset, std::uint64_t length) = 0;
  // The rows of a file of the pack as CSV: a header, RFC 4180, null is an empty unquoted field and an empty
  // text is "", booleans true and false, times as 2026-03-01 10:00:00.123456+00. Calls take(chunk) until all
  // is there. Errors: io, corrupt; those of take.
  virtual Result<void> read_csv(const PackFile& file, const std::vector<std::string>& columns,
                                const std::function<Result<void>(std::string_view)>& take) = 0;
  // connection: as the library of that server reads it ("host=... dbname=..."); secret.
  virtual Result<std::unique_ptr<SqlSession>> connect_sql(const std::string& connection) = 0;
  // A file on the local disk, written beside and renamed, on disk on return; of the same bytes: left as it
  // is. Its directory is made. Errors: io.
  virtual Result<void> write_file(const std::string& path, std::string_view bytes) = 0;
  // The same of a file of the pack, copied or linked.
  virtual Result<void> place_file(const PackFile& file, const std::string& path) = 0;
  // A small file on the local disk, whole; missing: there is none. Errors: io.
  virtual Result<std::optional<std::string>> read_file(const std::string& path) = 0;
  // One that is not there is no error.
  virtual Result<void> remove_file(const std::string& path) = 0;
};

class WarehouseDestination : public Destination {
 public:
  const WarehouseDestination* as_warehouse() const final { return this; }
  std::span<const FieldRule> fields() const override { return {}; }
  Limits limits() const override { return {}; }

  // On return everything of the pack is there, once. Errors: unavailable (tried again later, with the same
  // pack); anything else stops the sync until it is mended or released, and its message is shown to the user:
  // it says what to do, and holds no secret.
  virtual Result<void> load(const Pack& pack, const Config& config, Transport& transport) const = 0;
  // Before the first pack, and for `check --live`: whether the rights suffice. Leaves nothing behind.
  virtual Result<void> probe(const Config& config, Transport& transport) const = 0;
};

std::vector<const WarehouseDestination*> warehouse_destinations();  // of the registry, in its order
// nullptr: no such type, or it keeps no tables.
const WarehouseDestination* find_warehouse_destination(std::string_view type);

}  // namespace tailrace::destinations
