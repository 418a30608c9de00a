#include "sandbox/x/x.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kOperationsMax = 2500;
constexpr std::size_t kBodyBytesMax = 5'000'000;
constexpr std::size_t kConversionsMax = 500;
constexpr Millis kClockTolerance = kMinute * 5;
constexpr Millis kConversionWindow = kHour * 48;
constexpr std::size_t kListedDefault = 200;
constexpr std::size_t kListedMax = 1000;

struct UserKey {
  std::string_view name;
  std::string_view kind;  // in Tailrace's words
  bool hashed;
};
constexpr std::array<UserKey, 6> kUserKeys{{{"email", "email", true},
                                            {"phone_number", "phone", true},
                                            {"device_id", "mobile_id", true},
                                            {"handle", "handle", true},
                                            {"twitter_id", "x_id", true},
                                            {"partner_user_id", "external_id", false}}};

XError parameter_error(const std::string& message, const std::string& parameter = "") {
  return {.message = message, .parameter = parameter};
}

XError not_found(const std::string& code, const std::string& what) {
  return {.status = 404, .code = code, .message = what + " was not found"};
}

bool is_id(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

// --- The signature, read by RFC 5849 apart from the code that writes it

std::string strict_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

// "OAuth a="1", b="2"" as names and decoded values; missing when it is anything else.
std::optional<Params> read_oauth_header(std::string_view header) {
  constexpr std::string_view kScheme = "OAuth ";
  if (!header.starts_with(kScheme)) return std::nullopt;
  header.remove_prefix(kScheme.size());
  Params fields;
  while (!header.empty()) {
    const std::size_t begin = header.find_first_not_of(" ,");
    if (begin == std::string_view::npos) break;
    header.remove_prefix(begin);
    const std::size_t equals = header.find("=\"");
    const std::size_t end = equals == std::string_view::npos ? equals : header.find('"', equals + 2);
    if (end == std::string_view::npos) return std::nullopt;
    // A value's escapes are those of a form, and it has no plus signs.
    const Params one = parse_form(std::string(header.substr(0, equals)) + "=" +
                                  std::string(header.substr(equals + 2, end - equals - 2)));
    if (one.size() != 1) return std::nullopt;
    fields.push_back(one.front());
    header.remove_prefix(end + 1);
  }
  return fields;
}

std::string expected_signature(const Call& call, const Params& oauth, std::string_view scheme) {
  std::vector<std::string> pairs;
  for (const Params& params : {oauth, call.query}) {
    for (const auto& [name, value] : params) {
      if (name == "oauth_signature" || name == "realm") continue;
      pairs.push_back(strict_encoded(name) + "=" + strict_encoded(value));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  std::string_view target = call.request.url;
  target = target.substr(0, target.find('?'));
  std::string uri(target);
  if (!target.starts_with("http")) {
    const std::string_view host = call.request.headers.get("Host").value_or("");
    uri = fmt::format("{}://{}{}", scheme, host, target);
  }
  const std::string base = fmt::format("{}&{}&{}", call.request.method, strict_encoded(uri),
                                       strict_encoded(fmt::format("{}", fmt::join(pairs, "&"))));
  const Sha1 digest = hmac_sha1(fmt::format("{}&{}", kXConsumerSecret, kXTokenSecret), base);
  return to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

XError unauthorised(const std::string& why) {
  return {.status = 401, .code = "UNAUTHORIZED_ACCESS", .message = why};
}

// --- Bodies

struct Operation {
  bool add = true;
  std::vector<std::vector<MemberId>> users;
};

std::expected<std::vector<MemberId>, std::string> read_user(const Value& user) {
  if (user.kind != Value::Kind::object || user.members.empty())
    return std::unexpected("a user must be an object with at least one key");
  std::vector<MemberId> ids;
  for (const auto& [name, values] : user.members) {
    const auto key =
        std::find_if(kUserKeys.begin(), kUserKeys.end(), [&](const UserKey& k) { return k.name == name; });
    if (key == kUserKeys.end()) return std::unexpected(printable(name) + " is not a key of a user");
    if (values.kind != Value::Kind::list) return std::unexpected(name + " must be an array");
    for (const Value& value : values.list) {
      const bool good =
          is_string(&value) && !value.string.empty() && (!key->hashed || is_lower_hex_digest(value.string));
      if (!good) return std::unexpected(name + " must hold SHA-256 digests in lower case");
      ids.push_back({std::string(key->kind), value.string});
    }
  }
  if (ids.empty()) return std::unexpected("a user must have at least one identifier");
  return ids;
}

// The instant of a parameter; `otherwise` where it is left out. Missing: it is no time.
std::optional<Time> read_instant(const Value& params, std::string_view name, Time otherwise) {
  const Value* value = params.find(name);
  if (value == nullptr) return otherwise;
  const auto time = is_string(value) ? parse_time(value->string) : invalid("");
  return time ? std::optional(*time) : std::nullopt;
}

std::expected<Operation, std::string> read_operation(const Value& entry, Time now) {
  const Value* type = entry.find("operation_type");
  const Value* params = entry.find("params");
  if (!is_string(type) || (type->string != "Update" && type->string != "Delete"))
    return std::unexpected("operation_type must be Update or Delete");
  if (params == nullptr || params->kind != Value::Kind::object) return std::unexpected("params is required");
  const auto effective = read_instant(*params, "effective_at", now);
  if (!effective) return std::unexpected("effective_at must be a time in ISO 8601");
  const auto expires = read_instant(*params, "expires_at", *effective + kDay * 390);
  if (!expires || *expires <= *effective)
    return std::unexpected("expires_at must be later than effective_at");
  const Value* users = params->find("users");
  if (users == nullptr || users->kind != Value::Kind::list || users->list.empty())
    return std::unexpected("users is required");
  Operation operation{.add = type->string == "Update", .users = {}};
  for (const Value& user : users->list) {
    auto ids = read_user(user);
    if (!ids) return std::unexpected(ids.error());
    operation.users.push_back(std::move(*ids));
  }
  return operation;
}

bool is_decimal_text(const Value* value) {
  return is_string(value) && Number::parse(value->string).has_value();
}

// What is wrong with a conversion's identifiers; "" when nothing is.
std::string identifiers_problem(const Value* identifiers) {
  if (identifiers == nullptr || identifiers->kind != Value::Kind::list || identifiers->list.empty())
    return "identifiers is required";
  bool matchable = false;
  for (const Value& identifier : identifiers->list) {
    if (identifier.kind != Value::Kind::object || identifier.members.empty())
      return "an identifier must be an object";
    for (const auto& [name, value] : identifier.members) {
      if (!is_string(&value) || value.string.empty()) return name + " must be a text";
      const bool hashed = name == "hashed_email" || name == "hashed_phone_number";
      if (hashed && !is_lower_hex_digest(value.string))
        return name + " must be a SHA-256 digest in lower case";
      if (!hashed && name != "twclid" && name != "ip_address" && name != "user_agent")
        return printable(name) + " is not an identifier";
      matchable = matchable || hashed || name == "twclid";
    }
  }
  return matchable ? "" : "ip_address and user_agent need another identifier beside them";
}

// "o87ne", or "tw-<pixel>-o87ne".
std::optional<std::string> event_of(const std::string& id, const std::string& pixel) {
  const std::string prefix = "tw-" + pixel + "-";
  const std::string event = id.starts_with(prefix) ? id.substr(prefix.size()) : id;
  return is_id(event) ? std::optional(event) : std::nullopt;
}

XResult<std::string> read_conversion(const Value& conversion, const std::string& pixel) {
  if (conversion.kind != Value::Kind::object)
    return std::unexpected(parameter_error("a conversion must be an object"));
  const Value* time = conversion.find("conversion_time");
  if (!is_string(time) || !parse_time(time->string))
    return std::unexpected(parameter_error("conversion_time must be ISO 8601", "conversion_time"));
  const Value* event = conversion.find("event_id");
  if (!is_string(event)) return std::unexpected(parameter_error("event_id is required", "event_id"));
  const auto event_id = event_of(event->string, pixel);
  if (!event_id) return std::unexpected(not_found("WEB_EVENT_TAG_NOT_FOUND", "the event"));
  if (const std::string problem = identifiers_problem(conversion.find("identifiers")); !problem.empty())
    return std::unexpected(parameter_error(problem, "identifiers"));
  if (const Value* value = conversion.find("value"); value != nullptr && !is_decimal_text(value))
    return std::unexpected(parameter_error("value must be a number as a text", "value"));
  if (const Value* items = conversion.find("number_items"); items != nullptr) {
    const auto count = whole_number(*items);
    if (!count || *count < 1)
      return std::unexpected(parameter_error("number_items must be above 0", "number_items"));
  }
  const Value* id = conversion.find("conversion_id");
  if (id != nullptr && !is_string(id))
    return std::unexpected(parameter_error("conversion_id must be a text", "conversion_id"));
  return id == nullptr || id->string.empty() ? "" : pixel + "/" + *event_id + "/" + id->string;
}

}  // namespace

X::X(const Options& options, const tailrace::sandbox::Limits& limits)
    : options_(options),
      limits_(limits),
      known_(options.known_share, options.seed),
      events_(kConversionWindow) {}

std::vector<Platform::Limit> X::limits() const {
  return {{"x_requests_per_minute", 1500},
          {"x_conversions_per_15_minutes", 60'000},
          {"x_people_min", 100},
          {"x_processing_ms", 0}};
}

std::optional<HttpResponse> X::control(const Call& call) {
  if (call.request.method != "GET" || call.segments != std::vector<std::string>{"events"})
    return std::nullopt;
  return json_response(200, events_.describe());
}

// --- The envelope

std::optional<XError> X::authorise(const Call& call) const {
  const auto header = call.request.headers.get("Authorization");
  const auto oauth = header ? read_oauth_header(*header) : std::nullopt;
  if (!oauth) return unauthorised("The request is not signed by OAuth 1.0a");
  const auto field = [&](std::string_view name) {
    const std::string* value = find_param(*oauth, name);
    return value == nullptr ? std::string() : *value;
  };
  for (const std::string_view name :
       {"oauth_consumer_key", "oauth_token", "oauth_nonce", "oauth_timestamp", "oauth_signature"}) {
    if (field(name).empty()) return unauthorised(fmt::format("{} is missing", name));
  }
  if (field("oauth_signature_method") != "HMAC-SHA1") return unauthorised("the method must be HMAC-SHA1");
  const auto seconds = whole_number(field("oauth_timestamp"));
  if (!seconds || *seconds < 0 || *seconds > kTimeMax.ms / 1000)
    return unauthorised("oauth_timestamp is no time");
  const Time signed_at{*seconds * 1000};
  if (signed_at + kClockTolerance < call.now || call.now + kClockTolerance < signed_at)
    return unauthorised("oauth_timestamp is more than 5 minutes from now");
  if (options_.token.empty()) return std::nullopt;
  const std::string given = field("oauth_signature");
  const bool good =
      field("oauth_token") == options_.token && (given == expected_signature(call, *oauth, "http") ||
                                                 given == expected_signature(call, *oauth, "https"));
  if (!good) return unauthorised("Could not authenticate the request");
  return std::nullopt;
}

HttpResponse X::error_response(const XError& error) const {
  Value one = object({{"code", Value::of(error.code)}, {"message", Value::of(printable(error.message))}});
  if (!error.parameter.empty()) one.members.emplace_back("parameter", Value::of(error.parameter));
  Value body = object({});
  if (error.operations.empty()) {
    body.members.emplace_back("errors", list_of({std::move(one)}));
  } else {
    Value all = Value::with(Value::Kind::list);
    for (const std::string& message : error.operations) {
      all.list.push_back(message.empty() ? list_of({})
                                         : list_of({object({{"code", Value::of(error.code)},
                                                            {"message", Value::of(printable(message))}})}));
    }
    body.members.emplace_back("operation_errors", std::move(all));
  }
  body.members.emplace_back("request", object({{"params", object({})}}));
  return json_response(error.status, body);
}

HttpResponse X::handle(const Call& call) {
  const std::int64_t allowed = limits_.of("x_requests_per_minute");
  const auto with_limit = [&](HttpResponse response) {
    const std::int64_t minute_end = (call.now.ms / kMinute.count + 1) * kMinute.count;
    response.headers.emplace_back("x-rate-limit-limit", fmt::format("{}", allowed));
    response.headers.emplace_back("x-rate-limit-reset", fmt::format("{}", minute_end / 1000));
    return response;
  };
  if (const auto error = authorise(call)) return error_response(*error);
  std::vector<std::string> path = call.segments;
  if (!path.empty() && is_digits(path.front())) path.erase(path.begin());
  if (!calls_.admit(call.now, allowed)) return with_limit(refuse(Refusal::throttle, 429, call));
  const auto answered = answer(call, path);
  return with_limit(answered ? json_response(200, *answered) : error_response(answered.error()));
}

HttpResponse X::refuse(Refusal refusal, int status, const Call& call) {
  switch (refusal) {
    case Refusal::auth:
      return error_response(unauthorised("Could not authenticate the request"));
    case Refusal::throttle: {
      HttpResponse response =
          error_response({.status = 429, .code = "TOO_MANY_REQUESTS", .message = "Too many requests"});
      response.headers.emplace_back("x-account-rate-limit-reset",
                                    fmt::format("{}", (call.now + kSecond * 30).ms / 1000));
      return response;
    }
    case Refusal::fail:
      break;
  }
  return error_response({.status = status,
                         .code = status == 503 ? "SERVICE_UNAVAILABLE"
                                               : (status >= 500 ? "INTERNAL_ERROR" : "INVALID_PARAMETER"),
                         .message = "Failed, as a fault of the sandbox asked for"});
}

// --- Routes

XResult<Value> X::answer(const Call& call, const std::vector<std::string>& path) {
  const std::string& method = call.request.method;
  if (path.size() == 3 && path[0] == "measurement" && path[1] == "conversions" && method == "POST")
    return convert(call, path[2]);
  if (path.size() < 2 || path[0] != "accounts" || !is_id(path[1]))
    return std::unexpected(not_found("ROUTE_NOT_FOUND", "the resource"));
  const std::string& account = path[1];
  if (path.size() == 3 && path[2] == "authenticated_user_access" && method == "GET") {
    return object({{"data", object({{"user_id", Value::of("1")},
                                    {"permissions", list_of({Value::of("ACCOUNT_ADMIN")})}})}});
  }
  if (path.size() == 2 && method == "GET") {
    return object({{"data", object({{"id", Value::of(account)}, {"name", Value::of("Sandbox account")}})}});
  }
  if (path.size() < 3 || path[2] != "custom_audiences")
    return std::unexpected(not_found("ROUTE_NOT_FOUND", "the resource"));
  if (path.size() == 3) return answer_audiences(call, account);
  if (path.size() == 4) return answer_audience(call, account, path[3]);
  const auto found = audiences_.find(path[3]);
  if (found == audiences_.end() || found->second.account != account)
    return std::unexpected(not_found("TAILORED_AUDIENCE_NOT_FOUND", "the audience"));
  if (path.size() == 5 && path[4] == "users" && method == "POST") return upload(call, found->second);
  return std::unexpected(not_found("ROUTE_NOT_FOUND", "the resource"));
}

XResult<Value> X::answer_audiences(const Call& call, const std::string& account) {
  if (call.request.method == "POST") return create(call, account);
  if (call.request.method != "GET") return std::unexpected(not_found("ROUTE_NOT_FOUND", "the resource"));
  const auto text = [&](std::string_view name) {
    const std::string* value = find_param(call.query, name);
    return value == nullptr ? std::string() : *value;
  };
  const auto asked = whole_number(text("count"));
  const std::size_t count =
      asked && *asked > 0 ? std::min(static_cast<std::size_t>(*asked), kListedMax) : kListedDefault;
  const std::string prefix = text("q");
  const std::string cursor = text("cursor");
  Value listed = list_of({});
  Value next = Value::of_null();
  for (const auto& [id, audience] : audiences_) {
    if (audience.account != account || id < cursor) continue;
    if (!equal_ignoring_case(audience.name.substr(0, prefix.size()), prefix)) continue;
    if (listed.list.size() == count) {
      next = Value::of(id);
      break;
    }
    listed.list.push_back(describe(id, audience, call.now));
  }
  return object({{"next_cursor", std::move(next)}, {"data", std::move(listed)}});
}

XResult<Value> X::answer_audience(const Call& call, const std::string& account, const std::string& id) {
  const auto found = audiences_.find(id);
  if (found == audiences_.end() || found->second.account != account)
    return std::unexpected(not_found("TAILORED_AUDIENCE_NOT_FOUND", "the audience"));
  Audience& audience = found->second;
  const std::string& method = call.request.method;
  if (method == "PUT") {
    const std::string* name = find_param(call.query, "name");
    if (name != nullptr && (name->empty() || has_name(account, *name, id)))
      return std::unexpected(parameter_error("name must be unique and not empty", "name"));
    if (name != nullptr) audience.name = *name;
    if (const std::string* text = find_param(call.query, "description")) audience.description = *text;
  } else if (method == "DELETE") {
    Value gone = describe(id, audience, call.now);
    gone.members.emplace_back("deleted", Value::of(true));
    audiences_.erase(found);
    return object({{"data", std::move(gone)}});
  } else if (method != "GET") {
    return std::unexpected(not_found("ROUTE_NOT_FOUND", "the resource"));
  }
  return object({{"data", describe(id, audience, call.now)}});
}

bool X::has_name(const std::string& account, const std::string& name, const std::string& but) const {
  return std::any_of(audiences_.begin(), audiences_.end(), [&](const auto& entry) {
    return entry.first != but && entry.second.account == account && entry.second.name == name;
  });
}

XResult<Value> X::create(const Call& call, const std::string& account) {
  const std::string* name = find_param(call.query, "name");
  if (name == nullptr || name->empty())
    return std::unexpected(
        XError{.code = "MISSING_PARAMETER", .message = "name is required", .parameter = "name"});
  if (has_name(account, *name, "")) return std::unexpected(parameter_error("name must be unique", "name"));
  const std::string* description = find_param(call.query, "description");
  const std::string id = fmt::format("x{:04}", ++created_);
  plant(id, *name, account);
  Audience& audience = audiences_.at(id);
  audience.description = description == nullptr ? "" : *description;
  audience.created = call.now;
  return object({{"data", describe(id, audience, call.now)}});
}

Value X::describe(const std::string& id, const Audience& audience, Time now) const {
  const bool processing =
      !audience.uploaded || now < audience.changed + Millis{limits_.of("x_processing_ms")};
  const std::int64_t matched = audience.members.matched();
  const bool small = matched < limits_.of("x_people_min");
  Value reasons = list_of({});
  if (processing) reasons.list.push_back(Value::of("PROCESSING"));
  if (processing || small) reasons.list.push_back(Value::of("TOO_SMALL"));
  return object(
      {{"targetable", Value::of(!processing && !small)},
       {"name", Value::of(audience.name)},
       {"audience_type", Value::of("CRM")},
       {"description", audience.description.empty() ? Value::of_null() : Value::of(audience.description)},
       {"permission_level", Value::of("READ_WRITE")},
       {"owner_account_id", Value::of(audience.account)},
       {"id", Value::of(id)},
       {"reasons_not_targetable", std::move(reasons)},
       {"created_at", Value::of(format_time(audience.created))},
       {"deleted", Value::of(false)},
       {"audience_size", processing ? Value::of_null() : whole(matched)}});
}

XResult<Value> X::upload(const Call& call, Audience& audience) {
  const std::string& body = call.request.body;
  if (body.size() > kBodyBytesMax)
    return std::unexpected(XError{.status = 413, .message = "The body is longer than 5000000 bytes"});
  const auto type = call.request.headers.get("Content-Type");
  if (!type || !type->starts_with("application/json"))
    return std::unexpected(parameter_error("Content-Type must be application/json"));
  const auto operations = parse_json(body);
  if (!operations || operations->kind != Value::Kind::list || operations->list.empty())
    return std::unexpected(parameter_error("The body must be a JSON array of operations"));
  if (operations->list.size() > kOperationsMax)
    return std::unexpected(parameter_error("There may be 2500 operations at most"));
  std::vector<Operation> read;
  XError wrong{.message = "", .operations = std::vector<std::string>(operations->list.size())};
  for (std::size_t i = 0; i < operations->list.size(); ++i) {
    auto operation = read_operation(operations->list[i], call.now);
    if (operation) {
      read.push_back(std::move(*operation));
    } else {
      wrong.operations[i] = operation.error();
    }
  }
  if (read.size() != operations->list.size()) return std::unexpected(std::move(wrong));
  std::int64_t users = 0;
  std::vector<MemberId> leaving;
  const auto remove_leaving = [&] {
    audience.members.remove_people(leaving);
    leaving.clear();
  };
  for (const Operation& operation : read) {
    users += static_cast<std::int64_t>(operation.users.size());
    if (operation.add) remove_leaving();  // the order of operations counts
    for (const auto& ids : operation.users) {
      if (operation.add) {
        audience.members.add(ids, call.now);
      } else {
        leaving.insert(leaving.end(), ids.begin(), ids.end());
      }
    }
  }
  remove_leaving();
  audience.uploaded = true;
  audience.changed = call.now;
  return object({{"data", object({{"success_count", whole(users)}, {"total_count", whole(users)}})}});
}

XResult<Value> X::convert(const Call& call, const std::string& pixel) {
  if (!is_id(pixel)) return std::unexpected(not_found("WEB_EVENT_TAG_NOT_FOUND", "the pixel"));
  const auto body = parse_json(call.request.body);
  const Value* conversions = body ? body->find("conversions") : nullptr;
  if (conversions == nullptr || conversions->kind != Value::Kind::list || conversions->list.empty())
    return std::unexpected(XError{
        .code = "MISSING_PARAMETER", .message = "conversions is required", .parameter = "conversions"});
  if (conversions->list.size() > kConversionsMax)
    return std::unexpected(parameter_error("There may be 500 conversions at most", "conversions"));
  std::vector<std::string> keys;
  for (const Value& conversion : conversions->list) {
    auto key = read_conversion(conversion, pixel);
    if (!key) return std::unexpected(std::move(key.error()));
    keys.push_back(std::move(*key));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!conversions_.admit(call.now, limits_.of("x_conversions_per_15_minutes")))
      return std::unexpected(
          XError{.status = 429, .code = "TOO_MANY_REQUESTS", .message = "Too many conversions"});
    events_.add(keys[i], conversions->list[i], call.now);
  }
  return object({{"data", object({{"conversions_processed", whole(static_cast<std::int64_t>(keys.size()))},
                                  {"debug_id", Value::of("sandbox")}})}});
}

// --- What the controls ask

std::vector<AudienceSummary> X::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, audience] : audiences_)
    all.push_back({id, audience.name, audience.account, &audience.members});
  return all;
}

Members* X::members(std::string_view audience) {
  const auto found = audiences_.find(std::string(audience));
  return found == audiences_.end() ? nullptr : &found->second.members;
}

bool X::plant(const std::string& id, const std::string& name, const std::string& account) {
  if (!is_id(id) || !is_id(account)) return false;
  return audiences_
      .emplace(id, Audience{.name = name,
                            .description = "",
                            .account = account,
                            .created = {},
                            .changed = {},
                            .members = Members(known_)})
      .second;
}

std::unique_ptr<Platform> make_x(const Options& options, const Limits& limits) {
  return std::make_unique<X>(options, limits);
}

}  // namespace tailrace::sandbox
