#include "workspace/ecommerce.h"

#include <string_view>
#include <utility>

namespace tailrace::workspace {

namespace {

using language::Type;
using Properties = std::vector<PropertyRule>;

// A rule whose name holds a dot speaks of the elements of a list: "products.price".
void add(Properties& properties, std::string_view prefix,
         std::initializer_list<std::pair<const char*, Type>> rules) {
  for (const auto& [name, type] : rules)
    properties.push_back({.name = std::string(prefix) + name, .type = type});
}

Properties product(std::string_view prefix) {
  Properties properties;
  add(properties, prefix,
      {{"product_id", Type::string},
       {"sku", Type::string},
       {"category", Type::string},
       {"name", Type::string},
       {"brand", Type::string},
       {"variant", Type::string},
       {"price", Type::number},
       {"quantity", Type::number},
       {"coupon", Type::string},
       {"position", Type::number},
       {"url", Type::string},
       {"image_url", Type::string}});
  return properties;
}

Properties operator+(Properties left, const Properties& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Properties texts(std::initializer_list<const char*> names) {
  Properties properties;
  for (const char* name : names) properties.push_back({.name = name, .type = Type::string});
  return properties;
}

Properties numbers(std::initializer_list<const char*> names) {
  Properties properties;
  for (const char* name : names) properties.push_back({.name = name, .type = Type::number});
  return properties;
}

Properties products() { return Properties{{.name = "products", .type = Type::list}} + product("products."); }

Properties order() {
  return texts({"order_id", "affiliation", "coupon", "currency"}) +
         numbers({"total", "revenue", "shipping", "tax", "discount"}) + products();
}

EventRule event(const char* name, const char* description, Properties properties,
                std::vector<std::string> aliases = {}) {
  return {name, std::move(aliases), "", description, std::move(properties)};
}

}  // namespace

// No property is required: what a shop must send is for its own taxonomy to say.
std::vector<EventRule> ecommerce_events() {
  const Properties value = numbers({"value"}) + texts({"currency"});
  const Properties cart = texts({"cart_id"});
  const Properties coupon = texts({"order_id", "cart_id", "coupon_id", "coupon_name"});
  const Properties wishlist = texts({"wishlist_id", "wishlist_name"});
  const Properties shared = texts({"share_via", "share_message", "recipient"});
  const Properties promotion = texts({"promotion_id", "creative", "name"}) + numbers({"position"});
  const Properties step = texts({"checkout_id", "shipping_method", "payment_method"}) + numbers({"step"});
  return {
      event("Products Searched", "A search in the shop", texts({"query"})),
      event("Product List Viewed", "A list or category of products was seen",
            texts({"list_id", "category"}) + products()),
      event("Product List Filtered", "A list of products was filtered or sorted",
            texts({"list_id", "category"}) +
                Properties{{.name = "filters", .type = Type::list}, {.name = "sorts", .type = Type::list}} +
                products()),
      event("Promotion Viewed", "An offer in the shop was seen", promotion),
      event("Promotion Clicked", "An offer in the shop was clicked", promotion),
      event("Product Clicked", "A product in a list was clicked", product("")),
      event("Product Viewed", "The page of a product was seen", product("") + value, {"Viewed Product"}),
      event("Product Added", "A product was put into the cart", cart + product(""), {"Added Product"}),
      event("Product Removed", "A product was taken out of the cart", cart + product(""),
            {"Removed Product"}),
      event("Cart Started", "The first product was put into an empty cart", cart + value + products()),
      event("Cart Viewed", "The cart was looked at", cart + products()),
      event("Checkout Started", "The checkout was entered", order() + numbers({"value"})),
      event("Checkout Step Viewed", "A step of the checkout was seen", step),
      event("Checkout Step Completed", "A step of the checkout was done", step),
      event("Payment Info Entered", "Payment details were given", step + texts({"order_id"})),
      event("Order Placed", "An order was placed: a purchase",
            order() + numbers({"subtotal"}) + texts({"checkout_id"}),
            {"Order Completed", "Completed Order", "Placed Order"}),
      event("Order Updated", "An order was changed", order()),
      event("Order Refunded", "Money was given back; `total` is positive", order(), {"Refunded"}),
      event("Order Cancelled", "An order was called off", order(), {"Order Canceled"}),
      event("Coupon Entered", "A coupon was typed in", coupon),
      event("Coupon Applied", "A coupon was accepted", coupon + numbers({"discount"})),
      event("Coupon Denied", "A coupon was refused", coupon + texts({"reason"})),
      event("Coupon Removed", "A coupon was taken back", coupon + numbers({"discount"})),
      event("Product Added to Wishlist", "A product was put on a wishlist", wishlist + product("")),
      event("Product Removed from Wishlist", "A product was taken off a wishlist", wishlist + product("")),
      event("Wishlist Product Added to Cart", "A product moved from a wishlist to the cart",
            wishlist + cart + product("")),
      event("Product Shared", "A product was shown to somebody else", shared + product("")),
      event("Cart Shared", "A cart was shown to somebody else", shared + cart + products()),
      event("Product Reviewed", "A product was reviewed",
            texts({"product_id", "review_id", "review_body", "rating"})),
  };
}

}  // namespace tailrace::workspace
