// What is promised of syncs that send events: every event of the people who are there that the sync wants was
// told to its platform, or stands among the dead letters with a reason, or was refused for one that fits;
// nothing else was told; and a platform that cannot tell a copy was told nothing twice, where silence is
// held. Slow and obvious; knows nothing of windows and cursors.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "sim/network.h"
#include "sim/story.h"
#include "support/oracle.h"

namespace tailrace::testing {

// What became of one sync, in the end.
struct StreamEnd {
  const workspace::StreamConfig* stream = nullptr;
  Network::Told told;
  std::set<std::string> dead;     // ids of events that are dead letters with a reason
  std::uint64_t unexplained = 0;  // dead letters without one
  std::uint64_t refused = 0;      // events never sent, by the counts of their reasons
  std::string reasons;            // these counts, for people to read
};

// `people` are those who are there in the end; `now` is when it is judged. Gives what is wrong.
std::vector<std::string> judge_stream(const StreamEnd& end, const Story& story,
                                      const std::vector<OraclePerson>& people, Time now);

}  // namespace tailrace::testing
