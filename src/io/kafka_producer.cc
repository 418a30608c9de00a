#include "io/kafka_producer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <sys/socket.h>

#include "base/thread_name.h"
#include "io/address.h"

namespace tailrace::io {
namespace {

constexpr int kPollMillis = 100;
constexpr int kFlushMillis = 5'000;
// Of the library's queue, which must take whatever is given: it counts a message a little longer than what is
// told of here.
constexpr std::size_t kQueueMessagesMax = 2 * kKafkaMessagesInFlightMax;
constexpr std::size_t kQueueKilobytesMax = 2 * kKafkaBytesInFlightMax / 1024;

struct Batch;
struct Slot {
  Batch* batch = nullptr;
  std::size_t index = 0;
};
// What was given together. Its messages point at their slots.
struct Batch {
  std::vector<Slot> slots;
  KafkaProducer::Outcomes outcomes;
  std::atomic<std::size_t> left;
  std::size_t bytes = 0;  // of its messages
  KafkaProducer::Done done;
};

std::size_t bytes_of(const std::vector<KafkaMessage>& messages) {
  std::size_t bytes = 0;
  for (const KafkaMessage& message : messages) {
    bytes += message.key.size() + message.value.size();
    for (const auto& [name, value] : message.headers) bytes += name.size() + value.size();
  }
  return bytes;
}

// "MSG_SIZE_TOO_LARGE".
std::string name_of(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_NO_ERROR ? std::string() : std::string(rd_kafka_err2name(error));
}

// What the library says when it has waited for a broker in vain.
bool is_silence(std::string_view outcome) {
  constexpr std::array<std::string_view, 3> kNames{"_MSG_TIMED_OUT", "_ALL_BROKERS_DOWN", "_TRANSPORT"};
  return std::ranges::find(kNames, outcome) != kNames.end();
}

// Why no broker is spoken to, where that is no silence; else none. The library has one code for all that goes
// wrong with TLS, and sometimes tells of it as of a connection that ended; only its words speak of trust.
rd_kafka_resp_err_t refusal_of(rd_kafka_resp_err_t error, std::string_view words) {
  if (words.find("certificate verify failed") != words.npos) return RD_KAFKA_RESP_ERR__SSL;
  const bool is_one =
      error == RD_KAFKA_RESP_ERR__AUTHENTICATION || error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
  return is_one ? error : RD_KAFKA_RESP_ERR_NO_ERROR;
}

// A broker went away, or was not found: what it refused before may hold no more.
bool is_trouble_on_the_way(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__RESOLVE ||
         error == RD_KAFKA_RESP_ERR__SSL;
}

rd_kafka_vu_t text_of(rd_kafka_vtype_t type, const char* text) {
  rd_kafka_vu_t value{};
  value.vtype = type;
  value.u.cstr = text;
  return value;
}

rd_kafka_vu_t bytes_of(rd_kafka_vtype_t type, std::string& bytes) {
  rd_kafka_vu_t value{};
  value.vtype = type;
  value.u.mem = {.ptr = bytes.data(), .size = bytes.size()};
  return value;
}

class Producer final : public KafkaProducer {
 public:
  explicit Producer(const KafkaOptions& options) : options_(options) {}
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  ~Producer() override {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    if (client_ == nullptr) return;
    rd_kafka_purge(client_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_, kFlushMillis);
    rd_kafka_destroy(client_);
  }

  Result<void> open() {
    std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> made(rd_kafka_conf_new(),
                                                                            &rd_kafka_conf_destroy);
    rd_kafka_conf_t* conf = made.get();
    TRY(set(conf, "client.id", "tailrace"));
    TRY(set(conf, "bootstrap.servers", options_.brokers));
    TRY(set(conf, "security.protocol", options_.security));
    if (!options_.mechanism.empty()) {
      TRY(set(conf, "sasl.mechanism", options_.mechanism));
      TRY(set(conf, "sasl.username", options_.user));
      TRY(set(conf, "sasl.password", options_.password));
    }
    // The library's defaults were others once.
    TRY(set(conf, "enable.ssl.certificate.verification", "true"));
    TRY(set(conf, "ssl.endpoint.identification.algorithm", "https"));
    // It has no setting for the lowest version: these are of TLS 1.2, and those of 1.3 are there all the
    // same.
    TRY(set(conf, "ssl.cipher.suites", "TLSv1.2+HIGH:!aNULL:!PSK"));
    if (!options_.reach.ca_file.empty()) TRY(set(conf, "ssl.ca.location", options_.reach.ca_file));
    TRY(set(conf, "enable.idempotence", "true"));
    TRY(set(conf, "acks", "all"));
    TRY(set(conf, "compression.type", options_.compression));
    // As Java's producers choose, so that a key is in the same partition whoever wrote it.
    TRY(set(conf, "partitioner", "murmur2_random"));
    TRY(set(conf, "message.timeout.ms", fmt::format("{}", options_.patience.count)));
    // Before a message of a topic that does not exist has waited in vain.
    TRY(set(conf, "topic.metadata.propagation.max.ms", fmt::format("{}", options_.patience.count / 3)));
    TRY(set(conf, "socket.connection.setup.timeout.ms", "10000"));
    TRY(set(conf, "queue.buffering.max.messages", fmt::format("{}", kQueueMessagesMax)));
    TRY(set(conf, "queue.buffering.max.kbytes", fmt::format("{}", kQueueKilobytesMax)));
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_log_cb(conf, nullptr);
    rd_kafka_conf_set_dr_msg_cb(conf, &Producer::on_report);
    rd_kafka_conf_set_error_cb(conf, &Producer::on_error);
    rd_kafka_conf_set_connect_cb(conf, &Producer::connect);
    std::array<char, 256> why{};
    client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
    if (client_ == nullptr) return invalid("librdkafka does not start with these settings");
    (void)made.release();  // the client's from now on
    thread_ = std::thread([this] {
      name_thread("kafka");
      while (!stopping_) rd_kafka_poll(client_, kPollMillis);
    });
    return {};
  }

  void produce(std::vector<KafkaMessage> messages, Done done) override {
    auto made = std::make_unique<Batch>();
    Batch& batch = *made;
    batch.outcomes.resize(messages.size());
    batch.left = messages.size() + 1;  // it does not end before all are given
    batch.bytes = bytes_of(messages);
    batch.done = std::move(done);
    for (std::size_t i = 0; i < messages.size(); ++i) batch.slots.push_back({&batch, i});
    // Whole or not at all: the head of a request that stops in a queue that is full would be there twice.
    if (!admit(made))
      return made->done(fail(Error::Code::unavailable, "too much is on its way to the brokers already"));
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const rd_kafka_resp_err_t refused = give(messages[i], batch.slots[i]);
      if (refused != RD_KAFKA_RESP_ERR_NO_ERROR) report(batch.slots[i], refused);
    }
    end_one(batch);
  }

  bool is_usable() const override {
    std::array<char, 1> why{};
    return rd_kafka_fatal_error(client_, why.data(), why.size()) == RD_KAFKA_RESP_ERR_NO_ERROR;
  }

  bool is_idle() const override {
    const std::lock_guard lock(mutex_);
    return batches_.empty();
  }

 private:
  static Result<void> set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), nullptr, 0) == RD_KAFKA_CONF_OK) return {};
    return invalid(fmt::format("librdkafka does not take this {}", name));
  }

  // Takes the batch, if there is room for it.
  bool admit(std::unique_ptr<Batch>& batch) {
    const std::lock_guard lock(mutex_);
    if (messages_in_flight_ + batch->slots.size() > kKafkaMessagesInFlightMax ||
        bytes_in_flight_ + batch->bytes > options_.bytes_in_flight_max)
      return false;
    // What was refused once may have been mended meanwhile.
    if (batches_.empty()) refusal_ = RD_KAFKA_RESP_ERR_NO_ERROR;
    messages_in_flight_ += batch->slots.size();
    bytes_in_flight_ += batch->bytes;
    Batch* const key = batch.get();
    batches_.emplace(key, std::move(batch));
    return true;
  }

  rd_kafka_resp_err_t give(KafkaMessage& message, Slot& slot) {
    if (message.key.empty()) return RD_KAFKA_RESP_ERR__INVALID_ARG;
    std::vector<rd_kafka_vu_t> parts;
    parts.push_back(text_of(RD_KAFKA_VTYPE_TOPIC, message.topic.c_str()));
    parts.push_back(bytes_of(RD_KAFKA_VTYPE_KEY, message.key));
    parts.push_back(bytes_of(RD_KAFKA_VTYPE_VALUE, message.value));
    rd_kafka_vu_t part{};
    part.vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    part.u.i64 = message.at.ms;
    parts.push_back(part);
    part.vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    part.u.i = RD_KAFKA_MSG_F_COPY;
    parts.push_back(part);
    part.vtype = RD_KAFKA_VTYPE_OPAQUE;
    part.u.ptr = &slot;
    parts.push_back(part);
    for (const auto& [name, value] : message.headers) {
      part.vtype = RD_KAFKA_VTYPE_HEADER;
      part.u.header = {.name = name.c_str(), .val = value.data(), .size = static_cast<ssize_t>(value.size())};
      parts.push_back(part);
    }
    rd_kafka_error_t* error = rd_kafka_produceva(client_, parts.data(), parts.size());
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);  // of nullptr: none
    rd_kafka_error_destroy(error);
    return code;
  }

  void report(const Slot& slot, rd_kafka_resp_err_t error) {
    slot.batch->outcomes[slot.index] = name_of(error);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      refusal_ = RD_KAFKA_RESP_ERR_NO_ERROR;
      const std::lock_guard lock(mutex_);
      out_of_reach_.clear();
    }
    end_one(*slot.batch);
  }

  void end_one(Batch& batch) {
    if (--batch.left > 0) return;
    std::unique_ptr<Batch> ended;
    {
      const std::lock_guard lock(mutex_);
      ended = std::move(batches_.extract(&batch).mapped());
      messages_in_flight_ -= ended->slots.size();
      bytes_in_flight_ -= ended->bytes;
    }
    ended->done(judged(std::move(ended->outcomes)));
  }

  Result<Outcomes> judged(Outcomes outcomes) {
    if (!std::ranges::all_of(outcomes, is_silence)) return outcomes;
    // Credentials that are refused are tried again by the library until the messages time out.
    if (const auto refusal = refusal_.load(); refusal != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::ranges::fill(outcomes, name_of(refusal));
      return outcomes;
    }
    const std::lock_guard lock(mutex_);
    if (!out_of_reach_.empty()) return fail(Error::Code::not_found, out_of_reach_);
    return fail(Error::Code::unavailable, fmt::format("no broker has acknowledged anything within {} s",
                                                      options_.patience.count / kSecond.count));
  }

  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    static_cast<Producer*>(opaque)->report(*static_cast<const Slot*>(message->_private), message->err);
  }

  static void on_error(rd_kafka_t*, int error, const char* words, void* opaque) {
    const auto code = static_cast<rd_kafka_resp_err_t>(error);
    const rd_kafka_resp_err_t refusal = refusal_of(code, words);
    if (refusal != RD_KAFKA_RESP_ERR_NO_ERROR || is_trouble_on_the_way(code))
      static_cast<Producer*>(opaque)->refusal_ = refusal;
  }

  // Why the address is not gone to; empty: it is.
  std::string refused_address(const sockaddr& address) const {
    if (!options_.reach.private_addresses && !is_public(address)) return not_routed(to_text(address));
    // The cluster may name other brokers than those of the settings.
    if (options_.security.ends_with("plaintext") && !is_loopback(address))
      return fmt::format(
          "a broker is at {}, which is not this machine: nothing goes there in the clear, use ssl or "
          "sasl_ssl",
          to_text(address));
    return {};
  }

  // Judges the address that a broker's name has now, and goes there or not.
  static int connect(int socket, const sockaddr* address, int length, const char*, void* opaque) {
    auto& self = *static_cast<Producer*>(opaque);
    if (std::string refused = self.refused_address(*address); !refused.empty()) {
      const std::lock_guard lock(self.mutex_);
      self.out_of_reach_ = std::move(refused);
      return EACCES;
    }
    if (::connect(socket, address, static_cast<socklen_t>(length)) == 0 || errno == EINPROGRESS) return 0;
    return errno;
  }

  KafkaOptions options_;
  rd_kafka_t* client_ = nullptr;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<rd_kafka_resp_err_t> refusal_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  mutable std::mutex mutex_;
  std::map<Batch*, std::unique_ptr<Batch>> batches_;  // guarded by mutex_
  std::size_t messages_in_flight_ = 0;                // likewise
  std::size_t bytes_in_flight_ = 0;                   // likewise
  std::string out_of_reach_;                          // likewise: why an address is not gone to
};

}  // namespace

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::start(const KafkaOptions& options) {
  auto producer = std::make_unique<Producer>(options);
  TRY(producer->open());
  return producer;
}

}  // namespace tailrace::io
