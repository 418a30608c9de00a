// What a change of who is who, of the golden id, or of the identifiers that a sync uploads does, said by
// `tailrace plan` before it is applied.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "destinations/audience_destination.h"
#include "engine/engine.h"
#include "workspace/workspace.h"

namespace tailrace::cli {

// A line for each thing that changes; empty: nothing does. It looks at everybody.
std::string identity_in_words(const engine::Engine& engine, const workspace::Workspace& applied,
                              const workspace::Workspace& folder);

// What goes to the platform of a sync when the folder is applied, of people and of identifiers.
class UploadChange {
 public:
  // Both: of the sync with that name; nullptr where there is none. Lent. A sync without audiences at its
  // destination uploads nothing.
  UploadChange(const workspace::Workspace& applied, const workspace::SyncConfig* before,
               const workspace::Workspace& folder, const workspace::SyncConfig* after);

  // Whether what is uploaded of somebody may change although nobody comes or goes.
  bool may_change() const { return may_change_; }
  // Of everybody who is in the audience before or then, each once.
  void add(const engine::Engine& engine, PersonId person, bool is_in, bool will_be_in);
  // "" where nothing goes.
  std::string in_words(const std::string& sync) const;

 private:
  struct Side {
    const workspace::SyncConfig* sync = nullptr;
    const destinations::AudienceDestination* destination = nullptr;
    destinations::Config config;
    std::uint64_t people = 0, usable = 0;
  };
  static Side side_of(const workspace::Workspace& workspace, const workspace::SyncConfig* sync);
  std::uint32_t limit(const std::string& setting, std::uint32_t documented) const;

  IdentityRules rules_;  // the folder's
  Side before_, after_;
  bool may_change_ = false;
  std::uint64_t identifiers_added_ = 0, identifiers_removed_ = 0;
  std::uint64_t members_added_ = 0, members_removed_ = 0;  // of whom something is added, or removed
};

}  // namespace tailrace::cli
