#include "workspace/workspace.h"

#include <array>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/audience_destination.h"
#include "model/json.h"
#include "support/source_dir.h"
#include "workspace/audience.h"
#include "workspace/check.h"
#include "workspace/values.h"

namespace tailrace::workspace {
namespace {

namespace fs = std::filesystem;
using destinations::Setting;
using language::Problem;
using ::testing::HasSubstr;

// A destination with one setting of each sort, so that the tests do not depend on the platforms'.
class ExampleDestination : public destinations::AudienceDestination {
 public:
  std::string_view type() const override { return "example_audiences"; }
  std::string_view platform() const override { return "example"; }
  std::span<const destinations::FieldRule> fields() const override { return {}; }
  std::string_view title() const override { return "Example Audiences"; }
  std::string_view about() const override { return ""; }
  std::span<const Setting> settings() const override {
    static constexpr std::array<Setting, 5> kSettings{{
        {.name = "account", .required = true, .about = "the account's number"},
        {.name = "base_url", .default_value = "https://api.example.com", .about = "where it is"},
        {.name = "list_kind", .scope = Setting::Scope::sync, .about = "the kind of list"},
        {.name = "token", .required = true, .secret = true, .about = "the access token"},
        {.name = "extra_secret", .secret = true, .about = "a second secret"},
    }};
    return kSettings;
  }
  std::span<const IdentifierKind> identifiers() const override {
    static constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone};
    return kIdentifiers;
  }
  destinations::Limits limits() const override { return {}; }
  std::optional<destinations::ProcessingTime> processing() const override {
    return destinations::ProcessingTime{.most = kHour * 24, .about = "A day.", .source = "the manual"};
  }
  std::vector<std::string> check(const destinations::Config& config) const override {
    if (config.setting("base_url").starts_with("https://")) return {};
    return {"base_url must begin with https://"};
  }
  Result<destinations::Normalised> normalise(IdentifierKind, std::string_view,
                                             const destinations::Config&) const override {
    return invalid("not asked for");
  }
  HttpRequest encode(const destinations::Batch&, const destinations::Context&) const override { return {}; }
  destinations::Reply decode(const destinations::Batch&, const HttpResponse&) const override { return {}; }
};

// The same of a platform whose requests take one kind of identifier.
class SingleDestination final : public ExampleDestination {
 public:
  std::string_view type() const override { return "single_ads"; }
  bool one_kind_a_request() const override { return true; }
};

// A folder as text: file name, file text. Starts as a small workspace without problems.
struct Folder {
  std::map<std::string, std::string> files{
      {"tailrace.yaml", "name: test\n"},
      {"taxonomy.yaml",
       "use: ecommerce\nevents:\n  Signed Up: {properties: {plan: string}}\ntraits: {country: string}\n"},
      {"segments/buyers.yaml", "name: Buyers\nwho: performed \"Order Placed\" within 30d\n"},
      {"destinations/ads.yaml",
       "name: Ads\ntype: example_audiences\nsettings: {account: 1}\ncredentials: {token: {env: TOKEN}}\n"},
      {"syncs/buyers.yaml", "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: suppress\n"},
  };

  Folder& with(const std::string& name, const std::string& text) {
    files[name] = text;
    return *this;
  }
  Loaded load(Time now = kForeverAgo) const {
    static const ExampleDestination kExample;
    static const SingleDestination kSingle;
    const std::array<const destinations::Destination*, 2> catalogue{&kExample, &kSingle};
    std::vector<SourceFile> sources;
    for (const auto& [name, text] : files) sources.push_back({name, text});
    return load_files(sources, catalogue, now);
  }
  // One line for each problem: "syncs/buyers.yaml:2:10: error: what | mend".
  std::string problems(Time now = kForeverAgo) const {
    std::string out;
    for (const FileProblem& found : load(now).problems) {
      const Problem& problem = found.problem;
      out += fmt::format("{}:{}:{}: {}: {}{}{}\n", found.file, problem.span.line, problem.span.column,
                         problem.severity == Problem::Severity::error ? "error" : "warning", problem.message,
                         problem.mend.empty() ? "" : " | ", problem.mend);
    }
    return out;
  }
};

// --- a workspace without problems

TEST(Load, a_small_workspace_has_no_problems) { EXPECT_EQ(Folder().problems(), ""); }

TEST(Load, reads_every_key_of_tailrace_yaml) {
  const Loaded loaded =
      Folder()
          .with("tailrace.yaml",
                "name: shop\ngolden_id: email\ntime_zone: Europe/London\ndefault_region: GB\n"
                "consent: {unknown: grant}\ndedup_window: 7d\n"
                "write_keys:\n  - {name: web, env: WEB_KEY}\n  - {name: app, file: keys/app}\n")
          .load();
  const Workspace& workspace = loaded.workspace;
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(workspace.name, "shop");
  EXPECT_EQ(workspace.golden_id, IdentifierKind::email);
  EXPECT_EQ(workspace.time_zone, "Europe/London");
  EXPECT_EQ(workspace.default_region, "GB");
  EXPECT_TRUE(workspace.consent_unknown);
  EXPECT_EQ(workspace.dedup_window, kDay * 7);
  ASSERT_EQ(workspace.write_keys.size(), 2u);
  EXPECT_EQ(workspace.write_keys[0].secret.kind, SecretReference::Kind::environment);
  EXPECT_EQ(workspace.write_keys[0].secret.name, "WEB_KEY");
  EXPECT_EQ(workspace.write_keys[1].secret.kind, SecretReference::Kind::file);
  EXPECT_EQ(workspace.write_keys[1].secret.name, "keys/app");
}

TEST(Load, a_secret_comes_from_a_program_too_and_ends_on_a_day) {
  const auto load = [](const std::string& reference) {
    return Folder().with("destinations/ads.yaml",
                         "name: Ads\ntype: example_audiences\nsettings: {account: 1}\n"
                         "credentials: {token: " +
                             reference + "}\n");
  };
  const Loaded loaded = load("{command: [vault, read, \"a b\"], ends: 2027-03-01}").load();
  const SecretReference secret = loaded.workspace.destinations.front().credentials.at("token");
  EXPECT_EQ(secret.kind, SecretReference::Kind::command);
  EXPECT_EQ(secret.name, "vault");
  EXPECT_THAT(secret.arguments, ::testing::ElementsAre("read", "a b"));
  EXPECT_EQ(secret.ends_at, *parse_time("2027-03-01"));
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->destinations.front().credentials.at("token"), secret);
  EXPECT_THAT(load("{command: \"vault read token\"}").problems(),
              HasSubstr("`command` is run without a shell"));
  EXPECT_THAT(load("{command: [x], env: X}").problems(), HasSubstr("must name one source"));
  EXPECT_THAT(load("{env: X, ends: soon}").problems(), HasSubstr("`ends` cannot be \"soon\""));
}

TEST(Load, unknown_consent_is_denied_unless_granted) {
  EXPECT_FALSE(Folder().load().workspace.consent_unknown);
}

TEST(Load, reads_every_key_of_a_sync) {
  const Loaded loaded =
      Folder()
          .with("segments/more.yaml",
                "- {name: All, who: 'performed \"Signed Up\"'}\n- {name: Two, who: country = \"GB\"}\n")
          .with(
              "syncs/more.yaml",
              "name: Ask\nsegment: All\ndestination: Ads\neffect: target\nidentifiers: [phone, email]\n"
              "cadence: every 15m\nexclusions: [Buyers, Two]\nconsent: ads\nholdout: {share: 0.5%, salt: "
              "spring}\n"
              "audience_id: 77\nbatch_age_max: 1s\nsettings: {audience_name: Everybody, list_kind: plain}\n")
          .load();
  EXPECT_TRUE(loaded.ok());
  const SyncConfig* sync = loaded.workspace.find_sync("Ask");
  ASSERT_NE(sync, nullptr);
  EXPECT_EQ(sync->effect, Effect::target);
  EXPECT_THAT(sync->identifiers, ::testing::ElementsAre(IdentifierKind::phone, IdentifierKind::email));
  EXPECT_EQ(sync->cadence.kind, Cadence::Kind::every);
  EXPECT_EQ(sync->cadence.every, kMinute * 15);
  EXPECT_THAT(sync->exclusions, ::testing::ElementsAre("Buyers", "Two"));
  EXPECT_EQ(sync->consent_purpose, "ads");
  EXPECT_EQ(sync->holdout_per_million, 5'000u);
  EXPECT_EQ(sync->holdout_salt, "spring");
  EXPECT_EQ(sync->audience_id, "77");
  EXPECT_EQ(sync->batch_age_max, kSecond);
  EXPECT_EQ(sync->settings.at("audience_name"), "Everybody");
}

TEST(Load, a_sync_without_more_is_realtime_salted_by_its_name_and_matches_by_all_the_destination_can) {
  const Loaded loaded = Folder().load();
  const SyncConfig* sync = loaded.workspace.find_sync("Stop");
  ASSERT_NE(sync, nullptr);
  EXPECT_EQ(sync->cadence.kind, Cadence::Kind::realtime);
  EXPECT_EQ(sync->holdout_salt, "Stop");
  EXPECT_THAT(sync->identifiers, ::testing::ElementsAre(IdentifierKind::email, IdentifierKind::phone));
}

TEST(Load, expressions_are_stored_in_canonical_form) {
  const Loaded loaded = Folder()
                            .with("segments/buyers.yaml",
                                  "name: Buyers\nwho: >\n  performed   \"Completed order\"\n  within 720h\n")
                            .load();
  EXPECT_TRUE(loaded.ok());
  const Named* segment = loaded.workspace.find_segment("Buyers");
  ASSERT_NE(segment, nullptr);
  EXPECT_EQ(segment->text, "performed \"Order Placed\" within 30d");
  EXPECT_NE(segment->expr, nullptr);
}

// --- problems, all at once and each in its place

TEST(Check, reports_the_problems_of_all_files_at_once) {
  const std::string problems =
      Folder()
          .with("tailrace.yaml", "name: test\ngolden: email\n")
          .with("segments/buyers.yaml", "name: Buyers\nwho: performed \"Oder Placed\"\n")
          .with("syncs/buyers.yaml", "name: Stop\nsegment: Buyer\ndestination: Adds\neffect: suppress\n")
          .problems();
  EXPECT_THAT(problems, HasSubstr("segments/buyers.yaml:2:16: error: unknown event"));
  EXPECT_THAT(
      problems,
      HasSubstr("syncs/buyers.yaml:2:10: error: there is no segment \"Buyer\" | did you mean \"Buyers\"?\n"));
  EXPECT_THAT(
      problems,
      HasSubstr("syncs/buyers.yaml:3:14: error: there is no destination \"Adds\" | did you mean \"Ads\"?\n"));
  EXPECT_THAT(
      problems,
      HasSubstr(
          "tailrace.yaml:2:1: error: the workspace has no key \"golden\" | did you mean \"golden_id\"?\n"));
}

TEST(Check, a_yaml_syntax_error_names_its_line) {
  EXPECT_THAT(Folder().with("tailrace.yaml", "name: test\ntime_zone: [UTC\n").problems(),
              HasSubstr("tailrace.yaml:3:1: error: this is not YAML"));
}

TEST(Check, a_missing_tailrace_yaml_is_said_once) {
  Folder folder;
  folder.files.erase("tailrace.yaml");
  EXPECT_EQ(folder.problems(),
            "tailrace.yaml:1:1: error: the file is missing | `tailrace init DIR` writes a workspace to start "
            "from\n");
}

TEST(Check, names_that_stand_twice) {
  EXPECT_THAT(
      Folder().with("segments/again.yaml", "name: Buyers\nwho: country = \"GB\"\n").problems(),
      HasSubstr("segments/buyers.yaml:1:7: error: there are two segments named \"Buyers\" | rename one of "
                "them; the other is in segments/again.yaml, line 1\n"));
  EXPECT_THAT(Folder().with("tailrace.yaml", "name: a\nname: b\n").problems(),
              HasSubstr("tailrace.yaml:2:1: error: the key \"name\" stands here a second time"));
  EXPECT_THAT(Folder().with("taxonomy.yaml", "events:\n  A:\n  B: {aliases: [a]}\n").problems(),
              HasSubstr("taxonomy.yaml:3:3: error: the event name \"a\" is taken twice"));
  EXPECT_THAT(Folder()
                  .with("attributes.yaml", "spend: count(\"Signed Up\")\n")
                  .with("definitions.yaml", "spend: performed \"Signed Up\"\n")
                  .problems(),
              HasSubstr("attributes.yaml:1:1: error: \"spend\" is also a definition"));
}

TEST(Check, values_of_the_wrong_kind) {
  EXPECT_THAT(Folder().with("tailrace.yaml", "name: [a, b]\n").problems(),
              HasSubstr("tailrace.yaml:1:7: error: `name` must be text, and is a list"));
  EXPECT_THAT(Folder().with("tailrace.yaml", "name: x\nconsent: yes\n").problems(),
              HasSubstr("tailrace.yaml:2:10: error: `consent` must be a mapping"));
  EXPECT_THAT(Folder().with("tailrace.yaml", "- name: x\n").problems(), HasSubstr("must be a mapping"));
  EXPECT_THAT(Folder().with("taxonomy.yaml", "events: {A: {properties: {p: strin}}}\n").problems(),
              HasSubstr("\"strin\" is no type | did you mean \"string\"?"));
  EXPECT_THAT(Folder().with("segments/buyers.yaml", "just words\n").problems(),
              HasSubstr("a segment must be a mapping"));
}

TEST(Check, time_zone_region_and_durations) {
  const std::string problems =
      Folder()
          .with("tailrace.yaml", "name: x\ntime_zone: Europe/Londn\ndefault_region: UK\ndedup_window: soon\n")
          .problems();
  EXPECT_THAT(problems, HasSubstr("tailrace.yaml:2:12: error: \"Europe/Londn\" is no time zone"));
  EXPECT_THAT(problems, HasSubstr("tailrace.yaml:3:17: error: \"UK\" is no region | did you mean \"GB\"?"));
  EXPECT_THAT(problems, HasSubstr("tailrace.yaml:4:15: error: `dedup_window` cannot be \"soon\""));
}

TEST(Check, a_reference_to_an_expression_that_cannot_be_read_is_not_a_second_problem) {
  EXPECT_EQ(Folder()
                .with("attributes.yaml", "spend: sum(\n")
                .with("segments/buyers.yaml", "name: Buyers\nwho: spend > 3\n")
                .problems()
                .find("segments/"),
            std::string::npos);
}

TEST(Check, a_segment_that_refers_to_itself) {
  EXPECT_THAT(Folder().with("segments/buyers.yaml", "name: Buyers\nwho: in segment \"Buyers\"\n").problems(),
              HasSubstr("segments/buyers.yaml:2:6: error:"));
}

// --- the place of a problem inside an expression

std::string place_in_segment(const std::string& yaml) {
  const std::string problems = Folder().with("segments/buyers.yaml", "name: Buyers\n" + yaml).problems();
  return problems.substr(0, problems.find(": error"));
}

TEST(Place, in_a_plain_scalar) {
  EXPECT_EQ(place_in_segment("who: performed \"Nope\" within 30d\n"), "segments/buyers.yaml:2:16");
}
TEST(Place, in_a_plain_scalar_of_several_lines) {
  EXPECT_EQ(place_in_segment("who: performed \"Order Placed\"\n  and performed\n    \"Nope\"\n"),
            "segments/buyers.yaml:4:5");
}
TEST(Place, in_quotes_with_escapes) {
  EXPECT_EQ(place_in_segment("who: 'country = \"it''s\" and performed \"Nope\"'\n"),
            "segments/buyers.yaml:2:39");
  EXPECT_EQ(place_in_segment("who: \"performed \\\"Nope\\\"\"\n"), "segments/buyers.yaml:2:18");
}
TEST(Place, in_a_block_of_lines) {
  EXPECT_EQ(place_in_segment("who: |\n  performed \"Order Placed\"\n  and performed \"Nope\"\n"),
            "segments/buyers.yaml:4:17");
}
TEST(Place, in_a_folded_block_after_an_empty_line) {
  EXPECT_EQ(place_in_segment("who: >\n\n  performed \"Order Placed\"\n  and performed \"Nope\"\n"),
            "segments/buyers.yaml:5:17");
}
TEST(Place, counts_columns_in_code_points) {
  EXPECT_EQ(place_in_segment("who: country = \"é€𝄞\" and performed \"Nope\"\n"), "segments/buyers.yaml:2:36");
}
TEST(Place, where_escapes_hide_it_is_the_beginning_of_the_expression) {
  EXPECT_EQ(place_in_segment("who: \"country = \\\"\\u00e9\\\" and performed \\\"Nope\\\"\"\n"),
            "segments/buyers.yaml:2:6");
}
TEST(Place, survives_windows_line_ends) {
  EXPECT_EQ(place_in_segment("who: |\r\n  performed \"Order Placed\"\r\n  and performed \"Nope\"\r\n"),
            "segments/buyers.yaml:4:17");
}

// --- destinations

std::string destination_problems(const std::string& yaml) {
  return Folder().with("destinations/ads.yaml", "name: Ads\n" + yaml).problems();
}
constexpr const char* kGood = "type: example_audiences\nsettings: {account: 1}\n";

TEST(Destination, of_an_unknown_type_lists_the_known_ones) {
  EXPECT_THAT(
      destination_problems("type: example_audience\n"),
      HasSubstr(
          "destinations/ads.yaml:2:7: error: there is no destination type \"example_audience\" | did you "
          "mean \"example_audiences\"?"));
  EXPECT_THAT(destination_problems("type: something_else_entirely\n"),
              HasSubstr("known: \"example_audiences\""));
}

TEST(Destination, lacks_what_it_requires) {
  const std::string problems = destination_problems("type: example_audiences\n");
  EXPECT_THAT(problems, HasSubstr("needs the setting \"account\": the account's number"));
  EXPECT_THAT(problems, HasSubstr("needs the credential \"token\": the access token"));
}

TEST(Destination, has_no_such_setting) {
  EXPECT_THAT(
      destination_problems(
          "type: example_audiences\nsettings: {account: 1, bas_url: x}\ncredentials: {token: {env: T}}\n"),
      HasSubstr("destinations/ads.yaml:3:24: error: Example Audiences has no setting \"bas_url\" | did you "
                "mean \"base_url\"?"));
}

TEST(Destination, a_setting_of_the_sync_does_not_belong_here) {
  EXPECT_THAT(
      destination_problems(
          "type: example_audiences\nsettings: {account: 1, list_kind: x}\ncredentials: {token: {env: T}}\n"),
      HasSubstr("\"list_kind\" is a setting of the sync"));
}

TEST(Destination, finds_fault_itself_at_the_setting_it_names) {
  EXPECT_THAT(
      destination_problems("type: example_audiences\nsettings:\n  account: 1\n  base_url: ftp://example.com\n"
                           "credentials: {token: {env: T}}\n"),
      HasSubstr("destinations/ads.yaml:5:3: error: base_url must begin with https://\n"));
}

TEST(Secret, in_the_text_is_refused_and_not_repeated) {
  for (const std::string& yaml :
       {std::string(kGood) + "credentials: {token: hunter2-hunter2}\n",
        std::string("type: example_audiences\nsettings: {account: 1, token: hunter2-hunter2}\n") +
            "credentials: {token: {env: T}}\n"}) {
    const std::string problems = destination_problems(yaml);
    EXPECT_THAT(problems, HasSubstr("in the text"));
    EXPECT_THAT(problems, ::testing::Not(HasSubstr("hunter2")));
    EXPECT_FALSE(Folder().with("destinations/ads.yaml", "name: Ads\n" + yaml).load().ok());
  }
}

TEST(Secret, must_name_exactly_one_source) {
  EXPECT_THAT(destination_problems(std::string(kGood) + "credentials: {token: {env: A, file: b}}\n"),
              HasSubstr("must name one source"));
  EXPECT_THAT(destination_problems(std::string(kGood) + "credentials: {token: {}}\n"),
              HasSubstr("must name one source"));
  EXPECT_THAT(destination_problems(std::string(kGood) + "credentials: {token: {env: 'sk-live/abc=='}}\n"),
              HasSubstr("is no name of an environment variable"));
}

TEST(Secret, of_a_write_key_is_only_named) {
  const std::string problems =
      Folder().with("tailrace.yaml", "name: x\nwrite_keys:\n  - {name: web, key: hunter2}\n").problems();
  EXPECT_THAT(problems, HasSubstr("a write key has no key \"key\""));
  EXPECT_THAT(problems, HasSubstr("a write key must name one source of its secret"));
  EXPECT_THAT(problems, ::testing::Not(HasSubstr("hunter2")));
}

// --- what serves and what is reached

TEST(Load, reads_limits_of_write_keys_and_the_files_of_tls_and_writes_them_again) {
  const Loaded loaded = Folder()
                            .with("tailrace.yaml",
                                  "name: shop\ntls: {certificate: tls/chain.pem, key: /etc/key.pem}\n"
                                  "write_keys:\n  - {name: web, env: WEB_KEY, requests_per_second: 50}\n  - "
                                  "{name: app, env: A}\n")
                            .with("destinations/ads.yaml",
                                  "name: Ads\ntype: example_audiences\nsettings: {account: 1}\n"
                                  "credentials: {token: {env: T}}\n"
                                  "allow_private_addresses: true\nca_file: ca.pem\n")
                            .load();
  ASSERT_TRUE(loaded.ok());
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  for (const Workspace* workspace : {&loaded.workspace, &*again}) {
    EXPECT_EQ(workspace->tls.certificate, "tls/chain.pem");
    EXPECT_EQ(workspace->tls.key, "/etc/key.pem");
    EXPECT_EQ(workspace->write_keys[0].requests_per_second, 50u);
    EXPECT_EQ(workspace->write_keys[1].requests_per_second, 0u);
    EXPECT_TRUE(workspace->find_destination("Ads")->allow_private_addresses);
    EXPECT_EQ(workspace->find_destination("Ads")->ca_file, "ca.pem");
  }
}

TEST(Load, says_what_is_wrong_with_limits_and_tls) {
  const std::string problems = Folder()
                                   .with("tailrace.yaml",
                                         "name: x\ntls: {certificate: c.pem}\nwrite_keys:\n"
                                         "  - {name: a, env: A, requests_per_second: 0}\n"
                                         "  - {name: b, env: B, requests_per_second: many}\n")
                                   .problems();
  EXPECT_THAT(problems, HasSubstr("`tls` needs `key`"));
  EXPECT_THAT(problems, HasSubstr("\"0\" is no number of requests"));
  EXPECT_THAT(problems, HasSubstr("\"many\" is no number of requests"));
}

// --- sources

std::string source_problems(const std::string& source) {
  return Folder().with("tailrace.yaml", "name: x\nsources:\n  - " + source + "\n").problems();
}

TEST(Source, is_read_and_written_again) {
  const Loaded loaded =
      Folder()
          .with("tailrace.yaml",
                "name: shop\nsources:\n"
                "  - {name: shop-1, type: shopify, settings: {order_placed: orders/paid}, "
                "requests_per_second: 5,\n"
                "     credentials: {webhook_secret: {env: SECRET}, previous_webhook_secret: {file: old}}}\n")
          .load();
  ASSERT_TRUE(loaded.ok());
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  for (const Workspace* workspace : {&loaded.workspace, &*again}) {
    ASSERT_EQ(workspace->sources.size(), 1u);
    const SourceEntry& source = workspace->sources[0];
    EXPECT_EQ(source.name, "shop-1");
    EXPECT_EQ(source.type, "shopify");
    EXPECT_EQ(source.settings.at("order_placed"), "orders/paid");
    EXPECT_EQ(source.credentials.at("webhook_secret").name, "SECRET");
    EXPECT_EQ(source.credentials.at("previous_webhook_secret").kind, SecretReference::Kind::file);
    EXPECT_EQ(source.requests_per_second, 5u);
  }
  EXPECT_EQ(
      to_json(to_value(Folder().with("tailrace.yaml", "name: x\n").load().workspace)).find("\"sources\""),
      std::string::npos);
}

TEST(Source, is_checked_against_what_it_says_of_itself) {
  EXPECT_THAT(source_problems("{name: a, type: shopfy, credentials: {}}"),
              HasSubstr("did you mean \"shopify\"?"));
  EXPECT_THAT(
      source_problems("{name: a, type: shopify}"),
      HasSubstr("tailrace.yaml:3:5: error: Shopify webhooks needs the credential \"webhook_secret\""));
  EXPECT_THAT(source_problems("{name: a, type: customerio_track, credentials: {api_key: {env: K}}}"),
              HasSubstr("needs the setting \"site_id\""));
  const std::string good = "{name: a, type: shopify, credentials: {webhook_secret: {env: K}}";
  EXPECT_EQ(source_problems(good + "}"), "");
  EXPECT_THAT(source_problems(good + ", settings: {user: none}}"), HasSubstr("has no setting \"user\""));
  EXPECT_THAT(source_problems(good + ", settings: {user_id: email}}"),
              HasSubstr("`user_id` cannot be \"email\""));
  EXPECT_THAT(source_problems(good + ", port: 1}"), HasSubstr("a source has no key \"port\""));
  EXPECT_THAT(
      source_problems("{name: a, type: shopify, credentials: {webhook_secret: {env: K}, token: {env: T}}}"),
      HasSubstr("has no credential \"token\""));
  EXPECT_THAT(source_problems("{name: a, type: customerio_webhooks, settings: {tolerance_seconds: soon}, "
                              "credentials: {signing_key: {env: K}}}"),
              HasSubstr("`tolerance_seconds` cannot be \"soon\""));
  EXPECT_THAT(source_problems("{name: a b, type: shopify, credentials: {webhook_secret: {env: K}}}"),
              HasSubstr("\"a b\" cannot name a source"));
}

TEST(Source, has_its_secret_elsewhere) {
  const std::string in_settings =
      source_problems("{name: a, type: shopify, settings: {webhook_secret: hunter2}}");
  EXPECT_THAT(in_settings, HasSubstr("is a secret, and stands in the text"));
  const std::string in_text =
      source_problems("{name: a, type: shopify, credentials: {webhook_secret: hunter2}}");
  EXPECT_THAT(in_text, HasSubstr("stands in the text; a secret is only named"));
}

TEST(Source, has_a_name_of_its_own) {
  const std::string problems =
      Folder()
          .with("tailrace.yaml",
                "name: x\nwrite_keys:\n  - {name: web, env: A}\nsources:\n"
                "  - {name: web, type: shopify, credentials: {webhook_secret: {env: K}}}\n"
                "  - {name: shop, type: shopify, credentials: {webhook_secret: {env: K}}}\n"
                "  - {name: shop, type: shopify, credentials: {webhook_secret: {env: K}}}\n")
          .problems();
  EXPECT_THAT(problems, HasSubstr("named \"web\""));
  EXPECT_THAT(problems, HasSubstr("there are two sources named \"shop\""));
}

// --- sources that are asked

const std::string kQuery =
    "name: crm\ntype: postgres\ncredentials: {connection: {env: DB}}\nquery: SELECT * FROM t\n"
    "rows: people\nkey: id\nperson: {user_id: id, email: mail}\n";

// kQuery with one line in place of another, or more of them.
std::string query_problems(const std::string& line, const std::string& instead) {
  std::string text = kQuery;
  const std::size_t at = text.find(line);
  text.replace(at, line.size(), instead);
  return Folder().with("sources/crm.yaml", text).problems();
}

TEST(QuerySource, is_read_and_written_again) {
  const Loaded loaded =
      Folder()
          .with(
              "sources/crm.yaml",
              "- {name: crm, type: postgres, credentials: {connection: {env: DB}}, query: SELECT 1, rows: "
              "people, "
              "key: id, person: {user_id: id}, traits: {country: c}, gone: keep, cadence: '0 3 * * *', "
              "rows_max: 5, "
              "guards: {max_gone: [5%, 100], min_size: 10}, time_zone: Europe/London, lifecycle: retired}\n"
              "- {name: till, type: clickhouse, settings: {url: 'https://ch.example.com'}, ca_file: ca.pem, "
              "allow_private_addresses: true, query: SELECT 2, rows: events, key: [a, b], "
              "person: {anonymous_id: x, email: e, phone: p}, event: {column: kind}, time: at}\n"
              "- {name: list, type: duckdb, query: FROM x, rows: members, key: mail, person: {email: mail}, "
              "attribute: country, guards: none}\n")
          .load();
  for (const FileProblem& problem : loaded.problems) ADD_FAILURE() << problem.problem.message;
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  for (const Workspace* workspace : {&loaded.workspace, &*again}) {
    ASSERT_EQ(workspace->query_sources.size(), 3u);
    const QuerySource& crm = *workspace->find_query_source("crm");
    EXPECT_EQ(crm.credentials.at("connection").name, "DB");
    EXPECT_EQ(crm.spec, (sources::QuerySpec{.query = "SELECT 1",
                                            .key = {"id"},
                                            .user_id = "id",
                                            .fields = {{"country", "c"}},
                                            .every_column = false,
                                            .gone = sources::Gone::keep,
                                            .time_zone = "Europe/London"}));
    EXPECT_EQ(crm.cadence.cron, "0 3 * * *");
    EXPECT_EQ(crm.rows_max, 5u);
    EXPECT_EQ(crm.guards, (Guards{.change_share_per_million = 50'000, .change_count = 100, .size_min = 10}));
    EXPECT_TRUE(crm.is_retired());
    const QuerySource& till = *workspace->find_query_source("till");
    EXPECT_EQ(till.spec, (sources::QuerySpec{.query = "SELECT 2",
                                             .rows = sources::RowsAs::events,
                                             .key = {"a", "b"},
                                             .anonymous_id = "x",
                                             .email = "e",
                                             .phone = "p",
                                             .event_column = "kind",
                                             .time_column = "at"}));
    EXPECT_TRUE(till.allow_private_addresses);
    EXPECT_EQ(till.ca_file, "ca.pem");
    EXPECT_EQ(till.guards, Guards());
    EXPECT_EQ(till.cadence.every, kHour);
    const QuerySource& list = *workspace->find_query_source("list");
    EXPECT_EQ(list.spec.attribute, "country");
    EXPECT_EQ(list.guards, Guards());
  }
  EXPECT_EQ(to_json(to_value(Folder().load().workspace)).find("query_sources"), std::string::npos);
}

TEST(QuerySource, of_people_does_not_take_everything_away_unless_told) {
  const Loaded loaded = Folder().with("sources/crm.yaml", kQuery).load();
  const Guards& guards = loaded.workspace.query_sources.at(0).guards;
  EXPECT_EQ(guards.change_share_per_million, 200'000u);
  EXPECT_EQ(guards.size_min, 1u);
}

TEST(QuerySource, says_what_is_wrong_in_its_place) {
  EXPECT_THAT(query_problems("type: postgres", "type: postgre"),
              HasSubstr("2:7: error: there is no database type "
                        "\"postgre\" | did you mean \"postgres\"?"));
  EXPECT_THAT(query_problems("type: postgres", "type: shopify"),
              HasSubstr("sources that send stand in tailrace.yaml"));
  EXPECT_THAT(query_problems("credentials: {connection: {env: DB}}\n", ""),
              HasSubstr("PostgreSQL needs the credential \"connection\""));
  EXPECT_THAT(query_problems("credentials: {connection: {env: DB}}",
                             "credentials: {connection: 'host=x password=y'}"),
              HasSubstr("a secret is only named"));
  EXPECT_THAT(query_problems("query: SELECT * FROM t\n", ""), HasSubstr("query"));
  EXPECT_THAT(query_problems("rows: people", "rows: persons"), HasSubstr("people"));
  EXPECT_THAT(query_problems("key: id", "key: account"),
              HasSubstr("6:6: error: the key of people is the column that names"));
  EXPECT_THAT(query_problems("person: {user_id: id, email: mail}", "person: {}"),
              HasSubstr("`person` names no column"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\ncadence: realtime"),
              HasSubstr("a minute apart at least"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\nguards: {max_gone: many}"),
              HasSubstr("is no `max_gone`"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\nrows_max: 0"), HasSubstr("is no `rows_max`"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\ntime_zone: Moon"), HasSubstr("is no time zone"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\nevent: Order Placed"),
              HasSubstr("has no key \"event\""));
  EXPECT_THAT(
      query_problems("rows: people", "rows: events\nevent: Oder Placed"),
      HasSubstr(
          "6:8: error: there is no event \"Oder Placed\": all of them would be quarantined | did you mean "
          "\"Order Placed\"?"));
  EXPECT_THAT(query_problems("rows: people", "rows: people\ntraits: {contry: c}"),
              HasSubstr("warning: \"contry\" is no trait of the taxonomy"));
  EXPECT_THAT(query_problems("name: crm", "name: ../crm"), HasSubstr("cannot name a source"));
  EXPECT_THAT(Folder().with("sources/a.yaml", kQuery).with("sources/b.yaml", kQuery).problems(),
              HasSubstr("there are two sources named \"crm\""));
}

TEST(Taxonomy, messages_are_built_in_beside_shops) {
  const Loaded loaded =
      Folder()
          .with("tailrace.yaml", "name: x\n")
          .with("taxonomy.yaml", "use: [ecommerce, messages]\nevents:\n  Email Opened: {owner: growth}\n")
          .load();
  ASSERT_TRUE(loaded.ok());
  const auto names = names_of(loaded.workspace);
  for (const char* name :
       {"Order Placed", "Email Opened", "Email Opened by Machine", "Email Link Clicked", "SMS Bounced",
        "In-App Message Clicked", "Unsubscribed", "Subscription Preferences Changed", "Device Deleted"})
    EXPECT_TRUE(names.canonical_event(name)) << name;
  EXPECT_EQ(names.canonical_event("Email Clicked"), "Email Link Clicked");
  EXPECT_EQ(names.property_type("Email Opened", "campaign_id"), language::Type::string);
  EXPECT_THAT(
      Folder().with("tailrace.yaml", "name: x\n").with("taxonomy.yaml", "use: [mesages]\n").problems(),
      HasSubstr("did you mean \"messages\"?"));
}

TEST(Destination, on_this_machine_must_say_that_this_is_meant) {
  const std::string ads =
      "type: example_audiences\nsettings: {account: 1, base_url: \"https://127.0.0.1:9/x\"}\n"
      "credentials: {token: {env: T}}\n";
  EXPECT_THAT(destination_problems(ads), HasSubstr("`base_url` leads to this machine"));
  EXPECT_THAT(destination_problems(ads), HasSubstr("add `allow_private_addresses: true`"));
  EXPECT_EQ(destination_problems(ads + "allow_private_addresses: true\n"), "");
}

// --- syncs

std::string sync_problems(const std::string& yaml) {
  return Folder()
      .with("syncs/buyers.yaml", "name: Stop\nsegment: Buyers\ndestination: Ads\n" + yaml)
      .problems();
}

TEST(Property, may_be_a_number_that_comes_as_a_string) {
  const auto of = [](const std::string& rule) {
    return Folder().with("taxonomy.yaml", "events: {Order Placed: {properties: {revenue: " + rule + "}}}\n");
  };
  const Loaded loaded = of("{type: number, from: string}").load();
  const auto is_read_from_string = [](const Workspace& workspace) {
    return workspace.taxonomy.events.front().properties.front().from_string;
  };
  EXPECT_TRUE(is_read_from_string(loaded.workspace));
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again);
  EXPECT_TRUE(is_read_from_string(*again));
  EXPECT_EQ(of("{type: number, from: string}").problems(), "");
  for (const std::string wrong :
       {"{type: time, from: string}", "{type: number, from: boolean}", "{from: string}"})
    EXPECT_THAT(of(wrong).problems(), HasSubstr("error: only a number can be read from another type"))
        << wrong;
}

TEST(Sync, has_the_guards_it_names_and_no_others) {
  const auto guards = [](const std::string& text) {
    const Loaded loaded =
        Folder().with("syncs/buyers.yaml", "name: Stop\nsegment: Buyers\ndestination: Ads\n" + text).load();
    EXPECT_TRUE(loaded.ok()) << text;
    const auto again = from_value(to_value(loaded.workspace));
    EXPECT_EQ(again->syncs.front().guards, loaded.workspace.syncs.front().guards) << text;
    return loaded.workspace.syncs.front().guards;
  };
  EXPECT_EQ(guards("effect: suppress\n"), Guards::of(Effect::suppress));
  EXPECT_EQ(guards("effect: suppress\nguards: none\n"), Guards{});
  EXPECT_EQ(guards("effect: target\n"), Guards{});
  EXPECT_EQ(
      guards("effect: target\nguards: {max_change: [20%, 5000], min_size: 1000, safe_side: removals}\n"),
      (Guards{.change_share_per_million = 200'000,
              .change_count = 5'000,
              .size_min = 1'000,
              .safe_side = Guards::SafeSide::removals}));
  EXPECT_EQ(guards("effect: suppress\nguards: {never_empty: true}\n"),
            (Guards{.change_share_per_million = {},
                    .change_count = {},
                    .size_min = 1,
                    .safe_side = Guards::SafeSide::additions}));
}

TEST(Sync, has_guards_that_can_be_read) {
  const auto problems = [](const std::string& guards) {
    return sync_problems("effect: suppress\nguards: " + guards + "\n");
  };
  EXPECT_THAT(problems("{max_change: many}"), HasSubstr("write a share of the members (20%)"));
  EXPECT_THAT(problems("{max_change: 0}"), HasSubstr("\"0\" is no `max_change`"));
  EXPECT_THAT(problems("{max_change: [1%, 2%]}"), HasSubstr("given twice"));
  EXPECT_THAT(problems("{min_size: -5}"), HasSubstr("a whole number of people"));
  EXPECT_THAT(problems("{min_size: 99999999999}"), HasSubstr("a whole number of people"));
  EXPECT_THAT(problems("{least: 5}"), HasSubstr("least"));
  EXPECT_THAT(problems("some"), HasSubstr("`guards`"));
}

TEST(Sync, names_as_its_twin_a_sync_that_suppresses) {
  EXPECT_THAT(sync_problems("effect: suppress\ntwin: Stop\n"),
              HasSubstr("a sync that suppresses names no twin"));
  EXPECT_THAT(sync_problems("effect: target\nconsent: ads\ntwin: Stopp\n"),
              HasSubstr("there is no sync \"Stopp\""));
  EXPECT_THAT(sync_problems("effect: target\nconsent: ads\ntwin: Stop\n"),
              HasSubstr("the sync \"Stop\" does not suppress"));
  const auto twins = [](const std::string& name) {
    return "name: " + name +
           "\nsegment: Buyers\ndestination: Ads\neffect: target\nconsent: ads\ntwin: Stop\n";
  };
  const Loaded loaded = Folder().with("syncs/a.yaml", twins("A")).with("syncs/b.yaml", twins("B")).load();
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(from_value(to_value(loaded.workspace))->find_sync("A")->twin, "Stop");
}

TEST(Sync, to_a_platform_of_one_kind_a_request_may_name_several) {
  EXPECT_EQ(
      Folder()
          .with(
              "destinations/single.yaml",
              "name: Single\ntype: single_ads\nsettings: {account: 7}\ncredentials: {token: {env: TOKEN}}\n")
          .with("syncs/buyers.yaml",
                "name: Stop\nsegment: Buyers\ndestination: Single\neffect: suppress\n"
                "identifiers: [email, phone]\n")
          .problems(),
      "");
}

TEST(Sync, that_suppresses_has_no_holdout) {
  EXPECT_THAT(sync_problems("effect: suppress\nholdout: 10%\n"),
              HasSubstr("syncs/buyers.yaml:5:10: error: a sync that suppresses has no holdout"));
  EXPECT_EQ(sync_problems("effect: suppress\nholdout: 0%\n"), "");
}

TEST(Sync, that_targets_without_consent_is_warned_of) {
  EXPECT_THAT(sync_problems("effect: target\n"),
              HasSubstr(": warning: the sync \"Stop\" targets people without asking"));
  EXPECT_EQ(sync_problems("effect: target\nconsent: ads\n"), "");
}

TEST(Sync, that_targets_by_what_did_not_follow_is_warned_of_those_who_follow_later) {
  const auto problems = [](const std::string& who, const std::string& effect) {
    return Folder()
        .with("definitions.yaml",
              "hesitant: performed \"Cart Started\" within 6h not followed by \"Order Placed\" within 2h\n")
        .with("segments/hesitant.yaml", "name: Hesitant\nwho: " + who + "\n")
        .with("syncs/hesitant.yaml", "name: Remind\nsegment: Hesitant\ndestination: Ads\n" + effect)
        .problems();
  };
  EXPECT_THAT(
      problems("hesitant", "effect: target\nconsent: ads\n"),
      HasSubstr(
          "syncs/hesitant.yaml:2:10: warning: the sync \"Remind\" targets people by `not followed by`"));
  EXPECT_EQ(problems("not hesitant", "effect: target\nconsent: ads\n"), "");
  EXPECT_EQ(problems("hesitant", "effect: suppress\nminimum_stay: 1d\n"), "");
}

TEST(Sync, must_say_its_effect) {
  EXPECT_THAT(sync_problems(""), HasSubstr("a sync needs `effect`"));
  EXPECT_THAT(sync_problems("effect: supress\n"),
              HasSubstr("`effect` cannot be \"supress\" | did you mean \"suppress\"?"));
}

TEST(Sync, by_identifiers_the_destination_cannot_match) {
  EXPECT_THAT(sync_problems("effect: suppress\nidentifiers: [email, external_id]\n"),
              HasSubstr("syncs/buyers.yaml:5:22: error: Example Audiences cannot match people by external_id "
                        "| known: \"email\", \"phone\""));
  EXPECT_THAT(sync_problems("effect: suppress\nidentifiers: [mail]\n"),
              HasSubstr("\"mail\" is no identifier | did you mean \"email\"?"));
  EXPECT_THAT(sync_problems("effect: suppress\nidentifiers: [email, email]\n"),
              HasSubstr("stands here twice"));
}

TEST(Sync, excluding_itself_or_somebody_unknown) {
  EXPECT_THAT(sync_problems("effect: suppress\nexclusions: [Buyers]\n"),
              HasSubstr("excludes its own segment"));
  EXPECT_THAT(sync_problems("effect: suppress\nexclusions: [Bayers]\n"),
              HasSubstr("there is no segment \"Bayers\""));
}

TEST(Sync, two_in_one_audience) {
  EXPECT_THAT(Folder()
                  .with("syncs/buyers.yaml",
                        "- {name: A, segment: Buyers, destination: Ads, effect: suppress, audience_id: 7}\n"
                        "- {name: B, segment: Buyers, destination: Ads, effect: suppress, audience_id: 7}\n")
                  .problems(),
              HasSubstr("syncs/buyers.yaml:2:79: error: the sync \"A\" already fills this audience"));
}

TEST(Sync, stays_expiry_and_objective_are_read) {
  const Loaded loaded =
      Folder()
          .with("tailrace.yaml", "name: test\ntime_zone: Europe/Berlin\n")
          .with("syncs/buyers.yaml",
                "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: suppress\nminimum_stay: 24h\n"
                "expiry: {stay: 90d, review: 2027-03-01}\nobjective: 5m\n")
          .load();
  EXPECT_TRUE(loaded.ok());
  const SyncConfig& sync = loaded.workspace.syncs.front();
  EXPECT_EQ(sync.minimum_stay, kHour * 24);
  EXPECT_EQ(sync.longest_stay, kDay * 90);
  EXPECT_EQ(sync.objective, kMinute * 5);
  // Midnight in Berlin.
  EXPECT_EQ(review_at(sync, *Zone::named("Europe/Berlin")), *parse_time("2027-02-28T23:00:00Z"));
  // And stay in the normal form; without them it has no word of them.
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(to_value(*again)), to_json(to_value(loaded.workspace)));
  EXPECT_EQ(again->syncs.front().review_date, sync.review_date);
  EXPECT_EQ(to_json(to_value(Folder().load().workspace)).find("_stay"), std::string::npos);
}

TEST(Sync, an_audience_is_an_expression_of_the_language) {
  SyncConfig sync;
  sync.segment = "Buyers";
  const auto text = [&] { return language::print(*audience_expression(sync, Zone::utc())); };
  EXPECT_EQ(text(), R"(in segment "Buyers")");
  sync.effect = Effect::suppress;
  sync.minimum_stay = kHour * 24;
  sync.longest_stay = kDay * 90;
  sync.review_date = *parse_time("2027-03-01");
  sync.exclusions = {"Staff"};
  EXPECT_EQ(text(),
            R"((in segment "Buyers" or entered segment "Buyers" within 24h) and not in segment "Staff")");
  EXPECT_EQ(language::print(*expired_expression(sync, Zone::utc())),
            text() + R"( and (not entered segment "Buyers" within 90d or ("2027-03-01") ever))");
  sync.effect = Effect::target;
  sync.minimum_stay.reset();
  EXPECT_EQ(text(),
            R"(in segment "Buyers" and not in segment "Staff" and entered segment "Buyers" within 90d)"
            R"( and not ("2027-03-01") ever)");
}

TEST(Sync, in_mode_test_only_people_of_its_test_segment_are_in_the_audience) {
  EXPECT_THAT(sync_problems("effect: suppress\nmode: test\n"),
              HasSubstr("sends nobody but the people of `test_segment`, and there is none"));
  EXPECT_THAT(sync_problems("effect: suppress\ntest_segment: Staf\n"),
              HasSubstr("there is no segment \"Staf\""));
  const Loaded loaded =
      Folder()
          .with("syncs/buyers.yaml",
                "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: suppress\nmode: test\n"
                "test_segment: Buyers\n")
          .load();
  ASSERT_TRUE(loaded.ok()) << loaded.problems.front().problem.message;
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  SyncConfig sync = again->syncs.front();
  sync.test_segment = "Staff";
  EXPECT_EQ(language::print(*audience_expression(sync, Zone::utc())),
            R"(in segment "Buyers" and in segment "Staff")");
  sync.mode = Mode::live;
  EXPECT_EQ(language::print(*audience_expression(sync, Zone::utc())), R"(in segment "Buyers")");
}

TEST(Sync, of_a_retired_one_nobody_is_in_the_audience_and_no_guard_holds_that) {
  const Loaded loaded =
      Folder()
          .with("syncs/buyers.yaml",
                "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: suppress\nlifecycle: retired\n")
          .load();
  ASSERT_TRUE(loaded.ok()) << loaded.problems.front().problem.message;
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again) << again.error().message;
  SyncConfig sync = again->syncs.front();
  EXPECT_TRUE(sync.is_retired());
  EXPECT_EQ(sync.guards_in_force(), Guards{});
  sync.minimum_stay = kHour * 24;
  sync.longest_stay = kDay * 90;
  EXPECT_EQ(language::print(*audience_expression(sync, Zone::utc())),
            R"(in segment "Buyers" and not in segment "Buyers")");
  EXPECT_EQ(expired_expression(sync, Zone::utc()), nullptr);
  sync.lifecycle = Lifecycle::active;
  EXPECT_EQ(sync.guards_in_force(), Guards::of(Effect::suppress));
  EXPECT_THAT(sync_problems("effect: suppress\nlifecycle: draft\n"),
              HasSubstr("`lifecycle` cannot be \"draft\""));
}

TEST(Sync, stays_that_make_no_sense) {
  EXPECT_THAT(sync_problems("effect: target\nconsent: ads\nminimum_stay: 24h\n"),
              HasSubstr("syncs/buyers.yaml:6:15: error: `minimum_stay` is for a sync that suppresses"));
  EXPECT_THAT(
      sync_problems("effect: suppress\nminimum_stay: 24h\nexpiry: {stay: 12h}\n"),
      HasSubstr("syncs/buyers.yaml:6:16: error: `expiry.stay` 12h is shorter than `minimum_stay` 1d | "
                "make `stay` the longer of the two"));
  EXPECT_EQ(sync_problems("effect: suppress\nminimum_stay: 24h\nexpiry: {stay: 24h}\n"), "");
  EXPECT_THAT(sync_problems("effect: suppress\nminimum_stay: soon\n"),
              HasSubstr("`minimum_stay` cannot be \"soon\""));
  EXPECT_THAT(sync_problems("effect: suppress\nexpiry: {}\n"),
              HasSubstr("`expiry` says neither `stay` nor `review`"));
  for (const char* day : {"next year", "2027-03-01T10:00:00Z", "2027-13-01"}) {
    EXPECT_THAT(sync_problems(fmt::format("effect: suppress\nexpiry: {{review: \"{}\"}}\n", day)),
                HasSubstr("syncs/buyers.yaml:5:18: error: `review` cannot be"))
        << day;
  }
  EXPECT_THAT(sync_problems("effect: suppress\nexpiry: {revue: 2027-03-01}\n"),
              HasSubstr("did you mean \"review\"?"));
}

TEST(Sync, a_review_date_that_has_passed_is_warned_of) {
  const auto problems_at = [](const std::string& effect, const char* now) {
    return Folder()
        .with("tailrace.yaml", "name: test\ntime_zone: Europe/Berlin\n")
        .with("syncs/buyers.yaml", "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: " + effect +
                                       "\nconsent: ads\nexpiry: {review: 2027-03-01}\n")
        .problems(*parse_time(now));
  };
  EXPECT_EQ(problems_at("target", "2027-02-28T22:59:59.999Z"), "");
  EXPECT_THAT(problems_at("target", "2027-02-28T23:00:00Z"),
              HasSubstr("syncs/buyers.yaml:6:18: warning: the review date of the sync \"Stop\" has passed: "
                        "nobody is in its audience"));
  EXPECT_THAT(problems_at("suppress", "2027-03-02"), HasSubstr("it goes on, and `status` says so"));
}

TEST(Sync, a_suppression_shorter_than_the_platform_takes_is_warned_of) {
  const auto problems = [](const std::string& who, const std::string& more = "") {
    return Folder()
        .with("definitions.yaml", "recent: performed \"Order Placed\" within 30m\n")
        .with("segments/buyers.yaml", "name: Buyers\nwho: " + who + "\n")
        .with("syncs/buyers.yaml", "name: Stop\nsegment: Buyers\ndestination: Ads\neffect: suppress\n" + more)
        .problems();
  };
  EXPECT_THAT(
      problems("performed \"Order Placed\" within 30m"),
      HasSubstr("syncs/buyers.yaml:2:10: warning: the segment \"Buyers\" may hold somebody for 30m only, "
                "and Example Audiences may take 1d until an upload takes effect: they would be gone "
                "before the ads stop | add `minimum_stay: 1d`"));
  EXPECT_THAT(problems("recent or performed \"Order Placed\" within 30d"), HasSubstr("for 30m only"));
  EXPECT_THAT(problems("last(\"Order Placed\") between 2h and 6h ago"), HasSubstr("for 4h only"));
  EXPECT_EQ(problems("performed \"Order Placed\" within 24h"), "");
  EXPECT_EQ(problems("performed \"Order Placed\" and not performed \"Page Viewed\" within 30m"), "");
  EXPECT_EQ(problems("recent", "minimum_stay: 24h\n"), "");
  EXPECT_THAT(problems("recent", "minimum_stay: 2h\n"), HasSubstr("| write `minimum_stay: 1d`"));
}

TEST(Sync, an_objective_that_the_cadence_breaks_is_warned_of) {
  EXPECT_EQ(sync_problems("effect: suppress\nobjective: 60s\n"), "");
  EXPECT_THAT(
      sync_problems("effect: suppress\ncadence: every 1h\nobjective: 60s\n"),
      HasSubstr("syncs/buyers.yaml:6:12: warning: `objective` 1m cannot be kept: a change may wait 1h "
                "before it is sent | raise it, or choose a faster `cadence`"));
  EXPECT_EQ(sync_problems("effect: suppress\ncadence: every 1h\nobjective: 1h\n"), "");
}

// --- small notations

TEST(Notation, of_cadences) {
  for (const char* good :
       {"realtime", "every 15m", "every 1d", "*/15 * * * *", "0 6 * * 1-5", "0,30 8-18/2 1,15 * 7"}) {
    const Result<Cadence> cadence = parse_cadence(good);
    ASSERT_TRUE(cadence) << good;
    EXPECT_EQ(print_cadence(*cadence), good);
  }
  for (const char* bad : {"",
                          "hourly",
                          "every",
                          "every 15",
                          "every 30s",
                          "every -5m",
                          "60 * * * *",
                          "* 24 * * *",
                          "* * 0 * *",
                          "* * * 13 *",
                          "* * * * 8",
                          "*/0 * * * *",
                          "5/2 * * * *",
                          "9-5 * * * *",
                          "1, * * * *",
                          "* * * *",
                          "* * * * * *",
                          "MON * * * *",
                          "-1 * * * *",
                          "1- * * * *",
                          "99999999999 * * * *"}) {
    EXPECT_FALSE(parse_cadence(bad)) << bad;
  }
}

TEST(Notation, of_shares_is_exact) {
  EXPECT_EQ(parse_share("0%"), 0u);
  EXPECT_EQ(parse_share("10%"), 100'000u);
  EXPECT_EQ(parse_share("0.0001%"), 1u);
  EXPECT_EQ(parse_share("99.9999%"), 999'999u);
  for (const char* bad : {"", "%", "10", "100%", "-1%", "0.00001%", "ten%", "10 %", "1e1%%"})
    EXPECT_FALSE(parse_share(bad)) << bad;
}

// --- the taxonomy

TEST(Taxonomy, the_preset_knows_an_order_by_its_other_names) {
  const Loaded loaded = Folder().load();
  const language::Names names = names_of(loaded.workspace);
  for (const char* alias : {"Order Placed", "order completed", "Completed Order", " Placed Order "}) {
    EXPECT_EQ(names.canonical_event(alias), "Order Placed") << alias;
  }
  EXPECT_EQ(names.canonical_event("Refunded"), "Order Refunded");
  EXPECT_EQ(names.canonical_event("Cart Started"), "Cart Started");
  EXPECT_EQ(names.canonical_event("Oder Placed"), std::nullopt);
  EXPECT_EQ(names.property_type("Order Placed", "revenue"), language::Type::number);
  EXPECT_EQ(names.property_type("Order Placed", "products.price"), language::Type::number);
  EXPECT_EQ(names.property_type("Order Placed", "products.colour"), language::Type::any);
  EXPECT_EQ(names.property_type("Order Placed", "colour"), std::nullopt);
}

const EventRule* find_event(const Loaded& loaded, const std::string& name) {
  for (const EventRule& rule : loaded.workspace.taxonomy.events) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

TEST(Taxonomy, own_entries_add_to_the_preset_and_override_it) {
  const Loaded loaded =
      Folder()
          .with("taxonomy.yaml",
                "use: [ecommerce]\nevents:\n  Order Placed:\n    aliases: [Purchase]\n    owner: shop\n"
                "    properties: {revenue: {type: number, required: true}, shop: string}\n")
          .load();
  EXPECT_TRUE(loaded.ok());
  const EventRule* order = find_event(loaded, "Order Placed");
  ASSERT_NE(order, nullptr);
  EXPECT_EQ(order->owner, "shop");
  EXPECT_THAT(order->aliases, ::testing::Contains("Purchase"));
  EXPECT_THAT(order->aliases, ::testing::Contains("Order Completed"));
  int revenues = 0;
  for (const PropertyRule& property : order->properties) {
    if (property.name == "revenue") revenues += property.required ? 1 : 100;
  }
  EXPECT_EQ(revenues, 1);
}

TEST(Taxonomy, scalar_properties_may_be_indexed) {
  const Loaded loaded =
      Folder()
          .with("taxonomy.yaml",
                "events:\n  Order Placed:\n    properties: {revenue: {type: number, indexed: "
                "true}, shop: string}\n")
          .load();
  ASSERT_TRUE(loaded.ok());
  const auto again = from_value(to_value(loaded.workspace));
  ASSERT_TRUE(again);
  const auto& properties = again->taxonomy.events.front().properties;
  ASSERT_EQ(properties.size(), 2u);
  EXPECT_TRUE(properties[0].indexed);
  EXPECT_FALSE(properties[1].indexed);
}

TEST(Taxonomy, what_may_be_many_values_cannot_be_indexed) {
  for (const char* property : {"tags: {type: list, indexed: true}",
                               "products.price: {type: number, indexed: true}", "shop: {indexed: true}"}) {
    const auto text = fmt::format("events:\n  X:\n    properties:\n      {}\n", property);
    EXPECT_THAT(Folder().with("taxonomy.yaml", text).problems(), HasSubstr("cannot be indexed")) << property;
  }
}

TEST(Taxonomy, a_name_of_ones_own_is_no_alias_of_the_preset_any_more) {
  const Loaded loaded =
      Folder()
          .with("taxonomy.yaml",
                "use: [ecommerce]\nevents:\n  Order Completed:\n  Bought: {aliases: [Product Viewed]}\n")
          .load();
  EXPECT_TRUE(loaded.ok());
  const language::Names names = names_of(loaded.workspace);
  EXPECT_EQ(names.canonical_event("Order Completed"), "Order Completed");
  EXPECT_EQ(names.canonical_event("Completed Order"), "Order Placed");
  EXPECT_EQ(names.canonical_event("Product Viewed"), "Bought");
  EXPECT_EQ(find_event(loaded, "Product Viewed"), nullptr);
}

// --- use by others

TEST(Resolve, a_segments_name_wins_over_an_expression) {
  const Loaded loaded =
      Folder().with("segments/odd.yaml", "name: country exists\nwho: country = \"GB\"\n").load();
  ASSERT_TRUE(loaded.ok());
  const auto by_name = resolve_segment(loaded.workspace, "country exists");
  ASSERT_TRUE(by_name);
  EXPECT_EQ(language::print(**by_name), "country = \"GB\"");
}

TEST(Resolve, an_expression_is_checked_in_the_workspace) {
  const Loaded loaded = Folder().load();
  const auto good =
      resolve_segment(loaded.workspace, "in segment \"Buyers\" and performed \"completed order\"");
  ASSERT_TRUE(good);
  EXPECT_EQ(language::print(**good), "in segment \"Buyers\" and performed \"Order Placed\"");
  const auto syntax = resolve_segment(loaded.workspace, "performed");
  ASSERT_FALSE(syntax);
  EXPECT_THAT(syntax.error().message, HasSubstr("line 1, column"));
  const auto unknown = resolve_segment(loaded.workspace, "performed \"Oder Placed\"");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("Order Placed"));
}

TEST(Resolve, a_misspelt_name_is_told_as_one) {
  const Loaded loaded = Folder().load();
  EXPECT_THAT(resolve_segment(loaded.workspace, "Byers").error().message,
              HasSubstr("there is no segment \"Byers\"; did you mean \"Buyers\"?"));
  EXPECT_THAT(resolve_segment(loaded.workspace, "no such name").error().message,
              HasSubstr("there is no segment \"no such name\"\nas an expression:\nline 1, column"));
}

TEST(Render, shows_the_line_and_a_caret_below_the_place) {
  const std::string folder = testing::source_dir() + "/examples/online-retail";
  const FileProblem problem{"definitions.yaml", {Problem::Severity::warning, {2, 19, 14}, "odd", "mend it"}};
  EXPECT_EQ(render(folder, problem),
            "definitions.yaml:2:19: warning: odd\n"
            "  active: performed \"Order Placed\" within 90d\n"
            "                    ^~~~~~~~~~~~~~\n"
            "mend it");
  EXPECT_EQ(render(folder, {"gone.yaml", {Problem::Severity::error, {}, "gone", ""}}),
            "gone.yaml:1:1: error: gone");
}

// --- the normalised form

std::string normalised(const Workspace& workspace) { return to_json(to_value(workspace)); }

TEST(NormalForm, goes_to_json_and_back_and_stays_the_same) {
  const Loaded loaded = load(testing::source_dir() + "/examples/online-retail");
  const std::string text = normalised(loaded.workspace);
  const auto value = parse_json(text);
  ASSERT_TRUE(value);
  const auto back = from_value(*value);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(normalised(*back), text);
  EXPECT_NE(back->find_segment("VIP")->expr, nullptr);
}

TEST(NormalForm, does_not_depend_on_how_the_yaml_was_written) {
  const Loaded one = Folder().load();
  const Loaded other =
      Folder()
          .with("segments/buyers.yaml",
                "# the same\n- who: performed \"Completed Order\"   within 720h\n  name: \"Buyers\"\n")
          .load();
  EXPECT_EQ(normalised(one.workspace), normalised(other.workspace));
}

TEST(NormalForm, refuses_what_lacks_a_part_or_breaks_a_rule) {
  const Value good = to_value(Folder().load().workspace);
  for (std::size_t i = 0; i < good.members.size(); ++i) {
    Value without = good;
    without.members.erase(without.members.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(from_value(without)) << good.members[i].first;
    Value of_another_kind = good;
    of_another_kind.members[i].second = Value::of_null();
    EXPECT_FALSE(from_value(of_another_kind)) << good.members[i].first;
  }
  EXPECT_FALSE(from_value(Value::of("text")));
}

TEST(NormalForm, of_a_newer_version_is_refused_as_such) {
  Value newer = to_value(Folder().load().workspace);
  newer.members[0].second = Value::of(Number::integer(2));
  const auto workspace = from_value(newer);
  ASSERT_FALSE(workspace);
  EXPECT_EQ(workspace.error().code, Error::Code::unsupported);
}

TEST(NormalForm, expressions_are_checked_again) {
  Workspace broken = Folder().load().workspace;
  broken.segments[0].text = "performed \"Nope\"";
  const auto workspace = from_value(to_value(broken));
  ASSERT_FALSE(workspace);
  EXPECT_THAT(workspace.error().message, HasSubstr("\"Buyers\": "));
}

// --- whole folders

std::string problems_of(const std::string& folder) {
  std::string out;
  for (const FileProblem& problem : load(folder).problems) out += render(folder, problem) + "\n";
  return out;
}

TEST(Example, of_the_shop_has_no_problems) {
  const std::string folder = testing::source_dir() + "/examples/online-retail";
  EXPECT_EQ(problems_of(folder), "");
  const Loaded loaded = load(folder);
  EXPECT_EQ(loaded.workspace.segments.size(), 7u);
  EXPECT_EQ(loaded.workspace.attributes.size(), 5u);
  EXPECT_EQ(loaded.workspace.destinations.size(), 4u);
}

class Init : public ::testing::Test {
 protected:
  Init() {
    std::string pattern = (fs::temp_directory_path() / "tailrace-init-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
  }
  ~Init() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  fs::path folder_;
};

TEST_F(Init, writes_a_workspace_without_problems) {
  const std::string folder = (folder_ / "new" / "workspace").string();
  ASSERT_TRUE(init(folder));
  EXPECT_EQ(problems_of(folder), "");
  EXPECT_FALSE(load(folder).workspace.syncs.empty());
}

TEST_F(Init, overwrites_nothing) {
  write("segments/mine.yaml", "mine\n");
  const auto result = init(folder_.string());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Error::Code::conflict);
  EXPECT_FALSE(fs::exists(folder_ / "tailrace.yaml"));
}

TEST_F(Init, where_nothing_can_be_written_says_so) {
  write("file", "in the way\n");
  const auto result = init((folder_ / "file").string());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Error::Code::io);
}

TEST_F(Init, files_that_are_not_read_are_warned_of) {
  ASSERT_TRUE(init(folder_.string()));
  write("taxonomi.yaml", "a: b\n");
  write("segments/more.yml", "a: b\n");
  const std::string problems = problems_of(folder_.string());
  EXPECT_THAT(problems,
              HasSubstr("taxonomi.yaml:1:1: warning: the file is not read\ndid you mean \"taxonomy.yaml\"?"));
  EXPECT_THAT(problems, HasSubstr("segments/more.yml:1:1: warning: the file is not read"));
}

TEST_F(Init, a_byte_order_mark_is_no_part_of_the_first_key) {
  ASSERT_TRUE(init(folder_.string()));
  write("tailrace.yaml", "\xef\xbb\xbfname: x\n");
  EXPECT_EQ(problems_of(folder_.string()), "");
}

TEST(Load, a_folder_that_is_not_there_is_a_problem_and_no_crash) {
  EXPECT_THAT(problems_of("/nonexistent/workspace"),
              HasSubstr("there is no folder \"/nonexistent/workspace\""));
}

// --- an enemy's YAML

TEST(Enemy, aliases_that_unfold_without_end_are_refused) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'h'; ++c) {
    text += fmt::format("{}: &{} [*{}, *{}, *{}, *{}, *{}, *{}, *{}, *{}]\n", c, c, c - 1, c - 1, c - 1,
                        c - 1, c - 1, c - 1, c - 1, c - 1);
  }
  EXPECT_FALSE(Folder().with("tailrace.yaml", text).load().ok());
}

TEST(Enemy, deep_nesting_is_refused) {
  EXPECT_FALSE(Folder().with("tailrace.yaml", std::string(10'000, '[')).load().ok());
  EXPECT_FALSE(
      Folder().with("tailrace.yaml", "name: " + std::string(200, '[') + std::string(200, ']')).load().ok());
}

TEST(Enemy, broken_bytes_make_problems_and_no_crash) {
  for (const std::string& text :
       {std::string("\xff\xfe\x00n", 4), std::string("name: \xc3\x28\n"), std::string(1, '\0'),
        std::string("? [a, b]\n: c\n"), std::string("name: &a *a\n"), std::string("%YAML 9\n---\n"),
        std::string("name: !!binary x\n<<: *b\n"), std::string("---\na: 1\n---\nb: 2\n")}) {
    for (const char* file : {"tailrace.yaml", "taxonomy.yaml", "attributes.yaml", "segments/buyers.yaml",
                             "destinations/ads.yaml", "syncs/buyers.yaml"}) {
      EXPECT_FALSE(Folder().with(file, text).load().ok()) << file << ": " << text;
    }
  }
}

}  // namespace
}  // namespace tailrace::workspace
