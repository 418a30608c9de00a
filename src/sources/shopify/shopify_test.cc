#include <gmock/gmock.h>

#include "support/source_records.h"

namespace tailrace::sources {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ShopifyTest : public ::testing::Test {
 protected:
  ShopifyTest() { scene_.config().secrets["webhook_secret"] = "secret"; }

  static HttpRequest webhook(const std::string& topic, std::string body) {
    return {.method = "POST",
            .url = "/sources/test",
            .headers = {{"X-Shopify-Topic", topic},
                        {"X-Shopify-Shop-Domain", "example.myshopify.com"},
                        {"X-Shopify-Webhook-Id", "w-1"},
                        {"X-Shopify-Event-Id", "e-1"}},
            .body = std::move(body)};
  }
  static HttpRequest signed_webhook(const std::string& body, const std::string& secret) {
    HttpRequest request = webhook("orders/create", body);
    const Sha256 digest = hmac_sha256(secret, body);
    request.headers.emplace_back("X-Shopify-Hmac-Sha256",
                                 to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()}));
    return request;
  }
  std::string taken(const std::string& topic, std::string body) const {
    return scene_.taken(webhook(topic, std::move(body)));
  }

  testing::SourceScene scene_{*find_source("shopify")};
};

constexpr const char* kOrder = R"({
  "id": 820982911946154508, "name": "#1001", "email": "kim@example.com", "phone": null, "test": false,
  "created_at": "2026-03-01T10:58:20+01:00", "updated_at": "2026-03-01T11:00:00+01:00",
  "cancelled_at": "2026-03-01T12:00:00+01:00", "cancel_reason": "customer", "checkout_id": 901414060,
  "currency": "EUR", "taxes_included": false, "total_price": "57.50", "subtotal_price": "45.00", "total_tax": "7.50",
  "total_discounts": "5.00", "total_shipping_price_set": {"shop_money": {"amount": "5.00", "currency_code": "EUR"}},
  "discount_codes": [{"code": "SPRING", "amount": "5.00"}, {"code": "VIP"}], "buyer_accepts_marketing": true,
  "customer": {"id": 7, "email": "kim@example.com", "phone": "+44 20 7946 0018", "first_name": "Kim", "last_name": "Ott",
               "default_address": {"city": "Berlin", "province": null, "zip": "10115", "country": "Germany", "country_code": "DE"}},
  "line_items": [{"id": 1, "product_id": 632910392, "variant_id": 49148385, "sku": "MUG", "title": "Mug", "vendor": "Acme",
                  "variant_title": "red", "price": "16.67", "quantity": 3, "tax_lines": [{"price": "7.18"}]}]})";

TEST_F(ShopifyTest, an_order_is_placed) {
  EXPECT_EQ(taken("orders/create", kOrder), R"(200
identify id=e-1/orders/create/person at=2026-03-01T09:58:20.000Z user=7 previous=shopify-order:820982911946154508 {"email":"kim@example.com","phone":"+44 20 7946 0018","first_name":"Kim","last_name":"Ott","city":"Berlin","postal_code":"10115","country":"DE"}
identify id=e-1/orders/create/email at=2026-03-01T09:58:20.000Z user=7 {"consent":{"email":true}}
track "Order Placed" id=e-1/orders/create at=2026-03-01T09:58:20.000Z user=7 {"order_id":"820982911946154508","order_name":"#1001","checkout_id":"901414060","total":57.5,"subtotal":45,"revenue":45,"shipping":5,"tax":7.5,"discount":5,"coupon":"SPRING,VIP","currency":"EUR","products":[{"product_id":"632910392","variant_id":"49148385","sku":"MUG","name":"Mug","brand":"Acme","variant":"red","price":16.67,"quantity":3}],"reason":"customer"}
)");
}

TEST_F(ShopifyTest, prices_that_include_tax_lose_it) {
  std::string order = kOrder;
  order.replace(order.find(R"("taxes_included": false)"), 23, R"("taxes_included": true )");
  EXPECT_THAT(taken("orders/create", order), HasSubstr(R"("total":57.5,"subtotal":37.82,"revenue":37.82,)"));
}

TEST_F(ShopifyTest, the_other_topics_of_orders) {
  EXPECT_THAT(
      taken("orders/cancelled", kOrder),
      HasSubstr(R"(track "Order Cancelled" id=e-1/orders/cancelled at=2026-03-01T11:00:00.000Z user=7)"));
  EXPECT_THAT(taken("orders/updated", kOrder),
              HasSubstr(R"(track "Order Updated" id=e-1/orders/updated user=7)"));
  EXPECT_EQ(taken("orders/paid", kOrder), "200\n");
  scene_.config().settings["order_placed"] = "orders/paid";
  EXPECT_THAT(taken("orders/paid", kOrder), HasSubstr(R"(track "Order Placed" id=e-1/orders/paid)"));
  EXPECT_EQ(taken("orders/create", kOrder), "200\n");
}

TEST_F(ShopifyTest, topics_of_which_nothing_comes_are_acknowledged) {
  for (const char* topic :
       {"products/update", "customers/data_request", "shop/redact", "app/uninstalled", "customers/delete"})
    EXPECT_EQ(taken(topic, R"({"id":1})"), "200\n") << topic;
  std::string order = kOrder;
  order.replace(order.find(R"("test": false)"), 13, R"("test": true )");
  EXPECT_EQ(taken("orders/create", order), "200\n");
  scene_.config().settings["test_orders"] = "take";
  EXPECT_THAT(taken("orders/create", order), HasSubstr("Order Placed"));
}

TEST_F(ShopifyTest, guests_are_named_by_their_contact) {
  EXPECT_EQ(taken("orders/create", R"({"id":1,"contact_email":"kim@example.com","total_price":"1.00"})"),
            R"(200
identify id=e-1/orders/create/person previous=shopify-order:1 context={"traits":{"email":"kim@example.com"}} {}
track "Order Placed" id=e-1/orders/create context={"traits":{"email":"kim@example.com"}} {"order_id":"1","total":1}
)");
  EXPECT_THAT(taken("orders/create", R"({"id":1,"phone":"+44 20 7946 0018"})"),
              HasSubstr(R"(context={"traits":{"phone":"+44 20 7946 0018"}})"));
  EXPECT_THAT(taken("orders/create", R"({"id":1})"),
              HasSubstr("track \"Order Placed\" id=e-1/orders/create anonymous=shopify-order:1"));
  scene_.config().settings["user_id"] = "none";
  EXPECT_THAT(taken("orders/create", kOrder), Not(HasSubstr("user=7")));
}

TEST_F(ShopifyTest, a_cart_attribute_brings_what_the_visitor_did) {
  EXPECT_THAT(
      taken(
          "orders/create",
          R"({"id":1,"customer":{"id":7},"note_attributes":[{"name":"gift","value":"yes"},{"name":"anonymous_id","value":"visitor"}]})"),
      HasSubstr("identify id=e-1/orders/create/visitor user=7 anonymous=visitor"));
  EXPECT_THAT(
      taken(
          "orders/create",
          R"({"id":1,"email":"kim@example.com","note_attributes":[{"name":"anonymous_id","value":"visitor"}]})"),
      HasSubstr(
          R"(identify id=e-1/orders/create/visitor previous=visitor context={"traits":{"email":"kim@example.com"}} {"email":"kim@example.com"})"));
}

TEST_F(ShopifyTest, a_refund_is_of_its_order) {
  EXPECT_EQ(
      taken("refunds/create",
            R"({"id":509562969,"order_id":450789469,"created_at":"2026-03-01T09:58:20Z","note":"wrong size",
      "refund_line_items":[{"quantity":1,"subtotal":199.0,"total_tax":3.98,
        "subtotal_set":{"shop_money":{"amount":"199.00","currency_code":"USD"}},"total_tax_set":{"shop_money":{"amount":"3.98","currency_code":"USD"}},
        "line_item":{"product_id":632910392,"variant_id":49148385,"title":"Mug","price":"199.00","quantity":2}}],
      "transactions":[{"kind":"refund","status":"success","amount":"202.98","currency":"USD"},{"kind":"refund","status":"success","amount":"0.02","currency":"USD"},
        {"kind":"refund","status":"failure","amount":"5.00"},{"kind":"sale","status":"success","amount":"7.00"}]})"),
      R"(200
track "Order Refunded" id=e-1/refunds/create at=2026-03-01T09:58:20.000Z anonymous=shopify-order:450789469 {"order_id":"450789469","refund_id":"509562969","total":203,"revenue":199,"tax":3.98,"currency":"USD","reason":"wrong size","products":[{"product_id":"632910392","variant_id":"49148385","name":"Mug","price":199,"quantity":1}]}
)");
}

TEST_F(ShopifyTest, a_refund_paid_in_another_currency_is_counted_by_its_lines) {
  EXPECT_THAT(taken("refunds/create", R"({"id":1,"order_id":2,
      "refund_line_items":[{"quantity":1,"subtotal_set":{"shop_money":{"amount":"10.10","currency_code":"EUR"}},
        "total_tax_set":{"shop_money":{"amount":"1.90","currency_code":"EUR"}}}],
      "order_adjustments":[{"kind":"shipping_refund","amount_set":{"shop_money":{"amount":"-4.00"}},"tax_amount_set":{"shop_money":{"amount":"-0.50"}}}],
      "transactions":[{"kind":"refund","status":"success","amount":"18.00","currency":"USD"}]})"),
              HasSubstr(R"("total":16.5,"revenue":10.1,"tax":1.9,"shipping":4,"currency":"EUR")"));
}

TEST_F(ShopifyTest, a_refund_of_nothing_is_of_nothing) {
  scene_.config().settings["currency"] = "EUR";
  EXPECT_THAT(taken("refunds/create", R"({"id":1,"order_id":2,"transactions":[]})"),
              HasSubstr(R"("total":0,"currency":"EUR")"));
}

TEST_F(ShopifyTest, a_customer_is_somebody_with_traits_and_dated_consent) {
  EXPECT_EQ(
      taken(
          "customers/update",
          R"({"id":7,"email":"kim@example.com","first_name":"Kim","tags":"vip","updated_at":"2026-03-01T09:58:20Z",
      "email_marketing_consent":{"state":"unsubscribed","consent_updated_at":"2026-02-01T00:00:00Z"},
      "sms_marketing_consent":{"state":"not_subscribed","consent_updated_at":null}})"),
      R"(200
identify id=e-1/customers/update/person at=2026-03-01T09:58:20.000Z user=7 {"email":"kim@example.com","first_name":"Kim","tags":"vip"}
identify id=e-1/customers/update/email at=2026-02-01T00:00:00.000Z user=7 {"consent":{"email":false}}
)");
}

TEST_F(ShopifyTest, consent_may_come_by_itself) {
  EXPECT_EQ(
      taken("customers/email_marketing_consent_update", R"({"customer_id":7,"email_address":"kim@example.com",
      "email_marketing_consent":{"state":"subscribed","consent_updated_at":"2026-02-01T00:00:00Z"}})"),
      "200\nidentify id=e-1/customers/email_marketing_consent_update/email at=2026-02-01T00:00:00.000Z "
      "user=7 {\"consent\":{\"email\":true}}\n");
  EXPECT_EQ(
      taken("customers/marketing_consent_update",
            R"({"id":7,"phone":"+44 20 7946 0018","sms_marketing_consent":{"state":"unsubscribed"}})"),
      "200\nidentify id=e-1/customers/marketing_consent_update/sms user=7 {\"consent\":{\"sms\":false}}\n");
}

TEST_F(ShopifyTest, a_redaction_forgets_whoever_it_names) {
  EXPECT_EQ(
      taken(
          "customers/redact",
          R"({"shop_id":1,"customer":{"id":7,"email":"kim@example.com","phone":null},"orders_to_redact":[1]})"),
      "200\ndelete id=e-1/customers/redact/0 user=7\n"
      "delete id=e-1/customers/redact/1 context={\"traits\":{\"email\":\"kim@example.com\"}}\n");
}

TEST_F(ShopifyTest, a_message_is_known_by_the_event_else_by_the_webhook) {
  HttpRequest request = webhook("refunds/create", R"({"id":1,"order_id":2})");
  request.headers.pop_back();
  EXPECT_THAT(scene_.taken(request), HasSubstr("id=w-1/refunds/create"));
  request.headers.pop_back();
  EXPECT_THAT(scene_.taken(request), HasSubstr("id=1//refunds/create"));
}

TEST_F(ShopifyTest, a_signature_is_of_the_body_and_the_shop) {
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "secret")), IsEmpty());
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "other")), HasSubstr("not of this body"));
  EXPECT_THAT(scene_.stranger(webhook("orders/create", "{}")), HasSubstr("no X-Shopify-Hmac-Sha256"));
  HttpRequest changed = signed_webhook("{}", "secret");
  changed.body = "{ }";
  EXPECT_THAT(scene_.stranger(changed), HasSubstr("not of this body"));
  scene_.config().settings["shop_domain"] = "EXAMPLE.myshopify.com";
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "secret")), IsEmpty());
  scene_.config().settings["shop_domain"] = "another.myshopify.com";
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "secret")), HasSubstr("another shop"));
  scene_.config().settings.erase("shop_domain");
  scene_.config().secrets["previous_webhook_secret"] = "other";
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "other")), IsEmpty());
  scene_.config().secrets.clear();
  EXPECT_THAT(scene_.stranger(signed_webhook("{}", "")), HasSubstr("not of this body"));
}

TEST_F(ShopifyTest, what_cannot_be_read_is_refused) {
  EXPECT_THAT(taken("orders/create", "{"), HasSubstr("400 "));
  EXPECT_THAT(taken("orders/create", "[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(taken("orders/create", "{}"), HasSubstr("no `id`"));
  EXPECT_THAT(taken("orders/create", R"({"id":1,"created_at":"yesterday"})"),
              HasSubstr("`created_at` is no time"));
  EXPECT_THAT(taken("refunds/create", R"({"id":1})"), HasSubstr("no `order_id`"));
  EXPECT_THAT(taken("customers/redact", "{}"), HasSubstr("no `customer`"));
  EXPECT_THAT(taken("customers/create", R"({"created_at":"2026-03-01T10:00:00Z"})"), HasSubstr("no `id`"));
  EXPECT_THAT(taken("", "{}"), HasSubstr("no X-Shopify-Topic"));
  EXPECT_THAT(taken("orders/create", std::string(600'000, ' ')), HasSubstr("413 "));
  HttpRequest got = webhook("orders/create", "");
  got.method = "GET";
  EXPECT_THAT(scene_.taken(got), HasSubstr("405 "));
}

// What is no number stays what it was: the taxonomy says so of it.
TEST_F(ShopifyTest, money_is_money_or_left_out) {
  EXPECT_THAT(
      taken("orders/create",
            R"({"id":1,"customer":{"id":7},"total_price":"a lot","subtotal_price":10.10,"total_tax":"0.1"})"),
      HasSubstr(R"({"order_id":"1","subtotal":10.1,"revenue":10.1,"tax":0.1})"));
}

}  // namespace
}  // namespace tailrace::sources
