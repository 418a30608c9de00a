// Is a store what it should be? Reads all of it: every checksum of log, ledger and snapshot, and whether the
// state that stands in the snapshot is what the log gives when it is replayed from its beginning.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "server/core.h"

namespace tailrace::server {

struct StoreReport {
  struct Problem {
    std::string what;
    std::string mend;
  };
  std::vector<std::string> facts;  // what was read and is well, one sentence each
  std::vector<Problem> problems;
};

// Of a store that is open, and may be serving; deletions wait meanwhile. Needs the memory of two further
// engines. gone: asked now and then; true ends it with `unavailable`. Not from the threads of core or
// courier. Errors: io, unavailable.
Result<StoreReport> verify_open_store(Core& core, const std::function<bool()>& gone);
// Of a store that nobody has open, which is locked meanwhile. A torn tail is only told of where something
// else is damaged, else cut, as opening it does. Errors: conflict (somebody has it open), not_found, io,
// unavailable.
Result<StoreReport> verify_closed_store(Disk& disk, const std::string& directory,
                                        const std::function<bool()>& gone);

// What an engine knows, part by part, in an order that does not depend on how it came to know it: for
// comparing a restored engine with one that replayed the log.
struct StateDigest {
  struct Part {
    std::string name;  // "people", "segment VIP", "members of VIP a day later"
    std::uint64_t hash = 0;

    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts;
};
// Brings the engine to `now`, and then through the year after it: it is of no use afterwards.
Result<StateDigest> digest_of(engine::Engine& engine, Time now);

}  // namespace tailrace::server
