// Which store a location means, the one on this machine's disk, and what they are checked for.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/authentication/signed_token.h"
#include "destinations/checks.h"
#include "destinations/object_store/remote_store.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

using namespace object_store;

constexpr std::string_view kProbeName = "_manifests/tailrace_probe";

// A folder of this machine.
class FolderStore final : public ObjectStore {
 public:
  FolderStore(StoreLocation location, Transport& transport)
      : location_(std::move(location)), transport_(transport) {}

  Result<void> create(const std::string& name, const PackFile& file) override {
    return transport_.place_file(file, path_of(name));
  }
  Result<void> create(const std::string& name, const std::string& text) override {
    const auto there = TRY(transport_.read_file(path_of(name)));
    if (there && *there != text) return remote_store::taken(location_.text, name);
    return transport_.write_file(path_of(name), text);
  }
  Result<void> replace(const std::string& name, const std::string& text) override {
    return transport_.write_file(path_of(name), text);
  }
  Result<std::optional<std::string>> read(const std::string& name) override {
    return transport_.read_file(path_of(name));
  }
  Result<void> remove(const std::string& name) override { return transport_.remove_file(path_of(name)); }

 private:
  std::string path_of(const std::string& name) const { return fmt::format("{}/{}", location_.prefix, name); }

  StoreLocation location_;
  Transport& transport_;
};

// What S3, Google and Azure all take as a bucket's or container's name.
bool is_bucket_name(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
         });
}

bool has_secret(const Config& config, std::string_view name) {
  return config.secrets.contains(std::string(name));
}

}  // namespace

Result<StoreLocation> parse_location(std::string_view text) {
  StoreLocation location;
  location.text = without_trailing_slash(text);
  if (!is_plain_text(text)) return invalid("must be UTF-8 without control characters");
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) {
    location.prefix = location.text;
    if (location.prefix.empty()) return invalid("must name a folder, or a bucket as in s3://bucket/prefix");
    return location;
  }
  constexpr std::array<std::pair<std::string_view, StoreLocation::Kind>, 3> kSchemes{
      {{"s3", StoreLocation::Kind::s3},
       {"gs", StoreLocation::Kind::google},
       {"azure", StoreLocation::Kind::azure}}};
  const auto known =
      std::ranges::find(kSchemes, text.substr(0, scheme), [](const auto& each) { return each.first; });
  if (known == kSchemes.end()) return invalid("must be a folder, or begin with s3://, gs:// or azure://");
  location.kind = known->second;
  std::string_view rest = without_trailing_slash(text.substr(scheme + 3));
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  location.bucket = rest.substr(0, slash);
  rest.remove_prefix(slash);
  while (rest.starts_with('/')) rest.remove_prefix(1);
  location.prefix = rest;
  if (!is_bucket_name(location.bucket))
    return invalid("must name a bucket or container of 3 to 63 characters a-z 0-9 - . _");
  for (const std::string_view part : {"/../", "/./", "//"}) {
    if (fmt::format("/{}/", location.prefix).find(part) != std::string::npos && !location.prefix.empty())
      return invalid("must not have empty parts, `.` or `..` in its path");
  }
  return location;
}

Result<std::unique_ptr<ObjectStore>> open_object_store(const StoreLocation& location, const Config& config,
                                                       Transport& transport) {
  switch (location.kind) {
    case StoreLocation::Kind::folder:
      return std::make_unique<FolderStore>(location, transport);
    case StoreLocation::Kind::s3:
    case StoreLocation::Kind::google:
      return open_s3_store(location, config, transport);
    case StoreLocation::Kind::azure:
      return open_azure_store(location, config, transport);
  }
  return invalid("no such store");
}

Result<void> probe_object_store(ObjectStore& store) {
  const std::string name(kProbeName);
  TRY(store.replace(name, "May be removed.\n"));
  const auto read = TRY(store.read(name));
  TRY(store.remove(name));
  if (read != "May be removed.\n")
    return invalid(
        "the store gives back other bytes than it was given: is something between that changes them?");
  return {};
}

void check_object_store(const Config& config, const std::string& location_name, Problems& problems) {
  const std::string& text = config.setting(location_name);
  check_url(config, std::string(kEndpointUrl), Query::refused, problems);
  check_url(config, std::string(kTokenUrl), Query::refused, problems);
  check_token(config, std::string(kAccessKeyId), problems);
  check_token(config, std::string(kSecretAccessKey), problems);
  check_token(config, std::string(kSessionToken), problems);
  if (text.empty()) return;
  const auto location = parse_location(text);
  if (!location) {
    problems.push_back(fmt::format("{} {}", location_name, location.error().message));
    return;
  }
  const bool keys = has_secret(config, kAccessKeyId) && has_secret(config, kSecretAccessKey);
  const std::string& json = config.secret(std::string(kServiceAccountJson));
  switch (location->kind) {
    case StoreLocation::Kind::folder:
      break;
    case StoreLocation::Kind::s3:
      if (!keys) problems.emplace_back("s3:// needs the credentials access_key_id and secret_access_key");
      break;
    case StoreLocation::Kind::google:
      if (!keys && !has_secret(config, kServiceAccountJson))
        problems.emplace_back(
            "gs:// needs the credential service_account_json, or access_key_id and secret_access_key of an "
            "HMAC "
            "key");
      if (!json.empty() && !service_account::is_readable(json))
        problems.emplace_back(
            "service_account_json must be the JSON key file of a service account, with client_email and an "
            "unencrypted RSA private_key");
      break;
    case StoreLocation::Kind::azure: {
      if (config.setting(std::string(kAccount)).empty())
        problems.emplace_back("azure:// needs the setting storage_account");
      if (!has_secret(config, kAccountKey))
        problems.emplace_back("azure:// needs the credential account_key");
      std::string key;
      if (!from_base64(config.secret(std::string(kAccountKey)), key))
        problems.emplace_back("account_key must be base64, as Azure shows it");
      break;
    }
  }
}

}  // namespace tailrace::destinations
