#include "destinations/google_data_manager/token.h"

#include <memory>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::destinations::google_token {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr Time kNow{1'772'359'200'500};

// A key of this run; real keys do not belong into a repository.
EVP_PKEY* run_key() {
  static EVP_PKEY* const key = EVP_RSA_gen(2048);
  return key;
}

std::string pem(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  BIO* bio = BIO_new(BIO_s_mem());
  char password[] = "word";
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, cipher ? password : nullptr, cipher ? 4 : 0,
                                          nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

std::string key_file(const std::string& private_key) {
  Value file = Value::with(Value::Kind::object);
  file.members.emplace_back("type", Value::of("service_account"));
  file.members.emplace_back("client_email", Value::of("robot@project.example.com"));
  file.members.emplace_back("private_key_id", Value::of("k1"));
  file.members.emplace_back("private_key", Value::of(private_key));
  return to_json(file);
}

Config service_account(const std::string& json) {
  Config config;
  config.settings["token_url"] = "https://oauth2.example.com/token";
  config.secrets["service_account_json"] = json;
  return config;
}

std::string from_base64url(std::string text) {
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  while (text.size() % 4 != 0) text += '=';
  std::string bytes;
  EXPECT_TRUE(from_base64(text, bytes));
  return bytes;
}

bool verify(EVP_PKEY* key, const std::string& text, const std::string& signature) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
}

TEST(ServiceAccount, signs_an_assertion_that_its_public_key_verifies) {
  const Config config = service_account(key_file(pem(run_key())));
  ASSERT_THAT(check(config), IsEmpty());
  const auto request = encode(config, kNow);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->url, "https://oauth2.example.com/token");
  const std::string prefix = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
  ASSERT_THAT(request->body, StartsWith(prefix));
  const std::string assertion = request->body.substr(prefix.size());
  const std::size_t first = assertion.find('.');
  const std::size_t second = assertion.rfind('.');
  EXPECT_EQ(from_base64url(assertion.substr(0, first)), R"({"alg":"RS256","typ":"JWT","kid":"k1"})");
  EXPECT_EQ(from_base64url(assertion.substr(first + 1, second - first - 1)),
            R"({"iss":"robot@project.example.com","scope":"https://www.googleapis.com/auth/datamanager",)"
            R"("aud":"https://oauth2.example.com/token","iat":1772359200,"exp":1772362800})");
  EXPECT_TRUE(verify(run_key(), assertion.substr(0, second), from_base64url(assertion.substr(second + 1))));
  EXPECT_EQ(encode(config, kNow)->body, request->body);
  EXPECT_EQ(masked(*request, config).body,
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=***");
}

TEST(ServiceAccount, is_refused_when_its_file_cannot_sign) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> elliptic(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  for (const std::string& json :
       {std::string("{}"), std::string("not json"), std::string("[]"), key_file(""), key_file("-----BEGIN"),
        key_file(pem(run_key(), EVP_aes_256_cbc())), key_file(pem(elliptic.get()))}) {
    const Config config = service_account(json);
    EXPECT_THAT(check(config), ElementsAre(StartsWith("service_account_json must be")));
    EXPECT_FALSE(encode(config, kNow).has_value());
  }
}

TEST(Credentials, are_one_kind_and_whole) {
  const auto problems = [](std::initializer_list<const char*> names) {
    Config config;
    for (const char* name : names) config.secrets[name] = "";
    return check(config);
  };
  EXPECT_THAT(problems({"client_id", "client_secret", "refresh_token"}), IsEmpty());
  EXPECT_THAT(problems({"service_account_json"}), IsEmpty());
  EXPECT_THAT(problems({}), ElementsAre(HasSubstr("credentials are missing")));
  EXPECT_THAT(problems({"refresh_token"}), ElementsAre(HasSubstr("together")));
  EXPECT_THAT(problems({"client_id", "client_secret", "refresh_token", "service_account_json"}),
              ElementsAre(HasSubstr("not both")));
}

TEST(Token, lasts_a_day_at_most) {
  const auto token = decode({200, {}, R"({"access_token":"a","expires_in":99999999999})"}, kNow);
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->expires_at, kNow + kDay);
}

TEST(Token, tells_what_a_person_must_mend_from_what_time_mends) {
  const auto code = [](int status, const char* body) {
    return decode({status, {}, body}, kNow).error().code;
  };
  EXPECT_EQ(code(400, R"({"error":"invalid_grant"})"), Error::Code::invalid_argument);
  EXPECT_EQ(code(401, R"({"error":"invalid_client"})"), Error::Code::invalid_argument);
  EXPECT_EQ(code(404, "<html>"), Error::Code::invalid_argument);
  EXPECT_EQ(code(429, ""), Error::Code::unavailable);
  EXPECT_EQ(code(503, R"({"error":"invalid_grant"})"), Error::Code::unavailable);
  EXPECT_EQ(code(200, R"({"access_token":"a"})"), Error::Code::unavailable);
  EXPECT_EQ(code(200, R"({"access_token":"","expires_in":3600})"), Error::Code::unavailable);
}

}  // namespace
}  // namespace tailrace::destinations::google_token
