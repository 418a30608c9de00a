#include "sandbox/sandbox.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "model/json.h"
#include "sandbox/faults.h"
#include "sandbox/platform.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

#define TAILRACE_PLATFORM(name) \
  std::unique_ptr<Platform> make_##name(const Options& options, const Limits& limits);
#include "sandbox_registry.inc"
#undef TAILRACE_PLATFORM

namespace {

using Platforms = std::map<std::string, std::unique_ptr<Platform>, std::less<>>;

Platforms make_platforms(const Options& options, const Limits& limits) {
  Platforms all;
#define TAILRACE_PLATFORM(name) all.emplace(#name, make_##name(options, limits));
#include "sandbox_registry.inc"
#undef TAILRACE_PLATFORM
  return all;
}

constexpr std::size_t kRequestsKept = 1000;
constexpr std::int64_t kRequestsShown = 100;
constexpr std::int64_t kLimitMax = 1'000'000'000;
constexpr std::array<std::string_view, 9> kSecretParams{"access_token",  "appsecret_proof", "client_secret",
                                                        "refresh_token", "assertion",       "token",
                                                        "key",           "secret",          "api_secret"};
constexpr std::string_view kHelp =
    "GET /sandbox/audiences, GET /sandbox/audiences/{platform}/{id}/members, POST /sandbox/audiences, "
    "GET|POST|DELETE /sandbox/faults, GET|POST /sandbox/limits, GET /sandbox/requests, POST "
    "/sandbox/webhook, "
    "POST /sandbox/reset";

HttpResponse control_error(int status, const std::string& message) {
  return json_response(status,
                       object({{"error", Value::of(message)}, {"controls", Value::of(std::string(kHelp))}}));
}

// The target as it may be shown: secrets in the query are replaced.
std::string masked_target(std::string_view url) {
  std::string masked(url.substr(0, url.find('?')));
  if (url.find('?') == std::string_view::npos) return printable(masked);
  char separator = '?';
  for (const auto& [name, value] : parse_form(url.substr(url.find('?') + 1))) {
    const bool secret = std::find(kSecretParams.begin(), kSecretParams.end(), name) != kSecretParams.end();
    // Members may be sent in the query too, and are nobody's business.
    const bool personal = name == "payload";
    masked += fmt::format("{}{}={}", separator, name, secret || personal ? "***" : value);
    separator = '&';
  }
  return printable(masked);
}

struct LoggedRequest {
  Time time;
  std::string platform;
  std::string method;
  std::string target;
  int status = 0;
  std::size_t request_bytes = 0;
  std::string fault;
  bool hung_up = false;
};

Value describe_audience(std::string_view platform, const AudienceSummary& audience) {
  return object({{"platform", Value::of(std::string(platform))},
                 {"id", Value::of(audience.id)},
                 {"name", Value::of(audience.name)},
                 {"account", Value::of(audience.account)},
                 {"size", whole(audience.members->people())},
                 {"matched", whole(audience.members->matched())},
                 {"identifiers", whole(audience.members->identifiers())}});
}

std::string text_of(const Value& body, std::string_view name, const std::string& otherwise = "") {
  const Value* value = body.find(name);
  return is_string(value) ? value->string : otherwise;
}

}  // namespace

struct Sandbox::State {
  explicit State(Options given) : options(std::move(given)) { reset(); }

  void reset() {
    limits = {};
    platforms = make_platforms(options, limits);
    for (const auto& [name, platform] : platforms) {
      for (const auto& [limit, value] : platform->limits()) limits.named.emplace(limit, value);
    }
    faults.clear();
    requests.clear();
    counts.clear();
  }

  Platform* platform(std::string_view name) {
    const auto found = platforms.find(name);
    return found == platforms.end() ? nullptr : found->second.get();
  }

  Answer serve(const std::string& name, const Call& call);
  Answer serve_faulted(Platform& platform, const Fault& fault, const Call& call);
  void log(const std::string& name, const Call& call, const Answer& answer, const std::string& fault);

  HttpResponse control(const Call& call);
  HttpResponse list_audiences();
  HttpResponse list_members(const Call& call);
  HttpResponse plant_audience(const Value& body);
  HttpResponse add_fault(const Value& body, Time now);
  HttpResponse drift(const Fault& fault, Time now);
  HttpResponse list_faults() const;
  HttpResponse set_limits(const Value& body);
  HttpResponse show_limits() const;
  std::string platform_names() const;
  HttpResponse list_requests(const Call& call) const;

  std::mutex mutex;
  const Options options;
  Limits limits;
  Platforms platforms;
  Faults faults;
  std::deque<LoggedRequest> requests;                         // oldest first
  std::map<std::string, std::map<int, std::int64_t>> counts;  // per platform and status, since the reset
};

Sandbox::Sandbox(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Sandbox::~Sandbox() = default;

Answer Sandbox::handle(const HttpRequest& request, Time now) {
  Target target = parse_target(request.url);
  std::string name = target.segments.empty() ? "" : target.segments.front();
  const bool bare_token = name == "token" && target.segments.size() == 1;
  if (bare_token) {
    name = "google";  // clients that know a token host rather than a path ask for /token
  } else if (!target.segments.empty()) {
    target.segments.erase(target.segments.begin());
  }
  const Call call{request, std::move(target.segments), std::move(target.query), now};
  const std::lock_guard lock(state_->mutex);
  if (name == "sandbox") return {.response = state_->control(call), .delay = {}};
  return state_->serve(name, call);
}

// --- Platforms
// -----------------------------------------------------------------------------------------------

Answer Sandbox::State::serve(const std::string& name, const Call& call) {
  Platform* const asked = platform(name);
  Answer answer;
  std::string fault_name;
  if (asked == nullptr) {
    answer.response = json_response(
        404, object({{"error", Value::of("The sandbox serves nothing here.")},
                     {"help",
                      Value::of("Each platform is under its name: " + platform_names() +
                                ". Google's token endpoint is at /google/token and /token, the controls are "
                                "under /sandbox.")}}));
  } else if (const auto fault = faults.meet(name, call.request.url, asked->is_token_call(call))) {
    answer = serve_faulted(*asked, *fault, call);
    fault_name = describe(*fault).find("kind")->string;
  } else {
    answer.response = asked->handle(call);
  }
  log(asked == nullptr ? "unknown" : name, call, answer, fault_name);
  return answer;
}

Answer Sandbox::State::serve_faulted(Platform& asked, const Fault& fault, const Call& call) {
  Answer answer;
  answer.delay = fault.delay;
  switch (fault.kind) {
    case Fault::Kind::fail:
      answer.response = asked.refuse(Refusal::fail, fault.status, call);
      break;
    case Fault::Kind::throttle:
      answer.response = asked.refuse(Refusal::throttle, 0, call);
      break;
    case Fault::Kind::auth:
      answer.response = asked.refuse(Refusal::auth, 0, call);
      break;
    case Fault::Kind::hang_up_before:
      answer.hang_up = true;
      break;
    case Fault::Kind::hang_up_after:
      answer.response = asked.handle(call);
      answer.hang_up = true;
      break;
    case Fault::Kind::stall:
    case Fault::Kind::drift:
      answer.response = asked.handle(call);
      break;
  }
  return answer;
}

void Sandbox::State::log(const std::string& name, const Call& call, const Answer& answer,
                         const std::string& fault) {
  ++counts[name][answer.response.status];
  requests.push_back({.time = call.now,
                      .platform = name,
                      .method = printable(call.request.method),
                      .target = masked_target(call.request.url),
                      .status = answer.response.status,
                      .request_bytes = call.request.body.size(),
                      .fault = fault,
                      .hung_up = answer.hang_up});
  if (requests.size() > kRequestsKept) requests.pop_front();
}

// --- Controls
// ------------------------------------------------------------------------------------------------

HttpResponse Sandbox::State::control(const Call& call) {
  const std::string& method = call.request.method;
  const std::vector<std::string>& path = call.segments;
  const bool reads = method == "GET";
  if (reads && path.empty()) return json_response(200, object({{"controls", Value::of(std::string(kHelp))}}));
  if (reads && path.size() == 1 && path[0] == "audiences") return list_audiences();
  if (reads && path.size() == 4 && path[0] == "audiences" && path[3] == "members") return list_members(call);
  if (reads && path.size() == 1 && path[0] == "faults") return list_faults();
  if (reads && path.size() == 1 && path[0] == "limits") return show_limits();
  if (reads && path.size() == 1 && path[0] == "requests") return list_requests(call);
  if (path.size() == 1 && path[0] == "faults" && method == "DELETE") {
    faults.clear();
    return list_faults();
  }
  if (!path.empty()) {
    if (Platform* const asked = platform(path[0])) {
      Call inner = call;
      inner.segments.erase(inner.segments.begin());
      if (auto response = asked->control(inner)) return *std::move(response);
    }
  }
  if (path.size() != 1 || method != "POST") return control_error(404, "There is no such control.");
  if (path[0] == "reset") {
    reset();
    return json_response(200, object({{"reset", Value::of(true)}}));
  }
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object)
    return control_error(400, "The body must be a JSON object.");
  if (path[0] == "audiences") return plant_audience(*body);
  if (path[0] == "faults") return add_fault(*body, call.now);
  if (path[0] == "limits") return set_limits(*body);
  return control_error(404, "There is no such control.");
}

HttpResponse Sandbox::State::list_audiences() {
  Value all = Value::with(Value::Kind::list);
  for (const auto& [name, platform] : platforms) {
    for (const AudienceSummary& audience : platform->audiences()) {
      all.list.push_back(describe_audience(name, audience));
    }
  }
  return json_response(200, object({{"audiences", std::move(all)}}));
}

HttpResponse Sandbox::State::list_members(const Call& call) {
  Platform* const asked = platform(call.segments[1]);
  const Members* const members = asked == nullptr ? nullptr : asked->members(call.segments[2]);
  if (members == nullptr) return control_error(404, "There is no such audience.");
  Value all = Value::with(Value::Kind::list);
  for (const MemberId& id : members->sorted()) {
    all.list.push_back(object({{"kind", Value::of(id.kind)}, {"value", Value::of(id.value)}}));
  }
  return json_response(200, object({{"members", std::move(all)}}));
}

HttpResponse Sandbox::State::plant_audience(const Value& body) {
  const std::string id = text_of(body, "id");
  Platform* const asked = platform(text_of(body, "platform"));
  if (asked == nullptr)
    return control_error(400, "platform must be one of (without the slash): " + platform_names() + ".");
  if (!asked->plant(id, text_of(body, "name", id), text_of(body, "account", "1"))) {
    return control_error(400,
                         "id is taken or has not the platform's form (digits, as the account), as texts.");
  }
  return json_response(200, object({{"id", Value::of(id)}}));
}

HttpResponse Sandbox::State::add_fault(const Value& body, Time now) {
  auto fault = read_fault(body);
  if (!fault) return control_error(400, fault.error().message);
  if (!fault->platform.empty() && platform(fault->platform) == nullptr)
    return control_error(400, "platform must be left out for all, or one of: " + platform_names() + ".");
  if (fault->kind == Fault::Kind::drift) return drift(*fault, now);
  faults.add(std::move(*fault));
  return list_faults();
}

HttpResponse Sandbox::State::drift(const Fault& fault, Time now) {
  Random random(fault.seed);
  std::int64_t removed = 0;
  std::int64_t added = 0;
  for (const auto& [name, platform] : platforms) {
    if (!fault.platform.empty() && fault.platform != name) continue;
    Platform& drifting = *platform;
    for (const AudienceSummary& audience : drifting.audiences()) {
      if (!fault.audience.empty() && fault.audience != audience.id) continue;
      Members& members = *drifting.members(audience.id);
      std::int64_t count = fault.count.value_or(members.identifiers());
      if (fault.share) {
        const double part = static_cast<double>(members.identifiers()) * *fault.share;
        count = std::min(count, static_cast<std::int64_t>(std::ceil(part)));
      }
      count = std::min(count, members.identifiers());
      const auto moved = static_cast<std::size_t>(count);
      removed += static_cast<std::int64_t>(members.drift_away(moved, random));
      members.drift_in(moved, std::string(drifting.stranger_kind()), random, now);
      added += count;
    }
  }
  return json_response(200, object({{"removed", whole(removed)}, {"added", whole(added)}}));
}

HttpResponse Sandbox::State::list_faults() const {
  Value all = Value::with(Value::Kind::list);
  for (const Fault& fault : faults.active()) all.list.push_back(describe(fault));
  return json_response(200, object({{"faults", std::move(all)}}));
}

HttpResponse Sandbox::State::set_limits(const Value& body) {
  Limits wanted = limits;
  for (const auto& [name, value] : body.members) {
    const auto number = whole_number(value);
    if (!number || *number < 0 || *number > kLimitMax) {
      return control_error(400, printable(name) + " must be a whole number, not negative.");
    }
    if (name == "meta_calls_per_hour") {
      wanted.meta_calls_per_hour = *number;
    } else if (name == "google_requests_per_minute" && *number > 0) {
      wanted.google_requests_per_minute = *number;
    } else if (name == "google_requests_per_day") {
      wanted.google_requests_per_day = *number;
    } else if (name == "google_processing_ms") {
      wanted.google_processing = {*number};
    } else if (const auto known = wanted.named.find(name); known != wanted.named.end()) {
      known->second = *number;
    } else {
      std::string names =
          "meta_calls_per_hour, google_requests_per_minute, google_requests_per_day, google_processing_ms";
      for (const auto& [other, limit] : wanted.named) names += ", " + other;
      return control_error(400, printable(name) + " is not a limit, or is 0: there are " + names + ".");
    }
  }
  limits = wanted;
  return show_limits();
}

HttpResponse Sandbox::State::show_limits() const {
  Value all = object({{"meta_calls_per_hour", whole(limits.meta_calls_per_hour)},
                      {"google_requests_per_minute", whole(limits.google_requests_per_minute)},
                      {"google_requests_per_day", whole(limits.google_requests_per_day)},
                      {"google_processing_ms", whole(limits.google_processing.count)}});
  for (const auto& [name, limit] : limits.named) all.members.emplace_back(name, whole(limit));
  return json_response(200, all);
}

std::string Sandbox::State::platform_names() const {
  std::string names;
  for (const auto& [name, platform] : platforms) names += (names.empty() ? "/" : ", /") + name;
  return names;
}

HttpResponse Sandbox::State::list_requests(const Call& call) const {
  std::int64_t shown = kRequestsShown;
  if (const std::string* limit = find_param(call.query, "limit"); limit != nullptr) {
    shown = whole_number(*limit).value_or(-1);
    if (shown < 0) return control_error(400, "limit must be a number.");
  }
  Value latest = Value::with(Value::Kind::list);
  for (auto request = requests.rbegin(); request != requests.rend() && std::ssize(latest.list) < shown;
       ++request) {
    Value entry = object({{"time", Value::of(format_time(request->time))},
                          {"platform", Value::of(request->platform)},
                          {"method", Value::of(request->method)},
                          {"target", Value::of(request->target)},
                          {"status", whole(request->status)},
                          {"request_bytes", whole(static_cast<std::int64_t>(request->request_bytes))}});
    if (!request->fault.empty()) entry.members.emplace_back("fault", Value::of(request->fault));
    if (request->hung_up) entry.members.emplace_back("hung_up", Value::of(true));
    latest.list.push_back(std::move(entry));
  }
  Value by_platform = Value::with(Value::Kind::object);
  for (const auto& [name, statuses] : counts) {
    Value of_platform = Value::with(Value::Kind::object);
    for (const auto& [status, count] : statuses) {
      of_platform.members.emplace_back(std::to_string(status), whole(count));
    }
    by_platform.members.emplace_back(name, std::move(of_platform));
  }
  return json_response(200, object({{"counts", std::move(by_platform)}, {"requests", std::move(latest)}}));
}

}  // namespace tailrace::sandbox
