#include "sim/network.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/assert.h"
#include "model/json.h"

namespace tailrace::testing {
namespace {

constexpr std::string_view kHost = "http://sandbox";
constexpr Millis kPatience{30'000};  // of the client, as of io::HttpClient

}  // namespace

void Network::set_weather(const Weather& weather, Time now) {
  weather_ = weather;
  platforms_.handle({"DELETE", "/sandbox/faults", {}, ""}, now);
  const auto add = [&](std::string_view kind, std::uint32_t per_thousand, std::string_view more = "") {
    if (per_thousand == 0) return;
    const std::string body = fmt::format(R"({{"kind":"{}","share":{},"seed":{}{}}})", kind,
                                         per_thousand / 1000.0, random_.below(1 << 30), more);
    const auto answer = platforms_.handle({"POST", "/sandbox/faults", {}, body}, now);
    TR_ASSERT(answer.response.status == 200 || answer.response.status == 201);
  };
  add("fail", weather.fails, R"(,"status":503)");
  add("throttle", weather.throttles);
  add("auth", weather.unauthorised);
}

Millis Network::latency() { return Millis{static_cast<std::int64_t>(5 + random_.below(200))}; }

void Network::send(delivery::Send send, Time now) {
  ++requests_;
  TR_ASSERT(send.request.url.starts_with(kHost));
  send.request.url.erase(0, kHost.size());
  Message message{
      .send_id = send.id, .request = std::move(send.request), .reply = {}, .given_up_at = now + kPatience};
  Time arrives = now + latency();
  if (happens(weather_.slow)) arrives = arrives + Millis{static_cast<std::int64_t>(random_.below(20'000))};
  if (happens(weather_.lost_before)) {
    ++lost_;
    message.request.reset();
    message.reply = Reply{message.send_id, fail(Error::Code::unavailable, "the connection was reset")};
  }
  on_the_way_.emplace(arrives, std::move(message));
}

void Network::hang_up() {
  for (auto& [at, message] : on_the_way_) message.waited_for = false;
}

void Network::answer(Message& message, Time at) {
  sandbox::Answer answer = platforms_.handle(*message.request, at);
  message.request.reset();
  message.reply = Reply{message.send_id, std::move(answer.response)};
  Time arrives = at + answer.delay + latency();
  if (happens(weather_.slow)) arrives = arrives + Millis{static_cast<std::int64_t>(random_.below(60'000))};
  if (answer.hang_up || happens(weather_.lost_after)) {
    ++lost_;
    message.reply->response = fail(Error::Code::unavailable, "the connection was reset");
  }
  if (arrives > message.given_up_at) {
    arrives = message.given_up_at;
    message.reply->response = fail(Error::Code::unavailable, "timed out");
  }
  on_the_way_.emplace(arrives, std::move(message));
}

std::optional<Network::Reply> Network::step() {
  const Time at = on_the_way_.begin()->first;
  Message message = std::move(on_the_way_.begin()->second);
  on_the_way_.erase(on_the_way_.begin());
  if (message.request) {
    answer(message, at);
    return std::nullopt;
  }
  if (!message.waited_for) return std::nullopt;
  return std::move(message.reply);
}

void Network::drift(const std::string& platform, std::uint64_t count, Time now) {
  const auto answer =
      platforms_.handle({"POST",
                         "/sandbox/faults",
                         {},
                         fmt::format(R"({{"kind":"drift","platform":"{}","count":{},"seed":{}}})", platform,
                                     count, random_.below(1 << 30))},
                        now);
  TR_ASSERT(answer.response.status == 200);
}

void Network::lose_an_identifier(Time now) {
  for (const std::string_view platform : {"meta", "google"})
    platforms_.handle({"POST",
                       "/sandbox/faults",
                       {},
                       fmt::format(R"({{"kind":"drift","platform":"{}","count":1}})", platform)},
                      now);
}

std::vector<std::string> Network::audiences(const std::string& platform, Time now) {
  const auto answer = platforms_.handle({"GET", "/sandbox/audiences", {}, ""}, now);
  const auto body = parse_json(answer.response.body);
  TR_ASSERT(body && body->find("audiences") != nullptr);
  std::vector<std::string> ids;
  for (const Value& each : body->find("audiences")->list) {
    if (each.find("platform")->string == platform) ids.push_back(each.find("id")->string);
  }
  return ids;
}

std::set<std::string> Network::audience(const std::string& platform, const std::string& id, Time now) {
  const auto answer =
      platforms_.handle({"GET", fmt::format("/sandbox/audiences/{}/{}/members", platform, id), {}, ""}, now);
  const auto body = parse_json(answer.response.body);
  if (!body || body->find("members") == nullptr) return {"unknown: " + answer.response.body};
  std::set<std::string> all;
  for (const Value& member : body->find("members")->list)
    all.insert(member.find("kind")->string + ":" + member.find("value")->string);
  return all;
}

Network::Told Network::told(const std::string& platform, Time now) {
  const auto answer = platforms_.handle({"GET", "/sandbox/" + platform + "/events", {}, ""}, now);
  const auto body = parse_json(answer.response.body);
  TR_ASSERT(body && body->find("events") != nullptr);
  Told told;
  for (const Value& event : body->find("events")->list) {
    for (const char* place : {"event_id", "transactionId", "metadata.conversion_id"}) {
      if (const Value* id = event.find_path(place)) told.events.insert(id->string);
    }
  }
  for (const char* name : {"duplicates", "repeated"}) {
    if (const Value* again = body->find(name))
      told.again = static_cast<std::int64_t>(again->number.to_double());
  }
  return told;
}

}  // namespace tailrace::testing
