#include "profiles/directory.h"

#include "base/hash.h"

namespace tailrace::profiles {

std::uint64_t Directory::hash_of(IdentifierKind kind, std::string_view value) {
  return hash64(value, static_cast<std::uint64_t>(kind) + 1);
}

std::uint64_t Directory::key_of(IdentifierKind kind, std::string_view value) const {
  for (std::uint64_t key = hash_of(kind, value);; ++key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return key;
    const Entry& entry = found->second;
    if (entry.length == value.size() && texts_[entry.text] == static_cast<char>(kind) &&
        std::string_view(texts_).substr(entry.text + 1, entry.length) == value) {
      return key;
    }
  }
}

std::optional<PersonId> Directory::find(IdentifierKind kind, std::string_view value) const {
  const auto found = entries_.find(key_of(kind, value));
  return found == entries_.end() || found->second.person == kNobody ? std::nullopt
                                                                    : std::optional(found->second.person);
}

void Directory::put(IdentifierKind kind, std::string_view value, PersonId person) {
  const std::uint64_t key = key_of(kind, value);
  if (const auto found = entries_.find(key); found != entries_.end()) {
    found->second.person = person;
    return;
  }
  entries_.emplace(key, Entry{texts_.size(), static_cast<std::uint32_t>(value.size()), person});
  texts_ += static_cast<char>(kind);
  texts_ += value;
}

void Directory::erase(IdentifierKind kind, std::string_view value) {
  const auto found = entries_.find(key_of(kind, value));
  if (found == entries_.end()) return;
  // The entry stays as nobody's, so that texts behind it in a chain of equal hashes are still found; its text
  // is wiped, because it is personal data of a deleted person.
  found->second.person = kNobody;
  texts_.replace(found->second.text, found->second.length + 1, found->second.length + 1, '\xff');
}

void Directory::save(ByteWriter& out) const {
  out.put_string(texts_);
  out.put<std::uint64_t>(entries_.size());
  for (const auto& [key, entry] : entries_) {
    out.put(key);
    out.put(entry);
  }
}

Result<void> Directory::restore(ByteReader& in) {
  texts_ = TRY(in.get_string());
  const auto count = TRY(in.get_count(24));
  entries_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key = TRY(in.get<std::uint64_t>());
    const auto entry = TRY(in.get<Entry>());
    if (entry.text >= texts_.size() || texts_.size() - entry.text - 1 < entry.length)
      return fail(Error::Code::corrupt, "an identifier lies outside its arena");
    entries_.emplace(key, entry);
  }
  return {};
}

}  // namespace tailrace::profiles
