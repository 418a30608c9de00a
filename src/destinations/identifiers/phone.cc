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
// The library reads 100,000 numbers in a second; the same people are sent to several destinations.
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

  thread_local std::unordered_map<std::string, Result<std::string>> cache;
  std::string key = region + '\n' + std::string(text);
  if (const auto found = cache.find(key); found != cache.end()) return found->second;
  if (cache.size() >= kCacheEntriesMax) cache.clear();
  return cache.emplace(std::move(key), parse(text, region)).first->second;
}

}  // namespace tailrace::destinations
