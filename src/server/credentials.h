// Credentials of a workspace that is live: where they come from is asked again while it runs, so that a
// secret can be changed without a restart.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "server/connections.h"
#include "workspace/workspace.h"

namespace tailrace::server {

// What programs printed is kept for a while, so that nobody who holds up others waits for them. Thread-safe.
class SecretSource {
 public:
  explicit SecretSource(std::string folder) : folder_(std::move(folder)) {}
  // Errors: of resolve_secret().
  Result<std::string> value(const workspace::SecretReference& reference);
  Result<std::string> fresh(const workspace::SecretReference& reference);  // asked anew
  static Secrets secrets(std::shared_ptr<SecretSource> source);

 private:
  static constexpr std::int64_t kKeptNanoseconds = 300'000'000'000;
  struct Kept {
    workspace::SecretReference reference;
    std::string value;
    std::int64_t at = 0;
  };
  std::string folder_;
  std::mutex mutex_;
  std::vector<Kept> kept_;
};

// Asks for the credentials of destinations again: of files and programs from time to time, and all of a
// destination soon after its platform refused them. A thread of its own.
class CredentialKeeper {
 public:
  struct Watched {
    std::string destination;
    std::map<std::string, workspace::SecretReference> references;
    std::map<std::string, std::string> values;  // that are in use
  };
  // Called on the keeper's thread with all credentials of the destination.
  using OnChange =
      std::function<void(const std::string& destination, const std::map<std::string, std::string>&)>;

  static constexpr Millis kFilesEvery{30'000};
  static constexpr Millis kProgramsEvery = kMinute * 15;
  static constexpr Millis kRefusedEvery{5'000};

  CredentialKeeper(std::shared_ptr<SecretSource> source, OnChange on_change);
  ~CredentialKeeper();  // waits for a program that runs
  CredentialKeeper(const CredentialKeeper&) = delete;
  CredentialKeeper& operator=(const CredentialKeeper&) = delete;

  void watch(std::vector<Watched> all);  // instead of those before
  void refused(const std::vector<std::string>& destinations);

 private:
  struct Entry {
    Watched watched;
    std::int64_t due_ms = 0;  // of a stopwatch
    std::int64_t asked_ms = 0;
    bool has_file = false, has_program = false;
    bool refused = false;
  };
  void run();
  // All credentials of the destination, where one is another than it was.
  std::optional<std::map<std::string, std::string>> asked(const Watched& watched, bool also_programs);
  static std::int64_t next_due(const Entry& entry, std::int64_t now_ms);

  std::shared_ptr<SecretSource> source_;
  OnChange on_change_;
  std::mutex mutex_;
  std::condition_variable woken_;
  std::vector<Entry> entries_;
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tailrace::server
