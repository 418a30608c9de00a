// docs/destinations/README.md: what each ad platform is given, as the registry says, and what nobody
// confirms.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "destinations/event_destination.h"
#include "destinations/probe.h"
#include "support/golden.h"
#include "support/source_dir.h"

namespace tailrace::destinations {
namespace {

// What a description does not say by itself.
struct AdPlatform {
  std::string_view platform;
  std::string_view name;
  std::string_view read_back;  // of an audience
  std::string_view consent_of_members;
  std::string_view consent_of_events;
  std::string_view unconfirmed;
};
constexpr AdPlatform kAdPlatforms[] = {
    {"meta", "Meta", "size as a range; match rate of the latest uploads", "Limited Data Use",
     "Limited Data Use",
     "that sessions are read as a field of the audience; the most events of a request (1,000 are sent)"},
    {"google", "Google", "sizes of four networks; match rate", "`adUserData`, `adPersonalization`",
     "`adUserData`, `adPersonalization`",
     "the smallest list that is used; bytes of a request; how a path writes the type of an account; "
     "the case of advertising ids; which accounts may have lists of user ids; adjustments "
     "in the Data Manager API (they go through the Google Ads API)"},
    {"tiktok", "TikTok", "size", "", "`limited_data_use`",
     "how many people a request takes (1,000 are sent); codes of tokens and failures beyond those of its "
     "guides; the "
     "field of the size; the case of advertising ids; how old an event may be"},
    {"snapchat", "Snapchat", "size", "", "Limited Data Use",
     "what an upload is answered with; requests a minute; how long an upload takes; outcomes per event"},
    {"pinterest", "Pinterest", "size, of the audience made of the list", "",
     "`opt_out`, `opt_out_type` (LDP)",
     "how many records a request takes (10,000 or 1 MB are sent); the header of 429; how long an upload "
     "takes; how old "
     "an event may be, and for how long it counts once"},
    {"linkedin", "LinkedIn", "size; match rate of seven days", "", "",
     "which `sourcePlatform` a partner gets; bytes of a request; how long an upload takes; when an unused "
     "segment ends; "
     "for how long an event counts once"},
    {"microsoft", "Microsoft", "size", "", "`adStorageConsent`",
     "lists of CRM ids and phones; for how long an event counts once"},
    {"reddit", "Reddit", "size, where Reddit tells it", "", "Limited Data Use",
     "nearly all of it, as the reference is not public: rows of a request, the body of an answer, the "
     "smallest audience, how "
     "long a member stays, a column of phones, whether an event counts once"},
    {"x", "X", "size of those active in 90 days", "", "",
     "phones in audiences; that tokens last; the unit of the header that resets a limit; how old an event "
     "may be, and for how "
     "long it counts once"},
};

std::string link(const Destination& destination) {
  return fmt::format("[{}]({}.md)", destination.type(), destination.type());
}

std::string or_none(std::string_view text) { return text.empty() ? "none" : std::string(text); }

Config defaults_of(const Destination& destination) {
  Config config;
  fill_defaults(destination, config);
  return config;
}

// An address of the sandbox stands in the description of what can be pointed at it.
bool has_sandbox(const Destination& destination) {
  return std::ranges::any_of(destination.settings(), [](const Setting& setting) {
    return setting.about.find("For the sandbox:") != std::string_view::npos;
  });
}

bool takes(const EventDestination& events, std::string_view event) {
  return std::ranges::find(events.events(), event, &EventName::event) != events.events().end();
}

// Under which events are checked and not counted, or shown on a page for tests.
std::string test_setting(const Destination& destination) {
  const Probed* known = probed(destination);
  if (const auto mode = known == nullptr ? std::nullopt : known->test_mode())
    return std::string(mode->setting);
  const auto found = std::ranges::find_if(
      destination.settings(), [](const Setting& setting) { return setting.name.starts_with("test_"); });
  return found == destination.settings().end() ? "" : std::string(found->name);
}

std::vector<const Destination*> all_of(std::string_view platform) {
  std::vector<const Destination*> found;
  for (const Destination* each : registry()) {
    if (each->platform() == platform) found.push_back(each);
  }
  return found;
}

// The cells of one platform's destinations, where they have something to say.
template <typename Cell>
std::string joined(std::string_view platform, Cell cell) {
  std::vector<std::string> cells;
  for (const Destination* each : all_of(platform)) {
    if (std::string text = cell(*each); !text.empty()) cells.push_back(std::move(text));
  }
  return or_none(fmt::format("{}", fmt::join(cells, ", ")));
}

std::string summary() {
  std::string out =
      "| platform | people are added and removed | read back | conversions | refunds, cancellations | "
      "consent told of "
      "members | of events | test mode | sandbox |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const AdPlatform& each : kAdPlatforms) {
    const auto audiences = [](const Destination& d) { return d.as_audience() ? link(d) : ""; };
    const auto conversions = [](const Destination& d) {
      return d.as_events() && takes(*d.as_events(), "Order Completed") ? link(d) : "";
    };
    const auto refunds = [](const Destination& d) {
      return d.as_events() && takes(*d.as_events(), "Order Cancelled") ? link(d) : "";
    };
    const auto test_mode = [](const Destination& d) {
      const bool takes_orders = d.as_events() && takes(*d.as_events(), "Order Completed");
      const std::string setting = takes_orders ? test_setting(d) : "";
      return setting.empty() ? "" : fmt::format("`{}`", setting);
    };
    const auto sandbox = [](const Destination& d) {
      return has_sandbox(d) ? std::string(d.as_audience()                            ? "audiences"
                                          : takes(*d.as_events(), "Order Completed") ? "events"
                                                                                     : "adjustments")
                            : "";
    };
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", each.name,
                       joined(each.platform, audiences), each.read_back, joined(each.platform, conversions),
                       joined(each.platform, refunds), or_none(each.consent_of_members),
                       or_none(each.consent_of_events), joined(each.platform, test_mode),
                       joined(each.platform, sandbox));
  }
  return out;
}

std::string audiences() {
  std::string out =
      "| audiences | people are found by | attributes | records a request | smallest that is used | a member "
      "stays | shows "
      "within |\n|---|---|---|---|---|---|---|\n";
  for (const AdPlatform& platform : kAdPlatforms) {
    for (const Destination* each : all_of(platform.platform)) {
      const AudienceDestination* audience = each->as_audience();
      if (audience == nullptr) continue;
      std::vector<std::string_view> kinds;
      for (const IdentifierKind kind : audience->identifiers()) kinds.push_back(to_string(kind));
      const auto life = audience->membership_life(defaults_of(*each));
      const auto processing = each->processing();
      out += fmt::format(
          "| {} | {} | {} | {} | {} | {} | {} |\n", link(*each), fmt::join(kinds, ", "),
          audience->takes_attributes() ? "yes" : "none", each->limits().batch_records_max,
          audience->people_min() > 0 ? fmt::format("{} people", audience->people_min()) : "not documented",
          life ? format_duration(*life) : "until removed",
          processing ? format_duration(processing->most) : "not documented");
    }
  }
  return out;
}

std::string events() {
  std::string out =
      "| events | oldest | of what happened in a store | a copy | events a request "
      "|\n|---|---|---|---|---|\n";
  const auto age = [](Millis limit) {
    return limit.count > 0 ? format_duration(limit) : std::string("no limit documented");
  };
  for (const AdPlatform& platform : kAdPlatforms) {
    for (const Destination* each : all_of(platform.platform)) {
      const EventDestination* destination = each->as_events();
      if (destination == nullptr) continue;
      const EventRules rules = destination->rules();
      out += fmt::format("| {} | {} | {} | {} | {} |\n", link(*each), age(rules.age_max),
                         rules.store_age_max.count > 0 ? age(rules.store_age_max) : "the same",
                         destination->counts_once() ? "counts once" : "may count twice",
                         each->limits().batch_records_max);
    }
  }
  return out;
}

std::string page() {
  std::string out =
      "# Destinations\n\n<!-- Generated by src/destinations/overview_test.cc from the registry. Do not edit: "
      "TAILRACE_UPDATE_GOLDEN=1 "
      "rewrites it. -->\n\nEach page of this folder is one destination. This one compares ad platforms; "
      "requests of each are in "
      "[previews](../previews.md).\n\n## Ad platforms\n\n" +
      summary() +
      "\nWhere no consent can be told, name a consent purpose in the sync: then only people who gave it are "
      "sent. It is so for "
      "every platform, told or not, that whoever withdraws it leaves the audience at once.\n\nA test mode is "
      "a setting under which a "
      "platform checks events, or shows them on a page of its own; of audiences only Google's "
      "`validate_only` is one. Everywhere there are "
      "`mode: dry_run` and `mode: test` of the [sync](../workspace.md#modes), and the "
      "[sandbox](../sandbox.md).\n\n## Audiences\n\n" +
      audiences() +
      "\nWhoever stays for a limited time is added again before it ends. `shows within` is what the platform "
      "says of itself.\n\n"
      "Worth of members (for lookalikes of the best) is taken by Meta: `value_based` and an attribute called "
      "`value`.\n\n## "
      "Events\n\n" +
      events() +
      "\nOlder events are never sent, and counted. A click counts for as long as the platform looks back to "
      "it "
      "([concepts](../concepts.md)), or for the shorter `click_window` of the sync. How long after a click "
      "or a view "
      "a conversion is credited to an ad is a setting of the conversion at the platform.\n\n## Not "
      "confirmed\n\nNo document of the platform says "
      "it. What can be a setting is one; the sandbox takes both readings, or the stricter one. "
      "Nor is it confirmed for how long a platform looks back to a click, but of Google, Microsoft and "
      "LinkedIn.\n\n";
  for (const AdPlatform& each : kAdPlatforms)
    out += fmt::format("- **{}**: {}.\n", each.name, each.unconfirmed);
  return out;
}

TEST(Overview, is_what_the_registry_says) {
  testing::expect_file(testing::source_dir() + "/docs/destinations/README.md", page());
}

TEST(Overview, every_ad_platform_keeps_audiences_takes_conversions_and_has_a_sandbox) {
  for (const AdPlatform& each : kAdPlatforms) {
    bool audiences = false;
    bool conversions = false;
    for (const Destination* destination : all_of(each.platform)) {
      EXPECT_TRUE(has_sandbox(*destination)) << destination->type();
      audiences = audiences || destination->as_audience() != nullptr;
      conversions = conversions || (destination->as_events() != nullptr &&
                                    takes(*destination->as_events(), "Order Completed"));
    }
    EXPECT_TRUE(audiences) << each.name;
    EXPECT_TRUE(conversions) << each.name;
  }
}

}  // namespace
}  // namespace tailrace::destinations
