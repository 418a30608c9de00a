#include "delivery/streams.h"

#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "delivery/fake_platform.h"
#include "delivery/pass_notes.h"

namespace tailrace::delivery {
namespace {

using destinations::Outcome;
using destinations::Reply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A platform whose requests are the ids of its events with blanks between, and whose answers are words.
class EventTool final : public destinations::EventDestination {
 public:
  bool keyed = true, ordered = false, grouped = false;
  std::uint32_t records_max = 3;

  std::string_view type() const override { return "event_tool"; }
  std::string_view platform() const override { return "event_tool"; }
  std::string_view title() const override { return "Event Tool"; }
  std::string_view about() const override { return ""; }
  std::span<const destinations::Setting> settings() const override { return {}; }
  destinations::Limits limits() const override { return {.batch_records_max = records_max}; }
  std::vector<std::string> check(const destinations::Config&) const override { return {}; }
  std::span<const destinations::FieldRule> fields() const override { return {}; }
  std::span<const destinations::EventName> events() const override { return {}; }
  destinations::EventRules rules() const override { return {.age_max = kDay * 7}; }
  bool counts_once() const override { return keyed; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return ordered; }
  std::string group(const destinations::Conversion& event) const override {
    return grouped ? event.person : "";
  }
  std::expected<std::string, destinations::Refused> encode_event(const destinations::Conversion& event,
                                                                 At) const override {
    return event.message_id;
  }
  HttpRequest encode(std::span<const std::string> events, const destinations::Context&) const override {
    std::string body;
    for (const std::string& event : events) body += (body.empty() ? "" : " ") + event;
    return {"POST", "https://tool.example/", {}, body};
  }
  // "ok", or for each event "+" or "-"; 400 means one of them, 420 that those with "t" are throttled, 429 and
  // 5xx later, 401 never.
  Reply decode(std::size_t events, const HttpResponse& answer) const override {
    if (answer.status == 420) {
      Reply reply;
      reply.verdict = Reply::Verdict::split;
      reply.reason = "noisy";
      reply.retry_after = kSecond * 30;
      for (std::size_t i = 0; i < events; ++i) {
        if (answer.body[i] == 't') reply.throttled.push_back(i);
      }
      return reply;
    }
    if (answer.status != 200) {
      Reply reply;
      reply.verdict = answer.status == 400   ? Reply::Verdict::split
                      : answer.status == 401 ? Reply::Verdict::stop
                                             : Reply::Verdict::retry;
      reply.reason = answer.status == 400 ? "bad" : answer.status == 401 ? "no" : "busy";
      return reply;
    }
    Reply reply;
    for (std::size_t i = 0; i < events; ++i) {
      const bool refused = answer.body != "ok" && answer.body[i] == '-';
      reply.outcomes.push_back(
          {refused ? Outcome::Kind::rejected : Outcome::Kind::accepted, refused ? "odd" : ""});
    }
    return reply;
  }
};

// A log of events that are all admitted, at positions 10, 20, 30, ...
class EventList final : public EventSource {
 public:
  std::vector<LoggedEvent> events;
  std::set<std::uint64_t> deleted;
  std::size_t largest_page = 1'000;

  Position add(std::string id, std::uint32_t person, Time at, std::string name = "Seen") {
    LoggedEvent& event = events.emplace_back();
    event.position = Position(10 * events.size());
    event.received_at = at;
    event.person.id = PersonId(person);
    event.person.golden_id = "p" + std::to_string(person);
    event.person.consent = {{"ads", person != 13}};
    event.in_people = person != 99;
    event.message.event = std::move(name);
    event.message.message_id = std::move(id);
    event.message.at = at;
    event.message.properties = Value::with(Value::Kind::object);
    return event.position;
  }
  Result<Page> read(Position from, Position until, std::size_t records, const Question& question) override {
    Page page;
    page.next = from;
    for (const LoggedEvent& event : events) {
      if (event.position < from) continue;
      if (event.position >= until) break;
      if (records-- == 0) return page;
      page.next = Position(event.position.value + 10);
      const bool is_there = !deleted.contains(event.position.value);
      if (is_there && question.wants(event.message.event)) page.events.push_back(event);
    }
    page.at_end = true;
    return page;
  }
  Result<std::vector<LoggedEvent>> at(std::span<const Position> positions,
                                      const Question& question) override {
    std::vector<LoggedEvent> found;
    for (const LoggedEvent& event : events) {
      if (std::ranges::find(positions, event.position) != positions.end() &&
          !deleted.contains(event.position.value) && question.wants(event.message.event))
        found.push_back(event);
    }
    return found;
  }
  Position begin() override { return Position(10); }
  Position end() override { return Position(10 * (events.size() + 1)); }
  Result<Position> received_since(Time instant) override {
    for (const LoggedEvent& event : events) {
      if (event.received_at >= instant) return event.position;
    }
    return end();
  }
};

constexpr Time kStart{1'772'323'200'000};

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() {
    stream.name = "s";
    stream.destination = "tool";
    stream.requests_in_flight = 2;
  }
  void start() {
    streams.reset();
    ledger.reset();
    auto opened = Ledger::open(directory->path());
    ASSERT_TRUE(opened) << opened.error().message;
    ledger = std::move(*opened);
    StreamConnection connection;
    connection.stream = stream;
    connection.destination = &tool;
    connection.mapping = *destinations::Mapping::create(tool, {}, {}, "");
    connection.wants = [](std::string_view event) { return event != "Unwanted"; };
    connection.accepts = [](const LoggedEvent& event) { return event.message.message_id != "filtered"; };
    connection.became_live = became_live;
    std::vector<StreamConnection> connections;
    connections.push_back(std::move(connection));
    auto created = Streams::create(std::move(connections), *ledger, source, random, options, now);
    ASSERT_TRUE(created) << created.error().message;
    streams = std::move(*created);
    out.clear();
  }
  void add(std::string id, std::uint32_t person = 1, std::string name = "Seen") {
    source.add(std::move(id), person, now, std::move(name));
    if (streams) streams->wake();
  }
  // What goes out now, as text.
  std::vector<std::string> poll(Millis later = {}) {
    now = now + later;
    std::vector<std::string> texts;
    for (Send& send : streams->poll(now)) {
      texts.push_back(send.request.body);
      out.emplace(send.request.body, send.id);
    }
    return texts;
  }
  std::vector<std::string> poll_all(Millis later = kSecond) {
    streams->flush();
    auto texts = poll(later);
    for (auto more = poll(); !more.empty(); more = poll())
      texts.insert(texts.end(), more.begin(), more.end());
    return texts;
  }
  void answer(const std::string& body, int status, std::string text = "ok") {
    const auto at = out.find(body);
    ASSERT_NE(at, out.end()) << body;
    const std::uint64_t id = at->second;
    out.erase(at);
    streams->on_reply(id, HttpResponse{status, {}, std::move(text)}, now);
  }
  void no_answer(const std::string& body, Error::Code code = Error::Code::unavailable) {
    const auto at = out.find(body);
    ASSERT_NE(at, out.end()) << body;
    const std::uint64_t id = at->second;
    out.erase(at);
    streams->on_reply(id, fail(code, "timed out"), now);
  }
  StreamStatus status() { return streams->status().front(); }
  std::vector<StreamDeadLetter> letters() {
    auto found = streams->dead_letters("s");
    EXPECT_TRUE(found);
    return found ? *found : std::vector<StreamDeadLetter>();
  }
  std::vector<std::string> dead() {
    std::vector<std::string> texts;
    for (const StreamDeadLetter& letter : letters())
      texts.push_back(source.events[letter.position.value / 10 - 1].message.message_id + ": " +
                      letter.reason);
    return texts;
  }
  std::vector<Position> positions(std::initializer_list<std::uint64_t> values) {
    std::vector<Position> all;
    for (const std::uint64_t value : values) all.emplace_back(value);
    return all;
  }

  std::optional<TemporaryDirectory> directory{std::in_place};
  EventTool tool;
  EventList source;
  workspace::StreamConfig stream;
  Random random{7};
  Streams::Options options;
  std::optional<Position> became_live;
  Time now = kStart;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Streams> streams;
  std::multimap<std::string, std::uint64_t> out;
};

TEST_F(StreamsTest, a_new_sync_begins_with_what_comes_after_it) {
  add("old");
  start();
  add("new");
  EXPECT_THAT(poll_all(), ElementsAre("new"));
  answer("new", 200);
  EXPECT_TRUE(streams->idle());
  EXPECT_EQ(status().accepted, 1u);
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(StreamsTest, or_with_the_beginning_of_the_log_where_it_says_so) {
  add("old");
  stream.start = workspace::StreamConfig::Start::beginning;
  start();
  EXPECT_THAT(poll_all(), ElementsAre("old"));
}

TEST_F(StreamsTest, now_is_when_its_workspace_became_live) {
  add("old");
  became_live = source.end();
  add("while answers to the workspace before were awaited");
  start();
  EXPECT_THAT(poll_all(), ElementsAre("while answers to the workspace before were awaited"));
}

TEST_F(StreamsTest, a_sync_that_is_resumed_asks_at_once_again) {
  start();
  add("a");
  poll_all();
  answer("a", 401);
  EXPECT_THAT(poll_all(), IsEmpty());
  ASSERT_TRUE(streams->resume("s"));
  EXPECT_THAT(poll_all(), ElementsAre("a"));
}

TEST_F(StreamsTest, what_is_written_down_with_every_request_is_small) {
  tool.keyed = false;
  start();
  for (int i = 0; i < 2'000; ++i) add(std::to_string(i));
  for (int i = 0; i < 20; ++i) poll(Millis{1});
  EXPECT_LE(status().unsettled, 512u);
  EXPECT_LE(ledger->stream_state("s")->live.unsettled.size(), 512u);
}

TEST_F(StreamsTest, events_wait_a_little_for_company_and_full_requests_do_not) {
  start();
  add("a");
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_EQ(streams->next_poll_at(), now + stream.batch_age_max);
  add("b");
  add("c");
  add("d");
  EXPECT_THAT(poll(), ElementsAre("a b c"));
  EXPECT_THAT(poll(stream.batch_age_max), ElementsAre("d"));
}

TEST_F(StreamsTest, what_is_not_wanted_is_passed_over_and_what_must_not_go_is_counted) {
  stream.consent_purpose = "ads";
  start();
  add("unwanted", 1, "Unwanted");
  add("filtered");
  add("elsewhere", 99);
  add("no consent", 13);
  source.add("too old", 1, now - kDay * 8);
  add("good");
  EXPECT_THAT(poll_all(), ElementsAre("good"));
  answer("good", 200);
  EXPECT_EQ(status().refused, 2u);
  EXPECT_THAT(dead(), IsEmpty());
  const auto refusals = *streams->refusals("s");
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_THAT(refusals[0].reason, HasSubstr("at: older than 7d"));
  EXPECT_EQ(refusals[1].reason, "consent: no consent to ads");
  EXPECT_EQ(refusals[1].person, PersonId(13));
  start();
  EXPECT_EQ(status().refused, 2u);  // not again, though the process ended
}

// Without keys a restart does not read again what lies behind an event that is not settled.
TEST_F(StreamsTest, without_keys_what_was_refused_behind_an_event_without_answer_is_counted_all_the_same) {
  tool.keyed = false;
  stream.ambiguity = workspace::Ambiguity::resend;
  stream.consent_purpose = "ads";
  start();
  add("good");
  add("no consent", 13);
  EXPECT_THAT(poll_all(), ElementsAre("good"));
  start();
  EXPECT_EQ(status().refused, 1u);
  EXPECT_THAT(poll_all(), ElementsAre("good"));
  answer("good", 200);
  EXPECT_EQ(status().refused, 1u);
  start();
  EXPECT_EQ(status().refused, 1u);
}

TEST_F(StreamsTest, after_a_restart_what_was_not_answered_goes_again_and_nothing_else) {
  start();
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) add(id);
  EXPECT_THAT(poll(), ElementsAre("a b c", "d e f"));
  answer("a b c", 200);
  start();
  EXPECT_THAT(poll_all(), ElementsAre("d e f"));
}

TEST_F(StreamsTest, the_cursor_does_not_pass_what_is_not_settled) {
  start();
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) add(id);
  poll();
  answer("d e f", 200);
  start();
  EXPECT_THAT(poll_all(), ElementsAre("a b c", "d e f"));  // once more what its platform knows by its key
}

TEST_F(StreamsTest, a_poisoned_event_is_found_and_the_others_go) {
  start();
  for (const char* id : {"a", "bad", "c"}) add(id);
  poll();
  answer("a bad c", 400);
  EXPECT_THAT(poll(), ElementsAre("a", "bad c"));
  answer("a", 200);
  answer("bad c", 400);
  EXPECT_THAT(poll(), ElementsAre("bad", "c"));
  answer("bad", 400);
  answer("c", 200);
  EXPECT_THAT(dead(), ElementsAre("bad: bad"));
  EXPECT_EQ(status().accepted, 2u);
  EXPECT_TRUE(streams->idle());
}

TEST_F(StreamsTest, what_alone_is_throttled_waits_and_the_others_go_at_once) {
  start();
  for (const char* id : {"a", "noisy", "c"}) add(id);
  poll();
  answer("a noisy c", 420, "+t+");
  EXPECT_THAT(poll(), ElementsAre("a c"));
  answer("a c", 200);
  EXPECT_THAT(poll(kSecond * 29), IsEmpty());
  EXPECT_THAT(poll(kSecond * 31), ElementsAre("noisy"));
  answer("noisy", 200);
  EXPECT_EQ(status().accepted, 3u);
  EXPECT_THAT(dead(), IsEmpty());
  EXPECT_TRUE(streams->idle());
}

TEST_F(StreamsTest, dead_letters_go_again_in_the_order_of_the_log_and_stay_until_accepted) {
  start();
  for (const char* id : {"a", "b", "c"}) add(id);
  poll();
  answer("a b c", 200, "-+-");
  EXPECT_THAT(dead(), ElementsAre("a: odd", "c: odd"));
  EXPECT_EQ(*streams->retry("s", positions({30, 10, 20})), 2u);
  EXPECT_THAT(poll(), ElementsAre("a c"));
  EXPECT_EQ(*streams->retry("s", positions({30, 10})), 0u);  // they are under way
  answer("a c", 200, "+-");
  EXPECT_THAT(dead(), ElementsAre("c: odd"));
  EXPECT_EQ(*streams->drop("s", positions({30})), 1u);
  EXPECT_THAT(dead(), IsEmpty());
  start();
  EXPECT_THAT(dead(), IsEmpty());
}

TEST_F(StreamsTest, a_dead_letter_whose_person_is_gone_is_none_any_more) {
  start();
  add("a");
  poll_all();
  answer("a", 200, "-");
  source.deleted.insert(10);
  EXPECT_EQ(*streams->retry("s", positions({10})), 0u);
  EXPECT_THAT(dead(), IsEmpty());
}

TEST_F(StreamsTest, where_a_copy_cannot_be_told_silence_is_shown_to_somebody) {
  tool.keyed = false;
  start();
  add("a");
  poll_all();
  no_answer("a");
  EXPECT_THAT(dead(), ElementsAre("a: it may have arrived: timed out"));
  EXPECT_TRUE(streams->idle());
}

TEST_F(StreamsTest, but_not_where_nobody_was_reached_or_the_platform_said_it_did_nothing) {
  tool.keyed = false;
  start();
  add("a");
  poll_all();
  no_answer("a", Error::Code::not_found);
  EXPECT_THAT(poll(kMinute), ElementsAre("a"));
  answer("a", 503);
  EXPECT_THAT(poll(kMinute), ElementsAre("a"));
  answer("a", 200);
  EXPECT_THAT(dead(), IsEmpty());
}

TEST_F(StreamsTest, or_it_goes_again_where_its_people_want_that) {
  tool.keyed = false;
  stream.ambiguity = workspace::Ambiguity::resend;
  start();
  add("a");
  poll_all();
  no_answer("a");
  EXPECT_THAT(poll(kMinute), ElementsAre("a"));
  start();
  EXPECT_THAT(poll_all(), ElementsAre("a"));
}

TEST_F(StreamsTest, without_keys_a_crash_sends_nothing_twice_and_forgets_nothing) {
  tool.keyed = false;
  start();
  for (const char* id : {"a", "b", "c", "d", "e", "f", "g"}) add(id);
  poll();
  answer("d e f", 200);
  start();
  EXPECT_THAT(dead(), ElementsAre("a: it may have arrived: the process ended before the answer came",
                                  "b: it may have arrived: the process ended before the answer came",
                                  "c: it may have arrived: the process ended before the answer came"));
  EXPECT_THAT(poll_all(), ElementsAre("g"));
}

TEST_F(StreamsTest, where_order_is_kept_a_persons_events_follow_each_other) {
  tool.ordered = true;
  start();
  for (const char* id : {"a1", "a2", "a3"}) add(id, 1);
  for (const char* id : {"a4", "b1"}) add(id, id[0] == 'a' ? 1 : 2);
  EXPECT_THAT(poll_all(), ElementsAre("a1 a2 a3", "b1"));
  answer("a1 a2 a3", 503);
  answer("b1", 200);
  EXPECT_THAT(poll(kMinute), ElementsAre("a1 a2 a3"));
  answer("a1 a2 a3", 200);
  EXPECT_THAT(poll_all(), ElementsAre("a4"));
}

TEST_F(StreamsTest, requests_hold_one_group_where_there_are_groups) {
  tool.grouped = true;
  start();
  add("a1", 1);
  add("b1", 2);
  add("a2", 1);
  EXPECT_THAT(poll_all(), ElementsAre("a1 a2", "b1"));
}

TEST_F(StreamsTest, a_sync_that_stops_tries_again_with_one_request) {
  start();
  for (const char* id : {"a", "b", "c", "d"}) add(id);
  poll_all();
  answer("a b c", 401);
  answer("d", 401);
  EXPECT_EQ(status().state, "stopped: no");
  EXPECT_EQ(streams->take_alerts().front().text, "stopped: no");
  start();  // it remembers
  EXPECT_EQ(status().state, "stopped: no");
  EXPECT_THAT(poll_all(), ElementsAre("a b c"));
  answer("a b c", 200);
  EXPECT_TRUE(streams->take_alerts().front().mended);
  EXPECT_THAT(poll_all(), ElementsAre("d"));
}

TEST_F(StreamsTest, paused_nothing_goes_and_what_came_goes_after) {
  start();
  ASSERT_TRUE(streams->pause("s"));
  add("a");
  EXPECT_THAT(poll_all(), IsEmpty());
  start();
  EXPECT_EQ(status().state, "paused");
  ASSERT_TRUE(streams->resume("s"));
  EXPECT_THAT(poll_all(), ElementsAre("a"));
}

TEST_F(StreamsTest, reset_needs_a_pause_and_goes_on_from_there) {
  start();
  for (const char* id : {"a", "b"}) add(id);
  EXPECT_FALSE(streams->reset("s", source.end()));
  ASSERT_TRUE(streams->pause("s"));
  ASSERT_TRUE(streams->reset("s", Position(20)));
  ASSERT_TRUE(streams->resume("s"));
  EXPECT_THAT(poll_all(), ElementsAre("b"));
}

TEST_F(StreamsTest, a_replay_walks_beside_what_comes_in_and_survives_a_restart) {
  add("past", 1);
  now = now + kHour;
  add("later", 1);
  now = now + kHour;
  start();
  EXPECT_GT(*streams->replay("s", kStart, kStart + kMinute), 0u);
  EXPECT_FALSE(streams->replay("s", kStart, kStart + kMinute));
  add("live");
  start();
  EXPECT_THAT(poll_all(), ElementsAre("live", "past"));
  answer("past", 200);
  answer("live", 200);
  poll_all();
  EXPECT_TRUE(streams->idle());
  EXPECT_FALSE(status().replayed);
}

TEST_F(StreamsTest, where_order_is_kept_a_replay_puts_the_whole_walk_back) {
  tool.ordered = true;
  add("past", 1);
  start();
  ASSERT_TRUE(streams->replay("s", kStart - kDay, kNever));
  add("live", 1);
  EXPECT_THAT(poll_all(), ElementsAre("past live"));
}

TEST_F(StreamsTest, names_that_are_no_stream_sync_are_not_found) {
  start();
  EXPECT_EQ(streams->pause("t").error().code, Error::Code::not_found);
  EXPECT_EQ(streams->dead_letters("t").error().code, Error::Code::not_found);
}

// Whatever happens - answers lost before or after the platform acted, refusals, crashes, pauses, retries of
// dead letters - each event ends accepted, refused or dead; with keys none is lost, without keys none that is
// held is sent twice; and where order is kept, a person's first arrivals are in order.
TEST_F(StreamsTest, nothing_is_lost_and_nothing_doubled_whatever_happens) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(seed);
    Random chance(seed);
    tool.keyed = seed % 2 == 0;
    tool.ordered = seed % 3 == 0;
    tool.grouped = seed % 5 == 0;
    source = {};
    options.records_per_poll = 1 + chance.below(6);
    options.window_events = 4 + chance.below(20);
    now = kStart;
    streams.reset();
    ledger.reset();
    directory.emplace();
    start();
    std::map<std::string, int> arrived;
    std::vector<std::string> order;
    std::set<std::string> ever_dead;
    std::uint64_t next = 0;
    std::map<std::uint64_t, std::string> under_way;
    const auto act = [&](const std::string& body) {
      std::istringstream words(body);
      for (std::string id; words >> id;) {
        if (arrived[id]++ == 0) order.push_back(id);
      }
    };
    for (int step = 0; step < 410 || !streams->idle() || !under_way.empty(); ++step) {
      ASSERT_LT(step, 4'000) << status().state;
      const bool calm = step >= 400;
      if (!calm && chance.below(3) == 0) {
        const auto person = static_cast<std::uint32_t>(chance.below(4));
        source.add(std::to_string(person) + "-" + std::to_string(1000 + next++), person, now);
        streams->wake();
      }
      if (!calm && chance.below(60) == 0) {
        under_way.clear();
        start();
      }
      if (!calm && chance.below(40) == 0) {
        ASSERT_TRUE(streams->pause("s"));
      }
      if (calm || chance.below(8) == 0) {
        ASSERT_TRUE(streams->resume("s"));
      }
      if (!calm && chance.below(30) == 0) {
        std::vector<Position> all;
        for (const StreamDeadLetter& letter : letters()) {
          if (!letter.ambiguous) all.push_back(letter.position);
        }
        ASSERT_TRUE(streams->retry("s", all));
      }
      now = now + Millis{static_cast<std::int64_t>(chance.below(calm ? 60'000 : 400))};
      for (Send& send : streams->poll(now)) under_way.emplace(send.id, send.request.body);
      if (under_way.empty() || chance.below(2) == 0) continue;
      auto at = under_way.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(chance.below(under_way.size())));
      const auto [id, body] = *at;
      under_way.erase(at);
      switch (calm ? 0 : chance.below(8)) {
        case 1:  // lost on the way there
          streams->on_reply(id, fail(Error::Code::unavailable, "timed out"), now);
          break;
        case 2:  // lost on the way back
          act(body);
          streams->on_reply(id, fail(Error::Code::unavailable, "timed out"), now);
          break;
        case 3:
          streams->on_reply(id, fail(Error::Code::not_found, "nobody listens"), now);
          break;
        case 4:
          streams->on_reply(id, HttpResponse{503, {}, ""}, now);
          break;
        case 5: {
          std::istringstream words(body);
          std::string one, outcomes;
          while (words >> one) {
            const bool taken = chance.below(4) != 0;
            outcomes += taken ? '+' : '-';
            if (taken) {
              act(one);
            } else {
              ever_dead.insert(one);
            }
          }
          streams->on_reply(id, HttpResponse{200, {}, outcomes}, now);
          break;
        }
        default:
          act(body);
          streams->on_reply(id, HttpResponse{200, {}, "ok"}, now);
      }
    }
    if (tool.ordered && tool.keyed) {
      std::map<char, std::string> last;  // of each person; ids grow as they come in
      for (const std::string& id : order) {
        if (ever_dead.contains(id)) continue;
        EXPECT_LT(last[id[0]], id) << id << " came late";
        last[id[0]] = id;
      }
    }
    std::set<std::string> dead_ids;
    for (const StreamDeadLetter& letter : letters())
      dead_ids.insert(source.events[letter.position.value / 10 - 1].message.message_id);
    for (const LoggedEvent& event : source.events) {
      const std::string& id = event.message.message_id;
      EXPECT_TRUE(arrived.contains(id) || dead_ids.contains(id)) << id << " is lost";
      if (!tool.keyed) {
        EXPECT_LE(arrived[id], 1) << id << " was doubled";
      }
    }
  }
}

// --- dry runs and passes

TEST_F(StreamsTest, a_dry_run_builds_and_counts_and_sends_nothing) {
  stream.mode = workspace::Mode::dry_run;
  stream.consent_purpose = "ads";
  start();
  add("a");
  add("b");
  add("c", 13);
  EXPECT_THAT(poll_all(), IsEmpty());
  EXPECT_EQ(status().state, "dry run: 2 events would have been sent; nothing is sent");
  EXPECT_EQ(status().refused, 3u);
  EXPECT_EQ(status().sent, 0u);
  EXPECT_EQ(streams->retry("s", {}).error().code, Error::Code::conflict);
}

TEST_F(StreamsTest, what_a_dry_run_built_is_not_sent_once_it_is_live) {
  stream.mode = workspace::Mode::dry_run;
  start();
  add("a");
  poll_all();
  poll(kMinute);
  stream.mode = workspace::Mode::live;
  start();
  add("b");
  EXPECT_THAT(poll_all(), ElementsAre("b"));
}

TEST_F(StreamsTest, a_pass_sends_so_many_of_a_paused_sync_and_leaves_the_rest) {
  start();
  ASSERT_TRUE(streams->pause("s"));
  for (const std::string id : {"a", "b", "c", "d"}) add(id);
  EXPECT_THAT(poll_all(), IsEmpty());
  ASSERT_TRUE(streams->begin_pass("s", 3, now));
  EXPECT_EQ(streams->begin_pass("s", 3, now).error().code, Error::Code::conflict);
  EXPECT_THAT(poll_all(), ElementsAre("a b c"));
  answer("a b c", 200, "+-+");
  poll();
  const auto pass = *streams->pass("s");
  EXPECT_TRUE(pass->done);
  EXPECT_THAT(notes(pass), ElementsAre("2 Seen accepted", "1 Seen rejected: odd"));
  EXPECT_THAT(poll_all(kMinute), IsEmpty());
  EXPECT_EQ(status().state, "paused");
  ASSERT_TRUE(streams->resume("s"));
  EXPECT_THAT(poll_all(), ElementsAre("d"));
}

TEST_F(StreamsTest, a_pass_ends_when_the_sync_stops) {
  start();
  add("a");
  ASSERT_TRUE(streams->begin_pass("s", 10, now));
  EXPECT_THAT(poll(), ElementsAre("a"));
  answer("a", 401);
  poll();
  EXPECT_TRUE((*streams->pass("s"))->done);
  EXPECT_EQ(status().state, "stopped: no");
}

}  // namespace
}  // namespace tailrace::delivery
