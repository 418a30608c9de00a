#include "property/judged_run.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "property/known.h"
#include "property/play.h"
#include "property/random_scenario.h"

namespace tailrace::testing {
namespace {

class Run {
 public:
  Run(Scenario& scenario, Random* random, const Telling& telling)
      : scenario_(scenario), random_(random), telling_(telling) {}

  void run() {
    known_.take_up(scenario_.first.identity);
    if (scenario_.holds_back) known_.hold_back();
    apply_workspace(scenario_.first, kStart - kDay * 2);
    std::vector<Step>& steps = scenario_.steps;
    const std::size_t change = scenario_.second ? scenario_.change : steps.size() + 1;
    for (std::size_t i = 0; i <= steps.size(); ++i) {
      if (i == change) {
        known_.take_up(scenario_.second->identity);
        apply_workspace(*scenario_.second, now_);
      }
      Step& step = i == steps.size() ? scenario_.end : steps[i];
      if (play_.engine().work_pending() && decides(step.works, 3)) work();
      if (i == steps.size()) break;
      advance(step.input.received_at, step);
      apply(step.input);
      if (decides(step.repeats, 6)) apply_again(step, i);
      if (decides(step.restarts, 8) && !play_.engine().work_pending()) restart();
      expect_members();
    }
    while (play_.engine().work_pending()) work();
    expect_members();
    advance(now_ + kDay * 3, scenario_.end);
    expect_members();
    expect("records in quarantine", fmt::to_string(play_.engine().quarantine().size()),
           fmt::to_string(known_.waiting()));
    expect_admitted();
    decide_travels();
    for (const Travel& travel : *scenario_.travels) expect_past(travel);
  }

 private:
  const workspace::Workspace& workspace() const { return play_.workspace(); }

  bool decides(std::optional<bool>& kept, std::uint64_t one_in) {
    if (!kept) kept = random_ != nullptr && random_->below(one_in) == 0;
    return *kept;
  }
  void decide_travels() {
    if (scenario_.travels) return;
    scenario_.travels.emplace();
    for (int i = 0; random_ != nullptr && i < 3; ++i) scenario_.travels->push_back(random_travel(*random_));
  }

  static void expect(std::string_view what, const std::string& got, const std::string& expected) {
    if (got != expected) throw Finding{std::string(what), expected, got};
  }

  void apply_workspace(const workspace::Workspace& workspace, Time at) {
    play_.take_up(workspace, at);
    tell();  // what was held back is let in before the new workspace is live
    now_ = std::max(now_, at);
    take_over();
  }
  void work() {
    play_.work();
    take_over();
  }
  // A workspace that has become live comes with its members.
  void take_over() {
    if (play_.engine().generation() == generation_) return;
    generation_ = play_.engine().generation();
    told_ = play_.members();
  }

  Oracle judge() const {
    OracleWorld world = known_.world(workspace());
    if (telling_) telling_(world);
    return Oracle(std::move(world));
  }

  // Takes what was told into account, and gives it.
  Changes tell() {
    Changes changes = play_.take_changes();
    for (const auto& [at, person, segment, entered] : changes) {
      const bool changed =
          entered ? told_.emplace(segment, person).second : told_.erase({segment, person}) > 0;
      if (!changed) {
        throw Finding{fmt::format("told at {}", format_time(now_)), "each entry and exit once",
                      describe({{at, person, segment, entered}}) + "which was told before"};
      }
    }
    return changes;
  }

  void advance(Time t, Step& step) {
    if (!step.judges) step.judges = random_ != nullptr && random_->below(2) != 0;  // the judge is slow
    if (*step.judges) {
      Oracle oracle = judge();
      Changes expected;
      for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
        for (const Transition& change : oracle.timeline(*workspace().segments[i].expr, now_, t))
          expected.emplace_back(change.at, change.person, i, change.entered);
      }
      std::ranges::sort(expected);
      play_.advance(t);
      expect(
          fmt::format("what changes by time alone, after {} and until {}", format_time(now_), format_time(t)),
          describe(tell()), describe(expected));
    } else {
      play_.advance(t);
      tell();
    }
    now_ = t;
  }

  void apply(const Input& input) {
    known_.apply(input);
    play_.receive(input);
    tell();
  }

  // A client's retry counts once. (The ledger's entries have no message id.)
  void apply_again(Step& step, std::size_t place) {
    if (random_ != nullptr) step.repeated = scenario_.steps[random_->below(place + 1)].input.serial;
    const auto arrived = std::span(scenario_.steps).first(place + 1);
    const auto first =
        std::ranges::find(arrived, step.repeated, [](const Step& one) { return one.input.serial; });
    if (first == arrived.end()) return;
    const Input& input = first->input;
    if (input.kind == Input::Kind::sync_entry) return;
    if (known_.is_waiting(input) || known_.waits(input)) return;
    if (now_ - input.received_at >= workspace().dedup_window) return;
    const auto before = play_.engine().counts().duplicates;
    play_.receive(input, now_);
    tell();
    expect("duplicates, after a message came again", fmt::to_string(play_.engine().counts().duplicates),
           fmt::to_string(before + 1));
  }

  void restart() {
    play_.restart();
    generation_ = play_.engine().generation();
  }

  void expect_members() {
    Oracle oracle = judge();
    Membership expected;
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      for (const PersonId person : oracle.members(*workspace().segments[i].expr, now_))
        expected.emplace(i, person);
    }
    expect(fmt::format("members at {}", format_time(now_)), describe(play_.members()), describe(expected));
    expect(fmt::format("members at {}, by what was told", format_time(now_)), describe(told_),
           describe(expected));
  }

  // Every record is asked for again, as those do who read the log behind the engine.
  void expect_admitted() {
    if (telling_) return;  // what is told otherwise is what a judge says of segments
    std::multiset<std::tuple<PersonId, std::string, Time>> expected;
    for (const OraclePerson& person : known_.world(workspace()).people) {
      for (const OracleEvent& event : person.events) expected.emplace(person.id, event.event, event.time);
    }
    const auto described = [](const auto& events) {
      std::string text;
      for (const auto& [person, event, time] : events)
        text += fmt::format("{} {} {}\n", person.value, event, format_time(time));
      return text;
    };
    expect("in the end, the events of the log", described(play_.admitted()), described(expected));
  }

  void expect_past(const Travel& travel) {
    Oracle oracle = judge();
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      const workspace::Named& segment = workspace().segments[i];
      const auto named = [&](const std::vector<PersonId>& people) {
        Membership membership;
        for (const PersonId person : people) membership.emplace(i, person);
        return describe(membership);
      };
      expect(fmt::format("in the end, members {} at {}", segment.name, format_time(travel.at)),
             named(play_.members_at(segment, travel.at)), named(oracle.members(*segment.expr, travel.at)));
      Changes changes = play_.transitions(segment, travel.from, travel.to);
      for (auto& change : changes) std::get<2>(change) = i;
      Changes expected;
      for (const Transition& change : oracle.timeline(*segment.expr, travel.from, travel.to))
        expected.emplace_back(change.at, change.person, i, change.entered);
      expect(fmt::format("in the end, timeline {} from {} to {}", segment.name, format_time(travel.from),
                         format_time(travel.to)),
             describe(changes), describe(expected));
      expect_backtest(segment, travel, changes);
    }
  }

  // The sums of a backtest are those of the transitions and of the members at both ends.
  void expect_backtest(const workspace::Named& segment, const Travel& travel, const Changes& transitions) {
    const auto result = play_.engine().backtest(workspace(), segment.expr, travel.from, travel.to);
    if (!result) throw Finding{"a backtest", "success", result.error().message};
    const segments::Backtest& past = result->past;
    const auto equal = [&](std::string_view what, auto got, auto expected) {
      expect(fmt::format("in the end, the backtest of {} from {} to {}: {}", segment.name,
                         format_time(travel.from), format_time(travel.to), what),
             fmt::to_string(got), fmt::to_string(expected));
    };
    const auto at_start = play_.members_at(segment, travel.from);
    const auto at_end = play_.members_at(segment, travel.to);
    equal("how many at the start", past.size_at_start, at_start.size());
    equal("how many at the end", past.members.size(), at_end.size());
    equal("the members at the end are the same", past.members == at_end, true);
    std::set<PersonId> people(at_start.begin(), at_start.end());
    std::map<Time, std::int64_t> steps;
    std::map<Time, std::int64_t> size_at;
    std::uint64_t entries = 0;
    for (const auto& [at, person, index, entered] : transitions) {
      people.insert(person);
      steps[at] += entered ? 1 : -1;
      entries += entered;
    }
    auto size = static_cast<std::int64_t>(at_start.size());
    segments::Backtest::Extreme low{.size = at_start.size(), .at = travel.from};
    segments::Backtest::Extreme high = low;
    for (const auto& [at, step] : steps) {
      size += step;
      const auto now = static_cast<std::uint64_t>(size);
      if (now < low.size) low = {.size = now, .at = at};
      if (now > high.size) high = {.size = now, .at = at};
      size_at[at] = size;
    }
    equal("how many were ever inside", past.people, people.size());
    equal("entries", past.entered, entries);
    equal("exits", past.left, transitions.size() - entries);
    equal("the smallest size", past.smallest.size, low.size);
    equal("when it was smallest", format_time(past.smallest.at), format_time(low.at));
    equal("the largest size", past.largest.size, high.size);
    equal("when it was largest", format_time(past.largest.at), format_time(high.at));
    for (std::size_t i = 0; i < past.days.size(); ++i) {
      const auto after =
          i + 1 < past.days.size() ? size_at.lower_bound(past.days[i + 1].begin) : size_at.end();
      equal("how many at the end of the day of " + format_time(past.days[i].begin),
            static_cast<std::int64_t>(past.days[i].size),
            after == size_at.begin() ? static_cast<std::int64_t>(at_start.size()) : std::prev(after)->second);
    }
    std::map<PersonId, Time> inside;
    std::vector<std::int64_t> stays;
    std::uint64_t since_ever = 0;
    // From long before anything happened.
    for (const auto& [at, person, index, entered] :
         play_.transitions(segment, kStart - kDay * 400, travel.to)) {
      if (entered) {
        inside[person] = at;
      } else if (at > travel.from) {
        if (inside.contains(person)) {
          stays.push_back((at - inside[person]).count);
        } else {
          ++since_ever;
        }
      }
    }
    std::ranges::sort(stays);
    equal("stays that ended", past.stays, stays.size());
    equal("stays since ever that ended", past.stays_since_ever, since_ever);
    equal("the median stay in milliseconds, or -1", past.median_stay ? past.median_stay->count : -1,
          stays.empty() ? -1 : (stays[(stays.size() - 1) / 2] + stays[stays.size() / 2]) / 2);
  }

  std::string describe(const Membership& membership) const {
    std::string text;
    for (const auto& [segment, person] : membership)
      text += fmt::format("{}: {}\n", workspace().segments[segment].name, known_.names_of(person));
    return text;
  }
  std::string describe(const Changes& changes) const {
    std::string text;
    for (const auto& [at, person, segment, entered] : changes)
      text += fmt::format("{} {} {} at {}\n", workspace().segments[segment].name, entered ? '+' : '-',
                          known_.names_of(person), format_time(at));
    return text;
  }

  Scenario& scenario_;
  Random* random_;
  const Telling& telling_;
  Known known_;
  Play play_;
  Membership told_;
  std::uint64_t generation_ = 0;
  Time now_ = kStart - kDay * 2;
};

}  // namespace

std::optional<Finding> run_against_judge(Scenario& scenario, Random* random, const Telling& telling) {
  try {
    Run(scenario, random, telling).run();
    return std::nullopt;
  } catch (const Finding& finding) {
    return finding;
  }
}

}  // namespace tailrace::testing
