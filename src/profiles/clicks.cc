#include "profiles/clicks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "base/query.h"
#include "profiles/packed.h"

namespace tailrace::profiles {
namespace {

constexpr std::size_t kKept = 4;  // of a kind
constexpr std::size_t kValueBytesMax = 512;
constexpr std::string_view kMetaParameter = "fbclid";

// Whether a name of a click stands at the beginning, as a JSON member (`end`: a quotation mark) or as a
// parameter (an equals sign).
bool begins_with_name(std::string_view rest, char end) {
  static constexpr auto kFirst = [] {
    std::array<bool, 256> first{};
    for (const ClickRule& rule : kClickRules) {
      first[static_cast<unsigned char>(rule.name.front())] = true;
      if (!rule.parameter.empty()) first[static_cast<unsigned char>(rule.parameter.front())] = true;
    }
    return first;
  }();
  if (rest.empty() || !kFirst[static_cast<unsigned char>(rest.front())]) return false;
  const auto is = [&](std::string_view name) {
    return !name.empty() && rest.size() > name.size() && rest.starts_with(name) && rest[name.size()] == end;
  };
  if (end == '"')
    return std::ranges::any_of(kClickRules, [&](const ClickRule& rule) { return is(rule.name); });
  return is(kMetaParameter) ||
         std::ranges::any_of(kClickRules, [&](const ClickRule& rule) { return is(rule.parameter); });
}

// Behind each `mark`.
bool has_name_behind(std::string_view json, char mark, char end) {
  for (std::size_t at = json.find(mark); at != std::string_view::npos; at = json.find(mark, at + 1)) {
    if (begins_with_name(json.substr(at + 1), end)) return true;
  }
  return false;
}

std::string text_of(const Value& object, std::string_view name) {
  const Value* value = object.kind == Value::Kind::object ? object.find(name) : nullptr;
  return value != nullptr && value->kind == Value::Kind::string ? value->string : "";
}

std::string encoded(const std::vector<Click>& clicks) {
  std::string bytes;
  for (const Click& click : clicks) {
    bytes += static_cast<char>(click.kind);
    put_varint(bytes, zigzag(click.first.ms));
    put_varint(bytes, static_cast<std::uint64_t>((click.last - click.first).count));
    put_varint(bytes, click.value.size());
    bytes += click.value;
  }
  return bytes;
}

// Missing: they are none.
std::optional<std::vector<Click>> decoded(std::string_view bytes) {
  std::vector<Click> clicks;
  Unpacker in(bytes);
  while (!in.done()) {
    Click click;
    click.kind = static_cast<ClickKind>(in.fixed<unsigned char>());
    click.first = {from_zigzag(in.varint())};
    click.last = click.first + Millis{static_cast<std::int64_t>(in.varint())};
    click.value = in.bytes(in.varint());
    if (in.failed() || click.kind > kLastClickKind) return std::nullopt;
    clicks.push_back(std::move(click));
  }
  return clicks;
}

// Of Meta's id the last part is the click's; before it is the time at which it was written down.
std::string_view identity_of(const Click& click) {
  const std::string_view value = click.value;
  if (click.kind != ClickKind::fbc || !value.starts_with("fb.")) return value;
  const std::size_t index = value.find('.', 3);
  const std::size_t time = index == std::string_view::npos ? index : value.find('.', index + 1);
  return time == std::string_view::npos ? value : value.substr(time + 1);
}
bool is_same(const Click& a, const Click& b) { return a.kind == b.kind && identity_of(a) == identity_of(b); }

}  // namespace

bool may_hold_clicks(std::string_view json) {
  if (has_name_behind(json, '"', '"')) return true;
  return json.find('?') != std::string_view::npos &&
         (has_name_behind(json, '?', '=') || has_name_behind(json, '&', '='));
}

std::vector<SeenClick> clicks_in(const Value& object, Time at) {
  std::vector<SeenClick> seen;
  const auto add = [&](ClickKind kind, std::string value) {
    if (!value.empty() && value.size() <= kValueBytesMax) seen.emplace_back(kind, std::move(value));
  };
  for (const ClickRule& rule : kClickRules) add(rule.kind, text_of(object, rule.name));
  const Value* page = object.kind == Value::Kind::object ? object.find("page") : nullptr;
  for (const std::string& url :
       {page == nullptr ? "" : text_of(*page, "url"), page == nullptr ? "" : text_of(*page, "search"),
        text_of(object, "url"), text_of(object, "search")}) {
    if (url.find('?') == std::string::npos) continue;
    for (const ClickRule& rule : kClickRules) {
      if (!rule.parameter.empty()) add(rule.kind, query_parameter(url, rule.parameter));
    }
    // As Meta's own cookie says it (its Conversions API asks for that form where there is no cookie).
    const bool has_cookie =
        std::ranges::any_of(seen, [](const auto& one) { return one.first == ClickKind::fbc; });
    if (const std::string click = query_parameter(url, kMetaParameter); !click.empty() && !has_cookie)
      add(ClickKind::fbc, fmt::format("fb.1.{}.{}", at.ms, click));
  }
  return seen;
}

void Clicks::see(PersonId person, const Click& click) {
  auto clicks = *decoded(bytes_.of(person));
  const auto same = std::ranges::find_if(clicks, [&](const Click& one) { return is_same(one, click); });
  if (same == clicks.end()) {
    clicks.push_back(click);
  } else if (click.first >= same->first && click.last <= same->last && click.value >= same->value) {
    return;
  } else {
    if (std::tie(click.first, click.value) < std::tie(same->first, same->value)) same->value = click.value;
    same->first = std::min(same->first, click.first);
    same->last = std::max(same->last, click.last);
  }
  std::ranges::sort(clicks, [](const Click& a, const Click& b) {
    return std::tie(a.kind, b.last, b.value) < std::tie(b.kind, a.last, a.value);
  });
  std::vector<Click> kept;
  for (Click& each : clicks) {
    const auto of_kind = std::ranges::count(kept, each.kind, &Click::kind);
    if (static_cast<std::size_t>(of_kind) < kKept) kept.push_back(std::move(each));
  }
  bytes_.splice(person, 0, bytes_.of(person).size(), encoded(kept));
}

void Clicks::absorb(PersonId survivor, PersonId gone) {
  for (const Click& click : of(gone)) see(survivor, click);
  clear(gone);
}

std::vector<Click> Clicks::of(PersonId person) const { return *decoded(bytes_.of(person)); }

Result<void> Clicks::restore_person(PersonId person, std::string_view bytes) {
  if (!decoded(bytes)) return fail(Error::Code::corrupt, "the clicks of a person are damaged");
  if (!bytes.empty()) bytes_.append(person, bytes);
  return {};
}

}  // namespace tailrace::profiles
