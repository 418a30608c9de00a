// Where files lie: a folder of this machine, S3 and what speaks like it, Google Cloud Storage, Azure Blob
// Storage. A name is written once; a file is there whole, or not at all.
//
//   const auto store = TRY(open_object_store(location, config, transport));
//   TRY(store->create("events/dt=2026-03-01/a.parquet", file));   // twice: the same as once
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "destinations/warehouse_destination.h"

namespace tailrace::destinations {

// "s3://bucket/prefix", "gs://bucket/prefix", "azure://container/prefix", or a path of this machine.
struct StoreLocation {
  enum class Kind : unsigned char { folder, s3, google, azure };
  Kind kind = Kind::folder;
  std::string bucket;  // or the container; empty of a folder
  std::string prefix;  // without slashes at its ends (a folder: at its end); may be empty
  std::string text;    // as it was written, without slashes at its end
};
// Errors: invalid_argument, with what is wrong with it.
Result<StoreLocation> parse_location(std::string_view text);

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  // On return an object of this name with these bytes is there, whoever put it there. Errors: conflict
  // (something else has the name), unavailable, corrupt (the local file is not what the pack says), others of
  // warehouse_destination.h.
  virtual Result<void> create(const std::string& name, const PackFile& file) = 0;
  virtual Result<void> create(const std::string& name, const std::string& text) = 0;
  virtual Result<void> replace(const std::string& name, const std::string& text) = 0;
  // A small one, whole; missing: there is none.
  virtual Result<std::optional<std::string>> read(const std::string& name) = 0;
  // One that is not there is no error.
  virtual Result<void> remove(const std::string& name) = 0;
};

// config: as the settings below say. The store uses both as long as it lives.
Result<std::unique_ptr<ObjectStore>> open_object_store(const StoreLocation& location, const Config& config,
                                                       Transport& transport);

// Writes, reads and removes an object: whether the rights suffice.
Result<void> probe_object_store(ObjectStore& store);

// Problems of the location and of the credentials it needs. location: the setting's name.
void check_object_store(const Config& config, const std::string& location,
                        std::vector<std::string>& problems);

// Settings that a destination with an object store has, besides the location.
namespace object_store {
inline constexpr std::string_view kRegion = "region";
inline constexpr std::string_view kEndpointUrl = "endpoint_url";
inline constexpr std::string_view kAccount = "storage_account";
inline constexpr std::string_view kAccessKeyId = "access_key_id";
inline constexpr std::string_view kSecretAccessKey = "secret_access_key";
inline constexpr std::string_view kSessionToken = "session_token";
inline constexpr std::string_view kAccountKey = "account_key";
inline constexpr std::string_view kServiceAccountJson = "service_account_json";
inline constexpr std::string_view kTokenUrl = "token_url";

inline constexpr Setting kRegionSetting{
    .name = kRegion, .default_value = "us-east-1", .about = "`s3://`: the bucket's region."};
inline constexpr Setting kEndpointUrlSetting{
    .name = kEndpointUrl,
    .about =
        "The store's address where it is not the usual one: of an S3-compatible server, which is asked for "
        "`<endpoint_url>/<bucket>/<name>`, or of an emulator."};
inline constexpr Setting kAccountSetting{.name = kAccount, .about = "`azure://`: the storage account."};
inline constexpr Setting kTokenUrlSetting{
    .name = kTokenUrl,
    .default_value = "https://oauth2.googleapis.com/token",
    .about = "`gs://` with a service account: where its access tokens come from."};
inline constexpr Setting kAccessKeyIdSetting{.name = kAccessKeyId,
                                             .secret = true,
                                             .example = "secret-access-key-id",
                                             .about = "`s3://`, or `gs://` with an HMAC key: the key's id."};
inline constexpr Setting kSecretAccessKeySetting{
    .name = kSecretAccessKey, .secret = true, .example = "secret-access-key", .about = "The key's secret."};
inline constexpr Setting kSessionTokenSetting{.name = kSessionToken,
                                              .secret = true,
                                              .example = "secret-session-token",
                                              .about = "`s3://` with temporary credentials: their token."};
inline constexpr Setting kAccountKeySetting{.name = kAccountKey,
                                            .secret = true,
                                            .example = "c2VjcmV0LWFjY291bnQta2V5",
                                            .about = "`azure://`: a key of the storage account, in base64."};
}  // namespace object_store

}  // namespace tailrace::destinations
