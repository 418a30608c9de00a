#include "warehouse/tables.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace tailrace::warehouse {
namespace {

using Kind = WarehouseTable::Kind;

constexpr std::size_t kNameMax = 50;
constexpr std::string_view kEventPrefix = "event_";

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

WarehouseTable table(std::string name, Kind kind, std::vector<std::string> key, std::string about,
                     std::vector<WarehouseColumn> columns) {
  return {.name = std::move(name),
          .kind = kind,
          .columns = std::move(columns),
          .key = std::move(key),
          .version = kind == Kind::latest ? "version" : "",
          .about = std::move(about)};
}

const WarehouseColumn kPerson{"person_id", ColumnType::integer, "whose it is: people.person_id"};
const WarehouseColumn kVersion{"version", ColumnType::integer,
                               "of the rows with the same key the one with the greatest counts"};

std::vector<WarehouseColumn> event_columns() {
  return {{"event_id", ColumnType::integer, "the event's place in the log: unique, and in order of arrival"},
          {"received_at", ColumnType::time, "when it was stored"},
          {"occurred_at", ColumnType::time, "when it happened, as its sender says"},
          kPerson,
          {"user_id", ColumnType::text, "as the event names the person"},
          {"anonymous_id", ColumnType::text, "likewise"},
          {"source", ColumnType::text, "the write key's name, or the import"},
          {"message_id", ColumnType::text, "unique within the source"}};
}

std::vector<WarehouseTable> fixed_tables() {
  std::vector<WarehouseTable> all;
  auto events = event_columns();
  events.push_back({"event", ColumnType::text, "its canonical name"});
  events.push_back({"properties", ColumnType::json, "all of them, as they came"});
  events.push_back({"context", ColumnType::json, "as it came"});
  all.push_back(
      table("events", Kind::append, {"event_id"},
            "Every admitted event, one row each. Duplicates and what is in quarantine are not here.",
            std::move(events)));
  all.push_back(
      table("people", Kind::latest, {"person_id"},
            "A row for each time something of a person changed, with everything as of then. A column for "
            "each declared "
            "trait and each computed attribute is added.",
            {{"person_id", ColumnType::integer, "permanent"},
             kVersion,
             {"changed_at", ColumnType::time, "when this row was made"},
             {"golden_id", ColumnType::text, "the identifier that names the person outwards"},
             {"merged_into", ColumnType::integer, "who they are now, if they turned out to be somebody else"},
             {"deleted", ColumnType::boolean, "at their own wish; then nothing else is in the row"},
             {"consent", ColumnType::json, "purpose: true or false"},
             {"traits", ColumnType::json, "all of them, the latest of each"}}));
  all.push_back(table("identifiers", Kind::latest, {"person_id", "kind", "value"},
                      "What a person is known by: every e-mail, phone and device too, not the latest alone.",
                      {kPerson,
                       {"kind", ColumnType::text, "external_id, anonymous_id, email, phone, idfa, aaid"},
                       {"value", ColumnType::text, "as it came"},
                       {"since", ColumnType::time, "of the first record that said so"},
                       kVersion}));
  all.push_back(table(
      "segment_memberships", Kind::append, {"change_id"},
      "Every entry into a segment and every exit, at its exact instant. A segment that is new begins "
      "with a row "
      "`present` for each of its members.",
      {{"change_id", ColumnType::integer, "unique, in order"},
       {"segment", ColumnType::text, ""},
       kPerson,
       {"change", ColumnType::text, "entered, left, present"},
       {"changed_at", ColumnType::time, "the instant: of the record that decided, or the end of a window"},
       {"caused_at", ColumnType::time,
        "when that record was stored; the same as `changed_at` when time alone decided"}}));
  all.push_back(table("audience_deliveries", Kind::append, {"delivery_id"},
                      "What a platform was asked about a person, and how it ended.",
                      {{"delivery_id", ColumnType::integer, "unique, in order"},
                       {"sync", ColumnType::text, ""},
                       kPerson,
                       {"operation", ColumnType::text, "add, remove"},
                       {"outcome", ColumnType::text, "accepted, rejected"},
                       {"changed_at", ColumnType::time, "when the segment said so"},
                       {"received_at", ColumnType::time, "when the record that caused it was stored"},
                       {"sent_at", ColumnType::time, ""},
                       {"acknowledged_at", ColumnType::time, ""}}));
  all.push_back(table("rejections", Kind::append, {"delivery_id"},
                      "What a platform, or Tailrace before sending, refused.",
                      {{"delivery_id", ColumnType::integer, "unique, in order"},
                       {"sync", ColumnType::text, ""},
                       kPerson,
                       {"event_id", ColumnType::integer, "of a conversion"},
                       {"reason", ColumnType::text, ""},
                       {"rejected_at", ColumnType::time, ""}}));
  all.push_back(table("conversions", Kind::append, {"delivery_id"},
                      "Events that were sent to a platform, and how that ended.",
                      {{"delivery_id", ColumnType::integer, "unique, in order"},
                       {"sync", ColumnType::text, ""},
                       {"event_id", ColumnType::integer, "events.event_id"},
                       kPerson,
                       {"event", ColumnType::text, "its canonical name"},
                       {"outcome", ColumnType::text, "accepted, rejected, unknown"},
                       {"received_at", ColumnType::time, ""},
                       {"acknowledged_at", ColumnType::time, ""}}));
  all.push_back(
      table("messages", Kind::append, {"event_id"},
            "What became of e-mails, texts and pushes: events of message engagement, with what they have "
            "in common.",
            {{"event_id", ColumnType::integer, "events.event_id"},
             {"occurred_at", ColumnType::time, ""},
             kPerson,
             {"event", ColumnType::text, "Email Delivered, Email Opened, ..."},
             {"channel", ColumnType::text, "email, sms, push, in_app, webhook, ..."},
             {"metric", ColumnType::text, "sent, delivered, opened, clicked, converted, bounced, ..."},
             {"delivery_id", ColumnType::text, "the message"},
             {"campaign_id", ColumnType::text, "or of the broadcast"},
             {"by_machine", ColumnType::boolean, "opened or clicked by a program, not a person"},
             {"link_url", ColumnType::text, ""},
             {"reason", ColumnType::text, "of a failure"}}));
  all.push_back(
      table("holdouts", Kind::latest, {"sync", "person_id"},
            "Who was put into which group of a sync with a holdout, when they first could have been in its "
            "audience.",
            {{"sync", ColumnType::text, ""},
             kPerson,
             {"held_out", ColumnType::boolean, ""},
             {"eligible_at", ColumnType::time, ""},
             kVersion}));
  all.push_back(table("sync_runs", Kind::append, {"run_id"},
                      "What each sync did between two packs, and each pack itself.",
                      {{"run_id", ColumnType::text, "unique"},
                       {"sync", ColumnType::text, ""},
                       {"kind", ColumnType::text, "audience, events"},
                       {"began_at", ColumnType::time, "the first acknowledgement"},
                       {"ended_at", ColumnType::time, "the last"},
                       {"accepted", ColumnType::integer, ""},
                       {"rejected", ColumnType::integer, ""}}));
  all.push_back(table("definitions", Kind::append, {"applied_id", "kind", "name"},
                      "What each word meant as of when: every applied workspace, name by name.",
                      {{"applied_id", ColumnType::integer, "the workspace's place in the log"},
                       {"applied_at", ColumnType::time, ""},
                       {"kind", ColumnType::text, "definition, attribute, segment"},
                       {"name", ColumnType::text, ""},
                       {"owner", ColumnType::text, ""},
                       {"purpose", ColumnType::text, ""},
                       {"definition", ColumnType::text, "in the segment language"}}));
  all.push_back(table("discards", Kind::append, {"table_name", "row_id", "column_name"},
                      "Values that did not fit their column. The events table has them too, in `properties`.",
                      {{"table_name", ColumnType::text, ""},
                       {"row_id", ColumnType::integer, "the row's event_id or person_id"},
                       {"column_name", ColumnType::text, ""},
                       {"value", ColumnType::text, "as JSON"},
                       {"reason", ColumnType::text, ""},
                       {"discarded_at", ColumnType::time, ""}}));
  return all;
}

}  // namespace

std::string column_name(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size() && out.size() < kNameMax; ++i) {
    const char c = name[i];
    const bool begins_word = is_upper(c) && i > 0 &&
                             (is_lower(name[i - 1]) || is_digit(name[i - 1]) ||
                              (is_upper(name[i - 1]) && i + 1 < name.size() && is_lower(name[i + 1])));
    if (begins_word && !out.ends_with('_')) out += '_';
    if (is_upper(c)) {
      out += static_cast<char>(c - 'A' + 'a');
    } else if (is_lower(c) || is_digit(c)) {
      out += c;
    } else if (!out.ends_with('_')) {
      out += '_';
    }
  }
  while (out.size() > 1 && out.ends_with('_')) out.pop_back();
  if (out.empty() || is_digit(out.front())) out.insert(out.begin(), '_');
  return out;
}

std::string event_table(std::string_view event) { return std::string(kEventPrefix) + column_name(event); }

ColumnType column_type(language::Type type) {
  switch (type) {
    case language::Type::boolean:
      return ColumnType::boolean;
    case language::Type::number:
      return ColumnType::decimal;
    case language::Type::string:
      return ColumnType::text;
    case language::Type::time:
      return ColumnType::time;
    case language::Type::any:
    case language::Type::list:
      return ColumnType::json;
  }
  return ColumnType::json;
}

std::string_view type_word(ColumnType type) {
  constexpr std::array<std::string_view, 7> kWords{"text",   "boolean", "integer", "decimal",
                                                   "double", "time",    "json"};
  return kWords[static_cast<std::size_t>(type)];
}

std::optional<std::size_t> find_column(const WarehouseTable& table, std::string_view name, ColumnType type) {
  const std::string plain = column_name(name);
  const std::string typed = fmt::format("{}_{}", plain, type_word(type));
  for (const std::string_view wanted : {std::string_view(plain), std::string_view(typed)}) {
    const auto found = std::ranges::find(table.columns, wanted, &WarehouseColumn::name);
    if (found != table.columns.end() && found->type == type)
      return static_cast<std::size_t>(found - table.columns.begin());
  }
  return std::nullopt;
}

void add_column(WarehouseTable& table, std::string_view name, ColumnType type, std::string about) {
  if (find_column(table, name, type)) return;
  std::string plain = column_name(name);
  if (std::ranges::find(table.columns, plain, &WarehouseColumn::name) != table.columns.end())
    plain += fmt::format("_{}", type_word(type));
  // Both names are taken by other types only where a property is named like that on purpose.
  while (std::ranges::find(table.columns, plain, &WarehouseColumn::name) != table.columns.end()) plain += '_';
  table.columns.push_back({std::move(plain), type, std::move(about)});
}

std::vector<WarehouseTable> tables_of(const workspace::Workspace& workspace,
                                      const std::vector<std::string>& chosen) {
  const auto wanted = [&](std::string_view name) {
    return chosen.empty() || std::ranges::find(chosen, name) != chosen.end();
  };
  std::vector<WarehouseTable> all;
  for (WarehouseTable& fixed : fixed_tables()) {
    if (!wanted(fixed.name)) continue;
    if (fixed.name == "people") {
      for (const auto& trait : workspace.taxonomy.traits)
        add_column(fixed, trait.name, column_type(trait.type), fmt::format("the trait {}", trait.name));
      for (const auto& attribute : workspace.attributes) {
        const auto type = attribute.expr == nullptr ? language::Type::any : attribute.expr->type;
        add_column(fixed, attribute.name, column_type(type),
                   fmt::format("the computed attribute {}", attribute.name));
      }
    }
    all.push_back(std::move(fixed));
  }
  if (!wanted("events")) return all;
  for (const auto& event : workspace.taxonomy.events) {
    WarehouseTable own = table(event_table(event.name), Kind::append, {"event_id"},
                               fmt::format("Events {}, with their properties.", event.name), event_columns());
    for (const auto& property : event.properties) {
      if (property.name.find('.') == std::string::npos)
        add_column(own, property.name, column_type(property.type),
                   fmt::format("the property {}", property.name));
    }
    const bool is_known =
        std::ranges::find(all, own.name, &WarehouseTable::name) != all.end();  // two names, one table
    if (!is_known) all.push_back(std::move(own));
  }
  return all;
}

std::vector<WarehouseTable> grown(std::vector<WarehouseTable> before,
                                  const std::vector<WarehouseTable>& now) {
  for (const WarehouseTable& one : now) {
    const auto known = std::ranges::find(before, one.name, &WarehouseTable::name);
    if (known == before.end()) {
      before.push_back(one);
      continue;
    }
    for (const WarehouseColumn& column : one.columns) {
      const auto same = std::ranges::find(known->columns, column.name, &WarehouseColumn::name);
      if (same == known->columns.end()) {
        known->columns.push_back(column);
      } else if (same->type != column.type) {
        add_column(*known, column.name, column.type, column.about);
      }
    }
  }
  return before;
}

Value tables_to_value(const std::vector<WarehouseTable>& tables) {
  Value all = Value::with(Value::Kind::list);
  for (const WarehouseTable& one : tables) {
    Value value = Value::with(Value::Kind::object);
    const auto add = [&](const char* name, Value member) {
      value.members.emplace_back(name, std::move(member));
    };
    add("name", Value::of(one.name));
    add("kind", Value::of(one.kind == Kind::append ? "append" : "latest"));
    Value key = Value::with(Value::Kind::list);
    for (const std::string& column : one.key) key.list.push_back(Value::of(column));
    add("key", std::move(key));
    if (!one.version.empty()) add("version", Value::of(one.version));
    if (!one.about.empty()) add("about", Value::of(one.about));
    Value columns = Value::with(Value::Kind::list);
    for (const WarehouseColumn& column : one.columns) {
      Value written = Value::with(Value::Kind::object);
      written.members.emplace_back("name", Value::of(column.name));
      written.members.emplace_back("type", Value::of(std::string(type_word(column.type))));
      if (!column.about.empty()) written.members.emplace_back("about", Value::of(column.about));
      columns.list.push_back(std::move(written));
    }
    add("columns", std::move(columns));
    all.list.push_back(std::move(value));
  }
  return all;
}

Result<std::vector<WarehouseTable>> tables_from_value(const Value& value) {
  const auto text = [](const Value& object, const char* name) {
    const Value* member = object.find(name);
    return member == nullptr ? std::string() : member->string;
  };
  const auto corrupt = [] { return fail(Error::Code::corrupt, "the schema of a warehouse cannot be read"); };
  if (value.kind != Value::Kind::list) return corrupt();
  std::vector<WarehouseTable> tables;
  for (const Value& one : value.list) {
    WarehouseTable& table = tables.emplace_back();
    table.name = text(one, "name");
    table.kind = text(one, "kind") == "latest" ? Kind::latest : Kind::append;
    table.version = text(one, "version");
    table.about = text(one, "about");
    const Value* key = one.find("key");
    const Value* columns = one.find("columns");
    if (table.name.empty() || key == nullptr || columns == nullptr) return corrupt();
    for (const Value& column : key->list) table.key.push_back(column.string);
    for (const Value& column : columns->list) {
      const std::string word = text(column, "type");
      std::optional<ColumnType> type;
      for (int i = 0; i <= static_cast<int>(ColumnType::json); ++i) {
        if (type_word(static_cast<ColumnType>(i)) == word) type = static_cast<ColumnType>(i);
      }
      if (!type) return corrupt();
      table.columns.push_back({text(column, "name"), *type, text(column, "about")});
    }
  }
  return tables;
}

static constexpr std::string_view kIntroduction = R"(# Warehouse

A warehouse sync keeps tables of everything up to date: in a folder of this machine or an object store (Parquet files), or in a database
or warehouse. It is a sync with `tables`:

```yaml
# destinations/lake.yaml
name: lake
type: parquet_lake
settings: {location: .tailrace/lake}    # relative to the workspace; or s3://bucket/prefix, gs://..., azure://...

# syncs/lake.yaml
name: Lake
destination: lake
tables: all             # or a list: [events, people, segment_memberships]
cadence: every 15m      # or five cron fields; a minute at least
start: beginning        # or now: only what comes in from here on
```

`tailrace query -w DIR "SQL"` answers over a lake in a folder of this machine, and brings it up to date first (`--stale`: not). It runs whether
`tailrace serve` does or not, and needs no server, no account and no network. The SQL is DuckDB's.

    tailrace query -w shop "SELECT event, count(*) FROM events GROUP BY event"
    tailrace query -w shop --format csv "SELECT * FROM people" > people.csv

In `query` a person is one person: rows of people who turned out to be the same have the `person_id` of the one they are now; `people` and the
other tables of latest rows have one row each, and `people_history` and so on have all.

## Three questions

Lifetime value by the first segment somebody entered:

```sql
WITH first_segment AS (
  SELECT person_id, arg_min(segment, changed_at) AS segment FROM segment_memberships WHERE change IN ('entered', 'present') GROUP BY person_id)
SELECT segment, count(*) AS people, round(avg(ltv), 2) AS average_ltv, sum(ltv) AS revenue
FROM first_segment JOIN people USING (person_id) GROUP BY segment ORDER BY revenue DESC;
```

Retention by the month of the first order:

```sql
WITH orders AS (SELECT person_id, date_trunc('month', occurred_at) AS month FROM event_order_placed GROUP BY ALL),
     first AS (SELECT person_id, min(month) AS cohort FROM orders GROUP BY person_id)
SELECT strftime(cohort, '%Y-%m') AS cohort, date_diff('month', cohort, month) AS months_later, count(*) AS people
FROM orders JOIN first USING (person_id) GROUP BY ALL ORDER BY cohort, months_later;
```

Engagement by campaign, without what programs opened:

```sql
SELECT campaign_id, count(*) FILTER (metric = 'delivered') AS delivered,
       count(DISTINCT delivery_id) FILTER (metric = 'opened' AND NOT by_machine) AS opened,
       count(DISTINCT delivery_id) FILTER (metric = 'clicked' AND NOT by_machine) AS clicked
FROM messages GROUP BY campaign_id ORDER BY delivered DESC;
```

## What holds

- **Once.** Rows go in packs, each a range of the log; whatever crashes, a pack is loaded once (what makes it so is on each destination's page).
- **Exact.** A number is `DECIMAL(38, 9)`; quotients keep nine digits. Times are UTC, to the millisecond.
- **Stable.** Names come from the taxonomy: `Order Placed` is `event_order_placed`, `orderId` is `order_id`. Tables and columns are added and never
  changed: where the taxonomy gives a property another type, a second column has it (`revenue`, then `revenue_text`).
- **Nothing is dropped.** A value that does not fit its column is a row of `discards`; `events.properties` has all that came.
- **As it was believed.** Entries and exits are those that happened while Tailrace ran. A late event may change what a segment's timeline says today
  (`tailrace transitions`); rows that were written stay. A segment that is new begins with its timeline (with more than 5,000,000 events: with a
  row `present` for each member).
- `tailrace status` shows each sync, how far behind it is, and why it stopped, if it did; `tailrace pause` and `tailrace resume` do what they say.
- **Deletion.** With the next pack a deleted person gets a row `deleted` in `people`, and so does every `person_id` that had become that person.
  Rows that are in the warehouse are not erased by Tailrace. One statement erases them, for each table with a `person_id` but `people` itself:

  ```sql
  DELETE FROM events WHERE person_id IN (SELECT person_id FROM people WHERE deleted);
  ```

  In ClickHouse earlier rows of `people` go when their parts are merged (`OPTIMIZE TABLE people FINAL`). Files of a lake are not changed: its owner
  writes those with such rows anew, `people` too; the list is `SELECT person_id FROM people_history WHERE deleted` in `tailrace query`.

## Tables

Event tables (`event_...`) have the columns of `events` but the last three, and one for each declared property.

)";

std::string reference_markdown() {
  std::string out(kIntroduction);
  for (const WarehouseTable& one : fixed_tables()) {
    out += fmt::format("### {}\n\n{}\n\n| column | type | |\n|---|---|---|\n", one.name, one.about);
    for (const WarehouseColumn& column : one.columns) {
      const bool is_key = std::ranges::find(one.key, column.name) != one.key.end();
      out += fmt::format("| `{}`{} | {} | {} |\n", column.name, is_key ? " (key)" : "",
                         type_word(column.type), column.about);
    }
    out += '\n';
  }
  return out;
}

}  // namespace tailrace::warehouse
