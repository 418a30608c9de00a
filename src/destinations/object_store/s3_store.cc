// S3 and what speaks like it; and Google Cloud Storage by its XML API, which differs in the names of headers.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/authentication/signature_v4.h"
#include "destinations/authentication/signed_token.h"
#include "destinations/object_store/remote_store.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

using namespace remote_store;
namespace names = object_store;

constexpr std::string_view kAmazonRights =
    "s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects, and "
    "s3:ListBucketMultipartUploads on the bucket";
constexpr std::string_view kGoogleRights = "storage.objects.create, .get and .delete";
constexpr std::string_view kGoogleScope = "https://www.googleapis.com/auth/devstorage.read_write";
constexpr Millis kTokenMargin = kMinute;

// Whether a write may meet what is there.
enum class Meeting : unsigned char { create, replace };

std::string setting(const Config& config, std::string_view name) { return config.setting(std::string(name)); }
std::string secret(const Config& config, std::string_view name) { return config.secret(std::string(name)); }

class S3Store final : public ObjectStore {
 public:
  S3Store(StoreLocation location, const Config& config, Transport& transport)
      : location_(std::move(location)),
        config_(config),
        transport_(transport),
        google_(location_.kind == StoreLocation::Kind::google),
        key_{secret(config, names::kAccessKeyId), secret(config, names::kSecretAccessKey),
             google_ ? std::string() : secret(config, names::kSessionToken)},
        scope_{google_ ? &signature_v4::kGoogle : &signature_v4::kAmazon,
               google_ ? "auto" : setting(config, names::kRegion), google_ ? "storage" : "s3"},
        base_(base_url()) {}

  Result<void> create(const std::string& name, const PackFile& file) override {
    return write(name, Content(file, transport_), Meeting::create);
  }
  Result<void> create(const std::string& name, const std::string& text) override {
    return write(name, Content(text), Meeting::create);
  }
  Result<void> replace(const std::string& name, const std::string& text) override {
    return write(name, Content(text), Meeting::replace);
  }

  Result<std::optional<std::string>> read(const std::string& name) override {
    HttpResponse answer = TRY(send({"GET", url_of(name), {}, ""}));
    if (answer.status == 200) return std::move(answer.body);
    if (is_missing(answer)) return std::nullopt;
    return refused(answer);
  }

  Result<void> remove(const std::string& name) override {
    const HttpResponse answer = TRY(send({"DELETE", url_of(name), {}, ""}));
    if (answer.status == 200 || answer.status == 204 || is_missing(answer)) return {};
    return refused(answer);
  }

 private:
  // A bucket's own host; with a dot in its name no certificate would cover that.
  std::string base_url() const {
    const std::string endpoint = setting(config_, names::kEndpointUrl);
    const std::string path = encoded_path(location_.bucket);
    if (!endpoint.empty()) return fmt::format("{}/{}", without_trailing_slash(endpoint), path);
    if (google_) return fmt::format("https://storage.googleapis.com/{}", path);
    if (location_.bucket.find('.') != std::string::npos)
      return fmt::format("https://s3.{}.amazonaws.com/{}", scope_.region, path);
    return fmt::format("https://{}.s3.{}.amazonaws.com", location_.bucket, scope_.region);
  }
  std::string key_of(const std::string& name) const { return joined(location_.prefix, name); }
  std::string url_of(const std::string& name) const {
    return fmt::format("{}/{}", base_, encoded_path(key_of(name)));
  }
  std::string header(std::string_view name) const {
    return std::string(google_ ? "x-goog-" : "x-amz-") + std::string(name);
  }

  std::unexpected<Error> refused(const HttpResponse& answer) const {
    return std::unexpected(refusal(answer, location_.text, google_ ? kGoogleRights : kAmazonRights));
  }

  // The bucket itself missing is no missing object.
  static bool is_missing(const HttpResponse& answer) {
    return answer.status == 404 && error_code(answer) != "NoSuchBucket";
  }

  Result<HttpResponse> send(HttpRequest request) {
    if (google_ && !secret(config_, names::kServiceAccountJson).empty()) {
      request.headers.emplace_back("Authorization", "Bearer " + TRY(token()));
    } else {
      const std::string hash =
          request.body.empty() ? std::string(signature_v4::kEmptyHash) : sha256_hex(request.body);
      signature_v4::sign(request, key_, scope_, hash, transport_.now());
    }
    return transport_.send(std::move(request));
  }

  Result<std::string> token() {
    if (token_ && transport_.now() + kTokenMargin < token_->expires_at) return token_->value;
    auto request = service_account::encode(secret(config_, names::kServiceAccountJson), kGoogleScope,
                                           setting(config_, names::kTokenUrl), transport_.now());
    if (!request) return invalid("service_account_json cannot be read");
    token_ = TRY(refresh_token::decode(TRY(transport_.send(*std::move(request))), transport_.now()));
    return token_->value;
  }

  void add_create_condition(HttpRequest& request) const {
    if (google_) {
      request.headers.emplace_back("x-goog-if-generation-match", "0");
    } else {
      request.headers.emplace_back("If-None-Match", "*");
    }
  }

  Result<void> write(const std::string& name, const Content& content, Meeting meeting) {
    // Google takes any size in one request.
    if (content.size() > kPartBytes && !google_) return write_parts(name, content);
    HttpRequest request{"PUT", url_of(name), {{"Content-Type", "application/octet-stream"}}, ""};
    request.headers.emplace_back(header("meta-") + std::string(kDigestName), content.sha256());
    if (meeting == Meeting::create) add_create_condition(request);
    request.body = TRY(content.read_all());
    const HttpResponse answer = TRY(send(std::move(request)));
    if (answer.status == 200 || answer.status == 201) return {};
    if (answer.status == 412 && meeting == Meeting::create) return compare(name, content);
    // A store that knows no conditions: look first, then write.
    if (answer.status == 501 && meeting == Meeting::create) {
      if (const auto there = TRY(look(name))) return same_or_taken(*there, name, content);
      return write(name, content, Meeting::replace);
    }
    return refused(answer);
  }

  struct Found {
    std::uint64_t size = 0;
    std::string sha256;  // empty: not written by us
  };
  // Missing: there is none.
  Result<std::optional<Found>> look(const std::string& name) {
    const HttpResponse answer = TRY(send({"HEAD", url_of(name), {}, ""}));
    if (answer.status == 404) return std::nullopt;
    if (answer.status != 200) return refused(answer);
    Found found;
    for (const char digit : answer.headers.get("content-length").value_or("")) {
      if (digit >= '0' && digit <= '9')
        found.size = found.size * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    found.sha256 = answer.headers.get(header("meta-") + std::string(kDigestName)).value_or("");
    return found;
  }

  Result<void> same_or_taken(const Found& found, const std::string& name, const Content& content) const {
    if (found.size == content.size() && found.sha256 == content.sha256()) return {};
    return taken(location_.text, name);
  }

  Result<void> compare(const std::string& name, const Content& content) {
    const auto found = TRY(look(name));
    // Removed between the two: the next try writes it.
    if (!found)
      return fail(Error::Code::unavailable, fmt::format("{}/{} came and went", location_.text, name));
    return same_or_taken(*found, name, content);
  }

  // In parts: they lie apart until the last step, which makes the object or nothing.
  Result<void> write_parts(const std::string& name, const Content& content) {
    if (const auto found = TRY(look(name))) return same_or_taken(*found, name, content);
    TRY(abort_unfinished(name));
    const std::string upload = TRY(begin_parts(name, content));
    auto written = send_parts(name, content, upload);
    // What is not aborted now (a crash) is so before the next try.
    if (!written) (void)abort_parts(name, upload);
    return written;
  }

  Result<std::string> begin_parts(const std::string& name, const Content& content) {
    HttpRequest request{
        "POST", url_of(name) + "?uploads=", {{"Content-Type", "application/octet-stream"}}, ""};
    request.headers.emplace_back(header("meta-") + std::string(kDigestName), content.sha256());
    const HttpResponse answer = TRY(send(std::move(request)));
    const std::string upload(xml_text(answer.body, "UploadId"));
    if (answer.status != 200 || upload.empty()) return refused(answer);
    return upload;
  }

  Result<void> send_parts(const std::string& name, const Content& content, const std::string& upload) {
    const std::uint64_t part = part_bytes(content.size());
    std::string list = "<CompleteMultipartUpload>";
    Sha256Stream digest;
    for (std::uint64_t at = 0, number = 1; at < content.size(); at += part, ++number) {
      HttpRequest request {
        "PUT", fmt::format("{}?partNumber={}&uploadId={}", url_of(name), number, percent_encoded(upload)), {},
            TRY(content.read(at, std::min(part, content.size() - at)))
      };
      digest.add(request.body);
      const HttpResponse answer = TRY(send(std::move(request)));
      const std::string_view tag = answer.headers.get("etag").value_or("");
      if (answer.status != 200 || tag.empty()) return refused(answer);
      list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, tag);
    }
    if (digest.hex() != content.sha256())
      return fail(Error::Code::corrupt, fmt::format("the file for {} is not what the pack says", name));
    return finish_parts(name, content, upload, list + "</CompleteMultipartUpload>");
  }

  Result<void> finish_parts(const std::string& name, const Content& content, const std::string& upload,
                            const std::string& list) {
    for (const bool conditional : {true, false}) {
      HttpRequest request{"POST",
                          fmt::format("{}?uploadId={}", url_of(name), percent_encoded(upload)),
                          {{"Content-Type", "application/xml"}},
                          list};
      if (conditional) add_create_condition(request);
      const HttpResponse answer = TRY(send(std::move(request)));
      // An answer that was begun before the work was done may end in an error.
      const bool failed_late = answer.status == 200 && !xml_text(answer.body, "Code").empty();
      if (answer.status == 200 && !failed_late) return {};
      if (answer.status == 412) return compare(name, content);
      if (answer.status == 501 && conditional) continue;
      if (failed_late) return refused({500, answer.headers, answer.body});
      return refused(answer);
    }
    return {};
  }

  Result<void> abort_parts(const std::string& name, const std::string& upload) {
    const HttpResponse answer =
        TRY(send({"DELETE", fmt::format("{}?uploadId={}", url_of(name), percent_encoded(upload)), {}, ""}));
    if (answer.status == 204 || answer.status == 200 || answer.status == 404) return {};
    return refused(answer);
  }

  // Parts that a crash left are paid for until they are aborted.
  Result<void> abort_unfinished(const std::string& name) {
    const std::string key = key_of(name);
    const HttpResponse answer =
        TRY(send({"GET", fmt::format("{}/?prefix={}&uploads=", base_, percent_encoded(key)), {}, ""}));
    // Stores without this question, and keys without this right: what is left there, the bucket's own rules
    // remove.
    if (answer.status != 200) return {};
    std::string_view rest = answer.body;
    for (std::string_view one = xml_text(rest, "Upload"); !one.empty(); one = xml_text(rest, "Upload")) {
      if (xml_text(one, "Key") == key) TRY(abort_parts(name, std::string(xml_text(one, "UploadId"))));
      rest.remove_prefix(static_cast<std::size_t>(one.data() + one.size() - rest.data()));
    }
    return {};
  }

  StoreLocation location_;
  const Config& config_;
  Transport& transport_;
  bool google_;
  signature_v4::Key key_;
  signature_v4::Scope scope_;
  std::string base_;
  std::optional<Token> token_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_s3_store(const StoreLocation& location, const Config& config,
                                           Transport& transport) {
  return std::make_unique<S3Store>(location, config, transport);
}

}  // namespace tailrace::destinations
