#include "destinations/webhook/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::webhook_codec {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::size_t kKeyBytesMin = 24;
constexpr std::size_t kKeyBytesMax = 64;

constexpr std::array kKinds{IdentifierKind::external_id, IdentifierKind::anonymous_id, IdentifierKind::email,
                            IdentifierKind::phone};

std::string_view as_view(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// The event happened when the last of the memberships changed, whenever it is sent.
Time event_time(const Batch& batch) {
  Time latest = kTimeMin;
  for (const Member& person : batch.members) latest = std::max(latest, person.changed_at);
  return latest;
}

void append_identifiers(std::string& out, const Member& person) {
  out += '{';
  bool first_kind = true;
  for (const IdentifierKind kind : kKinds) {
    bool first = true;
    for (const UploadIdentifier& identifier : person.identifiers) {
      if (identifier.kind != kind) continue;
      if (first) {
        out += first_kind ? "" : ",";
        append_json_string(out, to_string(kind));
        out += ":[";
      } else {
        out += ',';
      }
      append_json_string(out, identifier.value);
      first = false;
      first_kind = false;
    }
    if (!first) out += ']';
  }
  out += '}';
}

std::string body_json(const Batch& batch, const Context& context) {
  std::string out = R"({"type":)";
  append_json_string(out,
                     batch.kind == BatchKind::add ? "audience.members_added" : "audience.members_removed");
  out += R"(,"timestamp":)";
  append_json_string(out, format_time(event_time(batch)));
  out += R"(,"data":{"audience":)";
  append_json_string(out, batch.audience_id.empty() ? context.config.audience_name : batch.audience_id);
  out += R"(,"members":[)";
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    const Member& person = batch.members[i];
    out += i == 0 ? R"({"person":)" : R"(,{"person":)";
    append_json_string(out, person.person);
    out += R"(,"identifiers":)";
    append_identifiers(out, person);
    out += R"(,"changed_at":)";
    append_json_string(out, format_time(person.changed_at));
    out += '}';
  }
  out += "]}}";
  return out;
}

// The body is part of it: a store begun anew counts its batches from one again, and a receiver must not take
// them for old ones.
std::string message_id(const Batch& batch, std::string_view body) {
  const Sha256 digest = sha256(fmt::format("{}\n{}", batch.id, body));
  return "msg_" + to_hex(as_view(digest).substr(0, 16));
}

std::string signatures(const std::vector<std::string>& signing_keys, std::string_view content) {
  std::string out;
  for (const std::string& key : signing_keys) {
    const Sha256 mac = hmac_sha256(key, content);
    out += fmt::format("{}v1,{}", out.empty() ? "" : " ", to_base64(as_view(mac)));
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> keys(std::string_view secrets) {
  std::vector<std::string> result;
  for (const std::string_view secret : split_at_blanks(secrets)) {
    std::string key;
    const bool readable =
        secret.starts_with(kSecretPrefix) && from_base64(secret.substr(kSecretPrefix.size()), key);
    if (!readable || key.size() < kKeyBytesMin || key.size() > kKeyBytesMax)
      return invalid("secret must be whsec_ and the base64 of 24 to 64 bytes; several are parted by blanks");
    result.push_back(std::move(key));
  }
  if (result.empty()) return invalid("secret is empty");
  return result;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  HttpRequest request;
  request.method = "POST";
  request.url = context.config.setting(std::string(kUrl));
  request.body = body_json(batch, context);
  const std::string id = message_id(batch, request.body);
  const std::string timestamp = fmt::format("{}", context.now.ms / kSecond.count);
  // An unreadable secret, which `check` reports, gives no signature, and no receiver accepts that.
  const auto signing_keys = keys(context.config.secret(std::string(kSecret)));
  request.headers = {
      {"Content-Type", "application/json"},
      {"webhook-id", id},
      {"webhook-timestamp", timestamp},
      {"webhook-signature",
       signing_keys ? signatures(*signing_keys, fmt::format("{}.{}.{}", id, timestamp, request.body)) : ""}};
  return request;
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  const int status = response.status;
  const std::string code = fmt::format("{}", status);
  if (status >= 200 && status < 300) return accepted(batch);
  if (status == 401 || status == 403)
    return stop(fmt::format("the receiver does not accept the signature (HTTP {})", status), code);
  if (status == 410) return stop("the receiver has gone and wants no more (HTTP 410)", code);
  return judge_status(batch, response);
}

}  // namespace tailrace::destinations::webhook_codec
