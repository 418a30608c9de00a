// The starter workspace: small, commented, and free of problems (the test checks it as any other).
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "workspace/source.h"

namespace tailrace::workspace {

namespace {

namespace fs = std::filesystem;

struct StarterFile {
  std::string_view name;
  std::string_view text;
};

// clang-format off
constexpr StarterFile kStarterFiles[] = {
    {"tailrace.yaml",
     R"yaml(# A workspace: which events come in, who is in which segment, and what goes where. Keep this folder in git.
#   tailrace check -w .    what is wrong, all at once
#   tailrace plan  -w .    what would change
#   tailrace apply -w .    make it live
name: starter

# The identifier that names a person outwards: external_id (userId), email, phone or anonymous_id.
golden_id: external_id

# Decides what `today` and `this month` mean, with daylight saving.
time_zone: UTC

# A phone number written without a country is read as one of this country (ISO 3166, two letters).
default_region: US

# What counts for someone of whom no consent is known: deny or grant.
consent:
  unknown: deny

# The same message id from the same source within this time is the same message.
dedup_window: 30d

# Who may send events. A key is only named, by environment variable (env) or file, and never written here.
write_keys:
  - name: web
    env: TAILRACE_WRITE_KEY

# Other sources: orders from Shopify, what became of messages from Customer.io, ... (docs/sources.md). Webhooks go to
# https://YOUR-HOST/sources/NAME. Remove the # once the secret is where `serve` runs.
# sources:
#   - name: shop
#     type: shopify
#     credentials:
#       webhook_secret: {env: SHOPIFY_WEBHOOK_SECRET}
#   - name: customerio
#     type: customerio_webhooks
#     credentials:
#       signing_key: {env: CUSTOMERIO_SIGNING_KEY}
)yaml"},
    {"taxonomy.yaml",
     R"yaml(# Which events there are, and what they carry. Events that do not fit wait in quarantine, with the reason.

# The e-commerce events, with their properties and aliases (`Order Completed` is the same as `Order Placed`), and what
# became of messages: `Email Opened`, `SMS Delivered`, `Unsubscribed`, ...
use: [ecommerce, messages]

# `admit` lets events in whose name is not listed.
unknown_events: quarantine

# What is added to the built-in events, or replaces them property by property. Types: string, number, boolean, time,
# list, any.
events:
  Order Placed:
    owner: shop team
    properties:
      order_id: {type: string, required: true}
      revenue: number
  # An event of your own:
  Newsletter Signed Up:
    aliases: [Signed Up for Newsletter]
    owner: growth team
    description: Somebody asked for the newsletter
    properties:
      list: string

# What may be known of a person. Remove the whole list, and any trait may be used.
traits:
  email: string
  phone: string
  country: string
)yaml"},
    {"definitions.yaml",
     R"yaml(# Words that mean the same in every segment.
active: performed "Order Placed" within 90d
lapsed: orders >= 1 and not performed "Order Placed" within 180d
)yaml"},
    {"attributes.yaml",
     R"yaml(# Attributes computed from a person's events, up to date with every event.
ltv: sum("Order Placed".revenue) - sum("Order Refunded".total)
orders: count("Order Placed")
aov: avg("Order Placed".revenue)
last_order_at: last("Order Placed")
aov_tier: if aov >= 200 then "high" else if aov >= 50 then "middle" else if aov exists then "low"
)yaml"},
    {"segments/purchasers.yaml",
     R"yaml(# Whoever has just bought need not be persuaded to. People leave exactly 30 days after their last order.
name: Purchasers 30d
owner: growth team
purpose: Stop paying for ads to people who have just bought
lifecycle: active # or draft, or retired
who: performed "Order Placed" within 30d
)yaml"},
    {"segments/intent.yaml",
     R"yaml(# A file holds one segment or a list of them.
- name: Cart abandoners
  owner: growth team
  purpose: Remind people of the cart they left
  who: >
    last("Cart Started") between 2h and 7d ago
    and not performed "Order Placed" since last "Cart Started"

- name: Product viewers
  owner: growth team
  purpose: Retarget people who show interest
  who: >
    performed "Product Viewed" at least 2 times within 24h
    and not performed "Order Placed" within 24h
)yaml"},
    {"segments/retention.yaml",
     R"yaml(- name: First-time buyers
  owner: growth team
  purpose: Win the second order
  who: orders = 1 and active

- name: Winback
  owner: growth team
  purpose: Bring back repeat buyers who went quiet
  who: lapsed and orders >= 2 and aov >= 80

- name: VIP
  owner: growth team
  purpose: Early access; and the seed of lookalike audiences
  who: top 10% by ltv where ltv > 0

# The last such order counts: somebody who bought again three days ago is out.
- name: Cleanser runs out
  owner: growth team
  purpose: Remind people to reorder when they are likely to need it
  who: last("Order Placed" where any products (category = "cleanser")) between 25d and 40d ago
)yaml"},
    {"destinations/meta.yaml",
     R"yaml(# base_url points at `tailrace sandbox`, which behaves like the platform and spends no money. Remove it to reach Meta.
name: Meta
type: meta_custom_audiences
settings:
  base_url: http://127.0.0.1:9090/meta/v26.0
  ad_account_id: act_1234567890
# The sandbox is on this machine. Remove this too to reach Meta: requests to private addresses are refused then.
allow_private_addresses: true
credentials:
  # {env: NAME} or {file: path}. A secret in the text is refused.
  access_token: {env: META_ACCESS_TOKEN}
)yaml"},
    {"destinations/google.yaml",
     R"yaml(# Customer lists through the Data Manager API, here at the sandbox. Remove both URLs and `allow_private_addresses` to reach Google.
name: Google
type: google_data_manager
settings:
  base_url: http://127.0.0.1:9090/google
  token_url: http://127.0.0.1:9090/google/token
  operating_account_id: "1234567890"
allow_private_addresses: true
credentials:
  client_id: {env: GOOGLE_CLIENT_ID}
  client_secret: {env: GOOGLE_CLIENT_SECRET}
  refresh_token: {env: GOOGLE_REFRESH_TOKEN}
)yaml"},
    {"destinations/lake.yaml",
     R"yaml(# Everything as tables, in Parquet files on this machine: `tailrace query -w . "SELECT event, count(*) FROM events GROUP BY event"`.
name: lake
type: parquet_lake
settings:
  location: .tailrace/lake
)yaml"},
    {"syncs/lake.yaml",
     R"yaml(name: Lake
destination: lake
tables: all
cadence: every 15m
)yaml"},
    {"syncs/suppression.yaml",
     R"yaml(# effect: suppress. Being in the audience stops ads: in the ad account, the campaigns exclude it. Additions to such a
# sync go before everything else.
- name: Purchasers 30d on Meta
  segment: Purchasers 30d
  destination: Meta
  effect: suppress
  identifiers: [email, phone]
  cadence: realtime

- name: Purchasers 30d on Google
  segment: Purchasers 30d
  destination: Google
  effect: suppress
  identifiers: [email, phone]
  cadence: realtime
)yaml"},
    {"syncs/retargeting.yaml",
     R"yaml(# effect: target. Being in the audience shows ads: only to people who consented to that purpose.
name: Cart abandoners on Meta
segment: Cart abandoners
destination: Meta
effect: target
identifiers: [email, phone]
# realtime, `every 15m`, or five cron fields such as "0 6 * * 1-5".
cadence: realtime
# Segments subtracted: an order takes somebody out of here and puts them into the suppression, in that moment.
exclusions: [Purchasers 30d]
consent: ads
# One in ten is never shown the ads. What they buy anyway is what the ads did not cause.
holdout: 10%
)yaml"},
};
// clang-format on

// What a workspace would be made of; any of it in the folder is somebody's work.
constexpr std::string_view kWorkspaceParts[] = {
    "tailrace.yaml", "taxonomy.yaml", "definitions.yaml", "attributes.yaml", "segments",
    "destinations",  "syncs"};

Result<void> write_new(const fs::path& path, std::string_view text) {
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  if (failure) {
    return fail(Error::Code::io,
                fmt::format("cannot create {}: {}", path.parent_path().string(), failure.message()));
  }
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) return fail(Error::Code::io, fmt::format("cannot write {}", path.string()));
  return {};
}

}  // namespace

Result<void> init(const std::string& folder) {
  const fs::path root(folder);
  std::error_code unreadable;
  for (const std::string_view part : kWorkspaceParts) {
    if (fs::exists(fs::symlink_status(root / part, unreadable))) {
      return fail(
          Error::Code::conflict,
          fmt::format("{} is there already: choose another folder, or remove it", (root / part).string()));
    }
  }
  for (const StarterFile& file : kStarterFiles) TRY(write_new(root / file.name, file.text));
  return {};
}

}  // namespace tailrace::workspace
