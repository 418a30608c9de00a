// Shopify's webhooks: orders, refunds, cancellations, customers, as events of the e-commerce spec. Facts: the
// public documentation of webhooks and of the order, refund and customer resources of the REST Admin API.
//
// The topic, X-Shopify-Topic, says what the body is. Signed are the bytes of the body: X-Shopify-Hmac-Sha256
// is the base64 of HMAC-SHA256(secret, body).
//
// A refund says its order and nobody: the order's number is an anonymous id of whoever placed it, under which
// the refund finds them, whichever comes first.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/number.h"
#include "model/json.h"
#include "sources/json_object.h"
#include "sources/source.h"
#include "sources/who.h"

namespace tailrace::sources {
namespace {

constexpr std::string_view kAbout =
    R"(Orders, refunds, cancellations and customers of a Shopify shop, as the events of the e-commerce spec (`use: [ecommerce]` in `taxonomy.yaml` declares them).

```yaml
# tailrace.yaml
sources:
  - name: shop
    type: shopify
    settings: {shop_domain: example.myshopify.com}
    credentials:
      webhook_secret: {env: SHOPIFY_WEBHOOK_SECRET}
```

In Shopify, subscribe the topics below to `https://YOUR-HOST/sources/shop` (JSON). The secret is the app's client secret, or for webhooks made in the shop's settings the key shown there.

| topic | becomes |
|---|---|
| `orders/create` | `Order Placed`, at `created_at` (with `order_placed: orders/paid` the topic `orders/paid` does, at `processed_at`) |
| `orders/updated` | `Order Updated`, at `updated_at` |
| `orders/cancelled` | `Order Cancelled`, at `cancelled_at`, with `reason` |
| `refunds/create` | `Order Refunded`, at `created_at`: `total` is positive, what was paid back |
| `checkouts/create` | `Checkout Started`, at `created_at` |
| `customers/create`, `/update`, `/enable`, `/disable` | identify: e-mail, phone, names, address, tags, and consent |
| `customers/email_marketing_consent_update`, `customers/marketing_consent_update` | consent to `email`, to `sms` |
| `customers/redact` | delete: forget this person everywhere |
| others, `customers/data_request` and `shop/redact` among them | nothing: answered `200`, so that Shopify keeps the subscription. `tailrace explain` and `tailrace status` help to answer a data request |

**Who.** The customer's id is the user id (with `user_id: none`, and for guests, their e-mail or else their phone names them). E-mail, phone, names and address become traits. An order of nobody (at a till) counts as
somebody's who is known by it alone. To join what a visitor did in the shop before, put their anonymous id into a cart attribute named as `anonymous_id_attribute` says.

**Once.** `X-Shopify-Event-Id`, else `X-Shopify-Webhook-Id`, with the topic is the message id: what Shopify sends again counts once, and so does one order that two subscriptions tell.

**Money.** Exact decimals in the shop's currency, as numbers. `revenue` and `subtotal` are what the products cost after discounts, without shipping and tax (of prices that include tax, the lines' tax is taken out); `total` is all
of it. A refund that was paid in another currency than the shop's is counted by its lines, which Shopify states in the shop's.

**Properties.** `order_id`, `order_name`, `checkout_id`, `total`, `subtotal`, `revenue`, `shipping`, `tax`, `discount`, `coupon`, `currency`, `reason`, `refund_id`, and `products` of `product_id`, `variant_id`, `sku`, `name`, `brand`, `variant`,
`price`, `quantity`; a refund lists the products that were given back.

**Consent.** `email_marketing_consent` and `sms_marketing_consent` state `consent.email` and `consent.sms`, dated by `consent_updated_at`; `buyer_accepts_marketing` of an order grants `consent.email`.

**Answers.** `200`: on disk. `401`: no signature, a wrong one, or another shop's. `400`: no body of its topic. Shopify waits five seconds and sends again for four hours what was not answered 2xx. There is no time
in what it signs, so an old copy cannot be told from a late one: the message id keeps it from counting twice.
)";

const std::array kSettings{
    Setting{
        .name = "shop_domain",
        .about =
            "only webhooks of this shop are taken; an app's secret signs those of all shops that have it"},
    Setting{.name = "user_id",
            .default_value = "customer_id",
            .choices = {"customer_id", "none"},
            .about = "`none`: people are named by their e-mail, for shops whose own user ids are others"},
    Setting{.name = "order_placed",
            .default_value = "orders/create",
            .choices = {"orders/create", "orders/paid"},
            .about = "the topic of which an order counts as placed"},
    Setting{.name = "test_orders",
            .default_value = "ignore",
            .choices = {"ignore", "take"},
            .about = "orders and checkouts marked as tests"},
    Setting{.name = "anonymous_id_attribute",
            .default_value = "anonymous_id",
            .about = "the cart attribute that holds the visitor's anonymous id"},
    Setting{.name = "currency", .about = "of refunds that name none"},
    Setting{.name = "webhook_secret",
            .required = true,
            .secret = true,
            .about = "with which webhooks are signed"},
    Setting{.name = "previous_webhook_secret",
            .secret = true,
            .about = "the secret before it, while Shopify changes over"},
};

bool is_signed_by(const std::string& secret, std::string_view body, std::string_view signature) {
  if (secret.empty()) return false;
  const Sha256 digest = hmac_sha256(secret, body);
  return same_secret(to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()}), signature);
}

// Money as it is written, "12.50" or 12.50; missing where it is none.
std::optional<Number> money_in(const JsonMember& member) {
  if (!member.is(JsonType::string) && !member.is(JsonType::number)) return std::nullopt;
  const auto number = Number::parse(member.text());
  return number ? std::optional(*number) : std::nullopt;
}

// {"shop_money":{"amount":...}} of a price set.
std::optional<Number> shop_money(const JsonMember& set) {
  return money_in(JsonObject::of(JsonObject::of(set)["shop_money"])["amount"]);
}

std::optional<Number> sum_of(std::optional<Number> sum, const std::optional<Number>& more) {
  if (!more) return sum;
  return sum ? *sum + *more : *more;
}

void add_money(JsonText& out, std::string_view name, const std::optional<Number>& amount) {
  if (amount) out.raw(name, amount->to_string());
}

std::optional<Time> time_in(const JsonMember& member) {
  if (!member.is(JsonType::string)) return std::nullopt;
  const auto time = parse_time(member.text());
  return time ? std::optional(*time) : std::nullopt;
}

std::string text_or(const JsonMember& first, const JsonMember& second) {
  std::string text = first.text();
  return text.empty() ? second.text() : text;
}

std::string order_ref(const std::string& order_id) { return "shopify-order:" + order_id; }

std::string product_of(const JsonObject& line, std::optional<std::string> quantity) {
  JsonText out;
  out.text("product_id", line["product_id"].text())
      .text("variant_id", line["variant_id"].text())
      .text("sku", line["sku"].text())
      .text("name", text_or(line["title"], line["name"]))
      .text("brand", line["vendor"].text())
      .text("variant", line["variant_title"].text());
  add_money(out, "price", money_in(line["price"]));
  out.raw("quantity", quantity
                          ? *quantity
                          : std::string(line["quantity"].is(JsonType::number) ? line["quantity"].raw : ""));
  return out.take();
}

std::string list_of(const std::vector<std::string>& elements) {
  std::string out = "[";
  for (const std::string& element : elements) {
    if (out.size() > 1) out += ',';
    out += element;
  }
  return out + "]";
}

// Money of an order or checkout, and what was bought.
void add_purchase(JsonText& out, const JsonObject& order) {
  std::vector<std::string> products;
  std::optional<Number> line_tax;
  for (const JsonMember& element : elements_of(order["line_items"])) {
    const JsonObject line = JsonObject::of(element);
    products.push_back(product_of(line, std::nullopt));
    for (const JsonMember& tax : elements_of(line["tax_lines"]))
      line_tax = sum_of(line_tax, money_in(JsonObject::of(tax)["price"]));
  }
  const auto tax = money_in(order["total_tax"]);
  auto subtotal = money_in(order["subtotal_price"]);
  if (subtotal && order["taxes_included"].is_true()) {
    if (const auto included = line_tax ? line_tax : tax) subtotal = *subtotal - *included;
  }
  auto shipping = shop_money(order["total_shipping_price_set"]);
  if (!shipping) {
    for (const JsonMember& line : elements_of(order["shipping_lines"]))
      shipping = sum_of(shipping, money_in(JsonObject::of(line)["price"]));
  }
  std::string coupons;
  for (const JsonMember& code : elements_of(order["discount_codes"])) {
    const std::string text = JsonObject::of(code)["code"].text();
    if (!text.empty()) coupons += (coupons.empty() ? "" : ",") + text;
  }
  add_money(out, "total", money_in(order["total_price"]));
  add_money(out, "subtotal", subtotal);
  add_money(out, "revenue", subtotal);
  add_money(out, "shipping", shipping);
  add_money(out, "tax", tax);
  add_money(out, "discount", money_in(order["total_discounts"]));
  out.text("coupon", coupons).text("currency", text_or(order["currency"], order["presentment_currency"]));
  if (!products.empty()) out.raw("products", list_of(products));
}

// What was paid back: by the payments where these are in the shop's currency, else by the lines.
struct Refund {
  std::optional<Number> total, revenue, tax, shipping;
  std::string currency;
  std::vector<std::string> products;
};
Refund refund_in(const JsonObject& body, const std::string& default_currency) {
  Refund refund;
  std::string shop_currency;
  std::optional<Number> by_lines;
  for (const JsonMember& element : elements_of(body["refund_line_items"])) {
    const JsonObject item = JsonObject::of(element);
    if (shop_currency.empty())
      shop_currency =
          JsonObject::of(JsonObject::of(item["subtotal_set"])["shop_money"])["currency_code"].text();
    auto subtotal = shop_money(item["subtotal_set"]);
    if (!subtotal) subtotal = money_in(item["subtotal"]);
    auto tax = shop_money(item["total_tax_set"]);
    if (!tax) tax = money_in(item["total_tax"]);
    refund.revenue = sum_of(refund.revenue, subtotal);
    refund.tax = sum_of(refund.tax, tax);
    by_lines = sum_of(sum_of(by_lines, subtotal), tax);
    const JsonMember& quantity = item["quantity"];
    refund.products.push_back(
        product_of(JsonObject::of(item["line_item"]),
                   quantity.is(JsonType::number) ? std::optional(std::string(quantity.raw)) : std::nullopt));
  }
  // Shipping that was given back, negative there.
  for (const JsonMember& element : elements_of(body["order_adjustments"])) {
    const JsonObject adjustment = JsonObject::of(element);
    if (adjustment["kind"].text() != "shipping_refund") continue;
    for (const auto& [set, plain] :
         {std::pair("amount_set", "amount"), std::pair("tax_amount_set", "tax_amount")}) {
      auto amount = shop_money(adjustment[set]);
      if (!amount) amount = money_in(adjustment[plain]);
      if (!amount) continue;
      if (std::string_view(plain) == "amount") refund.shipping = sum_of(refund.shipping, Number() - *amount);
      by_lines = sum_of(by_lines, Number() - *amount);
    }
  }
  for (const JsonMember& element : elements_of(body["refund_shipping_lines"])) {
    const auto amount = shop_money(JsonObject::of(element)["subtotal_amount_set"]);
    refund.shipping = sum_of(refund.shipping, amount);
    by_lines = sum_of(by_lines, amount);
  }
  std::string paid_currency;
  std::optional<Number> paid;
  for (const JsonMember& element : elements_of(body["transactions"])) {
    const JsonObject transaction = JsonObject::of(element);
    const std::string status = transaction["status"].text();
    if (transaction["kind"].text() != "refund" || status == "failure" || status == "error") continue;
    paid = sum_of(paid, money_in(transaction["amount"]));
    if (paid_currency.empty()) paid_currency = transaction["currency"].text();
  }
  if (shop_currency.empty()) shop_currency = default_currency;
  const bool elsewhere = !shop_currency.empty() && !paid_currency.empty() && shop_currency != paid_currency;
  refund.total = elsewhere && by_lines ? by_lines : paid ? paid : std::optional(Number());
  refund.currency = elsewhere && !by_lines  ? paid_currency
                    : shop_currency.empty() ? paid_currency
                                            : shop_currency;
  return refund;
}

// {"email":true}: what is said of consent, and when.
struct Consent {
  std::string_view purpose;
  bool granted = false;
  std::optional<Time> time;
};
std::optional<Consent> consent_in(const JsonMember& member, std::string_view purpose) {
  const JsonObject said = JsonObject::of(member);
  const std::string state = said["state"].text();
  const auto time = time_in(said["consent_updated_at"]);
  // Whoever never said anything has withdrawn nothing.
  if (state.empty() || (state != "subscribed" && state != "unsubscribed" && !time)) return std::nullopt;
  return Consent{purpose, state == "subscribed", time};
}

// Reads one webhook.
class Webhook {
 public:
  Webhook(const SourceConfig& config, const Request& request, std::string topic, const JsonObject& body,
          RecordList& records)
      : config_(config), request_(request), topic_(std::move(topic)), body_(body), records_(records) {
    std::string id(request.http.headers.get("X-Shopify-Event-Id").value_or(""));
    if (id.empty()) id = request.http.headers.get("X-Shopify-Webhook-Id").value_or("");
    if (id.empty()) id = body["id"].text() + "/" + body["updated_at"].text();
    message_id_ = id + "/" + topic_;
  }

  // True: records came of it. False: nothing comes of that topic. Errors: invalid_argument.
  Result<bool> read() {
    if (message_id_.size() > kMessageIdBytesMax - 32) return invalid("the webhook's id is too long");
    if (topic_ == config_.setting("order_placed"))
      return order("Order Placed", topic_ == "orders/paid" ? "processed_at" : "created_at");
    if (topic_ == "orders/updated") return order("Order Updated", "updated_at");
    if (topic_ == "orders/cancelled") return order("Order Cancelled", "cancelled_at");
    if (topic_ == "refunds/create") return refund();
    if (topic_ == "checkouts/create") return order("Checkout Started", "created_at");
    if (topic_ == "customers/email_marketing_consent_update" ||
        topic_ == "customers/marketing_consent_update")
      return consent_update();
    if (topic_ == "customers/redact") return redact();
    for (const std::string_view topic : {"create", "update", "enable", "disable"}) {
      if (topic_ == fmt::format("customers/{}", topic)) return customer();
    }
    return false;
  }

 private:
  bool is_by_id() const { return config_.setting("user_id") == "customer_id"; }

  // Of an order the customer may be missing, and the contact stands beside it.
  Who who_of(const JsonObject& customer, const JsonObject& beside) const {
    Who who;
    if (is_by_id()) who.user_id = customer["id"].text();
    if (who.has_id()) return who;
    who.email = text_or(customer["email"], beside["email"]);
    if (who.email.empty()) who.email = beside["contact_email"].text();
    if (who.email.empty()) who.phone = text_or(customer["phone"], beside["phone"]);
    return who;
  }

  static std::string traits_of(const JsonObject& customer, const JsonObject& beside) {
    const JsonMember* address = &customer["default_address"];
    for (const std::string_view other : {"billing_address", "shipping_address"}) {
      if (!address->present()) address = &beside[other];
    }
    const JsonObject home = JsonObject::of(*address);
    return JsonText()
        .text("email", text_or(customer["email"], beside["email"]))
        .text("phone", text_or(customer["phone"], beside["phone"]))
        .text("first_name", text_or(customer["first_name"], home["first_name"]))
        .text("last_name", text_or(customer["last_name"], home["last_name"]))
        .text("city", home["city"].text())
        .text("state", text_or(home["province_code"], home["province"]))
        .text("postal_code", home["zip"].text())
        .text("country", text_or(home["country_code"], home["country"]))
        .text("tags", customer["tags"].text())
        .take();
  }

  RecordView record_of(RecordKind kind, const Who& who, Time time) const {
    RecordView record;
    record.kind = kind;
    record.time = time;
    who.name(record);
    return record;
  }

  Result<void> add(RecordView record, std::string_view part, const Who& who) {
    const std::string id = message_id_ + std::string(part);
    const std::string context = who.context();
    record.message_id = id;
    if (record.context.empty()) record.context = context;
    return records_.add(record);
  }

  Result<void> identify(const Who& who, const JsonObject& customer, const JsonObject& beside, Time time,
                        std::string_view previous_id) {
    TRY(who.check());
    RecordView record = record_of(RecordKind::identify, who, time);
    const std::string traits = traits_of(customer, beside);
    record.payload = traits;
    record.previous_id = previous_id;
    TRY(add(record, "/person", who));
    for (const auto& [member, purpose] :
         {std::pair("email_marketing_consent", "email"), std::pair("sms_marketing_consent", "sms")}) {
      if (const auto said = consent_in(customer[member], purpose)) TRY(state(who, *said, time));
    }
    return {};
  }

  Result<void> state(const Who& who, const Consent& said, Time otherwise) {
    TRY(who.check());
    RecordView record = record_of(RecordKind::identify, who, said.time.value_or(otherwise));
    const std::string consent = JsonText().raw(said.purpose, said.granted ? "true" : "false").take();
    const std::string traits = JsonText().raw("consent", consent).take();
    record.payload = traits;
    return add(record, fmt::format("/{}", said.purpose), who);
  }

  Result<Time> time_at(std::string_view member) const {
    if (const JsonMember& said = body_[member]; said.present()) {
      if (const auto time = time_in(said)) return *time;
      return invalid(fmt::format("`{}` is no time", member));
    }
    return request_.now;
  }

  Result<bool> order(std::string_view event, std::string_view time_member) {
    const bool checkout = event == "Checkout Started";
    const std::string id = body_["id"].text();
    if (id.empty()) return invalid("no `id`");
    if (body_["test"].is_true() && config_.setting("test_orders") != "take") return false;
    const Time time = TRY(time_at(time_member));
    const JsonObject customer = JsonObject::of(body_["customer"]);
    Who who = who_of(customer, body_);
    const std::string ref = checkout ? std::string() : order_ref(id);
    if (who.is_nobody()) {
      if (checkout) return false;
      who.anonymous_id = ref;
    }
    TRY(identify(who, customer, body_, time, who.anonymous_id.empty() ? ref : std::string()));
    TRY(join_visitor(who, time));
    if (event == "Order Placed" && body_["buyer_accepts_marketing"].is_true() &&
        !consent_in(customer["email_marketing_consent"], "email"))
      TRY(state(who, {"email", true, std::nullopt}, time));

    JsonText properties;
    if (checkout) {
      properties.text("checkout_id", id);
    } else {
      properties.text("order_id", id)
          .text("order_name", body_["name"].text())
          .text("checkout_id", text_or(body_["checkout_id"], body_["checkout_token"]));
    }
    add_purchase(properties, body_);
    properties.text("reason", body_["cancel_reason"].text());
    RecordView record = record_of(RecordKind::track, who, time);
    record.event = event;
    const std::string payload = properties.take();
    record.payload = payload;
    TRY(add(record, "", who));
    return true;
  }

  // What the visitor did before belongs to whoever ordered.
  Result<void> join_visitor(const Who& who, Time time) {
    const std::string& attribute = config_.setting("anonymous_id_attribute");
    for (const JsonMember& element : elements_of(body_["note_attributes"])) {
      const JsonObject note = JsonObject::of(element);
      const std::string visitor = note["value"].text();
      if (note["name"].text() != attribute || visitor.empty() || visitor.size() > kIdentifierBytesMax)
        continue;
      RecordView record = record_of(RecordKind::identify, who, time);
      if (who.user_id.empty()) {
        record.previous_id = visitor;
      } else {
        record.anonymous_id = visitor;
      }
      const std::string traits = who.contact();
      record.payload = traits;
      return add(record, "/visitor", who);
    }
    return {};
  }

  Result<bool> refund() {
    const std::string order_id = body_["order_id"].text();
    if (order_id.empty()) return invalid("no `order_id`");
    const Time time = TRY(time_at("created_at"));
    const Refund refund = refund_in(body_, config_.setting("currency"));
    JsonText properties;
    properties.text("order_id", order_id).text("refund_id", body_["id"].text());
    add_money(properties, "total", refund.total);
    add_money(properties, "revenue", refund.revenue);
    add_money(properties, "tax", refund.tax);
    add_money(properties, "shipping", refund.shipping);
    properties.text("currency", refund.currency).text("reason", body_["note"].text());
    if (!refund.products.empty()) properties.raw("products", list_of(refund.products));
    const Who who{.anonymous_id = order_ref(order_id)};
    TRY(who.check());
    RecordView record = record_of(RecordKind::track, who, time);
    record.event = "Order Refunded";
    const std::string payload = properties.take();
    record.payload = payload;
    TRY(add(record, "", who));
    return true;
  }

  Result<bool> customer() {
    const Who who = who_of(body_, {});
    if (who.is_nobody()) return invalid("no `id`");
    const Time time = TRY(time_at(topic_ == "customers/create" ? "created_at" : "updated_at"));
    TRY(identify(who, body_, {}, time, {}));
    return true;
  }

  Result<bool> consent_update() {
    const bool email = topic_ == "customers/email_marketing_consent_update";
    Who who;
    if (is_by_id()) who.user_id = text_or(body_["customer_id"], body_["id"]);
    if (!who.has_id()) who.email = text_or(body_["email_address"], body_["email"]);
    if (who.is_nobody()) who.phone = text_or(body_["phone"], body_["phone_number"]);
    const auto said = email ? consent_in(body_["email_marketing_consent"], "email")
                            : consent_in(body_["sms_marketing_consent"], "sms");
    if (!said) return false;
    TRY(who.make_known(said->time.value_or(request_.now), records_));
    TRY(state(who, *said, request_.now));
    return true;
  }

  // By each name that the request gives: all that is known of them is to go.
  Result<bool> redact() {
    const JsonObject customer = JsonObject::of(body_["customer"]);
    const std::array named{Who{.user_id = is_by_id() ? customer["id"].text() : std::string()},
                           Who{.email = customer["email"].text()}, Who{.phone = customer["phone"].text()}};
    for (std::size_t i = 0; i < named.size(); ++i) {
      if (named[i].is_nobody()) continue;
      TRY(named[i].check());
      TRY(add(record_of(RecordKind::remove, named[i], request_.now), fmt::format("/{}", i), named[i]));
    }
    if (records_.size() == 0) return invalid("no `customer`");
    return true;
  }

  const SourceConfig& config_;
  const Request& request_;
  std::string topic_;
  const JsonObject& body_;
  RecordList& records_;
  std::string message_id_;
};

class Shopify final : public HttpSource {
 public:
  std::string_view type() const override { return "shopify"; }
  std::string_view title() const override { return "Shopify webhooks"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  Result<void> authenticate(const SourceConfig& config, const Request& request) const override {
    const auto signature = request.http.headers.get("X-Shopify-Hmac-Sha256");
    if (!signature) return invalid("no X-Shopify-Hmac-Sha256");
    // Both are tried, whichever is right.
    const bool now = is_signed_by(config.secret("webhook_secret"), request.http.body, *signature);
    const bool before = is_signed_by(config.secret("previous_webhook_secret"), request.http.body, *signature);
    if (!now && !before) return invalid("the signature is not of this body and secret");
    const std::string& shop = config.setting("shop_domain");
    const auto sender = request.http.headers.get("X-Shopify-Shop-Domain");
    if (!shop.empty() && (!sender || !equal_ignoring_case(*sender, shop)))
      return invalid("it is of another shop");
    return {};
  }

  Taken take(const SourceConfig& config, const Request& request) const override {
    if (request.http.method != "POST") return {{}, refusal(405, "use POST")};
    if (request.body.size() > kMessageBytesMax)
      return {{}, refusal(413, fmt::format("more than {} bytes", kMessageBytesMax))};
    const auto topic = request.http.headers.get("X-Shopify-Topic");
    if (!topic || topic->empty()) return {{}, refusal(400, "no X-Shopify-Topic")};
    const auto body = JsonObject::parse(request.body);
    if (!body) return {{}, refusal(400, body.error().message)};
    RecordList records(config.name, request.now, request.entropy);
    Webhook webhook(config, request, std::string(*topic), *body, records);
    const auto read = webhook.read();
    if (!read) return {{}, refusal(400, read.error().message)};
    if (!*read) return {{}, json_answer(200, R"({"success":true,"records":0})")};
    return {records.take(), json_answer(200, R"({"success":true})")};
  }
};

}  // namespace

const HttpSource& shopify() {
  static const Shopify kSource;
  return kSource;
}

}  // namespace tailrace::sources
