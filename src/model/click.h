// Ids by which an ad platform knows a click, or a browser: seen in the address of a page or in an event's
// context, and kept with the person for as long as the platform looks back.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/time.h"

namespace tailrace {

enum class ClickKind : unsigned char {
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
};
inline constexpr ClickKind kLastClickKind = ClickKind::twclid;

struct Click {
  ClickKind kind = ClickKind::fbc;
  std::string value;
  Time first;  // event time at which it was seen first, and last
  Time last;

  bool operator==(const Click&) const = default;
};

// What is said of each kind. After `window` a platform does not look back to a click any more, and it is not
// sent; a browser's id counts from when it was last seen. Of one family one id is sent: the newest.
// Google: 90 days. Microsoft and LinkedIn take events of at most 90 days. The others are the longest windows
// that their ad managers offer, which our sources do not confirm.
struct ClickRule {
  ClickKind kind;
  std::string_view name;       // in a context, and in the fields of a conversion
  std::string_view parameter;  // of a landing page's address; empty: none
  int family;
  Millis window;
  bool is_browsers = false;
};
inline constexpr std::array<ClickRule, 15> kClickRules{{
    {ClickKind::fbc, "fbc", "", 0, kDay * 90},  // of the address's fbclid
    {ClickKind::fbp, "fbp", "", 1, kDay * 90, true},
    {ClickKind::gclid, "gclid", "gclid", 2, kDay * 90},
    {ClickKind::gbraid, "gbraid", "gbraid", 2, kDay * 90},
    {ClickKind::wbraid, "wbraid", "wbraid", 2, kDay * 90},
    {ClickKind::ttclid, "ttclid", "ttclid", 3, kDay * 28},
    {ClickKind::ttp, "ttp", "", 4, kDay * 390, true},
    {ClickKind::sc_click_id, "sc_click_id", "ScCid", 5, kDay * 28},
    {ClickKind::sc_cookie1, "sc_cookie1", "", 6, kDay * 390, true},
    {ClickKind::epik, "epik", "epik", 7, kDay * 60},
    {ClickKind::li_fat_id, "li_fat_id", "li_fat_id", 8, kDay * 90},
    {ClickKind::msclkid, "msclkid", "msclkid", 9, kDay * 90},
    {ClickKind::rdt_cid, "rdt_cid", "rdt_cid", 10, kDay * 28},
    {ClickKind::rdt_uuid, "rdt_uuid", "", 11, kDay * 90, true},
    {ClickKind::twclid, "twclid", "twclid", 12, kDay * 30},
}};
constexpr const ClickRule& rule_of(ClickKind kind) { return kClickRules[static_cast<std::size_t>(kind)]; }

}  // namespace tailrace
