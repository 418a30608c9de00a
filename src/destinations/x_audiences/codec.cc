#include "destinations/x_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/x_audiences/api.h"
#include "model/json.h"

namespace tailrace::destinations::x_codec {
namespace {

using x_api::request;

struct Key {
  std::string_view name;
  std::array<IdentifierKind, 2> kinds;  // the same twice where there is one
};
constexpr std::array<Key, 3> kKeys{{
    {"email", {IdentifierKind::email, IdentifierKind::email}},
    {"phone_number", {IdentifierKind::phone, IdentifierKind::phone}},
    {"device_id", {IdentifierKind::idfa, IdentifierKind::aaid}},
}};

constexpr std::size_t kNameQueryMax = 255;  // of the list's `q`

std::string audiences_path(const Context& context) {
  return fmt::format("accounts/{}/custom_audiences",
                     percent_encoded(context.config.setting(std::string(kAccountId))));
}

std::string audience_path(const Context& context, const std::string& audience_id) {
  return audiences_path(context) + "/" + percent_encoded(audience_id);
}

std::string described(const Context& context) {
  std::string query = "?name=" + percent_encoded(context.config.audience_name);
  if (!context.config.audience_description.empty())
    query += "&description=" + percent_encoded(context.config.audience_description);
  return query;
}

void append_user(std::string& out, const Member& person) {
  out += '{';
  bool first_key = true;
  for (const Key& key : kKeys) {
    bool first_value = true;
    for (const UploadIdentifier& identifier : person.identifiers) {
      if (std::find(key.kinds.begin(), key.kinds.end(), identifier.kind) == key.kinds.end()) continue;
      if (first_value) {
        out += first_key ? "" : ",";
        append_json_string(out, key.name);
        out += ":[";
        first_key = false;
      } else {
        out += ',';
      }
      first_value = false;
      append_json_string(out, identifier.value);
    }
    if (!first_value) out += ']';
  }
  out += '}';
}

Reply judge_counts(const Batch& batch, const Value& answer) {
  const Value* data = member(&answer, "data");
  const auto succeeded = integer_member(data, "success_count");
  const auto total = integer_member(data, "total_count");
  if (!succeeded || !total) return retry("the answer cannot be read: no success_count", "unreadable");
  const auto sent = static_cast<std::int64_t>(batch.members.size());
  // X asks for the whole request again; setting a set twice does no harm.
  if (*succeeded != sent || *total != sent)
    return retry("the platform did not count as many people as were sent", "success_count");
  return accepted(batch);
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  auto answer = json_object(response);
  if (const auto reply = x_api::judge(Batch{}, response, answer)) return failed(what, *reply);
  return *std::move(answer);
}

std::string reasons(const Value* data) {
  std::string words;
  const Value* list = member(data, "reasons_not_targetable");
  if (list == nullptr) return words;
  for (const Value& each : list->list) {
    const std::string word = each.kind == Value::Kind::string ? code_word(each.string) : "";
    if (!word.empty()) words += (words.empty() ? "" : ", ") + word;
  }
  return words;
}

bool is_true(const Value* object, std::string_view key) {
  const Value* value = member(object, key);
  return value != nullptr && value->kind == Value::Kind::boolean && value->boolean;
}

}  // namespace

HttpRequest encode(const Batch& batch, const Context& context) {
  const std::string_view operation = batch.kind == BatchKind::add ? "Update" : "Delete";
  std::string body = "[";
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    const Member& person = batch.members[i];
    body += fmt::format(R"({}{{"operation_type":"{}","params":{{"users":[)", i == 0 ? "" : ",", operation);
    append_user(body, person);
    body += "]}}";
  }
  body += ']';
  return request(context, "POST", audience_path(context, batch.audience_id) + "/users", std::move(body));
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (auto reply = x_api::judge(batch, response, answer, batch.members.size())) return *std::move(reply);
  return judge_counts(batch, *answer);
}

HttpRequest encode_find(const Context& context, const std::string& page) {
  std::string query = "?count=1000";
  const std::string& name = context.config.audience_name;
  if (!name.empty() && name.size() <= kNameQueryMax) query += "&q=" + percent_encoded(name);
  if (!page.empty()) query += "&cursor=" + percent_encoded(page);
  return request(context, "GET", audiences_path(context) + query);
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the audience"));
  AudienceDestination::Found found;
  if (const Value* audiences = member(&answer, "data"); audiences != nullptr) {
    for (const Value& audience : audiences->list) {
      if (text_member(&audience, "name") != config.audience_name || is_true(&audience, "deleted")) continue;
      found.audience_id = text_member(&audience, "id");
      return found;
    }
  }
  found.next_page = text_member(&answer, "next_cursor");
  return found;
}

HttpRequest encode_create(const Context& context) {
  return request(context, "POST", audiences_path(context) + described(context));
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the audience"));
  const std::string_view id = text_member(member(&answer, "data"), "id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the audience: the answer names no id");
  return std::string(id);
}

HttpRequest encode_update(const std::string& audience_id, const Context& context) {
  return request(context, "PUT", audience_path(context, audience_id) + described(context));
}

Result<void> decode_update(const HttpResponse& response) {
  TRY(read_object(response, "renaming the audience"));
  return {};
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  return request(context, "GET", audience_path(context, audience_id));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  const auto errors = json_object(response);
  if (const Value* list = member(errors ? &*errors : nullptr, "errors");
      list != nullptr && !list->list.empty()) {
    result.gone = text_member(&list->list.front(), "code") == "TAILORED_AUDIENCE_NOT_FOUND";
    if (result.gone) return result;
  }
  const Value answer = TRY(read_object(response, "measuring the audience"));
  const Value* data = member(&answer, "data");
  result.gone = is_true(data, "deleted");
  if (result.gone) return result;
  result.name = text_member(data, "name");
  result.description = text_member(data, "description");
  result.size = integer_member(data, "audience_size");
  if (result.size && *result.size < 0) result.size.reset();
  result.detail = reasons(data);
  if (text_member(data, "permission_level") == "READ_ONLY") result.flag = "permission_level READ_ONLY";
  return result;
}

HttpRequest encode_probe(const Context& context) {
  const std::string account = percent_encoded(context.config.setting(std::string(kAccountId)));
  return request(context, "GET", fmt::format("accounts/{}/authenticated_user_access", account));
}

Result<Standing> decode_probe(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "looking at the user's role"));
  const Value* permissions = member(member(&answer, "data"), "permissions");
  const auto may = [&](std::string_view role) {
    return permissions != nullptr && std::ranges::any_of(permissions->list, [&](const Value& each) {
             return each.kind == Value::Kind::string && each.string == role;
           });
  };
  Standing standing;
  if (!may("ACCOUNT_ADMIN") && !may("AD_MANAGER"))
    standing.missing.emplace_back("the role AD_MANAGER or ACCOUNT_ADMIN");
  return standing;
}

}  // namespace tailrace::destinations::x_codec
