#include "cli/deliveries.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/connections.h"

namespace tailrace::cli {

Result<std::unique_ptr<RestingDelivery>> resting_delivery(server::Core& core,
                                                          const workspace::Workspace& workspace) {
  const server::Secrets none = [](const workspace::SecretReference&) { return std::string("none"); };
  auto connections = TRY(server::connect(workspace, none));
  delivery::Ledger& ledger = *core.with_ledger([](delivery::Ledger& owned) { return &owned; });
  auto resting = std::make_unique<RestingDelivery>();
  resting->delivery =
      TRY(delivery::Delivery::create(std::move(connections), ledger, core, resting->random, {}));
  const Time now = core.now();
  for (std::uint32_t sync = 0; sync < workspace.syncs.size(); ++sync) {
    auto people =
        core.call([&](engine::Engine& engine) { return engine.members(engine.audience(SyncId(sync))); });
    std::erase_if(people, [&](PersonId person) { return server::held_out(workspace.syncs[sync], person); });
    resting->delivery->set_desired(SyncId(sync), std::move(people), now);
  }
  return resting;
}

Result<void> check_syncs(const delivery::Delivery& delivery, const workspace::Workspace& workspace) {
  const auto status = delivery.status();
  if (std::ranges::equal(status, workspace.syncs, {}, &delivery::SyncStatus::sync,
                         &workspace::SyncConfig::name))
    return {};
  return fail(Error::Code::unavailable, "a workspace was applied in this moment; ask again");
}

Result<SyncId> find_sync(const workspace::Workspace& workspace, const std::string& name) {
  for (std::uint32_t i = 0; i < workspace.syncs.size(); ++i) {
    if (workspace.syncs[i].name == name) return SyncId(i);
  }
  return fail(Error::Code::not_found, fmt::format("there is no sync \"{}\"", name));
}

Result<std::vector<SyncId>> asked_syncs(const workspace::Workspace& workspace, const std::string& name) {
  if (!name.empty()) return std::vector<SyncId> {
      TRY(find_sync(workspace, name))
    };
  std::vector<SyncId> all;
  for (std::uint32_t i = 0; i < workspace.syncs.size(); ++i) all.emplace_back(i);
  return all;
}

}  // namespace tailrace::cli
