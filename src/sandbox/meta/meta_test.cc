// Meta's contract, one rule per test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

using ::testing::HasSubstr;

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");
const std::string kEve = sha256_hex("eve@example.com");
constexpr const char* kCreate =
    R"({"name":"VIP","subtype":"CUSTOM","customer_file_source":"USER_PROVIDED_ONLY"})";

std::string tag(const std::string& digest) { return "email:" + digest.substr(0, 4); }

class MetaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    id = at(client.send("POST", "/meta/v26.0/act_55/customaudiences", kCreate), "id");
    audience = "/meta/v26.0/" + id;
  }

  HttpResponse upload(const std::string& schema, const std::string& data, const std::string& session = "",
                      const std::string& edge = "users", const std::string& method = "POST") {
    const std::string prefix = session.empty() ? "" : R"("session":)" + session + ",";
    return client.send(method, audience + "/" + edge,
                       "{" + prefix + R"("payload":{"schema":)" + schema + R"(,"data":)" + data + "}}");
  }
  HttpResponse add(const std::string& digest, const std::string& session = "") {
    return upload(R"(["EMAIL"])", R"([[")" + digest + R"("]])", session);
  }
  HttpResponse remove(const std::string& digest) {
    return upload(R"(["EMAIL"])", R"([[")" + digest + R"("]])", "", "users", "DELETE");
  }
  HttpResponse replace(const std::string& digest, const std::string& session) {
    return upload(R"(["EMAIL"])", R"([[")" + digest + R"("]])", session, "usersreplace");
  }
  std::string members() { return client.members("meta", id); }
  std::string code(const HttpResponse& response) {
    return at(response, "error.code") + "/" + at(response, "error.error_subcode");
  }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
  std::string id;
  std::string audience;
};

// --- Authorisation and envelope

TEST_F(MetaTest, ATokenCanBeLookedAt) {
  EXPECT_EQ(at(client.send("GET", "/meta/v26.0/debug_token?input_token=sandbox-token"), "data.is_valid"),
            "true");
  EXPECT_EQ(at(client.send("GET", "/meta/v26.0/debug_token?input_token=another"), "data.is_valid"), "false");
}

TEST_F(MetaTest, ADatasetCanBeLookedAt) {
  EXPECT_EQ(at(client.send("GET", "/meta/v26.0/1234567890?fields=id,name,is_unavailable"), "is_unavailable"),
            "false");
}

TEST_F(MetaTest, ATokenIsTakenFromTheHeaderOrTheParameter) {
  EXPECT_EQ(client.send("GET", "/meta/me").status, 200);
  client.headers = {};
  EXPECT_EQ(client.send("GET", "/meta/me?access_token=sandbox-token").status, 200);
  EXPECT_EQ(client
                .send("POST", "/meta/act_1/customaudiences",
                      R"({"access_token":"sandbox-token","name":"a","subtype":"CUSTOM",)"
                      R"("customer_file_source":"USER_PROVIDED_ONLY"})")
                .status,
            200);
}

TEST_F(MetaTest, AWrongOrMissingTokenIsCode190) {
  for (const HttpHeaders& headers :
       {HttpHeaders{}, HttpHeaders{{"Authorization", "Bearer wrong"}},
        HttpHeaders{{"Authorization", "Bearer "}}, HttpHeaders{{"Authorization", "Basic sandbox-token"}}}) {
    client.headers = headers;
    const HttpResponse response = client.send("GET", "/meta/me");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(at(response, "error.code"), "190");
    EXPECT_EQ(at(response, "error.type"), "OAuthException");
    EXPECT_TRUE(response.headers.get("WWW-Authenticate"));
  }
}

TEST(MetaToken, AnyTokenWillDoWhenNoneIsConfigured) {
  Client client{{.known_share = 1, .seed = 1, .token = ""}};
  client.headers = {{"Authorization", "Bearer whatever"}};
  EXPECT_EQ(client.send("GET", "/meta/me").status, 200);
  client.headers = {};
  EXPECT_EQ(at(client.send("GET", "/meta/me"), "error.code"), "190");
}

TEST_F(MetaTest, TheVersionMayBeLeftOut) { EXPECT_EQ(client.send("GET", "/meta/" + id).status, 200); }

TEST_F(MetaTest, EveryErrorHasATraceId) {
  EXPECT_EQ(at(client.send("GET", "/meta/1"), "error.fbtrace_id").size(), 17u);
}

TEST_F(MetaTest, AnUnknownObjectIsCode100Subcode33) {
  for (const char* url : {"/meta/1", "/meta/1/users", "/meta/nobody", "/meta", "/meta/act_x/customaudiences",
                          "/meta/99999999999999999999"}) {
    EXPECT_EQ(code(client.send("GET", url)), "100/33") << url;
  }
  EXPECT_EQ(code(client.send("POST", audience + "/nothing")), "100/33");
  EXPECT_EQ(code(client.send("GET", audience + "/users")), "100/33");
}

// --- Audiences

TEST_F(MetaTest, CreatingNeedsANameASubtypeAndASource) {
  const auto create = [&](const std::string& body) {
    return client.send("POST", "/meta/act_5/customaudiences", body);
  };
  EXPECT_EQ(create(R"({"subtype":"CUSTOM","customer_file_source":"USER_PROVIDED_ONLY"})").status, 400);
  EXPECT_EQ(create(R"({"name":"","subtype":"CUSTOM","customer_file_source":"USER_PROVIDED_ONLY"})").status,
            400);
  EXPECT_EQ(create(R"({"name":"a","customer_file_source":"USER_PROVIDED_ONLY"})").status, 400);
  EXPECT_EQ(
      create(R"({"name":"a","subtype":"LOOKALIKE","customer_file_source":"USER_PROVIDED_ONLY"})").status,
      400);
  EXPECT_EQ(create(R"({"name":"a","subtype":"CUSTOM"})").status, 400);
  EXPECT_EQ(create(R"({"name":"a","subtype":"CUSTOM","customer_file_source":"MINE"})").status, 400);
  EXPECT_EQ(create(kCreate).status, 200);
}

TEST_F(MetaTest, CreatingTakesAForm) {
  EXPECT_EQ(client
                .send("POST", "/meta/act_5/customaudiences",
                      "name=A+%26+B&subtype=CUSTOM&customer_file_source=USER_PROVIDED_ONLY")
                .status,
            200);
  EXPECT_EQ(at(client.send("GET", "/meta/act_5/customaudiences?fields=name"), "data.0.name"), "A & B");
}

TEST_F(MetaTest, AListIsOfOneAccountAndPaged) {
  client.send("POST", "/meta/act_55/customaudiences", kCreate);
  client.send("POST", "/meta/act_66/customaudiences", kCreate);
  const HttpResponse all = client.send("GET", "/meta/act_55/customaudiences?fields=id,name");
  EXPECT_EQ(at(all, "data.0"), R"({"name":"VIP","id":")" + id + "\"}");
  EXPECT_NE(at(all, "data.1"), "-");
  EXPECT_EQ(at(all, "data.2"), "-");
  const HttpResponse first = client.send("GET", "/meta/act_55/customaudiences?limit=1");
  EXPECT_EQ(at(first, "data.1"), "-");
  const std::string after = at(first, "paging.cursors.after");
  const HttpResponse second = client.send("GET", "/meta/act_55/customaudiences?limit=1&after=" + after);
  EXPECT_EQ(at(second, "data.0.id"), at(all, "data.1.id"));
}

TEST_F(MetaTest, FieldsAreThoseAskedFor) {
  EXPECT_EQ(client.send("GET", audience).body, R"({"id":")" + id + "\"}");
  const HttpResponse response =
      client.send("GET", audience + "?fields=name,account_id,subtype,operation_status,delivery_status");
  EXPECT_EQ(at(response, "account_id"), "55");
  EXPECT_EQ(at(response, "operation_status.code"), "200");
  EXPECT_EQ(code(client.send("GET", audience + "?fields=name,shoe_size")), "100/-");
}

TEST_F(MetaTest, AnAudienceIsRenamedAndDeleted) {
  EXPECT_EQ(at(client.send("POST", audience, R"({"name":"New"})"), "success"), "true");
  EXPECT_EQ(at(client.send("GET", audience + "?fields=name"), "name"), "New");
  EXPECT_EQ(at(client.send("DELETE", audience), "success"), "true");
  EXPECT_EQ(code(client.send("GET", audience)), "100/33");
}

TEST_F(MetaTest, CountsAreBlurredToTwoDigits) {
  std::string rows;
  for (int i = 0; i < 1234; ++i) rows += (i == 0 ? "" : ",") + ("\"" + sha256_hex(std::to_string(i)) + "\"");
  upload(R"("EMAIL_SHA256")", "[" + rows + "]");
  const HttpResponse size =
      client.send("GET", audience + "?fields=approximate_count_lower_bound,approximate_count_upper_bound");
  EXPECT_EQ(at(size, "approximate_count_lower_bound"), "1200");
  EXPECT_EQ(at(size, "approximate_count_upper_bound"), "1300");
}

// --- Members

TEST_F(MetaTest, MembersAreAddedAndRemoved) {
  const HttpResponse added = upload(R"(["EMAIL"])", R"([[")" + kAda + R"("],[")" + kBob + R"("]])");
  EXPECT_EQ(added.status, 200);
  EXPECT_EQ(at(added, "audience_id"), id);
  EXPECT_EQ(at(added, "num_received"), "2");
  EXPECT_EQ(at(added, "num_invalid_entries"), "0");
  EXPECT_EQ(members(), tag(kBob) + " " + tag(kAda));
  EXPECT_EQ(remove(kBob).status, 200);
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(MetaTest, AddingAndRemovingTwiceDoesNoHarm) {
  add(kAda);
  add(kAda);
  EXPECT_EQ(members(), tag(kAda));
  remove(kAda);
  EXPECT_EQ(remove(kAda).status, 200);
  EXPECT_EQ(members(), "");
}

TEST_F(MetaTest, RemovingOneIdentifierLeavesThePersonsOthers) {
  const std::string phone = sha256_hex("4915112345678");
  upload(R"(["EMAIL","PHONE"])", R"([[")" + kAda + "\",\"" + phone + R"("]])");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.size"), "1");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.identifiers"), "2");
  remove(kAda);
  EXPECT_EQ(members(), "phone:" + phone.substr(0, 4));
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.size"), "1");
}

TEST_F(MetaTest, PayloadAndSessionMayBeStringsOfAForm) {
  const std::string form = "payload=%7B%22schema%22%3A%22EMAIL_SHA256%22%2C%22data%22%3A%5B%22" + kAda +
                           "%22%5D%7D&session=%7B%22session_id%22%3A9%2C%22batch_seq%22%3A1%7D";
  EXPECT_EQ(at(client.send("POST", audience + "/users", form), "session_id"), "9");
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(MetaTest, ARemovalMayCarryItsPayloadInTheQuery) {
  add(kAda);
  client.send("DELETE", audience +
                            "/users?payload=%7B%22schema%22%3A%22EMAIL_SHA256%22%2C%22data%22%3A%5B%22" +
                            kAda + "%22%5D%7D");
  EXPECT_EQ(members(), "");
}

TEST_F(MetaTest, RowsMustHaveAValuePerKey) {
  for (const char* data : {R"([["a"]])", R"([["a","b","c"]])", R"([[]])", R"(["a"])", "[]", "{}", "5"}) {
    const HttpResponse response = upload(R"(["EMAIL","PHONE"])", data);
    EXPECT_EQ(response.status, 400) << data;
    EXPECT_EQ(at(response, "error.code"), "100");
    EXPECT_THAT(at(response, "error.message"), HasSubstr("Data is missing or does not match schema")) << data;
  }
}

TEST_F(MetaTest, OneShortRowFailsTheWholeRequest) {
  upload(R"(["EMAIL"])", R"([[")" + kAda + R"("],[]])");
  EXPECT_EQ(members(), "");
}

TEST_F(MetaTest, KeysMustBeKnownAndNamedOnce) {
  for (const char* schema : {R"(["EMAIL","SHOE"])", R"(["email"])", R"("SHOE")", "[]", "5",
                             R"(["EMAIL_SHA256"])", R"(["EMAIL","EMAIL"])", R"([5])"}) {
    EXPECT_EQ(at(upload(schema, R"([["a","b"]])"), "error.code"), "100") << schema;
  }
}

TEST_F(MetaTest, AtMostTenThousandRows) {
  const std::string row = R"([")" + kAda + R"("])";
  EXPECT_EQ(upload(R"(["EMAIL"])", "[" + text_repeated(row, 10'000) + "]").status, 200);
  EXPECT_EQ(at(upload(R"(["EMAIL"])", "[" + text_repeated(row, 10'001) + "]"), "error.code"), "100");
}

TEST_F(MetaTest, WhatIsNotALowerCaseDigestIsAnInvalidEntry) {
  std::string upper = kBob;
  upper[0] = 'A';
  const std::string empty = sha256_hex("");
  const HttpResponse response =
      upload(R"(["EMAIL"])", R"([[")" + kAda + R"("],["ada@example.com"],[")" + upper +
                                 R"("],[""],[null],[5],[")" + empty + R"("]])");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(at(response, "num_received"), "7");
  EXPECT_EQ(at(response, "num_invalid_entries"), "6");
  EXPECT_THAT(at(response, "invalid_entry_samples.row 1"), HasSubstr("EMAIL is not a SHA-256"));
  EXPECT_EQ(members(), tag(kAda));
}

TEST_F(MetaTest, MobileIdsAndExternIdsAreNotHashed) {
  const HttpResponse response = upload(
      R"(["EXTERN_ID","MADID"])",
      R"([["crm-1","aece52e7-0000-0000-0000-0123456789ab"],["crm-2","AECE52E7-0000-0000-0000-0123456789AB"],)"
      R"([7,"")"
      "],[\"crm-4\",\"" +
          kAda + R"("]])");
  EXPECT_EQ(at(response, "num_invalid_entries"), "2");
  EXPECT_EQ(members(), "external_id:7 external_id:crm- mobile_id:aece");
}

TEST_F(MetaTest, DetailsAloneNamePeopleByFullNameOnly) {
  const std::string country = sha256_hex("gb");
  EXPECT_EQ(at(upload(R"(["EMAIL","COUNTRY"])", R"([["",")" + country + R"("]])"), "num_invalid_entries"),
            "1");
  const std::string names = R"([[")" + kAda + "\",\"" + kBob + "\",\"" + country + R"("]])";
  EXPECT_EQ(at(upload(R"(["FN","LN","COUNTRY"])", names), "num_invalid_entries"), "0");
  EXPECT_EQ(members(), "details:FN=" + kAda.substr(0, 1));
  upload(R"(["FN","LN","COUNTRY"])", names, "", "users", "DELETE");
  EXPECT_EQ(members(), "");
}

TEST_F(MetaTest, ProcessingOptionsAndValuesHaveTheirForms) {
  const auto invalid = [&](const std::string& key, const std::string& value) {
    return at(upload(R"(["EMAIL",")" + key + R"("])", R"([[")" + kAda + "\"," + value + "]]"),
              "num_invalid_entries");
  };
  EXPECT_EQ(invalid("DATA_PROCESSING_OPTIONS", R"(["LDU"])"), "0");
  EXPECT_EQ(invalid("DATA_PROCESSING_OPTIONS", "[]"), "0");
  EXPECT_EQ(invalid("DATA_PROCESSING_OPTIONS", R"(["ALL"])"), "1");
  EXPECT_EQ(invalid("DATA_PROCESSING_OPTIONS_COUNTRY", "1"), "0");
  EXPECT_EQ(invalid("DATA_PROCESSING_OPTIONS_COUNTRY", R"("US")"), "1");
  EXPECT_EQ(invalid("LOOKALIKE_VALUE", "12.5"), "0");
  EXPECT_EQ(invalid("LOOKALIKE_VALUE", "-1"), "1");
}

TEST_F(MetaTest, APayloadIsRequired) {
  EXPECT_EQ(at(client.send("POST", audience + "/users", "{}"), "error.code"), "100");
  EXPECT_EQ(at(client.send("POST", audience + "/users", R"({"payload":5})"), "error.code"), "100");
  EXPECT_EQ(at(client.send("POST", audience + "/users", "{"), "error.code"), "100");
  client.headers.emplace_back("Content-Type", "application/json");
  EXPECT_EQ(at(client.send("POST", audience + "/users", "payload={}"), "error.code"), "100");
}

// --- Sessions

TEST_F(MetaTest, BatchesOfASessionAreConsecutive) {
  EXPECT_EQ(at(add(kAda, R"({"session_id":5,"batch_seq":2})"), "error.code"), "100");
  EXPECT_EQ(add(kAda, R"({"session_id":5,"batch_seq":1})").status, 200);
  EXPECT_EQ(at(add(kBob, R"({"session_id":5,"batch_seq":3})"), "error.code"), "100");
  EXPECT_EQ(add(kBob, R"({"session_id":5,"batch_seq":2,"last_batch_flag":true})").status, 200);
  EXPECT_EQ(at(add(kEve, R"({"session_id":5,"batch_seq":3})"), "error.code"), "100");
  EXPECT_EQ(members(), tag(kBob) + " " + tag(kAda));
}

TEST_F(MetaTest, AResendOfTheLastBatchIsWelcomeAndCountedOnce) {
  const std::string session = R"({"session_id":5,"batch_seq":1,"last_batch_flag":true})";
  add(kAda, session);
  EXPECT_EQ(add(kAda, session).status, 200);
  EXPECT_EQ(at(client.send("GET", audience + "/sessions"), "data.0.num_received"), "1");
  EXPECT_EQ(at(add(kBob, session), "error.code"), "100") << "another payload is not a resend";
}

TEST_F(MetaTest, ASessionMustBeWellFormed) {
  for (const char* session :
       {"5", R"({"batch_seq":1})", R"({"session_id":0,"batch_seq":1})", R"({"session_id":-1,"batch_seq":1})",
        R"({"session_id":1.5,"batch_seq":1})", R"({"session_id":"x","batch_seq":1})", R"({"session_id":1})",
        R"({"session_id":1,"batch_seq":0})", R"({"session_id":1,"batch_seq":1,"last_batch_flag":"yes"})",
        R"({"session_id":1,"batch_seq":1,"estimated_num_total":-5})",
        R"({"session_id":9223372036854775808,"batch_seq":1})"}) {
    EXPECT_EQ(at(add(kAda, session), "error.code"), "100") << session;
  }
  EXPECT_EQ(members(), "");
}

TEST_F(MetaTest, SessionIdsHaveAll64Bits) {
  EXPECT_EQ(at(add(kAda, R"({"session_id": 9223372036854775807,"batch_seq":1})"), "session_id"),
            "9223372036854775807");
  EXPECT_EQ(at(add(kBob, R"({"session_id": 9223372036854775806,"batch_seq":1})"), "session_id"),
            "9223372036854775806");
}

TEST_F(MetaTest, ASessionIdIsOfOneAudienceAndOneOperation) {
  const std::string session = R"({"session_id":5,"batch_seq":1})";
  add(kAda, session);
  EXPECT_EQ(at(replace(kBob, R"({"session_id":5,"batch_seq":2})"), "error.code"), "100");
  audience = "/meta/" + at(client.send("POST", "/meta/act_55/customaudiences", kCreate), "id");
  EXPECT_EQ(at(add(kAda, session), "error.code"), "100");
}

TEST_F(MetaTest, SessionsReportWhatWasReceivedMatchedAndInvalid) {
  upload(R"(["EMAIL"])", R"([[")" + kAda + R"("],["x"]])", R"({"session_id":5,"batch_seq":1})");
  client.now = client.now + kMinute;
  add(kBob, R"({"session_id":5,"batch_seq":2,"last_batch_flag":true})");
  EXPECT_EQ(at(client.send("GET", audience + "/sessions?session_id=5"), "data.0"),
            R"({"session_id":"5","start_time":"1800000000","end_time":"1800000060","num_received":"3",)"
            R"("num_matched":"2","num_invalid_entries":"1","progress":"100","stage":"completed"})");
  EXPECT_EQ(at(client.send("GET", audience + "/sessions?session_id=6"), "data"), "[]");
}

TEST_F(MetaTest, SessionsExpandAsAField) {
  for (const char* session : {"5", "6", "4"}) {
    add(kAda, R"({"session_id":)" + std::string(session) + R"(,"batch_seq":1})");
  }
  const HttpResponse response =
      client.send("GET", audience + "?fields=name,sessions.limit(2)%7Bsession_id,num_matched%7D");
  EXPECT_EQ(at(response, "sessions.data"),
            R"([{"session_id":"4","num_matched":"1"},{"session_id":"6","num_matched":"1"}])");
  EXPECT_EQ(at(client.send("GET", audience + "?fields=sessions.limit(x)"), "error.code"), "100");
  EXPECT_EQ(at(client.send("GET", audience + "?fields=sessions%7Bshoe%7D"), "error.code"), "100");
}

// --- Replacing all members

TEST_F(MetaTest, AReplacementNeedsASession) {
  EXPECT_EQ(at(replace(kAda, ""), "error.code"), "100");
  EXPECT_EQ(
      at(replace("", R"({"session_id":5,"batch_seq":1,"last_batch_flag":true})"), "num_invalid_entries"),
      "1");
}

TEST_F(MetaTest, AReplacementHappensAtOnceWithItsLastBatch) {
  add(kAda);
  replace(kBob, R"({"session_id":5,"batch_seq":1})");
  EXPECT_EQ(members(), tag(kAda));
  EXPECT_EQ(at(client.send("GET", audience + "?fields=operation_status"), "operation_status.code"), "414");
  replace(kEve, R"({"session_id":5,"batch_seq":2,"last_batch_flag":true})");
  EXPECT_EQ(members(), kBob < kEve ? tag(kBob) + " " + tag(kEve) : tag(kEve) + " " + tag(kBob));
  EXPECT_EQ(at(client.send("GET", audience + "?fields=operation_status"), "operation_status.code"), "200");
}

TEST_F(MetaTest, OneReplacementAtATime) {
  replace(kAda, R"({"session_id":5,"batch_seq":1})");
  EXPECT_EQ(at(replace(kBob, R"({"session_id":6,"batch_seq":1})"), "error.code"), "2650");
}

TEST_F(MetaTest, AReplacementHasNinetyMinutes) {
  replace(kAda, R"({"session_id":5,"batch_seq":1})");
  client.now = client.now + kMinute * 90;
  EXPECT_EQ(at(replace(kBob, R"({"session_id":5,"batch_seq":2,"last_batch_flag":true})"), "error.code"),
            "100");
  EXPECT_EQ(replace(kBob, R"({"session_id":6,"batch_seq":1,"last_batch_flag":true})").status, 200);
  EXPECT_EQ(members(), tag(kBob));
}

// --- Budget

TEST_F(MetaTest, EveryAnswerTellsTheUseOfTheAccountsBudget) {
  const HttpResponse response = client.send("GET", audience);
  const std::string usage(*response.headers.get("x-business-use-case-usage"));
  EXPECT_EQ(at(usage, "55.0.type"), "custom_audience");
  EXPECT_EQ(at(usage, "55.0.call_count"), "0");
  EXPECT_EQ(at(usage, "55.0.estimated_time_to_regain_access"), "0");
  EXPECT_TRUE(client.send("GET", "/meta/nobody").headers.get("x-business-use-case-usage"));
  client.headers = {};
  EXPECT_TRUE(client.send("GET", audience).headers.get("x-business-use-case-usage"));
}

TEST_F(MetaTest, OverTheBudgetIsCode80003UntilTheHourHasRolled) {
  client.control("POST", "/limits", R"({"meta_calls_per_hour":4})");
  client.now = client.now + kMinute * 10;
  add(kAda);  // the second call: creating was the first
  add(kAda);
  EXPECT_EQ(at(*client.send("GET", audience).headers.get("X-Business-Use-Case-Usage"), "55.0.call_count"),
            "100");
  const HttpResponse refused = add(kBob);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(at(refused, "error.code"), "80003");
  EXPECT_EQ(at(*refused.headers.get("X-Business-Use-Case-Usage"), "55.0.estimated_time_to_regain_access"),
            "50");
  EXPECT_EQ(members(), tag(kAda));
  client.now = client.now + kMinute * 50;
  EXPECT_EQ(add(kBob).status, 200) << "creating was an hour ago";
  EXPECT_EQ(at(add(kEve), "error.code"), "80003");
}

TEST_F(MetaTest, AccountsHaveBudgetsOfTheirOwn) {
  client.control("POST", "/limits", R"({"meta_calls_per_hour":1})");
  EXPECT_EQ(at(add(kAda), "error.code"), "80003");
  EXPECT_EQ(client.send("POST", "/meta/act_66/customaudiences", kCreate).status, 200);
}

TEST_F(MetaTest, TheStandardTierAllows5000CallsAnd40PerAudience) {
  for (int i = 0; i < 5039; ++i) client.send("GET", audience);
  EXPECT_EQ(at(client.send("GET", audience), "error.code"), "80003");
}

// --- Conversions

class MetaEventsTest : public MetaTest {
 protected:
  // An event of a website that is right, but for what `more` says: of equal names the last counts.
  std::string event(const std::string& event_id, const std::string& more = "") {
    return R"({"event_name":"Purchase","event_id":")" + event_id + R"(","event_time":)" +
           std::to_string(client.now.ms / 1000) +
           R"(,"action_source":"website","event_source_url":"https://shop.example.com/","user_data":{"em":[")" +
           kAda + R"("],"client_user_agent":"x"},"custom_data":{"value":30.5,"currency":"EUR"},)" + more +
           R"("test":true})";
  }
  HttpResponse post(const std::string& events, const std::string& more = "") {
    return client.send("POST", "/meta/v26.0/77/events", R"({"data":[)" + events + "]" + more + "}");
  }
  std::string subcode(const std::string& events) { return at(post(events), "error.error_subcode"); }
  // "taken repeated"
  std::string counts(const std::string& control = "events") {
    const HttpResponse kept = client.control("GET", "/meta/" + control);
    return at(kept, "count") + " " + at(kept, "duplicates");
  }
};

TEST_F(MetaEventsTest, EventsAreTakenAndCountedOnceForTwoDays) {
  EXPECT_EQ(at(post(event("1") + "," + event("2")), "events_received"), "2");
  EXPECT_EQ(at(post(event("2")), "events_received"), "1");
  EXPECT_EQ(counts(), "2 1");
  EXPECT_EQ(at(client.control("GET", "/meta/events"), "events.0.event_id"), "2");
  client.now = client.now + kHour * 48;
  post(event("2"));
  EXPECT_EQ(counts(), "3 1");
}

TEST_F(MetaEventsTest, OneEventThatIsTooOldOrWrongFailsTheWholeRequest) {
  const auto dated = [&](Millis ago) {
    return R"("event_time":)" + std::to_string((client.now - ago).ms / 1000) + ",";
  };
  EXPECT_EQ(subcode(event("1") + "," + event("2", dated(kDay * 7 + kSecond))), "2804003");
  EXPECT_EQ(subcode(event("2", dated(kMinute * -2))), "2804003");
  EXPECT_EQ(post(event("2", dated(kDay * 8) + R"("action_source":"physical_store",)")).status, 200);
  for (const char* wrong :
       {R"("event_name":"",)", R"("action_source":"somewhere",)", R"("event_source_url":"",)",
        R"("user_data":{},)", R"("user_data":{"em":["ada@example.com"]},)",
        R"("user_data":{"country":"gb"},)", R"("custom_data":{},)", R"("user_data":{"colour":"blue"},)"})
    EXPECT_EQ(subcode(event("3", wrong)), "2804019") << wrong;
  EXPECT_EQ(counts(), "1 0");
}

TEST_F(MetaEventsTest, EventsOfATestAreKeptApart) {
  post(event("1"), R"(,"test_event_code":"TEST1")");
  EXPECT_EQ(counts(), "0 0");
  EXPECT_EQ(counts("test_events"), "1 0");
}

TEST_F(MetaEventsTest, AThousandEventsAtMostAndNoBudgetOfCalls) {
  client.control("POST", "/limits", R"({"meta_calls_per_hour":1})");
  EXPECT_EQ(post(text_repeated(event("1"), 1000)).status, 200);
  EXPECT_EQ(at(post(text_repeated(event("1"), 1001)), "error.code"), "100");
  EXPECT_EQ(at(post(""), "error.code"), "100");
  client.headers = {};
  EXPECT_EQ(at(post(event("1")), "error.code"), "190");
}

}  // namespace
}  // namespace tailrace::sandbox
