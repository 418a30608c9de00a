#include "destinations/conversion.h"

#include <algorithm>
#include <array>
#include <span>
#include <tuple>

#include <fmt/format.h>

#include "base/query.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kClickWindow = "click_window";
constexpr std::string_view kClickRequired = "click_required";
constexpr std::array<std::string_view, 16> kFieldNames{
    "value",      "currency",     "order_id",         "id",     "url",  "referrer",         "items",
    "search",     "content_name", "content_category", "source", "kind", "limited_data_use", "at",
    kClickWindow, kClickRequired};

// Where a field of a conversion is unless the sync says otherwise; the first that is there counts.
struct Place {
  std::string_view field, path;
};
constexpr std::array kPlaces{
    Place{"value",
          "properties.value ?? properties.revenue ?? properties.total ?? properties.price * "
          "(properties.quantity ?? 1)"},
    Place{"currency", "properties.currency"},
    Place{"order_id", "properties.order_id ?? properties.orderId ?? properties.checkout_id"},
    Place{"id", "properties.event_id ?? message_id"},
    Place{"url", "context.page.url ?? properties.url"},
    Place{"referrer", "context.page.referrer ?? properties.referrer"},
    Place{"items", "properties.products"},
    Place{"search", "properties.query"},
    Place{"content_name", "properties.name ?? properties.list_name"},
    Place{"content_category", "properties.category"},
    Place{"source", "properties.action_source"},
    Place{"limited_data_use", "properties.limited_data_use"},
};

// What is known of a person beside identifiers.
struct UserPlace {
  Field field;
  std::string_view path;
};
constexpr std::array kUserPlaces{
    UserPlace{Field::first_name, "traits.first_name ?? traits.firstName ?? context.traits.firstName"},
    UserPlace{Field::last_name, "traits.last_name ?? traits.lastName ?? context.traits.lastName"},
    UserPlace{Field::gender, "traits.gender"},
    UserPlace{Field::date_of_birth, "traits.date_of_birth ?? traits.birthday"},
    UserPlace{Field::street, "traits.address.street ?? traits.street"},
    UserPlace{Field::city, "traits.address.city ?? traits.city"},
    UserPlace{Field::state, "traits.address.state ?? traits.state"},
    UserPlace{Field::postal_code,
              "traits.address.postal_code ?? traits.address.postalCode ?? traits.postal_code ?? traits.zip"},
    UserPlace{Field::country, "traits.address.country ?? traits.country"},
    UserPlace{Field::ip_address, "context.ip"},
    UserPlace{Field::user_agent, "context.userAgent ?? context.user_agent"},
    UserPlace{Field::locale, "context.locale"},
    UserPlace{Field::fbc, "properties.fbc ?? context.fbc ?? traits.fbc"},
    UserPlace{Field::fbp, "properties.fbp ?? context.fbp ?? traits.fbp"},
    UserPlace{Field::gclid, "properties.gclid ?? context.gclid ?? traits.gclid"},
    UserPlace{Field::gbraid, "properties.gbraid ?? context.gbraid ?? traits.gbraid"},
    UserPlace{Field::wbraid, "properties.wbraid ?? context.wbraid ?? traits.wbraid"},
    UserPlace{Field::ttclid, "properties.ttclid ?? context.ttclid ?? traits.ttclid"},
    UserPlace{Field::ttp, "properties.ttp ?? context.ttp ?? traits.ttp"},
    UserPlace{Field::sc_click_id, "properties.sc_click_id ?? context.sc_click_id ?? traits.sc_click_id"},
    UserPlace{Field::sc_cookie1, "properties.sc_cookie1 ?? context.sc_cookie1 ?? traits.sc_cookie1"},
    UserPlace{Field::epik, "properties.epik ?? context.epik ?? traits.epik"},
    UserPlace{Field::li_fat_id, "properties.li_fat_id ?? context.li_fat_id ?? traits.li_fat_id"},
    UserPlace{Field::msclkid, "properties.msclkid ?? context.msclkid ?? traits.msclkid"},
    UserPlace{Field::rdt_cid, "properties.rdt_cid ?? context.rdt_cid ?? traits.rdt_cid"},
    UserPlace{Field::rdt_uuid, "properties.rdt_uuid ?? context.rdt_uuid ?? traits.rdt_uuid"},
    UserPlace{Field::twclid, "properties.twclid ?? context.twclid ?? traits.twclid"},
    UserPlace{Field::ga_client_id, "properties.ga_client_id ?? context.ga_client_id ?? traits.ga_client_id"},
};

const std::vector<std::pair<Field, FieldPath>>& user_paths() {
  static const auto kPaths = [] {
    std::vector<std::pair<Field, FieldPath>> all;
    for (const UserPlace& place : kUserPlaces)
      all.emplace_back(place.field, FieldPath::parse(place.path).value());
    return all;
  }();
  return kPaths;
}

// An event as a record for paths.
class Record {
 public:
  Record(const EventMessage& message, const PersonProfile& person)
      : event_(Value::of(message.event)),
        message_id_(Value::of(message.message_id)),
        user_id_(Value::of(message.user_id)),
        anonymous_id_(Value::of(message.anonymous_id)),
        parts_{{{"properties", &message.properties},
                {"context", &message.context},
                {"traits", &person.traits},
                {"event", &event_},
                {"message_id", &message_id_},
                {"user_id", &user_id_},
                {"anonymous_id", &anonymous_id_}}} {}
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  // Until the next call.
  const Value& at(const FieldPath& path) const {
    static const Value kNothing;
    const Value* found = path.find(parts_, room_);
    return found == nullptr ? kNothing : *found;
  }

 private:
  Value event_, message_id_, user_id_, anonymous_id_;
  std::array<std::pair<std::string_view, const Value*>, 7> parts_;
  mutable Value room_;
};

std::optional<Number> number_of(const Value& value) {
  if (value.kind == Value::Kind::number) return value.number;
  if (value.kind != Value::Kind::string) return std::nullopt;
  const auto number = Number::parse(value.string);
  return number ? std::optional(*number) : std::nullopt;
}

std::string text_at(const Value& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const Value* found = object.find(name)) {
      if (std::string text = text_of(*found); !text.empty()) return text;
    }
  }
  return "";
}

std::optional<ConversionItem> item_of(const Value& product) {
  if (product.kind != Value::Kind::object) return std::nullopt;
  ConversionItem item;
  item.id = text_at(product, {"product_id", "productId", "sku", "id", "variant_id"});
  item.name = text_at(product, {"name", "title"});
  item.category = text_at(product, {"category"});
  item.brand = text_at(product, {"brand"});
  if (const Value* price = product.find("price")) item.price = number_of(*price);
  if (const Value* quantity = product.find("quantity"))
    item.quantity = number_of(*quantity).value_or(item.quantity);
  if (item.id.empty() && item.name.empty()) return std::nullopt;
  return item;
}

std::vector<ConversionItem> items_of(const Value& products, const Value& properties) {
  std::vector<ConversionItem> items;
  if (products.kind == Value::Kind::list) {
    for (const Value& product : products.list) {
      if (auto item = item_of(product)) items.push_back(std::move(*item));
    }
  } else if (properties.find("product_id") != nullptr || properties.find("sku") != nullptr) {
    if (auto item = item_of(properties)) items.push_back(std::move(*item));  // "Product Viewed" and its like
  }
  return items;
}

Conversion::Source source_of(const std::string& text, const EventMessage& message) {
  using Source = Conversion::Source;
  constexpr std::array<std::pair<std::string_view, Source>, 13> kSources{
      {{"website", Source::website},
       {"web", Source::website},
       {"app", Source::app},
       {"mobile_app", Source::app},
       {"store", Source::store},
       {"physical_store", Source::store},
       {"offline", Source::store},
       {"email", Source::email},
       {"phone_call", Source::phone_call},
       {"chat", Source::chat},
       {"system", Source::system},
       {"system_generated", Source::system},
       {"other", Source::other}}};
  std::string word = text;
  for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (const auto& [name, source] : kSources) {
    if (name == word) return source;
  }
  if (message.context.find("app") != nullptr || message.context.find("device") != nullptr) return Source::app;
  if (message.context.find("page") != nullptr) return Source::website;
  // A shop's server that names no page: no platform takes that as an event of a website.
  return word.empty() && message.properties.find("url") != nullptr ? Source::website : Source::other;
}

Conversion::Kind kind_of(const std::string& text, std::string_view event) {
  if (text == "refund" || (text.empty() && event == "Order Refunded")) return Conversion::Kind::refund;
  if (text == "cancellation" || (text.empty() && event == "Order Cancelled"))
    return Conversion::Kind::cancellation;
  return Conversion::Kind::conversion;
}

std::optional<bool> consent_of(const PersonProfile& person, std::string_view purpose) {
  for (const auto& [name, granted] : person.consent) {
    if (name == purpose) return granted;
  }
  return std::nullopt;
}

// The name is a field's: a test says so.
Field field_of(ClickKind kind) { return field_named(rule_of(kind).name).value(); }

// Of what was seen of the person before, the newest of each family, unless the platform looks back no longer,
// or the sync does not.
std::vector<Click> usable_clicks(std::span<const Click> kept, Time at, std::optional<Millis> click_window) {
  std::map<int, Click> newest;
  for (const Click& click : kept) {
    const ClickRule& rule = rule_of(click.kind);
    const Time seen = rule.is_browsers ? std::min(click.last, at) : click.first;
    const bool is_shortened = click_window && !rule.is_browsers && *click_window < rule.window;
    if (click.first > at || at - seen > (is_shortened ? *click_window : rule.window)) continue;
    const auto [known, is_first] = newest.try_emplace(rule.family, click);
    if (!is_first && std::tie(known->second.first, known->second.value) < std::tie(click.first, click.value))
      known->second = click;
  }
  std::vector<Click> usable;
  for (const auto& [family, click] : newest) usable.push_back(click);
  return usable;
}

}  // namespace

std::vector<std::pair<Field, std::string>> clicks_in(std::string_view url) {
  std::vector<std::pair<Field, std::string>> found;
  for (const ClickRule& rule : kClickRules) {
    if (rule.parameter.empty()) continue;
    if (std::string value = query_parameter(url, rule.parameter); !value.empty())
      found.emplace_back(field_of(rule.kind), std::move(value));
  }
  return found;
}

std::vector<std::pair<Field, std::string>> user_of(const EventMessage& message, const PersonProfile& person,
                                                   std::optional<Millis> click_window) {
  std::vector<std::pair<Field, std::string>> user;
  const auto add = [&](Field field, std::string value) {
    if (value.empty()) return;
    const std::pair<Field, std::string> one{field, std::move(value)};
    if (std::ranges::find(user, one) == user.end()) user.push_back(one);
  };
  const auto has = [&](Field field) {
    return std::ranges::find(user, field, &std::pair<Field, std::string>::first) != user.end();
  };
  add(Field::external_id, message.user_id);
  // What the event itself says comes first: a guest's order may carry an address that no profile has.
  for (const auto& [field, name] : {std::pair(Field::email, "email"), std::pair(Field::phone, "phone")}) {
    add(field, text_at(message.properties, {name}));
    if (const Value* traits = message.context.find("traits")) add(field, text_at(*traits, {name}));
  }
  for (std::size_t i = 0; i < person.identifiers.size(); ++i) {
    const Identifier& identifier = person.identifiers[i];
    const auto before = std::span(person.identifiers).first(i);
    const bool is_id =
        identifier.kind == IdentifierKind::external_id || identifier.kind == IdentifierKind::anonymous_id;
    // Of e-mails, phones and devices the primary one.
    if (is_id || std::ranges::find(before, identifier.kind, &Identifier::kind) == before.end())
      add(field_of(identifier.kind), identifier.value);
  }
  add(Field::anonymous_id, message.anonymous_id);

  const Record record(message, person);
  for (const auto& [field, path] : user_paths()) add(field, text_of(record.at(path)));

  if (const Value* device = message.context.find("device")) {
    const Value* tracking = device->find("adTrackingEnabled");
    const bool allowed = tracking == nullptr || tracking->kind != Value::Kind::boolean || tracking->boolean;
    std::string type = text_at(*device, {"type"});
    for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (allowed) add(type == "ios" ? Field::idfa : Field::aaid, text_at(*device, {"advertisingId"}));
    if (type == "ios") add(Field::idfv, text_at(*device, {"id"}));
  }
  static const FieldPath kUrl = FieldPath::parse("context.page.url ?? properties.url").value();
  const std::string url = text_of(record.at(kUrl));
  for (auto& [field, value] : clicks_in(url)) {
    if (!has(field)) add(field, std::move(value));
  }
  // Meta's browser id of a click, where the page had the click and no cookie.
  if (const std::string click = query_parameter(url, "fbclid"); !click.empty() && !has(Field::fbc))
    add(Field::fbc, fmt::format("fb.1.{}.{}", message.at.ms, click));
  for (const Click& click : usable_clicks(message.clicks, message.at, click_window)) {
    const bool is_known = std::ranges::any_of(kClickRules, [&](const ClickRule& rule) {
      return rule.family == rule_of(click.kind).family && has(field_of(rule.kind));
    });
    if (!is_known) add(field_of(click.kind), click.value);
  }
  return user;
}

std::span<const std::string_view> Mapping::field_names() { return kFieldNames; }

Result<Mapping> Mapping::create(const EventDestination& destination,
                                const std::map<std::string, std::string>& events,
                                const std::map<std::string, std::string>& fields, std::string currency,
                                Selection selection) {
  Mapping mapping;
  mapping.currency_ = std::move(currency);
  mapping.selection_ = std::move(selection);
  mapping.every_event_ = destination.takes_every_event();
  for (const EventName& each : destination.events()) mapping.names_.emplace(each.event, each.name);
  for (const auto& [event, name] : events) mapping.names_[event] = name;
  for (const Place& place : kPlaces)
    mapping.paths_.emplace(place.field, FieldPath::parse(place.path).value());
  for (const auto& [field, text] : fields) {
    const bool known = std::ranges::find(kFieldNames, field) != kFieldNames.end() || field_named(field);
    if (!known) return invalid(fmt::format("there is no field \"{}\"", field));
    if (field == kClickWindow || field == kClickRequired) {
      TRY(mapping.take_click_rule(destination, field, text));
      continue;
    }
    auto path = FieldPath::parse(text);
    if (!path) return invalid(fmt::format("field \"{}\": {}", field, path.error().message));
    mapping.paths_.insert_or_assign(field, std::move(*path));
  }
  return mapping;
}

Result<void> Mapping::take_click_rule(const EventDestination& destination, const std::string& field,
                                      const std::string& text) {
  const auto takes_clicks = [](const FieldRule& rule) { return is_click_id(rule.field); };
  if (!std::ranges::any_of(destination.fields(), takes_clicks))
    return invalid(fmt::format("field \"{}\": {} takes no click ids", field, destination.title()));
  if (field == kClickRequired) {
    if (text != "true" && text != "false")
      return invalid(fmt::format("field \"{}\": `true` or `false`", field));
    click_required_ = text == "true";
    return {};
  }
  const auto window = parse_duration(text);
  if (!window || window->count <= 0)
    return invalid(fmt::format("field \"{}\": a duration, such as 7d", field));
  click_window_ = *window;
  return {};
}

std::string_view Mapping::name_of(std::string_view event) const {
  const auto found = names_.find(event);
  if (found == names_.end()) return every_event_ ? event : std::string_view();
  return found->second;
}

Conversion Mapping::apply(const EventMessage& message, const PersonProfile& person) const {
  const Record record(message, person);
  const auto read = [&](std::string_view field) -> const Value& {
    static const Value kNothing;
    const auto found = paths_.find(field);
    return found == paths_.end() ? kNothing : record.at(found->second);
  };
  Conversion conversion;
  for (const std::string* name : {&person.golden_id, &message.user_id, &message.anonymous_id}) {
    if (conversion.person.empty()) conversion.person = *name;
  }
  conversion.event = message.event;
  conversion.name = std::string(name_of(message.event));
  conversion.id = text_of(read("id"));
  conversion.at = message.at;
  if (const auto at = parse_time(text_of(read("at")))) conversion.at = *at;
  conversion.kind = kind_of(text_of(read("kind")), message.event);
  conversion.source = source_of(text_of(read("source")), message);
  conversion.url = text_of(read("url"));
  conversion.referrer = text_of(read("referrer"));
  conversion.value = number_of(read("value"));
  conversion.currency = text_of(read("currency"));
  for (char& c : conversion.currency) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  if (conversion.currency.empty() && conversion.value) conversion.currency = currency_;
  conversion.order_id = text_of(read("order_id"));
  conversion.items = items_of(read("items"), message.properties);
  conversion.search = text_of(read("search"));
  conversion.content_name = text_of(read("content_name"));
  conversion.content_category = text_of(read("content_category"));
  conversion.user = user_of(message, person, click_window_);
  conversion.click_required = click_required_;
  for (const auto& [name, path] : paths_) {
    if (std::ranges::find(kFieldNames, name) != kFieldNames.end()) continue;
    const auto field = field_named(name);
    if (!field) continue;
    std::erase_if(conversion.user, [&](const auto& one) { return one.first == *field; });
    if (std::string text = text_of(record.at(path)); !text.empty())
      conversion.user.emplace_back(*field, std::move(text));
  }
  conversion.ads_consent = consent_of(person, "ads");
  conversion.personalisation_consent = consent_of(person, "ads_personalisation");
  const Value& limited = read("limited_data_use");
  conversion.limited_data_use = limited.kind == Value::Kind::boolean && limited.boolean;
  conversion.message_id = message.message_id;
  conversion.user_id = message.user_id;
  conversion.anonymous_id = message.anonymous_id;
  if (every_event_) {
    conversion.properties = selection_.apply(message.properties);
    conversion.context = message.context;
    conversion.traits = person.traits;
  }
  return conversion;
}

}  // namespace tailrace::destinations
