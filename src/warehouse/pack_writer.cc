#include "warehouse/pack_writer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>

#include <fmt/format.h>

#include "base/hash.h"
#include "columnar/parquet_writer.h"
#include "model/json.h"
#include "warehouse/tables.h"

namespace tailrace::warehouse {
namespace {

using columnar::ParquetWriter;
using destinations::Pack;
using destinations::PackFile;

constexpr std::string_view kManifest = "manifest.json";

std::unexpected<Error> failed(std::string_view what, const std::string& path) {
  return fail(Error::Code::io, fmt::format("{} {}", what, path));
}

// Its bytes and their digest, as they are on the disk.
Result<void> measure(PackFile& file) {
  std::ifstream in(file.path, std::ios::binary);
  std::vector<char> bytes(1u << 20);
  Sha256Stream digest;
  while (in) {
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    digest.add({bytes.data(), static_cast<std::size_t>(in.gcount())});
    file.bytes += static_cast<std::uint64_t>(in.gcount());
  }
  if (!in.eof()) return failed("cannot read", file.path);
  file.sha256 = digest.hex();
  return {};
}

std::string date_of(Time time) { return format_time(time).substr(0, 10); }

std::string_view word(MembershipFact::Change change) {
  switch (change) {
    case MembershipFact::Change::entered:
      return "entered";
    case MembershipFact::Change::left:
      return "left";
    case MembershipFact::Change::present:
      return "present";
  }
  return "";
}
std::string_view word(DeliveryFact::Outcome outcome) {
  switch (outcome) {
    case DeliveryFact::Outcome::accepted:
      return "accepted";
    case DeliveryFact::Outcome::rejected:
      return "rejected";
    case DeliveryFact::Outcome::unknown:
      return "unknown";
  }
  return "";
}

// No two packs of a sync have the same: where the log had nothing new, several begin and end at one place.
std::string range_name(const PackWriter::Options& options) {
  return fmt::format("{:020}_{:020}{}", options.begin.value, options.end.value,
                     options.begin == options.end ? fmt::format("_s{}", options.sequence) : "");
}

// The rows of one table, a file for each date.
class TableRows {
 public:
  TableRows(const WarehouseTable& table, const PackWriter::Options& options)
      : table_(table), options_(options) {}

  const WarehouseTable& table() const { return table_; }

  // The row that is begun; it ends with end_row. Of another date, what came before becomes a file.
  Result<ParquetWriter*> row(Time at) {
    const std::int64_t day = at.ms / kDay.count;
    if (writer_ != nullptr && (day != day_ || writer_->rows() >= options_.file_rows_max)) TRY(close());
    if (writer_ == nullptr) TRY(open(at, day));
    return writer_.get();
  }

  Result<void> close() {
    if (writer_ == nullptr) return {};
    file_.rows = writer_->rows();
    TRY(writer_->finish());
    writer_.reset();
    files_.push_back(std::move(file_));
    return {};
  }
  std::vector<PackFile> take_files() { return std::move(files_); }

 private:
  Result<void> open(Time at, std::int64_t day) {
    const int part = ++parts_[day];
    day_ = day;
    const std::string date = date_of(at);
    file_ = {};
    file_.table = table_.name;
    file_.name = fmt::format("{0}/dt={1}/{0}_v1_{2}{3}.parquet", table_.name, date, range_name(options_),
                             part == 1 ? "" : fmt::format("_p{}", part));
    file_.path = fmt::format("{}/{}-{}-{}.parquet", options_.directory, table_.name, date, part);
    writer_ = TRY(ParquetWriter::create(table_, file_.path));
    return {};
  }

  const WarehouseTable& table_;
  const PackWriter::Options& options_;
  std::unique_ptr<ParquetWriter> writer_;  // of file_; missing: no row came since the last was closed
  PackFile file_;
  std::int64_t day_ = 0;               // of file_
  std::map<std::int64_t, int> parts_;  // by day: files so far, as a clock that is set back comes to one again
  std::vector<PackFile> files_;
};

// Properties of an event of message engagement, and their columns.
constexpr std::array<std::pair<std::string_view, std::size_t>, 6> kMessageTexts{
    {{"channel", 4}, {"metric", 5}, {"delivery_id", 6}, {"campaign_id", 7}, {"link_url", 9}, {"reason", 10}}};

// Where a property or trait goes, found once per table.
struct Slot {
  std::size_t column;
  ColumnType type;
  bool from_string = false;  // numbers may come as strings
};

class Body final : public PackWriter {
 public:
  Body(Options options, std::vector<WarehouseTable> tables, const workspace::Workspace& workspace)
      : options_(std::move(options)), tables_(std::move(tables)), workspace_(workspace) {}

  Result<void> open() {
    std::error_code error;
    std::filesystem::remove_all(options_.directory, error);
    std::filesystem::create_directories(options_.directory, error);
    if (error) return failed("cannot make", options_.directory);
    std::filesystem::permissions(options_.directory, std::filesystem::perms::owner_all, error);
    for (const WarehouseTable& table : tables_)
      rows_.emplace(table.name, std::make_unique<TableRows>(table, options_));
    events_ = find("events");
    people_ = find("people");
    identifiers_ = find("identifiers");
    memberships_ = find("segment_memberships");
    deliveries_ = find("audience_deliveries");
    rejections_ = find("rejections");
    conversions_ = find("conversions");
    messages_ = find("messages");
    holdouts_ = find("holdouts");
    runs_ = find("sync_runs");
    definitions_ = find("definitions");
    discards_ = find("discards");
    if (people_ != nullptr) {
      for (const auto& trait : workspace_.taxonomy.traits) {
        const ColumnType type = column_type(trait.type);
        if (const auto at = find_column(people_->table(), trait.name, type))
          traits_.emplace(trait.name, Slot{*at, type, false});
      }
      for (const auto& attribute : workspace_.attributes) {
        const ColumnType type =
            column_type(attribute.expr == nullptr ? language::Type::any : attribute.expr->type);
        const auto at = find_column(people_->table(), attribute.name, type);
        attributes_.push_back(at ? std::optional(Slot{*at, type, false}) : std::nullopt);
      }
    }
    return {};
  }

  Result<void> event(const EventFact& fact) override {
    const RecordView& record = *fact.record;
    if (events_ != nullptr) {
      ParquetWriter& row = *TRY(events_->row(record.received_at));
      put_event(row, fact);
      row.put(8, fact.event);
      row.put(9, record.payload.empty() ? std::string_view("{}") : record.payload);
      if (!record.context.empty()) row.put(10, record.context);
      TRY(row.end_row());
    }
    EventTable& own = table_of(fact.event);
    const bool is_message =
        messages_ != nullptr && record.payload.find("\"metric\"") != std::string_view::npos;
    if (own.rows == nullptr && !is_message) return {};
    if (!read_members(record.payload, own.properties,
                      is_message ? message_properties() : std::span<const std::string>(), properties_))
      properties_.members.clear();
    if (own.rows != nullptr) TRY(put_own(own, fact));
    if (is_message) TRY(put_message(fact));
    return {};
  }

  Result<void> person(const PersonFact& fact) override {
    const std::int64_t version = version_of_pack();
    if (people_ != nullptr) {
      ParquetWriter& row = *TRY(people_->row(options_.at));
      row.put_integer(0, fact.person.value);
      row.put_integer(1, version);
      row.put_time(2, options_.at);
      row.put_boolean(5, fact.deleted);
      if (fact.merged_into) row.put_integer(4, fact.merged_into->value);
      const auto id = static_cast<std::int64_t>(fact.person.value);
      if (!fact.deleted && !fact.merged_into) {
        row.put(3, fact.profile.golden_id);
        Value consent = Value::with(Value::Kind::object);
        for (const auto& [purpose, granted] : fact.profile.consent)
          consent.members.emplace_back(purpose, Value::of(granted));
        row.put(6, to_json(consent));
        row.put(7, to_json(fact.profile.traits));
        std::vector<bool> taken(people_->table().columns.size());
        for (const auto& [name, value] : fact.profile.traits.members) {
          if (const auto slot = traits_.find(name); slot != traits_.end())
            put_value(*people_, row, slot->second, value, id, taken);
        }
        for (std::size_t i = 0; i < std::min(attributes_.size(), fact.attributes.size()); ++i) {
          if (attributes_[i]) put_value(*people_, row, *attributes_[i], fact.attributes[i], id, taken);
        }
      }
      TRY(row.end_row());
      TRY(write_discards());
    }
    if (identifiers_ == nullptr || fact.deleted || fact.merged_into) return {};
    for (const Identifier& identifier : fact.profile.identifiers) {
      ParquetWriter& row = *TRY(identifiers_->row(options_.at));
      row.put_integer(0, fact.person.value);
      row.put(1, to_string(identifier.kind));
      row.put(2, identifier.value);
      row.put_time(3, identifier.since);
      row.put_integer(4, version);
      TRY(row.end_row());
    }
    return {};
  }

  Result<void> membership(const MembershipFact& fact) override {
    if (memberships_ == nullptr) return {};
    ParquetWriter& row = *TRY(memberships_->row(options_.at));
    row.put_integer(0, static_cast<std::int64_t>(fact.id));
    row.put(1, fact.segment);
    row.put_integer(2, fact.person.value);
    row.put(3, word(fact.change));
    row.put_time(4, fact.at);
    row.put_time(5, fact.caused_at);
    return row.end_row();
  }

  Result<void> holdout(const HoldoutFact& fact) override {
    if (holdouts_ == nullptr) return {};
    ParquetWriter& row = *TRY(holdouts_->row(options_.at));
    row.put(0, fact.sync);
    row.put_integer(1, fact.person.value);
    row.put_boolean(2, fact.held_out);
    row.put_time(3, fact.eligible_at);
    row.put_integer(4, version_of_pack());
    return row.end_row();
  }

  Result<void> delivery(const DeliveryFact& fact) override {
    const bool is_event = fact.operation == DeliveryFact::Operation::event;
    note_run(fact, is_event);
    const auto id = static_cast<std::int64_t>(fact.id);
    if (!is_event && deliveries_ != nullptr) {
      ParquetWriter& row = *TRY(deliveries_->row(options_.at));
      row.put_integer(0, id);
      row.put(1, fact.sync);
      row.put_integer(2, fact.person.value);
      row.put(3, fact.operation == DeliveryFact::Operation::add ? "add" : "remove");
      row.put(4, word(fact.outcome));
      put_known(row, 5, fact.changed_at);
      put_known(row, 6, fact.received_at);
      put_known(row, 7, fact.sent_at);
      put_known(row, 8, fact.acknowledged_at);
      TRY(row.end_row());
    }
    if (is_event && conversions_ != nullptr) {
      ParquetWriter& row = *TRY(conversions_->row(options_.at));
      row.put_integer(0, id);
      row.put(1, fact.sync);
      row.put_integer(2, static_cast<std::int64_t>(fact.position.value));
      row.put_integer(3, fact.person.value);
      row.put(4, fact.event);
      row.put(5, word(fact.outcome));
      put_known(row, 6, fact.received_at);
      put_known(row, 7, fact.acknowledged_at);
      TRY(row.end_row());
    }
    if (fact.outcome == DeliveryFact::Outcome::accepted || rejections_ == nullptr) return {};
    ParquetWriter& row = *TRY(rejections_->row(options_.at));
    row.put_integer(0, id);
    row.put(1, fact.sync);
    row.put_integer(2, fact.person.value);
    if (is_event) row.put_integer(3, static_cast<std::int64_t>(fact.position.value));
    row.put(4, fact.reason);
    put_known(row, 5, fact.acknowledged_at);
    return row.end_row();
  }

  Result<void> definitions(Position position, Time at, const workspace::Workspace& applied) override {
    if (definitions_ == nullptr) return {};
    const auto put = [&](const char* kind, const std::vector<workspace::Named>& all) -> Result<void> {
      for (const workspace::Named& named : all) {
        ParquetWriter& row = *TRY(definitions_->row(at));
        row.put_integer(0, static_cast<std::int64_t>(position.value));
        row.put_time(1, at);
        row.put(2, kind);
        row.put(3, named.name);
        if (!named.owner.empty()) row.put(4, named.owner);
        if (!named.purpose.empty()) row.put(5, named.purpose);
        row.put(6, named.text);
        TRY(row.end_row());
      }
      return {};
    };
    TRY(put("definition", applied.definitions));
    TRY(put("attribute", applied.attributes));
    return put("segment", applied.segments);
  }

  Result<Pack> finish() override {
    TRY(write_runs());
    Pack pack;
    pack.id = pack_id(options_);
    pack.workspace = options_.workspace;
    pack.sync = options_.sync;
    pack.sequence = options_.sequence;
    pack.begin = options_.begin.value;
    pack.end = options_.end.value;
    pack.manifest_name = fmt::format("_manifests/{}.json", pack.id);
    for (const WarehouseTable& table : tables_) {
      TableRows& rows = *rows_.at(table.name);
      TRY(rows.close());
      for (PackFile& file : rows.take_files()) {
        TRY(measure(file));
        pack.files.push_back(std::move(file));
      }
    }
    rows_.clear();
    pack.tables = tables_;
    pack.manifest = to_json(manifest_of(pack)) + "\n";
    // The manifest says that all the rest is there.
    const std::string path = options_.directory + "/" + std::string(kManifest);
    {
      std::ofstream out(path + ".part", std::ios::binary);
      out << pack.manifest;
      out.flush();
      if (!out) return failed("cannot write", path);
    }
    std::error_code error;
    std::filesystem::rename(path + ".part", path, error);
    if (error) return failed("cannot write", path);
    return pack;
  }

 private:
  struct EventTable {
    TableRows* rows = nullptr;
    std::vector<std::string> properties;
    std::vector<Slot> slots;  // slots[i] is where properties[i] goes
  };
  struct Run {
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
    Time began = kNever;
    Time ended = kForeverAgo;
    bool of_events = false;
  };
  struct Discard {
    std::string table;
    std::int64_t row;
    std::string column;
    std::string value;
    std::string reason;
  };

  // Of rows that replace others: greater in each later pack, also where the log had nothing new.
  std::int64_t version_of_pack() const {
    return static_cast<std::int64_t>(options_.end.value + options_.sequence);
  }

  TableRows* find(std::string_view name) const {
    const auto found = rows_.find(name);
    return found == rows_.end() ? nullptr : found->second.get();
  }

  static void put_event(ParquetWriter& row, const EventFact& fact) {
    const RecordView& record = *fact.record;
    row.put_integer(0, static_cast<std::int64_t>(fact.position.value));
    row.put_time(1, record.received_at);
    row.put_time(2, record.time);
    row.put_integer(3, fact.person.value);
    if (!record.user_id.empty()) row.put(4, record.user_id);
    if (!record.anonymous_id.empty()) row.put(5, record.anonymous_id);
    row.put(6, message_scope(record.source));
    row.put(7, record.message_id);
  }
  static void put_known(ParquetWriter& row, std::size_t column, Time time) {
    if (time.ms != 0 && time > kForeverAgo && time < kNever) row.put_time(column, time);
  }

  EventTable& table_of(std::string_view event) {
    if (const auto known = event_tables_.find(event); known != event_tables_.end()) return known->second;
    EventTable own;
    own.rows = find(event_table(event));
    const auto rule = std::ranges::find(workspace_.taxonomy.events, event, &workspace::EventRule::name);
    if (own.rows != nullptr && rule != workspace_.taxonomy.events.end()) {
      for (const auto& property : rule->properties) {
        const ColumnType type = column_type(property.type);
        if (const auto at = find_column(own.rows->table(), property.name, type)) {
          own.properties.push_back(property.name);
          own.slots.push_back({*at, type, property.from_string});
        }
      }
    }
    return event_tables_.emplace(std::string(event), std::move(own)).first->second;
  }

  // Of properties_, as what follows.
  Result<void> put_own(EventTable& own, const EventFact& fact) {
    ParquetWriter& row = *TRY(own.rows->row(fact.record->received_at));
    put_event(row, fact);
    taken_.assign(own.rows->table().columns.size(), false);
    for (const auto& [name, value] : properties_.members) {
      const auto known = std::ranges::find(own.properties, name);
      if (known == own.properties.end()) continue;
      put_value(*own.rows, row, own.slots[static_cast<std::size_t>(known - own.properties.begin())], value,
                static_cast<std::int64_t>(fact.position.value), taken_);
    }
    TRY(row.end_row());
    return write_discards();
  }

  Result<void> put_message(const EventFact& fact) {
    const auto text = [&](std::string_view name) -> const std::string* {
      const Value* value = properties_.find(name);
      return value != nullptr && value->kind == Value::Kind::string ? &value->string : nullptr;
    };
    if (text("metric") == nullptr || text("channel") == nullptr) return {};
    ParquetWriter& row = *TRY(messages_->row(fact.record->received_at));
    row.put_integer(0, static_cast<std::int64_t>(fact.position.value));
    row.put_time(1, fact.record->time);
    row.put_integer(2, fact.person.value);
    row.put(3, fact.event);
    for (const auto& [name, column] : kMessageTexts) {
      if (const std::string* value = text(name)) row.put(column, *value);
    }
    if (text("campaign_id") == nullptr) {
      const std::string* broadcast = text("broadcast_id");
      if (broadcast == nullptr) broadcast = text("newsletter_id");
      if (broadcast != nullptr) row.put(7, *broadcast);
    }
    const Value* machine = properties_.find("by_machine");
    row.put_boolean(8, machine != nullptr && machine->kind == Value::Kind::boolean && machine->boolean);
    return row.end_row();
  }

  // All that put_message asks for.
  static std::span<const std::string> message_properties() {
    static const auto kNames = [] {
      std::vector<std::string> names{"broadcast_id", "newsletter_id", "by_machine"};
      for (const auto& [name, column] : kMessageTexts) names.emplace_back(name);
      return names;
    }();
    return kNames;
  }

  // What does not fit becomes a discard; the row stays.
  void put_value(const TableRows& rows, ParquetWriter& row, const Slot& slot, const Value& value,
                 std::int64_t id, std::vector<bool>& taken) {
    if (!value.present()) return;
    const auto discard = [&](std::string reason) {
      discarded_.push_back(
          {rows.table().name, id, rows.table().columns[slot.column].name, to_json(value), std::move(reason)});
    };
    if (taken[slot.column]) return discard("another property of this name came first");
    switch (slot.type) {
      case ColumnType::text:
        if (value.kind != Value::Kind::string) return discard("not a text");
        row.put(slot.column, value.string);
        break;
      case ColumnType::boolean:
        if (value.kind != Value::Kind::boolean) return discard("neither true nor false");
        row.put_boolean(slot.column, value.boolean);
        break;
      case ColumnType::decimal: {
        std::optional<Number> number;
        if (value.kind == Value::Kind::number) number = value.number;
        if (value.kind == Value::Kind::string && slot.from_string) {
          if (const auto parsed = Number::parse(value.string)) number = *parsed;
        }
        if (!number) return discard("not a number");
        if (const auto decimal = columnar::to_decimal(*number)) {
          row.put_decimal(slot.column, *decimal);
        } else if (const auto rounded = rounded_quotient(*number)) {
          row.put_decimal(slot.column, *rounded);
        } else {
          return discard("more digits than 29 before the point and 9 behind it");
        }
        break;
      }
      case ColumnType::time: {
        const auto time = value.kind == Value::Kind::string ? parse_time(value.string) : invalid("");
        if (!time) return discard("not a time");
        row.put_time(slot.column, *time);
        break;
      }
      case ColumnType::json:
        row.put(slot.column, to_json(value));
        break;
      case ColumnType::integer:
      case ColumnType::real:
        return discard("no such column is made of a property");
    }
    taken[slot.column] = true;
  }

  // An average is a quotient and often no decimal: nine digits of it are kept.
  static std::optional<columnar::Decimal> rounded_quotient(const Number& number) {
    if (!number.is_exact() || number.as_decimal()) return std::nullopt;
    const double value = number.to_double() * 1e9;
    if (!(value > -9e17 && value < 9e17)) return std::nullopt;
    return static_cast<columnar::Decimal>(value < 0 ? value - 0.5 : value + 0.5);
  }

  Result<void> write_discards() {
    if (discarded_.empty()) return {};
    const auto all = std::exchange(discarded_, {});
    if (discards_ == nullptr) return {};
    for (const Discard& one : all) {
      ParquetWriter& row = *TRY(discards_->row(options_.at));
      row.put(0, one.table);
      row.put_integer(1, one.row);
      row.put(2, one.column);
      row.put(3, one.value);
      row.put(4, one.reason);
      row.put_time(5, options_.at);
      TRY(row.end_row());
    }
    return {};
  }

  void note_run(const DeliveryFact& fact, bool is_event) {
    Run& run = run_of_[fact.sync];
    run.of_events = is_event;
    ++(fact.outcome == DeliveryFact::Outcome::accepted ? run.accepted : run.rejected);
    run.began = std::min(run.began, fact.acknowledged_at);
    run.ended = std::max(run.ended, fact.acknowledged_at);
  }

  Result<void> write_runs() {
    if (runs_ == nullptr) return {};
    for (const auto& [sync, run] : run_of_) {
      ParquetWriter& row = *TRY(runs_->row(options_.at));
      row.put(0, fmt::format("{}/{}", pack_id(options_), sync));
      row.put(1, sync);
      row.put(2, run.of_events ? "events" : "audience");
      put_known(row, 3, run.began);
      put_known(row, 4, run.ended);
      row.put_integer(5, static_cast<std::int64_t>(run.accepted));
      row.put_integer(6, static_cast<std::int64_t>(run.rejected));
      TRY(row.end_row());
    }
    return {};
  }

  static Value manifest_of(const Pack& pack) {
    Value value = Value::with(Value::Kind::object);
    const auto add = [](Value& object, const char* name, Value member) {
      object.members.emplace_back(name, std::move(member));
    };
    const auto number = [](std::uint64_t n) {
      return Value::of(Number::integer(static_cast<std::int64_t>(n)));
    };
    add(value, "format", Value::of("tailrace pack 1"));
    add(value, "id", Value::of(pack.id));
    add(value, "workspace", Value::of(pack.workspace));
    add(value, "sync", Value::of(pack.sync));
    add(value, "sequence", number(pack.sequence));
    add(value, "begin", number(pack.begin));
    add(value, "end", number(pack.end));
    Value files = Value::with(Value::Kind::list);
    for (const PackFile& file : pack.files) {
      Value one = Value::with(Value::Kind::object);
      add(one, "table", Value::of(file.table));
      add(one, "name", Value::of(file.name));
      add(one, "rows", number(file.rows));
      add(one, "bytes", number(file.bytes));
      add(one, "sha256", Value::of(file.sha256));
      add(one, "local", Value::of(file.path.substr(file.path.rfind('/') + 1)));
      files.list.push_back(std::move(one));
    }
    add(value, "files", std::move(files));
    add(value, "tables", tables_to_value(pack.tables));
    return value;
  }

  Options options_;
  std::vector<WarehouseTable> tables_;
  const workspace::Workspace& workspace_;
  std::map<std::string, std::unique_ptr<TableRows>, std::less<>> rows_;
  TableRows *events_ = nullptr, *people_ = nullptr, *identifiers_ = nullptr, *memberships_ = nullptr,
            *deliveries_ = nullptr, *rejections_ = nullptr, *conversions_ = nullptr, *messages_ = nullptr,
            *holdouts_ = nullptr, *runs_ = nullptr, *definitions_ = nullptr, *discards_ = nullptr;
  std::map<std::string, Slot, std::less<>> traits_;
  std::vector<std::optional<Slot>> attributes_;
  std::map<std::string, EventTable, std::less<>> event_tables_;
  Value properties_;         // of the event under way, those that are asked for
  std::vector<bool> taken_;  // by column of its own table: whether a property has it
  std::vector<Discard> discarded_;
  std::map<std::string, Run> run_of_;
};

}  // namespace

Result<std::unique_ptr<PackWriter>> PackWriter::create(Options options, std::vector<WarehouseTable> tables,
                                                       const workspace::Workspace& workspace) {
  auto body = std::make_unique<Body>(std::move(options), std::move(tables), workspace);
  TRY(body->open());
  return body;
}

std::string pack_id(const PackWriter::Options& options) {
  return fmt::format("{}_{}_{}", column_name(options.sync).substr(0, 20),
                     sha256_hex(options.sync).substr(0, 8), range_name(options));
}

Result<Pack> read_pack(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kManifest);
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Error::Code::not_found, fmt::format("there is no {}", path));
  Pack pack;
  pack.manifest.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  const auto not_whole = [&] {
    return fail(Error::Code::corrupt, fmt::format("{} is not what was written", path));
  };
  const auto parsed = parse_json(pack.manifest);
  if (!parsed) return not_whole();
  const Value& value = *parsed;
  const auto text = [](const Value& object, const char* name) {
    const Value* member = object.find(name);
    return member == nullptr ? std::string() : member->string;
  };
  const auto number = [](const Value& object, const char* name) -> std::uint64_t {
    const Value* member = object.find(name);
    const auto decimal = member == nullptr ? std::nullopt : member->number.as_decimal();
    if (!decimal) return 0;
    std::int64_t whole = decimal->mantissa;
    for (int scale = decimal->scale; scale < 0; ++scale) whole *= 10;
    return static_cast<std::uint64_t>(whole);
  };
  const Value* files = value.find("files");
  const Value* tables = value.find("tables");
  if (text(value, "format") != "tailrace pack 1" || files == nullptr || tables == nullptr)
    return fail(Error::Code::corrupt, fmt::format("{} is no manifest of a pack", path));
  pack.id = text(value, "id");
  pack.workspace = text(value, "workspace");
  pack.sync = text(value, "sync");
  pack.sequence = number(value, "sequence");
  pack.begin = number(value, "begin");
  pack.end = number(value, "end");
  pack.manifest_name = fmt::format("_manifests/{}.json", pack.id);
  pack.tables = TRY(tables_from_value(*tables));
  for (const Value& one : files->list) {
    pack.files.push_back({.table = text(one, "table"),
                          .name = text(one, "name"),
                          .path = directory + "/" + text(one, "local"),
                          .rows = number(one, "rows"),
                          .bytes = number(one, "bytes"),
                          .sha256 = text(one, "sha256")});
  }
  for (const PackFile& file : pack.files) {
    PackFile there;
    there.path = file.path;
    if (!measure(there) || there.bytes != file.bytes || there.sha256 != file.sha256) return not_whole();
  }
  return pack;
}

}  // namespace tailrace::warehouse
