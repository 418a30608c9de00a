// What delivery is told, one thing after the other, and what it sends: a delivery that is exchanged for
// another when a workspace becomes live. No thread, no clock. Courier runs it beside an HTTP client, the
// simulation beside a network of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "delivery/delivery.h"
#include "delivery/streams.h"

namespace tailrace::server {

// Where changes of audiences go to.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // A workspace became live: its connections, and for each the whole desired set. What comes later applies to
  // it.
  struct Configuration {
    std::vector<delivery::Connection> connections;
    std::vector<std::vector<PersonId>> desired;
    std::vector<delivery::StreamConnection> streams;
    bool keep_deliveries = false;  // for warehouses
    std::vector<workspace::DestinationConfig> destinations;
  };
  virtual void configure(Configuration configuration) = 0;
  virtual void change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) = 0;
  virtual void profiles_changed(std::vector<PersonId> people) = 0;
  virtual void attributes_changed(std::vector<PersonId> people) = 0;
  virtual void logged() = 0;  // there are more records, for streams
};

class Dispatch final : public Outlet {
 public:
  // `random` of retries; the others are lent.
  Dispatch(delivery::Ledger& ledger, delivery::ProfileSource& profiles, delivery::EventSource& events,
           Random random);

  // Takes effect in settle(), once all that is in flight for the one before has been answered. Work that
  // comes behind it waits for that.
  void configure(Configuration configuration) override;
  void change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) override;
  void profiles_changed(std::vector<PersonId> people) override;
  void attributes_changed(std::vector<PersonId> people) override;
  void logged() override;
  // The delivery is nullptr before the first workspace, and where one could not be taken up.
  void post(std::function<void(delivery::Delivery*)> work);

  // Does what can be done: exchanges the delivery, then what waited behind. False: something still waits for
  // answers.
  bool settle(Time now);
  // To be sent now; nothing while a configuration waits.
  std::vector<delivery::Send> poll(Time now);
  Time next_poll_at() const;
  void on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now);

  std::vector<delivery::Delivery::Entry> take_entries();
  std::vector<delivery::Delivery::Alert> take_alerts();
  std::vector<std::string> take_refused_credentials();  // delivery/delivery.h
  void renew_credentials(const std::string& destination, const std::map<std::string, std::string>& secrets,
                         Time now);
  std::size_t in_flight() const { return in_flight_; }
  delivery::Delivery* delivery() { return delivery_.get(); }
  delivery::Streams* streams() { return streams_.get(); }  // nullptr as the delivery is
  // Ends: what waits is called with nullptr, so that nobody waits for an answer that never comes.
  void abandon();

 private:
  struct Waiting {
    std::unique_ptr<Configuration> configuration;  // or
    std::function<void(delivery::Delivery*)> work;
  };
  void take_up(Configuration configuration, Time now);

  delivery::Ledger& ledger_;
  delivery::ProfileSource& profiles_;
  delivery::EventSource& events_;
  Random random_;
  std::unique_ptr<delivery::Delivery> delivery_;
  std::unique_ptr<delivery::Streams> streams_;
  std::deque<Waiting> waiting_;  // a configuration first
  std::size_t in_flight_ = 0;
};

}  // namespace tailrace::server
