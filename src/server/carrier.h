// Carries what destinations encode: requests of http and https through the HTTP client, and those of kafka,
// which look like requests, through producers of Kafka's. Such a request is
//
//   PRODUCE kafka://a.example.com:9092,b.example.com:9092
//   Content-Type: application/json
//   Authorization: Basic ...            of SASL, where there is any
//   Kafka-Security: sasl_ssl            librdkafka's security.protocol, sasl.mechanism and compression.type
//   Kafka-Mechanism: SCRAM-SHA-512
//   Kafka-Compression: lz4
//
//   {"messages":[{"topic":"events","key":"crm-1","timestamp":1772359140250,"headers":{"type":"track"},"value":{...}}]}
//
// and its answer, when each of the messages has its outcome (io/kafka_producer.h), is 200 with
//
//   {"outcomes":["","MSG_SIZE_TOO_LARGE"]}
//
// Other than an HTTP client's, the callback of such a request comes on the producer's thread, or on the
// caller's before send() returns: when the request cannot be read, no producer starts, or one has no room for
// it.
//
// A value goes out as JSON. Requests that are alike but for their body share a producer, which lives on
// between them.
#pragma once

#include <functional>
#include <memory>

#include "io/http_client.h"
#include "io/kafka_producer.h"

namespace tailrace::server {

using StartProducer = std::function<Result<std::unique_ptr<io::KafkaProducer>>(const io::KafkaOptions&)>;

// http: what carries the others. start: KafkaProducer::start, but for tests.
std::unique_ptr<io::HttpClient> make_carrier(std::unique_ptr<io::HttpClient> http,
                                             StartProducer start = &io::KafkaProducer::start);

}  // namespace tailrace::server
