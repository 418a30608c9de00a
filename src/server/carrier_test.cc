#include "server/carrier.h"

#include <future>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/event_destination.h"
#include "model/json.h"
#include "support/kafka_cluster.h"

namespace tailrace::server {
namespace {

using ::testing::HasSubstr;

// Answers every request with its address.
class Echo final : public io::HttpClient {
 public:
  void send(HttpRequest request, const HttpReach&, io::BodySink, io::HttpCallback done) override {
    done(HttpResponse{204, {}, request.url});
  }
};

// Takes everything, and remembers what it was asked for.
struct Told {
  std::vector<io::KafkaOptions> started;
  std::vector<io::KafkaMessage> messages;
  bool usable = true;
  io::KafkaProducer::Outcomes outcomes;
};
class Taker final : public io::KafkaProducer {
 public:
  explicit Taker(Told& told) : told_(told) {}
  void produce(std::vector<io::KafkaMessage> messages, Done done) override {
    told_.messages.insert(told_.messages.end(), messages.begin(), messages.end());
    done(told_.outcomes);
  }
  bool is_usable() const override { return told_.usable; }
  bool is_idle() const override { return true; }

 private:
  Told& told_;
};

class CarrierTest : public ::testing::Test {
 protected:
  CarrierTest() {
    carrier_ = make_carrier(std::make_unique<Echo>(), [this](const io::KafkaOptions& options) {
      told_.started.push_back(options);
      return Result<std::unique_ptr<io::KafkaProducer>>(std::make_unique<Taker>(told_));
    });
  }

  static Result<HttpResponse> send(io::HttpClient& carrier, HttpRequest request) {
    auto told = std::make_shared<std::promise<Result<HttpResponse>>>();
    carrier.send(std::move(request), {.private_addresses = true},
                 [told](Result<HttpResponse> answer) { told->set_value(std::move(answer)); });
    return told->get_future().get();
  }
  Result<HttpResponse> send(HttpRequest request) { return send(*carrier_, std::move(request)); }

  static HttpRequest produce(std::string brokers = "a.example.com:9092") {
    return {
        "PRODUCE",
        "kafka://" + brokers,
        {{"Authorization", "Basic dXNlcjp3b3JkOjI="},
         {"Kafka-Security", "sasl_ssl"},
         {"Kafka-Mechanism", "PLAIN"},
         {"Kafka-Compression", "lz4"}},
        R"({"messages":[{"topic":"t","key":"k","timestamp":1772359140250,"headers":{"type":"track"},"value":{"b":[1.50,"ä"],"a":null}}]})"};
  }

  Told told_;
  std::unique_ptr<io::HttpClient> carrier_;
};

TEST_F(CarrierTest, http_goes_on_as_it_is) {
  EXPECT_EQ(send({"GET", "https://example.com/", {}, ""})->body, "https://example.com/");
  EXPECT_EQ(told_.started.size(), 0u);
}

TEST_F(CarrierTest, a_request_to_kafka_is_its_messages_and_their_outcomes) {
  told_.outcomes = {"MSG_SIZE_TOO_LARGE"};
  const auto answer = send(produce());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, R"({"outcomes":["MSG_SIZE_TOO_LARGE"]})");
  ASSERT_EQ(told_.messages.size(), 1u);
  EXPECT_EQ(told_.messages[0].topic, "t");
  EXPECT_EQ(told_.messages[0].key, "k");
  EXPECT_EQ(told_.messages[0].at, (Time{1'772'359'140'250}));
  EXPECT_EQ(told_.messages[0].value, R"({"b":[1.5,"ä"],"a":null})");
  EXPECT_EQ(told_.messages[0].headers, (std::vector<std::pair<std::string, std::string>>{{"type", "track"}}));
  ASSERT_EQ(told_.started.size(), 1u);
  EXPECT_EQ(told_.started[0].brokers, "a.example.com:9092");
  EXPECT_EQ(told_.started[0].user, "user");
  EXPECT_EQ(told_.started[0].password, "word:2");
  EXPECT_EQ(told_.started[0].mechanism, "PLAIN");
  EXPECT_TRUE(told_.started[0].reach.private_addresses);
}

TEST_F(CarrierTest, requests_that_are_alike_share_a_producer_until_it_is_given_up) {
  told_.outcomes = {""};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(send(produce()));
  EXPECT_EQ(told_.started.size(), 1u);
  HttpRequest other = produce();
  other.headers[0].second = "Basic dXNlcjpuZXc=";
  EXPECT_TRUE(send(other));
  EXPECT_EQ(told_.started.size(), 2u);
  told_.usable = false;
  EXPECT_TRUE(send(produce()));
  EXPECT_EQ(told_.started.size(), 3u);
}

TEST_F(CarrierTest, a_request_that_cannot_be_read_goes_nowhere) {
  HttpRequest request = produce();
  for (const char* body :
       {"", "{}", R"({"messages":[]})", R"({"messages":[7]})", R"({"messages":[{"topic":"t","key":"k"}]})",
        R"({"messages":[{"topic":"t","key":"k","timestamp":"x","headers":{},"value":{}}]})"}) {
    request.body = body;
    const auto answer = send(request);
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().code, Error::Code::invalid_argument) << body;
  }
  request = produce();
  request.headers[0].second = "Bearer x";
  EXPECT_FALSE(send(request));
  EXPECT_EQ(told_.started.size(), 0u);
}

// From an event of the log to a topic and back.
class KafkaEnd : public CarrierTest {
 protected:
  KafkaEnd() {
    cluster_.create_topic("tailrace.events", 3);
    config_.settings = {{"brokers", cluster_.brokers()}, {"security_protocol", "plaintext"}};
    destinations::fill_defaults(destination_, config_);
    EXPECT_EQ(destination_.check(config_), std::vector<std::string>());
  }

  std::string event(int number) const {
    destinations::Conversion one;
    one.person = fmt::format("crm-{}", number % 2);
    one.event = one.name = "Order Completed";
    one.message_id = fmt::format("m-{}", number);
    one.at = Time{1'772'359'140'250};
    one.properties = parse_json(fmt::format(R"({{"order_id":"{}","revenue":30.50}})", number)).value();
    return to_event(destination_, one, {config_, one.at}).value();
  }
  destinations::Reply deliver(io::HttpClient& carrier, const std::vector<std::string>& events) {
    const auto answer = send(carrier, destination_.encode(events, {config_, "", Time{}}));
    return destination_.decode(events.size(), answer.value());
  }
  // "message_id", in the order of each person.
  std::string written() const {
    std::map<std::string, std::string> by_key;
    for (const auto& each : cluster_.messages("tailrace.events"))
      by_key[each.key] += " " + each.headers.at("message_id");
    std::string all;
    for (const auto& [key, ids] : by_key) all += fmt::format("{}:{}; ", key, ids);
    return all;
  }

  testing::KafkaCluster cluster_;
  const destinations::EventDestination& destination_ = *destinations::find_event_destination("kafka_events");
  destinations::Config config_;
};

TEST_F(KafkaEnd, events_are_in_the_topic_when_the_answer_says_so) {
  const auto carrier = make_carrier(std::make_unique<Echo>());
  const auto reply = deliver(*carrier, {event(1), event(2), event(3)});
  EXPECT_EQ(reply.verdict, destinations::Reply::Verdict::done);
  EXPECT_EQ(written(), "crm-0: m-2; crm-1: m-1 m-3; ");
  for (const auto& each : cluster_.messages("tailrace.events")) {
    if (each.key != "crm-0") continue;
    EXPECT_EQ(
        each.value,
        R"({"schema_version":1,"type":"track","message_id":"m-2","timestamp":"2026-03-01T09:59:00.250Z","event":"Order Completed","person_id":"crm-0","properties":{"order_id":"2","revenue":30.5}})");
  }
}

TEST_F(KafkaEnd, a_broker_that_fails_for_a_while_changes_nothing) {
  cluster_.fail_produces({RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE});
  const auto carrier = make_carrier(std::make_unique<Echo>());
  EXPECT_EQ(deliver(*carrier, {event(1), event(3)}).verdict, destinations::Reply::Verdict::done);
  EXPECT_EQ(written(), "crm-1: m-1 m-3; ");
}

TEST_F(KafkaEnd, a_refused_message_is_a_dead_letter_and_the_others_are_written) {
  const auto carrier = make_carrier(std::make_unique<Echo>());
  std::string large = event(1);
  large.insert(large.rfind(R"("order_id")"), fmt::format(R"("note":"{}",)", std::string(1'500'000, 'x')));
  const auto reply = deliver(*carrier, {event(2), large, event(4)});
  ASSERT_EQ(reply.verdict, destinations::Reply::Verdict::done);
  EXPECT_EQ(reply.outcomes[1].kind, destinations::Outcome::Kind::rejected);
  EXPECT_THAT(reply.outcomes[1].reason, HasSubstr("MSG_SIZE_TOO_LARGE"));
  EXPECT_EQ(written(), "crm-0: m-2 m-4; ");
}

TEST_F(KafkaEnd, a_topic_that_may_not_be_written_stops) {
  cluster_.fail_produces({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const auto carrier = make_carrier(std::make_unique<Echo>());
  const auto reply = deliver(*carrier, {event(1)});
  EXPECT_EQ(reply.verdict, destinations::Reply::Verdict::stop);
  EXPECT_THAT(reply.reason, HasSubstr("may not write"));
}

TEST_F(KafkaEnd, after_a_crash_the_copy_of_a_message_has_the_same_id) {
  deliver(*make_carrier(std::make_unique<Echo>()), {event(1)});
  // The answer was lost with the process; another one sends the same events.
  deliver(*make_carrier(std::make_unique<Echo>()), {event(1), event(3)});
  EXPECT_EQ(written(), "crm-1: m-1 m-1 m-3; ");
}

}  // namespace
}  // namespace tailrace::server
