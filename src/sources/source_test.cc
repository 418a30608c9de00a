#include "sources/source.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "sources/json_object.h"
#include "support/golden.h"
#include "support/source_dir.h"

namespace tailrace::sources {
namespace {

TEST(Registry, each_source_describes_itself) {
  std::set<std::string_view> types;
  for (const HttpSource* source : registry()) {
    EXPECT_TRUE(types.insert(source->type()).second) << source->type();
    EXPECT_EQ(find_source(source->type()), source);
    EXPECT_FALSE(source->title().empty());
    std::set<std::string_view> names;
    for (const Setting& setting : source->settings()) {
      EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
      EXPECT_FALSE(setting.about.empty()) << setting.name;
      EXPECT_FALSE(setting.secret && !setting.default_value.empty()) << setting.name;
      if (setting.choices.empty()) continue;
      EXPECT_THAT(setting.choices, ::testing::Contains(setting.default_value));
    }
  }
  EXPECT_EQ(find_source("carrier_pigeon"), nullptr);
}

TEST(Reference, is_generated) {
  for (const HttpSource* source : registry()) {
    testing::expect_file(fmt::format("{}/docs/sources/{}.md", testing::source_dir(), source->type()),
                         reference_markdown(*source));
  }
}

TEST(PercentDecoded, undoes_what_clients_encode) {
  EXPECT_EQ(percent_decoded("a%2Fb%20c%c3%a9"), "a/b c\u00e9");
  for (const char* wrong : {"%", "%2", "%zz", "%ff", "a%2"})
    EXPECT_EQ(percent_decoded(wrong), std::nullopt) << wrong;
}

TEST(TimeOfSeconds, is_within_the_years_that_are_taken) {
  EXPECT_EQ(time_of_seconds("1772359200")->ms, 1'772'359'200'000);
  EXPECT_EQ(time_of_seconds("1772359200.25")->ms, 1'772'359'200'250);
  for (const char* wrong : {"", "noon", "1772359200000", "-99999999999999", "1e400", "+1", " 1"})
    EXPECT_EQ(time_of_seconds(wrong), std::nullopt) << wrong;
}

TEST(SameSecret, is_equality) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "abcd", "Abc"}) EXPECT_FALSE(same_secret("abc", other)) << other;
}

TEST(JsonObjects, hand_out_members_as_they_came) {
  const auto object = JsonObject::parse(R"({"a": 1.50, "b" : [1, {"c": "\u00e9"}], "a": "x\"y", "n": null})");
  ASSERT_TRUE(object);
  EXPECT_EQ((*object)["a"].text(), "x\"y");
  EXPECT_EQ((*object)["none"].text(), "");
  EXPECT_FALSE((*object)["n"].present());
  EXPECT_EQ(minified((*object)["b"]), R"([1,{"c":"\u00e9"}])");
  const auto elements = elements_of((*object)["b"]);
  ASSERT_EQ(elements.size(), 2u);
  EXPECT_EQ(JsonObject::of(elements[1])["c"].text(), "\u00e9");
  EXPECT_TRUE(JsonObject::of(elements[0]).empty());
}

TEST(JsonObjects, refuse_or_keep_what_no_reader_could_read) {
  constexpr std::string_view kFlawed = R"({"a":1,"b":{"c":"\ud800"}})";
  EXPECT_FALSE(JsonObject::parse(kFlawed));
  const auto kept = JsonObject::parse(kFlawed, Flaws::kept);
  ASSERT_TRUE(kept);
  EXPECT_EQ((*kept)["a"].flaw, JsonFlaw::none);
  EXPECT_EQ((*kept)["b"].flaw, JsonFlaw::half_surrogate);
  for (const char* wrong : {"", "[]", "{", "{}x", "{\"a\"}", "\xff"})
    EXPECT_FALSE(JsonObject::parse(wrong)) << wrong;
}

TEST(JsonTexts, are_written_member_by_member) {
  EXPECT_EQ(JsonText().text("a", "x\"").text("b", "").raw("c", "[1]").take(), R"({"a":"x\"","c":[1]})");
  EXPECT_EQ(JsonText().take(), "{}");
}

}  // namespace
}  // namespace tailrace::sources
