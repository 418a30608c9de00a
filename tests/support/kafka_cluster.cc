#include "support/kafka_cluster.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <librdkafka/rdkafka_mock.h>

#include "base/assert.h"

namespace tailrace::testing {
namespace {

constexpr std::int16_t kProduce = 0;  // of the protocol's requests
constexpr std::int32_t kBroker = 1;

using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

Client start(rd_kafka_type_t type, const std::vector<std::pair<const char*, std::string>>& options) {
  std::array<char, 256> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : options)
    TR_ASSERT(rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK);
  rd_kafka_conf_set_log_cb(conf, nullptr);
  Client client(rd_kafka_new(type, conf, why.data(), why.size()), &rd_kafka_destroy);
  TR_ASSERT(client != nullptr);
  return client;
}

std::string text(const void* bytes, std::size_t size) {
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

KafkaCluster::Message read(const rd_kafka_message_t& message) {
  KafkaCluster::Message out;
  out.partition = message.partition;
  out.key = text(message.key, message.key_len);
  out.value = text(message.payload, message.len);
  out.at = Time{rd_kafka_message_timestamp(&message, nullptr)};
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return out;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    out.headers[name] = text(value, size);
  return out;
}

}  // namespace

struct KafkaCluster::Body {
  Client owner = start(RD_KAFKA_PRODUCER, {{"client.id", "cluster"}});
  std::unique_ptr<rd_kafka_mock_cluster_t, decltype(&rd_kafka_mock_cluster_destroy)> cluster{
      rd_kafka_mock_cluster_new(owner.get(), 1), &rd_kafka_mock_cluster_destroy};
};

KafkaCluster::KafkaCluster() : body_(std::make_unique<Body>()) {
  TR_ASSERT(body_->cluster != nullptr);
  brokers_ = rd_kafka_mock_cluster_bootstraps(body_->cluster.get());
}

KafkaCluster::~KafkaCluster() = default;

void KafkaCluster::create_topic(const std::string& topic, int partitions) {
  TR_ASSERT(rd_kafka_mock_topic_create(body_->cluster.get(), topic.c_str(), partitions, 1) ==
            RD_KAFKA_RESP_ERR_NO_ERROR);
  partitions_[topic] = partitions;
}

void KafkaCluster::fail_produces(const std::vector<rd_kafka_resp_err_t>& errors) {
  rd_kafka_mock_push_request_errors_array(body_->cluster.get(), kProduce, errors.size(), errors.data());
}

void KafkaCluster::go_down() { rd_kafka_mock_broker_set_down(body_->cluster.get(), kBroker); }
void KafkaCluster::come_up() { rd_kafka_mock_broker_set_up(body_->cluster.get(), kBroker); }

std::vector<KafkaCluster::Message> KafkaCluster::messages(const std::string& topic) const {
  const Client consumer =
      start(RD_KAFKA_CONSUMER,
            {{"bootstrap.servers", brokers_}, {"group.id", "reader"}, {"enable.partition.eof", "true"}});
  rd_kafka_poll_set_consumer(consumer.get());
  const int partitions = partitions_.at(topic);
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i)
    rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(consumer.get(), all);
  rd_kafka_topic_partition_list_destroy(all);
  std::vector<Message> found;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int ended = 0; ended < partitions;) {
    TR_ASSERT(std::chrono::steady_clock::now() < give_up);
    const std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
        rd_kafka_consumer_poll(consumer.get(), 1000), &rd_kafka_message_destroy);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ++ended;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) found.push_back(read(*message));
  }
  rd_kafka_consumer_close(consumer.get());
  std::ranges::stable_sort(found, {}, &Message::partition);
  return found;
}

}  // namespace tailrace::testing
