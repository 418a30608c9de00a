// The normalised workspace: one JSON document, members in a fixed order, nothing left out that is not a
// default of the format. Secrets appear by name only.
#include <limits>

#include <fmt/format.h>

#include "workspace/check.h"
#include "workspace/values.h"

namespace tailrace::workspace {

namespace {

constexpr std::int64_t kVersion = 1;

class Object {
 public:
  Object& add(const char* name, Value value) {
    value_.members.emplace_back(name, std::move(value));
    return *this;
  }
  Object& add(const char* name, const std::string& text) { return add(name, Value::of(text)); }
  Object& add(const char* name, std::string_view text) { return add(name, Value::of(std::string(text))); }
  Object& add(const char* name, std::int64_t number) { return add(name, Value::of(Number::integer(number))); }
  Object& add_flag(const char* name, bool flag) { return add(name, Value::of(flag)); }
  Value take() { return std::move(value_); }

 private:
  Value value_ = Value::with(Value::Kind::object);
};

template <class T>
Value list_of(const std::vector<T>& things, const auto& write) {
  Value list = Value::with(Value::Kind::list);
  for (const T& thing : things) list.list.push_back(write(thing));
  return list;
}

Value texts(const std::vector<std::string>& things) {
  return list_of(things, [](const std::string& text) { return Value::of(text); });
}

Value write_map(const std::map<std::string, std::string>& entries) {
  Value object = Value::with(Value::Kind::object);
  for (const auto& [name, text] : entries) object.members.emplace_back(name, Value::of(text));
  return object;
}

// One enum, one table, both ways.
template <class Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};
constexpr EnumName<Lifecycle> kLifecycles[] = {
    {Lifecycle::draft, "draft"}, {Lifecycle::active, "active"}, {Lifecycle::retired, "retired"}};
constexpr EnumName<Effect> kEffects[] = {{Effect::target, "target"}, {Effect::suppress, "suppress"}};
constexpr EnumName<DriftPolicy> kDriftPolicies[] = {{DriftPolicy::alert, "alert"},
                                                    {DriftPolicy::adopt, "adopt"},
                                                    {DriftPolicy::reassert, "reassert"},
                                                    {DriftPolicy::freeze, "freeze"}};
constexpr EnumName<StreamConfig::Start> kStarts[] = {{StreamConfig::Start::now, "now"},
                                                     {StreamConfig::Start::beginning, "beginning"}};
constexpr EnumName<Ambiguity> kAmbiguities[] = {{Ambiguity::hold, "hold"}, {Ambiguity::resend, "resend"}};
constexpr EnumName<Guards::SafeSide> kSafeSides[] = {{Guards::SafeSide::none, "none"},
                                                     {Guards::SafeSide::additions, "additions"},
                                                     {Guards::SafeSide::removals, "removals"}};
constexpr EnumName<UnknownEvents> kUnknownEvents[] = {{UnknownEvents::quarantine, "quarantine"},
                                                      {UnknownEvents::admit, "admit"}};
constexpr EnumName<SecretReference::Kind> kSecretKinds[] = {{SecretReference::Kind::none, "none"},
                                                            {SecretReference::Kind::environment, "env"},
                                                            {SecretReference::Kind::file, "file"},
                                                            {SecretReference::Kind::command, "command"}};
constexpr EnumName<Mode> kModes[] = {{Mode::live, "live"}, {Mode::test, "test"}, {Mode::dry_run, "dry_run"}};

template <class Enum, std::size_t n>
std::string_view name_of(const EnumName<Enum> (&table)[n], Enum value) {
  for (const auto& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

Value write(const SecretReference& secret) {
  Object object;
  object.add("from", name_of(kSecretKinds, secret.kind)).add("name", secret.name);
  if (!secret.arguments.empty()) object.add("arguments", texts(secret.arguments));
  if (secret.ends_at) object.add("ends_ms", secret.ends_at->ms);
  return object.take();
}

Value write(const Named& named) {
  return Object()
      .add("name", named.name)
      .add("owner", named.owner)
      .add("purpose", named.purpose)
      .add("lifecycle", name_of(kLifecycles, named.lifecycle))
      .add("expression", named.text)
      .take();
}

Value write(const IdentityRules& rules) {
  Value kinds = Value::with(Value::Kind::object);
  for (std::size_t i = 0; i < IdentityRules::kKinds; ++i) {
    const auto& rule = rules.kinds[i];
    Object object;
    object.add_flag("merges", rule.merges);
    if (rule.people_max) object.add("people_max", std::int64_t{*rule.people_max});
    if (rule.values_max) object.add("values_max", std::int64_t{*rule.values_max});
    object.add("blocked", texts(rule.blocked));
    kinds.members.emplace_back(to_string(static_cast<IdentifierKind>(i)), object.take());
  }
  return Object()
      .add_flag("blocks_placeholders", rules.blocks_placeholders)
      .add("kinds", std::move(kinds))
      .take();
}

Value write(const PropertyRule& rule) {
  Object object;
  object.add("name", rule.name).add("type", print_type(rule.type)).add_flag("required", rule.required);
  // Left out where it says nothing: workspaces that were applied before it came are the same as ever.
  if (rule.from_string) object.add_flag("from_string", true);
  if (rule.indexed) object.add_flag("indexed", true);
  return object.take();
}

Value write(const EventRule& rule) {
  return Object()
      .add("name", rule.name)
      .add("aliases", texts(rule.aliases))
      .add("owner", rule.owner)
      .add("description", rule.description)
      .add("properties",
           list_of(rule.properties, [](const PropertyRule& property) { return write(property); }))
      .take();
}

Value write(const Taxonomy& taxonomy) {
  return Object()
      .add("unknown_events", name_of(kUnknownEvents, taxonomy.unknown_events))
      .add("events", list_of(taxonomy.events, [](const EventRule& rule) { return write(rule); }))
      .add("traits",
           list_of(taxonomy.traits,
                   [](const TraitRule& rule) {
                     return Object().add("name", rule.name).add("type", print_type(rule.type)).take();
                   }))
      .take();
}

Value write(const WriteKey& key) {
  Object object;
  object.add("name", key.name).add("secret", write(key.secret));
  if (key.requests_per_second > 0) object.add("requests_per_second", std::int64_t{key.requests_per_second});
  return object.take();
}

Value write(const SourceEntry& entry) {
  Value credentials = Value::with(Value::Kind::object);
  for (const auto& [name, secret] : entry.credentials) credentials.members.emplace_back(name, write(secret));
  Object object;
  object.add("name", entry.name)
      .add("type", entry.type)
      .add("settings", write_map(entry.settings))
      .add("credentials", std::move(credentials));
  if (entry.requests_per_second > 0)
    object.add("requests_per_second", std::int64_t{entry.requests_per_second});
  return object.take();
}

// How a destination, or a database that is asked, is reached.
Object reach_of(const auto& config) {
  Value credentials = Value::with(Value::Kind::object);
  for (const auto& [name, secret] : config.credentials) credentials.members.emplace_back(name, write(secret));
  Object object;
  object.add("name", config.name)
      .add("type", config.type)
      .add("settings", write_map(config.settings))
      .add("credentials", std::move(credentials));
  if (config.allow_private_addresses) object.add_flag("allow_private_addresses", true);
  if (!config.ca_file.empty()) object.add("ca_file", config.ca_file);
  return object;
}

Value write(const DestinationConfig& config) { return reach_of(config).take(); }

Value write(const Guards& guards) {
  Object object;
  if (guards.change_share_per_million)
    object.add("change_share_per_million", std::int64_t{*guards.change_share_per_million});
  if (guards.change_count) object.add("change_count", static_cast<std::int64_t>(*guards.change_count));
  if (guards.size_min > 0) object.add("size_min", static_cast<std::int64_t>(guards.size_min));
  return object.add("safe_side", name_of(kSafeSides, guards.safe_side)).take();
}

Value write(const SyncConfig& config) {
  Object object;
  object.add("name", config.name)
      .add("segment", config.segment)
      .add("destination", config.destination)
      .add("effect", name_of(kEffects, config.effect))
      .add("identifiers", list_of(config.identifiers, [](IdentifierKind kind) {
             return Value::of(std::string(to_string(kind)));
           }));
  // Left out where it says nothing, as syncs were written before it came.
  if (!config.every_value.empty())
    object.add("every_value", list_of(config.every_value, [](IdentifierKind kind) {
                 return Value::of(std::string(to_string(kind)));
               }));
  object.add("cadence", print_cadence(config.cadence))
      .add("exclusions", texts(config.exclusions))
      .add("consent_purpose", config.consent_purpose)
      .add("holdout_per_million", std::int64_t{config.holdout_per_million})
      .add("holdout_salt", config.holdout_salt)
      .add("audience_id", config.audience_id)
      .add("settings", write_map(config.settings))
      .add("batch_age_max_ms", config.batch_age_max.count);
  if (config.guards != Guards::of(config.effect)) object.add("guards", write(config.guards));
  if (!config.twin.empty()) object.add("twin", config.twin);
  if (config.drift != DriftPolicy::alert) object.add("drift", name_of(kDriftPolicies, config.drift));
  // Left out where they say nothing, as above.
  if (!config.attributes.empty()) {
    object.add("attributes", list_of(config.attributes, [](const CarriedAttribute& one) {
                 return Object().add("name", one.name).add("as", one.as).take();
               }));
  }
  if (config.mode != Mode::live) object.add("mode", name_of(kModes, config.mode));
  if (!config.test_segment.empty()) object.add("test_segment", config.test_segment);
  if (config.is_retired()) object.add("lifecycle", name_of(kLifecycles, config.lifecycle));
  if (config.minimum_stay) object.add("minimum_stay_ms", config.minimum_stay->count);
  if (config.longest_stay) object.add("longest_stay_ms", config.longest_stay->count);
  if (config.review_date) object.add("review_date_ms", config.review_date->ms);
  if (config.objective) object.add("objective_ms", config.objective->count);
  return object.take();
}

Value write(const StreamConfig& config) {
  const auto event = [](const StreamEvent& one) {
    Object object;
    object.add("event", one.event);
    if (!one.name.empty()) object.add("name", one.name);
    if (!one.sent) object.add_flag("sent", false);
    if (!one.where.empty()) object.add("where", one.where);
    return object.take();
  };
  Object object;
  object.add("name", config.name)
      .add("destination", config.destination)
      .add_flag("every_event", config.every_event)
      .add("events", list_of(config.events, event))
      .add("batch_age_max_ms", config.batch_age_max.count);
  if (config.is_retired()) object.add("lifecycle", name_of(kLifecycles, config.lifecycle));
  if (config.mode != Mode::live) object.add("mode", name_of(kModes, config.mode));
  if (!config.test_segment.empty()) object.add("test_segment", config.test_segment);
  if (!config.people.empty()) object.add("people", config.people);
  if (!config.consent_purpose.empty()) object.add("consent_purpose", config.consent_purpose);
  if (!config.fields.empty()) object.add("fields", write_map(config.fields));
  if (!config.currency.empty()) object.add("currency", config.currency);
  if (!config.properties.empty()) {
    object.add("properties", Object()
                                 .add("include", texts(config.properties.include))
                                 .add("exclude", texts(config.properties.exclude))
                                 .add("rename", write_map(config.properties.rename))
                                 .add("hash", texts(config.properties.hash))
                                 .add("mask", texts(config.properties.mask))
                                 .take());
  }
  if (config.start != StreamConfig::Start::now) object.add("start", name_of(kStarts, config.start));
  if (config.ambiguity != Ambiguity::hold) object.add("no_answer", name_of(kAmbiguities, config.ambiguity));
  if (config.requests_in_flight != StreamConfig().requests_in_flight)
    object.add("requests_in_flight", std::int64_t{config.requests_in_flight});
  if (!config.settings.empty()) object.add("settings", write_map(config.settings));
  return object.take();
}

Value write(const WarehouseConfig& config) {
  Object object;
  object.add("name", config.name).add("destination", config.destination);
  if (!config.tables.empty()) object.add("tables", texts(config.tables));
  object.add("cadence", print_cadence(config.cadence));
  if (config.is_retired()) object.add("lifecycle", name_of(kLifecycles, config.lifecycle));
  if (config.start != StreamConfig::Start::beginning) object.add("start", name_of(kStarts, config.start));
  if (!config.settings.empty()) object.add("settings", write_map(config.settings));
  return object.take();
}

constexpr EnumName<sources::RowsAs> kRowsAs[] = {{sources::RowsAs::people, "people"},
                                                 {sources::RowsAs::events, "events"},
                                                 {sources::RowsAs::members, "members"}};

Value write(const QuerySource& source) {
  Object object = reach_of(source);
  if (source.is_retired()) object.add("lifecycle", name_of(kLifecycles, source.lifecycle));
  const sources::QuerySpec& spec = source.spec;
  object.add("query", spec.query).add("rows", name_of(kRowsAs, spec.rows)).add("key", texts(spec.key));
  for (const auto& [name, column] :
       {std::pair("user_id", &spec.user_id), std::pair("anonymous_id", &spec.anonymous_id),
        std::pair("email", &spec.email), std::pair("phone", &spec.phone), std::pair("event", &spec.event),
        std::pair("event_column", &spec.event_column), std::pair("time", &spec.time_column),
        std::pair("attribute", &spec.attribute)}) {
    if (!column->empty()) object.add(name, *column);
  }
  if (!spec.every_column) object.add("fields", write_map(spec.fields));
  if (spec.gone == sources::Gone::keep) object.add_flag("keep_gone", true);
  object.add("time_zone", spec.time_zone).add("cadence", print_cadence(source.cadence));
  if (source.guards != QuerySource::guards_of(spec.rows)) object.add("guards", write(source.guards));
  if (source.rows_max != QuerySource::kRowsMax)
    object.add("rows_max", static_cast<std::int64_t>(source.rows_max));
  return object.take();
}

// The members of a JSON object, each named in the error where it is missing or of another kind.
class Members {
 public:
  static Result<Members> of(const Value& value, std::string what) {
    if (value.kind != Value::Kind::object) return invalid(fmt::format("{} is no JSON object", what));
    return Members(value, std::move(what));
  }

  bool has(const char* name) const { return value_->find(name) != nullptr; }
  Result<const Value*> member(const char* name, Value::Kind kind) const {
    const Value* found = value_->find(name);
    if (found == nullptr) return invalid(fmt::format("{} lacks {}", what_, name));
    if (found->kind != kind)
      return invalid(fmt::format("{}: {} is of another kind than it should be", what_, name));
    return found;
  }
  Result<std::string> text(const char* name) const {
    return TRY(member(name, Value::Kind::string))
    ->string;
  }
  Result<bool> flag(const char* name) const {
    return TRY(member(name, Value::Kind::boolean))
    ->boolean;
  }
  Result<std::int64_t> integer(const char* name, std::int64_t least, std::int64_t most) const {
    const auto decimal = TRY(member(name, Value::Kind::number))
    ->number.as_decimal();
    if (!decimal || decimal->scale != 0 || decimal->mantissa < least || decimal->mantissa > most) {
      return invalid(fmt::format("{}: {} is no whole number in its range", what_, name));
    }
    return decimal->mantissa;
  }
  // A positive length of time, where there is one.
  Result<std::optional<Millis>> length(const char* name) const {
    if (!has(name)) return std::nullopt;
    return Millis { TRY(integer(name, 1, std::numeric_limits<std::int64_t>::max())) };
  }
  template <class Enum, std::size_t n>
  Result<Enum> choice(const char* name, const EnumName<Enum> (&table)[n]) const {
    const std::string text_of = TRY(text(name));
    for (const auto& entry : table) {
      if (entry.name == text_of) return entry.value;
    }
    return invalid(fmt::format("{}: {} cannot be {}", what_, name, in_quotes(text_of)));
  }
  // The member of that kind, as `read` reads it.
  template <class T>
  Result<T> part(const char* name, Value::Kind kind, Result<T> (*read)(const Value&)) const {
    return read(*TRY(member(name, kind)));
  }
  template <class T>
  Result<std::vector<T>> list(const char* name, Result<T> (*read)(const Value&)) const {
    std::vector<T> out;
    for (const Value& item : TRY(member(name, Value::Kind::list))->list) out.push_back(TRY(read(item)));
    return out;
  }

 private:
  Members(const Value& value, std::string what) : value_(&value), what_(std::move(what)) {}
  const Value* value_;
  std::string what_;
};

Result<std::string> read_text(const Value& value) {
  if (value.kind != Value::Kind::string) return invalid("an element of a list is no text");
  return value.string;
}

Result<std::map<std::string, std::string>> read_map(const Value& value) {
  std::map<std::string, std::string> out;
  for (const auto& [name, text] : value.members) out[name] = TRY(read_text(text));
  return out;
}

Result<IdentityRules> read_identity(const Value& value) {
  const Members members = TRY(Members::of(value, "the rules of identity"));
  IdentityRules rules;
  rules.blocks_placeholders = TRY(members.flag("blocks_placeholders"));
  const Members kinds = TRY(Members::of(*TRY(members.member("kinds", Value::Kind::object)), "the kinds"));
  for (std::size_t i = 0; i < IdentityRules::kKinds; ++i) {
    const std::string name(to_string(static_cast<IdentifierKind>(i)));
    const Members kind = TRY(Members::of(*TRY(kinds.member(name.c_str(), Value::Kind::object)), name));
    auto& rule = rules.kinds[i];
    rule.merges = TRY(kind.flag("merges"));
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    if (kind.has("people_max"))
      rule.people_max = static_cast<std::uint32_t>(TRY(kind.integer("people_max", 2, kMost)));
    if (kind.has("values_max"))
      rule.values_max = static_cast<std::uint32_t>(TRY(kind.integer("values_max", 1, kMost)));
    rule.blocked = TRY(kind.list<std::string>("blocked", read_text));
  }
  return rules;
}

Result<SecretReference> read_secret(const Value& value) {
  const Members members = TRY(Members::of(value, "a secret's reference"));
  SecretReference secret;
  secret.kind = TRY(members.choice("from", kSecretKinds));
  secret.name = TRY(members.text("name"));
  if (members.has("arguments")) secret.arguments = TRY(members.list<std::string>("arguments", read_text));
  if (members.has("ends_ms")) secret.ends_at = Time {
      TRY(members.integer("ends_ms", kTimeMin.ms, kTimeMax.ms))
    };
  return secret;
}

Result<Named> read_named(const Value& value) {
  const Members members = TRY(Members::of(value, "a named expression"));
  Named named;
  named.name = TRY(members.text("name"));
  named.owner = TRY(members.text("owner"));
  named.purpose = TRY(members.text("purpose"));
  named.lifecycle = TRY(members.choice("lifecycle", kLifecycles));
  named.text = TRY(members.text("expression"));
  return named;
}

Result<language::Type> read_type(const Value& value) { return parse_type(value.string); }

Result<PropertyRule> read_property(const Value& value) {
  const Members members = TRY(Members::of(value, "a property"));
  PropertyRule rule;
  rule.name = TRY(members.text("name"));
  rule.type = TRY(members.part("type", Value::Kind::string, read_type));
  rule.required = TRY(members.flag("required"));
  rule.from_string = members.has("from_string") && TRY(members.flag("from_string"));
  rule.indexed = members.has("indexed") && TRY(members.flag("indexed"));
  return rule;
}

Result<EventRule> read_event(const Value& value) {
  const Members members = TRY(Members::of(value, "an event"));
  EventRule rule;
  rule.name = TRY(members.text("name"));
  rule.aliases = TRY(members.list<std::string>("aliases", read_text));
  rule.owner = TRY(members.text("owner"));
  rule.description = TRY(members.text("description"));
  rule.properties = TRY(members.list<PropertyRule>("properties", read_property));
  return rule;
}

Result<TraitRule> read_trait(const Value& value) {
  const Members members = TRY(Members::of(value, "a trait"));
  TraitRule rule;
  rule.name = TRY(members.text("name"));
  rule.type = TRY(members.part("type", Value::Kind::string, read_type));
  return rule;
}

Result<Taxonomy> read_taxonomy(const Value& value) {
  const Members members = TRY(Members::of(value, "the taxonomy"));
  Taxonomy taxonomy;
  taxonomy.unknown_events = TRY(members.choice("unknown_events", kUnknownEvents));
  taxonomy.events = TRY(members.list<EventRule>("events", read_event));
  taxonomy.traits = TRY(members.list<TraitRule>("traits", read_trait));
  return taxonomy;
}

Result<WriteKey> read_write_key(const Value& value) {
  const Members members = TRY(Members::of(value, "a write key"));
  WriteKey key;
  key.name = TRY(members.text("name"));
  key.secret = TRY(members.part("secret", Value::Kind::object, read_secret));
  if (members.has("requests_per_second")) {
    key.requests_per_second = static_cast<std::uint32_t>(
        TRY(members.integer("requests_per_second", 1, std::numeric_limits<std::uint32_t>::max())));
  }
  return key;
}

Result<SourceEntry> read_source(const Value& value) {
  const Members members = TRY(Members::of(value, "a source"));
  SourceEntry entry;
  entry.name = TRY(members.text("name"));
  entry.type = TRY(members.text("type"));
  entry.settings = TRY(members.part("settings", Value::Kind::object, read_map));
  for (const auto& [name, secret] : TRY(members.member("credentials", Value::Kind::object))->members) {
    entry.credentials[name] = TRY(read_secret(secret));
  }
  if (members.has("requests_per_second")) {
    entry.requests_per_second = static_cast<std::uint32_t>(
        TRY(members.integer("requests_per_second", 1, std::numeric_limits<std::uint32_t>::max())));
  }
  return entry;
}

Result<void> read_reach(const Members& members, auto& config) {
  config.name = TRY(members.text("name"));
  config.type = TRY(members.text("type"));
  config.settings = TRY(members.part("settings", Value::Kind::object, read_map));
  for (const auto& [name, secret] : TRY(members.member("credentials", Value::Kind::object))->members) {
    config.credentials[name] = TRY(read_secret(secret));
  }
  if (members.has("allow_private_addresses"))
    config.allow_private_addresses = TRY(members.flag("allow_private_addresses"));
  if (members.has("ca_file")) config.ca_file = TRY(members.text("ca_file"));
  return {};
}

Result<DestinationConfig> read_destination(const Value& value) {
  const Members members = TRY(Members::of(value, "a destination"));
  DestinationConfig config;
  TRY(read_reach(members, config));
  return config;
}

Result<IdentifierKind> read_identifier(const Value& value) {
  const std::string text = TRY(read_text(value));
  const std::optional<IdentifierKind> kind = parse_identifier_kind(text);
  if (!kind) return invalid(fmt::format("{} is no identifier", in_quotes(text)));
  return *kind;
}

Result<Cadence> read_cadence(const Value& value) { return parse_cadence(value.string); }

constexpr std::int64_t kShareMost = 999'999;

Result<Guards> read_guards(const Value& value) {
  constexpr std::int64_t kPeopleMost = UINT32_MAX;
  const Members members = TRY(Members::of(value, "guards"));
  Guards guards;
  if (members.has("change_share_per_million")) {
    guards.change_share_per_million =
        static_cast<std::uint32_t>(TRY(members.integer("change_share_per_million", 1, kShareMost)));
  }
  if (members.has("change_count"))
    guards.change_count = static_cast<std::uint64_t>(TRY(members.integer("change_count", 1, kPeopleMost)));
  if (members.has("size_min"))
    guards.size_min = static_cast<std::uint64_t>(TRY(members.integer("size_min", 1, kPeopleMost)));
  guards.safe_side = TRY(members.choice("safe_side", kSafeSides));
  return guards;
}

Result<CarriedAttribute> read_carried(const Value& value) {
  const Members members = TRY(Members::of(value, "an attribute of a sync"));
  return CarriedAttribute {
    TRY(members.text("name"))
    , TRY(members.text("as"))
  };
}

Result<SyncConfig> read_sync(const Value& value) {
  const Members members = TRY(Members::of(value, "a sync"));
  SyncConfig config;
  config.name = TRY(members.text("name"));
  config.segment = TRY(members.text("segment"));
  config.destination = TRY(members.text("destination"));
  config.effect = TRY(members.choice("effect", kEffects));
  config.identifiers = TRY(members.list<IdentifierKind>("identifiers", read_identifier));
  if (members.has("every_value"))
    config.every_value = TRY(members.list<IdentifierKind>("every_value", read_identifier));
  config.cadence = TRY(members.part("cadence", Value::Kind::string, read_cadence));
  config.exclusions = TRY(members.list<std::string>("exclusions", read_text));
  config.consent_purpose = TRY(members.text("consent_purpose"));
  config.holdout_per_million =
      static_cast<std::uint32_t>(TRY(members.integer("holdout_per_million", 0, kShareMost)));
  config.holdout_salt = TRY(members.text("holdout_salt"));
  config.audience_id = TRY(members.text("audience_id"));
  config.settings = TRY(members.part("settings", Value::Kind::object, read_map));
  config.batch_age_max = Millis { TRY(members.integer("batch_age_max_ms", 0, kHour.count)) };
  config.guards = Guards::of(config.effect);
  if (members.has("guards")) config.guards = TRY(members.part("guards", Value::Kind::object, read_guards));
  if (members.has("attributes"))
    config.attributes = TRY(members.list<CarriedAttribute>("attributes", read_carried));
  if (members.has("twin")) config.twin = TRY(members.text("twin"));
  if (members.has("mode")) config.mode = TRY(members.choice("mode", kModes));
  if (members.has("test_segment")) config.test_segment = TRY(members.text("test_segment"));
  if (members.has("drift")) config.drift = TRY(members.choice("drift", kDriftPolicies));
  if (members.has("lifecycle")) config.lifecycle = TRY(members.choice("lifecycle", kLifecycles));
  if (config.lifecycle == Lifecycle::draft) return invalid("a sync is active or retired, never a draft");
  config.minimum_stay = TRY(members.length("minimum_stay_ms"));
  config.longest_stay = TRY(members.length("longest_stay_ms"));
  config.objective = TRY(members.length("objective_ms"));
  if (members.has("review_date_ms")) config.review_date = Time {
      TRY(members.integer("review_date_ms", kTimeMin.ms, kTimeMax.ms))
    };
  return config;
}

Result<StreamEvent> read_stream_event(const Value& value) {
  const Members members = TRY(Members::of(value, "an event of a sync"));
  StreamEvent event;
  event.event = TRY(members.text("event"));
  if (members.has("name")) event.name = TRY(members.text("name"));
  if (members.has("sent")) event.sent = TRY(members.flag("sent"));
  if (members.has("where")) event.where = TRY(members.text("where"));
  return event;
}

Result<destinations::Selection> read_selection(const Value& value) {
  const Members members = TRY(Members::of(value, "properties"));
  destinations::Selection selection;
  selection.include = TRY(members.list<std::string>("include", read_text));
  selection.exclude = TRY(members.list<std::string>("exclude", read_text));
  selection.rename = TRY(members.part("rename", Value::Kind::object, read_map));
  selection.hash = TRY(members.list<std::string>("hash", read_text));
  selection.mask = TRY(members.list<std::string>("mask", read_text));
  return selection;
}

Result<StreamConfig> read_stream(const Value& value) {
  const Members members = TRY(Members::of(value, "a stream sync"));
  StreamConfig config;
  config.name = TRY(members.text("name"));
  config.destination = TRY(members.text("destination"));
  config.every_event = TRY(members.flag("every_event"));
  config.events = TRY(members.list<StreamEvent>("events", read_stream_event));
  config.batch_age_max = Millis { TRY(members.integer("batch_age_max_ms", 0, kHour.count)) };
  if (members.has("lifecycle")) config.lifecycle = TRY(members.choice("lifecycle", kLifecycles));
  if (config.lifecycle == Lifecycle::draft) return invalid("a sync is active or retired, never a draft");
  if (members.has("mode")) config.mode = TRY(members.choice("mode", kModes));
  if (members.has("test_segment")) config.test_segment = TRY(members.text("test_segment"));
  if (members.has("people")) config.people = TRY(members.text("people"));
  if (members.has("consent_purpose")) config.consent_purpose = TRY(members.text("consent_purpose"));
  if (members.has("fields")) config.fields = TRY(members.part("fields", Value::Kind::object, read_map));
  if (members.has("currency")) config.currency = TRY(members.text("currency"));
  if (members.has("properties"))
    config.properties = TRY(members.part("properties", Value::Kind::object, read_selection));
  if (members.has("start")) config.start = TRY(members.choice("start", kStarts));
  if (members.has("no_answer")) config.ambiguity = TRY(members.choice("no_answer", kAmbiguities));
  if (members.has("requests_in_flight")) {
    config.requests_in_flight = static_cast<std::uint32_t>(
        TRY(members.integer("requests_in_flight", 1, StreamConfig::kRequestsInFlightMax)));
  }
  if (members.has("settings")) config.settings = TRY(members.part("settings", Value::Kind::object, read_map));
  return config;
}

Result<WarehouseConfig> read_warehouse(const Value& value) {
  const Members members = TRY(Members::of(value, "a warehouse sync"));
  WarehouseConfig config;
  config.name = TRY(members.text("name"));
  config.destination = TRY(members.text("destination"));
  if (members.has("tables")) config.tables = TRY(members.list<std::string>("tables", read_text));
  config.cadence = TRY(parse_cadence(TRY(members.text("cadence"))));
  if (members.has("lifecycle")) config.lifecycle = TRY(members.choice("lifecycle", kLifecycles));
  if (config.lifecycle == Lifecycle::draft) return invalid("a sync is active or retired, never a draft");
  if (members.has("start")) config.start = TRY(members.choice("start", kStarts));
  if (members.has("settings")) config.settings = TRY(members.part("settings", Value::Kind::object, read_map));
  return config;
}

Result<QuerySource> read_query_source(const Value& value) {
  const Members members = TRY(Members::of(value, "a source"));
  QuerySource source;
  TRY(read_reach(members, source));
  if (members.has("lifecycle")) source.lifecycle = TRY(members.choice("lifecycle", kLifecycles));
  sources::QuerySpec& spec = source.spec;
  spec.query = TRY(members.text("query"));
  spec.rows = TRY(members.choice("rows", kRowsAs));
  spec.key = TRY(members.list<std::string>("key", read_text));
  for (const auto& [name, column] :
       {std::pair("user_id", &spec.user_id), std::pair("anonymous_id", &spec.anonymous_id),
        std::pair("email", &spec.email), std::pair("phone", &spec.phone), std::pair("event", &spec.event),
        std::pair("event_column", &spec.event_column), std::pair("time", &spec.time_column),
        std::pair("attribute", &spec.attribute)}) {
    if (members.has(name)) *column = TRY(members.text(name));
  }
  spec.every_column = !members.has("fields");
  if (!spec.every_column) spec.fields = TRY(members.part("fields", Value::Kind::object, read_map));
  if (members.has("keep_gone") && TRY(members.flag("keep_gone"))) spec.gone = sources::Gone::keep;
  spec.time_zone = TRY(members.text("time_zone"));
  source.cadence = TRY(parse_cadence(TRY(members.text("cadence"))));
  source.guards = QuerySource::guards_of(spec.rows);
  if (members.has("guards")) source.guards = TRY(members.part("guards", Value::Kind::object, read_guards));
  if (members.has("rows_max")) {
    source.rows_max = static_cast<std::uint64_t>(
        TRY(members.integer("rows_max", 1, std::numeric_limits<std::uint32_t>::max())));
  }
  if (spec.key.empty()) return invalid("a source has no key");
  return source;
}

// Errors only: warnings were shown when the workspace was applied.
Result<void> check_again(Workspace& workspace) {
  std::string errors;
  check_expressions(workspace, [&](NamedList list, std::size_t index, const language::Problem& problem) {
    if (problem.severity != language::Problem::Severity::error) return;
    const std::vector<Named>& named = list == NamedList::definitions  ? workspace.definitions
                                      : list == NamedList::attributes ? workspace.attributes
                                                                      : workspace.segments;
    errors +=
        fmt::format("{}: {}", in_quotes(named[index].name), language::render(problem, named[index].text));
  });
  check_conditions(workspace,
                   [&](std::size_t stream, std::size_t event, const language::Problem& problem, bool) {
                     if (problem.severity != language::Problem::Severity::error) return;
                     const StreamConfig& config = workspace.streams[stream];
                     errors += fmt::format("{}: {}", in_quotes(config.name),
                                           language::render(problem, config.events[event].where));
                   });
  if (errors.empty()) return {};
  errors.pop_back();
  return invalid(std::move(errors));
}

}  // namespace

std::string_view to_string(Mode mode) { return name_of(kModes, mode); }

Value to_value(const Workspace& workspace) {
  const auto named = [](const Named& one) { return write(one); };
  Object object;
  if (!workspace.tls.certificate.empty())
    object.add("tls_certificate", workspace.tls.certificate).add("tls_key", workspace.tls.key);
  object.add("version", kVersion)
      .add("name", workspace.name)
      .add("golden_id", to_string(workspace.golden_id))
      .add("time_zone", workspace.time_zone)
      .add("default_region", workspace.default_region)
      .add_flag("consent_unknown", workspace.consent_unknown)
      .add("dedup_window_ms", workspace.dedup_window.count);
  // Left out where it says nothing: workspaces that were applied before it came are the same as ever.
  if (workspace.identity != IdentityRules()) object.add("identity", write(workspace.identity));
  object.add("write_keys", list_of(workspace.write_keys, [](const WriteKey& key) { return write(key); }))
      .add("taxonomy", write(workspace.taxonomy))
      .add("definitions", list_of(workspace.definitions, named))
      .add("attributes", list_of(workspace.attributes, named))
      .add("segments", list_of(workspace.segments, named))
      .add("destinations",
           list_of(workspace.destinations, [](const DestinationConfig& one) { return write(one); }))
      .add("syncs", list_of(workspace.syncs, [](const SyncConfig& one) { return write(one); }));
  if (!workspace.sources.empty())
    object.add("sources", list_of(workspace.sources, [](const SourceEntry& one) { return write(one); }));
  if (!workspace.query_sources.empty()) {
    object.add("query_sources",
               list_of(workspace.query_sources, [](const QuerySource& one) { return write(one); }));
  }
  if (!workspace.streams.empty())
    object.add("streams", list_of(workspace.streams, [](const StreamConfig& one) { return write(one); }));
  if (!workspace.warehouses.empty()) {
    object.add("warehouses",
               list_of(workspace.warehouses, [](const WarehouseConfig& one) { return write(one); }));
  }
  return object.take();
}

Result<Workspace> from_value(const Value& value) {
  const Members members = TRY(Members::of(value, "the workspace"));
  const std::int64_t version = TRY(members.integer("version", 0, std::numeric_limits<std::int64_t>::max()));
  if (version != kVersion) {
    return fail(Error::Code::unsupported,
                fmt::format("the applied workspace is of version {}, and this Tailrace reads version {}",
                            version, kVersion));
  }
  Workspace workspace;
  workspace.name = TRY(members.text("name"));
  const Result<IdentifierKind> golden =
      read_identifier(*TRY(members.member("golden_id", Value::Kind::string)));
  workspace.golden_id = TRY(golden);
  workspace.time_zone = TRY(members.text("time_zone"));
  workspace.default_region = TRY(members.text("default_region"));
  workspace.consent_unknown = TRY(members.flag("consent_unknown"));
  workspace.dedup_window = Millis {
    TRY(members.integer("dedup_window_ms", 1, std::numeric_limits<std::int64_t>::max()))
  };
  if (members.has("identity"))
    workspace.identity = TRY(members.part("identity", Value::Kind::object, read_identity));
  workspace.write_keys = TRY(members.list<WriteKey>("write_keys", read_write_key));
  if (members.has("tls_certificate")) {
    workspace.tls = {
      .certificate = TRY(members.text("tls_certificate")),
      .key = TRY(members.text("tls_key"))
    };
  }
  workspace.taxonomy = TRY(members.part("taxonomy", Value::Kind::object, read_taxonomy));
  workspace.definitions = TRY(members.list<Named>("definitions", read_named));
  workspace.attributes = TRY(members.list<Named>("attributes", read_named));
  workspace.segments = TRY(members.list<Named>("segments", read_named));
  workspace.destinations = TRY(members.list<DestinationConfig>("destinations", read_destination));
  workspace.syncs = TRY(members.list<SyncConfig>("syncs", read_sync));
  if (members.has("sources")) workspace.sources = TRY(members.list<SourceEntry>("sources", read_source));
  if (members.has("query_sources"))
    workspace.query_sources = TRY(members.list<QuerySource>("query_sources", read_query_source));
  if (members.has("streams")) workspace.streams = TRY(members.list<StreamConfig>("streams", read_stream));
  if (members.has("warehouses"))
    workspace.warehouses = TRY(members.list<WarehouseConfig>("warehouses", read_warehouse));
  TRY(check_again(workspace));
  return workspace;
}

}  // namespace tailrace::workspace
