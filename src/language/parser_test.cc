#include <string>
#include <utility>
#include <vector>

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

TEST(Parser, takes_words_in_any_case_and_order_and_puts_them_right) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"NOT Performed \"A\" WITHIN 7d", "not performed \"A\" within 7d"},
      {"performed \"A\" within 7d at least 3 times", "performed \"A\" at least 3 times within 7d"},
      {"performed \"A\" within 7d where x = 1", "performed \"A\" where x = 1 within 7d"},
      {"performed \"A\" once", "performed \"A\" exactly 1 times"},
      {"performed \"A\" at least twice ever", "performed \"A\" at least 2 times"},
      {"performed \"A\" at least 1 time", "performed \"A\""},
      {"count(\"A\") within 7d >= 2", "count(\"A\" within 7d) >= 2"},
      {"sum(\"A\".x within 7d where y = 1)", "sum(\"A\".x where y = 1 within 7d)"},
      {"first(\"A\") today", "first(\"A\") today"},
      {"sum(\"A\".\"plan type\")", "sum(\"A\".`plan type`)"},
      {"within_x within 7d and since last \"B\" and y", "within_x within 7d and since last \"B\" and y"},
      {"a and (b and (c and d)) or (e or f)", "a and b and c and d or e or f"},
      {"a and (b or c)", "a and (b or c)"},
      {"not (a and b)", "not (a and b)"},
      {"not (a) = (1)", "not a = 1"},
      {"(1 + 2) * 3 - (4 * 5) / (6 / 7)", "(1 + 2) * 3 - 4 * 5 / (6 / 7)"},
      {"- -5 + -x < 1.50", "5 + (0 - x) < 1.5"},
      {"if a then b else if c then d else e", "if a then b else if c then d else e"},
      {"if (if a then b) then (if c then d) else e", "if (if a then b) then (if c then d) else e"},
      {"x within 2w and between 60m and 90m ago", "x within 14d and between 1h and 90m ago"},
      {"x within 1d", "x within 24h"},
      {"a # and b\n and c # d", "a and c"},
      {"`ltv` > 1 and `in` > 1 and x.in > 1 and count > 1",
       "ltv > 1 and `in` > 1 and x.in > 1 and `count` > 1"},
      {"any = 1 and last < first and rank <= 5", "`any` = 1 and `last` < `first` and `rank` <= 5"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(canonical(text), expected);
    EXPECT_EQ(canonical(expected), expected);
  }
}

TEST(Parser, lets_a_where_take_what_can_be_meant_of_the_event) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"performed \"A\" where x = 1 and y = 2 within 7d",
       "performed \"A\" where (x = 1 and y = 2) within 7d"},
      {"performed \"A\" where x = 1 or y = 2 and not performed \"B\"",
       "(performed \"A\" where (x = 1 or y = 2)) and not performed \"B\""},
      {"performed \"A\" where x = 1 and (not performed \"B\" or c)",
       "(performed \"A\" where x = 1) and (not performed \"B\" or c)"},
      {"performed \"A\" where x = 1 and in segment \"S\"",
       "(performed \"A\" where x = 1) and in segment \"S\""},
      {"performed \"A\" where x = 1 and consent.ads", "(performed \"A\" where x = 1) and consent.ads"},
      {"performed \"A\" where x = 1 at least 2 times and y",
       "performed \"A\" where x = 1 at least 2 times and y"},
      {"(performed \"A\" where x = 1) and y = 2", "(performed \"A\" where x = 1) and y = 2"},
      {"performed \"A\" since last \"B\" where x = 1 and within 7d and y",
       "performed \"A\" since last \"B\" where x = 1 and within 7d and y"},
      {"performed \"A\" since last \"B\" where x = 1 if any and y",
       "performed \"A\" since last \"B\" where x = 1 if any and y"},
      {"top 5% by ltv where ltv > 0 and lapsed", "top 5% by ltv where (ltv > 0 and lapsed)"},
      {"(top 5% by ltv where ltv > 0) and lapsed", "(top 5% by ltv where ltv > 0) and lapsed"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(canonical(text), expected);
    EXPECT_EQ(canonical(expected), expected);
  }
}

TEST(Parser, says_what_is_wrong_where_and_how_to_mend_it) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"",
       "line 1, column 1: expected a condition or a value before the end\n"
       "  \n"
       "  ^"},
      {"lapsed and\n  performd \"Order Placed\"",
       "line 2, column 12: \"Order Placed\" does not fit here\n"
       "    performd \"Order Placed\"\n"
       "             ^~~~~~~~~~~~~~\n"
       "did you mean `performed`?"},
      {"count(\"A\") >= 3 within 7d",
       "line 1, column 17: `within` does not fit here\n"
       "  count(\"A\") >= 3 within 7d\n"
       "                  ^~~~~~\n"
       "a window stands in the parentheses of `count(...)` and its like, or after `performed`, `entered` or "
       "a time"},
      {"\tperformed \"A\" within 7 days",
       "line 1, column 23: expected a duration before `7`\n"
       "  \tperformed \"A\" within 7 days\n"
       "  \t                     ^\n"
       "write `7d`"},
      {"größe == 1",
       "line 1, column 7: `==` means nothing here\n"
       "  größe == 1\n"
       "        ^~\n"
       "write `=`"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(canonical(text), expected);
}

TEST(Parser, refuses_what_is_not_the_language) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"performed", "`performed` needs the event's name in double quotes"},
      {"performed \"\"", "expected an event's name between the quotes"},
      {"performed \"A\" at least 1.5 times", "expected a number of times, a whole number, before `1.5`"},
      {"performed \"A\" at least 2", "expected `times` before the end"},
      {"performed \"A\" within 7x", "`7x` is not a duration; write it like 30m, 2h, 7d or 2w"},
      {"performed \"A\" since \"yesterday\"",
       "`yesterday` is not a time; write it like 2026-03-01T10:00:00Z or 2026-03-01"},
      {"performed \"A\" since last week", "`last` is a window by itself"},
      {"performed \"A\" since tuesday", "`tuesday` cannot follow `since`"},
      {"performed \"A\" between 2h and 6h", "expected `ago` before the end"},
      {"performed \"A\" twice followed by \"B\"", "a chain cannot be counted"},
      {"performed \"A\" where performed \"B\"",
       "`performed` cannot stand inside `where`, which is about the event alone"},
      {"performed \"A\" where (x = 1 and count(\"B\") > 1)",
       "`count` cannot stand inside `where`, which is about the event alone"},
      {"any products (price > 1)", "`any` over a list stands only inside `where`"},
      {"count(\"A\" within 7d) within 8d", "a second window"},
      {"within 7d", "the window `within` has nothing to narrow"},
      {"a = b = c", "comparisons do not chain"},
      {"a and", "expected a condition or a value before the end"},
      {"(a", "expected `)` before the end"},
      {"a)", "`)` does not fit here"},
      {"a in ()", "expected a text in quotes, a number, `true` or `false` before `)`"},
      {"then", "`then` is a word of the language"},
      {"7d", "the duration `7d` does not fit here"},
      {"top 5 by ltv", "expected `%` before `by`"},
      {"\"abc", "this text is not closed"},
      {"\"a\nb\"", "this text is not closed"},
      {"\"\\x\"", "after a backslash stands one of \" \\ n t u"},
      {"\"\\u00e4\"", "\\u takes four hexadecimal digits below 0080"},
      {"a; b", "`;` means nothing here"},
      {"a \x01", "the control character U+0001 means nothing here"},
      {"a = \"\xff\"", "this byte is not valid UTF-8"},
      {"a = \"\xc0\x80\"", "this byte is not valid UTF-8"},
      {"# \xed\xa0\x80", "this byte is not valid UTF-8"},
      {"a = 'x'", "`'` means nothing here"},
      {"01", "not a number: `01`"},
      {"1e999", "number out of range: `1e999`"},
  };
  for (const auto& [text, expected] : cases) {
    const auto tree = parse(text);
    ASSERT_FALSE(tree) << text;
    EXPECT_EQ(tree.error().message, expected) << text;
  }
}

TEST(Parser, bounds_nesting_chains_and_length) {
  const auto repeated = [](std::string_view part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  const auto message = [](const std::string& text) {
    const auto tree = parse(text);
    return tree ? "parses" : tree.error().message;
  };
  const std::string deep = "the expression is nested more than 64 deep";
  EXPECT_EQ(message(repeated("(", 100'000)), deep);
  EXPECT_EQ(message(repeated("not ", 100'000) + "a"), deep);
  EXPECT_EQ(message(repeated("- ", 100'000) + "1"), deep);
  EXPECT_EQ(message(repeated("if ", 100'000)), deep);
  EXPECT_EQ(message(repeated("if a then b else ", 20'000)), deep);
  EXPECT_EQ(message(repeated("top 5% by ", 20'000)), deep);
  EXPECT_EQ(message(repeated("performed \"A\" where any x (", 10'000)),
            "`performed` cannot stand inside `where`, which is about the event alone");
  EXPECT_EQ(message("performed \"A\" where " + repeated("any x (", 100'000)), deep);
  EXPECT_EQ(message("1" + repeated(" + 1", 100'000) + " > 0"),
            "more than 100 arithmetic operations in one expression");
  EXPECT_EQ(message(repeated("a", 2'000'000)), "the expression is longer than 1000000 bytes");
  EXPECT_EQ(message(repeated("(", 60) + "a" + repeated(")", 60)), "parses");
  // Long and flat is no harm.
  EXPECT_EQ(message("a" + repeated(" and a", 100'000)), "parses");
  EXPECT_EQ(message("a in (1" + repeated(", 1", 100'000) + ")"), "parses");
}

TEST(Render, shows_a_long_line_around_the_place) {
  const std::string text = std::string(500, 'a') + " ! " + std::string(500, 'b');
  EXPECT_EQ(render(parse(text).error(), text), "line 1, column 502: `!` means nothing here\n  ..." +
                                                   std::string(59, 'a') + " ! " + std::string(58, 'b') +
                                                   "...\n" + std::string(65, ' ') + "^\nwrite `not`");
}

TEST(Render, leaves_out_a_place_that_is_not_known) {
  Problem problem{Problem::Severity::warning, Span{1, 1, 0}, "something", "do this"};
  EXPECT_EQ(render(problem, "ignored"), "warning: something\ndo this");
}

}  // namespace
}  // namespace tailrace::language
