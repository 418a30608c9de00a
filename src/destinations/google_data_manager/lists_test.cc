// What a list holds is a setting of the sync; the rest is in golden.txt.
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "destinations/list_kinds.h"

namespace tailrace::destinations {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const AudienceDestination& google() { return *find_audience_destination("google_data_manager"); }

Config config_with(const std::map<std::string, std::string>& settings) {
  Config config;
  config.settings = settings;
  config.settings["operating_account_id"] = "1234567890";
  config.secrets = {{"client_id", "c"}, {"client_secret", "s"}, {"refresh_token", "r"}};
  fill_defaults(google(), config);
  return config;
}
std::vector<std::string> problems_of(const std::map<std::string, std::string>& settings) {
  return google().check(config_with(settings));
}
std::vector<IdentifierKind> held(const std::map<std::string, std::string>& settings) {
  return held_kinds(google(), config_with(settings));
}

TEST(GoogleLists, hold_one_kind_of_identifier_of_one_system) {
  using enum IdentifierKind;
  EXPECT_THAT(held({}), ElementsAre(email, phone));
  EXPECT_THAT(held({{"list_type", "mobile_id"}, {"key_space", "IOS"}}), ElementsAre(idfa));
  EXPECT_THAT(held({{"list_type", "mobile_id"}, {"key_space", "ANDROID"}}), ElementsAre(aaid));
  EXPECT_THAT(held({{"list_type", "user_id"}}), ElementsAre(external_id));
}

TEST(GoogleLists, say_what_to_write_for_another_kind) {
  using enum IdentifierKind;
  const auto mend = [](IdentifierKind kind, const std::map<std::string, std::string>& settings) {
    return std::string(misfit(google(), kind, config_with(settings)));
  };
  EXPECT_THAT(mend(idfa, {}), HasSubstr("`list_type: mobile_id`"));
  EXPECT_THAT(mend(external_id, {}), HasSubstr("`list_type: user_id`"));
  EXPECT_THAT(mend(email, {{"list_type", "user_id"}}), HasSubstr("`list_type: contact`"));
  EXPECT_THAT(mend(phone, {{"list_type", "mobile_id"}, {"key_space", "IOS"}}),
              HasSubstr("`list_type: contact`"));
  EXPECT_THAT(mend(aaid, {{"list_type", "mobile_id"}, {"key_space", "IOS"}}),
              HasSubstr("`key_space: ANDROID`"));
  EXPECT_THAT(mend(idfa, {{"list_type", "mobile_id"}, {"key_space", "ANDROID"}}),
              HasSubstr("`key_space: IOS`"));
}

TEST(GoogleLists, of_advertising_ids_need_their_system_and_their_app) {
  const auto of_devices = [](const std::string& key_space, const std::string& app_id) {
    return problems_of({{"list_type", "mobile_id"}, {"key_space", key_space}, {"app_id", app_id}});
  };
  EXPECT_THAT(of_devices("IOS", "476943146"), IsEmpty());
  EXPECT_THAT(of_devices("ANDROID", "com.example.shop"), IsEmpty());
  EXPECT_THAT(of_devices("", "476943146"), ElementsAre(HasSubstr("key_space must be given")));
  EXPECT_THAT(of_devices("ios", "476943146"), ElementsAre("key_space must be one of IOS, ANDROID"));
  EXPECT_THAT(of_devices("IOS", ""), ElementsAre(HasSubstr("app_id must be given")));
  for (const char* bad : {"id476943146", "com.example.shop"})
    EXPECT_THAT(of_devices("IOS", bad), ElementsAre(HasSubstr("such as 476943146"))) << bad;
  for (const char* bad : {"476943146", "com..shop", ".shop", "com.", "com.example shop"})
    EXPECT_THAT(of_devices("ANDROID", bad), ElementsAre(HasSubstr("such as com.example.shop"))) << bad;
}

TEST(GoogleLists, of_other_kinds_have_neither_system_nor_app) {
  for (const char* list_type : {"contact", "user_id"}) {
    EXPECT_THAT(problems_of({{"list_type", list_type}, {"key_space", "IOS"}, {"app_id", "1"}}),
                ElementsAre(HasSubstr("key_space is for lists of advertising ids"),
                            HasSubstr("app_id is for lists of advertising ids")));
  }
  EXPECT_THAT(problems_of({{"list_type", "emails"}}),
              ElementsAre("list_type must be one of contact, mobile_id, user_id"));
}

// What is found where there is a list of the sync's name, made of `info`.
std::string found(const std::string& info, const std::map<std::string, std::string>& settings) {
  Config config = config_with(settings);
  config.audience_name = "VIP";
  const HttpResponse answer{200, {}, R"({"userLists":[{"id":"7","displayName":"VIP")" + info + "}]}"};
  const auto result = google().decode_find(answer, config);
  return result ? result->audience_id : result.error().message;
}

TEST(GoogleLists, of_the_syncs_name_are_its_own_only_if_they_are_of_its_kind) {
  const std::string devices =
      R"(,"ingestedUserListInfo":{"uploadKeyTypes":["MOBILE_ID"],"mobileIdInfo":{"keySpace":"IOS","appId":"1"}})";
  const auto of = [](const char* key_space, const char* app_id) {
    return std::map<std::string, std::string>{
        {"list_type", "mobile_id"}, {"key_space", key_space}, {"app_id", app_id}};
  };
  EXPECT_EQ(found(devices, of("IOS", "1")), "7");
  EXPECT_EQ(found(devices, of("ANDROID", "com.example.shop")),
            "there is a list of that name, and its keySpace is not ANDROID: write another audience_name");
  EXPECT_EQ(found(devices, of("IOS", "2")),
            "there is a list of that name, and its appId is not 2: write another audience_name");
  EXPECT_EQ(
      found(devices, {}),
      "there is a list of that name, and it is of MOBILE_ID, not of CONTACT_ID: write another list_type, "
      "or another audience_name");
  EXPECT_EQ(found(R"(,"ingestedUserListInfo":{"uploadKeyTypes":["USER_ID"]})", {{"list_type", "user_id"}}),
            "7");
  EXPECT_EQ(found("", {}), "7") << "the answer does not say";
}

TEST(GoogleLists, of_user_ids_are_for_google_ads) {
  EXPECT_THAT(problems_of({{"list_type", "user_id"}}), IsEmpty());
  EXPECT_THAT(problems_of({{"list_type", "user_id"}, {"account_type", "DISPLAY_VIDEO_ADVERTISER"}}),
              ElementsAre(HasSubstr("list_type user_id is for accounts of Google Ads")));
}

}  // namespace
}  // namespace tailrace::destinations
