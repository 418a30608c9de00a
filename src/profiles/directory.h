// The identity directory: identifier -> PersonId, compared as identifier_filter.h says. One look-up per
// event, so it is a flat table of hashes; the texts stand in one arena and settle collisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/flat_table.h"
#include "base/id.h"
#include "base/text_arena.h"
#include "model/person.h"

namespace tailrace::profiles {

// The person of an identifier that was deleted.
constexpr PersonId kNobody{UINT32_MAX};

class Directory {
 public:
  std::optional<PersonId> find(IdentifierKind kind, std::string_view value) const;
  void put(IdentifierKind kind, std::string_view value, PersonId person);  // adds or re-points
  void erase(IdentifierKind kind, std::string_view value);
  std::size_t size() const { return entries_.size(); }

  // Hints that an identifier is looked up soon: first the one, with what it returns some hundred nanoseconds
  // later the other.
  std::uint64_t prefetch(IdentifierKind kind, std::string_view value) const;
  void prefetch_text(std::uint64_t key) const;
  // Whose it most likely is, without looking at the text.
  std::optional<PersonId> guess(std::uint64_t key) const {
    const Entry* entry = entries_.find(key);
    return entry == nullptr || entry->person == kNobody ? std::nullopt : std::optional(entry->person);
  }

  MemoryUse memory() const {
    MemoryUse use = entries_.memory();
    return use += texts_.memory();
  }

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct Entry {
    std::uint64_t text;  // in texts_
    std::uint32_t length;
    PersonId person;
  };
  static std::uint64_t hash_of(IdentifierKind kind, std::string_view value);
  // The key under which the text stands or would stand: its hash, or the next number that no other text has.
  std::uint64_t key_of(IdentifierKind kind, std::string_view value) const;

  FlatTable<Entry> entries_;
  TextArena texts_;  // kind byte and value of each entry
};

}  // namespace tailrace::profiles
