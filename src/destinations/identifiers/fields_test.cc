#include "destinations/identifiers/fields.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "destinations/identifiers/identifiers.h"

namespace tailrace::destinations {
namespace {

std::string text_of(const Result<std::string>& result) {
  return result ? *result : "! " + result.error().message;
}
std::string refused(std::string_view reason) { return "! " + std::string(reason); }

constexpr Locality kNowhere{};
constexpr Locality kAmerican{.region = "US", .country = "United States"};
constexpr Locality kGerman{.region = "DE", .country = "DE"};

TEST(Fields, are_found_by_their_names_and_by_those_platforms_give_them) {
  for (int i = 0; i <= static_cast<int>(kLastField); ++i) {
    const auto field = static_cast<Field>(i);
    EXPECT_NE(to_string(field), "");
    EXPECT_EQ(field_named(to_string(field)), field) << to_string(field);
  }
  EXPECT_EQ(field_named("zip"), Field::postal_code);
  EXPECT_EQ(field_named("em"), Field::email);
  EXPECT_EQ(field_named("gaid"), Field::aaid);
  EXPECT_EQ(field_named("shoe_size"), std::nullopt);
}

TEST(EmailForms, differ_by_platform) {
  const auto form = [](std::string_view raw, EmailForm of) { return text_of(normalise_email(raw, of)); };
  constexpr EmailForm kKeep{};
  constexpr EmailForm kGmail{.dots = Dots::remove_of_gmail};
  constexpr EmailForm kAll{.dots = Dots::remove, .tag = Tag::remove, .blanks = Blanks::remove};
  EXPECT_EQ(form(" A.d.a+News@Gmail.com", kKeep), "a.d.a+news@gmail.com");
  EXPECT_EQ(form(" A.d.a+News@Gmail.com", kGmail), "ada+news@gmail.com");
  EXPECT_EQ(form(" A.d.a+News@Gmail.com", kAll), "ada@gmail.com");
  EXPECT_EQ(form("A.d.a+News@Example.com", kGmail), "a.d.a+news@example.com");
  EXPECT_EQ(form("A.d. a+News@Example.com", kAll), "ada@example.com");
  EXPECT_EQ(form("ada lovelace@example.com", kKeep), refused(kEmailBlank));
  EXPECT_EQ(form("+news@example.com", kAll), refused(kEmailLocal));
  EXPECT_EQ(form(".+news@example.com", kAll), refused(kEmailLocal));
}

TEST(Phones, are_digits_with_the_plus_or_without) {
  EXPECT_EQ(text_of(phone_with_plus("(415) 555-2671", kAmerican)), "+14155552671");
  EXPECT_EQ(text_of(phone_digits("(415) 555-2671", kAmerican)), "14155552671");
  EXPECT_EQ(text_of(phone_digits("+44 20 7946 0018", kAmerican)), "442079460018");
  EXPECT_EQ(text_of(phone_digits("020 7946 0018", {.region = "", .country = "United Kingdom"})),
            "442079460018");
  EXPECT_EQ(text_of(phone_digits("020 7946 0018", kNowhere)), refused(kPhoneNoCountry));
}

TEST(Texts, lose_what_their_form_takes_away) {
  EXPECT_EQ(text_of(lower_text(" Mary-Ann O'Hara ", kAsIs)), "mary-ann o'hara");
  EXPECT_EQ(text_of(lower_text(" Mary-Ann O'Hara ", kWithoutBlanks)), "mary-anno'hara");
  EXPECT_EQ(text_of(lower_text(" Mary-Ann O'Hara 2nd", kLettersAndDigits)), "maryannohara2nd");
  EXPECT_EQ(text_of(lower_text("St. Louis 7 €", kLetters)), "stlouis");
  EXPECT_EQ(text_of(lower_text("ŻÓŁĆ", kLetters)), "żółć");
  EXPECT_EQ(text_of(lower_text("李 明", kLetters)), "李明");
  EXPECT_EQ(text_of(lower_text("--", kLetters)), refused(kNothingLeft));
  EXPECT_EQ(text_of(lower_text("  ", kLetters)), refused(kEmpty));
  EXPECT_EQ(text_of(lower_text("a\xff", kLetters)), refused(kNotUtf8));
  EXPECT_EQ(text_of(first_initial("Élise", kNowhere)), "é");
}

TEST(Genders, are_one_letter) {
  for (const char* raw : {"f", "F", " Female", "woman"})
    EXPECT_EQ(text_of(gender(raw, kNowhere)), "f") << raw;
  for (const char* raw : {"m", "Male", "MAN "}) EXPECT_EQ(text_of(gender(raw, kNowhere)), "m") << raw;
  EXPECT_EQ(text_of(gender("x", kNowhere)), refused(kGender));
}

TEST(Dates, are_read_in_the_usual_orders_and_must_exist) {
  for (const char* raw :
       {"1990-07-05", "19900705", "07/05/1990", "5.7.1990", "1990/7/5", "1990-07-05T00:00:00Z"})
    EXPECT_EQ(text_of(date_digits(raw, kNowhere)), "19900705") << raw;
  for (const char* raw :
       {"1990-02-29", "1990-13-01", "1990-00-01", "31.4.1990", "90-07-05", "1700-01-01", "soon"})
    EXPECT_EQ(text_of(date_digits(raw, kNowhere)), refused(kDate)) << raw;
  EXPECT_EQ(text_of(date_digits("2000-02-29", kNowhere)), "20000229");
  EXPECT_EQ(text_of(birth_year("1990-07-05", kNowhere)), "1990");
  EXPECT_EQ(text_of(birth_year("1990", kNowhere)), "1990");
  EXPECT_EQ(text_of(birth_month("7", kNowhere)), "07");
  EXPECT_EQ(text_of(birth_day("1990-07-05", kNowhere)), "05");
  EXPECT_EQ(text_of(birth_month("13", kNowhere)), refused(kDate));
}

TEST(Countries, are_two_letters_of_a_code_or_a_name) {
  for (const char* raw : {"de", "DE", "DEU", "Germany", " germany "})
    EXPECT_EQ(text_of(country_lower(raw, kNowhere)), "de") << raw;
  EXPECT_EQ(text_of(country_upper("United States", kNowhere)), "US");
  EXPECT_EQ(text_of(country_upper("USA", kNowhere)), "US");
  EXPECT_EQ(text_of(country_lower("Atlantis", kNowhere)), refused(kCountry));
}

TEST(States, have_codes_in_north_america_and_names_elsewhere) {
  EXPECT_EQ(text_of(state_code_or_letters("California", kAmerican)), "ca");
  EXPECT_EQ(text_of(state_code_or_letters("New York", kNowhere)), "ny");
  EXPECT_EQ(text_of(state_code_or_letters("QC", kAmerican)), "qc");
  EXPECT_EQ(text_of(state_code_or_letters("Nordrhein-Westfalen", kGerman)), "nordrheinwestfalen");
  EXPECT_EQ(text_of(state_code("Nordrhein-Westfalen", kGerman)), refused(kState));
}

TEST(PostalCodes, are_five_digits_in_the_united_states) {
  EXPECT_EQ(text_of(postal_code("94025-1234", kAmerican)), "94025");
  EXPECT_EQ(text_of(postal_code("94025-1234", kNowhere)), "94025");
  EXPECT_EQ(text_of(postal_code("SW1A 1AA", {.region = "", .country = "GB"})), "sw1a1aa");
  EXPECT_EQ(text_of(postal_code("1234-567", {.region = "", .country = "PT"})), "1234-567");
  EXPECT_EQ(text_of(postal_digits("1234-567", {.region = "", .country = "PT"})), "1234567");
}

TEST(MobileIds, are_uuids_in_the_platforms_case) {
  constexpr std::string_view kId = "AECE52E7-03EE-455A-B3C4-E57283966239";
  EXPECT_EQ(text_of(mobile_id_lower(kId, kNowhere)), "aece52e7-03ee-455a-b3c4-e57283966239");
  EXPECT_EQ(text_of(mobile_id_upper("aece52e703ee455ab3c4e57283966239", kNowhere)), kId);
  EXPECT_EQ(text_of(mobile_id_lower("00000000-0000-0000-0000-000000000000", kNowhere)), refused(kNoTracking));
  EXPECT_EQ(text_of(mobile_id_lower("not-an-id", kNowhere)), refused(kMobileId));
  EXPECT_EQ(text_of(mobile_id_lower("aece52e7-03ee-455a-b3c4e-57283966239", kNowhere)), refused(kMobileId));
}

TEST(IpAddresses, are_written_in_one_way) {
  EXPECT_EQ(text_of(ip_address(" 203.0.113.7 ", kNowhere)), "203.0.113.7");
  EXPECT_EQ(text_of(ip_address("2001:DB8:0:0::1", kNowhere)), "2001:db8::1");
  EXPECT_EQ(text_of(ip_address("203.0.113.300", kNowhere)), refused(kIpAddress));
}

TEST(Prepare, hashes_once) {
  const FieldRule hashed{Field::email, "em", &email<EmailForm{}>, Hashing::sha256_hex};
  const std::string digest = sha256_hex("ada@example.com");
  EXPECT_EQ(prepare(hashed, " Ada@Example.com", {})->value, digest);
  EXPECT_EQ(prepare(hashed, "ADA@example.com", {})->normalised, "ada@example.com");
  std::string shouted = digest;
  for (char& c : shouted) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(prepare(hashed, " " + shouted, {})->value, digest);
}

TEST(Prepare, refuses_a_hash_where_the_platform_wants_the_value) {
  const FieldRule plain{Field::ip_address, "ip", &ip_address};
  const FieldRule id{Field::external_id, "id", &opaque};
  const std::string digest = sha256_hex("203.0.113.7");
  EXPECT_EQ(prepare(plain, digest, {}).error().message, kIsHashed);
  EXPECT_EQ(prepare(id, digest, {})->value, digest);  // an id of one's own may look like that
}

}  // namespace
}  // namespace tailrace::destinations
