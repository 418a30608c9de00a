#include "destinations/identifiers/identifiers.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <phonenumbers/phonenumberutil.h>

#include "support/source_dir.h"

namespace tailrace::destinations {
namespace {

using std::string_literals::operator""s;

std::string email(std::string_view raw, GmailDots dots = GmailDots::keep) {
  const auto result = normalise_email(raw, dots);
  return result ? *result : "! " + result.error().message;
}

std::string phone(std::string_view raw, const std::string& region = "") {
  const auto result = normalise_phone(raw, region);
  return result ? *result : "! " + result.error().message;
}

std::string refused(std::string_view reason) { return "! " + std::string(reason); }

TEST(Email, is_trimmed_and_in_lower_case) {
  EXPECT_EQ(email("ada@example.com"), "ada@example.com");
  EXPECT_EQ(email(" \t\r\nAda.Lovelace+News@Example.COM\n"), "ada.lovelace+news@example.com");
  EXPECT_EQ(email("\xc2\xa0"
                  "Ada@example.com\xe2\x80\xaf\xe3\x80\x80"),
            "ada@example.com");
  EXPECT_EQ(email("o'brien_!#$%&*/=?^`{|}~-@sub-1.example.co"), "o'brien_!#$%&*/=?^`{|}~-@sub-1.example.co");
}

TEST(Email, lowers_letters_beyond_ascii) {
  EXPECT_EQ(email("ÄDA@EXAMPLE.COM"), "äda@example.com");
  EXPECT_EQ(email("ΑΔΑ@example.com"), "αδα@example.com");
  EXPECT_EQ(email("ada@BÜCHER.example"), "ada@bücher.example");
  EXPECT_EQ(email("straße@example.com"), "straße@example.com");
}

TEST(Email, loses_its_dots_at_gmail_alone_and_only_where_asked) {
  EXPECT_EQ(email("A.d.a+x.y@Gmail.com", GmailDots::remove), "ada+xy@gmail.com");
  EXPECT_EQ(email("a.d.a@googlemail.com", GmailDots::remove), "ada@googlemail.com");
  EXPECT_EQ(email("a.d.a@mail.gmail.com", GmailDots::remove), "a.d.a@mail.gmail.com");
  EXPECT_EQ(email("a.d.a@notgmail.com", GmailDots::remove), "a.d.a@notgmail.com");
  EXPECT_EQ(email("a.d.a@gmail.com", GmailDots::keep), "a.d.a@gmail.com");
  EXPECT_EQ(email("...@gmail.com", GmailDots::remove), refused(kEmailLocal));
}

TEST(Email, is_refused_with_a_reason_that_can_be_counted) {
  EXPECT_EQ(email(""), refused(kEmpty));
  EXPECT_EQ(email(" \n "), refused(kEmpty));
  EXPECT_EQ(email("ada"), refused(kEmailOneAt));
  EXPECT_EQ(email("ada@@example.com"), refused(kEmailOneAt));
  EXPECT_EQ(email("ada@example.com@example.org"), refused(kEmailOneAt));
  EXPECT_EQ(email("ada\xef\xbc\xa0"
                  "example.com"),
            refused(kEmailOneAt));
  EXPECT_EQ(email("ada lovelace@example.com"), refused(kEmailBlank));
  EXPECT_EQ(email("ada@example.com bob@example.com"), refused(kEmailBlank));
  EXPECT_EQ(email("ada\0@example.com"s), refused(kEmailBlank));
  EXPECT_EQ(email("ada\x7f@example.com"), refused(kEmailBlank));
  EXPECT_EQ(email("a\xc2\xa0"
                  "da@example.com"),
            refused(kEmailBlank));
  EXPECT_EQ(email("ada\xe2\x80\x8b@example.com"), refused(kEmailBlank));
  EXPECT_EQ(email("\xff@example.com"), refused(kNotUtf8));
  EXPECT_EQ(email("\xed\xa0\x80@example.com"), refused(kNotUtf8));
  EXPECT_EQ(email("ada@example.com\xc3"), refused(kNotUtf8));
  EXPECT_EQ(email("@example.com"), refused(kEmailLocal));
  EXPECT_EQ(email("<ada@example.com>"), refused(kEmailLocal));
  EXPECT_EQ(email("mailto:ada@example.com"), refused(kEmailLocal));
  EXPECT_EQ(email("\"ada\"@example.com"), refused(kEmailLocal));
  for (const auto* domain :
       {"", "localhost", ".com", "example.", "example..com", "-a.com", "a-.com", "exa_mple.com",
        "[127.0.0.1]", "127.0.0.1", "example.com.", "exa,mple.com", "example.com>"})
    EXPECT_EQ(email("ada@"s + domain), refused(kEmailDomain)) << domain;
}

TEST(Email, has_limits) {
  const std::string local(64, 'a');
  EXPECT_EQ(email(local + "@example.com"), local + "@example.com");
  EXPECT_EQ(email(local + "a@example.com"), refused(kEmailLocal));
  const std::string label(63, 'b');
  EXPECT_EQ(email("a@" + label + ".com"), "a@" + label + ".com");
  EXPECT_EQ(email("a@b" + label + ".com"), refused(kEmailDomain));
  const std::string domain = label + "." + label + "." + label + "." + std::string(60, 'b');
  EXPECT_EQ(email("a@" + domain.substr(0, 252)), "a@" + domain.substr(0, 252));
  EXPECT_EQ(email("aa@" + domain.substr(0, 252)), refused(kTooLong));
  EXPECT_EQ(email(std::string(1 << 20, ' ') + "ada@example.com"), refused(kTooLong));
}

TEST(Phone, becomes_e164) {
  EXPECT_EQ(phone("+44 20 7946 0018"), "+442079460018");
  EXPECT_EQ(phone("020 7946 0018", "GB"), "+442079460018");
  EXPECT_EQ(phone("0044 20 7946 0018", "GB"), "+442079460018");
  EXPECT_EQ(phone("(201) 555-0123", "US"), "+12015550123");
  EXPECT_EQ(phone("+1 201.555.0123 ext. 7", "GB"), "+12015550123");
  EXPECT_EQ(phone("tel:+1-201-555-0123"), "+12015550123");
  EXPECT_EQ(phone("＋１２０１５５５０１２３"), "+12015550123");
  EXPECT_EQ(phone("02 1234 5678", "IT"), "+390212345678");  // Italy keeps its zero
}

TEST(Phone, needs_a_country) {
  EXPECT_EQ(phone("020 7946 0018"), refused(kPhoneNoCountry));
  EXPECT_EQ(phone("00442079460018"), refused(kPhoneNoCountry));
  EXPECT_EQ(phone("+999 20 7946 0018"), refused(kPhoneUnknownCountry));
  EXPECT_EQ(phone("020 7946 0018", "XX"), refused(kPhoneUnknownCountry));
}

TEST(Phone, is_refused_when_it_cannot_be_one) {
  EXPECT_EQ(phone(""), refused(kEmpty));
  EXPECT_EQ(phone("  "), refused(kEmpty));
  EXPECT_EQ(phone("none", "GB"), refused(kPhoneNotANumber));
  EXPECT_EQ(phone("ada@example.com", "GB"), refused(kPhoneNotANumber));
  EXPECT_EQ(phone("+44 1"), refused(kPhoneTooShort));
  EXPECT_EQ(phone("+1 555 0123"), refused(kPhoneLocalOnly));
  EXPECT_EQ(phone("+1 201 555 012345"), refused(kPhoneTooLong));
  EXPECT_EQ(phone(std::string(251, '1'), "GB"), refused(kPhoneTooLong));
  EXPECT_EQ(phone("+44 20 7946\xff 0018"), refused(kNotUtf8));
}

// Numbers with their country are mostly not put to the library; this test does that.
TEST(Phone, with_its_country_is_what_the_library_makes_of_it) {
  using i18n::phonenumbers::PhoneNumberUtil;
  const PhoneNumberUtil& library = *PhoneNumberUtil::GetInstance();
  const auto read = [&](const std::string& text) -> std::string {
    i18n::phonenumbers::PhoneNumber number;
    if (library.Parse(text, "ZZ", &number) != PhoneNumberUtil::NO_PARSING_ERROR) return "";
    if (library.IsPossibleNumberWithReason(number) != PhoneNumberUtil::IS_POSSIBLE) return "";
    std::string formatted;
    library.Format(number, PhoneNumberUtil::E164, &formatted);
    return formatted;
  };
  std::mt19937_64 random(1);
  for (const char* code : {"1",   "27", "30", "31", "32",  "33",  "34", "36", "39", "40", "41", "420",
                           "421", "43", "44", "45", "46",  "47",  "48", "49", "61", "64", "65", "81",
                           "90",  "91", "7",  "52", "351", "353", "54", "55", "86", "98", "972"}) {
    for (std::size_t digits = 6; digits <= 12; ++digits) {
      for (int lead = 0; lead < 100; ++lead) {
        std::string text = fmt::format("+{}{:02}", code, lead);
        while (text.size() < 1 + std::strlen(code) + digits) {
          if (random() % 5 == 0) text += random() % 2 == 0 ? " " : "-";
          text += static_cast<char>('0' + random() % 10);
        }
        const auto got = normalise_phone(text, "");
        ASSERT_EQ(got ? *got : "", read(text)) << text;
      }
    }
  }
}

TEST(Phone, gives_the_same_answer_the_second_time_and_per_region) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(phone("2015550123", "US"), "+12015550123");
    EXPECT_EQ(phone("2015550123", "GB"), "+442015550123");
    EXPECT_EQ(phone("2015550123"), refused(kPhoneNoCountry));
  }
}

TEST(Phone, forgets_old_answers_and_stays_right) {
  for (int i = 0; i < 70'000; ++i) {
    const std::string digits = std::to_string(2'000'000'000 + i);
    ASSERT_EQ(phone("+44" + digits), "+44" + digits);
  }
  EXPECT_EQ(phone("+442000000000"), "+442000000000");
}

TEST(Opaque, is_trimmed_and_otherwise_kept) {
  EXPECT_EQ(*normalise_opaque("  CRM-1 x "), "CRM-1 x");
  EXPECT_EQ(normalise_opaque("  ").error().message, kEmpty);
  EXPECT_EQ(normalise_opaque("a\nb").error().message, kNotUtf8);
  EXPECT_EQ(normalise_opaque("a\x80").error().message, kNotUtf8);
  EXPECT_EQ(normalise_opaque(std::string(1025, 'a')).error().message, kTooLong);
}

TEST(Hash, is_known_when_it_is_64_hexadecimal_digits) {
  EXPECT_TRUE(is_sha256_hex(std::string(64, 'a')));
  EXPECT_TRUE(is_sha256_hex(std::string(64, 'F')));
  EXPECT_FALSE(is_sha256_hex(std::string(63, 'a')));
  EXPECT_FALSE(is_sha256_hex(std::string(65, 'a')));
  EXPECT_FALSE(is_sha256_hex(std::string(63, 'a') + "g"));
}

// The published example numbers of libphonenumber, in nine ways of writing each.
class PublishedPhones : public ::testing::Test {
 protected:
  static std::string folder() {
    if (const char* shared = std::getenv("TAILRACE_SHARED_DATA")) return shared;
    return testing::source_dir() + "/../shared/data";
  }
  // The lines of a gzip file; empty when there is none.
  static std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    if (!std::filesystem::exists(path)) return lines;
    FILE* pipe = popen(("gzip -dc '" + path + "'").c_str(), "r");
    std::string text;
    char buffer[4096];
    while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, size);
    pclose(pipe);
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  static std::vector<std::string> cells_of(const std::string& line) {
    std::vector<std::string> cells{""};
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        cells.emplace_back();
      } else if (c != '\r') {
        cells.back() += c;
      }
    }
    return cells;
  }
};

TEST_F(PublishedPhones, are_read_as_the_reference_implementation_reads_them) {
  const auto lines = lines_of(folder() + "/identifiers/phone_libphonenumber_cases.csv.gz");
  if (lines.empty())
    GTEST_SKIP() << "no published cases: set TAILRACE_SHARED_DATA to the folder that holds identifiers/";
  std::size_t wrong = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto cells = cells_of(lines[i]);
    ASSERT_EQ(cells.size(), 8u) << lines[i];
    const std::string got = phone(cells[3], cells[4]);
    wrong += got != cells[5];
    EXPECT_EQ(got, cells[5]) << lines[i];
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(lines.size(), 6000u);
}

}  // namespace
}  // namespace tailrace::destinations
