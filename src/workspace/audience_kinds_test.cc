// Syncs whose settings say what their audience holds, at the platforms where an audience is of one kind.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workspace/check.h"

namespace tailrace::workspace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Loaded load(const std::string& syncs) {
  const std::vector<SourceFile> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml", "use: ecommerce\n"},
      {"segments/buyers.yaml", "{name: Buyers, who: 'performed \"Order Completed\" within 30d'}\n"},
      {"destinations/google.yaml",
       "name: Google\ntype: google_data_manager\nsettings: {operating_account_id: 1234567890}\n"
       "credentials: {service_account_json: {env: KEY}}\n"},
      {"destinations/tiktok.yaml",
       "name: TikTok\ntype: tiktok_audiences\nsettings: {advertiser_id: 7}\n"
       "credentials: {access_token: {env: TOKEN}}\n"},
      {"syncs/syncs.yaml", syncs},
  };
  return load_files(files, destinations::registry());
}
std::string problems_of(const std::string& syncs) {
  std::string all;
  for (const FileProblem& found : load(syncs).problems)
    all += fmt::format("{}: {}; {}\n", found.problem.span.line, found.problem.message, found.problem.mend);
  return all;
}
std::string to_google(const std::string& more) {
  return "- {name: Stop, segment: Buyers, destination: Google, effect: suppress, " + more + "}\n";
}
std::vector<IdentifierKind> identifiers(const std::string& more) {
  return load(to_google(more)).workspace.find_sync("Stop")->identifiers;
}

TEST(KindOfAudience, says_which_identifiers_a_sync_uses_that_names_none) {
  using enum IdentifierKind;
  EXPECT_THAT(identifiers("settings: {}"), ElementsAre(email, phone));
  EXPECT_THAT(identifiers("settings: {list_type: user_id}"), ElementsAre(external_id));
  EXPECT_THAT(identifiers("settings: {list_type: mobile_id, key_space: ANDROID, app_id: com.example.shop}"),
              ElementsAre(aaid));
  EXPECT_EQ(problems_of(to_google("settings: {list_type: user_id}")), "");
}

TEST(KindOfAudience, refuses_other_identifiers_and_says_what_to_write) {
  EXPECT_EQ(
      problems_of(to_google("identifiers: [email, idfa]")),
      "1: this audience of Google Data Manager (Customer Match) holds no idfa; a list of advertising ids "
      "is of `list_type: mobile_id`; give it a sync of its own\n");
  EXPECT_EQ(problems_of(to_google("identifiers: [external_id], settings: {list_type: user_id}")), "");
  EXPECT_THAT(problems_of(to_google("identifiers: [anonymous_id]")),
              HasSubstr("cannot match people by anonymous_id"));
}

TEST(KindOfAudience, that_lacks_a_setting_is_an_error_at_the_sync) {
  EXPECT_THAT(problems_of(to_google("settings: {list_type: mobile_id, key_space: IOS}")),
              HasSubstr("1: app_id must be given with list_type mobile_id"));
}

TEST(WrongSetting, of_several_syncs_is_said_of_each) {
  const std::string too_long(129, 'x');
  const auto to_tiktok = [&](const std::string& name) {
    return "- {name: " + name +
           ", segment: Buyers, destination: TikTok, effect: suppress, settings: {audience_name: " + too_long +
           "}}\n";
  };
  EXPECT_EQ(problems_of(to_tiktok("One") + to_tiktok("Two")),
            "1: the audience's name must not be longer than 128 characters; \n"
            "2: the audience's name must not be longer than 128 characters; \n");
}

TEST(WrongSetting, of_a_destination_is_not_said_again_of_its_syncs) {
  const std::vector<SourceFile> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml", "use: ecommerce\n"},
      {"segments/buyers.yaml", "{name: Buyers, who: 'performed \"Order Completed\" within 30d'}\n"},
      {"destinations/tiktok.yaml",
       "name: TikTok\ntype: tiktok_audiences\nsettings: {advertiser_id: 7, base_url: example.com}\n"
       "credentials: {access_token: {env: TOKEN}}\n"},
      {"syncs/syncs.yaml", "{name: Stop, segment: Buyers, destination: TikTok, effect: suppress}\n"},
  };
  const auto problems = load_files(files, destinations::registry()).problems;
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].file, "destinations/tiktok.yaml");
}

}  // namespace
}  // namespace tailrace::workspace
