// A Transport for tests: requests go to a stand-in, files lie in a map, and a process is killed at any step.
//
//   transport.kill({.step = 3, .when = Kill::When::after});   // the third step is done, and its answer lost
//   EXPECT_FALSE(destination.load(pack, config, transport));
//   transport.revive();
//   EXPECT_TRUE(destination.load(pack, config, transport));
//
// A step is what the world outside can see: a request, a statement, a file written. From the killed one on
// every step fails, until revive().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "destinations/warehouse_destination.h"
#include "support/packs.h"

namespace tailrace::testing {

struct Kill {
  enum class When : unsigned char { before, after };
  std::uint64_t step = 0;  // 1: the next one; 0: none
  When when = When::before;
};

class ScriptedTransport final : public destinations::Transport {
 public:
  std::function<Result<HttpResponse>(const HttpRequest&)> server;
  std::function<Result<std::unique_ptr<SqlSession>>(const std::string&)> sql_server;
  std::map<std::string, std::string> files;  // of the local disk
  Time clock{1'772'359'200'000};             // 2026-03-01T10:00:00Z
  std::vector<std::string> log;              // the steps, one a line
  std::vector<Millis> waits;
  std::string connection;  // the last one asked for

  void add(const TestPack& pack) { files.insert(pack.bytes.begin(), pack.bytes.end()); }
  void kill(Kill kill) {
    kill_ = kill;
    step_ = 0;
  }
  // Whether it was.
  bool revive() {
    kill_ = {};
    return std::exchange(dead_, false);
  }

  Result<HttpResponse> send(HttpRequest request) override;
  Time now() override { return clock; }
  bool wait(Millis time) override;
  Result<std::string> read(const destinations::PackFile& file, std::uint64_t offset,
                           std::uint64_t length) override;
  Result<void> read_csv(const destinations::PackFile& file, const std::vector<std::string>& columns,
                        const std::function<Result<void>(std::string_view)>& take) override;
  Result<std::unique_ptr<SqlSession>> connect_sql(const std::string& text) override;
  Result<void> write_file(const std::string& path, std::string_view bytes) override;
  Result<void> place_file(const destinations::PackFile& file, const std::string& path) override;
  Result<std::optional<std::string>> read_file(const std::string& path) override;
  Result<void> remove_file(const std::string& path) override;

  // One step: `act` is done, or not, or done and its answer lost.
  template <class Act>
  auto step(const std::string& what, Act act) -> decltype(act()) {
    log.push_back(what);
    ++step_;
    const bool now = kill_.step == step_;
    if (dead_ || (now && kill_.when == Kill::When::before)) {
      dead_ = true;
      return fail(Error::Code::unavailable, "killed before: " + what);
    }
    auto done = act();
    if (now) {
      dead_ = true;
      return fail(Error::Code::unavailable, "killed after: " + what);
    }
    return done;
  }

 private:
  Kill kill_;
  std::uint64_t step_ = 0;
  bool dead_ = false;
};

// Runs `load` in fresh worlds, killed before and after each step until one is not; each time it is run again
// until it succeeds, and `check` must hold. World has a ScriptedTransport `transport`.
template <class World>
std::uint64_t survive_every_kill(const std::function<std::unique_ptr<World>()>& make,
                                 const std::function<Result<void>(World&)>& load,
                                 const std::function<void(World&, const std::string& when)>& check) {
  std::uint64_t kills = 0;
  for (const Kill::When when : {Kill::When::before, Kill::When::after}) {
    for (std::uint64_t step = 1;; ++step) {
      const auto world = make();
      world->transport.kill({step, when});
      const auto first = load(*world);
      const std::string killed = world->transport.log.empty() ? "" : world->transport.log.back();
      if (!world->transport.revive()) {
        check(*world, first ? "never killed" : "failed by itself: " + first.error().message);
        break;
      }
      ++kills;
      const auto second = load(*world);
      check(*world, (when == Kill::When::before ? "killed before step " : "killed after step ") +
                        std::to_string(step) + ": " + killed +
                        (second ? "" : "; then failed: " + second.error().message));
    }
  }
  return kills;
}

}  // namespace tailrace::testing
