// The built-in taxonomy `use: [ecommerce]`: the events of the common e-commerce specification, under one name
// each.
#pragma once

#include <vector>

#include "workspace/workspace.h"

namespace tailrace::workspace {

std::vector<EventRule> ecommerce_events();

}  // namespace tailrace::workspace
