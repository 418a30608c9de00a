#include "sandbox/meta/meta.h"

#include <algorithm>
#include <array>
#include <expected>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr Millis kReplaceWindow = kMinute * 90;
constexpr std::int64_t kMinimumAllowance = 5000;
constexpr std::int64_t kAllowancePerAudience = 40;
constexpr std::int64_t kAllowanceMax = 700'000;
constexpr std::size_t kSessionsMax = 10'000;  // per audience; the oldest finished ones are forgotten
constexpr std::int64_t kListedDefault = 25;
constexpr std::int64_t kListedMax = 100;
constexpr std::string_view kSandboxAccount = "0";  // of calls that concern no ad account
constexpr std::array<std::string_view, 3> kSources{"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY",
                                                   "BOTH_USER_AND_PARTNER_PROVIDED"};

MetaError parameter(const std::string& message) { return {.message = "(#100) " + message}; }

MetaError unknown_object(std::string_view id, std::string_view method) {
  return {.code = 100,
          .subcode = 33,
          .message = fmt::format(
              "Unsupported {} request. Object with ID '{}' does not exist, cannot be loaded due to missing "
              "permissions, or does not support this operation",
              method == "GET" ? "get" : (method == "DELETE" ? "delete" : "post"), printable(id)),
          .type = "GraphMethodException"};
}

MetaError throttled(const std::string& account) {
  return {
      .code = 80003,
      .message = fmt::format("(#80003) There have been too many calls to this ad account ({}). Wait a bit "
                             "and try again.",
                             account),
      .is_transient = true};
}

HttpResponse with_usage(HttpResponse response, const std::string& account, std::int64_t percent,
                        std::int64_t wait_minutes) {
  const Value bucket = object({{"type", Value::of("custom_audience")},
                               {"call_count", whole(percent)},
                               {"total_cputime", whole(percent)},
                               {"total_time", whole(percent)},
                               {"estimated_time_to_regain_access", whole(wait_minutes)}});
  response.headers.emplace_back("X-Business-Use-Case-Usage", to_json(object({{account, list_of({bucket})}})));
  return response;
}

MetaError unknown_field(std::string_view name, std::string_view node) {
  return parameter(
      fmt::format("Tried accessing nonexisting field ({}) on node type ({})", printable(name), node));
}

bool is_version(std::string_view segment) {
  if (!segment.starts_with('v')) return false;
  const std::size_t dot = segment.find('.');
  return dot != std::string_view::npos && is_digits(segment.substr(1, dot - 1)) &&
         is_digits(segment.substr(dot + 1));
}

std::vector<std::string> path_of(const Call& call) {
  std::vector<std::string> path = call.segments;
  if (!path.empty() && is_version(path.front())) path.erase(path.begin());
  return path;
}

bool is_events_call(const Call& call) {
  const std::vector<std::string> path = path_of(call);
  return call.request.method == "POST" && path.size() == 2 && is_digits(path[0]) && path[1] == "events";
}

// Numbers are exact to 18 digits and a session id may have 19: such a one is kept as the text of its digits.
// A quoted key followed by a colon cannot stand inside a JSON string, where quotes are escaped.
void keep_exact_session_id(Value& params, std::string_view text) {
  constexpr std::string_view kKey = "\"session_id\"";
  for (auto& [name, session] : params.members) {
    if (name != "session") continue;
    for (auto& [key, id] : session.members) {
      if (key != "session_id" || id.kind != Value::Kind::number || id.number.as_decimal()) continue;
      const std::size_t place = text.find(kKey);
      if (place == std::string_view::npos) continue;
      text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n:", place + kKey.size())));
      id = Value::of(std::string(text.substr(0, text.find_first_not_of("0123456789"))));
    }
  }
}

// Query, form and JSON body as one object; of equal names the body's counts. Form fields that hold JSON are
// read as JSON, as Graph does.
MetaResult<Value> read_params(const Call& call) {
  Value params = Value::with(Value::Kind::object);
  const auto add_text = [&](const Params& pairs) {
    for (const auto& [name, text] : pairs) {
      auto parsed = text.starts_with('{') || text.starts_with('[') ? parse_json(text) : invalid("");
      params.members.emplace_back(name, parsed ? std::move(*parsed) : Value::of(text));
      keep_exact_session_id(params, text);
    }
  };
  add_text(call.query);
  const std::string& body = call.request.body;
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return params;
  const std::string_view type = call.request.headers.get("Content-Type").value_or("");
  if (type.starts_with("multipart/")) {
    return std::unexpected(parameter("The sandbox reads JSON and application/x-www-form-urlencoded bodies"));
  }
  if (type.starts_with("application/json") || body[body.find_first_not_of(" \t\r\n")] == '{') {
    auto parsed = parse_json(body);
    if (!parsed || parsed->kind != Value::Kind::object) {
      return std::unexpected(parameter("The body is not a JSON object" +
                                       (parsed ? std::string() : ": " + printable(parsed.error().message))));
    }
    keep_exact_session_id(*parsed, body);
    for (auto& member : parsed->members) params.members.push_back(std::move(member));
    return params;
  }
  add_text(parse_form(body));
  return params;
}

std::string text_param(const Value& params, std::string_view name) {
  const Value* value = params.find(name);
  return is_string(value) ? value->string : std::string();
}

// One entry of a fields list: "name", or an edge expanded in place, "sessions.limit(5){session_id,stage}".
struct Field {
  std::string name;
  std::int64_t limit = kListedDefault;
  std::vector<std::string> inner;  // empty: all
};

// Splits at the commas outside of braces.
std::vector<std::string> split_fields(std::string_view fields) {
  std::vector<std::string> names;
  std::string name;
  int depth = 0;
  for (const char c : fields) {
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c == ',' && depth == 0) {
      if (!name.empty()) names.push_back(std::exchange(name, ""));
    } else {
      name += c;
    }
  }
  if (!name.empty()) names.push_back(std::move(name));
  return names;
}

// Missing when the text is not of the form above.
std::optional<Field> read_field(std::string_view text) {
  constexpr std::string_view kLimit = ".limit(";
  Field field;
  const std::size_t end = std::min(text.find_first_of(".{"), text.size());
  field.name = std::string(text.substr(0, end));
  text.remove_prefix(end);
  if (text.starts_with(kLimit)) {
    const std::size_t close = text.find(')');
    if (close == std::string_view::npos) return std::nullopt;
    const auto limit = whole_number(text.substr(kLimit.size(), close - kLimit.size()));
    if (!limit || *limit < 1) return std::nullopt;
    field.limit = std::min(*limit, kListedMax);
    text.remove_prefix(close + 1);
  }
  if (text.starts_with('{') && text.ends_with('}')) {
    field.inner = split_fields(text.substr(1, text.size() - 2));
    text = {};
  }
  if (!text.empty()) return std::nullopt;
  return field;
}

std::uint64_t digest_of(const Value& payload) { return hash64(to_json(payload)); }

Value status(std::int64_t code, const char* description) {
  return object({{"code", whole(code)}, {"description", Value::of(description)}});
}

Value seconds(Time time) { return whole(time.ms / 1000); }

}  // namespace

Meta::Meta(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), known_(options.known_share, options.seed) {}

// --- The envelope: authorisation, budget, errors
// -------------------------------------------------------------

HttpResponse Meta::handle(const Call& call) {
  const std::string account = account_of(call);
  const auto params = read_params(call);
  HttpResponse response;
  if (!is_authorised(call, params ? *params : Value::with(Value::Kind::object))) {
    response = refuse(Refusal::auth, 0, call);
  } else if (is_events_call(call)) {
    // No budget of calls is documented for it.
    const auto answered = params ? events_.receive(path_of(call)[0], *params, call.now)
                                 : MetaResult<Value>(std::unexpected(params.error()));
    return answered ? json_response(200, *answered) : error_response(answered.error());
  } else if (calls_[account].count(call.now) >= calls_per_hour(account)) {
    response = error_response(throttled(account));
  } else {
    calls_[account].add(call.now);
    const MetaResult<Value> answered = params ? answer(call, *params) : std::unexpected(params.error());
    response = answered ? json_response(200, *answered) : error_response(answered.error());
  }
  if (!response.headers.get("X-Business-Use-Case-Usage")) add_usage(response, account, call.now);
  return response;
}

bool Meta::is_authorised(const Call& call, const Value& params) const {
  std::string token = bearer_token(call.request.headers).value_or(text_param(params, "access_token"));
  // A body that cannot be read hides its access_token; the query is always readable.
  if (const std::string* query = find_param(call.query, "access_token"); token.empty() && query != nullptr) {
    token = *query;
  }
  return !token.empty() && (options_.token.empty() || token == options_.token);
}

std::string Meta::account_of(const Call& call) const {
  const std::vector<std::string> path = path_of(call);
  if (path.empty()) return std::string(kSandboxAccount);
  if (path[0].starts_with("act_") && is_digits(path[0].substr(4))) return path[0].substr(4);
  const auto id = whole_number(path[0]);
  const auto found = id ? audiences_.find(*id) : audiences_.end();
  return found == audiences_.end() ? std::string(kSandboxAccount) : found->second.account;
}

std::int64_t Meta::calls_per_hour(const std::string& account) const {
  if (limits_.meta_calls_per_hour > 0) return limits_.meta_calls_per_hour;
  const auto audiences = std::count_if(audiences_.begin(), audiences_.end(),
                                       [&](const auto& entry) { return entry.second.account == account; });
  return std::min(kAllowanceMax, kMinimumAllowance + kAllowancePerAudience * audiences);
}

void Meta::add_usage(HttpResponse& response, const std::string& account, Time now) {
  RollingHour& calls = calls_[account];
  const std::int64_t limit = calls_per_hour(account);
  const std::int64_t count = calls.count(now);
  const std::int64_t minutes =
      count < limit ? 0 : (calls.until_next(now).count + kMinute.count - 1) / kMinute.count;
  response =
      with_usage(std::move(response), account, std::min<std::int64_t>(100, count * 100 / limit), minutes);
}

HttpResponse Meta::error_response(const MetaError& error) {
  Value body = object(
      {{"message", Value::of(error.message)}, {"type", Value::of(error.type)}, {"code", whole(error.code)}});
  if (error.subcode != 0) body.members.emplace_back("error_subcode", whole(error.subcode));
  body.members.emplace_back("is_transient", Value::of(error.is_transient));
  body.members.emplace_back("fbtrace_id", Value::of(fmt::format("A{:016x}", hash64("trace", ++traces_))));
  HttpResponse response = json_response(error.status, object({{"error", std::move(body)}}));
  if (error.code == 190) {
    response.headers.emplace_back("WWW-Authenticate", "OAuth \"Facebook Platform\" \"invalid_token\"");
  }
  return response;
}

HttpResponse Meta::refuse(Refusal refusal, int status, const Call& call) {
  const std::string account = account_of(call);
  switch (refusal) {
    case Refusal::auth:
      return error_response(
          {.code = 190, .message = "Invalid OAuth access token - Cannot parse access token"});
    case Refusal::throttle:
      if (is_events_call(call))
        return error_response({.code = 80004,
                               .message = "(#80004) There have been too many calls to this ad-account.",
                               .is_transient = true});
      return with_usage(error_response(throttled(account)), account, 100, 1);
    case Refusal::fail:
      break;
  }
  if (status >= 500) {
    return error_response({.code = 2,
                           .message = "An unexpected error has occurred. Please retry your request later.",
                           .status = status,
                           .is_transient = true});
  }
  if (status == 403) {
    return error_response({.code = 200, .message = "(#200) Permissions error", .status = status});
  }
  // Of an event that is not right the subcode tells.
  return error_response({.code = 100,
                         .subcode = is_events_call(call) ? MetaEvents::kParameter : 0,
                         .message = "(#100) Invalid parameter",
                         .status = status});
}

// --- Routes
// --------------------------------------------------------------------------------------------------

MetaResult<Value> Meta::answer(const Call& call, const Value& params) {
  const std::vector<std::string> path = path_of(call);
  const std::string& method = call.request.method;
  if (path.size() == 1 && path[0] == "me" && method == "GET") {
    return object({{"id", Value::of("100000000000001")}, {"name", Value::of("Sandbox system user")}});
  }
  if (path.size() == 1 && path[0] == "debug_token" && method == "GET") {
    const std::string asked = text_param(params, "input_token");
    const bool is_ours = options_.token.empty() || asked == options_.token;
    return object({{"data", object({{"is_valid", Value::of(is_ours)},
                                    {"scopes", list_of({Value::of("ads_management"), Value::of("ads_read")})},
                                    {"expires_at", whole(0)}})}});
  }
  if (!path.empty() && path[0].starts_with("act_") && is_digits(path[0].substr(4))) {
    return answer_account(call, path[0].substr(4), params);
  }
  const auto id = path.empty() || !is_digits(path[0]) ? std::nullopt : whole_number(path[0]);
  // Every number is a dataset that takes events; it is asked for a field that audiences do not have.
  if (id && path.size() == 1 && method == "GET" && text_param(params, "fields").contains("is_unavailable")) {
    return object({{"id", Value::of(path[0])},
                   {"name", Value::of("Sandbox dataset")},
                   {"is_unavailable", Value::of(false)}});
  }
  if (!id || !audiences_.contains(*id)) {
    return std::unexpected(unknown_object(path.empty() ? "" : path[0], method));
  }
  return answer_audience(call, *id, params);
}

MetaResult<Value> Meta::answer_account(const Call& call, const std::string& account, const Value& params) {
  const std::vector<std::string> path = path_of(call);
  const std::string& method = call.request.method;
  if (path.size() == 1 && method == "GET") {
    return object(
        {{"id", Value::of("act_" + account)},
         {"account_id", Value::of(account)},
         {"account_status", whole(1)},
         {"user_tasks", list_of({Value::of("ADVERTISE"), Value::of("ANALYZE"), Value::of("MANAGE")})}});
  }
  if (path.size() == 2 && path[1] == "customaudiences") {
    if (method == "POST") return create(account, params, call.now);
    if (method == "GET") return list(call, account, params);
  }
  return std::unexpected(unknown_object(path[0], method));
}

MetaResult<Value> Meta::answer_audience(const Call& call, std::int64_t id, const Value& params) {
  const std::vector<std::string> path = path_of(call);
  const std::string& method = call.request.method;
  Audience& audience = audiences_.at(id);
  if (path.size() == 1) {
    if (method == "GET") return read_fields(id, text_param(params, "fields"), call.now);
    if (method == "POST") return update(audience, params, call.now);
    if (method == "DELETE") {
      audiences_.erase(id);
      return object({{"success", Value::of(true)}});
    }
  }
  if (path.size() == 2) {
    if (path[1] == "users" && method == "POST") return upload(id, Edge::add, params, call.now);
    if (path[1] == "users" && method == "DELETE") return upload(id, Edge::remove, params, call.now);
    if (path[1] == "usersreplace" && method == "POST") return upload(id, Edge::replace, params, call.now);
    if (path[1] == "sessions" && method == "GET") return list_sessions(audience, params);
  }
  return std::unexpected(unknown_object(path[0], method));
}

// --- Audiences
// -----------------------------------------------------------------------------------------------

MetaResult<Value> Meta::create(const std::string& account, const Value& params, Time now) {
  const std::string name = text_param(params, "name");
  if (name.empty()) return std::unexpected(parameter("The parameter name is required"));
  const std::string subtype = text_param(params, "subtype");
  if (subtype != "CUSTOM") {
    return std::unexpected(
        parameter("The parameter subtype is required, and the sandbox knows the value CUSTOM only"));
  }
  const std::string source = text_param(params, "customer_file_source");
  if (std::find(kSources.begin(), kSources.end(), source) == kSources.end()) {
    return std::unexpected(parameter(
        "The parameter customer_file_source is required: USER_PROVIDED_ONLY, PARTNER_PROVIDED_ONLY or "
        "BOTH_USER_AND_PARTNER_PROVIDED"));
  }
  std::int64_t retention_days = 0;
  if (const Value* days = params.find("retention_days"); days != nullptr) {
    const auto number = whole_number(*days);
    if (!number || *number < 1) return std::unexpected(parameter("retention_days must be a positive number"));
    retention_days = *number;
  }
  while (audiences_.contains(next_audience_)) ++next_audience_;
  const std::int64_t id = next_audience_++;
  audiences_.emplace(id, Audience{.name = name,
                                  .description = text_param(params, "description"),
                                  .customer_file_source = source,
                                  .account = account,
                                  .retention_days = retention_days,
                                  .created = now,
                                  .updated = now,
                                  .members = Members(known_),
                                  .sessions = {}});
  return object({{"id", Value::of(std::to_string(id))}});
}

MetaResult<Value> Meta::update(Audience& audience, const Value& params, Time now) {
  if (const Value* name = params.find("name"); name != nullptr) {
    if (!is_string(name) || name->string.empty()) return std::unexpected(parameter("name must be a text"));
    audience.name = name->string;
  }
  if (const Value* description = params.find("description"); is_string(description)) {
    audience.description = description->string;
  }
  audience.updated = now;
  return object({{"success", Value::of(true)}});
}

MetaResult<Value> Meta::list(const Call& call, const std::string& account, const Value& params) const {
  std::int64_t limit = kListedDefault;
  if (const Value* asked = params.find("limit"); asked != nullptr) {
    const auto number = whole_number(*asked);
    if (!number || *number < 1) return std::unexpected(parameter("limit must be a positive number"));
    limit = std::min(*number, kListedMax);
  }
  std::int64_t after = 0;
  if (const Value* cursor = params.find("after"); cursor != nullptr) {
    const auto number = whole_number(*cursor);
    if (!number) return std::unexpected(parameter("after is not a cursor of this list"));
    after = *number;
  }
  Value data = Value::with(Value::Kind::list);
  std::int64_t last = after;
  bool more = false;
  for (const auto& [id, audience] : audiences_) {
    if (audience.account != account || id <= after) continue;
    if (std::ssize(data.list) == limit) {
      more = true;
      break;
    }
    auto fields = read_fields(id, text_param(params, "fields"), call.now);
    if (!fields) return fields;
    data.list.push_back(std::move(*fields));
    last = id;
  }
  Value result = object({{"data", std::move(data)}});
  if (result.members[0].second.list.empty()) return result;
  Value paging = object({{"cursors", object({{"after", Value::of(std::to_string(last))}})}});
  const auto host = call.request.headers.get("Host");
  if (more && host) {
    paging.members.emplace_back(
        "next", Value::of(fmt::format("http://{}/meta/act_{}/customaudiences?limit={}&fields={}&after={}",
                                      printable(*host), account, limit,
                                      printable(text_param(params, "fields")), last)));
  }
  result.members.emplace_back("paging", std::move(paging));
  return result;
}

MetaResult<Value> Meta::read_fields(std::int64_t id, const std::string& fields, Time now) const {
  const Audience& audience = audiences_.at(id);
  const std::int64_t matched = audience.members.matched();
  const Value all = object(
      {{"id", Value::of(std::to_string(id))},
       {"name", Value::of(audience.name)},
       {"account_id", Value::of(audience.account)},
       {"description", Value::of(audience.description)},
       {"subtype", Value::of("CUSTOM")},
       {"customer_file_source", Value::of(audience.customer_file_source)},
       {"retention_days", whole(audience.retention_days)},
       {"time_created", seconds(audience.created)},
       {"time_updated", seconds(audience.updated)},
       {"operation_status", replacing(audience, now)
                                ? status(414, "A replacement of the users is in progress")
                                : status(200, "Normal")},
       {"delivery_status", matched >= 100 ? status(200, "This audience is ready for use.")
                                          : status(300, "This audience is too small to be used in ads.")},
       {"permission_for_actions",
        object({{"can_edit", Value::of(true)}, {"can_see_insight", Value::of(true)}})},
       {"approximate_count_lower_bound", whole(blurred_down(matched))},
       {"approximate_count_upper_bound", whole(blurred_up(matched))}});
  Value result = Value::with(Value::Kind::object);
  for (const std::string& text : split_fields(fields)) {
    const auto field = read_field(text);
    if (!field) return std::unexpected(parameter("Syntax error in fields: " + printable(text)));
    if (field->name == "sessions") {
      auto sessions = describe_sessions(audience, std::nullopt, field->limit, field->inner);
      if (!sessions) return sessions;
      result.members.emplace_back("sessions", std::move(*sessions));
      continue;
    }
    const Value* value = all.find(field->name);
    if (value == nullptr) return std::unexpected(unknown_field(field->name, "CustomAudience"));
    if (field->name != "id") result.members.emplace_back(field->name, *value);
  }
  result.members.emplace_back("id", *all.find("id"));
  return result;
}

// --- Uploads and their sessions
// ------------------------------------------------------------------------------

MetaResult<std::optional<Meta::Batch>> Meta::read_session(const Value& params, Edge edge) const {
  const Value* session = params.find("session");
  if (session == nullptr) {
    if (edge == Edge::replace) return std::unexpected(parameter("The parameter session is required"));
    return std::nullopt;
  }
  if (session->kind != Value::Kind::object)
    return std::unexpected(parameter("Param session must be an object"));
  const Value* given = session->find("session_id");
  const auto id = given == nullptr ? std::nullopt : whole_number(*given);
  if (!id || *id < 1) {
    return std::unexpected(parameter("Param session[session_id] must be a positive 64-bit number"));
  }
  Batch batch{.session = *id, .sequence = 1, .last = false};
  const Value* sequence = session->find("batch_seq");
  const auto number = sequence == nullptr ? std::nullopt : whole_number(*sequence);
  if (!number || *number < 1) {
    return std::unexpected(parameter("Param session[batch_seq] must be a number from 1 on"));
  }
  batch.sequence = *number;
  if (const Value* last = session->find("last_batch_flag"); last != nullptr) {
    if (last->kind != Value::Kind::boolean) {
      return std::unexpected(parameter("Param session[last_batch_flag] must be a boolean"));
    }
    batch.last = last->boolean;
  }
  if (const Value* total = session->find("estimated_num_total"); total != nullptr) {
    const auto estimate = whole_number(*total);
    if (!estimate || *estimate < 0) {
      return std::unexpected(parameter("Param session[estimated_num_total] must be a number, not negative"));
    }
  }
  return batch;
}

bool Meta::replacing(const Audience& audience, Time now) const {
  return std::any_of(audience.sessions.begin(), audience.sessions.end(), [&](const auto& entry) {
    const Session& session = entry.second;
    return session.edge == Edge::replace && !session.finished && now < session.started + kReplaceWindow;
  });
}

MetaResult<Meta::Session*> Meta::enter_session(std::int64_t id, Edge edge, const Batch& batch,
                                               std::uint64_t digest, Time now) {
  Audience& audience = audiences_.at(id);
  for (const auto& [other_id, other] : audiences_) {
    if (other_id != id && other.account == audience.account && other.sessions.contains(batch.session)) {
      return std::unexpected(parameter("This session_id belongs to another audience of the ad account"));
    }
  }
  const auto found = audience.sessions.find(batch.session);
  if (found == audience.sessions.end()) {
    if (batch.sequence != 1) return std::unexpected(parameter("The first batch_seq of a session must be 1"));
    if (edge == Edge::replace && replacing(audience, now)) {
      return std::unexpected(MetaError{.code = 2650,
                                       .message = "(#2650) Failed to update the custom audience: another "
                                                  "replacement of its users is in progress"});
    }
    Session session{
        .id = batch.session, .ordinal = ++sessions_, .edge = edge, .started = now, .ended = {}, .staged = {}};
    return &audience.sessions.emplace(batch.session, std::move(session)).first->second;
  }
  Session& session = found->second;
  if (session.edge != edge) return std::unexpected(parameter("This session_id belongs to another operation"));
  if (batch.sequence == session.last_batch && digest == session.last_digest) return &session;
  if (session.finished)
    return std::unexpected(parameter("This session has ended: its last batch was received"));
  if (edge == Edge::replace && now >= session.started + kReplaceWindow) {
    return std::unexpected(
        parameter("This session has expired: a replacement has 90 minutes. Start a new one"));
  }
  if (batch.sequence != session.last_batch + 1) {
    return std::unexpected(
        parameter(fmt::format("batch_seq must be {} now, not {}", session.last_batch + 1, batch.sequence)));
  }
  return &session;
}

MetaResult<Value> Meta::upload(std::int64_t id, Edge edge, const Value& params, Time now) {
  const Value* payload = params.find("payload");
  if (payload == nullptr) return std::unexpected(parameter("The parameter payload is required"));
  auto named = read_session(params, edge);
  if (!named) return std::unexpected(named.error());
  auto read = read_meta_payload(*payload, known_);
  if (!read) return std::unexpected(read.error());

  Batch batch{.session = next_session_, .sequence = 1, .last = true};
  if (*named) {
    batch = **named;
  } else {
    ++next_session_;  // uploads without a session get one of their own, as Meta's answers show
  }
  const std::uint64_t digest = digest_of(*payload);
  const auto session = enter_session(id, edge, batch, digest, now);
  if (!session) return std::unexpected(session.error());

  const Value result = object({{"audience_id", Value::of(std::to_string(id))},
                               {"session_id", Value::of(std::to_string(batch.session))},
                               {"num_received", whole(read->received)},
                               {"num_invalid_entries", whole(read->invalid)},
                               {"invalid_entry_samples", read->invalid_samples}});
  if ((*session)->last_batch == batch.sequence) return result;  // a resend of what was applied
  (*session)->last_batch = batch.sequence;
  (*session)->last_digest = digest;
  apply(audiences_.at(id), **session, std::move(*read), batch.last, now);
  return result;
}

void Meta::apply(Audience& audience, Session& session, MetaUpload upload, bool last, Time now) {
  session.received += upload.received;
  session.matched += upload.matched;
  session.invalid += upload.invalid;
  audience.updated = now;
  if (session.edge == Edge::add) {
    for (const auto& row : upload.rows) audience.members.add(row, now);
  } else if (session.edge == Edge::remove) {
    for (const auto& row : upload.rows) audience.members.remove(row);
  } else {
    std::move(upload.rows.begin(), upload.rows.end(), std::back_inserter(session.staged));
  }
  if (!last) return;
  session.finished = true;
  session.ended = now;
  if (session.edge == Edge::replace) {
    audience.members = Members(known_);
    for (const auto& row : session.staged) audience.members.add(row, now);
    session.staged.clear();
  }
  if (audience.sessions.size() <= kSessionsMax) return;
  const auto oldest =
      std::min_element(audience.sessions.begin(), audience.sessions.end(),
                       [](const auto& a, const auto& b) { return a.second.ordinal < b.second.ordinal; });
  if (oldest->second.finished && oldest->first != session.id) audience.sessions.erase(oldest);
}

MetaResult<Value> Meta::list_sessions(const Audience& audience, const Value& params) const {
  std::optional<std::int64_t> wanted;
  if (const Value* id = params.find("session_id"); id != nullptr) {
    wanted = whole_number(*id);
    if (!wanted) return std::unexpected(parameter("Param session_id must be a number"));
  }
  std::int64_t limit = kListedDefault;
  if (const Value* asked = params.find("limit"); asked != nullptr) {
    const auto number = whole_number(*asked);
    if (!number || *number < 1) return std::unexpected(parameter("limit must be a positive number"));
    limit = std::min(*number, kListedMax);
  }
  return describe_sessions(audience, wanted, limit, split_fields(text_param(params, "fields")));
}

MetaResult<Value> Meta::describe_sessions(const Audience& audience, std::optional<std::int64_t> wanted,
                                          std::int64_t limit, const std::vector<std::string>& fields) const {
  std::vector<const Session*> newest_first;
  for (const auto& [id, session] : audience.sessions) {
    if (!wanted || *wanted == id) newest_first.push_back(&session);
  }
  std::sort(newest_first.begin(), newest_first.end(),
            [](const Session* a, const Session* b) { return a->ordinal > b->ordinal; });
  if (std::ssize(newest_first) > limit) newest_first.resize(static_cast<std::size_t>(limit));
  Value data = Value::with(Value::Kind::list);
  for (const Session* session : newest_first) {
    Value all = object({{"session_id", Value::of(std::to_string(session->id))},
                        {"start_time", Value::of(std::to_string(session->started.ms / 1000))},
                        {"end_time", Value::of(std::to_string(session->ended.ms / 1000))},
                        {"num_received", Value::of(std::to_string(session->received))},
                        {"num_matched", Value::of(std::to_string(session->matched))},
                        {"num_invalid_entries", Value::of(std::to_string(session->invalid))},
                        {"progress", Value::of(session->finished ? "100" : "0")},
                        {"stage", Value::of(session->finished ? "completed" : "uploading")}});
    if (!fields.empty()) {
      Value chosen = Value::with(Value::Kind::object);
      for (const std::string& name : fields) {
        const Value* value = all.find(name);
        if (value == nullptr) return std::unexpected(unknown_field(name, "CustomAudienceSession"));
        chosen.members.emplace_back(name, *value);
      }
      all = std::move(chosen);
    }
    data.list.push_back(std::move(all));
  }
  return object({{"data", std::move(data)}});
}

// --- Controls
// ------------------------------------------------------------------------------------------------

std::vector<AudienceSummary> Meta::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, audience] : audiences_) {
    all.push_back({std::to_string(id), audience.name, audience.account, &audience.members});
  }
  return all;
}

Members* Meta::members(std::string_view audience) {
  const auto id = is_digits(audience) ? whole_number(audience) : std::nullopt;
  const auto found = id ? audiences_.find(*id) : audiences_.end();
  return found == audiences_.end() ? nullptr : &found->second.members;
}

bool Meta::plant(const std::string& id, const std::string& name, const std::string& account) {
  const auto number = is_digits(id) ? whole_number(id) : std::nullopt;
  if (!number || !is_digits(account)) return false;
  return audiences_
      .emplace(*number, Audience{.name = name,
                                 .description = "",
                                 .customer_file_source = "USER_PROVIDED_ONLY",
                                 .account = account,
                                 .created = {},
                                 .updated = {},
                                 .members = Members(known_),
                                 .sessions = {}})
      .second;
}

std::unique_ptr<Platform> make_meta(const Options& options, const Limits& limits) {
  return std::make_unique<Meta>(options, limits);
}

}  // namespace tailrace::sandbox
