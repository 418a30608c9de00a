// For tests: one or more syncs over a real ledger, whose requests are seen as text and answered by hand or by
// the platform.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "delivery/delivery.h"
#include "delivery/fake_platform.h"

namespace tailrace::delivery {

inline constexpr PersonId kAda{1}, kBob{2}, kCy{3};
inline constexpr SyncId kFirst{0}, kSecond{1};

class DeliveryTest : public testing::Test {
 protected:
  DeliveryTest() {
    person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}});
    person(kBob, "bob", {{IdentifierKind::email, "bob@example.com", {}}});
    person(kCy, "cy", {{IdentifierKind::email, "cy@example.com", {}}});
    add_sync("s", workspace::Effect::target);
  }

  void person(PersonId id, std::string golden_id, std::vector<Identifier> identifiers) {
    profiles.people[id] = {.id = id,
                           .golden_id = std::move(golden_id),
                           .identifiers = std::move(identifiers),
                           .traits = {},
                           .consent = {}};
  }
  Connection& add_sync(std::string name, workspace::Effect effect) {
    Connection connection;
    connection.sync.name = name;
    connection.sync.destination = "fake";
    connection.sync.effect = effect;
    connection.sync.audience_id = "aud";
    connection.sync.identifiers = {IdentifierKind::email, IdentifierKind::phone};
    connection.destination = &destination;
    connection.config.settings["sync"] = std::move(name);
    return connections.emplace_back(std::move(connection));
  }

  // Also what a restart after a crash does: answers not given never come.
  void start(std::vector<PersonId> desired = {}) {
    delivery.reset();
    ledger.reset();
    auto opened = Ledger::open(directory.path());
    ASSERT_TRUE(opened) << opened.error().message;
    ledger = std::move(*opened);
    auto created = Delivery::create(connections, *ledger, profiles, random, options);
    ASSERT_TRUE(created) << created.error().message;
    delivery = std::move(*created);
    for (std::uint32_t i = 0; i < connections.size(); ++i) delivery->set_desired(SyncId{i}, desired, now);
    sends.clear();
  }

  void change(PersonId who, Change what, SyncId sync = kFirst) {
    delivery->on_change(sync, {now, now, {}, who, what}, Delivery::Origin::live);
  }
  void enter(PersonId who, SyncId sync = kFirst) { change(who, Change::entered, sync); }
  void leave(PersonId who, SyncId sync = kFirst) { change(who, Change::left, sync); }

  // The bodies of the requests that go out `later`.
  std::vector<std::string> poll(Millis later = {0}) {
    now = now + later;
    std::vector<std::string> bodies;
    for (Send& send : delivery->poll(now)) {
      bodies.push_back(send.request.body);
      sends.push_back(std::move(send));
    }
    return bodies;
  }
  std::vector<std::string> poll_aged() { return poll(Millis{250}); }

  void reply(Result<HttpResponse> response) {
    ASSERT_FALSE(sends.empty());
    const Send send = std::move(sends.front());
    sends.erase(sends.begin());
    delivery->on_reply(send.id, std::move(response), now);
  }
  void reply(int status, std::string body = "", HttpHeaders headers = {}) {
    reply(HttpResponse{status, std::move(headers), std::move(body)});
  }
  // Until nothing is left to do, answered by the platform.
  void run() {
    for (int i = 0; i < 200; ++i) {
      while (!sends.empty()) reply(platform.handle(sends.front().request));
      if (delivery->idle()) return;
      now = std::max(now, std::min(delivery->next_poll_at(), now + kHour));
      poll();
    }
    FAIL() << "never idle: " << status().state;
  }

  SyncStatus status(SyncId sync = kFirst) { return delivery->status()[sync.value]; }
  const std::set<std::string>& audience() { return platform.audiences["s"]; }
  Membership::State state_of(PersonId who) { return delivery->membership(kFirst, who)->state; }

  TemporaryDirectory directory;
  Random random{7};
  Options options;
  FakeDestination destination;
  FakePlatform platform;
  FakeProfiles profiles;
  std::vector<Connection> connections;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Delivery> delivery;
  std::vector<Send> sends;
  Time now = *parse_time("2026-03-01T10:00:00Z");
};

}  // namespace tailrace::delivery
