#include "destinations/authentication/signature_v4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace tailrace::destinations::signature_v4 {
namespace {

// The examples of Amazon's own documentation of the algorithm.
const Key kKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const Scope kScope{&kAmazon, "us-east-1", "s3"};
constexpr Time kTime{1'369'353'600'000};  // 2013-05-24T00:00:00Z

std::string signature_of(HttpRequest request, std::string_view payload_hash) {
  sign(request, kKey, kScope, payload_hash, kTime);
  const std::string text(*request.headers.get("Authorization"));
  return text.substr(text.find("Signature=") + 10);
}

TEST(SignatureV4, signs_a_read_with_a_header) {
  EXPECT_EQ(
      signature_of({"GET", "https://examplebucket.s3.amazonaws.com/test.txt", {{"Range", "bytes=0-9"}}, ""},
                   kEmptyHash),
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SignatureV4, signs_a_write_with_its_payload) {
  EXPECT_EQ(signature_of(
                {"PUT",
                 "https://examplebucket.s3.amazonaws.com/test%24file.text",
                 {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                 ""},
                sha256_hex("Welcome to Amazon S3.")),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SignatureV4, signs_a_query_without_a_value) {
  EXPECT_EQ(signature_of({"GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", {}, ""}, kEmptyHash),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SignatureV4, signs_a_query_in_order) {
  EXPECT_EQ(signature_of({"GET", "https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2", {}, ""},
                         kEmptyHash),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SignatureV4, temporary_credentials_send_their_token_signed) {
  HttpRequest request{"GET", "https://example.com/a", {}, ""};
  sign(request, {"id", "secret", "the-token"}, kScope, kEmptyHash, kTime);
  EXPECT_EQ(request.headers.get("x-amz-security-token"), "the-token");
  EXPECT_THAT(std::string(*request.headers.get("Authorization")),
              ::testing::HasSubstr("x-amz-security-token"));
}

TEST(SignatureV4, the_dialect_of_google_has_its_own_words) {
  HttpRequest request{"GET", "https://storage.googleapis.com/lake/a", {}, ""};
  sign(request, kKey, {&kGoogle, "auto", "storage"}, kEmptyHash, kTime);
  EXPECT_EQ(request.headers.get("x-goog-date"), "20130524T000000Z");
  EXPECT_THAT(std::string(*request.headers.get("Authorization")),
              ::testing::StartsWith("GOOG4-HMAC-SHA256 "
                                    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/auto/storage/goog4_request, "
                                    "SignedHeaders=host;x-goog-content-sha256;x-goog-date, "));
}

}  // namespace
}  // namespace tailrace::destinations::signature_v4
