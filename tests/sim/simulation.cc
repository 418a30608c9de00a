#include "sim/simulation.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "delivery/sweep.h"
#include "model/json.h"
#include "property/known.h"
#include "property/play.h"
#include "property/random_scenario.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/story.h"
#include "sim/stream_judge.h"
#include "support/oracle.h"

namespace tailrace::testing {
namespace {

constexpr std::size_t kQuietStepsMax = 200'000;

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        random_(options.seed),
        story_(random_story(random_)),
        network_(random_.next()),
        machine_(disk_, clock_),
        hand_(options.seed ^ 0x5eed) {}

  Outcome run() {
    if (story_.inputs.size() > options_.inputs_max) story_.inputs.resize(options_.inputs_max);
    now_ = story_.workspaces.front().first;
    started_at_ = now_;
    set_clock();
    for (std::size_t i = 0; i < story_.workspaces.size(); ++i)
      waiting_.emplace(story_.workspaces[i].first, Message{.workspace = i});
    for (const Input& input : story_.inputs)
      waiting_.emplace(std::max(input.received_at, now_ + kSecond), Message{.input = input.serial});
    plan_faults();
    if (options_.failing_operation) disk_.fail_operation(*options_.failing_operation);
    if (options_.last_operation) disk_.stop_after(*options_.last_operation);
    stopping_ = options_.last_operation.has_value();
    boot_at_ = now_;
    while (now_ < story_.end) go_on();
    outcome_.disk_operations = disk_.operations();
    come_to_rest();
    if (outcome_.problems.empty()) judge();
    outcome_.simulated = now_ - started_at_;
    outcome_.inputs = story_.inputs.size();
    outcome_.requests = network_.requests();
    outcome_.lost_messages = network_.lost();
    outcome_.snapshots = machine_.snapshots();
    outcome_.redactions = machine_.redactions();
    outcome_.compressed_files = machine_.compressed_files();
    return std::move(outcome_);
  }

 private:
  // What somebody sends until it is acknowledged: an input, or a workspace.
  struct Message {
    std::optional<std::size_t> input;
    std::optional<std::size_t> workspace;
  };
  enum class Fault : unsigned char {
    power_cut,
    killed,
    stops_soon,
    failing_operation,
    full_disk,
    clock_step,
    storm,
    calm,
    damaged_snapshot,
    slow_disk,
    drift,
    by_hand  // somebody pauses, resumes, replays, resets or retries a sync of events
  };

  // --- time

  void set_clock() { clock_ = now_ + clock_offset_; }

  void go_on() {
    Time next =
        std::min({story_.end, network_.next_at(), boot_at_, faults_.empty() ? kNever : faults_.begin()->first,
                  waiting_.empty() ? kNever : waiting_.begin()->first});
    if (machine_.running()) next = std::min(next, std::max(now_, machine_.next_step_at() - clock_offset_));
    now_ = std::max(now_, next);
    set_clock();
    if (!faults_.empty() && faults_.begin()->first <= now_) {
      const Fault fault = faults_.begin()->second;
      faults_.erase(faults_.begin());
      meet(fault);
    } else if (boot_at_ <= now_) {
      boot();
    } else if (network_.next_at() <= now_) {
      if (auto reply = network_.step(); reply && machine_.running()) {
        note("answer {} {}", reply->send_id,
             reply->response ? fmt::to_string(reply->response->status) : reply->response.error().message);
        machine_.on_reply(reply->send_id, std::move(reply->response));
      }
    } else if (!waiting_.empty() && waiting_.begin()->first <= now_) {
      const Message message = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      send(message);
    }
    if (machine_.running()) step();
  }

  void step() {
    const std::uint64_t operations = disk_.operations();
    auto sends = machine_.step();
    let_disk_finish(operations);
    if (!sends) return fell_over(sends.error());
    if (disk_.stopped()) return fell_over({.code = Error::Code::io, .message = "the machine has stopped"});
    for (delivery::Send& send : *sends) {
      note("request {} {} {:x}", send.id, send.request.url, hash64(send.request.body));
      network_.send(std::move(send), now_);
    }
  }

  template <class... Arguments>
  void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const std::string line =
        fmt::format("{} {}", format_time(now_), fmt::format(format, std::forward<Arguments>(arguments)...));
    outcome_.digest = hash64(line, outcome_.digest);
    if (options_.trace) std::puts(line.c_str());
  }
  template <class... Arguments>
  void complain(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    outcome_.problems.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
    note("problem: {}", outcome_.problems.back());
  }

  // --- what people send

  void send(const Message& message) {
    if (!machine_.running()) return send_again(message);
    Result<void> sent;
    if (message.workspace) {
      const std::string payload = to_json(workspace::to_value(story_.workspaces[*message.workspace].second));
      const std::string id = fmt::format("workspace-{}", *message.workspace);
      sent = machine_.submit(
          {{.kind = RecordKind::workspace, .time = clock_, .message_id = id, .payload = payload}});
    } else {
      with_record(story_.inputs[*message.input], clock_,
                  [&](const RecordView& record) { sent = machine_.submit({record}); });
    }
    if (!sent) {
      send_again(message);
      return fell_over(sent.error());
    }
    note("acknowledged {}", describe(message));
    arrived(message);
    acknowledged_.insert(name_of(message));
    // A client that did not hear the answer sends again.
    if (options_.faults && message.input && random_.below(10) == 0) send_again(message);
  }
  void send_again(const Message& message) {
    waiting_.emplace(now_ + kSecond * static_cast<std::int64_t>(1 + random_.below(60)), message);
  }
  std::string name_of(const Message& message) const {
    return message.workspace ? fmt::format("workspace-{}", *message.workspace)
                             : fmt::format("input-{}", *message.input);
  }
  std::string describe(const Message& message) const {
    if (message.workspace) return name_of(message);
    static constexpr const char* kKinds[] = {"event", "trait", "consent", "sync entry",
                                             "join",  "merge", "removal"};
    const Input& input = story_.inputs[*message.input];
    return fmt::format("{} ({} of {} {}: {} at {})", name_of(message),
                       kKinds[static_cast<std::size_t>(input.kind)], input.who, input.other, input.name,
                       format_time(input.time));
  }
  // It stands in the log, for the first time or again.
  void arrived(const Message& message) {
    const bool is_new = arrived_.insert(name_of(message)).second;
    if (message.workspace) {
      live_workspace_ = *message.workspace;
    } else if (is_new) {
      known_.apply(story_.inputs[*message.input]);
    }
  }

  // --- the machine's life

  void boot() {
    boot_at_ = kNever;
    ++outcome_.boots;
    const auto booted = machine_.boot(random_.next());
    note("boot {}", booted ? "" : booted.error().message);
    if (!booted) {
      // The disk may have been told to fail: somebody looks after it and starts again.
      if (++failed_boots_ > 50) {
        complain("does not start: {}", booted.error().message);
        now_ = story_.end;
      }
      boot_at_ = now_ + kMinute;
      return;
    }
    failed_boots_ = 0;
    read_log();
  }
  void fell_over(const Error& error) {
    note("fell over: {}", error.message);
    ++outcome_.disk_errors;
    // Where the disk stopped the machine, what was not synced is gone with it.
    turn_off(stopping_ ? MemoryDisk::Survives::some : MemoryDisk::Survives::everything);
  }
  void turn_off(MemoryDisk::Survives survives) {
    stopping_ = false;
    machine_.power_off(survives, random_.next());
    network_.hang_up();
    boot_at_ = now_ + Millis{static_cast<std::int64_t>(100 + random_.below(5 * 60 * 1000))};
  }

  // What was sent and not acknowledged may stand in the log all the same.
  void read_log() {
    log::Log& log = machine_.pipeline().store().log();
    std::string bytes;
    const auto reader = log.read_from(log.begin());
    TR_ASSERT(reader.has_value());
    log::Frame frame;
    std::set<std::string> present;
    std::uint64_t tombstones = 0;
    while (true) {
      const auto more = (*reader)->next(frame);
      if (!more) return complain("the log cannot be read: {}", more.error().message);
      if (!*more) break;
      const auto record = decode_record(frame.record);
      TR_ASSERT(record.has_value());
      if (record->kind == RecordKind::tombstone) {
        ++tombstones;
        continue;
      }
      const auto message = message_of(*record);
      if (!message) return complain("the log holds a record that nobody sent");
      present.insert(name_of(*message));
      if (!arrived_.contains(name_of(*message))) {
        note("found in the log: {}", describe(*message));
        arrived(*message);
      }
    }
    if (tombstones > 0) return;  // which they were cannot be told
    for (const std::string& name : acknowledged_) {
      if (!present.contains(name)) complain("{} was acknowledged and is lost", name);
    }
  }
  std::optional<Message> message_of(const RecordView& record) {
    if (record.kind == RecordKind::workspace) {
      for (std::size_t i = 0; i < story_.workspaces.size(); ++i) {
        if (record.message_id == fmt::format("workspace-{}", i)) return Message{.workspace = i};
      }
      return std::nullopt;
    }
    if (by_record_.empty()) {
      for (const Input& input : story_.inputs)
        by_record_[{"app " + input.who, input.message_id}] = input.serial;
    }
    const auto found = by_record_.find({std::string(record.source), std::string(record.message_id)});
    if (found == by_record_.end()) return std::nullopt;
    return Message{.input = found->second};
  }

  // --- faults

  void plan_faults() {
    if (!options_.faults) return;
    const auto span = static_cast<std::uint64_t>((story_.end - now_).count);
    constexpr std::pair<Fault, std::uint64_t> kCounts[] = {
        {Fault::power_cut, 5},       {Fault::killed, 4},
        {Fault::stops_soon, 6},      {Fault::failing_operation, 4},
        {Fault::full_disk, 2},       {Fault::clock_step, 4},
        {Fault::storm, 5},           {Fault::calm, 5},
        {Fault::damaged_snapshot, 2}};
    for (const auto& [fault, most] : kCounts) {
      for (std::uint64_t count = random_.below(most + 1); count > 0; --count)
        faults_.emplace(now_ + Millis{static_cast<std::int64_t>(random_.below(span))}, fault);
    }
    // Most happens while people send, so faults that are near it are worth more than others.
    // Drawn apart, so that what is drawn above does not depend on it.
    Random more(hash64("slow disks and drift", options_.seed));
    for (const auto& [fault, most] : {std::pair{Fault::slow_disk, 4U}, std::pair{Fault::drift, 4U}}) {
      for (std::uint64_t count = more.below(most); count > 0; --count)
        faults_.emplace(now_ + Millis{static_cast<std::int64_t>(more.below(span))}, fault);
    }
    for (std::uint64_t count = hand_.below(12); count > 0; --count)
      faults_.emplace(now_ + Millis{static_cast<std::int64_t>(hand_.below(span))}, Fault::by_hand);
    for (const Input& input : story_.inputs) {
      if (random_.below(8) == 0)
        faults_.emplace(std::max(now_, input.received_at - Millis{1}),
                        random_.below(2) == 0 ? Fault::stops_soon : Fault::failing_operation);
    }
  }

  void meet(Fault fault) {
    switch (fault) {
      case Fault::power_cut:
        note("power cut");
        if (!machine_.running()) return;
        ++outcome_.power_cuts;
        return turn_off(random_.below(3) == 0 ? MemoryDisk::Survives::nothing : MemoryDisk::Survives::some);
      case Fault::killed:
        note("killed");
        if (machine_.running()) turn_off(MemoryDisk::Survives::everything);
        return;
      case Fault::stops_soon: {
        const std::uint64_t operations = 1 + random_.below(30);
        note("the disk stops after {} operations", operations);
        ++outcome_.power_cuts;
        stopping_ = true;
        disk_.stop_after(operations);
        return;
      }
      case Fault::failing_operation:
        note("a disk operation will fail");
        disk_.fail_operation(1 + random_.below(30));
        return;
      case Fault::full_disk:
        note("the disk is full");
        disk_.set_capacity(0);
        return;
      case Fault::clock_step:
        clock_offset_ = Millis{static_cast<std::int64_t>(random_.below(2 * 3'600'000)) - 3'600'000};
        note("the clock steps to {} ms", clock_offset_.count);
        return set_clock();
      case Fault::storm: {
        const auto up_to = [&](std::uint64_t most) {
          return static_cast<std::uint32_t>(random_.below(most));
        };
        note("storm");
        // One in four: nobody answers.
        if (random_.below(4) == 0) return network_.set_weather({.fails = 1000}, now_);
        return network_.set_weather({up_to(300), up_to(300), up_to(200), up_to(400), up_to(300), up_to(100)},
                                    now_);
      }
      case Fault::calm:
        note("calm");
        return network_.set_weather({}, now_);
      case Fault::damaged_snapshot: {
        if (machine_.running() || !disk_.exists(std::string(Machine::kStore) + "/snapshot")) return;
        // The manifest, or one of the files with its pieces.
        std::vector<std::string> names = *disk_.list(Machine::kStore);
        std::erase_if(names, [](const std::string& name) { return !name.starts_with("snapshot"); });
        const std::string path = std::string(Machine::kStore) + "/" + names[random_.below(names.size())];
        if (disk_.contents(path).empty()) return;
        note("a bit of {} flips", path);
        return disk_.flip_bit(path, random_.below(disk_.contents(path).size() * 8));
      }
      case Fault::slow_disk:
        // One in two: as fast as ever again.
        disk_takes_ = Millis{static_cast<std::int64_t>(random_.below(2) == 0 ? 0 : random_.below(400))};
        note("each disk operation takes {} ms", disk_takes_.count);
        return;
      case Fault::drift:
        return drift(random_.below(2) == 0 ? "meta" : "google");
      case Fault::by_hand:
        return take_in_hand();
    }
  }

  // Errors are the disk's, which fails on purpose, or that a sync is not in the state for it.
  void take_in_hand() {
    delivery::Streams* const streams = machine_.running() ? machine_.streams() : nullptr;
    if (streams == nullptr || workspace().streams.empty()) return;
    const std::string sync = workspace().streams[hand_.below(workspace().streams.size())].name;
    ++outcome_.by_hand;
    Result<void> done;
    switch (hand_.below(5)) {
      case 0:
        note("pause {}", sync);
        done = streams->pause(sync);
        break;
      case 1:
        note("resume {}", sync);
        done = streams->resume(sync);
        break;
      case 2: {
        const Time from = random_time(hand_, kStart);
        note("replay {} since {}", sync, format_time(from));
        resent_.insert(sync);
        if (const auto replayed = streams->replay(sync, from, kNever); !replayed)
          done = std::unexpected(replayed.error());
        break;
      }
      case 3: {
        note("reset {}", sync);
        resent_.insert(sync);
        done = streams->pause(sync);
        if (done) done = streams->reset(sync, machine_.pipeline().begin());
        break;
      }
      default:
        note("retry {}", sync);
        done = retry(sync);
    }
    if (!done) note("not done: {}", done.error().message);
  }
  Result<void> retry(const std::string& sync) {
    std::vector<Position> positions;
    for (const auto& letter : TRY(machine_.streams()->dead_letters(sync)))
      positions.push_back(letter.position);
    if (positions.empty()) return {};
    resent_.insert(sync);
    TRY(machine_.streams()->retry(sync, positions));
    return {};
  }

  // A platform loses members and takes up strangers. It says nothing of that below a thousand people.
  void drift(const std::string& platform) {
    note("{} drifts", platform);
    const auto audiences = [&] {
      std::map<std::string, std::set<std::string>> all;
      for (const std::string& id : network_.audiences(platform, now_))
        all[id] = network_.audience(platform, id, now_);
      return all;
    };
    if (!machine_.running()) return;
    const auto before = audiences();
    network_.drift(platform, 1 + random_.below(2), now_);
    for (const auto& [id, after] : audiences()) {
      const std::set<std::string>& known = before.at(id);
      for (const std::string& each : after) {
        if (!known.contains(each)) strangers_[{platform, id}][each] = now_;
      }
      outcome_.drifted += 2 * static_cast<std::uint64_t>(std::ranges::count_if(
                                  after, [&](const std::string& each) { return !known.contains(each); }));
    }
    has_drifted_ = true;
  }
  static std::string platform_of(const workspace::SyncConfig& sync) {
    return sync.destination == "Meta" ? "meta" : "google";
  }
  static std::string platform_of(const workspace::StreamConfig& stream) {
    return stream.destination == "Meta events"     ? "meta"
           : stream.destination == "Google events" ? "google"
                                                   : "reddit";
  }
  std::string audience_of(const workspace::SyncConfig& sync) {
    const auto state = machine_.pipeline().ledger().state(sync.name);
    return state ? state->audience_id : "";
  }

  // The time that the disk took since it had done so many operations.
  void let_disk_finish(std::uint64_t operations_before) {
    if (disk_takes_.count == 0) return;
    now_ = now_ + disk_takes_ * static_cast<std::int64_t>(disk_.operations() - operations_before);
    set_clock();
  }

  // --- the end

  // No more faults; everything sent is acknowledged, everything pending delivered.
  void come_to_rest() {
    faults_.clear();
    network_.set_weather({}, now_);
    disk_takes_ = {};
    note("rest");
    clock_offset_ = {};
    set_clock();
    if (machine_.running() && options_.faults) turn_off(MemoryDisk::Survives::everything);
    if (!machine_.running()) boot_at_ = now_;
    story_.end = kNever;
    for (std::size_t steps = 0; steps < kQuietStepsMax; ++steps) {
      if (at_rest()) {
        if (release_one() || resume_streams()) continue;
        if (std::exchange(has_drifted_, false)) {
          reupload_all();
          continue;
        }
        if (std::exchange(letters_retried_, true)) return;
        judge_copies();
        for (const auto& stream : workspace().streams) {
          note("retry {}", stream.name);
          if (const auto done = retry(stream.name); !done)
            complain("{} cannot be retried: {}", stream.name, done.error().message);
        }
        continue;
      }
      if (!outcome_.problems.empty()) return;
      go_on();
    }
    complain("never comes to rest: {}", machine_.running() ? describe_syncs() : "off");
  }
  bool at_rest() {
    if (!machine_.running() || !waiting_.empty() || network_.next_at() != kNever) return false;
    return !machine_.engine().work_pending() && machine_.delivery() != nullptr &&
           machine_.delivery()->idle() && machine_.streams()->idle() && !any_stopped() && !any_to_clear() &&
           !machine_.pipeline().redaction_pending();
  }
  bool resume_streams() {
    bool any = false;
    for (const delivery::StreamStatus& status : machine_.streams()->status()) {
      if (status.state != "paused") continue;
      note("resume {}", status.sync);
      any = true;
      if (const auto done = machine_.streams()->resume(status.sync); !done)
        complain("{} cannot be resumed: {}", status.sync, done.error().message);
    }
    return any;
  }
  // Before anybody asks for copies: where silence is held, a platform that cannot tell one got none.
  void judge_copies() {
    for (const auto& stream : workspace().streams) {
      const std::string platform = platform_of(stream);
      if (platform != "reddit" || stream.ambiguity != workspace::Ambiguity::hold ||
          resent_.contains(stream.name))
        continue;
      if (const auto again = network_.told(platform, now_).again; again > 0)
        complain("{}: the platform was told of {} events twice", stream.name, again);
    }
  }
  // Somebody has looked at what the guards hold, and lets it go.
  bool release_one() {
    const auto statuses = machine_.delivery()->status();
    for (std::uint32_t i = 0; i < statuses.size(); ++i) {
      if (!statuses[i].held) continue;
      note("release {}", statuses[i].sync);
      if (const auto released = machine_.delivery()->release(SyncId(i), clock_); !released)
        complain("{} cannot be released: {}", statuses[i].sync, released.error().message);
      ++outcome_.releases;
      return true;
    }
    return false;
  }
  // Somebody has heard that platforms lost members and gained others; long enough after that for these to go.
  void reupload_all() {
    now_ = now_ + delivery::kSweepMargin * 2;
    set_clock();
    for (std::uint32_t i = 0; i < workspace().syncs.size(); ++i) {
      note("reupload {}", workspace().syncs[i].name);
      if (const auto asked =
              machine_.delivery()->reupload(SyncId(i), delivery::Delivery::Others::remove, clock_);
          !asked)
        complain("{} cannot be uploaded again: {}", workspace().syncs[i].name, asked.error().message);
      ++outcome_.reuploads;
    }
  }
  // A platform is still to be asked to let go of strangers, when it has worked off what it was told.
  bool any_to_clear() {
    return std::ranges::any_of(workspace().syncs, [&](const workspace::SyncConfig& sync) {
      const auto state = machine_.pipeline().ledger().state(sync.name);
      return state && state->sweep.is_on();
    });
  }
  // With nothing to send a sync does not ask whether its platform has changed its mind.
  bool any_stopped() {
    const bool any_audience = std::ranges::any_of(machine_.delivery()->status(), [](const auto& status) {
      return status.state.starts_with("stopped") && status.pending + status.renewing > 0;
    });
    return any_audience || std::ranges::any_of(machine_.streams()->status(), [](const auto& status) {
             return status.stopped && status.unsettled > 0;
           });
  }
  std::string describe_syncs() {
    std::string text;
    if (machine_.delivery() == nullptr) return "no delivery";
    for (const auto& status : machine_.delivery()->status())
      text += fmt::format("[{}: {}, {} pending] ", status.sync, status.state, status.pending);
    for (const auto& status : machine_.streams()->status())
      text += fmt::format("[{}: {}, {} unsettled, {} bytes behind] ", status.sync, status.state,
                          status.unsettled, status.behind_bytes);
    return text;
  }

  // --- the judge

  const workspace::Workspace& workspace() const { return story_.workspaces[live_workspace_].second; }

  Oracle oracle() {
    OracleWorld world = known_.world(workspace());
    for (const auto& sync : workspace().syncs) {
      const auto read = machine_.pipeline().ledger().for_each_entry(sync.name, [&](PersonId person, Time at) {
        const PersonId survivor = known_.survivor(person);
        for (OraclePerson& one : world.people) {
          if (one.id == survivor) one.sync_entries[sync.name].push_back(at);
        }
      });
      TR_ASSERT(read.has_value());
    }
    for (OraclePerson& one : world.people) {
      for (auto& [sync, entries] : one.sync_entries) std::ranges::sort(entries);
    }
    people_ = world.people;
    return Oracle(std::move(world));
  }

  void judge() {
    Oracle judge = oracle();
    const Time at = machine_.engine().now();
    note("judged at {}", format_time(at));
    if (options_.tamper) network_.lose_an_identifier(now_);
    for (std::uint32_t i = 0; i < workspace().segments.size(); ++i) {
      const auto& segment = workspace().segments[i];
      const auto expected = judge.members(*segment.expr, at);
      const auto got = machine_.engine().members(SegmentId(i));
      outcome_.members += got.size();
      if (got != expected)
        complain("segment {} ({}) holds {}, expected {}", segment.name, segment.text, names_of(got),
                 names_of(expected));
    }
    for (const auto& sync : workspace().syncs) judge_sync(judge, sync, at);
    for (const auto& stream : workspace().streams) judge_stream(stream);
    if (!options_.faults && !options_.failing_operation && !options_.last_operation) judge_latency();
  }

  void judge_stream(const workspace::StreamConfig& stream) {
    StreamEnd end{.stream = &stream, .told = network_.told(platform_of(stream), now_), .dead = {}};
    const auto letters = machine_.streams()->dead_letters(stream.name);
    TR_ASSERT(letters.has_value());
    std::string bytes;
    for (const delivery::StreamDeadLetter& letter : *letters) {
      const auto record = decode_record(*machine_.pipeline().store().log().read(letter.position, bytes));
      TR_ASSERT(record.has_value());
      if (letter.reason.empty()) ++end.unexplained;
      // Of a deleted person nothing can be said.
      const auto properties = parse_json(record->payload.empty() ? "{}" : record->payload);
      if (const Value* id = properties ? properties->find("event_id") : nullptr) end.dead.insert(id->string);
    }
    const auto refusals = machine_.streams()->refusals(stream.name);
    TR_ASSERT(refusals.has_value());
    for (const delivery::StreamRefusals& each : *refusals) {
      end.refused += each.count;
      end.reasons += fmt::format("{} x {}, ", each.count, each.reason);
    }
    outcome_.told += end.told.events.size();
    outcome_.told_again += static_cast<std::uint64_t>(end.told.again);
    outcome_.never_told += end.refused;
    outcome_.dead_letters += letters->size();
    if (options_.tamper && !end.told.events.empty()) end.told.events.erase(end.told.events.begin());
    if (stream.is_retired()) return;
    for (const std::string& problem : testing::judge_stream(end, story_, people_, now_))
      complain("{}", problem);
  }

  static Millis longest_wait(const workspace::SyncConfig& sync) {
    const bool realtime = sync.cadence.kind == workspace::Cadence::Kind::realtime;
    return (realtime ? sync.batch_age_max : sync.cadence.every) + kSecond * 5;
  }

  // Without faults nobody waits longer than the cadence and a few requests, for the twin perhaps as long
  // again; save where guards hold somebody until they are released.
  void judge_latency() {
    const auto statuses = machine_.delivery()->status();
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      const workspace::SyncConfig& sync = workspace().syncs[i];
      if (sync.guards != workspace::Guards{}) continue;
      Millis allowed = longest_wait(sync);
      for (const workspace::SyncConfig& other : workspace().syncs) {
        if (sync.twin != other.name && other.twin != sync.name) continue;
        allowed = other.guards == workspace::Guards{} ? allowed + longest_wait(other) : kNever - kForeverAgo;
      }
      allowed = allowed + Millis{allowed.count / 8};  // percentiles are that much too high at most
      const Millis longest = statuses[i].latency_p99.value_or(Millis{0});
      // Latencies outlive a workspace: those of several are of several cadences.
      if (longest > allowed && story_.workspaces.size() == 1)
        complain("sync {} took {} ms where {} are allowed", sync.name, longest.count, allowed.count);
      outcome_.timed += statuses[i].latency_count;
    }
    for (const delivery::StreamStatus& status : machine_.streams()->status()) {
      if (story_.workspaces.size() > 1) continue;
      outcome_.timed += status.latency_count;
      if (status.latency_p99.value_or(Millis{0}) > kSecond * 6)
        complain("{} took {} ms", status.sync, status.latency_p99->count);
    }
  }

  std::string names_of(const std::vector<PersonId>& people) const {
    std::string names;
    for (const PersonId person : people)
      names += fmt::format("{} ({}), ", person.value, known_.names_of(person));
    return names;
  }

  void judge_sync(Oracle& judge, const workspace::SyncConfig& sync, Time at) {
    const std::string platform = platform_of(sync);
    const auto members = [&](const std::string& segment) {
      const auto people = judge.members(*workspace().find_segment(segment)->expr, at);
      return std::set<PersonId>(people.begin(), people.end());
    };
    std::set<PersonId> desired = members(sync.segment);
    const auto entered_within = [&](Millis length) {
      const auto asked = workspace::resolve_segment(
          workspace(),
          fmt::format("entered segment \"{}\" within {}", sync.segment, format_duration(length)));
      TR_ASSERT(asked.has_value());
      const auto people = judge.members(**asked, at);
      return std::set<PersonId>(people.begin(), people.end());
    };
    if (sync.minimum_stay) desired.merge(entered_within(*sync.minimum_stay));
    if (sync.effect == workspace::Effect::target && sync.longest_stay) {
      const std::set<PersonId> recent = entered_within(*sync.longest_stay);
      std::erase_if(desired, [&](PersonId person) { return !recent.contains(person); });
    }
    if (sync.effect == workspace::Effect::target && sync.review_date &&
        Zone::named(workspace().time_zone)->from_local(*sync.review_date) <= at)
      desired.clear();
    for (const std::string& excluded : sync.exclusions) {
      for (const PersonId person : members(excluded)) desired.erase(person);
    }
    if (sync.is_retired()) desired.clear();
    std::set<std::string> expected;
    for (const OraclePerson& person : people_) {
      if (!desired.contains(person.id) || !consents(person, sync, at) || server::held_out(sync, person.id))
        continue;
      for (const auto kind : sync.identifiers) {
        const std::string name(to_string(kind));
        const std::string text = contact_of(person, name, platform, at);
        if (!text.empty()) expected.insert(fmt::format("{}:{}", name, sha256_hex(text)));
      }
    }
    const auto state = machine_.pipeline().ledger().state(sync.name);
    TR_ASSERT(state.has_value());
    std::set<std::string> standing;
    if (!state->audience_id.empty()) standing = network_.audience(platform, state->audience_id, now_);
    outcome_.standing += standing.size();
    // Whom the platform took up by itself nobody can name, so they stay, save where it can be asked to let go
    // of what is older than the last full upload.
    const auto& strangers = strangers_[{platform, state->audience_id}];
    std::erase_if(standing, [&](const std::string& each) {
      const auto at_platform = strangers.find(each);
      if (at_platform == strangers.end() || expected.contains(each)) return false;
      return platform != "google" || at_platform->second >= state->reupload_asked_at - delivery::kSweepMargin;
    });
    if (standing == expected) return;
    std::vector<std::string> ghosts, missing;
    std::ranges::set_difference(standing, expected, std::back_inserter(ghosts));
    std::ranges::set_difference(expected, standing, std::back_inserter(missing));
    complain("sync {} on {} holds {} identifiers, {} expected; too many: {}; missing: {}; {}", sync.name,
             platform, standing.size(), expected.size(), fmt::join(ghosts, " "), fmt::join(missing, " "),
             describe_syncs());
  }

  // What of a person is uploaded: the latest statement (readings 23 and 24 of the oracle), or where the
  // platform cannot take that, of the others the newest that it can; of those not taken back since.
  std::string contact_of(const OraclePerson& person, const std::string& name, const std::string& platform,
                         Time at) const {
    std::vector<const OracleTrait*> stated;
    for (const OracleTrait& trait : person.traits) {
      if (trait.name == name && trait.time <= at) stated.push_back(&trait);
    }
    std::ranges::stable_sort(stated, [](const OracleTrait* a, const OracleTrait* b) {
      return std::tie(a->time, a->message_id) < std::tie(b->time, b->message_id);
    });
    std::optional<Time> taken_back;
    std::map<std::string, Time> since;  // of what counts as one value
    std::set<std::string> stated_since;
    for (const OracleTrait* trait : stated) {
      if (trait->value.kind != Value::Kind::string) {
        taken_back = trait->time;
        stated_since.clear();
        continue;
      }
      const std::string value = compared(name, trait->value.string);
      since.try_emplace(value, trait->time);
      stated_since.insert(value);
    }
    if (!stated.empty() && stated.back()->value.kind == Value::Kind::string) {
      if (std::string text = uploaded_text(platform, name, stated.back()->value.string); !text.empty())
        return text;
    }
    std::vector<std::pair<Time, std::string>> newest_first;
    for (const auto& [value, time] : since) {
      if (!taken_back || time > *taken_back || stated_since.contains(value))
        newest_first.emplace_back(time, value);
    }
    std::ranges::stable_sort(newest_first, std::greater<>(), &std::pair<Time, std::string>::first);
    for (const auto& [time, value] : newest_first) {
      if (std::string text = uploaded_text(platform, name, value); !text.empty()) return text;
    }
    return "";
  }
  // E-mails are one value whatever their case, phone numbers however they are grouped.
  static std::string compared(const std::string& name, const std::string& raw) {
    std::string value;
    for (const char c : raw) {
      if (c == ' ' || (name == "phone" && (c == '-' || c == '.' || c == '(' || c == ')'))) continue;
      value.push_back(static_cast<char>(name == "email" && c >= 'A' && c <= 'Z' ? c + 32 : c));
    }
    return value;
  }
  bool consents(const OraclePerson& person, const workspace::SyncConfig& sync, Time at) const {
    if (sync.consent_purpose.empty()) return true;
    const OracleConsent* latest = nullptr;
    for (const OracleConsent& consent : person.consents) {
      if (consent.purpose != sync.consent_purpose || consent.time > at) continue;
      if (latest == nullptr || latest->time < consent.time ||
          (latest->time == consent.time && !consent.granted))
        latest = &consent;
    }
    return latest == nullptr ? workspace().consent_unknown : latest->granted;
  }

  SimulationOptions options_;
  Random random_;
  Story story_;
  MemoryDisk disk_;
  Network network_;
  Time now_;
  Time started_at_;
  Millis clock_offset_;
  Time clock_;
  Machine machine_;
  Random hand_;                   // of what is done by hand
  std::set<std::string> resent_;  // syncs of which somebody asked for copies
  bool letters_retried_ = false;
  Time boot_at_ = kNever;
  std::uint32_t failed_boots_ = 0;
  bool stopping_ = false;  // the disk was told to stop
  Millis disk_takes_;      // for each operation
  bool has_drifted_ = false;
  // By platform and audience, with the time when it took them up.
  std::map<std::pair<std::string, std::string>, std::map<std::string, Time>> strangers_;
  std::multimap<Time, Message> waiting_;
  std::multimap<Time, Fault> faults_;
  std::set<std::string> arrived_;  // in the log
  std::set<std::string> acknowledged_;
  std::map<std::pair<std::string, std::string>, std::size_t> by_record_;
  std::size_t live_workspace_ = 0;
  Known known_;
  std::vector<OraclePerson> people_;
  Outcome outcome_;
};

}  // namespace

void Outcome::add(const Outcome& other) {
  problems.insert(problems.end(), other.problems.begin(), other.problems.end());
  simulated = simulated + other.simulated;
  const auto add_up = [&](auto... counts) { ((this->*counts += other.*counts), ...); };
  add_up(&Outcome::inputs, &Outcome::requests, &Outcome::boots, &Outcome::power_cuts, &Outcome::disk_errors,
         &Outcome::disk_operations, &Outcome::lost_messages, &Outcome::snapshots, &Outcome::redactions,
         &Outcome::compressed_files, &Outcome::releases, &Outcome::drifted, &Outcome::reuploads,
         &Outcome::standing, &Outcome::members, &Outcome::told, &Outcome::told_again, &Outcome::never_told,
         &Outcome::dead_letters, &Outcome::by_hand);
}

Outcome simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace tailrace::testing
