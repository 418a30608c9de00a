#include "destinations/http/codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::http_codec {
namespace {

constexpr std::array kKinds{IdentifierKind::external_id, IdentifierKind::anonymous_id, IdentifierKind::email,
                            IdentifierKind::phone,       IdentifierKind::idfa,         IdentifierKind::aaid};

std::string setting(const Config& config, std::string_view name) { return config.setting(std::string(name)); }
std::string setting(const Config& config, BatchKind kind, std::string_view part) {
  return config.setting(fmt::format("{}_{}", operation_of(kind), part));
}
constexpr std::string_view kAttributePrefix = "attributes.";

bool is_form(const Config& config) { return setting(config, kBodyType) == "form"; }

// --- templates

// A value that stands for a placeholder. Missing: the person has none.
struct Filling {
  std::vector<std::string> values;
  bool is_list = false;
  bool is_verbatim = false;  // written already
  std::string json = {};     // what stands in JSON, where that is no text
};
using Fillings = std::map<std::string, Filling, std::less<>>;

Filling one(std::string value) {
  Filling filling;
  filling.values.push_back(std::move(value));
  return filling;
}

Filling whole(const Value& value) {
  const std::string json = to_json(value);
  Filling filling = one(value.kind == Value::Kind::string ? value.string : json);
  filling.json = json;
  return filling;
}

std::string as_json(const Filling& filling) {
  if (filling.is_verbatim) return filling.values.front();
  if (!filling.json.empty()) return filling.json;
  std::string out;
  if (filling.is_list) {
    for (const std::string& value : filling.values) {
      out += out.empty() ? "" : ",";
      append_json_string(out, value);
    }
    return "[" + out + "]";
  }
  if (filling.values.empty()) return "null";
  append_json_string(out, filling.values.front());
  return out;
}

std::string as_form(const Filling& filling) {
  if (filling.is_verbatim) return filling.values.front();
  std::string joined;
  for (const std::string& value : filling.values) {
    joined += joined.empty() ? "" : ",";
    joined += value;
    if (!filling.is_list) break;
  }
  return percent_encoded(joined);
}

// What check() found no fault with; a fault fills nothing.
std::string filled(std::string_view text, const Fillings& fillings, std::string (*write)(const Filling&)) {
  const auto parts = cut_template(text);
  if (!parts) return {};
  std::string out;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    if (i % 2 == 0) {
      out += (*parts)[i];
    } else if (const auto found = fillings.find((*parts)[i]); found != fillings.end()) {
      out += write(found->second);
    }
  }
  return out;
}

// What the template of a record names of their attributes: all of them, or `attributes.plan`.
void add_attributes(Fillings& fillings, const Member& member, std::string_view record) {
  fillings.emplace("attributes", whole(attributes_of(member)));
  const auto parts = cut_template(record);
  for (std::size_t i = 1; parts && i < parts->size(); i += 2) {
    const std::string& name = (*parts)[i];
    if (!name.starts_with(kAttributePrefix)) continue;
    const auto found = std::ranges::find(member.attributes, name.substr(kAttributePrefix.size()),
                                         &std::pair<std::string, Value>::first);
    const bool has_it = found != member.attributes.end() && found->second.kind != Value::Kind::missing;
    fillings.emplace(name, has_it ? whole(found->second) : Filling());
  }
}

Fillings of_member(const Member& member, std::string_view record) {
  Fillings fillings{{"person", one(member.person)}, {"changed_at", one(format_time(member.changed_at))}};
  for (const IdentifierKind kind : kKinds) {
    Filling all{.values = {}, .is_list = true};
    for (const UploadIdentifier& identifier : member.identifiers) {
      if (identifier.kind == kind) all.values.push_back(identifier.value);
    }
    fillings.emplace(fmt::format("{}[]", to_string(kind)), all);
    all.is_list = false;
    fillings.emplace(std::string(to_string(kind)), std::move(all));
  }
  add_attributes(fillings, member, record);
  return fillings;
}

Fillings of_batch(const Batch& batch, const Config& config) {
  return {{"audience", one(batch.audience_id.empty() ? config.audience_name : batch.audience_id)},
          {"audience_name", one(config.audience_name)},
          {"operation", one(std::string(operation_of(batch.kind)))},
          {"batch_id", one(fmt::format("{}", batch.id))}};
}

std::string body_of(const Batch& batch, const Config& config) {
  const bool form = is_form(config);
  const std::string record = setting(config, kRecord);
  std::string records;
  for (const Member& member : batch.members) {
    if (&member != batch.members.data()) records += form ? "&" : ",";
    records += filled(record, of_member(member, record), form ? &as_form : &as_json);
  }
  Fillings fillings = of_batch(batch, config);
  fillings["records"] = {.values = {std::move(records)}, .is_verbatim = true};
  return filled(setting(config, batch.kind, "body"), fillings, form ? &as_form : &as_json);
}

// --- headers

struct Line {
  std::string name;
  std::string value;
};

// "Name: value" lines; missing: a line is none.
std::optional<std::vector<Line>> lines_of(const std::string& text) {
  std::vector<Line> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    const std::string_view name = line.substr(0, colon);
    const bool is_token = std::ranges::all_of(name, [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
             c == '_';
    });
    if (!is_token) return std::nullopt;
    lines.push_back({std::string(name), std::string(trimmed(line.substr(colon + 1)))});
  }
  return lines;
}

std::string plain(const Filling& filling) { return filling.values.empty() ? "" : filling.values.front(); }

bool is_one_line(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c != 0x7f; });
}

// --- answers

// "200-299, 304".
std::optional<std::vector<std::pair<int, int>>> ranges_of(std::string_view text) {
  std::vector<std::pair<int, int>> ranges;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = trimmed(text.substr(at, end - at));
    at = end + 1;
    const std::size_t dash = std::min(part.find('-'), part.size());
    const auto number = [](std::string_view digits) -> std::optional<int> {
      int value = 0;
      const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc() || stop != digits.data() + digits.size() || value < 200 || value > 599)
        return std::nullopt;
      return value;
    };
    const auto low = number(part.substr(0, dash));
    const auto high = dash == part.size() ? low : number(part.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    ranges.emplace_back(*low, *high);
  }
  return ranges;
}

const Value* at_path(const Value& root, std::string_view path) {
  const Value* value = &root;
  for (std::size_t at = 0; at <= path.size() && value != nullptr;) {
    const std::size_t end = std::min(path.find('.', at), path.size());
    value = member(value, path.substr(at, end - at));
    at = end + 1;
  }
  return value;
}

std::string text_of(const Value& value) {
  if (value.kind == Value::Kind::string) return value.string;
  return value.kind == Value::Kind::list || value.kind == Value::Kind::object ? std::string()
                                                                              : to_json(value);
}

// "status = ok": the value at a path, as text.
struct Condition {
  std::string path;
  std::string value;
};
std::optional<Condition> condition_of(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  Condition condition{std::string(trimmed(text.substr(0, equals))),
                      std::string(trimmed(text.substr(equals + 1)))};
  if (condition.path.empty() || condition.value.empty()) return std::nullopt;
  return condition;
}

// The place in the batch that an entry of the rejects names.
std::optional<std::size_t> place_of(const Batch& batch, const Value& entry, const std::string& record_path) {
  const Value* named = entry.kind == Value::Kind::object ? at_path(entry, record_path) : &entry;
  if (named == nullptr) return std::nullopt;
  if (named->kind == Value::Kind::number) {
    const auto decimal = named->number.as_decimal();
    const bool is_place = decimal && decimal->scale == 0 && decimal->mantissa >= 0 &&
                          static_cast<std::uint64_t>(decimal->mantissa) < batch.members.size();
    return is_place ? std::optional(static_cast<std::size_t>(decimal->mantissa)) : std::nullopt;
  }
  const std::string text = text_of(*named);
  for (std::size_t i = 0; i < batch.members.size() && !text.empty(); ++i) {
    const Member& one_of = batch.members[i];
    const auto is_theirs = [&](const UploadIdentifier& identifier) { return identifier.value == text; };
    if (one_of.person == text || std::ranges::any_of(one_of.identifiers, is_theirs)) return i;
  }
  return std::nullopt;
}

// outcomes[i] of members[i]; missing: nobody is named, or somebody who is not in the batch.
std::optional<std::vector<Outcome>> rejects_of(const Batch& batch, const Config& config,
                                               const Value& answer) {
  const std::string path = setting(config, kRejects);
  const Value* list = path.empty() ? nullptr : at_path(answer, path);
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty()) return std::nullopt;
  std::vector<Outcome> outcomes(batch.members.size());
  for (const Value& entry : list->list) {
    const auto place = place_of(batch, entry, setting(config, kRejectRecord));
    if (!place) return std::nullopt;
    const Value* code =
        entry.kind == Value::Kind::object ? at_path(entry, setting(config, kRejectCode)) : nullptr;
    const std::string word = code == nullptr ? std::string() : code_word(text_of(*code));
    outcomes[*place].kind = Outcome::Kind::rejected;
    outcomes[*place].reason = word.empty() ? "the receiver refuses the record"
                                           : fmt::format("the receiver refuses the record ({})", word);
  }
  return outcomes;
}

}  // namespace

std::string_view operation_of(BatchKind kind) { return kind == BatchKind::add ? "add" : "remove"; }

std::string hash_setting(IdentifierKind kind) { return fmt::format("hash_{}", to_string(kind)); }

Result<std::vector<std::string>> cut_template(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t open = text.find("{{");
    parts.emplace_back(text.substr(0, open));
    if (open == std::string_view::npos) return parts;
    text.remove_prefix(open + 2);
    const std::size_t close = text.find("}}");
    if (close == std::string_view::npos) return invalid("a placeholder has no end: write {{name}}");
    parts.emplace_back(trimmed(text.substr(0, close)));
    text.remove_prefix(close + 2);
  }
}

HttpRequest encode(const Batch& batch, const Context& context) {
  const Config& config = context.config;
  Fillings fillings = of_batch(batch, config);
  HttpRequest request;
  request.method = setting(config, batch.kind, "method");
  request.url = std::string(without_trailing_slash(setting(config, kBaseUrl))) +
                filled(setting(config, batch.kind, "path"), fillings, &as_form);
  request.headers = {
      {"Content-Type", is_form(config) ? "application/x-www-form-urlencoded" : "application/json"}};
  fillings["credentials.access_token"] = one(config.secret(std::string(kAccessToken)));
  fillings["credentials.secret"] = one(config.secret(std::string(kSecret)));
  for (const Line& line : lines_of(setting(config, kHeaders)).value_or(std::vector<Line>())) {
    std::string value = filled(line.value, fillings, &plain);
    if (is_one_line(value)) request.headers.emplace_back(line.name, std::move(value));
  }
  request.body = body_of(batch, config);
  return request;
}

Reply decode(const Batch& batch, const HttpResponse& response) {
  const Config none;
  const Config& config = batch.config == nullptr ? none : *batch.config;
  const auto ranges = ranges_of(setting(config, kSuccess));
  const bool is_success =
      ranges ? std::ranges::any_of(*ranges,
                                   [&](const auto& range) {
                                     return range.first <= response.status && response.status <= range.second;
                                   })
             : response.status >= 200 && response.status < 300;
  const auto answer = json_object(response);
  const auto rejects = answer ? rejects_of(batch, config, *answer) : std::nullopt;
  if (!is_success) {
    // Nothing was taken. Without names of culprits the batch is halved until they stand alone; with them, the
    // others go again.
    if (response.status == 400 || response.status == 422) {
      Reply reply = split(batch, fmt::format("the receiver refuses the request (HTTP {})", response.status),
                          fmt::format("{}", response.status));
      if (rejects) reply.outcomes = *rejects;
      return reply;
    }
    return judge_status(batch, response);
  }
  if (rejects) {
    Reply reply = accepted(batch);
    reply.outcomes = *rejects;
    return reply;
  }
  if (const auto condition = condition_of(setting(config, kSuccessWhen))) {
    const Value* value = answer ? at_path(*answer, condition->path) : nullptr;
    if (value == nullptr || text_of(*value) != condition->value)
      return split(batch, "the answer does not say that it was taken", "success_when");
  }
  return accepted(batch);
}

std::vector<std::string> problems_of(const Config& config) {
  std::vector<std::string> problems;
  const auto names = [](const Fillings& fillings) {
    std::vector<std::string> all;
    for (const auto& [name, filling] : fillings) all.push_back(name);
    return all;
  };
  const auto check = [&](const std::string& name, const std::string& text,
                         const std::vector<std::string>& known) {
    const auto parts = cut_template(text);
    if (!parts) return problems.push_back(fmt::format("{}: {}", name, parts.error().message));
    for (std::size_t i = 1; i < parts->size(); i += 2) {
      if (std::ranges::find(known, (*parts)[i]) != known.end()) continue;
      std::string list;
      for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
      problems.push_back(
          fmt::format("{}: there is nothing to put for a placeholder; known are: {}", name, list));
      return;
    }
  };
  const Member ada{.person = "crm-1",
                   .identifiers = {{.kind = IdentifierKind::email, .value = std::string(64, 'a')}},
                   .changed_at = Time{0}};
  const std::vector<Member> people{ada, ada};
  const std::string record = setting(config, kRecord);
  check("record", record, names(of_member(ada, record)));
  for (const BatchKind kind : {BatchKind::add, BatchKind::remove}) {
    const Batch batch{.kind = kind, .audience_id = "1", .id = 1, .members = people};
    const std::string operation(operation_of(kind));
    std::vector<std::string> known = names(of_batch(batch, config));
    const std::string path = setting(config, kind, "path");
    check(operation + "_path", path, known);
    if (!path.empty() &&
        (!path.starts_with('/') || !is_one_line(path) || path.find_first_of(" #") != std::string::npos))
      problems.push_back(operation + "_path must begin with / and hold neither blanks nor #");
    known.push_back("records");
    const std::size_t before = problems.size();
    check(operation + "_body", setting(config, kind, "body"), known);
    const std::string body = problems.size() == before ? body_of(batch, config) : "";
    if (problems.empty() && !is_form(config) && !body.empty() && !parse_json(body))
      problems.push_back(operation + "_body is no JSON when it is filled, with two records in it");
  }
  const auto lines = lines_of(setting(config, kHeaders));
  if (!lines) problems.emplace_back("headers must be lines `Name: value`");
  std::vector<std::string> known = names(of_batch({}, config));
  known.insert(known.end(), {"credentials.access_token", "credentials.secret"});
  for (const Line& line : lines.value_or(std::vector<Line>())) check("headers", line.value, known);
  if (!ranges_of(setting(config, kSuccess)))
    problems.emplace_back("success must be statuses such as `200-299` or `200, 202`");
  const std::string when = setting(config, kSuccessWhen);
  if (!when.empty() && !condition_of(when)) problems.emplace_back("success_when must be `path = value`");
  return problems;
}

}  // namespace tailrace::destinations::http_codec
