// Stream syncs in a workspace: what may be written, what is made of it, and what is said of mistakes.
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "destinations/event_destination.h"
#include "model/json.h"
#include "workspace/check.h"

namespace tailrace::workspace {
namespace {

using ::testing::HasSubstr;

Loaded load_with(const std::string& sync) {
  const std::vector<SourceFile> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml", "use: ecommerce\n"},
      {"segments/buyers.yaml", "name: Buyers\nwho: performed \"Order Completed\" within 30d\n"},
      {"destinations/meta.yaml",
       "name: Meta\ntype: meta_conversions\nsettings: {dataset_id: 1}\n"
       "credentials: {access_token: {env: TOKEN}}\n"},
      {"destinations/list.yaml",
       "name: List\ntype: webhook\nsettings: {url: \"https://shop.example/hook\"}\n"
       "credentials: {signing_secret: {env: KEY}}\n"},
      {"syncs/stream.yaml", sync},
  };
  return load_files(files, destinations::registry());
}

std::string problems_of(const std::string& sync) {
  std::string out;
  for (const FileProblem& found : load_with(sync).problems) {
    const language::Problem& problem = found.problem;
    if (!found.file.starts_with("syncs/")) continue;
    out += fmt::format("{}:{}: {}{}{}\n", problem.span.line, problem.span.column, problem.message,
                       problem.mend.empty() ? "" : " | ", problem.mend);
  }
  return out;
}

constexpr std::string_view kHead = "name: To Meta\ndestination: Meta\nconsent: ads\n";

TEST(Stream, reads_every_key_and_keeps_it_in_the_log) {
  const std::string sync =
      std::string(kHead) +
      "events:\n"
      "  order completed:\n"
      "  Product Added: {name: AddToCart, where: price > 10 and (currency = \"EUR\")}\n"
      "  Product Viewed: false\n"
      "  \"*\":\n"
      "people: Buyers\ncurrency: EUR\nfields: {value: properties.total}\n"
      "properties: {exclude: [note], rename: {total: revenue}, hash: email, mask: [phone]}\n"
      "start: beginning\nno_answer: resend\nbatch_age_max: 2s\n";
  ASSERT_EQ(problems_of(sync), "");
  const Workspace once = load_with(sync).workspace;
  const auto again = from_value(to_value(once));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(to_value(*again)), to_json(to_value(once)));
  ASSERT_EQ(again->streams.size(), 1u);
  const StreamConfig& stream = again->streams.front();
  EXPECT_TRUE(stream.every_event);
  ASSERT_EQ(stream.events.size(), 3u);
  EXPECT_EQ(stream.events[0].event, "Order Placed");
  EXPECT_EQ(stream.events[1].name, "AddToCart");
  EXPECT_EQ(stream.events[1].where, "price > 10 and currency = \"EUR\"");
  EXPECT_NE(stream.events[1].condition, nullptr);
  EXPECT_FALSE(stream.events[2].sent);
  EXPECT_EQ(stream.people, "Buyers");
  EXPECT_EQ(stream.consent_purpose, "ads");
  EXPECT_EQ(stream.properties.rename.at("total"), "revenue");
  EXPECT_EQ(stream.properties.hash.front(), "email");
  EXPECT_EQ(stream.start, StreamConfig::Start::beginning);
  EXPECT_EQ(stream.ambiguity, Ambiguity::resend);
  EXPECT_EQ(stream.batch_age_max, Millis{2'000});
}

TEST(Stream, all_or_a_list_of_names_is_enough) {
  EXPECT_EQ(problems_of(std::string(kHead) + "events: all\n"), "");
  EXPECT_EQ(problems_of(std::string(kHead) + "events: [Order Completed, Product Added]\n"), "");
}

TEST(Stream, an_event_the_platform_has_no_name_for) {
  EXPECT_EQ(problems_of(std::string(kHead) + "events: [Coupon Denied]\n"),
            "4:10: Meta Conversions API has no name of its own for \"Coupon Denied\" | write `Coupon Denied: "
            "NAME`, with the platform's name of it\n");
}

TEST(Stream, an_event_nobody_knows) {
  EXPECT_THAT(problems_of(std::string(kHead) + "events: {Order Complet: Purchase}\n"),
              HasSubstr("4:10: unknown event \"Order Complet\" | declare it in taxonomy.yaml"));
}

TEST(Stream, a_condition_that_is_none_is_shown_where_it_stands) {
  EXPECT_THAT(problems_of(std::string(kHead) + "events: {Order Completed: {where: total >> 3}}\n"),
              HasSubstr("4:42: "));
  EXPECT_THAT(problems_of(std::string(kHead) + "events: {Order Completed: {where: total > 3) within 3d}}\n"),
              HasSubstr("4:"));
}

TEST(Stream, to_what_keeps_audiences_and_the_other_way_round) {
  EXPECT_THAT(problems_of("name: A\ndestination: List\nevents: all\n"),
              HasSubstr("2:14: Webhook takes no events: it keeps audiences"));
  EXPECT_THAT(problems_of("name: A\ndestination: Meta\nsegment: Buyers\neffect: target\n"),
              HasSubstr("Meta Conversions API keeps no audiences: it takes events"));
}

TEST(Stream, what_it_names_must_be_there) {
  EXPECT_THAT(problems_of(std::string(kHead) + "events: all\npeople: Byers\n"),
              HasSubstr("there is no segment \"Byers\" | did you mean \"Buyers\"?"));
  EXPECT_THAT(problems_of(std::string(kHead) + "events: all\ncurrency: EURO\n"),
              HasSubstr("\"EURO\" is no currency"));
  EXPECT_THAT(problems_of(std::string(kHead) + "events: all\nfields: {worth: properties.total}\n"),
              HasSubstr("there is no field \"worth\""));
  EXPECT_THAT(problems_of("name: A\ndestination: Meta\nevents: all\n"),
              HasSubstr("the sync \"A\" sends conversions without asking for consent"));
}

TEST(Stream, names_are_unique_among_syncs_of_both_kinds) {
  EXPECT_THAT(problems_of("- {name: A, destination: List, segment: Buyers, effect: suppress}\n"
                          "- {name: A, destination: Meta, events: all}\n"),
              HasSubstr("there are two syncs named \"A\""));
}

TEST(Stream, sends_in_a_mode) {
  EXPECT_THAT(
      problems_of(std::string(kHead) + "events: all\nmode: test\n"),
      HasSubstr("5:7: `mode: test` sends nobody but the people of `test_segment`, and there is none"));
  EXPECT_THAT(problems_of(std::string(kHead) + "events: all\nmode: tests\n"),
              HasSubstr("did you mean \"test\"?"));
  EXPECT_THAT(problems_of(std::string(kHead) + "events: all\nmode: test\ntest_segment: Staff\n"),
              HasSubstr("6:15: there is no segment \"Staff\""));
  const std::string sync = std::string(kHead) + "events: all\nmode: test\ntest_segment: Buyers\n";
  EXPECT_EQ(problems_of(sync), "");
  const auto again = from_value(to_value(load_with(sync).workspace));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->streams.front().mode, Mode::test);
  EXPECT_EQ(again->streams.front().test_segment, "Buyers");
}

}  // namespace
}  // namespace tailrace::workspace
