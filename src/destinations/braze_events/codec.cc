#include "destinations/braze_events/codec.h"

#include <algorithm>
#include <array>

#include "destinations/analytics/event_json.h"
#include "model/json.h"

namespace tailrace::destinations::braze_events_codec {
namespace {

constexpr std::size_t kNameCharactersMax = 255;

std::string_view source_of(const Conversion& conversion) {
  if (conversion.source == Conversion::Source::website) return "web";
  if (conversion.source == Conversion::Source::app) return "app";
  if (conversion.source == Conversion::Source::store) return "store";
  return "server";
}

std::string variant_of(const ConversionItem& item, const Value* product) {
  for (const char* name : {"variant_id", "variant", "sku"}) {
    if (std::string text(text_member(product, name)); !text.empty()) return text;
  }
  return item.id;
}

Value product_of(const ConversionItem& item, const Value* product) {
  Value out = analytics::empty_object();
  analytics::add_text(out, "product_id", item.id.empty() ? item.name : item.id);
  analytics::add_text(out, "product_name", item.name.empty() ? item.id : item.name);
  analytics::add_text(out, "variant_id", variant_of(item, product));
  if (item.price) out.members.emplace_back("price", Value::of(*item.price));
  return out;
}

Value products_of(const Conversion& conversion) {
  const Value* products = member(&conversion.properties, "products");
  const bool same = products != nullptr && products->list.size() == conversion.items.size();
  Value list = Value::with(Value::Kind::list);
  for (std::size_t i = 0; i < conversion.items.size(); ++i) {
    Value product = product_of(conversion.items[i], same ? &products->list[i] : nullptr);
    product.members.emplace_back("quantity", Value::of(conversion.items[i].quantity));
    list.list.push_back(std::move(product));
  }
  return list;
}

std::string property_of(const Conversion& conversion, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Value* found = member(&conversion.properties, name);
    if (found != nullptr && found->kind == Value::Kind::string) return found->string;
    if (found != nullptr && found->kind == Value::Kind::number) return found->number.to_string();
  }
  return "";
}

// What Braze's schema of the name asks for; empty where the event does not have all of it.
Value recommended(const Conversion& conversion) {
  const std::string_view name = std::string_view(conversion.name).substr(kRecommended.size());
  Value out = analytics::empty_object();
  bool whole = !conversion.currency.empty();
  const auto need = [&](std::string_view key, std::string text) {
    whole = whole && !text.empty();
    analytics::add_text(out, key, std::move(text));
  };
  if (name == "product_viewed") {
    whole = whole && !conversion.items.empty() && conversion.items[0].price;
    if (!conversion.items.empty()) out = product_of(conversion.items[0], &conversion.properties);
  } else {
    whole = whole && !conversion.items.empty() && conversion.value &&
            std::ranges::all_of(conversion.items,
                                [](const ConversionItem& item) { return item.price.has_value(); });
    if (name == "cart_updated") {
      need("cart_id", property_of(conversion, {"cart_id"}));
      analytics::add_text(out, "action", conversion.event == "Product Removed" ? "remove" : "add");
    } else if (name == "checkout_started") {
      need("checkout_id", property_of(conversion, {"checkout_id", "order_id", "cart_id"}));
    } else {
      need("order_id", conversion.order_id);
    }
    if (name == "order_cancelled")
      need("cancel_reason", property_of(conversion, {"reason", "cancel_reason"}));
    if (conversion.value) out.members.emplace_back("total_value", Value::of(*conversion.value));
    if (const Value* discount = member(&conversion.properties, "discount");
        discount != nullptr && discount->kind == Value::Kind::number && name.starts_with("order_"))
      out.members.emplace_back("total_discounts", *discount);
    out.members.emplace_back("products", products_of(conversion));
  }
  analytics::add_text(out, "currency", conversion.currency);
  out.members.emplace_back("source", Value::of(std::string(source_of(conversion))));
  if (!whole) return analytics::empty_object();
  // The rest of the properties, where Braze's schemas leave room for it.
  Value metadata = analytics::empty_object();
  for (const auto& [key, value] : conversion.properties.members) {
    const bool told = key == "products" || key == "currency" || out.find(key) != nullptr;
    const bool flat = value.kind == Value::Kind::string || value.kind == Value::Kind::number ||
                      value.kind == Value::Kind::boolean;
    if (!told && flat) metadata.members.emplace_back(key, value);
  }
  if (!metadata.members.empty()) out.members.emplace_back("metadata", std::move(metadata));
  return out;
}

// External id first; e-mail and phone name one who is known by them; an anonymous person is an alias.
bool add_identifier(Value& to, std::span<const UserValue> values, const Config& config) {
  for (const auto& [field, key] : {std::pair(Field::external_id, "external_id"),
                                   std::pair(Field::email, "email"), std::pair(Field::phone, "phone")}) {
    if (std::string value = analytics::value_of(values, field); !value.empty()) {
      analytics::add_text(to, key, std::move(value));
      return true;
    }
  }
  std::string anonymous = analytics::value_of(values, Field::anonymous_id);
  if (anonymous.empty()) return false;
  Value alias = analytics::empty_object();
  analytics::add_text(alias, "alias_name", std::move(anonymous));
  analytics::add_text(alias, "alias_label", config.setting(std::string(kAliasLabel)));
  to.members.emplace_back("user_alias", std::move(alias));
  to.members.emplace_back("_update_existing_only", Value::of(false));
  return true;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  Value event = analytics::empty_object();
  if (!add_identifier(event, user_values(destination, conversion, config), config))
    return std::unexpected(Refused{"user", "no identifier that Braze takes"});
  std::string name = conversion.name;
  Value properties;
  if (name.starts_with(kRecommended)) {
    properties = recommended(conversion);
    // Braze would refuse it; as an event of one's own it is kept.
    if (properties.members.empty()) name = conversion.event;
  }
  if (properties.members.empty()) properties = conversion.properties;
  event.members.emplace_back("name", Value::of(std::string(analytics::cut(name, kNameCharactersMax))));
  event.members.emplace_back("time", Value::of(format_time(conversion.at)));
  if (!properties.members.empty()) event.members.emplace_back("properties", std::move(properties));
  return to_json(event);
}

}  // namespace tailrace::destinations::braze_events_codec
