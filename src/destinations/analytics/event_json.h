// What the requests to analytics and messaging tools have in common: who an event is of, ids that a tool
// wants in a form of its own, and JSON by hand.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/answer.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::analytics {

// Adds a text unless it is empty.
void add_text(Value& to, std::string_view name, std::string text);
Value empty_object();

// The first value of a field as the destination's table wants it; "" where there is none.
std::string value_of(std::span<const UserValue> values, Field field);

// What stands in everybody's place: "null", "anonymous", "0", a UUID of zeros. Mixpanel and Amplitude refuse
// or mix up whoever has such an id.
bool is_placeholder(std::string_view id);

// A UUID (version 8 of RFC 9562, from SHA-256) that is the same for the same id; an id that is a UUID stays
// as it is, in lower case.
std::string uuid_of(std::string_view id);
// A ULID: the instant, then 80 bits of the id's SHA-256. The same for the same two.
std::string ulid_of(Time at, std::string_view id);

// An event's name in small letters, digits and underscores: "Order Completed" is "order_completed".
std::string name_word(std::string_view name);

// At most so many characters, whole ones.
std::string_view cut(std::string_view text, std::size_t characters);

// The elements between commas: encoded events as a batch has them.
std::string joined(std::span<const std::string> elements);

// The members of `from` that `to` does not have yet, in their order.
void add_missing(Value& to, const Value& from);

HttpRequest post_json(std::string url, std::string body, HttpHeaders more = {});
std::string basic_authorization(std::string_view user, std::string_view password);

// A name of a field in an answer, where it can be nothing else: a letter or $ first, letters, digits and
// _ . $ [ ], up to 64 bytes. Else "".
std::string field_word(std::string_view text);

// Refused one by one: outcomes[i] is rejected where `bad` names i. Indices beyond `events` are left out;
// false: there was no other. code: of the reply.
struct Culprit {
  std::int64_t index = 0;
  std::string reason;
};
bool blame(Reply& reply, std::size_t events, std::span<const Culprit> culprits);

}  // namespace tailrace::destinations::analytics
