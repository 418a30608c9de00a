// An event of the log as a Conversion: what stands where in an event of the e-commerce specification, and
// what a sync says otherwise.
//
//   Mapping mapping = TRY(Mapping::create(destination, {{"Order Completed", "Purchase"}}, {{"value",
//                                         "properties.total"}}, "EUR"));
//   Conversion conversion = mapping.apply(message, person);
//
// Source of the default names: the e-commerce specification of Segment (docs/sources.md), and what the
// platforms' click ids are called in the address of a landing page.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "destinations/event_destination.h"
#include "destinations/field_path.h"
#include "destinations/selection.h"
#include "model/click.h"
#include "model/person.h"
#include "model/value.h"

namespace tailrace::destinations {

// One event of the log, as records of the HTTP API have it.
struct EventMessage {
  std::string event;  // by its canonical name
  std::string message_id;
  std::string user_id;
  std::string anonymous_id;
  Time at;
  Value properties;  // objects
  Value context;
  std::vector<Click> clicks = {};  // that were seen of the person: for an event that names none
};

class Mapping {
 public:
  // events: names of ours to the platform's, before the destination's own; an empty name takes an event out.
  // fields: names of kFields below, or of Field, to expressions over {"event", "message_id", "user_id",
  // "anonymous_id", "properties", "context", "traits"}. currency: of events that name none; may be empty.
  // selection: of the properties that go out as they are. Errors: invalid_argument: a field that is not
  // known, an expression that cannot be read.
  // Two fields are no expressions: `click_window`, a duration, for how long before an event a click counts
  // that was seen of the person (never longer than the platform looks back), and `click_required`, `true`
  // where an event without a click that counts is not for this sync.
  static Result<Mapping> create(const EventDestination& destination,
                                const std::map<std::string, std::string>& events,
                                const std::map<std::string, std::string>& fields, std::string currency,
                                Selection selection = {});

  // The platform's name of an event; "": it is not sent. Lent by the mapping, or by `event`.
  std::string_view name_of(std::string_view event) const;
  Conversion apply(const EventMessage& message, const PersonProfile& person) const;

  // What `fields` may say beside what is known of a person.
  static std::span<const std::string_view> field_names();

 private:
  Result<void> take_click_rule(const EventDestination& destination, const std::string& field,
                               const std::string& text);

  std::map<std::string, std::string, std::less<>> names_;
  std::map<std::string, FieldPath, std::less<>> paths_;
  std::string currency_;
  std::optional<Millis> click_window_;
  bool click_required_ = false;
  Selection selection_;
  bool every_event_ = false;
};

// What is known of a person, from identifiers, traits and the event itself, by the names that profiles
// usually have: firstName, address.city, context.ip, a click id in the page's address. click_window: as
// above; missing: the platform's.
std::vector<std::pair<Field, std::string>> user_of(const EventMessage& message, const PersonProfile& person,
                                                   std::optional<Millis> click_window = std::nullopt);

// Click ids in an address: "https://shop.example/?gclid=abc" -> {gclid, "abc"}.
std::vector<std::pair<Field, std::string>> clicks_in(std::string_view url);

}  // namespace tailrace::destinations
