#include "destinations/selection.h"

#include <gtest/gtest.h>

#include "model/json.h"

namespace tailrace::destinations {
namespace {

std::string left(const Selection& selection, std::string_view json) {
  return to_json(selection.apply(*parse_json(json)));
}

TEST(Selection, one_that_says_nothing_lets_all_through) {
  EXPECT_TRUE(Selection{}.empty());
  EXPECT_EQ(left({}, R"({"total":12.5,"items":[{"sku":"A"}]})"), R"({"total":12.5,"items":[{"sku":"A"}]})");
}

TEST(Selection, what_is_included_goes_and_nothing_else) {
  Selection selection;
  selection.include = {"total", "absent"};
  EXPECT_EQ(left(selection, R"({"total":12.5,"note":"x"})"), R"({"total":12.5})");
}

TEST(Selection, what_is_excluded_stays_at_home_however_deep) {
  Selection selection;
  selection.exclude = {"note", "shipping.street", "a.b", "shipping.nothing.there"};
  EXPECT_EQ(left(selection, R"({"note":"x","shipping":{"street":"1 Main","city":"Ulm"},"a.b":1,"c":2})"),
            R"({"shipping":{"city":"Ulm"},"c":2})");
}

TEST(Selection, hashes_and_masks_keep_the_shape) {
  Selection selection;
  selection.hash = {"email"};
  selection.mask = {"phones", "who.name"};
  EXPECT_EQ(left(selection,
                 R"({"email":"ada@example.com","phones":["1","2"],"who":{"name":"Ada","age":3},"n":null})"),
            R"({"email":"b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72",)"
            R"("phones":["***","***"],"who":{"name":"***","age":3},"n":null})");
}

TEST(Selection, is_done_by_our_names_and_renamed_last) {
  Selection selection;
  selection.include = {"total"};
  selection.mask = {"total"};
  selection.rename = {{"total", "revenue"}};
  EXPECT_EQ(left(selection, R"({"total":1,"revenue":2})"), R"({"revenue":"***"})");
}

}  // namespace
}  // namespace tailrace::destinations
