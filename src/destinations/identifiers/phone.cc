#include <algorithm>
#include <optional>
#include <unordered_map>

#include <phonenumbers/phonenumberutil.h>

#include "destinations/identifiers/identifiers.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

// The library refuses more; refused here already so that no such text becomes a key of the cache.
constexpr std::size_t kPhoneBytesMax = 250;
// The same people are sent to several destinations.
constexpr std::size_t kCacheEntriesMax = 65'536;
constexpr char kUnknownRegion[] = "ZZ";
constexpr std::string_view kFullWidthPlus = "\xef\xbc\x8b";

std::unexpected<Error> refuse(std::string_view reason) { return invalid(std::string(reason)); }

bool names_country(std::string_view text) {
  return text.find('+') != std::string_view::npos || text.find(kFullWidthPlus) != std::string_view::npos;
}

Result<void> check_length(const PhoneNumberUtil& util, const PhoneNumber& number) {
  switch (util.IsPossibleNumberWithReason(number)) {
    case PhoneNumberUtil::IS_POSSIBLE:
      return {};
    case PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY:
      return refuse(kPhoneLocalOnly);
    case PhoneNumberUtil::TOO_SHORT:
      return refuse(kPhoneTooShort);
    case PhoneNumberUtil::TOO_LONG:
      return refuse(kPhoneTooLong);
    case PhoneNumberUtil::INVALID_COUNTRY_CODE:
      return refuse(kPhoneUnknownCountry);
    case PhoneNumberUtil::INVALID_LENGTH:
      return refuse(kPhoneImpossible);
  }
  return refuse(kPhoneImpossible);
}

// Most numbers are written with their country, and of the countries below the library changes nothing about
// such a number: a calling code, how many digits follow it, and the least the first of them may be. It reads
// 100,000 numbers in a second, this many millions. A test asks the library about each line.
struct WrittenOut {
  std::string_view code;
  std::size_t digits;
  char first_least;
};
constexpr WrittenOut kWrittenOut[] = {
    {"1", 10, '2'},  {"27", 9, '1'},  {"30", 10, '2'}, {"31", 9, '1'},  {"32", 9, '1'},  {"33", 9, '1'},
    {"34", 9, '5'},  {"36", 9, '1'},  {"39", 9, '0'},  {"39", 10, '0'}, {"40", 9, '2'},  {"41", 9, '1'},
    {"420", 9, '2'}, {"421", 9, '2'}, {"43", 10, '1'}, {"43", 11, '1'}, {"44", 10, '1'}, {"45", 8, '2'},
    {"46", 9, '1'},  {"47", 8, '2'},  {"48", 9, '1'},  {"49", 10, '1'}, {"49", 11, '1'}, {"61", 9, '2'},
    {"64", 9, '2'},  {"65", 8, '3'},  {"81", 10, '1'}, {"90", 10, '2'}, {"91", 10, '1'}};

// "+44 20 7946-0018" is "+442079460018". None: it is for the library to read.
std::optional<std::string> written_out(std::string_view text) {
  if (text.empty() || text.front() != '+') return std::nullopt;
  std::string number = "+";
  bool after_digit = false;
  for (const char c : text.substr(1)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(after_digit && (c == ' ' || c == '-'))) return std::nullopt;
    if (digit) number += c;
    after_digit = digit;
  }
  if (!after_digit) return std::nullopt;
  const std::string_view digits = std::string_view(number).substr(1);
  const bool known = std::ranges::any_of(kWrittenOut, [&](const WrittenOut& each) {
    return digits.size() == each.code.size() + each.digits && digits.starts_with(each.code) &&
           digits[each.code.size()] >= each.first_least;
  });
  return known ? std::optional(std::move(number)) : std::nullopt;
}

Result<std::string> parse(std::string_view text, const std::string& region) {
  const PhoneNumberUtil& util = *PhoneNumberUtil::GetInstance();
  PhoneNumber number;
  switch (util.Parse(std::string(text), region.empty() ? kUnknownRegion : region, &number)) {
    case PhoneNumberUtil::NO_PARSING_ERROR:
      break;
    case PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR:
      return refuse(region.empty() && !names_country(text) ? kPhoneNoCountry : kPhoneUnknownCountry);
    case PhoneNumberUtil::NOT_A_NUMBER:
      return refuse(kPhoneNotANumber);
    case PhoneNumberUtil::TOO_SHORT_AFTER_IDD:
    case PhoneNumberUtil::TOO_SHORT_NSN:
      return refuse(kPhoneTooShort);
    case PhoneNumberUtil::TOO_LONG_NSN:
      return refuse(kPhoneTooLong);
  }
  TRY(check_length(util, number));
  std::string formatted;
  util.Format(number, PhoneNumberUtil::E164, &formatted);
  return formatted;
}

}  // namespace

Result<std::string> normalise_phone(std::string_view raw, const std::string& region) {
  if (raw.size() > kPhoneBytesMax) return refuse(kPhoneTooLong);
  const std::string_view text = trimmed(raw);
  if (text.empty()) return refuse(kEmpty);
  if (!is_plain_text(text)) return refuse(kNotUtf8);

  if (auto number = written_out(text)) return std::move(*number);
  thread_local std::unordered_map<std::string, Result<std::string>> cache;
  std::string key = region + '\n' + std::string(text);
  if (const auto found = cache.find(key); found != cache.end()) return found->second;
  if (cache.size() >= kCacheEntriesMax) cache.clear();
  return cache.emplace(std::move(key), parse(text, region)).first->second;
}

}  // namespace tailrace::destinations
