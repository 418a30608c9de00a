#include "destinations/meta_conversions/codec.h"

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/meta_graph/graph.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::meta_conversions_codec {
namespace {

std::string_view action_source(Conversion::Source source) {
  switch (source) {
    case Conversion::Source::website:
      return "website";
    case Conversion::Source::app:
      return "app";
    case Conversion::Source::store:
      return "physical_store";
    case Conversion::Source::email:
      return "email";
    case Conversion::Source::phone_call:
      return "phone_call";
    case Conversion::Source::chat:
      return "chat";
    case Conversion::Source::system:
      return "system_generated";
    case Conversion::Source::other:
      return "other";
  }
  return "other";
}

// What the API takes as a list of hashes; the rest are plain texts.
bool is_list(const FieldRule& rule) {
  return rule.hashing != Hashing::none || rule.field == Field::external_id;
}

Value custom_data(const Conversion& conversion) {
  Value data = Value::with(Value::Kind::object);
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) data.members.emplace_back(name, Value::of(text));
  };
  add("currency", conversion.currency);
  if (conversion.value) data.members.emplace_back("value", Value::of(*conversion.value));
  add("order_id", conversion.order_id);
  add("search_string", conversion.search);
  add("content_name", conversion.content_name);
  add("content_category", conversion.content_category);
  if (conversion.items.empty()) return data;
  Value contents = Value::with(Value::Kind::list);
  Number count = Number::integer(0);
  for (const ConversionItem& item : conversion.items) {
    Value content = Value::with(Value::Kind::object);
    content.members.emplace_back("id", Value::of(item.id.empty() ? item.name : item.id));
    content.members.emplace_back("quantity", Value::of(item.quantity));
    if (item.price) content.members.emplace_back("item_price", Value::of(*item.price));
    contents.list.push_back(std::move(content));
    count = count + item.quantity;
  }
  data.members.emplace_back("contents", std::move(contents));
  data.members.emplace_back("content_type", Value::of("product"));
  data.members.emplace_back("num_items", Value::of(count));
  return data;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  Value user = user_object(destination, conversion, config, &is_list);
  if (user.members.empty()) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "Meta takes no refunds and cancellations"});
  const bool website = conversion.source == Conversion::Source::website;
  if (website && conversion.url.empty())
    return std::unexpected(Refused{"url", "missing, and an event of a website needs the page's address"});
  if (website && user.find("client_user_agent") == nullptr)
    return std::unexpected(Refused{"user.user_agent", "missing, and an event of a website needs it"});

  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("event_name", Value::of(conversion.name));
  event.members.emplace_back("event_time", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
  if (!conversion.id.empty()) event.members.emplace_back("event_id", Value::of(conversion.id));
  event.members.emplace_back("action_source", Value::of(std::string(action_source(conversion.source))));
  if (!conversion.url.empty()) event.members.emplace_back("event_source_url", Value::of(conversion.url));
  if (!conversion.referrer.empty())
    event.members.emplace_back("referrer_url", Value::of(conversion.referrer));
  event.members.emplace_back("user_data", std::move(user));
  Value custom = custom_data(conversion);
  if (!custom.members.empty()) event.members.emplace_back("custom_data", std::move(custom));
  if (conversion.limited_data_use || config.setting(std::string(kLimitedDataUse)) == "true") {
    Value options = Value::with(Value::Kind::list);
    options.list.push_back(Value::of("LDU"));
    event.members.emplace_back("data_processing_options", std::move(options));
    // 0: Meta finds out by the address where the person is.
    event.members.emplace_back("data_processing_options_country", Value::of(Number::integer(0)));
    event.members.emplace_back("data_processing_options_state", Value::of(Number::integer(0)));
  }
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  HttpRequest request = meta_graph::request(
      context, "POST", percent_encoded(context.config.setting(std::string(kDatasetId))) + "/events");
  std::string body = R"({"data":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  body += ']';
  if (const std::string& code = context.config.setting(std::string(kTestEventCode)); !code.empty()) {
    body += R"(,"test_event_code":)";
    append_json_string(body, code);
  }
  body += '}';
  meta_graph::set_json(request, std::move(body));
  return request;
}

Reply decode(std::size_t events, const HttpResponse& response) {
  return meta_graph::judge(events, response, "ads_insights", [&](const Value& answer) {
    const auto received = integer_member(&answer, "events_received");
    if (!received) return retry("the answer cannot be read: no events_received", "unreadable");
    if (*received < static_cast<std::int64_t>(events))
      return split(events, "the platform received fewer events than were sent", "events_received");
    return accepted(events);
  });
}

HttpRequest encode_probe(const Context& context) {
  return meta_graph::request(context, "GET", percent_encoded(context.config.setting(std::string(kDatasetId))),
                             "fields=id,name,is_unavailable");
}

Result<Standing> decode_probe(const HttpResponse& response) {
  bool is_unavailable = false;
  const Reply reply = meta_graph::judge(Records(0), response, "ads_insights", [&](const Value& answer) {
    const Value* flag = member(&answer, "is_unavailable");
    is_unavailable = flag != nullptr && flag->kind == Value::Kind::boolean && flag->boolean;
    return accepted(Records(0));
  });
  if (reply.verdict != Reply::Verdict::done) return failed("looking at the dataset", reply);
  if (is_unavailable) return invalid("looking at the dataset: Meta says that it is not available");
  return Standing{};
}

}  // namespace tailrace::destinations::meta_conversions_codec
