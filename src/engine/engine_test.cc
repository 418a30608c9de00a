#include "engine/engine.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "model/json.h"
#include "support/memory_records.h"

namespace tailrace::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Time kStart{1'772'323'200'000};

class EngineTest : public ::testing::Test {
 protected:
  // Segments s0, s1, ... over events that are all admitted.
  static workspace::Workspace workspace_of(const std::vector<std::string>& segments) {
    workspace::Workspace workspace;
    workspace.name = "test";
    workspace.taxonomy.unknown_events = workspace::UnknownEvents::admit;
    for (const std::string& text : segments) {
      workspace::Named named;
      named.name = "s" + std::to_string(workspace.segments.size());
      named.text = text;
      workspace.segments.push_back(named);
    }
    return workspace;
  }
  // The same, with columns of the price and kind of X.
  static workspace::Workspace indexed_workspace(const std::vector<std::string>& segments) {
    workspace::Workspace workspace = workspace_of(segments);
    workspace::EventRule& event = workspace.taxonomy.events.emplace_back();
    event.name = "X";
    event.properties = {{.name = "price", .type = language::Type::number, .indexed = true},
                        {.name = "kind", .type = language::Type::string, .indexed = true}};
    return workspace;
  }
  language::ExprPtr expr_of(const std::string& text) const {
    const auto expr = workspace::resolve_segment(*engine_.workspace(), text);
    EXPECT_TRUE(expr) << expr.error().message;
    return expr ? *expr : nullptr;
  }
  std::vector<std::string> asked(const std::string& text) {
    std::vector<std::string> names;
    const auto found = engine_.members_at(*engine_.workspace(), expr_of(text), now_);
    EXPECT_TRUE(found) << found.error().message;
    for (const PersonId person : *found) names.push_back(engine_.golden_id(person));
    return names;
  }
  void apply(const workspace::Workspace& workspace) {
    const std::string payload = to_json(workspace::to_value(workspace));
    RecordView record;
    record.kind = RecordKind::workspace;
    record.payload = payload;
    apply(record);
  }
  void track(std::string_view user, std::string_view event, std::string_view payload = "{}") {
    RecordView record;
    record.kind = RecordKind::track;
    record.user_id = user;
    record.event = event;
    record.payload = payload;
    apply(record);
  }
  // Received a second after the record before, where it does not say when.
  void apply(RecordView record) {
    now_ = now_ + kSecond;
    record.received_at = now_;
    record.time = now_;
    const std::string id = std::to_string(records_.size());
    if (record.message_id.empty()) record.message_id = id;
    if (record.source.empty()) record.source = "app";
    const auto applied = engine_.apply(records_.append(record), record, output_);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  void finish() {
    while (engine_.work_pending()) ASSERT_TRUE(engine_.work());
  }
  std::vector<std::string> members(std::uint32_t segment) const {
    std::vector<std::string> names;
    for (const PersonId person : engine_.members(SegmentId(segment)))
      names.push_back(engine_.golden_id(person));
    return names;
  }

  tailrace::testing::MemoryRecords records_;
  Engine engine_{records_, Engine::Slice{.visits = 1, .rows = 1, .people = 1}};
  Output output_;
  Time now_ = kStart;
};

TEST_F(EngineTest, pages_are_one_event_whose_name_is_a_property) {
  apply(workspace_of({R"(performed "Page Viewed" where name = "Pricing")"}));
  RecordView page;
  page.kind = RecordKind::page;
  page.user_id = "ada";
  page.event = "Pricing";
  apply(page);
  page.user_id = "bob";
  page.event = "Home";
  apply(page);
  EXPECT_THAT(members(0), ElementsAre("ada"));
}

TEST_F(EngineTest, a_workspace_that_cannot_be_compiled_is_quarantined_and_the_one_before_stays) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X");
  workspace::Workspace other = workspace_of({R"(performed "Y")"});
  other.time_zone = "Europe/Nowhere";
  apply(other);
  ASSERT_EQ(engine_.quarantine().size(), 1u);
  EXPECT_THAT(engine_.quarantine().front().reason, HasSubstr("Europe/Nowhere"));
  track("bob", "X");
  EXPECT_THAT(members(0), ElementsAre("ada", "bob"));
}

TEST_F(EngineTest, a_string_is_a_number_where_the_taxonomy_reads_it_so) {
  const auto taxonomy = [](std::vector<workspace::PropertyRule> rules, workspace::Workspace workspace) {
    workspace.taxonomy.events = {
        {.name = "X", .aliases = {}, .owner = {}, .description = {}, .properties = std::move(rules)}};
    return workspace;
  };
  const workspace::PropertyRule number{.name = "price", .type = language::Type::number};
  workspace::PropertyRule reads = number;
  reads.from_string = true;
  workspace::PropertyRule reads_in_lists = reads;
  reads_in_lists.name = "items.price";
  // Without it a string is held back.
  apply(taxonomy({number}, workspace_of({R"(sum("X".price) = 12.5)"})));
  track("ada", "X", R"({"price": "12.50"})");
  EXPECT_THAT(members(0), ElementsAre());
  ASSERT_EQ(engine_.quarantine().size(), 1u);
  // With it the same event is let in, and the new column of the second segment is filled likewise.
  apply(taxonomy({reads, reads_in_lists},
                 workspace_of({R"(sum("X".price) = 12.5)", R"(sum("X".items.price where price > 12) = 3)"})));
  track("bob", "X", R"({"price": 12.5, "items": [{"price": "1.0"}, {"price": 2}]})");
  track("cyd", "X", R"({"price": "dear"})");
  finish();
  EXPECT_THAT(members(0), ElementsAre("ada", "bob"));
  EXPECT_THAT(members(1), ElementsAre("bob"));
  ASSERT_EQ(engine_.quarantine().size(), 1u);
  EXPECT_THAT(engine_.quarantine().front().reason,
              HasSubstr("with `price` as a string that reads as no number"));
  apply(taxonomy({reads, reads_in_lists}, workspace_of({R"(max("X".items.price) = 2)"})));
  finish();
  EXPECT_THAT(members(0), ElementsAre("bob"));
}

// The past of others waits for a second where it is dear, and no restart lets it be forgotten.
TEST_F(EngineTest, a_late_record_moves_the_past_of_others_at_once_or_a_second_later) {
  for (const bool restarts : {false, true}) {
    for (const bool is_dear : {false, true}) {
      SCOPED_TRACE(restarts);
      SCOPED_TRACE(is_dear);
      tailrace::testing::MemoryRecords records;
      auto engine = std::make_unique<Engine>(records);
      Output output;
      const auto receive = [&](RecordView record, Time time, Time received_at) {
        const std::string id = std::to_string(records.size());
        record.received_at = received_at;
        record.time = time;
        record.source = "app";
        record.message_id = id;
        ASSERT_TRUE(engine->apply(records.append(record), record, output));
      };
      const auto perform = [&](const std::string& who, Time time, Time received_at) {
        RecordView record;
        record.kind = RecordKind::track;
        record.user_id = who;
        record.event = "X";
        receive(record, time, received_at);
      };
      const auto is_in = [&](const char* segment, const char* who) {
        return engine->contains(*engine->segment(segment), *engine->find_person(who));
      };
      const std::string payload = to_json(workspace::to_value(
          workspace_of({R"(rank <= 1 by count("X") where performed "X")", R"(entered segment "s0")"})));
      RecordView workspace;
      workspace.kind = RecordKind::workspace;
      workspace.payload = payload;
      receive(workspace, kStart, kStart);
      perform("ada", kStart, kStart);
      perform("bob", kStart + kMinute, kStart + kMinute);
      perform("bob", kStart + kMinute * 2, kStart + kMinute * 2);
      const std::size_t others = segments::Tracker::kBacklogAtOnce * (is_dear ? 2 : 0);
      const Time later = kStart + kMinute * 3;
      for (std::size_t i = 0; i < others; ++i) perform("other " + std::to_string(i), later, later);
      EXPECT_TRUE(is_in("s0", "bob"));
      EXPECT_TRUE(is_in("s1", "bob"));
      // Ada had two before Bob had, so he never came in.
      perform("ada", kStart + kSecond, later);
      EXPECT_TRUE(is_in("s0", "ada"));
      EXPECT_FALSE(is_in("s0", "bob"));
      EXPECT_EQ(is_in("s1", "bob"), is_dear);
      if (restarts) {
        const std::string snapshot = engine->save();
        engine = std::make_unique<Engine>(records);
        ASSERT_TRUE(engine->restore(snapshot));
      }
      EXPECT_EQ(engine->next_change(), is_dear ? later + kSecond : kNever);
      output.clear();
      engine->advance(later + kSecond, output);
      EXPECT_FALSE(is_in("s1", "bob"));
      EXPECT_EQ(output.deltas.size(), is_dear ? 1u : 0u);
    }
  }
}

// What a new segment needs of a property is there already, and nothing is read again.
TEST_F(EngineTest, segments_over_indexed_properties_need_no_records) {
  apply(indexed_workspace({}));
  track("ada", "X", R"({"price": 1, "kind": "a"})");
  track("bob", "X", R"({"price": 2, "kind": "b"})");
  track("bob", "X", R"({"price": 4.5, "kind": null})");
  apply(indexed_workspace({R"(sum("X".price) = 6.5)", R"(performed "X" where kind = "a")",
                           R"(performed "X" where kind = "b" or price > 3 exactly 2 times)",
                           R"(sum("X".price where kind = "a") = 1)"}));
  while (engine_.work_pending()) {
    EXPECT_NE(engine_.progress().step, Engine::Progress::Step::records);
    ASSERT_TRUE(engine_.work());
  }
  EXPECT_THAT(members(0), ElementsAre("bob"));
  EXPECT_THAT(members(1), ElementsAre("ada"));
  EXPECT_THAT(members(2), ElementsAre("bob"));
  EXPECT_THAT(members(3), ElementsAre("ada"));
  EXPECT_EQ(records_.reads(), 0u);
}

// Whether it is checked before, which leaves nothing behind, or not.
TEST_F(EngineTest, a_property_that_is_indexed_as_a_number_later_has_the_sums_of_old_events) {
  apply(workspace_of({}));
  track("ada", "X", R"({"price": 2})");
  workspace::Workspace as_text = indexed_workspace({});
  as_text.taxonomy.events.front().properties.front().type = language::Type::string;
  apply(as_text);
  finish();
  const workspace::Workspace as_number =
      indexed_workspace({R"(sum("X".price) = 2)", R"(avg("X".price) = 2)"});
  const auto checked = workspace::from_value(workspace::to_value(as_number));
  ASSERT_TRUE(checked.has_value());
  ASSERT_TRUE(engine_.check(*checked).has_value());
  apply(as_number);
  finish();
  EXPECT_THAT(members(0), ElementsAre("ada"));
  EXPECT_THAT(members(1), ElementsAre("ada"));
}

TEST_F(EngineTest, questions_about_indexed_properties_need_no_records) {
  apply(indexed_workspace({}));
  track("ada", "X", R"({"price": 1, "kind": "a"})");
  track("bob", "X", R"({"price": 2, "kind": "b"})");
  EXPECT_THAT(asked(R"(avg("X".price) > 1)"), ElementsAre("bob"));
  EXPECT_THAT(asked(R"(performed "X" where kind = "a")"), ElementsAre("ada"));
  EXPECT_THAT(asked(R"(rank <= 1 by sum("X".price))"), ElementsAre("bob"));
  EXPECT_EQ(records_.reads(), 0u);
}

TEST_F(EngineTest, an_explanation_reads_the_records_of_its_person_alone) {
  apply(workspace_of({}));
  for (int i = 0; i < 20; ++i) track("u" + std::to_string(i), "X", R"({"price": 2})");
  const auto expr = expr_of(R"(sum("X".price) = 2)");
  const auto explained = engine_.explain(*engine_.workspace(), expr, *engine_.find_person("u3"), now_);
  ASSERT_TRUE(explained) << explained.error().message;
  EXPECT_TRUE(explained->holds);
  EXPECT_EQ(records_.reads(), 1u);
}

// Whoever changes before their turn is filled at once, and not again at their turn.
TEST_F(EngineTest, people_who_change_while_columns_are_walked_are_counted_once) {
  apply(indexed_workspace({}));
  for (const char* user : {"ada", "bob", "cat", "dan"}) track(user, "X", R"({"price": 1, "kind": "a"})");
  apply(indexed_workspace({R"(sum("X".price) = 2)", R"(performed "X" where kind = "a" exactly 2 times)"}));
  ASSERT_TRUE(engine_.work_pending());
  ASSERT_TRUE(engine_.work());
  track("ada", "X", R"({"price": 1, "kind": "a"})");  // behind the walk
  track("cat", "X", R"({"price": 1, "kind": "a"})");  // ahead of it
  RecordView alias;
  alias.kind = RecordKind::alias;
  alias.previous_id = "dan";
  alias.user_id = "bob";
  apply(alias);
  finish();
  EXPECT_THAT(members(0), ElementsAre("ada", "bob", "cat"));
  EXPECT_THAT(members(1), ElementsAre("ada", "bob", "cat"));
}

// They are who they were, and leave when they would have left.
TEST_F(EngineTest, of_a_new_workspace_only_segments_that_are_new_are_worked_out) {
  const std::string within = R"(performed "X" within 1h)";
  const std::string top = R"(top 50% by count("X"))";
  apply(workspace_of({within, top, R"(performed "Y")"}));
  track("ada", "X");
  track("bob", "X");
  track("bob", "X");
  track("cat", "Y");
  const Time last = now_;
  apply(workspace_of({R"(performed "Y" within 1d)", top, within, within}));
  EXPECT_EQ(engine_.progress().new_segments, 1u);
  ASSERT_TRUE(engine_.work());
  track("dan", "X");  // whom the walk has not reached yet
  finish();
  EXPECT_THAT(members(0), ElementsAre("cat"));
  EXPECT_THAT(members(1), ElementsAre("ada", "bob"));
  EXPECT_THAT(members(2), ElementsAre("ada", "bob", "dan"));
  EXPECT_THAT(members(3), ElementsAre("ada", "bob", "dan"));
  EXPECT_EQ(engine_.size(SegmentId(2)), 3u);
  track("dan", "X");
  EXPECT_THAT(members(1), ElementsAre("bob", "dan"));

  EXPECT_EQ(engine_.next_change(), last - kSecond * 3 + kHour);
  engine_.advance(last - kSecond + kHour, output_);
  EXPECT_THAT(members(2), ElementsAre("dan"));
  EXPECT_THAT(members(3), ElementsAre("dan"));
}

TEST_F(EngineTest, a_segment_is_new_when_what_it_refers_to_is_another) {
  const auto workspace = [](const std::string& word, const std::string& zone) {
    workspace::Workspace made =
        workspace_of({R"(buyer and country = "DE")", R"(performed "X")", R"(in segment "s0")"});
    workspace::Named& buyer = made.definitions.emplace_back();
    buyer.name = "buyer";
    buyer.text = word;
    made.time_zone = zone;
    return made;
  };
  const auto new_segments = [&](const workspace::Workspace& made) {
    apply(made);
    const std::uint64_t count = engine_.progress().new_segments;
    finish();
    return count;
  };
  apply(workspace(R"(performed "X")", "UTC"));
  track("ada", "X");
  EXPECT_EQ(new_segments(workspace(R"(performed "X")", "UTC")), 0u);
  EXPECT_EQ(new_segments(workspace(R"(performed "X" within 1d)", "UTC")), 2u);
  EXPECT_EQ(new_segments(workspace(R"(performed "X" within 1d)", "Europe/Berlin")), 3u);
}

TEST_F(EngineTest, a_segment_is_new_when_a_trait_it_looks_at_has_another_type) {
  const auto workspace = [](language::Type type) {
    workspace::Workspace made = workspace_of({R"(age = 30)", R"(performed "X")"});
    made.taxonomy.traits.push_back({"age", type});
    return made;
  };
  apply(workspace(language::Type::any));
  track("ada", "X");
  apply(workspace(language::Type::number));
  EXPECT_EQ(engine_.progress().new_segments, 1u);
  finish();
}

TEST_F(EngineTest, progress_goes_from_nothing_to_all) {
  apply(indexed_workspace({}));
  for (int i = 0; i < 20; ++i)
    track("u" + std::to_string(i), "X", R"({"price": 2, "kind": "a", "colour": "red"})");
  EXPECT_EQ(engine_.progress().step, Engine::Progress::Step::none);
  EXPECT_EQ(engine_.progress().share, 1);
  apply(indexed_workspace({R"(sum("X".price) = 2 and performed "X" where colour = "red")"}));
  std::vector<Engine::Progress::Step> steps;
  double share = 0;
  while (engine_.work_pending()) {
    const auto progress = engine_.progress();
    if (steps.empty() || steps.back() != progress.step) {
      steps.push_back(progress.step);
      share = 0;  // what lies ahead is known better at each step
    }
    EXPECT_LE(share, progress.share);
    EXPECT_LE(progress.share, 1);
    EXPECT_LE(progress.done, progress.total);
    share = progress.share;
    EXPECT_EQ(progress.filling, progress.step == Engine::Progress::Step::people ? "" : "X");
    ASSERT_TRUE(engine_.work());
  }
  using Step = Engine::Progress::Step;
  EXPECT_THAT(steps, ElementsAre(Step::columns, Step::records, Step::people));
}

TEST_F(EngineTest, a_snapshot_holds_no_value_of_somebody_deleted) {
  apply(indexed_workspace({}));
  track("ada", "X", R"({"price": 1, "kind": "very private"})");
  track("bob", "X", R"({"price": 2, "kind": "b"})");
  EXPECT_THAT(engine_.save(), HasSubstr("very private"));
  RecordView removal;
  removal.kind = RecordKind::remove;
  removal.user_id = "ada";
  apply(removal);
  const std::string snapshot = engine_.save();
  EXPECT_THAT(snapshot, ::testing::Not(HasSubstr("very private")));
  Engine restarted(records_);
  ASSERT_TRUE(restarted.restore(snapshot));
  const auto found =
      restarted.members_at(*restarted.workspace(), expr_of(R"(performed "X" where kind = "b")"), now_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), 1u);
}

TEST_F(EngineTest, people_merged_while_columns_are_filled_keep_their_values) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X", R"({"price": 1, "kind": "a"})");
  track("bob", "X", R"({"price": 2, "kind": "a"})");
  track("bob", "X", R"({"price": 4, "kind": "b"})");
  apply(workspace_of({R"(sum("X".price) = 7)", R"(performed "X" where kind = "a" exactly 2 times)"}));
  ASSERT_TRUE(engine_.work_pending());
  RecordView alias;
  alias.kind = RecordKind::alias;
  alias.previous_id = "bob";
  alias.user_id = "ada";
  apply(alias);
  finish();
  EXPECT_THAT(members(0), ElementsAre("ada"));
  EXPECT_THAT(members(1), ElementsAre("ada"));
}

// Records without ids are of whoever has the e-mail or phone that they name in their context.
class ContactTest : public EngineTest {
 protected:
  ContactTest() { apply(workspace_of({R"(performed "X")"})); }
  static RecordView of(RecordKind kind, std::string_view payload = {}, std::string_view context = {}) {
    RecordView record;
    record.kind = kind;
    record.payload = payload;
    record.context = context;
    return record;
  }
  void performed(std::string_view context) {
    RecordView record = of(RecordKind::track, "{}", context);
    record.event = "X";
    apply(record);
  }
  static constexpr std::string_view kAda = R"({"traits":{"email":"ada@example.com"}})";
  static constexpr std::string_view kWasAda = R"({"previous":{"email":"ada@example.com"}})";
};

TEST_F(ContactTest, an_event_is_of_whoever_has_the_email) {
  RecordView ada = of(RecordKind::identify, R"({"email":"Ada@example.com"})");
  ada.user_id = "ada";
  apply(ada);
  performed(kAda);
  EXPECT_THAT(members(0), ElementsAre("ada"));
}

TEST_F(ContactTest, an_event_makes_somebody_known_by_their_email_alone) {
  performed(kAda);
  apply(of(RecordKind::identify, R"({"email":"ada@example.com","phone":"+44 20 7946 0018"})"));
  performed(R"({"traits":{"phone":"+44 20 7946 0018"}})");
  EXPECT_THAT(members(0), ElementsAre("ada@example.com"));
  EXPECT_THAT(asked(R"(count("X") = 2)"), ElementsAre("ada@example.com"));
}

TEST_F(ContactTest, an_alias_joins_whom_it_names_by_email) {
  track("ada", "X");
  performed(kAda);
  RecordView alias = of(RecordKind::alias, {}, kWasAda);
  alias.user_id = "ada";
  apply(alias);
  EXPECT_THAT(asked(R"(count("X") = 2)"), ElementsAre("ada"));
  // The other way round: kept is whom the context names.
  track("lead", "X");
  RecordView back = of(RecordKind::alias, {}, kAda);
  back.previous_id = "lead";
  apply(back);
  EXPECT_THAT(asked(R"(count("X") = 3)"), ElementsAre("ada"));
}

TEST_F(ContactTest, an_alias_of_an_email_that_nobody_has_yet_holds_for_whoever_comes_with_it) {
  RecordView alias = of(RecordKind::alias, {}, kWasAda);
  alias.user_id = "ada";
  apply(alias);
  performed(kAda);
  EXPECT_THAT(members(0), ElementsAre("ada"));
}

TEST_F(ContactTest, a_deletion_names_by_email_too) {
  performed(kAda);
  track("bob", "X");
  apply(of(RecordKind::remove, {}, kAda));
  EXPECT_THAT(members(0), ElementsAre("bob"));
  ASSERT_FALSE(output_.deletions.empty());
  EXPECT_THAT(output_.deletions.back().identifiers,
              ElementsAre(::testing::Field(&Identifier::value, "ada@example.com")));
  // Again: nobody has it, but records may name it.
  apply(of(RecordKind::remove, {}, kAda));
  EXPECT_THAT(output_.deletions.back().identifiers,
              ElementsAre(::testing::Field(&Identifier::value, "ada@example.com")));
}

TEST_F(ContactTest, an_identify_takes_what_was_known_by_its_previous_id_alone) {
  RecordView refund = of(RecordKind::track, "{}");
  refund.event = "X";
  refund.anonymous_id = "order-1";
  apply(refund);
  RecordView order = of(RecordKind::identify, R"({"email":"ada@example.com"})");
  order.previous_id = "order-1";
  apply(order);
  EXPECT_THAT(members(0), ElementsAre("order-1"));
  apply(refund);
  EXPECT_THAT(asked(R"(count("X") = 2)"), ElementsAre("order-1"));
  EXPECT_EQ(engine_.find_person("ada@example.com"), engine_.find_person("order-1"));
}

TEST_F(ContactTest, an_identify_takes_nobody_known_by_its_previous_id) {
  RecordView order = of(RecordKind::identify, R"({"email":"ada@example.com"})");
  order.previous_id = "order-1";
  apply(order);
  RecordView moved = of(RecordKind::identify, R"({"email":"bob@example.com"})");
  moved.previous_id = "order-1";
  apply(moved);
  moved.user_id = "cat";
  apply(moved);
  RecordView refund = of(RecordKind::track, "{}");
  refund.event = "X";
  refund.anonymous_id = "order-1";
  apply(refund);
  EXPECT_THAT(members(0), ElementsAre("order-1"));
  EXPECT_EQ(engine_.find_person("ada@example.com"), engine_.find_person("order-1"));
  EXPECT_NE(engine_.find_person("cat"), engine_.find_person("order-1"));
}

TEST_F(ContactTest, an_identify_takes_whoever_has_the_previous_email_and_no_user_id) {
  performed(kAda);
  RecordView signed_up = of(RecordKind::identify, "{}", kWasAda);
  signed_up.user_id = "ada";
  apply(signed_up);
  EXPECT_THAT(members(0), ElementsAre("ada"));
  // It is somebody's now.
  signed_up.user_id = "bob";
  apply(signed_up);
  EXPECT_THAT(members(0), ElementsAre("ada"));
}

TEST_F(ContactTest, the_context_names_whom_an_identify_gives_another_email) {
  performed(kAda);
  apply(of(RecordKind::identify, R"({"email":"ada@example.org"})", kAda));
  performed(R"({"traits":{"email":"ada@example.org"}})");
  EXPECT_THAT(asked(R"(count("X") = 2)"), ElementsAre("ada@example.com"));
}

TEST_F(EngineTest, people_deleted_while_streams_are_filled_leave_nothing) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X", R"({"kind": "a"})");
  apply(workspace_of({R"(performed "X" where kind = "a")"}));
  RecordView removal;
  removal.kind = RecordKind::remove;
  removal.user_id = "ada";
  apply(removal);
  finish();
  EXPECT_THAT(members(0), IsEmpty());
  track("ada", "X", R"({"kind": "b"})");
  EXPECT_THAT(members(0), IsEmpty());
}

TEST_F(EngineTest, a_question_about_the_live_workspace_survives_the_pending_one) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X", R"({"kind": "a"})");
  apply(workspace_of({R"(performed "X" where kind = "b")"}));
  ASSERT_TRUE(engine_.work_pending());
  const auto& live = *engine_.workspace();
  const auto found = engine_.members_at(live, live.segments.front().expr, now_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->size(), 1u);
  EXPECT_THAT(members(0), IsEmpty()) << "the pending one is live now";
}

TEST_F(EngineTest, a_filter_given_up_and_asked_for_again_is_filled_again) {
  const auto with = workspace_of({R"(performed "X" where kind = "a")"});
  apply(with);
  apply(workspace_of({R"(performed "X")"}));
  finish();
  track("ada", "X", R"({"kind": "a"})");
  track("bob", "X", R"({"kind": "b"})");
  Engine restarted(records_);
  ASSERT_TRUE(restarted.restore(engine_.save()));
  for (Engine* engine : {&engine_, &restarted}) {
    const std::string payload = to_json(workspace::to_value(with));
    RecordView record;
    record.kind = RecordKind::workspace;
    record.received_at = now_;
    record.payload = payload;
    ASSERT_TRUE(engine->apply(Position(records_.size()), record, output_));
    while (engine->work_pending()) ASSERT_TRUE(engine->work());
    EXPECT_THAT(engine->members(SegmentId(0)), ElementsAre(PersonId(0)));
  }
}

TEST_F(EngineTest, a_backtest_knows_stays_that_began_before_it_and_who_is_in_other_segments) {
  apply(workspace_of({R"(performed "Y")", R"(not performed "Y")"}));
  track("ada", "X");  // at 2 s: in until 12 s
  track("bob", "Y");  // at 3 s
  track("cyd", "X");  // at 4 s: in until 16 s, by the next
  track("bob", "Z");
  track("cyd", "X");  // at 6 s
  track("bob", "X");  // at 7 s: in until 17 s
  const auto& live = *engine_.workspace();
  const auto condition = workspace::resolve_segment(live, R"(performed "X" within 10s)");
  ASSERT_TRUE(condition) << condition.error().message;
  const auto result = engine_.backtest(live, *condition, kStart + kSecond * 5, kStart + kSecond * 16);
  ASSERT_TRUE(result) << result.error().message;
  const segments::Backtest& past = result->past;
  EXPECT_EQ(past.size_at_start, 2u);
  EXPECT_EQ(past.size_at_end, 1u);
  EXPECT_EQ(past.people, 3u);
  EXPECT_EQ(past.entered, 1u);
  EXPECT_EQ(past.left, 2u);
  EXPECT_EQ(past.largest.size, 3u);
  EXPECT_EQ(past.largest.at, kStart + kSecond * 7);
  EXPECT_EQ(past.smallest.size, 1u);
  EXPECT_EQ(past.smallest.at, kStart + kSecond * 16);
  EXPECT_EQ(past.median_stay, kSecond * 11) << "of 10 s and 12 s";
  ASSERT_EQ(result->overlaps.size(), 2u);
  EXPECT_EQ(result->overlaps[0].segment, "s0");
  EXPECT_EQ(result->overlaps[0].size, 1u);
  EXPECT_EQ(result->overlaps[0].common, 1u);
  EXPECT_EQ(result->overlaps[1].size, 2u);
  EXPECT_EQ(result->overlaps[1].common, 0u);
  // Now: by the memberships that are kept.
  const auto now = engine_.backtest(live, *condition, engine_.now(), engine_.now());
  ASSERT_TRUE(now) << now.error().message;
  EXPECT_EQ(now->past.size_at_end, 3u);
  EXPECT_EQ(now->overlaps[0].common, 1u);
  EXPECT_EQ(now->overlaps[1].common, 2u);
}

TEST_F(EngineTest, a_backtest_of_a_rank_knows_since_when_people_were_within) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X");  // at 2 s: the first
  track("bob", "X");
  track("bob", "X");  // at 4 s: bob is
  const auto& live = *engine_.workspace();
  const auto condition = workspace::resolve_segment(live, R"(rank <= 1 by count("X") where performed "X")");
  ASSERT_TRUE(condition) << condition.error().message;
  const auto result = engine_.backtest(live, *condition, kStart + kSecond * 3, kStart + kSecond * 5);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->past.median_stay, kSecond * 2);
}

TEST_F(EngineTest, a_backtest_refuses_a_period_that_is_none) {
  apply(workspace_of({R"(performed "X")"}));
  const auto& live = *engine_.workspace();
  const auto& expr = live.segments.front().expr;
  EXPECT_THAT(engine_.backtest(live, expr, kStart, kStart - kDay).error().message, HasSubstr("before"));
  EXPECT_THAT(engine_.backtest(live, expr, kTimeMin, kStart).error().message, HasSubstr("at most"));
}

TEST_F(EngineTest, a_deletion_names_every_identifier_the_person_ever_had) {
  RecordView identify;
  identify.kind = RecordKind::identify;
  identify.user_id = "ada";
  identify.payload = R"({"email": "old@example.com"})";
  apply(identify);
  identify.payload = R"({"email": "new@example.com"})";
  apply(identify);
  RecordView removal;
  removal.kind = RecordKind::remove;
  removal.user_id = "ada";
  apply(removal);
  ASSERT_EQ(output_.deletions.size(), 1u);
  std::vector<std::string> named;
  for (const Identifier& identifier : output_.deletions.front().identifiers)
    named.push_back(identifier.value);
  EXPECT_THAT(named, ElementsAre("ada", "old@example.com", "new@example.com"));
}

TEST_F(EngineTest, a_replay_of_the_redacted_log_gives_everyone_else_the_same_state) {
  apply(workspace_of({R"(performed "X")"}));
  RecordView secret;
  secret.kind = RecordKind::track;
  secret.source = "import:file#1@0";
  secret.message_id = "m1";
  secret.user_id = "ada";
  secret.event = "X";
  apply(secret);
  track("bob", "X");
  RecordView removal;
  removal.kind = RecordKind::remove;
  removal.user_id = "ada";
  apply(removal);
  ASSERT_EQ(output_.deletions.size(), 1u);
  EXPECT_THAT(output_.deletions.front().created_by, ElementsAre(Position(1)));
  const auto bob = engine_.find_person("bob");

  records_.make_tombstone_at(Position(1), true);
  records_.make_tombstone_at(Position(3));
  Engine replayed(records_);
  std::string bytes;
  Output deltas;
  for (std::uint64_t at = 0; at < records_.size(); ++at) {
    ASSERT_TRUE(replayed.apply(Position(at), *records_.record(Position(at), bytes), deltas));
  }
  EXPECT_EQ(replayed.find_person("bob"), bob) << "a PersonId is for ever";
  EXPECT_EQ(replayed.imports(), engine_.imports()) << "the import is not to be resumed";
  EXPECT_THAT(deltas.deletions, IsEmpty());
  for (Engine* engine : {&engine_, &replayed}) {
    secret.received_at = now_ + kSecond;
    secret.time = secret.received_at;
    ASSERT_TRUE(engine->apply(records_.append(secret), secret, deltas));
    EXPECT_FALSE(engine->find_person("ada")) << "a retry of a deleted person's message is no news";
  }
}

TEST_F(EngineTest, a_previous_id_that_nobody_had_yet_is_that_persons_when_it_comes) {
  apply(workspace_of({R"(performed "X" exactly 2 times)"}));
  track("ada", "X");
  RecordView alias;
  alias.kind = RecordKind::alias;
  alias.previous_id = "bob";
  alias.user_id = "ada";
  apply(alias);
  track("bob", "X");
  EXPECT_THAT(members(0), ElementsAre("ada"));
}

TEST_F(EngineTest, what_the_ledger_says_of_a_merged_person_is_said_of_the_survivor) {
  apply(workspace_of({R"(performed "X")"}));
  track("ada", "X");
  track("bob", "X");
  const PersonId bob = *engine_.find_person("bob");
  RecordView alias;
  alias.kind = RecordKind::alias;
  alias.previous_id = "bob";
  alias.user_id = "ada";
  apply(alias);
  EXPECT_EQ(engine_.find_person("bob"), engine_.find_person("ada"));
  engine_.enter_sync("ads", bob, now_, output_);
  auto workspace = workspace_of({R"(entered sync "ads")"});
  workspace::SyncConfig sync;
  sync.name = "ads";
  sync.segment = "s0";
  workspace.syncs.push_back(sync);
  workspace.segments.front().text = R"(performed "X")";
  workspace::Named entered;
  entered.name = "entered";
  entered.text = R"(entered sync "ads")";
  workspace.segments.push_back(entered);
  apply(workspace);
  finish();
  EXPECT_THAT(members(1), ElementsAre("ada"));
}

// --- audiences of syncs

class Audience : public EngineTest {
 protected:
  // Of people who did X in the last two hours.
  void live(workspace::Effect effect, const std::function<void(workspace::SyncConfig&)>& with) {
    workspace::Workspace workspace = workspace_of({R"(performed "X" within 2h)"});
    workspace.time_zone = "Europe/Berlin";
    workspace::SyncConfig sync;
    sync.name = "ads";
    sync.segment = "s0";
    sync.effect = effect;
    with(sync);
    workspace.syncs.push_back(sync);
    apply(workspace);
    finish();
  }
  void x(const std::string& user, Time at) {
    RecordView record;
    record.kind = RecordKind::track;
    record.user_id = user;
    record.event = "X";
    const std::string id = std::to_string(records_.size());
    record.message_id = id;
    record.source = "app";
    record.received_at = std::max(now_, at);
    record.time = at;
    now_ = record.received_at;
    ASSERT_TRUE(engine_.apply(records_.append(record), record, output_));
  }
  std::vector<std::string> audience_at(Time t) {
    const auto& in = *engine_.workspace();
    const auto asked = engine_.audience_at(in, in.syncs.front(), t);
    EXPECT_TRUE(asked) << asked.error().message;
    std::vector<std::string> names;
    for (const PersonId person : *asked) names.push_back(engine_.golden_id(person));
    return names;
  }
  // The live audience after time has passed, which time travel must agree with.
  std::vector<std::string> audience(Time now) {
    engine_.advance(now_ = now, output_);
    const auto names = members(engine_.audience(SyncId(0)).value);
    EXPECT_EQ(names, audience_at(now)) << format_time(now);
    return names;
  }
  std::uint64_t expired() const { return engine_.size(*engine_.expired(SyncId(0))); }
};

constexpr Time kNoon = kStart + kHour * 12;
constexpr Millis kOne{1};

TEST_F(Audience, a_minimum_stay_keeps_who_entered_that_long_to_the_millisecond) {
  live(workspace::Effect::suppress, [](auto& sync) { sync.minimum_stay = kHour * 24; });
  x("ada", kNoon);
  EXPECT_THAT(audience(kNoon + kHour * 2), ElementsAre("ada"));
  EXPECT_THAT(members(0), IsEmpty());
  EXPECT_THAT(audience(kNoon + kHour * 24 - kOne), ElementsAre("ada"));
  EXPECT_THAT(audience(kNoon + kHour * 24), IsEmpty());
}

TEST_F(Audience, a_minimum_stay_ends_with_the_segment_where_that_is_longer) {
  live(workspace::Effect::suppress, [](auto& sync) { sync.minimum_stay = kHour; });
  x("ada", kNoon);
  EXPECT_THAT(audience(kNoon + kHour * 2 - kOne), ElementsAre("ada"));
  EXPECT_THAT(audience(kNoon + kHour * 2), IsEmpty());
}

TEST_F(Audience, a_late_event_that_moves_the_entry_moves_the_end_of_the_stay) {
  live(workspace::Effect::suppress, [](auto& sync) { sync.minimum_stay = kHour * 24; });
  x("ada", kNoon);
  engine_.advance(now_ = kNoon + kHour * 23, output_);
  x("ada", kNoon - kHour);  // told late: she entered an hour earlier
  EXPECT_THAT(audience(kNoon + kHour * 23), IsEmpty());
  EXPECT_THAT(audience_at(kNoon + kHour * 23 - kOne), ElementsAre("ada"));
}

TEST_F(Audience, exclusions_and_a_longest_stay_hold_beside_each_other) {
  live(workspace::Effect::target, [](auto& sync) { sync.longest_stay = kHour * 3; });
  x("ada", kNoon);
  x("ada", kNoon + kHour);
  x("ada", kNoon + kHour * 2);
  EXPECT_THAT(audience(kNoon + kHour * 3 - kOne), ElementsAre("ada"));
  EXPECT_EQ(expired(), 0u);
  EXPECT_THAT(audience(kNoon + kHour * 3), IsEmpty());
  EXPECT_EQ(expired(), 1u);
  EXPECT_THAT(members(0), ElementsAre("ada"));  // of the segment she is still one
  // Who has left the segment and comes again begins a new stay.
  x("ada", kNoon + kHour * 10);
  EXPECT_THAT(audience(kNoon + kHour * 10), ElementsAre("ada"));
  EXPECT_EQ(expired(), 0u);
}

TEST_F(Audience, a_suppression_never_shrinks_by_its_expiry_but_counts) {
  live(workspace::Effect::suppress, [](auto& sync) {
    sync.longest_stay = kHour;
    sync.review_date = kStart + kDay;
  });
  x("ada", kNoon);
  EXPECT_THAT(audience(kNoon + kHour), ElementsAre("ada"));
  EXPECT_EQ(expired(), 1u);
  x("bob", kStart + kDay - kHour);
  EXPECT_THAT(audience(kStart + kDay), ElementsAre("bob"));
  EXPECT_EQ(expired(), 1u);
}

TEST_F(Audience,
       on_the_review_date_a_target_is_empty_from_the_first_instant_of_the_day_in_the_workspaces_zone) {
  live(workspace::Effect::target, [](auto& sync) { sync.review_date = kStart + kDay; });
  const Time midnight_in_berlin = kStart + kDay - kHour;
  x("ada", midnight_in_berlin - kHour);
  EXPECT_THAT(audience(midnight_in_berlin - kOne), ElementsAre("ada"));
  EXPECT_THAT(audience(midnight_in_berlin), IsEmpty());
  EXPECT_EQ(expired(), 1u);
  x("bob", midnight_in_berlin + kHour);
  EXPECT_THAT(audience(midnight_in_berlin + kHour), IsEmpty());
}

TEST_F(Audience, is_the_same_after_a_restart) {
  live(workspace::Effect::suppress, [](auto& sync) {
    sync.minimum_stay = kHour * 24;
    sync.longest_stay = kHour * 25;
  });
  x("ada", kNoon);
  engine_.advance(now_ = kNoon + kHour * 5, output_);
  const std::string saved = engine_.save();
  engine_.reset();
  ASSERT_TRUE(engine_.restore(saved));
  EXPECT_THAT(audience(kNoon + kHour * 24 - kOne), ElementsAre("ada"));
  EXPECT_THAT(audience(kNoon + kHour * 24), IsEmpty());
}

TEST_F(EngineTest, profiles_have_computed_attributes_where_a_sync_carries_some) {
  auto workspace = workspace_of({"performed \"X\""});
  workspace::Named& visits = workspace.attributes.emplace_back();
  visits.name = "visits";
  visits.text = "count(\"X\" within 1d)";
  apply(workspace);
  finish();
  track("ada", "X");
  const PersonId ada = *engine_.find_person("ada");
  EXPECT_THAT(engine_.profile(ada).attributes, IsEmpty());
  EXPECT_THAT(output_.changed_attributes, IsEmpty());

  workspace::SyncConfig& sync = workspace.syncs.emplace_back();
  sync.name = "tell";
  sync.segment = "s0";
  sync.destination = "tool";
  sync.attributes = {{"visits", "Visits"}};
  apply(workspace);
  finish();
  track("ada", "X");
  EXPECT_THAT(output_.changed_attributes, ElementsAre(ada));
  const auto attributes = engine_.profile(ada).attributes;
  ASSERT_EQ(attributes.size(), 1u);
  EXPECT_EQ(attributes[0].first, "visits");
  EXPECT_EQ(to_json(attributes[0].second), "2");
}

}  // namespace
}  // namespace tailrace::engine
