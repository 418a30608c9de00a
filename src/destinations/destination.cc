#include "destinations/destination.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/audience_destination.h"
#include "destinations/event_destination.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/probe.h"
#include "destinations/text.h"
#include "destinations/warehouse_destination.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kMask = "***";

// What carries a token or proves knowledge of a secret, by name.
constexpr std::array<std::string_view, 4> kMaskedHeaders{"authorization", "proxy-authorization", "cookie",
                                                         "webhook-signature"};
constexpr std::array<std::string_view, 9> kMaskedParameters{
    "access_token", "appsecret_proof", "client_secret", "refresh_token", "assertion",
    "input_token",  "token",           "key",           "api_secret"};

const std::string& value_or_empty(const std::map<std::string, std::string>& values, const std::string& name) {
  static const std::string kEmpty;
  const auto found = values.find(name);
  return found == values.end() ? kEmpty : found->second;
}

std::string json_escaped(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

// Every way a secret may be written in a request, longest first: a short secret may be part of a long one.
std::vector<std::string> secret_spellings(const Config& config) {
  std::vector<std::string> spellings;
  const auto add = [&](std::string_view secret) {
    spellings.emplace_back(secret);
    spellings.push_back(percent_encoded(secret));
    spellings.push_back(json_escaped(secret));
  };
  for (const auto& [name, value] : config.secrets) {
    add(value);
    for (const std::string_view part : split_at_blanks(value)) add(part);
  }
  std::erase(spellings, "");
  std::sort(spellings.begin(), spellings.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  spellings.erase(std::unique(spellings.begin(), spellings.end()), spellings.end());
  return spellings;
}

void replace_all(std::string& text, std::string_view what) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + kMask.size()))
    text.replace(at, what.size(), kMask);
}

void mask_parameter(std::string& text, std::string_view name) {
  const std::string key = std::string(name) + "=";
  for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + key.size())) {
    const bool whole_name = at == 0 || text[at - 1] == '?' || text[at - 1] == '&';
    if (!whole_name) continue;
    const std::size_t begin = at + key.size();
    const std::size_t end = std::min(text.find_first_of("&#", begin), text.size());
    text.replace(begin, end - begin, kMask);
  }
}

bool is_form(const HttpRequest& request) {
  const auto type = request.headers.get("content-type");
  return type && type->starts_with("application/x-www-form-urlencoded");
}

std::string table_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void append_settings_table(std::string& out, std::span<const Setting> settings) {
  out += "| name | set on | required | default | meaning |\n|---|---|---|---|---|\n";
  for (const Setting& setting : settings) {
    if (setting.secret) continue;
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", setting.name,
                       setting.scope == Setting::Scope::destination ? "destination" : "sync",
                       setting.required ? "yes" : "no",
                       setting.default_value.empty() ? std::string("none")
                                                     : fmt::format("`{}`", table_cell(setting.default_value)),
                       table_cell(setting.about));
  }
}

void append_credentials_table(std::string& out, std::span<const Setting> settings) {
  out += "| name | required | meaning |\n|---|---|---|\n";
  for (const Setting& setting : settings) {
    if (!setting.secret) continue;
    out += fmt::format("| `{}` | {} | {} |\n", setting.name, setting.required ? "yes" : "no",
                       table_cell(setting.about));
  }
}

void append_fields(std::string& out, std::span<const FieldRule> rules) {
  if (rules.empty()) return;
  out +=
      "\n## Fields\n\nWhat is known of a person, and how it is sent.\n\n| field | as | hashed "
      "|\n|---|---|---|\n";
  for (const FieldRule& rule : rules) {
    out += fmt::format("| `{}` | `{}` | {} |\n", to_string(rule.field), rule.key,
                       rule.hashing == Hashing::none ? "no" : "SHA-256");
  }
}

void append_events(std::string& out, const EventDestination& destination) {
  out += "\n## How often\n\n";
  out += destination.readers_know_copies() ? "At least once: where an answer is lost, the event goes again, "
                                             "and whoever reads knows the copy by its "
                                             "message id.\n"
         : destination.counts_once()
             ? "Exactly once: where an answer is lost, the event goes again, and the platform knows the copy "
               "by its id.\n"
             : "The platform is not known to tell a copy of an event, so that one without an answer becomes "
               "a dead "
               "letter, or goes once more where the [sync](../workspace.md#syncs-that-send-events) says "
               "`no_answer: resend`.\n";
  if (destination.keeps_order())
    out += "The events of a person are sent in the order of the log, one request after the other.\n";
  out += "\n## Events\n\n";
  if (!destination.events().empty()) out += "| event | is sent as |\n|---|---|\n";
  for (const EventName& each : destination.events())
    out += fmt::format("| `{}` | `{}` |\n", each.event, each.name);
  if (destination.takes_every_event()) {
    out += fmt::format("{}{} goes by its own name. A sync sends those it names under `events`.\n",
                       destination.events().empty() ? "" : "\n",
                       destination.events().empty() ? "Every event" : "Every other event");
  }
  const EventRules rules = destination.rules();
  if (rules.age_max.count > 0)
    out +=
        fmt::format("\nEvents older than `{}` are not sent, and counted.\n", format_duration(rules.age_max));
}

std::string limit_text(std::uint32_t limit) { return limit == 0 ? "not limited" : fmt::format("{}", limit); }

}  // namespace

const std::string& Config::setting(const std::string& name) const { return value_or_empty(settings, name); }
const std::string& Config::secret(const std::string& name) const { return value_or_empty(secrets, name); }

std::size_t AudienceDestination::records(const Member&) const { return 1; }

Value attributes_of(const Member& member) {
  Value object = Value::with(Value::Kind::object);
  for (const auto& [name, value] : member.attributes)
    object.members.emplace_back(name, value.kind == Value::Kind::missing ? Value::of_null() : value);
  return object;
}

Value identifiers_of(const Member& member) {
  Value object = Value::with(Value::Kind::object);
  for (const IdentifierKind kind : {IdentifierKind::external_id, IdentifierKind::anonymous_id,
                                    IdentifierKind::email, IdentifierKind::phone}) {
    Value values = Value::with(Value::Kind::list);
    for (const UploadIdentifier& identifier : member.identifiers) {
      if (identifier.kind == kind) values.list.push_back(Value::of(identifier.value));
    }
    if (!values.list.empty()) object.members.emplace_back(to_string(kind), std::move(values));
  }
  return object;
}

Result<Normalised> AudienceDestination::normalise(IdentifierKind kind, std::string_view raw,
                                                  const Config& config) const {
  const FieldRule* rule = find_rule(fields(), field_of(kind));
  const bool taken = rule != nullptr && std::ranges::find(identifiers(), kind) != identifiers().end();
  if (!taken) return invalid(std::string(kNotAccepted));
  Prepared prepared = TRY(prepare(*rule, raw, {.region = config.default_region}));
  return Normalised{.text = std::move(prepared.normalised),
                    .upload = {.kind = kind, .value = std::move(prepared.value), .hashed = prepared.hashed}};
}

std::optional<HttpRequest> Destination::encode_token(const Config&, Time) const { return std::nullopt; }
Result<Token> Destination::decode_token(const HttpResponse&, Time) const {
  return invalid("this destination has no token to fetch");
}
std::optional<HttpRequest> AudienceDestination::encode_find(const Context&, const std::string&) const {
  return std::nullopt;
}
Result<AudienceDestination::Found> AudienceDestination::decode_find(const HttpResponse&,
                                                                    const Config&) const {
  return invalid("this destination has no audiences to look for");
}
std::optional<HttpRequest> AudienceDestination::encode_create(const Context&) const { return std::nullopt; }
Result<std::string> AudienceDestination::decode_create(const HttpResponse&) const {
  return invalid("this destination has no audiences to create");
}
std::optional<HttpRequest> AudienceDestination::encode_update(const std::string&, const Context&) const {
  return std::nullopt;
}
Result<void> AudienceDestination::decode_update(const HttpResponse&) const { return {}; }
std::optional<HttpRequest> AudienceDestination::encode_clear(const std::string&, Time, const Context&) const {
  return std::nullopt;
}
Result<void> AudienceDestination::decode_clear(const HttpResponse&) const { return {}; }
std::optional<HttpRequest> AudienceDestination::encode_measure(const std::string&, const Context&) const {
  return std::nullopt;
}
Result<Measurement> AudienceDestination::decode_measure(const HttpResponse&) const {
  return invalid("this destination cannot be measured");
}

void fill_defaults(const Destination& destination, Config& config) {
  for (const Setting& setting : destination.settings()) {
    if (!setting.secret && !setting.default_value.empty())
      config.settings.try_emplace(std::string(setting.name), setting.default_value);
  }
}

HttpRequest masked(const HttpRequest& request, const Config& config) {
  HttpRequest shown = request;
  for (auto& [name, value] : shown.headers) {
    for (const std::string_view hidden : kMaskedHeaders) {
      if (equal_ignoring_case(name, hidden)) value = kMask;
    }
  }
  for (const std::string_view name : kMaskedParameters) {
    mask_parameter(shown.url, name);
    if (is_form(request)) mask_parameter(shown.body, name);
  }
  for (const std::string& secret : secret_spellings(config)) {
    replace_all(shown.url, secret);
    replace_all(shown.body, secret);
    for (auto& header : shown.headers) replace_all(header.second, secret);
  }
  return shown;
}

std::string reference_markdown(const Destination& destination) {
  std::string out = fmt::format(
      "# {}\n\n<!-- Generated from src/destinations/{}/. Do not edit: the test `Reference` rewrites it with "
      "TAILRACE_UPDATE_GOLDEN=1. -->\n\nType: `{}`\n\n",
      destination.title(), destination.type(), destination.type());
  out += destination.about();
  out += "\n## Settings\n\n";
  append_settings_table(out, destination.settings());
  out +=
      "\n## Credentials\n\nBy reference only (an environment variable, a file or a command), under "
      "`credentials` of the destination.\n\n";
  append_credentials_table(out, destination.settings());
  if (const Probed* known = probed(destination))
    out += fmt::format("\nThey need {}. `tailrace check --live` asks.\n", known->permissions());
  if (const AudienceDestination* audiences = destination.as_audience()) {
    out += "\n## Identifiers\n\n";
    for (const IdentifierKind kind : audiences->identifiers())
      out += fmt::format("- `{}`\n", to_string(kind));
  }
  if (const EventDestination* events = destination.as_events()) append_events(out, *events);
  append_fields(out, destination.fields());
  // Tables go in packs, and no request of theirs holds records.
  if (destination.as_warehouse() != nullptr) return out;
  const Limits limits = destination.limits();
  out += fmt::format(
      "\n## Limits\n\n| limit | value |\n|---|---|\n| records in a request | {} |\n| bytes in a request | {} "
      "|\n| "
      "requests per minute | {} |\n",
      limit_text(limits.batch_records_max), limit_text(limits.batch_bytes_max),
      limit_text(limits.requests_per_minute));
  out += "\n## Processing\n\n";
  if (const auto processing = destination.processing()) {
    out += fmt::format(
        "{} Up to `{}` are reckoned with ([source]({})): no latency that Tailrace shows holds them, and a "
        "suppression whose people may leave earlier is warned of.\n",
        processing->about, format_duration(processing->most), processing->source);
  } else {
    out += "It documents no time that an upload takes to have effect.\n";
  }
  return out;
}

}  // namespace tailrace::destinations
