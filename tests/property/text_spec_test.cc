// The text runner is trusted by every specification, so it is shown to notice what it should.
#include "support/text_spec.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "model/json.h"
#include "support/oracle_runner.h"

namespace tailrace::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SpecStatement only_statement(const char* text) {
  const auto file = parse_spec("a.spec", text);
  return file && file->statements.size() == 1 ? file->statements.front() : SpecStatement{};
}
std::string problem(const char* text) {
  const auto file = parse_spec("a.spec", text);
  return file ? "none" : file.error().message;
}
std::vector<std::string> run(const std::string& text) {
  const auto file = parse_spec("a.spec", text);
  if (!file) return {file.error().message};
  OracleRunner runner;
  return run_spec(*file, runner);
}

TEST(TextSpec, reads_an_event_with_everything) {
  const SpecStatement statement = only_statement(
      R"(at 2026-03-01T10:00:00Z ada performs "Order Placed" {"a": {"b": "}# =>"}} at 2026-02-01 as m7 => x + ada, y - bob)");
  EXPECT_EQ(format_time(statement.at), "2026-03-01T10:00:00.000Z");
  EXPECT_EQ(statement.action.kind, SpecAction::Kind::performs);
  EXPECT_EQ(statement.action.who, "ada");
  EXPECT_EQ(statement.action.name, "Order Placed");
  EXPECT_EQ(to_json(statement.action.payload), R"({"a":{"b":"}# =>"}})");
  EXPECT_EQ(format_time(statement.action.time), "2026-02-01T00:00:00.000Z");
  EXPECT_EQ(statement.action.message_id, "m7");
  EXPECT_THAT(statement.expected, ElementsAre("x + ada", "y - bob"));
}

TEST(TextSpec, an_event_is_of_the_time_of_receipt_and_has_an_id_where_nothing_is_said) {
  const SpecStatement statement = only_statement("at 2026-03-01T10:00:00Z ada performs X =>");
  EXPECT_EQ(statement.action.time, statement.at);
  EXPECT_EQ(statement.action.message_id, "m1");
  EXPECT_THAT(statement.expected, IsEmpty());
}

TEST(TextSpec, reads_every_other_action) {
  using Kind = SpecAction::Kind;
  const auto kind = [](const char* action) {
    return only_statement((std::string("at 2026-03-01 ") + action + " =>").c_str()).action.kind;
  };
  EXPECT_EQ(kind(""), Kind::none);
  EXPECT_EQ(kind(R"(ada is {"a": 1})"), Kind::is);
  EXPECT_EQ(kind("ada consents ads"), Kind::consents);
  EXPECT_EQ(kind("ada refuses ads"), Kind::refuses);
  EXPECT_EQ(kind(R"(ada enters sync "Win back")"), Kind::enters_sync);
  EXPECT_EQ(kind("anon-1 becomes ada"), Kind::becomes);
  EXPECT_EQ(kind("bob merges into ada"), Kind::merges);
  EXPECT_EQ(kind("ada is deleted"), Kind::deleted);
}

TEST(TextSpec, reads_the_workspace_and_joins_lines) {
  const auto file = parse_spec("a.spec",
                               "time zone Europe/London # comment\n"
                               "unknown consent means yes\n"
                               "alias \"Order Completed\" is \"Order Placed\"\n"
                               "trait born is time\n"
                               "sync \"Win back\"\n"
                               "\n"
                               "segment s = performed \"#\"\n"
                               "   and lapsed  # goes on\n");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->workspace.time_zone, "Europe/London");
  EXPECT_TRUE(file->workspace.consent_unknown);
  EXPECT_EQ(canonical_event(file->workspace, "Order Completed"), "Order Placed");
  EXPECT_EQ(canonical_event(file->workspace, "Other"), "Other");
  EXPECT_EQ(file->workspace.traits.front().type, language::Type::time);
  EXPECT_THAT(file->workspace.syncs, ElementsAre("Win back"));
  EXPECT_EQ(file->workspace.definitions.front().line, 7);
  EXPECT_EQ(file->workspace.definitions.front().text, "performed \"#\" and lapsed");
}

TEST(TextSpec, names_the_line_of_what_it_cannot_read) {
  EXPECT_EQ(problem("\n# fine\nat 2026-03-01 ada jumps =>"), "a.spec:3: unknown action at `jumps`");
  EXPECT_EQ(problem("at 2026-03-01 ada consents ads"), "a.spec:1: expected `=>`");
  EXPECT_EQ(problem("at 2026-03-02 =>\nat 2026-03-01 =>"), "a.spec:2: the clock of the steps goes back");
  EXPECT_EQ(problem("at 2026-03-01 ada is 7 =>"), "a.spec:1: expected a JSON object at `7`");
  EXPECT_EQ(problem("at 2026-03-01 ada consents ads for ever =>"),
            "a.spec:1: too much in this line: `for ever`");
  EXPECT_EQ(problem("at 2026-03-01 ada performs \"X =>"), "a.spec:1: no closing quote in `\"X`");
  EXPECT_EQ(problem("trait a is wide"), "a.spec:1: unknown type `wide`");
  EXPECT_EQ(problem("unknown consent means maybe"), "a.spec:1: expected `no` at `maybe`");
  EXPECT_EQ(problem("members s of 2026-03-01 =>"), "a.spec:1: expected `at` at `of 2026-03-01`");
}

TEST(TextSpec, tells_what_differs_and_where) {
  EXPECT_THAT(run("segment s = performed \"X\" within 1h\n"
                  "at 2026-03-01T10:00:00Z ada performs X => s + ada\n"
                  "at 2026-03-01T12:00:00Z => s - ada\n"
                  "members s at 2026-03-01T10:30:00Z =>\n"
                  "timeline s from 2026-03-01 to 2026-03-02 => s + ada at 2026-03-01T10:00:00.000Z\n"),
              ElementsAre("a.spec:3: expected `s - ada`, got `s - ada at 2026-03-01T11:00:00.000Z`",
                          "a.spec:4: expected ``, got `ada`",
                          "a.spec:5: expected `s + ada at 2026-03-01T10:00:00.000Z`, got "
                          "`s + ada at 2026-03-01T10:00:00.000Z, s - ada at 2026-03-01T11:00:00.000Z`"));
}

TEST(TextSpec, refuses_an_expression_that_does_not_parse_or_check) {
  EXPECT_THAT(run("\nsegment s = performed"), ElementsAre(::testing::HasSubstr("a.spec: line 2: ")));
  EXPECT_THAT(run("segment s = in segment \"t\""), ElementsAre(::testing::HasSubstr("a.spec: line 1: ")));
}

}  // namespace
}  // namespace tailrace::testing
