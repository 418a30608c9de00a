// Stream syncs for commands that ask about them or act on them: those of a running `serve`, or those of a
// store that rests, which send nothing.
#pragma once

#include "base/random.h"
#include "cli/command.h"
#include "cli/dlq.h"
#include "delivery/streams.h"

namespace tailrace::cli {

struct RestingStreams {
  Random random{0};  // of retries, which never come
  std::unique_ptr<delivery::Streams> streams;
};
Result<std::unique_ptr<RestingStreams>> resting_streams(server::Core& core,
                                                        const workspace::Workspace& workspace);

// work(delivery::Streams&) -> Result<T>. Errors: unavailable (the running ones could not be taken up); of the
// ledger; of the work.
template <class Work>
auto with_streams(server::Core& core, const workspace::Workspace& workspace, const Work& work)
    -> decltype(work(std::declval<delivery::Streams&>())) {
  if (core.courier() != nullptr) {
    return core.courier()->call_streams(
        [&](delivery::Streams* running) -> decltype(work(std::declval<delivery::Streams&>())) {
          if (running == nullptr)
            return fail(Error::Code::unavailable,
                        "delivery does not run; the log of `tailrace serve` says why");
          return work(*running);
        });
  }
  const auto resting = TRY(resting_streams(core, workspace));
  return work(*resting->streams);
}

// The names of stream syncs that a command is about: that one, or all where the name is empty. Empty: it is
// none of them.
std::vector<std::string> asked_streams(const workspace::Workspace& workspace, const std::string& name);

// Their dead letters that `choice` takes, masked.
Result<std::vector<Letter>> stream_letters(const Run& run, const workspace::Workspace& workspace,
                                           const std::vector<std::string>& streams, const Choice& choice);
// Retries or drops them; gives how many.
Result<std::size_t> act_on_stream_letters(const Run& run, const workspace::Workspace& workspace,
                                          const std::vector<std::string>& streams, const Choice& choice);

// For `plan`: what becomes of each stream sync, and in words where something does.
struct StreamDifference {
  std::string name;
  std::string change;  // "new", "changed", "gone", "same"
  std::string words;   // empty: same
};
std::vector<StreamDifference> stream_differences(const workspace::Workspace& applied,
                                                 const workspace::Workspace& folder);

// For `status`: a table, and why events were never sent.
Result<std::string> stream_status(const Run& run, const workspace::Workspace& workspace);

}  // namespace tailrace::cli
