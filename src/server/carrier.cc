#include "server/carrier.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "destinations/answer.h"
#include "model/json.h"

namespace tailrace::server {
namespace {

using destinations::integer_member;
using destinations::member;
using destinations::text_member;

constexpr std::string_view kScheme = "kafka://";
// Of those that nothing is in flight of, the one that was used longest ago makes room for another.
constexpr std::size_t kProducersMax = 8;

std::string header(const HttpRequest& request, std::string_view name) {
  return std::string(request.headers.get(name).value_or(""));
}

Result<io::KafkaOptions> options_of(const HttpRequest& request, const HttpReach& reach) {
  io::KafkaOptions options{.brokers = request.url.substr(kScheme.size()),
                           .security = header(request, "Kafka-Security"),
                           .mechanism = header(request, "Kafka-Mechanism"),
                           .compression = header(request, "Kafka-Compression"),
                           .reach = reach};
  constexpr std::string_view kBasic = "Basic ";
  const std::string authorization = header(request, "Authorization");
  if (authorization.empty()) return options;
  std::string words;
  if (!authorization.starts_with(kBasic) ||
      !from_base64(std::string_view(authorization).substr(kBasic.size()), words) ||
      words.find(':') == std::string::npos)
    return invalid("the request's credentials cannot be read");
  options.user = words.substr(0, words.find(':'));
  options.password = words.substr(words.find(':') + 1);
  return options;
}

Result<std::vector<io::KafkaMessage>> messages_of(const std::string& body) {
  const auto read = parse_json(body);
  const Value* list = member(read ? &*read : nullptr, "messages");
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty())
    return invalid("the request's messages cannot be read");
  std::vector<io::KafkaMessage> messages;
  for (const Value& each : list->list) {
    const auto at = integer_member(&each, "timestamp");
    const Value* headers = member(&each, "headers");
    const Value* value = member(&each, "value");
    io::KafkaMessage message{.topic = std::string(text_member(&each, "topic")),
                             .key = std::string(text_member(&each, "key"))};
    if (message.topic.empty() || !at || headers == nullptr || value == nullptr)
      return invalid("a message of the request cannot be read");
    message.at = Time{*at};
    message.value = to_json(*value);
    for (const auto& [name, of] : headers->members) message.headers.emplace_back(name, of.string);
    messages.push_back(std::move(message));
  }
  return messages;
}

HttpResponse answer_of(const io::KafkaProducer::Outcomes& outcomes) {
  Value list = Value::with(Value::Kind::list);
  for (const std::string& outcome : outcomes) list.list.push_back(Value::of(outcome));
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("outcomes", std::move(list));
  return {200, {{"Content-Type", "application/json"}}, to_json(body)};
}

class Carrier final : public io::HttpClient {
 public:
  Carrier(std::unique_ptr<io::HttpClient> http, StartProducer start)
      : http_(std::move(http)), start_(std::move(start)) {}

  void send(HttpRequest request, const HttpReach& reach, io::BodySink sink, io::HttpCallback done) override {
    if (!request.url.starts_with(kScheme))
      return http_->send(std::move(request), reach, std::move(sink), std::move(done));
    auto messages = messages_of(request.body);
    auto producer = messages ? producer_for(request, reach)
                             : Result<std::shared_ptr<io::KafkaProducer>>(std::unexpected(messages.error()));
    if (!producer) return done(std::unexpected(producer.error()));
    (*producer)->produce(*std::move(messages),
                         [done = std::move(done)](Result<io::KafkaProducer::Outcomes> outcomes) {
                           if (!outcomes) return done(std::unexpected(outcomes.error()));
                           done(answer_of(*outcomes));
                         });
  }

 private:
  struct Known {
    std::shared_ptr<io::KafkaProducer> producer;
    std::uint64_t used = 0;
  };

  Result<std::shared_ptr<io::KafkaProducer>> producer_for(const HttpRequest& request,
                                                          const HttpReach& reach) {
    std::string key = request.url + (reach.private_addresses ? "\nprivate\n" : "\npublic\n") + reach.ca_file;
    for (const auto& [name, value] : request.headers) key += "\n" + name + ": " + value;
    std::vector<std::shared_ptr<io::KafkaProducer>> ended;  // end when the lock is open again
    const std::lock_guard lock(mutex_);
    if (const auto found = producers_.find(key); found != producers_.end()) {
      if (found->second.producer->is_usable()) {
        found->second.used = ++uses_;
        return found->second.producer;
      }
      ended.push_back(std::move(found->second.producer));
      producers_.erase(found);
    }
    std::shared_ptr<io::KafkaProducer> made = TRY(start_(TRY(options_of(request, reach))));
    if (producers_.size() >= kProducersMax) {
      const auto oldest = std::ranges::min_element(producers_, {}, [](const auto& each) {
        return each.second.producer->is_idle() ? each.second.used : UINT64_MAX;
      });
      if (oldest->second.producer->is_idle()) {
        ended.push_back(std::move(oldest->second.producer));
        producers_.erase(oldest);
      }
    }
    producers_[std::move(key)] = {made, ++uses_};
    return made;
  }

  std::unique_ptr<io::HttpClient> http_;
  StartProducer start_;
  std::mutex mutex_;
  std::map<std::string, Known> producers_;  // guarded by mutex_
  std::uint64_t uses_ = 0;                  // likewise
};

}  // namespace

std::unique_ptr<io::HttpClient> make_carrier(std::unique_ptr<io::HttpClient> http, StartProducer start) {
  return std::make_unique<Carrier>(std::move(http), std::move(start));
}

}  // namespace tailrace::server
