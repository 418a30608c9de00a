// Expressions that are one step simpler than a given one: a sub-expression in its place, a bound, a `where`
// or a step of a sequence less. For making a failing example small. Not every one of them passes the check.
#pragma once

#include <vector>

#include "language/ast.h"

namespace tailrace::testing {

// Those that take away most come first.
std::vector<language::ExprPtr> simpler(const language::Expr& expr);

}  // namespace tailrace::testing
