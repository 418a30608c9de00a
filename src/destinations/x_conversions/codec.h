// Requests and answers of X's Conversion API (Ads API v12). Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::x_conversions_codec {

inline constexpr std::string_view kPixelId = "pixel_id";

// X knows an event by the id it was given in the Events Manager; a setting of the sync holds it per kind.
struct KindOfEvent {
  std::string_view name;
  std::string_view setting;
};
inline constexpr std::array<KindOfEvent, 10> kKinds{{{"PURCHASE", "purchase_event_id"},
                                                     {"CHECKOUT_INITIATED", "checkout_initiated_event_id"},
                                                     {"ADDED_PAYMENT_INFO", "added_payment_info_event_id"},
                                                     {"ADD_TO_CART", "add_to_cart_event_id"},
                                                     {"ADD_TO_WISHLIST", "add_to_wishlist_event_id"},
                                                     {"CONTENT_VIEW", "content_view_event_id"},
                                                     {"SEARCH", "search_event_id"},
                                                     {"SIGN_UP", "sign_up_event_id"},
                                                     {"LEAD", "lead_event_id"},
                                                     {"PAGE_VIEW", "page_view_event_id"}}};

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::x_conversions_codec
