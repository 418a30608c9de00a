#include "property/shrink.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "property/play.h"
#include "property/random_scenario.h"
#include "support/simpler_expr.h"

namespace tailrace::testing {
namespace {

using workspace::Workspace;

template <class T>
void take_away(std::vector<T>& list, std::size_t place, std::size_t count = 1) {
  const auto begin = list.begin() + static_cast<std::ptrdiff_t>(place);
  list.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
}

class Shrinker {
 public:
  Shrinker(Scenario scenario, Finding finding, const Property& property, int seconds_max)
      : property_(property),
        until_(std::chrono::steady_clock::now() + std::chrono::seconds(seconds_max)),
        best_{std::move(scenario), std::move(finding), 0} {}

  Shrunk run() {
    // Segments and inputs go first: every later try is faster then.
    for (bool smaller = true; smaller && !late();) {
      smaller = false;
      smaller |= one_workspace();
      smaller |= fewer_segments();
      smaller |= fewer_inputs();
      smaller |= fewer_names();
      smaller |= less_around();
      smaller |= simpler_expressions();
      smaller |= simpler_inputs();
      smaller |= simpler_settings();
    }
    return std::move(best_);
  }

 private:
  using Named = std::vector<workspace::Named> Workspace::*;

  bool late() const { return std::chrono::steady_clock::now() >= until_; }

  // Keeps the candidate if it still fails.
  bool fails(Scenario candidate) {
    if (late()) return false;
    ++best_.tries;
    auto finding = property_(candidate);
    if (!finding) return false;
    best_.scenario = std::move(candidate);
    best_.finding = std::move(*finding);
    return true;
  }
  template <class Change>
  bool fails_with(Change change) {
    Scenario candidate = best_.scenario;
    change(candidate);
    return fails(std::move(candidate));
  }
  // A change of one of the workspaces, which has to pass the check.
  template <class Change>
  bool fails_in_workspace(bool second, Change change) {
    Scenario candidate = best_.scenario;
    Workspace& workspace = second ? *candidate.second : candidate.first;
    change(workspace);
    auto checked = usable(workspace);
    if (!checked) return false;
    workspace = std::move(*checked);
    return fails(std::move(candidate));
  }
  const Workspace& in(bool second) const { return second ? *best_.scenario.second : best_.scenario.first; }
  template <class Pass>
  bool in_each_workspace(Pass pass) {
    bool smaller = pass(false);
    if (best_.scenario.second) smaller |= pass(true);
    return smaller;
  }

  bool one_workspace() {
    if (!best_.scenario.second) return false;
    // Alone, the second knows all events; the first may hold some back for ever.
    return fails_with([](Scenario& one) {
             one.first = *std::exchange(one.second, std::nullopt);
             one.holds_back = false;
           }) ||
           fails_with([](Scenario& one) { one.second.reset(); });
  }

  // Later ones first: they may speak of those before them.
  template <class T>
  bool fewer(bool second, std::vector<T> Workspace::* list) {
    bool smaller = false;
    for (std::size_t i = (in(second).*list).size(); i-- > 0;)
      smaller |= fails_in_workspace(second, [&](Workspace& one) { take_away(one.*list, i); });
    return smaller;
  }
  bool fewer_segments() {
    return in_each_workspace([&](bool second) {
      bool smaller = false;
      // All but one at once, for what needs no more.
      for (std::size_t i = 0; in(second).segments.size() > 1 && i < in(second).segments.size(); ++i) {
        if (fails_in_workspace(second, [&](Workspace& one) {
              one.segments = {one.segments[i]};
              one.syncs.clear();
            }))
          smaller = true;
      }
      smaller |= fewer(second, &Workspace::segments);
      smaller |= fewer(second, &Workspace::syncs);
      smaller |= fewer(second, &Workspace::attributes);
      smaller |= fewer(second, &Workspace::definitions);
      return smaller;
    });
  }

  bool fewer_inputs() {
    bool smaller = false;
    for (std::size_t count = std::max<std::size_t>(1, best_.scenario.steps.size() / 2);; count /= 2) {
      for (std::size_t end = best_.scenario.steps.size(); end >= count && end > 0;) {
        const std::size_t begin = end - count;
        const bool less = fails_with([&](Scenario& one) {
          take_away(one.steps, begin, count);
          one.change -= std::min(one.change, end) - std::min(one.change, begin);
        });
        smaller |= less;
        end = less ? std::min(begin, best_.scenario.steps.size()) : end - 1;
      }
      if (count <= 1) return smaller;
    }
  }

  // One name for people who become one.
  bool fewer_names() {
    bool smaller = false;
    for (std::size_t i = 0; i < best_.scenario.steps.size(); ++i) {
      const Input input = best_.scenario.steps[i].input;
      if (input.kind != Input::Kind::join && input.kind != Input::Kind::merge) continue;
      smaller |= fails_with([&](Scenario& one) {
        take_away(one.steps, i);
        if (one.change > i) --one.change;
        for (Step& step : one.steps) {
          if (step.input.who == input.who) step.input.who = input.other;
          if (step.input.other == input.who) step.input.other = input.other;
        }
      });
    }
    return smaller;
  }

  bool less_around() {
    bool smaller = false;
    const auto off = [&](std::optional<bool> Step::* decision) {
      for (std::size_t i = 0; i < best_.scenario.steps.size(); ++i) {
        if ((best_.scenario.steps[i].*decision).value_or(false))
          smaller |= fails_with([&](Scenario& one) { one.steps[i].*decision = false; });
      }
      if ((best_.scenario.end.*decision).value_or(false))
        smaller |= fails_with([&](Scenario& one) { one.end.*decision = false; });
    };
    off(&Step::repeats);
    off(&Step::restarts);
    off(&Step::works);
    off(&Step::judges);
    while (best_.scenario.travels && !best_.scenario.travels->empty() &&
           fails_with([](Scenario& one) { one.travels->pop_back(); }))
      smaller = true;
    while (best_.scenario.travels && best_.scenario.travels->size() > 1 &&
           fails_with([](Scenario& one) { one.travels->erase(one.travels->begin()); }))
      smaller = true;
    if (best_.scenario.second && best_.scenario.change > 0)
      smaller |= fails_with([](Scenario& one) { one.change = 0; });
    return smaller;
  }

  bool simpler_expressions() {
    return in_each_workspace([&](bool second) {
      bool smaller = false;
      for (const Named list : {&Workspace::segments, &Workspace::attributes, &Workspace::definitions}) {
        for (std::size_t i = 0; i < (in(second).*list).size(); ++i) {
          while (simpler_expression(second, list, i)) smaller = true;
        }
      }
      return smaller;
    });
  }
  bool simpler_expression(bool second, Named list, std::size_t place) {
    for (const language::ExprPtr& one : simpler(*(in(second).*list)[place].expr)) {
      const std::string text = language::print(*one);
      if (fails_in_workspace(second, [&](Workspace& workspace) { (workspace.*list)[place].text = text; }))
        return true;
    }
    return false;
  }

  bool simpler_inputs() {
    bool smaller = false;
    for (std::size_t i = 0; i < best_.scenario.steps.size(); ++i) {
      const Input input = best_.scenario.steps[i].input;
      const auto with = [&](auto change) {
        if (fails_with([&](Scenario& one) { change(one.steps[i].input); })) smaller = true;
      };
      for (std::size_t member = input.value.members.size(); member-- > 0;)
        with([&](Input& one) { take_away(one.value.members, member); });
      // On time, where the order of receipt allows it.
      const auto& steps = best_.scenario.steps;
      const bool in_order = (i == 0 || steps[i - 1].input.received_at <= input.time) &&
                            (i + 1 == steps.size() || input.time <= steps[i + 1].input.received_at) &&
                            input.time >= kStart - kDay * 2;
      if (input.received_at != input.time && in_order) with([](Input& one) { one.received_at = one.time; });
      if (input.who != "u0" && input.kind != Input::Kind::join && input.kind != Input::Kind::merge)
        with([](Input& one) { one.who = "u0"; });
    }
    return smaller;
  }

  bool simpler_settings() {
    bool smaller = false;
    const auto everywhere = [&](auto change) {
      smaller |= fails_with([&](Scenario& one) {
        change(one.first);
        if (one.second) change(*one.second);
      });
    };
    if (in(false).time_zone != "UTC") everywhere([](Workspace& one) { one.time_zone = "UTC"; });
    if (in(false).consent_unknown) everywhere([](Workspace& one) { one.consent_unknown = false; });
    if (!in(false).taxonomy.traits.empty()) everywhere([](Workspace& one) { one.taxonomy.traits.clear(); });
    const auto& events = in(false).taxonomy.events;
    if (std::any_of(events.begin(), events.end(),
                    [](const auto& event) { return !event.properties.empty(); })) {
      everywhere([](Workspace& one) {
        for (auto& event : one.taxonomy.events) event.properties.clear();
      });
    }
    return smaller;
  }

  const Property& property_;
  std::chrono::steady_clock::time_point until_;
  Shrunk best_;
};

}  // namespace

Shrunk shrink(const Scenario& scenario, const Finding& finding, const Property& property, int seconds_max) {
  return Shrinker(scenario, finding, property, seconds_max).run();
}

}  // namespace tailrace::testing
