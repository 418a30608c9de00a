#include "sim/story.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "property/play.h"
#include "property/random_scenario.h"
#include "support/random_world.h"

namespace tailrace::testing {
namespace {

constexpr std::string_view kAccount = "1234567890";

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

// Addresses and numbers of one person, some of them shared with others, each written in several ways.
constexpr std::size_t kContacts = 10;
std::string email_of(std::size_t contact) { return fmt::format("person{}@example.com", contact); }
std::string phone_digits_of(std::size_t contact) { return fmt::format("44207946{:04}", contact); }

std::string random_email(Random& random) {
  const std::size_t contact = random.below(kContacts);
  switch (random.below(5)) {
    case 0:
      return fmt::format("Person{}@Example.COM", contact);
    case 1:
      return fmt::format(" {} ", email_of(contact));
    case 2:
      return one_in(random, 3) ? "nobody" : email_of(contact);
    default:
      return email_of(contact);
  }
}
std::string random_phone(Random& random) {
  const std::size_t contact = random.below(kContacts);
  switch (random.below(4)) {
    case 0:
      return fmt::format("+44 20 7946 {:04}", contact);
    case 1:
      return fmt::format("020 7946 {:04}", contact);  // the workspace's region is GB
    case 2:
      return one_in(random, 3) ? "unknown" : "+" + phone_digits_of(contact);
    default:
      return fmt::format("+44-20-7946-{:04}", contact);
  }
}

void add_contacts(Random& random, const OracleWorld& world, std::vector<Step>& steps) {
  for (const OraclePerson& person : world.people) {
    const std::string user = fmt::format("u{}", person.id.value);
    const auto state = [&](const std::string& name, Value value) {
      Input input{Input::Kind::trait, user, "", random_time(random, kStart), {}, name, std::move(value),
                  "contact-" + user};
      // An address that begins to hold later than it is told is not what anybody sends.
      input.received_at = input.time + (one_in(random, 2) ? Millis{0} : kHour * 3);
      input.message_id += fmt::format("-{}", steps.size());
      steps.push_back({.input = std::move(input)});
    };
    for (std::uint64_t count = random.below(4); count > 0; --count)
      state("email", Value::of(random_email(random)));
    for (std::uint64_t count = random.below(3); count > 0; --count)
      state("phone", Value::of(random_phone(random)));
    if (one_in(random, 4)) state("email", Value::with(Value::Kind::null));
  }
}

// The third sync goes to `third`: where a sync goes stays as it is.
void add_syncs(Random& random, const std::string& third, workspace::Workspace& workspace) {
  using workspace::SecretReference;
  const SecretReference token{SecretReference::Kind::environment, "SIMULATED"};
  workspace.default_region = "GB";
  workspace.destinations = {
      {.name = "Meta",
       .type = "meta_custom_audiences",
       .settings = {{"base_url", "http://sandbox/meta/v26.0"},
                    {"ad_account_id", fmt::format("act_{}", kAccount)}},
       .credentials = {{"access_token", token}}},
      {.name = "Google",
       .type = "google_data_manager",
       .settings = {{"base_url", "http://sandbox/google"},
                    {"token_url", "http://sandbox/google/token"},
                    {"operating_account_id", std::string(kAccount)}},
       .credentials = {{"client_id", token}, {"client_secret", token}, {"refresh_token", token}}}};
  workspace.syncs.clear();
  const auto add = [&](const std::string& name, const std::string& destination) {
    workspace::SyncConfig sync;
    sync.name = name;
    sync.destination = destination;
    sync.segment = workspace.segments[random.below(workspace.segments.size())].name;
    sync.effect = one_in(random, 2) ? workspace::Effect::suppress : workspace::Effect::target;
    sync.identifiers = {IdentifierKind::email};
    if (one_in(random, 2)) sync.identifiers.push_back(IdentifierKind::phone);
    if (one_in(random, 3)) sync.cadence = {workspace::Cadence::Kind::every, kMinute * 15, ""};
    if (one_in(random, 3)) {
      const std::string& excluded = workspace.segments[random.below(workspace.segments.size())].name;
      if (excluded != sync.segment) sync.exclusions = {excluded};
    }
    if (one_in(random, 3)) sync.consent_purpose = "ads";
    const bool suppresses = sync.effect == workspace::Effect::suppress;
    const auto hours = [&](std::uint64_t most) {
      return kHour * static_cast<std::int64_t>(1 + random.below(most));
    };
    if (suppresses && one_in(random, 2)) sync.minimum_stay = hours(72);
    if (one_in(random, 3)) sync.longest_stay = hours(72) + sync.minimum_stay.value_or(Millis{0});
    if (one_in(random, 6)) sync.review_date = kStart + kDay * static_cast<std::int64_t>(random.below(4));
    if (sync.effect == workspace::Effect::target && one_in(random, 3)) sync.holdout_per_million = 300'000;
    if (one_in(random, 3)) sync.guards.change_count = 1 + random.below(3);
    if (one_in(random, 4)) sync.guards.size_min = 1 + random.below(2);
    workspace.syncs.push_back(std::move(sync));
  };
  add("Winback", "Meta");
  add("VIP", "Google");
  add("Buyers", third);
  for (workspace::SyncConfig& sync : workspace.syncs) {
    const auto suppresses = [](const workspace::SyncConfig& other) {
      return other.effect == workspace::Effect::suppress;
    };
    const auto twin = std::ranges::find_if(workspace.syncs, suppresses);
    if (sync.effect == workspace::Effect::suppress || twin == workspace.syncs.end()) continue;
    if (one_in(random, 2)) sync.twin = twin->name;
  }
}

workspace::Workspace random_workspace_with_syncs(Random& random, const OracleWorld& world,
                                                 const std::string& third) {
  workspace::Workspace workspace = random_workspace(random, world, {});
  for (const char* contact : {"email", "phone"})
    workspace.taxonomy.traits.push_back({contact, language::Type::any});
  add_syncs(random, third, workspace);
  const auto checked = usable(workspace);
  TR_ASSERT(checked.has_value());
  return *checked;
}

// Later workspaces may be without a sync, or have retired it; and Google lets members go after some days.
// Drawn apart, so that the rest of the story does not depend on it.
void vary(const Random& random, Story& story) {
  Random more = random;
  for (std::uint64_t skipped = 0; skipped < 97; ++skipped) more.next();
  const std::string days = std::to_string(1 + more.below(4));
  for (std::size_t i = 0; i < story.workspaces.size(); ++i) {
    workspace::Workspace& workspace = story.workspaces[i].second;
    for (workspace::DestinationConfig& destination : workspace.destinations) {
      if (destination.name == "Google") destination.settings["membership_duration_days"] = days;
    }
    if (i == 0) continue;
    workspace::Workspace varied = workspace;
    for (workspace::SyncConfig& sync : varied.syncs) {
      if (one_in(more, 6)) sync.lifecycle = workspace::Lifecycle::retired;
    }
    std::erase_if(varied.syncs, [&](const auto&) { return one_in(more, 3); });
    for (workspace::SyncConfig& sync : varied.syncs) {
      const auto* twin = varied.find_sync(sync.twin);
      if (twin == nullptr || twin->is_retired()) sync.twin.clear();
    }
    // A segment may ask who entered a sync: that one stays.
    if (auto checked = usable(varied)) workspace = std::move(*checked);
  }
}

// Events go to three platforms: two that know a copy by its id, one that does not. What a sync sends is the
// same in all workspaces, so that the judge need not know which was live when; but syncs come, go and retire.
// Drawn apart, as above.
void add_streams(const Random& random, Story& story) {
  using workspace::SecretReference;
  Random more = random;
  for (std::uint64_t skipped = 0; skipped < 197; ++skipped) more.next();
  const SecretReference token{SecretReference::Kind::environment, "SIMULATED"};
  const auto batch = [&] { return std::to_string(1 + more.below(4)); };
  const std::vector<workspace::DestinationConfig> destinations{
      {.name = "Meta events",
       .type = "meta_conversions",
       .settings = {{"base_url", "http://sandbox/meta/v26.0"},
                    {"dataset_id", "77"},
                    {"batch_records_max", batch()}},
       .credentials = {{"access_token", token}}},
      {.name = "Google events",
       .type = "google_conversions",
       .settings = {{"base_url", "http://sandbox/google"},
                    {"token_url", "http://sandbox/google/token"},
                    {"operating_account_id", std::string(kAccount)},
                    {"batch_records_max", batch()}},
       .credentials = {{"client_id", token}, {"client_secret", token}, {"refresh_token", token}}},
      {.name = "Reddit events",
       .type = "reddit_conversions",
       .settings = {{"base_url", "http://sandbox/reddit/api/v3"},
                    {"pixel_id", "t2_1"},
                    {"batch_records_max", batch()}},
       .credentials = {{"access_token", token}}}};
  std::vector<workspace::StreamConfig> streams;
  for (const workspace::DestinationConfig& destination : destinations) {
    if (one_in(more, 4)) continue;
    workspace::StreamConfig stream;
    stream.name = "To " + destination.name;
    stream.destination = destination.name;
    for (const std::string_view event : vocabulary::kEvents) {
      if (one_in(more, 4)) continue;
      workspace::StreamEvent& wanted = stream.events.emplace_back();
      wanted.event = event;
      wanted.name = "Simulated";
      if (one_in(more, 4)) wanted.where = "currency = \"a\"";
    }
    if (stream.events.empty()) continue;
    // What is not judged here: values, currencies, refunds, and who somebody is.
    stream.fields = {{"value", "1"},
                     {"currency", "\"EUR\""},
                     {"kind", "\"conversion\""},
                     {"source", "\"other\""},
                     {"email", "\"somebody@example.com\""}};
    // Google takes events of any age; so there, none is too old or too early.
    if (destination.type == "google_conversions") {
      stream.fields["at"] = "\"2026-01-01T00:00:00Z\"";
      stream.settings["conversion_action_id"] = "5550001";
    }
    stream.start = workspace::StreamConfig::Start::beginning;
    if (one_in(more, 2)) stream.ambiguity = workspace::Ambiguity::resend;
    stream.requests_in_flight = static_cast<std::uint32_t>(1 + more.below(3));
    streams.push_back(std::move(stream));
  }
  for (auto& [at, workspace] : story.workspaces) {
    const bool is_first = &workspace == &story.workspaces.front().second;
    workspace.destinations.insert(workspace.destinations.end(), destinations.begin(), destinations.end());
    for (workspace::StreamConfig stream : streams) {
      if (!is_first && one_in(more, 5)) continue;
      if (!is_first && one_in(more, 6)) stream.lifecycle = workspace::Lifecycle::retired;
      workspace.streams.push_back(std::move(stream));
    }
    auto checked = usable(workspace);
    TR_ASSERT(checked.has_value());
    workspace = std::move(*checked);
  }
  // The id by which platforms know an event: message ids are unique within their source alone.
  for (Input& input : story.inputs) {
    if (input.kind == Input::Kind::event)
      input.value.members.emplace_back("event_id", Value::of(event_id(input)));
  }
}

}  // namespace

std::string event_id(const Input& input) { return fmt::format("{}/{}", input.who, input.message_id); }

Story random_story(Random& random) {
  const OracleWorld world = random_world(random, {.people_max = 8, .events_per_person_max = 10});
  const std::string third = one_in(random, 2) ? "Meta" : "Google";
  Story story;
  story.workspaces.emplace_back(kStart - kDay * 2, random_workspace_with_syncs(random, world, third));
  std::vector<Step> steps = random_steps(random, world);
  std::erase_if(steps, [](const Step& step) { return step.input.kind == Input::Kind::sync_entry; });
  add_contacts(random, world, steps);
  for (Step& step : steps) story.inputs.push_back(std::move(step.input));
  std::ranges::stable_sort(story.inputs, {}, &Input::received_at);
  for (std::size_t i = 0; i < story.inputs.size(); ++i) story.inputs[i].serial = i;
  story.end = story.inputs.empty() ? kStart : story.inputs.back().received_at;
  for (std::uint64_t count = random.below(3); count > 0; --count) {
    const Time at = kStart + Millis{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(
                                 std::max((story.end - kStart).count, kDay.count))))};
    story.workspaces.emplace_back(at, random_workspace_with_syncs(random, world, third));
  }
  std::ranges::stable_sort(story.workspaces, {}, &std::pair<Time, workspace::Workspace>::first);
  vary(random, story);
  add_streams(random, story);
  story.end = std::max(story.end, story.workspaces.back().first) + kDay * 3;
  return story;
}

std::string uploaded_text(std::string_view platform, std::string_view kind, std::string_view raw) {
  for (std::size_t contact = 0; contact < kContacts; ++contact) {
    if (kind == "email") {
      std::string lower;
      for (const char c : raw) {
        if (c != ' ') lower.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
      }
      if (lower == email_of(contact)) return lower;
      continue;
    }
    std::string digits;
    for (const char c : raw) {
      if (c >= '0' && c <= '9') digits.push_back(c);
    }
    if (digits.starts_with("020")) digits = "44" + digits.substr(1);
    if (digits == phone_digits_of(contact)) return (platform == "google" ? "+" : "") + digits;
  }
  return "";
}

}  // namespace tailrace::testing
