#include "model/json.h"

#include <gtest/gtest.h>

namespace tailrace {
namespace {

// The text, read and written again; or the error.
std::string again(std::string_view text) {
  const auto value = parse_json(text);
  return value ? to_json(*value) : "error: " + value.error().message;
}

TEST(Json, keeps_what_it_reads) {
  for (const auto* text : {R"({"a":1,"b":[true,false,null],"c":{"d":"x\ny"}})", "[]", "{}", "1", R"("a")",
                           "null", "[19.99,-0.05,123456789012345678]"}) {
    EXPECT_EQ(again(text), text);
  }
}

TEST(Json, keeps_decimals_exact) {
  EXPECT_EQ(again("[0.1, 19.990, 1e2, 100000000000000000]"), "[0.1,19.99,100,100000000000000000]");
}

TEST(Json, refuses_what_is_not_json) {
  for (const auto* text : {"", "{", "[1,,2]", "{\"a\":tru}", "[1] 2", "{\"a\":1},", "[1]]", "\"\\ud800\"",
                           "\"\xff\"", "nul", "01", "[01]", "1 2"}) {
    EXPECT_TRUE(again(text).starts_with("error: not valid JSON")) << text << " gave " << again(text);
  }
}

TEST(Json, refuses_what_is_nested_too_deeply) {
  EXPECT_TRUE(
      again(std::string(kJsonDepthMax + 2, '[') + std::string(kJsonDepthMax + 2, ']')).starts_with("error:"));
}

TEST(Value, finds_paths) {
  const Value value = *parse_json(R"({"address":{"city":"Oslo"},"a.b":1,"twice":1,"twice":2})");
  EXPECT_EQ(to_json(*value.find_path("address.city")), "\"Oslo\"");
  EXPECT_EQ(to_json(*value.find_path("a.b")), "1");
  EXPECT_EQ(to_json(*value.find_path("twice")), "2");
  EXPECT_EQ(value.find_path("address.street"), nullptr);
  EXPECT_EQ(value.find_path("address.city.x"), nullptr);
}

}  // namespace
}  // namespace tailrace
