// Normalising identifiers before they are hashed. Each platform documents its own rule; what they share is
// here. The reasons are constants so that they can be counted; none holds a value.
//
//   normalise_email(" Ada.L@Gmail.com ", GmailDots::keep)      "ada.l@gmail.com"
//   normalise_email(" Ada.L@Gmail.com ", GmailDots::remove)    "adal@gmail.com"
//   normalise_phone("020 7946 0018", "GB")                     "+442079460018"
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "destinations/audience_destination.h"

namespace tailrace::destinations {

inline constexpr std::string_view kEmpty = "empty";
inline constexpr std::string_view kNotUtf8 = "not valid UTF-8 or holds control characters";
inline constexpr std::string_view kTooLong = "too long";
inline constexpr std::string_view kNotAccepted = "kind of identifier not accepted by this destination";

inline constexpr std::string_view kEmailOneAt = "e-mail without exactly one @";
inline constexpr std::string_view kEmailBlank = "e-mail with a blank or control character inside";
inline constexpr std::string_view kEmailLocal = "e-mail with an invalid part before the @";
inline constexpr std::string_view kEmailDomain = "e-mail with an invalid domain";

inline constexpr std::string_view kPhoneNoCountry = "phone without country";
inline constexpr std::string_view kPhoneUnknownCountry = "phone with unknown country code";
inline constexpr std::string_view kPhoneNotANumber = "phone is not a number";
inline constexpr std::string_view kPhoneTooShort = "phone too short";
inline constexpr std::string_view kPhoneTooLong = "phone too long";
inline constexpr std::string_view kPhoneLocalOnly = "phone without area code";
inline constexpr std::string_view kPhoneImpossible = "phone of impossible length";

enum class GmailDots : unsigned char {
  keep,
  remove,  // before the @ of gmail.com and googlemail.com, where they mean nothing
};

// Trimmed and in lower case, all of it; non-ASCII letters too, by Unicode's rules without a locale. Errors:
// invalid_argument with one of the reasons above. It is a judgement of what can be an address on the public
// internet: quoted local parts, addresses of one label (root@localhost) and IP addresses are refused.
Result<std::string> normalise_email(std::string_view raw, GmailDots dots);

// E.164 with the plus. `region` (ISO 3166 alpha-2, may be empty) is the country of numbers written without
// one. A number is accepted when its length is possible in its country; ranges given out since the
// library's metadata was made are so accepted too. An extension is dropped.
Result<std::string> normalise_phone(std::string_view raw, const std::string& region);

// Trimmed, otherwise as it came. Errors: kEmpty, kNotUtf8, kTooLong.
Result<std::string> normalise_opaque(std::string_view raw);

// Whether the text is a SHA-256 in hexadecimal already, in either case.
bool is_sha256_hex(std::string_view text);

// Hashes what a platform's rule gave. Already hashed values pass by this, in lower case.
Normalised hashed_identifier(IdentifierKind kind, std::string text);
Normalised already_hashed(IdentifierKind kind, std::string_view hash);
Normalised plain_identifier(IdentifierKind kind, std::string text);

// The text without blanks at its ends, ASCII ones and Unicode's.
std::string_view trimmed(std::string_view text);

}  // namespace tailrace::destinations
