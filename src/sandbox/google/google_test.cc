// Google's contract, one rule per test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

using ::testing::HasSubstr;

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
const std::string kLists = "/google/v1/accountTypes/GOOGLE_ADS/accounts/55/userLists";
const std::string kRefresh = "grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s";

std::string list_body(const std::string& name, const std::string& more = "",
                      const std::string& info =
                          R"({"uploadKeyTypes":["CONTACT_ID"],)"
                          R"("contactIdInfo":{"dataSourceType":"DATA_SOURCE_TYPE_FIRST_PARTY"}})") {
  return R"({"displayName":")" + name + R"(","description":"d","ingestedUserListInfo":)" + info + more + "}";
}

std::string email(const std::string& value) { return R"({"emailAddress":")" + value + "\"}"; }
std::string member(const std::string& identifiers, const std::string& more = "") {
  return R"({"userData":{"userIdentifiers":[)" + identifiers + "]}" + more + "}";
}
std::string tag(const std::string& digest) { return "email:" + digest.substr(0, 4); }

class GoogleTest : public ::testing::Test {
 protected:
  void SetUp() override { list = at(client.send("POST", kLists, list_body("VIP")), "id"); }

  std::string destination(const std::string& id, const std::string& more = "") {
    return R"({"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"55"},"productDestinationId":")" +
           id + "\"" + more + "}";
  }
  std::string ingest_body(const std::string& members, const std::string& more = "") {
    return R"({"destinations":[)" + destination(list) + R"(],"audienceMembers":[)" + members +
           R"(],"encoding":"HEX","termsOfService":{"customerMatchTermsOfServiceStatus":"ACCEPTED"})" + more +
           "}";
  }
  HttpResponse ingest(const std::string& members, const std::string& more = "") {
    return call("ingest", ingest_body(members, more));
  }
  HttpResponse remove(const std::string& members, const std::string& more = "") {
    return call("remove", R"({"destinations":[)" + destination(list) + R"(],"audienceMembers":[)" + members +
                              R"(],"encoding":"HEX")" + more + "}");
  }
  HttpResponse call(const std::string& verb, const std::string& body) {
    return client.send("POST", "/google/v1/audienceMembers:" + verb, body);
  }
  HttpResponse status(const HttpResponse& accepted) {
    return client.send("GET", "/google/v1/requestStatus:retrieve?requestId=" + at(accepted, "requestId"));
  }
  std::string members() { return client.members("google", list); }
  // "field reason" of the first violation.
  std::string violation(const HttpResponse& response) {
    for (const char* index : {"1", "0"}) {
      const std::string path = std::string("error.details.") + index + ".fieldViolations.0.";
      if (at(response, path + "field") != "-")
        return at(response, path + "field") + " " + at(response, path + "reason");
    }
    return std::to_string(response.status);
  }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string list;
};

// --- Tokens

TEST_F(GoogleTest, ARefreshTokenGivesAnAccessTokenForAnHour) {
  for (const char* url : {"/token", "/google/token"}) {
    client.headers = {};
    const HttpResponse token = client.send("POST", url, kRefresh);
    EXPECT_EQ(at(token, "token_type"), "Bearer");
    EXPECT_EQ(at(token, "expires_in"), "3599");
    client.headers = {{"Authorization", "Bearer " + at(token, "access_token")}};
    EXPECT_EQ(client.send("GET", kLists).status, 200);
    client.now = client.now + kHour;
    const HttpResponse expired = client.send("GET", kLists);
    EXPECT_EQ(expired.status, 401);
    EXPECT_EQ(at(expired, "error.status"), "UNAUTHENTICATED");
  }
}

TEST_F(GoogleTest, TokenRequestsMustBeComplete) {
  const auto error = [&](const std::string& form) {
    return at(client.send("POST", "/token", form), "error");
  };
  EXPECT_EQ(error(""), "invalid_request");
  EXPECT_EQ(error("grant_type=refresh_token&client_id=c&client_secret=s"), "invalid_request");
  EXPECT_EQ(error("grant_type=refresh_token&refresh_token=r&client_secret=s"), "invalid_request");
  EXPECT_EQ(error("grant_type=refresh_token&refresh_token=r&client_id=c"), "invalid_request");
  EXPECT_EQ(error("grant_type=password"), "unsupported_grant_type");
  EXPECT_EQ(at(client.send("GET", "/token"), "error"), "invalid_request");
}

std::string base64url(const std::string& text) {
  std::string encoded = to_base64(text);
  while (encoded.ends_with('=')) encoded.pop_back();
  for (char& c : encoded) c = c == '+' ? '-' : (c == '/' ? '_' : c);
  return encoded;
}

TEST_F(GoogleTest, AServiceAccountsAssertionIsChecked) {
  const auto token = [&](const std::string& header, const std::string& claims) {
    return client.send("POST", "/token",
                       "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" +
                           base64url(header) + "." + base64url(claims) + ".c2lnbmVk");
  };
  const auto claims = [](const std::string& scope, std::int64_t from, std::int64_t until) {
    return R"({"iss":"robot@example.com","aud":"https://oauth2.googleapis.com/token","scope":")" + scope +
           R"(","iat":)" + std::to_string(from) + R"(,"exp":)" + std::to_string(until) + "}";
  };
  const std::string rs256 = R"({"alg":"RS256","typ":"JWT"})";
  const std::string scope = "https://www.googleapis.com/auth/datamanager";
  const std::int64_t now = kStart.ms / 1000;
  EXPECT_NE(at(token(rs256, claims(scope, now, now + 3600)), "access_token"), "-");
  EXPECT_EQ(at(token(R"({"alg":"none"})", claims(scope, now, now + 3600)), "error"), "invalid_grant");
  EXPECT_EQ(at(token(rs256, claims("email", now, now + 3600)), "error"), "invalid_grant");
  EXPECT_EQ(at(token(rs256, claims(scope, now, now + 3601)), "error"), "invalid_grant");
  EXPECT_EQ(at(token(rs256, claims(scope, now - 3600, now)), "error"), "invalid_grant") << "expired";
  EXPECT_EQ(at(token(rs256, "{}"), "error"), "invalid_grant");
  EXPECT_EQ(at(token("x", "y"), "error"), "invalid_grant");
}

TEST_F(GoogleTest, OtherTokensAreNotAccepted) {
  for (const HttpHeaders& headers : {HttpHeaders{}, HttpHeaders{{"Authorization", "Bearer wrong"}}}) {
    client.headers = headers;
    EXPECT_EQ(ingest(member(email(kAda))).status, 401);
  }
}

// --- User lists

TEST_F(GoogleTest, AListIsCreatedReadListedChangedAndDeleted) {
  const HttpResponse read = client.send("GET", kLists + "/" + list);
  EXPECT_EQ(at(read, "name"), "accountTypes/GOOGLE_ADS/accounts/55/userLists/" + list);
  EXPECT_EQ(at(read, "displayName"), "VIP");
  EXPECT_EQ(at(read, "readOnly"), "false");
  EXPECT_EQ(at(read, "membershipDuration"), "46656000s");
  EXPECT_EQ(at(client.send("GET", kLists), "userLists.0.id"), list);
  EXPECT_EQ(
      at(client.send("PATCH", kLists + "/" + list + "?updateMask=displayName", R"({"displayName":"New"})"),
         "displayName"),
      "New");
  EXPECT_EQ(client.send("DELETE", kLists + "/" + list).body, "{}");
  EXPECT_EQ(client.send("GET", kLists + "/" + list).status, 403);
}

TEST_F(GoogleTest, AListNeedsANameAndWhatItIsMadeOf) {
  const auto create = [&](const std::string& body) { return violation(client.send("POST", kLists, body)); };
  EXPECT_EQ(create("{}"), "user_list.display_name REQUIRED_FIELD_MISSING");
  EXPECT_EQ(create(R"({"displayName":"a"})"), "user_list.ingested_user_list_info REQUIRED_FIELD_MISSING");
  EXPECT_EQ(create(list_body("a", "", "{}")),
            "user_list.ingested_user_list_info.upload_key_types REQUIRED_FIELD_MISSING");
  EXPECT_EQ(create(list_body("a", "", R"({"uploadKeyTypes":["EMAIL"]})")),
            "user_list.ingested_user_list_info.upload_key_types[0] INVALID_ENUM_VALUE");
  EXPECT_EQ(create(list_body("a", "", R"({"uploadKeyTypes":["MOBILE_ID"]})")),
            "user_list.ingested_user_list_info.mobile_id_info REQUIRED_FIELD_MISSING");
  const auto of_devices = [&](const std::string& details) {
    return create(list_body("a", "", R"({"uploadKeyTypes":["MOBILE_ID"],"mobileIdInfo":{)" + details + "}}"));
  };
  const std::string mobile = "user_list.ingested_user_list_info.mobile_id_info";
  EXPECT_EQ(of_devices(R"("appId":"1")"), mobile + ".key_space REQUIRED_FIELD_MISSING");
  EXPECT_EQ(of_devices(R"("keySpace":"ios","appId":"1")"), mobile + ".key_space INVALID_ENUM_VALUE");
  EXPECT_EQ(of_devices(R"("keySpace":"IOS","appId":"")"), mobile + ".app_id REQUIRED_FIELD_MISSING");
  EXPECT_EQ(of_devices(R"("keySpace":"IOS","appId":"1","app":"1")"), mobile + " -");
  EXPECT_EQ(
      create(list_body("a", "", R"({"uploadKeyTypes":["USER_ID"],"userIdInfo":{"dataSourceType":"MINE"}})")),
      "user_list.ingested_user_list_info.user_id_info.data_source_type INVALID_ENUM_VALUE");
  EXPECT_EQ(create(list_body("a", R"(,"colour":"red")")), "user_list -");
  EXPECT_EQ(client.send("POST", kLists, "{").status, 400);
}

TEST_F(GoogleTest, AMembershipLastsWholeDaysAtMost540) {
  const auto create = [&](const std::string& duration) {
    return violation(
        client.send("POST", kLists, list_body(duration, R"(,"membershipDuration":")" + duration + "\"")));
  };
  EXPECT_EQ(create("46656000s"), "200");
  EXPECT_EQ(create("86400s"), "200");
  EXPECT_EQ(create("46742400s"), "user_list.membership_duration MEMBERSHIP_DURATION_TOO_LONG");
  EXPECT_EQ(create("86401s"), "user_list.membership_duration INVALID_FORMAT");
  EXPECT_EQ(create("30d"), "user_list.membership_duration INVALID_FORMAT");
  EXPECT_EQ(create("s"), "user_list.membership_duration INVALID_FORMAT");
}

TEST_F(GoogleTest, ADisplayNameIsUsedOncePerAccount) {
  const HttpResponse second = client.send("POST", kLists, list_body("VIP"));
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(at(second, "error.status"), "ALREADY_EXISTS");
  EXPECT_EQ(at(second, "error.details.0.reason"), "DISPLAY_NAME_ALREADY_USED");
}

TEST_F(GoogleTest, ListsArePaged) {
  client.send("POST", kLists, list_body("B"));
  client.send("POST", kLists, list_body("C"));
  const HttpResponse first = client.send("GET", kLists + "?pageSize=2");
  EXPECT_EQ(at(first, "userLists.1.displayName"), "B");
  EXPECT_EQ(at(first, "userLists.2"), "-");
  const HttpResponse second =
      client.send("GET", kLists + "?pageSize=2&pageToken=" + at(first, "nextPageToken"));
  EXPECT_EQ(at(second, "userLists.0.displayName"), "C");
  EXPECT_EQ(at(second, "nextPageToken"), "-");
}

TEST_F(GoogleTest, ValidateOnlyChangesNoList) {
  EXPECT_EQ(client.send("POST", kLists + "?validateOnly=true", list_body("Try")).status, 200);
  client.send("PATCH", kLists + "/" + list + "?validateOnly=true&updateMask=displayName",
              R"({"displayName":"New"})");
  client.send("DELETE", kLists + "/" + list + "?validateOnly=true");
  EXPECT_EQ(at(client.send("GET", kLists), "userLists.0.displayName"), "VIP");
  EXPECT_EQ(at(client.send("GET", kLists), "userLists.1"), "-");
}

TEST_F(GoogleTest, OnlyMaskedAndChangeableFieldsChange) {
  const std::string url = kLists + "/" + list;
  EXPECT_EQ(violation(client.send("PATCH", url, R"({"displayName":"New"})")),
            "update_mask REQUIRED_FIELD_MISSING");
  EXPECT_EQ(violation(client.send("PATCH", url + "?updateMask=ingestedUserListInfo", "{}")),
            "update_mask INVALID_FORMAT");
}

TEST_F(GoogleTest, TheLoginAccountHeaderNamesAnAccount) {
  client.headers.emplace_back("login-account", "accountTypes/GOOGLE_ADS/accounts/111");
  EXPECT_EQ(client.send("GET", kLists).status, 200);
  client.headers.back().second = "111";
  EXPECT_EQ(violation(client.send("GET", kLists)), "login-account INVALID_FORMAT");
}

TEST_F(GoogleTest, AnUnknownListOrAccountIsPermissionDenied) {
  EXPECT_EQ(client.send("GET", kLists + "/1").status, 403);
  EXPECT_EQ(client.send("GET", "/google/v1/accountTypes/GOOGLE_ADS/accounts/66/userLists/" + list).status,
            403);
  list = "1";
  const HttpResponse response = ingest(member(email(kAda)));
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(at(response, "error.status"), "PERMISSION_DENIED");
}

// --- Members

TEST_F(GoogleTest, MembersAreAddedAndRemoved) {
  EXPECT_NE(at(ingest(member(email(kAda)) + "," + member(email(kBob))), "requestId"), "-");
  EXPECT_EQ(members(), tag(kBob) + " " + tag(kAda));
  EXPECT_EQ(remove(member(email(kBob))).status, 200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(GoogleTest, TheListTellsItsSizeAndMatchRate) {
  ingest(member(email(kAda)) + "," + member(email(kBob)));
  const HttpResponse read = client.send("GET", kLists + "/" + list);
  EXPECT_EQ(at(read, "sizeInfo.displayNetworkMembersCount"), "2");
  EXPECT_EQ(at(read, "ingestedUserListInfo.contactIdInfo.matchRatePercentage"), "100");
  EXPECT_EQ(at(read, "targetNetworkInfo.eligibleForSearch"), "false");
}

TEST_F(GoogleTest, Base64DigestsAreTheSameMembers) {
  const Sha256 digest = sha256("ada@example.com");
  const std::string base64 = to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
  std::string body = ingest_body(member(email(base64)));
  body.replace(body.find("HEX"), 3, "BASE64");
  EXPECT_EQ(call("ingest", body).status, 200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(GoogleTest, ADigestMustHaveItsForm) {
  const std::string field =
      "audience_members.audience_members[0].user_data.user_identifiers[0].email_address ";
  std::string upper = kAda;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
  EXPECT_EQ(violation(ingest(member(email("ada@example.com")))), field + "INVALID_HEX_ENCODING");
  EXPECT_EQ(violation(ingest(member(email("abcd")))), field + "INVALID_SHA256_FORMAT");
  EXPECT_EQ(violation(ingest(member(email("")))), field + "INVALID_SHA256_FORMAT");
  EXPECT_EQ(violation(ingest(member(email(upper)))), field + "INVALID_SHA256_FORMAT");
  EXPECT_EQ(violation(ingest(member(R"({"emailAddress":5})"))), field + "-");
  std::string body = ingest_body(member(email("*")));
  body.replace(body.find("HEX"), 3, "BASE64");
  EXPECT_EQ(violation(call("ingest", body)), field + "INVALID_BASE64_ENCODING");
}

TEST_F(GoogleTest, OneBadMemberFailsTheWholeRequestAndIsNamed) {
  const HttpResponse response = ingest(member(email(kAda)) + "," + member(email(kBob)) + "," +
                                       member(R"({"phoneNumber":"+4915112345678"})"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(
      violation(response),
      "audience_members.audience_members[2].user_data.user_identifiers[0].phone_number INVALID_HEX_ENCODING");
  EXPECT_EQ(at(response, "error.details.0.reason"), "INVALID_HEX_ENCODING");
  EXPECT_EQ(at(response, "error.details.1.@type"), "type.googleapis.com/google.rpc.BadRequest");
  EXPECT_EQ(at(response, "error.details.2.@type"), "type.googleapis.com/google.rpc.RequestInfo");
  EXPECT_EQ(members(), "");
}

TEST_F(GoogleTest, EveryBadMemberIsNamed) {
  const HttpResponse response =
      ingest(member(email("x")) + "," + member(email(kAda)) + "," + member(email("y")));
  EXPECT_THAT(at(response, "error.details.1.fieldViolations.0.field"), HasSubstr("audience_members[0]"));
  EXPECT_THAT(at(response, "error.details.1.fieldViolations.1.field"), HasSubstr("audience_members[2]"));
  EXPECT_EQ(at(response, "error.details.1.fieldViolations.2"), "-");
}

TEST_F(GoogleTest, EncodingIsRequiredForUserData) {
  std::string body = ingest_body(member(email(kAda)));
  body.replace(body.find(R"("encoding":"HEX",)"), 17, "");
  EXPECT_EQ(violation(call("ingest", body)), "encoding REQUIRED_FIELD_MISSING");
}

TEST_F(GoogleTest, TheTermsMustBeAcceptedToAddContacts) {
  std::string body = ingest_body(member(email(kAda)));
  body.replace(body.find("ACCEPTED"), 8, "REJECTED");
  EXPECT_EQ(violation(call("ingest", body)),
            "terms_of_service.customer_match_terms_of_service_status TERMS_AND_CONDITIONS_NOT_SIGNED");
}

TEST_F(GoogleTest, ARemovalTakesNeitherConsentNorTerms) {
  EXPECT_EQ(remove(member(email(kAda)), R"(,"consent":{"adUserData":"CONSENT_GRANTED"})").status, 400);
  EXPECT_EQ(remove(member(email(kAda)), R"(,"termsOfService":{})").status, 400);
  EXPECT_EQ(remove(member(email(kAda), R"(,"consent":{})")).status, 400);
}

TEST_F(GoogleTest, UnknownNamesAreRefused) {
  const HttpResponse response = ingest(member(email(kAda)), R"(,"audience":1)");
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(at(response, "error.message"), HasSubstr("Unknown name \"audience\""));
  EXPECT_EQ(ingest(member(R"({"email":"x"})")).status, 400);
  EXPECT_EQ(call("ingest", "{").status, 400);
  EXPECT_EQ(call("ingest", "[]").status, 400);
}

TEST_F(GoogleTest, AnAddressIsWholeAndOnlyItsNamesAreHashed) {
  const auto address = [&](const std::string& region, const std::string& postal) {
    return violation(ingest(member(R"({"address":{"givenName":")" + kAda + R"(","familyName":")" + kBob +
                                   "\"" + region + postal + "}}")));
  };
  const std::string field = "audience_members.audience_members[0].user_data.user_identifiers[0].address";
  EXPECT_EQ(address(R"(,"regionCode":"GB")", R"(,"postalCode":"SW1A 1AA")"), "200");
  EXPECT_EQ(members(), "address:" + kAda.substr(0, 4));
  EXPECT_EQ(address("", R"(,"postalCode":"SW1A 1AA")"), field + ".region_code REQUIRED_FIELD_MISSING");
  EXPECT_EQ(address(R"(,"regionCode":"gb")", R"(,"postalCode":"1")"), field + ".region_code INVALID_FORMAT");
  EXPECT_EQ(address(R"(,"regionCode":"GB")", R"(,"postalCode":")" + kAda + "\""),
            field + ".postal_code INVALID_POSTAL_CODE");
}

TEST_F(GoogleTest, AMemberHasOneKindOfDataAndSoHasARequest) {
  const std::string mobile = R"("mobileData":{"mobileIds":["aece52e7-0000-0000-0000-0123456789ab"]})";
  const std::string at_member = "audience_members.audience_members[";
  EXPECT_EQ(violation(ingest(member(email(kAda), "," + mobile))),
            at_member + "0] MULTIPLE_DATA_TYPES_NOT_ALLOWED");
  EXPECT_EQ(violation(ingest(member(email(kAda)) + ",{" + mobile + "}")),
            at_member + "1] MULTIPLE_DATA_TYPES_NOT_ALLOWED");
  EXPECT_EQ(violation(ingest("{}")), at_member + "0] NO_IDENTIFIERS_PROVIDED");
  EXPECT_EQ(violation(ingest(R"({"pairData":{}})")), at_member + "0] NOT_ALLOWLISTED");
  EXPECT_EQ(violation(ingest(member(email(kAda).substr(0, 82) + R"(,"phoneNumber":"x"})"))),
            at_member + "0].user_data.user_identifiers[0] INVALID_FORMAT");
}

TEST_F(GoogleTest, TheDataMustSuitTheList) {
  const std::string mobile = R"({"mobileData":{"mobileIds":["aece52e7-0000-0000-0000-0123456789ab"]}})";
  EXPECT_EQ(violation(ingest(mobile)), "destinations[0].product_destination_id INVALID_USER_LIST_TYPE");
  list =
      at(client.send(
             "POST", kLists,
             list_body("Mobile", "",
                       R"({"uploadKeyTypes":["MOBILE_ID"],"mobileIdInfo":{"keySpace":"IOS","appId":"1"}})")),
         "id");
  EXPECT_EQ(ingest(mobile).status, 200);
  EXPECT_EQ(members(), "mobile_id:aece");
  EXPECT_EQ(violation(ingest(R"({"mobileData":{"mobileIds":["aece52e7"]}})")),
            "audience_members.audience_members[0].mobile_data.mobile_ids[0] INVALID_MOBILE_ID_FORMAT");
  EXPECT_EQ(violation(remove(member(email(kAda)))),
            "destinations[0].product_destination_id INVALID_USER_LIST_TYPE");
  std::string unsigned_terms = ingest_body(mobile);
  unsigned_terms.replace(unsigned_terms.find("ACCEPTED"), 8, "REJECTED");
  EXPECT_EQ(violation(call("ingest", unsigned_terms)),
            "terms_of_service.customer_match_terms_of_service_status TERMS_AND_CONDITIONS_NOT_SIGNED");
  EXPECT_EQ(remove(mobile).status, 200);
  EXPECT_EQ(members(), "");
}

TEST_F(GoogleTest, AListOfUserIdsTakesOnePerMember) {
  const auto user = [](const std::string& id) { return R"({"userIdData":{"userId":")" + id + "\"}}"; };
  EXPECT_EQ(violation(ingest(user("crm-1"))),
            "destinations[0].product_destination_id INVALID_USER_LIST_TYPE");
  list = at(client.send("POST", kLists, list_body("Ids", "", R"({"uploadKeyTypes":["USER_ID"]})")), "id");
  EXPECT_EQ(ingest(user("crm-1") + "," + user("abc-2")).status, 200);
  EXPECT_EQ(members(), "external_id:abc- external_id:crm-");
  EXPECT_EQ(violation(ingest(user(""))),
            "audience_members.audience_members[0].user_id_data.user_id REQUIRED_FIELD_MISSING");
  EXPECT_EQ(violation(ingest(user("crm-1") + "," + member(email(kAda)))),
            "audience_members.audience_members[1] MULTIPLE_DATA_TYPES_NOT_ALLOWED");
  EXPECT_EQ(remove(user("crm-1")).status, 200);
  EXPECT_EQ(members(), "external_id:abc-");
  EXPECT_EQ(at(client.send("GET", kLists + "/" + list), "ingestedUserListInfo.contactIdInfo"), "-");
}

TEST_F(GoogleTest, CompositeDataCarriesUserData) {
  EXPECT_EQ(ingest(R"({"compositeData":{"userData":{"userIdentifiers":[)" + email(kAda) + "]}}}").status,
            200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(GoogleTest, AtMostTenThousandMembersTenIdentifiersTenDestinations) {
  EXPECT_EQ(ingest(text_repeated(member(email(kAda)), 10'000)).status, 200);
  EXPECT_EQ(violation(ingest(text_repeated(member(email(kAda)), 10'001))),
            "audience_members TOO_MANY_AUDIENCE_MEMBERS");
  EXPECT_EQ(ingest(member(text_repeated(email(kAda), 10))).status, 200);
  EXPECT_EQ(violation(ingest(member(text_repeated(email(kAda), 11)))),
            "audience_members.audience_members[0].user_data.user_identifiers TOO_MANY_USER_IDENTIFIERS");
  const std::string one = destination(list);
  std::string body = ingest_body(member(email(kAda)));
  EXPECT_EQ(call("ingest", body.replace(body.find(one), one.size(), text_repeated(one, 10))).status, 200);
  body = ingest_body(member(email(kAda)));
  EXPECT_EQ(violation(call("ingest", body.replace(body.find(one), one.size(), text_repeated(one, 11)))),
            "destinations TOO_MANY_DESTINATIONS");
}

TEST_F(GoogleTest, ThereAreDestinationsAndMembers) {
  EXPECT_EQ(violation(call("ingest", R"({"audienceMembers":[],"encoding":"HEX"})")),
            "destinations REQUIRED_FIELD_MISSING");
  EXPECT_EQ(violation(ingest("")), "audience_members REQUIRED_FIELD_MISSING");
}

TEST_F(GoogleTest, ADestinationIsWellFormed) {
  const auto with = [&](const std::string& text) {
    std::string body = ingest_body(member(email(kAda)));
    const std::string one = destination(list);
    return violation(call("ingest", body.replace(body.find(one), one.size(), text)));
  };
  EXPECT_EQ(with(R"({"productDestinationId":"1"})"),
            "destinations[0].operating_account REQUIRED_FIELD_MISSING");
  EXPECT_EQ(with(destination("VIP")), "destinations[0].product_destination_id INVALID_USER_LIST_ID");
  EXPECT_EQ(with(destination("")), "destinations[0].product_destination_id REQUIRED_FIELD_MISSING");
  EXPECT_EQ(with(R"({"operatingAccount":{"accountType":"ADS","accountId":"55"},"productDestinationId":"1"})"),
            "destinations[0].operating_account.account_type INVALID_ENUM_VALUE");
  EXPECT_EQ(
      with(
          R"({"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"5-5"},"productDestinationId":"1"})"),
      "destinations[0].operating_account.account_id INVALID_FORMAT");
  EXPECT_EQ(with(destination(list, R"(,"loginAccount":{"accountType":"GOOGLE_ADS"})")),
            "destinations[0].login_account.account_id REQUIRED_FIELD_MISSING");
}

TEST_F(GoogleTest, ReferencesSendMembersToTheirDestinations) {
  const std::string other = at(client.send("POST", kLists, list_body("Other")), "id");
  const std::string body =
      R"({"destinations":[)" + destination(list, R"(,"reference":"a")") + "," +
      destination(other, R"(,"reference":"b")") + R"(],"audienceMembers":[)" +
      member(email(kAda), R"(,"destinationReferences":["a"])") + "," + member(email(kBob)) +
      R"(],"encoding":"HEX","termsOfService":{"customerMatchTermsOfServiceStatus":"ACCEPTED"}})";
  EXPECT_EQ(call("ingest", body).status, 200);
  EXPECT_EQ(members(), tag(kBob) + " " + tag(kAda));
  EXPECT_EQ(client.members("google", other), tag(kBob));
  std::string twice = body;
  twice.replace(twice.find(R"("reference":"b")"), 15, R"("reference":"a")");
  EXPECT_EQ(violation(call("ingest", twice)), "destinations[1].reference DUPLICATE_DESTINATION_REFERENCE");
  std::string unknown = body;
  unknown.replace(unknown.find(R"(["a"])"), 5, R"(["c"])");
  EXPECT_EQ(violation(call("ingest", unknown)),
            "audience_members.audience_members[0].destination_references[0] INVALID_DESTINATION");
}

TEST_F(GoogleTest, ValidateOnlyChecksAndChangesNothing) {
  const HttpResponse fine = ingest(member(email(kAda)), R"(,"validateOnly":true)");
  EXPECT_EQ(fine.status, 200);
  EXPECT_EQ(members(), "");
  EXPECT_EQ(violation(status(fine)), "request_id INVALID_REQUEST_ID");
  EXPECT_EQ(ingest(member(email("x")), R"(,"validateOnly":true)").status, 400);
}

// --- Consent and status

TEST_F(GoogleTest, MembersWithoutConsentAreCountedAndNotAdded) {
  const std::string denied = R"(,"consent":{"adUserData":"CONSENT_DENIED"})";
  const HttpResponse accepted = ingest(member(email(kAda), denied) + "," + member(email(kBob)));
  EXPECT_EQ(members(), tag(kBob));
  const HttpResponse told = status(accepted);
  EXPECT_EQ(at(told, "requestStatusPerDestination.0.requestStatus"), "PARTIAL_SUCCESS");
  EXPECT_EQ(at(told, "requestStatusPerDestination.0.errorInfo.errorCounts.0"),
            R"({"reason":"PROCESSING_ERROR_REASON_DENIED_CONSENT","recordCount":"1"})");
}

TEST_F(GoogleTest, AMembersOwnConsentCountsBeforeTheRequests) {
  const HttpResponse accepted = ingest(
      member(email(kAda), R"(,"consent":{"adUserData":"CONSENT_GRANTED"})") + "," + member(email(kBob)),
      R"(,"consent":{"adUserData":"CONSENT_DENIED"})");
  EXPECT_EQ(members(), tag(kAda));
  const HttpResponse all_denied =
      ingest(member(email(kBob)), R"(,"consent":{"adUserData":"CONSENT_DENIED"})");
  EXPECT_EQ(at(status(all_denied), "requestStatusPerDestination.0.requestStatus"), "FAILED");
  EXPECT_EQ(violation(ingest(member(email(kAda), R"(,"consent":{"adUserData":"YES"})"))),
            "audience_members.audience_members[0].consent.ad_user_data INVALID_ENUM_VALUE");
}

TEST_F(GoogleTest, TheStatusCountsPerDestination) {
  const HttpResponse told = status(ingest(member(email(kAda) + "," + email(kBob))));
  EXPECT_EQ(at(told, "requestStatusPerDestination.0.requestStatus"), "SUCCESS");
  EXPECT_EQ(at(told, "requestStatusPerDestination.0.destination.productDestinationId"), list);
  EXPECT_EQ(
      at(told, "requestStatusPerDestination.0.audienceMembersIngestionStatus.userDataIngestionStatus"),
      R"({"recordCount":"1","userIdentifierCount":"2","uploadMatchRateRange":"MATCH_RATE_RANGE_91_TO_100"})");
  EXPECT_EQ(
      at(status(remove(member(email(kAda)))),
         "requestStatusPerDestination.0.audienceMembersRemovalStatus.userDataRemovalStatus.recordCount"),
      "1");
}

TEST_F(GoogleTest, ARequestMayTakeItsTime) {
  client.control("POST", "/limits", R"({"google_processing_ms":1800000})");
  const HttpResponse accepted = ingest(member(email(kAda)));
  EXPECT_EQ(at(status(accepted), "requestStatusPerDestination.0.requestStatus"), "PROCESSING");
  client.now = client.now + kMinute * 30;
  EXPECT_EQ(at(status(accepted), "requestStatusPerDestination.0.requestStatus"), "SUCCESS");
}

// --- Removing all

TEST_F(GoogleTest, RemoveAllTakesOutWhoWasNotAddedSince) {
  ingest(member(email(kAda)) + "," + member(email(kBob)));
  client.now = client.now + kMinute;
  ingest(member(email(kAda)));
  const HttpResponse removed = call("removeAll", R"({"destinations":[)" + destination(list) +
                                                     R"(],"removeAsOfTime":"2027-01-15T08:01:00Z"})");
  EXPECT_EQ(removed.status, 200);
  EXPECT_EQ(members(), tag(kAda));
  EXPECT_EQ(at(status(removed), "requestStatusPerDestination.0.removeAllAudienceMembersStatus"), "{}");
  client.now = client.now + kSecond;
  call("removeAll", R"({"destinations":[)" + destination(list) + "]}");
  EXPECT_EQ(members(), "");
}

TEST_F(GoogleTest, RemoveAllIsNotOfTheFuture) {
  for (const char* time : {"2027-01-15T08:00:01Z", "yesterday", "2027-01-15"}) {
    EXPECT_EQ(violation(call("removeAll", R"({"destinations":[)" + destination(list) +
                                              R"(],"removeAsOfTime":")" + time + "\"}")),
              "remove_as_of_time INVALID_REMOVE_AS_OF_TIME");
  }
}

// --- Quota

TEST_F(GoogleTest, ThreeHundredRequestsAMinute) {
  for (int i = 0; i < 300; ++i) ASSERT_EQ(ingest(member(email(kAda))).status, 200);
  const HttpResponse refused = ingest(member(email(kBob)));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(at(refused, "error.status"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(at(refused, "error.details.0.metadata.quota_limit"),
            "IngestionMutateRequestsPerMinutePerProject");
  EXPECT_EQ(client.send("GET", kLists).status, 200) << "another bucket";
  EXPECT_EQ(members(), tag(kAda));
  client.now = client.now + kMinute;
  EXPECT_EQ(ingest(member(email(kBob))).status, 200);
}

TEST_F(GoogleTest, TheDayHasAQuotaToo) {
  client.control("POST", "/limits", R"({"google_requests_per_day":2})");
  ingest(member(email(kAda)));
  ingest(member(email(kAda)));
  client.now = client.now + kMinute;
  EXPECT_EQ(at(ingest(member(email(kAda))), "error.details.0.metadata.quota_limit"),
            "IngestionMutateRequestsPerDayPerProject");
  client.now = client.now + kDay;
  EXPECT_EQ(ingest(member(email(kAda))).status, 200);
}

TEST_F(GoogleTest, AnUnknownPathIsNotFound) {
  const HttpResponse response = client.send("POST", "/google/v1/events:retract", "{}");
  EXPECT_EQ(response.status, 404);
  EXPECT_THAT(at(response, "error.message"), HasSubstr("audienceMembers:ingest"));
}

// --- Events

class GoogleEventsTest : public GoogleTest {
 protected:
  std::string event(const std::string& transaction, const std::string& more = "") {
    return R"({"transactionId":")" + transaction + R"(","eventTimestamp":")" + format_time(client.now) +
           R"(","eventSource":"WEB","userData":{"userIdentifiers":[)" + email(kAda) +
           R"(]},"currency":"EUR","conversionValue":30.5)" + more + "}";
  }
  HttpResponse post(const std::string& events, const std::string& more = R"(,"encoding":"HEX")") {
    return client.send(
        "POST", "/google/v1/events:ingest",
        R"({"destinations":[)" + destination("5550001") + R"(],"events":[)" + events + "]" + more + "}");
  }
  // "taken repeated"
  std::string counts() {
    const HttpResponse kept = client.control("GET", "/google/events");
    return at(kept, "count") + " " + at(kept, "duplicates");
  }
  std::string errors(const HttpResponse& accepted) {
    return at(status(accepted), "requestStatusPerDestination.0.errorInfo.errorCounts");
  }
};

TEST_F(GoogleEventsTest, ATransactionCountsOnceForAnActionAndTheStatusSaysSo) {
  const HttpResponse first = post(event("o-1") + "," + event("o-2"));
  EXPECT_EQ(at(status(first), "requestStatusPerDestination.0.eventsIngestionStatus.recordCount"), "2");
  EXPECT_EQ(errors(first), "-");
  const HttpResponse second = post(event("o-2"));
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(errors(second),
            R"([{"reason":"PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID","recordCount":"1"}])");
  EXPECT_EQ(counts(), "2 1");
}

TEST_F(GoogleEventsTest, OneBadEventFailsTheRequestAndIsNamed) {
  const auto wrong = [&](const std::string& bad) { return violation(post(event("o-1") + "," + bad)); };
  EXPECT_EQ(wrong(R"({"userData":{"userIdentifiers":[)" + email(kAda) + "]}}"),
            "events.events[1].event_timestamp REQUIRED_FIELD_MISSING");
  const std::string at = R"("eventTimestamp":"2027-01-01T00:00:00Z")";
  EXPECT_EQ(wrong("{" + at + "}"), "events.events[1] NO_IDENTIFIERS_PROVIDED");
  EXPECT_EQ(wrong(R"({"eventTimestamp":"2027-02-01T00:00:00Z","adIdentifiers":{"gclid":"g"}})"),
            "events.events[1].event_timestamp EVENT_TIME_INVALID");
  EXPECT_EQ(wrong("{" + at + R"(,"adIdentifiers":{"gclid":")" + kAda + "\"}}"),
            "events.events[1].ad_identifiers.gclid INVALID_FORMAT");
  EXPECT_EQ(wrong("{" + at + R"(,"userData":{"userIdentifiers":[)" + email("ada@example.com") + "]}}"),
            "events.events[1].user_data.user_identifiers[0].email_address INVALID_HEX_ENCODING");
  EXPECT_EQ(wrong("{" + at + R"(,"adIdentifiers":{"gclid":"g"},"currency":"euro"})"),
            "events.events[1].currency INVALID_CURRENCY_CODE");
  EXPECT_EQ(violation(post(event("o-1"), "")), "encoding REQUIRED_FIELD_MISSING");
  EXPECT_EQ(counts(), "0 0");
}

TEST_F(GoogleEventsTest, WithoutConsentNothingIsCounted) {
  const HttpResponse reply = post(event("o-1", R"(,"consent":{"adUserData":"CONSENT_DENIED"})"));
  EXPECT_EQ(errors(reply), R"([{"reason":"PROCESSING_ERROR_REASON_DENIED_CONSENT","recordCount":"1"}])");
  EXPECT_EQ(counts(), "0 0");
}

TEST_F(GoogleEventsTest, TwoThousandAtMostAndValidationStoresNothing) {
  EXPECT_EQ(post(text_repeated(event("o-1"), 2000), R"(,"encoding":"HEX","validateOnly":true)").status, 200);
  EXPECT_EQ(counts(), "0 0");
  EXPECT_EQ(violation(post(text_repeated(event("o-1"), 2001))), "events TOO_MANY_EVENTS");
}

// --- Adjustments

class GoogleAdjustmentsTest : public ::testing::Test {
 protected:
  static std::string adjustment(const std::string& type, const std::string& order,
                                const std::string& second = "09", const std::string& more = "") {
    return R"({"conversionAction":"customers/55/conversionActions/7","adjustmentType":")" + type +
           R"(","orderId":")" + order + R"(","adjustmentDateTime":"2026-11-20 14:05:)" + second +
           R"(+00:00")" + more + "}";
  }
  static std::string restatement(const std::string& order, const std::string& second = "09") {
    return adjustment("RESTATEMENT", order, second,
                      R"(,"restatementValue":{"adjustedValue":20.5,"currencyCode":"EUR"})");
  }
  HttpResponse upload(const std::string& adjustments, const std::string& more = R"("partialFailure":true)") {
    return client.send("POST", "/google/v26/customers/55:uploadConversionAdjustments",
                       R"({"conversionAdjustments":[)" + adjustments + "]," + more + "}");
  }
  // "" where the last one was carried out, else its place and code.
  static std::string failure(const HttpResponse& answer) {
    const std::string error = "partialFailureError.details.0.errors.0.";
    const std::string code = at(answer, error + "errorCode.conversionAdjustmentUploadError");
    return code == "-" ? "" : at(answer, error + "location.fieldPathElements.0.index") + " " + code;
  }
  std::string count() { return at(client.control("GET", "/google/events"), "count"); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(GoogleAdjustmentsTest, ARetractionIsForGoodAndARestatementGivesWayToALaterOne) {
  EXPECT_EQ(failure(upload(restatement("o-1", "10"))), "");
  EXPECT_EQ(failure(upload(restatement("o-1", "10"))), "0 RESTATEMENT_ALREADY_EXISTS");
  EXPECT_EQ(failure(upload(restatement("o-1", "09"))), "0 MORE_RECENT_RESTATEMENT_FOUND");
  EXPECT_EQ(failure(upload(restatement("o-1", "11"))), "");
  EXPECT_EQ(failure(upload(adjustment("RETRACTION", "o-1"))), "");
  EXPECT_EQ(failure(upload(adjustment("RETRACTION", "o-1"))), "0 CONVERSION_ALREADY_RETRACTED");
  EXPECT_EQ(failure(upload(restatement("o-1", "12"))), "0 CONVERSION_ALREADY_RETRACTED");
  EXPECT_EQ(count(), "3");
}

TEST_F(GoogleAdjustmentsTest, WhatIsWrongIsNamedAndTheRestIsCarriedOut) {
  const HttpResponse answer =
      upload(adjustment("RETRACTION", "o-1") + "," + adjustment("RESTATEMENT", "o-2") + "," +
             adjustment("RETRACTION", "o-3"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(failure(answer), "1 UNKNOWN") << "a restatement without a value";
  EXPECT_EQ(at(answer, "results.2.orderId"), "o-3");
  EXPECT_EQ(failure(upload(adjustment("RETRACTION", ""))), "0 MISSING_ORDER_ID_FOR_WEBPAGE");
  EXPECT_EQ(failure(upload(adjustment("RETRACTION", "o-4", "9Z"))), "0 UNKNOWN");
  EXPECT_EQ(count(), "2");
}

TEST_F(GoogleAdjustmentsTest, WantPartialFailureTwoThousandAtMostAndAreOnlyValidatedWhenAsked) {
  EXPECT_EQ(upload(adjustment("RETRACTION", "o-1"), R"("partialFailure":false)").status, 400);
  EXPECT_EQ(upload(text_repeated(adjustment("RETRACTION", "o-1"), 2001)).status, 400);
  const HttpResponse checked =
      upload(adjustment("RETRACTION", "o-1"), R"("partialFailure":true,"validateOnly":true)");
  EXPECT_EQ(checked.status, 200);
  EXPECT_EQ(at(checked, "results"), "-");
  EXPECT_EQ(count(), "0");
}

}  // namespace
}  // namespace tailrace::sandbox
