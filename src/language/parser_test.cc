#include <gtest/gtest.h>

#include "language/language.h"

namespace tailrace::language {
namespace {

// The canonical form, or the rendered problem.
std::string canonical(std::string_view text) {
  const auto tree = parse(text);
  return tree ? print(**tree) : render(tree.error(), text);
}

TEST(Parser, reads_what_it_prints_and_prints_it_again) {
  for (
      const auto* text : {
          R"(performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h)",
          R"(performed "Product Viewed" at least 2 times within 7d and since last "Order Placed" if any)",
          R"(last("Cart Started") between 2h and 6h ago and not performed "Order Placed" since last "Cart Started")",
          R"(performed "Order Placed" within 30m)",
          R"(last("Order Placed" where any products (category = "cleanser")) between 25d and 40d ago)",
          R"(lapsed and orders >= 2 and aov >= 80)",
          R"(top 10% by ltv where ltv > 0)",
          R"(entered sync "Winback" within 7d and not performed "Product Viewed" at least 2 times since entered sync "Winback")",
          R"(in segment "Repeat buyers" and country in ("US", "CA") and consent.ads)",
          R"(performed "Cart Started" within 6h not followed by "Order Placed" within 2h)",
          R"(sum("Order Placed".revenue) - sum("Order Refunded".revenue))",
          R"(performed "A" exactly 3 times)",
          R"(performed "A" at most 3 times today)",
          R"(performed "A" more than 3 times last week)",
          R"(performed "A" fewer than 3 times this quarter and before "2026-01-01")",
          R"(performed "A" since "2026-01-01T10:00:00.000Z")",
          R"(performed "A" since first "B" where x = 1 and within 7d)",
          R"(performed "A" within 7d and between 2d and 3d ago)",
          R"(performed "A" since entered segment "S" if any)",
          R"(was in segment "S" at "2026-01-01")",
          R"(entered segment "S" within 7d)",
          R"(bottom 0.5% by sum("A".x within 30d) among segment "S")",
          R"(rank <= 100 by ltv where (ltv > 0 and lapsed) among segment "S")",
          R"(bottom rank <= 100 by ltv)",
          R"(avg("A".shipping.cost) > 1 or min("A".x) < 1 or max("A".x) <= 1 or distinct("A".sku) != 3)",
          R"(first("A".`plan type`) = "gold" and `plan type` exists and `count` is missing)",
          R"(country not in ("US") and not a = 1 and not (a or b) and not not a)",
          R"(if a > 1 then "x" else if b then "y")",
          R"((if a then b) or c)",
          R"(1 + 2 * 3 - (4 - 5) / -6 < 1e+300 * -x.y)",
          R"(performed "A" where (all tags (it = "x") or none lines (price > 20 and any parts (n = 1))))",
          R"((performed "A" where x = 1) and country = "GB")",
          R"((b and performed "A" where x = 1) or c)",
          R"(b or performed "A" where x = 1)",
          R"(performed "A" where x = 1 followed by "B" where y = 2 within 1h followed by "C")",
          R"("a \"b\" \\ \n \t \u0001" = x)",
          R"((last("A") within 7d) = true)",
          R"((if a then last("A") else last("B")) ever)",
          R"((a = b) = (c = d))",
      }) {
    std::string wanted = text;
    if (const auto at = wanted.find("1e+300 * -x.y"); at != std::string::npos)
      wanted.replace(at, std::string::npos, "1.0000000000000001e+300 * (0 - x.y)");
    EXPECT_EQ(canonical(text), wanted);
    EXPECT_EQ(canonical(wanted), wanted);
  }
}

}  // namespace
}  // namespace tailrace::language
