// Feeds answers of warehouses and object stores to whatever reads them. Input: one byte for the destination,
// one for the status, then what every answer's body and its headers hold.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "destinations/bigquery/codec.h"
#include "destinations/clickhouse/codec.h"
#include "destinations/databricks/codec.h"
#include "destinations/object_store/remote_store.h"
#include "destinations/parquet_lake/pointer.h"
#include "destinations/redshift/statements.h"
#include "destinations/snowflake/codec.h"
#include "destinations/warehouse_sql/merge_text.h"

namespace {

using namespace tailrace;
using namespace tailrace::destinations;

constexpr std::size_t kPrefixBytes = 2;
constexpr std::array<int, 12> kStatuses{200, 201, 202, 204, 308, 400, 401, 403, 404, 409, 422, 503};

// What is shown of an answer is ours, or a code.
void expect_short(const Error& error) { TR_ASSERT(!error.message.empty() && error.message.size() < 400); }

template <class T>
void look(const Result<T>& result) {
  if (!result) expect_short(result.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kPrefixBytes) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + kPrefixBytes, size - kPrefixBytes);
  HttpResponse response{kStatuses[data[1] % kStatuses.size()], {}, text};
  for (const char* name :
       {"Location", "x-clickhouse-exception-code", "x-ms-error-code", "x-amz-bucket-region"})
    response.headers.emplace_back(name, text.substr(0, 64));
  Pack pack;
  pack.workspace = "shop";
  pack.sync = "warehouse";
  pack.id = "p1";
  pack.sequence = 1;
  Config config;
  config.settings["api_url"] = "https://bigquery.googleapis.com";
  switch (data[0] % 5) {
    case 0:
      expect_short(remote_store::refusal(response, "s3://example-lake", "to write"));
      look(parquet_lake_pointer::decode(pack, text, "s3://example-lake"));
      for (const std::string& name : redshift_statements::names_in(text, "s3://example-lake"))
        TR_ASSERT(text.size() >= name.size());
      break;
    case 1:
      look(clickhouse_codec::decode(response));
      look(clickhouse_codec::decode_columns(text));
      look(clickhouse_codec::decode_packs(text, pack));
      break;
    case 2:
      look(bigquery_codec::decode_dataset(response));
      look(bigquery_codec::decode_table(response));
      look(bigquery_codec::decode_job(response));
      look(bigquery_codec::decode_packs(response, pack));
      look(bigquery_codec::decode_upload(response, {config, "t", "EU"}));
      break;
    case 3:
      if (const auto answer = snowflake_codec::decode(response)) {
        look(snowflake_codec::read_columns(*answer));
      } else {
        expect_short(answer.error());
      }
      break;
    default:
      look(databricks_codec::decode_file(response));
      if (const auto answer = databricks_codec::decode(response)) {
        look(databricks_codec::read_columns(*answer));
        look(read_packs(pack, answer->rows));
      } else {
        expect_short(answer.error());
      }
  }
  return 0;
}
