#include "support/object_store_server.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"

namespace tailrace::testing {
namespace {

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Of the one form that a canonical request may have.
std::string escape(std::string_view text, bool slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    out += plain || (slashes && c == '/') ? std::string(1, c)
                                          : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string raw(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const auto at = text.find(begin);
  if (at == std::string::npos) return {};
  const auto from = at + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

std::string header(const HttpRequest& request, const std::string& name) {
  return std::string(request.headers.get(name).value_or(""));
}

std::vector<std::string> all_between(std::string text, const std::string& begin, const std::string& end) {
  std::vector<std::string> found;
  for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin)) {
    text.erase(0, at);
    found.push_back(between(text, begin, end));
    text.erase(0, begin.size());
  }
  return found;
}

// A time as "20260301T100000Z".
Time read_time(const std::string& text) {
  if (text.size() != 16) return kForeverAgo;
  return parse_time(fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                text.substr(9, 2), text.substr(11, 2), text.substr(13, 2)))
      .value_or(kForeverAgo);
}

}  // namespace

HttpResponse ObjectStoreServer::refuse(int status, const std::string& code) {
  HttpResponse answer{
      status,
      {},
      fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>No.</Message></Error>", code)};
  if (speaks_ == Speaks::azure) answer.headers.emplace_back("x-ms-error-code", code);
  return answer;
}

HttpResponse ObjectStoreServer::problem(const std::string& what) {
  problems.push_back(what);
  return refuse(400, "InvalidRequest");
}

HttpResponse ObjectStoreServer::check_amazon(const HttpRequest& request, const Asked& asked) {
  const std::string authorization = header(request, "authorization");
  if (!bearer.empty() && authorization == "Bearer " + bearer) return {};
  const bool google = speaks_ == Speaks::google;
  const std::string prefix = google ? "x-goog-" : "x-amz-";
  const std::string algorithm = google ? "GOOG4-HMAC-SHA256" : "AWS4-HMAC-SHA256";
  if (!authorization.starts_with(algorithm + " ")) return refuse(403, "AccessDenied");
  const std::string credential = between(authorization, "Credential=", ",");
  const std::string names = between(authorization, "SignedHeaders=", ",");
  const std::string signature = between(authorization + "\n", "Signature=", "\n");
  const std::string stamp = header(request, prefix + "date");
  if (std::abs((read_time(stamp) - clock).count) > (kMinute * 15).count)
    return refuse(403, "RequestTimeTooSkewed");
  const std::string date = stamp.substr(0, 8);
  const std::string scope =
      google ? date + "/auto/storage/goog4_request" : date + "/" + region + "/s3/aws4_request";
  if (!credential.starts_with(key_id + "/")) return refuse(403, "InvalidAccessKeyId");
  if (credential != key_id + "/" + scope) {
    HttpResponse answer = refuse(400, "AuthorizationHeaderMalformed");
    answer.headers.emplace_back("x-amz-bucket-region", region);
    return answer;
  }
  // Every header that says something to the store must be signed.
  for (const auto& [name, value] : request.headers) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool must = lower.starts_with("x-") || lower == "host" || lower == "if-none-match";
    if (must && (";" + names + ";").find(";" + lower + ";") == std::string::npos)
      return problem(lower + " is not signed");
  }
  std::string lines;
  for (std::string_view rest = names; !rest.empty();) {
    const auto end = std::min(rest.find(';'), rest.size());
    lines += fmt::format("{}:{}\n", rest.substr(0, end), header(request, std::string(rest.substr(0, end))));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::vector<std::string> query;
  for (const auto& [name, value] : asked.query)
    query.push_back(escape(name, false) + "=" + escape(value, false));
  const std::string digest = header(request, prefix + "content-sha256");
  if (digest != "UNSIGNED-PAYLOAD" && digest != sha256_hex(request.body))
    return refuse(400, "XAmzContentSHA256Mismatch");
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", asked.method, escape(asked.path, true),
                                            fmt::join(query, "&"), lines, names, digest);
  std::string key = raw(hmac_sha256((google ? "GOOG4" : "AWS4") + secret, date));
  for (const std::string& step :
       {google ? std::string("auto") : region, std::string(google ? "storage" : "s3"),
        std::string(google ? "goog4_request" : "aws4_request")})
    key = raw(hmac_sha256(key, step));
  const std::string expected = to_hex(
      raw(hmac_sha256(key, fmt::format("{}\n{}\n{}\n{}", algorithm, stamp, scope, sha256_hex(canonical)))));
  return signature == expected ? HttpResponse{} : refuse(403, "SignatureDoesNotMatch");
}

HttpResponse ObjectStoreServer::check_azure(const HttpRequest& request, const Asked& asked) {
  if (header(request, "x-ms-version").empty()) return problem("no x-ms-version");
  std::map<std::string, std::string> own;
  for (const auto& [name, value] : request.headers) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower.starts_with("x-ms-")) own[lower] = value;
  }
  const std::string length = request.body.empty() ? "" : std::to_string(request.body.size());
  std::string text = asked.method;
  for (const std::string& line :
       {header(request, "content-encoding"), header(request, "content-language"), length,
        header(request, "content-md5"), header(request, "content-type"), header(request, "date"),
        header(request, "if-modified-since"), header(request, "if-match"), header(request, "if-none-match"),
        header(request, "if-unmodified-since"), header(request, "range")})
    text += "\n" + line;
  text += "\n";
  for (const auto& [name, value] : own) text += name + ":" + value + "\n";
  text += "/" + account + asked.raw_path;
  for (const auto& [name, value] : asked.query) text += "\n" + name + ":" + value;
  std::string key;
  if (!from_base64(secret, key)) return problem("the test's key is no base64");
  const std::string expected = "SharedKey " + account + ":" + to_base64(raw(hmac_sha256(key, text)));
  return header(request, "authorization") == expected ? HttpResponse{} : refuse(403, "AuthenticationFailed");
}

bool ObjectStoreServer::is_conditional(const HttpRequest& request) const {
  return speaks_ == Speaks::google ? header(request, "x-goog-if-generation-match") == "0"
                                   : header(request, "if-none-match") == "*";
}

HttpResponse ObjectStoreServer::store(const HttpRequest& request, const std::string& name, std::string bytes,
                                      std::map<std::string, std::string> metadata) {
  if (!may_write)
    return refuse(403, speaks_ == Speaks::azure ? "AuthorizationPermissionMismatch" : "AccessDenied");
  if (full)
    return refuse(speaks_ == Speaks::azure ? 409 : 507,
                  speaks_ == Speaks::azure ? "AccountIsDisabled" : "InsufficientStorage");
  if (is_conditional(request)) {
    if (!knows_conditions) return refuse(501, "NotImplemented");
    if (objects.contains(name))
      return speaks_ == Speaks::azure ? refuse(409, "BlobAlreadyExists") : refuse(412, "PreconditionFailed");
  }
  ++writes;
  objects[name] = {std::move(bytes), std::move(metadata)};
  return {speaks_ == Speaks::azure ? 201 : 200, {{"ETag", "\"e\""}}, ""};
}

HttpResponse ObjectStoreServer::put_block(const HttpRequest& request, const Asked& asked) {
  if (asked.query.at("comp") == "block") {
    parts_[asked.name][asked.query.at("blockid")] = request.body;
    return {201, {}, ""};
  }
  std::string bytes;
  for (const std::string& block : all_between(request.body, "<Latest>", "</Latest>")) {
    const auto part = parts_[asked.name].find(block);
    if (part == parts_[asked.name].end()) return refuse(400, "InvalidBlockList");
    bytes += part->second;
  }
  std::map<std::string, std::string> metadata;
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-ms-meta-")) metadata[name] = value;
  }
  const HttpResponse answer = store(request, asked.name, std::move(bytes), std::move(metadata));
  if (answer.status == 201) parts_.erase(asked.name);
  return answer;
}

HttpResponse ObjectStoreServer::put(const HttpRequest& request, const Asked& asked) {
  if (speaks_ == Speaks::azure && asked.query.contains("comp")) return put_block(request, asked);
  if (asked.query.contains("partNumber")) {
    const std::string id = asked.query.at("uploadId");
    if (!unfinished.contains(id)) return refuse(404, "NoSuchUpload");
    parts_[id][fmt::format("{:05}", std::stoi(asked.query.at("partNumber")))] = request.body;
    return {200, {{"ETag", "\"" + sha256_hex(request.body).substr(0, 32) + "\""}}, ""};
  }
  if (speaks_ == Speaks::azure && header(request, "x-ms-blob-type") != "BlockBlob")
    return problem("no blob type");
  std::map<std::string, std::string> metadata;
  for (const auto& [name, value] : request.headers) {
    if (name.find("-meta-") != std::string::npos) metadata[name] = value;
  }
  return store(request, asked.name, request.body, std::move(metadata));
}

HttpResponse ObjectStoreServer::post(const HttpRequest& request, const Asked& asked) {
  if (asked.query.contains("uploads")) {
    const std::string id = fmt::format("upload/{}+", ++last_upload_);
    unfinished[id] = asked.name;
    for (const auto& [name, value] : request.headers) {
      if (name.find("-meta-") != std::string::npos) upload_metadata_[id][name] = value;
    }
    return {200,
            {},
            "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>"};
  }
  const std::string id = asked.query.at("uploadId");
  if (!unfinished.contains(id)) return refuse(404, "NoSuchUpload");
  std::string bytes;
  const auto numbers = all_between(request.body, "<PartNumber>", "</PartNumber>");
  const auto tags = all_between(request.body, "<ETag>", "</ETag>");
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string& part = parts_[id][fmt::format("{:05}", std::stoi(numbers[i]))];
    if (i >= tags.size() || tags[i] != "\"" + sha256_hex(part).substr(0, 32) + "\"")
      return refuse(400, "InvalidPart");
    if (i + 1 < numbers.size() && part.size() < (5u << 20)) return refuse(400, "EntityTooSmall");
    bytes += part;
  }
  const HttpResponse answer = store(request, asked.name, std::move(bytes), upload_metadata_[id]);
  if (answer.status != 200) {
    // Some answer 200 before the work is done.
    return answer;
  }
  unfinished.erase(id);
  parts_.erase(id);
  return {200, {}, "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"};
}

HttpResponse ObjectStoreServer::handle(const HttpRequest& request) {
  Asked asked;
  asked.method = request.method;
  const std::string url = request.url.substr(request.url.find("://") + 3);
  const std::string host = url.substr(0, url.find('/'));
  std::string rest = url.substr(host.size());
  const std::string query = rest.find('?') == std::string::npos ? "" : rest.substr(rest.find('?') + 1);
  asked.raw_path = rest.substr(0, rest.find('?'));
  asked.path = unescape(asked.raw_path);
  for (std::string_view left = query; !left.empty();) {
    const auto end = std::min(left.find('&'), left.size());
    const std::string_view one = left.substr(0, end);
    const auto equals = std::min(one.find('='), one.size());
    asked.query[unescape(one.substr(0, equals))] =
        equals < one.size() ? unescape(one.substr(equals + 1)) : "";
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  const bool own_host = host.starts_with(bucket + ".");
  asked.name = own_host ? bucket + asked.path : asked.path.substr(1);
  if (speaks_ != Speaks::azure && header(request, "host") != host &&
      header(request, "authorization").find("HMAC") != std::string::npos)
    return problem("host is not the URL's");
  if (const HttpResponse refused =
          speaks_ == Speaks::azure ? check_azure(request, asked) : check_amazon(request, asked);
      refused.status != 0)
    return refused;
  if (!asked.name.starts_with(bucket + "/"))
    return refuse(404, speaks_ == Speaks::azure ? "ContainerNotFound" : "NoSuchBucket");
  const auto found = objects.find(asked.name);
  if (asked.method == "PUT") return put(request, asked);
  if (asked.method == "POST") return post(request, asked);
  if (asked.method == "DELETE") {
    if (asked.query.contains("uploadId")) {
      if (unfinished.erase(asked.query.at("uploadId")) == 0) return refuse(404, "NoSuchUpload");
      return {204, {}, ""};
    }
    objects.erase(asked.name);
    return {speaks_ == Speaks::azure ? 202 : 204, {}, ""};
  }
  if (asked.method == "GET" && asked.query.contains("uploads")) {
    std::string list = "<ListMultipartUploadsResult>";
    for (const auto& [id, name] : unfinished) {
      if (name.starts_with(bucket + "/" + asked.query.at("prefix")))
        list += fmt::format("<Upload><Key>{}</Key><UploadId>{}</UploadId></Upload>",
                            name.substr(bucket.size() + 1), id);
    }
    return {200, {}, list + "</ListMultipartUploadsResult>"};
  }
  if (asked.method != "GET" && asked.method != "HEAD") return problem("method " + asked.method);
  if (found == objects.end()) {
    HttpResponse missing = refuse(404, speaks_ == Speaks::azure ? "BlobNotFound" : "NoSuchKey");
    if (asked.method == "HEAD") missing.body.clear();
    return missing;
  }
  HttpResponse answer{200, {{"Content-Length", std::to_string(found->second.bytes.size())}}, ""};
  for (const auto& [name, value] : found->second.metadata) answer.headers.emplace_back(name, value);
  if (asked.method == "GET") answer.body = found->second.bytes;
  return answer;
}

}  // namespace tailrace::testing
