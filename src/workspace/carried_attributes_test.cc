// What audience syncs tell of their people beside their identifiers.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "model/json.h"
#include "workspace/check.h"

namespace tailrace::workspace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Loaded load_with(const std::string& attributes, const std::string& destination = "Profiles") {
  const std::vector<SourceFile> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml", "use: ecommerce\ntraits: {plan: string}\n"},
      {"attributes.yaml", "ltv: sum(\"Order Completed\".revenue)\n"},
      {"segments/all.yaml", "{name: Buyers, who: 'performed \"Order Completed\"'}\n"},
      {"destinations/tools.yaml",
       "- name: Profiles\n  type: mixpanel_audiences\n  credentials: {project_token: {env: TOKEN}}\n"
       "- name: Meta\n  type: meta_custom_audiences\n  settings: {ad_account_id: 1}\n"
       "  credentials: {access_token: {env: TOKEN}}\n"
       "- name: TikTok\n  type: tiktok_audiences\n  settings: {advertiser_id: 1}\n"
       "  credentials: {access_token: {env: TOKEN}}\n"},
      {"syncs/sync.yaml", fmt::format("name: Tell\nsegment: Buyers\ndestination: {}\neffect: suppress\n{}",
                                      destination, attributes)},
  };
  return load_files(files, destinations::registry());
}
std::string problems_of(const Loaded& loaded) {
  std::string all;
  for (const FileProblem& found : loaded.problems)
    all += fmt::format("{}:{} {} | {}\n", found.problem.span.line, found.problem.span.column,
                       found.problem.message, found.problem.mend);
  return all;
}

TEST(CarriedAttributes, are_computed_ones_and_traits_by_their_names_or_others) {
  const Loaded list = load_with("attributes: [ltv, plan]\n");
  EXPECT_EQ(problems_of(list), "");
  EXPECT_THAT(list.workspace.syncs[0].attributes,
              ElementsAre(CarriedAttribute{"ltv", "ltv"}, CarriedAttribute{"plan", "plan"}));
  const Loaded renamed = load_with("attributes: {ltv: Lifetime value}\n");
  EXPECT_EQ(problems_of(renamed), "");
  EXPECT_THAT(renamed.workspace.syncs[0].attributes, ElementsAre(CarriedAttribute{"ltv", "Lifetime value"}));
}

TEST(CarriedAttributes, come_back_from_the_stored_form_and_are_left_out_where_there_are_none) {
  const Loaded some = load_with("attributes: {ltv: Lifetime value, plan: plan}\n");
  const auto again = from_value(to_value(some.workspace));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->syncs[0].attributes, some.workspace.syncs[0].attributes);
  EXPECT_EQ(to_json(to_value(load_with("").workspace)).find("\"as\""), std::string::npos);
}

TEST(CarriedAttributes, one_that_nobody_knows_is_an_error_where_it_stands) {
  EXPECT_THAT(problems_of(load_with("attributes: [ltv, pla]\n")),
              HasSubstr("5:19 \"pla\" is neither a computed attribute nor a trait | did you mean"));
}

TEST(CarriedAttributes, two_cannot_be_called_the_same) {
  EXPECT_THAT(problems_of(load_with("attributes: {ltv: x, plan: x}\n")),
              HasSubstr("two attributes would be called \"x\""));
}

TEST(CarriedAttributes, some_platforms_take_none) {
  EXPECT_THAT(problems_of(load_with("attributes: [ltv]\n", "TikTok")),
              HasSubstr("takes no attributes of people"));
}

TEST(CarriedAttributes, meta_takes_what_it_has_columns_for) {
  EXPECT_EQ(problems_of(load_with("attributes: {plan: first_name}\n", "Meta")), "");
  EXPECT_THAT(problems_of(load_with("attributes: [plan]\n", "Meta")), HasSubstr("no column for `plan`"));
}

TEST(CarriedAttributes, a_value_and_an_audience_of_values_belong_together) {
  EXPECT_EQ(problems_of(load_with("attributes: {ltv: value}\nsettings: {value_based: true}\n", "Meta")), "");
  EXPECT_THAT(problems_of(load_with("attributes: {ltv: value}\n", "Meta")), HasSubstr("belong together"));
  EXPECT_THAT(problems_of(load_with("settings: {value_based: true}\n", "Meta")),
              HasSubstr("belong together"));
}

TEST(CarriedAttributes, cannot_be_called_as_the_property_that_says_who_is_in) {
  EXPECT_THAT(problems_of(load_with("attributes: {ltv: Tell}\n")), HasSubstr("is what says who is in"));
  EXPECT_THAT(problems_of(load_with("attributes: {ltv: VIP}\naudience_id: VIP\n")),
              HasSubstr("is what says who is in"));
}

}  // namespace
}  // namespace tailrace::workspace
