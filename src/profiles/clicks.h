// Clicks and browsers of people: by what id an ad platform knows them. Of each kind the four last seen are
// kept, as bytes:
//
//   clicks := click*
//   click  := kind:1 first:zigzag-varint seen_for:varint size:varint value      seen_for: last - first
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/memory_use.h"
#include "base/result.h"
#include "base/time.h"
#include "model/click.h"
#include "model/value.h"
#include "profiles/person_bytes.h"

namespace tailrace::profiles {

using SeenClick = std::pair<ClickKind, std::string>;

// Whether the JSON of a context or of properties is worth parsing for clicks: false is certain.
bool may_hold_clicks(std::string_view json);
// In a context (or the properties of a page) as its members, or in the address of the page.
std::vector<SeenClick> clicks_in(const Value& object, Time at);

class Clicks {
 public:
  void see(PersonId person, const Click& click);
  void absorb(PersonId survivor, PersonId gone);
  void clear(PersonId person) { bytes_.clear(person); }
  std::vector<Click> of(PersonId person) const;
  std::string_view bytes_of(PersonId person) const { return bytes_.of(person); }
  Result<void> restore_person(PersonId person, std::string_view bytes);
  MemoryUse memory() const { return bytes_.memory(); }

 private:
  PersonBytes bytes_;
};

}  // namespace tailrace::profiles
