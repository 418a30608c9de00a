#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/number.h"
#include "base/time.h"

namespace tailrace {
namespace {

Number n(std::string_view text) { return *Number::parse(text); }

TEST(Number, prints_decimals_as_they_are) {
  for (const auto* text : {"0", "1", "-1", "19.99", "-0.05", "123456789012345678", "0.000000000000000001"})
    EXPECT_EQ(n(text).to_string(), text);
  EXPECT_EQ(n("1e3").to_string(), "1000");
  EXPECT_EQ(n("1.500").to_string(), "1.5");
  EXPECT_EQ(n("-0").to_string(), "0");
}

TEST(Number, refuses_what_is_not_a_number) {
  for (const auto* text : {"", "-", "1.", ".5", "01", "1e", "1e400", "NaN", "1 ", "+1", "0x10"})
    EXPECT_FALSE(Number::parse(text)) << text;
}

TEST(Number, sums_exactly) {
  Number sum;
  for (int i = 0; i < 1000; ++i) sum = sum + n("0.1");
  EXPECT_EQ(sum, n("100"));
  EXPECT_EQ(n("0.1") + n("0.2"), n("0.3"));
  EXPECT_EQ(n("1") - n("0.999999999999999999"), n("0.000000000000000001"));
}

TEST(Number, compares_quotients_by_cross_multiplication) {
  EXPECT_EQ(*divide(n("1"), n("3")), *divide(n("2"), n("6")));
  EXPECT_LT(*divide(n("1"), n("3")), *divide(n("333333333333333334"), n("999999999999999999")));
  EXPECT_GT(*divide(n("1"), n("3")), *divide(n("333333333333333332"), n("999999999999999999")));
  EXPECT_LT(*divide(n("-1"), n("3")), *divide(n("1"), n("-4")));
  EXPECT_FALSE(divide(n("1"), n("0")).has_value());
}

TEST(Number, compares_beyond_the_width_of_a_product) {
  const Number a = *divide(n("999999999999999999"), n("999999999999999998"));
  const Number b = *divide(n("999999999999999998"), n("999999999999999997"));
  EXPECT_LT(a * a, b * b);
}

TEST(Number, becomes_a_double_beyond_eighteen_digits) {
  EXPECT_FALSE(n("1234567890123456789").is_exact());
  EXPECT_TRUE(n("123456789012345678").is_exact());
  EXPECT_DOUBLE_EQ(n("1e300").to_double(), 1e300);
}

TEST(Time, reads_and_prints_iso_8601) {
  EXPECT_EQ(format_time(*parse_time("2026-03-01")), "2026-03-01T00:00:00.000Z");
  EXPECT_EQ(format_time(*parse_time("2026-03-01T10:00:00.123Z")), "2026-03-01T10:00:00.123Z");
  EXPECT_EQ(format_time(*parse_time("2026-03-01T10:00:00.123999+02:00")), "2026-03-01T08:00:00.123Z");
  EXPECT_EQ(format_time(*parse_time("2024-02-29 23:59")), "2024-02-29T23:59:00.000Z");
  EXPECT_EQ(format_time(*parse_time("1969-12-31T23:59:59.5Z")), "1969-12-31T23:59:59.500Z");
  EXPECT_EQ(parse_time("1970-01-01")->ms, 0);
}

TEST(Time, reads_the_usual_form_as_any_other) {
  // A fourth place behind the point is cut off, and makes the form an unusual one.
  const std::string usual = "2024-02-29T23:59:58.123Z";
  for (std::size_t at = 0; at + 1 < usual.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = usual;
      text[at] = static_cast<char>(byte);
      std::string longer = text;
      longer.insert(longer.size() - 1, "0");
      const auto time = parse_time(text), expected = parse_time(longer);
      EXPECT_EQ(time.has_value(), expected.has_value()) << text;
      EXPECT_EQ(time.value_or(Time{}), expected.value_or(Time{})) << text;
    }
  }
}

TEST(Time, refuses_what_cannot_be) {
  for (const auto* text :
       {"", "2026", "2026-13-01", "2026-02-29", "40000-01-01T00:00:00Z", "0000-01-01", "2026-03-01T24:00:00Z",
        "2026-03-01T10:00:00Zx", "yesterday", "9999-12-31T23:59:59-01:00"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(Time, reads_and_prints_durations) {
  EXPECT_EQ(*parse_duration("2w"), kDay * 14);
  EXPECT_EQ(format_duration(kDay * 14), "14d");
  EXPECT_EQ(format_duration(kMinute * 90), "90m");
  EXPECT_EQ(format_duration({1500}), "1500ms");
  for (const auto* text : {"", "7", "d", "-7d", "7 d", "1.5h", "999999999999d"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Hash, knows_the_published_vectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Sha256 mac = hmac_sha256("Jefe", "what do ya want for nothing?");  // RFC 4231, case 2
  EXPECT_EQ(to_hex({reinterpret_cast<const char*>(mac.data()), mac.size()}),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  std::string bytes;
  EXPECT_TRUE(from_base64("Zm9vYg==", bytes));
  EXPECT_EQ(bytes, "foob");
  EXPECT_FALSE(from_base64("Zm9", bytes));
}

}  // namespace
}  // namespace tailrace
