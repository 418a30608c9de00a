// Asks the platforms whether the credentials of a workspace may do what its syncs need, before the first
// upload. Nothing is changed there: tokens are fetched, audiences are looked for and not made, and events are
// sent where the platform checks them and counts none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"
#include "server/connections.h"
#include "workspace/workspace.h"

namespace tailrace::server {

struct LiveFinding {
  enum class Kind : unsigned char {
    fine,
    unasked,      // the platform documents nothing that could be asked without changing something
    problem,      // it will not work as it is
    unreachable,  // nobody knows: ask again later
  };
  std::string destination;
  std::string asked;  // "credentials", "token", "permissions", `sync "VIP"`
  Kind kind = Kind::fine;
  std::string text;             // holds no secret
  std::string mend;             // of a problem
  std::optional<Time> ends_at;  // of the credentials
};

// How the world outside is reached; each waits for an answer.
struct LiveReach {
  std::function<Result<HttpResponse>(HttpRequest request, HttpReach reach)> exchange;
  // destinations::WarehouseDestination::probe() of it.
  std::function<Result<void>(const WarehouseConnection& connection)> probe;
};

// In the order of the workspace's destinations, those without a sync too; of each what was asked until the
// first problem of its credentials. folder: of the workspace. Errors: of connect().
Result<std::vector<LiveFinding>> check_live(const workspace::Workspace& workspace, const std::string& folder,
                                            const Secrets& secrets, const LiveReach& reach, Time now);

}  // namespace tailrace::server
