// What is known of a person and how a platform wants to be told it. A platform's rules are a table: which
// field under which name, normalised how, hashed or not. Each row follows the platform's own documents;
// decision 0013 says why rules are data.
//
//   constexpr std::array kFields{
//       FieldRule{Field::email, "em", &email<Email{}>, Hashing::sha256_hex},
//       FieldRule{Field::phone, "ph", &phone<PhoneForm::digits>, Hashing::sha256_hex}};
//   prepare(kFields[0], " Ada@Example.com ", {})     -> {"ada@example.com", "b4c5...", hashed}
//
// Normalisers are pure and thread-safe. Their errors are invalid_argument with a reason from identifiers.h or
// below: constants that can be counted, none of which holds a value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/person.h"

namespace tailrace::destinations {

enum class Field : unsigned char {
  external_id,
  anonymous_id,
  email,
  phone,
  first_name,
  last_name,
  first_initial,
  gender,
  date_of_birth,
  birth_year,
  birth_month,
  birth_day,
  street,
  city,
  state,
  postal_code,
  country,
  idfa,  // advertising id of iOS
  aaid,  // advertising id of Android ("GAID")
  idfv,  // vendor's id of iOS
  ip_address,
  user_agent,
  locale,
  // Click and browser ids, each of one platform.
  fbc,
  fbp,
  gclid,
  gbraid,
  wbraid,
  ttclid,
  ttp,
  sc_click_id,
  sc_cookie1,
  epik,
  li_fat_id,
  msclkid,
  rdt_cid,
  rdt_uuid,
  twclid,
  ga_client_id,  // of Google Analytics' cookie
};
inline constexpr Field kLastField = Field::ga_client_id;

std::string_view to_string(Field field);                  // "postal_code"
std::optional<Field> field_named(std::string_view name);  // also by usual other names: "zip", "maid"
Field field_of(IdentifierKind kind);

// What a value alone does not say.
struct Locality {
  std::string_view region = {};   // of phone numbers without a country: ISO 3166 alpha-2, may be empty
  std::string_view country = {};  // where the person lives, as it came; states and postal codes depend on it
};

enum class Hashing : unsigned char { none, sha256_hex };

using Normaliser = Result<std::string> (*)(std::string_view raw, const Locality& locality);

struct FieldRule {
  Field field = Field::email;
  std::string_view key = {};  // the platform's name of it
  Normaliser normalise = nullptr;
  Hashing hashing = Hashing::none;
};

struct Prepared {
  std::string normalised;  // before hashing; of a value that came hashed, the hash
  std::string value;       // as it is sent
  bool hashed = false;
};

// The row of a field, or nullptr: the platform does not take it.
const FieldRule* find_rule(std::span<const FieldRule> rules, Field field);
// Normalised, and hashed where the rule says so. What is a SHA-256 in hexadecimal already is not hashed
// again, but passed in lower case; where the platform wants the value itself, a hash is refused (kIsHashed).
Result<Prepared> prepare(const FieldRule& rule, std::string_view raw, const Locality& locality);

// --- Normalisers
// ------------------------------------------------------------------------------------------------

inline constexpr std::string_view kIsHashed = "hashed, but this platform wants the value itself";
inline constexpr std::string_view kNothingLeft = "nothing left after normalisation";
inline constexpr std::string_view kGender = "gender is neither male nor female";
inline constexpr std::string_view kDate = "not a date";
inline constexpr std::string_view kCountry = "not a country";
inline constexpr std::string_view kState = "not a state of two letters";
inline constexpr std::string_view kMobileId = "not a mobile advertising id";
inline constexpr std::string_view kNoTracking = "the zero advertising id of somebody who limits tracking";
inline constexpr std::string_view kIpAddress = "not an IP address";
inline constexpr std::string_view kUuid = "not a UUID";

enum class Dots : unsigned char { keep, remove_of_gmail, remove };
enum class Tag : unsigned char { keep, remove };       // "+news" before the @
enum class Blanks : unsigned char { refuse, remove };  // inside
struct EmailForm {
  Dots dots = Dots::keep;
  Tag tag = Tag::keep;
  Blanks blanks = Blanks::refuse;
};
Result<std::string> normalise_email(std::string_view raw, EmailForm form);
template <EmailForm form>
Result<std::string> email(std::string_view raw, const Locality&) {
  return normalise_email(raw, form);
}

// E.164: with the plus, or its digits alone.
Result<std::string> phone_with_plus(std::string_view raw, const Locality& locality);
Result<std::string> phone_digits(std::string_view raw, const Locality& locality);

// Lower case by Unicode's rules, trimmed; then without what the form takes away.
struct TextForm {
  bool blanks = true;       // inside; kept where true, and so on
  bool punctuation = true;  // Unicode's punctuation and symbols
  bool digits = true;
};
Result<std::string> lower_text(std::string_view raw, TextForm form);
template <TextForm form>
Result<std::string> lower(std::string_view raw, const Locality&) {
  return lower_text(raw, form);
}
inline constexpr TextForm kAsIs{};
inline constexpr TextForm kWithoutBlanks{.blanks = false};
inline constexpr TextForm kLettersAndDigits{.blanks = false, .punctuation = false};
inline constexpr TextForm kLetters{.blanks = false, .punctuation = false, .digits = false};

// The first character of a name in letters alone.
Result<std::string> first_initial(std::string_view raw, const Locality& locality);
Result<std::string> gender(std::string_view raw, const Locality& locality);  // "f" or "m"
// Of "1990-07-05", "19900705", "07/05/1990" or "5.7.1990", from 1800 on.
Result<std::string> date_digits(std::string_view raw, const Locality& locality);  // "19900705"
Result<std::string> birth_year(std::string_view raw, const Locality& locality);   // also of "1990"
Result<std::string> birth_month(std::string_view raw, const Locality& locality);  // "07", also of "7"
Result<std::string> birth_day(std::string_view raw, const Locality& locality);    // "05", also of "5"

// ISO 3166 alpha-2 of a code of two or three letters, or of an English name.
Result<std::string> country_lower(std::string_view raw, const Locality& locality);
Result<std::string> country_upper(std::string_view raw, const Locality& locality);
// In the United States and Canada the code of two letters ("california" -> "ca"); elsewhere letters alone.
Result<std::string> state_code_or_letters(std::string_view raw, const Locality& locality);
// Two letters or nothing.
Result<std::string> state_code(std::string_view raw, const Locality& locality);
// Without blanks; in the United States the five digits.
Result<std::string> postal_code(std::string_view raw, const Locality& locality);
Result<std::string> postal_digits(std::string_view raw, const Locality& locality);

// A UUID with hyphens, in either case; 32 hexadecimal digits get theirs. Zeros alone are refused.
Result<std::string> mobile_id_lower(std::string_view raw, const Locality& locality);
Result<std::string> mobile_id_upper(std::string_view raw, const Locality& locality);
// IPv4 or IPv6 as RFC 5952 writes it.
Result<std::string> ip_address(std::string_view raw, const Locality& locality);
// Trimmed, and otherwise as it came: ids, clicks.
Result<std::string> opaque(std::string_view raw, const Locality& locality);
Result<std::string> opaque_lower(std::string_view raw, const Locality& locality);
Result<std::string> uuid(std::string_view raw, const Locality& locality);  // in lower case

}  // namespace tailrace::destinations
