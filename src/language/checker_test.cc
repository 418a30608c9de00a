#include <map>

#include <gtest/gtest.h>

#include "language/language.h"
#include "language/words.h"

namespace tailrace::language {
namespace {

// A small shop. Trees are kept by name; names that are not here are unknown.
struct Shop {
  std::map<std::string, std::string, std::less<>> definitions{
      {"lapsed", "not performed \"Order Placed\" within 90d"},
      {"ring", "stone or ring"},
  };
  std::map<std::string, std::string, std::less<>> attributes{
      {"ltv", "sum(\"Order Placed\".revenue) - sum(\"Order Refunded\".revenue)"},
      {"orders", "count(\"Order Placed\")"},
      {"aov", "ltv / orders"},
      {"aov_tier", "if aov > 100 then \"high\" else \"low\""},
      {"last_order_at", "last(\"Order Placed\")"},
      {"stone", "in segment \"Rocks\""},
  };
  std::map<std::string, std::string, std::less<>> segments{
      {"Repeat buyers", "orders >= 2"},
      {"Rocks", "ring"},
      {"Self", "not in segment \"Self\""},
  };
  std::map<std::string, std::string, std::less<>> events{
      {"order placed", "Order Placed"},     {"order completed", "Order Placed"},
      {"order refunded", "Order Refunded"}, {"cart started", "Cart Started"},
      {"product viewed", "Product Viewed"},
  };
  std::map<std::string, Type, std::less<>> properties{
      {"revenue", Type::number},      {"currency", Type::string}, {"delivered_at", Type::time},
      {"products", Type::list},       {"gift", Type::boolean},    {"products.price", Type::number},
      {"products.sku", Type::string},
  };
  std::map<std::string, Type, std::less<>> traits{
      {"country", Type::string}, {"age", Type::number}, {"birthday", Type::time}, {"tags", Type::list}};
  bool strict_traits = false;

  Names names() const {
    const auto tree = [](const auto& texts) {
      return [&texts](std::string_view name) -> ExprPtr {
        const auto found = texts.find(name);
        return found == texts.end() ? nullptr : *parse(found->second);
      };
    };
    const auto keys = [](const auto& map) {
      std::vector<std::string> names;
      for (const auto& [name, unused] : map) names.push_back(name);
      return names;
    };
    const auto type = [](const auto& types, std::string_view path) -> std::optional<Type> {
      const auto found = types.find(path);
      return found == types.end() ? std::nullopt : std::optional(found->second);
    };
    Names names;
    names.canonical_event = [this](std::string_view event) -> std::optional<std::string> {
      const auto found = events.find(to_lower(event));
      return found == events.end() ? std::nullopt : std::optional(found->second);
    };
    names.events = {"Order Placed", "Order Refunded", "Cart Started", "Product Viewed"};
    names.property_type = [this, type](std::string_view, std::string_view path) {
      return type(properties, path);
    };
    names.trait_type = [this, type](std::string_view path) { return type(traits, path); };
    names.strict_traits = strict_traits;
    names.traits = keys(traits);
    names.definition = tree(definitions);
    names.attribute = tree(attributes);
    names.segment = tree(segments);
    names.definitions = keys(definitions);
    names.attributes = keys(attributes);
    names.segments = keys(segments);
    names.syncs = {"Winback"};
    return names;
  }
};

// The checked tree's text, after the rendered problems if there are any.
std::string checked(std::string_view text, Place place = Place::who, const Shop& shop = {}) {
  const auto tree = parse(text);
  if (!tree) return "does not parse: " + render(tree.error(), text);
  const Checked result = check(*tree, shop.names(), place);
  std::string out;
  for (const Problem& problem : result.problems) out += render(problem, text) + "\n";
  return out + (result.expr ? print(*result.expr) : "refused");
}

TEST(Checker, accepts_every_example_of_the_language) {
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
          R"(sum("Order Placed".revenue) - sum("Order Refunded".revenue) > 0)",
      })
    EXPECT_EQ(checked(text), text);
}

TEST(Checker, makes_names_canonical_and_texts_beside_times_into_times) {
  EXPECT_EQ(checked(R"(performed "order completed")"), R"(performed "Order Placed")");
  EXPECT_EQ(checked(R"(last_order_at >= "2026-01-01T00:00Z")"), R"(last_order_at >= "2026-01-01")");
  EXPECT_EQ(checked(R"("2026-01-01T00:00Z" < birthday)"), R"("2026-01-01" < birthday)");
  EXPECT_EQ(checked(R"(birthday in ("2026-01-01T00:00Z"))"), R"(birthday in ("2026-01-01"))");
  EXPECT_EQ(checked(R"(birthday within 7d or last("Order Placed".delivered_at) today)"),
            R"(birthday within 7d or last("Order Placed".delivered_at) today)");
}

TEST(Checker, tells_definitions_computed_attributes_and_traits_apart) {
  const ExprPtr tree = check(*parse("lapsed and orders > 1 and vip"), Shop().names(), Place::who).expr;
  const auto& operands = as<Logical>(*tree)->operands;
  EXPECT_EQ(as<Definition>(*operands[0])->name, "lapsed");
  EXPECT_TRUE(as<Attribute>(*as<Compare>(*operands[1])->left)->computed);
  EXPECT_FALSE(as<Attribute>(*operands[2])->computed);
}

TEST(Checker, knows_types) {
  const std::vector<std::pair<std::string_view, Type>> cases{
      {"ltv", Type::number},
      {"aov_tier", Type::string},
      {"last_order_at", Type::time},
      {"lapsed", Type::boolean},
      {"country", Type::string},
      {"whatever", Type::any},
      {"ltv > 1", Type::boolean},
      {"count(\"Order Placed\")", Type::number},
      {"last(\"Order Placed\")", Type::time},
      {"last(\"Order Placed\".currency)", Type::string},
      {"max(\"Order Placed\".delivered_at)", Type::time},
      {"distinct(\"Order Placed\".currency)", Type::number},
      {"if lapsed then 1", Type::number},
      {"if lapsed then \"2026-01-01\" else last_order_at", Type::time},
      {"consent.ads", Type::boolean},
  };
  for (const auto& [text, type] : cases) {
    const Checked result = check(*parse(text), Shop().names(), Place::attribute);
    ASSERT_TRUE(result.expr) << text;
    EXPECT_EQ(name_of(result.expr->type), name_of(type)) << text;
  }
}

TEST(Checker, says_what_is_wrong_where_and_how_to_mend_it) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {R"(performed "Oder Placed" within 30d)",
       "line 1, column 11: unknown event \"Oder Placed\"\n"
       "  performed \"Oder Placed\" within 30d\n"
       "            ^~~~~~~~~~~~~\n"
       "did you mean \"Order Placed\"?\n"
       "refused"},
      {"ltv > \"80\"",
       "line 1, column 7: a number cannot be compared with a text\n"
       "  ltv > \"80\"\n"
       "        ^~~~\n"
       "write it without quotes: 80\n"
       "refused"},
      {"ltv",
       "line 1, column 1: a condition is needed here, and this is a number\n"
       "  ltv\n"
       "  ^~~\n"
       "compare it with something: `... > 0`\n"
       "refused"},
      {"lapsed and\n\n  in segment \"Repeat buyer\"",
       "line 3, column 3: unknown segment \"Repeat buyer\"\n"
       "    in segment \"Repeat buyer\"\n"
       "    ^~~~~~~~~~~~~~~~~~~~~~~~~\n"
       "did you mean \"Repeat buyers\"?\n"
       "refused"},
      {"\"größe\" = größe and entered sync \"Winbak\"",
       "line 1, column 21: unknown sync \"Winbak\"\n"
       "  \"größe\" = größe and entered sync \"Winbak\"\n"
       "                      ^~~~~~~~~~~~~~~~~~~~~\n"
       "did you mean \"Winback\"?\n"
       "refused"},
      {"in segment \"Self\"",
       "line 1, column 1: segment `Self` refers to itself: Self -> Self\n"
       "  in segment \"Self\"\n"
       "  ^~~~~~~~~~~~~~~~~\n"
       "break the circle: no name may lead back to itself\n"
       "refused"},
      {"lapsed or ring",
       "line 1, column 11: definition `ring` refers to itself: ring -> stone -> Rocks -> ring\n"
       "  lapsed or ring\n"
       "            ^~~~\n"
       "break the circle: no name may lead back to itself\n"
       "refused"},
      {"performed \"Cart Started\" within 2h not followed by \"Order Placed\" within 2h",
       "line 1, column 26: nobody can match: an event of the last 2h cannot have been waited on for 2h\n"
       "  performed \"Cart Started\" within 2h not followed by \"Order Placed\" within 2h\n"
       "                           ^~~~~~~~~\n"
       "look back further than 2h\n"
       "refused"},
      {"not country = \"US\"",
       "line 1, column 1: warning: `not country = \"US\"` is true where `country` is missing\n"
       "  not country = \"US\"\n"
       "  ^~~~~~~~~~~~~~~~~~\n"
       "say which is meant: `country exists and not country = \"US\"` or `country is missing or not country "
       "= "
       "\"US\"`\n"
       "not country = \"US\""},
      {"top 10% by ltv",
       "line 1, column 1: warning: everybody has `ltv`, if only 0, so everybody is ranked\n"
       "  top 10% by ltv\n"
       "  ^~~~~~~~~~~~~~\n"
       "narrow it: `where ltv > 0`\n"
       "top 10% by ltv"},
      {"performed \"Order Placed\" where revenue > 50 and country = \"GB\"",
       "line 1, column 49: warning: `country` is read as a property of \"Order Placed\", which declares none "
       "of that "
       "name\n"
       "  performed \"Order Placed\" where revenue > 50 and country = \"GB\"\n"
       "                                                  ^~~~~~~\n"
       "to mean the person's `country`, close the `where`: (performed ... where ...) and country ...\n"
       "performed \"Order Placed\" where (revenue > 50 and country = \"GB\")"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(checked(text), expected);
}

// The first lines of all problems, without their places.
std::string messages(std::string_view text, Place place = Place::who, const Shop& shop = {}) {
  const auto tree = parse(text);
  if (!tree) return "does not parse: " + tree.error().message;
  std::string out;
  for (const Problem& problem : check(*tree, shop.names(), place).problems)
    out += (out.empty() ? "" : "; ") + problem.message;
  return out;
}

TEST(Checker, reports_every_problem_at_once) {
  EXPECT_EQ(
      messages(
          R"(performed "X" and ltv = "a" and in segment "Nowhere" and count("Order Placed".revenue) > 1)"),
      "unknown event \"X\"; a number cannot be compared with a text; unknown segment \"Nowhere\"; `count` "
      "counts "
      "events, not a property");
}

TEST(Checker, refuses_what_has_no_meaning) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"ltv + country > 1", "`+` needs a number, and this is a text"},
      {"not ltv", "`not` needs a condition, and this is a number"},
      {"lapsed and ltv", "`and` needs a condition, and this is a number"},
      {"lapsed > true", "conditions have no order"},
      {"country in (\"US\", 1)", "a text cannot be compared with a number, 1"},
      {"last_order_at > \"yesterday\"",
       "`yesterday` is not a time; write it like 2026-03-01T10:00:00Z or 2026-03-01"},
      {"last_order_at > 5", "a time cannot be compared with a number"},
      {"age within 7d", "a window needs a time, and this is a number"},
      {"if ltv then true", "`if` needs a condition, and this is a number"},
      {"(if lapsed then 1 else \"a\") = 1", "`then` gives a number and `else` gives a text"},
      {"sum(\"Order Placed\") > 1", "`sum` needs a property"},
      {"sum(\"Order Placed\".currency) > 1", "`sum` needs a number, and `currency` is a text"},
      {"min(\"Order Placed\".currency) = 1", "`min` needs a number or a time, and `currency` is a text"},
      {"performed \"Order Placed\" where currency", "`where` needs a condition, and this is a text"},
      {"performed \"Order Placed\" where revenue = \"a\"", "a number cannot be compared with a text"},
      {"performed \"Order Placed\" where any currency (it = 1)", "`currency` is a text, not a list"},
      {"performed \"Order Placed\" where any products (price = \"a\")",
       "a number cannot be compared with a text"},
      {"performed \"Order Placed\" within 0d", "a window needs a length"},
      {"performed \"Order Placed\" between 3d and 2d ago", "the nearer end of `between ... ago` comes first"},
      {"performed \"Order Placed\" since last \"Nothing\"", "unknown event \"Nothing\""},
      {"performed \"Order Placed\" since entered sync \"Nothing\"", "unknown sync \"Nothing\""},
      {"performed \"Order Placed\" fewer than 0 times", "`fewer than 0 times` is never true"},
      {"performed \"Order Placed\" at least 0 times", "`at least 0 times` is always true"},
      {"performed \"Cart Started\" not followed by \"Order Placed\"",
       "`not followed by` needs a time to wait"},
      {"performed \"Cart Started\" not followed by \"Order Placed\" within 1h followed by \"Order Placed\"",
       "nothing can follow what did not happen"},
      {"performed \"Cart Started\" between 1h and 2h ago not followed by \"Order Placed\" within 3h",
       "nobody can match: an event of the last 2h cannot have been waited on for 3h"},
      {"top 0% by ltv where ltv > 0", "a share of people is above 0% and at most 100%, not 0%"},
      {"top 101% by ltv where ltv > 0", "a share of people is above 0% and at most 100%, not 101%"},
      {"rank <= 0 by ltv", "a rank is a whole number from 1 on, not 0"},
      {"top 5% by country", "a rank needs a number, and this is a text"},
      {"top 5% by age among segment \"No\"", "unknown segment \"No\""},
      {"odrers > 1", "`odrers` is neither defined nor declared, and is taken for a trait"},
      {"birthday = country", "a time cannot be compared with a text"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(messages(text), expected) << text;
}

TEST(Checker, lets_undeclared_names_through_unless_told_not_to) {
  EXPECT_EQ(messages("whatever > 1 and some.path = \"a\""), "");
  Shop strict;
  strict.strict_traits = true;
  EXPECT_EQ(messages("whatever > 1 and tags.first = \"a\"", Place::who, strict),
            "unknown attribute `whatever`");
}

TEST(Checker, compares_lists_with_what_their_elements_may_be) {
  EXPECT_EQ(messages("tags = \"gold\" and tags = 1"), "");
}

TEST(Checker, warns_of_missing_values_only_where_they_matter) {
  const auto warned = [](std::string_view text) { return !messages(text).empty(); };
  EXPECT_TRUE(warned("country != \"US\""));
  EXPECT_TRUE(warned("country not in (\"US\")"));
  EXPECT_TRUE(warned("aov != 3"));  // nobody's orders: division by zero
  EXPECT_TRUE(warned("performed \"Order Placed\" where currency != \"GBP\""));
  EXPECT_TRUE(warned("country exists or country != \"US\""));
  EXPECT_TRUE(warned("age exists and country != \"US\""));
  EXPECT_FALSE(warned("country exists and country != \"US\""));
  EXPECT_FALSE(warned("country is missing or country != \"US\""));
  EXPECT_FALSE(warned("country is missing or not country = \"US\""));
  EXPECT_FALSE(warned("orders != 3 and ltv != 0"));  // counts and sums are always there
  EXPECT_FALSE(warned("top 5% by age where age != 0"));
  EXPECT_FALSE(warned("top 5% by aov"));
  EXPECT_FALSE(warned("rank <= 5 by ltv"));
}

TEST(Checker, wants_a_condition_except_in_attributes) {
  EXPECT_EQ(messages("ltv", Place::attribute), "");
  for (const Place place : {Place::who, Place::definition, Place::filter})
    EXPECT_EQ(messages("ltv", place), "a condition is needed here, and this is a number");
}

TEST(Checker, follows_long_chains_of_names_without_falling_over) {
  Shop shop;
  for (int i = 0; i < 50; ++i) shop.definitions["d" + std::to_string(i)] = "d" + std::to_string(i + 1);
  shop.definitions["d50"] = "lapsed";
  EXPECT_EQ(messages("d0", Place::who, shop), "");
  // Every definition names two others: walked once each, not 2^50 times.
  for (int i = 0; i < 50; ++i)
    shop.definitions["d" + std::to_string(i)] = "d" + std::to_string(i + 1) + " or d" + std::to_string(i + 1);
  EXPECT_EQ(messages("d0", Place::who, shop), "");
  for (int i = 50; i < 5000; ++i) shop.definitions["d" + std::to_string(i)] = "d" + std::to_string(i + 1);
  EXPECT_EQ(messages("d50", Place::who, shop), "names and trees are nested too deep together");
}

TEST(Checker, bounds_how_deep_names_and_trees_nest_together) {
  Shop shop;
  std::string nots;
  for (int i = 0; i < 60; ++i) nots += "not ";
  for (int i = 0; i < 10; ++i) shop.definitions["d" + std::to_string(i)] = nots + "d" + std::to_string(i + 1);
  shop.definitions["d10"] = "lapsed";
  EXPECT_EQ(messages("d0", Place::who, shop), "");
  for (int i = 10; i < 90; ++i)
    shop.definitions["d" + std::to_string(i)] = nots + "d" + std::to_string(i + 1);
  shop.definitions["d90"] = "lapsed";
  EXPECT_EQ(messages("d0", Place::who, shop), "names and trees are nested too deep together");
}

TEST(Checker, refuses_trees_that_no_text_says) {
  const auto expr = [](Node node) {
    return std::make_shared<const Expr>(Expr{std::move(node), {}, Type::any});
  };
  const Shop shop;
  const Names names = shop.names();
  EXPECT_FALSE(check(expr(Exists{expr(Property{"revenue"})}), names, Place::who).expr);
  Performed performed;
  performed.selector.event = "Order Placed";
  performed.selector.where = *parse("in segment \"Repeat buyers\"");
  EXPECT_FALSE(check(expr(performed), names, Place::who).expr);
  performed.selector.where = *parse("country exists");  // an attribute, not a property
  EXPECT_FALSE(check(expr(performed), names, Place::who).expr);
}

}  // namespace
}  // namespace tailrace::language
