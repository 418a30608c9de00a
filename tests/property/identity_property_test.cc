// Who is who, under rules of identity: the engine against the judge's own reading of them, against a replay
// of the log that deletions leave, and against itself in another order.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "property/judged_run.h"
#include "property/play.h"
#include "property/random_scenario.h"
#include "property/seeds.h"

namespace tailrace::testing {
namespace {

void play(Play& play, const Scenario& scenario) {
  play.take_up(scenario.first, kStart - kDay);
  play.work_all();
  for (std::size_t i = 0; i <= scenario.steps.size(); ++i) {
    if (scenario.second && i == scenario.change) {
      play.take_up(*scenario.second, i == 0 ? kStart : scenario.steps[i - 1].input.received_at);
      play.work_all();
    }
    if (i < scenario.steps.size()) play.receive(scenario.steps[i].input);
  }
  play.advance(kStart + kDay * 7);
}

// All that is known of who is who, by PersonId.
std::string graph_text(Play& play) {
  const engine::Engine& engine = play.engine();
  const auto& graph = engine.profiles().graph();
  std::string text;
  for (std::uint32_t i = 0; i < engine.person_limit(); ++i) {
    const PersonId person(i);
    if (!engine.profiles().alive(person)) continue;
    using What = profiles::IdentityEntry::What;
    std::multiset<std::string> lines;
    graph.for_each_entry(person, [&](const profiles::IdentityEntry& entry) {
      const bool is_refusal = entry.what == What::refused || entry.what == What::contested;
      // Whoever became one with somebody who is gone is gone too, so nothing else can differ.
      lines.insert(fmt::format(
          "  {} {} {} at {} from {} by {}{}{}{}\n", static_cast<int>(entry.what), to_string(entry.kind),
          entry.value, entry.time.ms, entry.position.value, graph.source_name(entry.source),
          entry.what == What::joined ? fmt::format(" person {}", entry.gone.value) : "",
          is_refusal ? fmt::format(" {} times {}", entry.count, to_string(entry.reason)) : "",
          entry.what == What::identifier
              ? fmt::format(" owned by {}", graph.directory().find(entry.kind, entry.value)
                                                ? graph.directory().find(entry.kind, entry.value)->value
                                                : 999)
              : ""));
    });
    text += fmt::format("person {}\n", i);
    for (const std::string& line : lines) text += line;
  }
  for (std::size_t kind = 0; kind < IdentityRules::kKinds; ++kind) {
    for (std::size_t reason = 0; reason < kRefusals; ++reason) {
      if (const auto count = graph.refused()[kind][reason])
        text += fmt::format("{} times {} {}\n", count, to_string(static_cast<IdentifierKind>(kind)),
                            to_string(static_cast<Refusal>(reason)));
    }
  }
  return text;
}

void expect_same(std::string_view what, const std::string& got, const std::string& expected) {
  if (got != expected) throw Finding{std::string(what), expected, got};
}

std::optional<Finding> tried(const Scenario& scenario, void (*check)(const Scenario&)) {
  try {
    check(scenario);
  } catch (const Finding& finding) {
    return finding;
  }
  return std::nullopt;
}

void is_what_the_redacted_log_gives(const Scenario& scenario) {
  // Of a value that was blocked for a while the log does not say whether a record was its, nor of a deleted
  // person that they became known by a record only when it was let in.
  Scenario same_blocks = scenario;
  for (std::size_t i = 0; same_blocks.second && i < IdentityRules::kKinds; ++i)
    same_blocks.second->identity.kinds[i].blocked = scenario.first.identity.kinds[i].blocked;
  Play live;
  live.redact_deletions();
  play(live, same_blocks);
  const auto replayed = live.replayed();
  replayed->advance(kStart + kDay * 7);
  expect_same("who is who, by a replay of the log without the deleted", graph_text(*replayed),
              graph_text(live));
  expect_same("members, by a replay of the log without the deleted",
              fmt::format("{}", replayed->members().size()), fmt::format("{}", live.members().size()));
}

void survives_a_restart(const Scenario& scenario) {
  Play live;
  play(live, scenario);
  const std::string before = graph_text(live);
  live.restart();
  expect_same("who is who, after a restart", graph_text(live), before);
}

// Names of each person, and who is in which segment.
std::string people_text(Play& play) {
  std::map<PersonId, std::set<std::string>> people;
  for (int i = 0; i < 5; ++i) {
    for (const std::string& name : {fmt::format("u{}", i), fmt::format("anon-{}", i)}) {
      if (const auto person = play.engine().find_person(name)) people[*person].insert(name);
    }
  }
  std::set<std::string> lines;
  for (const auto& [person, names] : people) {
    std::string line = fmt::format("{}", fmt::join(names, " "));
    for (const auto& [segment, member] : play.members()) {
      if (member == person) line += fmt::format(" s{}", segment);
    }
    lines.insert(line);
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

void comes_in_any_order(const Scenario& scenario) {
  Play as_it_was;
  play(as_it_was, scenario);
  Scenario other = scenario;
  std::ranges::sort(other.steps, {}, [&](const Step& step) {
    return Random(scenario.seed * 1'000'003 + step.input.serial * 17).next();
  });
  for (std::size_t i = 0; i < other.steps.size(); ++i)
    other.steps[i].input.received_at = scenario.steps[i].input.received_at;
  Play otherwise;
  play(otherwise, other);
  expect_same("who is who, when it all comes in another order", people_text(otherwise),
              people_text(as_it_was));
}

void try_seed(std::uint64_t seed, Scenario (*make)(Random&, std::uint64_t), void (*check)(const Scenario&),
              const std::string& name) {
  const SeedInHand in_hand(seed);
  Random random(seed);
  const Scenario scenario = make(random, seed);
  if (!tried(scenario, check)) return;
  expect_holds(name, seed, scenario, [&](const Scenario& one) { return tried(one, check); });
}

void try_judge(std::uint64_t seed) {
  const SeedInHand in_hand(seed);
  Random random(seed);
  Scenario scenario = identity_scenario(random, seed);
  if (!run_against_judge(scenario, &random)) return;
  expect_holds("the engine and the judge differ", seed, scenario, [](const Scenario& one) {
    Scenario copy = one;
    return run_against_judge(copy, nullptr);
  });
  if (!::testing::Test::HasFailure()) ADD_FAILURE() << "seed " << seed << " failed, but not the second time";
}

void try_all(std::uint64_t seed) {
  try_judge(seed);
  try_seed(seed, identity_scenario, is_what_the_redacted_log_gives, "a replay of the redacted log differs");
  try_seed(seed, identity_scenario, survives_a_restart, "a restart changes who is who");
  try_seed(seed, unlimited_identity_scenario, comes_in_any_order, "the order of arrival matters");
}

TEST(IdentityProperty, rules_and_limits_agree_with_the_judge_and_with_every_replay) {
  for (std::uint64_t seed = 1; seed < 150 && !HasFailure(); ++seed) try_all(seed);
}

TEST(IdentityProperty, what_failed_once_stays_mended) {
  for (const std::uint64_t seed : {3390460425U, 59239214U, 281992640U, 3258947527U, 1732304421U, 3736451142U})
    try_all(seed);
}

TEST(IdentityProperty, so_do_fresh_ones) { for_fresh_seeds(15, try_all); }

}  // namespace
}  // namespace tailrace::testing
