#include "workspace/check.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "destinations/audience_destination.h"
#include "destinations/conversion.h"
#include "destinations/event_destination.h"
#include "destinations/list_kinds.h"
#include "destinations/restricted_topics.h"
#include "workspace/audience.h"

namespace tailrace::workspace {

namespace {

using destinations::Destination;
using destinations::Setting;
using Settings = std::map<std::string, std::string>;

template <class T>
std::vector<std::string> names_in(const std::vector<T>& things) {
  std::vector<std::string> names;
  for (const T& thing : things) names.push_back(thing.name);
  return names;
}

const Destination* find_type(Catalogue catalogue, std::string_view type) {
  const auto found = std::ranges::find(catalogue, type, [](const Destination* d) { return d->type(); });
  return found == catalogue.end() ? nullptr : *found;
}

const Setting* find_setting(const Destination& type, std::string_view name) {
  const auto found = std::ranges::find(type.settings(), name, &Setting::name);
  return found == type.settings().end() ? nullptr : &*found;
}

// All that a sync to the destination gives it, with defaults, and without secrets.
destinations::Config whole_settings(const Destination& type, const DestinationConfig& given,
                                    const Settings& of_sync) {
  destinations::Config config;
  config.settings = given.settings;
  for (const auto& [name, value] : of_sync) config.settings[name] = value;
  destinations::fill_defaults(type, config);
  return config;
}

// Every audience has these, whatever the destination: they are no settings of its own.
constexpr std::string_view kAudienceSettings[] = {"audience_name", "audience_description"};

bool is_audience_setting(std::string_view name, Setting::Scope scope) {
  return scope == Setting::Scope::sync &&
         std::ranges::find(kAudienceSettings, name) != std::end(kAudienceSettings);
}

// The settings that may be written in the text of a destination or a sync.
std::vector<std::string> setting_names(const Destination& type, Setting::Scope scope) {
  std::vector<std::string> names;
  if (scope == Setting::Scope::sync) names.assign(std::begin(kAudienceSettings), std::end(kAudienceSettings));
  for (const Setting& setting : type.settings()) {
    if (setting.scope == scope && !setting.secret) names.emplace_back(setting.name);
  }
  return names;
}

std::vector<std::string> credential_names(const Destination& type) {
  std::vector<std::string> names;
  for (const Setting& setting : type.settings()) {
    if (setting.secret) names.emplace_back(setting.name);
  }
  return names;
}

constexpr std::string_view to_string(Setting::Scope scope) {
  return scope == Setting::Scope::destination ? "the destination" : "the sync";
}

class ReferenceCheck {
 public:
  ReferenceCheck(const Draft& draft, Catalogue catalogue, Problems& problems)
      : draft_(draft), workspace_(draft.workspace), catalogue_(catalogue), problems_(problems) {}

  void words();
  void destination(const DestinationConfig& config, const DestinationSite& site);
  void sync(const SyncConfig& config, const SyncSite& site);
  void stream(const StreamConfig& config, const StreamSite& site);
  void warehouse(const WarehouseConfig& config, const WarehouseSite& site);
  void query_source(const QuerySource& source, const QuerySite& site);

 private:
  void stream_events(const destinations::EventDestination& type, const StreamConfig& config,
                     const StreamSite& site);
  const Destination* type_of(const std::string& destination, const Spot& spot);
  void given_settings(const Destination& type, Setting::Scope scope,
                      const std::map<std::string, Spot>& sites);
  void required_settings(const Destination& type, Setting::Scope scope, const Settings& given,
                         const Spot& whole);
  void identifiers(const Destination& type, const SyncConfig& config, const SyncSite& site);
  void attributes(const Destination& type, const SyncConfig& config, const SyncSite& site);
  void topics(const SyncConfig& config, const SyncSite& site);
  void test_segment(Mode mode, const std::string& segment, const Spot& spot);
  void twin(const SyncConfig& config, const SyncSite& site);
  void shared_audience(const SyncConfig& config, const SyncSite& site);
  void stays(const SyncConfig& config, const SyncSite& site);
  void objective(const SyncConfig& config, const SyncSite& site);
  // What is wrong with all that a sync to the destination gives it; without a sync: with the destination.
  std::vector<std::string> problems_of(const Destination& type, const DestinationConfig& given,
                                       const Settings& of_sync = {}, std::string_view audience = {}) const;
  void whole_configuration(const Destination& type, const std::string& destination, const Settings& of_sync,
                           std::string_view audience, const std::map<std::string, Spot>& sites,
                           const Spot& whole);
  void say(std::span<const std::string> messages, const std::map<std::string, Spot>& sites,
           const Spot& whole);

  const Draft& draft_;
  const Workspace& workspace_;
  Catalogue catalogue_;
  Problems& problems_;
};

// A bare word in an expression means one thing.
void ReferenceCheck::words() {
  for (std::size_t i = 0; i < workspace_.attributes.size(); ++i) {
    const std::string& name = workspace_.attributes[i].name;
    if (workspace_.find_definition(name) != nullptr) {
      problems_.error(draft_.attributes[i].name, fmt::format("{} is also a definition", in_quotes(name)),
                      "rename one of them");
    }
    if (std::ranges::find(workspace_.taxonomy.traits, name, &TraitRule::name) !=
        workspace_.taxonomy.traits.end()) {
      problems_.error(draft_.attributes[i].name,
                      fmt::format("{} is also a trait of the taxonomy", in_quotes(name)),
                      "rename the computed attribute");
    }
  }
  for (std::size_t i = 0; i < workspace_.definitions.size(); ++i) {
    const std::string& name = workspace_.definitions[i].name;
    if (std::ranges::find(workspace_.taxonomy.traits, name, &TraitRule::name) !=
        workspace_.taxonomy.traits.end()) {
      problems_.error(draft_.definitions[i].name,
                      fmt::format("{} is also a trait of the taxonomy", in_quotes(name)),
                      "rename the definition");
    }
  }
}

void ReferenceCheck::given_settings(const Destination& type, Setting::Scope scope,
                                    const std::map<std::string, Spot>& sites) {
  for (const auto& [name, spot] : sites) {
    if (is_audience_setting(name, scope)) continue;
    const Setting* setting = find_setting(type, name);
    if (setting == nullptr) {
      problems_.error(spot, fmt::format("{} has no setting {}", type.title(), in_quotes(name)),
                      suggest(name, setting_names(type, scope)));
    } else if (setting->secret) {
      problems_.error(spot, fmt::format("{} is a secret, and stands in the text", in_quotes(name)),
                      fmt::format("move it: `credentials: {{{}: {{env: NAME}}}}`", name));
    } else if (setting->scope != scope) {
      problems_.error(spot, fmt::format("{} is a setting of {}", in_quotes(name), to_string(setting->scope)),
                      "move it there");
    }
  }
}

void ReferenceCheck::required_settings(const Destination& type, Setting::Scope scope, const Settings& given,
                                       const Spot& whole) {
  for (const Setting& setting : type.settings()) {
    const std::string name(setting.name);
    if (setting.scope != scope || setting.secret || !setting.required || given.contains(name)) continue;
    problems_.error(whole,
                    fmt::format("{} needs the setting {}: {}", type.title(), in_quotes(name), setting.about),
                    fmt::format("add `{}: ...` to its `settings`", name));
  }
}

// Requests to it would be refused when they are sent.
bool leads_to_this_machine(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    const std::string_view host = url.substr(scheme.size());
    return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
  }
  return false;
}

void ReferenceCheck::destination(const DestinationConfig& config, const DestinationSite& site) {
  const Destination* type = find_type(catalogue_, config.type);
  if (type == nullptr) {
    std::vector<std::string> types;
    for (const Destination* known : catalogue_) types.emplace_back(known->type());
    // An empty type is reported as missing already.
    if (!config.type.empty()) {
      problems_.error(site.type, fmt::format("there is no destination type {}", in_quotes(config.type)),
                      suggest(config.type, types));
    }
    return;
  }
  given_settings(*type, Setting::Scope::destination, site.settings);
  required_settings(*type, Setting::Scope::destination, config.settings, site.whole);
  for (const auto& [name, spot] : site.credentials) {
    const Setting* setting = find_setting(*type, name);
    if (setting != nullptr && setting->secret) continue;
    problems_.error(spot, fmt::format("{} has no credential {}", type->title(), in_quotes(name)),
                    setting != nullptr ? "it is no secret: move it to `settings`"
                                       : suggest(name, credential_names(*type)));
  }
  for (const Setting& setting : type->settings()) {
    const std::string name(setting.name);
    if (!setting.secret || !setting.required || config.credentials.contains(name)) continue;
    problems_.error(
        site.whole,
        fmt::format("{} needs the credential {}: {}", type->title(), in_quotes(name), setting.about),
        fmt::format("add `{}: {{env: NAME}}` or `{}: {{file: path}}` to its `credentials`", name, name));
  }
  say(problems_of(*type, config), site.settings, site.whole);
  for (const auto& [name, value] : config.settings) {
    if (config.allow_private_addresses || !leads_to_this_machine(value)) continue;
    problems_.error(site.whole,
                    fmt::format("`{}` leads to this machine, and requests go to public addresses only", name),
                    "add `allow_private_addresses: true` to the destination, where that is meant");
  }
}

void ReferenceCheck::identifiers(const Destination& type, const SyncConfig& config, const SyncSite& site) {
  const destinations::AudienceDestination* audiences = type.as_audience();
  if (audiences == nullptr) {
    problems_.error(site.destination,
                    fmt::format("{} keeps no audiences: it {}", type.title(),
                                type.as_warehouse() != nullptr ? "keeps tables" : "takes events"),
                    "sync the segment to a destination that keeps audiences");
    return;
  }
  const std::span<const IdentifierKind> known = audiences->identifiers();
  const destinations::Config whole =
      whole_settings(type, *workspace_.find_destination(config.destination), config.settings);
  const std::vector<IdentifierKind> held = destinations::held_kinds(*audiences, whole);
  for (std::size_t i = 0; i < config.identifiers.size(); ++i) {
    const IdentifierKind kind = config.identifiers[i];
    if (std::ranges::find(held, kind) != held.end()) continue;
    if (std::ranges::find(known, kind) != known.end()) {
      problems_.error(site.identifiers[i],
                      fmt::format("this audience of {} holds no {}", type.title(), tailrace::to_string(kind)),
                      std::string(destinations::misfit(*audiences, kind, whole)));
      continue;
    }
    std::vector<std::string> names;
    for (const IdentifierKind each : held) names.emplace_back(tailrace::to_string(each));
    problems_.error(site.identifiers[i],
                    fmt::format("{} cannot match people by {}", type.title(), tailrace::to_string(kind)),
                    suggest("", names));
  }
}

void ReferenceCheck::attributes(const Destination& type, const SyncConfig& config, const SyncSite& site) {
  const destinations::AudienceDestination* audiences = type.as_audience();
  if (audiences == nullptr || (config.attributes.empty() && !audiences->takes_attributes())) return;
  if (!audiences->takes_attributes()) {
    problems_.error(site.attributes.front(), fmt::format("{} takes no attributes of people", type.title()),
                    "leave `attributes` out, or sync them to a tool that keeps profiles");
    return;
  }
  destinations::Config given;
  given.settings = config.settings;
  std::vector<std::string> as;
  for (const CarriedAttribute& each : config.attributes) as.push_back(each.as);
  for (const std::string& problem : audiences->check_attributes(as, given))
    problems_.error(site.attributes.empty() ? site.whole : site.attributes.front(), problem);
  const auto& traits = workspace_.taxonomy.traits;
  const std::string flag = config.audience_id.empty() ? audience_name(config) : config.audience_id;
  for (std::size_t i = 0; i < config.attributes.size(); ++i) {
    const std::string& name = config.attributes[i].name;
    if (config.attributes[i].as == flag) {
      problems_.error(
          site.attributes[i],
          fmt::format("an attribute cannot be called {}: that is what says who is in", in_quotes(flag)),
          "give it another name: `{ours: theirs}`");
    }
    const bool known =
        std::ranges::find(workspace_.attributes, name, &Named::name) != workspace_.attributes.end() ||
        traits.empty() || std::ranges::find(traits, name, &TraitRule::name) != traits.end();
    if (known) continue;
    std::vector<std::string> names;
    for (const Named& attribute : workspace_.attributes) names.push_back(attribute.name);
    for (const TraitRule& trait : traits) names.push_back(trait.name);
    problems_.error(site.attributes[i],
                    fmt::format("{} is neither a computed attribute nor a trait", in_quotes(name)),
                    suggest(name, names));
  }
}

// Who leaves the one goes to the other: a sync that targets names the one that suppresses.
void ReferenceCheck::twin(const SyncConfig& config, const SyncSite& site) {
  if (config.twin.empty()) return;
  if (config.effect == Effect::suppress) {
    problems_.error(site.twin, "a sync that suppresses names no twin",
                    "write `twin` in the sync that targets; it holds for both");
    return;
  }
  const SyncConfig* other = workspace_.find_sync(config.twin);
  if (other == nullptr || other->effect != Effect::suppress) {
    std::vector<std::string> names;
    for (const SyncConfig& each : workspace_.syncs) {
      if (each.effect == Effect::suppress) names.push_back(each.name);
    }
    problems_.error(site.twin,
                    other == nullptr ? fmt::format("there is no sync {}", in_quotes(config.twin))
                                     : fmt::format("the sync {} does not suppress", in_quotes(config.twin)),
                    suggest(config.twin, names));
    return;
  }
  if (other->is_retired() && !config.is_retired()) {
    problems_.error(site.twin, fmt::format("the sync {} is retired: it takes nobody", in_quotes(config.twin)),
                    "remove `twin`, or make that sync active again");
  }
}

// Two syncs in one audience would each remove what the other adds.
void ReferenceCheck::shared_audience(const SyncConfig& config, const SyncSite& site) {
  if (config.audience_id.empty()) return;
  for (const SyncConfig& other : workspace_.syncs) {
    if (&other == &config) return;  // only the later of two is reported
    if (other.destination == config.destination && other.audience_id == config.audience_id) {
      problems_.error(site.audience_id,
                      fmt::format("the sync {} already fills this audience", in_quotes(other.name)),
                      "give each sync an audience of its own");
    }
  }
}

void ReferenceCheck::stays(const SyncConfig& config, const SyncSite& site) {
  if (config.minimum_stay && config.effect == Effect::target) {
    problems_.error(site.minimum_stay,
                    "`minimum_stay` is for a sync that suppresses: of one that targets it would keep people "
                    "whom the segment lets go",
                    "remove it, or widen the segment");
    return;
  }
  if (config.minimum_stay && config.longest_stay && *config.longest_stay < *config.minimum_stay) {
    problems_.error(site.longest_stay,
                    fmt::format("`expiry.stay` {} is shorter than `minimum_stay` {}",
                                format_duration(*config.longest_stay), format_duration(*config.minimum_stay)),
                    "make `stay` the longer of the two");
  }
}

// A promise that the cadence breaks by itself.
void ReferenceCheck::objective(const SyncConfig& config, const SyncSite& site) {
  if (!config.objective) return;
  const bool is_realtime = config.cadence.kind == Cadence::Kind::realtime;
  const Millis waits = is_realtime ? config.batch_age_max : config.cadence.every;
  if (config.cadence.kind == Cadence::Kind::cron || *config.objective >= waits) return;
  problems_.warning(
      site.objective,
      fmt::format("`objective` {} cannot be kept: a change may wait {} before it is sent",
                  format_duration(*config.objective), format_duration(waits)),
      is_realtime ? "raise it, or lower `batch_age_max`" : "raise it, or choose a faster `cadence`");
}

// What the destination itself finds wrong with the settings together. It speaks of the whole configuration:
// the problem is placed at the setting it names.
std::vector<std::string> ReferenceCheck::problems_of(const Destination& type, const DestinationConfig& given,
                                                     const Settings& of_sync,
                                                     std::string_view audience) const {
  destinations::Config config = whole_settings(type, given, of_sync);
  for (const auto& [name, secret] : given.credentials) config.secrets[name];  // named, its value not at hand
  config.audience_name = audience;
  config.default_region = workspace_.default_region;
  return type.check(config);
}

// What was said of the destination is not repeated; what is wrong with several syncs is said of each.
void ReferenceCheck::whole_configuration(const Destination& type, const std::string& destination,
                                         const Settings& of_sync, std::string_view audience,
                                         const std::map<std::string, Spot>& sites, const Spot& whole) {
  const DestinationConfig& given = *workspace_.find_destination(destination);
  const std::vector<std::string> said = problems_of(type, given);
  std::vector<std::string> messages = problems_of(type, given, of_sync, audience);
  std::erase_if(messages,
                [&](const auto& message) { return std::ranges::find(said, message) != said.end(); });
  say(messages, sites, whole);
}

void ReferenceCheck::say(std::span<const std::string> messages, const std::map<std::string, Spot>& sites,
                         const Spot& whole) {
  for (const std::string& message : messages) {
    const auto named = std::ranges::find_if(
        sites, [&](const auto& site) { return message.find(site.first) != std::string::npos; });
    problems_.error(named == sites.end() ? whole : named->second, message);
  }
}

void ReferenceCheck::test_segment(Mode mode, const std::string& segment, const Spot& spot) {
  if (mode == Mode::test && segment.empty()) {
    problems_.error(spot, "`mode: test` sends nobody but the people of `test_segment`, and there is none",
                    "add `test_segment: NAME`, with a segment of your own people");
  } else if (!segment.empty() && workspace_.find_segment(segment) == nullptr) {
    problems_.error(spot, fmt::format("there is no segment {}", in_quotes(segment)),
                    suggest(segment, names_in(workspace_.segments)));
  }
}

void ReferenceCheck::sync(const SyncConfig& config, const SyncSite& site) {
  const Named* segment = workspace_.find_segment(config.segment);
  if (segment == nullptr && !config.segment.empty()) {
    problems_.error(site.segment, fmt::format("there is no segment {}", in_quotes(config.segment)),
                    suggest(config.segment, names_in(workspace_.segments)));
  }
  if (segment != nullptr && segment->lifecycle == Lifecycle::retired) {
    problems_.warning(site.segment, fmt::format("the segment {} is retired", in_quotes(config.segment)),
                      "remove the sync, or make the segment active again");
  }
  for (std::size_t i = 0; i < config.exclusions.size(); ++i) {
    if (workspace_.find_segment(config.exclusions[i]) == nullptr) {
      problems_.error(site.exclusions[i],
                      fmt::format("there is no segment {}", in_quotes(config.exclusions[i])),
                      suggest(config.exclusions[i], names_in(workspace_.segments)));
    } else if (config.exclusions[i] == config.segment) {
      problems_.error(site.exclusions[i], "the sync excludes its own segment: nobody would be left");
    }
  }
  if (config.effect == Effect::suppress && config.holdout_per_million > 0) {
    problems_.error(site.holdout, "a sync that suppresses has no holdout: those held out would see the ad",
                    "remove `holdout`, or measure with the sync that targets");
  }
  if (config.effect == Effect::target && config.consent_purpose.empty()) {
    problems_.warning(
        site.whole,
        fmt::format("the sync {} targets people without asking for their consent", in_quotes(config.name)),
        "add `consent: ads`, or the purpose your people agreed to");
  }
  test_segment(config.mode, config.test_segment, site.test_segment);
  twin(config, site);
  shared_audience(config, site);
  stays(config, site);
  objective(config, site);
  const Destination* type = type_of(config.destination, site.destination);
  if (type == nullptr) return;
  identifiers(*type, config, site);
  attributes(*type, config, site);
  if (type->platform() == "meta" && config.audience_id.empty()) topics(config, site);
  given_settings(*type, Setting::Scope::sync, site.settings);
  required_settings(*type, Setting::Scope::sync, config.settings, site.whole);
  // The audience's name may be the sync's own, so this is asked whatever the settings are.
  whole_configuration(*type, config.destination, config.settings,
                      config.audience_id.empty() ? audience_name(config) : "", site.settings,
                      site.destination);
}

// Meta stops an audience whose name or description speaks of what it forbids.
void ReferenceCheck::topics(const SyncConfig& config, const SyncSite& site) {
  const auto look_at = [&](std::string_view what, const std::string& text, const Spot& spot) {
    const auto found = destinations::restricted_topic_in(text);
    if (!found) return false;
    problems_.warning(
        spot,
        fmt::format("Meta may stop this audience: `{}` in its {} suggests people's {}", found->word, what,
                    found->topic),
        "give it `settings: {audience_name: ..., audience_description: ...}` that say nothing of that");
    return true;
  };
  const auto spot = [&](const char* name) {
    const auto at = site.settings.find(name);
    return at == site.settings.end() ? site.name : at->second;
  };
  if (look_at("name", audience_name(config), spot("audience_name"))) return;
  const auto described = config.settings.find("audience_description");
  look_at("description", described == config.settings.end() ? config.segment : described->second,
          spot("audience_description"));
}

// nullptr: there is none, which was reported.
const Destination* ReferenceCheck::type_of(const std::string& destination, const Spot& spot) {
  if (destination.empty()) return nullptr;
  const DestinationConfig* config = workspace_.find_destination(destination);
  if (config != nullptr) return find_type(catalogue_, config->type);
  problems_.error(spot, fmt::format("there is no destination {}", in_quotes(destination)),
                  suggest(destination, names_in(workspace_.destinations)));
  return nullptr;
}

void ReferenceCheck::stream_events(const destinations::EventDestination& type, const StreamConfig& config,
                                   const StreamSite& site) {
  const std::map<std::string, std::string> names = names_at(workspace_, type);
  for (std::size_t i = 0; i < config.events.size(); ++i) {
    const StreamEvent& event = config.events[i];
    const bool has_name =
        !event.name.empty() || type.takes_every_event() || !event.sent || names.contains(event.event);
    if (!has_name) {
      problems_.error(site.events[i],
                      fmt::format("{} has no name of its own for {}", type.title(), in_quotes(event.event)),
                      fmt::format("write `{}: NAME`, with the platform's name of it", event.event));
    }
  }
}

void ReferenceCheck::stream(const StreamConfig& config, const StreamSite& site) {
  if (!config.people.empty() && workspace_.find_segment(config.people) == nullptr) {
    problems_.error(site.people, fmt::format("there is no segment {}", in_quotes(config.people)),
                    suggest(config.people, names_in(workspace_.segments)));
  }
  test_segment(config.mode, config.test_segment, site.test_segment);
  if (!config.currency.empty() && !destinations::is_currency(config.currency)) {
    problems_.error(site.currency, fmt::format("{} is no currency", in_quotes(config.currency)),
                    "write its three capital letters of ISO 4217, such as EUR");
  }
  const Destination* type = type_of(config.destination, site.destination);
  if (type == nullptr) return;
  const destinations::EventDestination* events = type->as_events();
  if (events == nullptr) {
    problems_.error(site.destination,
                    fmt::format("{} takes no events: it keeps {}", type->title(),
                                type->as_warehouse() != nullptr ? "tables" : "audiences"),
                    "name a `segment` instead of `events`, or another destination");
    return;
  }
  stream_events(*events, config, site);
  for (const auto& [field, expression] : config.fields) {
    const auto mapping = destinations::Mapping::create(*events, {}, {{field, expression}}, "");
    if (!mapping) problems_.error(site.fields.at(field), mapping.error().message);
  }
  if (!events->takes_every_event() && config.consent_purpose.empty()) {
    problems_.warning(
        site.whole,
        fmt::format("the sync {} sends conversions without asking for consent", in_quotes(config.name)),
        "add `consent: ads`, or the purpose your people agreed to");
  }
  given_settings(*type, Setting::Scope::sync, site.settings);
  required_settings(*type, Setting::Scope::sync, config.settings, site.whole);
  if (!site.settings.empty()) {
    whole_configuration(*type, config.destination, config.settings, config.name, site.settings,
                        site.destination);
  }
}

void ReferenceCheck::warehouse(const WarehouseConfig& config, const WarehouseSite& site) {
  const std::vector<std::string>& known = warehouse_tables();
  for (std::size_t i = 0; i < config.tables.size(); ++i) {
    if (std::ranges::find(known, config.tables[i]) != known.end()) continue;
    problems_.error(site.tables[i], fmt::format("there is no table {}", in_quotes(config.tables[i])),
                    suggest(config.tables[i], known));
  }
  const Destination* type = type_of(config.destination, site.destination);
  if (type == nullptr) return;
  if (type->as_warehouse() == nullptr) {
    problems_.error(site.destination, fmt::format("{} keeps no tables", type->title()),
                    "name a `segment` or `events` instead of `tables`, or another destination");
    return;
  }
  given_settings(*type, Setting::Scope::sync, site.settings);
  required_settings(*type, Setting::Scope::sync, config.settings, site.whole);
  if (!site.settings.empty()) {
    whole_configuration(*type, config.destination, config.settings, config.name, site.settings,
                        site.destination);
  }
}

// What a source would give in vain.
void ReferenceCheck::query_source(const QuerySource& source, const QuerySite& site) {
  const language::Names names = names_of(workspace_);
  const std::string& event = source.spec.event;
  if (!event.empty() && names.strict_events && !names.canonical_event(event)) {
    std::vector<std::string> known;
    for (const EventRule& rule : workspace_.taxonomy.events) known.push_back(rule.name);
    problems_.error(site.event,
                    fmt::format("there is no event {}: all of them would be quarantined", in_quotes(event)),
                    suggest(event, known));
  }
  const auto& traits = workspace_.taxonomy.traits;
  if (traits.empty()) return;
  const auto check_trait = [&](const std::string& trait, const Spot& spot) {
    if (std::ranges::find(traits, trait, &TraitRule::name) != traits.end()) return;
    std::vector<std::string> known;
    for (const TraitRule& rule : traits) known.push_back(rule.name);
    problems_.warning(
        spot, fmt::format("{} is no trait of the taxonomy: no segment can ask for it", in_quotes(trait)),
        suggest(trait, known));
  };
  if (source.spec.rows == sources::RowsAs::members && !source.spec.attribute.empty())
    check_trait(source.spec.attribute, site.attribute);
  if (source.spec.rows != sources::RowsAs::people) return;
  for (const auto& [trait, column] : source.spec.fields) check_trait(trait, site.fields);
}

struct Group {
  NamedList list;
  std::vector<Named>& named;
  language::Place place;
};

// Stands in for an expression that cannot be read, so that those who refer to it are not told it is missing.
language::ExprPtr unreadable(NamedList list) {
  language::Expr expr;
  if (list == NamedList::attributes) {
    expr.node = language::Attribute{"unreadable", false};
  } else {
    language::Literal always;
    always.boolean = true;
    expr.node = always;
    expr.type = language::Type::boolean;
  }
  return std::make_shared<const language::Expr>(std::move(expr));
}

// A sync that names no identifiers uses all its audience can hold.
void fill_identifiers(Workspace& workspace, Catalogue catalogue) {
  for (SyncConfig& sync : workspace.syncs) {
    const DestinationConfig* config = workspace.find_destination(sync.destination);
    const Destination* found = config == nullptr ? nullptr : find_type(catalogue, config->type);
    const auto* type = found == nullptr ? nullptr : found->as_audience();
    if (!sync.identifiers.empty() || type == nullptr) continue;
    sync.identifiers = destinations::held_kinds(*type, whole_settings(*type, *config, sync.settings));
  }
}

}  // namespace

void check_references(const Draft& draft, Catalogue catalogue, Problems& problems) {
  ReferenceCheck check(draft, catalogue, problems);
  check.words();
  const Workspace& workspace = draft.workspace;
  for (std::size_t i = 0; i < workspace.destinations.size(); ++i) {
    check.destination(workspace.destinations[i], draft.destinations[i]);
  }
  for (std::size_t i = 0; i < workspace.syncs.size(); ++i) check.sync(workspace.syncs[i], draft.syncs[i]);
  for (std::size_t i = 0; i < workspace.streams.size(); ++i)
    check.stream(workspace.streams[i], draft.streams[i]);
  for (std::size_t i = 0; i < workspace.warehouses.size(); ++i)
    check.warehouse(workspace.warehouses[i], draft.warehouses[i]);
  for (std::size_t i = 0; i < workspace.query_sources.size(); ++i)
    check.query_source(workspace.query_sources[i], draft.query_sources[i]);
}

// A condition is checked as what it is in the language: the `where` of an event that was performed.
void check_conditions(Workspace& workspace, const ReportCondition& report) {
  const language::Names names = names_of(workspace);
  for (std::size_t i = 0; i < workspace.streams.size(); ++i) {
    for (std::size_t j = 0; j < workspace.streams[i].events.size(); ++j) {
      StreamEvent& event = workspace.streams[i].events[j];
      language::Literal name;
      name.kind = language::Literal::Kind::string;
      name.string = event.event;
      language::Expr quoted;
      quoted.node = name;
      const std::string before =
          "performed " + language::print(quoted) + (event.where.empty() ? "" : " where (");
      const auto tell = [&](language::Problem problem) {
        const auto moved = static_cast<std::uint32_t>(before.size());
        const bool is_of_name = problem.span.line == 1 && problem.span.column <= moved;
        if (problem.span.line == 1 && !is_of_name) problem.span.column -= moved;
        report(i, j, problem, is_of_name);
      };
      const auto tree = language::parse(before + event.where + (event.where.empty() ? "" : ")"));
      if (!tree) {
        tell(tree.error());
        continue;
      }
      const language::Checked checked = language::check(*tree, names, language::Place::who);
      for (const language::Problem& problem : checked.problems) tell(problem);
      const auto* performed =
          checked.expr == nullptr ? nullptr : language::as<language::Performed>(*checked.expr);
      if (performed == nullptr) continue;
      event.event = performed->selector.event;
      event.condition = performed->selector.where;
      if (event.condition != nullptr) event.where = language::print(*event.condition);
    }
  }
}

void check_expressions(Workspace& workspace, const ReportExpression& report) {
  Group groups[] = {{NamedList::definitions, workspace.definitions, language::Place::definition},
                    {NamedList::attributes, workspace.attributes, language::Place::attribute},
                    {NamedList::segments, workspace.segments, language::Place::who}};
  std::set<const Named*> broken;
  for (const Group& group : groups) {
    for (std::size_t i = 0; i < group.named.size(); ++i) {
      Named& named = group.named[i];
      if (auto tree = language::parse(named.text)) {
        named.expr = *tree;
      } else {
        report(group.list, i, tree.error());
        named.expr = unreadable(group.list);
        broken.insert(&named);
      }
    }
  }
  // All are checked against the trees as parsed, and replaced only then: the result does not depend on the
  // order of the files.
  const language::Names names = names_of(workspace);
  std::vector<std::pair<Named*, language::ExprPtr>> checked_trees;
  for (const Group& group : groups) {
    for (std::size_t i = 0; i < group.named.size(); ++i) {
      Named& named = group.named[i];
      if (broken.contains(&named)) {
        checked_trees.emplace_back(&named, nullptr);
        continue;
      }
      const language::Checked checked = language::check(named.expr, names, group.place);
      for (const language::Problem& problem : checked.problems) report(group.list, i, problem);
      checked_trees.emplace_back(&named, checked.expr);
    }
  }
  for (auto& [named, tree] : checked_trees) {
    named->expr = std::move(tree);
    if (named->expr != nullptr) named->text = language::print(*named->expr);
  }
}

void check_expressions(Draft& draft, Problems& problems) {
  check_expressions(draft.workspace,
                    [&](NamedList list, std::size_t index, const language::Problem& problem) {
                      const std::vector<NamedSite>& sites = list == NamedList::definitions ? draft.definitions
                                                            : list == NamedList::attributes ? draft.attributes
                                                                                            : draft.segments;
                      const Spot spot = spot_within(sites[index].expression, problem.span);
                      if (problem.severity == language::Problem::Severity::error) {
                        problems.error(spot, problem.message, problem.mend);
                      } else {
                        problems.warning(spot, problem.message, problem.mend);
                      }
                    });
}

void check_conditions(Draft& draft, Problems& problems) {
  check_conditions(draft.workspace, [&](std::size_t stream, std::size_t event,
                                        const language::Problem& problem, bool is_of_name) {
    const StreamSite& site = draft.streams[stream];
    const Spot spot = is_of_name ? site.events[event] : spot_within(site.conditions[event], problem.span);
    if (problem.severity == language::Problem::Severity::error) {
      problems.error(spot, problem.message, problem.mend);
    } else {
      problems.warning(spot, problem.message, problem.mend);
    }
  });
}

namespace {

// Does an expression, or one it names, ask for what was `not followed by` something? Not where it is denied.
class WaitSearch {
 public:
  explicit WaitSearch(const Workspace& workspace) : workspace_(workspace) {}
  bool finds(const Named* named) {
    return named != nullptr && named->expr != nullptr && seen_.insert(named).second &&
           finds(language::to_value(*named->expr));
  }

 private:
  bool finds(const Value& form) {
    if (form.kind == Value::Kind::list)
      return std::ranges::any_of(form.list, [&](const Value& element) { return finds(element); });
    return std::ranges::any_of(form.members, [&](const auto& member) {
      const auto& [key, value] = member;
      if (key == "not") return false;
      if (key == "in_segment") return finds(workspace_.find_segment(value.string));
      if (key == "definition") return finds(workspace_.find_definition(value.string));
      return key == "not_followed_by" || finds(value);
    });
  }

  const Workspace& workspace_;
  std::set<const Named*> seen_;
};

// Who did it after the wait all the same would go on seeing the ad.
void warn_of_late_followers(const Draft& draft, Problems& problems) {
  for (std::size_t i = 0; i < draft.workspace.syncs.size(); ++i) {
    const SyncConfig& sync = draft.workspace.syncs[i];
    if (sync.effect != Effect::target) continue;
    if (!WaitSearch(draft.workspace).finds(draft.workspace.find_segment(sync.segment))) continue;
    problems.warning(
        draft.syncs[i].segment,
        fmt::format("the sync {} targets people by `not followed by`, which says nothing of what they "
                    "do after its wait: who buys later stays in the audience",
                    in_quotes(sync.name)),
        "add what ends it, such as `and not performed \"Order Placed\" since last \"Cart Started\"`");
  }
}

// The shortest time somebody may be in a segment for: the shortest of the windows that put people in.
class StaySearch {
 public:
  explicit StaySearch(const Workspace& workspace) : workspace_(workspace) {}
  std::optional<Millis> shortest(const Named* named) {
    look(named);
    return shortest_;
  }

 private:
  void look(const Named* named) {
    if (named != nullptr && named->expr != nullptr && seen_.insert(named).second)
      look(language::to_value(*named->expr));
  }
  void look(const Value& form) {
    for (const Value& element : form.list) look(element);
    for (const auto& [key, value] : form.members) {
      // What is denied lets people go earlier or later, and steps say how far apart events may be.
      if (key == "not" || key == "followed_by" || key == "not_followed_by" || key == "steps") continue;
      if (key == "within" && value.kind == Value::Kind::string) {
        note(parse_duration(value.string), Millis{0});
      } else if (key == "between_ago" && value.list.size() == 2) {
        if (const auto near = parse_duration(value.list[0].string))
          note(parse_duration(value.list[1].string), *near);
      } else if (key == "in_segment") {
        look(workspace_.find_segment(value.string));
      } else if (key == "definition") {
        look(workspace_.find_definition(value.string));
      } else {
        look(value);
      }
    }
  }
  void note(const Result<Millis>& far, Millis near) {
    if (far) shortest_ = std::min(shortest_.value_or(*far - near), *far - near);
  }

  const Workspace& workspace_;
  std::set<const Named*> seen_;
  std::optional<Millis> shortest_;
};

// Who leaves a suppression before the platform has taken them up was never suppressed.
void warn_of_short_suppressions(const Draft& draft, Catalogue catalogue, Problems& problems) {
  const Workspace& workspace = draft.workspace;
  for (std::size_t i = 0; i < workspace.syncs.size(); ++i) {
    const SyncConfig& sync = workspace.syncs[i];
    const DestinationConfig* destination = workspace.find_destination(sync.destination);
    const Destination* type = destination == nullptr ? nullptr : find_type(catalogue, destination->type);
    const auto processing = type == nullptr ? std::nullopt : type->processing();
    if (sync.effect != Effect::suppress || !processing) continue;
    const auto window = StaySearch(workspace).shortest(workspace.find_segment(sync.segment));
    if (!window || std::max(*window, sync.minimum_stay.value_or(*window)) >= processing->most) continue;
    problems.warning(
        sync.minimum_stay ? draft.syncs[i].minimum_stay : draft.syncs[i].segment,
        fmt::format("the segment {} may hold somebody for {} only, and {} may take {} until an upload takes "
                    "effect: they would be gone before the ads stop",
                    in_quotes(sync.segment), format_duration(*window), type->title(),
                    format_duration(processing->most)),
        fmt::format("{} `minimum_stay: {}`", sync.minimum_stay ? "write" : "add",
                    format_duration(processing->most)));
  }
}

void warn_of_passed_reviews(const Draft& draft, Time now, Problems& problems) {
  const Result<Zone> zone = Zone::named(draft.workspace.time_zone);
  if (!zone) return;  // told already
  for (std::size_t i = 0; i < draft.workspace.syncs.size(); ++i) {
    const SyncConfig& sync = draft.workspace.syncs[i];
    const auto review = review_at(sync, *zone);
    if (!review || *review > now) continue;
    problems.warning(draft.syncs[i].review_date,
                     fmt::format("the review date of the sync {} has passed: {}", in_quotes(sync.name),
                                 sync.effect == Effect::target ? "nobody is in its audience"
                                                               : "it goes on, and `status` says so"),
                     "look at the sync again, then write the next date");
  }
}

}  // namespace

Loaded load_files(std::span<const SourceFile> files, Catalogue catalogue, Time now) {
  Problems problems;
  Draft draft = read_files(files, problems);
  check_conditions(draft, problems);  // references are by canonical names of events
  check_references(draft, catalogue, problems);
  fill_identifiers(draft.workspace, catalogue);
  check_expressions(draft, problems);
  warn_of_late_followers(draft, problems);
  warn_of_short_suppressions(draft, catalogue, problems);
  warn_of_passed_reviews(draft, now, problems);
  return {std::move(draft.workspace), problems.take_sorted()};
}

}  // namespace tailrace::workspace
