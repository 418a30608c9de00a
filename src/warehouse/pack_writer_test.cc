#include "warehouse/pack_writer.h"

#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "columnar/columnar.h"
#include "model/json.h"
#include "support/golden.h"
#include "support/source_dir.h"
#include "warehouse/lake.h"
#include "warehouse/tables.h"

namespace tailrace::warehouse {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ColumnName, is_lower_case_with_underscores_between_words) {
  EXPECT_EQ(column_name("order_id"), "order_id");
  EXPECT_EQ(column_name("orderId"), "order_id");
  EXPECT_EQ(column_name("Order ID"), "order_id");
  EXPECT_EQ(column_name("HTTPServer"), "http_server");
  EXPECT_EQ(column_name("abc123"), "abc123");
  EXPECT_EQ(column_name("2nd"), "_2nd");
  EXPECT_EQ(column_name("größe"), "gr_e");
  EXPECT_EQ(column_name("!"), "_");
  EXPECT_EQ(column_name(""), "_");
  EXPECT_LE(column_name(std::string(200, 'x')).size(), 51u);
  EXPECT_EQ(event_table("Order Placed"), "event_order_placed");
}

workspace::Workspace shop() {
  workspace::Workspace workspace;
  workspace.name = "shop";
  workspace::EventRule order{
      .name = "Order Placed", .aliases = {}, .owner = "", .description = "", .properties = {}};
  order.properties.push_back({.name = "orderId", .type = language::Type::string});
  order.properties.push_back({.name = "revenue", .type = language::Type::number});
  order.properties.push_back({.name = "paid", .type = language::Type::boolean});
  order.properties.push_back({.name = "shipped_at", .type = language::Type::time});
  order.properties.push_back({.name = "products", .type = language::Type::list});
  workspace.taxonomy.events.push_back(order);
  workspace.taxonomy.traits.push_back({"country", language::Type::string});
  return workspace;
}

class Packs : public ::testing::Test {
 protected:
  Packs()
      : folder_(std::filesystem::temp_directory_path() / ("tailrace_packs_" + std::to_string(getpid()))) {}
  ~Packs() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<PackWriter> writer(std::uint64_t begin = 0, std::uint64_t end = 1000,
                                     std::uint64_t sequence = 1) {
    const auto tables = grown(schema_, tables_of(workspace_, {}));
    schema_ = tables;
    auto made = PackWriter::create({.directory = folder_ / "pack",
                                    .workspace = "shop",
                                    .sync = "Lake",
                                    .sequence = sequence,
                                    .begin = Position{begin},
                                    .end = Position{end},
                                    .at = *parse_time("2026-03-02T00:00:00Z")},
                                   tables, workspace_);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }

  void order(PackWriter& writer, std::uint64_t position, const std::string& properties,
             const std::string& received = "2026-03-01T10:00:00Z") {
    RecordView record;
    record.kind = RecordKind::track;
    record.received_at = *parse_time(received);
    record.time = record.received_at;
    record.source = "web";
    const std::string id = "m" + std::to_string(position);
    record.message_id = id;
    record.user_id = "u1";
    record.payload = properties;
    const auto put = writer.event({Position{position}, PersonId{7}, "Order Placed", &record});
    ASSERT_TRUE(put.has_value()) << put.error().message;
  }

  // What the lake answers once the pack's files are in their places.
  std::string ask(const std::vector<destinations::Pack>& packs, const std::string& sql) {
    for (const auto& pack : packs) {
      for (const auto& file : pack.files) {
        const auto to = folder_ / "lake" / file.name;
        std::filesystem::create_directories(to.parent_path());
        std::filesystem::copy_file(file.path, to, std::filesystem::copy_options::overwrite_existing);
      }
    }
    auto database = columnar::Database::open({});
    const auto opened = open_lake(**database, folder_ / "lake", schema_);
    if (!opened) return "error: " + opened.error().message;
    const auto answer = (*database)->query(sql);
    if (!answer) return "error: " + answer.error().message;
    std::string text;
    for (const auto& row : answer->rows) {
      if (!text.empty()) text += "; ";
      for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("null");
    }
    return text;
  }

  std::filesystem::path folder_;
  workspace::Workspace workspace_ = shop();
  std::vector<WarehouseTable> schema_;
};

TEST_F(Packs, an_event_has_a_row_among_all_events_and_one_in_its_own_table) {
  const auto pack = [&] {
    auto rows = writer();
    order(
        *rows, 8,
        R"({"orderId":"o1","revenue":19.99,"paid":true,"shipped_at":"2026-03-02T08:00:00Z","products":[{"id":1}],"x":1})");
    return *rows->finish();
  }();
  EXPECT_EQ(
      ask({pack}, "SELECT event_id, person_id, user_id, event, source, message_id, properties FROM events"),
      R"(8|7|u1|Order Placed|web|m8|{"orderId":"o1","revenue":19.99,"paid":true,"shipped_at":"2026-03-02T08:00:00Z",)"
      R"("products":[{"id":1}],"x":1})");
  EXPECT_EQ(
      ask({pack}, "SELECT event_id, order_id, revenue, paid, shipped_at, products FROM event_order_placed"),
      R"(8|o1|19.990000000|true|2026-03-02 08:00:00+00|[{"id":1}])");
}

TEST_F(Packs, what_does_not_fit_is_a_discard_and_the_row_stays) {
  const auto pack = [&] {
    auto rows = writer();
    order(*rows, 8, R"({"orderId":5,"revenue":"12.50","paid":1,"shipped_at":"soon"})");
    order(*rows, 16, R"({"revenue":0.1234567891})");
    return *rows->finish();
  }();
  EXPECT_EQ(ask({pack}, "SELECT event_id, order_id, revenue FROM event_order_placed ORDER BY event_id"),
            "8|null|null; 16|null|null");
  EXPECT_EQ(
      ask({pack}, "SELECT row_id, column_name, value, reason FROM discards ORDER BY row_id, column_name"),
      "8|order_id|5|not a text; 8|paid|1|neither true nor false; 8|revenue|\"12.50\"|not a number; "
      "8|shipped_at|\"soon\"|not a time; "
      "16|revenue|0.1234567891|more digits than 29 before the point and 9 behind it");
}

TEST_F(Packs, a_number_that_may_come_as_a_string_is_a_number) {
  workspace_.taxonomy.events[0].properties[1].from_string = true;
  const auto pack = [&] {
    auto rows = writer();
    order(*rows, 8, R"({"revenue":"12.50"})");
    return *rows->finish();
  }();
  EXPECT_EQ(ask({pack}, "SELECT revenue FROM event_order_placed"), "12.500000000");
}

TEST_F(Packs, files_are_named_by_the_range_of_the_log_and_the_day_of_arrival) {
  auto rows = writer(0, 4096);
  order(*rows, 8, "{}", "2026-03-01T23:59:59Z");
  order(*rows, 16, "{}", "2026-03-02T00:00:00Z");
  const auto pack = rows->finish();
  ASSERT_TRUE(pack.has_value());
  std::vector<std::string> names;
  for (const auto& file : pack->files) {
    if (file.table == "events") names.push_back(file.name);
  }
  EXPECT_THAT(
      names, ElementsAre("events/dt=2026-03-01/events_v1_00000000000000000000_00000000000000004096.parquet",
                         "events/dt=2026-03-02/events_v1_00000000000000000000_00000000000000004096.parquet"));
  EXPECT_EQ(pack->manifest_name, "_manifests/" + pack->id + ".json");
  for (const auto& file : pack->files) {
    EXPECT_EQ(file.bytes, std::filesystem::file_size(file.path));
    EXPECT_EQ(file.sha256.size(), 64u);
  }
}

TEST_F(Packs, for_which_the_log_had_nothing_new_have_names_and_versions_of_their_own) {
  std::set<std::string> names, versions;
  for (const std::uint64_t sequence : {1u, 2u}) {
    auto rows = writer(1000, 1000, sequence);
    PersonFact fact;
    fact.person = PersonId{1};
    ASSERT_TRUE(rows->person(fact));
    const auto pack = rows->finish();
    ASSERT_TRUE(pack.has_value());
    names.insert(pack->manifest_name);
    for (const auto& file : pack->files) names.insert(file.name);
    versions.insert(ask({*pack}, "SELECT version FROM people_history"));
  }
  EXPECT_THAT(names, ::testing::SizeIs(4));
  EXPECT_THAT(versions, ::testing::SizeIs(2));
}

TEST_F(Packs, a_day_that_comes_again_has_another_file) {
  auto rows = writer();
  order(*rows, 8, "{}", "2026-03-02T00:00:00Z");
  order(*rows, 16, "{}", "2026-03-01T23:59:59Z");  // the clock was set back
  order(*rows, 24, "{}", "2026-03-02T00:00:00Z");
  const auto pack = rows->finish();
  ASSERT_TRUE(pack.has_value());
  EXPECT_EQ(ask({*pack}, "SELECT event_id FROM events ORDER BY event_id"), "8; 16; 24");
}

TEST_F(Packs, a_finished_pack_is_read_again_as_it_was) {
  auto rows = writer();
  order(*rows, 8, R"({"orderId":"o1"})");
  const auto pack = rows->finish();
  ASSERT_TRUE(pack.has_value());
  const auto again = read_pack(folder_ / "pack");
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(again->id, pack->id);
  EXPECT_EQ(again->sequence, 1u);
  EXPECT_EQ(again->begin, 0u);
  EXPECT_EQ(again->end, 1000u);
  EXPECT_EQ(again->tables, pack->tables);
  EXPECT_EQ(again->manifest, pack->manifest);
  ASSERT_EQ(again->files.size(), pack->files.size());
  for (std::size_t i = 0; i < pack->files.size(); ++i) {
    EXPECT_EQ(again->files[i].name, pack->files[i].name);
    EXPECT_EQ(again->files[i].path, pack->files[i].path);
    EXPECT_EQ(again->files[i].rows, pack->files[i].rows);
    EXPECT_EQ(again->files[i].sha256, pack->files[i].sha256);
  }
}

TEST_F(Packs, a_pack_of_which_a_power_cut_took_something_is_none) {
  std::vector<std::string> paths;
  {
    auto rows = writer();
    order(*rows, 8, R"({"orderId":"o1"})");
    const auto pack = rows->finish();
    for (const auto& file : pack->files) paths.push_back(file.path);
  }
  paths.push_back(folder_ / "pack" / "manifest.json");
  ASSERT_GE(paths.size(), 2u);
  for (const std::string& path : paths) {
    const auto size = std::filesystem::file_size(path);
    const std::string aside = path + ".aside";
    std::filesystem::copy_file(path, aside);
    for (const auto left : {size / 2, std::uintmax_t{0}}) {
      std::filesystem::resize_file(path, left);
      EXPECT_EQ(read_pack(folder_ / "pack").error().code, Error::Code::corrupt) << path;
      std::filesystem::resize_file(path, size);  // zeros where there was something
      EXPECT_EQ(read_pack(folder_ / "pack").error().code, Error::Code::corrupt) << path;
    }
    std::filesystem::rename(aside, path);
    EXPECT_TRUE(read_pack(folder_ / "pack"));
  }
}

TEST_F(Packs, the_same_facts_give_the_same_bytes) {
  const auto digest = [&] {
    auto rows = writer();
    for (std::uint64_t i = 1; i < 300; ++i) order(*rows, i * 8, R"({"orderId":"o1","revenue":1.5})");
    return rows->finish()->manifest;
  };
  EXPECT_EQ(digest(), digest());
}

TEST_F(Packs, a_pack_that_was_not_finished_is_none) {
  {
    auto rows = writer();
  }
  EXPECT_EQ(read_pack(folder_ / "pack").error().code, Error::Code::not_found);
}

TEST_F(Packs, a_column_whose_type_changed_keeps_its_name_and_the_new_type_has_one_of_its_own) {
  const auto before = [&] {
    auto rows = writer(0, 100);
    order(*rows, 8, R"({"revenue":1.5})");
    return *rows->finish();
  }();
  EXPECT_EQ(ask({before}, "SELECT revenue FROM event_order_placed"), "1.500000000");
  workspace_.taxonomy.events[0].properties[1].type = language::Type::string;
  workspace_.taxonomy.events[0].properties.push_back({.name = "note", .type = language::Type::string});
  const auto after = [&] {
    auto rows = writer(100, 200, 2);
    order(*rows, 104, R"({"revenue":"one and a half","note":"new"})");
    return *rows->finish();
  }();
  EXPECT_EQ(
      ask({after}, "SELECT event_id, revenue, revenue_text, note FROM event_order_placed ORDER BY event_id"),
      "8|1.500000000|null|null; 104|null|one and a half|new");
}

TEST_F(Packs, people_are_their_latest_row_and_who_was_merged_is_the_survivor) {
  const auto person = [](std::uint32_t id, const std::string& country) {
    PersonFact fact;
    fact.person = PersonId{id};
    fact.profile.golden_id = "u" + std::to_string(id);
    fact.profile.identifiers = {
        {IdentifierKind::external_id, fact.profile.golden_id, *parse_time("2026-01-01T00:00:00Z")}};
    fact.profile.traits = *parse_json(R"({"country":")" + country + "\"}");
    return fact;
  };
  const auto first = [&] {
    auto rows = writer(0, 100);
    for (const std::uint32_t id : {5u, 6u, 7u}) EXPECT_TRUE(rows->person(person(id, "GB")).has_value());
    order(*rows, 8, "{}");
    return *rows->finish();
  }();
  EXPECT_EQ(ask({first}, "SELECT person_id, golden_id, country FROM people ORDER BY person_id"),
            "5|u5|GB; 6|u6|GB; 7|u7|GB");
  const auto second = [&] {
    auto rows = writer(100, 200, 2);
    EXPECT_TRUE(rows->person(person(5, "FR")).has_value());
    PersonFact merged;
    merged.person = PersonId{7};
    merged.merged_into = PersonId{6};
    EXPECT_TRUE(rows->person(merged).has_value());
    return *rows->finish();
  }();
  static_cast<void>(second);
  const auto third = [&] {
    auto rows = writer(200, 300, 3);
    PersonFact merged;
    merged.person = PersonId{6};
    merged.merged_into = PersonId{5};
    EXPECT_TRUE(rows->person(merged).has_value());
    return *rows->finish();
  }();
  static_cast<void>(third);
  EXPECT_EQ(ask({third}, "SELECT count(*) FROM people_history"), "4");
}

TEST_F(Packs, memberships_and_deliveries_have_their_rows) {
  const auto pack = [&] {
    auto rows = writer();
    EXPECT_TRUE(
        rows->membership({1, "VIP", PersonId{7}, MembershipFact::Change::entered,
                          *parse_time("2026-03-01T10:00:00.001Z"), *parse_time("2026-03-01T10:00:00.001Z")})
            .has_value());
    DeliveryFact fact;
    fact.id = 3;
    fact.sync = "Ads";
    fact.person = PersonId{7};
    fact.acknowledged_at = *parse_time("2026-03-01T10:00:01Z");
    EXPECT_TRUE(rows->delivery(fact).has_value());
    fact.id = 4;
    fact.outcome = DeliveryFact::Outcome::rejected;
    fact.reason = "no such person";
    EXPECT_TRUE(rows->delivery(fact).has_value());
    fact.id = 5;
    fact.sync = "Purchases";
    fact.operation = DeliveryFact::Operation::event;
    fact.outcome = DeliveryFact::Outcome::accepted;
    fact.position = Position{8};
    fact.event = "Order Placed";
    EXPECT_TRUE(rows->delivery(fact).has_value());
    EXPECT_TRUE(rows->holdout({"Ads", PersonId{9}, true, *parse_time("2026-03-01T10:00:00Z")}).has_value());
    return *rows->finish();
  }();
  EXPECT_EQ(ask({pack}, "SELECT segment, person_id, change, changed_at FROM segment_memberships"),
            "VIP|7|entered|2026-03-01 10:00:00.001+00");
  EXPECT_EQ(ask({pack}, "SELECT delivery_id, sync, operation, outcome FROM audience_deliveries ORDER BY 1"),
            "3|Ads|add|accepted; 4|Ads|add|rejected");
  EXPECT_EQ(ask({pack}, "SELECT delivery_id, reason FROM rejections"), "4|no such person");
  EXPECT_EQ(ask({pack}, "SELECT sync, event_id, event, outcome FROM conversions"),
            "Purchases|8|Order Placed|accepted");
  EXPECT_EQ(ask({pack}, "SELECT sync, kind, accepted, rejected FROM sync_runs ORDER BY sync"),
            "Ads|audience|1|1; Purchases|events|1|0");
  EXPECT_EQ(ask({pack}, "SELECT sync, person_id, held_out FROM holdouts"), "Ads|9|true");
}

TEST_F(Packs, tables_without_rows_are_there_too) {
  const auto pack = [&] { return *writer()->finish(); }();
  EXPECT_TRUE(pack.files.empty());
  EXPECT_EQ(ask({pack}, "SELECT count(*) FROM events"), "0");
  EXPECT_EQ(ask({pack}, "SELECT count(*) FROM people"), "0");
  EXPECT_THAT(ask({pack}, "SELECT nothing FROM events"), HasSubstr("nothing"));
}

TEST(Schema, survives_being_written_down) {
  const auto tables = tables_of(shop(), {});
  const auto again = tables_from_value(tables_to_value(tables));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, tables);
  EXPECT_FALSE(tables_from_value(*parse_json("{}")).has_value());
  EXPECT_FALSE(
      tables_from_value(*parse_json(R"([{"name":"t","key":[],"columns":[{"name":"c","type":"odd"}]}])"))
          .has_value());
}

TEST(Schema, reference_page_is_what_the_tables_are) {
  tailrace::testing::expect_file(tailrace::testing::source_dir() + "/docs/warehouse.md",
                                 reference_markdown());
}

TEST(Schema, chosen_tables_alone) {
  std::vector<std::string> names;
  for (const auto& table : tables_of(shop(), {"people", "events"})) names.push_back(table.name);
  EXPECT_THAT(names, ElementsAre("events", "people", "event_order_placed"));
}

TEST(Schema, never_has_two_columns_of_a_name) {
  auto workspace = shop();
  workspace.taxonomy.events[0].properties.push_back({.name = "order_id", .type = language::Type::number});
  workspace.taxonomy.events[0].properties.push_back({.name = "event_id", .type = language::Type::string});
  for (const auto& table : tables_of(workspace, {})) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      for (std::size_t j = i + 1; j < table.columns.size(); ++j)
        EXPECT_NE(table.columns[i].name, table.columns[j].name) << table.name;
    }
  }
}

}  // namespace
}  // namespace tailrace::warehouse
