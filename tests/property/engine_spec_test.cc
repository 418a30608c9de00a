// tests/spec/*.spec, run against the engine: as it is, and with a restart after each line.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "engine/engine.h"
#include "model/json.h"
#include "support/memory_records.h"
#include "support/source_dir.h"
#include "support/text_spec.h"

namespace tailrace::testing {
namespace {

enum class Restart : unsigned char { never, after_each_line };

class EngineRunner final : public SpecRunner {
 public:
  explicit EngineRunner(Restart restart) : restart_(restart) {}

  Result<void> begin(const SpecWorkspace& spec) override {
    workspace::Workspace workspace = workspace_of(spec);
    const std::string payload = to_json(workspace::to_value(workspace));
    TRY(workspace::from_value(TRY(parse_json(payload))));
    engine::Output output;
    return apply({.kind = RecordKind::workspace, .received_at = kTimeMin, .payload = payload}, output);
  }

  std::vector<std::string> step(const SpecStatement& statement) override {
    engine::Output output;
    engine_->advance(statement.at, output);
    std::vector<std::string> lines = told(output, statement.at);
    output.clear();
    act(statement, output);
    std::ranges::sort(output.deltas, {},
                      [](const Delta& d) { return std::tuple(d.at, d.person, d.segment); });
    for (std::string& line : told(output, statement.at)) lines.push_back(std::move(line));
    if (restart_ == Restart::after_each_line) restart();
    return lines;
  }

  std::vector<std::string> members(const SpecStatement& statement) override {
    std::vector<std::string> names;
    const auto members = engine_->members_at(*engine_->workspace(), expr(statement), statement.at);
    EXPECT_TRUE(members) << members.error().message;
    if (!members) return names;
    for (const PersonId id : *members) names.push_back(names_.at(id));
    return names;
  }

  std::vector<std::string> timeline(const SpecStatement& statement) override {
    std::vector<std::string> lines;
    const auto changes =
        engine_->transitions(*engine_->workspace(), expr(statement), statement.from, statement.at);
    EXPECT_TRUE(changes) << changes.error().message;
    if (!changes) return lines;
    for (const engine::Transition& change : *changes)
      lines.push_back(change_text(statement.segment, change.change == Change::entered,
                                  names_.at(change.person), change.at));
    return lines;
  }

 private:
  static workspace::Workspace workspace_of(const SpecWorkspace& spec) {
    workspace::Workspace workspace;
    workspace.name = "spec";
    workspace.time_zone = spec.time_zone;
    workspace.consent_unknown = spec.consent_unknown;
    workspace.taxonomy.unknown_events = workspace::UnknownEvents::admit;
    std::map<std::string, std::vector<std::string>> aliases;
    for (const auto& alias : spec.aliases) aliases[alias.event].push_back(alias.alias);
    for (const auto& [event, names] : aliases)
      workspace.taxonomy.events.push_back({.name = event, .aliases = names});
    for (const auto& trait : spec.traits) workspace.taxonomy.traits.push_back({trait.name, trait.type});
    for (const SpecDefinition& definition : spec.definitions) {
      auto& list = definition.kind == SpecDefinition::Kind::definition  ? workspace.definitions
                   : definition.kind == SpecDefinition::Kind::attribute ? workspace.attributes
                                                                        : workspace.segments;
      list.push_back({.name = definition.name, .text = definition.text});
    }
    // What changes in their audiences is not told.
    for (const std::string& sync : spec.syncs)
      workspace.syncs.push_back({.name = sync, .segment = workspace.segments.front().name});
    return workspace;
  }

  Result<void> apply(const RecordView& record, engine::Output& output) {
    return engine_->apply(records_.append(record), record, output);
  }

  language::ExprPtr expr(const SpecStatement& statement) const {
    return engine_->workspace()->find_segment(statement.segment)->expr;
  }

  std::vector<std::string> told(const engine::Output& output, Time now) const {
    std::vector<std::string> lines;
    for (const Delta& delta : output.deltas) {
      if (engine_->sync_of(delta.segment)) continue;
      lines.push_back(change_text(engine_->workspace()->segments[delta.segment.value].name,
                                  delta.change == Change::entered, names_.at(delta.person),
                                  delta.at == now ? std::nullopt : std::optional(delta.at)));
    }
    return lines;
  }

  // A user id, or an anonymous one.
  static void name(RecordView& record, std::string_view who) {
    (is_anonymous(who) ? record.anonymous_id : record.user_id) = who;
  }

  void act(const SpecStatement& statement, engine::Output& output) {
    const SpecAction& action = statement.action;
    if (action.kind == SpecAction::Kind::none) return;
    Value payload = action.payload;
    RecordView record{.kind = RecordKind::identify,
                      .received_at = statement.at,
                      .time = action.time,
                      .source = action.who,  // message ids are unique within their source
                      .message_id = action.message_id};
    std::string_view known_as = action.who;
    switch (action.kind) {
      case SpecAction::Kind::none:
      case SpecAction::Kind::enters_sync:
        break;
      case SpecAction::Kind::performs:
        record.kind = RecordKind::track;
        record.event = action.name;
        name(record, action.who);
        break;
      case SpecAction::Kind::is:
        name(record, action.who);
        break;
      case SpecAction::Kind::consents:
      case SpecAction::Kind::refuses: {
        Value consent = Value::with(Value::Kind::object);
        consent.members.emplace_back(action.name, Value::of(action.kind == SpecAction::Kind::consents));
        payload.members.emplace_back("consent", std::move(consent));
        name(record, action.who);
        break;
      }
      case SpecAction::Kind::becomes:
        record.anonymous_id = action.who;
        record.user_id = action.name;
        known_as = action.name;
        break;
      case SpecAction::Kind::merges:
        record.kind = RecordKind::alias;
        record.previous_id = action.who;
        record.user_id = action.name;
        known_as = action.name;
        break;
      case SpecAction::Kind::deleted:
        record.kind = RecordKind::remove;
        name(record, action.who);
        break;
    }
    if (action.kind == SpecAction::Kind::enters_sync) {
      const auto person = engine_->find_person(action.who);
      ASSERT_TRUE(person) << "a sync is entered by somebody who is known";
      engine_->enter_sync(action.name, *person, action.time, output);
      return;
    }
    const std::string text = to_json(payload);
    record.payload = text;
    const auto applied = apply(record, output);
    ASSERT_TRUE(applied) << applied.error().message;
    // The first name stays until a person is said to be somebody else.
    const auto person = engine_->find_person(known_as);
    if (!person) return;
    if (known_as == action.who) {
      names_.emplace(*person, known_as);
    } else {
      names_[*person] = known_as;
    }
  }

  void restart() {
    const std::string snapshot = engine_->save();
    engine_ = std::make_unique<engine::Engine>(records_);
    const auto restored = engine_->restore(snapshot);
    ASSERT_TRUE(restored) << restored.error().message;
  }

  Restart restart_;
  MemoryRecords records_;
  std::unique_ptr<engine::Engine> engine_ = std::make_unique<engine::Engine>(records_);
  std::map<PersonId, std::string> names_;  // as printed; kept for those who are gone
};

std::vector<std::filesystem::path> specs() {
  return spec_files(std::filesystem::path(testing::source_dir()) / "tests" / "spec");
}

class SpecOnEngine : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(SpecOnEngine, holds) {
  const auto file = read_spec(GetParam());
  ASSERT_TRUE(file) << file.error().message;
  EngineRunner runner(Restart::never);
  EXPECT_THAT(run_spec(*file, runner), ::testing::IsEmpty());
}

TEST_P(SpecOnEngine, holds_with_a_restart_after_each_line) {
  const auto file = read_spec(GetParam());
  ASSERT_TRUE(file) << file.error().message;
  EngineRunner runner(Restart::after_each_line);
  EXPECT_THAT(run_spec(*file, runner), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Files, SpecOnEngine, ::testing::ValuesIn(specs()),
                         [](const auto& file) { return file.param.stem().string(); });

}  // namespace
}  // namespace tailrace::testing
