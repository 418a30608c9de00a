#include "destinations/reddit_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/reddit_audiences/api.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::reddit_codec {
namespace {

using reddit_api::request;

enum class Column : unsigned char { email, mobile_id };
constexpr std::array kColumns{Column::email, Column::mobile_id};

std::string_view key(Column column) { return column == Column::email ? "EMAIL_SHA256" : "MAID_SHA256"; }

Column column_of(IdentifierKind kind) {
  return kind == IdentifierKind::email ? Column::email : Column::mobile_id;
}

std::size_t count(const Member& member, Column column) {
  return static_cast<std::size_t>(std::ranges::count_if(
      member.identifiers, [&](const UploadIdentifier& each) { return column_of(each.kind) == column; }));
}

// "" where there are fewer: every row has a cell per column.
std::string_view cell(const Member& member, Column column, std::size_t row) {
  for (const UploadIdentifier& each : member.identifiers) {
    if (column_of(each.kind) == column && row-- == 0) return each.value;
  }
  return "";
}

std::vector<Column> columns_present(const Batch& batch) {
  std::vector<Column> present;
  for (const Column column : kColumns) {
    const bool any =
        std::ranges::any_of(batch.members, [&](const Member& member) { return count(member, column) > 0; });
    if (any) present.push_back(column);
  }
  return present;
}

void append_row(std::string& out, const Member& member, std::size_t row, const std::vector<Column>& columns) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    out += i == 0 ? '[' : ',';
    append_json_string(out, cell(member, columns[i], row));
  }
  out += ']';
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  auto answer = json_object(response);
  if (const auto reply = reddit_api::judge(Batch{}, response, answer)) return failed(what, *reply);
  if (!answer) return fail(Error::Code::unavailable, fmt::format("{}: the answer cannot be read", what));
  return *std::move(answer);
}

}  // namespace

std::size_t rows(const Member& member) {
  std::size_t most = 1;
  for (const Column column : kColumns) most = std::max(most, count(member, column));
  return most;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  const auto columns = columns_present(batch);
  std::string body = fmt::format(R"({{"data":{{"action_type":"{}","column_order":[)",
                                 batch.kind == BatchKind::add ? "ADD" : "REMOVE");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) body += ',';
    append_json_string(body, key(columns[i]));
  }
  body += R"(],"user_data":[)";
  bool first = true;
  for (const Member& member : batch.members) {
    for (std::size_t row = 0; row < rows(member); ++row) {
      if (!first) body += ',';
      first = false;
      append_row(body, member, row, columns);
    }
  }
  body += "]}}";
  return request(context, "PATCH",
                 fmt::format("custom_audiences/{}/users", percent_encoded(batch.audience_id)),
                 std::move(body));
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  if (auto reply = reddit_api::judge(batch, response, json_object(response))) return *std::move(reply);
  return accepted(batch);
}

HttpRequest encode_create(const Context& context) {
  std::string body = R"({"data":{"name":)";
  append_json_string(body, context.config.audience_name);
  body += R"(,"type":"CUSTOMER_LIST"}})";
  return request(context, "POST",
                 fmt::format("ad_accounts/{}/custom_audiences",
                             percent_encoded(context.config.setting(std::string(kAdAccountId)))),
                 std::move(body));
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the audience"));
  const std::string_view id = text_member(member(&answer, "data"), "id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the audience: the answer names no id");
  return std::string(id);
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  return request(context, "GET", "custom_audiences/" + percent_encoded(audience_id));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  // In JSON, that is: a page of HTML may come from something before the API.
  result.gone = response.status == 404 && json_object(response).has_value();
  if (result.gone) return result;
  const Value answer = TRY(read_object(response, "measuring the audience"));
  const Value* data = member(&answer, "data");
  result.name = text_member(data, "name");
  const auto lower = integer_member(data, "size_range_lower");
  const auto upper = integer_member(data, "size_range_upper");
  if (lower && *lower >= 0) result.size = *lower;
  if (lower && upper && *lower >= 0 && *upper >= *lower) result.detail = fmt::format("{}-{}", *lower, *upper);
  return result;
}

}  // namespace tailrace::destinations::reddit_codec
