// A segment's plan as text and as JSON (`tailrace explain --plan`).
#pragma once

#include <string>

#include "engine/engine.h"
#include "model/value.h"

namespace tailrace::cli {

// name: of the segment; empty: an expression.
std::string plan_text(const std::string& name, const segments::PlanView& plan);
Value plan_value(const std::string& name, const segments::PlanView& plan);

}  // namespace tailrace::cli
