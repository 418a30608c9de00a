#include "model/json_scanner.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "base/random.h"
#include "model/json.h"

namespace tailrace {
namespace {

using testing::HasSubstr;

// "ok", "flaw N" or the error.
std::string verdict(std::string_view text) {
  JsonScanner scanner(text);
  JsonSlice slice;
  if (!scanner.value(slice)) return scanner.error();
  if (!scanner.at_end()) return "something follows";
  switch (scanner.take_flaw()) {
    case JsonFlaw::none:
      return "ok";
    case JsonFlaw::number_too_large:
      return "number too large";
    case JsonFlaw::half_surrogate:
      return "half surrogate";
    case JsonFlaw::too_deep:
      return "too deep";
  }
  return "";
}

std::string minified(std::string_view text) {
  JsonScanner scanner(text);
  JsonSlice slice;
  EXPECT_TRUE(scanner.value(slice)) << text;
  std::string out;
  append_minified(out, slice);
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  append_unescaped(out, text);
  return out;
}

TEST(JsonScanner, takes_every_form_of_value) {
  for (const char* text :
       {"{}", "[]", " [ ] ", "\"\"", "0", "-0", "-1.5e+10", "1E5", "123456789012345678901234567890", "true",
        "false", "null", R"({"a":[1,{"b":null}],"a":2})", R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")",
        "\"\xc3\xa9\"", "[\t1 ,\r\n2 ]"}) {
    EXPECT_EQ(verdict(text), "ok") << text;
  }
}

TEST(JsonScanner, refuses_what_is_not_json_and_says_where) {
  EXPECT_EQ(verdict(R"({"a":tru})"), "not valid JSON: expected a value at byte 5");
  EXPECT_EQ(verdict(R"([1,,2])"), "not valid JSON: expected a value at byte 3");
  EXPECT_EQ(verdict(R"({"a" 1})"), "not valid JSON: expected `:` at byte 5");
  EXPECT_EQ(verdict("[1}"), "not valid JSON: expected `,` or `]` at byte 2");
  EXPECT_EQ(verdict("{\"a\":1]"), "not valid JSON: expected `,` or `}` at byte 6");
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "{\"",
                           "{\"a",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "[1,]",
                           "[1",
                           "{a:1}",
                           "{'a':1}",
                           "{1:1}",
                           "01",
                           "-",
                           "+1",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "0x1",
                           "NaN",
                           "Infinity",
                           "nul",
                           "tRue",
                           "\"",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\ud83d\\u12\"",
                           "\"a\nb\"",
                           "\"a\x01\"",
                           "[1] 2",
                           "}",
                           "]",
                           ",",
                           "// c",
                           "[1 2]"}) {
    EXPECT_THAT(verdict(text), testing::AnyOf(HasSubstr("not valid JSON"), "something follows")) << text;
  }
  EXPECT_THAT(verdict(std::string_view("[\0]", 3)), HasSubstr("not valid JSON"));
}

TEST(JsonScanner, a_control_character_is_found_wherever_it_stands) {
  for (std::size_t length = 0; length < 20; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      std::string text(length, 'x');
      EXPECT_EQ(verdict("\"" + text + "\""), "ok");
      text[at] = '\x1f';
      EXPECT_THAT(verdict("\"" + text + "\""), HasSubstr("control")) << length << " " << at;
      text[at] = '\x7f';
      EXPECT_EQ(verdict("\"" + text + "\""), "ok");
      text[at] = '\xff';  // UTF-8 is checked elsewhere; only the run must not end here
      EXPECT_EQ(verdict("\"" + text + "\""), "ok");
    }
  }
}

TEST(JsonScanner, tells_what_is_json_but_cannot_be_kept) {
  EXPECT_EQ(verdict("[1e400]"), "number too large");
  EXPECT_EQ(verdict("[" + std::string(400, '9') + "]"), "number too large");
  EXPECT_EQ(verdict("[1e308,1e-400]"), "ok");
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")",
                           R"("\ud800\ud800\udc00")", R"("\udc00\ud800")"}) {
    EXPECT_EQ(verdict(text), "half surrogate") << text;
  }
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + "1" + std::string(levels, ']');
  };
  EXPECT_EQ(verdict(nested(kJsonDepthMax)), "ok");
  EXPECT_EQ(verdict(nested(kJsonDepthMax + 1)), "too deep");
  EXPECT_EQ(verdict(nested(1024)), "too deep");
  EXPECT_THAT(verdict(nested(1025)), HasSubstr("less nesting"));
  EXPECT_THAT(verdict(std::string(1'000'000, '[')), HasSubstr("less nesting"));
  EXPECT_THAT(verdict(nested(1'000'000)), HasSubstr("less nesting"));
}

TEST(JsonScanner, what_has_no_flaw_is_read_by_parse_json) {
  const auto nested = std::string(kJsonDepthMax, '[') + "1" + std::string(kJsonDepthMax, ']');
  for (const std::string& text :
       {nested, std::string("[1e308,1e-400]"), std::string("[123456789012345678901234567890]"),
        "[" + std::string(300, '9') + "]", std::string("[-0,0.1e-5]")}) {
    ASSERT_EQ(verdict(text), "ok");
    EXPECT_TRUE(parse_json(text).has_value()) << text << parse_json(text).error().message;
  }
}

TEST(JsonScanner, unescapes) {
  EXPECT_EQ(unescaped(R"(\"\\\/\b\f\n\r\t|plain)"), "\"\\/\b\f\n\r\t|plain");
  EXPECT_EQ(unescaped(R"(\u0041\u00e9\u20ac\ud83d\ude00)"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(unescaped(R"(\ud83d|\ude00|\ud83d\ud83d\ude00)"),
            "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xf0\x9f\x98\x80");
  EXPECT_EQ(unescaped(R"(\u0000)"), std::string(1, '\0'));
}

TEST(JsonScanner, minifies_and_keeps_the_rest_as_it_is) {
  EXPECT_EQ(minified("{ \"a b\" : [ 1.50 , \"x  y\\u0020\" ] ,\n\"a b\":\t{ } }"),
            "{\"a b\":[1.50,\"x  y\\u0020\"],\"a b\":{}}");
  EXPECT_EQ(minified(R"({"a":1})"), R"({"a":1})");
  const std::string long_text(1000, ' ');
  EXPECT_EQ(minified("[" + long_text + "1," + long_text + "\"" + long_text + "\"]"),
            "[1,\"" + long_text + "\"]");
}

// Random texts near JSON: what simdjson's DOM takes is taken, what it refuses is refused, or is a flaw of
// ours.
TEST(JsonScanner, agrees_with_simdjson) {
  static const std::vector<std::string> kPieces{
      "{",  "}",    "[",       "]",       ",",     ":",          "\"a\"", "\"b\\n\"", "\"\\u00e9\"",
      "1",  "-2.5", "0",       "1e3",     "true",  "false",      "null",  " ",        "\n",
      "\"", "\\",   "\"a\":1", "\"k\":[", "[1,2]", "{\"x\":{}}", "1.",    "00"};
  Random random(20'260'301);
  simdjson::dom::parser parser;
  int accepted = 0;
  for (int round = 0; round < 300'000; ++round) {
    std::string text(random.below(3) == 0 ? "" : random.below(2) == 0 ? "[" : "{");
    const char* const closing = text == "[" ? "]" : text == "{" ? "}" : "";
    for (std::uint64_t pieces = random.below(7); pieces > 0; --pieces)
      text += kPieces[random.below(kPieces.size())];
    text += closing;
    const bool theirs = parser.parse(text).error() == simdjson::SUCCESS;
    accepted += theirs;
    ASSERT_EQ(verdict(text) == "ok", theirs) << text << " (round " << round << ")";
  }
  EXPECT_GT(accepted, 10'000);
}

}  // namespace
}  // namespace tailrace
