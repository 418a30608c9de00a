// A `where` as history keeps it: decided by matches(), and found by its constants where that is certain.
#pragma once

#include "history/filter.h"
#include "language/ast.h"

namespace tailrace::segments {

// The filter keeps the tree.
history::Filter filter_of(const language::ExprPtr& where);

// What any event that matches() a `where` has at one path; nullopt where nothing of the kind is certain.
// `a = 1`, `a in (1, 2)`, a bare boolean, `any items (...)` with one of these; `and` has what one of its
// operands has, `or` what all of them have, at the same path.
std::optional<history::Needs> needs_of(const language::Expr& where);

}  // namespace tailrace::segments
