#include "destinations/authentication/oauth1.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tailrace::destinations::oauth1 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The example of OAuth Core 1.0, appendix A.5.
TEST(OAuth1, signs_as_the_standard_s_example) {
  const Parameters oauth{{"oauth_consumer_key", "dpf43f3p2l4k3l03"}, {"oauth_token", "nnch734d00sl2jdk"},
                         {"oauth_signature_method", "HMAC-SHA1"},    {"oauth_timestamp", "1191242096"},
                         {"oauth_nonce", "kllo9940pd9333jh"},        {"oauth_version", "1.0"}};
  const auto of = [&](const char* url) {
    return signature("GET", url, oauth, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
  };
  EXPECT_EQ(of("http://photos.example.net/photos?file=vacation.jpg&size=original"),
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM=");
  EXPECT_EQ(of("HTTP://photos.example.NET:80/photos?size=original&file=vacation.jpg"),
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM=");
  EXPECT_NE(of("http://photos.example.net:8080/photos?file=vacation.jpg&size=original"),
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM=");
}

TEST(OAuth1, escapes_in_the_query_are_those_of_the_value) {
  const auto of = [](const char* url) { return signature("POST", url, {}, "a", "b"); };
  EXPECT_EQ(of("https://example.com/x?name=a%20b%2fc"), of("https://example.com/x?name=a+b%2Fc"));
  EXPECT_NE(of("https://example.com/x?name=a%20b"), of("https://example.com/x?name=ab"));
  EXPECT_EQ(of("https://example.com"), of("https://example.com/#part"));
}

Config config() {
  Config result;
  result.secrets = {{"consumer_key", "key"},
                    {"consumer_secret", "one"},
                    {"access_token", "token"},
                    {"access_token_secret", "two"}};
  return result;
}

std::string header(const std::string& body, Time now) {
  HttpRequest request{"POST", "https://example.com/x", {}, body};
  sign(request, config(), now);
  return std::string(request.headers.get("authorization").value());
}

TEST(OAuth1, the_same_request_at_the_same_time_is_signed_the_same) {
  EXPECT_EQ(header("[]", Time{1'800'000'000'000}), header("[]", Time{1'800'000'000'000}));
  EXPECT_NE(header("[]", Time{1'800'000'000'000}), header("[1]", Time{1'800'000'000'000}));
  EXPECT_NE(header("[]", Time{1'800'000'000'000}), header("[]", Time{1'800'000'000'001}));
}

TEST(OAuth1, the_header_holds_tokens_and_no_secrets) {
  const std::string text = header("[]", Time{1'800'000'000'999});
  EXPECT_TRUE(text.starts_with("OAuth oauth_consumer_key=\"key\", oauth_nonce=\"")) << text;
  EXPECT_THAT(text, HasSubstr("oauth_timestamp=\"1800000000\", oauth_token=\"token\", oauth_version=\"1.0\", "
                              "oauth_signature=\""));
  EXPECT_THAT(text, Not(HasSubstr("one")));
  EXPECT_THAT(text, Not(HasSubstr("two")));
}

}  // namespace
}  // namespace tailrace::destinations::oauth1
