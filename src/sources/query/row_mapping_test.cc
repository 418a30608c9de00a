#include "sources/query/row_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/source_records.h"

namespace tailrace::sources {
namespace {

using ::testing::HasSubstr;
using testing::kSourceNow;
using testing::line_of;
using ::testing::Not;
using Cells = std::vector<std::optional<std::string>>;

constexpr std::nullopt_t null = std::nullopt;

struct Scene {
  QuerySpec spec{.query = "SELECT", .key = {"id"}, .user_id = "id"};
  std::vector<QueryColumn> columns{{"id", ColumnKind::text}};
  std::map<std::string, WantedType> types;
  std::optional<SnapshotHeader> before;
  Time begun = kSourceNow;

  Result<RowMapping> bind() const {
    return RowMapping::bind(spec, columns,
                            {.source = "crm", .begun = begun, .types = types, .before = before});
  }
  RowMapping mapping() const {
    auto bound = bind();
    EXPECT_TRUE(bound.has_value()) << bound.error().message;
    return *std::move(bound);
  }
  Entry entry(const Cells& cells) const { return mapping().map(cells); }
  // What the row means, as a line; without the message id.
  std::string row(const Cells& cells) const { return without_id(entry(cells).record); }
  std::string gone(const Entry& entry) const {
    const auto record = mapping().gone(entry);
    return record ? without_id(*record) : "nothing";
  }
  static std::string without_id(const std::string& bytes) {
    const auto record = decode_record(bytes);
    TR_ASSERT(record.has_value());
    RecordView shown = *record;
    shown.message_id = {};
    return line_of(shown);
  }
};

TEST(RowMapping, a_row_of_people_is_an_identify_with_every_column) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text},       {"plan", ColumnKind::text},
                   {"points", ColumnKind::number}, {"vip", ColumnKind::boolean},
                   {"born", ColumnKind::date},     {"seen", ColumnKind::time},
                   {"tags", ColumnKind::json},     {"local", ColumnKind::local_time}};
  scene.spec.time_zone = "Europe/London";
  EXPECT_EQ(scene.row({"u1", "pro \"x\"", "12.50", "t", "1990-02-28", "2026-07-01 10:00:00.25+02",
                       "[1, {\"a\": 2.50}]", "2026-07-01 10:00:00"}),
            R"(identify user=u1 {"born":"1990-02-28","local":"2026-07-01T09:00:00.000Z","plan":"pro \"x\"",)"
            R"("points":12.50,"seen":"2026-07-01T08:00:00.250Z","tags":[1,{"a":2.5}],"vip":true})");
}

TEST(RowMapping, a_null_takes_an_attribute_away) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"plan", ColumnKind::text}};
  EXPECT_EQ(scene.row({"u1", null}), R"(identify user=u1 {"plan":null})");
}

TEST(RowMapping, columns_become_traits_of_other_names_and_the_rest_is_left_out) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"p", ColumnKind::text}, {"secret", ColumnKind::text}};
  scene.spec.fields = {{"plan", "p"}};
  scene.spec.every_column = false;
  EXPECT_EQ(scene.row({"u1", "pro", "x"}), R"(identify user=u1 {"plan":"pro"})");
}

TEST(RowMapping, an_email_names_a_person_and_is_a_trait) {
  Scene scene;
  scene.columns = {{"mail", ColumnKind::text}, {"plan", ColumnKind::text}};
  scene.spec = {.query = "SELECT", .key = {"mail"}, .email = "mail"};
  EXPECT_EQ(scene.row({"ada@example.com", "pro"}), R"(identify {"email":"ada@example.com","plan":"pro"})");
}

TEST(RowMapping, the_taxonomy_decides_where_nothing_is_lost) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"value", ColumnKind::text}};
  const auto value = [&](ColumnKind kind, WantedType type, std::string text) {
    scene.columns[1].kind = kind;
    scene.types = {{"value", type}};
    return scene.row({"u1", std::move(text)});
  };
  EXPECT_EQ(value(ColumnKind::text, WantedType::number, "12.50"), R"(identify user=u1 {"value":12.50})");
  EXPECT_EQ(value(ColumnKind::text, WantedType::number, "n/a"), R"(identify user=u1 {"value":"n/a"})");
  EXPECT_EQ(value(ColumnKind::text, WantedType::boolean, "true"), R"(identify user=u1 {"value":true})");
  EXPECT_EQ(value(ColumnKind::number, WantedType::string, "007"), R"(identify user=u1 {"value":"007"})");
  EXPECT_EQ(value(ColumnKind::number, WantedType::boolean, "1"), R"(identify user=u1 {"value":true})");
  EXPECT_EQ(value(ColumnKind::boolean, WantedType::number, "t"), R"(identify user=u1 {"value":1})");
  EXPECT_EQ(value(ColumnKind::boolean, WantedType::string, "f"), R"(identify user=u1 {"value":"false"})");
}

TEST(RowMapping, eighteen_digits_are_as_they_were) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"ltv", ColumnKind::number}};
  EXPECT_EQ(scene.row({"u1", "1234567890123456.78"}), R"(identify user=u1 {"ltv":1234567890123456.78})");
}

TEST(RowMapping, a_row_of_events_is_a_track) {
  Scene scene;
  scene.columns = {{"order_id", ColumnKind::number}, {"customer", ColumnKind::text},
                   {"mail", ColumnKind::text},       {"total", ColumnKind::number},
                   {"at", ColumnKind::time},         {"note", ColumnKind::text}};
  scene.spec = {.query = "SELECT",
                .rows = RowsAs::events,
                .key = {"order_id"},
                .user_id = "customer",
                .email = "mail",
                .event = "Order Placed",
                .time_column = "at"};
  EXPECT_EQ(
      scene.row({"17", "u1", "ada@example.com", "9.90", "2026-02-01 10:00:00+00", null}),
      R"(track "Order Placed" at=2026-02-01T10:00:00.000Z user=u1 context={"traits":{"email":"ada@example.com"}} )"
      R"({"order_id":17,"total":9.90})");
  // Its message id is that of its key, whatever run finds it.
  const std::string first = scene.entry({"17", "u1", null, "9.90", "2026-02-01", null}).record;
  scene.begun = kSourceNow + kDay;
  const std::string second = scene.entry({"17", "u1", null, "8.00", "2026-02-01", null}).record;
  EXPECT_EQ(decode_record(first)->message_id, decode_record(second)->message_id);
}

TEST(RowMapping, an_event_may_be_named_by_a_column) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"who", ColumnKind::text}, {"what", ColumnKind::text}};
  scene.spec = {.query = "SELECT",
                .rows = RowsAs::events,
                .key = {"id", "who"},
                .anonymous_id = "who",
                .event_column = "what"};
  EXPECT_EQ(scene.row({"1", "a1", "Signed Up"}), R"(track "Signed Up" anonymous=a1 {"id":"1"})");
  EXPECT_THAT(scene.row({"1", "a1", null}), HasSubstr("it names no event"));
  EXPECT_NE(scene.entry({"1", "2", "x"}).key, scene.entry({"12", "", "x"}).key);
}

TEST(RowMapping, a_row_of_members_sets_one_attribute) {
  Scene scene;
  scene.columns = {{"mail", ColumnKind::text}, {"plan", ColumnKind::text}};
  scene.spec = {.query = "SELECT",
                .rows = RowsAs::members,
                .key = {"mail"},
                .email = "mail",
                .attribute = "on_the_list"};
  const Cells row{"ada@example.com", "pro"};
  EXPECT_EQ(scene.row(row), R"(identify {"email":"ada@example.com","on_the_list":true})");
  EXPECT_EQ(scene.gone(scene.entry(row)), R"(identify {"email":"ada@example.com","on_the_list":false})");
  // What else is in the row is no change.
  EXPECT_EQ(scene.entry(row).hash, scene.entry({"ada@example.com", "free"}).hash);
}

TEST(RowMapping, who_is_gone_loses_what_the_source_said) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"mail", ColumnKind::text}, {"plan", ColumnKind::text}};
  scene.spec.email = "mail";
  const Entry entry = scene.entry({"u1", "ada@example.com", "pro"});
  EXPECT_EQ(scene.gone(entry), R"(identify user=u1 {"email":null,"plan":null})");
  scene.spec.gone = Gone::keep;
  EXPECT_EQ(scene.gone(entry), "nothing");
}

TEST(RowMapping, a_trait_that_is_no_longer_mapped_goes_with_the_next_change_of_its_row) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"plan", ColumnKind::text}};
  const Entry plain = scene.entry({"u1", "pro"});
  scene.before = SnapshotHeader{.rows = RowsAs::people, .key = "user_id", .names = {"age", "plan"}};
  EXPECT_EQ(scene.row({"u1", "pro"}), R"(identify user=u1 {"plan":"pro","age":null})");
  EXPECT_EQ(scene.entry({"u1", "pro"}).hash, plain.hash) << "it is no change by itself";
}

TEST(RowMapping, what_does_not_fit_is_rejected_with_its_reason) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"n", ColumnKind::number}, {"b", ColumnKind::boolean},
                   {"d", ColumnKind::date},  {"t", ColumnKind::time},   {"j", ColumnKind::json}};
  const auto because = [&](const Cells& cells) {
    const Entry entry = scene.entry(cells);
    EXPECT_TRUE(entry.rejected);
    EXPECT_FALSE(entry.stands);
    return scene.row(cells);
  };
  EXPECT_THAT(because({null, null, null, null, null, null}), HasSubstr("its key, column \"id\", is null"));
  EXPECT_THAT(because({" ", null, null, null, null, null}), HasSubstr("its key, column \"id\", is empty"));
  EXPECT_THAT(because({"u", "NaN", null, null, null, null}), HasSubstr("column \"n\": \"NaN\" is no number"));
  EXPECT_THAT(because({"u", "1e999", null, null, null, null}), HasSubstr("is no number"));
  EXPECT_THAT(because({"u", null, "maybe", null, null, null}), HasSubstr("neither true nor false"));
  EXPECT_THAT(because({"u", null, null, "infinity", null, null}), HasSubstr("is no date"));
  EXPECT_THAT(because({"u", null, null, null, "0044-03-15 10:00:00 BC", null}), HasSubstr("no instant"));
  EXPECT_THAT(because({"u", null, null, null, null, "{"}), HasSubstr("it is no JSON"));
  EXPECT_THAT(because({"u\xff", null, null, null, null, null}), HasSubstr("not text in UTF-8"));
  EXPECT_THAT(because({std::string(600, 'u'), null, null, null, null, null}), HasSubstr("600 bytes"));
  EXPECT_THAT(because({std::string(2'000, 'u'), null, null, null, null, null}),
              HasSubstr("its key is longer"));
}

TEST(RowMapping, rows_without_a_key_are_told_apart_by_what_they_are) {
  Scene scene;
  scene.columns = {{"id", ColumnKind::text}, {"plan", ColumnKind::text}};
  EXPECT_EQ(scene.entry({null, "a"}).key, scene.entry({null, "a"}).key);
  EXPECT_NE(scene.entry({null, "a"}).key, scene.entry({null, "b"}).key);
  EXPECT_EQ(scene.gone(scene.entry({null, "a"})), "nothing");
}

TEST(RowMapping, columns_that_are_not_there_are_named) {
  Scene scene;
  scene.spec.key = {"nobody"};
  EXPECT_THAT(scene.bind().error().message, HasSubstr("no column \"nobody\"; it gives id"));
  scene = {};
  scene.columns = {{"id", ColumnKind::text}, {"id", ColumnKind::text}};
  EXPECT_THAT(scene.bind().error().message, HasSubstr("two columns named \"id\""));
}

TEST(RowMapping, the_header_of_a_snapshot_is_read_as_it_was_written) {
  const SnapshotHeader header{.rows = RowsAs::members, .key = "email", .names = {"a \"list\"", "b"}};
  EXPECT_EQ(parse_snapshot_header(to_text(header)), header);
  for (const char* text :
       {"", "{}", "[]", R"({"rows":"nobody","key":"","names":[]})", R"({"rows":"people","key":1})"})
    EXPECT_EQ(parse_snapshot_header(text).error().code, Error::Code::corrupt) << text;
}

}  // namespace
}  // namespace tailrace::sources
