// Names of audiences that a platform stops or refuses.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "workspace/check.h"

namespace tailrace::workspace {
namespace {

using ::testing::HasSubstr;

std::string problems_of(const std::string& sync, const std::string& destination = "Meta") {
  const std::vector<SourceFile> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml", "use: ecommerce\n"},
      {"segments/all.yaml",
       "- {name: Buyers, who: 'performed \"Order Completed\" within 30d'}\n"
       "- {name: Diabetes buyers, who: 'performed \"Order Completed\" within 7d'}\n"},
      {"destinations/meta.yaml",
       "name: Meta\ntype: meta_custom_audiences\nsettings: {ad_account_id: 1}\n"
       "credentials: {access_token: {env: TOKEN}}\n"},
      {"destinations/tiktok.yaml",
       "name: TikTok\ntype: tiktok_audiences\nsettings: {advertiser_id: 7}\n"
       "credentials: {access_token: {env: TOKEN}}\n"},
      {"syncs/sync.yaml", sync + "\ndestination: " + destination + "\neffect: suppress\n"},
  };
  std::string all;
  for (const FileProblem& found : load_files(files, destinations::registry()).problems)
    all += found.problem.message + "\n";
  return all;
}

TEST(RestrictedTopic, in_the_name_or_the_description_of_an_audience_at_meta_is_warned_of) {
  EXPECT_THAT(
      problems_of("name: Debt advice\nsegment: Buyers"),
      HasSubstr("Meta may stop this audience: `debt` in its name suggests people's financial status"));
  EXPECT_THAT(
      problems_of("name: Stop\nsegment: Diabetes buyers"),
      HasSubstr("Meta may stop this audience: `diabetes` in its description suggests people's health"));
  EXPECT_EQ(problems_of("name: Stop\nsegment: Buyers"), "");
  EXPECT_EQ(problems_of("name: Debt advice\nsegment: Diabetes buyers\n"
                        "settings: {audience_name: A, audience_description: B}"),
            "");
  EXPECT_EQ(problems_of("name: Debt advice\nsegment: Buyers\naudience_id: 7"), "") << "it has a name already";
}

TEST(AudienceName, that_is_too_long_for_its_platform_is_an_error_wherever_it_is_written) {
  const std::string too_long(129, 'x');
  const std::string message = "the audience's name must not be longer than 128 characters\n";
  EXPECT_EQ(problems_of("segment: Buyers\nname: " + too_long, "TikTok"), message);
  EXPECT_EQ(problems_of("segment: Buyers\nname: Stop\nsettings: {audience_name: " + too_long + "}", "TikTok"),
            message);
  EXPECT_EQ(problems_of("segment: Buyers\nname: " + too_long + "\nsettings: {audience_name: Stop}", "TikTok"),
            "")
      << "the sync's own name does not reach the platform";
}

}  // namespace
}  // namespace tailrace::workspace
