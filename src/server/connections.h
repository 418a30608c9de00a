// From the applied workspace to what delivery works on: each sync with its destination, merged settings and
// resolved credentials, and whom its holdout leaves out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "delivery/delivery.h"
#include "delivery/streams.h"
#include "destinations/warehouse_destination.h"
#include "workspace/workspace.h"

namespace tailrace::server {

// The value of a credential by its reference. Errors name the reference, never the value.
using Secrets = std::function<Result<std::string>(const workspace::SecretReference&)>;

// From the environment, from files, and of what programs print, without blanks at its ends. Paths are
// relative to `folder`, and programs run in it. Errors: not_found, unavailable, invalid_argument, io.
Result<std::string> resolve_secret(const workspace::SecretReference& reference, const std::string& folder);
Secrets secrets_of(std::string folder);

// The syncs that run: all, or those that rest but for passes of the one of this name. Of the others no
// credentials are asked.
struct Running {
  std::string pass_of;  // empty: all run
  bool asks(const std::string& sync) const { return pass_of.empty() || sync == pass_of; }
};

// connections[i] is the sync SyncId{i}. Errors: invalid_argument (an unknown destination; all credentials
// that are missing).
Result<std::vector<delivery::Connection>> connect(const workspace::Workspace& workspace,
                                                  const Secrets& secrets, const Running& running = {});

// connections[i] is the workspace's i-th stream sync. Errors: as above.
Result<std::vector<delivery::StreamConnection>> connect_streams(const workspace::Workspace& workspace,
                                                                const Secrets& secrets,
                                                                const Running& running = {});

// A warehouse sync with its destination, merged settings and resolved secrets.
struct WarehouseConnection {
  workspace::WarehouseConfig sync;
  const destinations::WarehouseDestination* destination = nullptr;
  destinations::Config config;
  HttpReach reach;
};
// folder: what a location on the local disk is relative to. Errors: invalid_argument (unknown, credentials
// that are missing).
Result<WarehouseConnection> connect_warehouse(const workspace::Workspace& workspace,
                                              const workspace::WarehouseConfig& sync, const Secrets& secrets,
                                              const std::string& folder);

// Whether both can be had. Errors: theirs.
Result<void> check_connections(const workspace::Workspace& workspace, const Secrets& secrets,
                               const Running& running = {});

// Is this person held out of the sync's audience? A keyed hash of (salt, person): the same answer at every
// replay.
bool held_out(const workspace::SyncConfig& sync, PersonId person);

}  // namespace tailrace::server
