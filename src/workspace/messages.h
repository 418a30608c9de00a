// The built-in taxonomy `use: [messages]`: what became of messages (docs/messages.md), whoever sent them.
#pragma once

#include <vector>

#include "workspace/workspace.h"

namespace tailrace::workspace {

std::vector<EventRule> message_events();

}  // namespace tailrace::workspace
