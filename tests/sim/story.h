// What happens outside of Tailrace: people and what they do, when each message is sent, the workspaces that
// operators apply, and the identifiers by which platforms know people and events. All of it follows from a
// seed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "property/scenario.h"
#include "workspace/workspace.h"

namespace tailrace::testing {

struct Story {
  // In order of the first attempt to send (input.received_at).
  std::vector<Input> inputs;
  // Each is applied once, at its time; the first before everything else.
  std::vector<std::pair<Time, workspace::Workspace>> workspaces;
  Time end;  // of what happens
};

Story random_story(Random& random);

// By which platforms know an event of the story.
std::string event_id(const Input& input);

// What the platforms make of an e-mail or phone as people write it, said once more and by a table: the text
// whose SHA-256 is uploaded. Empty: it is none.
std::string uploaded_text(std::string_view platform, std::string_view kind, std::string_view raw);

}  // namespace tailrace::testing
