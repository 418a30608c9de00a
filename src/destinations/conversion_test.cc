#include "destinations/conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/json.h"

namespace tailrace::destinations {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string read(std::string_view expression, const std::string& record) {
  const auto path = FieldPath::parse(expression);
  if (!path) return "! " + path.error().message;
  const Value value = path->read(parse_json(record).value());
  return value.present() ? to_json(value) : "-";
}

TEST(FieldPath, reads_what_stands_at_a_path) {
  EXPECT_EQ(read("properties.total", R"({"properties":{"total":12.50}})"), "12.5");
  EXPECT_EQ(read("properties.none", R"({"properties":{"total":12.50}})"), "-");
  EXPECT_EQ(read("a.b-c", R"({"a":{"b-c":"x"}})"), R"("x")");
  EXPECT_EQ(read(R"("EUR")", "{}"), R"("EUR")");
}

TEST(FieldPath, takes_the_first_that_is_there) {
  EXPECT_EQ(read("a ?? b ?? 'c'", R"({"b":2})"), "2");
  EXPECT_EQ(read("a ?? b ?? 'c'", R"({"a":null,"b":""})"), R"("c")");
  EXPECT_EQ(read("a ?? b", R"({"a":false})"), "false");
}

TEST(FieldPath, reckons_exactly) {
  EXPECT_EQ(read("cents / 100", R"({"cents":1999})"), "19.99");
  EXPECT_EQ(read("price * (quantity ?? 1)", R"({"price":"0.1"})"), "0.1");
  EXPECT_EQ(read("a + b * 2 - c", R"({"a":1,"b":0.1,"c":0.2})"), "1");
  EXPECT_EQ(read("a / b", R"({"a":1,"b":0})"), "-");
  EXPECT_EQ(read("a * b", R"({"a":"many","b":2})"), "-");
}

TEST(FieldPath, says_where_it_cannot_be_read) {
  EXPECT_THAT(read("", "{}"), HasSubstr("column 1: a path"));
  EXPECT_THAT(read("a ??", "{}"), HasSubstr("column 5"));
  EXPECT_THAT(read("(a", "{}"), HasSubstr("closing parenthesis"));
  EXPECT_THAT(read("'a", "{}"), HasSubstr("does not end"));
  EXPECT_THAT(read("a b", "{}"), HasSubstr("not understood"));
  EXPECT_THAT(read(std::string(10'000, '('), "{}"), HasSubstr("too deep"));
}

class ConversionTest : public ::testing::Test {
 protected:
  Conversion convert(const std::string& properties, const std::string& context = "{}",
                     const std::string& event = "Order Completed") const {
    const EventMessage message{.event = event,
                               .message_id = "m-1",
                               .user_id = "crm-1",
                               .anonymous_id = "anon-1",
                               .at = Time{1'772'359'140'000},
                               .properties = parse_json(properties).value(),
                               .context = parse_json(context).value()};
    return Mapping::create(*find_event_destination("meta_conversions"), events, fields, "GBP")
        .value()
        .apply(message, person);
  }

  std::map<std::string, std::string> events;
  std::map<std::string, std::string> fields;
  PersonProfile person{.id = {},
                       .golden_id = "crm-1",
                       .identifiers = {{IdentifierKind::email, "ada@example.com", {}}},
                       .traits = Value::with(Value::Kind::object),
                       .consent = {},
                       .deleted = false};
};

TEST_F(ConversionTest, takes_value_items_and_ids_from_where_the_specification_puts_them) {
  const Conversion order = convert(
      R"({"order_id":"o-1","revenue":"30.50","currency":"eur","products":[{"sku":"s1","price":15.25,"quantity":2},{}]})");
  EXPECT_EQ(order.name, "Purchase");
  EXPECT_EQ(order.id, "m-1");
  EXPECT_EQ(order.value->to_string(), "30.5");
  EXPECT_EQ(order.currency, "EUR");
  EXPECT_EQ(order.order_id, "o-1");
  ASSERT_EQ(order.items.size(), 1u);
  EXPECT_EQ(order.items[0].id, "s1");
  EXPECT_EQ(order.items[0].quantity.to_string(), "2");
}

TEST_F(ConversionTest, of_one_product_is_worth_its_price) {
  const Conversion added = convert(R"({"product_id":"p1","price":7.5,"quantity":2})", "{}", "Product Added");
  EXPECT_EQ(added.name, "AddToCart");
  EXPECT_EQ(added.value->to_string(), "15");
  EXPECT_EQ(added.currency, "GBP");  // the sync's, where the event names none
  ASSERT_EQ(added.items.size(), 1u);
}

TEST_F(ConversionTest, without_a_value_has_no_currency) { EXPECT_EQ(convert("{}").currency, ""); }

TEST_F(ConversionTest, follows_the_syncs_own_words) {
  events = {{"Lead Won", "Purchase"}, {"Order Completed", ""}};
  fields = {{"value", "properties.margin"}, {"id", "properties.deal"}, {"email", "properties.contact.mail"}};
  EXPECT_EQ(convert("{}").name, "");
  const Conversion lead =
      convert(R"({"margin":5,"deal":"d-1","contact":{"mail":"b@example.com"}})", "{}", "Lead Won");
  EXPECT_EQ(lead.name, "Purchase");
  EXPECT_EQ(lead.value->to_string(), "5");
  EXPECT_EQ(lead.id, "d-1");
  EXPECT_EQ(lead.user_field(Field::email), "b@example.com");
}

TEST_F(ConversionTest, refuses_a_mapping_that_means_nothing) {
  const auto* meta = find_event_destination("meta_conversions");
  EXPECT_FALSE(Mapping::create(*meta, {}, {{"shoe_size", "a"}}, "").has_value());
  EXPECT_FALSE(Mapping::create(*meta, {}, {{"value", "a +"}}, "").has_value());
}

TEST_F(ConversionTest, knows_where_it_happened) {
  using Source = Conversion::Source;
  EXPECT_EQ(convert("{}", R"({"page":{"url":"https://shop.example/"}})").source, Source::website);
  EXPECT_EQ(convert("{}", R"({"device":{"type":"ios"}})").source, Source::app);
  EXPECT_EQ(convert(R"({"action_source":"Physical_Store"})").source, Source::store);
  EXPECT_EQ(convert("{}").source, Source::other);
  EXPECT_EQ(convert("{}", "{}", "Order Refunded").kind, Conversion::Kind::refund);
}

TEST_F(ConversionTest, gathers_what_is_known_of_the_person) {
  person.traits =
      parse_json(R"({"firstName":"Ada","address":{"city":"London","country":"GB"},"ttclid":"kept"})").value();
  const Conversion order = convert(
      R"({"email":"guest@example.com"})",
      R"({"ip":"203.0.113.7","userAgent":"UA","page":{"url":"https://shop.example/?gclid=G%2B1&fbclid=F1#x"},
          "device":{"type":"iOS","id":"v-1","advertisingId":"aece52e7-03ee-455a-b3c4-e57283966239"}})");
  EXPECT_EQ(order.user[0], std::pair(Field::external_id, std::string("crm-1")));
  EXPECT_EQ(order.user[1].second, "guest@example.com");
  EXPECT_EQ(order.user[2].second, "ada@example.com");
  EXPECT_EQ(order.user_field(Field::first_name), "Ada");
  EXPECT_EQ(order.user_field(Field::city), "London");
  EXPECT_EQ(order.user_field(Field::gclid), "G+1");
  EXPECT_EQ(order.user_field(Field::fbc), "fb.1.1772359140000.F1");
  EXPECT_EQ(order.user_field(Field::ttclid), "kept");
  EXPECT_EQ(order.user_field(Field::idfa), "aece52e7-03ee-455a-b3c4-e57283966239");
  EXPECT_EQ(order.user_field(Field::idfv), "v-1");
}

TEST_F(ConversionTest, leaves_the_device_alone_that_limits_tracking) {
  const Conversion order =
      convert("{}", R"({"device":{"type":"ios","adTrackingEnabled":false,"advertisingId":"aece52e7"}})");
  EXPECT_EQ(order.user_field(Field::idfa), "");
}

// Ids that were seen of the person before, as `field value`.
std::vector<std::string> clicks_sent(const std::string& context, std::vector<Click> kept, Time at) {
  EventMessage message;
  message.at = at;
  message.properties = Value::with(Value::Kind::object);
  message.context = parse_json(context).value();
  message.clicks = std::move(kept);
  std::vector<std::string> sent;
  for (const auto& [field, value] : user_of(message, {})) sent.push_back(value);
  return sent;
}

TEST(Clicks, that_were_seen_before_go_with_an_event_that_names_none) {
  const std::vector<Click> kept{{ClickKind::gclid, "g1", Time{1'000}, Time{1'000}},
                                {ClickKind::gbraid, "b2", Time{2'000}, Time{2'000}},
                                {ClickKind::ttclid, "t1", Time{1'000}, Time{1'000}}};
  EXPECT_THAT(clicks_sent("{}", kept, Time{3'000}), ElementsAre("b2", "t1")) << "of a family the newest";
  EXPECT_THAT(clicks_sent("{}", kept, Time{1'500}), ElementsAre("g1", "t1")) << "not of the future";
  EXPECT_THAT(clicks_sent(R"({"wbraid":"w"})", kept, Time{3'000}), ElementsAre("w", "t1"));
}

TEST(Clicks, go_as_long_as_the_platform_looks_back) {
  const std::vector<Click> kept{{ClickKind::ttclid, "t1", Time{0}, kTimeMax},
                                {ClickKind::fbp, "p1", Time{0}, Time{0} + kDay * 80}};
  EXPECT_THAT(clicks_sent("{}", kept, Time{0} + kDay * 28), ElementsAre("p1", "t1"));
  EXPECT_THAT(clicks_sent("{}", kept, Time{0} + kDay * 28 + Millis{1}), ElementsAre("p1"));
  EXPECT_THAT(clicks_sent("{}", kept, Time{0} + kDay * 170), ElementsAre("p1"))
      << "the browser was seen since";
  EXPECT_THAT(clicks_sent("{}", kept, Time{0} + kDay * 171), ElementsAre());
}

TEST(Clicks, count_no_longer_than_the_sync_says) {
  EventMessage message;
  message.event = "Order Completed";
  message.properties = message.context = Value::with(Value::Kind::object);
  message.clicks = {{ClickKind::gclid, "g1", Time{0}, Time{0}}, {ClickKind::fbp, "p1", Time{0}, Time{0}}};
  const auto& google = *find_event_destination("google_conversions");
  const auto click_at = [&](const std::map<std::string, std::string>& fields, Millis after) {
    message.at = Time{0} + after;
    return Mapping::create(google, {}, fields, "EUR").value().apply(message, {}).user_field(Field::gclid);
  };
  EXPECT_EQ(click_at({}, kDay * 90), "g1");
  EXPECT_EQ(click_at({{"click_window", "7d"}}, kDay * 7), "g1");
  EXPECT_EQ(click_at({{"click_window", "7d"}}, kDay * 7 + Millis{1}), "");
  EXPECT_EQ(click_at({{"click_window", "365d"}}, kDay * 91), "") << "the platform looks back no further";
  message.at = Time{0} + kDay * 8;
  EXPECT_THAT(user_of(message, {}, kDay), ElementsAre(Pair(Field::fbp, "p1")))
      << "a browser's id is no click";
}

TEST(Clicks, may_be_asked_for) {
  EventMessage message;
  message.event = "Order Completed";
  message.user_id = "crm-1";
  message.at = Time{0} + kDay * 8;
  message.properties = parse_json(R"({"email":"ada@example.com"})").value();
  message.context = Value::with(Value::Kind::object);
  message.clicks = {{ClickKind::gclid, "g1", Time{0}, Time{0}},
                    {ClickKind::ttclid, "t1", message.at, message.at}};
  const auto& google = *find_event_destination("google_conversions");
  Config config;
  fill_defaults(google, config);
  const auto refused = [&](const std::map<std::string, std::string>& fields) {
    const auto event = to_event(google, Mapping::create(google, {}, fields, "EUR").value().apply(message, {}),
                                {config, message.at});
    return event ? "" : event.error().field;
  };
  EXPECT_EQ(refused({}), "");
  EXPECT_EQ(refused({{"click_required", "true"}}), "");
  EXPECT_EQ(refused({{"click_required", "false"}, {"click_window", "7d"}}), "");
  EXPECT_EQ(refused({{"click_required", "true"}, {"click_window", "7d"}}), "user.click")
      << "a click on an ad of another platform does not count";
}

TEST(Clicks, that_cannot_be_asked_for_are_an_error) {
  const auto error = [](const char* type, const char* field, const char* text) {
    return Mapping::create(*find_event_destination(type), {}, {{field, text}}, "").error().message;
  };
  EXPECT_EQ(error("google_conversions", "click_window", "week"),
            "field \"click_window\": a duration, such as 7d");
  EXPECT_EQ(error("google_conversions", "click_window", "0d"),
            "field \"click_window\": a duration, such as 7d");
  EXPECT_EQ(error("google_conversions", "click_required", "yes"),
            "field \"click_required\": `true` or `false`");
  EXPECT_THAT(error("mixpanel_events", "click_window", "7d"), HasSubstr("takes no click ids"));
}

TEST(Clicks, are_named_as_fields_of_a_conversion) {
  for (const ClickRule& rule : kClickRules) EXPECT_TRUE(field_named(rule.name)) << rule.name;
}

TEST(Clicks, are_read_from_an_address) {
  EXPECT_THAT(clicks_in("https://shop.example/?a=1&ScCid=s%201&twclid=t#gclid=no"),
              ElementsAre(Pair(Field::sc_click_id, "s 1"), Pair(Field::twclid, "t")));
  EXPECT_TRUE(clicks_in("https://shop.example/gclid=1").empty());
  EXPECT_TRUE(clicks_in("?gclid=").empty());
}

}  // namespace
}  // namespace tailrace::destinations
