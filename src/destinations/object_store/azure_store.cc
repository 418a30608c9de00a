// Azure Blob Storage, requests signed by the account's key.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/object_store/remote_store.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

using namespace remote_store;
namespace names = object_store;

constexpr std::string_view kVersion = "2021-12-02";
constexpr std::string_view kRights = "to write, read and delete blobs of the container";
// A name of metadata may have no dash here.
constexpr std::string_view kDigestHeader = "x-ms-meta-tailrace_sha256";

// "Sun, 01 Mar 2026 10:00:00 GMT"
std::string http_date(Time now) {
  constexpr std::array<const char*, 7> kDays{"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string text = format_time(now);  // 2026-03-01T10:00:00.000Z
  const auto month = static_cast<std::size_t>((text[5] - '0') * 10 + (text[6] - '0') - 1);
  const auto day = static_cast<std::size_t>(now.ms / kDay.count % 7);
  return fmt::format("{}, {} {} {} {} GMT", kDays[day], text.substr(8, 2), kMonths[month], text.substr(0, 4),
                     text.substr(11, 8));
}

class AzureStore final : public ObjectStore {
 public:
  AzureStore(StoreLocation location, const Config& config, Transport& transport)
      : location_(std::move(location)),
        transport_(transport),
        account_(config.setting(std::string(names::kAccount))),
        endpoint_(config.setting(std::string(names::kEndpointUrl))) {
    // An unreadable key signs nothing that the store would take.
    (void)from_base64(config.secret(std::string(names::kAccountKey)), key_);
    if (endpoint_.empty()) endpoint_ = fmt::format("https://{}.blob.core.windows.net", account_);
    endpoint_ = without_trailing_slash(endpoint_);
  }

  Result<void> create(const std::string& name, const PackFile& file) override {
    return write(name, Content(file, transport_), true);
  }
  Result<void> create(const std::string& name, const std::string& text) override {
    return write(name, Content(text), true);
  }
  Result<void> replace(const std::string& name, const std::string& text) override {
    return write(name, Content(text), false);
  }

  Result<std::optional<std::string>> read(const std::string& name) override {
    HttpResponse answer = TRY(send({"GET", url_of(name), {}, ""}, {}));
    if (answer.status == 200) return std::move(answer.body);
    if (is_missing(answer)) return std::nullopt;
    return refused(answer);
  }

  Result<void> remove(const std::string& name) override {
    const HttpResponse answer = TRY(send({"DELETE", url_of(name), {}, ""}, {}));
    if (answer.status == 202 || answer.status == 200 || is_missing(answer)) return {};
    return refused(answer);
  }

 private:
  using Query = std::vector<std::pair<std::string, std::string>>;  // sorted by name

  std::string path_of(const std::string& name) const {
    return fmt::format("/{}/{}", location_.bucket, encoded_path(joined(location_.prefix, name)));
  }
  std::string url_of(const std::string& name) const { return endpoint_ + path_of(name); }

  std::unexpected<Error> refused(const HttpResponse& answer) const {
    return std::unexpected(refusal(answer, location_.text, kRights));
  }
  static bool is_missing(const HttpResponse& answer) {
    return answer.status == 404 && error_code(answer) != "ContainerNotFound";
  }

  // The path of the URL, an emulator's account in it included.
  static std::string_view path_in(std::string_view url) {
    const std::string_view rest = url.substr(url.find("://") + 3);
    return rest.substr(std::min(rest.find('/'), rest.size()));
  }

  Result<HttpResponse> send(HttpRequest request, const Query& query) {
    request.headers.emplace_back("x-ms-date", http_date(transport_.now()));
    request.headers.emplace_back("x-ms-version", kVersion);
    const auto value = [&](std::string_view name) { return request.headers.get(name).value_or(""); };
    std::string text = request.method + "\n\n\n";
    text += request.body.empty() ? "" : fmt::format("{}", request.body.size());
    text += fmt::format("\n\n{}\n\n\n\n{}\n\n\n", value("content-type"), value("if-none-match"));
    std::vector<std::pair<std::string, std::string>> own;
    for (const auto& [name, of] : request.headers) {
      if (name.starts_with("x-ms-")) own.emplace_back(name, of);
    }
    std::ranges::sort(own);
    for (const auto& [name, of] : own) text += fmt::format("{}:{}\n", name, of);
    text += fmt::format("/{}{}", account_, path_in(request.url));
    for (const auto& [name, of] : query) text += fmt::format("\n{}:{}", name, of);
    const Sha256 signature = hmac_sha256(key_, text);
    request.headers.emplace_back(
        "Authorization",
        fmt::format("SharedKey {}:{}", account_,
                    to_base64({reinterpret_cast<const char*>(signature.data()), signature.size()})));
    for (std::size_t i = 0; i < query.size(); ++i)
      request.url +=
          fmt::format("{}{}={}", i == 0 ? "?" : "&", query[i].first, percent_encoded(query[i].second));
    return transport_.send(std::move(request));
  }

  Result<void> write(const std::string& name, const Content& content, bool once) {
    if (content.size() > kPartBytes) return write_parts(name, content);
    std::string bytes = TRY(content.read_all());
    HttpRequest request{"PUT",
                        url_of(name),
                        {{"Content-Type", "application/octet-stream"},
                         {"x-ms-blob-type", "BlockBlob"},
                         {std::string(kDigestHeader), content.sha256()}},
                        std::move(bytes)};
    if (once) request.headers.emplace_back("If-None-Match", "*");
    return written(name, content, TRY(send(std::move(request), {})));
  }

  Result<void> written(const std::string& name, const Content& content, const HttpResponse& answer) {
    if (answer.status == 201) return {};
    if (error_code(answer) == "BlobAlreadyExists" || answer.status == 412) {
      const auto found = TRY(look(name));
      if (!found)
        return fail(Error::Code::unavailable, fmt::format("{}/{} came and went", location_.text, name));
      return *found == content.sha256() ? Result<void>() : taken(location_.text, name);
    }
    return refused(answer);
  }

  // The digest it was written with; missing: no such blob.
  Result<std::optional<std::string>> look(const std::string& name) {
    const HttpResponse answer = TRY(send({"HEAD", url_of(name), {}, ""}, {}));
    if (answer.status == 404) return std::nullopt;
    if (answer.status != 200) return refused(answer);
    return std::string(answer.headers.get(kDigestHeader).value_or(""));
  }

  // Blocks that are not listed are no part of a blob, and the store forgets them after a week.
  Result<void> write_parts(const std::string& name, const Content& content) {
    if (const auto found = TRY(look(name)))
      return *found == content.sha256() ? Result<void>() : taken(location_.text, name);
    const std::uint64_t part = part_bytes(content.size());
    std::string list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    Sha256Stream digest;
    for (std::uint64_t at = 0, number = 1; at < content.size(); at += part, ++number) {
      const std::string block = to_base64(fmt::format("tailrace-{:06}", number));
      HttpRequest request {
        "PUT", url_of(name), {{"Content-Type", "application/octet-stream"}},
            TRY(content.read(at, std::min(part, content.size() - at)))
      };
      digest.add(request.body);
      const HttpResponse answer = TRY(send(std::move(request), {{"blockid", block}, {"comp", "block"}}));
      if (answer.status != 201) return refused(answer);
      list += fmt::format("<Latest>{}</Latest>", block);
    }
    if (digest.hex() != content.sha256())
      return fail(Error::Code::corrupt, fmt::format("the file for {} is not what the pack says", name));
    HttpRequest request{"PUT",
                        url_of(name),
                        {{"Content-Type", "application/xml"},
                         {"If-None-Match", "*"},
                         {std::string(kDigestHeader), content.sha256()}},
                        list + "</BlockList>"};
    return written(name, content, TRY(send(std::move(request), {{"comp", "blocklist"}})));
  }

  StoreLocation location_;
  Transport& transport_;
  std::string account_;
  std::string endpoint_;
  std::string key_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_azure_store(const StoreLocation& location, const Config& config,
                                              Transport& transport) {
  return std::make_unique<AzureStore>(location, config, transport);
}

}  // namespace tailrace::destinations
