#include "profiles/graph.h"

#include <algorithm>
#include <set>

#include "base/assert.h"

namespace tailrace::profiles {
namespace {

using What = IdentityEntry::What;

// Several people may have one.
bool is_shareable(IdentifierKind kind) {
  return kind != IdentifierKind::external_id && kind != IdentifierKind::anonymous_id;
}

IdentityEntry entry_of(What what, IdentifierKind kind, std::string_view value, const Said& said) {
  IdentityEntry entry;
  entry.what = what;
  entry.kind = kind;
  entry.time = said.time;
  entry.source = said.source;
  entry.position = said.position;
  entry.value = value;
  return entry;
}

// The earliest time that anything said so, and the first record in the log that did. True: it is another now.
bool take_earlier(IdentityEntry& entry, const Said& said) {
  const bool is_earlier = said.time < entry.time || said.position < entry.position;
  entry.time = std::min(entry.time, said.time);
  if (said.position < entry.position) {
    entry.position = said.position;
    entry.source = said.source;
  }
  return is_earlier;
}

}  // namespace

Graph::Graph() : filter_(rules_) {}

void Graph::set_rules(const IdentityRules& rules) {
  if (rules == rules_) return;
  restore_rules(rules);
  ++rules_count_;
}

void Graph::restore_rules(const IdentityRules& rules) {
  rules_ = rules;
  filter_ = IdentifierFilter(rules);
}

std::uint32_t Graph::source(std::string_view name) {
  if (const auto known = source_ids_.find(name); known != source_ids_.end()) return known->second;
  const auto id = static_cast<std::uint32_t>(sources_.size());
  sources_.emplace_back(name);
  source_ids_.emplace(name, id);
  return id;
}

void Graph::add_creators(PersonId person, std::span<const Position> positions) {
  const std::string_view identity = identities_.of(person);
  Unpacker in(identity);
  const std::uint64_t known = identity.empty() ? 0 : in.varint();
  const std::size_t begin = identity.size() - in.rest().size();
  for (std::uint64_t left = known; left > 0; --left) in.varint();
  const std::size_t end = identity.size() - in.rest().size();
  std::string head;
  put_varint(head, known + positions.size());
  head += identity.substr(begin, end - begin);
  for (const Position position : positions) put_varint(head, position.value);
  identities_.splice(person, 0, end, head);
}

std::vector<Position> Graph::created_by(PersonId person) const {
  const std::string_view identity = identities_.of(person);
  if (identity.empty()) return {};
  Unpacker in(identity);
  std::vector<Position> positions(in.varint());
  for (Position& position : positions) position = Position(in.varint());
  return positions;
}

template <class Wanted>
std::optional<Graph::Found> Graph::find_entry(PersonId person, Wanted is_wanted) const {
  const std::string_view identity = identities_.of(person);
  if (identity.empty()) return std::nullopt;
  Unpacker in(identity);
  for (std::uint64_t left = in.varint(); left > 0; --left) in.varint();
  while (!in.done()) {
    const std::size_t begin = identity.size() - in.rest().size();
    const IdentityEntry entry = read_entry(in);
    if (is_wanted(entry)) return Found{begin, identity.size() - in.rest().size(), entry};
  }
  return std::nullopt;
}

void Graph::replace(PersonId person, const Found& found, const IdentityEntry& entry) {
  std::string written;
  put_entry(written, entry);
  identities_.splice(person, found.begin, found.end - found.begin, written);
}

void Graph::erase(PersonId person, const Found& found) {
  identities_.splice(person, found.begin, found.end - found.begin, {});
}

void Graph::append(PersonId person, const IdentityEntry& entry) {
  std::string written;
  put_entry(written, entry);
  identities_.append(person, written);
}

bool Graph::add_identifier(PersonId person, IdentifierKind kind, std::string_view value, const Said& said) {
  const auto known = find_entry(person, [&](const IdentityEntry& entry) {
    return entry.what == What::identifier && entry.kind == kind && entry.value == value;
  });
  if (!known) {
    append(person, entry_of(What::identifier, kind, value, said));
    return true;
  }
  IdentityEntry entry = known->entry;
  if (take_earlier(entry, said)) replace(person, *known, entry);
  return false;
}

bool Graph::has_kind(PersonId person, IdentifierKind kind) const {
  bool found = false;
  for_each_identifier(person, [&](const IdentityEntry& known) { found |= known.kind == kind; });
  return found;
}

// ---- limits ---------------------------------------------------------------------------------------------

// What is contested counts: it is theirs as soon as its owner goes.
std::size_t Graph::values(PersonId person, IdentifierKind kind) const {
  return values_together(person, person, kind);
}

std::size_t Graph::values_together(PersonId a, PersonId b, IdentifierKind kind) const {
  std::set<std::string> forms;
  const auto add = [&](const IdentityEntry& entry) {
    if (entry.kind != kind || (entry.what != What::identifier && entry.what != What::contested)) return;
    std::string buffer;
    forms.emplace(compared_form(kind, entry.value, buffer));
  };
  for_each_entry(a, add);
  if (b != a) for_each_entry(b, add);
  return forms.size();
}

std::uint64_t Graph::joins(PersonId person, IdentifierKind kind, std::string_view value) const {
  std::uint64_t count = 0;
  for_each_entry(person, [&](const IdentityEntry& entry) {
    count += entry.what == What::joined && entry.kind == kind && is_same(kind, entry.value, value);
  });
  return count;
}

bool Graph::has_room(PersonId person, IdentifierKind kind) const {
  const auto limit = rules_.of(kind).values_max;
  return !limit || values(person, kind) < *limit;
}

std::optional<Refusal> Graph::why_not(PersonId person, PersonId other, IdentifierKind by, IdentifierKind kind,
                                      std::string_view value) const {
  if (!rules_.of(by).merges) return Refusal::kind_does_not_merge;
  const auto people_max = rules_.of(kind).people_max;
  if (people_max && joins(person, kind, value) + joins(other, kind, value) + 2 > *people_max)
    return Refusal::too_many_people;
  for (std::size_t i = 0; i < IdentityRules::kKinds; ++i) {
    const auto each = static_cast<IdentifierKind>(i);
    const auto limit = rules_.of(each).values_max;
    if (limit && values_together(person, other, each) > *limit) return Refusal::too_many_together;
  }
  return std::nullopt;
}

// ---- what records say -----------------------------------------------------------------------------------

bool Graph::claim(PersonId person, IdentifierKind kind, std::string_view value, const Said& said,
                  Refusal reason) {
  const auto owner = directory_.find(kind, value);
  if (owner == person) {
    add_identifier(person, kind, value, said);
    return false;
  }
  const auto same = [&](const IdentityEntry& entry) {
    return entry.what == What::contested && entry.kind == kind && entry.value == value;
  };
  const bool is_contested = owner && find_entry(person, same);
  if (!is_contested && !has_room(person, kind)) {
    refuse(person, kind, value, Refusal::too_many_values, said, Claims::none);
    return false;
  }
  if (owner) {
    refuse(person, kind, value, reason, said, Claims::holds);
    return false;
  }
  directory_.put(kind, value, person);
  return add_identifier(person, kind, value, said);
}

Graph::StatedValue Graph::state(PersonId person, IdentifierKind kind, std::string_view value,
                                const Said& said, bool is_pinned) {
  StatedValue result;
  if (blocks(kind, value)) {
    refuse(person, kind, value, Refusal::blocked, said, Claims::none);
    return result;
  }
  const auto is_theirs = [&](const IdentityEntry& entry) {
    return entry.what == What::identifier && entry.kind == kind && is_same(kind, entry.value, value);
  };
  const bool is_known = find_entry(person, is_theirs).has_value();
  if (!is_known && !has_room(person, kind)) {
    refuse(person, kind, value, Refusal::too_many_values, said, Claims::none);
    return result;
  }
  result.changed = add_identifier(person, kind, value, said);
  // Whoever was refused is not asked again until the rules are others.
  const auto refused_by = [&](auto rules) {
    return find_entry(person, [&](const IdentityEntry& entry) {
      const bool by_limit = entry.reason == Refusal::too_many_people ||
                            entry.reason == Refusal::too_many_together || entry.reason == Refusal::decided;
      return entry.what == What::refused && entry.kind == kind && by_limit && rules(entry.rules) &&
             is_same(kind, entry.value, value);
    });
  };
  const auto refused = refused_by([&](auto rules) { return rules == rules_count_; });
  if (refused || is_pinned) {
    refuse(person, kind, value, refused ? refused->entry.reason : Refusal::decided, said, Claims::none);
    return result;
  }
  const auto owner = directory_.find(kind, value);
  if (!owner) {
    directory_.put(kind, value, person);
  } else if (*owner != person) {
    if (rules_.of(kind).merges) {
      result.other = owner;
    } else if (!is_known || (refused_by([](auto) { return true; }) && !holds_claim(person, kind, value))) {
      // Also of whoever was refused by rules that are no more: it is theirs by these.
      add_claim(person, kind, value, said, Claims::holds);
    }
  }
  return result;
}

void Graph::refuse(PersonId person, IdentifierKind kind, std::string_view value, Refusal reason,
                   const Said& said, Claims claims) {
  const bool is_contested = claims == Claims::holds && !is_shareable(kind);
  IdentityEntry entry = entry_of(is_contested ? What::contested : What::refused, kind, value, said);
  entry.reason = reason;
  entry.count = 1;
  entry.rules = rules_count_;
  bool is_new_claim = claims != Claims::none;
  if (is_contested) {
    is_new_claim = !find_entry(person, [&](const IdentityEntry& known) {
      return known.what == What::contested && known.kind == kind && known.value == value;
    });
  }
  add_refusal(person, entry);
  if (is_new_claim) add_claim(person, kind, value, said, claims);
}

void Graph::pin_if_free(PersonId person, IdentifierKind kind, std::string_view value, const Said& said) {
  add_claim(person, kind, value, said, Claims::pinned);
}

void Graph::count(const IdentityEntry& entry, bool more) {
  std::uint64_t& sum = refused_[static_cast<std::size_t>(entry.kind)][static_cast<std::size_t>(entry.reason)];
  sum = more ? sum + entry.count : sum - entry.count;
}

// To the one of the same value and reason.
void Graph::add_refusal(PersonId person, const IdentityEntry& added) {
  const auto known = find_entry(person, [&](const IdentityEntry& entry) {
    return entry.what == added.what && entry.kind == added.kind && entry.value == added.value &&
           (entry.reason == added.reason || entry.what == What::contested);
  });
  if (!known) {
    append(person, added);
    count(added, true);
    return;
  }
  IdentityEntry entry = known->entry;
  count(entry, false);
  take_earlier(entry, {added.time, added.position, added.source});
  entry.count += added.count;
  entry.rules = std::max(entry.rules, added.rules);
  count(entry, true);
  replace(person, *known, entry);
}

void Graph::add_claim(PersonId person, IdentifierKind kind, std::string_view value, const Said& said,
                      Claims claims) {
  std::string buffer;
  claims_[{kind, std::string(compared_form(kind, value, buffer))}].push_back(
      {person, said.source, said.position, said.time, claims});
}

bool Graph::holds_claim(PersonId person, IdentifierKind kind, std::string_view value) const {
  std::string buffer;
  const auto found = claims_.find({kind, std::string(compared_form(kind, value, buffer))});
  return found != claims_.end() && std::ranges::any_of(found->second, [&](const Claim& claim) {
           return claim.person == person && claim.claims == Claims::holds;
         });
}

std::vector<PersonId> Graph::claimants(IdentifierKind kind, std::string_view value) const {
  std::string buffer;
  std::vector<PersonId> people;
  const auto found = claims_.find({kind, std::string(compared_form(kind, value, buffer))});
  if (found == claims_.end()) return people;
  for (const Claim& claim : found->second) people.push_back(claim.person);
  return people;
}

// ---- people become one, and go --------------------------------------------------------------------------

void Graph::absorb(PersonId survivor, PersonId gone) {
  // A copy: what is lent goes as soon as bytes change.
  const std::string identity(identities_.of(gone));
  for_each_entry_of(identity, [&](const IdentityEntry& entry) {
    switch (entry.what) {
      case What::identifier:
        // An e-mail may belong to several people; the directory's entry moves only where it was this one's.
        if (directory_.find(entry.kind, entry.value) == gone)
          directory_.put(entry.kind, entry.value, survivor);
        add_identifier(survivor, entry.kind, entry.value, {entry.time, entry.position, entry.source});
        break;
      case What::joined:
        append(survivor, entry);
        break;
      case What::refused:
      case What::contested:
        add_refusal(survivor, entry);
        count(entry, false);
        break;
    }
  });
  add_creators(survivor, created_by(gone));
  identities_.clear(gone);
  // What one of them had and the other wanted is theirs now, since the first of them said so.
  struct Settled {
    IdentifierKind kind;
    std::string value;
    Said said;
  };
  std::vector<Settled> settled;
  for_each_entry(survivor, [&](const IdentityEntry& entry) {
    if (entry.what == What::contested && directory_.find(entry.kind, entry.value) == survivor)
      settled.push_back({entry.kind, std::string(entry.value), {entry.time, entry.position, entry.source}});
  });
  for (const auto& [kind, value, said] : settled) {
    forget_contested(survivor, kind, value);
    add_identifier(survivor, kind, value, said);
  }
}

void Graph::forget_contested(PersonId person, IdentifierKind kind, std::string_view value) {
  const auto found = find_entry(person, [&](const IdentityEntry& entry) {
    return entry.what == What::contested && entry.kind == kind && entry.value == value;
  });
  if (!found) return;
  count(found->entry, false);
  erase(person, *found);
}

void Graph::note_join(PersonId survivor, PersonId gone, IdentifierKind kind, std::string_view value,
                      const Said& said) {
  IdentityEntry entry = entry_of(What::joined, kind, value, said);
  entry.gone = gone;
  append(survivor, entry);
}

Graph::Removed Graph::remove(PersonId person, const std::function<PersonId(PersonId)>& survivor) {
  Removed removed;
  const std::string identity(identities_.of(person));
  identities_.clear(person);
  std::set<Key> owned, claimed;
  std::string buffer;
  for_each_entry_of(identity, [&](const IdentityEntry& entry) {
    if (entry.what == What::refused || entry.what == What::contested) count(entry, false);
    if (entry.what == What::joined) return;
    Key key{entry.kind, std::string(compared_form(entry.kind, entry.value, buffer))};
    if (directory_.find(entry.kind, entry.value) == person) {
      owned.insert(std::move(key));
    } else {
      claimed.insert(std::move(key));
    }
  });
  const auto is_gone = [&](const Claim& claim) {
    const PersonId now = survivor(claim.person);
    return now == person || identities_.of(now).empty();
  };
  for (const Key& key : claimed) {
    const auto found = claims_.find(key);
    if (found == claims_.end()) continue;
    std::erase_if(found->second, is_gone);
    if (found->second.empty()) claims_.erase(found);
  }
  for (const Key& key : owned) {
    std::vector<Claim> claims;
    if (const auto found = claims_.find(key); found != claims_.end()) {
      claims = std::move(found->second);
      claims_.erase(found);
    }
    std::erase_if(claims, is_gone);
    for (Claim& claim : claims) claim.person = survivor(claim.person);
    inherit(key, std::move(claims), removed);
  }
  return removed;
}

// Whose the value is, as if its owner had never been.
void Graph::inherit(const Key& key, std::vector<Claim> claims, Removed& removed) {
  const auto& [kind, form] = key;
  directory_.erase(kind, form);
  const auto is_this = [&](What what) {
    return [&, what](const IdentityEntry& entry) {
      return entry.what == what && entry.kind == kind && is_same(kind, entry.value, form);
    };
  };
  std::vector<Claim> left;
  std::optional<PersonId> heir;
  for (const Claim& claim : claims) {
    switch (claim.claims) {
      case Claims::none:
        break;
      case Claims::pinned:
        removed.pins.push_back({claim.position, pin_of(kind)});
        while (const auto found = find_entry(claim.person, [&](const IdentityEntry& entry) {
                 return is_this(What::refused)(entry) && (entry.reason == Refusal::too_many_people ||
                                                          entry.reason == Refusal::too_many_together);
               })) {
          // Under a copy of the value, as the bytes change.
          const std::string value(found->entry.value);
          IdentityEntry entry = found->entry;
          count(entry, false);
          erase(claim.person, *found);
          entry.value = value;
          entry.reason = Refusal::decided;
          add_refusal(claim.person, entry);
        }
        break;
      case Claims::holds: {
        if (heir && *heir != claim.person) left.push_back(claim);
        if (heir) break;
        heir = claim.person;
        directory_.put(kind, form, *heir);
        removed.heirs.push_back(*heir);
        if (const auto found = find_entry(*heir, is_this(What::contested))) {
          const std::string value(found->entry.value);
          const Said said{found->entry.time, found->entry.position, found->entry.source};
          forget_contested(*heir, kind, value);
          add_identifier(*heir, kind, value, said);
        }
        break;
      }
    }
  }
  // Of an id, whoever is next after the heir would have been refused for the heir's sake.
  for (const Claim& claim : left) {
    if (const auto found = find_entry(claim.person, is_this(What::contested))) {
      IdentityEntry entry = found->entry;
      const std::string value(entry.value);
      count(entry, false);
      entry.reason = Refusal::somebody_elses;
      entry.value = value;
      count(entry, true);
      replace(claim.person, *found, entry);
    }
  }
  if (!left.empty()) claims_[key] = std::move(left);
}

// ---- memory and snapshots -------------------------------------------------------------------------------

void Graph::add_memory(MemoryParts& parts, MemoryUse& profiles) const {
  profiles += identities_.memory();
  constexpr std::uint64_t kNode = 4 * sizeof(void*);  // of a tree
  for (const auto& [key, claims] : claims_) {
    profiles += {kNode + sizeof(std::pair<const Key, std::vector<Claim>>), 0};
    profiles += memory_of(key.second);
    profiles += memory_of(claims);
  }
  parts.add("directory", directory_.memory());
}

void Graph::save(ByteWriter& out) const {
  directory_.save(out);
  out.begin_part("who claims what");
  out.put(rules_count_);
  out.put<std::uint64_t>(sources_.size());
  for (const std::string& name : sources_) out.put_string(name);
  out.put<std::uint64_t>(claims_.size());
  for (const auto& [key, claims] : claims_) {
    out.put(key.first);
    out.put_string(key.second);
    out.put<std::uint64_t>(claims.size());
    for (const Claim& claim : claims) {
      out.put(claim.person);
      out.put(claim.source);
      out.put(claim.position);
      out.put(claim.time);
      out.put(claim.claims);
    }
  }
}

Result<void> Graph::restore(ByteReader& in) {
  const auto corrupt = [] { return fail(Error::Code::corrupt, "who claims an identifier is damaged"); };
  TRY(directory_.restore(in));
  rules_count_ = TRY(in.get<std::uint64_t>());
  for (auto left = TRY(in.get_count(8)); left > 0; --left) source(TRY(in.get_view()));
  for (auto left = TRY(in.get_count(17)); left > 0; --left) {
    const auto kind = static_cast<IdentifierKind>(TRY(in.get<unsigned char>()));
    if (kind > kLastIdentifierKind) return corrupt();
    auto& claims = claims_[{ kind, TRY(in.get_string()) }];
    for (auto each = TRY(in.get_count(25)); each > 0; --each) {
      Claim claim;
      claim.person = TRY(in.get<PersonId>());
      claim.source = TRY(in.get<std::uint32_t>());
      claim.position = TRY(in.get<Position>());
      claim.time = TRY(in.get<Time>());
      claim.claims = static_cast<Claims>(TRY(in.get<unsigned char>()));
      if (claim.claims > Claims::pinned || claim.source >= sources_.size()) return corrupt();
      claims.push_back(claim);
    }
  }
  return {};
}

Result<void> Graph::restore_person(PersonId person, std::string_view bytes) {
  if (!is_identity(bytes, sources_.size()))
    return fail(Error::Code::corrupt, "what is known of a person is damaged");
  if (bytes.empty()) return {};
  identities_.append(person, bytes);
  for_each_entry(person, [&](const IdentityEntry& entry) {
    if (entry.what == What::refused || entry.what == What::contested) count(entry, true);
  });
  return {};
}

}  // namespace tailrace::profiles
