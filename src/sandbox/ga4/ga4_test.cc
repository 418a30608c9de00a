// The Measurement Protocol's contract, one rule per test.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sandbox/testing.h"

namespace tailrace::sandbox {
namespace {

class Ga4Test : public ::testing::Test {
 protected:
  static std::string event(const std::string& name, const std::string& params = "", Time at = kStart) {
    return fmt::format(R"({{"name":"{}","timestamp_micros":"{}","params":{{{}}}}})", name, at.ms * 1000,
                       params);
  }
  HttpResponse send(const std::string& events, const std::string& call = "mp/collect",
                    const std::string& secret = "sandbox-token") {
    return client.send("POST", "/ga4/" + call + "?measurement_id=G-ABC&api_secret=" + secret,
                       R"({"client_id":"1.2","events":[)" + events + "]}");
  }
  std::string validate(const std::string& events) {
    return at(send(events, "debug/mp/collect"), "validationMessages.0.validationCode");
  }
  std::string kept(const std::string& path) { return at(client.control("GET", "/ga4/events"), path); }

  Client client{{.known_share = 1, .seed = 1, .token = "sandbox-token"}};
};

TEST_F(Ga4Test, ItAlwaysSaysNothingAndKeepsWhatIsAsItMustBe) {
  EXPECT_EQ(send(event("seen")).status, 204);
  EXPECT_EQ(send(event("seen") + "," + event("two words") + "," + event("session_start")).status, 204);
  EXPECT_EQ(send(event("seen"), "mp/collect", "wrong").status, 204);
  EXPECT_EQ(kept("count"), "2");
  EXPECT_EQ(kept("dropped.NAME_INVALID"), "1");
  EXPECT_EQ(kept("dropped.NAME_RESERVED"), "1");
  EXPECT_EQ(kept("dropped.secret or measurement id"), "1");
}

TEST_F(Ga4Test, PurchasesCountOnceByTheirTransactionAndNothingElseDoes) {
  send(event("purchase", R"("transaction_id":"9","value":1,"currency":"EUR")"));
  send(event("purchase", R"("transaction_id":"9","value":1,"currency":"EUR")") + "," + event("seen"));
  send(event("seen"));
  EXPECT_EQ(kept("count"), "3");
  EXPECT_EQ(kept("repeated"), "1");
}

TEST_F(Ga4Test, TheValidationServerSaysWhatItMindsAndCountsNothing) {
  EXPECT_EQ(validate(event("seen")), "-");
  EXPECT_EQ(validate(event("1st")), "NAME_INVALID");
  EXPECT_EQ(validate(event("seen", R"("a":null)")), "VALUE_INVALID");
  EXPECT_EQ(validate(event("seen", R"("a":[1])")), "VALUE_INVALID");
  EXPECT_EQ(validate(event("seen", R"("google_a":1)")), "NAME_RESERVED");
  EXPECT_EQ(validate(event("purchase", R"("value":1)")), "VALUE_REQUIRED");
  EXPECT_EQ(validate(event("seen", "", kStart - kHour * 73)), "VALUE_OUT_OF_BOUNDS");
  EXPECT_EQ(validate(text_repeated(event("seen"), 26)), "EXCEEDED_MAX_ENTITIES");
  std::string params;
  for (int i = 0; i < 26; ++i) params += fmt::format(R"({}"p{}":1)", i == 0 ? "" : ",", i);
  EXPECT_EQ(validate(event("seen", params)), "EXCEEDED_MAX_ENTITIES");
  EXPECT_EQ(kept("count"), "0");
}

}  // namespace
}  // namespace tailrace::sandbox
