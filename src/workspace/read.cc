#include "workspace/read.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/calendar.h"
#include "sources/query/engines.h"
#include "sources/source.h"
#include "workspace/ecommerce.h"
#include "workspace/messages.h"
#include "workspace/read_query.h"
#include "workspace/values.h"

namespace tailrace::workspace {

namespace {

constexpr std::size_t kNameBytesMax = 200;
constexpr Millis kBatchAgeLongest = kHour;

// The name of a thing: text of one line, without blanks around it.
bool is_name(std::string_view name) {
  const bool printable =
      std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return printable && name.size() <= kNameBytesMax && !name.empty() && name.front() != ' ' &&
         name.back() != ' ';
}

// A word of the language: definitions, attributes and consent purposes are written without quotes.
bool is_word(std::string_view word) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !word.empty() && word.size() <= kNameBytesMax && letter(word.front()) &&
         std::ranges::all_of(word, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

class Reader {
 public:
  Reader(Problems& problems, Draft& draft)
      : problems_(problems), draft_(draft), workspace_(draft.workspace) {}

  void tailrace_file(const YamlNode& root);
  void taxonomy_file(const YamlNode& root);
  void named_file(const YamlNode& root, std::string what, std::vector<Named>& out,
                  std::vector<NamedSite>& sites);
  void segment(const YamlNode& node);
  void query_source(const YamlNode& node);
  void destination(const YamlNode& node);
  void sync(const YamlNode& node);

 private:
  void stream(Fields& fields);
  void requests_in_flight(Fields& fields, StreamConfig& config);
  void stream_events(Fields& fields, StreamConfig& config, StreamSite& site);
  void warehouse(Fields& fields);
  void stream_event(const YamlNode& key, const YamlNode& value, StreamConfig& config, StreamSite& site);
  void selection(Fields& fields, destinations::Selection& selection);
  void texts(Fields& fields, std::string_view key, std::vector<std::string>& out);
  void text_map(Fields& fields, std::string_view key, std::map<std::string, std::string>& out,
                std::map<std::string, Spot>& sites);
  void consent(Fields& fields, std::string& purpose);
  void batch_age(Fields& fields, Millis& age);
  void mode(Fields& fields, Mode& mode, std::string& test_segment, Spot& site);
  bool is_first_sync(const std::string& text, const Spot& spot);
  std::string name(Fields& fields);
  void check_name(const std::string& text, const Spot& spot);
  Lifecycle lifecycle(Fields& fields);
  std::optional<Millis> duration(Fields& fields, std::string_view key);
  std::optional<SecretReference> secret(const YamlNode& node, std::string_view what);
  std::optional<SecretReference> source_of_secret(Fields& fields, std::string_view what);
  void write_key(const YamlNode& node);
  void source(const YamlNode& node);
  // A source as it was given, with its places.
  struct Given {
    const std::map<std::string, std::string>& settings;
    const std::map<std::string, SecretReference>& credentials;
    std::map<std::string, Spot> setting_sites = {};
    std::map<std::string, Spot> credential_sites = {};
  };
  void source_settings(std::string_view title, std::span<const sources::Setting> all, const Given& source,
                       const Spot& whole);
  bool fits_path(const std::string& text) const;
  std::uint64_t count(Fields& fields, std::string_view key, std::uint64_t fallback);
  void query_guards(Fields& fields, QuerySource& config);
  void check_source_name(const std::string& text, const Spot& spot);
  std::uint32_t requests_per_second(const YamlNode& node);
  void tls(const YamlNode& node);
  void identity(Fields& fields);
  template <class Take>
  void by_kind(Fields& fields, std::string_view key, Take take);
  std::optional<IdentifierKind> identifier(const YamlNode& node);
  void event(const std::string& event_name, const YamlNode& key, const YamlNode& node);
  void properties(const YamlNode& node, EventRule& rule);
  std::optional<language::Type> type(const YamlNode& node);
  void merge_presets(std::vector<EventRule> merged);
  void check_aliases();
  void settings(Fields& fields, std::map<std::string, std::string>& out, std::map<std::string, Spot>& sites);
  void credentials(Fields& fields, std::map<std::string, SecretReference>& out,
                   std::map<std::string, Spot>& sites);
  void holdout(Fields& fields, SyncConfig& config);
  void guards(Fields& fields, SyncConfig& config);
  void max_change(const YamlNode& node, std::string_view key, Guards& guards);
  void expiry(Fields& fields, SyncConfig& config, SyncSite& site);
  void reach(Fields& fields, bool& allow_private_addresses, std::string& ca_file);
  void identifiers(Fields& fields, SyncConfig& config, SyncSite& site);
  void attributes(Fields& fields, SyncConfig& config, SyncSite& site);
  template <class T>
  bool is_first(const std::vector<T>& others, const std::string& text, const Spot& spot,
                std::string_view what, const auto& spot_of_other);

  Problems& problems_;
  Draft& draft_;
  Workspace& workspace_;
  std::vector<Spot> event_spots_;  // of the events written in the file
};

std::string place_of(const Spot& spot) {
  return fmt::format("{}, line {}", spot.file->name, span_of(spot).line);
}

// Reports a second thing of the same name.
template <class T>
bool Reader::is_first(const std::vector<T>& others, const std::string& text, const Spot& spot,
                      std::string_view what, const auto& spot_of_other) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (others[i].name != text) continue;
    problems_.error(spot, fmt::format("there are two {}s named {}", what, in_quotes(text)),
                    fmt::format("rename one of them; the other is in {}", place_of(spot_of_other(i))));
    return false;
  }
  return true;
}

void Reader::check_name(const std::string& text, const Spot& spot) {
  if (is_name(text)) return;
  problems_.error(spot, fmt::format("{} is no name", in_quotes(text)),
                  fmt::format("use one line of at most {} bytes, without blanks around it", kNameBytesMax));
}

std::string Reader::name(Fields& fields) {
  std::string text = fields.text("name", Need::required);
  if (!text.empty()) check_name(text, fields.spot_of("name"));
  return text;
}

Lifecycle Reader::lifecycle(Fields& fields) {
  return fields.choice(
      "lifecycle", Lifecycle::active,
      {{"draft", Lifecycle::draft}, {"active", Lifecycle::active}, {"retired", Lifecycle::retired}});
}

// A positive duration.
std::optional<Millis> Reader::duration(Fields& fields, std::string_view key) {
  const std::string text = fields.text(key);
  if (text.empty()) return std::nullopt;
  const Result<Millis> length = parse_duration(text);
  if (length && length->count > 0) return *length;
  problems_.error(fields.spot_of(key), fmt::format("`{}` cannot be {}", key, in_quotes(text)),
                  "write a length of time such as 30d, 12h or 250ms");
  return std::nullopt;
}

std::optional<Time> parse_day(const std::string& text) {
  constexpr std::size_t kDayBytes = std::string_view("2027-03-01").size();
  const Result<Time> day = parse_time(text);
  return day && text.size() == kDayBytes ? std::optional(*day) : std::nullopt;
}

// {env: NAME}, {file: path} or {command: [program, argument]}, and `ends: 2027-03-01`.
std::optional<SecretReference> Reader::secret(const YamlNode& node, std::string_view what) {
  if (node.kind == YamlNode::Kind::scalar) {
    // The message does not repeat the text: it may be a real secret on its way into a build log.
    problems_.error(
        node.spot, fmt::format("{} stands in the text; a secret is only named", what),
        "write {env: NAME}, {file: path} or {command: [program, argument]}, and change the secret "
        "if the file was ever shared");
    return std::nullopt;
  }
  Fields fields(node, std::string(what), problems_);
  if (!fields.usable()) return std::nullopt;
  auto reference = source_of_secret(fields, what);
  if (const std::string day = fields.text("ends"); !day.empty() && reference) {
    if (const auto ends = parse_day(day)) {
      reference->ends_at = *ends;
    } else {
      problems_.error(fields.spot_of("ends"), fmt::format("`ends` cannot be {}", in_quotes(day)),
                      "write the day on which the secret ends, such as 2027-03-01");
    }
  }
  fields.finish();
  return reference;
}

std::optional<SecretReference> Reader::source_of_secret(Fields& fields, std::string_view what) {
  const std::string environment = fields.text("env");
  const std::string file = fields.text("file");
  std::vector<std::string> command;
  texts(fields, "command", command);
  if (!environment.empty() + !file.empty() + !command.empty() != 1) {
    problems_.error(fields.spot(), fmt::format("{} must name one source of its secret", what),
                    "write {env: NAME}, {file: path} or {command: [program, argument]}");
    return std::nullopt;
  }
  if (!environment.empty() && !is_word(environment)) {
    problems_.error(fields.spot_of("env"), fmt::format("{} is no name of an environment variable", what),
                    "use letters, digits and _; the secret itself does not belong here");
    return std::nullopt;
  }
  if (!environment.empty()) return SecretReference{SecretReference::Kind::environment, environment};
  if (!file.empty()) return SecretReference{SecretReference::Kind::file, file};
  if (command.front().empty() || (command.size() == 1 && command.front().find(' ') != std::string::npos)) {
    problems_.error(fields.spot_of("command"),
                    "`command` is run without a shell, and names its program first",
                    "write the program and each of its arguments as an element: [program, argument]");
    return std::nullopt;
  }
  SecretReference reference{SecretReference::Kind::command, std::move(command.front())};
  reference.arguments.assign(std::make_move_iterator(command.begin() + 1),
                             std::make_move_iterator(command.end()));
  return reference;
}

void Reader::write_key(const YamlNode& node) {
  Fields fields(node, "a write key", problems_);
  if (!fields.usable()) return;
  WriteKey key;
  key.name = name(fields);
  key.secret = source_of_secret(fields, "a write key").value_or(SecretReference{});
  if (const YamlNode* rate = fields.find("requests_per_second"))
    key.requests_per_second = requests_per_second(*rate);
  fields.finish();
  check_source_name(key.name, fields.spot_of("name"));
  workspace_.write_keys.push_back(std::move(key));
}

// A name that stands in a path, or is a folder's.
bool Reader::fits_path(const std::string& text) const {
  return !text.starts_with('.') && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

void Reader::check_source_name(const std::string& text, const Spot& spot) {
  const bool is_key =
      std::ranges::find(workspace_.write_keys, text, &WriteKey::name) != workspace_.write_keys.end();
  const bool is_source =
      std::ranges::find(workspace_.sources, text, &SourceEntry::name) != workspace_.sources.end() ||
      std::ranges::find(workspace_.query_sources, text, &QuerySource::name) != workspace_.query_sources.end();
  if (!is_key && !is_source) return;
  problems_.error(
      spot, fmt::format("there are two {} named {}", is_key ? "write keys" : "sources", in_quotes(text)),
      "the name becomes the source of the events; give each its own");
}

void Reader::source(const YamlNode& node) {
  Fields fields(node, "a source", problems_);
  if (!fields.usable()) return;
  SourceEntry entry;
  Given given{entry.settings, entry.credentials};
  entry.name = name(fields);
  entry.type = fields.text("type", Need::required);
  settings(fields, entry.settings, given.setting_sites);
  credentials(fields, entry.credentials, given.credential_sites);
  if (const YamlNode* rate = fields.find("requests_per_second"))
    entry.requests_per_second = requests_per_second(*rate);
  fields.finish();
  if (!fits_path(entry.name)) {
    problems_.error(fields.spot_of("name"), fmt::format("{} cannot name a source", in_quotes(entry.name)),
                    "it stands in its path, /sources/NAME: use letters, digits, -, _ and .");
  }
  if (!entry.name.empty()) check_source_name(entry.name, fields.spot_of("name"));
  if (const sources::HttpSource* type = sources::find_source(entry.type)) {
    source_settings(type->title(), type->settings(), given, fields.spot());
  } else if (!entry.type.empty()) {
    std::vector<std::string> types;
    for (const sources::HttpSource* known : sources::registry()) types.emplace_back(known->type());
    problems_.error(fields.spot_of("type"), fmt::format("there is no source type {}", in_quotes(entry.type)),
                    suggest(entry.type, types));
  }
  workspace_.sources.push_back(std::move(entry));
}

// What is given against what the source says of itself.
void Reader::source_settings(std::string_view title, std::span<const sources::Setting> all,
                             const Given& source, const Spot& whole) {
  const auto check_given = [&](const std::map<std::string, Spot>& given, bool secret) {
    for (const auto& [key, spot] : given) {
      const auto known = std::ranges::find(all, key, &sources::Setting::name);
      if (known == all.end()) {
        std::vector<std::string> names;
        for (const sources::Setting& each : all) {
          if (each.secret == secret) names.emplace_back(each.name);
        }
        problems_.error(
            spot, fmt::format("{} has no {} {}", title, secret ? "credential" : "setting", in_quotes(key)),
            suggest(key, names));
      } else if (known->secret && !secret) {
        problems_.error(spot, fmt::format("{} is a secret, and stands in the text", in_quotes(key)),
                        fmt::format("move it: `credentials: {{{}: {{env: NAME}}}}`", key));
      } else if (secret && !known->secret) {
        problems_.error(spot, fmt::format("{} has no credential {}", title, in_quotes(key)),
                        "it is no secret: move it to `settings`");
      }
    }
  };
  check_given(source.setting_sites, false);
  check_given(source.credential_sites, true);
  for (const sources::Setting& setting : all) {
    const std::string key(setting.name);
    const bool given = setting.secret ? source.credentials.contains(key) : source.settings.contains(key);
    if (!given && setting.required) {
      problems_.error(
          whole,
          fmt::format("{} needs the {} {}: {}", title, setting.secret ? "credential" : "setting",
                      in_quotes(key), setting.about),
          setting.secret
              ? fmt::format("add `{}: {{env: NAME}}` or `{}: {{file: path}}` to its `credentials`", key, key)
              : fmt::format("add `{}: ...` to its `settings`", key));
    }
    if (!given || setting.secret) continue;
    const std::string& value = source.settings.at(key);
    if (!setting.choices.empty() && std::ranges::find(setting.choices, value) == setting.choices.end()) {
      problems_.error(
          source.setting_sites.at(key), fmt::format("`{}` cannot be {}", key, in_quotes(value)),
          suggest(value, std::vector<std::string>(setting.choices.begin(), setting.choices.end())));
    }
    const bool digits = !value.empty() && value.size() <= 9 &&
                        std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (setting.is_count && !digits) {
      problems_.error(source.setting_sites.at(key), fmt::format("`{}` cannot be {}", key, in_quotes(value)),
                      "write a whole number");
    }
  }
}

std::uint32_t Reader::requests_per_second(const YamlNode& node) {
  const std::string text = scalar_text(node, "`requests_per_second`", problems_).value_or("1");
  std::uint32_t rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error == std::errc() && end == text.data() + text.size() && rate > 0) return rate;
  problems_.error(node.spot, fmt::format("{} is no number of requests", in_quotes(text)),
                  "write a whole number, 1 or more; leave the line out for no limit");
  return 0;
}

void Reader::tls(const YamlNode& node) {
  Fields fields(node, "`tls`", problems_);
  if (!fields.usable()) return;
  workspace_.tls.certificate = fields.text("certificate", Need::required);
  workspace_.tls.key = fields.text("key", Need::required);
  fields.finish();
}

// `key: {email: ..., phone: ...}`: take(kind, node) for each.
template <class Take>
void Reader::by_kind(Fields& fields, std::string_view key, Take take) {
  const YamlNode* node = fields.find(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    problems_.error(node->spot, fmt::format("`{}` must be a mapping of kinds of identifier", key),
                    fmt::format("write `{}: {{email: ...}}`", key));
    return;
  }
  for (const YamlNode::Entry& entry : node->entries) {
    if (const auto kind = identifier(entry.key)) take(*kind, entry.value);
  }
}

void Reader::identity(Fields& fields) {
  IdentityRules& rules = workspace_.identity;
  rules.blocks_placeholders = true;
  const YamlNode* node = fields.find("identity");
  if (node == nullptr) return;
  Fields given(*node, "`identity`", problems_);
  if (!given.usable()) return;
  rules.blocks_placeholders = given.choice("placeholders", true, {{"block", true}, {"allow", false}});
  if (const YamlNode* kinds = given.find("merge_on")) {
    for (auto& each : rules.kinds) each.merges = false;
    for (const YamlNode& item : one_or_many(*kinds)) {
      const auto kind = identifier(item);
      if (!kind) continue;
      rules.of(*kind).merges = true;
      // Nobody shares a user id; an e-mail, phone or device of so many people is a shop's or a placeholder.
      constexpr std::uint32_t kPeopleMax = 10;
      if (*kind != IdentifierKind::external_id && *kind != IdentifierKind::anonymous_id)
        rules.of(*kind).people_max = kPeopleMax;
    }
  }
  const auto limit = [&](std::string_view key, std::uint32_t least, auto set) {
    by_kind(given, key, [&](IdentifierKind kind, const YamlNode& value) {
      const std::string text = scalar_text(value, fmt::format("`{}`", key), problems_).value_or("");
      std::uint32_t number = 0;
      const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (failure != std::errc() || end != text.data() + text.size() || number < least) {
        if (!text.empty())
          problems_.error(value.spot, fmt::format("`{}` cannot be {}", key, in_quotes(text)),
                          fmt::format("write a whole number, {} at least", least));
        return;
      }
      set(rules.of(kind), number);
    });
  };
  limit("people_max", 2, [](IdentityRules::OfKind& rule, std::uint32_t number) { rule.people_max = number; });
  limit("values_max", 1, [](IdentityRules::OfKind& rule, std::uint32_t number) { rule.values_max = number; });
  by_kind(given, "block", [&](IdentifierKind kind, const YamlNode& values) {
    for (const YamlNode& item : one_or_many(values)) {
      auto text = scalar_text(item, "a blocked value", problems_);
      if (!text) continue;
      if (text->find_first_not_of('*') == std::string::npos)
        problems_.error(item.spot, fmt::format("{} would block everything", in_quotes(*text)),
                        "write a value, or a pattern such as \"*@example.com\"");
      rules.of(kind).blocked.push_back(std::move(*text));
    }
  });
  given.finish();
}

void Reader::tailrace_file(const YamlNode& root) {
  Fields fields(root, "the workspace", problems_);
  if (!fields.usable()) return;
  workspace_.name = name(fields);
  workspace_.golden_id = fields.choice("golden_id", IdentifierKind::external_id,
                                       {{"external_id", IdentifierKind::external_id},
                                        {"anonymous_id", IdentifierKind::anonymous_id},
                                        {"email", IdentifierKind::email},
                                        {"phone", IdentifierKind::phone}});
  if (const std::string zone = fields.text("time_zone"); !zone.empty()) {
    workspace_.time_zone = zone;
    if (!Zone::named(zone)) {
      problems_.error(fields.spot_of("time_zone"), fmt::format("{} is no time zone", in_quotes(zone)),
                      "use a name of the IANA list, such as UTC or Europe/London");
    }
  }
  workspace_.default_region = fields.text("default_region");
  if (!workspace_.default_region.empty() && !is_region(workspace_.default_region)) {
    problems_.error(fields.spot_of("default_region"),
                    fmt::format("{} is no region", in_quotes(workspace_.default_region)),
                    workspace_.default_region == "UK"
                        ? "did you mean \"GB\"?"
                        : "use two capital letters of ISO 3166, such as GB or US");
  }
  if (const YamlNode* consent = fields.find("consent")) {
    Fields policy(*consent, "`consent`", problems_);
    workspace_.consent_unknown = policy.choice("unknown", false, {{"deny", false}, {"grant", true}});
    policy.finish();
  }
  workspace_.dedup_window = duration(fields, "dedup_window").value_or(workspace_.dedup_window);
  if (const YamlNode* keys = fields.find("write_keys")) {
    for (const YamlNode& key : one_or_many(*keys)) write_key(key);
  }
  if (const YamlNode* listed = fields.find("sources")) {
    for (const YamlNode& one : one_or_many(*listed)) source(one);
  }
  if (const YamlNode* files = fields.find("tls")) tls(*files);
  identity(fields);
  fields.finish();
}

std::optional<language::Type> Reader::type(const YamlNode& node) {
  const std::optional<std::string> text = scalar_text(node, "a type", problems_);
  if (!text) return std::nullopt;
  const Result<language::Type> found = parse_type(*text);
  if (!found) {
    problems_.error(node.spot, fmt::format("{} is no type", in_quotes(*text)), suggest(*text, type_names()));
    return std::nullopt;
  }
  return *found;
}

void Reader::properties(const YamlNode& node, EventRule& rule) {
  if (node.kind != YamlNode::Kind::mapping) {
    problems_.error(node.spot, "`properties` must be a mapping of names to types",
                    "write `order_id: string`");
    return;
  }
  for (const YamlNode::Entry& entry : node.entries) {
    PropertyRule property{.name = entry.key.text};
    if (entry.value.kind == YamlNode::Kind::mapping) {
      Fields fields(entry.value, "a property", problems_);
      if (const YamlNode* declared = fields.find("type"))
        property.type = type(*declared).value_or(property.type);
      if (const YamlNode* required = fields.find("required")) {
        property.required = scalar_boolean(*required, "`required`", problems_).value_or(false);
      }
      if (const YamlNode* from = fields.find("from")) {
        property.from_string = scalar_text(*from, "`from`", problems_) == "string";
        if (!property.from_string || property.type != language::Type::number)
          problems_.error(from->spot, "only a number can be read from another type, and only from a string",
                          "write `{type: number, from: string}`");
      }
      if (const YamlNode* indexed = fields.find("indexed")) {
        property.indexed = scalar_boolean(*indexed, "`indexed`", problems_).value_or(false);
        const bool scalar = property.type != language::Type::any && property.type != language::Type::list;
        if (property.indexed && (!scalar || property.name.find('.') != std::string::npos)) {
          problems_.error(indexed->spot, fmt::format("{} cannot be indexed", in_quotes(property.name)),
                          "`indexed` is for a property of type string, number, boolean or time, and not for "
                          "one inside a list or object");
        }
      }
      fields.finish();
    } else if (const std::optional<language::Type> declared = type(entry.value)) {
      property.type = *declared;
    }
    rule.properties.push_back(std::move(property));
  }
}

void Reader::event(const std::string& event_name, const YamlNode& key, const YamlNode& node) {
  EventRule rule;
  rule.name = event_name;
  check_name(event_name, key.spot);
  if (node.kind != YamlNode::Kind::null) {  // "Signed Up": alone is an event of which nothing more is said
    Fields fields(node, "an event", problems_);
    if (!fields.usable()) return;
    if (const YamlNode* aliases = fields.find("aliases")) {
      for (const YamlNode& alias : one_or_many(*aliases)) {
        if (auto text = scalar_text(alias, "an alias", problems_)) rule.aliases.push_back(std::move(*text));
      }
    }
    rule.owner = fields.text("owner");
    rule.description = fields.text("description");
    if (const YamlNode* declared = fields.find("properties")) properties(*declared, rule);
    fields.finish();
  }
  workspace_.taxonomy.events.push_back(std::move(rule));
  event_spots_.push_back(key.spot);
}

// Every name and alias stands for one event.
void Reader::check_aliases() {
  std::map<std::string, std::string> owners;
  for (std::size_t i = 0; i < workspace_.taxonomy.events.size(); ++i) {
    const EventRule& rule = workspace_.taxonomy.events[i];
    std::vector<std::string> names = rule.aliases;
    names.insert(names.begin(), rule.name);
    for (const std::string& own : names) {
      const auto [found, fresh] = owners.emplace(event_key(own), rule.name);
      if (!fresh) {
        problems_.error(
            event_spots_[i], fmt::format("the event name {} is taken twice", in_quotes(own)),
            fmt::format("it already stands for {} (case does not matter)", in_quotes(found->second)));
      }
    }
  }
}

// The file's own entries win: over an event of the same name they add and replace property by property, and
// a name they use ceases to be an alias of the preset.
void Reader::merge_presets(std::vector<EventRule> merged) {
  std::vector<EventRule>& own = workspace_.taxonomy.events;
  std::set<std::string> own_names;
  std::set<std::string> own_aliases;
  for (const EventRule& rule : own) {
    own_names.insert(event_key(rule.name));
    for (const std::string& alias : rule.aliases) own_aliases.insert(event_key(alias));
  }
  std::erase_if(merged,
                [&](const EventRule& preset) { return own_aliases.contains(event_key(preset.name)); });
  for (EventRule& preset : merged) {
    std::erase_if(preset.aliases, [&](const std::string& alias) {
      return own_names.contains(event_key(alias)) || own_aliases.contains(event_key(alias));
    });
  }
  for (EventRule& rule : own) {
    const auto preset = std::ranges::find_if(
        merged, [&](const EventRule& other) { return event_key(other.name) == event_key(rule.name); });
    if (preset == merged.end()) {
      merged.push_back(std::move(rule));
      continue;
    }
    preset->name = rule.name;
    preset->owner = rule.owner;
    if (!rule.description.empty()) preset->description = rule.description;
    preset->aliases.insert(preset->aliases.end(), rule.aliases.begin(), rule.aliases.end());
    for (PropertyRule& property : rule.properties) {
      const auto same = std::ranges::find(preset->properties, property.name, &PropertyRule::name);
      if (same == preset->properties.end()) {
        preset->properties.push_back(std::move(property));
      } else {
        *same = std::move(property);
      }
    }
  }
  own = std::move(merged);
}

void Reader::taxonomy_file(const YamlNode& root) {
  if (root.kind == YamlNode::Kind::null) return;
  Fields fields(root, "the taxonomy", problems_);
  if (!fields.usable()) return;
  std::set<std::string> used;
  if (const YamlNode* use = fields.find("use")) {
    for (const YamlNode& preset : one_or_many(*use)) {
      const std::optional<std::string> text = scalar_text(preset, "`use`", problems_);
      if (text && *text != "ecommerce" && *text != "messages") {
        problems_.error(preset.spot, fmt::format("there is no built-in taxonomy {}", in_quotes(*text)),
                        suggest(*text, {"ecommerce", "messages"}));
      }
      if (text) used.insert(*text);
    }
  }
  workspace_.taxonomy.unknown_events =
      fields.choice("unknown_events", UnknownEvents::quarantine,
                    {{"quarantine", UnknownEvents::quarantine}, {"admit", UnknownEvents::admit}});
  if (const YamlNode* events = fields.find("events")) {
    if (events->kind != YamlNode::Kind::mapping) {
      problems_.error(events->spot, "`events` must be a mapping of event names to what is known of them",
                      "write `\"Order Placed\": {...}`");
    }
    for (const YamlNode::Entry& entry : events->entries) event(entry.key.text, entry.key, entry.value);
  }
  if (const YamlNode* traits = fields.find("traits")) {
    if (traits->kind != YamlNode::Kind::mapping) {
      problems_.error(traits->spot, "`traits` must be a mapping of names to types",
                      "write `country: string`");
    }
    for (const YamlNode::Entry& entry : traits->entries) {
      workspace_.taxonomy.traits.push_back({entry.key.text, type(entry.value).value_or(language::Type::any)});
    }
  }
  fields.finish();
  check_aliases();
  std::vector<EventRule> presets;
  if (used.contains("ecommerce")) presets = ecommerce_events();
  if (used.contains("messages")) std::ranges::move(message_events(), std::back_inserter(presets));
  if (!presets.empty()) merge_presets(std::move(presets));
}

// definitions.yaml and attributes.yaml: `name: expression`, or a mapping with more about it.
void Reader::named_file(const YamlNode& root, std::string what, std::vector<Named>& out,
                        std::vector<NamedSite>& sites) {
  if (root.kind == YamlNode::Kind::null) return;
  if (root.kind != YamlNode::Kind::mapping) {
    problems_.error(root.spot, "the file must be a mapping of names to expressions",
                    "write `name: 'expression'`");
    return;
  }
  for (const YamlNode::Entry& entry : root.entries) {
    Named named;
    named.name = entry.key.text;
    if (!is_word(named.name)) {
      problems_.error(entry.key.spot, fmt::format("{} cannot name {}", in_quotes(named.name), what),
                      "use letters, digits and _, beginning with a letter");
      continue;
    }
    const YamlNode* expression = &entry.value;
    if (entry.value.kind == YamlNode::Kind::mapping) {
      Fields fields(entry.value, what, problems_);
      expression = fields.find("expression", Need::required);
      named.owner = fields.text("owner");
      named.purpose = fields.text("purpose");
      named.lifecycle = lifecycle(fields);
      fields.finish();
    }
    if (expression == nullptr) continue;
    const Spot fallback = entry.key.spot;
    YamlNode site = *expression;
    if (site.kind == YamlNode::Kind::null) site.spot = fallback;
    const std::optional<std::string> text = scalar_text(site, "the expression", problems_);
    if (!text) continue;
    named.text = *text;
    out.push_back(std::move(named));
    sites.push_back({entry.key.spot, std::move(site)});
  }
}

void Reader::segment(const YamlNode& node) {
  Fields fields(node, "a segment", problems_);
  if (!fields.usable()) return;
  Named named;
  named.name = name(fields);
  named.owner = fields.text("owner");
  named.purpose = fields.text("purpose");
  named.lifecycle = lifecycle(fields);
  const YamlNode* who = fields.find("who", Need::required);
  fields.finish();
  if (who == nullptr || named.name.empty()) return;
  const std::optional<std::string> text = scalar_text(*who, "`who`", problems_);
  if (!text) return;
  named.text = *text;
  const Spot spot = fields.spot_of("name");
  if (!is_first(workspace_.segments, named.name, spot, "segment",
                [&](std::size_t i) { return draft_.segments[i].name; }))
    return;
  workspace_.segments.push_back(std::move(named));
  draft_.segments.push_back({spot, *who});
}

void Reader::settings(Fields& fields, std::map<std::string, std::string>& out,
                      std::map<std::string, Spot>& sites) {
  const YamlNode* node = fields.find("settings");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    problems_.error(node->spot, "`settings` must be a mapping of names to values");
    return;
  }
  for (const YamlNode::Entry& entry : node->entries) {
    sites[entry.key.text] = entry.key.spot;
    if (auto text = scalar_text(entry.value, fmt::format("`{}`", entry.key.text), problems_)) {
      out[entry.key.text] = std::move(*text);
    }
  }
}

void Reader::credentials(Fields& fields, std::map<std::string, SecretReference>& out,
                         std::map<std::string, Spot>& sites) {
  const YamlNode* node = fields.find("credentials");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    problems_.error(node->spot, "`credentials` must be a mapping of names to references",
                    "write `access_token: {env: NAME}`");
    return;
  }
  for (const YamlNode::Entry& entry : node->entries) {
    sites[entry.key.text] = entry.key.spot;
    // A broken reference counts as given, so that it is not reported as missing too.
    out[entry.key.text] =
        secret(entry.value, fmt::format("`{}`", entry.key.text)).value_or(SecretReference{});
  }
}

void Reader::reach(Fields& fields, bool& allow_private_addresses, std::string& ca_file) {
  if (const YamlNode* allow = fields.find("allow_private_addresses"))
    allow_private_addresses = scalar_boolean(*allow, "`allow_private_addresses`", problems_).value_or(false);
  ca_file = fields.text("ca_file");
}

void Reader::destination(const YamlNode& node) {
  Fields fields(node, "a destination", problems_);
  if (!fields.usable()) return;
  DestinationConfig config;
  DestinationSite site;
  config.name = name(fields);
  config.type = fields.text("type", Need::required);
  settings(fields, config.settings, site.settings);
  credentials(fields, config.credentials, site.credentials);
  reach(fields, config.allow_private_addresses, config.ca_file);
  fields.finish();
  site.whole = fields.spot();
  site.name = fields.spot_of("name");
  site.type = fields.spot_of("type");
  if (config.name.empty() || !is_first(workspace_.destinations, config.name, site.name, "destination",
                                       [&](std::size_t i) { return draft_.destinations[i].name; })) {
    return;
  }
  workspace_.destinations.push_back(std::move(config));
  draft_.destinations.push_back(std::move(site));
}

// `holdout: 10%`, or `{share: 10%, salt: text}`.
void Reader::holdout(Fields& fields, SyncConfig& config) {
  const YamlNode* node = fields.find("holdout");
  if (node == nullptr) return;
  std::string share;
  Spot spot = node->spot;
  if (node->kind == YamlNode::Kind::mapping) {
    Fields parts(*node, "`holdout`", problems_);
    share = parts.text("share", Need::required);
    spot = parts.spot_of("share");
    config.holdout_salt = parts.text("salt");
    parts.finish();
  } else {
    share = scalar_text(*node, "`holdout`", problems_).value_or("");
  }
  if (share.empty()) return;
  if (const Result<std::uint32_t> parts = parse_share(share)) {
    config.holdout_per_million = *parts;
  } else {
    problems_.error(spot, parts.error().message);
  }
}

// `expiry: {stay: 90d, review: 2027-03-01}`.
void Reader::expiry(Fields& fields, SyncConfig& config, SyncSite& site) {
  const YamlNode* node = fields.find("expiry");
  if (node == nullptr) return;
  Fields parts(*node, "`expiry`", problems_);
  if (!parts.usable()) return;
  config.longest_stay = duration(parts, "stay");
  site.longest_stay = parts.spot_of("stay");
  const std::string day = parts.text("review");
  site.review_date = parts.spot_of("review");
  const bool has_part = parts.find("stay") != nullptr || !day.empty();
  parts.finish();
  if (!has_part) {
    problems_.error(parts.spot(), "`expiry` says neither `stay` nor `review`",
                    "write `{stay: 90d}`, `{review: 2027-03-01}` or both");
  }
  if (day.empty()) return;
  if (const auto review = parse_day(day)) {
    config.review_date = *review;
  } else {
    problems_.error(site.review_date, fmt::format("`review` cannot be {}", in_quotes(day)),
                    "write a day such as 2027-03-01; it begins at midnight of the workspace's time zone");
  }
}

std::optional<IdentifierKind> Reader::identifier(const YamlNode& node) {
  const std::optional<std::string> text = scalar_text(node, "an identifier", problems_);
  if (!text) return std::nullopt;
  const std::optional<IdentifierKind> kind = parse_identifier_kind(*text);
  if (!kind)
    problems_.error(node.spot, fmt::format("{} is no identifier", in_quotes(*text)),
                    suggest(*text, identifier_names()));
  return kind;
}

void Reader::identifiers(Fields& fields, SyncConfig& config, SyncSite& site) {
  const YamlNode* node = fields.find("identifiers");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::mapping) {
    for (const YamlNode::Entry& entry : node->entries) {
      const std::optional<IdentifierKind> kind = identifier(entry.key);
      const std::string which = scalar_text(entry.value, "`identifiers`", problems_).value_or("");
      if (!kind || which.empty()) continue;
      if (which != "all" && which != "primary") {
        problems_.error(entry.value.spot, fmt::format("{} of a kind cannot be uploaded", in_quotes(which)),
                        "write `all`, or `primary`");
        continue;
      }
      config.identifiers.push_back(*kind);
      site.identifiers.push_back(entry.key.spot);
      const bool has_primary = *kind != IdentifierKind::external_id && *kind != IdentifierKind::anonymous_id;
      if (!has_primary && which == "primary")
        problems_.error(entry.value.spot, fmt::format("{} has no primary value", in_quotes(to_string(*kind))),
                        "write `all`");
      if (has_primary && which == "all") config.every_value.push_back(*kind);
    }
    return;
  }
  for (const YamlNode& item : one_or_many(*node)) {
    const std::optional<IdentifierKind> kind = identifier(item);
    if (!kind) continue;
    if (std::ranges::find(config.identifiers, *kind) != config.identifiers.end()) {
      problems_.error(item.spot,
                      fmt::format("the identifier {} stands here twice", in_quotes(to_string(*kind))));
    } else {
      config.identifiers.push_back(*kind);
      site.identifiers.push_back(item.spot);
    }
  }
}

// A list of names, or a mapping of them to what the destination calls them.
void Reader::attributes(Fields& fields, SyncConfig& config, SyncSite& site) {
  const YamlNode* node = fields.find("attributes");
  if (node == nullptr) return;
  const auto add = [&](std::string name, std::string as, const Spot& spot) {
    if (name.empty() || as.empty())
      return problems_.error(spot, "an attribute and what it is called cannot be empty");
    if (std::ranges::find(config.attributes, as, &CarriedAttribute::as) != config.attributes.end())
      return problems_.error(spot, fmt::format("two attributes would be called {}", in_quotes(as)));
    config.attributes.push_back({std::move(name), std::move(as)});
    site.attributes.push_back(spot);
  };
  if (node->kind == YamlNode::Kind::mapping) {
    for (const auto& [key, value] : node->entries)
      add(key.text, scalar_text(value, "what an attribute is called", problems_).value_or(""), key.spot);
    return;
  }
  for (const YamlNode& item : one_or_many(*node)) {
    if (const auto text = scalar_text(item, "an attribute", problems_)) add(*text, *text, item.spot);
  }
}

// A whole number from 1 on.
std::uint64_t Reader::count(Fields& fields, std::string_view key, std::uint64_t fallback) {
  const std::string text = fields.text(key);
  if (text.empty()) return fallback;
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc() && end == text.data() + text.size() && number > 0) return number;
  problems_.error(fields.spot_of(key), fmt::format("{} is no `{}`", in_quotes(text), key),
                  "write a whole number, such as 1000");
  return fallback;
}

// Limits on what a run of a query may take away: `guards: {max_gone: 20%, min_size: 1000}`, or `none`.
void Reader::query_guards(Fields& fields, QuerySource& config) {
  config.guards = QuerySource::guards_of(config.spec.rows);
  const YamlNode* node = fields.find("guards");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && node->text == "none") {
    config.guards = {};
    return;
  }
  Fields given(*node, "`guards`", problems_);
  if (!given.usable()) return;
  Guards guards;
  if (const YamlNode* gone = given.find("max_gone")) max_change(*gone, "max_gone", guards);
  if (const YamlNode* empty = given.find("never_empty")) {
    if (scalar_boolean(*empty, "`never_empty`", problems_).value_or(false)) guards.size_min = 1;
  }
  guards.size_min = count(given, "min_size", guards.size_min);
  given.finish();
  config.guards = guards;
}

void Reader::query_source(const YamlNode& node) {
  Fields fields(node, "a source", problems_);
  if (!fields.usable()) return;
  QuerySource config;
  Given given{config.settings, config.credentials};
  config.name = name(fields);
  config.type = fields.text("type", Need::required);
  config.lifecycle = fields.choice("lifecycle", Lifecycle::active,
                                   {{"active", Lifecycle::active}, {"retired", Lifecycle::retired}});
  settings(fields, config.settings, given.setting_sites);
  credentials(fields, config.credentials, given.credential_sites);
  reach(fields, config.allow_private_addresses, config.ca_file);
  config.spec = read_query_spec(fields, problems_);
  query_guards(fields, config);
  config.rows_max = count(fields, "rows_max", config.rows_max);
  if (const std::string text = fields.text("cadence"); !text.empty()) {
    const Result<Cadence> cadence = parse_cadence(text);
    if (!cadence) {
      problems_.error(fields.spot_of("cadence"), cadence.error().message);
    } else if (cadence->kind == Cadence::Kind::realtime) {
      problems_.error(fields.spot_of("cadence"), "a database is asked now and then, a minute apart at least",
                      "write `cadence: every 15m`");
    } else {
      config.cadence = *cadence;
    }
  }
  fields.finish();
  if (!fits_path(config.name)) {
    problems_.error(fields.spot_of("name"), fmt::format("{} cannot name a source", in_quotes(config.name)),
                    "it names a folder of the store: use letters, digits, -, _ and .");
  }
  if (!config.name.empty()) check_source_name(config.name, fields.spot_of("name"));
  if (const sources::QueryEngine* engine = sources::find_query_engine(config.type)) {
    source_settings(engine->title, engine->settings, given, fields.spot());
  } else if (!config.type.empty()) {
    std::vector<std::string> types;
    for (const sources::QueryEngine& known : sources::query_engines()) types.emplace_back(known.type);
    problems_.error(fields.spot_of("type"),
                    fmt::format("there is no database type {}", in_quotes(config.type)),
                    sources::find_source(config.type) != nullptr
                        ? "sources that send stand in tailrace.yaml, under `sources`"
                        : suggest(config.type, types));
  }
  draft_.query_sources.push_back({.event = fields.spot_of("event"),
                                  .attribute = fields.spot_of("attribute"),
                                  .fields = fields.spot_of("traits")});
  workspace_.query_sources.push_back(std::move(config));
}

// "20%", "5000", or both in a list.
void Reader::max_change(const YamlNode& node, std::string_view key, Guards& guards) {
  for (const YamlNode& item : one_or_many(node)) {
    const std::string text = scalar_text(item, fmt::format("`{}`", key), problems_).value_or("");
    if (text.empty()) continue;
    std::uint32_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    const bool is_count = failure == std::errc() && end == text.data() + text.size() && count > 0;
    const Result<std::uint32_t> share = parse_share(text);
    const bool is_share = share && *share > 0;
    if ((is_count && guards.change_count) || (is_share && guards.change_share_per_million)) {
      problems_.error(item.spot, fmt::format("`{}` is given twice", key),
                      "name one share and one count at most");
    } else if (is_count) {
      guards.change_count = count;
    } else if (is_share) {
      guards.change_share_per_million = *share;
    } else {
      problems_.error(item.spot, fmt::format("{} is no `{}`", in_quotes(text), key),
                      "write a share of the members (20%), a number of people (5000), or both: [20%, 5000]");
    }
  }
}

void Reader::guards(Fields& fields, SyncConfig& config) {
  config.guards = Guards::of(config.effect);
  const YamlNode* node = fields.find("guards");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && node->text == "none") {
    config.guards = {};
    return;
  }
  Fields given(*node, "`guards`", problems_);
  if (!given.usable()) return;
  Guards guards;
  guards.safe_side = given.choice("safe_side", config.guards.safe_side,
                                  {{"none", Guards::SafeSide::none},
                                   {"additions", Guards::SafeSide::additions},
                                   {"removals", Guards::SafeSide::removals}});
  if (const YamlNode* change = given.find("max_change")) max_change(*change, "max_change", guards);
  if (const YamlNode* empty = given.find("never_empty")) {
    if (scalar_boolean(*empty, "`never_empty`", problems_).value_or(false)) guards.size_min = 1;
  }
  if (const std::string text = given.text("min_size"); !text.empty()) {
    std::uint32_t size = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (failure != std::errc() || end != text.data() + text.size() || size == 0) {
      problems_.error(given.spot_of("min_size"), fmt::format("{} is no `min_size`", in_quotes(text)),
                      "write a whole number of people, such as 1000");
    }
    guards.size_min = std::max<std::uint64_t>(guards.size_min, size);
  }
  given.finish();
  config.guards = guards;
}

void Reader::consent(Fields& fields, std::string& purpose) {
  purpose = fields.text("consent");
  if (purpose.empty() || is_word(purpose)) return;
  problems_.error(fields.spot_of("consent"), fmt::format("{} is no consent purpose", in_quotes(purpose)),
                  "use a word such as ads, ads_personalisation or email");
}

void Reader::mode(Fields& fields, Mode& mode, std::string& test_segment, Spot& site) {
  mode = fields.choice("mode", Mode::live,
                       {{"live", Mode::live}, {"test", Mode::test}, {"dry_run", Mode::dry_run}});
  test_segment = fields.text("test_segment");
  site = fields.spot_of(test_segment.empty() ? "mode" : "test_segment");
}

void Reader::batch_age(Fields& fields, Millis& age) {
  const auto given = duration(fields, "batch_age_max");
  if (!given) return;
  age = *given;
  if (age > kBatchAgeLongest) {
    problems_.error(fields.spot_of("batch_age_max"), "`batch_age_max` is longer than an hour",
                    "for slower syncs use `cadence: every 6h`");
  }
}

// Syncs of all kinds have names of one kind.
bool Reader::is_first_sync(const std::string& text, const Spot& spot) {
  return is_first(workspace_.syncs, text, spot, "sync",
                  [&](std::size_t i) { return draft_.syncs[i].name; }) &&
         is_first(workspace_.streams, text, spot, "sync",
                  [&](std::size_t i) { return draft_.streams[i].name; }) &&
         is_first(workspace_.warehouses, text, spot, "sync",
                  [&](std::size_t i) { return draft_.warehouses[i].name; });
}

void Reader::texts(Fields& fields, std::string_view key, std::vector<std::string>& out) {
  const YamlNode* node = fields.find(key);
  if (node == nullptr) return;
  for (const YamlNode& item : one_or_many(*node)) {
    if (auto text = scalar_text(item, fmt::format("`{}`", key), problems_)) out.push_back(std::move(*text));
  }
}

void Reader::text_map(Fields& fields, std::string_view key, std::map<std::string, std::string>& out,
                      std::map<std::string, Spot>& sites) {
  const YamlNode* node = fields.find(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    problems_.error(node->spot, fmt::format("`{}` must be a mapping of names to values", key));
    return;
  }
  for (const YamlNode::Entry& entry : node->entries) {
    sites[entry.key.text] = entry.key.spot;
    if (auto text = scalar_text(entry.value, fmt::format("`{}`", entry.key.text), problems_))
      out[entry.key.text] = std::move(*text);
  }
}

// `properties: {include: [...], exclude: [...], rename: {ours: theirs}, hash: [...], mask: [...]}`.
void Reader::selection(Fields& fields, destinations::Selection& selection) {
  const YamlNode* node = fields.find("properties");
  if (node == nullptr) return;
  Fields parts(*node, "`properties`", problems_);
  if (!parts.usable()) return;
  texts(parts, "include", selection.include);
  texts(parts, "exclude", selection.exclude);
  std::map<std::string, Spot> sites;
  text_map(parts, "rename", selection.rename, sites);
  texts(parts, "hash", selection.hash);
  texts(parts, "mask", selection.mask);
  parts.finish();
}

// `Order Completed:`, `Order Completed: Purchase`, `Order Completed: {name: Purchase, where: total > 10}`, or
// `Order Completed: false`.
void Reader::stream_event(const YamlNode& key, const YamlNode& value, StreamConfig& config,
                          StreamSite& site) {
  StreamEvent event{.event = key.text, .name = {}, .where = {}, .condition = nullptr};
  YamlNode condition;
  if (value.kind == YamlNode::Kind::mapping) {
    Fields parts(value, "an event", problems_);
    event.name = parts.text("name");
    if (const YamlNode* where = parts.find("where")) {
      event.where = scalar_text(*where, "`where`", problems_).value_or("");
      condition = *where;
    }
    parts.finish();
  } else if (value.kind == YamlNode::Kind::scalar && value.text == "false") {
    event.sent = false;
  } else if (value.kind == YamlNode::Kind::scalar) {
    event.name = value.text;
  } else if (value.kind != YamlNode::Kind::null) {
    problems_.error(value.spot, fmt::format("{} cannot be a list", in_quotes(key.text)),
                    "write the platform's name of it, `{name: ..., where: ...}`, or false");
  }
  const auto same = [&](const StreamEvent& other) {
    return event_key(other.event) == event_key(event.event);
  };
  if (std::ranges::any_of(config.events, same)) {
    problems_.error(key.spot, fmt::format("the event {} stands here twice", in_quotes(key.text)));
    return;
  }
  config.events.push_back(std::move(event));
  site.events.push_back(key.spot);
  site.conditions.push_back(std::move(condition));
}

// `events: all`, a list of names, or a mapping of names to what the platform calls them. "*" among them is
// whatever else the destination takes.
void Reader::stream_events(Fields& fields, StreamConfig& config, StreamSite& site) {
  const YamlNode& node = *fields.find("events");
  if (node.kind == YamlNode::Kind::scalar && node.text == "all") {
    config.every_event = true;
  } else if (node.kind == YamlNode::Kind::mapping) {
    for (const YamlNode::Entry& entry : node.entries) {
      if (entry.key.text == "*") {
        config.every_event = true;
      } else {
        stream_event(entry.key, entry.value, config, site);
      }
    }
  } else {
    for (const YamlNode& item : one_or_many(node)) {
      if (!scalar_text(item, "an event", problems_)) continue;
      if (item.text == "*") {
        config.every_event = true;
      } else {
        stream_event(item, {}, config, site);
      }
    }
  }
  if (!config.every_event && config.events.empty())
    problems_.error(node.spot, "`events` names no event",
                    "write `events: all`, or the events that are to be sent");
}

void Reader::requests_in_flight(Fields& fields, StreamConfig& config) {
  const YamlNode* node = fields.find("requests_in_flight");
  if (node == nullptr) return;
  const std::string text = scalar_text(*node, "`requests_in_flight`", problems_).value_or("1");
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fits = error == std::errc{} && end == text.data() + text.size() && number >= 1 &&
                    number <= StreamConfig::kRequestsInFlightMax;
  if (fits) {
    config.requests_in_flight = number;
  } else {
    problems_.error(node->spot, fmt::format("`requests_in_flight` is a whole number from 1 to {}",
                                            StreamConfig::kRequestsInFlightMax));
  }
}

void Reader::stream(Fields& fields) {
  StreamConfig config;
  StreamSite site;
  config.name = name(fields);
  config.destination = fields.text("destination", Need::required);
  config.lifecycle = fields.choice("lifecycle", Lifecycle::active,
                                   {{"active", Lifecycle::active}, {"retired", Lifecycle::retired}});
  mode(fields, config.mode, config.test_segment, site.test_segment);
  stream_events(fields, config, site);
  config.people = fields.text("people");
  consent(fields, config.consent_purpose);
  text_map(fields, "fields", config.fields, site.fields);
  config.currency = fields.text("currency");
  selection(fields, config.properties);
  config.start =
      fields.choice("start", StreamConfig::Start::now,
                    {{"now", StreamConfig::Start::now}, {"beginning", StreamConfig::Start::beginning}});
  config.ambiguity =
      fields.choice("no_answer", Ambiguity::hold, {{"hold", Ambiguity::hold}, {"resend", Ambiguity::resend}});
  batch_age(fields, config.batch_age_max);
  requests_in_flight(fields, config);
  settings(fields, config.settings, site.settings);
  fields.finish();
  site.whole = fields.spot();
  site.name = fields.spot_of("name");
  site.destination = fields.spot_of("destination");
  site.people = fields.spot_of("people");
  site.currency = fields.spot_of("currency");
  if (config.name.empty() || !is_first_sync(config.name, site.name)) return;
  workspace_.streams.push_back(std::move(config));
  draft_.streams.push_back(std::move(site));
}

// `tables: all`, or a list of their names.
void Reader::warehouse(Fields& fields) {
  WarehouseConfig config;
  WarehouseSite site;
  config.name = name(fields);
  config.destination = fields.text("destination", Need::required);
  config.lifecycle = fields.choice("lifecycle", Lifecycle::active,
                                   {{"active", Lifecycle::active}, {"retired", Lifecycle::retired}});
  const YamlNode& tables = *fields.find("tables");
  for (const YamlNode& item : one_or_many(tables)) {
    auto text = scalar_text(item, "a table", problems_);
    if (!text || (tables.kind == YamlNode::Kind::scalar && *text == "all")) continue;
    config.tables.push_back(std::move(*text));
    site.tables.push_back(item.spot);
  }
  if (const std::string text = fields.text("cadence"); !text.empty()) {
    const Result<Cadence> cadence = parse_cadence(text);
    if (!cadence) {
      problems_.error(fields.spot_of("cadence"), cadence.error().message);
    } else if (cadence->kind == Cadence::Kind::realtime) {
      problems_.error(fields.spot_of("cadence"), "a warehouse is loaded in packs, a minute apart at least",
                      "write `cadence: every 1m`, or longer");
    } else {
      config.cadence = *cadence;
    }
  }
  config.start =
      fields.choice("start", StreamConfig::Start::beginning,
                    {{"now", StreamConfig::Start::now}, {"beginning", StreamConfig::Start::beginning}});
  settings(fields, config.settings, site.settings);
  fields.finish();
  site.whole = fields.spot();
  site.name = fields.spot_of("name");
  site.destination = fields.spot_of("destination");
  if (config.name.empty() || !is_first_sync(config.name, site.name)) return;
  workspace_.warehouses.push_back(std::move(config));
  draft_.warehouses.push_back(std::move(site));
}

void Reader::sync(const YamlNode& node) {
  Fields fields(node, "a sync", problems_);
  if (!fields.usable()) return;
  if (fields.find("events") != nullptr && fields.find("segment") == nullptr) return stream(fields);
  if (fields.find("tables") != nullptr && fields.find("segment") == nullptr) return warehouse(fields);
  SyncConfig config;
  SyncSite site;
  config.name = name(fields);
  config.segment = fields.text("segment", Need::required);
  config.destination = fields.text("destination", Need::required);
  config.effect = fields.choice("effect", Effect::target,
                                {{"target", Effect::target}, {"suppress", Effect::suppress}}, Need::required);
  config.lifecycle = fields.choice("lifecycle", Lifecycle::active,
                                   {{"active", Lifecycle::active}, {"retired", Lifecycle::retired}});
  mode(fields, config.mode, config.test_segment, site.test_segment);
  identifiers(fields, config, site);
  attributes(fields, config, site);
  if (const std::string text = fields.text("cadence"); !text.empty()) {
    if (const Result<Cadence> cadence = parse_cadence(text)) {
      config.cadence = *cadence;
    } else {
      problems_.error(fields.spot_of("cadence"), cadence.error().message);
    }
  }
  if (const YamlNode* exclusions = fields.find("exclusions")) {
    for (const YamlNode& item : one_or_many(*exclusions)) {
      if (auto text = scalar_text(item, "an exclusion", problems_)) {
        config.exclusions.push_back(std::move(*text));
        site.exclusions.push_back(item.spot);
      }
    }
  }
  consent(fields, config.consent_purpose);
  config.holdout_salt = config.name;
  holdout(fields, config);
  if (config.holdout_salt.empty()) config.holdout_salt = config.name;
  config.audience_id = fields.text("audience_id");
  guards(fields, config);
  config.twin = fields.text("twin");
  config.drift = fields.choice("drift", DriftPolicy::alert,
                               {{"alert", DriftPolicy::alert},
                                {"adopt", DriftPolicy::adopt},
                                {"reassert", DriftPolicy::reassert},
                                {"freeze", DriftPolicy::freeze}});
  settings(fields, config.settings, site.settings);
  batch_age(fields, config.batch_age_max);
  config.minimum_stay = duration(fields, "minimum_stay");
  expiry(fields, config, site);
  config.objective = duration(fields, "objective");
  fields.finish();
  site.whole = fields.spot();
  site.name = fields.spot_of("name");
  site.segment = fields.spot_of("segment");
  site.destination = fields.spot_of("destination");
  site.effect = fields.spot_of("effect");
  site.holdout = fields.spot_of("holdout");
  site.audience_id = fields.spot_of("audience_id");
  site.twin = fields.spot_of("twin");
  site.minimum_stay = fields.spot_of("minimum_stay");
  site.objective = fields.spot_of("objective");
  if (config.name.empty() || !is_first_sync(config.name, site.name)) return;
  workspace_.syncs.push_back(std::move(config));
  draft_.syncs.push_back(std::move(site));
}

// A file of segments/, sources/, destinations/ or syncs/: one thing, or a list of them.
template <class Read>
void each(const YamlNode& root, const SourceFile& file, Problems& problems, const Read& read) {
  if (root.kind == YamlNode::Kind::null) {
    problems.warning_in(file.name, "the file is empty", "remove it, or write what belongs here");
    return;
  }
  for (const YamlNode& node : one_or_many(root)) read(node);
}

}  // namespace

std::string event_key(std::string_view name) {
  const std::size_t first = name.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  std::string key(name.substr(first, name.find_last_not_of(" \t\r\n") - first + 1));
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return key;
}

Draft read_files(std::span<const SourceFile> files, Problems& problems) {
  Draft draft;
  Workspace& workspace = draft.workspace;
  Reader reader(problems, draft);
  for (const SourceFile& file : files) {
    const std::optional<YamlNode> root = read_yaml(file, problems);
    if (!root) continue;
    const std::string_view folder = std::string_view(file.name).substr(0, file.name.find('/'));
    if (file.name == "tailrace.yaml") {
      reader.tailrace_file(*root);
    } else if (file.name == "taxonomy.yaml") {
      reader.taxonomy_file(*root);
    } else if (file.name == "definitions.yaml") {
      reader.named_file(*root, "a definition", workspace.definitions, draft.definitions);
    } else if (file.name == "attributes.yaml") {
      reader.named_file(*root, "a computed attribute", workspace.attributes, draft.attributes);
    } else if (folder == "segments") {
      each(*root, file, problems, [&](const YamlNode& node) { reader.segment(node); });
    } else if (folder == "sources") {
      each(*root, file, problems, [&](const YamlNode& node) { reader.query_source(node); });
    } else if (folder == "destinations") {
      each(*root, file, problems, [&](const YamlNode& node) { reader.destination(node); });
    } else if (folder == "syncs") {
      each(*root, file, problems, [&](const YamlNode& node) { reader.sync(node); });
    }
  }
  const bool named =
      std::ranges::any_of(files, [](const SourceFile& file) { return file.name == "tailrace.yaml"; });
  if (!named) {
    problems.error_in("tailrace.yaml", "the file is missing",
                      "`tailrace init DIR` writes a workspace to start from");
  }
  return draft;
}

}  // namespace tailrace::workspace
