#include "destinations/identifiers/fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>

#include "base/hash.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

constexpr std::size_t kTextBytesMax = 1024;

constexpr std::array<std::string_view, static_cast<std::size_t>(kLastField) + 1> kFieldNames{
    "external_id", "anonymous_id",  "email",       "phone",       "first_name", "last_name", "first_initial",
    "gender",      "date_of_birth", "birth_year",  "birth_month", "birth_day",  "street",    "city",
    "state",       "postal_code",   "country",     "idfa",        "aaid",       "idfv",      "ip_address",
    "user_agent",  "locale",        "fbc",         "fbp",         "gclid",      "gbraid",    "wbraid",
    "ttclid",      "ttp",           "sc_click_id", "sc_cookie1",  "epik",       "li_fat_id", "msclkid",
    "rdt_cid",     "rdt_uuid",      "twclid",      "ga_client_id"};

// What the platforms and their users call them.
struct OtherName {
  std::string_view name;
  Field field;
};
constexpr std::array kOtherNames{
    OtherName{"em", Field::email},
    OtherName{"email_address", Field::email},
    OtherName{"ph", Field::phone},
    OtherName{"phone_number", Field::phone},
    OtherName{"fn", Field::first_name},
    OtherName{"given_name", Field::first_name},
    OtherName{"ln", Field::last_name},
    OtherName{"family_name", Field::last_name},
    OtherName{"fi", Field::first_initial},
    OtherName{"ge", Field::gender},
    OtherName{"gen", Field::gender},
    OtherName{"db", Field::date_of_birth},
    OtherName{"dob", Field::date_of_birth},
    OtherName{"birthday", Field::date_of_birth},
    OtherName{"doby", Field::birth_year},
    OtherName{"dobm", Field::birth_month},
    OtherName{"dobd", Field::birth_day},
    OtherName{"address", Field::street},
    OtherName{"ct", Field::city},
    OtherName{"st", Field::state},
    OtherName{"region", Field::state},
    OtherName{"zip", Field::postal_code},
    OtherName{"zp", Field::postal_code},
    OtherName{"zip_code", Field::postal_code},
    OtherName{"postcode", Field::postal_code},
    OtherName{"country_code", Field::country},
    OtherName{"gaid", Field::aaid},
    OtherName{"maid", Field::aaid},
    OtherName{"madid", Field::aaid},
    OtherName{"mobile_ad_id", Field::aaid},
    OtherName{"ip", Field::ip_address},
    OtherName{"client_ip_address", Field::ip_address},
    OtherName{"client_user_agent", Field::user_agent},
    OtherName{"ScCid", Field::sc_click_id},
    OtherName{"user_id", Field::external_id},
    OtherName{"extern_id", Field::external_id},
};

std::unexpected<Error> refuse(std::string_view reason) { return invalid(std::string(reason)); }

// The value without blanks at its ends, judged as far as every text is.
Result<std::string_view> plain(std::string_view raw) {
  if (raw.size() > kTextBytesMax * 4) return refuse(kTooLong);
  const std::string_view text = trimmed(raw);
  if (text.empty()) return refuse(kEmpty);
  if (text.size() > kTextBytesMax) return refuse(kTooLong);
  if (!is_plain_text(text)) return refuse(kNotUtf8);
  return text;
}

std::string lowered(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())),
                            sink, nullptr, status);
  return U_SUCCESS(status) ? out : std::string();
}

std::string ascii_cased(std::string_view text, bool upper) {
  std::string out(text);
  for (char& c : out) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool is_punctuation(std::int32_t code) {
  return u_ispunct(code) || (U_GET_GC_MASK(code) & (U_GC_S_MASK)) != 0;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// --- Dates

struct Date {
  int year, month, day;
};

int days_in(int year, int month) {
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

bool is_date(const Date& date) {
  return date.year >= 1800 && date.year <= 2100 && date.month >= 1 && date.month <= 12 && date.day >= 1 &&
         date.day <= days_in(date.year, date.month);
}

std::optional<Date> read_date(std::string_view text) {
  std::array<int, 3> parts{};
  std::array<std::size_t, 3> lengths{};
  if (text.size() == 8 && std::all_of(text.begin(), text.end(), is_digit)) {
    const Date date{*number_of(text.substr(0, 4)), *number_of(text.substr(4, 2)), *number_of(text.substr(6))};
    return is_date(date) ? std::optional(date) : std::nullopt;
  }
  // A time behind a date does not matter: "1990-07-05T00:00:00Z".
  if (const std::size_t time = text.find_first_of("T "); time == 10) text = text.substr(0, 10);
  const std::size_t first = text.find_first_of("-/.");
  if (first == std::string_view::npos) return std::nullopt;
  const char separator = text[first];
  const std::size_t second = text.find(separator, first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::array<std::string_view, 3> words{
      text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto number = number_of(words[i]);
    if (!number || *number < 0) return std::nullopt;
    parts[i] = *number;
    lengths[i] = words[i].size();
  }
  Date date{};
  if (lengths[0] == 4) {
    date = {parts[0], parts[1], parts[2]};
  } else if (lengths[2] == 4 && separator == '/') {
    date = {parts[2], parts[0], parts[1]};  // as in the United States
  } else if (lengths[2] == 4) {
    date = {parts[2], parts[1], parts[0]};
  } else {
    return std::nullopt;
  }
  return is_date(date) ? std::optional(date) : std::nullopt;
}

// --- Places

// Two letters by the English name in lower-case letters, and by the code of three letters.
const std::map<std::string, std::string, std::less<>>& countries() {
  static const auto kCountries = [] {
    std::map<std::string, std::string, std::less<>> all;
    for (const char* const* code = uloc_getISOCountries(); *code != nullptr; ++code) {
      const icu::Locale place("", *code);
      const std::string two = ascii_cased(*code, false);
      all.emplace(two, two);
      all.emplace(ascii_cased(place.getISO3Country(), false), two);
      icu::UnicodeString name;
      place.getDisplayCountry(icu::Locale::getEnglish(), name);
      std::string text;
      name.toUTF8String(text);
      if (auto letters = lower_text(text, kLetters)) all.emplace(std::move(*letters), two);
    }
    for (const auto& [name, code] :
         {std::pair("usa", "us"), std::pair("unitedstatesofamerica", "us"), std::pair("uk", "gb"),
          std::pair("greatbritain", "gb"), std::pair("england", "gb"), std::pair("holland", "nl"),
          std::pair("czechrepublic", "cz"), std::pair("turkey", "tr"), std::pair("southkorea", "kr"),
          std::pair("russianfederation", "ru")}) {
      all.emplace(name, code);
    }
    return all;
  }();
  return kCountries;
}

struct State {
  std::string_view name, code;
};
constexpr std::array kStates{
    State{"alabama", "al"},
    State{"alaska", "ak"},
    State{"arizona", "az"},
    State{"arkansas", "ar"},
    State{"california", "ca"},
    State{"colorado", "co"},
    State{"connecticut", "ct"},
    State{"delaware", "de"},
    State{"districtofcolumbia", "dc"},
    State{"florida", "fl"},
    State{"georgia", "ga"},
    State{"hawaii", "hi"},
    State{"idaho", "id"},
    State{"illinois", "il"},
    State{"indiana", "in"},
    State{"iowa", "ia"},
    State{"kansas", "ks"},
    State{"kentucky", "ky"},
    State{"louisiana", "la"},
    State{"maine", "me"},
    State{"maryland", "md"},
    State{"massachusetts", "ma"},
    State{"michigan", "mi"},
    State{"minnesota", "mn"},
    State{"mississippi", "ms"},
    State{"missouri", "mo"},
    State{"montana", "mt"},
    State{"nebraska", "ne"},
    State{"nevada", "nv"},
    State{"newhampshire", "nh"},
    State{"newjersey", "nj"},
    State{"newmexico", "nm"},
    State{"newyork", "ny"},
    State{"northcarolina", "nc"},
    State{"northdakota", "nd"},
    State{"ohio", "oh"},
    State{"oklahoma", "ok"},
    State{"oregon", "or"},
    State{"pennsylvania", "pa"},
    State{"rhodeisland", "ri"},
    State{"southcarolina", "sc"},
    State{"southdakota", "sd"},
    State{"tennessee", "tn"},
    State{"texas", "tx"},
    State{"utah", "ut"},
    State{"vermont", "vt"},
    State{"virginia", "va"},
    State{"washington", "wa"},
    State{"westvirginia", "wv"},
    State{"wisconsin", "wi"},
    State{"wyoming", "wy"},
    State{"puertorico", "pr"},
    State{"alberta", "ab"},
    State{"britishcolumbia", "bc"},
    State{"manitoba", "mb"},
    State{"newbrunswick", "nb"},
    State{"newfoundlandandlabrador", "nl"},
    State{"northwestterritories", "nt"},
    State{"novascotia", "ns"},
    State{"nunavut", "nu"},
    State{"ontario", "on"},
    State{"princeedwardisland", "pe"},
    State{"quebec", "qc"},
    State{"québec", "qc"},
    State{"saskatchewan", "sk"},
    State{"yukon", "yt"},
};

std::string country_of(const Locality& locality) {
  const auto country = country_lower(locality.country, {});
  return country ? *country : std::string();
}

Result<std::string> mobile_id(std::string_view raw, bool upper) {
  const std::string_view text = TRY(plain(raw));
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_hyphen = c == '-' && (i == 8 || i == 13 || i == 18 || i == 23) && text.size() == 36;
    if (is_hyphen) continue;
    if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return refuse(kMobileId);
    digits += c;
  }
  if (digits.size() != 32) return refuse(kMobileId);
  if (digits.find_first_not_of('0') == std::string::npos) return refuse(kNoTracking);
  const std::string cased = ascii_cased(digits, upper);
  return fmt::format("{}-{}-{}-{}-{}", cased.substr(0, 8), cased.substr(8, 4), cased.substr(12, 4),
                     cased.substr(16, 4), cased.substr(20));
}

// Nearly all addresses hold none, and are ASCII.
bool may_hold_blanks(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c <= ' ' || c >= 0x7f; });
}

}  // namespace

std::string_view to_string(Field field) { return kFieldNames[static_cast<std::size_t>(field)]; }

std::optional<Field> field_named(std::string_view name) {
  for (std::size_t i = 0; i < kFieldNames.size(); ++i) {
    if (kFieldNames[i] == name) return static_cast<Field>(i);
  }
  for (const OtherName& other : kOtherNames) {
    if (other.name == name) return other.field;
  }
  return std::nullopt;
}

Field field_of(IdentifierKind kind) {
  switch (kind) {
    case IdentifierKind::external_id:
      return Field::external_id;
    case IdentifierKind::anonymous_id:
      return Field::anonymous_id;
    case IdentifierKind::email:
      return Field::email;
    case IdentifierKind::phone:
      return Field::phone;
    case IdentifierKind::idfa:
      return Field::idfa;
    case IdentifierKind::aaid:
      return Field::aaid;
  }
  return Field::external_id;
}

const FieldRule* find_rule(std::span<const FieldRule> rules, Field field) {
  const auto found = std::ranges::find(rules, field, &FieldRule::field);
  return found == rules.end() ? nullptr : &*found;
}

Result<Prepared> prepare(const FieldRule& rule, std::string_view raw, const Locality& locality) {
  const std::string_view text = trimmed(raw);
  Prepared prepared{.normalised = {}, .value = {}, .hashed = rule.hashing != Hashing::none};
  if (is_sha256_hex(text)) {
    // Ids of one's own may look like anything; of the rest nothing else has 64 hexadecimal digits.
    const bool is_id = rule.normalise == &opaque || rule.normalise == &opaque_lower;
    if (!prepared.hashed && !is_id) return refuse(kIsHashed);
    if (prepared.hashed) {
      prepared.normalised = ascii_cased(text, false);
      prepared.value = prepared.normalised;
      return prepared;
    }
  }
  prepared.normalised = TRY(rule.normalise(raw, locality));
  prepared.value = prepared.hashed ? sha256_hex(prepared.normalised) : prepared.normalised;
  return prepared;
}

Result<std::string> normalise_email(std::string_view raw, EmailForm form) {
  std::string without_blanks;
  if (form.blanks == Blanks::remove && may_hold_blanks(raw)) {
    if (raw.size() > kTextBytesMax * 4) return refuse(kTooLong);
    for (std::size_t at = 0; at < raw.size();) {
      const std::size_t begin = at;
      const std::int32_t code = next_character(raw, at);
      if (code < 0) return refuse(kNotUtf8);
      if (!u_isUWhiteSpace(code)) without_blanks.append(raw.substr(begin, at - begin));
    }
    raw = without_blanks;
  }
  std::string address =
      TRY(normalise_email(raw, form.dots == Dots::remove_of_gmail ? GmailDots::remove : GmailDots::keep));
  if (form.dots != Dots::remove && form.tag == Tag::keep) return address;
  const std::size_t at = address.find('@');
  std::string local = address.substr(0, at);
  if (form.tag == Tag::remove) local = local.substr(0, local.find('+'));
  if (form.dots == Dots::remove) std::erase(local, '.');
  if (local.empty()) return refuse(kEmailLocal);
  return local + address.substr(at);
}

Result<std::string> phone_with_plus(std::string_view raw, const Locality& locality) {
  std::string region(locality.region);
  if (region.empty() && !locality.country.empty()) {
    if (auto country = country_upper(locality.country, {})) region = std::move(*country);
  }
  return normalise_phone(raw, region);
}

Result<std::string> phone_digits(std::string_view raw, const Locality& locality) {
  return TRY(phone_with_plus(raw, locality))
  .substr(1);
}

Result<std::string> lower_text(std::string_view raw, TextForm form) {
  const std::string text = lowered(TRY(plain(raw)));
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const std::int32_t code = next_character(text, at);
    const bool gone = (!form.blanks && u_isUWhiteSpace(code)) ||
                      (!form.punctuation && is_punctuation(code)) || (!form.digits && u_isdigit(code));
    if (!gone) out.append(text, begin, at - begin);
  }
  if (out.empty()) return refuse(kNothingLeft);
  return out;
}

Result<std::string> first_initial(std::string_view raw, const Locality&) {
  const std::string letters = TRY(lower_text(raw, kLetters));
  std::size_t end = 0;
  static_cast<void>(next_character(letters, end));
  return letters.substr(0, end);
}

Result<std::string> gender(std::string_view raw, const Locality&) {
  const std::string text = lowered(TRY(plain(raw)));
  if (text == "f" || text == "female" || text == "woman" || text == "w") return "f";
  if (text == "m" || text == "male" || text == "man") return "m";
  return refuse(kGender);
}

Result<std::string> date_digits(std::string_view raw, const Locality&) {
  const auto date = read_date(TRY(plain(raw)));
  if (!date) return refuse(kDate);
  return fmt::format("{:04}{:02}{:02}", date->year, date->month, date->day);
}

Result<std::string> birth_year(std::string_view raw, const Locality& locality) {
  const std::string_view text = TRY(plain(raw));
  if (const auto year = number_of(text); year && text.size() == 4) {
    if (!is_date({*year, 1, 1})) return refuse(kDate);
    return std::string(text);
  }
  return TRY(date_digits(raw, locality))
  .substr(0, 4);
}

namespace {

Result<std::string> part_of_date(std::string_view raw, const Locality& locality, int most, std::size_t at) {
  const std::string_view text = TRY(plain(raw));
  if (const auto number = number_of(text); number && text.size() <= 2) {
    if (*number < 1 || *number > most) return refuse(kDate);
    return fmt::format("{:02}", *number);
  }
  return TRY(date_digits(raw, locality))
  .substr(at, 2);
}

}  // namespace

Result<std::string> birth_month(std::string_view raw, const Locality& locality) {
  return part_of_date(raw, locality, 12, 4);
}

Result<std::string> birth_day(std::string_view raw, const Locality& locality) {
  return part_of_date(raw, locality, 31, 6);
}

Result<std::string> country_lower(std::string_view raw, const Locality&) {
  const auto letters = lower_text(raw, kLetters);
  if (!letters) return refuse(letters.error().message == kNothingLeft ? kCountry : letters.error().message);
  const auto found = countries().find(*letters);
  if (found == countries().end()) return refuse(kCountry);
  return found->second;
}

Result<std::string> country_upper(std::string_view raw, const Locality& locality) {
  return ascii_cased(TRY(country_lower(raw, locality)), true);
}

Result<std::string> state_code_or_letters(std::string_view raw, const Locality& locality) {
  std::string letters = TRY(lower_text(raw, kLetters));
  const std::string country = country_of(locality);
  if (!country.empty() && country != "us" && country != "ca") return letters;
  for (const State& state : kStates) {
    if (state.name == letters) return std::string(state.code);
  }
  return letters;
}

Result<std::string> state_code(std::string_view raw, const Locality& locality) {
  std::string code = TRY(state_code_or_letters(raw, locality));
  if (code.size() != 2) return refuse(kState);
  return code;
}

Result<std::string> postal_code(std::string_view raw, const Locality& locality) {
  std::string code = TRY(lower_text(raw, kWithoutBlanks));
  const std::string country = country_of(locality);
  const std::size_t dash = code.find('-');
  // "94025-1234" is American wherever nothing else is said.
  const bool looks_american =
      dash == 5 && code.size() == 10 && std::count_if(code.begin(), code.end(), is_digit) == 9;
  if (country == "us" || (country.empty() && looks_american)) code = code.substr(0, dash);
  if (code.empty()) return refuse(kNothingLeft);
  return code;
}

Result<std::string> postal_digits(std::string_view raw, const Locality& locality) {
  std::string code = TRY(postal_code(raw, locality));
  std::erase_if(code, [](char c) { return !is_digit(c); });
  if (code.empty()) return refuse(kNothingLeft);
  return code;
}

Result<std::string> mobile_id_lower(std::string_view raw, const Locality&) { return mobile_id(raw, false); }
Result<std::string> mobile_id_upper(std::string_view raw, const Locality&) { return mobile_id(raw, true); }

Result<std::string> ip_address(std::string_view raw, const Locality&) {
  const std::string text(TRY(plain(raw)));
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> written{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, text.c_str(), bytes.data()) != 1) continue;
    return std::string(
        inet_ntop(family, bytes.data(), written.data(), static_cast<socklen_t>(written.size())));
  }
  return refuse(kIpAddress);
}

Result<std::string> opaque(std::string_view raw, const Locality&) { return normalise_opaque(raw); }

Result<std::string> opaque_lower(std::string_view raw, const Locality&) {
  return lowered(TRY(normalise_opaque(raw)));
}

Result<std::string> uuid(std::string_view raw, const Locality&) {
  auto id = mobile_id(raw, false);
  if (!id && id.error().message == kMobileId) return refuse(kUuid);
  return id;
}

}  // namespace tailrace::destinations
