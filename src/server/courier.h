// Runs delivery: a thread of its own that tells the planner what changed, sends what it decides, and brings
// back the answers. Desired changes come from the core; identifiers are asked of it when a batch is built.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "io/http_client.h"
#include "server/credentials.h"
#include "server/dispatch.h"

namespace tailrace::server {

class Courier final : public Outlet {
 public:
  using Clock = std::function<Time()>;
  // Acknowledged entries, for `entered sync`; called on the courier's thread.
  using OnEntries = std::function<void(std::vector<delivery::Delivery::Entry>)>;

  // folder: what the files of certificate authorities are relative to. secrets: asked again while it runs.
  static Result<std::unique_ptr<Courier>> start(delivery::Ledger& ledger, delivery::ProfileSource& profiles,
                                                delivery::EventSource& events, std::string folder,
                                                std::shared_ptr<SecretSource> secrets, Clock clock,
                                                OnEntries on_entries);
  ~Courier() override;  // stops

  // What is in flight for the workspace before is answered first; what is posted later waits for that.
  void configure(Configuration configuration) override;
  void change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) override;
  void profiles_changed(std::vector<PersonId> people) override;
  void attributes_changed(std::vector<PersonId> people) override;
  void logged() override;

  // Runs work on the courier's thread, later. The delivery is nullptr before the first workspace.
  void post(std::function<void(delivery::Delivery*)> work);
  // The same, waiting for the answer. Not from the courier's thread.
  template <class Work>
  auto call(Work work) {
    using Answer = decltype(work(static_cast<delivery::Delivery*>(nullptr)));
    auto task = std::make_shared<std::packaged_task<Answer(delivery::Delivery*)>>(std::move(work));
    auto answer = task->get_future();
    post([task](delivery::Delivery* delivery) { (*task)(delivery); });
    return answer.get();
  }

  // Of stream syncs; nullptr before the first workspace. On the courier's thread.
  delivery::Streams* streams() { return dispatch_.streams(); }
  // As call(), of these.
  template <class Work>
  auto call_streams(Work work) {
    return call([this, work](delivery::Delivery*) { return work(streams()); });
  }

  // Sends nothing new; waits for what is in flight (at most `grace`); ends the thread. What is pending stays
  // in the ledger and the log, and is sent after the next start.
  void stop(Millis grace);

 private:
  Courier(delivery::Ledger& ledger, delivery::ProfileSource& profiles, delivery::EventSource& events,
          std::string folder, Clock clock, OnEntries on_entries);
  void run();
  void post_to_thread(std::function<void()> work);
  void send_due();

  std::string folder_;
  Clock clock_;
  OnEntries on_entries_;
  std::unique_ptr<io::HttpClient> client_;
  std::unique_ptr<CredentialKeeper> keeper_;
  Dispatch dispatch_;  // of the courier's thread

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> mailbox_;
  bool logged_ = false;
  bool stopping_ = false;
  Time stop_by_;
  std::thread thread_;
};

}  // namespace tailrace::server
