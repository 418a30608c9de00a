#include "sandbox/braze/braze.h"

#include <algorithm>
#include <array>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kObjectsMax = 75;

bool names_somebody(const Value& object) {
  for (const char* name : {"external_id", "braze_id", "email", "phone"}) {
    if (!text_at(object, name).empty()) return true;
  }
  const Value* alias = object_at(object, "user_alias");
  if (alias == nullptr || text_at(*alias, "alias_name").empty() || text_at(*alias, "alias_label").empty())
    return false;
  // A profile that is an alias alone is made only when that is asked for.
  const Value* existing = object.find("_update_existing_only");
  return existing != nullptr && existing->kind == Value::Kind::boolean && !existing->boolean;
}

bool has_texts(const Value& object, std::initializer_list<const char*> names) {
  return std::ranges::all_of(names, [&](const char* name) { return !text_at(object, name).empty(); });
}

bool is_number(const Value* value) { return value != nullptr && value->kind == Value::Kind::number; }

// The recommended events' schemas.
bool fits_schema(const std::string& name, const Value& properties) {
  if (!has_texts(properties, {"currency", "source"})) return false;
  if (name == "ecommerce.product_viewed")
    return has_texts(properties, {"product_id", "product_name", "variant_id"}) &&
           is_number(properties.find("price"));
  const Value* products = list_at(properties, "products");
  if (!is_number(properties.find("total_value")) || products == nullptr || products->list.empty())
    return false;
  for (const Value& product : products->list) {
    if (!has_texts(product, {"product_id", "product_name", "variant_id"}) ||
        !is_number(product.find("price")) || !is_number(product.find("quantity")))
      return false;
  }
  if (name == "ecommerce.cart_updated") return has_texts(properties, {"cart_id"});
  if (name == "ecommerce.checkout_started") return has_texts(properties, {"checkout_id"});
  if (name == "ecommerce.order_cancelled") return has_texts(properties, {"order_id", "cancel_reason"});
  return has_texts(properties, {"order_id"});
}

std::string problem_of_event(const Value& event) {
  if (!names_somebody(event)) return "no identifier that is known";
  const std::string name = text_at(event, "name");
  if (name.empty()) return "'name' is required";
  if (!parse_time(text_at(event, "time"))) return "'time' is not a valid date";
  const Value* properties = event.find("properties");
  if (properties != nullptr && properties->kind != Value::Kind::object)
    return "'properties' must be an object";
  if (name.starts_with("ecommerce.") && (properties == nullptr || !fits_schema(name, *properties)))
    return "the properties do not fit the recommended event";
  return "";
}

}  // namespace

HttpResponse Braze::error(int status, const std::string& message) const {
  return json_response(status, object({{"message", Value::of(message)}}));
}

HttpResponse Braze::handle(const Call& call) {
  if (call.segments != std::vector<std::string>{"users", "track"}) return error(404, "not found");
  if (call.request.method != "POST") return error(405, "method not allowed");
  const auto token = bearer_token(call.request.headers);
  if (!token || !is_token(*token)) return error(401, "Invalid API key");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "The body must be JSON");
  const Value* events = list_at(*body, "events");
  const Value* attributes = list_at(*body, "attributes");
  if (events == nullptr && attributes == nullptr)
    return error(400, "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.");
  for (const Value* list : {events, attributes}) {
    if (list != nullptr && list->list.size() > kObjectsMax) return error(400, "No more than 75 objects");
  }
  Value errors = list_of({});
  const auto mind = [&](const char* array, std::size_t index, const std::string& problem) {
    errors.list.push_back(object({{"type", Value::of(problem)},
                                  {"input_array", Value::of(array)},
                                  {"index", whole(static_cast<std::int64_t>(index))}}));
  };
  for (std::size_t i = 0; events != nullptr && i < events->list.size(); ++i) {
    if (const std::string problem = problem_of_event(events->list[i]); !problem.empty()) {
      mind("events", i, problem);
    } else {
      events_.add("", events->list[i], call.now);
    }
  }
  for (std::size_t i = 0; attributes != nullptr && i < attributes->list.size(); ++i) {
    const Value& one = attributes->list[i];
    if (!names_somebody(one)) {
      mind("attributes", i, "no identifier that is known");
      continue;
    }
    const std::string id = text_at(one, "external_id");
    const MemberId who = id.empty() ? MemberId{"email", text_at(one, "email")} : MemberId{"external_id", id};
    for (const auto& [name, value] : one.members) {
      if (!name.starts_with('_')) set_property(name, who, value, call.now);
    }
  }
  Value answer = object({{"message", Value::of("success")}});
  if (!errors.list.empty()) answer.members.emplace_back("errors", std::move(errors));
  return json_response(201, answer);
}

std::unique_ptr<Platform> make_braze(const Options& options, const Limits&) {
  return std::make_unique<Braze>(options);
}

}  // namespace tailrace::sandbox
