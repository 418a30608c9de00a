// A workspace: configuration as code. A folder of YAML, read whole, checked whole (every error at once),
// normalised to one JSON document, which `apply` writes to the log as a record. After that the folder is not
// needed to run.
//
//   Loaded loaded = load("examples/online-retail", disk);   // loaded.problems has file, line, column and
//   what to do std::string text = to_json(to_value(loaded.workspace)); // the record's payload; holds no
//   secret
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "destinations/selection.h"
#include "language/language.h"
#include "model/person.h"
#include "model/value.h"
#include "sources/query/spec.h"

namespace tailrace::destinations {
class EventDestination;
}

namespace tailrace::workspace {

enum class UnknownEvents : unsigned char { quarantine, admit };
enum class Effect : unsigned char { target, suppress };  // being in the audience shows ads, or stops them
enum class Lifecycle : unsigned char { draft, active, retired };
// What of a sync reaches its platform.
enum class Mode : unsigned char {
  live,
  test,     // people of its `test_segment`, and nobody else
  dry_run,  // nothing: it is built and counted
};
std::string_view to_string(Mode mode);  // "dry_run"

// A secret is only ever named: from an environment variable, a file, what a program prints, or (sandbox and
// tests only) nowhere.
struct SecretReference {
  enum class Kind : unsigned char { none, environment, file, command };
  Kind kind = Kind::none;
  // The variable's name, the file's path (relative to the workspace folder), or the program: by its path, or
  // found in PATH where that has no slash.
  std::string name;
  std::vector<std::string> arguments = {};  // of the program; they go to it as they stand, through no shell
  // The day on which the secret ends, as its owner wrote down; its first instant in UTC. Missing: not said.
  std::optional<Time> ends_at = {};

  bool operator==(const SecretReference&) const = default;
};

// What page and screen calls are called in every workspace, declared or not.
constexpr std::array<std::string_view, 2> kBuiltInEvents{"Page Viewed", "Screen Viewed"};

struct PropertyRule {
  std::string name;
  language::Type type = language::Type::any;
  bool required = false;
  bool from_string = false;  // a number that may come as a string, "12.50", and counts as that number
  bool indexed = false;      // kept as a column of the event from the first one on
};
struct EventRule {
  std::string name;  // canonical
  std::vector<std::string> aliases;
  std::string owner;
  std::string description;
  std::vector<PropertyRule> properties;  // undeclared ones are let through
};
struct TraitRule {
  std::string name;
  language::Type type = language::Type::any;
};
struct Taxonomy {
  UnknownEvents unknown_events = UnknownEvents::quarantine;
  std::vector<EventRule> events;
  std::vector<TraitRule> traits;  // empty: any trait is known, with type any
};

// A named expression: a definition, a computed attribute or a segment. `text` is canonical after checking.
struct Named {
  std::string name;
  std::string owner;
  std::string purpose;
  Lifecycle lifecycle = Lifecycle::active;
  std::string text;
  language::ExprPtr expr;  // checked; null where the workspace has errors
};

struct WriteKey {
  std::string name;  // becomes the records' source
  SecretReference secret;
  std::uint32_t requests_per_second = 0;  // more are answered 429; 0: no limit
};

// A source that speaks HTTP in somebody else's words (sources/source.h).
struct SourceEntry {
  std::string name;                             // becomes the records' source; its path is /sources/NAME
  std::string type;                             // "shopify"
  std::map<std::string, std::string> settings;  // plain values, checked against the source's description
  std::map<std::string, SecretReference> credentials;  // by setting name
  std::uint32_t requests_per_second = 0;               // more are answered 429; 0: no limit
};

// Files of PEM, for serving over TLS; relative to the folder. Both empty: plain HTTP.
struct TlsFiles {
  std::string certificate;  // and those that lead to the authority
  std::string key;
};

struct DestinationConfig {
  std::string name;
  std::string type;                             // "meta_custom_audiences", "google_data_manager", "webhook"
  std::map<std::string, std::string> settings;  // plain values, checked against the destination's description
  std::map<std::string, SecretReference> credentials;  // by setting name
  bool allow_private_addresses = false;                // requests may go to this machine and its networks
  std::string ca_file;  // whose certificates count, PEM; relative to the folder; empty: the system's
};

struct Cadence {
  enum class Kind : unsigned char { realtime, every, cron };
  Kind kind = Kind::realtime;
  Millis every;      // `every 15m`
  std::string cron;  // five fields, in the workspace's time zone
};

// Limits on how fast and how small a sync's audience may become by itself; delivery/guard.h says how they
// are kept.
struct Guards {
  // The changes that are never held.
  enum class SafeSide : unsigned char { none, additions, removals };
  std::optional<std::uint32_t> change_share_per_million;  // of the members, within an hour, each way
  std::optional<std::uint64_t> change_count;              // people, within an hour, each way
  std::uint64_t size_min = 0;                             // 0: none; of `never_empty`, 1
  SafeSide safe_side = SafeSide::none;

  bool operator==(const Guards&) const = default;
  // What a sync has that says nothing. A list that stops ads is never to lose more than half at a stroke.
  static Guards of(Effect effect) {
    if (effect == Effect::target) return {};
    return {.change_share_per_million = 500'000,
            .change_count = {},
            .size_min = 0,
            .safe_side = SafeSide::additions};
  }
};

// What happens when an audience is not as we left it at its platform (delivery/drift.h).
enum class DriftPolicy : unsigned char {
  alert,     // it is said, and the sync goes on
  adopt,     // what the platform says holds from now on
  reassert,  // a name is given back; an audience that is gone is made anew and filled
  freeze,    // nothing is sent until `release`
};

// What an audience sync tells of its people beside their identifiers.
struct CarriedAttribute {
  std::string name;  // of a computed attribute, or else of a trait
  std::string as;    // how the destination is to call it

  bool operator==(const CarriedAttribute&) const = default;
};

struct SyncConfig {
  std::string name;
  std::string segment;
  std::string destination;
  Effect effect = Effect::target;
  // retired: nobody is to be in its audience any more. Never draft.
  Lifecycle lifecycle = Lifecycle::active;
  Mode mode = Mode::live;
  std::string test_segment;  // of mode test
  std::vector<IdentifierKind> identifiers;
  std::vector<CarriedAttribute> attributes;
  Cadence cadence;
  std::vector<std::string> exclusions;          // segments subtracted
  std::string consent_purpose;                  // empty: none asked for
  std::uint32_t holdout_per_million = 0;        // 0 for suppress
  std::string holdout_salt;                     // default: the sync's name
  std::string audience_id;                      // empty: Tailrace creates the audience
  std::map<std::string, std::string> settings;  // destination-specific, such as audience_name
  Millis batch_age_max{250};                    // realtime: the longest a change waits for company
  Guards guards;
  DriftPolicy drift = DriftPolicy::alert;
  std::string twin;  // of a target sync: the suppress sync that takes those who leave it; may be empty
  // suppress only: who entered the segment stays in the audience at least that long.
  std::optional<Millis> minimum_stay;
  // `expiry`: the longest stay of a member since they entered the segment, and the day on which the sync
  // itself is to be looked at again, as the workspace's wall clock shows its first instant, written as if it
  // were UTC. Passing one removes from a target sync, and is only told of a suppress sync.
  std::optional<Millis> longest_stay;
  std::optional<Time> review_date;
  // What users promise themselves: a live change is acknowledged that soon after it was received. Missing:
  // the default of its cadence (delivery/objective.h).
  std::optional<Millis> objective;

  bool is_retired() const { return lifecycle == Lifecycle::retired; }
  // Emptying a retired sync is what somebody wrote down: no guard holds that.
  Guards guards_in_force() const { return is_retired() ? Guards{} : guards; }
};

// What a stream sync sends of one event.
struct StreamEvent {
  std::string event;            // canonical
  std::string name;             // at the platform; empty: as its destination calls it
  bool sent = true;             // false: never, though the destination would
  std::string where;            // a condition on the event's properties, canonical; empty: every one
  language::ExprPtr condition;  // checked; null: none

  bool operator==(const StreamEvent& other) const {
    return event == other.event && name == other.name && sent == other.sent && where == other.where;
  }
};

// What becomes of an event to which a platform gave no answer, where the platform cannot tell a second copy.
enum class Ambiguity : unsigned char {
  hold,    // it becomes a dead letter, and somebody decides
  resend,  // it goes again, and may count twice
};

// A stream sync: events, one after another, as they come in. (An audience sync is a SyncConfig.)
struct StreamConfig {
  enum class Start : unsigned char { now, beginning };
  std::string name;
  std::string destination;
  Lifecycle lifecycle = Lifecycle::active;  // retired: nothing is sent. Never draft.
  Mode mode = Mode::live;
  std::string test_segment;         // of mode test
  bool every_event = false;         // whatever is not named goes too, where the destination takes it
  std::vector<StreamEvent> events;  // empty: those that the destination knows
  std::string people;               // a segment: only events of those in it; empty: of everybody
  std::string consent_purpose;      // empty: none asked for
  std::map<std::string, std::string> fields;  // destinations/conversion.h
  std::string currency;                       // of events that name none
  destinations::Selection properties;
  Start start = Start::now;  // where it begins when it is new
  Ambiguity ambiguity = Ambiguity::hold;
  Millis batch_age_max{250};  // the longest an event waits for company
  static constexpr std::uint32_t kRequestsInFlightMax = 64;
  std::uint32_t requests_in_flight = 4;  // at a time
  std::map<std::string, std::string> settings;

  bool is_retired() const { return lifecycle == Lifecycle::retired; }
  bool operator==(const StreamConfig&) const = default;
};

// A warehouse sync: tables of everything (warehouse/tables.h), kept up to date at a destination that keeps
// tables.
struct WarehouseConfig {
  std::string name;
  std::string destination;
  Lifecycle lifecycle = Lifecycle::active;  // retired: nothing is sent. Never draft.
  std::vector<std::string> tables;          // "events" and so on; empty: all
  Cadence cadence{.kind = Cadence::Kind::every, .every = kMinute * 15, .cron = {}};
  StreamConfig::Start start = StreamConfig::Start::beginning;  // where it begins when it is new
  std::map<std::string, std::string> settings;

  bool is_retired() const { return lifecycle == Lifecycle::retired; }
};

// A source that is asked: a query on a database (sources/query/spec.h).
struct QuerySource {
  static constexpr std::uint64_t kRowsMax = 10'000'000;
  std::string name;                             // becomes the records' source
  std::string type;                             // "postgres", "duckdb", "clickhouse"
  std::map<std::string, std::string> settings;  // sources/query/engines.h
  std::map<std::string, SecretReference> credentials;
  bool allow_private_addresses = false;
  std::string ca_file;
  Lifecycle lifecycle = Lifecycle::active;  // retired: it is not asked. Never draft.
  sources::QuerySpec spec;
  Cadence cadence{.kind = Cadence::Kind::every, .every = kHour, .cron = {}};
  // Of rows that are gone since the time before, and of how few there are; a run that breaks one is held.
  Guards guards;
  std::uint64_t rows_max = kRowsMax;  // more are an error

  bool is_retired() const { return lifecycle == Lifecycle::retired; }
  // What it has that says nothing. A query that suddenly gives nothing must not empty everybody's attributes;
  // events are not taken back.
  static Guards guards_of(sources::RowsAs rows) {
    if (rows == sources::RowsAs::events) return {};
    return {.change_share_per_million = 200'000,
            .change_count = {},
            .size_min = 1,
            .safe_side = Guards::SafeSide::none};
  }
};

struct Workspace {
  std::string name;
  IdentifierKind golden_id = IdentifierKind::external_id;
  std::string time_zone = "UTC";
  std::string default_region;  // ISO 3166 alpha-2, for phone numbers written without a country; may be empty
  bool consent_unknown = false;  // what an unknown consent counts as
  Millis dedup_window = kDay * 30;
  std::vector<WriteKey> write_keys;
  std::vector<SourceEntry> sources;
  std::vector<QuerySource> query_sources;
  TlsFiles tls;
  Taxonomy taxonomy;
  std::vector<Named> definitions;
  std::vector<Named> attributes;
  std::vector<Named> segments;
  std::vector<DestinationConfig> destinations;
  std::vector<SyncConfig> syncs;
  std::vector<StreamConfig> streams;
  std::vector<WarehouseConfig> warehouses;

  const Named* find_segment(std::string_view segment) const;
  const Named* find_attribute(std::string_view attribute) const;
  const Named* find_definition(std::string_view definition) const;
  const SyncConfig* find_sync(std::string_view sync) const;
  const StreamConfig* find_stream(std::string_view stream) const;
  const QuerySource* find_query_source(std::string_view source) const;
  const WarehouseConfig* find_warehouse(std::string_view sync) const;
  const DestinationConfig* find_destination(std::string_view destination) const;
};

// A problem in a file of the folder.
struct FileProblem {
  std::string file;  // relative to the folder
  language::Problem problem;
};

struct Loaded {
  Workspace workspace;
  std::vector<FileProblem> problems;
  bool ok() const;  // no problem of severity error
};

// Reads and checks the folder. Never fails otherwise than by problems. now: review dates before it are warned
// of.
Loaded load(const std::string& folder, Time now = kForeverAgo);

// "segments/vip.yaml:4:8: error: unknown event ...", with the source line, a caret and the mend.
std::string render(const std::string& folder, const FileProblem& problem);

// The names an expression may use in this workspace, for checking an expression typed by hand. Lends
// `workspace`.
language::Names names_of(const Workspace& workspace);
// What a destination calls events unless a sync says otherwise, by their canonical names in this workspace.
std::map<std::string, std::string> names_at(const Workspace& workspace,
                                            const destinations::EventDestination& destination);
// Parses and checks an expression, or the name of a segment, in this workspace. Error: the rendered problems.
Result<language::ExprPtr> resolve_segment(const Workspace& workspace, std::string_view name_or_expression);

// The tables that a warehouse sync may name; those of single events go with "events".
const std::vector<std::string>& warehouse_tables();

// The normalised workspace, and back. from_value checks again (types of expressions are not stored).
Value to_value(const Workspace& workspace);
Result<Workspace> from_value(const Value& value);

// `tailrace init`: writes a commented starter workspace that passes `check`. Errors: conflict when the folder
// has one.
Result<void> init(const std::string& folder);

}  // namespace tailrace::workspace
