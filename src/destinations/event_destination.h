// A destination that is told what happened: conversions and other events, one after another. It is given a
// Conversion, which says what platforms ask for in words of its own (conversion.h makes one of an event of
// the log), and writes one event of its own of it, or says why it must not be sent.
//
//   auto event = destination.encode_event(conversion, {config, now});      // JSON, or a Refused
//   HttpRequest request = destination.encode(events, context);             // a batch of them
//   Reply reply = destination.decode(events.size(), answer);               // one outcome per event
//
// Pure, as all of a destination is. A resend is the same bytes: what depends on the hour (may it still be
// sent?) is decided once, by encode_event.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/number.h"
#include "destinations/destination.h"
#include "destinations/identifiers/fields.h"
#include "model/value.h"

namespace tailrace::destinations {

struct ConversionItem {
  std::string id;
  std::string name;
  std::string category;
  std::string brand;
  std::optional<Number> price;  // of one
  Number quantity = Number::integer(1);
};

struct Conversion {
  enum class Source : unsigned char { website, app, store, email, phone_call, chat, system, other };
  // Of a refund or a cancellation the value is what is given back, or missing: all of it.
  enum class Kind : unsigned char { conversion, refund, cancellation };

  std::string person;  // golden id, or who the event says it was: for rejections and explanations
  std::string event;   // as the log calls it: "Order Completed"
  std::string name;    // as the platform calls it: "Purchase"; by events() or by the sync's own mapping
  std::string id;      // the same at the browser's pixel: by it the platform counts once
  Time at;
  Kind kind = Kind::conversion;
  Source source = Source::website;
  std::string url;
  std::string referrer;
  std::optional<Number> value;  // in whole units of the currency
  std::string currency;         // ISO 4217
  std::string order_id;
  std::vector<ConversionItem> items;
  std::string search;
  std::string content_name;
  std::string content_category;
  std::vector<std::pair<Field, std::string>> user;  // as it came, several of a field where there are several
  std::optional<bool> ads_consent;                  // missing: not known
  std::optional<bool> personalisation_consent;
  bool limited_data_use = false;  // US state privacy laws
  bool click_required = false;    // it is not for this platform unless a click on an ad there came before

  // The event as the log has it, for destinations that take every event. Objects, where there is anything.
  std::string message_id;  // unique: by it those that keep it count once
  std::string user_id;
  std::string anonymous_id;
  Value properties;  // what the sync lets out of them
  Value context;
  Value traits;  // of the person, today

  const std::string& user_field(Field field) const;  // the first of it, "" where there is none
};

// Why an event is never sent.
struct Refused {
  std::string field;   // "value", "at", "user.email"
  std::string reason;  // can be counted; holds no value of the person

  bool operator==(const Refused&) const = default;
};

struct EventName {
  std::string_view event;  // of the e-commerce specification: "Order Completed"
  std::string_view name;   // the platform's
};

// What a platform asks of every event, so that one piece of code keeps it (judge()).
struct EventRules {
  Millis age_max{0};                // older ones are not sent; 0: no limit known
  Millis store_age_max{0};          // of what happened in a store, where that differs
  Millis ahead_max = kSecond * 60;  // so far in the future an event may be dated
  // Names that need a value and a currency.
  std::span<const std::string_view> valued = {};
  // An event needs one of these sets of fields, whole.
  std::span<const std::span<const Field>> identified_by = {};
};

class EventDestination : public Destination {
 public:
  const EventDestination* as_events() const final { return this; }
  virtual std::span<const EventName> events() const = 0;  // what it takes unless the sync says otherwise
  virtual EventRules rules() const = 0;
  // What happens to two events with the same id: the platform's own way of counting once. False: a resend
  // after a lost answer may count twice.
  virtual bool counts_once() const { return true; }
  // Who tells the copy is whoever reads there, by the message's id, and not the platform itself.
  virtual bool readers_know_copies() const { return false; }
  // An analytics tool: what events() does not name goes by its own name, and neither its value nor what the
  // person thinks of ads is judged.
  virtual bool takes_every_event() const { return false; }
  // Two events of a person must not arrive in another order.
  virtual bool keeps_order() const { return false; }
  // Where all events of a request must have something in common (their person): that. "": nothing.
  virtual std::string group(const Conversion& conversion) const;

  struct At {
    const Config& config;
    Time now;
  };
  // One event as it stands in a request. It has passed judge().
  virtual std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const = 0;
  // events: what encode_event gave, at most limits().batch_records_max of them, and not none.
  virtual HttpRequest encode(std::span<const std::string> events, const Context& context) const = 0;
  virtual Reply decode(std::size_t events, const HttpResponse& response) const = 0;
};

std::vector<const EventDestination*> event_destinations();  // of the registry, in its order
// nullptr: no such type, or it takes no events.
const EventDestination* find_event_destination(std::string_view type);

// Of ISO 4217, in capitals.
bool is_currency(std::string_view code);

// An id by which a platform knows a click, not a browser.
bool is_click_id(Field field);

// Why the event must not be sent, as far as the rules say: too old, dated in the future, a value that is
// negative or without a currency, a currency that does not exist, nobody to match it with, too large.
std::optional<Refused> judge(const EventDestination& destination, const Conversion& conversion, Time now);

// The platform's event: judged, and encoded.
std::expected<std::string, Refused> to_event(const EventDestination& destination,
                                             const Conversion& conversion, EventDestination::At at);

// --- Pieces of encode_event
// ----------------------------------------------------------------------------------------

// What the platform takes of conversion.user by its table: (rule, value as sent), in the table's order,
// without repeats. What cannot be normalised is left out and named in `refused` where that is given.
struct UserValue {
  const FieldRule* rule;
  std::string value;
};
std::vector<UserValue> user_values(const EventDestination& destination, const Conversion& conversion,
                                   const Config& config, std::vector<Refused>* refused = nullptr);

// Those values as the object that most platforms want: by the rules' keys, in the table's order. A key for
// which is_list holds has the list of all its values, another the first of them.
Value user_object(const EventDestination& destination, const Conversion& conversion, const Config& config,
                  bool (*is_list)(const FieldRule&));

}  // namespace tailrace::destinations
