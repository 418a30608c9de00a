#include "destinations/tiktok_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/tiktok_api/envelope.h"
#include "model/json.h"

namespace tailrace::destinations::tiktok_codec {
namespace {

struct Column {
  IdentifierKind kind;
  std::string_view key;
};
constexpr std::array<Column, 4> kColumns{{{IdentifierKind::email, "EMAIL_SHA256"},
                                          {IdentifierKind::phone, "PHONE_SHA256"},
                                          {IdentifierKind::idfa, "IDFA_SHA256"},
                                          {IdentifierKind::aaid, "AAID_SHA256"}}};
constexpr int kListedMax = 100;

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

std::size_t count(const Member& member, IdentifierKind kind) {
  return static_cast<std::size_t>(std::ranges::count(member.identifiers, kind, &UploadIdentifier::kind));
}

// The n-th identifier of a kind; nullptr where there are fewer.
const UploadIdentifier* nth(const Member& member, IdentifierKind kind, std::size_t n) {
  for (const UploadIdentifier& identifier : member.identifiers) {
    if (identifier.kind == kind && n-- == 0) return &identifier;
  }
  return nullptr;
}

std::vector<Column> columns_present(const Batch& batch) {
  std::vector<Column> present;
  std::ranges::copy_if(kColumns, std::back_inserter(present), [&](const Column& column) {
    return std::ranges::any_of(batch.members,
                               [&](const Member& member) { return count(member, column.kind) > 0; });
  });
  return present;
}

void append_row(std::string& out, const Member& member, std::size_t row, const std::vector<Column>& columns,
                const std::string& audience_ids) {
  out += '[';
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += ',';
    const UploadIdentifier* identifier = nth(member, columns[i].kind, row);
    if (identifier == nullptr) {
      out += "{}";
      continue;
    }
    out += R"({"id":)";
    append_json_string(out, identifier->value);
    out += R"(,"audience_ids":)" + audience_ids + "}";
  }
  out += ']';
}

std::string mapping_json(const Batch& batch, const Context& context) {
  const auto columns = columns_present(batch);
  std::string audience_ids = "[";
  append_json_string(audience_ids, batch.audience_id);
  audience_ids += ']';
  std::string out = R"({"advertiser_ids":[)";
  append_json_string(out, setting(context, kAdvertiserId));
  out += fmt::format(R"(],"action":"{}","id_schema":[)", batch.kind == BatchKind::add ? "add" : "delete");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, columns[i].key);
  }
  out += R"(],"batch_data":[)";
  bool first = true;
  for (const Member& member : batch.members) {
    for (std::size_t row = 0; row < rows(member); ++row) {
      if (!first) out += ',';
      first = false;
      append_row(out, member, row, columns, audience_ids);
    }
  }
  out += "]}";
  return out;
}

std::string query(std::string_view name, std::string_view value) {
  return fmt::format("{}={}", name, percent_encoded(value));
}

// Of a person's several identifiers some are in the audience then, and a removal must be sent later.
bool is_partly_one_person(const Batch& batch, const Reply& reply) {
  return reply.code == "20001" && batch.members.size() == 1 && batch.members[0].identifiers.size() > 1;
}

// Ids are written as texts or as numbers.
std::string id_member(const Value* object, std::string_view key) {
  const std::string_view text = text_member(object, key);
  if (!text.empty()) return std::string(text);
  const auto number = integer_member(object, key);
  return number ? fmt::format("{}", *number) : std::string();
}

const Value* first_of_list(const Value& data) {
  const Value* list = member(&data, "list");
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty()) return nullptr;
  return &list->list.front();
}

}  // namespace

std::size_t rows(const Member& member) {
  std::size_t most = 1;
  for (const Column& column : kColumns) most = std::max(most, count(member, column.kind));
  return most;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  HttpRequest result = tiktok_api::request(context, "POST", "segment/mapping/");
  tiktok_api::set_json(result, mapping_json(batch, context));
  return result;
}

// Adding and removing are set operations, so what was not taken is found by halving.
Reply decode(const Batch& batch, const HttpResponse& response) {
  Reply reply = tiktok_api::judge(batch, response, "batch_data");
  return is_partly_one_person(batch, reply) ? accepted(batch) : reply;
}

HttpRequest encode_find(const Context& context, const std::string& page) {
  return tiktok_api::request(context, "GET",
                             fmt::format("dmp/custom_audience/list/?{}&{}&page_size={}",
                                         query("advertiser_id", setting(context, kAdvertiserId)),
                                         query("page", page.empty() ? "1" : page), kListedMax));
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value data = TRY(tiktok_api::read_data(response, "looking for the audience"));
  AudienceDestination::Found found;
  if (const Value* audiences = member(&data, "list"); audiences != nullptr) {
    for (const Value& audience : audiences->list) {
      if (text_member(&audience, "name") != config.audience_name) continue;
      found.audience_id = id_member(&audience, "audience_id");
      if (found.audience_id.empty()) found.audience_id = id_member(&audience, "custom_audience_id");
      return found;
    }
  }
  const Value* paging = member(&data, "page_info");
  const auto page = integer_member(paging, "page");
  const auto pages = integer_member(paging, "total_page");
  if (page && pages && *page >= 1 && *page < *pages) found.next_page = fmt::format("{}", *page + 1);
  return found;
}

HttpRequest encode_create(const Context& context) {
  HttpRequest result = tiktok_api::request(context, "POST", "segment/audience/");
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("advertiser_id", Value::of(setting(context, kAdvertiserId)));
  body.members.emplace_back("custom_audience_name", Value::of(context.config.audience_name));
  body.members.emplace_back("action", Value::of("create"));
  tiktok_api::set_json(result, to_json(body));
  return result;
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value data = TRY(tiktok_api::read_data(response, "creating the audience"));
  std::string id = id_member(&data, "audience_id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the audience: the answer names no id");
  return id;
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  std::string ids = "[";
  append_json_string(ids, audience_id);
  ids += ']';
  return tiktok_api::request(
      context, "GET",
      fmt::format("dmp/custom_audience/get/?{}&{}", query("advertiser_id", setting(context, kAdvertiserId)),
                  query("custom_audience_ids", ids)));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  const Value data = TRY(tiktok_api::read_data(response, "measuring the audience"));
  Measurement result;
  const Value* audience = first_of_list(data);
  result.gone = audience == nullptr;
  if (result.gone) return result;
  // The page does not say whether the figures stand in the entry or in its audience_details.
  if (const Value* details = member(audience, "audience_details"); details != nullptr) audience = details;
  result.name = text_member(audience, "name");
  const auto size = integer_member(audience, "cover_num");
  if (size && *size >= 0) result.size = *size;
  const Value* valid = member(audience, "is_valid");
  if (valid != nullptr && valid->kind == Value::Kind::boolean && !valid->boolean)
    result.flag = "is_valid false";
  return result;
}

}  // namespace tailrace::destinations::tiktok_codec
