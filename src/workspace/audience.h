// Who is in a sync's audience, as expressions of the segment language: what the engine compiles for it, and
// what `explain` puts to one person. They speak of segments by name; no file of the workspace writes them.
#pragma once

#include <optional>
#include <string>

#include "base/calendar.h"
#include "base/time.h"
#include "language/ast.h"
#include "workspace/workspace.h"

namespace tailrace::workspace {

// What the audience is called at its destination: as the settings say, or else as the sync.
std::string audience_name(const SyncConfig& sync);

// In the segment, or entered it within `minimum_stay`; in none of the exclusions; consenting where that is
// asked for. A sync that targets also loses who entered longer ago than `expiry.stay`, and everybody from its
// review date on; one that suppresses never shrinks by its expiry. In mode test, nobody who is not in its
// test segment. Holdouts are no part of it.
//
// Of a retired sync: nobody.
//
// "Entered" is as the language has it: someone who has been in the segment ever since they are known entered
// it at no time.
language::ExprPtr audience_expression(const SyncConfig& sync, const Zone& zone);

// Whom the expiry is about: who would be in the audience were there none, but entered longer ago than
// `expiry.stay`, or whose sync is past its review date. nullptr for a sync without expiry, or retired.
language::ExprPtr expired_expression(const SyncConfig& sync, const Zone& zone);

// The instant from which on the sync's review date has passed: the first of that day in the workspace's time
// zone. Missing: the sync has none.
std::optional<Time> review_at(const SyncConfig& sync, const Zone& zone);

}  // namespace tailrace::workspace
