#include <array>

#include <fmt/format.h>

#include "destinations/checks.h"
#include "destinations/object_store/object_store.h"
#include "destinations/parquet_lake/pointer.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kLocation = "location";

constexpr std::array<Setting, 10> kSettings{{
    {.name = kLocation,
     .required = true,
     .example = "s3://example-lake/tailrace",
     .about = "Where the files lie: a folder of this machine (`/srv/lake`), `s3://bucket/prefix`, "
              "`gs://bucket/prefix` or `azure://container/prefix`. One sync has it for itself."},
    object_store::kRegionSetting,
    object_store::kEndpointUrlSetting,
    object_store::kAccountSetting,
    object_store::kTokenUrlSetting,
    object_store::kAccessKeyIdSetting,
    object_store::kSecretAccessKeySetting,
    object_store::kSessionTokenSetting,
    object_store::kAccountKeySetting,
    {.name = object_store::kServiceAccountJson,
     .secret = true,
     .about = "`gs://`: the JSON key file of a service account, instead of an HMAC key."},
}};

constexpr std::string_view kAbout =
    R"(Keeps every table as Parquet files, in a folder or an object store, which DuckDB, Spark, BigQuery's external tables
and the like read as they are.

```
<location>/events/dt=2026-03-01/events_v1_<begin>_<end>.parquet
<location>/_manifests/<pack>.json      names, rows, bytes and digests of a pack's files, and the schema
<location>/_manifests/latest.json      which pack is the last
```

**Once.** A file's name follows from the range of the log it holds (and the pack's number, where the log had nothing new),
and a name is written once
(`If-None-Match: *`, at Google `x-goog-if-generation-match: 0`): a pack that is sent again after a crash meets its
own files and leaves them. The data files go first, then the manifest, and last `latest.json`, so that whoever
reads what the manifests name never sees half a pack. A name that is taken by other bytes stops the sync.

**Reading.** Tables of rows that never change hold each row once. Of a table of the latest state (such as `people`) every
version is there: the row with the greatest version of a key counts.

```sql
SELECT * FROM read_parquet('s3://example-lake/tailrace/people/*/*.parquet', union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY version DESC) = 1;
```

**Objects over 8 MiB** go out in parts (but to Google, which takes any size at once), which lie apart until the last step makes the object; what a crash left
is aborted before the next try. The whole digest of an object is in its metadata, `tailrace-sha256`.

**Clocks.** S3 and its kin refuse requests whose time is off by more than 15 minutes; the sync then waits, and
says so.

**A folder of this machine** is written as the user who runs `tailrace serve`, readable for that user alone.

**Apache Iceberg** tables are not written. A commit to an Iceberg table is one request to its catalog, with manifests in
Avro that carry the bounds of every column; that commit can be made exactly once by a snapshot property with the pack's id,
but without a catalog to test against it would be a promise and no more. The files here can be registered in an Iceberg
table by its own `add_files` procedure.
)";

Result<PacksThere> packs_there(const Pack& pack, ObjectStore& store, std::string_view where) {
  const auto pointer = TRY(store.read(std::string(parquet_lake_pointer::kName)));
  PacksThere there {
    .last = TRY(parquet_lake_pointer::decode(pack, pointer, where))
    , .id_of_same = {}
  };
  if (!there.last || there.last->sequence < pack.sequence) return there;
  // Of a pack before the last one its manifest tells.
  const auto manifest = TRY(store.read(pack.manifest_name));
  if (manifest == pack.manifest) {
    there.id_of_same = pack.id;
  } else if (there.last->sequence == pack.sequence) {
    there.id_of_same = there.last->id;
  }
  return there;
}

class ParquetLake final : public WarehouseDestination {
 public:
  std::string_view type() const override { return "parquet_lake"; }
  std::string_view platform() const override { return "parquet"; }
  std::string_view title() const override { return "Parquet lake"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_object_store(config, std::string(kLocation), problems);
    return problems;
  }

  Result<void> load(const Pack& pack, const Config& config, Transport& transport) const override {
    const StoreLocation location = TRY(parse_location(config.setting(std::string(kLocation))));
    const auto store = TRY(open_object_store(location, config, transport));
    const std::string pointer(parquet_lake_pointer::kName);
    const PacksThere there = TRY(packs_there(pack, *store, location.text));
    if (TRY(judge_order(pack, there, location.text)) == PackOrder::done) return {};
    for (const PackFile& file : pack.files) TRY(store->create(file.name, file));
    TRY(store->create(pack.manifest_name, pack.manifest));
    return store->replace(pointer, parquet_lake_pointer::encode(pack));
  }

  Result<void> probe(const Config& config, Transport& transport) const override {
    const StoreLocation location = TRY(parse_location(config.setting(std::string(kLocation))));
    const auto store = TRY(open_object_store(location, config, transport));
    return probe_object_store(*store);
  }
};

}  // namespace

const Destination& parquet_lake() {
  static const ParquetLake kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
