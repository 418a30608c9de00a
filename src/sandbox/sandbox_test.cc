// The controls, the faults, and what holds for every platform.
#include "sandbox/sandbox.h"

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kAda = sha256_hex("ada@example.com");
const std::string kBob = sha256_hex("bob@example.com");

std::string upload(const std::string& digest) {
  return R"({"payload":{"schema":"EMAIL_SHA256","data":[")" + digest + R"("]}})";
}

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.control("POST", "/audiences", R"({"platform":"meta","id":"7","name":"VIP"})");
  }
  HttpResponse add(const std::string& digest) { return client.send("POST", "/meta/7/users", upload(digest)); }
  void fault(const std::string& body) { ASSERT_EQ(client.control("POST", "/faults", body).status, 200); }
  std::string members() { return client.members("meta", "7"); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(SandboxTest, UnknownPathSaysWhatThereIs) {
  for (const char* url : {"/", "/nowhere", "", "?", "//", "/metadata/7"}) {
    const HttpResponse response = client.send("GET", url);
    EXPECT_EQ(response.status, 404) << url;
    EXPECT_THAT(at(response, "help"), HasSubstr("/meta")) << url;
  }
  EXPECT_EQ(client.control("GET", "/nothing").status, 404);
  EXPECT_THAT(at(client.control("GET", ""), "controls"), HasSubstr("/sandbox/faults"));
}

TEST_F(SandboxTest, ListsAudiencesOfAllPlatforms) {
  client.control("POST", "/audiences", R"({"platform":"google","id":"8","name":"List","account":"55"})");
  add(kAda);
  const HttpResponse all = client.control("GET", "/audiences");
  EXPECT_EQ(
      at(all, "audiences.0"),
      R"({"platform":"google","id":"8","name":"List","account":"55","size":0,"matched":0,"identifiers":0})");
  EXPECT_EQ(
      at(all, "audiences.1"),
      R"({"platform":"meta","id":"7","name":"VIP","account":"1","size":1,"matched":1,"identifiers":1})");
}

TEST_F(SandboxTest, AnAudienceCanBePlantedOnce) {
  EXPECT_EQ(client.control("POST", "/audiences", R"({"platform":"meta","id":"7"})").status, 400);
  EXPECT_EQ(client.control("POST", "/audiences", R"({"platform":"meta","id":"x"})").status, 400);
  EXPECT_EQ(client.control("POST", "/audiences", R"({"platform":"tv","id":"9"})").status, 400);
}

TEST_F(SandboxTest, MembersAreSortedIdentifiers) {
  add(kBob);
  add(kAda);
  EXPECT_LT(kBob, kAda);
  EXPECT_EQ(members(), "email:" + kBob.substr(0, 4) + " email:" + kAda.substr(0, 4));
  EXPECT_EQ(client.control("GET", "/audiences/meta/8/members").status, 404);
  EXPECT_EQ(client.control("GET", "/audiences/tv/7/members").status, 404);
}

TEST_F(SandboxTest, ResetForgetsEverything) {
  add(kAda);
  fault(R"({"kind":"fail"})");
  client.control("POST", "/limits", R"({"meta_calls_per_hour":1})");
  client.control("POST", "/reset");
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences"), "[]");
  EXPECT_EQ(at(client.control("GET", "/faults"), "faults"), "[]");
  EXPECT_EQ(at(client.control("GET", "/limits"), "meta_calls_per_hour"), "0");
  EXPECT_EQ(at(client.control("GET", "/requests"), "requests"), "[]");
}

TEST_F(SandboxTest, AFailureAnswersWithItsStatusSoManyTimesAndDoesNothing) {
  fault(R"({"platform":"meta","kind":"fail","status":503,"count":2})");
  EXPECT_EQ(add(kAda).status, 503);
  const HttpResponse second = add(kAda);
  EXPECT_EQ(second.status, 503);
  EXPECT_EQ(at(second, "error.is_transient"), "true");
  EXPECT_EQ(members(), "");
  EXPECT_EQ(add(kAda).status, 200);
}

TEST_F(SandboxTest, AFaultOfOnePlatformLeavesTheOthersAlone) {
  fault(R"({"platform":"google","kind":"fail"})");
  EXPECT_EQ(add(kAda).status, 200);
}

TEST_F(SandboxTest, AFaultWithAPathConcernsOnlyThatPath) {
  fault(R"({"kind":"fail","path":"/sessions"})");
  EXPECT_EQ(add(kAda).status, 200);
  EXPECT_EQ(client.send("GET", "/meta/7/sessions").status, 500);
}

TEST_F(SandboxTest, TokensAreIssuedDuringFaultsThatDoNotNameTheirPath) {
  fault(R"({"platform":"google","kind":"auth","count":1})");
  const std::string form = "grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s";
  EXPECT_EQ(client.send("POST", "/google/token", form).status, 200);
  EXPECT_EQ(client.send("GET", "/google/v1/requestStatus:retrieve").status, 401);
  fault(R"({"platform":"google","kind":"auth","path":"token"})");
  EXPECT_EQ(at(client.send("POST", "/google/token", form), "error"), "invalid_grant");
}

TEST_F(SandboxTest, AHangUpBeforeDoesNothing) {
  fault(R"({"kind":"hang_up_before"})");
  const Answer answer = client.answer("POST", "/meta/7/users", upload(kAda));
  EXPECT_TRUE(answer.hang_up);
  EXPECT_EQ(members(), "");
}

TEST_F(SandboxTest, AHangUpAfterHasActed) {
  fault(R"({"kind":"hang_up_after"})");
  const Answer answer = client.answer("POST", "/meta/7/users", upload(kAda));
  EXPECT_TRUE(answer.hang_up);
  EXPECT_EQ(members(), "email:" + kAda.substr(0, 4));
  EXPECT_FALSE(client.answer("POST", "/meta/7/users", upload(kAda)).hang_up);
}

TEST_F(SandboxTest, AStallActsAndAnswersLate) {
  fault(R"({"kind":"stall","delay_ms":1500})");
  const Answer answer = client.answer("POST", "/meta/7/users", upload(kAda));
  EXPECT_EQ(answer.delay, Millis{1500});
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_EQ(client.answer("POST", "/meta/7/users", upload(kAda)).delay, Millis{0});
}

TEST_F(SandboxTest, AnAuthFaultIsThePlatformsOwnRefusal) {
  fault(R"({"kind":"auth","platform":"meta"})");
  EXPECT_EQ(at(add(kAda), "error.code"), "190");
}

TEST_F(SandboxTest, AThrottleFaultIsThePlatformsOwnRefusal) {
  fault(R"({"kind":"throttle","platform":"meta"})");
  const HttpResponse meta = add(kAda);
  EXPECT_EQ(at(meta, "error.code"), "80003");
  EXPECT_EQ(at(*meta.headers.get("X-Business-Use-Case-Usage"), "1.0.estimated_time_to_regain_access"), "1");
  fault(R"({"kind":"throttle","platform":"google"})");
  EXPECT_EQ(at(client.send("GET", "/google/v1/requestStatus:retrieve"), "error.status"),
            "RESOURCE_EXHAUSTED");
  fault(R"({"kind":"throttle","platform":"webhook"})");
  EXPECT_EQ(client.send("POST", "/webhook/x").headers.get("Retry-After"), "30");
}

std::string pattern_of_failures(const std::string& body) {
  Client client;
  client.control("POST", "/faults", body);
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += client.send("GET", "/meta/me").status == 200 ? '.' : 'X';
  return pattern;
}

TEST(SandboxFaults, AShareOfRequestsFailsAsTheSeedSays) {
  const std::string one = pattern_of_failures(R"({"kind":"fail","share":0.1,"seed":1})");
  const auto failures = std::count(one.begin(), one.end(), 'X');
  EXPECT_GT(failures, 8);
  EXPECT_LT(failures, 40);
  EXPECT_EQ(one, pattern_of_failures(R"({"kind":"fail","share":0.1,"seed":1})"));
  EXPECT_NE(one, pattern_of_failures(R"({"kind":"fail","share":0.1,"seed":2})"));
}

TEST(SandboxFaults, ACountBoundsAShare) {
  const std::string pattern = pattern_of_failures(R"({"kind":"fail","share":0.5,"count":3})");
  EXPECT_EQ(std::count(pattern.begin(), pattern.end(), 'X'), 3);
}

TEST_F(SandboxTest, FaultsAreListedAndEnded) {
  fault(R"({"kind":"fail","count":5})");
  add(kAda);
  EXPECT_EQ(at(client.control("GET", "/faults"), "faults.0.met"), "1");
  client.control("DELETE", "/faults");
  EXPECT_EQ(add(kAda).status, 200);
}

TEST_F(SandboxTest, AFaultMustBeWellFormed) {
  for (const char* body :
       {"", "[]", "{}", R"({"kind":"explode"})", R"({"kind":"fail","platform":"tv"})",
        R"({"kind":"fail","status":200})", R"({"kind":"fail","count":0})", R"({"kind":"fail","share":1.5})",
        R"({"kind":"fail","delay_ms":-1})", R"({"kind":"fail","counts":1})", R"({"kind":1})"}) {
    EXPECT_EQ(client.control("POST", "/faults", body).status, 400) << body;
  }
}

TEST_F(SandboxTest, DriftRemovesSomeMembersAndAddsStrangers) {
  for (int i = 0; i < 10; ++i) add(sha256_hex("person " + std::to_string(i)));
  const std::string before = members();
  const HttpResponse drift = client.control("POST", "/faults", R"({"kind":"drift","share":0.3,"seed":5})");
  EXPECT_EQ(at(drift, "removed"), "3");
  EXPECT_EQ(at(drift, "added"), "3");
  EXPECT_NE(members(), before);
  EXPECT_EQ(at(client.control("GET", "/audiences"), "audiences.0.identifiers"), "10");
}

TEST_F(SandboxTest, DriftMayConcernOneAudience) {
  add(kAda);
  const std::string body = R"({"kind":"drift","count":1,"audience":"8"})";
  EXPECT_EQ(at(client.control("POST", "/faults", body), "removed"), "0");
}

TEST_F(SandboxTest, RequestsAreCountedPerStatusAndSecretsMasked) {
  client.headers = {};
  client.send("GET", "/meta/me?access_token=sandbox-token&fields=id");
  client.send("GET", "/meta/me?access_token=hunter2&appsecret_proof=abcdef");
  const HttpResponse log = client.control("GET", "/requests?limit=2");
  EXPECT_EQ(at(log, "counts.meta"), R"({"200":1,"400":1})");
  EXPECT_EQ(at(log, "requests.1.target"), "/meta/me?access_token=***&fields=id");
  EXPECT_EQ(at(log, "requests.0.target"), "/meta/me?access_token=***&appsecret_proof=***");
  EXPECT_THAT(log.body, Not(HasSubstr("hunter2")));
  EXPECT_EQ(at(log, "requests.0.time"), "2027-01-15T08:00:00.000Z");
  EXPECT_EQ(client.control("GET", "/requests?limit=x").status, 400);
}

TEST_F(SandboxTest, RequestsNameTheFaultTheyMet) {
  fault(R"({"kind":"hang_up_after"})");
  add(kAda);
  const HttpResponse log = client.control("GET", "/requests");
  EXPECT_EQ(at(log, "requests.0.fault"), "hang_up_after");
  EXPECT_EQ(at(log, "requests.0.hung_up"), "true");
}

TEST_F(SandboxTest, LimitsAreSetByName) {
  const HttpResponse set = client.control("POST", "/limits", R"({"google_requests_per_minute":5})");
  EXPECT_EQ(at(set, "google_requests_per_minute"), "5");
  EXPECT_EQ(client.control("POST", "/limits", R"({"google_requests_per_minute":0})").status, 400);
  EXPECT_EQ(client.control("POST", "/limits", R"({"speed":5})").status, 400);
  EXPECT_EQ(client.control("POST", "/limits", R"({"meta_calls_per_hour":"many"})").status, 400);
  EXPECT_EQ(client.control("POST", "/limits", "5").status, 400);
}

TEST(SandboxPeople, TheSameShareOfPeopleIsKnownEveryTime) {
  Client one{{.known_share = 0.6, .seed = 3, .token = ""}};
  Client two{{.known_share = 0.6, .seed = 3, .token = ""}};
  Client other{{.known_share = 0.6, .seed = 4, .token = ""}};
  std::string matched[3];
  std::size_t i = 0;
  for (Client* client : {&one, &two, &other}) {
    client->control("POST", "/audiences", R"({"platform":"meta","id":"7"})");
    std::string rows;
    for (int n = 0; n < 3000; ++n) rows += (n == 0 ? "\"" : ",\"") + sha256_hex(std::to_string(n)) + "\"";
    client->send("POST", "/meta/7/users", R"({"payload":{"schema":"EMAIL_SHA256","data":[)" + rows + "]}}");
    matched[i++] = at(client->control("GET", "/audiences"), "audiences.0.matched");
  }
  EXPECT_EQ(matched[0], matched[1]);
  EXPECT_NE(matched[0], matched[2]);
  EXPECT_NEAR(std::stod(matched[0]) / 3000, 0.6, 0.03);
}

TEST(SandboxRobustness, AnyBytesGetAnAnswerInJson) {
  Random random(20270115);
  const std::vector<std::pair<std::string, std::string>> seeds{
      {"/meta/v26.0/7/users",
       R"({"session":{"session_id":1234567890123456789,"batch_seq":1},"payload":{"schema":["EMAIL","FN"],"data":[["a","b"]]}})"},
      {"/meta/7?fields=sessions.limit(3){session_id},name&access_token=x",
       "payload=%7B%22a%22%3A1%7D&session={}"},
      {"/google/v1/audienceMembers:ingest",
       R"({"destinations":[{"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"1"},"productDestinationId":"7"}],"audienceMembers":[{"userData":{"userIdentifiers":[{"emailAddress":"ab"}]}}],"encoding":"HEX"})"},
      {"/google/v1/accountTypes/GOOGLE_ADS/accounts/1/userLists/7?updateMask=displayName",
       R"({"displayName":"x","membershipDuration":"86400s"})"},
      {"/token", "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=eyJhIjoxfQ.eyJhIjoxfQ.x"},
      {"/webhook/a",
       R"({"type":"audience.members_added","timestamp":"2027-01-15T08:00:00Z","data":{"audience":"a","members":[{"person":"p"}]}})"},
      {"/sandbox/faults", R"({"kind":"fail","count":1,"share":0.5})"},
      {"/sandbox/audiences/meta/7/members", ""},
  };
  const std::vector<std::string> methods{"GET", "POST", "DELETE", "PATCH", "PUT", "\xff", ""};
  Client client{{.known_share = 0.5, .seed = 1, .token = ""}};
  for (int i = 0; i < 20'000; ++i) {
    if (i % 500 == 0) {
      client.control("POST", "/reset");
      client.control("POST", "/audiences", R"({"platform":"meta","id":"7"})");
      client.control("POST", "/audiences", R"({"platform":"google","id":"7"})");
    }
    auto [url, body] = seeds[random.below(seeds.size())];
    for (std::string* text : {&url, &body}) {
      for (std::uint64_t n = random.below(4); n > 0 && !text->empty(); --n) {
        const std::size_t place = random.below(text->size());
        const std::uint64_t kind = random.below(3);
        if (kind == 0) (*text)[place] = static_cast<char>(random.below(256));
        if (kind == 1) text->erase(place, random.below(8));
        if (kind == 2) text->insert(place, text->substr(random.below(text->size()), random.below(20)));
      }
    }
    client.headers = {{"Authorization", "Bearer x"},
                      {"webhook-id", "m" + std::to_string(i)},
                      {"webhook-timestamp", std::to_string(kStart.ms / 1000)},
                      {"webhook-signature", "v1,x"}};
    const Answer answer = client.answer(methods[random.below(methods.size())], url, body);
    if (answer.hang_up) continue;
    ASSERT_TRUE(parse_json(answer.response.body)) << url << "\n" << body << "\n" << answer.response.body;
    ASSERT_GE(answer.response.status, 200);
  }
}

TEST(SandboxThreads, ManyThreadsMayCallAtOnce) {
  Sandbox sandbox({.known_share = 1, .seed = 1, .token = "t"});
  sandbox.handle({.method = "POST",
                  .url = "/sandbox/audiences",
                  .headers = {},
                  .body = R"({"platform":"meta","id":"7"})"},
                 kStart);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const std::string digest = sha256_hex(std::to_string(t) + " " + std::to_string(i));
        sandbox.handle({"POST", "/meta/7/users", {{"Authorization", "Bearer t"}}, upload(digest)}, kStart);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Answer all =
      sandbox.handle({.method = "GET", .url = "/sandbox/audiences", .headers = {}, .body = ""}, kStart);
  EXPECT_EQ(at(all.response, "audiences.0.size"), "400");
}

}  // namespace
}  // namespace tailrace::sandbox
