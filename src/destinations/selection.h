// What of an event's properties leaves the house: a sync's `properties`.
//
//   Selection{.exclude = {"internal_note"}, .rename = {{"total", "revenue"}}, .hash =
//   {"email"}}.apply(properties)
//
// A name may go down through objects, "shipping.street". Renaming comes last and is for top-level names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/value.h"

namespace tailrace::destinations {

struct Selection {
  std::vector<std::string> include;           // these alone, by top-level name; empty: all
  std::vector<std::string> exclude;           // never these
  std::map<std::string, std::string> rename;  // ours to theirs
  std::vector<std::string> hash;              // SHA-256 in hexadecimal of the text as it stands
  std::vector<std::string> mask;              // "***" stands in its place

  bool operator==(const Selection&) const = default;
  bool empty() const { return *this == Selection{}; }
  // properties: an object. What is missing stays missing; of a list, each element is hashed or masked.
  Value apply(Value properties) const;
};

}  // namespace tailrace::destinations
