#include "destinations/authentication/refresh_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tailrace::destinations::refresh_token {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Time kNow{1'772'359'200'500};

Config config() {
  Config result;
  result.settings["token_url"] = "https://example.com/token";
  result.secrets = {{"client_id", "id 1"}, {"client_secret", "a:b&c"}, {"refresh_token", "1//refresh"}};
  return result;
}

std::vector<std::string> problems(std::initializer_list<const char*> names, LongLived long_lived) {
  Config result;
  for (const char* name : names) result.secrets[name] = "";
  return check(result, long_lived);
}

TEST(RefreshToken, is_a_form_with_the_client_in_it) {
  const auto request = encode(config(), {});
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->url, "https://example.com/token");
  EXPECT_EQ(request->headers, (HttpHeaders{{"Content-Type", "application/x-www-form-urlencoded"}}));
  EXPECT_EQ(request->body,
            "grant_type=refresh_token&refresh_token=1%2F%2Frefresh&client_id=id%201&client_secret=a%3Ab%26c");
}

TEST(RefreshToken, shows_the_client_by_basic_authentication_where_the_platform_wants_that) {
  const auto request = encode(config(), {.client = Flow::Client::basic});
  EXPECT_EQ(request->headers.get("authorization"), "Basic aWQlMjAxOmElM0FiJTI2Yw==");  // id%201:a%3Ab%26c
  EXPECT_EQ(request->body, "grant_type=refresh_token&refresh_token=1%2F%2Frefresh");
  const HttpRequest shown = masked(*request, config());
  EXPECT_EQ(shown.headers.get("authorization"), "***");
  EXPECT_EQ(shown.body, "grant_type=refresh_token&refresh_token=***");
}

TEST(RefreshToken, names_a_scope_where_the_platform_wants_one) {
  EXPECT_THAT(encode(config(), {.scope = "offline_access https://example.com/manage"})->body,
              ::testing::EndsWith("&scope=offline_access%20https%3A%2F%2Fexample.com%2Fmanage"));
}

TEST(RefreshToken, is_not_asked_for_without_one) {
  Config long_lived;
  long_lived.secrets["access_token"] = "long";
  EXPECT_FALSE(encode(long_lived, {}).has_value());
}

TEST(Bearer, is_the_fetched_token_before_the_long_lived_one) {
  Config both = config();
  both.secrets["access_token"] = "long";
  EXPECT_EQ(bearer({both, "fetched", kNow}), "fetched");
  EXPECT_EQ(bearer({both, "", kNow}), "long");
}

TEST(Credentials, are_whole) {
  EXPECT_THAT(problems({"client_id", "client_secret", "refresh_token"}, LongLived::refused), IsEmpty());
  EXPECT_THAT(problems({"access_token"}, LongLived::accepted), IsEmpty());
  EXPECT_THAT(problems({"access_token"}, LongLived::refused), ElementsAre(HasSubstr("are missing")));
  EXPECT_THAT(problems({}, LongLived::accepted), ElementsAre(HasSubstr(", or access_token")));
  EXPECT_THAT(problems({"refresh_token"}, LongLived::accepted), ElementsAre(HasSubstr("together")));
  EXPECT_THAT(problems({"client_id", "access_token"}, LongLived::accepted),
              ElementsAre(HasSubstr("together")));
}

TEST(Credentials, hold_no_line_ends) {
  Config broken;
  broken.secrets["access_token"] = "a\r\nHost: example.org";
  EXPECT_THAT(check(broken, LongLived::accepted), ElementsAre(HasSubstr("access_token holds")));
}

TEST(Token, lasts_as_long_as_it_says_and_a_day_at_most) {
  const auto expires = [](const char* body) { return decode({200, {}, body}, kNow)->expires_at; };
  EXPECT_EQ(expires(R"({"access_token":"a","expires_in":1800})"), kNow + kMinute * 30);
  EXPECT_EQ(expires(R"({"access_token":"a","expires_in":5184000})"), kNow + kDay);
}

TEST(Token, tells_what_a_person_must_mend_from_what_time_mends) {
  const auto error = [](int status, const char* body) { return decode({status, {}, body}, kNow).error(); };
  EXPECT_EQ(error(400, R"({"error":"invalid_grant","error_description":"ada@example.com"})").message,
            "fetching a token: HTTP 400 invalid_grant: the grant has ended, authorise again");
  EXPECT_EQ(error(401, R"({"error":"invalid_client"})").code, Error::Code::invalid_argument);
  EXPECT_EQ(error(404, "<html>").code, Error::Code::invalid_argument);
  EXPECT_EQ(error(429, "").code, Error::Code::unavailable);
  EXPECT_EQ(error(503, R"({"error":"invalid_grant"})").code, Error::Code::unavailable);
  EXPECT_EQ(error(200, R"({"access_token":"a"})").code, Error::Code::unavailable);
  EXPECT_EQ(error(200, R"({"access_token":"a\nb","expires_in":3600})").code, Error::Code::unavailable);
}

}  // namespace
}  // namespace tailrace::destinations::refresh_token
