// Seeded random expressions of the segment language for property tests: well typed, and free of what check()
// refuses, as long as the names of the options exist.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "language/ast.h"

namespace tailrace::testing {

struct RandomExprOptions {
  int depth = 4;  // how far conditions and values nest
  std::vector<std::string> events{"Order Placed", "Product Viewed", "Cart Started"};
  std::vector<std::string> number_properties{"revenue", "quantity"};
  std::vector<std::string> text_properties{"currency", "category"};
  std::vector<std::string> list_properties{"products"};  // of objects with `element_*` members
  std::vector<std::string> element_numbers{"price"};
  std::vector<std::string> element_texts{"category"};
  std::vector<std::string> number_traits{"age"};
  std::vector<std::string> text_traits{"country"};
  std::vector<std::string> texts{"GB", "US", "cleanser"};  // literals to compare with
  std::vector<std::string> segments;                       // empty: no form that names a segment
  std::vector<std::string> syncs;                          // empty: no form that names a sync
  std::vector<std::string> consents{"ads"};                // empty: no consent
  bool sequences = true;                                   // followed by
  bool ranks = true;
  bool calendar = true;
  bool instants = true;           // fixed ones
  bool since = true;              // since last, since first
  Time epoch{1'767'225'600'000};  // fixed instants fall within 90 days after it
};

// A condition.
language::ExprPtr random_expr(Random& random, const RandomExprOptions& options = {});

}  // namespace tailrace::testing
