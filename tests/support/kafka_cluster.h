// A Kafka cluster in this process: librdkafka's own mock brokers, which speak the protocol over sockets of
// this machine, can be told to fail, and keep what they are sent.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "base/time.h"

namespace tailrace::testing {

class KafkaCluster {
 public:
  KafkaCluster();
  ~KafkaCluster();
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;

  const std::string& brokers() const { return brokers_; }  // "127.0.0.1:40123"
  void create_topic(const std::string& topic, int partitions);
  // The next requests to produce fail with these, one each.
  void fail_produces(const std::vector<rd_kafka_resp_err_t>& errors);
  void go_down();
  void come_up();

  struct Message {
    std::int32_t partition = 0;
    std::string key;
    std::string value;
    std::map<std::string, std::string> headers;
    Time at;
  };
  // All that the topic has, partition by partition, in their order. The topic was created here.
  std::vector<Message> messages(const std::string& topic) const;

 private:
  struct Body;
  std::unique_ptr<Body> body_;
  std::string brokers_;
  std::map<std::string, int> partitions_;  // by topic
};

}  // namespace tailrace::testing
