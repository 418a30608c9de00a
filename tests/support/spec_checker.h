// The expressions of a specification, parsed and checked as `tailrace check` would with a lenient taxonomy:
// any event and any trait may be named.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "language/ast.h"
#include "support/text_spec.h"

namespace tailrace::testing {

struct CheckedDefinition {
  SpecDefinition::Kind kind = SpecDefinition::Kind::segment;
  std::string name;
  language::ExprPtr expr;
};

// In the order of the file. Error: the first problem, rendered, after its line.
Result<std::vector<CheckedDefinition>> check_workspace(const SpecWorkspace& workspace);

}  // namespace tailrace::testing
