// Writes messages to topics of a Kafka cluster, by librdkafka's idempotent producer: while it lives, a
// message is in its partition once, and those of a key are in the order in which they were given, as long as
// none of them fails for good.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::io {

// Of one producer's; what would go beyond is refused.
inline constexpr std::size_t kKafkaMessagesInFlightMax = 100'000;
inline constexpr std::size_t kKafkaBytesInFlightMax = std::size_t{64} << 20;  // keys, values and headers

struct KafkaOptions {
  std::string brokers;  // "a.example.com:9092,b.example.com:9092"
  // As librdkafka's security.protocol: "sasl_ssl". In the clear ("plaintext", "sasl_plaintext") brokers are
  // spoken to on this machine only, whatever addresses the cluster names.
  std::string security;
  std::string mechanism = {};
  std::string user = {};
  std::string password = {};
  std::string compression = "none";
  HttpReach reach = {};     // holds for every broker, also for those that the cluster names
  Millis patience{30'000};  // what no broker has acknowledged by then has failed
  std::size_t bytes_in_flight_max = kKafkaBytesInFlightMax;  // at most that
};

struct KafkaMessage {
  std::string topic;
  std::string key;  // not empty, or its outcome is "_INVALID_ARG": it would be in any partition
  Time at = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string value = {};
};

class KafkaProducer {
 public:
  // One per message, in their order. "": every replica that is in sync has it. Else the name that librdkafka
  // has for what went wrong: "MSG_SIZE_TOO_LARGE" of a broker's, "_MSG_TIMED_OUT" of its own. Errors:
  // not_found, where no broker may be reached; unavailable, where none answered, and whether something was
  // written is unknown, or where too much is in flight, and nothing was.
  using Outcomes = std::vector<std::string>;
  // Called once, when the last message has its outcome: on the producer's thread; on the caller's, before
  // produce() returns, where no message was taken or all had ended by then; or on the thread that destroys
  // the producer. It must not block, nor expect a lock that the caller of produce() holds.
  using Done = std::function<void(Result<Outcomes>)>;

  // Connects later, by itself. Errors: invalid_argument, with the option that cannot be; never with its
  // value.
  static Result<std::unique_ptr<KafkaProducer>> start(const KafkaOptions& options);
  virtual ~KafkaProducer() =
      default;  // what is in flight then has the outcome "_PURGE_QUEUE" or "_PURGE_INFLIGHT"
  // Thread-safe. Not none.
  virtual void produce(std::vector<KafkaMessage> messages, Done done) = 0;
  // False: the library gave it up (a fatal error): another one goes on where it stopped.
  virtual bool is_usable() const = 0;
  virtual bool is_idle() const = 0;  // nothing in flight
};

}  // namespace tailrace::io
