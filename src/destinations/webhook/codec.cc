#include "destinations/webhook/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/standard_webhooks/signature.h"
#include "model/json.h"

namespace tailrace::destinations::webhook_codec {
namespace {

// The event happened when the last of the memberships changed, whenever it is sent.
Time event_time(const Batch& batch) {
  Time latest = kTimeMin;
  for (const Member& person : batch.members) latest = std::max(latest, person.changed_at);
  return latest;
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
    out += R"(,"identifiers":)" + to_json(identifiers_of(person));
    if (!person.attributes.empty()) out += R"(,"attributes":)" + to_json(attributes_of(person));
    out += R"(,"changed_at":)";
    append_json_string(out, format_time(person.changed_at));
    out += '}';
  }
  out += "]}}";
  return out;
}

}  // namespace

HttpRequest encode(const Batch& batch, const Context& context) {
  std::string body = body_json(batch, context);
  // The body is part of it: a store begun anew counts its batches from one again, and a receiver must not
  // take them for old ones.
  std::string id = standard_webhooks::message_id(fmt::format("{}\n{}", batch.id, body));
  return standard_webhooks::signed_post(context.config.setting(std::string(kUrl)), std::move(body),
                                        std::move(id), context.config.secret(std::string(kSecret)),
                                        context.now);
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
