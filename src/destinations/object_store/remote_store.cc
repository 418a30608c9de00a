#include "destinations/object_store/remote_store.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/text.h"

namespace tailrace::destinations::remote_store {
namespace {

template <std::size_t n>
bool one_of(std::string_view code, const std::array<std::string_view, n>& codes) {
  return std::ranges::find(codes, code) != codes.end();
}

constexpr std::array<std::string_view, 10> kPassing{
    "SlowDown",         "RequestTimeout", "InternalError",     "ServiceUnavailable",
    "OperationAborted", "ServerBusy",     "OperationTimedOut", "ConditionalRequestConflict",
    "NoSuchUpload",     "Throttling"};
constexpr std::array<std::string_view, 6> kFull{"InsufficientStorage",
                                                "QuotaExceeded",
                                                "XMinioStorageFull",
                                                "AccountIsDisabled",
                                                "InsufficientAccountResources",
                                                "XMinioAdminBucketQuotaExceeded"};
constexpr std::array<std::string_view, 5> kClock{"RequestTimeTooSkewed", "RequestExpired", "ExpiredPresign",
                                                 "RequestNotReadyYet", "XRequestTimeTooSkewed"};
constexpr std::array<std::string_view, 7> kWrongKey{
    "SignatureDoesNotMatch", "InvalidAccessKeyId",        "AuthenticationFailed", "InvalidToken",
    "InvalidSecurity",       "InvalidAuthenticationInfo", "XAdminUserNotFound"};

}  // namespace

std::uint64_t part_bytes(std::uint64_t size) {
  return std::max(kPartBytes, (size + kPartsMax - 1) / kPartsMax);
}

Content::Content(const PackFile& file, Transport& transport)
    : file_(&file), transport_(&transport), size_(file.bytes), sha256_(file.sha256) {}

Content::Content(const std::string& text) : text_(&text), size_(text.size()), sha256_(sha256_hex(text)) {}

Result<std::string> Content::read(std::uint64_t offset, std::uint64_t length) const {
  if (text_ != nullptr) return text_->substr(offset, length);
  std::string bytes = TRY(transport_->read(*file_, offset, length));
  if (bytes.size() != length)
    return fail(Error::Code::corrupt, fmt::format("{} is shorter than the pack says", file_->path));
  return bytes;
}

Result<std::string> Content::read_all() const {
  std::string bytes = TRY(read(0, size_));
  if (sha256_hex(bytes) != sha256_)
    return fail(Error::Code::corrupt, fmt::format("{} is not what the pack says: its digest differs",
                                                  file_ == nullptr ? "a text" : file_->path));
  return bytes;
}

std::string_view xml_text(std::string_view document, std::string_view name) {
  const std::string open = fmt::format("<{}>", name);
  const std::size_t begin = document.find(open);
  if (begin == std::string_view::npos) return {};
  const std::size_t end = document.find(fmt::format("</{}>", name), begin);
  if (end == std::string_view::npos) return {};
  return document.substr(begin + open.size(), end - begin - open.size());
}

std::string error_code(const HttpResponse& response) {
  std::string_view code = xml_text(response.body, "Code");
  // Azure says it in a header too, which an answer to HEAD has.
  if (code.empty()) code = response.headers.get("x-ms-error-code").value_or("");
  const bool plain = std::ranges::all_of(code, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (code.empty() || code.size() > 64 || !plain) return fmt::format("HTTP {}", response.status);
  return std::string(code);
}

Error refusal(const HttpResponse& response, std::string_view where, std::string_view rights) {
  const std::string code = error_code(response);
  const auto says = [&](Error::Code kind, std::string_view mend) {
    return Error{kind, fmt::format("{}: {} ({})", where, mend, code)};
  };
  if (one_of(code, kFull) || response.status == 507)
    return says(Error::Code::unavailable,
                "the store is full, or its quota is used up: make room there; the sync goes on by itself");
  if (one_of(code, kClock))
    return says(
        Error::Code::unavailable,
        "this machine's clock differs too much from the store's: set it (by NTP); the sync goes on by "
        "itself");
  if (one_of(code, kPassing) || response.status == 408 || response.status == 429 || response.status >= 500 ||
      response.status <= 0)
    return says(Error::Code::unavailable, "the store does not take it now");
  if (code == "NoSuchBucket" || code == "ContainerNotFound" || code == "ResourceNotFound")
    return says(Error::Code::invalid_argument,
                "there is no such bucket or container: create it, or mend `location`");
  const auto region = response.headers.get("x-amz-bucket-region");
  const bool moved = response.status == 301 || response.status == 307 ||
                     code == "AuthorizationHeaderMalformed" || code == "PermanentRedirect" ||
                     code == "IllegalLocationConstraintException";
  if (moved && region)
    return says(Error::Code::invalid_argument,
                fmt::format("the bucket is in another region: set `region: {}`",
                            is_plain_text(*region) ? *region : "..."));
  if (moved)
    return says(Error::Code::invalid_argument, "the bucket is elsewhere: mend `region` or `endpoint_url`");
  if (one_of(code, kWrongKey) || response.status == 401)
    return says(Error::Code::invalid_argument, "the store does not know the credentials: give valid ones");
  if (code == "ExpiredToken")
    return says(Error::Code::invalid_argument, "the temporary credentials have expired: give new ones");
  if (code == "XAmzContentSHA256Mismatch" || code == "BadDigest" || code == "Md5Mismatch")
    return says(Error::Code::unavailable, "the bytes changed on their way");
  if (response.status == 403)
    return says(Error::Code::invalid_argument,
                fmt::format("the store refuses: the credentials must be allowed {}", rights));
  return says(Error::Code::invalid_argument, "the store refuses");
}

std::unexpected<Error> taken(std::string_view where, const std::string& name) {
  return fail(
      Error::Code::conflict,
      fmt::format("{}/{} is there with other bytes: somebody else wrote it, or another sync has the same "
                  "location. Give each sync a location of its own; where the object is none of yours, "
                  "remove it",
                  where, name));
}

std::string joined(std::string_view prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
}

}  // namespace tailrace::destinations::remote_store
