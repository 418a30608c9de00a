#include <utility>

#include <gtest/gtest.h>

#include "language/language.h"
#include "model/json.h"

namespace tailrace::language {
namespace {

std::string json(std::string_view text) { return to_json(to_value(**parse(text))); }

// The canonical text of a JSON form, or the error.
std::string read(std::string_view text) {
  const auto value = parse_json(text);
  if (!value) return "not JSON: " + value.error().message;
  const auto expr = from_value(*value);
  return expr ? print(**expr) : expr.error().message;
}

TEST(JsonForm, is_what_the_reference_says) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {R"(performed "Product Viewed" at least 2 times within 24h)",
       R"({"performed":{"event":"Product Viewed","at_least":2,"within":"24h"}})"},
      {R"(performed "A" where x > 1.5 within 7d and since last "B" if any)",
       R"({"performed":{"event":"A","where":{">":[{"property":"x"},1.5]},"window":[{"within":"7d"},{"since_last":{"event":"B","if_any":true}}]}})"},
      {R"(performed "A" not followed by "B" within 2h)",
       R"({"performed":{"event":"A","steps":[{"not_followed_by":{"event":"B","within":"2h"}}]}})"},
      {"a - b - c - (d - 1) > 0",
       R"({">":[{"-":[{"attribute":"a"},{"attribute":"b"},{"attribute":"c"},{"-":[{"attribute":"d"},1]}]},0]})"},
      {R"(if a then "x" else b)", R"({"if":{"attribute":"a"},"then":"x","else":{"attribute":"b"}})"},
      {"a is missing and consent.ads", R"({"and":[{"not":{"exists":{"attribute":"a"}}},{"consent":"ads"}]})"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(json(text), expected);
    EXPECT_EQ(read(expected), text);
  }
}

TEST(JsonForm, keeps_checked_times_and_definitions) {
  EXPECT_EQ(read(R"({"<":[{"definition":"born"},{"time":"2026-01-01T00:00:00Z"}]})"),
            R"(born < "2026-01-01")");
}

TEST(JsonForm, says_where_it_is_wrong) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"null", "$: expected an object or a literal"},
      {"[]", "$: expected an object or a literal"},
      {"{}", "$: expected an object with one member, which names the form"},
      {R"({"and":[true],"or":[]})", "$: expected an object with one member, which names the form"},
      {R"({"xor":[true,false]})", "$: unknown form \"xor\""},
      {R"({"and":[true]})", "$.and: expected a list of 2 or more"},
      {R"({"and":[true,{"=":[1]}]})", "$.and[1].=: expected a list of 2"},
      {R"({"attribute":""})", "$.attribute: expected a text"},
      {R"({"in":[{"attribute":"a"},[]]})", "$.in: expected a value and a list of literals"},
      {R"({"in":[{"attribute":"a"},[{"attribute":"b"}]]})",
       "$.in[1][0]: unknown member \"attribute\"; expected one of: time"},
      {R"({"performed":{}})", "$.performed: \"event\" is missing"},
      {R"({"performed":{"event":"A","at_least":2,"exactly":3}})",
       "$.performed: more than one number of times"},
      {R"({"performed":{"event":"A","at_least":-1}})", "$.performed.at_least: expected a whole number"},
      {R"({"performed":{"event":"A","within":"soon"}})",
       "$.performed.within: `soon` is not a duration; write it like 30m, 2h, 7d or 2w"},
      {R"({"performed":{"event":"A","between_ago":["1h"]}})",
       "$.performed.between_ago: expected a list of two durations"},
      {R"({"performed":{"event":"A","calendar":"tomorrow"}})",
       "$.performed.calendar: expected one of: today, yesterday, this week, last week, this month, last "
       "month, this "
       "quarter, last quarter, this year, last year"},
      {R"({"performed":{"event":"A","window":[{}]}})",
       "$.performed.window[0]: expected an object with one bound"},
      {R"({"performed":{"event":"A","steps":[{"then":1}]}})",
       "$.performed.steps[0]: unknown member \"then\"; expected one of: followed_by, not_followed_by"},
      {R"({"was_in_segment":{"segment":"S"}})", "$.was_in_segment: \"at\" is missing"},
      {R"({"top_percent":{"by":1}})", "$.top_percent: \"amount\" is missing or is not a number from 0 on"},
      {R"({"if":true})", "$: \"then\" is missing"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(read(text), expected) << text;
}

TEST(JsonForm, refuses_what_has_no_form_as_text) {
  EXPECT_EQ(read(R"({"performed":{"event":"A","where":{"in_segment":"S"}}})"),
            "line 1, column 21: `in` cannot stand inside `where`, which is about the event alone\n"
            "  performed \"A\" where in segment \"S\"\n"
            "                      ^~\n"
            "close the `where` with parentheses and join with `and`");
  EXPECT_EQ(read(R"({"it":true})"), "this has no form as text: it");
}

TEST(JsonForm, carries_any_name) {
  for (const auto* text : {R"({"consent":"a.b\n`"})", R"({"consent":"a.b"})", R"({"attribute":"`\\\"\t"})",
                           R"({"attribute":"a..b"})", R"({"in_segment":"\"\\\u0007"})"}) {
    EXPECT_EQ(to_json(to_value(**parse(read(text)))), text) << read(text);
  }
}

TEST(JsonForm, bounds_nesting) {
  Value value = Value::of(true);
  for (int i = 0; i < 2000; ++i) {
    Value outer = Value::with(Value::Kind::object);
    outer.members.emplace_back("not", std::move(value));
    value = std::move(outer);
  }
  EXPECT_EQ(from_value(value).error().message, "nested more than 400 deep");
}

}  // namespace
}  // namespace tailrace::language
