// What the object stores that are reached over HTTP share. Of use to this folder alone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "destinations/object_store/object_store.h"

namespace tailrace::destinations::remote_store {

// Where an object that is sent has the digest of its bytes, so that a later look can compare them.
inline constexpr std::string_view kDigestName = "tailrace-sha256";

// Larger ones go out in parts of this size, or larger where there would be too many.
constexpr std::uint64_t kPartBytes = std::uint64_t{8} << 20;
constexpr std::uint64_t kPartsMax = 10'000;
std::uint64_t part_bytes(std::uint64_t size);

// Bytes on their way out: of a file of the pack, or a text. Neither is owned.
class Content {
 public:
  Content(const PackFile& file, Transport& transport);
  explicit Content(const std::string& text);
  std::uint64_t size() const { return size_; }
  const std::string& sha256() const { return sha256_; }  // hex, of all
  // Exactly that many bytes. Errors: io; corrupt, when there are fewer.
  Result<std::string> read(std::uint64_t offset, std::uint64_t length) const;
  // All; corrupt, when their digest is another.
  Result<std::string> read_all() const;

 private:
  const PackFile* file_ = nullptr;
  Transport* transport_ = nullptr;
  const std::string* text_ = nullptr;
  std::uint64_t size_ = 0;
  std::string sha256_;
};

// A refusal in the store's own words: the code of its error document, or "HTTP 403".
std::string error_code(const HttpResponse& response);
// What stands between <name> and </name>, first; empty: nothing.
std::string_view xml_text(std::string_view document, std::string_view name);

// What a refusal means, for the user. where: the location; rights: what the credentials must be allowed.
Error refusal(const HttpResponse& response, std::string_view where, std::string_view rights);
// Another object has the name.
std::unexpected<Error> taken(std::string_view where, const std::string& name);

// prefix/name, or name.
std::string joined(std::string_view prefix, std::string_view name);

}  // namespace tailrace::destinations::remote_store

namespace tailrace::destinations {

std::unique_ptr<ObjectStore> open_s3_store(const StoreLocation& location, const Config& config,
                                           Transport& transport);
std::unique_ptr<ObjectStore> open_azure_store(const StoreLocation& location, const Config& config,
                                              Transport& transport);

}  // namespace tailrace::destinations
