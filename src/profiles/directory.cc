#include "profiles/directory.h"

#include "base/hash.h"
#include "profiles/identifier_filter.h"

namespace tailrace::profiles {

std::uint64_t Directory::hash_of(IdentifierKind kind, std::string_view value) {
  return hash64(value, static_cast<std::uint64_t>(kind) + 1);
}

std::uint64_t Directory::key_of(IdentifierKind kind, std::string_view value) const {
  for (std::uint64_t key = hash_of(kind, value);; ++key) {
    if (key == 0) continue;  // no key of the table
    const Entry* entry = entries_.find(key);
    if (entry == nullptr) return key;
    if (entry->length != value.size()) continue;
    const std::string_view text = texts_.view(entry->text, entry->length + 1);
    if (text.front() == static_cast<char>(kind) && text.substr(1) == value) return key;
  }
}

std::uint64_t Directory::prefetch(IdentifierKind kind, std::string_view written) const {
  std::string buffer;
  const std::uint64_t key = hash_of(kind, compared_form(kind, written, buffer));
  entries_.prefetch(key);
  return key;
}

void Directory::prefetch_text(std::uint64_t key) const {
  if (const Entry* entry = entries_.find(key)) texts_.prefetch(entry->text);
}

std::optional<PersonId> Directory::find(IdentifierKind kind, std::string_view written) const {
  std::string buffer;
  const Entry* entry = entries_.find(key_of(kind, compared_form(kind, written, buffer)));
  return entry == nullptr || entry->person == kNobody ? std::nullopt : std::optional(entry->person);
}

void Directory::put(IdentifierKind kind, std::string_view written, PersonId person) {
  std::string buffer;
  const std::string_view value = compared_form(kind, written, buffer);
  const std::uint64_t key = key_of(kind, value);
  if (Entry* known = entries_.find(key)) {
    known->person = person;
    return;
  }
  std::string text(1, static_cast<char>(kind));
  text += value;
  entries_.add(key, {texts_.add(text), static_cast<std::uint32_t>(value.size()), person});
}

void Directory::erase(IdentifierKind kind, std::string_view written) {
  std::string buffer;
  Entry* entry = entries_.find(key_of(kind, compared_form(kind, written, buffer)));
  if (entry == nullptr) return;
  // The entry stays as nobody's, so that texts behind it in a chain of equal hashes are still found; its text
  // is wiped, because it is personal data of a deleted person.
  entry->person = kNobody;
  texts_.wipe(entry->text, entry->length + 1);
}

void Directory::save(ByteWriter& out) const {
  out.begin_part("texts of identifiers");
  texts_.save(out);
  out.put<std::uint64_t>(entries_.size());
  constexpr std::size_t kShards = FlatTable<Entry>::kShards;
  const std::size_t range =
      shards_of_range(entries_.size() * (sizeof(std::uint64_t) + sizeof(Entry)), kShards);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    if (shard % range == 0) out.begin_part("identifiers", shard);
    entries_.each_in(shard, [&](std::uint64_t key, const Entry& entry) {
      out.put(key);
      out.put(entry);
    });
  }
}

Result<void> Directory::restore(ByteReader& in) {
  TRY(texts_.restore(in));
  for (auto left = TRY(in.get_count(24)); left > 0; --left) {
    const auto key = TRY(in.get<std::uint64_t>());
    const auto entry = TRY(in.get<Entry>());
    if (!texts_.holds(entry.text, std::size_t{entry.length} + 1))
      return fail(Error::Code::corrupt, "an identifier lies outside its arena");
    if (key == 0 || !entries_.add(key, entry))
      return fail(Error::Code::corrupt, "two identifiers of one hash");
  }
  return {};
}

}  // namespace tailrace::profiles
