// Ids that do not convert into one another: is_member(person, segment) with the arguments swapped does not
// compile.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace tailrace {

template <class Tag, class Rep = std::uint32_t>
struct Id {
  Rep value{};

  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
};

// Internal and permanent, in order of creation: 0, 1, 2, ... Dense, so arrays are indexed by it.
using PersonId = Id<struct PersonTag>;
// Index of a compiled segment (or of a sync's audience, which is one) in the applied workspace.
using SegmentId = Id<struct SegmentTag>;
// Index of a sync in the applied workspace.
using SyncId = Id<struct SyncTag>;
// Place of a record in the log: the byte offset of its frame in the whole log, over all files. Grows for
// ever.
using Position = Id<struct PositionTag, std::uint64_t>;

}  // namespace tailrace

template <class Tag, class Rep>
struct std::hash<tailrace::Id<Tag, Rep>> {
  std::size_t operator()(tailrace::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value); }
};
