// Random trees through print, parse and JSON, and random texts that no parser should fall over.
#include <gtest/gtest.h>

#include "language/language.h"
#include "model/json.h"
#include "support/random_expr.h"

namespace tailrace::language {
namespace {

testing::RandomExprOptions everything() {
  testing::RandomExprOptions options;
  options.segments = {"Repeat buyers", "VIP \"gold\""};
  options.syncs = {"Winback"};
  options.number_traits = {"age", "plan size", "count", "größe", "a.b.c"};
  options.text_properties = {"currency", "within", "it", "shipping.city", "odd\\name\n`"};
  options.texts = {"GB", "", "a \"b\" \\", "Zürich\t\x01"};
  return options;
}

Names lenient_names() {
  Names names;
  names.strict_events = false;
  names.syncs = {"Winback"};
  names.segment = [](std::string_view) { return *parse("country = \"GB\""); };
  return names;
}

std::string rendered(const std::vector<Problem>& problems, std::string_view text) {
  std::string all;
  for (const Problem& problem : problems) {
    if (problem.severity == Problem::Severity::error) all += render(problem, text) + "\n";
  }
  return all;
}

TEST(RoundTrip, of_random_trees) {
  const auto options = everything();
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    const ExprPtr tree = testing::random_expr(random, options);
    const std::string text = print(*tree);
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed) << "seed " << seed << "\n" << render(parsed.error(), text);
    ASSERT_EQ(print(**parsed), text) << "seed " << seed;

    const std::string json = to_json(to_value(*tree));
    const auto value = parse_json(json);
    ASSERT_TRUE(value) << "seed " << seed << " " << value.error().message;
    const auto read = from_value(*value);
    ASSERT_TRUE(read) << "seed " << seed << "\n" << json << "\n" << read.error().message;
    ASSERT_EQ(print(**read), text) << "seed " << seed;
    ASSERT_EQ(to_json(to_value(**read)), json) << "seed " << seed;
  }
}

TEST(RoundTrip, of_random_trees_through_the_checker) {
  const auto options = everything();
  const Names names = lenient_names();
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    const ExprPtr tree = testing::random_expr(random, options);
    const std::string text = print(*tree);
    const ExprPtr parsed = *parse(text);
    const Checked checked = check(parsed, names, Place::who);
    ASSERT_TRUE(checked.expr) << "seed " << seed << "\n" << rendered(checked.problems, text);
    ASSERT_EQ(print(*checked.expr), text) << "seed " << seed;
    // A checked tree checks to itself.
    ASSERT_TRUE(check(checked.expr, names, Place::who).expr) << "seed " << seed;
    ASSERT_EQ(print(*check(tree, names, Place::who).expr), text) << "seed " << seed;
  }
}

TEST(RoundTrip, survives_every_cut_and_every_swapped_byte) {
  const auto options = everything();
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    const std::string text = print(*testing::random_expr(random, options));
    for (int i = 0; i < 20; ++i) {
      std::string broken = text;
      broken[random.below(broken.size())] = static_cast<char>(random.below(256));
      if (i % 2 == 0) broken.resize(random.below(broken.size()));
      const auto parsed = parse(broken);
      if (!parsed) {
        ASSERT_FALSE(render(parsed.error(), broken).empty());
        continue;
      }
      const std::string canonical = print(**parsed);
      const auto again = parse(canonical);
      ASSERT_TRUE(again) << broken << "\n" << render(again.error(), canonical);
      ASSERT_EQ(print(**again), canonical) << broken;
    }
  }
}

}  // namespace
}  // namespace tailrace::language
