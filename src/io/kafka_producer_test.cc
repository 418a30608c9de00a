// Against librdkafka's own mock brokers (support/kafka_cluster.h).
#include "io/kafka_producer.h"

#include <atomic>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/test_socket.h"
#include "support/kafka_cluster.h"

namespace tailrace::io {
namespace {

using ::testing::HasSubstr;

using Outcomes = KafkaProducer::Outcomes;

class Kafka : public ::testing::Test {
 protected:
  void start(Millis patience = Millis{20'000}, HttpReach reach = {.private_addresses = true}) {
    producer_ = KafkaProducer::start({.brokers = cluster_.brokers(),
                                      .security = "plaintext",
                                      .reach = std::move(reach),
                                      .patience = patience})
                    .value();
  }

  static KafkaMessage message(std::string key, std::string value) {
    return {
        .topic = "events", .key = std::move(key), .at = Time{1'772'359'140'250}, .value = std::move(value)};
  }

  std::future<Result<Outcomes>> give(std::vector<KafkaMessage> messages) {
    auto told = std::make_shared<std::promise<Result<Outcomes>>>();
    auto outcomes = told->get_future();
    producer_->produce(std::move(messages), [told](Result<Outcomes> of) { told->set_value(std::move(of)); });
    return outcomes;
  }
  // "written, MSG_SIZE_TOO_LARGE", or the error.
  static std::string text(const Result<Outcomes>& outcomes) {
    if (!outcomes) return outcomes.error().message;
    std::vector<std::string> all;
    for (const std::string& one : *outcomes) all.push_back(one.empty() ? "written" : one);
    return fmt::format("{}", fmt::join(all, ", "));
  }
  std::string produce(std::vector<KafkaMessage> messages) { return text(give(std::move(messages)).get()); }

  std::string values() const {
    std::vector<std::string> all;
    for (const auto& each : cluster_.messages("events")) all.push_back(each.value);
    return fmt::format("{}", fmt::join(all, " "));
  }

  testing::KafkaCluster cluster_;
  std::unique_ptr<KafkaProducer> producer_;
};

TEST_F(Kafka, a_message_has_its_key_headers_and_time) {
  cluster_.create_topic("events", 1);
  start();
  KafkaMessage one = message("crm-1", "{}");
  one.headers = {{"message_id", "m-1"}, {"type", "track"}};
  ASSERT_EQ(produce({one}), "written");
  const auto found = cluster_.messages("events");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, "crm-1");
  EXPECT_EQ(found[0].value, "{}");
  EXPECT_EQ(found[0].at, (Time{1'772'359'140'250}));
  EXPECT_EQ(found[0].headers, (std::map<std::string, std::string>{{"message_id", "m-1"}, {"type", "track"}}));
}

TEST_F(Kafka, a_key_is_in_the_partition_where_java_would_put_it) {
  cluster_.create_topic("events", 7);
  start();
  ASSERT_EQ(produce({message("kafka", "a"), message("1234", "b"), message("kafka", "c")}),
            "written, written, written");
  // murmur2: 0xd067cf64 of "kafka" and 0x9fc97b14 of "1234", without their sign, modulo 7.
  std::string where;
  for (const auto& each : cluster_.messages("events"))
    where += fmt::format("{} {} in {}; ", each.key, each.value, each.partition);
  EXPECT_EQ(where, "1234 b in 0; kafka a in 3; kafka c in 3; ");
}

TEST_F(Kafka, brokers_in_trouble_are_waited_for_and_every_message_is_there_once_and_in_order) {
  cluster_.create_topic("events", 1);
  cluster_.fail_produces({RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                          RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR});
  start();
  std::vector<std::future<Result<Outcomes>>> all;
  for (int i = 0; i < 20; ++i) all.push_back(give({message("k", fmt::format("{}", i))}));
  for (auto& each : all) EXPECT_EQ(text(each.get()), "written");
  EXPECT_EQ(values(), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
}

TEST_F(Kafka, a_message_that_is_too_large_is_told_apart_from_the_others) {
  cluster_.create_topic("events", 1);
  start();
  EXPECT_EQ(produce({message("k", "a"), message("k", std::string(2'000'000, 'x')), message("k", "b")}),
            "written, MSG_SIZE_TOO_LARGE, written");
  EXPECT_EQ(values(), "a b");
}

TEST_F(Kafka, a_message_without_a_key_is_not_written) {
  cluster_.create_topic("events", 1);
  start();
  EXPECT_EQ(produce({message("k", "a"), message("", "b")}), "written, _INVALID_ARG");
  EXPECT_EQ(values(), "a");
}

TEST_F(Kafka, a_refusal_is_told_by_its_name) {
  cluster_.create_topic("events", 1);
  cluster_.fail_produces({RD_KAFKA_RESP_ERR_POLICY_VIOLATION});
  start();
  EXPECT_EQ(produce({message("k", "a")}), "POLICY_VIOLATION");
  EXPECT_TRUE(producer_->is_usable());
  EXPECT_EQ(produce({message("k", "b")}), "written");
  cluster_.fail_produces({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  EXPECT_EQ(produce({message("k", "c")}), "TOPIC_AUTHORIZATION_FAILED");
  EXPECT_EQ(values(), "b");
}

TEST_F(Kafka, brokers_that_are_silent_are_given_up_and_spoken_to_again) {
  cluster_.create_topic("events", 1);
  cluster_.go_down();
  start(Millis{1'500});
  const auto silent = give({message("k", "a"), message("k", "b")}).get();
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, Error::Code::unavailable);
  EXPECT_THAT(silent.error().message, HasSubstr("no broker"));
  cluster_.come_up();
  for (int tries = 0; tries < 20 && values() != "c"; ++tries) produce({message("k", "c")});
  EXPECT_EQ(values(), "c");
}

TEST_F(Kafka, goes_to_no_address_that_is_out_of_reach) {
  cluster_.create_topic("events", 1);
  start(Millis{1'500}, {});
  const auto refused = give({message("k", "a")}).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::not_found);
  EXPECT_THAT(refused.error().message, HasSubstr("allow_private_addresses: true"));
  EXPECT_EQ(values(), "");
}

TEST_F(Kafka, speaks_in_the_clear_to_this_machine_only_whatever_the_cluster_names) {
  producer_ = KafkaProducer::start({.brokers = "192.0.2.1:9092",
                                    .security = "plaintext",
                                    .reach = {.private_addresses = true},
                                    .patience = Millis{1'500}})
                  .value();
  const auto refused = give({message("k", "a")}).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::not_found);
  EXPECT_THAT(refused.error().message, HasSubstr("192.0.2.1, which is not this machine"));
}

TEST_F(Kafka, a_handshake_that_fails_for_another_reason_than_trust_is_silence) {
  TestListener listener;
  std::atomic<bool> ended = false;
  std::atomic<int> ended_handshakes = 0;
  std::thread failing([&] {
    while (!ended) {
      listener.accept().send(
          std::string_view("\x15\x03\x03\x00\x02\x02\x28", 7));  // alert: handshake failure
      ++ended_handshakes;
    }
  });
  producer_ = KafkaProducer::start({.brokers = fmt::format("127.0.0.1:{}", listener.port()),
                                    .security = "ssl",
                                    .reach = {.private_addresses = true},
                                    .patience = Millis{1'500}})
                  .value();
  const auto silent = give({message("k", "a")}).get();
  ended = true;
  TestSocket::connect(listener.port());
  failing.join();
  EXPECT_GE(ended_handshakes, 1);
  ASSERT_FALSE(silent) << text(silent);
  EXPECT_EQ(silent.error().code, Error::Code::unavailable);
}

TEST_F(Kafka, what_there_is_no_room_for_is_refused_whole_before_its_first_message) {
  cluster_.create_topic("events", 1);
  cluster_.go_down();
  producer_ = KafkaProducer::start({.brokers = cluster_.brokers(),
                                    .security = "plaintext",
                                    .reach = {.private_addresses = true},
                                    .bytes_in_flight_max = 6})
                  .value();
  auto first = give({message("k", "a"), message("k", "b")});
  const auto refused = give({message("k", "c"), message("k", "d")}).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("too much is on its way"));
  cluster_.come_up();
  EXPECT_EQ(text(first.get()), "written, written");
  EXPECT_EQ(produce({message("k", "e"), message("k", "f")}), "written, written");
  EXPECT_EQ(values(), "a b e f");
}

TEST_F(Kafka, what_is_in_flight_at_the_end_is_told_of) {
  cluster_.go_down();
  start();
  auto outcomes = give({message("k", "a")});
  EXPECT_FALSE(producer_->is_idle());
  producer_.reset();
  EXPECT_EQ(text(outcomes.get()), "_PURGE_QUEUE");
}

TEST_F(Kafka, options_that_the_library_does_not_take_are_named_without_their_value) {
  const auto refused = KafkaProducer::start({.brokers = "localhost:1", .security = "secret-word"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "librdkafka does not take this security.protocol");
}

}  // namespace
}  // namespace tailrace::io
