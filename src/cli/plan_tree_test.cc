#include "cli/plan_tree.h"

#include <gmock/gmock.h>

#include "model/json.h"
#include "support/memory_records.h"

namespace tailrace::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Time kStart{1'772'323'200'000};

// A store of a few orders and views, and a clock by which each round of a measurement takes 4 microseconds.
class PlanTree : public ::testing::Test {
 protected:
  PlanTree() {
    workspace::Workspace workspace;
    workspace.name = "test";
    workspace.taxonomy.unknown_events = workspace::UnknownEvents::admit;
    workspace.attributes.push_back({.name = "ltv",
                                    .owner = {},
                                    .purpose = {},
                                    .lifecycle = {},
                                    .text = R"(sum("Order".revenue))",
                                    .expr = {}});
    const auto segment = [&](const char* name, const char* text) {
      workspace.segments.push_back(
          {.name = name, .owner = {}, .purpose = {}, .lifecycle = {}, .text = text, .expr = {}});
    };
    segment("Buyers", R"(performed "Order" within 30d)");
    segment("Lookers", R"(performed "View" where kind = "shoe" within 7d and not in segment "Buyers")");
    segment("Big", R"(ltv > 10 and performed "Order" within 30d)");
    const std::string payload = to_json(workspace::to_value(workspace));
    RecordView record;
    record.kind = RecordKind::workspace;
    record.payload = payload;
    apply(record);
    for (const char* user : {"ada", "bob", "ada"}) track(user, "Order", R"({"revenue": 8})");
    track("cyd", "View", R"({"kind": "shoe"})");
    track("cyd", "View", R"({"kind": "hat"})");
  }
  void track(std::string_view user, std::string_view event, std::string_view payload) {
    RecordView record;
    record.kind = RecordKind::track;
    record.user_id = user;
    record.event = event;
    record.payload = payload;
    apply(record);
  }
  void apply(RecordView record) {
    now_ = now_ + kSecond;
    record.received_at = now_;
    record.time = now_;
    record.source = "app";
    const std::string id = std::to_string(records_.size());
    record.message_id = id;
    const auto applied = engine_.apply(records_.append(record), record, output_);
    TR_ASSERT(applied.has_value());
  }
  segments::PlanView view(const std::string& segment) {
    const auto expr = workspace::resolve_segment(*engine_.workspace(), segment);
    TR_ASSERT(expr.has_value());
    std::int64_t clock = 0;
    const bool named = engine_.workspace()->find_segment(segment) != nullptr;
    auto made =
        engine_.plan(*engine_.workspace(), named ? segment : "", *expr, [&] { return clock += 4'000; });
    TR_ASSERT(made.has_value());
    return std::move(*made);
  }

  tailrace::testing::MemoryRecords records_;
  engine::Engine engine_{records_};
  engine::Output output_;
  Time now_ = kStart;
};

TEST_F(PlanTree, shows_what_is_read_shared_and_measured) {
  EXPECT_EQ(plan_text("Lookers", view("Lookers")),
            R"(Lookers: performed "View" where kind = "shoe" within 7d and not in segment "Buyers"
5 events of 3 people are stored; measured with 3 of them

and
│   about 2.0 rows a time, after 80.0 % of events; measured 1,333 ns a person
├─ performed "View" where kind = "shoe" within 7d
│      reads "View" where kind = "shoe", 1 row of 1 person
│      about 1.0 rows a time, after 20.0 % of events; measured 1,333 ns a person
└─ not
   │   about 1.0 rows a time, after 60.0 % of events; measured 1,333 ns a person
   └─ in segment "Buyers"
      └─ performed "Order" within 30d
             reads "Order", 3 rows of 2 people
             about 1.0 rows a time, after 60.0 % of events
             one node with 2 other segments: Buyers, Big

stream                      columns  rows  people  kept
--------------------------  -------  ----  ------  ----
"View" where kind = "shoe"  -           1       1  yes
"Order"                     -           3       2  yes
)");
}

TEST_F(PlanTree, computed_attributes_stand_below_with_their_columns) {
  EXPECT_EQ(plan_text("", view("ltv > 10")),
            R"(ltv > 10
5 events of 3 people are stored; measured with 3 of them

ltv > 10
│   about 1.0 rows a time, after 60.0 % of events; measured 1,333 ns a person
│   one node with 1 other segment: Big
└─ ltv
   └─ sum("Order".revenue)
          reads "Order", 3 rows of 2 people: revenue
          about 1.0 rows a time, after 60.0 % of events

stream   columns  rows  people  kept
-------  -------  ----  ------  ----
"Order"  revenue     3       2  yes
)");
}

TEST_F(PlanTree, says_which_streams_and_columns_would_be_new) {
  const std::string text = plan_text(
      "",
      view(
          R"(country = "GB" and consent.ads and performed "View" where kind = "hat" and max("Order".tax) > 1)"));
  EXPECT_THAT(text, HasSubstr("reads trait country\n"));
  EXPECT_THAT(text, HasSubstr("reads consent purpose ads\n"));
  EXPECT_THAT(text, HasSubstr("\"View\" where kind = \"hat\"  -           1       1  no"));
  EXPECT_THAT(text, HasSubstr("\"Order\"                    tax         3       2  no"));
  EXPECT_THAT(plan_text("Big", view("Big")), Not(HasSubstr("  no"))) << "the question left nothing behind";
}

TEST_F(PlanTree, a_rank_has_what_it_ranks_by_and_who_takes_part_as_parts) {
  const segments::PlanView plan = view(R"(top 10% by ltv where ltv > 1 among segment "Buyers")");
  EXPECT_EQ(plan.root.form, segments::PartView::Form::rank);
  std::vector<std::string> parts;
  for (const auto& part : plan.root.parts) parts.push_back(part.text);
  EXPECT_THAT(parts, ElementsAre("ltv", "ltv > 1", "in segment \"Buyers\""));
}

TEST_F(PlanTree, a_past_that_is_followed_costs_as_many_evaluations_as_it_has_rows) {
  const segments::PlanView plan = view(R"(entered segment "Buyers" within 7d)");
  EXPECT_DOUBLE_EQ(plan.root.rows_read, 2.5);  // 1.5 orders a buyer, and one more evaluation
}

TEST_F(PlanTree, as_json_is_a_tree) {
  const Value value = plan_value("Big", view("Big"));
  EXPECT_EQ(value.find("segment")->string, "Big");
  const Value* plan = value.find("plan");
  EXPECT_EQ(plan->find("form")->string, "and");
  ASSERT_EQ(plan->find("parts")->list.size(), 2u);
  const Value& second = plan->find("parts")->list[1];
  EXPECT_EQ(to_json(second), R"x({"form":"condition","condition":"performed \"Order\" within 30d",)x"
                             R"x("reads":[{"stream":0,"properties":[]}],"shared_with":["Buyers","Lookers"],)x"
                             R"x("events_percent":60,"rows_read":1,"ns_per_person":1333.333})x");
  EXPECT_EQ(to_json(*value.find("streams")),
            R"([{"event":"Order","properties":["revenue"],"rows":3,"people":2,"kept":true}])");
}

}  // namespace
}  // namespace tailrace::cli
