// What receivers of one's own are told, whatever carries it (webhooks, topics of Kafka): people and events as
// they came, nothing hashed.
#pragma once

#include <array>

#include "destinations/event_destination.h"

namespace tailrace::destinations::analytics {

inline constexpr std::array kPlainIdentifiers{IdentifierKind::external_id, IdentifierKind::anonymous_id,
                                              IdentifierKind::email, IdentifierKind::phone};
// Of members of audiences; an event calls its person's id `user_id`.
inline constexpr std::array kPlainFieldsOfMembers{
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
    FieldRule{Field::email, "email", &opaque},
    FieldRule{Field::phone, "phone", &opaque},
};
inline constexpr std::array kPlainFieldsOfEvents{
    FieldRule{Field::external_id, "user_id", &opaque},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
    FieldRule{Field::email, "email", &opaque},
    FieldRule{Field::phone, "phone", &opaque},
};

// `true` or `false`, which the destination checks.
inline constexpr Setting kContextSetting{
    .name = "context",
    .scope = Setting::Scope::sync,
    .default_value = "false",
    .about = "Whether the event's context (page, address, device) goes along: `true` or `false`."};

// Behind what `to` says already: of whom the event is, its properties, and its context where the sync wants
// it.
void add_plain_event(Value& to, const EventDestination& destination, const Conversion& conversion,
                     const Config& config);

}  // namespace tailrace::destinations::analytics
