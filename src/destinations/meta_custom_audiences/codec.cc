#include "destinations/meta_custom_audiences/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/meta_graph/graph.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::meta_codec {
namespace {

enum class Column : unsigned char { external_id, email, phone, mobile_id };
constexpr std::array kColumns{Column::external_id, Column::email, Column::phone, Column::mobile_id};

std::string_view key(Column column) {
  switch (column) {
    case Column::external_id:
      return "EXTERN_ID";
    case Column::email:
      return "EMAIL";
    case Column::phone:
      return "PHONE";
    case Column::mobile_id:
      break;
  }
  return "MADID";
}

// Advertising ids of both systems share a column.
bool is_of(const UploadIdentifier& identifier, Column column) {
  switch (column) {
    case Column::external_id:
      return identifier.kind == IdentifierKind::external_id;
    case Column::email:
      return identifier.kind == IdentifierKind::email;
    case Column::phone:
      return identifier.kind == IdentifierKind::phone;
    case Column::mobile_id:
      break;
  }
  return identifier.kind == IdentifierKind::idfa || identifier.kind == IdentifierKind::aaid;
}

constexpr std::uint64_t kSessionIdEnd =
    1'000'000'000'000'000'000;  // 18 digits: exact in every JSON reader of ours
constexpr int kSessionsMeasured = 100;
constexpr std::int64_t kFlagged = 471;  // operation_status of an audience whose uploads are blocked

using meta_graph::request;
using meta_graph::set_json;

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

std::size_t count(const Member& member, Column column) {
  return static_cast<std::size_t>(std::count_if(member.identifiers.begin(), member.identifiers.end(),
                                                [&](const auto& id) { return is_of(id, column); }));
}

// The n-th identifier of a column; nullptr where there are fewer.
const UploadIdentifier* nth(const Member& member, Column column, std::size_t n) {
  for (const UploadIdentifier& identifier : member.identifiers) {
    if (is_of(identifier, column) && n-- == 0) return &identifier;
  }
  return nullptr;
}

std::vector<Column> columns_present(const Batch& batch) {
  std::vector<Column> present;
  for (const Column column : kColumns) {
    const bool any = std::any_of(batch.members.begin(), batch.members.end(),
                                 [&](const Member& member) { return count(member, column) > 0; });
    if (any) present.push_back(column);
  }
  return present;
}

// What a batch's members carry beside their identifiers. Their names are the sync's, so all have the same.
class Details {
 public:
  Details(const Batch& batch, std::span<const FieldRule> fields, const Config& config)
      : region_(config.default_region), all_limited_(config.setting(std::string(kLimitedDataUse)) == "true") {
    if (batch.members.empty() || batch.kind == BatchKind::remove) return;
    const auto& carried = batch.members.front().attributes;
    std::optional<std::size_t> limited;
    for (std::size_t i = 0; i < carried.size(); ++i) {
      const FieldRule* rule = detail_named(fields, carried[i].first);
      if (rule != nullptr) columns_.push_back({Column::Kind::detail, i, rule});
      if (rule != nullptr && rule->field == Field::country) country_ = i;
      if (carried[i].first == kValue) columns_.push_back({Column::Kind::value, i});
      if (carried[i].first == kLimitedDataUse) limited = i;
    }
    if (all_limited_ || limited)
      columns_.push_back({Column::Kind::limited, limited.value_or(carried.size())});
  }
  void append_keys(std::string& out) const {
    for (const Column& column : columns_) {
      out += ',';
      append_json_string(out, column.kind == Column::Kind::value     ? "LOOKALIKE_VALUE"
                              : column.kind == Column::Kind::limited ? "DATA_PROCESSING_OPTIONS"
                                                                     : column.rule->key);
    }
  }
  // What cannot be normalised helps nobody to be found, and is left out.
  void append_values(std::string& out, const Member& member) const {
    const auto raw = [&](std::size_t i) {
      return i < member.attributes.size() ? text_of(member.attributes[i].second) : std::string();
    };
    for (const Column& column : columns_) {
      out += ',';
      if (column.kind == Column::Kind::limited) {
        out += all_limited_ || is_limited(member, column.attribute) ? R"(["LDU"])" : "[]";
        continue;
      }
      if (column.kind == Column::Kind::value) {
        const auto number = Number::parse(raw(column.attribute));
        out += number && number->to_double() >= 0 ? number->to_string() : "0";
        continue;
      }
      const auto prepared =
          prepare(*column.rule, raw(column.attribute),
                  {.region = region_, .country = country_ ? raw(*country_) : std::string()});
      append_json_string(out, prepared ? std::string_view(prepared->value) : std::string_view());
    }
  }

 private:
  struct Column {
    enum class Kind : unsigned char { detail, value, limited };
    Kind kind;
    std::size_t attribute;
    const FieldRule* rule = nullptr;  // of a detail
  };
  // Without country and state Meta finds out itself where the person is.
  static bool is_limited(const Member& member, std::size_t attribute) {
    if (attribute >= member.attributes.size()) return false;
    const Value& stated = member.attributes[attribute].second;
    return stated.kind == Value::Kind::boolean && stated.boolean;
  }
  std::string region_;
  bool all_limited_;
  std::optional<std::size_t> country_;
  std::vector<Column> columns_;
};

void append_row(std::string& out, const Member& member, std::size_t row, const std::vector<Column>& columns,
                const Details& details) {
  out += '[';
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += ',';
    const UploadIdentifier* identifier = nth(member, columns[i], row);
    if (identifier == nullptr && columns[i] == Column::external_id) identifier = nth(member, columns[i], 0);
    append_json_string(out, identifier == nullptr ? std::string_view() : identifier->value);
  }
  details.append_values(out, member);
  out += ']';
}

std::string payload_json(const Batch& batch, const Details& details) {
  const auto columns = columns_present(batch);
  std::string out = R"({"schema":[)";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, key(columns[i]));
  }
  details.append_keys(out);
  out += R"(],"data":[)";
  bool first = true;
  for (const Member& person : batch.members) {
    const std::size_t row_count = rows(person);
    for (std::size_t row = 0; row < row_count; ++row) {
      if (!first) out += ',';
      first = false;
      append_row(out, person, row, columns, details);
    }
  }
  out += "]}";
  return out;
}

std::size_t rows(const Batch& batch) {
  std::size_t total = 0;
  for (const Member& person : batch.members) total += meta_codec::rows(person);
  return total;
}

// The payload is part of it: a store begun anew counts its batches from one again, and must not meet an old
// session.
std::uint64_t session_id(const Batch& batch, std::string_view payload) {
  const std::string source = fmt::format("{}\n{}\n{}", batch.audience_id, batch.id, payload);
  const std::uint64_t even = hash64(source) % (kSessionIdEnd / 2) * 2;
  return batch.kind == BatchKind::add ? std::max<std::uint64_t>(even, 2) : even + 1;
}

bool is_session_of_additions(std::int64_t id) { return id > 0 && id % 2 == 0; }

Reply judge_success(const Batch& batch, const Value& answer) {
  const auto received = integer_member(&answer, "num_received");
  if (!received) return retry("the answer cannot be read: no num_received", "unreadable");
  const auto sent = static_cast<std::int64_t>(rows(batch));
  // Setting a set twice does no harm, so what the platform counted as invalid is found by halving.
  const std::int64_t invalid = integer_member(&answer, "num_invalid_entries").value_or(0);
  if (invalid >= sent && sent > 0)
    return rejected(batch, "the platform counts the record as invalid", "num_invalid_entries");
  // Of a person's several rows some are in the audience now: counted as accepted, so that a removal is sent.
  if (invalid > 0 && batch.members.size() == 1) return accepted(batch);
  if (invalid > 0) return split(batch, "the platform counts records as invalid", "num_invalid_entries");
  if (*received < sent && batch.members.size() > 1)
    return split(batch, "the platform received fewer records than were sent", "num_received");
  if (*received < sent) return retry("the platform received fewer records than were sent", "num_received");
  return accepted(batch);
}

// For exchanges without a batch: what a batch of nothing would have been told.
Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  const auto answer = json_object(response);
  const bool good = answer && response.status >= 200 && response.status < 300 &&
                    (member(&*answer, "error") == nullptr || !member(&*answer, "error")->present());
  if (good) return *answer;
  return failed(what, decode(Batch{}, response));
}

// The audience was deleted, or the token may not see it: Meta says the same of both.
bool is_gone(const HttpResponse& response) {
  const auto answer = json_object(response);
  if (!answer) return false;
  const Value* error = member(&*answer, "error");
  const auto code = integer_member(error, "code");
  return (code == 100 && integer_member(error, "error_subcode") == 33) || code == 1487366;
}

std::optional<double> match_rate(const Value& answer) {
  const Value* sessions = member(member(&answer, "sessions"), "data");
  if (sessions == nullptr) return std::nullopt;
  double received = 0;
  double matched = 0;
  for (const Value& session : sessions->list) {
    const auto id = integer_member(&session, "session_id");
    const auto session_received = integer_member(&session, "num_received");
    const auto session_matched = integer_member(&session, "num_matched");
    if (!id || !is_session_of_additions(*id) || !session_received || !session_matched) continue;
    if (*session_matched < 0 || *session_received < *session_matched) continue;
    received += static_cast<double>(*session_received);
    matched += static_cast<double>(*session_matched);
  }
  if (received <= 0) return std::nullopt;
  return matched / received;
}

}  // namespace

std::size_t rows(const Member& member) {
  std::size_t most = 1;
  for (const Column column : kColumns) most = std::max(most, count(member, column));
  return most;
}

const FieldRule* detail_named(std::span<const FieldRule> fields, std::string_view attribute) {
  const auto field = field_named(attribute);
  if (!field) return nullptr;
  constexpr std::array kOfIdentifiers{Field::external_id, Field::email, Field::phone, Field::idfa,
                                      Field::aaid};
  return std::ranges::find(kOfIdentifiers, *field) != kOfIdentifiers.end() ? nullptr
                                                                           : find_rule(fields, *field);
}

HttpRequest encode(const Batch& batch, const Context& context, std::span<const FieldRule> fields) {
  HttpRequest result = request(context, batch.kind == BatchKind::add ? "POST" : "DELETE",
                               percent_encoded(batch.audience_id) + "/users");
  const std::string payload = payload_json(batch, Details(batch, fields, context.config));
  set_json(result, fmt::format(R"({{"session":{{"session_id":{},"batch_seq":1,"last_batch_flag":true,)"
                               R"("estimated_num_total":{}}},"payload":{}}})",
                               session_id(batch, payload), rows(batch), payload));
  return result;
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  return meta_graph::judge(batch, response, "custom_audience",
                           [&](const Value& answer) { return judge_success(batch, answer); });
}

namespace {

std::string audiences_path(const Context& context) {
  std::string account = setting(context, kAdAccountId);
  if (account.starts_with("act_")) account.erase(0, 4);
  return fmt::format("act_{}/customaudiences", percent_encoded(account));
}

}  // namespace

HttpRequest encode_find(const Context& context, const std::string& page) {
  std::string query = "fields=id,name&limit=100";
  if (!page.empty()) query += "&after=" + percent_encoded(page);
  return request(context, "GET", audiences_path(context), query);
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the audience"));
  AudienceDestination::Found found;
  if (const Value* audiences = member(&answer, "data"); audiences != nullptr) {
    for (const Value& audience : audiences->list) {
      if (text_member(&audience, "name") != config.audience_name) continue;
      found.audience_id = text_member(&audience, "id");
      return found;
    }
  }
  const Value* paging = member(&answer, "paging");
  if (member(paging, "next") != nullptr) found.next_page = text_member(member(paging, "cursors"), "after");
  return found;
}

HttpRequest encode_create(const Context& context) {
  HttpRequest result = request(context, "POST", audiences_path(context));
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("name", Value::of(context.config.audience_name));
  body.members.emplace_back("subtype", Value::of("CUSTOM"));
  body.members.emplace_back("description", Value::of(context.config.audience_description));
  body.members.emplace_back("customer_file_source", Value::of(setting(context, kCustomerFileSource)));
  if (setting(context, kValueBased) == "true") body.members.emplace_back("is_value_based", Value::of(true));
  set_json(result, to_json(body));
  return result;
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the audience"));
  const std::string_view id = text_member(&answer, "id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the audience: the answer names no id");
  return std::string(id);
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  const std::string fields = fmt::format(
      "name,description,retention_days,operation_status,approximate_count_lower_bound,"
      "approximate_count_upper_bound,"
      "sessions.limit({}){{session_id,num_received,num_matched}}",
      kSessionsMeasured);
  return request(context, "GET", percent_encoded(audience_id), "fields=" + percent_encoded(fields));
}

HttpRequest encode_update(const std::string& audience_id, const Context& context) {
  HttpRequest result = request(context, "POST", percent_encoded(audience_id));
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("name", Value::of(context.config.audience_name));
  body.members.emplace_back("description", Value::of(context.config.audience_description));
  set_json(result, to_json(body));
  return result;
}

Result<void> decode_update(const HttpResponse& response) {
  TRY(read_object(response, "renaming the audience"));
  return {};
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  result.gone = is_gone(response);
  if (result.gone) return result;
  const Value answer = TRY(read_object(response, "measuring the audience"));
  result.name = text_member(&answer, "name");
  result.description = text_member(&answer, "description");
  result.retention_days = integer_member(&answer, "retention_days");
  const auto status = integer_member(member(&answer, "operation_status"), "code");
  if (status == kFlagged) result.flag = fmt::format("operation_status {}", *status);
  const auto lower = integer_member(&answer, "approximate_count_lower_bound");
  const auto upper = integer_member(&answer, "approximate_count_upper_bound");
  if (lower && *lower >= 0) result.size = *lower;
  if (lower && upper && *lower >= 0 && *upper >= *lower) result.detail = fmt::format("{}-{}", *lower, *upper);
  result.match_rate = match_rate(answer);
  return result;
}

}  // namespace tailrace::destinations::meta_codec
