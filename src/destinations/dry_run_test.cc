#include "destinations/dry_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A part of a line, as JSON.
std::string at(const std::string& line, std::string_view path) {
  const auto value = parse_json(line).value();
  const Value* found = value.find_path(path);
  return found == nullptr ? "-" : to_json(*found);
}

class DryRunTest : public ::testing::Test {
 protected:
  DryRunTest() { use("meta_custom_audiences"); }

  void use(std::string_view type) {
    run.destination = find(type);
    run.config.settings = {{"ad_account_id", "1"}, {"dataset_id", "1"}};
    run.config.secrets = {{"access_token", "a-secret-token"}};
    run.config.audience_name = "VIP";
    fill_defaults(*run.destination, run.config);
    run.now = Time{1'772'359'200'000};
  }
  std::vector<std::string> preview(std::vector<std::string> records, Operation operation = Operation::add) {
    return destinations::preview(run, records, operation).value();
  }

  DryRun run;
};

TEST_F(DryRunTest, shows_each_request_and_each_record_that_is_not_sent) {
  run.audience_id = "23";
  const auto lines =
      preview({R"({"id":"crm-1","email":"Ada@Example.com"})", R"({"id":"crm-2","email":"nobody"})", "{",
               R"({"id":"crm-3","phone":["+44 20 7946 0018","+442079460018"]})", "{}"});
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_EQ(lines[0], R"({"record":2,"field":"email","reason":"e-mail without exactly one @"})");
  EXPECT_EQ(at(lines[1], "record"), "3");
  EXPECT_EQ(lines[2], R"({"record":5,"field":"","reason":"no usable identifier"})");
  EXPECT_EQ(at(lines[3], "method"), R"("POST")");
  EXPECT_EQ(at(lines[3], "records"), "[1,2,4]");
  EXPECT_THAT(lines[3], Not(HasSubstr("a-secret-token")));
}

TEST_F(DryRunTest, creates_the_audience_that_is_not_named) {
  const auto lines = preview({R"({"email":"ada@example.com"})"});
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(at(lines[0], "op"), R"("create")");
  EXPECT_EQ(at(lines[0], "records"), "[]");
  EXPECT_THAT(lines[1], HasSubstr("AUDIENCE_ID"));
}

TEST_F(DryRunTest, keeps_the_batches_small_and_the_operations_in_order) {
  run.audience_id = "23";
  run.config.settings["batch_records_max"] = "2";
  const auto lines =
      preview({R"({"email":"a@example.com"})", R"({"email":"b@example.com"})", R"({"email":"c@example.com"})",
               R"({"email":"d@example.com","op":"remove"})", R"({"email":"e@example.com"})"});
  std::vector<std::string> seen;
  for (const std::string& line : lines) seen.push_back(at(line, "op") + at(line, "records"));
  EXPECT_THAT(seen, ElementsAre(R"("add"[1,2])", R"("add"[3])", R"("remove"[4])", R"("add"[5])"));
}

TEST_F(DryRunTest, of_nobody_and_nothing_sends_nothing_whatever_the_destination) {
  for (const Destination* each : registry()) {
    if (each->as_warehouse() != nullptr) continue;
    use(each->type());
    run.audience_id = "23";
    const bool is_audience = each->as_audience() != nullptr;
    for (const Operation operation : {is_audience ? Operation::add : Operation::track,
                                      is_audience ? Operation::remove : Operation::track}) {
      EXPECT_THAT(preview({}, operation), SizeIs(0)) << each->type();
      // Of somebody nobody knows anything of there is a line that says so, and no request.
      for (const std::string& line : preview({"{}", "{}"}, operation))
        EXPECT_NE(at(line, "reason"), "-") << each->type() << " " << line;
    }
  }
}

TEST_F(DryRunTest, says_the_same_twice) {
  const std::vector<std::string> records{R"({"email":"ada@example.com"})"};
  EXPECT_EQ(preview(records), preview(records));
}

TEST_F(DryRunTest, reads_identifiers_by_a_mapping) {
  run.audience_id = "23";
  run.fields = {{"email", "contact.mail"}};
  EXPECT_EQ(at(preview({R"({"contact":{"mail":"ada@example.com"}})"})[0], "records"), "[1]");
}

TEST_F(DryRunTest, tells_of_conversions) {
  use("meta_conversions");
  const auto lines = preview(
      {R"({"event":"Order Completed","messageId":"m-1","userId":"crm-1","timestamp":"2026-03-01T09:59:00Z","properties":{"total":5,"currency":"EUR"}})",
       R"({"event":"Order Completed","messageId":"m-2","userId":"crm-1","timestamp":"2026-02-01T09:59:00Z","properties":{"total":5,"currency":"EUR"}})"},
      Operation::track);
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(at(lines[0], "record"), "2");
  EXPECT_EQ(at(lines[0], "field"), R"("at")");
  EXPECT_EQ(at(lines[1], "op"), R"("track")");
}

TEST_F(DryRunTest, has_only_the_operations_of_its_destination) {
  const std::vector<std::string> none;
  EXPECT_FALSE(destinations::preview(run, none, Operation::track).has_value());
  use("meta_conversions");
  EXPECT_FALSE(destinations::preview(run, none, Operation::add).has_value());
}

std::string normalised(std::string_view platform, std::string_view line) {
  return normalise_line(normalisers_named(platform).value(), line);
}

TEST(Normalise, shows_the_value_and_its_hash) {
  EXPECT_EQ(
      normalised("meta", R"({"field":"email","raw":" Ada@Example.com "})"),
      R"({"field":"email","normalized":"ada@example.com","sha256":"b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72","error":null})");
  EXPECT_EQ(normalised("google", R"({"field":"country","raw":"Germany"})"),
            R"({"field":"country","normalized":"DE","sha256":null,"error":null})");
  EXPECT_EQ(normalised("meta", R"({"field":"phone","raw":"020 7946 0018"})"),
            R"({"field":"phone","normalized":null,"sha256":null,"error":"phone without country"})");
  EXPECT_THAT(normalised("meta", R"({"field":"phone","raw":"020 7946 0018","region":"GB"})"),
              HasSubstr(R"("normalized":"442079460018")"));
}

TEST(Normalise, of_a_platform_knows_what_its_events_take_too) {
  EXPECT_THAT(normalised("meta", R"({"field":"fbp","raw":"fb.1.2.3"})"),
              HasSubstr(R"("normalized":"fb.1.2.3")"));
  EXPECT_THAT(normalised("meta_custom_audiences", R"({"field":"fbp","raw":"fb.1.2.3"})"),
              HasSubstr("does not take this field"));
  EXPECT_THAT(normalised("meta", R"({"field":"shoe","raw":"1"})"), HasSubstr("no such field"));
  EXPECT_THAT(normalised("meta", "{"), HasSubstr("not a JSON object"));
  EXPECT_FALSE(normalisers_named("nowhere").has_value());
}

TEST(Classify, gives_each_record_its_outcome) {
  const Destination& meta = *find("meta_custom_audiences");
  EXPECT_THAT(
      classify_line(
          meta,
          R"({"request":{"op":"add","records":[1,2]},"status":200,"body":{"audience_id":"1","session_id":"2","num_received":2,"num_invalid_entries":0}})"),
      ElementsAre(R"({"record":1,"outcome":"accepted","reason":null,"code":null,"retry_after_ms":null})",
                  R"({"record":2,"outcome":"accepted","reason":null,"code":null,"retry_after_ms":null})"));
  const auto throttled =
      classify_line(meta, R"({"records":1,"status":429,"headers":{"Retry-After":"7"},"body":""})");
  ASSERT_THAT(throttled, SizeIs(1));
  EXPECT_EQ(at(throttled[0], "outcome"), R"("retry")");
  EXPECT_EQ(at(throttled[0], "retry_after_ms"), "7000");
  EXPECT_THAT(classify_line(meta, R"({"status":7})")[0], HasSubstr("error"));
  EXPECT_THAT(classify_line(meta, "[")[0], HasSubstr("error"));
}

}  // namespace
}  // namespace tailrace::destinations
